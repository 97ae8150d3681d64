"""A table from outside beside a release: which of its rows could stand behind which released combination.

What belongs here: matching values with what they may have become, at whatever level, as an attacker would. What does
not: what he then knows (../risk.py for a population table, ../attack.py for a register).
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from meddata_pipeline.privacy.policy import QuasiIdentifier
from meddata_pipeline.privacy.tabular.hierarchy import labels
from meddata_pipeline.privacy.tabular.values import MISSING, SUPPRESSED, Encoded

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

_NUMBER = r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?"
_INTERVAL = re.compile(rf"[\[(](-∞|{_NUMBER}), ({_NUMBER}|∞)\)")
_DATE = re.compile(r"(\d{4})(?:(s)|-Q([1-4])|-(\d{2})(?:-(\d{2}))?)?")

#: A value outside that nobody knows: it fits every released one. (A missing value fits a missing one.)
UNKNOWN = "\x00"


def ranges(texts: list[str], dates: bool) -> tuple[Floats, Floats]:
    """Ends of the ranges that labels stand for, whatever hierarchy made them.

    Args:
        texts: numbers and intervals, or dates of any level.
        dates: whether they are dates: ``2024`` is a year then, and a number otherwise.

    Returns:
        The low ends, and the high ends, which lie outside; both of shape (texts,), NaN for texts that are no range.
        Days are counted as by ``date.toordinal``.
    """
    ends = [(_days(text) if dates else _span(text)) or (math.nan, math.nan) for text in texts]
    whole = np.array(ends, dtype=float).reshape(len(texts), 2)
    return whole[:, 0], whole[:, 1]


def _span(text: str) -> tuple[float, float] | None:
    if (found := _INTERVAL.fullmatch(text)) is not None:
        low, high = found.groups()
        return -math.inf if low == "-∞" else float(low), math.inf if high == "∞" else float(high)
    if re.fullmatch(_NUMBER, text):
        return float(text), math.nextafter(float(text), math.inf)
    return None


def _days(text: str) -> tuple[float, float] | None:
    found = _DATE.fullmatch(text[:10])
    if found is None or not 1 <= int(found.group(1)) <= 9980:
        return None
    year, decade, quarter, month, day = found.groups()
    try:
        if day:
            start = dt.date(int(year), int(month), int(day)).toordinal()
            return start, start + 1
        months = 120 if decade else 3 if quarter else 1 if month else 12
        first = int(month) if month else int(quarter) * 3 - 2 if quarter else 1
        start = dt.date(int(year), first, 1).toordinal()
    except ValueError:
        return None
    past = first - 1 + months
    return start, dt.date(int(year) + past // 12, past % 12 + 1, 1).toordinal()


@dataclass(frozen=True)
class Matches:
    """Pairs of a row outside and a class of the release that it fits.

    Attributes:
        rows: shape (pairs,), positions in the table outside, rising.
        classes: shape (pairs,), the class.
    """

    rows: Ints
    classes: Ints


def _fitting(
    column: str, spec: QuasiIdentifier, released: list[str], outside: list[str], base: Path, delimiter: str
) -> tuple[Ints, Ints]:
    """For each value outside the released labels that it may have become: how many, and which, one after the other."""
    # Redaction pads to the longest value: the released ones show how long that was.
    told = [text for text in outside if text != UNKNOWN]
    table, _ = labels(column, spec, [*told, *released], base=base, delimiter=delimiter)
    code = {label: i for i, label in enumerate(released)}
    # Labels that today's hierarchy does not give, as of an earlier version: where they are ranges, values lie in them.
    given = {label for becomes in table.values() for label in becomes}
    low, high = ranges([label if label not in given else MISSING for label in released], spec.dates is not None)
    at, end = ranges(outside, spec.dates is not None)
    found: list[list[int]] = []
    for text, first, last in zip(outside, at, end, strict=True):
        fits = {*released} if text == UNKNOWN else {*table.get(text, ()), SUPPRESSED}
        within = np.flatnonzero((low < last) & (first < high))
        found.append(sorted({*(code[label] for label in fits if label in code), *within.tolist()}))
    counts = np.array([len(codes) for codes in found], dtype=np.int64)
    return counts, np.array([code for codes in found for code in codes], dtype=np.int64)


def match(
    released: Mapping[str, Encoded],
    ids: Ints,
    outside: Mapping[str, Encoded],
    specs: Mapping[str, QuasiIdentifier],
    *,
    base: Path,
    delimiter: str = ",",
) -> Matches:
    """Find for each row outside the classes of the release that it fits.

    A row fits when each of its values is, at some level of the column's hierarchy, the released one. That holds for
    one level per column and for local recoding. Values that the hierarchy lacks fit only ``*``, ``UNKNOWN`` fits all.

    Args:
        released: columns of the release, each with codes of shape (rows,).
        ids: shape (rows,), class of each released row by these columns, dense from 0.
        outside: the same columns of the other table, not generalised.
        specs: hierarchies of these columns.
        base: folder that hierarchy files are relative to.
        delimiter: of hierarchy files.

    Returns:
        The pairs.
    """
    count = int(ids.max()) + 1 if len(ids) else 0
    example = np.zeros(count, dtype=np.int64)
    example[ids] = np.arange(len(ids))
    length = len(next(iter(outside.values())).codes)
    rows = np.arange(length, dtype=np.int64)
    # Prefixes of combinations: of the classes, and of the pairs that still fit one of them.
    inside, pairs = np.zeros(count, dtype=np.int64), np.zeros(length, dtype=np.int64)
    for name, column in released.items():
        other = outside[name]
        counts, fitting = _fitting(name, specs[name], column.texts, other.texts, base, delimiter)
        codes = other.codes[rows]
        start = (np.cumsum(counts) - counts)[codes]
        times = counts[codes]
        rows, pairs = np.repeat(rows, times), np.repeat(pairs, times)
        within = np.arange(len(rows)) - np.repeat(np.cumsum(times) - times, times)
        size = len(column.texts)
        key = pairs * size + fitting[np.repeat(start, times) + within]
        inside, prefixes = pd.factorize(inside * size + column.codes[example])
        pairs = pd.Index(prefixes).get_indexer(pd.Index(key)).astype(np.int64)
        rows, pairs = rows[pairs >= 0], pairs[pairs >= 0]
        inside = inside.astype(np.int64, copy=False)
    by_prefix = np.zeros(count, dtype=np.int64)
    by_prefix[inside] = np.arange(count)
    return Matches(rows, by_prefix[pairs])


def persons_outside(matches: Matches, classes: int, units: NDArray[np.int32] | None) -> Ints:
    """Persons outside that fit each class.

    Args:
        matches: from ``match``.
        classes: number of classes of the release.
        units: shape (rows outside,), code of each row's person; None when every row is a person.

    Returns:
        Counts of shape (classes,).
    """
    if units is None:
        return np.bincount(matches.classes, minlength=classes).astype(np.int64)
    width = int(units.max()) + 1 if len(units) else 1
    pairs = pd.unique(matches.classes * width + units[matches.rows])
    return np.bincount(pairs // width, minlength=classes).astype(np.int64)

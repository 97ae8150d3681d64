"""Generalisation hierarchies: what each value of a quasi-identifier becomes, level by level.

What belongs here: hierarchies from a file, dates, break points, groups, codes and redaction, and the check that each
level only merges values of the level before it (the search prunes by that). What does not: the rules of code systems
(codes.py), choosing a level (search.py).
"""

from __future__ import annotations

import csv
import datetime as dt
import math
import re
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from meddata_pipeline.core.errors import BadInput, ConfigError
from meddata_pipeline.privacy.policy import OrderedGroups, QuasiIdentifier
from meddata_pipeline.privacy.tabular.codes import diagnosis_label, division_label
from meddata_pipeline.privacy.tabular.values import MISSING, SUPPRESSED, Codes, text_of

_SHOWN = 5
# An ISO day, alone or before a time.
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:$|[T ])")
_Rule = Callable[[str], str | None]


@dataclass(frozen=True)
class Level:
    """One level of a hierarchy.

    Attributes:
        codes: shape (values of the table,), the group that each distinct value falls into.
        labels: text of each group, as it is released.
        shares: shape (values of the table,), leaves under the value's group / all leaves.
    """

    codes: Codes
    labels: list[str]
    shares: NDArray[np.float64]


@dataclass(frozen=True)
class Hierarchy:
    """All levels of one quasi-identifier, from fine to coarse.

    Attributes:
        column: name of the column.
        leaves: number of leaves; those of the file, otherwise the distinct values of the table.
        levels: at least one.
        generalises: False for a column that is released as it is or not at all.
    """

    column: str
    leaves: int
    levels: list[Level]
    generalises: bool


def interval_label(low: float | None, high: float | None) -> str:
    """Text of an interval: ``[40, 45)``, ``(-∞, 18)`` or ``[90, ∞)``; both ends open is ``*``."""
    if low is None and high is None:
        return SUPPRESSED
    if low is None:
        return f"(-∞, {text_of(high)})"
    if high is None:
        return f"[{text_of(low)}, ∞)"
    return f"[{text_of(low)}, {text_of(high)})"


def _interval_rule(points: Sequence[float], open_ends: bool) -> _Rule:
    bounds: list[float | None] = [None, *points, None]

    def rule(text: str) -> str | None:
        if not points:
            return SUPPRESSED
        if text == MISSING:
            return MISSING
        value = _number(text)
        if value is None:
            return None
        at = bisect_right(points, value)
        if not open_ends and at in (0, len(points)):
            return None
        return interval_label(bounds[at], bounds[at + 1])

    return rule


def date_label(day: dt.date, level: str) -> str:
    """Text of a date at a level: ``2024-01-15``, ``2024-01``, ``2024-Q1``, ``2024``, ``2020s``."""
    if level == "day":
        return day.isoformat()
    if level == "month":
        return f"{day.year:04d}-{day.month:02d}"
    if level == "quarter":
        return f"{day.year:04d}-Q{(day.month + 2) // 3}"
    if level == "year":
        return f"{day.year:04d}"
    return f"{day.year // 10 * 10:04d}s"


def _date_rule(level: str) -> _Rule:
    def rule(text: str) -> str | None:
        if text == MISSING:
            return MISSING
        if not _DAY.match(text):
            return None
        try:
            return date_label(dt.date.fromisoformat(text[:10]), level)
        except ValueError:
            return None

    return rule


def _redact_rule(count: int, character: str, from_right: bool, width: int) -> _Rule:
    def rule(text: str) -> str | None:
        # Shorter values are padded, so that equal lengths do not set them apart once they are redacted.
        padded = text.rjust(width) if from_right else text.ljust(width)
        if count == 0:
            return text
        return padded[: width - count] + character * count if from_right else character * count + padded[count:]

    return rule


def _number(text: str) -> float | None:
    try:
        # Python's 1_000 is no number of a table.
        value = float(text) if "_" not in text else math.nan
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _group_rules(spec: OrderedGroups, texts: Sequence[str]) -> list[_Rule]:
    """Level 0 is the value; each further level takes so many groups of the level before it together."""
    if isinstance(spec.order, list):
        order = list(spec.order)
    elif spec.order == "text":
        order = sorted({text for text in texts if text != MISSING})
    else:
        numbers = sorted({(value, text) for text in texts if (value := _number(text)) is not None})
        order = [text for _, text in numbers]
    place = {text: at for at, text in enumerate(order)}
    width = 1
    rules: list[_Rule] = [lambda text: text if text == MISSING or text in place else None]
    for size in spec.sizes:
        width *= size

        def rule(text: str, width: int = width) -> str | None:
            if text == MISSING:
                return MISSING
            if text not in place:
                return None
            low = place[text] // width * width
            high = min(low + width, len(order)) - 1
            if low == 0 and high == len(order) - 1:
                return SUPPRESSED
            return order[low] if low == high else f"{order[low]} – {order[high]}"

        rules.append(rule)
    return rules


def _code_rule(label: Callable[[str, str], str | None], level: str) -> _Rule:
    return lambda text: label(text, level)


def _identity(text: str) -> str:
    return text


def _uncovered(column: str, missing: list[str], hidden: bool) -> BadInput:
    from meddata_pipeline.privacy.columns import identifier_in

    # A value that strayed into the wrong column may identify somebody: such values are counted and not shown.
    harmless = [] if hidden else [repr(value) for value in missing if identifier_in(value) is None][:_SHOWN]
    shown = f": {', '.join(harmless)}" if harmless else ""
    return BadInput(
        f"{len(missing)} distinct values of column {column} are not covered by its hierarchy{shown}",
        where=f"column {column}",
        next_step="Extend the hierarchy, or leave these rows out",
    )


def _from_rows(column: str, texts: Sequence[str], table: dict[str, list[str]], generalises: bool) -> Hierarchy:
    """Build a hierarchy from leaf → labels per level; all texts are among the leaves."""
    leaves = len(table)
    depth = len(next(iter(table.values()))) if table else 1
    levels: list[Level] = []
    previous: dict[str, str] | None = None
    for i in range(depth):
        counts: dict[str, int] = {}
        parents: dict[str, str] = {}
        for labels in table.values():
            counts[labels[i]] = counts.get(labels[i], 0) + 1
            if previous is not None and parents.setdefault(labels[i - 1], labels[i]) != labels[i]:
                raise ConfigError(
                    f"The hierarchy of column {column} is no tree: level {i} splits a group of level {i - 1}",
                    where=f"column {column}",
                )
        previous = parents
        names = sorted({table[text][i] for text in texts})
        position = {name: n for n, name in enumerate(names)}
        levels.append(
            Level(
                codes=np.array([position[table[text][i]] for text in texts], dtype=np.int32),
                labels=names,
                shares=np.array([counts[table[text][i]] / leaves for text in texts], dtype=np.float64),
            )
        )
    return Hierarchy(column, leaves, levels, generalises)


def _read_file(column: str, path: Path, delimiter: str) -> dict[str, list[str]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as handle:
            rows = [row for row in csv.reader(handle, delimiter=delimiter) if row]
    except FileNotFoundError:
        raise ConfigError(f"The hierarchy file of column {column} is missing", where=path.name) from None
    except (UnicodeDecodeError, csv.Error):
        raise ConfigError(f"The hierarchy file of column {column} is no UTF-8 CSV", where=path.name) from None
    if not rows:
        raise ConfigError(f"The hierarchy file of column {column} is empty", where=path.name)
    table: dict[str, list[str]] = {}
    for number, row in enumerate(rows, start=1):
        if len(row) != len(rows[0]):
            raise ConfigError(
                f"The hierarchy of column {column} has {len(row)} levels in one line and {len(rows[0])} in the first",
                where=f"{path.name}, line {number}",
            )
        if row[0] in table:
            raise ConfigError(f"The hierarchy of {column} has a value twice", where=f"{path.name}, line {number}")
        table[row[0]] = row
    return table


def build(
    column: str,
    spec: QuasiIdentifier,
    texts: Sequence[str],
    *,
    base: Path,
    delimiter: str = ",",
    hidden: bool = False,
) -> Hierarchy:
    """Build the hierarchy of one quasi-identifier for the values that a table holds.

    Args:
        column: its name, for messages.
        spec: how it may be generalised.
        texts: the column's distinct values in canonical spelling; ``""`` is missing, stays missing at every level, and
            is one leaf.
        base: folder that hierarchy files are relative to.
        delimiter: of hierarchy files.
        hidden: whether messages must not show values.

    Returns:
        The hierarchy.

    Raises:
        BadInput: values are not covered; the text names the column, how many, and up to five unless hidden.
        ConfigError: the hierarchy file is missing, ragged or no tree.
    """
    table, missing = labels(column, spec, texts, base=base, delimiter=delimiter)
    if missing:
        raise _uncovered(column, missing, hidden)
    return _from_rows(column, texts, table, spec.generalises)


def labels(
    column: str, spec: QuasiIdentifier, texts: Sequence[str], *, base: Path, delimiter: str = ","
) -> tuple[dict[str, list[str]], list[str]]:
    """What each value becomes, level by level; values that the hierarchy lacks are told, not refused.

    Args:
        column: its name, for messages.
        spec: how it may be generalised.
        texts: distinct values in canonical spelling.
        base: see ``build``.
        delimiter: see ``build``.

    Returns:
        Labels by value (of a hierarchy file: of all its values), and the values without any, in the order of
        ``texts``.

    Raises:
        ConfigError: the hierarchy file is missing or ragged.
    """
    if spec.hierarchy is not None:
        leaves = _read_file(column, base / spec.hierarchy, delimiter)
        return leaves, [text for text in texts if text not in leaves]
    rules = _rules(spec, texts)
    table: dict[str, list[str]] = {}
    missing: list[str] = []
    for text in texts:
        found = [rule(text) for rule in rules]
        covered = [label for label in found if label is not None]
        if len(covered) < len(found):
            missing.append(text)
        else:
            table[text] = covered
    return table, missing


def _rules(spec: QuasiIdentifier, texts: Sequence[str]) -> list[_Rule]:
    if spec.dates is not None:
        return [_date_rule(level) for level in spec.dates]
    if spec.divisions is not None:
        return [_code_rule(division_label, level) for level in spec.divisions]
    if spec.icd10 is not None:
        return [_code_rule(diagnosis_label, level) for level in spec.icd10]
    if spec.groups is not None:
        return _group_rules(spec.groups, texts)
    if spec.intervals is not None:
        raw = [_identity] if spec.raw else []
        return [*raw, *(_interval_rule(points, spec.open) for points in spec.intervals)]
    if spec.redact is not None:
        width = max((len(text) for text in texts), default=0)
        right = spec.redact.from_ == "right"
        return [_redact_rule(i, spec.redact.characters, right, width) for i in range(width + 1)]
    return [_identity]

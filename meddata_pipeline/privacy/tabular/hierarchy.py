"""Generalisation hierarchies: what each value of a quasi-identifier becomes, level by level.

What belongs here: hierarchies from a file, dates, break points and redaction, and the check that each level only merges
values of the level before it (the search prunes by that). What does not: choosing a level; see search.py.
"""

from __future__ import annotations

import csv
import datetime as dt
import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from meddata_pipeline.core.errors import BadInput, ConfigError
from meddata_pipeline.privacy.policy import QuasiIdentifier
from meddata_pipeline.privacy.tabular.values import MISSING, SUPPRESSED, Codes, text_of

_SHOWN = 5


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


def _interval_rule(points: Sequence[float], open_ends: bool) -> Callable[[str], str | None]:
    bounds: list[float | None] = [None, *points, None]

    def rule(text: str) -> str | None:
        if not points:
            return SUPPRESSED
        if text == MISSING:
            return MISSING
        try:
            value = float(text)
        except ValueError:
            return None
        if math.isnan(value):
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


def _date_rule(level: str) -> Callable[[str], str | None]:
    def rule(text: str) -> str | None:
        if text == MISSING:
            return MISSING
        try:
            return date_label(dt.date.fromisoformat(text[:10]), level)
        except ValueError:
            return None

    return rule


def _redact_rule(count: int, character: str, from_right: bool, width: int) -> Callable[[str], str | None]:
    def rule(text: str) -> str | None:
        # Shorter values are padded, so that equal lengths do not set them apart once they are redacted.
        padded = text.rjust(width) if from_right else text.ljust(width)
        if count == 0:
            return text
        return padded[: width - count] + character * count if from_right else character * count + padded[count:]

    return rule


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


def _from_rows(
    column: str, texts: Sequence[str], table: dict[str, list[str]], hidden: bool, generalises: bool
) -> Hierarchy:
    """Build a hierarchy from leaf → labels per level; leaves of the table must all be there."""
    missing = [text for text in texts if text not in table]
    if missing:
        raise _uncovered(column, missing, hidden)
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
    if spec.hierarchy is not None:
        return _from_rows(column, texts, _read_file(column, base / spec.hierarchy, delimiter), hidden, True)
    rules: list[Callable[[str], str | None]] = []
    if spec.dates is not None:
        rules = [_date_rule(level) for level in spec.dates]
    elif spec.intervals is not None:
        rules = [_identity] if spec.raw else []
        rules += [_interval_rule(points, spec.open) for points in spec.intervals]
    elif spec.redact is not None:
        width = max((len(text) for text in texts), default=0)
        right = spec.redact.from_ == "right"
        rules = [_redact_rule(i, spec.redact.characters, right, width) for i in range(width + 1)]
    else:
        rules = [_identity]
    table: dict[str, list[str]] = {}
    missing: list[str] = []
    for text in texts:
        labels = [rule(text) for rule in rules]
        covered = [label for label in labels if label is not None]
        if len(covered) < len(labels):
            missing.append(text)
        else:
            table[text] = covered
    if missing:
        raise _uncovered(column, missing, hidden)
    return _from_rows(column, texts, table, hidden, spec.generalises)

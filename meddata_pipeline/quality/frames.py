"""The checks of rows on reduced pandas frames: to which rows they apply, and which fail.

What belongs here: the second implementation of what sql.py says in SQL, column by column with numpy; gx.py hands its
results to Great Expectations. What does not: counting, thresholds.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from meddata_pipeline.core.expression import evaluate, parse
from meddata_pipeline.quality.checks import CheckSpec, Condition, Join, Value
from meddata_pipeline.quality.table import Data

Flags = npt.NDArray[np.bool_]
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def year_of(text: str) -> int | None:
    """The year that a text starts with, or None."""
    head = text[:4]
    return int(head) if len(head) == 4 and head.isascii() and head.isdigit() else None


def day_of(text: str) -> float:
    """The day that a text starts with, as a number; NaN where it is none."""
    head = text[:10]
    if not _DAY.fullmatch(head):
        return np.nan
    try:
        return float(dt.date.fromisoformat(head).toordinal())
    except ValueError:
        return np.nan


def _by_value(column: pd.Series[Any], function: Any, missing: Any) -> npt.NDArray[Any]:
    """A function of texts, called once for each distinct one."""
    codes, distinct = pd.factorize(column, use_na_sentinel=True)
    return np.array([*(function(value) for value in distinct), missing])[codes]


class Rows:
    """The rows of one table, with the columns that a check joins to them."""

    def __init__(self, data: Data, spec: CheckSpec) -> None:
        self.data, self.spec = data, spec
        self.frame = data.tables[spec.table].frame

    def column(self, name: str) -> pd.Series[Any]:
        """A column of the table or of a joined one."""
        found = self.data.resolve(self.spec, name)
        if found is None:
            raise ValueError("column-missing")
        return self.frame[name] if found.join is None else self._joined(found.join, found.name)

    def _joined(self, join: Join, name: str) -> pd.Series[Any]:
        other = self.data.tables[join.table].frame
        rows = other[list(dict.fromkeys([*join.key, name]))]
        rows = rows[rows[list(join.key)].notna().all(axis=1) & rows[name].notna()]
        known: dict[Any, Any] = {}
        differ = set()
        for key, value in zip(rows[list(join.key)].itertuples(index=False, name=None), rows[name], strict=True):
            if key not in known:
                known[key] = value
            elif join.pick == "min":
                known[key] = min(known[key], value)
            elif join.pick == "max":
                known[key] = max(known[key], value)
            elif known[key] != value:
                differ.add(key)
        mine = self.frame[list(join.on)].itertuples(index=False, name=None)
        found = [None if key in differ else known.get(key) for key in mine]
        return pd.Series(found, dtype=object if other[name].dtype == object else "float64")

    def days(self, name: str) -> npt.NDArray[np.float64]:
        """A column of dates as day numbers; NaN where there is none."""
        return _by_value(self.column(name), day_of, np.nan).astype(float)

    def numbers(self, name: str) -> npt.NDArray[np.float64]:
        """A column of numbers; NaN where there is none."""
        return np.asarray(pd.to_numeric(self.column(name)).astype("float64"))

    def texts(self, name: str) -> npt.NDArray[np.object_]:
        """A column of texts; None where there is none."""
        column = self.column(name)
        texts = column.to_numpy(dtype=object, copy=True)
        texts[column.isna().to_numpy()] = None
        return texts

    def is_one_of(self, name: str, values: Sequence[Value]) -> Flags:
        """Whether the value is one of these."""
        column = self.column(name)
        if not values or isinstance(values[0], str) != (column.dtype == object):
            return np.zeros(len(column), dtype=bool)
        if column.dtype == object:
            return np.asarray(column.isin(list(values)), dtype=bool)
        hit = np.zeros(len(column), dtype=bool)
        for value in values:
            hit |= (column == value).fillna(False).to_numpy(dtype=bool)
        return hit

    def is_beyond(self, name: str, low: Value | None, high: Value | None) -> Flags:
        """Whether a number or date is less than ``low`` or greater than ``high``."""
        beyond = np.zeros(len(self.frame), dtype=bool)
        for limit, less in ((low, True), (high, False)):
            if limit is None:
                continue
            if isinstance(limit, str):
                days, day = self.days(name), dt.date.fromisoformat(limit).toordinal()
                beyond |= days < day if less else days > day
            else:
                column = self.column(name)
                if column.dtype == object:
                    continue
                hit = column < limit if less else column > limit
                beyond |= hit.fillna(False).to_numpy(dtype=bool)
        return beyond

    def matches(self, name: str, test: Any) -> Flags:
        """A test of texts."""
        return _by_value(self.column(name), test, False).astype(bool)

    def holds(self, condition: Condition) -> Flags:
        """Whether a condition holds."""
        name = condition.column
        present = self.column(name).notna().to_numpy()
        if condition.missing:
            return ~present
        good = present.copy()
        if condition.values is not None:
            good &= self.is_one_of(name, condition.values)
        if condition.exclude is not None:
            good &= ~self.is_one_of(name, condition.exclude)
        dated = isinstance(condition.minimum, str) or isinstance(condition.maximum, str)
        if dated:
            good &= ~np.isnan(self.days(name))
        good &= ~self.is_beyond(name, condition.minimum, condition.maximum)
        if condition.pattern:
            pattern = re.compile(f"(?a:{condition.pattern})")
            good &= self.matches(name, lambda text: pattern.fullmatch(text) is not None)
        if condition.prefixes:
            good &= self.matches(name, lambda text: text.startswith(condition.prefixes))
        return good

    def all_hold(self, conditions: Sequence[Condition]) -> Flags:
        """Whether all conditions hold."""
        good = np.ones(len(self.frame), dtype=bool)
        for condition in conditions:
            good &= self.holds(condition)
        return good

    def rule(self, reference_year: int) -> tuple[Flags, Flags]:
        """To which rows the check applies, and which of them fail.

        Args:
            reference_year: that ``recent`` counts back from.
        """
        applies, fails = self._rule(reference_year)
        applies = applies & self.all_hold(self.spec.where)
        if self.spec.kind == "duplicate":
            chosen = self.frame.loc[applies, list(self.spec.columns)]
            fails = np.zeros(len(self.frame), dtype=bool)
            fails[applies] = chosen.duplicated(keep=False).to_numpy()
        return applies, fails & applies

    def _rule(self, reference_year: int) -> tuple[Flags, Flags]:
        spec, everywhere = self.spec, np.ones(len(self.frame), dtype=bool)
        if spec.kind == "row-count":
            return everywhere, everywhere
        if spec.kind == "implies":
            return self.all_hold(spec.when), ~self.all_hold(spec.then)
        if spec.kind == "expression":
            value = np.broadcast_to(evaluate(parse(spec.expression), self.numbers, self.texts), len(self.frame))
            return ~np.isnan(value), value == 0
        present = everywhere.copy()
        for name in spec.columns:
            present &= self.column(name).notna().to_numpy()
        first = spec.columns[0]
        if spec.kind in {"null", "missing"}:
            return everywhere, ~present | self.is_one_of(first, spec.values)
        if spec.kind == "duplicate":
            return present, ~everywhere
        if spec.kind == "valid-values":
            return present, ~self.is_one_of(first, spec.values)
        if spec.kind == "pattern":
            pattern = re.compile(f"(?a:{spec.pattern})")
            return present, ~self.matches(first, lambda text: pattern.fullmatch(text) is not None)
        if spec.kind == "range":
            dated = isinstance(spec.minimum, str) or isinstance(spec.maximum, str)
            applies = ~np.isnan(self.days(first)) if dated else present
            return applies, self.is_beyond(first, spec.minimum, spec.maximum)
        if spec.kind == "recent":
            oldest = reference_year - spec.years
            return present, ~self.matches(
                first, lambda text: (year := year_of(text)) is not None and oldest <= year <= reference_year
            )
        return self._across(present)

    def _across(self, present: Flags) -> tuple[Flags, Flags]:
        spec = self.spec
        if spec.kind == "order":
            earlier, later = (self.days(name) for name in spec.columns)
            both = ~np.isnan(earlier) & ~np.isnan(later)
            return both, earlier >= later + spec.days if spec.strict else earlier > later + spec.days
        if spec.kind == "within":
            day, start, end = (self.days(name) for name in spec.columns)
            end = np.where(np.isnan(end), start, end)
            return ~np.isnan(day) & ~np.isnan(start), (day < start - spec.days) | (day > end + spec.days)
        if spec.kind == "computed":
            value = self.numbers(spec.columns[0])
            right = np.broadcast_to(evaluate(parse(spec.expression), self.numbers, self.texts), len(self.frame))
            with np.errstate(all="ignore"):
                far = np.abs(value - right) > np.maximum(spec.tolerance, spec.relative * np.abs(right))
            return ~np.isnan(value) & ~np.isnan(right), far
        if spec.other is None:
            raise ValueError(f"the check {spec.id} refers to no table")
        other = Rows(self.data, other_spec(spec))
        rows = other.frame[other.all_hold(spec.other.where)][list(spec.other.key)]
        known = set(rows[rows.notna().all(axis=1)].itertuples(index=False, name=None))
        mine = zip(*(self.column(name) for name in spec.columns), strict=True)
        return present, np.array([key not in known for key in mine], dtype=bool)


def other_spec(spec: CheckSpec) -> CheckSpec:
    """A check that stands on the table that another one refers to, to resolve names there."""
    return CheckSpec(spec.id, "null", (), "info", spec.dimension, table=spec.other.table if spec.other else "")

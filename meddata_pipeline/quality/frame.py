"""Tables as both engines see them: columns of numbers or of text, and which checks make sense on them.

What belongs here: reducing a frame to two types, so that an engine's own conversions can't make results differ. What
does not: counting.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from meddata_pipeline.quality.checks import CheckSpec, Condition, conditions_of

_DATE = r"\d{4}-\d{2}-\d{2}"


@dataclass(frozen=True)
class Reduced:
    """A table reduced to numbers and texts.

    Attributes:
        frame: number columns (int64 without, float64 with missing values) and object columns of ``str`` or None.
        kinds: column → ``number`` or ``text``.
    """

    frame: pd.DataFrame
    kinds: dict[str, str]


def _text(value: Any) -> str | None:
    if value is None or value is pd.NaT or value is pd.NA or (isinstance(value, float) and np.isnan(value)):
        return None
    if isinstance(value, dt.datetime):
        return value.date().isoformat() if value.time() == dt.time(0) else value.isoformat()
    return value.isoformat() if isinstance(value, dt.date) else str(value)


def _reduce(column: pd.Series[Any]) -> pd.Series[Any]:
    if bool(column.isna().all()):
        return pd.Series(np.full(len(column), None, dtype=object), index=column.index, dtype=object)
    if pd.api.types.is_bool_dtype(column):
        return column.astype("float64") if column.hasnans else column.astype("int64")
    if pd.api.types.is_integer_dtype(column):
        return column.astype("float64") if bool(column.isna().any()) else column.astype("int64")
    if pd.api.types.is_float_dtype(column):
        return column.astype("float64")
    codes, distinct = pd.factorize(column, use_na_sentinel=True)
    values = list(distinct)
    if values and all(isinstance(v, (int, float, np.number)) and not isinstance(v, bool) for v in values):
        return pd.to_numeric(column, errors="coerce").astype("float64")
    texts = np.array([*(_text(value) for value in values), None], dtype=object)
    return pd.Series(texts[codes], index=column.index, dtype=object)


def reduce(frame: pd.DataFrame) -> Reduced:
    """Reduce a table to columns of numbers and of texts; distinct values are converted once.

    Args:
        frame: any pandas table.

    Returns:
        The reduced table, with a fresh index.
    """
    columns = {str(name): _reduce(frame[name]) for name in frame.columns}
    reduced = pd.DataFrame(columns).reset_index(drop=True) if columns else pd.DataFrame(index=range(len(frame)))
    kinds = {name: "text" if reduced[name].dtype == object else "number" for name in reduced.columns}
    return Reduced(reduced, kinds)


def columns_that_differ(table: Reduced, expected: Sequence[tuple[str, str]]) -> int:
    """How many columns are missing, not in the contract, or of another type.

    Args:
        table: the reduced table.
        expected: name and ODCS logical type of each column of the contract.

    Returns:
        The number of such columns.
    """
    names = {name for name, _ in expected}
    stray = sum(name not in names for name in table.kinds)
    return stray + sum(not _has_type(table, name, logical) for name, logical in expected)


def _has_type(table: Reduced, name: str, logical: str) -> bool:
    if name not in table.kinds:
        return False
    column = table.frame[name]
    if bool(column.isna().all()):
        return True
    number = table.kinds[name] == "number"
    if logical == "number":
        return number
    if logical == "integer":
        return number and bool((column.dropna() % 1 == 0).all())
    if logical == "boolean":
        return number and bool(column.dropna().isin([0, 1]).all())
    if logical == "date":
        return not number and bool(pd.Series(column.dropna().unique(), dtype=object).str.fullmatch(_DATE).all())
    return not number


def problem(spec: CheckSpec, table: Reduced) -> str:
    """Why a check can't be counted on this table: ``column-missing``, ``wrong-type``, or nothing."""
    conditions = conditions_of(spec)
    wanted = [*spec.columns, *(condition.column for condition in conditions)]
    if any(name not in table.kinds for name in wanted):
        return "column-missing"

    def empty(name: str) -> bool:
        return bool(table.frame[name].isna().all())

    def is_a(name: str, kind: str) -> bool:
        return table.kinds[name] == kind or empty(name)

    def fits(name: str, values: Sequence[str | float]) -> bool:
        kind = "text" if any(isinstance(value, str) for value in values) else "number"
        return not values or is_a(name, kind)

    def condition_fits(condition: Condition) -> bool:
        bounded = condition.minimum is not None or condition.maximum is not None
        right = fits(condition.column, condition.values or ())
        return right and (not bounded or is_a(condition.column, "number"))

    ok = all(condition_fits(condition) for condition in conditions)
    if spec.kind == "range":
        ok = all(is_a(name, "number") for name in spec.columns)
    elif spec.kind in {"pattern", "recent"}:
        ok = all(is_a(name, "text") for name in spec.columns)
    elif spec.kind in {"valid-values", "missing"}:
        ok = all(fits(name, spec.values) for name in spec.columns)
    return "" if ok else "wrong-type"

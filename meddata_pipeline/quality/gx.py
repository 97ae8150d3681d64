"""The checks of a table as a Great Expectations suite, run in memory; only counts leave this module.

What belongs here: everything that imports Great Expectations. Its results hold raw values in many places (unexpected
lists, observed values, exception texts, index queries), so that nothing but listed counts is read from them, its log is
silenced while it runs, and no exception of it passes. What does not: thresholds; see checks.py.
"""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd

from meddata_pipeline.quality.checks import CheckSpec, Condition
from meddata_pipeline.quality.frame import Reduced

# What may be read from a result; everything else may be, or may quote, a value.
_RESULT_FORMAT = {"result_format": "BASIC", "exclude_unexpected_values": True, "partial_unexpected_count": 0}
_DERIVED = "check holds: "


def _holds(frame: pd.DataFrame, condition: Condition) -> pd.Series[bool]:
    column = frame[condition.column]
    result: pd.Series[bool] = column.notna()
    if condition.values is not None:
        result &= column.isin(condition.values)
    if condition.minimum is not None:
        result &= column >= condition.minimum
    if condition.maximum is not None:
        result &= column <= condition.maximum
    return result


def _derived(frame: pd.DataFrame, spec: CheckSpec, reference_year: dict[str, int]) -> pd.Series[float]:
    """A helper column that is 0 on failed rows, 1 on others, for rules that no core expectation states."""
    if spec.kind == "recent":
        column = frame[spec.columns[0]]
        codes, distinct = pd.factorize(column, use_na_sentinel=True)
        last = reference_year.get(spec.columns[0], 0)
        years = [year_of(text) for text in distinct]
        good = [year is not None and last - spec.years <= year <= last for year in years]
        return pd.Series(np.array([*good, True], dtype=float)[codes], index=frame.index)
    if spec.when is None or spec.then is None:
        raise ValueError(f"the check {spec.id} has no conditions")
    return (~_holds(frame, spec.when) | _holds(frame, spec.then)).astype(float)


def year_of(text: str) -> int | None:
    """The year that a released date starts with, or None."""
    head = text[:4]
    return int(head) if len(head) == 4 and head.isascii() and head.isdigit() else None


def _expectation(spec: CheckSpec) -> tuple[str, dict[str, Any]]:
    """Class and arguments of the expectation that counts a check's failed rows."""
    column = {"column": spec.columns[0]} if spec.columns else {}
    if spec.kind == "row-count":
        return "ExpectTableRowCountToBeBetween", {"min_value": 0}
    if spec.kind == "null":
        return "ExpectColumnValuesToNotBeNull", column
    if spec.kind == "duplicate":
        if len(spec.columns) == 1:
            return "ExpectColumnValuesToBeUnique", column
        names = {"column_list": list(spec.columns), "ignore_row_if": "any_value_is_missing"}
        return "ExpectCompoundColumnsToBeUnique", names
    if spec.kind == "valid-values":
        return "ExpectColumnValuesToBeInSet", {**column, "value_set": list(spec.values)}
    if spec.kind == "missing":
        return "ExpectColumnValuesToNotBeInSet", {**column, "value_set": list(spec.values)}
    if spec.kind == "pattern":
        return "ExpectColumnValuesToMatchRegex", {**column, "regex": rf"\A(?a:{spec.pattern})\Z"}
    if spec.kind == "range":
        return "ExpectColumnValuesToBeBetween", {**column, "min_value": spec.minimum, "max_value": spec.maximum}
    return "ExpectColumnValuesToBeInSet", {"column": _DERIVED + spec.id, "value_set": [1.0]}


def _meta(result: Any) -> dict[str, Any]:
    config = result.expectation_config
    return dict(config.meta or {}) if config is not None else {}


def _failed(spec: CheckSpec, result: Any) -> int | None:
    """The count in one validation result; None when Great Expectations could not count."""
    found = result.result or {}
    key = "observed_value" if spec.kind == "row-count" else "unexpected_count"
    value = found.get(key)
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool):
        return None
    if spec.kind == "missing":
        missing = found.get("missing_count")
        return int(value) + int(missing) if isinstance(missing, (int, np.integer)) else None
    return int(value)


@contextmanager
def _silence() -> Iterator[None]:
    """Keep Great Expectations from logging or warning while it holds values."""
    # Children's records climb to this logger and no further; they meet only its own handler, which drops them.
    logger = logging.getLogger("great_expectations")
    before = (logger.propagate, list(logger.handlers))
    logger.propagate, logger.handlers[:] = False, [logging.NullHandler()]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.propagate, logger.handlers[:] = before


@contextmanager
def _without_spark() -> Iterator[None]:
    """Hide pyspark while Great Expectations is imported.

    Where pyspark is installed Great Expectations imports it for nothing, with its client for Spark servers, which ends
    the process where that client's own needs are not installed and the main module is no file.
    """
    names = ("pyspark", "pyspark.sql.connect")
    before = {name: sys.modules[name] for name in names if name in sys.modules}
    sys.modules.update(dict.fromkeys(names))  # type: ignore[arg-type] # None is what an import refuses
    try:
        yield
    finally:
        for name in names:
            del sys.modules[name]
        sys.modules.update(before)


def count(table: Reduced, specs: Sequence[CheckSpec], reference_year: dict[str, int]) -> list[int | None]:
    """Count the failed rows of each check with a Great Expectations suite.

    Args:
        table: the reduced table.
        specs: checks that make sense on it.
        reference_year: per column of a ``recent`` check, the year it is measured from.

    Returns:
        Failed rows per check (the row count for ``row-count``); None where the engine could not count it.
    """
    if not specs:
        return []
    # Read when the package is first imported: no usage statistics, whatever the machine's settings.
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    try:
        with _silence():
            return _validate(table, specs, reference_year)
    except Exception:  # noqa: BLE001 - its texts quote values: all checks are errored, and nothing of it is passed on
        return [None] * len(specs)


def _validate(table: Reduced, specs: Sequence[CheckSpec], reference_year: dict[str, int]) -> list[int | None]:
    with _without_spark():
        import great_expectations as gx
        import great_expectations.expectations as expectations
        from great_expectations.data_context.types.base import ProgressBarsConfig

    helpers = {
        _DERIVED + spec.id: _derived(table.frame, spec, reference_year)
        for spec in specs
        if spec.kind in {"implies", "recent"}
    }
    frame = table.frame.assign(**helpers)
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    batch = (
        context.data_sources.add_pandas("memory")
        .add_dataframe_asset("table")
        .add_batch_definition_whole_dataframe("whole")
        .get_batch({"dataframe": frame})
    )
    # Great Expectations drops an expectation that equals another, so that equal ones share a result by position here.
    positions: dict[str, list[int]] = {}
    suite = gx.ExpectationSuite(name="contract")
    for number, spec in enumerate(specs):
        kind, arguments = _expectation(spec)
        key = f"{kind}:{arguments!r}"
        if key not in positions:
            suite.add_expectation(getattr(expectations, kind)(**arguments, meta={"key": key}))
        positions.setdefault(key, []).append(number)
    answer: list[int | None] = [None] * len(specs)
    for result in batch.validate(suite, result_format=_RESULT_FORMAT).results:
        for number in positions.get(_meta(result).get("key", ""), []):
            answer[number] = _failed(specs[number], result)
    return answer

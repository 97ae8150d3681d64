"""The checks of a table as a Great Expectations suite; the face that others read.

What belongs here: everything that touches Great Expectations. It is treated as unsafe: its results quote values (samples,
observed values, exception texts, index queries), so that nothing but listed counts is read from them, its log is
silenced while it runs, and no exception of it passes. Checks that no core expectation states are computed by frames.py
as a helper column of 1 (good), 0 (fails) and missing (does not apply), which an expectation then counts. Checks of keys,
values and whole tables are DuckDB's alone. What does not belong here: thresholds; see checks.py.
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

from meddata_pipeline.quality.checks import CheckSpec, Count
from meddata_pipeline.quality.frames import Rows, year_of
from meddata_pipeline.quality.table import Data

# What may be read from a result; everything else may be, or may quote, a value.
_RESULT_FORMAT = {"result_format": "BASIC", "exclude_unexpected_values": True, "partial_unexpected_count": 0}
_DERIVED = "check holds: "
#: Kinds that core expectations state themselves, on the column or on a copy of it that is blank where the check does
#: not apply.
_NATIVE = {"null", "missing", "duplicate", "valid-values", "pattern", "range"}


def expresses(spec: CheckSpec) -> bool:
    """Whether Great Expectations can count a check."""
    return spec.counted == "rows" or (spec.kind == "row-count" and not spec.where)


def _is_native(spec: CheckSpec) -> bool:
    if spec.where and spec.kind in {"null", "missing"}:
        return False
    dated = isinstance(spec.minimum, str) or isinstance(spec.maximum, str)
    return spec.kind in _NATIVE and not dated and not (spec.kind in {"null", "missing"} and len(spec.columns) > 1)


def _expectation(spec: CheckSpec, column: str) -> tuple[str, dict[str, Any]]:
    """Class and arguments of the expectation that counts a check's failed rows."""
    one = {"column": column}
    if spec.kind == "row-count":
        return "ExpectTableRowCountToBeBetween", {"min_value": 0}
    if not _is_native(spec):
        return "ExpectColumnValuesToBeInSet", {**one, "value_set": [1.0]}
    if spec.kind == "null":
        return "ExpectColumnValuesToNotBeNull", one
    if spec.kind == "duplicate":
        if len(spec.columns) == 1:
            return "ExpectColumnValuesToBeUnique", one
        columns = [_copy(spec, name) if spec.where else name for name in spec.columns]
        return "ExpectCompoundColumnsToBeUnique", {"column_list": columns, "ignore_row_if": "any_value_is_missing"}
    if spec.kind == "valid-values":
        return "ExpectColumnValuesToBeInSet", {**one, "value_set": list(spec.values)}
    if spec.kind == "missing":
        return "ExpectColumnValuesToNotBeInSet", {**one, "value_set": list(spec.values)}
    if spec.kind == "pattern":
        return "ExpectColumnValuesToMatchRegex", {**one, "regex": rf"\A(?a:{spec.pattern})\Z"}
    return "ExpectColumnValuesToBeBetween", {**one, "min_value": spec.minimum, "max_value": spec.maximum}


def _copy(spec: CheckSpec, column: str) -> str:
    return f"{column} where {spec.id} applies"


def _helpers(spec: CheckSpec, applies: Any, fails: Any, rows: Rows) -> dict[str, pd.Series[Any]]:
    """Columns that are added to the frame for a check."""
    if spec.kind == "row-count":
        return {}
    if not _is_native(spec):
        return {_DERIVED + spec.id: pd.Series(np.where(applies, np.where(fails, 0.0, 1.0), np.nan))}
    if not spec.where and all(name in rows.frame.columns for name in spec.columns):
        return {}
    return {_copy(spec, name): rows.column(name).where(applies) for name in spec.columns}


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


def count(specs: Sequence[CheckSpec], data: Data) -> list[Count | None]:
    """Count checks of one table with a Great Expectations suite.

    Args:
        specs: checks that make sense on the tables (see table.problem) and that it ``expresses``.
        data: the tables.

    Returns:
        A count per check; None where the engine could not count it.
    """
    if not specs:
        return []
    # Read when the package is first imported: no usage statistics, whatever the machine's settings.
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    try:
        with _silence():
            return _validate(specs, data)
    except Exception:  # noqa: BLE001 - its texts quote values: all checks are errored, and nothing of it is passed on
        return [None] * len(specs)


def _reference_year(spec: CheckSpec, data: Data, rows: Rows) -> int:
    if spec.kind != "recent":
        return 0
    if data.as_of is not None:
        return data.as_of.year
    found = (year_of(text) for text in rows.column(spec.columns[0]).dropna().unique())
    return max((year for year in found if year is not None), default=0)


def _import() -> Any:
    with _without_spark():
        import great_expectations
    return great_expectations


def _validate(specs: Sequence[CheckSpec], data: Data) -> list[Count | None]:
    gx = _import()
    import great_expectations.expectations as expectations
    from great_expectations.data_context.types.base import ProgressBarsConfig

    # A suite asks for the context that it belongs to.
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    frame = data.tables[specs[0].table].frame
    helpers: dict[str, pd.Series[Any]] = {}
    applicable: list[int | None] = []
    # Great Expectations drops an expectation that equals another, so that equal ones share a result by position here.
    positions: dict[str, list[int]] = {}
    suite = gx.ExpectationSuite(name="contract")
    for number, spec in enumerate(specs):
        try:
            rows = Rows(data, spec)
            applies, fails = rows.rule(_reference_year(spec, data, rows))
            added = _helpers(spec, applies, fails, rows)
        except Exception:  # noqa: BLE001 - as above, for one check
            applicable.append(None)
            continue
        helpers |= added
        applicable.append(int(applies.sum()))
        column = next(iter(added), spec.columns[0] if spec.columns else "")
        kind, arguments = _expectation(spec, column)
        key = f"{kind}:{arguments!r}"
        if key not in positions:
            suite.add_expectation(getattr(expectations, kind)(**arguments, meta={"key": key}))
        positions.setdefault(key, []).append(number)
    batch = (
        context.data_sources.add_pandas("memory")
        .add_dataframe_asset("table")
        .add_batch_definition_whole_dataframe("whole")
        .get_batch({"dataframe": pd.concat([frame, pd.DataFrame(helpers)], axis=1) if helpers else frame})
    )
    answer: list[Count | None] = [None] * len(specs)
    for result in batch.validate(suite, result_format=_RESULT_FORMAT).results:
        for number in positions.get(_meta(result).get("key", ""), []):
            failed, base = _failed(specs[number], result), applicable[number]
            answer[number] = None if failed is None or base is None else Count(failed, base)
    return answer

"""The checks of a table as a Great Expectations suite; the face that others read.

What belongs here: everything that touches Great Expectations. It is treated as unsafe: its results quote values
(samples, observed values, exception texts, index queries), so that nothing but listed counts is read from them, its log
is silenced while it runs, and no exception of it passes. Checks that no core expectation states are computed by
frames.py as a helper column of 1 (good), 0 (fails) and missing (does not apply), which an expectation then counts.
Checks of keys, values and whole tables are DuckDB's alone. What does not belong here: thresholds; see checks.py.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from meddata_pipeline.core.errors import BadInput
from meddata_pipeline.core.text import Text
from meddata_pipeline.quality.checks import CheckResult, CheckSpec, Count
from meddata_pipeline.quality.frames import Rows, year_of
from meddata_pipeline.quality.table import Data
from meddata_pipeline.storage.files import write_atomic

if TYPE_CHECKING:
    from meddata_pipeline.quality.api import QualityResult

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


# -- what may be stored ------------------------------------------------------------------------------------------------

#: What the pages say of themselves: they show counts, whoever counted.
NOTE = Text(
    zh="本页只含计数与合同文字，不含数据取值；计数由 {engine} 完成。",
    en="This page holds counts and texts of the contract only, no value of the data; the counts are {engine}'s.",
)
_OUTSIDE = re.compile(
    r"<script\b.*?</script>|<link\b[^>]*>|<iframe\b.*?</iframe>|<img\b[^>]*>|<svg\b.*?</svg>|@import[^;]*;|"
    r"url\([^)]*\)|\s(?:on\w+)=\"[^\"]*\"|<a\b[^>]*href=\"(?!#)[^>]*>",
    re.DOTALL | re.IGNORECASE,
)
_STYLE = (
    "<style>body{font-family:sans-serif;margin:1rem}table{border-collapse:collapse;width:100%}"
    "td,th{border:1px solid #ccc;padding:.25rem .5rem;vertical-align:top;text-align:left}"
    ".modal,nav{display:none}</style>"
)


def _configuration(spec: CheckSpec) -> dict[str, Any]:
    """An expectation as it may be stored: everything in it is from the contract."""
    column = spec.columns[0] if spec.columns else ""
    arguments: dict[str, Any]
    if expresses(spec) and spec.kind == "row-count":
        kind, arguments = "ExpectTableRowCountToBeBetween", {"min_value": None, "max_value": None}
    elif expresses(spec) and _is_native(spec):
        kind, arguments = _expectation(spec, column)
    else:
        kind, arguments = "ExpectColumnValuesToBeInSet", {"column": _DERIVED + spec.id, "value_set": [1.0]}
    name = re.sub(r"(?<!^)(?=[A-Z])", "_", kind).lower()
    return {
        "type": name,
        "kwargs": arguments,
        "description": spec.title.en or spec.id,
        "meta": {
            "check": spec.id,
            "table": spec.table,
            "columns": list(spec.columns),
            "severity": spec.severity,
            "dimension": spec.dimension,
            "kahn": spec.kahn.as_dict(),
            "dqd": spec.dqd,
            "expected": str(spec.threshold),
            "title": {"zh": spec.title.zh, "en": spec.title.en},
        },
    }


def _stored(check: CheckResult) -> dict[str, Any]:
    """One validation result, made of nothing but counts."""
    base = check.applicable_rows
    result: dict[str, Any] = {"element_count": base, "unexpected_count": check.failed_rows}
    if base:
        result["unexpected_percent"] = round(100.0 * check.failed_rows / base, 6)
    if check.spec.counted == "table" and check.value is not None:
        result = {"observed_value": check.value}
    raised = check.status == "errored"
    told = {"raised_exception": raised, "exception_message": f"errored: {check.code}" if raised else ""}
    return {
        "success": check.status == "passed",
        "expectation_config": _configuration(check.spec),
        "result": {} if raised else result,
        "meta": {"status": check.status, "code": check.code},
        "exception_info": {**told, "exception_traceback": ""},
    }


def stored_results(result: QualityResult, table: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Suite and validation result of one table in the form of Great Expectations, from counts and the contract alone.

    Args:
        result: from api.validate, by either engine.
        table: name of the table.

    Returns:
        Suite and validation result as plain JSON.
    """
    checks = [check for check in result.checks if check.spec.table == table]
    name = f"{result.contract}.{result.version}.{table}"
    suite = {
        "name": name,
        "expectations": [_configuration(check.spec) for check in checks],
        "meta": {"contract": result.contract, "version": result.version},
    }
    good = sum(check.status == "passed" for check in checks)
    validation = {
        "success": good == len(checks),
        "suite_name": name,
        "results": [_stored(check) for check in checks],
        "statistics": {
            "evaluated_expectations": len(checks),
            "successful_expectations": good,
            "unsuccessful_expectations": len(checks) - good,
            "success_percent": round(100.0 * good / len(checks), 6) if checks else None,
        },
        "suite_parameters": {},
        "meta": {
            "engine": result.engine,
            "note": NOTE.en.format(engine=result.engine),
            "note_zh": NOTE.zh.format(engine=result.engine),
        },
    }
    return suite, validation


def write_docs(result: QualityResult, folder: Path) -> list[Path]:
    """Write suite, validation result and Data Docs of every table; nothing in them is a value of the data.

    The pages are rendered by Great Expectations from the stored results, then stripped of scripts and of everything
    that would be fetched from outside.

    Args:
        result: from api.validate.
        folder: to write to; made if need be.

    Returns:
        The files: per table ``<table>.suite.json``, ``<table>.validation.json``, ``<table>.html``.

    Raises:
        BadInput: Great Expectations could not render the page.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for table in dict.fromkeys(check.spec.table for check in result.checks):
        suite, validation = stored_results(result, table)
        stem = re.sub(r"[^\w-]", "_", table) or "table"
        pages = {
            f"{stem}.suite.json": json.dumps(suite, ensure_ascii=False, indent=1, sort_keys=True),
            f"{stem}.validation.json": json.dumps(validation, ensure_ascii=False, indent=1, sort_keys=True),
            f"{stem}.html": _page(validation),
        }
        for name, text in pages.items():
            write_atomic(folder / name, (text + "\n").encode())
            written.append(folder / name)
    return written


def _page(validation: dict[str, Any]) -> str:
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    html = ""
    with contextlib.suppress(Exception), _silence():  # as in count: nothing of its texts is passed on
        html = _render(validation)
    if not html:
        raise BadInput("Great Expectations could not render the Data Docs")
    html = _OUTSIDE.sub("", html)
    return html.replace("</head>", f"{_STYLE}</head>", 1).replace(
        "<body>", f"<body><p>{validation['meta']['note_zh']} {validation['meta']['note']}</p>", 1
    )


@cache
def _view() -> Any:
    """One for all pages: its templates are compiled once, which is most of the work."""
    return import_module("great_expectations.render.view").DefaultJinjaPageView()


def _render(validation: dict[str, Any]) -> str:
    gx = _import()
    from great_expectations.core.expectation_validation_result import (
        ExpectationSuiteValidationResult,
        ExpectationValidationResult,
    )
    from great_expectations.core.run_identifier import RunIdentifier
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

    # By name: these modules don't say what they export, and type checkers refuse it.
    renderer: Any = import_module("great_expectations.render.renderer")
    results = [
        ExpectationValidationResult(
            success=entry["success"],
            expectation_config=ExpectationConfiguration(**entry["expectation_config"]),
            result=entry["result"],
            meta=entry["meta"],
            exception_info=entry["exception_info"],
        )
        for entry in validation["results"]
    ]
    # No wall clock in what is stored.
    run = RunIdentifier(run_name=validation["suite_name"], run_time="1970-01-01T00:00:00+00:00")
    whole = ExpectationSuiteValidationResult(
        success=validation["success"],
        results=results,
        suite_name=validation["suite_name"],
        suite_parameters={},
        statistics=validation["statistics"],
        meta={"run_id": run, "great_expectations_version": gx.__version__},
    )
    return str(_view().render(renderer.ValidationResultsPageRenderer(run_info_at_end=False).render(whole)))

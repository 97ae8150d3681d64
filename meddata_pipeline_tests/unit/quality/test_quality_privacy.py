"""No value leaves the engines, whatever rule fails or can't be counted: results, logs, output, files, pages."""

from __future__ import annotations

import datetime as dt
import json
import logging
import warnings
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from meddata_pipeline.quality import sql
from meddata_pipeline.quality.api import profile, validate_tables
from meddata_pipeline.quality.gx import write_docs
from meddata_pipeline.quality.scores import trend
from meddata_pipeline.quality.table import Data, Table
from meddata_pipeline_tests.property.test_quality_engines import CONTRACT

COUNT = 20


def _planted() -> tuple[dict[str, pd.DataFrame], list[str]]:
    """A value of its own in every cell, of every type."""
    marks = {name: [f"CANARY-{name}-{n}-金丝雀" for n in range(COUNT)] for name in ("t", "dt", "k", "e")}
    frame = pd.DataFrame(marks)
    frame["n"] = [7_000_000_031.25 + n for n in range(COUNT)]
    frame["i"] = [7_000_000_000_431 + n for n in range(COUNT)]
    frame["b"] = [True, False] * (COUNT // 2)
    frame["d"] = [dt.date(1871, 3, 1) + dt.timedelta(days=n) for n in range(COUNT)]
    people = pd.DataFrame({"k": marks["k"][:5] * 2, "sex": ["CANARY-sex"] * 10, "born": [dt.date(1872, 1, 1)] * 10})
    planted = ["CANARY", "金丝雀", "70000000", "7000000000", "1871-03", "1872-01-01"]
    return {"generated": frame, "people": people}, planted


@pytest.mark.parametrize("engine", ["gx", "duckdb"])
def test_no_value_leaves_whatever_fails(
    engine: Any, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    caplog.set_level(logging.DEBUG)
    tables, planted = _planted()
    broken = {**tables, "generated": tables["generated"].assign(n=tables["generated"]["t"], d=tables["generated"]["i"])}
    said = []
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        results = [
            validate_tables(given, CONTRACT, engine=engine, as_of=dt.date(2024, 1, 1)) for given in (tables, broken)
        ]
        results.append(validate_tables({"generated": tables["generated"]}, CONTRACT, engine=engine))
        for result in results:
            said += [json.dumps(result.as_dict(), ensure_ascii=False), repr(result), str(result.reasons())]
            said.append(str(result.dimensions()))
        said.append(str(trend([result.as_dict() for result in results])))
        said.append(json.dumps({**profile(tables["people"], CONTRACT), "columns": None}))
        write_docs(results[1], tmp_path / "docs")
    assert {check.status for result in results for check in result.checks} == {"passed", "failed", "errored"}
    written = [path.read_text(encoding="utf-8") for path in tmp_path.rglob("*") if path.is_file()]
    assert len(written) == 3
    everything = "\n".join([*said, caplog.text, *capfd.readouterr(), *written, *(str(w.message) for w in warned)])
    assert [mark for mark in planted if mark in everything] == []
    page = (tmp_path / "docs" / "generated.html").read_text(encoding="utf-8")
    assert "t-values" in written[0] + written[1] + written[2] and "http" not in page and "<script" not in page


def test_an_engine_that_fails_names_no_value(caplog: pytest.LogCaptureFixture, monkeypatch: Any) -> None:
    tables, planted = _planted()

    def explode(*_: Any) -> Any:
        raise ValueError("value CANARY-1")

    monkeypatch.setattr(sql, "_count_rows", explode)
    result = validate_tables(tables, CONTRACT)
    by_row = [check for check in result.checks if check.spec.kind in {"pattern", "range", "order"}]
    assert by_row and all(check.status == "errored" and check.code in {"engine", "wrong-type"} for check in by_row)
    assert not [mark for mark in planted if mark in json.dumps(result.as_dict()) + caplog.text]


def test_a_text_that_is_no_unicode_is_no_reason_to_fail() -> None:
    table = Table.of(pd.DataFrame({"t": ["a\ud800", "CANARY", 3]}))
    assert table.kinds == {"t": "text"} and Data({"x": table}).tables["x"].rows == 3
    assert "CANARY" not in repr(table)

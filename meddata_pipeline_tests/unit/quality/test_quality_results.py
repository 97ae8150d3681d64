"""Verdicts, errored against failed, and that nothing of the data leaves with them."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from meddata_pipeline.core.errors import BadInput
from meddata_pipeline.quality import gx, sql
from meddata_pipeline.quality.api import validate, validate_file
from meddata_pipeline.quality.checks import CheckSpec, Count, Threshold
from meddata_pipeline.quality.contract import Contract, parse_contract
from meddata_pipeline.quality.table import Data, Table

ENGINES = ["gx", "duckdb"]


def _contract(*rules: dict[str, Any], columns: dict[str, str] | None = None) -> Contract:
    columns = columns or {"sex": "string", "age": "integer"}
    properties: list[dict[str, Any]] = [{"name": name, "logicalType": kind} for name, kind in columns.items()]
    for rule in rules:
        name = rule.pop("column", None)
        target = next((p for p in properties if p["name"] == name), properties[0])
        target.setdefault("quality", []).append({"dimension": "accuracy", **rule})
    table = {"name": "t", "properties": properties}
    return parse_contract(
        {"kind": "DataContract", "apiVersion": "v3.1.0", "id": "t", "version": "2.1", "schema": [table]}
    )


def _in_range(**keys: Any) -> dict[str, Any]:
    rule = {"id": "age-range", "column": "age", "type": "custom", "engine": "meddata"}
    return {**rule, "implementation": {"check": "range", "minimum": 0, "maximum": 120}, **keys}


@pytest.mark.parametrize("engine", ENGINES)
def test_severity_decides_what_blocks(engine: Any) -> None:
    frame = pd.DataFrame({"sex": ["M", "F", "X", None], "age": [1, 2, 3, 400]})
    sexes = {"id": "sex-valid", "column": "sex", "metric": "invalidValues", "mustBe": 0, "severity": "warning"}
    contract = _contract({**sexes, "arguments": {"validValues": ["M", "F"]}}, _in_range())
    result = validate(frame, contract, engine=engine)
    found = {check.spec.id: (check.status, check.failed_rows) for check in result.checks}
    assert found == {"table-schema": ("passed", 0), "sex-valid": ("failed", 1), "age-range": ("failed", 1)}
    assert [(r.code, r.where) for r in result.reasons()] == [("quality-failed", "age-range")]
    assert result.scores["accuracy"] == 0.0 and result.scores["accessibility"] == 1.0
    assert result.scores["timeliness"] is None


@pytest.mark.parametrize("engine", ENGINES)
def test_a_check_that_can_not_be_counted_is_errored_and_blocks(engine: Any) -> None:
    wrong_type = validate(pd.DataFrame({"sex": ["M"], "age": ["forty"]}), _contract(_in_range()), engine=engine)
    missing = validate(pd.DataFrame({"sex": ["M"]}), _contract(_in_range()), engine=engine)
    assert [(c.status, c.code) for c in wrong_type.checks] == [("failed", ""), ("errored", "wrong-type")]
    assert [(c.status, c.code) for c in missing.checks] == [("failed", ""), ("errored", "column-missing")]
    assert [r.code for r in missing.reasons()] == ["quality-failed", "quality-errored"] and not missing.passed


def test_a_column_that_the_contract_does_not_know_fails_the_schema() -> None:
    result = validate(pd.DataFrame({"sex": ["M"], "age": [1], "name": ["x"]}), _contract(), engine="duckdb")
    assert [r.where for r in result.reasons()] == ["table-schema"]


@pytest.mark.parametrize("engine", [gx, sql])
def test_one_bad_check_does_not_take_the_others_down(engine: Any) -> None:
    data = Data({"": Table.of(pd.DataFrame({"sex": ["M", "F"], "age": [1, 2]}))})
    specs = [
        CheckSpec("good", "null", ("sex",), "error", "accuracy"),
        CheckSpec("bad", "range", ("sex",), "error", "accuracy", minimum=1.0),
        CheckSpec("rows", "row-count", (), "error", "accuracy"),
    ]
    assert engine.count(specs, data) == [Count(0, 2), None, Count(2, 2)]


@pytest.mark.parametrize(
    ("operator", "values", "passing", "failing"),
    [
        ("=", (0,), 0, 1),
        ("!=", (0,), 1, 0),
        ("<", (5,), 4.99, 5),
        ("<=", (5,), 5, 5.01),
        (">", (5,), 6, 5),
        (">=", (5,), 5, 4),
        ("between", (1, 3), 3, 4),
        ("not-between", (1, 3), 4, 1),
    ],
)
def test_thresholds(operator: str, values: tuple[float, ...], passing: float, failing: float) -> None:
    threshold = Threshold(operator, values)
    assert threshold.allows(passing) and not threshold.allows(failing)


def _canaries() -> tuple[pd.DataFrame, list[str]]:
    names = ["sex", "age", "note", "code"]
    frame = pd.DataFrame({name: [f"CANARY-{name}-{i}-金丝雀" for i in range(30)] for name in names})
    frame["number"] = [7_000_000_000_031 + i for i in range(30)]
    return frame, [*frame[names].to_numpy().ravel().tolist(), *map(str, frame["number"])]


def _leaks(text: str, canaries: list[str]) -> list[str]:
    return [canary for canary in canaries if canary in text] + (["CANARY"] if "CANARY" in text else [])


@pytest.mark.parametrize("engine", ENGINES)
def test_no_value_leaves(
    engine: Any, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    caplog.set_level(logging.DEBUG)
    frame, canaries = _canaries()
    contract = _contract(
        {"id": "a", "column": "sex", "metric": "invalidValues", "arguments": {"validValues": ["M"]}, "mustBe": 0},
        {"id": "b", "column": "note", "metric": "invalidValues", "arguments": {"pattern": "[a-z]"}, "mustBe": 0},
        {"id": "c", "column": "code", "metric": "duplicateValues", "mustBeGreaterThan": 3},
        {"id": "d", "column": "number", "metric": "invalidValues", "arguments": {"validValues": [1]}, "mustBe": 0},
        {
            "id": "e",
            "column": "code",
            "type": "custom",
            "engine": "meddata",
            "implementation": {"check": "recent", "years": 1},
        },
        _in_range(),
        columns=dict.fromkeys(["sex", "age", "note", "code"], "string") | {"number": "integer"},
    )
    result = validate(frame, contract, engine=engine)
    assert {check.status for check in result.checks} == {"passed", "failed", "errored"}
    texts = json.dumps(result.as_dict(), ensure_ascii=False) + repr(result) + str(result.reasons())
    written = "".join(p.read_text(errors="replace") for p in tmp_path.rglob("*") if p.is_file())
    output = "".join(capfd.readouterr())
    assert _leaks(texts + caplog.text + output + written, canaries) == []


@pytest.mark.parametrize("engine", [gx, sql])
def test_no_value_leaves_when_the_engine_itself_fails(
    engine: Any, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    frame, canaries = _canaries()
    specs = [
        CheckSpec("range", "range", ("note",), "error", "accuracy", minimum=1.0),
        CheckSpec("values", "valid-values", ("note",), "error", "accuracy", values=(1.0, 2.0)),
        CheckSpec("absent", "null", ("nowhere",), "error", "accuracy"),
    ]
    counts = engine.count(specs, Data({"": Table.of(frame)}))
    assert counts[0] is None and counts[2] is None
    assert _leaks(caplog.text + "".join(capfd.readouterr()) + repr(counts), canaries) == []


def test_an_exception_of_great_expectations_does_not_pass(monkeypatch: Any, caplog: pytest.LogCaptureFixture) -> None:
    def explode(*_: Any) -> list[int | None]:
        logging.getLogger("great_expectations.validator").error("value CANARY-1")
        raise RuntimeError("value CANARY-2")

    monkeypatch.setattr(gx, "_validate", explode)
    result = validate(pd.DataFrame({"sex": ["M"], "age": [1]}), _contract(_in_range()), engine="gx")
    assert [(c.status, c.code) for c in result.checks] == [("passed", ""), ("errored", "engine")]
    assert "CANARY" not in caplog.text
    logging.getLogger("great_expectations.validator").warning("heard again")
    assert "heard again" in caplog.text


def test_great_expectations_works_where_the_main_module_is_no_file() -> None:
    code = (
        "import pandas as pd; from meddata_pipeline.quality import gx;"
        "from meddata_pipeline_tests.unit.quality.test_quality_results import _contract, _in_range, validate;"
        "print(validate(pd.DataFrame({'sex': ['M'], 'age': [1]}), _contract(_in_range()), engine='gx').passed)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout.strip()) == (0, "True"), run.stderr


def test_files(tmp_path: Path) -> None:
    contract = tmp_path / "contract.yaml"
    table = tmp_path / "t.csv"
    contract.write_text(
        "{kind: DataContract, apiVersion: v3.1.0, id: t, version: '1.0', schema: [{name: t, properties: "
        "[{name: sex, required: true}, {name: age, logicalType: integer}]}]}",
        encoding="utf-8",
    )
    table.write_text("sex,age\nM,3\n,4\n", encoding="utf-8")
    result = validate_file(table, contract, engine="duckdb")
    assert [(c.spec.id, c.status, c.failed_rows) for c in result.checks] == [
        ("table-schema", "passed", 0),
        ("sex-required", "failed", 1),
    ]
    with pytest.raises(BadInput):
        validate_file(tmp_path / "none.csv", contract)
    table.write_bytes("sex,age\n男,3\n".encode("gb18030"))
    with pytest.raises(BadInput, match="file #"):
        validate_file(table, contract)

"""Drift, freshness, structure, scores in both frameworks and their trend; DQD's types."""

from __future__ import annotations

import datetime as dt
from math import log
from typing import Any

import pandas as pd
import pytest

from meddata_pipeline.quality.api import QualityResult, profile, validate, validate_tables
from meddata_pipeline.quality.checks import KINDS, dqd_types
from meddata_pipeline.quality.contract import Contract, parse_contract
from meddata_pipeline.quality.drift import stability
from meddata_pipeline.quality.scores import trend


def _own(name: str, threshold: Any = None, dqd: str = "", **implementation: Any) -> dict[str, Any]:
    custom = [{"property": "threshold", "value": threshold}] if threshold else []
    custom += [{"property": "dqd", "value": dqd}] if dqd else []
    rule = {"id": name, "type": "custom", "engine": "meddata", "dimension": "timeliness"}
    return {**rule, "implementation": implementation, "customProperties": custom}


def _contract(at: dict[str | None, list[dict[str, Any]]], *more: dict[str, Any]) -> Contract:
    columns = [("sex", "string"), ("value", "number"), ("day", "date")]
    properties = [{"name": n, "logicalType": t, "quality": at.get(n, [])} for n, t in columns]
    head = {"kind": "DataContract", "apiVersion": "v3.1.0", "id": "t", "version": "1.0"}
    return parse_contract(
        {**head, "schema": [{"name": "t", "quality": at.get(None, []), "properties": properties}, *more]}
    )


DRIFT = _contract(
    {
        None: [_own("rows", {"mustBeBetween": [-10, 10]}, check="drift", statistic="rows")],
        "sex": [
            {
                "id": "sex-valid",
                "metric": "invalidValues",
                "arguments": {"validValues": ["F", "M"]},
                "mustBe": 0,
                "dimension": "accuracy",
            },
            _own("sex-psi", {"mustBeLessThan": 0.1}, check="drift", statistic="psi"),
            _own("sex-nulls", {"mustBeBetween": [-1, 1]}, check="drift", statistic="nulls"),
        ],
        "value": [_own("value-mean", {"mustBeLessThan": 0.5}, check="drift", statistic="mean")],
    }
)


def _found(result: QualityResult) -> dict[str, Any]:
    return {c.spec.id: (c.status, c.value) for c in result.checks}


def test_drift_against_hand_computed_change() -> None:
    old = pd.DataFrame({"sex": ["F", "F", "M", "M"], "value": [1.0, 2.0, 3.0, 4.0], "day": ["2024-01-01"] * 4})
    new = pd.DataFrame({"sex": ["F", "M", "M", "M", None], "value": [5.0] * 5, "day": ["2024-01-01"] * 5})
    then = profile(old, DRIFT)
    assert then["columns"]["sex"]["shares"] == {"F": 0.5, "M": 0.5, "": 0.0}
    first = _found(validate(old, DRIFT))
    assert {first[name] for name in ("rows", "sex-psi", "sex-nulls", "value-mean")} == {("passed", None)}
    found = _found(validate(new, DRIFT, history=[then]))
    psi = (0.25 - 0.5) * log(0.25 / 0.5) + (0.75 - 0.5) * log(0.75 / 0.5)
    assert found["rows"] == ("failed", 25.0)
    assert found["sex-psi"] == ("failed", round(psi, 6))
    assert found["sex-nulls"] == ("failed", 20.0)
    assert found["value-mean"] == ("failed", round(2.5 / (5 / 3) ** 0.5, 6))
    assert stability({"a": 1.0}, {"a": 1.0}) == 0


@pytest.mark.parametrize(
    ("as_of", "expected"),
    [(dt.date(2024, 3, 1), ("passed", 30.0)), (dt.date(2024, 3, 2), ("failed", 31.0)), (None, ("errored", None))],
)
def test_freshness(as_of: dt.date | None, expected: tuple[str, Any]) -> None:
    contract = _contract({"day": [_own("fresh", check="freshness", days=30)]})
    frame = pd.DataFrame({"sex": ["F", "M"], "value": [1.0, 2.0], "day": ["2024-01-31", "2023-12-31"]})
    assert _found(validate(frame, contract, as_of=as_of))["fresh"] == expected


def test_structure_of_several_tables() -> None:
    visit = {
        "name": "visit",
        "quality": [_own("visit-there", dqd="cdmTable", check="table-present")],
        "properties": [
            {"name": "no", "quality": [_own("no-there", dqd="cdmField", check="column-present")]},
            {
                "name": "n",
                "logicalType": "integer",
                "quality": [_own("n-whole", dqd="cdmDatatype", check="column-type", type="integer")],
            },
        ],
    }
    contract = _contract({}, visit)
    frame = pd.DataFrame({"sex": ["F"], "value": [1.0], "day": ["2024-01-31"]})
    absent = _found(validate_tables({"t": frame}, contract))
    assert absent["visit-there"][0] == "failed" and absent["no-there"][0] == "errored"
    found = _found(validate_tables({"t": frame, "visit": pd.DataFrame({"n": [1.5]})}, contract))
    assert [found[i][0] for i in ("visit-there", "no-there", "n-whole")] == ["passed", "failed", "failed"]
    assert found["visit-table-schema"] == ("failed", 2.0)
    assert {check.spec.dqd for check in validate_tables({"t": frame}, contract).checks} >= {"cdmTable", "cdmField"}


def test_scores_in_both_frameworks_and_their_trend() -> None:
    bad = pd.DataFrame({"sex": ["X"], "value": [1.0], "day": ["2024-01-01"]})
    good = bad.assign(sex="F")
    one, two = (validate(frame, DRIFT).as_dict() for frame in (bad, good))
    assert one["scores"]["accuracy"] == 0.0 and two["scores"]["accuracy"] == 1.0
    assert one["scores"]["timeliness"] is None  # only drift measures it, and there is no earlier version
    value = one["kahn"]["conformance"]["subcategories"]["value"]
    assert (value["checks"], value["failed"], value["score"]) == (1, 1, 0.0)
    assert one["kahn"]["plausibility"]["not_applicable"] == 4
    moved = trend([one, two])
    assert moved["change"]["accuracy"] == 1.0 and moved["recovered"] == ["sex-valid"] and moved["newly_failing"] == []


def test_the_27_types_of_the_dashboard() -> None:
    assert len(dqd_types()) == 27
    assert {kahn.category for _, kahn in KINDS.values()} == {"conformance", "completeness", "plausibility"}

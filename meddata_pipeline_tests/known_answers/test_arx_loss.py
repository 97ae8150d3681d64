"""k-anonymity with Loss against ARX 3.9.2 on the Adult table; risk of that table."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from meddata_pipeline.privacy.policy import parse_policy
from meddata_pipeline.privacy.risk import risk
from meddata_pipeline.privacy.tabular import anonymize
from meddata_pipeline.privacy.tabular.files import read_table
from meddata_pipeline.privacy.tabular.verify import verify
from meddata_pipeline_tests.shared import shared

# id → (section, limit, aggregate): every case of expected.json that is k-anonymity alone with the metric Loss.
CASES = (
    "TestUtilityMetricsLoss#1",
    "TestUtilityMetricsLoss#11",
    "TestUtilityMetricsLoss#21",
    "TestUtilityMetricsLoss#31",
    "TestUtilityMetricsLoss#41",
    "TestUtilityMetricsLoss#51",
    "bench:adult:k:5:0.0:loss",
    "bench:adult:k:5:0.02:loss",
)


@cache
def _expected() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(shared("data/arx/expected.json").read_text(encoding="utf-8"))
    return loaded


@cache
def _adult() -> pd.DataFrame:
    return read_table(shared("data/arx/adult.csv"), ";")


def _case(name: str) -> tuple[dict[str, Any], dict[str, Any], Path]:
    base = shared("data/arx")
    case = next(c for c in [*_expected()["anonymization"], *_expected()["more"]] if c["id"] == name)
    quality = case["quality"] if isinstance(case["quality"], dict) else {}
    names = case.get("quasi_identifiers", list(_adult().columns))
    policy = {
        "table": {"delimiter": ";"},
        "quasi_identifiers": {n: {"hierarchy": f"adult_hierarchy_{n}.csv"} for n in names},
        "privacy": [{"model": "k-anonymity", "k": 5}],
        "suppression_limit": case["suppression_limit"],
        "quality": {
            "aggregate": "rank" if quality.get("aggregate") == "Rank" else "geometric-mean",
            "gs_factor": quality.get("gsFactor", 0.5),
            "weights": quality.get("weights", {}),
        },
    }
    return case, policy, base


@pytest.mark.parametrize("name", CASES)
def test_optimum_and_loss_equal_arx(name: str) -> None:
    case, raw, base = _case(name)
    policy = parse_policy(raw)
    result = anonymize(_adult(), policy, base)
    expected = json.loads(case["expected"]["loss"])
    assert result.report["loss"] == pytest.approx(expected, rel=1e-6, abs=1e-9)
    assert result.report["bound"] == result.report["loss"]
    if any(expected if isinstance(expected, list) else [expected]):  # a loss of 0 has many optima
        assert list(result.transformation.values()) == case["expected"]["transformation"]
        observed = case.get("observed", case["expected"])
        assert result.suppressed_rows == observed["suppressed_rows"]
    verify(result.require(), policy, report=result.report)


def test_every_supported_case_is_in_the_list() -> None:
    supported = [
        c["id"]
        for c in _expected()["anonymization"]
        if [p["model"] for p in c["privacy"]] == ["KAnonymity"] and c["quality"]["name"].startswith("Loss")
    ]
    supported += [c["id"] for c in _expected()["more"] if c["model"].startswith("k:") and "Loss" in c["quality"]]
    assert sorted(supported) == sorted(CASES)


def test_risk_after_anonymization_equals_arx() -> None:
    case, raw, base = _case("bench:adult:k:5:0.02:loss")
    result = anonymize(_adult(), parse_policy(raw), base)
    expected = case["expected"]
    assert result.report["risk"]["prosecutor"]["highest"] == pytest.approx(expected["prosecutor_highest"], rel=1e-9)
    assert result.report["risk"]["marketer"]["success_rate"] == pytest.approx(expected["marketer_success"], rel=1e-9)
    assert risk(result.require(), parse_policy(raw))["prosecutor"] == result.report["risk"]["prosecutor"]

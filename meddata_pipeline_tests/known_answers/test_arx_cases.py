"""Every anonymization case of the reference answers: all models and metrics against ARX 3.9.2 on the Adult table.

Cases with a research subset need adult_subset.csv beside the table, or named by ``MEDDATA_ARX_SUBSET``; they are
skipped without it.
"""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from meddata_pipeline.privacy.policy import parse_policy
from meddata_pipeline.privacy.tabular import anonymize
from meddata_pipeline.privacy.tabular.files import read_table
from meddata_pipeline.privacy.tabular.verify import verify
from meddata_pipeline_tests.shared import shared

COUNT = 57


@cache
def _cases() -> list[dict[str, Any]]:
    loaded = json.loads(shared("data/arx/expected.json").read_text(encoding="utf-8"))
    return [*loaded["anonymization"], *loaded["more"]]


@cache
def _adult() -> pd.DataFrame:
    return read_table(shared("data/arx/adult.csv"), ";")


def subset_file() -> Path:
    """The research subset: not among the shared data, so it may be missing."""
    named = os.environ.get("MEDDATA_ARX_SUBSET")
    return Path(named) if named else shared("data/arx") / "adult_subset.csv"


def needs_subset(case: dict[str, Any]) -> bool:
    """Whether a case asks for the research subset."""
    return any(asked["model"] == "DPresence" or "research_subset" in asked for asked in case["privacy"])


def _subset() -> str:
    path = subset_file()
    if not path.is_file():
        pytest.skip("the research subset adult_subset.csv is not there; name it by MEDDATA_ARX_SUBSET")
    return str(path)


def _model(asked: dict[str, Any]) -> dict[str, Any]:
    """A model of the answers in the words of a policy."""
    name, of = asked["model"], {"attribute": asked.get("attribute")}
    if name == "KAnonymity":
        return {"model": "k-anonymity", "k": asked["k"]}
    if name == "KMap" and "research_subset" in asked:
        return {"model": "k-map", "k": asked["k"], "subset": _subset()}
    if name == "KMap":
        estimator = "zero-truncated-poisson" if asked["estimator"].startswith("Zero") else "poisson"
        more = {"population": asked["population"], "significance": asked["significanceLevel"], "estimator": estimator}
        return {"model": "k-map", "k": asked["k"], **more}
    if name == "DPresence":
        return {"model": "delta-presence", "min": asked["dMin"], "max": asked["dMax"], "subset": _subset()}
    if name == "EntropyLDiversity":
        return {"model": "entropy-l-diversity", "l": asked["l"], "estimator": asked["estimator"].lower(), **of}
    if name == "RecursiveCLDiversity":
        return {"model": "recursive-l-diversity", "l": int(asked["l"]), "c": asked["c"], **of}
    if name.endswith("TCloseness"):
        distance = name.removesuffix("DistanceTCloseness").lower()
        return {"model": "t-closeness", "t": asked["t"], "distance": distance, **of}
    if name.endswith("BLikeness"):
        return {"model": f"{name.removesuffix('BLikeness').lower()}-beta-likeness", "beta": asked["b"], **of}
    if name == "PopulationUniqueness":
        estimator = asked["statisticalModel"].lower()
        more = {"threshold": asked["threshold"], "population": asked["population"], "estimator": estimator}
        return {"model": "population-uniqueness", **more}
    raise AssertionError(f"a model that the policy format does not know: {name}")


def _quality(asked: Any) -> dict[str, Any]:
    if isinstance(asked, str):
        metric = "loss" if "Loss" in asked else "dm" if "Disc" in asked else "non-uniform-entropy"
        return {"metric": metric}
    name = asked["name"]
    if name.startswith("Loss"):
        aggregate = asked["aggregate"].lower().replace(" ", "-")
        return {
            "metric": "loss",
            "aggregate": aggregate,
            "gs_factor": asked["gsFactor"],
            "weights": asked.get("weights", {}),
        }
    if "DM*" in name:
        return {"metric": "dm-star"}
    if name.startswith("Average"):
        return {"metric": "aecs"}
    return {"metric": "non-uniform-entropy", "aggregate": "sum", "monotonic": not name.startswith("Non-monotonic")}


def _policy(case: dict[str, Any]) -> dict[str, Any]:
    models = case.get("privacy", [{"model": "KAnonymity", "k": int(case.get("model", "k:5").removeprefix("k:"))}])
    sensitive = case["sensitive"]
    return {
        "table": {"delimiter": ";"},
        "quasi_identifiers": {n: {"hierarchy": f"adult_hierarchy_{n}.csv"} for n in case["quasi_identifiers"]},
        "sensitive": {sensitive: {"hierarchy": f"adult_hierarchy_{sensitive}.csv"}} if sensitive else {},
        "privacy": [_model(model) for model in models],
        "suppression_limit": case["suppression_limit"],
        "quality": _quality(case["quality"]),
        "practical_monotonicity": case.get("practical_monotonicity", False),
    }


@pytest.mark.parametrize("number", range(COUNT))
def test_loss_equals_arx_and_the_recount_agrees(number: int) -> None:
    case, base = _cases()[number], shared("data/arx")
    policy = parse_policy(_policy(case))
    result = anonymize(_adult(), policy, base)
    expected = case["expected"]
    if expected.get("loss") is None:
        assert result.table is None, case["id"]
        return
    loss = json.loads(expected["loss"])
    assert result.report["loss"] == pytest.approx(loss, rel=1e-6, abs=1e-9), case["id"]
    if any(loss if isinstance(loss, list) else [loss]):  # a loss of 0 has many optima
        assert list(result.transformation.values()) == expected["transformation"]
        seen = case.get("observed", expected)["suppressed_rows"]
        outside = 0 if result.background is None else int((~result.background["inside"]).sum())
        # Without suppression the reference does not count the rows outside a subset.
        assert result.suppressed_rows == seen + (outside if case["suppression_limit"] == 0 else 0)
    released = result.require()
    verify(released, policy, report=result.report, original=_adult(), background=result.background, base=base)


def test_there_is_no_case_more() -> None:
    assert len(_cases()) == COUNT

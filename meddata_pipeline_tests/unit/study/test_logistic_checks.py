"""What a logistic fit must notice: separation, collinearity, empty outcomes; and what must not disturb it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from meddata_pipeline.study.api import associate
from meddata_pipeline.study.spec import parse_study


def fit(frame: pd.DataFrame, covariates: list[str], **keys: Any) -> dict[str, Any]:
    analysis = {"id": "m", "method": "logistic", "covariates": covariates} | keys
    spec = parse_study({"study": "s", "exposure": "x", "outcome": "y", "analyses": [analysis]})
    return {r["id"]: r for r in associate(frame, spec)}


def sample(n: int = 500, seed: int = 1) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"x": rng.integers(0, 2, n), "z": rng.normal(60, 10, n), "u": rng.normal(size=n)})
    frame["y"] = (rng.random(n) < 1 / (1 + np.exp(1 - 0.5 * frame["x"] - 0.02 * (frame["z"] - 60)))).astype(int)
    return frame


def test_separation_is_a_reason_and_sizes_remain() -> None:
    frame = sample()
    frame["y"] = frame["x"]
    rows = fit(frame, ["z"])
    assert rows["m/x/or"] | {"estimate": 0} == rows["m/x/or"] | {"estimate": 0, "reason": "separation"}
    assert rows["m/x/or"]["estimate"] is None
    assert rows["m/model/n"]["estimate"] == 500


def test_quasi_separation_by_a_rare_level() -> None:
    frame = sample()
    frame["rare"] = (np.arange(500) < 6).astype(int)
    frame.loc[frame["rare"] == 1, "y"] = 0
    assert fit(frame, ["rare"])["m/x/or"]["reason"] == "separation"


def test_nearly_separated_but_not_is_estimated() -> None:
    frame = pd.DataFrame({"x": [0] * 10001 + [1] * 10001, "y": [0] * 10000 + [1] + [1] * 10000 + [0]})
    assert fit(frame, [])["m/x/or"]["estimate"] == pytest.approx(1e8, rel=1e-6)


@pytest.mark.parametrize(("value", "reason"), [(0, "no-events"), (1, "no-non-events")])
def test_no_events(value: int, reason: str) -> None:
    frame = sample()
    frame["y"] = value
    assert fit(frame, [])["m/x/or"]["reason"] == reason


def test_no_complete_rows() -> None:
    frame = sample()
    frame["z"] = np.nan
    rows = fit(frame, ["z"])
    assert {r["reason"] for r in rows.values()} == {"no-complete-rows"}


def test_a_collinear_column_is_named_and_the_rest_is_what_it_was() -> None:
    frame = sample()
    frame["twice"] = 2 * frame["z"] + 7
    with_it, without = fit(frame, ["z", "twice"]), fit(frame, ["z"])
    assert with_it["m/twice/or"]["reason"] == "collinear"
    assert with_it["m/x/or"] == without["m/x/or"]


def test_shifted_scaled_and_squared_columns_agree_with_statsmodels() -> None:
    import statsmodels.api as sm

    frame = sample()
    frame["big"] = frame["z"] * 1e6 + 1e9
    rows = fit(frame, ["z", "z^2", "u"])
    design = sm.add_constant(np.column_stack([frame["x"], frame["z"], frame["z"] ** 2, frame["u"]]))
    other = sm.GLM(frame["y"], design, family=sm.families.Binomial()).fit(tol=1e-8)
    for position, term in enumerate(["(Intercept)", "x", "z", "z^2", "u"]):
        assert np.log(rows[f"m/{term}/or"]["estimate"]) == pytest.approx(other.params[position], rel=1e-6)
        assert rows[f"m/{term}/or"]["se"] == pytest.approx(other.bse[position], rel=1e-4)
    shifted = fit(frame, ["big", "u"])["m/x/or"]
    plain = fit(frame, ["z", "u"])["m/x/or"]
    assert shifted["estimate"] == pytest.approx(plain["estimate"], rel=1e-8)


def test_one_failing_analysis_leaves_the_others() -> None:
    frame = sample()
    frame["w"] = frame["x"]
    spec = parse_study(
        {
            "study": "s",
            "exposure": "x",
            "outcome": "y",
            "analyses": [
                {"id": "bad", "method": "logistic", "outcome": "w"},
                {"id": "bad2", "method": "two-by-two", "outcome": "w"},
                {"id": "good", "method": "logistic"},
            ],
        }
    )
    rows = {r["id"]: r for r in associate(frame, spec)}
    assert rows["bad/x/or"]["reason"] == "separation"
    assert rows["bad2/x/or"]["reason"] == "empty-cell"
    assert rows["good/x/or"]["estimate"] > 1


def test_profile_interval_of_a_separated_margin_is_wider_than_wald_and_asymmetric() -> None:
    frame = pd.DataFrame({"x": [1] * 12 + [0] * 40, "y": [1] * 11 + [0] + [1] * 10 + [0] * 30})
    wald, profile = fit(frame, [])["m/x/or"], fit(frame, [], interval="profile")["m/x/or"]
    assert profile["high"] > wald["high"]
    assert profile["estimate"] == wald["estimate"]

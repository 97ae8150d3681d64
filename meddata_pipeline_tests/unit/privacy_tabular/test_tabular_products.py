"""The shipped privacy policies: they parse, cover the cohort's columns, and release every one of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from meddata_pipeline.core.config import Config
from meddata_pipeline.privacy.policy import load_policy
from meddata_pipeline.privacy.tabular import anonymize
from meddata_pipeline.privacy.tabular.verify import verify
from meddata_pipeline_tests.shared import shared

COHORT = [
    "person_id",
    "hospital",
    "age",
    "sex",
    "index_month",
    "smoking",
    "bmi",
    "diabetes",
    "caries",
    "periodontitis",
    "antibiotics",
    "crp",
    "il6",
    "nlr",
    "ln_crp",
    "crp_sd",
    "pulpitis",
    "teeth",
    "follow_up",
    "variant_carrier",
]


def cohort(rows: int = 1600, seed: int = 3) -> pd.DataFrame:
    """A cohort table of the inflammation products, drawn independently column by column."""
    rng = np.random.default_rng(seed)
    crp = np.round(np.exp(rng.normal(0.8, 0.8, rows)), 2)
    table = {
        "person_id": [f"p{i}" for i in range(rows)],
        "hospital": rng.choice(["hospital-a", "hospital-b", "hospital-c"], rows),
        "age": np.minimum(14 + (80 * rng.beta(1.9, 2.5, rows)).astype(int), 90),
        "sex": rng.choice(["M", "F"], rows),
        "index_month": rng.choice(pd.date_range("2023-01-01", "2024-01-01", freq="MS").date, rows),
        "bmi": np.round(rng.normal(23, 3, rows), 1),
        "crp": crp,
        "il6": np.where(rng.random(rows) < 0.4, np.round(np.exp(rng.normal(1, 0.5, rows)), 2), np.nan),
        "nlr": np.round(rng.uniform(1, 5, rows), 3),
        "ln_crp": np.round(np.log(crp), 3),
        "crp_sd": np.round(np.log(crp) / 0.8, 3),
        "follow_up": rng.choice(["healed", "improving", "failed", "none"], rows),
        "variant_carrier": np.where(rng.random(rows) < 0.2, rng.integers(0, 2, rows).astype(float), np.nan),
    }
    flags = {name: rng.integers(0, 2, rows) for name in COHORT if name not in {*table, "teeth"}}
    flags["teeth"] = flags["pulpitis"] * rng.integers(1, 4, rows)
    return pd.DataFrame({**table, **flags})[COHORT]


def test_every_shipped_policy_parses() -> None:
    for product in Config().products():
        assert load_policy(Config().find(f"products/{product}/privacy.yaml")).k >= 5


@pytest.mark.parametrize("product", ["inflammation-pulpitis", "inflammation-pulpitis-cohort"])
def test_the_cohort_is_released_in_full_width(product: str) -> None:
    path = Config().find(f"products/{product}/privacy.yaml")
    policy, table = load_policy(path), cohort()
    result = anonymize(table, policy, path.parent)
    released = result.require()
    assert sorted(released.columns) == sorted(set(COHORT) - {"person_id"}) and result.report["withheld"] == []
    assert verify(released, policy, unit=table["person_id"], report=result.report)["min"] >= 5
    assert result.suppressed_rows <= 0.05 * len(table)
    kept = {name: column["values_after"] for name, column in result.report["columns"].items()}
    assert min(kept.values()) >= 2, kept


def test_births_are_released_in_full_width() -> None:
    births = pd.read_csv(shared("data/real/baystate/1986-12-31/births.csv")).rename(columns={"rownames": "person_id"})
    path = Config().find("products/birthweight-smoking/privacy.yaml")
    policy = load_policy(path)
    result = anonymize(births, policy, Path())
    assert sorted(result.require().columns) == sorted(set(births.columns) - {"person_id"})
    assert min(column["values_after"] for column in result.report["columns"].values()) >= 2
    assert len(result.require()) >= 179
    verify(result.require(), policy, report=result.report)

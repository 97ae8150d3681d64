"""Population uniqueness as a privacy model: an estimator that says nothing lets nothing pass."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from meddata_pipeline.core.errors import BadInput, Refused
from meddata_pipeline.privacy.policy import Policy, parse_policy
from meddata_pipeline.privacy.tabular import anonymize
from meddata_pipeline.privacy.tabular.models.risk import PopulationUniqueness
from meddata_pipeline.privacy.tabular.uniqueness import has_estimate, population_uniqueness
from meddata_pipeline.privacy.tabular.verify import verify

# Forty persons alone in their class, thirty pairs, twenty classes of five.
SIZES = np.repeat([1, 2, 5], [40, 30, 20]).astype(np.int64)
PERSONS = int(SIZES.sum())


def _table() -> pd.DataFrame:
    return pd.DataFrame({"town": np.repeat([f"t{i:02}" for i in range(len(SIZES))], SIZES)})


def _policy(population: int, estimator: str = "snb", threshold: float = 0.5, **more: Any) -> Policy:
    model = {
        "model": "population-uniqueness",
        "threshold": threshold,
        "population": population,
        "estimator": estimator,
    }
    return parse_policy({"quasi_identifiers": {"town": {}}, "privacy": [model], **more})


def test_no_estimate_is_no_small_risk() -> None:
    """Of a small sample SNB has no estimate, noted as 0; of nearly the whole population it has one, and meets."""
    sizes, counts = np.unique(SIZES, return_counts=True)
    small, large = 0.05, 0.99
    assert not has_estimate(sizes, counts, small, "snb") and population_uniqueness(sizes, counts, small, "snb") == 0.0
    share = population_uniqueness(sizes, counts, large, "snb")
    assert has_estimate(sizes, counts, large, "snb") and 0.0 < share < 0.25
    assert not PopulationUniqueness(0.5, "snb", int(PERSONS / small)).met(SIZES, PERSONS)
    assert PopulationUniqueness(0.5, "snb", int(PERSONS / large)).met(SIZES, PERSONS)
    # Without a unique person every estimator says 0, at any fraction.
    assert PopulationUniqueness(0.0, "snb", int(PERSONS / small)).met(SIZES[40:], PERSONS - 40)


def test_the_search_suppresses_until_there_is_an_estimate_or_no_unique() -> None:
    assert anonymize(_table(), _policy(20 * PERSONS), Path()).table is None
    policy = _policy(20 * PERSONS, suppression_limit=0.3)
    result = anonymize(_table(), policy, Path())
    assert result.suppressed_rows == 40 and result.report["classes"]["min"] == 2
    verify(result.require(), policy, report=result.report)


@pytest.mark.parametrize(("fraction", "met"), [(0.05, False), (0.99, True)])
def test_the_recount_lets_no_silence_pass(fraction: float, met: bool) -> None:
    policy = _policy(int(PERSONS / fraction))
    if met:
        assert verify(_table(), policy)["models"] == ["population-uniqueness"]
        return
    with pytest.raises(Refused) as refusal:
        verify(_table(), policy)
    assert [reason.code for reason in refusal.value.reasons] == ["population-uniqueness"]


@pytest.mark.parametrize("estimator", ["dankar", "pitman", "zayatz", "snb"])
def test_a_population_smaller_than_the_table_is_bad_input(estimator: str) -> None:
    assert anonymize(_table(), _policy(PERSONS, estimator, threshold=0.7), Path()).table is not None
    with pytest.raises(BadInput, match="smaller than the table"):
        anonymize(_table(), _policy(PERSONS - 1, estimator), Path())

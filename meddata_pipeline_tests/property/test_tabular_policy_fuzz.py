"""Policies with random faults: one clear refusal, or an answer; never another error."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pandas as pd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from meddata_pipeline.core.errors import BadInput, Refused
from meddata_pipeline.privacy.policy import parse_policy
from meddata_pipeline.privacy.risk import risk
from meddata_pipeline.privacy.tabular import anonymize

_TABLE = pd.DataFrame(
    {
        "who": [f"p{i // 2}" for i in range(24)],
        "age": [str(20 + i) for i in range(24)],
        "born": [f"19{50 + i}-0{1 + i % 9}-11" for i in range(24)],
        "zip": [f"51800{i % 7}" for i in range(24)],
        "icd": [f"K0{i % 5}.0" for i in range(24)],
        "place": ["440305", "440306", "110101"] * 8,
        "job": ["a", "b", "c", "a"] * 6,
        "season": ["spring", "summer"] * 12,
    }
)
_POLICY: dict[str, Any] = {
    "table": {"delimiter": ";"},
    "unit": "who",
    "quasi_identifiers": {
        "age": {"intervals": [[0, 30, 40, 60], [0, 60]], "open": True},
        "born": {"dates": ["year", "decade"]},
        "zip": {"redact": {"characters": "*", "from": "right"}},
        "icd": {"icd10": ["code", "category", "chapter", "all"]},
        "place": {"divisions": ["district", "city", "province", "all"]},
    },
    "sensitive": {"job": {}},
    "insensitive": ["season"],
    "privacy": [
        {"model": "k-anonymity", "k": 2},
        {"model": "k-map", "k": 2, "population": 1000, "significance": 0.01, "estimator": "poisson"},
        {"model": "t-closeness", "attribute": "job", "t": 0.9, "distance": "equal"},
        {"model": "population-uniqueness", "threshold": 0.5, "estimator": "dankar", "population": 1000},
        {"model": "average-risk", "threshold": 0.9},
    ],
    "suppression_limit": 0.3,
    "quality": {"metric": "loss", "aggregate": "geometric-mean", "gs_factor": 0.5, "weights": {"age": 0.5}},
    "practical_monotonicity": False,
    "search": "heuristic",
    "time_limit": 0.2,
    "suppressed": "keep",
    "risk": {"threshold": 0.2, "sampling_fraction": 0.1},
}
_VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from([0, -1, 1, 2, 10**12, 10**30, -(10**30)]),
    st.sampled_from([0.0, -0.5, 1.5, 1e-300, 1e300, float("nan"), float("inf")]),
    st.sampled_from(["", "*", "age", "job", "who", "heuristic", "optimal", "mondrian", "local", "snb", "２", "\x00"]),
    st.sampled_from(["k-anonymity", "l-diversity", "entropy-l-diversity", "delta-disclosure", "dm", "rank", "height"]),
    st.sampled_from([[], {}, [[]], ["age"], {"age": {}}, [None], [1, 0], [[1, 1]], [[5, 3], [5]]]),
)


def _paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    keys = list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list) else []
    return [p for key in keys for p in [(*path, key), *_paths(value[key], (*path, key))]]


@st.composite
def _mutated(draw: st.DrawFn) -> dict[str, Any]:
    policy = copy.deepcopy(_POLICY)
    for _ in range(draw(st.integers(1, 3))):
        paths = _paths(policy)
        if not paths:
            break
        path = draw(st.sampled_from(paths))
        holder: Any = policy
        for key in path[:-1]:
            holder = holder[key]
        deed = draw(st.sampled_from(["set", "drop", "key"]))
        if deed == "set":
            holder[path[-1]] = draw(_VALUES)
        elif deed == "drop":
            del holder[path[-1]]
        elif isinstance(holder, dict):
            holder[draw(st.sampled_from(["k", "x", "", "model", "age"]))] = draw(_VALUES)
    return policy


@settings(deadline=None, max_examples=80, suppress_health_check=list(HealthCheck))
@given(_mutated())
def test_a_faulty_policy_is_refused_in_one_sentence_or_works(raw: dict[str, Any]) -> None:
    try:
        policy = parse_policy(raw, where="policy.yaml")
    except BadInput as error:
        assert error.where and error.message and "\n" not in str(error)
        return
    for work in (
        lambda: anonymize(_TABLE, policy, Path("nowhere")),
        lambda: risk(_TABLE, policy, base=Path("nowhere")),
    ):
        try:
            work()
        except (BadInput, Refused) as error:
            assert error.message and "\n" not in str(error)

"""The search against brute force: on small tables every transformation is tried by a plain second implementation."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any

import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from meddata_pipeline.privacy.policy import parse_policy
from meddata_pipeline.privacy.tabular import anonymize
from meddata_pipeline.privacy.tabular.verify import recount, verify

BASE = Path()


def _levels(policy: dict[str, Any], name: str) -> list[Any]:
    """Plain labelling functions of each level, written without the engine."""
    spec = policy["quasi_identifiers"][name]
    if "intervals" in spec:

        def label(points: list[float]) -> Any:
            return lambda v: sum(v >= p for p in points) if points else "*"

        return [lambda v: v, *(label(points) for points in spec["intervals"])]
    if "dates" in spec:
        forms = {
            "month": lambda d: d[:7],
            "quarter": lambda d: (d[:4], (int(d[5:7]) - 1) // 3),
            "year": lambda d: d[:4],
        }
        return [forms[level] for level in spec["dates"]]
    return [lambda v: v]


def _brute_force(rows: list[dict[str, Any]], policy: dict[str, Any]) -> tuple[float, int] | None:
    names = list(policy["quasi_identifiers"])
    g = policy["quality"]["gs_factor"]
    kept_weight, gone_weight = min(1, 2 * (1 - g)), min(1, 2 * g)
    k, n = policy["privacy"][0]["k"], len(rows)
    leaves = {name: sorted({row[name] for row in rows}) for name in names}
    functions = {name: _levels(policy, name) for name in names}
    best: tuple[float, int] | None = None
    for node in itertools.product(*(range(len(functions[name])) for name in names)):
        pick = {name: functions[name][level] for name, level in zip(names, node, strict=True)}
        classes: dict[Any, list[dict[str, Any]]] = {}
        for row in rows:
            classes.setdefault(tuple(pick[name](row[name]) for name in names), []).append(row)
        gone = [r for c in classes.values() if len({r["who"] for r in c}) < k for r in c]
        if len(gone) > policy["suppression_limit"] * n + 1e-9:
            continue
        gone_ids = {id(r) for r in gone}
        product = 1.0
        for name in names:
            size = len(leaves[name])
            total = 0.0
            for row in rows:
                share = sum(pick[name](leaf) == pick[name](row[name]) for leaf in leaves[name]) / size
                total += share + gone_weight * (1 - share) if id(row) in gone_ids else kept_weight * share
            low = kept_weight * n / size
            norm = max((total - low) / (n - low), 0.0) if n - low > 0 else 0.0
            product *= (norm + 1) ** (1 / len(names))
        loss = product - 1
        if best is None or loss < best[0] - 1e-9:
            best = (loss, len(gone))
    return best


@st.composite
def _cases(draw: st.DrawFn) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    persons = draw(st.integers(1, 12))
    row = st.fixed_dictionaries(
        {
            "who": st.integers(1, persons),
            "age": st.integers(0, 7),
            "day": st.sampled_from(["2023-01-05", "2023-02-05", "2023-07-01", "2024-01-31"]),
            "sex": st.sampled_from(["M", "F"]),
        }
    )
    rows = draw(st.lists(row, min_size=1, max_size=24))
    policy = {
        "unit": "who",
        "quasi_identifiers": {
            "age": {"intervals": [[2, 4, 6], [4], []], "open": True},
            "day": {"dates": ["month", "quarter", "year"]},
            "sex": {},
        },
        "privacy": [{"model": "k-anonymity", "k": draw(st.integers(1, 4))}],
        "suppression_limit": draw(st.sampled_from([0.0, 0.1, 0.3, 1.0])),
        "quality": {"gs_factor": draw(st.sampled_from([0.0, 0.3, 0.5, 0.8, 1.0]))},
        "suppressed": draw(st.sampled_from(["keep", "drop"])),
    }
    return rows, policy


@given(_cases())
@settings(max_examples=60, deadline=None)
def test_no_transformation_is_better(case: tuple[list[dict[str, Any]], dict[str, Any]]) -> None:
    rows, raw = case
    policy = parse_policy(raw)
    table = pd.DataFrame(rows)
    result = anonymize(table, policy, BASE)
    expected = _brute_force(rows, raw)
    assert (expected is None) == (result.table is None)
    if expected is None or result.table is None:
        return
    assert math.isclose(result.report["loss"], expected[0], abs_tol=1e-9)
    assert result.suppressed_rows <= raw["suppression_limit"] * len(rows) + 1e-9
    verify(result.table, policy, unit=table["who"], report=result.report)
    assert len(result.table) == len(rows) - (result.suppressed_rows if raw["suppressed"] == "drop" else 0)


@given(_cases(), st.randoms(use_true_random=False))
@settings(max_examples=25, deadline=None)
def test_the_order_of_rows_changes_nothing(case: tuple[list[dict[str, Any]], dict[str, Any]], random: Any) -> None:
    rows, raw = case
    policy = parse_policy(raw)
    shuffled = list(rows)
    random.shuffle(shuffled)
    first, second = (anonymize(pd.DataFrame(r), policy, BASE) for r in (rows, shuffled))
    assert first.report == second.report
    if first.table is not None and second.table is not None:
        key = list(first.table.columns)
        assert sorted(map(tuple, first.table[key].astype(str).to_numpy().tolist())) == sorted(
            map(tuple, second.table[key].astype(str).to_numpy().tolist())
        )
        assert recount(first.table, policy)["rows"] == recount(second.table, policy)["rows"]

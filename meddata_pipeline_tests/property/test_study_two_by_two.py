"""What must hold of every two-by-two table, whatever its counts."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from meddata_pipeline.study.api import associate
from meddata_pipeline.study.estimators.two_by_two import Table, adjust, fisher, measures, mid_p
from meddata_pipeline.study.spec import parse_study

cells = st.tuples(*[st.integers(0, 60)] * 4)
filled = st.tuples(*[st.integers(1, 60)] * 4)


@settings(max_examples=60, deadline=None)
@given(cells)
def test_fisher_agrees_with_scipy(t: tuple[int, int, int, int]) -> None:
    a, b, c, d = t
    assume(Table(*t).problem is None)
    estimate, low, high, p = fisher(Table(*t), 0.95)
    other = stats.contingency.odds_ratio([[a, b], [c, d]])
    assert p == pytest.approx(stats.fisher_exact([[a, b], [c, d]]).pvalue, rel=1e-6)
    assert estimate == pytest.approx(other.statistic, rel=1e-5)
    limits = other.confidence_interval(0.95)
    assert (low, high) == pytest.approx((limits.low, limits.high), rel=1e-5)


@settings(max_examples=60, deadline=None)
@given(filled)
def test_exchanging_exposed_and_unexposed_inverts_the_ratios(t: tuple[int, int, int, int]) -> None:
    a, b, c, d = t
    there = {r["measure"]: r for r in measures("m", "x", Table(a, b, c, d), 0.95)}
    back = {r["measure"]: r for r in measures("m", "x", Table(c, d, a, b), 0.95)}
    for measure in ("or", "rr", "or-fisher", "or-midp", "or-haldane"):
        one, other = there[measure], back[measure]
        for near, far in (("estimate", "estimate"), ("low", "high"), ("high", "low")):
            x, y = one[near], other[far]
            left = 0.0 if x == "inf" else 1 / float(x) if x else math.inf
            assert left == pytest.approx(math.inf if y == "inf" else float(y or 0), rel=1e-6, abs=1e-12)
        assert one["p"] == pytest.approx(other["p"], rel=1e-9)
    assert there["chi2"]["estimate"] == pytest.approx(stats.chi2_contingency([[a, b], [c, d]], correction=False)[0])
    assert there["chi2-yates"]["estimate"] == pytest.approx(stats.chi2_contingency([[a, b], [c, d]])[0])


@settings(max_examples=40, deadline=None)
@given(cells)
def test_every_table_gives_all_rows_and_the_mid_p_interval_is_the_narrower(t: tuple[int, int, int, int]) -> None:
    rows = measures("m", "x", Table(*t), 0.95)
    assert len(rows) == 12
    assert all((r["estimate"] is None) == (r["reason"] is not None) for r in rows)
    if Table(*t).problem is None:
        _, low, high, _ = fisher(Table(*t), 0.95)
        _, mid_low, mid_high, _ = mid_p(Table(*t), 0.95)
        assert low <= mid_low + 1e-12
        assert mid_high <= high + 1e-9 or math.isinf(high)


@settings(max_examples=40, deadline=None)
@given(filled)
def test_logistic_of_one_binary_exposure_is_the_table(t: tuple[int, int, int, int]) -> None:
    a, b, c, d = t
    frame = pd.DataFrame({"x": [1, 1, 0, 0], "y": [1, 0, 1, 0], "f": [a, b, c, d]})
    spec = parse_study(
        {
            "study": "s",
            "exposure": "x",
            "outcome": "y",
            "analyses": [
                {"id": "t", "method": "two-by-two", "frequency": "f"},
                {"id": "l", "method": "logistic", "frequency": "f"},
            ],
        }
    )
    rows = {r["id"]: r for r in associate(frame, spec)}
    assert rows["l/x/or"]["estimate"] == pytest.approx(rows["t/x/or"]["estimate"], rel=1e-6)
    assert rows["l/x/or"]["se"] == pytest.approx(rows["t/x/or"]["se"], rel=1e-3)
    assert rows["l/model/n"]["estimate"] == a + b + c + d


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_adjusted_p_values_only_grow_and_keep_their_order(p: list[float]) -> None:
    for method in ("holm", "bh", "by", "bonferroni"):
        changed = adjust(p, method)
        assert all(x <= y + 1e-12 <= 1 + 1e-12 for x, y in zip(p, changed, strict=True))
        order = np.argsort(p, kind="stable")
        assert (np.diff(np.array(changed)[order]) >= -1e-12).all()
    assert all(x <= y + 1e-12 for x, y in zip(adjust(p, "holm"), adjust(p, "bonferroni"), strict=True))

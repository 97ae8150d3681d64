"""Estimators of population uniqueness against slow second implementations, and against simulated populations."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.stats import hypergeom

from meddata_pipeline.privacy.tabular.uniqueness import ESTIMATORS, has_estimate, population_uniqueness

_HISTOGRAM = st.dictionaries(st.integers(1, 40), st.integers(1, 30), min_size=1, max_size=8)
_FRACTION = st.sampled_from([0.01, 0.05, 0.1, 0.2, 0.5, 0.9])


def _arrays(histogram: dict[int, int]) -> tuple[np.ndarray, np.ndarray]:
    return np.array(list(histogram), dtype=np.int64), np.array(list(histogram.values()), dtype=np.int64)


@given(_HISTOGRAM, _FRACTION, st.sampled_from(ESTIMATORS))
def test_an_estimate_is_a_share_and_needs_a_unique_person(
    histogram: dict[int, int], fraction: float, estimator: str
) -> None:
    sizes, counts = _arrays(histogram)
    share = population_uniqueness(sizes, counts, fraction, estimator)
    assert 0.0 <= share <= 1.0
    assert population_uniqueness(sizes[::-1], counts[::-1], fraction, estimator) == share
    if 1 not in histogram:
        assert share == 0.0


@given(_HISTOGRAM.filter(lambda h: 1 in h), st.integers(2, 50))
def test_zayatz_is_bayes_with_exact_hypergeometric_probabilities(histogram: dict[int, int], times: int) -> None:
    sizes, counts = _arrays(histogram)
    sample = int(sizes @ counts)
    one_drawn = sum(
        Fraction(int(c), int(counts.sum()))
        * Fraction(int(j) * math.comb(sample * times - int(j), sample - 1), math.comb(sample * times, sample))
        for j, c in zip(sizes, counts, strict=True)
    )
    singles = Fraction(histogram[1])
    expected = singles / sample * (singles / int(counts.sum()) / times) / one_drawn
    found = population_uniqueness(sizes, counts, 1 / times, "zayatz")
    assert found == pytest.approx(float(min(expected, Fraction(1))), rel=1e-9)
    assert hypergeom.pmf(1, sample * times, 1, sample) == pytest.approx(1 / times)


def _log_likelihood(theta: float, alpha: float, histogram: dict[int, int]) -> float:
    """Pitman's sampling formula, factor by factor."""
    if theta + alpha <= 0:
        return -math.inf
    classes, sample = sum(histogram.values()), sum(j * c for j, c in histogram.items())
    total = sum(math.log(theta + i * alpha) for i in range(1, classes))
    total -= sum(math.log(theta + i) for i in range(1, sample))
    return total + sum(c * sum(math.log(i - alpha) for i in range(1, j)) for j, c in histogram.items())


@given(
    st.dictionaries(st.integers(2, 12), st.integers(1, 12), min_size=1, max_size=5),
    st.integers(1, 40),
    st.sampled_from([0.01, 0.1]),
)
def test_pitman_is_the_maximum_of_the_likelihood(others: dict[int, int], singles: int, fraction: float) -> None:
    histogram = {1: singles, **others}
    sizes, counts = _arrays(histogram)
    population = float(sizes @ counts) / fraction

    def negative(point: np.ndarray) -> float:
        # θ + α and α in (0, 1) by their logarithm and logit.
        alpha = 1.0 / (1.0 + math.exp(-min(max(point[1], -30.0), 30.0)))
        return -_log_likelihood(math.exp(min(max(point[0], -30.0), 30.0)) - alpha, alpha, histogram)

    fits = [
        minimize(negative, start, method="Nelder-Mead", options={"xatol": 1e-10, "fatol": 1e-12, "maxiter": 4000})
        for start in ([0.0, -3.0], [3.0, 0.0])
    ]
    best = min(fits, key=lambda fit: float(fit.fun))
    alpha = 1.0 / (1.0 + math.exp(-min(max(best.x[1], -30.0), 30.0)))
    theta = math.exp(min(max(best.x[0], -30.0), 30.0)) - alpha
    expected = math.exp(math.lgamma(theta + 1) - math.lgamma(theta + alpha) + alpha * math.log(population)) / population
    found = population_uniqueness(sizes, counts, fraction, "pitman")
    # A flat likelihood leaves the search in the plane, not the profile, a little off.
    assert found == pytest.approx(min(expected, 1.0), rel=2e-3, abs=1e-4)


@pytest.mark.parametrize(("alpha", "beta", "fraction"), [(0.5, 0.2, 0.2), (1.5, 0.1, 0.5), (0.1, 0.05, 0.3)])
def test_snb_finds_the_uniques_of_a_population_of_its_kind(alpha: float, beta: float, fraction: float) -> None:
    generator = np.random.default_rng(7)
    population = 1 + generator.negative_binomial(alpha, beta, size=400_000)
    sample = generator.binomial(population, fraction)
    sizes, counts = np.unique(sample[sample > 0], return_counts=True)
    share = sample.sum() / population.sum()
    true = (population == 1).sum() / population.sum()
    found = population_uniqueness(sizes, counts, float(share), "snb")
    # The number of classes is estimated, too (Shlosser), which is most of the error.
    assert found == pytest.approx(true, rel=0.35)
    assert population_uniqueness(sizes, counts, 1.0, "snb") == counts[0] / sample.sum()


def test_the_rule_of_dankar_depends_on_the_fraction() -> None:
    sizes, counts = np.array([1, 2, 3, 10]), np.array([500, 120, 40, 30])
    small = {name: population_uniqueness(sizes, counts, 0.1, name) for name in ESTIMATORS}
    assert small["dankar"] == small["pitman"] != small["zayatz"]
    large = {name: population_uniqueness(sizes, counts, 0.11, name) for name in ESTIMATORS}
    assert large["dankar"] == min(large["snb"], large["zayatz"]) > 0
    assert not has_estimate(sizes, counts, 0.1, "snb") and has_estimate(sizes, counts, 0.11, "snb")
    assert has_estimate(sizes[1:], counts[1:], 0.1, "snb") and has_estimate(sizes, counts, 0.1, "pitman")


def test_wrong_questions_are_refused() -> None:
    one = np.array([1], dtype=np.int64)
    with pytest.raises(ValueError, match="estimator"):
        population_uniqueness(one, one, 0.1, "argus")
    with pytest.raises(ValueError, match="fraction"):
        population_uniqueness(one, one, 0.0, "snb")


@pytest.mark.parametrize(
    ("sizes", "counts", "share"),
    [
        # Fitted outside, by a search in the plane of θ and α from four starts; at the ends of the range of α.
        ([1, 2], [100_000, 1], 1.0),
        ([1, 105, 357], [2872, 1936, 1134], 3.4194130e-05),
        ([1, 2, 3], [3928, 492, 500], 0.0200440409),
    ],
)
def test_pitman_where_a_search_for_its_root_may_go_astray(sizes: list[int], counts: list[int], share: float) -> None:
    found = population_uniqueness(np.array(sizes), np.array(counts), 0.01, "pitman")
    assert found == pytest.approx(share, rel=1e-5)

"""Estimators of population uniqueness against slow second implementations, and against simulated populations."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
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


# Exact binomial coefficients of thousands take their time.
@settings(deadline=None, max_examples=25)
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
    classes, sample = sum(histogram.values()), sum(j * c for j, c in histogram.items())
    if theta + alpha <= 0 or theta + (classes - 1) * alpha <= 0:
        return -math.inf
    total = sum(math.log(theta + i * alpha) for i in range(1, classes))
    total -= sum(math.log(theta + i) for i in range(1, sample))
    return total + sum(c * sum(math.log(i - alpha) for i in range(1, j)) for j, c in histogram.items())


@settings(deadline=None, max_examples=20)
@given(
    # With pairs only, one of the two parameters can be told.
    st.dictionaries(st.integers(2, 12), st.integers(1, 12), min_size=1, max_size=5).filter(lambda h: max(h) > 2),
    st.integers(1, 40),
    st.sampled_from([0.01, 0.1]),
)
def test_pitman_is_the_maximum_of_the_likelihood(others: dict[int, int], singles: int, fraction: float) -> None:
    histogram = {1: singles, **others}
    sizes, counts = _arrays(histogram)
    population = float(sizes @ counts) / fraction

    def parameters(point: np.ndarray) -> tuple[float, float]:
        # 1 − α and the distance of θ from the end of its range, by their logarithms; α is at least −100.
        alpha = 1.0 - math.exp(min(max(point[1], -30.0), math.log(101.0)))
        least = max(-alpha, -(sum(histogram.values()) - 1) * alpha)
        return least + math.exp(min(max(point[0], -30.0), 30.0)), alpha

    fits = [
        minimize(
            lambda point: -_log_likelihood(*parameters(point), histogram),
            start,
            method="Nelder-Mead",
            options={"xatol": 1e-10, "fatol": 1e-12, "maxiter": 4000},
        )
        for start in ([0.0, -0.05], [3.0, -0.7], [3.0, 1.0])
    ]
    best = min(fits, key=lambda fit: float(fit.fun))
    theta, alpha = parameters(best.x)
    found = population_uniqueness(sizes, counts, fraction, "pitman")
    if not has_estimate(sizes, counts, fraction, "pitman"):
        assert alpha < -0.5 and found == 0.0
        return
    expected = math.exp(math.lgamma(theta + 1) - math.lgamma(theta + alpha) + (alpha - 1.0) * math.log(population))
    # A flat likelihood leaves the search in the plane, not the profile, a little off.
    assert found == pytest.approx(min(expected, 1.0), rel=2e-3, abs=1e-4)


# Sizes and counts of classes, persons of the population, and what the classes ModelPitman, ModelZayatz and ModelSNB of
# ARX make of them with its solver (newtonraphson 0.0.1, the settings that ARX comes with); 0 where it finds nothing.
_ARX = [
    (
        [1, 3, 8, 12, 16, 19],
        [335, 215, 327, 132, 181, 315],
        281220,
        (4.132112748837045e-5, 0.0010838027656621331, 0.0, 4.132112748837045e-5),
    ),
    (
        [1, 2, 4, 14, 29],
        [54, 361, 82, 201, 105],
        696300,
        (5.084962764425256e-5, 7.153059233515323e-5, 0.0, 5.084962764425256e-5),
    ),
    (
        [1, 2, 4, 9, 15, 29],
        [37, 290, 117, 216, 370, 111],
        16854,
        (0.004513995991398422, 5.18570949130265e-4, 0.0, 5.18570949130265e-4),
    ),
    (
        [1, 2, 10, 29],
        [117, 47, 170, 249],
        45660,
        (3.974046454451464e-4, 0.003451414361645253, 0.0, 0.003451414361645253),
    ),
    (
        [1, 2, 11, 13, 18, 23, 27],
        [348, 184, 147, 25, 183, 256, 308],
        22396,
        (0.008140972315402475, 0.015613842773934341, 0.014382308909575944, 0.014382308909575944),
    ),
    (
        [1, 2, 5, 11, 13, 14, 24, 26],
        [356, 10, 196, 269, 181, 367, 380, 330],
        147530,
        (0.0, 0.0026489433304008932, 0.0, 0.0026489433304008932),
    ),
    ([1, 2, 11, 22], [127, 297, 72, 224], 42940, (0.0, 0.0026355242748029853, 0.0, 0.0026355242748029853)),
    (
        [1, 2, 9, 11, 14, 17, 22],
        [147, 18, 82, 163, 114, 71, 126],
        11841,
        (0.0, 0.016514424704678055, 0.010711114316240678, 0.010711114316240678),
    ),
    (
        [1, 2, 11, 17, 19],
        [268, 210, 374, 319, 336],
        18454,
        (0.007443542208857983, 0.013949992514723869, 0.012176280037121784, 0.012176280037121784),
    ),
]


@pytest.mark.parametrize("row", _ARX)
def test_the_estimators_say_what_arx_says(row: tuple[list[int], list[int], int, tuple[float, ...]]) -> None:
    sizes, counts, population, expected = np.array(row[0]), np.array(row[1]), row[2], row[3]
    fraction = float(sizes @ counts) / population
    for name, value in zip(("pitman", "zayatz", "snb", "dankar"), expected, strict=True):
        if name == "pitman" and value == 0.0:
            continue  # Its solver gave up; ours finds the maximum of the likelihood.
        assert population_uniqueness(sizes, counts, fraction, name) == pytest.approx(value, rel=1e-5, abs=1e-9)
        assert has_estimate(sizes, counts, fraction, name) == (value > 0.0)


@pytest.mark.parametrize(("alpha", "beta", "fraction"), [(0.1, 0.05, 0.9), (0.5, 0.2, 0.95), (0.3, 0.1, 0.95)])
def test_snb_finds_the_uniques_of_a_population_of_its_kind(alpha: float, beta: float, fraction: float) -> None:
    generator = np.random.default_rng(7)
    population = 1 + generator.negative_binomial(alpha, beta, size=400_000)
    sample = generator.binomial(population, fraction)
    sizes, counts = np.unique(sample[sample > 0], return_counts=True)
    share = sample.sum() / population.sum()
    true = (population == 1).sum() / population.sum()
    assert has_estimate(sizes, counts, float(share), "snb")
    assert population_uniqueness(sizes, counts, float(share), "snb") == pytest.approx(true, rel=0.05)
    assert population_uniqueness(sizes, counts, 1.0, "snb") == counts[0] / sample.sum()


def test_the_rule_of_dankar_depends_on_the_fraction() -> None:
    sizes, counts = np.array([1, 2, 3, 10]), np.array([500, 120, 40, 30])
    small = {name: population_uniqueness(sizes, counts, 0.1, name) for name in ESTIMATORS}
    assert small["dankar"] == small["pitman"] != small["zayatz"]
    # Where SNB has no estimate, Zayatz stands alone; where it has one, the smaller counts.
    assert not has_estimate(sizes, counts, 0.11, "snb") and has_estimate(sizes, counts, 0.95, "snb")
    large = {name: population_uniqueness(sizes, counts, 0.11, name) for name in ESTIMATORS}
    assert large["dankar"] == large["zayatz"] != large["pitman"]
    nearly = {name: population_uniqueness(sizes, counts, 0.95, name) for name in ESTIMATORS}
    assert nearly["dankar"] == nearly["snb"] < nearly["zayatz"]
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

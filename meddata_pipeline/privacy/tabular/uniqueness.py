"""Estimates of how many people of a population are unique, from the class sizes of a sample of it.

What belongs here: the estimators of Pitman, Zayatz and the shifted negative binomial (SNB), and the rule of Dankar that
chooses among them. What does not: counting classes (../risk.py) and privacy models that use an estimate as a limit.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, cast, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import digamma, gammaln

Estimator = Literal["dankar", "pitman", "zayatz", "snb"]
ESTIMATORS: tuple[str, ...] = get_args(Estimator)

Floats = NDArray[np.float64]

#: Up to this sampling fraction the rule of Dankar takes Pitman; SNB is used, and estimated, only above it.
SMALL_FRACTION = 0.1
_TOLERANCE = 1e-13
#: Below this α closed forms of sums over classes lose digits.
_CANCELS = 1e-4


def population_uniqueness(
    class_sizes: NDArray[np.int64], counts: NDArray[np.int64], sampling_fraction: float, estimator: str
) -> float:
    """Estimate the share of a population that is unique in its quasi-identifiers.

    Args:
        class_sizes: shape (s,), distinct sizes of the sample's equivalence classes, in persons, each at least 1.
        counts: shape (s,), number of classes of each size.
        sampling_fraction: size of the sample / size of the population, in (0, 1].
        estimator: ``dankar``, ``pitman``, ``zayatz`` or ``snb``.

    Returns:
        Unique persons / persons of the population, in [0, 1]. 0 when the sample has no unique person (every estimator
        then says so), and, as ARX notes it, 0 where ``snb`` has no estimate: see ``has_estimate``.

    Raises:
        ValueError: the estimator is not known, or the fraction is outside (0, 1].

    Source:
        Dankar, El Emam, Neisa and Roffey, Estimating the re-identification risk of clinical data sets, BMC Medical
        Informatics and Decision Making 12:66, 2012.
    """
    if estimator not in ESTIMATORS:
        raise ValueError(f"estimator is one of {', '.join(ESTIMATORS)}")
    if not 0.0 < sampling_fraction <= 1.0:
        raise ValueError("the sampling fraction lies above 0 and is at most 1")
    order = np.argsort(class_sizes, kind="stable")
    sizes, classes = class_sizes[order].astype(np.float64), counts[order].astype(np.float64)
    sizes, classes = sizes[classes > 0], classes[classes > 0]
    if not len(sizes) or sizes[0] != 1.0:
        return 0.0
    if estimator == "zayatz":
        share = _zayatz(sizes, classes, sampling_fraction)
    elif estimator == "pitman":
        share = _pitman(sizes, classes, sampling_fraction)
    elif estimator == "snb":
        share = _snb(sizes, classes, sampling_fraction) or 0.0
    else:
        share = _dankar(sizes, classes, sampling_fraction)
    return min(max(share, 0.0), 1.0)


def has_estimate(
    class_sizes: NDArray[np.int64], counts: NDArray[np.int64], sampling_fraction: float, estimator: str
) -> bool:
    """Whether an estimator says anything about a sample; only ``snb`` may not.

    A privacy model must not take the 0 of ``population_uniqueness`` for a small risk where this is False.

    Args:
        class_sizes: see ``population_uniqueness``.
        counts: see ``population_uniqueness``.
        sampling_fraction: see ``population_uniqueness``.
        estimator: see ``population_uniqueness``.
    """
    if estimator != "snb" or not bool(np.any((class_sizes == 1) & (counts > 0))):
        return True
    return _snb(class_sizes.astype(np.float64), counts.astype(np.float64), sampling_fraction) is not None


def _dankar(sizes: Floats, classes: Floats, fraction: float) -> float:
    """The estimator that was found accurate for the sampling fraction.

    Source:
        Dankar et al. 2012, decision rule: up to a tenth Pitman, above it the smaller of SNB and Zayatz.
    """
    if fraction <= SMALL_FRACTION:
        return _pitman(sizes, classes, fraction)
    zayatz, snb = _zayatz(sizes, classes, fraction), _snb(sizes, classes, fraction)
    return zayatz if snb is None else min(zayatz, snb)


def _zayatz(sizes: Floats, classes: Floats, fraction: float) -> float:
    """Bayes: how probable a class that shows one person in the sample has one person in the population.

    Population classes are taken to be distributed as the sample's classes; the number of persons drawn from a class
    of size j is hypergeometric.

    Source:
        Zayatz, Estimation of the percent of unique population elements on a microdata file using the sample, US Bureau
        of the Census, Statistical Research Report Census/SRD/RR-91/08, 1991.
    """
    sample = float(sizes @ classes)
    population = sample / fraction
    # P(1 of j drawn) = j π Π (1 − (n − 1) / (N − i)), i = 1 … j − 1; factors beyond the population are 0.
    steps = np.arange(1.0, sizes[-1])
    with np.errstate(divide="ignore", invalid="ignore"):
        missed = np.where(population - steps > sample - 1, np.log1p(-(sample - 1) / (population - steps)), -np.inf)
    logs = np.concatenate([[0.0], np.cumsum(missed)])
    one_drawn = sizes * fraction * np.exp(logs[sizes.astype(np.int64) - 1])
    unique = classes[0] * fraction / float(classes @ one_drawn)
    return float(classes[0] * unique / sample)


def _root(function: Callable[[float], float], low: float, high: float) -> float:
    return cast(float, brentq(function, low, high, xtol=_TOLERANCE, rtol=1e-14, maxiter=500))


def _pitman(sizes: Floats, classes: Floats, fraction: float) -> float:
    """Pitman's sampling formula with parameters θ and 0 ≤ α < 1, fitted by maximum likelihood.

    The likelihood is profiled: θ for each α, then α; both scores change sign once in their interval, so that bisection
    finds the maximum whatever the table. Expected uniques of the population: Γ(θ + 1) / Γ(θ + α) · N^α.

    Source:
        Hoshino, Applying Pitman's sampling formula to microdata disclosure risk assessment, Journal of Official
        Statistics 17(4), 2001.
    """
    sample, groups = float(sizes @ classes), float(classes.sum())
    if groups == sample:  # only singletons: the likelihood grows up to α = 1
        return 1.0
    population = sample / fraction

    def inverse_sum(theta: float, alpha: float) -> float:
        """Σ 1 / (θ + iα) over i = 1 … classes − 1; term by term where the closed form would cancel."""
        if alpha == 0.0:
            return (groups - 1.0) / theta
        if alpha < _CANCELS:
            return float((1.0 / (theta + np.arange(1.0, groups) * alpha)).sum())
        first = theta / alpha
        return float(digamma(groups + first) - digamma(1.0 + first)) / alpha

    guess = [math.log(sample) / 2.0]

    def theta_of(alpha: float) -> float:
        def score(log_shift: float) -> float:
            theta = math.exp(log_shift) - alpha
            return inverse_sum(theta, alpha) - float(digamma(theta + sample) - digamma(theta + 1.0))

        # The root moves little from one α to the next: look around the last one first. Below exp(−30) θ + α is 0; with
        # one pair among n persons θ is about n².
        most = 2.0 * math.log(sample) + 5.0
        low = high = guess[0]
        step = 0.25
        while score(low) < 0.0 and low > -30.0:
            low, step = max(low - step, -30.0), step * 2.0
        step = 0.25
        while score(high) > 0.0 and high < most:
            high, step = min(high + step, most), step * 2.0
        if low == high:
            guess[0] = low
        elif score(low) > 0.0 > score(high):
            guess[0] = _root(score, low, high)
        else:
            guess[0] = low if low < guess[0] else high
        return math.exp(guess[0]) - alpha

    def score_alpha(alpha: float) -> float:
        theta = theta_of(alpha)
        inner = float(classes @ (digamma(sizes - alpha) - digamma(1.0 - alpha)))
        if alpha == 0.0:
            return groups * (groups - 1.0) / (2.0 * theta) - inner
        if alpha < _CANCELS:
            steps = np.arange(1.0, groups)
            return float((steps / (theta + steps * alpha)).sum()) - inner
        return ((groups - 1.0) - theta * inverse_sum(theta, alpha)) / alpha - inner

    alpha = 0.0
    if groups > 1 and score_alpha(0.0) > 0.0:
        low, high = (_CANCELS, 1.0 - 1e-12) if score_alpha(_CANCELS) > 0.0 else (0.0, _CANCELS)
        alpha = _root(score_alpha, low, high) if score_alpha(high) < 0.0 else high
    theta = theta_of(alpha) if groups > 1 else 0.0
    if theta + alpha <= 0.0:
        return 0.0
    uniques = gammaln(theta + 1.0) - gammaln(theta + alpha) + alpha * math.log(population)
    return math.exp(min(float(uniques), 700.0)) / population


def _population_classes(sizes: Floats, classes: Floats, fraction: float) -> float:
    """Number of classes of the population, by the modified estimator of Shlosser.

    Source:
        Haas and Stokes, Estimating the number of classes in a finite population, JASA 93, 1998 (equation for Sh3).
    """
    unseen = (1.0 - fraction) ** sizes
    squared = fraction * fraction
    drawn = float(classes @ (sizes * squared * (1.0 - squared) ** (sizes - 1.0)))
    drawn /= float(classes @ (unseen * ((1.0 + fraction) ** sizes - 1.0)))
    missed = float(classes @ unseen) / float(classes @ (sizes * fraction * (1.0 - fraction) ** (sizes - 1.0)))
    return float(classes.sum() + classes[0] * drawn * missed * missed)


def _snb(sizes: Floats, classes: Floats, fraction: float) -> float | None:
    """Shifted negative binomial: a class of the population has 1 + NB(α, β) persons; None without an estimate.

    With c = 1 − β, d = c(1 − π) and K classes, the expected sample classes of one and of two persons are

        s1 = Kπ (β / (1 − d))^α (1 + αd / (1 − d)),
        s2 = Kπ²/2 · αc β^α (1 − d)^(−α − 2) (2 + (α − 1)d),

    the first two derivatives of the generating function of 1 + NB(α, β) at 1 − π. Their ratio is a quadratic in α for
    each β, so that one root in β is left. Expected uniques: K β^α.

    The estimator says nothing at sampling fractions of a tenth and less, where the rule of Dankar does not use it
    either: the number of classes K is then an extrapolation, and ARX 3.9.2 reports 0 for it.

    Source:
        Chen and McNulty (Chen and Keller-McNulty), Estimation of identification disclosure risk in microdata, Journal
        of Official Statistics 14(1), 1998; Dankar et al. 2012, appendix A.
    """
    if fraction <= SMALL_FRACTION:
        return None
    sample = float(sizes @ classes)
    if fraction == 1.0:
        return float(classes[0]) / sample
    kept = 1.0 - fraction
    singles = float(classes[sizes == 1.0].sum())
    pairs = float(classes[sizes == 2.0].sum())
    k = _population_classes(sizes, classes, fraction)
    ratio = 2.0 * pairs / (fraction * singles)

    def alpha_of(beta: float) -> float:
        c = 1.0 - beta
        d = c * kept
        square, linear, constant = c * d, c * (2.0 - d) - ratio * (1.0 - d) * d, -ratio * (1.0 - d) ** 2
        # The positive root, written so that nothing cancels.
        root = math.sqrt(linear * linear - 4.0 * square * constant)
        return -2.0 * constant / (linear + root) if linear > 0 else (root - linear) / (2.0 * square)

    def excess(logit: float) -> float:
        beta = 1.0 / (1.0 + math.exp(-logit))
        alpha, d = alpha_of(beta), (1.0 - beta) * kept
        expected = alpha * (math.log(beta) - math.log1p(-d)) + math.log1p(alpha * d / (1.0 - d))
        return math.log(k * fraction / singles) + expected

    grid = np.linspace(-30.0, 30.0, 241)
    values = [excess(x) for x in grid]
    for i in range(len(grid) - 1):
        if values[i] == 0.0 or values[i] * values[i + 1] < 0.0:
            logit = _root(excess, grid[i], grid[i + 1]) if values[i] else float(grid[i])
            beta = 1.0 / (1.0 + math.exp(-logit))
            return k * math.exp(alpha_of(beta) * math.log(beta)) * fraction / sample
    return None

"""Estimates of how many people of a population are unique, from the class sizes of a sample of it.

What belongs here: the estimators of Pitman, Zayatz and the shifted negative binomial (SNB), and the rule of Dankar that
chooses among them. What does not: counting classes (../risk.py) and privacy models that use an estimate as a limit.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Literal, cast, get_args

import numpy as np
from numpy.typing import NDArray

Estimator = Literal["dankar", "pitman", "zayatz", "snb"]
ESTIMATORS: tuple[str, ...] = get_args(Estimator)

Floats = NDArray[np.float64]

#: Up to this sampling fraction the rule of Dankar takes Pitman.
SMALL_FRACTION = 0.1
# How ARX 3.9.2 solves the equations of SNB: residuals in classes, steps from one start value, and the start values of
# (α, β). Its sixteenth, (0.99, 0.99), is given up after one step and left out here.
_ACCURACY = 1e-6
_STEPS = 1001
_GRID = (0.0, 0.33, 0.66, 0.99)
_STARTS = [(1.0, 1.0), *list(itertools.product(_GRID, _GRID))[:-1]]
_TOLERANCE = 1e-13
#: Below this |α| closed forms of sums over classes lose digits.
_CANCELS = 1e-4
#: Where θ is so many times α, neighbours in a sum over 1 / (θ + iα) are nearly equal.
_FLAT = 1e4
#: Below −α of this the classes of a population are equally probable for all that a sample can tell.
_LEAST_ALPHA = 100.0


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
        then says so), and, as ARX notes it, 0 where ``snb`` or ``pitman`` has no estimate: see ``has_estimate``.

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
        share = _pitman(sizes, classes, sampling_fraction) or 0.0
    elif estimator == "snb":
        share = _snb(sizes, classes, sampling_fraction) or 0.0
    else:
        share = _dankar(sizes, classes, sampling_fraction)
    return min(max(share, 0.0), 1.0)


def has_estimate(
    class_sizes: NDArray[np.int64], counts: NDArray[np.int64], sampling_fraction: float, estimator: str
) -> bool:
    """Whether an estimator says anything about a sample; ``snb`` often does not, ``pitman`` seldom.

    A privacy model must not take the 0 of ``population_uniqueness`` for a small risk where this is False.

    Args:
        class_sizes: see ``population_uniqueness``.
        counts: see ``population_uniqueness``.
        sampling_fraction: see ``population_uniqueness``.
        estimator: see ``population_uniqueness``.
    """
    if estimator not in {"snb", "pitman"} or not bool(np.any((class_sizes == 1) & (counts > 0))):
        return True
    order = np.argsort(class_sizes, kind="stable")
    order = order[counts[order] > 0]
    sizes, classes = class_sizes[order].astype(np.float64), counts[order].astype(np.float64)
    return (_snb if estimator == "snb" else _pitman)(sizes, classes, sampling_fraction) is not None


def _dankar(sizes: Floats, classes: Floats, fraction: float) -> float:
    """The estimator that was found accurate for the sampling fraction.

    Source:
        Dankar et al. 2012, decision rule: up to a tenth Pitman, above it the smaller of SNB and Zayatz. Zayatz, which
        always has an estimate, stands in for one that has none, as in ARX 3.9.2.
    """
    zayatz = _zayatz(sizes, classes, fraction)
    if fraction <= SMALL_FRACTION:
        pitman = _pitman(sizes, classes, fraction)
        return zayatz if pitman is None else pitman
    snb = _snb(sizes, classes, fraction)
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
    from scipy.optimize import brentq  # here and below: most tables ask for no estimate, and scipy is slow to load

    return cast(float, brentq(function, low, high, xtol=_TOLERANCE, rtol=1e-14, maxiter=500))


def _pitman(sizes: Floats, classes: Floats, fraction: float) -> float | None:
    """Pitman's sampling formula with parameters θ and α < 1, fitted by maximum likelihood; None without a maximum.

    The likelihood is profiled: θ for each α, then α; both scores change sign once in their interval, so that bisection
    finds the maximum. With α < 0 the population has finitely many classes, and θ > (u − 1)|α| for u classes of the
    sample. Classes more equal than those of equal probability have no maximum. Expected uniques of the population:
    Γ(θ + 1) / Γ(θ + α) · N^α.

    Source:
        Hoshino, Applying Pitman's sampling formula to microdata disclosure risk assessment, Journal of Official
        Statistics 17(4), 2001.
    """
    from scipy.special import digamma, gammaln

    sample, groups = float(sizes @ classes), float(classes.sum())
    if groups == sample:  # only singletons: the likelihood grows up to α = 1
        return 1.0
    population = sample / fraction

    def inverse_sum(theta: float, alpha: float) -> float:
        """Σ 1 / (θ + iα) over i = 1 … classes − 1, by the form that does not cancel."""
        if alpha == 0.0:
            return (groups - 1.0) / theta
        if theta > _FLAT * abs(alpha):
            # Euler and Maclaurin from ½ to classes − ½: the terms hardly change from one to the next.
            low, high = theta + 0.5 * alpha, theta + (groups - 0.5) * alpha
            if high > _FLAT * abs(alpha):
                return float(math.log1p((groups - 1.0) * alpha / low) / alpha + alpha / 24.0 * (high**-2.0 - low**-2.0))
        if abs(alpha) < _CANCELS:
            return float((1.0 / (theta + np.arange(1.0, groups) * alpha)).sum())
        first = theta / alpha
        if alpha < 0.0:
            return float(digamma(-first) - digamma(1.0 - groups - first)) / -alpha
        return float(digamma(groups + first) - digamma(1.0 + first)) / alpha

    guess = [math.log(sample) / 2.0]

    def theta_of(alpha: float) -> float:
        least = max(-alpha, (1.0 - groups) * alpha)

        def score(log_shift: float) -> float:
            theta = math.exp(log_shift) + least
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
        return math.exp(guess[0]) + least

    def score_alpha(alpha: float) -> float:
        theta = theta_of(alpha)
        inner = float(classes @ (digamma(sizes - alpha) - digamma(1.0 - alpha)))
        if alpha == 0.0:
            return groups * (groups - 1.0) / (2.0 * theta) - inner
        if abs(alpha) < _CANCELS:
            steps = np.arange(1.0, groups)
            return float((steps / (theta + steps * alpha)).sum()) - inner
        return ((groups - 1.0) - theta * inverse_sum(theta, alpha)) / alpha - inner

    if groups == 1.0:
        return 0.0
    if score_alpha(0.0) > 0.0:
        low, high = (_CANCELS, 1.0 - 1e-12) if score_alpha(_CANCELS) > 0.0 else (0.0, _CANCELS)
    elif sizes[-1] <= 2.0:
        # Pairs alone tell of one parameter; what is left of the other is Ewens' formula.
        low = high = 0.0
    else:
        low, high = -_CANCELS, 0.0
        while score_alpha(low) < 0.0:
            low, high = 2.0 * low, low
            if low < -_LEAST_ALPHA:
                return None
    # The score is known to the digits of θ only, so that at an end it may have the other sign the second time.
    ends = score_alpha(low), score_alpha(high)
    if ends[0] > 0.0 > ends[1]:
        known = dict(zip((low, high), ends, strict=True))
        alpha = _root(lambda at: known.get(at) or score_alpha(at), low, high)
    else:
        alpha = high if ends[1] >= 0.0 else low
    theta = theta_of(alpha)
    if theta + alpha <= 0.0:
        return 0.0
    uniques = float(gammaln(theta + 1.0) - gammaln(theta + alpha)) + (alpha - 1.0) * math.log(population)
    # Where α < 0 the formula, which is for a large population, may leave its range.
    return None if alpha < 0.0 < uniques else math.exp(min(uniques, 0.0))


def _population_classes(sizes: Floats, classes: Floats, fraction: float) -> float:
    """Number of classes of the population, by the modified estimator of Shlosser, as ARX 3.9.2 sums it.

    ARX subtracts 1 once for each size in the sum of the second denominator, where the estimator does so for each class.

    Source:
        Haas and Stokes, Estimating the number of classes in a finite population, JASA 93, 1998 (equation for Sh3).
    """
    unseen = classes * (1.0 - fraction) ** sizes
    squared = fraction * fraction
    drawn = float(classes @ (sizes * squared * (1.0 - squared) ** (sizes - 1.0)))
    seen = float((unseen * (1.0 + fraction) ** sizes - 1.0).sum())
    missed = float(unseen.sum()) / float(classes @ (sizes * fraction * (1.0 - fraction) ** (sizes - 1.0)))
    return float(classes.sum() + classes[0] * (drawn / seen if seen else math.inf) * missed * missed)


def _snb(sizes: Floats, classes: Floats, fraction: float) -> float | None:
    """Shifted negative binomial: a class of the population has 1 + NB(α, β) persons; None without an estimate.

    With c = 1 − β, d = c(1 − π) and K classes, the expected sample classes of one and of two persons are

        s1 = Kπ (β / (1 − d))^α (1 + αd / (1 − d)),
        s2 = Kπ²/2 · αc β^α (1 − d)^(−α − 2) (2 + (α − 1)d),

    the first two derivatives of the generating function of 1 + NB(α, β) at 1 − π. Expected uniques: K β^α.

    The equations are solved as ARX 3.9.2 solves them, so that figures of two tools can be compared: in the residual of
    the second one the power of 1 − d is a factor, not a divisor; the steps are those of Newton and Raphson with the
    derivatives of the equations above. There is no estimate where no start value leads to a solution, which at small
    fractions is the rule, or where the solution is no share.

    Source:
        Chen and McNulty (Chen and Keller-McNulty), Estimation of identification disclosure risk in microdata, Journal
        of Official Statistics 14(1), 1998; Dankar et al. 2012, appendix A; classes ModelSNB and ARXSolverConfiguration
        of ARX 3.9.2 and its library newtonraphson 0.0.1.
    """
    sample = float(sizes @ classes)
    if fraction == 1.0:
        return float(classes[0]) / sample
    singles, pairs = float(classes[sizes == 1.0].sum()), float(classes[sizes == 2.0].sum())
    with np.errstate(all="ignore"):
        k = _population_classes(sizes, classes, fraction)
        for start in _STARTS:
            found = _newton(k, fraction, singles, pairs, start)
            if found is not None:
                share = float(k * found[1] ** found[0]) * fraction / sample
                return share if 0.0 < share <= 1.0 else None
    return None


def _newton(
    k: float, fraction: float, singles: float, pairs: float, start: tuple[float, float]
) -> tuple[np.float64, np.float64] | None:
    """α and β that solve the equations of ``_snb`` to ``_ACCURACY`` classes, from one start value; None if none do."""
    kept = 1.0 - fraction
    half = k * fraction * fraction / 2.0
    alpha, beta = np.float64(start[0]), np.float64(start[1])
    for _ in range(_STEPS):
        c = 1.0 - beta
        d = c * kept
        rest = 1.0 - d
        power = k * fraction * (beta / rest) ** alpha
        factor = 1.0 + alpha * d / rest
        root, twice, divisor = beta**alpha, 2.0 - (1.0 - alpha) * d, rest ** (alpha + 2.0)
        first = power * factor - singles
        second = half * alpha * c * root * twice * divisor - pairs
        if abs(first) <= _ACCURACY and abs(second) <= _ACCURACY:
            return alpha, beta
        # Derivatives by α and β; that of d by β is −kept.
        slope = half * root / divisor
        a1 = power * (np.log(beta / rest) * factor + d / rest)
        b1 = power * (alpha * (1.0 / beta - kept / rest) * factor - alpha * kept / (rest * rest))
        a2 = slope * c * (twice * (1.0 + alpha * np.log(beta / rest)) + alpha * d)
        change = twice * (alpha / beta - (alpha + 2.0) * kept / rest) + (1.0 - alpha) * kept
        b2 = slope * alpha * (c * change - twice)
        scale = 1.0 / (a1 * b2 - b1 * a2)
        alpha, beta = alpha - (b2 * first - b1 * second) * scale, beta - (a1 * second - a2 * first) * scale
        if np.isnan(alpha) or np.isnan(beta):
            return None
    return None

"""Penalised logistic regression, which has finite estimates where events and non-events are separated.

Belongs here: Firth's penalty and its profile intervals. Does not belong here: ordinary logistic regression.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import linalg, optimize, special, stats

from meddata_pipeline.core.expression import Floats
from meddata_pipeline.study.design import Context, model
from meddata_pipeline.study.estimators.regression import (
    Prepared,
    exponential,
    failed,
    of_binary,
    rest_on,
)
from meddata_pipeline.study.estimators.result import Computed, row
from meddata_pipeline.study.variables import NotComputableError

_MAX_STEPS = 200
_STEP = 1e-9
_FAR = 60.0


@dataclass(frozen=True)
class Fit:
    """A penalised fit: coefficients, their inverse information, the penalised log likelihood."""

    beta: Floats
    covariance: Floats
    value: float


def _parts(x: Floats, events: Floats, persons: Floats, beta: Floats) -> tuple[float, Floats, Floats]:
    """Penalised log likelihood, modified score and information."""
    eta = x @ beta
    mean = special.expit(eta)
    weight = persons * mean * (1 - mean)
    information = x.T @ (x * weight[:, None])
    factor = linalg.cho_factor(information)
    # Diagonal of the hat matrix: each row's leverage.
    leverage = weight * np.einsum("ij,ji->i", x, linalg.cho_solve(factor, x.T))
    score = x.T @ (events - persons * mean + leverage * (0.5 - mean))
    half_log_det = float(np.log(np.diag(factor[0])).sum())
    value = float(-(events @ np.logaddexp(0, -eta)) - ((persons - events) @ np.logaddexp(0, eta))) + half_log_det
    return value, score, information


def fit(
    x: Floats, events: Floats, persons: Floats, fixed: int | None = None, at: float = 0.0, start: Floats | None = None
) -> Fit:
    """Maximise the penalised likelihood, with one coefficient fixed where asked for.

    The penalty is that of the whole model in either case, as profile penalised likelihood needs.

    Args:
        x: (rows, columns), scaled to about 1.
        events: per row.
        persons: per row.
        fixed: position of a fixed coefficient.
        at: its value.
        start: first guess.

    Raises:
        NotComputableError: ``no-convergence``.

    Source:
        Firth, Biometrika 80 (1993); Heinze & Schemper, Statistics in Medicine 21 (2002).
    """
    free = np.array([i for i in range(x.shape[1]) if i != fixed])
    beta = np.zeros(x.shape[1]) if start is None else start.copy()
    if fixed is not None:
        beta[fixed] = at
    try:
        value, score, information = _parts(x, events, persons, beta)
        for _ in range(_MAX_STEPS):
            step = np.zeros(len(beta))
            if len(free):
                step[free] = linalg.solve(information[np.ix_(free, free)], score[free], assume_a="pos")
            largest = float(np.max(np.abs(step), initial=0.0))
            if largest > 5:
                step *= 5 / largest
            size = 1.0
            while True:
                new, new_score, new_information = _parts(x, events, persons, beta + size * step)
                if new >= value - 1e-10 * (abs(value) + 1) or size < 1e-6:
                    break
                size /= 2
            beta, value, score, information = beta + size * step, new, new_score, new_information
            if float(np.max(np.abs(step), initial=0.0)) < _STEP * (1 + float(np.max(np.abs(beta)))):
                return Fit(beta, linalg.inv(information), value)
    except linalg.LinAlgError:
        pass
    raise NotComputableError("no-convergence")


def _limit(
    x: Floats, events: Floats, persons: Floats, best: Fit, position: int, se: float, target: float, sign: int
) -> float:
    """Where the profile penalised likelihood has fallen to `target`; infinity where it never does."""
    start = best.beta

    def gap(value: float) -> float:
        nonlocal start
        restricted = fit(x, events, persons, position, value, start)
        start = restricted.beta
        return restricted.value - target

    here = float(best.beta[position])
    near, far = here, here + sign * 2 * se
    while gap(far) > 0:
        near, far = far, far + sign * 2 * se
        if abs(far - here) > _FAR:
            return sign * math.inf
    low, high = sorted((near, far))
    return float(optimize.brentq(gap, low, high, xtol=1e-10, rtol=1e-12))


def compute(ctx: Context) -> Computed:
    """Fit the penalised logistic model of an analysis.

    Raises:
        ConfigError: the analysis lacks exposure or outcome, or names an unknown term.
    """
    analysis = ctx.analysis
    try:
        m = model(ctx)
    except NotComputableError as problem:
        return Computed(rows=failed(analysis.id, [str(ctx.exposure)], ["or"], problem.reason, None))
    events, persons, n = m.counts.events, m.counts.persons, m.persons
    computed = of_binary(ctx, m)
    prepared = Prepared.of(m.columns, persons)
    std = prepared.std
    try:
        best = fit(std.z, events, persons)
        # The intercept's profile is that of the uncentred columns.
        plain = std.z + std.centre / std.scale
        plain[:, 0] = 1.0
        beta, covariance = std.back(best.beta, best.covariance)
        drop = float(stats.chi2.ppf(analysis.level, 1)) / 2
        place = iter(range(len(beta)))
        for name, use in zip(prepared.names, prepared.used, strict=True):
            if not use:
                computed.rows.append(row(analysis.id, name, "or", n=n, reason="collinear"))
                continue
            i = next(place)
            x = plain if i == 0 else std.z
            own = fit(x, events, persons)
            scale, se = float(std.scale[i]), math.sqrt(float(covariance[i, i]))
            low, high = (
                _limit(x, events, persons, own, i, se * scale, own.value - drop, sign) / scale for sign in (-1, 1)
            )
            without = fit(x, events, persons, i, 0.0, own.beta)
            p = float(stats.chi2.sf(max(2 * (own.value - without.value), 0.0), 1))
            ends = (exponential(float(beta[i])), exponential(low), exponential(high))
            computed.rows.append(row(analysis.id, name, "or", *ends, p=p, n=n, se=se))
    except NotComputableError as problem:
        computed.rows = failed(analysis.id, prepared.names, ["or"], problem.reason, n)
    return rest_on(computed, m)

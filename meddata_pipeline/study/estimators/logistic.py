"""Logistic regression by maximum likelihood, on single persons or grouped counts.

Belongs here: the fit, its checks (collinear columns, separation), Wald and profile intervals. Does not belong here:
penalised or conditional forms.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import linalg, special, stats

from meddata_pipeline.core.expression import Floats
from meddata_pipeline.study.design import INTERCEPT, Context, Model, model
from meddata_pipeline.study.estimators.regression import (
    NO_INFORMATION,
    Codes,
    Standardised,
    clusters,
    exponential,
    failed,
    independent,
    of_binary,
    relative_weights,
    rest_on,
    sandwich,
)
from meddata_pipeline.study.estimators.result import Computed, Estimate, row
from meddata_pipeline.study.variables import NotComputableError

MODEL_MEASURES = ("deviance", "null-deviance", "aic", "loglik", "n", "events")

_MAX_STEPS = 60
#: A Newton step (in standard deviations of the columns) below this is the optimum.
_STEP = 1e-9
#: Relative change of the deviance at which R's glm stops; see `newton`.
_R_EPSILON = 1e-8
#: A profile that has not reached its limit after this many steps never will.
_PROFILE_STEPS = 60
#: Fitted probabilities this near to 0 or 1, in a fit that does not settle, mean separation.
_EXTREME = 1e-5


@dataclass(frozen=True)
class Fit:
    """A fitted model on the scale of the given columns."""

    beta: Floats
    covariance: Floats
    loglik: float


def _loglik(eta: Floats, events: Floats, persons: Floats) -> float:
    return float(-(events @ np.logaddexp(0, -eta)) - ((persons - events) @ np.logaddexp(0, eta)))


def newton(
    x: Floats, events: Floats, persons: Floats, offset: Floats | float = 0.0, start: Floats | None = None
) -> Fit:
    """Maximise the binomial likelihood by Newton's method with step halving.

    A maximum exists exactly where no column combination separates events from non-events; without one the steps never
    shrink (the estimate walks to infinity), which is how separation is told apart.

    The coefficients are fully converged. Their covariance is taken where R's glm and statsmodels take it: from the
    weights of the step after which the deviance changed by less than 1e-8 relative, from the same first guess. It
    differs from the fully converged one by some 1e-5, and so agrees with theirs in all digits that people compare.

    Args:
        x: (rows, columns), scaled to about 1.
        events: events per row.
        persons: persons per row.
        offset: known part of the linear predictor.
        start: first guess.

    Returns:
        The fit.

    Raises:
        NotComputableError: ``separation``, or ``no-convergence`` for any other failure.
    """
    if x.shape[1] == 0:
        known: Floats = np.zeros(len(events)) + offset
        return Fit(np.zeros(0), np.zeros((0, 0)), _loglik(known, events, persons))
    if start is None:
        mu = (events + 0.5) / (persons + 1)
        weight = persons * mu * (1 - mu)
        target = special.logit(mu) - offset + (events - persons * mu) / weight
        beta: Floats = linalg.solve(x.T @ (x * weight[:, None]), x.T @ (weight * target), assume_a="pos")
    else:
        beta = start.copy()
    eta: Floats = x @ beta + offset
    loglik = _loglik(eta, events, persons)
    share = events / persons
    saturated = float((special.xlogy(events, share) + special.xlogy(persons - events, 1 - share)).sum())
    covariance: Floats | None = None
    for _ in range(_MAX_STEPS):
        mu = special.expit(eta)
        weight = persons * mu * (1 - mu)
        information = x.T @ (x * weight[:, None])
        try:
            factor = linalg.cho_factor(information)
            step: Floats = linalg.cho_solve(factor, x.T @ (events - persons * mu))
        except (linalg.LinAlgError, ValueError):
            break
        size = 1.0
        while True:
            candidate = beta + size * step
            new_eta = x @ candidate + offset
            new_loglik = _loglik(new_eta, events, persons)
            if new_loglik >= loglik - 1e-9 * (abs(loglik) + 1) or size < 1e-6:
                break
            size /= 2
        change = abs(new_loglik - loglik) / (saturated - new_loglik + 0.05)
        if covariance is None and change < _R_EPSILON:
            covariance = linalg.cho_solve(factor, np.eye(len(beta)))
        beta, eta, loglik = candidate, new_eta, new_loglik
        if not np.isfinite(loglik):
            break
        if float(np.max(np.abs(step), initial=0.0)) < _STEP * (1 + float(np.max(np.abs(beta), initial=0.0))):
            if covariance is None:
                covariance = linalg.cho_solve(factor, np.eye(len(beta)))
            # Far out the steps can round to nothing: no maximum, but a likelihood that is flat.
            if float(np.max(np.diag(linalg.cho_solve(factor, np.eye(len(beta)))))) > NO_INFORMATION:
                break
            return Fit(beta, covariance, loglik)
    mu = special.expit(eta)
    extreme = bool((mu < _EXTREME).any() or (mu > 1 - _EXTREME).any())
    raise NotComputableError("separation" if extreme else "no-convergence")


def interpolate(x: Floats, y: Floats, at: Floats) -> Floats:
    """A cubic spline through points, its ends shaped by the cubics through the four outermost points.

    Source: Forsythe, Malcolm & Moler, Computer Methods for Mathematical Computations (1977), chapter 4; what R's
    spline() does by default.

    Args:
        x: rising, at least four.
        y: values.
        at: where to evaluate, within x.
    """
    n = len(x)
    h = np.diff(x)
    slope = np.diff(y) / h
    system = np.zeros((n, n))
    right = np.zeros(n)
    inner = np.arange(1, n - 1)
    system[inner, inner - 1], system[inner, inner], system[inner, inner + 1] = h[:-1], 2 * (h[:-1] + h[1:]), h[1:]
    right[inner] = np.diff(slope)
    # A third of the third difference quotient at either end.
    second = right[inner] / (x[2:] - x[:-2])
    system[0, :2], system[-1, -2:] = (-h[0], h[0]), (h[-1], -h[-1])
    right[0] = (second[1] - second[0]) * h[0] ** 2 / (x[3] - x[0])
    right[-1] = -(second[-1] - second[-2]) * h[-1] ** 2 / (x[-1] - x[-4])
    sigma = np.linalg.solve(system, right)
    i = np.clip(np.searchsorted(x, at, side="right") - 1, 0, n - 2)
    t = at - x[i]
    first = slope[i] - h[i] * (sigma[i + 1] + 2 * sigma[i])
    result: Floats = y[i] + t * (first + t * (3 * sigma[i] + t * (sigma[i + 1] - sigma[i]) / h[i]))
    return result


def profile_limits(
    x: Floats, position: int, events: Floats, persons: Floats, fit: Fit, beta: float, se: float, level: float
) -> tuple[float, float]:
    """Profile-likelihood limits of one coefficient (of the matrix `x`).

    Source: Venables & Ripley, Modern Applied Statistics with S (2002), section 8.4, and its R package MASS. The signed
    root of the deviance is computed on a grid and interpolated the way MASS does it, because its numbers are the ones
    that are published; the exact roots differ from them by about 1e-4.

    Args:
        x: matrix with the column concerned; the others may be scaled in any way.
        position: the column concerned.
        events: events per row.
        persons: persons per row.
        fit: the unrestricted fit on any scale (its likelihood is used).
        beta: the column's estimate.
        se: its Wald standard error.
        level: e.g. 0.95.
    """
    others = np.delete(x, position, axis=1)
    column = x[:, position]
    reach = math.sqrt(float(stats.chi2.ppf(1 - (1 - level) / 4, 1)))
    points: dict[float, float] = {beta: 0.0}
    for sign in (-1.0, 1.0):
        start: Floats | None = None
        z, step = 0.0, 0
        while abs(z) < reach and step < _PROFILE_STEPS:
            step += 1
            value = beta + sign * step * reach / 5 * se
            restricted = newton(others, events, persons, column * value, start)
            start = restricted.beta
            z = sign * math.sqrt(max(2 * (fit.loglik - restricted.loglik), 0.0))
            points[value] = z
    values = np.array(sorted(points))
    roots = np.array([points[value] for value in values])
    fine = np.linspace(values[0], values[-1], 3 * len(values))
    curve = interpolate(values, roots, fine)
    cut = float(stats.norm.ppf(0.5 + level / 2))
    if curve[0] > -cut or curve[-1] < cut:
        raise NotComputableError("profile-not-closed")
    return float(np.interp(-cut, curve, fine)), float(np.interp(cut, curve, fine))


def _log_choose(m: Model) -> float:
    """The binomial coefficients of grouped rows, which R's likelihood has too; 0 for single persons."""
    if not m.counts.grouped:
        return 0.0
    f = m.counts.frequency
    e, n = m.counts.events / f, m.counts.persons / f
    return float(f @ (special.gammaln(n + 1) - special.gammaln(e + 1) - special.gammaln(n - e + 1)))


def robust_covariance(
    x: Floats, beta: Floats, events: Floats, persons: Floats, weights: Floats | None, cluster: Codes | None
) -> Floats:
    """Covariance of a logistic fit that allows for sampling weights and for persons who are alike.

    Args:
        x: matrix.
        beta: its coefficients.
        events: events per row.
        persons: persons per row.
        weights: sampling weights per person, or None.
        cluster: code of each row's cluster, or None.

    Source:
        Binder, International Statistical Review 51 (1983): with n / (n - 1) for n persons, as R's survey has it.
    """
    mean = special.expit(x @ beta)
    w = np.ones(len(mean)) if weights is None else weights
    bread = linalg.inv(x.T @ (x * (w * persons * mean * (1 - mean))[:, None]))
    scores = x * (w * (events - persons * mean))[:, None]
    # A row may stand for many persons; each of them has a score of its own.
    own = w**2 * (events * (1 - mean) ** 2 + (persons - events) * mean**2)
    n = float(persons.sum())
    return sandwich(bread, scores, x.T @ (x * own[:, None]) * (n / (n - 1)), cluster)


def compute(ctx: Context) -> Computed:
    """Fit the logistic model of an analysis.

    Raises:
        ConfigError: the analysis lacks exposure or outcome, or names an unknown term.
    """
    analysis = ctx.analysis
    try:
        m = model(ctx)
    except NotComputableError as problem:
        rows = failed(analysis.id, [str(ctx.exposure)], ["or"], problem.reason, None)
        return Computed(rows=rows + failed(analysis.id, ["model"], MODEL_MEASURES, problem.reason, None))
    computed = of_binary(ctx, m)
    events, persons = m.counts.events, m.counts.persons
    n = m.persons
    names = [INTERCEPT, *(column.term for column in m.columns)]
    used = independent([column.values for column in m.columns], persons)
    size = [
        row(analysis.id, "model", "n", n, n=n),
        row(analysis.id, "model", "events", m.events, n=n),
    ]
    try:
        if not 0 < m.events < n:
            raise NotComputableError("no-events" if m.events == 0 else "no-non-events")
        std = Standardised.of([c.values for c, use in zip(m.columns, used, strict=True) if use], persons)
        weights = relative_weights(ctx, m.kept)
        fit = newton(std.z, *((events, persons) if weights is None else (events * weights, persons * weights)))
        cluster = clusters(ctx, m.kept)
        if weights is not None or cluster is not None:
            if analysis.interval == "profile":
                raise ctx.fail("Weights and clusters have no likelihood, so no profile intervals", "interval")
            robust = robust_covariance(std.z, fit.beta, events, persons, weights, cluster)
            fit = Fit(fit.beta, robust, fit.loglik)
        beta, covariance = std.back(fit.beta, fit.covariance)
        limits = _limits(analysis.interval, analysis.level, std, fit, events, persons, beta, covariance)
    except NotComputableError as problem:
        computed.rows += failed(analysis.id, names, ["or"], problem.reason, n)
        computed.rows += failed(analysis.id, ["model"], MODEL_MEASURES[:4], problem.reason, n)
    else:
        place = iter(range(len(beta)))
        for name, use in zip(names, [True, *used], strict=True):
            if not use:
                computed.rows.append(row(analysis.id, name, "or", n=n, reason="collinear"))
                continue
            i = next(place)
            se = math.sqrt(float(covariance[i, i]))
            p = float(2 * stats.norm.sf(abs(beta[i]) / se))
            low, high = (exponential(value) for value in limits[i])
            computed.rows.append(row(analysis.id, name, "or", exponential(float(beta[i])), low, high, p=p, n=n, se=se))
        if weights is None:
            computed.rows += _model_rows(analysis.id, m, fit.loglik, len(beta))
        else:
            computed.rows += failed(analysis.id, ["model"], MODEL_MEASURES[:4], "weighted", n)
    computed.rows += size
    return rest_on(computed, m)


def _limits(
    interval: str,
    level: float,
    std: Standardised,
    fit: Fit,
    events: Floats,
    persons: Floats,
    beta: Floats,
    covariance: Floats,
) -> list[tuple[float, float]]:
    """Limits of every coefficient on its own scale."""
    errors = np.sqrt(np.diag(covariance))
    if interval == "wald":
        z = float(stats.norm.ppf(0.5 + level / 2))
        return [(float(b - z * e), float(b + z * e)) for b, e in zip(beta, errors, strict=True)]
    limits = []
    for i in range(len(beta)):
        if i == 0:
            # The intercept is the prediction at 0 of every column, so the columns must not be centred here.
            x = std.z + std.centre / std.scale
            x[:, 0] = 1.0
        else:
            x = std.z
        scale = float(std.scale[i])
        found = profile_limits(x, i, events, persons, fit, float(beta[i]) * scale, float(errors[i]) * scale, level)
        limits.append((found[0] / scale, found[1] / scale))
    return limits


def _model_rows(analysis: str, m: Model, kernel: float, parameters: int) -> list[Estimate]:
    events, persons = m.counts.events, m.counts.persons
    # Likelihood of a model with a parameter per row: 0 for single persons, less for grouped rows.
    share = events / persons
    saturated = float(special.xlogy(events, share).sum() + special.xlogy(persons - events, 1 - share).sum())
    overall = float(events.sum() / persons.sum())
    null = float(special.xlogy(events.sum(), overall) + special.xlogy((persons - events).sum(), 1 - overall))
    loglik = kernel + _log_choose(m)
    rows_used = len(events)
    n = m.persons
    return [
        row(analysis, "model", "deviance", 2 * (saturated - kernel), n=n, df=rows_used - parameters),
        row(analysis, "model", "null-deviance", 2 * (saturated - null), n=n, df=rows_used - 1),
        row(analysis, "model", "aic", -2 * loglik + 2 * parameters, n=n),
        row(analysis, "model", "loglik", loglik, n=n, df=parameters),
    ]

"""Generalised estimating equations for persons in clusters, with robust variance.

Belongs here: working correlations independence and exchangeable. Does not belong here: models with random effects.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import linalg, special

from meddata_pipeline.core.expression import Floats
from meddata_pipeline.study.design import Context, matrix, outcome_counts, outcome_numbers
from meddata_pipeline.study.estimators.regression import (
    Codes,
    Prepared,
    clusters,
    exposure_cells,
    failed,
    term_rows,
)
from meddata_pipeline.study.estimators.result import Computed
from meddata_pipeline.study.variables import NotComputableError

Family = Literal["binomial", "gaussian", "poisson"]

_MEASURE: dict[Family, str] = {"binomial": "or", "gaussian": "beta", "poisson": "rr"}
_MAX_STEPS = 200
_STEP = 1e-9
_FAR = 15.0


@dataclass(frozen=True)
class Fit:
    """Coefficients on the scale of the matrix, their robust covariance, and the working correlation."""

    beta: Floats
    covariance: Floats
    correlation: float


def _mean(eta: Floats, family: Family) -> tuple[Floats, Floats]:
    """Mean and variance function; with canonical links the variance is the mean's derivative too."""
    if family == "binomial":
        mean = special.expit(eta)
        return mean, mean * (1 - mean)
    if family == "poisson":
        mean = np.exp(np.minimum(eta, 700))
        return mean, mean
    return eta, np.ones_like(eta)


def estimate(x: Floats, y: Floats, cluster: Codes, family: Family, *, exchangeable: bool) -> Fit:
    """Solve the estimating equations, in turn with the moment estimate of the correlation.

    The exchangeable correlation has an inverse in closed form, so a step costs one pass over the rows.

    Args:
        x: (rows, columns), the first the constant, scaled to about 1.
        y: outcome.
        cluster: code of each row's cluster, from 0 without gaps.
        family: of the mean and variance.
        exchangeable: whether all pairs of a cluster share a correlation; else none is assumed.

    Raises:
        NotComputableError: ``no-convergence`` or ``separation``.

    Source:
        Liang & Zeger, Biometrika 73 (1986); scale and correlation without corrections of their degrees of freedom, as
        R's geepack has them; robust covariance without a small-sample factor.
    """
    size = np.bincount(cluster).astype(np.float64)
    pairs = float((size * (size - 1) / 2).sum())
    beta = np.zeros(x.shape[1])
    level = float(y.mean())
    beta[0] = level if family == "gaussian" else math.log(level) if family == "poisson" else special.logit(level)
    alpha = 0.0

    def within(values: Floats) -> Floats:
        sums = np.zeros((len(size), *values.shape[1:]))
        np.add.at(sums, cluster, values)
        return sums

    for _ in range(_MAX_STEPS):
        mean, variance = _mean(x @ beta, family)
        if float(variance.min()) <= 0:
            raise NotComputableError("separation" if family == "binomial" else "no-convergence")
        root = np.sqrt(variance)
        pearson = (y - mean) / root
        if exchangeable and pairs:
            scale = float(pearson @ pearson) / len(y)
            sums = within(pearson)
            if scale <= 0:
                raise NotComputableError("no-variation")
            alpha = (float(sums @ sums) - float(pearson @ pearson)) / 2 / pairs / scale
            if alpha >= 1 - 1e-9 or 1 + (float(size.max()) - 1) * alpha <= 1e-9:
                raise NotComputableError("correlation-not-possible")
        d = x * root[:, None]
        # Inverse of (1 - a) I + a J: 1 / (1 - a) (I - a / (1 + (m - 1) a) J).
        shared = alpha / (1 + (size - 1) * alpha)
        d_sums, r_sums = within(d), within(pearson)
        information = (d.T @ d - d_sums.T @ (d_sums * shared[:, None])) / (1 - alpha)
        score = (d.T @ pearson - d_sums.T @ (shared * r_sums)) / (1 - alpha)
        try:
            step = linalg.solve(information, score, assume_a="sym")
        except linalg.LinAlgError:
            break
        beta = beta + step
        if not np.isfinite(beta).all() or float(np.max(np.abs(beta[1:]), initial=0.0)) > _FAR:
            raise NotComputableError("separation" if family == "binomial" else "no-convergence")
        if float(np.max(np.abs(step))) < _STEP * (1 + float(np.max(np.abs(beta)))):
            own = (within(d * pearson[:, None]) - d_sums * (shared * r_sums)[:, None]) / (1 - alpha)
            bread = linalg.inv(information)
            return Fit(beta, bread @ (own.T @ own) @ bread, alpha)
    raise NotComputableError("no-convergence")


def compute(ctx: Context) -> Computed:
    """Fit the marginal model of an analysis.

    Raises:
        ConfigError: the analysis lacks exposure or outcome, or names an unknown term.
    """
    analysis = ctx.analysis
    family: Family = analysis.family
    computed = Computed()
    if family == "binomial":
        counts, known = outcome_counts(ctx)
        if counts.grouped:
            raise ctx.fail("Clusters need one row a person, not grouped counts", "outcome")
        values = ctx.variables.binary(str(ctx.outcome)).values
    else:
        values = outcome_numbers(ctx)
        known = ~np.isnan(values)
    measure = _MEASURE[family]
    try:
        m = matrix(ctx, known)
        codes = clusters(ctx, m.kept)
    except NotComputableError as problem:
        computed.rows = failed(analysis.id, [str(ctx.exposure)], [measure], problem.reason, None)
        return computed
    rows = np.repeat(np.arange(int(m.kept.sum())), ctx.frequency[m.kept].astype(np.int64))
    y = values[m.kept][rows]
    n = len(rows)
    computed.exposure_terms = m.exposure_terms
    computed.groups = {"persons": n}
    prepared = Prepared.of(m.columns, ctx.frequency[m.kept])
    try:
        if family != "gaussian" and not y.sum() > 0:
            raise NotComputableError("no-events")
        if family == "binomial" and y.sum() == n:
            raise NotComputableError("no-non-events")
        if codes is None:
            raise NotComputableError("cluster-missing")
        _, cluster = np.unique(codes[rows], return_inverse=True)
        exchangeable = analysis.correlation == "exchangeable"
        fit = estimate(prepared.std.z[rows], y, cluster, family, exchangeable=exchangeable)
        beta, covariance = prepared.std.back(fit.beta, fit.covariance)
        computed.rows = term_rows(
            analysis.id, measure, prepared.names, prepared.used, beta, covariance, level=analysis.level, n=n
        )
    except NotComputableError as problem:
        computed.rows = failed(analysis.id, prepared.names, [measure], problem.reason, n)
    persons = ctx.frequency[m.kept]
    if family == "binomial":
        events = values[m.kept] * persons
        cells = exposure_cells(m.columns, m.exposure_terms, (events, persons - events))
        total: tuple[int, ...] = (round(float(events.sum())), n - round(float(events.sum())))
        computed.prevalence = total[0] / n
    else:
        cells, total = exposure_cells(m.columns, m.exposure_terms, [persons]), (n,)
    for made in computed.rows:
        computed.cells[made["id"]] = cells.get(made["term"], total)
    return computed

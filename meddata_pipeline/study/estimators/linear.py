"""Linear regression by least squares.

Belongs here: the fit and its intervals (Student's distribution; robust with weights or clusters). Does not belong here:
other outcomes than numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import linalg

from meddata_pipeline.core.expression import Floats
from meddata_pipeline.study.design import Context, matrix, outcome_numbers
from meddata_pipeline.study.estimators.regression import (
    Prepared,
    clusters,
    exposure_cells,
    failed,
    relative_weights,
    sandwich,
    term_rows,
)
from meddata_pipeline.study.estimators.result import Computed
from meddata_pipeline.study.variables import NotComputableError


@dataclass(frozen=True)
class Fit:
    """Coefficients on the scale of the matrix, and what is left.

    Attributes:
        beta: coefficients.
        bread: inverse of the weighted cross product.
        residual: of each row.
        df: degrees of freedom of the residual.
    """

    beta: Floats
    bread: Floats
    residual: Floats
    df: float

    def covariance(self, weight: Floats) -> Floats:
        """Covariance where all residuals have one variance."""
        result: Floats = self.bread * (float(weight @ self.residual**2) / self.df)
        return result


def least_squares(x: Floats, y: Floats, weight: Floats) -> Fit:
    """Weighted least squares.

    Args:
        x: (rows, columns), of full rank.
        y: per row.
        weight: persons per row, or sampling weights.

    Raises:
        NotComputableError: ``too-few``: no more persons than coefficients.
    """
    df = float(weight.sum()) - x.shape[1]
    if df <= 0:
        raise NotComputableError("too-few")
    bread = linalg.inv(x.T @ (x * weight[:, None]))
    beta = bread @ (x.T @ (weight * y))
    return Fit(beta, bread, y - x @ beta, df)


def compute(ctx: Context) -> Computed:
    """Fit the linear model of an analysis.

    Raises:
        ConfigError: the analysis lacks exposure or outcome, or names an unknown term.
    """
    analysis = ctx.analysis
    computed = Computed()
    values = outcome_numbers(ctx)
    try:
        m = matrix(ctx, ~np.isnan(values))
    except NotComputableError as problem:
        computed.rows = failed(analysis.id, [str(ctx.exposure)], ["beta"], problem.reason, None)
        return computed
    y, persons = values[m.kept], ctx.frequency[m.kept]
    n = round(float(persons.sum()))
    computed.exposure_terms = m.exposure_terms
    computed.groups = {"persons": n}
    prepared = Prepared.of(m.columns, persons)
    try:
        cluster = clusters(ctx, m.kept)
        z = prepared.std.z
        weights = relative_weights(ctx, m.kept)
        w = np.ones(len(y)) if weights is None else weights
        if weights is None:
            fit = least_squares(z, y, persons)
            covariance, df = fit.covariance(persons), fit.df
        else:
            fit = least_squares(z, y, persons * w)
            own = persons * (w * fit.residual) ** 2
            covariance = sandwich(fit.bread, z, z.T @ (z * own[:, None]) * (n / (n - 1)))
        robust = weights is not None or cluster is not None
        if cluster is not None:
            covariance = sandwich(fit.bread, z * (persons * w * fit.residual)[:, None], cluster=cluster)
        beta, covariance = prepared.std.back(fit.beta, covariance)
        computed.rows = term_rows(
            analysis.id,
            "beta",
            prepared.names,
            prepared.used,
            beta,
            covariance,
            level=analysis.level,
            n=n,
            df=None if robust else df,
        )
    except NotComputableError as problem:
        computed.rows = failed(analysis.id, prepared.names, ["beta"], problem.reason, n)
    cells = exposure_cells(m.columns, m.exposure_terms, [persons])
    for estimate in computed.rows:
        computed.cells[estimate["id"]] = cells.get(estimate["term"], (n,))
    return computed

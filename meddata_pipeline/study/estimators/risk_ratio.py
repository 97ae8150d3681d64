"""Risk ratios by regression: Poisson with robust variance, and the binomial model with a log link.

Belongs here: the two methods of study.yaml ``modified-poisson`` and ``log-binomial``. Does not belong here: their fit,
which regression.py has.
"""

from __future__ import annotations

import numpy as np

from meddata_pipeline.study.design import Context, model
from meddata_pipeline.study.estimators.regression import (
    Link,
    Prepared,
    clusters,
    failed,
    fit_log,
    of_binary,
    relative_weights,
    rest_on,
    sandwich,
    term_rows,
)
from meddata_pipeline.study.estimators.result import Computed
from meddata_pipeline.study.variables import NotComputableError


def modified_poisson(ctx: Context) -> Computed:
    """Risk ratios from a Poisson model, its variance robust (HC0) since the outcome is binary.

    Source: Zou, American Journal of Epidemiology 159 (2004).
    """
    return _compute(ctx, "log")


def log_binomial(ctx: Context) -> Computed:
    """Risk ratios from a binomial model with a log link, with the expected information as R's glm has it.

    Source: Wacholder, American Journal of Epidemiology 123 (1986).
    """
    return _compute(ctx, "binomial-log")


def _compute(ctx: Context, link: Link) -> Computed:
    analysis = ctx.analysis
    try:
        m = model(ctx)
    except NotComputableError as problem:
        return Computed(rows=failed(analysis.id, [str(ctx.exposure)], ["rr"], problem.reason, None))
    events, persons, n = m.counts.events, m.counts.persons, m.persons
    computed = of_binary(ctx, m)
    prepared = Prepared.of(m.columns, persons)
    try:
        z = prepared.std.z
        weights = relative_weights(ctx, m.kept)
        w = np.ones(len(events)) if weights is None else weights
        fit = fit_log(z, events * w, persons * w, link)
        covariance = fit.bread
        if link == "log":
            own = w**2 * (events * (1 - fit.mean) ** 2 + (persons - events) * fit.mean**2)
            scores = z * (w * (events - persons * fit.mean))[:, None]
            factor = 1.0 if weights is None else n / (n - 1)
            meat = z.T @ (z * own[:, None]) * factor
            covariance = sandwich(fit.bread, scores, meat, clusters(ctx, m.kept))
        beta, covariance = prepared.std.back(fit.beta, covariance)
        computed.rows = term_rows(
            analysis.id, "rr", prepared.names, prepared.used, beta, covariance, level=analysis.level, n=n
        )
    except NotComputableError as problem:
        computed.rows = failed(analysis.id, prepared.names, ["rr"], problem.reason, n)
    return rest_on(computed, m)

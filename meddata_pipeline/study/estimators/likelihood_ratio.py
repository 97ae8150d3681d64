"""Likelihood-ratio tests of added terms: interactions, splines, any covariate.

Belongs here: two nested models on the same persons. Does not belong here: the fits.
"""

from __future__ import annotations

import numpy as np
from scipy import special, stats

from meddata_pipeline.core.expression import Floats
from meddata_pipeline.study.design import Column, Context, expand, matrix, model, outcome_times
from meddata_pipeline.study.estimators.logistic import newton
from meddata_pipeline.study.estimators.regression import Prepared, failed
from meddata_pipeline.study.estimators.result import Computed, row
from meddata_pipeline.study.estimators.survival import cox, repeat
from meddata_pipeline.study.variables import NotComputableError


def compute(ctx: Context) -> Computed:
    """Test what the terms of `add` bring to the model of an analysis.

    Raises:
        ConfigError: the analysis lacks exposure or outcome, or names an unknown term.
    """
    analysis = ctx.analysis
    computed = Computed()
    added = analysis.add or []
    try:
        smaller, larger, df, deviance, n, cells = _compare(ctx, added)
        statistic = max(2 * (larger - smaller), 0.0)
        p = float(stats.chi2.sf(statistic, df))
        computed.rows = [
            row(analysis.id, "added", "lr", statistic, p=p, n=n, df=df),
            row(analysis.id, "model", "deviance", deviance, n=n),
        ]
        computed.groups = {"persons": n}
        computed.cells = {estimate["id"]: cells for estimate in computed.rows}
    except NotComputableError as problem:
        computed.rows = failed(analysis.id, ["added"], ["lr"], problem.reason, None)
        computed.rows += failed(analysis.id, ["model"], ["deviance"], problem.reason, None)
    return computed


def _compare(ctx: Context, added: list[str]) -> tuple[float, float, int, float, int, tuple[int, ...]]:
    """Log likelihoods of both models, how many parameters differ, deviance of the larger, persons, their cells."""
    if ctx.analysis.fitted_model == "cox":
        time, event = outcome_times(ctx)
        m = matrix(ctx, ~np.isnan(time), extra=added)
        rows = repeat(ctx.frequency, m.kept)
        t, e = time[m.kept][rows], event[m.kept][rows]

        def fitted(columns: list[Column]) -> tuple[float, int]:
            prepared = Prepared.of(columns, ctx.frequency[m.kept])
            z = prepared.std.z[:, 1:][rows]
            return cox(z, t, e).loglik, z.shape[1]

        n, events = len(rows), round(float(e.sum()))
        columns, kept_columns = m.columns, _without(ctx, m.columns, added)
        saturated = 0.0
    else:
        b = model(ctx, extra=added)
        events_, persons = b.counts.events, b.counts.persons
        if not 0 < b.events < b.persons:
            raise NotComputableError("no-events" if b.events == 0 else "no-non-events")

        def fitted(columns: list[Column]) -> tuple[float, int]:
            prepared = Prepared.of(columns, persons)
            return newton(prepared.std.z, events_, persons).loglik, prepared.std.z.shape[1]

        n, events = b.persons, b.events
        columns, kept_columns = b.columns, _without(ctx, b.columns, added)
        saturated = _saturated(events_, persons)
    smaller, few = fitted(kept_columns)
    larger, many = fitted(columns)
    if many == few:
        raise NotComputableError("nothing-added")
    return smaller, larger, many - few, 2 * (saturated - larger), n, (events, n - events)


def _without(ctx: Context, columns: list[Column], added: list[str]) -> list[Column]:
    """The columns of the smaller model: those before the added terms' ones."""
    extra = sum(len(expand(ctx, term)) for term in added)
    return columns[: len(columns) - extra]


def _saturated(events: Floats, persons: Floats) -> float:
    share = events / persons
    return float(special.xlogy(events, share).sum() + special.xlogy(persons - events, 1 - share).sum())

"""Time to event: Cox regression with Efron's ties, Kaplan-Meier medians, the log-rank test.

Belongs here: right-censored times of one event. Does not belong here: competing events, time-varying covariates.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import linalg, stats

from meddata_pipeline.core.expression import Floats
from meddata_pipeline.study.design import Context, Matrix, labels, matrix, outcome_times
from meddata_pipeline.study.estimators.regression import (
    NO_INFORMATION,
    Codes,
    Prepared,
    clusters,
    exposure_cells,
    failed,
    sandwich,
    term_rows,
)
from meddata_pipeline.study.estimators.result import Computed, row
from meddata_pipeline.study.variables import NotComputableError

_MAX_STEPS = 60
_STEP = 1e-9
#: A standardised coefficient beyond this, in a fit that does not settle, is on its way to infinity.
_FAR = 15.0


@dataclass(frozen=True)
class CoxFit:
    """A fitted proportional hazards model on the scale of its matrix.

    Attributes:
        beta: coefficients, none for a constant.
        covariance: inverse of the information.
        loglik: partial log likelihood.
        null_loglik: the same at 0.
        scores: each row's share of the score (score residuals).
    """

    beta: Floats
    covariance: Floats
    loglik: float
    null_loglik: float
    scores: Floats


class _Order:
    """Rows sorted by stratum and falling time, with the risk set and the tie group of each event."""

    def __init__(self, time: Floats, event: Floats, strata: Codes) -> None:
        self.order = np.lexsort((event, -time, strata))
        t, e, s = time[self.order], event[self.order] > 0, strata[self.order]
        n = len(t)
        new_stratum = np.concatenate([[True], s[1:] != s[:-1]])
        new_time = new_stratum | np.concatenate([[True], t[1:] != t[:-1]])
        self.starts = np.flatnonzero(new_time)
        self.ends = np.concatenate([self.starts[1:], [n]])
        self.stratum_start = np.maximum.accumulate(np.where(new_stratum, np.arange(n), 0))[self.starts]
        self.group = np.cumsum(new_time) - 1
        self.event = e
        self.deaths = np.add.reduceat(e.astype(np.int64), self.starts)
        #: Per event: its group, and how many of the tied events come before it (Efron's l).
        self.of = self.group[e]
        first = np.concatenate([[0], np.cumsum(self.deaths)])[:-1]
        self.share = (np.arange(len(self.of)) - first[self.of]) / self.deaths[self.of]

    def at_risk(self, values: Floats) -> Floats:
        """Sums over everybody at risk at each distinct time, (groups, ...)."""
        total = np.concatenate([np.zeros((1, *values.shape[1:])), np.cumsum(values, axis=0)])
        return np.asarray(total[self.ends] - total[self.stratum_start])

    def tied(self, values: Floats) -> Floats:
        """Sums over the events of each distinct time, (groups, ...)."""
        weight = self.event.reshape(-1, *([1] * (values.ndim - 1)))
        return np.asarray(np.add.reduceat(values * weight, self.starts, axis=0))


def cox(x: Floats, time: Floats, event: Floats, strata: Codes | None = None) -> CoxFit:
    """Maximise Efron's partial likelihood by Newton's method.

    Args:
        x: (rows, columns) without a constant, scaled to about 1.
        time: of each row.
        event: 1 where the event came.
        strata: code of each row's stratum, with a baseline hazard of its own.

    Raises:
        NotComputableError: ``no-events``, ``separation`` or ``no-convergence``.

    Source:
        Efron, Journal of the American Statistical Association 72 (1977).
    """
    if not event.any():
        raise NotComputableError("no-events")
    o = _Order(time, event, np.zeros(len(time), dtype=np.int64) if strata is None else strata)
    xs = x[o.order]
    p = xs.shape[1]
    outer = (xs[:, :, None] * xs[:, None, :]).reshape(len(xs), p * p)
    beta = np.zeros(p)
    event_sum = xs[o.event].sum(axis=0)

    def parts(beta: Floats) -> tuple[float, Floats, Floats]:
        eta = xs @ beta
        risk = np.exp(eta - eta.max())
        share = o.share
        s0 = o.at_risk(risk)[o.of] - share * o.tied(risk)[o.of]
        s1 = o.at_risk(risk[:, None] * xs)[o.of] - share[:, None] * o.tied(risk[:, None] * xs)[o.of]
        s2 = o.at_risk(risk[:, None] * outer)[o.of] - share[:, None] * o.tied(risk[:, None] * outer)[o.of]
        mean = s1 / s0[:, None]
        loglik = float(eta[o.event].sum() - np.log(s0).sum() - len(s0) * eta.max())
        score = event_sum - mean.sum(axis=0)
        information = (s2 / s0[:, None]).sum(axis=0).reshape(p, p) - mean.T @ mean
        return loglik, score, information

    loglik, score, information = parts(beta)
    null = loglik
    for _ in range(_MAX_STEPS):
        try:
            step = linalg.cho_solve(linalg.cho_factor(information), score)
        except (linalg.LinAlgError, ValueError):
            raise NotComputableError("separation") from None
        size = 1.0
        while True:
            new, new_score, new_information = parts(beta + size * step)
            if new >= loglik - 1e-9 * (abs(loglik) + 1) or size < 1e-6:
                break
            size /= 2
        beta, loglik, score, information = beta + size * step, new, new_score, new_information
        if float(np.max(np.abs(beta), initial=0.0)) > _FAR:
            raise NotComputableError("separation")
        if float(np.max(np.abs(step), initial=0.0)) < _STEP * (1 + float(np.max(np.abs(beta), initial=0.0))):
            try:
                covariance = linalg.cho_solve(linalg.cho_factor(information), np.eye(p))
            except (linalg.LinAlgError, ValueError):
                raise NotComputableError("separation") from None
            if float(np.max(np.diag(covariance), initial=0.0)) > NO_INFORMATION:
                raise NotComputableError("separation")
            return CoxFit(beta, covariance, loglik, null, _score_residuals(o, xs, beta))
    raise NotComputableError("no-convergence")


def _score_residuals(o: _Order, xs: Floats, beta: Floats) -> Floats:
    """Each row's share of the score, in the order of the rows before sorting.

    Source: Therneau & Grambsch, Modeling Survival Data (2000), section 4.6, with Efron's weights for tied events.
    """
    eta = xs @ beta
    risk = np.exp(eta - eta.max())
    share = o.share
    s0 = o.at_risk(risk)[o.of] - share * o.tied(risk)[o.of]
    s1 = o.at_risk(risk[:, None] * xs)[o.of] - share[:, None] * o.tied(risk[:, None] * xs)[o.of]
    mean = s1 / s0[:, None]
    groups, p = len(o.starts), xs.shape[1]

    def by_group(weight: Floats) -> tuple[Floats, Floats]:
        hazard = np.zeros(groups)
        moment = np.zeros((groups, p))
        np.add.at(hazard, o.of, weight / s0)
        np.add.at(moment, o.of, (weight / s0)[:, None] * mean)
        return hazard, moment

    hazard, moment = by_group(np.ones(len(s0)))
    tied_hazard, tied_moment = by_group(1 - share)
    # Who is at risk at a time has lived through the hazard of all earlier ones of his stratum.
    after = np.concatenate([np.cumsum(hazard[::-1])[::-1], [0.0]])
    after_moment = np.concatenate([np.cumsum(moment[::-1], axis=0)[::-1], np.zeros((1, p))])
    last = np.concatenate([np.flatnonzero(np.diff(o.stratum_start)) + 1, [groups]])
    limit = last[np.searchsorted(last, np.arange(groups), side="right")]
    own = hazard[o.group]
    own_moment = moment[o.group]
    own = np.where(o.event, tied_hazard[o.group], own)
    own_moment = np.where(o.event[:, None], tied_moment[o.group], own_moment)
    lived = after[o.group + 1] - after[limit[o.group]] + own
    lived_moment = after_moment[o.group + 1] - after_moment[limit[o.group]] + own_moment
    expected = risk[:, None] * (xs * lived[:, None] - lived_moment)
    observed = np.zeros_like(xs)
    # The mean at an event of a tie is that over Efron's steps.
    average = np.zeros((groups, p))
    np.add.at(average, o.of, mean / o.deaths[o.of][:, None])
    observed[o.event] = xs[o.event] - average[o.group[o.event]]
    result = np.empty_like(xs)
    result[o.order] = observed - expected
    return result


def repeat(frequency: Floats, kept: npt.NDArray[np.bool_]) -> Codes:
    """Positions among the kept rows, each as often as it has persons."""
    counts = frequency[kept].astype(np.int64)
    return np.repeat(np.arange(len(counts)), counts)


def compute(ctx: Context) -> Computed:
    """Fit the Cox model of an analysis.

    Raises:
        ConfigError: the analysis lacks exposure or outcome, or names an unknown term.
    """
    analysis = ctx.analysis
    computed = Computed()
    time, event = outcome_times(ctx)
    strata: Codes | None = None
    known = ~np.isnan(time)
    if analysis.strata is not None:
        strata, _ = labels(ctx, analysis.strata)
        known = known & (strata >= 0)
    try:
        m = matrix(ctx, known)
    except NotComputableError as problem:
        computed.rows = failed(analysis.id, [str(ctx.exposure)], ["hr"], problem.reason, None)
        return computed
    computed.exposure_terms = m.exposure_terms
    rows = repeat(ctx.frequency, m.kept)
    time, event = time[m.kept][rows], event[m.kept][rows]
    n, events = len(rows), round(float(event.sum()))
    computed.groups = {"persons": n, "events": events}
    prepared, fit = None, None
    try:
        prepared, fit = fitted(m, ctx.frequency, time, event, None if strata is None else strata[m.kept][rows])
        covariance = fit.covariance
        if (cluster := clusters(ctx, m.kept)) is not None:
            covariance = sandwich(covariance, fit.scores, cluster=cluster[rows])
        scale = prepared.std.scale[1:]
        computed.rows = term_rows(
            analysis.id,
            "hr",
            prepared.names[1:],
            prepared.used[1:],
            fit.beta / scale,
            covariance / np.outer(scale, scale),
            level=analysis.level,
            n=n,
        )
    except NotComputableError as problem:
        computed.rows = failed(analysis.id, [c.term for c in m.columns], ["hr"], problem.reason, n)
    loglik = None if fit is None else fit.loglik
    computed.rows += [
        row(analysis.id, "model", "n", n, n=n),
        row(analysis.id, "model", "events", events, n=n),
        row(analysis.id, "model", "loglik", loglik, n=n, reason=None if fit else "not-computable"),
    ]
    happened = np.zeros(len(ctx.frequency[m.kept]))
    np.add.at(happened, rows, event)
    cells = exposure_cells(m.columns, m.exposure_terms, (happened, ctx.frequency[m.kept] - happened))
    for estimate in computed.rows:
        computed.cells[estimate["id"]] = cells.get(estimate["term"], (events, n - events))
    return computed


def fitted(
    m: Matrix, frequency: Floats, time: Floats, event: Floats, strata: Codes | None = None
) -> tuple[Prepared, CoxFit]:
    """Prepare the columns of a matrix and fit them; `time`, `event` and `strata` are by person."""
    persons = frequency[m.kept]
    prepared = Prepared.of(m.columns, persons)
    z = prepared.std.z[:, 1:]
    return prepared, cox(z[repeat(frequency, m.kept)], time, event, strata)


def kaplan_meier(time: Floats, event: Floats, level: float) -> tuple[Floats, Floats, Floats, Floats]:
    """Survival at each distinct time with Greenwood's limits on the log scale.

    Returns:
        Times, survival, lower and upper limits (NaN where survival is 0).

    Source:
        Kaplan & Meier 1958; the limits are those of R's survfit.
    """
    times, position = np.unique(time, return_inverse=True)
    deaths = np.bincount(position, weights=event, minlength=len(times))
    leaving = np.bincount(position, minlength=len(times))
    at_risk = leaving[::-1].cumsum()[::-1].astype(np.float64)
    survival: Floats = np.cumprod(1 - deaths / at_risk, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = np.sqrt(np.cumsum(deaths / (at_risk * (at_risk - deaths))))
    reach = float(stats.norm.ppf(0.5 + level / 2)) * spread
    with np.errstate(invalid="ignore", over="ignore"):
        low: Floats = survival * np.exp(-reach)
        high: Floats = np.minimum(survival * np.exp(reach), 1.0)
    gone = survival <= 0
    return times, survival, np.where(gone, np.nan, low), np.where(gone, np.nan, high)


def half(times: Floats, curve: Floats) -> float:
    """When a falling curve reaches one half; the middle of the flat stretch where it lies on it exactly; NaN if never.

    Source: R's quantile.survfit.
    """
    known = ~np.isnan(curve)
    t, s = times[known], curve[known]
    at = np.flatnonzero(np.abs(s - 0.5) < 1e-9)
    below = np.flatnonzero(s < 0.5 - 1e-9)
    if len(at):
        return float((t[at[0]] + t[below[0]]) / 2) if len(below) else float(t[at[0]])
    if len(below):
        return float(t[below[0]])
    return math.nan


def log_rank(time: Floats, event: Floats, group: Codes, groups: int) -> tuple[float, int]:
    """The log-rank statistic over several groups and its degrees of freedom.

    Source: Mantel 1966; the statistic of R's survdiff.
    """
    times, position = np.unique(time, return_inverse=True)
    shape = (len(times), groups)
    deaths, leaving = np.zeros(shape), np.zeros(shape)
    np.add.at(deaths, (position, group), event)
    np.add.at(leaving, (position, group), 1.0)
    at_risk = leaving[::-1].cumsum(axis=0)[::-1]
    total, died = at_risk.sum(axis=1), deaths.sum(axis=1)
    share = at_risk / total[:, None]
    distance = (deaths - died[:, None] * share).sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        factor = np.where(total > 1, died * (total - died) / (total - 1), 0.0)
    covariance = np.diag((factor[:, None] * share).sum(axis=0)) - (share * factor[:, None]).T @ share
    present = at_risk[0] > 0
    kept = np.flatnonzero(present)[1:]
    if not len(kept) or not died.any():
        raise NotComputableError("no-contrast" if died.any() else "no-events")
    v = covariance[np.ix_(kept, kept)]
    statistic = float(distance[kept] @ np.linalg.pinv(v) @ distance[kept])
    return statistic, len(kept)


def curves(ctx: Context) -> Computed:
    """Kaplan-Meier medians by group, and the log-rank test.

    Raises:
        ConfigError: no group, or an outcome that is no time to event.
    """
    analysis = ctx.analysis
    by = analysis.by or ctx.exposure
    if by is None:
        raise ctx.fail("The analysis needs a variable to group by", "by")
    time, event = outcome_times(ctx)
    computed = Computed()
    coded = ctx.variables.get(by)
    if coded.kind != "category":
        coded = ctx.variables.binary(by)
    names = list(coded.levels) or ["0", "1"]
    kept = ctx.subset & ~np.isnan(time) & ~np.isnan(coded.values)
    rows = repeat(ctx.frequency, kept)
    time, event, group = time[kept][rows], event[kept][rows], coded.values[kept][rows].astype(np.int64)
    n = len(rows)
    everything: list[int] = []
    for position, name in enumerate(names):
        chosen = group == position
        size, events = int(chosen.sum()), round(float(event[chosen].sum()))
        everything += [events, size - events]
        if not size:
            made = row(analysis.id, f"{by}={name}", "median", n=0, reason="no-rows")
        else:
            times, survival, low, high = kaplan_meier(time[chosen], event[chosen], analysis.level)
            median = half(times, survival)
            ends = half(times, low), half(times, high)
            reason = "not-reached" if math.isnan(median) else None
            made = row(analysis.id, f"{by}={name}", "median", median, *ends, n=size, reason=reason)
        computed.rows.append(made)
        computed.cells[made["id"]] = (events, size - events)
        computed.groups[f"{by}={name}"] = size
    try:
        if not n:
            raise NotComputableError("no-complete-rows")
        statistic, df = log_rank(time, event, group, len(names))
        made = row(analysis.id, by, "logrank", statistic, p=float(stats.chi2.sf(statistic, df)), n=n, df=df)
    except NotComputableError as problem:
        made = row(analysis.id, by, "logrank", n=n, reason=problem.reason)
    computed.rows.append(made)
    computed.cells[made["id"]] = tuple(everything)
    return computed

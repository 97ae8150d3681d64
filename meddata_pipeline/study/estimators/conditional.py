"""Conditional logistic regression for matched sets, by the exact likelihood.

Belongs here: sets of cases and controls. Does not belong here: stratified tables (mantel_haenszel.py).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import linalg

from meddata_pipeline.core.expression import Floats
from meddata_pipeline.study.design import Context, labels, model
from meddata_pipeline.study.estimators.regression import (
    NO_INFORMATION,
    Codes,
    Prepared,
    exposure_cells,
    failed,
    independent,
    term_rows,
)
from meddata_pipeline.study.estimators.result import Computed, row
from meddata_pipeline.study.variables import NotComputableError

_MAX_STEPS = 60
_STEP = 1e-9
_FAR = 15.0


@dataclass(frozen=True)
class Likelihood:
    """Log likelihood, score and information at some coefficients."""

    value: float
    score: Floats
    information: Floats


def _one_set(x: Floats, eta: Floats, cases: int) -> tuple[float, Floats, Floats]:
    """Logarithm of the sum over all choices of `cases` members of a set, with its first and second derivative.

    Source: Gail, Lubin & Rubinstein, Biometrika 68 (1981): a recursion over the members.
    """
    p = x.shape[1]
    top = float(eta.max())
    weight = np.exp(eta - top)
    # Scaled at every member, so that large sets neither overflow nor vanish.
    value = np.zeros(cases + 1)
    first = np.zeros((cases + 1, p))
    second = np.zeros((cases + 1, p, p))
    value[0] = 1.0
    log_scale = 0.0
    for w, member in zip(weight, x, strict=True):
        outer = np.outer(member, member)
        grown = first[:-1] + value[:-1, None] * member
        cross = first[:-1, :, None] * member[None, None, :]
        second[1:] += w * (second[:-1] + cross + np.swapaxes(cross, 1, 2) + value[:-1, None, None] * outer)
        first[1:] += w * grown
        value[1:] += w * value[:-1]
        largest = float(value.max())
        if largest > 1e100:
            value, first, second = value / largest, first / largest, second / largest
            log_scale += np.log(largest)
    mean = first[cases] / value[cases]
    return (
        float(np.log(value[cases])) + log_scale + cases * top,
        mean,
        second[cases] / value[cases] - np.outer(mean, mean),
    )


def likelihood(x: Floats, case: Floats, sets: list[Codes], beta: Floats) -> Likelihood:
    """The exact conditional likelihood over all matched sets.

    Args:
        x: (persons, columns) without a constant.
        case: 1 for cases.
        sets: persons of each set that has cases and controls.
        beta: coefficients.
    """
    p = x.shape[1]
    value, score, information = 0.0, np.zeros(p), np.zeros((p, p))
    for members in sets:
        own, chosen = x[members], case[members] > 0
        eta = own @ beta
        cases = int(chosen.sum())
        # The fewer of cases and controls are counted through: choosing the one is leaving the other.
        if 2 * cases <= len(members):
            total, mean, spread = _one_set(own, eta, cases)
        else:
            total, mean, spread = _one_set(-own, -eta, len(members) - cases)
            total, mean = total + float(eta.sum()), own.sum(axis=0) + mean
        value += float(eta[chosen].sum()) - total
        score += own[chosen].sum(axis=0) - mean
        information += spread
    return Likelihood(value, score, information)


def compute(ctx: Context) -> Computed:
    """Fit the conditional logistic model of an analysis.

    Raises:
        ConfigError: the analysis lacks exposure, outcome or strata, or names an unknown term.
    """
    analysis = ctx.analysis
    computed = Computed()
    measures = ("loglik", "null-loglik")
    try:
        m = model(ctx)
    except NotComputableError as problem:
        computed.rows = failed(analysis.id, [str(ctx.exposure)], ["or"], problem.reason, None)
        computed.rows += failed(analysis.id, ["model"], measures, problem.reason, None)
        return computed
    if m.counts.grouped:
        raise ctx.fail("Matched sets need one row a person, not grouped counts", "outcome")
    codes, _ = labels(ctx, analysis.strata or [])
    own = codes[m.kept]
    rows = np.repeat(np.arange(len(own)), m.counts.frequency.astype(np.int64))
    rows = rows[own[rows] >= 0]
    case = (m.counts.events > 0).astype(np.float64)[rows]
    n, events = len(rows), round(float(case.sum()))
    computed.exposure_terms = m.exposure_terms
    outcome = ctx.outcome if isinstance(ctx.outcome, str) else "event"
    computed.groups = {f"{outcome}=1": events, f"{outcome}=0": n - events, "persons": n}
    names = [column.term for column in m.columns]
    try:
        members = [np.flatnonzero(own[rows] == code) for code in np.unique(own[rows])]
        sets = [s for s in members if 0 < case[s].sum() < len(s)]
        if not sets:
            raise NotComputableError("no-informative-sets")
        x = np.column_stack([column.values[rows] for column in m.columns])
        # What is constant within every set drops out of the likelihood.
        within = x.copy()
        for s in members:
            within[s] -= within[s].mean(axis=0)
        informative = np.concatenate(sets)
        used = independent(list(within[informative].T), np.ones(len(informative)), constant=False)
        kept = [column for column, use in zip(m.columns, used, strict=True) if use]
        if not kept:
            raise NotComputableError("no-variation")
        std = Prepared.of([type(c)(c.term, c.values[rows], c.level) for c in kept], np.ones(n)).std
        z = std.z[:, 1:]
        beta = np.zeros(z.shape[1])
        at = null = likelihood(z, case, sets, beta)
        for _ in range(_MAX_STEPS):
            step = linalg.cho_solve(linalg.cho_factor(at.information), at.score)
            size = 1.0
            while (new := likelihood(z, case, sets, beta + size * step)).value < at.value - 1e-9 and size > 1e-6:
                size /= 2
            beta, at = beta + size * step, new
            if float(np.max(np.abs(beta))) > _FAR:
                raise NotComputableError("separation")
            if float(np.max(np.abs(step))) < _STEP * (1 + float(np.max(np.abs(beta)))):
                break
        else:
            raise NotComputableError("no-convergence")
        scale = std.scale[1:]
        covariance = linalg.cho_solve(linalg.cho_factor(at.information), np.eye(len(scale)))
        if float(np.max(np.diag(covariance))) > NO_INFORMATION:
            raise NotComputableError("separation")
        covariance = covariance / np.outer(scale, scale)
        computed.rows = term_rows(analysis.id, "or", names, used, beta / scale, covariance, level=analysis.level, n=n)
        computed.rows += [
            row(analysis.id, "model", "loglik", at.value, n=n),
            row(analysis.id, "model", "null-loglik", null.value, n=n),
        ]
    except (NotComputableError, linalg.LinAlgError) as problem:
        reason = problem.reason if isinstance(problem, NotComputableError) else "separation"
        computed.rows = failed(analysis.id, names, ["or"], reason, n)
        computed.rows += failed(analysis.id, ["model"], measures, reason, n)
    cells = exposure_cells(m.columns, m.exposure_terms, (m.counts.events, m.counts.persons - m.counts.events))
    for estimate in computed.rows:
        computed.cells[estimate["id"]] = cells.get(estimate["term"], (events, n - events))
    return computed

"""Marginal effects: standardisation over the covariates (g-computation), and the doubly robust form of it.

Belongs here: risks and means if everybody, or nobody, were exposed. Does not belong here: weights (propensity.py).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import special

from meddata_pipeline.core.expression import Floats
from meddata_pipeline.study.design import Context, Mask, Matrix, matrix, outcome_numbers
from meddata_pipeline.study.estimators.linear import least_squares
from meddata_pipeline.study.estimators.logistic import newton
from meddata_pipeline.study.estimators.regression import Prepared, failed, wald
from meddata_pipeline.study.estimators.result import Computed, Estimate, row
from meddata_pipeline.study.variables import NotComputableError

_BINARY = ("risk1", "risk0", "rd", "rr", "or")
_NUMBER = ("mean1", "mean0", "md")


@dataclass(frozen=True)
class Outcome:
    """A fitted outcome model and what it predicts.

    Attributes:
        exposed: prediction of each row if exposed.
        unexposed: prediction of each row if not.
        gradient: of the mean predictions (exposed, unexposed) by coefficient, (2, p).
        covariance: of the coefficients.
    """

    exposed: Floats
    unexposed: Floats
    gradient: Floats
    covariance: Floats


def fit_outcome(m: Matrix, y: Floats, persons: Floats, a: Floats, model: str) -> Outcome:
    """Fit the outcome model with exposure and covariates, and predict for everybody exposed and unexposed.

    Args:
        m: the matrix, exposure first.
        y: outcome of the kept rows.
        persons: per kept row.
        a: the binary exposure of the kept rows.
        model: ``logistic`` or ``linear``.
    """
    prepared = Prepared.of(m.columns, persons)
    if not prepared.used[1]:
        raise NotComputableError("no-contrast")
    z = prepared.std.z
    if model == "logistic":
        total = float(y @ persons)
        if not 0 < total < float(persons.sum()):
            raise NotComputableError("no-events" if total == 0 else "no-non-events")
        fit = newton(z, y * persons, persons)
        beta, covariance = fit.beta, fit.covariance
    else:
        linear = least_squares(z, y, persons)
        beta, covariance = linear.beta, linear.covariance(persons)
    # The exposure stands in its own column and, in a product, in others: those are made anew.
    used = [c for c, use in zip(m.columns, prepared.used[1:], strict=True) if use]
    means, gradients = [], []
    for value in (1.0, 0.0):
        x = z.copy()
        for position, column in enumerate(used, start=1):
            changed = _set(column.term, column.values, m, a, value)
            x[:, position] = (changed - prepared.std.centre[position]) / prepared.std.scale[position]
        eta = x @ beta
        mean = special.expit(eta) if model == "logistic" else eta
        slope = mean * (1 - mean) if model == "logistic" else np.ones(len(mean))
        means.append(mean)
        gradients.append((persons * slope) @ x / float(persons.sum()))
    return Outcome(means[0], means[1], np.array(gradients), covariance)


def _set(term: str, values: Floats, m: Matrix, a: Floats, value: float) -> Floats:
    """A column as it would be with the exposure at `value`."""
    exposure = m.exposure_terms[0]
    parts = term.split(":")
    if exposure not in parts:
        return values
    if len(parts) == 1:
        return np.full(len(values), value)
    other = ":".join(part for part in parts if part != exposure)
    found = next((c.values for c in m.columns if c.term == other), None)
    if found is None:
        # A product without its other factor as a column of its own: known only where the exposure is 1.
        raise NotComputableError("product-without-main-effect")
    return value * found


def binary_exposure(ctx: Context) -> Floats:
    """The exposure as 1 and 0.

    Raises:
        ConfigError: there is none, or it is not binary.
    """
    if ctx.exposure is None:
        raise ctx.fail("The analysis needs an exposure", "exposure")
    return ctx.variables.binary(ctx.exposure).values


def prepare(ctx: Context) -> tuple[Matrix, Floats, Floats, Floats]:
    """Matrix, outcome, exposure and persons of an analysis with a binary exposure, over the kept rows.

    Raises:
        NotComputableError: no complete rows, or nobody exposed or unexposed.
    """
    a = binary_exposure(ctx)
    y = outcome_numbers(ctx)
    m = matrix(ctx, ~np.isnan(y))
    exposed = a[m.kept]
    if not 0 < exposed.sum() < len(exposed):
        raise NotComputableError("no-contrast")
    return m, y[m.kept], exposed, ctx.frequency[m.kept]


def cells_by_exposure(y: Floats, a: Floats, persons: Floats) -> tuple[int, ...]:
    """Persons by exposure and, where the outcome is 0 or 1, by outcome."""
    sides: tuple[Mask, Mask] = (a == 1, a == 0)
    if np.isin(y, (0.0, 1.0)).all():
        parts = [float(persons[side & (y == value)].sum()) for side in sides for value in (1.0, 0.0)]
    else:
        parts = [float(persons[side].sum()) for side in sides]
    return tuple(round(part) for part in parts)


def finish(ctx: Context, computed: Computed, y: Floats, a: Floats, persons: Floats) -> Computed:
    """Note what all rows rest on."""
    cells = cells_by_exposure(y, a, persons)
    computed.cells |= {estimate["id"]: cells for estimate in computed.rows if estimate["id"] not in computed.cells}
    exposure = str(ctx.exposure)
    computed.exposure_terms = [exposure]
    n = round(float(persons.sum()))
    exposed = round(float(persons[a == 1].sum()))
    computed.groups = {f"{exposure}=1": exposed, f"{exposure}=0": n - exposed, "persons": n}
    if np.isin(y, (0.0, 1.0)).all():
        computed.prevalence = float(y @ persons) / n
    return computed


def g_computation(ctx: Context) -> Computed:
    """Risks (or means) if everybody were exposed and if nobody were, averaged over the persons of the analysis.

    Standard errors by the delta method, the covariates taken as they are.

    Raises:
        ConfigError: exposure or outcome are missing or of the wrong kind.

    Source:
        Robins 1986; Snowden, Rose & Mortimer, American Journal of Epidemiology 173 (2011).
    """
    analysis = ctx.analysis
    kind = analysis.fitted_model
    exposure = str(ctx.exposure)
    measures = _BINARY if kind == "logistic" else _NUMBER
    try:
        m, y, a, persons = prepare(ctx)
    except NotComputableError as problem:
        return Computed(rows=failed(analysis.id, [exposure], measures, problem.reason, None))
    if kind == "logistic" and not np.isin(y, (0.0, 1.0)).all():
        raise ctx.fail("The logistic model needs a binary outcome", "outcome")
    n = round(float(persons.sum()))
    computed = Computed()
    try:
        fit = fit_outcome(m, y, persons, a, kind)
        one, nil = (float(persons @ v) / n for v in (fit.exposed, fit.unexposed))
        g1, g0 = fit.gradient
        computed.rows = _effects(analysis.id, exposure, kind, one, nil, g1, g0, fit.covariance, analysis.level, n)
    except NotComputableError as problem:
        computed.rows = failed(analysis.id, [exposure], measures, problem.reason, n)
    return finish(ctx, computed, y, a, persons)


def _effects(
    analysis: str,
    exposure: str,
    kind: str,
    one: float,
    nil: float,
    g1: Floats,
    g0: Floats,
    covariance: Floats,
    level: float,
    n: int,
) -> list[Estimate]:
    def se(gradient: Floats) -> float:
        return math.sqrt(max(float(gradient @ covariance @ gradient), 0.0))

    if kind == "linear":
        return [
            wald(analysis, exposure, "mean1", one, se(g1), level=level, n=n),
            wald(analysis, exposure, "mean0", nil, se(g0), level=level, n=n),
            wald(analysis, exposure, "md", one - nil, se(g1 - g0), level=level, n=n),
        ]
    odds = one / (1 - one) / (nil / (1 - nil))
    return [
        wald(analysis, exposure, "risk1", one, se(g1), level=level, n=n),
        wald(analysis, exposure, "risk0", nil, se(g0), level=level, n=n),
        wald(analysis, exposure, "rd", one - nil, se(g1 - g0), level=level, n=n),
        wald(analysis, exposure, "rr", one / nil, se(g1 / one - g0 / nil), level=level, n=n, ratio=True),
        wald(
            analysis,
            exposure,
            "or",
            odds,
            se(g1 / (one * (1 - one)) - g0 / (nil * (1 - nil))),
            level=level,
            n=n,
            ratio=True,
        ),
    ]


def aipw(ctx: Context) -> Computed:
    """The augmented inverse-probability estimate: right if either the outcome or the propensity model is.

    Raises:
        ConfigError: exposure or outcome are missing or of the wrong kind.

    Source:
        Robins, Rotnitzky & Zhao 1994; Glynn & Quinn, Political Analysis 18 (2010); standard error from the influence
        function.
    """
    analysis = ctx.analysis
    kind = analysis.fitted_model
    exposure = str(ctx.exposure)
    measure = "rd" if kind == "logistic" else "md"
    try:
        m, y, a, persons = prepare(ctx)
    except NotComputableError as problem:
        return Computed(rows=failed(analysis.id, [exposure], [measure], problem.reason, None))
    if kind == "logistic" and not np.isin(y, (0.0, 1.0)).all():
        raise ctx.fail("The logistic model needs a binary outcome", "outcome")
    n = round(float(persons.sum()))
    computed = Computed()
    try:
        share = propensity(m, a, persons)
        fit = fit_outcome(m, y, persons, a, kind)
        one = fit.exposed + a * (y - fit.exposed) / share
        nil = fit.unexposed + (1 - a) * (y - fit.unexposed) / (1 - share)
        own = one - nil
        value = float(persons @ own) / n
        se = math.sqrt(float(persons @ (own - value) ** 2)) / n
        computed.rows = [wald(analysis.id, exposure, measure, value, se, level=analysis.level, n=n)]
    except NotComputableError as problem:
        computed.rows = [row(analysis.id, exposure, measure, n=n, reason=problem.reason)]
    return finish(ctx, computed, y, a, persons)


def propensity(m: Matrix, a: Floats, persons: Floats) -> Floats:
    """Probability of exposure given the covariates, by logistic regression.

    Args:
        m: the matrix of an analysis, exposure first.
        a: the exposure of the kept rows, 1 or 0.
        persons: per kept row.
    """
    covariates = [c for c in m.columns if c.term not in m.exposure_terms]
    prepared = Prepared.of(covariates, persons)
    fit = newton(prepared.std.z, a * persons, persons)
    result: Floats = special.expit(prepared.std.z @ fit.beta)
    return result

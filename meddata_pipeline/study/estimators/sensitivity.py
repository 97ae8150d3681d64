"""What an effect would survive, and what it adds: E-values, interaction on the additive scale.

Belongs here: quantities derived from estimates of one exposure. Does not belong here: models.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from meddata_pipeline.core.errors import ConfigError
from meddata_pipeline.core.expression import Floats
from meddata_pipeline.study.design import Column, Context, Model, expand, model
from meddata_pipeline.study.estimators.logistic import newton
from meddata_pipeline.study.estimators.regression import Prepared, failed, wald
from meddata_pipeline.study.estimators.result import Computed, Estimate, row
from meddata_pipeline.study.variables import NotComputableError

#: Above this share of events an odds or hazard ratio is no longer near the risk ratio.
COMMON = 0.15
_RATIOS = ("or", "rr", "hr", "or-fisher", "or-midp", "or-haldane")
_ADDITIVE = ("reri", "ap", "s")


def as_risk_ratio(value: float, measure: str, *, common: bool) -> float:
    """A ratio as the risk ratio it stands for.

    Source: VanderWeele & Ding, Annals of Internal Medicine 167 (2017): with a common outcome the square root of an odds
    ratio, and (1 - 0.5^√HR) / (1 - 0.5^√(1/HR)) for a hazard ratio.
    """
    if not common or measure == "rr":
        return value
    if measure == "hr":
        return float((1 - 0.5 ** math.sqrt(value)) / (1 - 0.5 ** math.sqrt(1 / value)))
    return math.sqrt(value)


def e_value(ratio: float) -> float:
    """How strong a confounder must be, on the risk ratio scale with exposure and outcome, to explain a ratio away."""
    above = ratio if ratio >= 1 else 1 / ratio
    return above + math.sqrt(above * (above - 1))


def e_values(ctx: Context) -> Computed:
    """The E-value of an earlier estimate, and of the limit of its interval that is nearer to 1.

    Raises:
        ConfigError: no analysis above has this id.
    """
    analysis = ctx.analysis
    of = ctx.earlier.get(str(analysis.of))
    if of is None:
        raise ConfigError("No analysis above has this estimate", where=f"analysis {analysis.id}, field of")
    term, measure, n = of["term"], of["measure"], of["n"]
    value, low, high = of["estimate"], of["low"], of["high"]
    if measure not in _RATIOS:
        return Computed(rows=[row(analysis.id, term, "e-value", n=n, reason="not-a-ratio")])
    if not isinstance(value, float | int) or value <= 0:
        return Computed(rows=[row(analysis.id, term, "e-value", n=n, reason=of["reason"] or "not-computable")])
    common = ctx.prevalence.get(of["analysis"], 0.0) > COMMON
    point = e_value(as_risk_ratio(float(value), measure, common=common))
    near: float | None = None
    limit = low if value >= 1 else high
    if isinstance(limit, float | int):
        crosses = limit <= 1 if value >= 1 else limit >= 1
        near = 1.0 if crosses else e_value(as_risk_ratio(float(limit), measure, common=common))
    return Computed(rows=[row(analysis.id, term, "e-value", point, near, n=n)])


def _product(ctx: Context, m: Model, modifier: str) -> list[Column]:
    """The matrix with the product of exposure and modifier as its last column."""
    columns = list(m.columns)
    names = [column.term for column in columns]
    if modifier not in names:
        own = expand(ctx, modifier)[0]
        columns.append(Column(own.term, own.values[m.kept]))
    exposure = next(c for c in columns if c.term == m.exposure_terms[0])
    other = next(c for c in columns if c.term == modifier)
    columns.append(Column(f"{exposure.term}:{modifier}", exposure.values * other.values))
    return columns


def additive_interaction(ctx: Context) -> Computed:
    """Relative excess risk due to interaction, attributable proportion and synergy index, from a logistic model.

    Raises:
        ConfigError: exposure or modifier are missing or not binary.

    Source:
        Rothman 1986; delta-method intervals after Hosmer & Lemeshow, Epidemiology 3 (1992), the synergy index on the
        log scale.
    """
    analysis = ctx.analysis
    exposure, modifier = ctx.exposure, analysis.modifier
    if exposure is None or modifier is None:
        raise ctx.fail("The analysis needs an exposure and a second variable", "with")
    term = f"{exposure}:{modifier}"
    ctx.variables.binary(exposure)
    with_it = ctx.variables.binary(modifier).values
    computed = Computed(exposure_terms=[exposure])
    try:
        m = model(ctx, extra=() if modifier in ctx.covariates else (modifier,))
    except NotComputableError as problem:
        computed.rows = failed(analysis.id, [term], _ADDITIVE, problem.reason, None)
        return computed
    events, persons, n = m.counts.events, m.counts.persons, m.persons
    a, b = m.columns[0].values, with_it[m.kept]
    cells = []
    for x in (1, 0):
        for y in (1, 0):
            side = (a == x) & (b == y)
            cells += [float(events[side].sum()), float((persons - events)[side].sum())]
    try:
        if min(cells) == 0:
            raise NotComputableError("empty-cell")
        columns = _product(ctx, m, modifier)
        prepared = Prepared.of(columns, persons)
        if not all(prepared.used):
            raise NotComputableError("collinear")
        fit = newton(prepared.std.z, events, persons)
        beta, covariance = prepared.std.back(fit.beta, fit.covariance)
        place = [prepared.names.index(name) for name in (exposure, modifier, columns[-1].term)]
        computed.rows = _additive(analysis.id, term, beta[place], covariance[np.ix_(place, place)], analysis.level, n)
    except NotComputableError as problem:
        computed.rows = failed(analysis.id, [term], _ADDITIVE, problem.reason, n)
    computed.groups = {"persons": n}
    computed.cells = {estimate["id"]: tuple(round(c) for c in cells) for estimate in computed.rows}
    computed.prevalence = m.events / n
    return computed


def _additive(analysis: str, term: str, beta: Floats, covariance: Floats, level: float, n: int) -> list[Estimate]:
    one, other, both = math.exp(beta[0]), math.exp(beta[1]), math.exp(float(beta.sum()))

    def se(gradient: Sequence[float]) -> float:
        g = np.asarray(gradient)
        return math.sqrt(max(float(g @ covariance @ g), 0.0))

    reri = both - one - other + 1
    rows = [
        wald(analysis, term, "reri", reri, se([both - one, both - other, both]), level=level, n=n),
        wald(
            analysis,
            term,
            "ap",
            reri / both,
            se([(other - 1) / both, (one - 1) / both, (one + other - 1) / both]),
            level=level,
            n=n,
        ),
    ]
    alone = one + other - 2
    if alone == 0 or (both - 1) / alone <= 0:
        return [*rows, row(analysis, term, "s", n=n, reason="not-defined")]
    share = both / (both - 1)
    gradient = [share - one / alone, share - other / alone, share]
    return [*rows, wald(analysis, term, "s", (both - 1) / alone, se(gradient), level=level, n=n, ratio=True)]

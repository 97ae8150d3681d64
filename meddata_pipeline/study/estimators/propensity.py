"""Propensity scores: weighting and matching, with the balance they reach.

Belongs here: estimates from weighted or matched persons. Does not belong here: outcome models (standardisation.py).
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from meddata_pipeline.core.expression import Floats
from meddata_pipeline.study.design import Column, Context
from meddata_pipeline.study.estimators.regression import exponential, failed, wald
from meddata_pipeline.study.estimators.result import Computed, Estimate, row
from meddata_pipeline.study.estimators.standardisation import cells_by_exposure, finish, prepare, propensity
from meddata_pipeline.study.variables import NotComputableError

_WEIGHTS = ("mean", "min", "max", "stabilised-mean", "ess-treated", "ess-untreated")


def _smd(values: Floats, a: Floats, weight: Floats, persons: Floats) -> float:
    """Difference of weighted means over the root of the mean of the two unweighted variances.

    Source: Austin & Stuart, Statistics in Medicine 34 (2015).
    """
    means, variances = [], []
    for side in (a == 1, a == 0):
        means.append(float(weight[side] @ values[side]) / float(weight[side].sum()))
        variances.append(_variance(values[side], persons[side]))
    spread = math.sqrt(sum(variances) / 2)
    return (means[0] - means[1]) / spread if spread > 0 else math.nan


def _variance(values: Floats, persons: Floats) -> float:
    n = float(persons.sum())
    if n < 2:
        return 0.0
    mean = float(persons @ values) / n
    return float(persons @ (values - mean) ** 2) / (n - 1)


def _covariates(columns: list[Column], terms: list[str]) -> list[Column]:
    return [column for column in columns if column.term not in terms]


def weighting(ctx: Context) -> Computed:
    """Inverse-probability, treated-population or overlap weights; Hájek estimates with robust standard errors.

    Raises:
        ConfigError: exposure or outcome are missing or of the wrong kind.

    Source:
        Lunceford & Davidian, Statistics in Medicine 23 (2004); Li, Morgan & Zaslavsky, JASA 113 (2018). The weights
        count as known, and the variance carries n / (n - 1), as in R's survey.
    """
    analysis = ctx.analysis
    exposure = str(ctx.exposure)
    try:
        m, y, a, persons = prepare(ctx)
    except NotComputableError as problem:
        return Computed(rows=failed(analysis.id, [exposure], ["rd", "or"], problem.reason, None))
    binary = bool(np.isin(y, (0.0, 1.0)).all())
    measures = ("rd", "or") if binary else ("md",)
    n = round(float(persons.sum()))
    computed = Computed()
    covariates = _covariates(m.columns, m.exposure_terms)
    try:
        share = propensity(m, a, persons)
    except NotComputableError as problem:
        computed.rows = failed(analysis.id, [exposure], measures, problem.reason, n)
        computed.rows += failed(analysis.id, ["propensity"], ("mean", "min", "max"), problem.reason, n)
        computed.rows += failed(analysis.id, ["weights"], _WEIGHTS, problem.reason, n)
        computed.rows += failed(
            analysis.id, [c.term for c in covariates], ("smd-before", "smd-after"), problem.reason, n
        )
        return finish(ctx, computed, y, a, persons)
    own = np.where(a == 1, share, 1 - share)
    weights = {"ate": 1 / own, "att": np.where(a == 1, 1.0, share / (1 - share)), "overlap": 1 - own}
    w = weights[analysis.estimand]
    computed.rows = _effects(analysis.id, exposure, y, a, w, persons, analysis.level, binary=binary)
    computed.rows += [
        row(analysis.id, "propensity", "mean", float(persons @ share) / n, n=n),
        row(analysis.id, "propensity", "min", float(share.min()), n=n),
        row(analysis.id, "propensity", "max", float(share.max()), n=n),
    ]
    exposed = float(persons @ a) / n
    stabilised = np.where(a == 1, exposed, 1 - exposed) * w
    sizes = {}
    for name, side in (("ess-treated", a == 1), ("ess-untreated", a == 0)):
        sizes[name] = float(persons[side] @ w[side]) ** 2 / float(persons[side] @ w[side] ** 2)
    found = {
        "mean": float(persons @ w) / n,
        "min": float(w.min()),
        "max": float(w.max()),
        "stabilised-mean": float(persons @ stabilised) / n,
        **sizes,
    }
    computed.rows += [row(analysis.id, "weights", name, found[name], n=n) for name in _WEIGHTS]
    for column in covariates:
        for name, weight in (("smd-before", persons), ("smd-after", persons * w)):
            value = _smd(column.values, a, weight, persons)
            reason = "no-variation" if math.isnan(value) else None
            computed.rows.append(row(analysis.id, column.term, name, value, n=n, reason=reason))
    return finish(ctx, computed, y, a, persons)


def _effects(
    analysis: str, exposure: str, y: Floats, a: Floats, w: Floats, persons: Floats, level: float, *, binary: bool
) -> list[Estimate]:
    n = float(persons.sum())
    factor = n / (n - 1)
    means, influences = [], []
    for side in (a, 1 - a):
        total = float(persons @ (w * side))
        mean = float(persons @ (w * side * y)) / total
        means.append(mean)
        influences.append(w * side * (y - mean) / total)
    one, nil = means

    def se(influence: Floats) -> float:
        return math.sqrt(factor * float(persons @ influence**2))

    size = round(n)
    difference = wald(
        analysis,
        exposure,
        "rd" if binary else "md",
        one - nil,
        se(influences[0] - influences[1]),
        level=level,
        n=size,
    )
    if not binary:
        return [difference]
    if not (0 < one < 1 and 0 < nil < 1):
        return [difference, row(analysis, exposure, "or", n=size, reason="empty-cell")]
    odds = math.log(one / (1 - one)) - math.log(nil / (1 - nil))
    influence = influences[0] / (one * (1 - one)) - influences[1] / (nil * (1 - nil))
    return [
        difference,
        wald(analysis, exposure, "or", exponential(odds), se(influence), level=level, n=size, ratio=True),
    ]


def matched_pairs(share: Floats, a: Floats, ratio: int) -> list[tuple[int, list[int]]]:
    """Nearest neighbours on the propensity score without replacement, the treated in order of falling score.

    With a ratio above 1 every treated gets its first neighbour before any gets a second one.

    Args:
        share: propensity score of each person.
        a: 1 for the treated.
        ratio: controls per treated.

    Returns:
        Treated and their controls, as positions; treated who got none are left out.

    Source:
        Ho, Imai, King & Stuart, Journal of Statistical Software 42 (2011).
    """
    treated = np.flatnonzero(a == 1)
    treated = treated[np.argsort(-share[treated], kind="stable")]
    pool = np.flatnonzero(a == 0)
    pool = pool[np.argsort(share[pool], kind="stable")]
    scores = share[pool]
    # Links to the next free control on either side, with path compression: near-linear time.
    right = np.arange(len(pool) + 1)
    left = np.arange(len(pool) + 1)
    found: dict[int, list[int]] = {int(t): [] for t in treated}

    def find(links: npt.NDArray[np.int64], at: int) -> int:
        root = at
        while links[root] != root:
            root = int(links[root])
        while links[at] != root:
            links[at], at = root, int(links[at])
        return root

    # left[i + 1] stands for control i, left[0] for none; right[i] for control i, right[-1] for none.
    for _ in range(ratio):
        for t in treated:
            at = int(np.searchsorted(scores, share[t], side="left"))
            up, down = find(right, at), find(left, at) - 1
            choices = []
            if up < len(pool):
                choices.append((abs(float(scores[up] - share[t])), int(pool[up]), up))
            if down >= 0:
                # Of equal scores the first in the table is taken.
                same = int(np.searchsorted(scores, scores[down], side="left"))
                first = find(right, same)
                choices.append((abs(float(scores[first] - share[t])), int(pool[first]), first))
            if not choices:
                break
            _, control, place = min(choices)
            found[int(t)].append(control)
            right[place] = place + 1
            left[place + 1] = place
    return [(t, controls) for t, controls in found.items() if controls]


def matching(ctx: Context) -> Computed:
    """Effects among matched persons; each treated counts once, its controls share its weight.

    Raises:
        ConfigError: exposure or outcome are missing or of the wrong kind.

    Source:
        Ho, Imai, King & Stuart 2011; standard error from the differences within the matched sets.
    """
    analysis = ctx.analysis
    exposure = str(ctx.exposure)
    try:
        m, y, a, persons = prepare(ctx)
    except NotComputableError as problem:
        return Computed(rows=failed(analysis.id, [exposure], ["rd"], problem.reason, None))
    measure = "rd" if np.isin(y, (0.0, 1.0)).all() else "md"
    rows = np.repeat(np.arange(len(y)), persons.astype(np.int64))
    computed = Computed()
    covariates = _covariates(m.columns, m.exposure_terms)
    n_all = len(rows)
    try:
        share = propensity(m, a, persons)
        sets = matched_pairs(share[rows], a[rows], analysis.ratio)
        if not sets:
            raise NotComputableError("no-match")
    except NotComputableError as problem:
        computed.rows = failed(analysis.id, [exposure], [measure], problem.reason, n_all)
        return finish(ctx, computed, y, a, persons)
    outcome = y[rows]
    weight = np.zeros(n_all)
    differences = np.empty(len(sets))
    for position, (t, controls) in enumerate(sets):
        weight[t] = 1.0
        weight[controls] += 1 / len(controls)
        differences[position] = outcome[t] - outcome[controls].mean()
    n = int((weight > 0).sum())
    value = float(differences.mean())
    se = float(differences.std(ddof=1)) / math.sqrt(len(sets)) if len(sets) > 1 else math.nan
    if math.isnan(se):
        computed.rows = [row(analysis.id, exposure, measure, value, n=n)]
    else:
        computed.rows = [wald(analysis.id, exposure, measure, value, se, level=analysis.level, n=n)]
    computed.rows.append(row(analysis.id, "model", "n", n, n=n))
    treated = a[rows]
    for column in covariates:
        values = column.values[rows]
        spread = math.sqrt(_variance(values[treated == 1], np.ones(int((treated == 1).sum()))))
        for name, w in (("smd-before", np.ones(n_all)), ("smd-after", weight)):
            means = [float(w[s] @ values[s]) / float(w[s].sum()) for s in (treated == 1, treated == 0)]
            smd = (means[0] - means[1]) / spread if spread > 0 else math.nan
            reason = "no-variation" if math.isnan(smd) else None
            computed.rows.append(row(analysis.id, column.term, name, smd, n=n, reason=reason))
    chosen = weight > 0
    cells = cells_by_exposure(outcome[chosen], treated[chosen], np.ones(n))
    computed.cells = {estimate["id"]: cells for estimate in computed.rows}
    return finish(ctx, computed, y, a, persons)

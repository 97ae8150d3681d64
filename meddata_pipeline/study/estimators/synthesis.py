"""Meta-analysis of two-by-two tables, one per study or hospital.

Belongs here: pooling of effects that come with their variance. Does not belong here: pooling of persons.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import stats

from meddata_pipeline.core.errors import BadInput
from meddata_pipeline.core.expression import Floats
from meddata_pipeline.study.design import Context
from meddata_pipeline.study.estimators.regression import failed, wald
from meddata_pipeline.study.estimators.result import Computed, row

_COLUMNS = ("events1", "total1", "events0", "total0")


def effects(cells: Floats, measure: str) -> tuple[Floats, Floats]:
    """Effect of each study (ratios as logarithms) and its variance; studies that say nothing are left out.

    Args:
        cells: events and totals of exposed and unexposed, (studies, 4).
        measure: ``or``, ``rr`` or ``rd``.

    Source:
        As R's metafor has it: one half is added to all cells of a study with an empty one; studies without any event
        (or with events only) are left out of ratios.
    """
    e1, n1, e0, n0 = cells.T
    if measure == "rd":
        kept = (n1 > 0) & (n0 > 0)
    else:
        kept = (n1 > 0) & (n0 > 0) & (e1 + e0 > 0) & ((measure == "rr") | (e1 + e0 < n1 + n0))
    a, b, c, d = (v[kept] for v in (e1, n1 - e1, e0, n0 - e0))
    empty = np.minimum(np.minimum(a, b), np.minimum(c, d)) == 0
    a, b, c, d = (v + np.where(empty, 0.5, 0.0) for v in (a, b, c, d))
    if measure == "or":
        return np.log(a * d / (b * c)), 1 / a + 1 / b + 1 / c + 1 / d
    if measure == "rr":
        return np.log(a / (a + b) / (c / (c + d))), 1 / a - 1 / (a + b) + 1 / c - 1 / (c + d)
    p1, p0 = a / (a + b), c / (c + d)
    return p1 - p0, p1 * (1 - p1) / (a + b) + p0 * (1 - p0) / (c + d)


def pool(y: Floats, v: Floats) -> dict[str, float]:
    """Fixed (inverse variance) and random (DerSimonian-Laird) effects, and heterogeneity.

    Args:
        y: effects.
        v: their variances.

    Returns:
        ``fixed``, ``fixed_se``, ``random``, ``random_se``, ``q``, ``df``, ``tau2``, ``i2`` (per cent).

    Source:
        DerSimonian & Laird, Controlled Clinical Trials 7 (1986); Higgins & Thompson, Statistics in Medicine 21 (2002).
    """
    w = 1 / v
    fixed = float(w @ y / w.sum())
    q = float(w @ (y - fixed) ** 2)
    df = len(y) - 1
    spread = float(w.sum() - (w**2).sum() / w.sum())
    tau2 = max(0.0, (q - df) / spread) if df and spread > 0 else 0.0
    wr = 1 / (v + tau2)
    # What a study of typical size leaves to chance; equals (q - df) / q for this tau2.
    typical = df / spread if df and spread > 0 else 1.0
    return {
        "fixed": fixed,
        "fixed_se": math.sqrt(1 / float(w.sum())),
        "random": float(wr @ y / wr.sum()),
        "random_se": math.sqrt(1 / float(wr.sum())),
        "q": q,
        "df": df,
        "tau2": tau2,
        "i2": 100 * tau2 / (tau2 + typical),
    }


def compute(ctx: Context) -> Computed:
    """Pool the studies of a table with one row a study.

    Raises:
        BadInput: a count is missing, or there are more events than persons.
    """
    analysis = ctx.analysis
    columns = [ctx.variables.numbers(str(getattr(analysis, name))) for name in _COLUMNS]
    cells = np.column_stack(columns)[ctx.subset]
    if np.isnan(cells).any():
        raise BadInput("A study lacks a count", where=f"analysis {analysis.id}")
    if (cells < 0).any() or (cells[:, 0] > cells[:, 1]).any() or (cells[:, 2] > cells[:, 3]).any():
        raise BadInput("A study has more events than persons, or a count below 0", where=f"analysis {analysis.id}")
    measure = analysis.measure
    y, v = effects(cells, measure)
    n = round(float(cells[:, 1].sum() + cells[:, 3].sum()))
    if not len(y) or (v <= 0).any():
        rows = failed(analysis.id, ["random", "fixed"], [measure], "no-events", n)
        return Computed(rows=rows + failed(analysis.id, ["heterogeneity"], ["tau2", "i2", "q"], "no-events", n))
    found = pool(y, v)
    ratio = measure != "rd"
    computed = Computed()
    for term in ("random", "fixed"):
        value = math.exp(found[term]) if ratio else found[term]
        se = found[f"{term}_se"]
        computed.rows.append(wald(analysis.id, term, measure, value, se, level=analysis.level, n=n, ratio=ratio))
    df = found["df"]
    p = float(stats.chi2.sf(found["q"], df)) if df else None
    computed.rows += [
        row(analysis.id, "heterogeneity", "tau2", found["tau2"], n=n),
        row(analysis.id, "heterogeneity", "i2", found["i2"], n=n),
        row(analysis.id, "heterogeneity", "q", found["q"], p=p, n=n, df=df),
    ]
    whole = tuple(round(float(x)) for x in (cells[:, 1].sum(), cells[:, 3].sum()))
    computed.cells = {estimate["id"]: whole for estimate in computed.rows}
    return computed

"""How many values are missing, by variable and group.

Belongs here: counts. Does not belong here: what is done about them (imputation.py).
"""

from __future__ import annotations

import numpy as np

from meddata_pipeline.disclosure.cells import CountTable
from meddata_pipeline.study.design import Context
from meddata_pipeline.study.estimators.result import Computed, row
from meddata_pipeline.study.variables import NotComputableError


def compute(ctx: Context) -> Computed:
    """Count the missing values of every variable of the analysis, in all and by group.

    Raises:
        ConfigError: a covariate that is no plain variable.
    """
    analysis = ctx.analysis
    by = analysis.by or ctx.exposure
    names = list(dict.fromkeys(n for n in (ctx.exposure, *ctx.covariates) if n is not None))
    if isinstance(ctx.outcome, str) and ctx.outcome not in names:
        names.append(ctx.outcome)
    computed = Computed()
    groups = {}
    if by is not None:
        try:
            coded = ctx.variables.get(by)
            if coded.kind == "number":
                coded = ctx.variables.binary(by)
            levels = list(coded.levels) or ["0", "1"]
            groups = {f"{by}={name}": ctx.subset & (coded.values == i) for i, name in enumerate(levels)}
        except NotComputableError as problem:
            return Computed(rows=[row(analysis.id, by, "missing", reason=problem.reason)])
    total = round(float(ctx.frequency[ctx.subset].sum()))
    computed.groups = {"persons": total, **{g: round(float(ctx.frequency[m].sum())) for g, m in groups.items()}}
    for name in names:
        if not ctx.variables.has(name):
            raise ctx.fail(f"Missing values are those of variables; {name[:60]!r} is none", "covariates")
        try:
            absent = np.isnan(ctx.variables.get(name).values)
        except NotComputableError:
            absent = np.ones(len(ctx.variables), dtype=bool)
        for label, mask in ((name, ctx.subset), *((f"{name}|{g}", m) for g, m in groups.items())):
            n = round(float(ctx.frequency[mask].sum()))
            missing = round(float(ctx.frequency[mask & absent].sum()))
            made = row(analysis.id, label, "missing", missing, n=n)
            computed.rows.append(made)
            counts = ((n - missing,), (missing,))
            shown = ((made["id"],),)
            computed.tables.append(CountTable(analysis.id, counts, (shown, shown), (True, True)))
    return computed

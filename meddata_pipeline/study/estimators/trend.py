"""The Cochran-Armitage test for trend of shares over ordered levels.

Belongs here: the test with scores 1, 2, 3 …. Does not belong here: dose-response models.
"""

from __future__ import annotations

import numpy as np
from scipy import stats

from meddata_pipeline.disclosure.cells import CountTable
from meddata_pipeline.study.design import Context, outcome_counts
from meddata_pipeline.study.estimators.regression import failed
from meddata_pipeline.study.estimators.result import Computed, row
from meddata_pipeline.study.variables import NotComputableError


def compute(ctx: Context) -> Computed:
    """Test for trend over the levels of the exposure.

    Raises:
        ConfigError: no exposure, or one that is no category.

    Source:
        Armitage, Biometrics 11 (1955); the statistic of R's prop.trend.test.
    """
    analysis = ctx.analysis
    exposure = ctx.exposure
    if exposure is None:
        raise ctx.fail("The analysis needs an exposure", "exposure")
    computed = Computed(exposure_terms=[exposure])
    counts, known = outcome_counts(ctx)
    try:
        coded = ctx.variables.get(exposure)
    except NotComputableError as problem:
        computed.rows = failed(analysis.id, [exposure], ["cochran-armitage"], problem.reason, None)
        return computed
    if coded.kind != "category":
        raise ctx.fail("A trend needs a category in order", "exposure")
    kept = known & ctx.subset & ~np.isnan(coded.values)
    codes = coded.values[kept].astype(np.int64)
    events = np.bincount(codes, weights=counts.events[kept], minlength=len(coded.levels))
    persons = np.bincount(codes, weights=counts.persons[kept], minlength=len(coded.levels))
    total, n = float(events.sum()), float(persons.sum())
    reason = "no-complete-rows" if n == 0 else "no-events" if total == 0 else "no-non-events" if total == n else None
    statistic, p = None, None
    if reason is None:
        score = np.arange(1, len(events) + 1, dtype=np.float64)
        share = total / n
        distance = float(score @ (events - persons * share))
        spread = share * (1 - share) * (float(persons @ score**2) - float(persons @ score) ** 2 / n)
        if spread > 0:
            statistic = distance**2 / spread
            p = float(stats.chi2.sf(statistic, 1))
        else:
            reason = "no-contrast"
    made = row(
        analysis.id,
        exposure,
        "cochran-armitage",
        statistic,
        p=p,
        n=round(n),
        df=1 if statistic else None,
        reason=reason,
    )
    computed.rows = [made]
    computed.prevalence = total / n if n else None
    lines = tuple((round(e), round(t - e)) for e, t in zip(events, persons, strict=True))
    computed.cells = {made["id"]: tuple(v for line in lines for v in line)}
    ids = (((made["id"],), (made["id"],)),) * len(lines)
    computed.tables = [CountTable(analysis.id, lines, ids, (False,) * len(lines))]
    computed.groups = {f"{exposure}={name}": round(t) for name, t in zip(coded.levels, persons, strict=True)}
    return computed

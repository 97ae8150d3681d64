"""Stratified two-by-two tables: Mantel-Haenszel summaries, their tests, homogeneity over strata.

Belongs here: sums over strata. Does not belong here: a single table (two_by_two.py), stratified models.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from meddata_pipeline.core.expression import Floats
from meddata_pipeline.disclosure.cells import CountTable
from meddata_pipeline.study.design import Context, labels, outcome_counts
from meddata_pipeline.study.estimators.regression import failed, wald
from meddata_pipeline.study.estimators.result import Computed, Estimate, row
from meddata_pipeline.study.estimators.two_by_two import Table, tables_by
from meddata_pipeline.study.variables import NotComputableError

_SUMMARIES = ("or", "rr", "rd")
_TESTS = ("chi2", "chi2-corrected", "breslow-day", "tarone")


@dataclass(frozen=True)
class Strata:
    """Four counts by stratum, each an array: exposed cases, exposed others, unexposed cases, unexposed others."""

    a: Floats
    b: Floats
    c: Floats
    d: Floats

    @classmethod
    def of(cls, tables: Sequence[Table]) -> Strata:
        """Tables that say something: both exposures are there."""
        cells = np.array([(t.a, t.b, t.c, t.d) for t in tables], dtype=np.float64).reshape(-1, 4)
        kept = cells[(cells[:, :2].sum(axis=1) > 0) & (cells[:, 2:].sum(axis=1) > 0)]
        return cls(*kept.T)

    @property
    def n(self) -> Floats:
        """Persons by stratum."""
        return self.a + self.b + self.c + self.d

    def odds_ratio(self) -> tuple[float, float]:
        """The common odds ratio and the standard error of its logarithm.

        Source: Mantel & Haenszel 1959; Robins, Breslow & Greenland, Biometrics 42 (1986).
        """
        n = self.n
        r, s = self.a * self.d / n, self.b * self.c / n
        p, q = (self.a + self.d) / n, (self.b + self.c) / n
        total_r, total_s = float(r.sum()), float(s.sum())
        if total_r == 0 or total_s == 0:
            raise NotComputableError("empty-cell")
        variance = (
            float((p * r).sum()) / (2 * total_r**2)
            + float((p * s + q * r).sum()) / (2 * total_r * total_s)
            + float((q * s).sum()) / (2 * total_s**2)
        )
        return total_r / total_s, math.sqrt(variance)

    def risk_ratio(self) -> tuple[float, float]:
        """The common risk ratio and the standard error of its logarithm.

        Source: Greenland & Robins, Biometrics 41 (1985).
        """
        n, exposed, unexposed = self.n, self.a + self.b, self.c + self.d
        r, s = self.a * unexposed / n, self.c * exposed / n
        total_r, total_s = float(r.sum()), float(s.sum())
        if total_r == 0 or total_s == 0:
            raise NotComputableError("empty-cell")
        cases = self.a + self.c
        own = float(((exposed * unexposed * cases - self.a * self.c * n) / n**2).sum())
        return total_r / total_s, math.sqrt(own / (total_r * total_s))

    def risk_difference(self) -> tuple[float, float]:
        """The common risk difference and its standard error.

        Source: Sato, Greenland & Robins, Biometrics 45 (1989): right for few large and for many small strata.
        """
        n, exposed, unexposed = self.n, self.a + self.b, self.c + self.d
        weight = exposed * unexposed / n
        total = float(weight.sum())
        difference = float(((self.a * unexposed - self.c * exposed) / n).sum()) / total
        p = (exposed**2 * self.c - unexposed**2 * self.a + exposed * unexposed * (unexposed - exposed) / 2) / n**2
        q = (self.a * self.d + self.c * self.b) / (2 * n)
        variance = (difference * float(p.sum()) + float(q.sum())) / total**2
        return difference, math.sqrt(max(variance, 0.0))

    def chi_square(self, *, corrected: bool) -> float:
        """The Mantel-Haenszel test, with the correction by one half that R's mantelhaen.test applies."""
        n, exposed, cases = self.n, self.a + self.b, self.a + self.c
        kept = n > 1
        expected = exposed * cases / n
        variance = (exposed * (n - exposed) * cases * (n - cases))[kept] / (n**2 * (n - 1))[kept]
        spread = float(variance.sum())
        if spread <= 0:
            raise NotComputableError("no-variation")
        distance = abs(float((self.a - expected)[kept].sum()))
        shift = min(0.5, distance) if corrected else 0.0
        return (distance - shift) ** 2 / spread

    def homogeneity(self, odds_ratio: float) -> tuple[float, float, int]:
        """Breslow and Day's statistic, Tarone's correction of it, and their degrees of freedom.

        Source: Breslow & Day, Statistical Methods in Cancer Research I (1980), section 4.4; Tarone, Biometrika 72
        (1985).
        """
        n, exposed, cases = self.n, self.a + self.b, self.a + self.c
        informative = (cases > 0) & (cases < n)
        if int(informative.sum()) < 2:
            raise NotComputableError("one-stratum")
        a, n, exposed, cases = (v[informative] for v in (self.a, n, exposed, cases))
        if abs(odds_ratio - 1) < 1e-12:
            fitted = exposed * cases / n
        else:
            # The table's a under the common odds ratio: the root of a quadratic that lies within the margins.
            q2 = 1 - odds_ratio
            q1 = n - exposed - cases + odds_ratio * (exposed + cases)
            q0 = -odds_ratio * exposed * cases
            fitted = (-q1 + np.sqrt(q1**2 - 4 * q2 * q0)) / (2 * q2)
        variance = 1 / (1 / fitted + 1 / (cases - fitted) + 1 / (exposed - fitted) + 1 / (n - exposed - cases + fitted))
        statistic = float(((a - fitted) ** 2 / variance).sum())
        tarone = statistic - float((a - fitted).sum()) ** 2 / float(variance.sum())
        return statistic, tarone, int(informative.sum()) - 1


def compute(ctx: Context) -> Computed:
    """All Mantel-Haenszel rows of an analysis, and the odds ratio of each stratum.

    Raises:
        ConfigError: no exposure, or one that is a number.
    """
    analysis = ctx.analysis
    exposure = ctx.exposure
    if exposure is None or analysis.strata is None:
        raise ctx.fail("The analysis needs an exposure and strata", "exposure")
    computed = Computed()
    codes, names = labels(ctx, analysis.strata)
    counts, known = outcome_counts(ctx)
    try:
        by_term = tables_by(ctx, exposure, counts, known & (codes >= 0), codes, len(names))
    except NotComputableError as problem:
        computed.rows = failed(analysis.id, [exposure], (*_SUMMARIES, *_TESTS), problem.reason, None)
        return computed
    for term, tables in by_term:
        _rows(computed, analysis.id, term, tables, names, analysis.level)
    return computed


def _rows(
    computed: Computed, analysis: str, term: str, tables: Sequence[Table], names: Sequence[str], level: float
) -> None:
    """Rows of one exposure term over all strata."""
    strata = Strata.of(tables)
    n = round(sum(t.n for t in tables))
    computed.exposure_terms.append(term)
    everything = tuple(round(sum(getattr(t, cell) for t in tables)) for cell in "abcd")
    made: list[Estimate] = []
    common: float | None = None
    for measure, summary in (
        ("or", strata.odds_ratio),
        ("rr", strata.risk_ratio),
        ("rd", strata.risk_difference),
    ):
        try:
            if not len(strata.a):
                raise NotComputableError("no-contrast")
            value, se = summary()
        except NotComputableError as problem:
            made.append(row(analysis, term, measure, n=n, reason=problem.reason))
            continue
        common = value if measure == "or" else common
        made.append(wald(analysis, term, measure, value, se, level=level, n=n, ratio=measure != "rd"))
    for measure, corrected in (("chi2", False), ("chi2-corrected", True)):
        try:
            value = strata.chi_square(corrected=corrected)
            made.append(row(analysis, term, measure, value, p=float(stats.chi2.sf(value, 1)), n=n, df=1))
        except NotComputableError as problem:
            made.append(row(analysis, term, measure, n=n, reason=problem.reason))
    try:
        if common is None:
            raise NotComputableError("empty-cell")
        breslow_day, tarone, df = strata.homogeneity(common)
        for measure, value in (("breslow-day", breslow_day), ("tarone", tarone)):
            made.append(row(analysis, term, measure, value, p=float(stats.chi2.sf(value, df)), n=n, df=df))
    except NotComputableError as problem:
        made += [row(analysis, term, measure, n=n, reason=problem.reason) for measure in ("breslow-day", "tarone")]
    computed.rows += made
    computed.cells |= {estimate["id"]: everything for estimate in made}
    for name, table in zip(names, tables, strict=True):
        size = round(table.n)
        if not size:
            continue
        if min(table.a, table.b, table.c, table.d) > 0:
            se = math.sqrt(1 / table.a + 1 / table.b + 1 / table.c + 1 / table.d)
            value = table.a * table.d / (table.b * table.c)
            own = wald(analysis, f"{term}|{name}", "or", value, se, level=level, n=size, ratio=True)
        else:
            own = row(analysis, f"{term}|{name}", "or", n=size, reason="empty-cell")
        computed.rows.append(own)
        cells = tuple(round(v) for v in (table.a, table.b, table.c, table.d))
        computed.cells[own["id"]] = cells
        computed.tables.append(
            CountTable(analysis, (cells[:2], cells[2:]), (((own["id"],), (own["id"],)),) * 2, (False, False))
        )

"""Two-by-two tables: odds ratio, risk ratio, risk difference, exact and corrected forms, chi-square tests.

Belongs here: everything that four counts give. Does not belong here: strata (another method) and models.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import optimize, special, stats

from meddata_pipeline.core.expression import Floats
from meddata_pipeline.disclosure.cells import CountTable
from meddata_pipeline.study.design import Context, Counts, Mask, outcome_counts
from meddata_pipeline.study.estimators.regression import Codes
from meddata_pipeline.study.estimators.result import Computed, Estimate, row
from meddata_pipeline.study.variables import NotComputableError

_RATIOS = ("or", "rr", "rd")
_ALL = (*_RATIOS, "or-fisher", "or-midp", "or-haldane", "chi2", "chi2-yates")
#: Two tables whose probabilities differ by less than this factor count as equally likely (as R's fisher.test has it).
_TIE = 1 + 1e-7
#: Bounds of the search for a log odds ratio; exp(60) is beyond anything that counts of persons can give.
_FAR = 60.0


@dataclass(frozen=True)
class Table:
    """Four counts: exposed cases, exposed non-cases, unexposed cases, unexposed non-cases."""

    a: float
    b: float
    c: float
    d: float

    @property
    def n(self) -> float:
        """All persons."""
        return self.a + self.b + self.c + self.d

    @property
    def problem(self) -> str | None:
        """Why no comparison is possible at all, if so."""
        if self.a + self.b == 0 or self.c + self.d == 0:
            return "no-contrast"
        if self.a + self.c == 0:
            return "no-events"
        if self.b + self.d == 0:
            return "no-non-events"
        return None


def chi_square(t: Table, *, corrected: bool = False) -> float:
    """Pearson's chi-square of a two-by-two table, with Yates's continuity correction if wanted.

    Source: the correction is min(0.5, |observed - expected|), as R's chisq.test applies it.
    """
    rows = ((t.a, t.b), (t.c, t.d))
    totals = (t.a + t.b, t.c + t.d)
    sides = (t.a + t.c, t.b + t.d)
    difference = abs(t.a - totals[0] * sides[0] / t.n)
    shift = min(0.5, difference) if corrected else 0.0
    return sum(
        (difference - shift) ** 2 / (totals[i] * sides[j] / t.n) for i in range(2) for j in range(2) if rows[i][j] >= 0
    )


class Hypergeometric:
    """Fisher's noncentral hypergeometric distribution of `a`, given the margins of the table.

    Source: Breslow & Day, Statistical Methods in Cancer Research I (1980), section 4.2; computed in logarithms, so that
    large tables neither overflow nor lose their tails.
    """

    def __init__(self, t: Table) -> None:
        exposed, unexposed, cases = int(t.a + t.b), int(t.c + t.d), int(t.a + t.c)
        self.observed = int(t.a)
        self.support = np.arange(max(0, cases - unexposed), min(cases, exposed) + 1)
        x = self.support
        self.base = (
            -special.gammaln(x + 1)
            - special.gammaln(exposed - x + 1)
            - special.gammaln(cases - x + 1)
            - special.gammaln(unexposed - cases + x + 1)
        )

    def probabilities(self, log_or: float) -> Floats:
        """Probability of each value of the support at a log odds ratio."""
        logs = self.base + self.support * log_or
        weights = np.exp(logs - logs.max())
        result: Floats = weights / weights.sum()
        return result

    def mean(self, log_or: float) -> float:
        """Expected `a`."""
        return float(self.probabilities(log_or) @ self.support)

    def tail(self, log_or: float, *, upper: bool, own: float) -> float:
        """Probability of a value as far out as the observed one; the observed value counts `own`."""
        p = self.probabilities(log_or)
        beyond = self.support > self.observed if upper else self.support < self.observed
        return float(p[beyond].sum() + own * p[self.support == self.observed].sum())

    def solve(self, target: float, *, upper: bool, own: float) -> float:
        """Log odds ratio at which a tail has the target probability."""
        return float(
            optimize.brentq(lambda x: self.tail(x, upper=upper, own=own) - target, -_FAR, _FAR, xtol=1e-13, rtol=1e-14)
        )

    @property
    def at_bottom(self) -> bool:
        """The observed count is the least possible one."""
        return self.observed == int(self.support[0])

    @property
    def at_top(self) -> bool:
        """The observed count is the greatest possible one."""
        return self.observed == int(self.support[-1])


def fisher(t: Table, level: float) -> tuple[float, float, float, float]:
    """Conditional maximum likelihood odds ratio, exact interval, two-sided Fisher p.

    Source: as R's fisher.test: the interval joins two one-sided exact limits, p sums all tables that are no likelier.
    """
    h = Hypergeometric(t)
    alpha = (1 - level) / 2
    null = h.probabilities(0.0)
    seen = null[h.support == h.observed][0]
    p = min(1.0, float(null[null <= seen * _TIE].sum()))
    if h.at_bottom and h.at_top:
        return math.nan, 0.0, math.inf, 1.0
    if h.at_bottom:
        estimate = 0.0
    elif h.at_top:
        estimate = math.inf
    else:
        estimate = math.exp(optimize.brentq(lambda x: h.mean(x) - h.observed, -_FAR, _FAR, xtol=1e-13, rtol=1e-14))
    low = 0.0 if h.at_bottom else math.exp(h.solve(alpha, upper=True, own=1.0))
    high = math.inf if h.at_top else math.exp(h.solve(alpha, upper=False, own=1.0))
    return estimate, low, high, p


def mid_p(t: Table, level: float) -> tuple[float, float, float, float]:
    """Median-unbiased odds ratio with mid-p interval and mid-p value.

    Source: Rothman & Greenland, Modern Epidemiology; the same quantities as epitools' oddsratio.midp in R.
    """
    h = Hypergeometric(t)
    alpha = (1 - level) / 2
    upper = h.tail(0.0, upper=True, own=0.5)
    p = min(1.0, 2 * min(upper, 1 - upper))
    if h.at_bottom and h.at_top:
        return math.nan, 0.0, math.inf, 1.0
    estimate = 0.0 if h.at_bottom else math.inf if h.at_top else math.exp(h.solve(0.5, upper=True, own=0.5))
    low = 0.0 if h.at_bottom else math.exp(h.solve(alpha, upper=True, own=0.5))
    high = math.inf if h.at_top else math.exp(h.solve(alpha, upper=False, own=0.5))
    return estimate, low, high, p


def adjust(p_values: Sequence[float], method: str) -> list[float]:
    """Adjust p-values for multiplicity: holm, bh, by or bonferroni.

    Source: Holm 1979; Benjamini & Hochberg 1995; Benjamini & Yekutieli 2001; same results as R's p.adjust.
    """
    p = np.asarray(p_values, dtype=np.float64)
    m = len(p)
    order = np.argsort(p, kind="stable")
    rank = np.arange(1, m + 1)
    ordered = p[order]
    if method == "bonferroni":
        changed = ordered * m
    elif method == "holm":
        changed = np.maximum.accumulate(ordered * (m - rank + 1))
    else:
        factor = float(np.sum(1 / rank)) if method == "by" else 1.0
        changed = np.minimum.accumulate((ordered * m * factor / rank)[::-1])[::-1]
    result = np.empty(m)
    result[order] = np.minimum(changed, 1.0)
    return [float(value) for value in result]


def measures(analysis: str, term: str, t: Table, level: float) -> list[Estimate]:
    """All rows of one table.

    Source: Wald intervals on the log scale for the ratios, on the plain scale for the risk difference; p of `or`, `rr`
    and `rd` from the uncorrected chi-square; Haldane 1956 and Anscombe 1956 for 0.5 added to every cell.
    """
    n = round(t.n)
    counts = [row(analysis, term, name, getattr(t, name), n=n) for name in ("a", "b", "c", "d")]
    problem = t.problem
    if problem is not None:
        return [*(row(analysis, term, measure, n=n, reason=problem) for measure in _ALL), *counts]
    z = float(stats.norm.ppf(0.5 + level / 2))
    chi2, yates = chi_square(t), chi_square(t, corrected=True)
    p = float(stats.chi2.sf(chi2, 1))
    exposed, unexposed = t.a + t.b, t.c + t.d
    risk1, risk0 = t.a / exposed, t.c / unexposed

    def ratio(measure: str, value: float, se: float, p_value: float) -> Estimate:
        low, high = value * math.exp(-z * se), value * math.exp(z * se)
        return row(analysis, term, measure, value, low, high, p=p_value, n=n, se=se)

    rows = []
    if min(t.a, t.b, t.c, t.d) > 0:
        rows.append(ratio("or", t.a * t.d / (t.b * t.c), math.sqrt(1 / t.a + 1 / t.b + 1 / t.c + 1 / t.d), p))
    else:
        rows.append(row(analysis, term, "or", n=n, reason="empty-cell"))
    if t.a > 0 and t.c > 0:
        rows.append(ratio("rr", risk1 / risk0, math.sqrt(1 / t.a - 1 / exposed + 1 / t.c - 1 / unexposed), p))
    else:
        rows.append(row(analysis, term, "rr", n=n, reason="empty-cell"))
    se = math.sqrt(risk1 * (1 - risk1) / exposed + risk0 * (1 - risk0) / unexposed)
    rd = risk1 - risk0
    rows.append(row(analysis, term, "rd", rd, rd - z * se, rd + z * se, p=p, n=n, se=se))
    estimate, low, high, exact = fisher(t, level)
    rows.append(row(analysis, term, "or-fisher", estimate, low, high, p=exact, n=n))
    estimate, low, high, mid = mid_p(t, level)
    rows.append(row(analysis, term, "or-midp", estimate, low, high, p=mid, n=n))
    h = Table(t.a + 0.5, t.b + 0.5, t.c + 0.5, t.d + 0.5)
    se = math.sqrt(1 / h.a + 1 / h.b + 1 / h.c + 1 / h.d)
    haldane = h.a * h.d / (h.b * h.c)
    rows.append(ratio("or-haldane", haldane, se, float(2 * stats.norm.sf(abs(math.log(haldane)) / se))))
    rows.append(row(analysis, term, "chi2", chi2, p=p, n=n, df=1))
    rows.append(row(analysis, term, "chi2-yates", yates, p=float(stats.chi2.sf(yates, 1)), n=n, df=1))
    return [*rows, *counts]


def tables_by(
    ctx: Context, exposure: str, counts: Counts, known: Mask, codes: Codes, groups: int
) -> list[tuple[str, list[Table]]]:
    """Tables of a binary exposure, or of each level of a category against its reference, one per group.

    Args:
        ctx: the analysis.
        exposure: name of the exposure.
        counts: the outcome.
        known: rows to use.
        codes: group of each row, from 0.
        groups: number of groups.
    """
    coded = ctx.variables.get(exposure)
    if coded.kind != "category":
        coded = ctx.variables.binary(exposure)
    kept = known & ctx.subset & ~np.isnan(coded.values)

    def tables(exposed: Mask, unexposed: Mask) -> list[Table]:
        cells = []
        for side in (kept & exposed, kept & unexposed):
            events = np.bincount(codes[side], weights=counts.events[side], minlength=groups)
            persons = np.bincount(codes[side], weights=counts.persons[side], minlength=groups)
            cells += [events, persons - events]
        return [Table(*(float(v) for v in group)) for group in np.array(cells).T]

    if coded.kind == "binary":
        return [(exposure, tables(coded.values == 1, coded.values == 0))]
    return [
        (f"{exposure}={level}", tables(coded.values == position, coded.values == coded.reference))
        for position, level in enumerate(coded.levels)
        if position != coded.reference
    ]


def _tables(ctx: Context, exposure: str) -> list[tuple[str, Table]]:
    counts, known = outcome_counts(ctx)
    one_group = np.zeros(len(known), dtype=np.int64)
    return [(term, found[0]) for term, found in tables_by(ctx, exposure, counts, known, one_group, 1)]


def _count_table(analysis: str, shown: Sequence[tuple[Table, tuple[str, ...]]]) -> CountTable:
    """Levels by outcome; every measure of a level rests on its own cells and on the reference's."""
    everything = tuple(i for _, ids in shown for i in ids)
    lines = [((round(t.a), round(t.b)), (ids, ids)) for t, ids in shown]
    if shown:
        reference = shown[0][0]
        lines.append(((round(reference.c), round(reference.d)), (everything, everything)))
    return CountTable(analysis, tuple(c for c, _ in lines), tuple(i for _, i in lines), (False,) * len(lines))


def _groups(ctx: Context, tables: Sequence[tuple[str, Table]]) -> dict[str, int]:
    """Persons by exposure, and where the exposure is binary by outcome and in all."""
    if len(tables) != 1 or "=" in tables[0][0]:
        return {term: round(t.a + t.b) for term, t in tables}
    term, t = tables[0]
    outcome = ctx.outcome if isinstance(ctx.outcome, str) else "event"
    return {
        f"{term}=1": round(t.a + t.b),
        f"{term}=0": round(t.c + t.d),
        f"{outcome}=1": round(t.a + t.c),
        f"{outcome}=0": round(t.b + t.d),
        "persons": round(t.n),
    }


def compute(ctx: Context) -> Computed:
    """All two-by-two tables of an analysis, with adjusted Fisher p-values where asked for.

    Raises:
        ConfigError: no exposure, or one that is a number.
    """
    analysis = ctx.analysis
    exposures = analysis.exposures or ([ctx.exposure] if ctx.exposure else [])
    if not exposures:
        raise ctx.fail("The analysis needs an exposure", "exposure")
    computed = Computed()
    p_values: list[tuple[str, float]] = []
    for exposure in exposures:
        try:
            tables = _tables(ctx, exposure)
        except NotComputableError as problem:
            computed.rows += [row(analysis.id, exposure, measure, reason=problem.reason) for measure in _ALL]
            continue
        shown: list[tuple[Table, tuple[str, ...]]] = []
        for term, table in tables:
            rows = measures(analysis.id, term, table, analysis.level)
            shown.append((table, tuple(r["id"] for r in rows)))
            cells = tuple(round(v) for v in (table.a, table.b, table.c, table.d))
            computed.rows += rows
            computed.cells |= {r["id"]: cells for r in rows}
            computed.exposure_terms.append(term)
            exact = next(r["p"] for r in rows if r["measure"] == "or-fisher")
            if exact is not None:
                p_values.append((term, exact))
        computed.tables.append(_count_table(analysis.id, shown))
        first = shown[0][0] if shown else None
        if first is not None and first.n:
            computed.prevalence = (first.a + first.c) / first.n
        computed.groups |= _groups(ctx, [(term, table) for term, table in tables])
    for method in analysis.adjust:
        for (term, _), value in zip(p_values, adjust([p for _, p in p_values], method), strict=True):
            adjusted = row(analysis.id, term, f"p-fisher-{method}", value, p=value)
            computed.rows.append(adjusted)
            computed.cells[adjusted["id"]] = computed.cells[f"{analysis.id}/{term}/or-fisher"]
    return computed

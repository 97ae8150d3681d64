"""Table 1: who is in each group, with standardised differences and tests.

Belongs here: descriptive rows by group and the counts they come from. Does not belong here: what of it may be shown.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from scipy import stats

from meddata_pipeline.core.expression import Floats
from meddata_pipeline.disclosure.cells import CountTable
from meddata_pipeline.study.design import Context, Mask
from meddata_pipeline.study.estimators.result import Computed, Estimate, row
from meddata_pipeline.study.variables import Coded, NotComputableError

_NUMBER_MEASURES = ("mean", "sd", "median", "q25", "q75")


def smd_number(one: Floats, other: Floats) -> float:
    """Difference of means over the root of the mean of both variances (n - 1)."""
    spread = math.sqrt((float(np.var(one, ddof=1)) + float(np.var(other, ddof=1))) / 2)
    return (float(one.mean()) - float(other.mean())) / spread if spread > 0 else math.nan


def smd_share(one: float, other: float) -> float:
    """Difference of shares over the root of the mean of p(1 - p)."""
    spread = math.sqrt((one * (1 - one) + other * (1 - other)) / 2)
    return (one - other) / spread if spread > 0 else math.nan


def smd_shares(one: Floats, other: Floats) -> float:
    """Distance of two distributions over the levels of a category.

    Source: Yang & Dalton, A unified approach to measuring the effect size between two groups (SAS Global Forum 2012):
    Mahalanobis distance of the shares of all levels but one.
    """
    difference = (one - other)[1:]
    spread = sum(np.diag(share[1:]) - np.outer(share[1:], share[1:]) for share in (one, other)) / 2
    return math.sqrt(max(float(difference @ np.linalg.pinv(spread) @ difference), 0.0))


def welch(one: Floats, other: Floats) -> tuple[float, float, float]:
    """Welch's t statistic, degrees of freedom and two-sided p; NaN where a group is too small or does not vary."""
    if min(len(one), len(other)) < 2:
        return math.nan, math.nan, math.nan
    v1, v0 = float(np.var(one, ddof=1)) / len(one), float(np.var(other, ddof=1)) / len(other)
    if v1 + v0 <= 0:
        return math.nan, math.nan, math.nan
    t = (float(one.mean()) - float(other.mean())) / math.sqrt(v1 + v0)
    df = (v1 + v0) ** 2 / (v1**2 / (len(one) - 1) + v0**2 / (len(other) - 1))
    return t, df, float(2 * stats.t.sf(abs(t), df))


def wilcoxon(one: Floats, other: Floats) -> tuple[float, float]:
    """Rank-sum statistic W and its two-sided p by the normal approximation with ties and continuity correction.

    Source: as R's wilcox.test(exact = FALSE, correct = TRUE).
    """
    n1, n0 = len(one), len(other)
    if min(n1, n0) < 1:
        return math.nan, math.nan
    pooled = np.concatenate([one, other])
    total = n1 + n0
    w = float(stats.rankdata(pooled)[:n1].sum()) - n1 * (n1 + 1) / 2
    _, ties = np.unique(pooled, return_counts=True)
    variance = n1 * n0 / 12 * ((total + 1) - float((ties.astype(np.float64) ** 3 - ties).sum()) / (total * (total - 1)))
    if variance <= 0:
        return w, math.nan
    distance = w - n1 * n0 / 2
    z = (distance - math.copysign(0.5, distance) * (distance != 0)) / math.sqrt(variance)
    return w, min(1.0, float(2 * stats.norm.sf(abs(z))))


class _Builder:
    """Collects the rows and count tables of one Table 1."""

    def __init__(self, ctx: Context, groups: dict[str, Mask]) -> None:
        self.id = ctx.analysis.id
        self.frequency = ctx.frequency
        self.groups = groups
        sizes = {label: self.persons(mask) for label, mask in groups.items()}
        self.computed = Computed(groups={**sizes, "persons": sum(sizes.values())})

    def persons(self, mask: Mask) -> int:
        return round(float(self.frequency[mask].sum()))

    def add(self, estimate: Estimate) -> str:
        self.computed.rows.append(estimate)
        return estimate["id"]

    def repeated(self, values: Floats, mask: Mask) -> Floats:
        """The values of a group's persons, missing ones left out."""
        chosen = mask & ~np.isnan(values)
        if (self.frequency[chosen] == 1).all():
            return values[chosen]
        return np.repeat(values[chosen], self.frequency[chosen].astype(np.int64))

    def variable(self, coded: Coded) -> None:
        known = ~np.isnan(coded.values)
        first = len(self.computed.rows)
        n_ids: dict[str, str] = {}
        missing_ids: dict[str, str] = {}
        n_of: dict[str, int] = {}
        for label, mask in self.groups.items():
            n, missing = self.persons(mask & known), self.persons(mask & ~known)
            n_of[label] = n
            n_ids[label] = self.add(row(self.id, f"{coded.name}|{label}", "n", n, n=n))
            missing_ids[label] = self.add(row(self.id, f"{coded.name}|{label}", "missing", missing, n=n))
        if coded.kind == "number":
            self.number(coded, n_of)
            levels: dict[str, Mask] = {}
        elif coded.kind == "binary":
            levels = {"1": coded.values == 1, "0": coded.values == 0}
        else:
            levels = {name: coded.values == position for position, name in enumerate(coded.levels)}
        table = self.levels(coded, levels, n_of, n_ids, missing_ids)
        rows = tuple(estimate["id"] for estimate in self.computed.rows[first:])
        self.computed.tables.append(replace(table, n_dependents=rows))

    def number(self, coded: Coded, n_of: dict[str, int]) -> None:
        samples = [self.repeated(coded.values, mask) for mask in self.groups.values()]
        for (label, n), sample in zip(n_of.items(), samples, strict=True):
            values = [math.nan] * 5
            if len(sample):
                q25, median, q75 = np.quantile(sample, [0.25, 0.5, 0.75], method="linear")
                sd = float(np.std(sample, ddof=1)) if len(sample) > 1 else math.nan
                values = [float(sample.mean()), sd, float(median), float(q25), float(q75)]
            for measure, value in zip(_NUMBER_MEASURES, values, strict=True):
                reason = None if not math.isnan(value) else "too-few"
                self.add(row(self.id, f"{coded.name}|{label}", measure, value, n=n, reason=reason))
        self.compare(coded.name, sum(n_of.values()), samples)

    def compare(self, name: str, n: int, samples: list[Floats]) -> None:
        if len(samples) != 2:
            for measure in ("smd", "welch", "wilcoxon"):
                self.add(row(self.id, name, measure, n=n, reason="not-two-groups"))
            return
        other, one = samples
        enough = min(len(one), len(other)) > 1
        smd = smd_number(one, other) if enough else math.nan
        self.add(row(self.id, name, "smd", smd, n=n, reason=None if not math.isnan(smd) else "no-variation"))
        t, df, p = welch(one, other)
        self.add(row(self.id, name, "welch", t, p=p, n=n, df=df, reason=None if not math.isnan(t) else "no-variation"))
        w, p = wilcoxon(one, other)
        reason = "no-variation" if math.isnan(p) else None
        self.add(row(self.id, name, "wilcoxon", None if reason else w, p=p, n=n, reason=reason))

    def levels(
        self,
        coded: Coded,
        levels: dict[str, Mask],
        n_of: dict[str, int],
        n_ids: dict[str, str],
        missing_ids: dict[str, str],
    ) -> CountTable:
        labels = list(self.groups)
        counts: list[list[int]] = []
        ids: list[list[tuple[str, ...]]] = []
        # A binary variable shows its 1 only, but its 0 is a cell as well: n minus the 1s gives it.
        shown: Callable[[str], bool] = (lambda level: level == "1") if coded.kind == "binary" else (lambda _: True)
        for level, where in levels.items():
            line, line_ids = [], []
            for label, mask in self.groups.items():
                count, n = self.persons(mask & where), n_of[label]
                line.append(count)
                cell: tuple[str, ...] = ()
                if shown(level):
                    term = f"{coded.name}={level}|{label}"
                    share = 100 * count / n if n else math.nan
                    cell = (
                        self.add(row(self.id, term, "n", count, n=n)),
                        self.add(row(self.id, term, "percent", share, n=n, reason=None if n else "too-few")),
                    )
                line_ids.append(cell)
            counts.append(line)
            ids.append(line_ids)
        if levels:
            dependents: tuple[str, ...] = (self.shares(coded, levels, n_of),)
        else:
            dependents = ()
            # Of a number the known values are the one cell beside the missing ones.
            counts.append([n_of[label] for label in labels])
            ids.append([(n_ids[label],) for label in labels])
        counts.append([self.persons(self.groups[label]) - n_of[label] for label in labels])
        # n of the group minus its missing ones: whoever sees the one knows the other.
        ids.append([(missing_ids[label], n_ids[label]) for label in labels])
        return CountTable(
            analysis=self.id,
            counts=tuple(tuple(line) for line in counts),
            ids=tuple(tuple(line) for line in ids),
            zero_is_safe=tuple(position == len(counts) - 1 for position in range(len(counts))),
            dependents=dependents,
        )

    def shares(self, coded: Coded, levels: dict[str, Mask], n_of: dict[str, int]) -> str:
        n = sum(n_of.values())
        if len(self.groups) != 2 or min(n_of.values()) == 0:
            reason = "not-two-groups" if len(self.groups) != 2 else "too-few"
            return self.add(row(self.id, coded.name, "smd", n=n, reason=reason))
        shares = [
            np.array([self.persons(mask & where) / n_of[label] for where in levels.values()])
            for label, mask in self.groups.items()
        ]
        other, one = shares
        smd = smd_share(float(one[0]), float(other[0])) if coded.kind == "binary" else smd_shares(one, other)
        same = "no-variation" if math.isnan(smd) else None
        return self.add(row(self.id, coded.name, "smd", smd, n=n, reason=same))


def compute(ctx: Context) -> Computed:
    """Table 1 of an analysis; two groups are compared as the second (exposed) minus the first.

    Raises:
        ConfigError: no grouping variable, or a covariate that is no plain variable.
    """
    by = ctx.analysis.by or ctx.exposure
    if by is None:
        raise ctx.fail("The analysis needs a variable to group by", "by")
    try:
        coded = ctx.variables.get(by)
        if coded.kind != "category":
            coded = ctx.variables.binary(by)
        names = [f"{by}={level}" for level in coded.levels] or [f"{by}=0", f"{by}=1"]
        groups = {name: ctx.subset & (coded.values == position) for position, name in enumerate(names)}
        builder = _Builder(ctx, groups)
        for name in ctx.covariates:
            if not ctx.variables.has(name):
                raise ctx.fail(f"Table 1 lists variables; {name[:60]!r} is none", "covariates")
            if name != by:
                builder.variable(ctx.variables.get(name))
    except NotComputableError as problem:
        return Computed(rows=[row(ctx.analysis.id, by, "n", reason=problem.reason)])
    return builder.computed

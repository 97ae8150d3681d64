"""What all regressions share: rows of terms, persons behind them, robust covariance, generalised linear fits.

Belongs here: the way from a matrix to coefficients with a covariance, and from these to rows. Does not belong here:
which outcome and which measure a method has.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import linalg, stats

from meddata_pipeline.core.expression import Floats
from meddata_pipeline.study.design import INTERCEPT, Column, Context, Model, labels
from meddata_pipeline.study.estimators.result import Computed, Estimate, row
from meddata_pipeline.study.variables import NotComputableError

Codes = npt.NDArray[np.int64]

_MAX_STEPS = 100
_STEP = 1e-9
#: Variance of a coefficient of a standardised column that a ten-thousandth of one person would give: none is known.
#: Far out the steps of a fit can round to nothing, which is no maximum but a likelihood that is flat: separation.
NO_INFORMATION = 1e4
#: Share of a column's variance that the columns before it must leave unexplained.
_COLLINEAR = 1e-10


def independent(columns: Sequence[Floats], weight: Floats, *, constant: bool = True) -> list[bool]:
    """Which columns add something to the constant and the columns before them (a Gram-Schmidt pass).

    Args:
        columns: values over the rows.
        weight: of each row.
        constant: whether the model has an intercept.
    """
    total = float(weight.sum())
    accepted: list[Floats] = []
    result = []
    for column in columns:
        centred = column - (float(weight @ column) / total if constant else 0.0)
        spread = math.sqrt(max(float(weight @ centred**2) / total, 0.0))
        if spread <= 1e-12 * (1 + float(np.max(np.abs(column), initial=0.0))):
            result.append(False)
            continue
        rest = centred / spread
        # Twice is enough: the second pass removes what rounding left of the first.
        for _ in range(2):
            for base in accepted:
                rest = rest - base * (float((weight * base) @ rest) / total)
        left = float(weight @ rest**2) / total
        result.append(left > _COLLINEAR)
        if left > _COLLINEAR:
            accepted.append(rest / math.sqrt(left))
    return result


@dataclass(frozen=True)
class Standardised:
    """Columns centred and scaled, with the way back; the first column is the constant."""

    z: Floats
    centre: Floats
    scale: Floats

    @classmethod
    def of(cls, columns: Sequence[Floats], weight: Floats) -> Standardised:
        """Centre and scale by the weighted mean and standard deviation."""
        total = float(weight.sum())
        z = np.empty((len(weight), len(columns) + 1))
        z[:, 0] = 1.0
        centre, scale = np.zeros(len(columns) + 1), np.ones(len(columns) + 1)
        for position, column in enumerate(columns, start=1):
            centre[position] = float(weight @ column) / total
            centred = column - centre[position]
            scale[position] = math.sqrt(float(weight @ centred**2) / total)
            z[:, position] = centred / scale[position]
        return cls(z, centre, scale)

    def back(self, beta: Floats, covariance: Floats) -> tuple[Floats, Floats]:
        """Coefficients and their covariance on the columns' own scale."""
        way = np.diag(1 / self.scale)
        way[0, 1:] = -self.centre[1:] / self.scale[1:]
        way[0, 0] = 1.0
        return way @ beta, way @ covariance @ way.T


@dataclass(frozen=True)
class Prepared:
    """The columns of a model that can be fitted, and the names of all of them.

    Attributes:
        names: of all columns, the intercept first where there is one.
        used: which of them are fitted; the others are collinear with those before them.
        std: the fitted ones, standardised; the constant first.
    """

    names: list[str]
    used: list[bool]
    std: Standardised

    @classmethod
    def of(cls, columns: Sequence[Column], weight: Floats) -> Prepared:
        """Prepare the columns of a model with an intercept."""
        used = independent([column.values for column in columns], weight)
        std = Standardised.of([c.values for c, use in zip(columns, used, strict=True) if use], weight)
        return cls([INTERCEPT, *(column.term for column in columns)], [True, *used], std)


def exponential(value: float) -> float:
    """``exp`` without overflow: infinity beyond what a float holds."""
    return math.exp(value) if value < 700 else math.inf


def term_rows(
    analysis: str,
    measure: str,
    names: Sequence[str],
    used: Sequence[bool],
    beta: Floats,
    covariance: Floats,
    *,
    level: float,
    n: int,
    df: float | None = None,
) -> list[Estimate]:
    """Rows of coefficients with Wald intervals; ``beta`` as they are, other measures exponentiated.

    Args:
        analysis: its id.
        measure: ``or``, ``rr``, ``hr`` or ``beta``.
        names: of all terms.
        used: which of them were fitted; the others read ``collinear``.
        beta: coefficients of the fitted ones.
        covariance: theirs.
        level: of the intervals.
        n: persons.
        df: of Student's distribution; None: the normal one.
    """
    distribution = stats.norm() if df is None else stats.t(df)
    reach = float(distribution.ppf(0.5 + level / 2))
    rows = []
    place = iter(range(len(beta)))
    for name, use in zip(names, used, strict=True):
        if not use:
            rows.append(row(analysis, name, measure, n=n, reason="collinear"))
            continue
        i = next(place)
        value, se = float(beta[i]), math.sqrt(max(float(covariance[i, i]), 0.0))
        p = float(2 * distribution.sf(abs(value) / se)) if se > 0 else None
        ends = (value, value - reach * se, value + reach * se)
        shown = ends if measure == "beta" else tuple(exponential(end) for end in ends)
        rows.append(row(analysis, name, measure, *shown, p=p, n=n, se=se, df=df))
    return rows


def wald(
    analysis: str,
    term: str,
    measure: str,
    estimate: float,
    se: float,
    *,
    level: float,
    n: int,
    ratio: bool = False,
) -> Estimate:
    """One estimate with its normal interval; of a ratio, `se` is that of the logarithm."""
    reach = float(stats.norm.ppf(0.5 + level / 2)) * se
    if ratio:
        if not 0 < estimate < math.inf:
            return row(analysis, term, measure, estimate, n=n)
        middle = math.log(estimate)
        low, high = exponential(middle - reach), exponential(middle + reach)
    else:
        middle, low, high = estimate, estimate - reach, estimate + reach
    p = float(2 * stats.norm.sf(abs(middle) / se)) if se > 0 else None
    return row(analysis, term, measure, estimate, low, high, p=p, n=n, se=se)


def failed(analysis: str, terms: Iterable[str], measures: Sequence[str], reason: str, n: int | None) -> list[Estimate]:
    """Rows without a number, for each term and measure."""
    return [row(analysis, term, measure, n=n, reason=reason) for term in terms for measure in measures]


def exposure_cells(
    columns: Sequence[Column], exposure_terms: Sequence[str], parts: Sequence[Floats]
) -> dict[str, tuple[int, ...]]:
    """Persons behind each exposure term: term x part for 0/1 columns, the parts alone for numbers.

    Args:
        columns: of the model.
        exposure_terms: which of them are the exposure's.
        parts: persons of each row by outcome (events and others), or all of them.
    """
    cells: dict[str, tuple[int, ...]] = {}
    exposure = [c for c in columns if c.term in exposure_terms]
    reference = np.ones(len(parts[0]), dtype=bool)
    for column in exposure:
        if column.level is not None:
            reference &= column.values == 0
    for column in exposure:
        if np.isin(column.values, (0.0, 1.0)).all():
            with_it = column.values == 1
            without = reference if column.level is not None else column.values == 0
            found = [float(part[side].sum()) for side in (with_it, without) for part in parts]
        else:
            found = [float(part.sum()) for part in parts]
        cells[column.term] = tuple(round(value) for value in found)
    return cells


def of_binary(ctx: Context, m: Model) -> Computed:
    """What every model of a binary outcome notes before it is fitted: exposure, prevalence, persons by outcome."""
    outcome = ctx.outcome if isinstance(ctx.outcome, str) else "event"
    n = m.persons
    groups = {f"{outcome}=1": m.events, f"{outcome}=0": n - m.events, "persons": n}
    return Computed(groups=groups, exposure_terms=m.exposure_terms, prevalence=m.events / n)


def rest_on(computed: Computed, m: Model) -> Computed:
    """Note the persons behind each row of a model of a binary outcome."""
    events, persons = m.counts.events, m.counts.persons
    cells = exposure_cells(m.columns, m.exposure_terms, (events, persons - events))
    whole = (m.events, m.persons - m.events)
    computed.cells |= {e["id"]: cells.get(e["term"], whole) for e in computed.rows}
    return computed


def relative_weights(ctx: Context, kept: npt.NDArray[np.bool_]) -> Floats | None:
    """Sampling weights of the kept rows, 1 on average; None where the analysis has none."""
    if ctx.weights is None:
        return None
    result: Floats = ctx.weights[kept] / float(ctx.weights[kept].mean())
    return result


def sandwich(bread: Floats, scores: Floats, meat: Floats | None = None, cluster: Codes | None = None) -> Floats:
    """Robust covariance ``bread @ meat @ bread``.

    Args:
        bread: inverse information, (p, p).
        scores: of each row, (rows, p); summed by cluster where there are clusters.
        meat: what to take without clusters; None: the sum of the rows' outer products.
        cluster: code of each row's cluster.

    Source:
        White 1980; with clusters Liang & Zeger 1986, with the factor G / (G - 1) for G clusters.
    """
    if cluster is not None:
        _, codes = np.unique(cluster, return_inverse=True)
        groups = int(codes.max()) + 1
        if groups < 2:
            raise NotComputableError("one-cluster")
        sums = np.zeros((groups, scores.shape[1]))
        np.add.at(sums, codes, scores)
        meat = sums.T @ sums * (groups / (groups - 1))
    elif meat is None:
        meat = scores.T @ scores
    result: Floats = bread @ meat @ bread
    return result


def clusters(ctx: Context, kept: npt.NDArray[np.bool_]) -> Codes | None:
    """Codes of the analysis's clusters over the kept rows, or None.

    Raises:
        NotComputableError: a kept row has none.
    """
    if ctx.analysis.cluster is None:
        return None
    codes, _ = labels(ctx, ctx.analysis.cluster)
    if (codes[kept] < 0).any():
        raise NotComputableError("cluster-missing")
    return codes[kept]


@dataclass(frozen=True)
class Glm:
    """A fitted generalised linear model on the scale of its matrix.

    Attributes:
        beta: coefficients.
        bread: inverse of the expected information.
        mean: fitted mean of each row.
        eta: linear predictor.
    """

    beta: Floats
    bread: Floats
    mean: Floats
    eta: Floats


Link = Literal["log", "binomial-log"]


def _log_family(link: Link) -> tuple[Callable[[Floats, Floats, Floats], float], Callable[[Floats], Floats]]:
    """Log likelihood of (eta, events, persons) and the weight of a person, by its mean."""
    if link == "log":
        return (
            lambda eta, events, persons: float(events @ eta - persons @ np.exp(eta)),
            lambda mean: mean,
        )
    return (
        lambda eta, events, persons: float(events @ eta + (persons - events) @ np.log1p(-np.exp(eta))),
        lambda mean: mean / (1 - mean),
    )


def fit_log(x: Floats, events: Floats, persons: Floats, link: Link) -> Glm:
    """Fit a model with a log link by Fisher scoring with step halving.

    Args:
        x: (rows, columns), the first the constant, scaled to about 1.
        events: per row.
        persons: per row.
        link: ``log``: Poisson; ``binomial-log``: binomial, whose means stay below 1.

    Raises:
        NotComputableError: ``no-events``, or ``no-convergence`` (``binomial-log``: mostly a maximum at the boundary).
    """
    if events.sum() <= 0:
        raise NotComputableError("no-events")
    loglik, weigh = _log_family(link)
    beta = np.zeros(x.shape[1])
    beta[0] = math.log(float(events.sum() / persons.sum()))
    if link == "binomial-log" and beta[0] >= 0:
        raise NotComputableError("no-non-events")
    eta = x @ beta
    current = loglik(eta, events, persons)
    for _ in range(_MAX_STEPS):
        mean = np.exp(eta)
        information = x.T @ (x * (persons * weigh(mean))[:, None])
        residual = (events - persons * mean) * (weigh(mean) / mean)
        try:
            factor = linalg.cho_factor(information)
        except (linalg.LinAlgError, ValueError):
            break
        step = linalg.cho_solve(factor, x.T @ residual)
        size = 1.0
        while True:
            candidate = beta + size * step
            new_eta = x @ candidate
            if link == "log" or float(new_eta.max()) < -1e-10:
                new = loglik(new_eta, events, persons)
                if new >= current - 1e-9 * (abs(current) + 1):
                    break
            size /= 2
            if size < 1e-9:
                raise NotComputableError("no-convergence")
        beta, eta, current = candidate, new_eta, new
        if not math.isfinite(current):
            break
        if float(np.max(np.abs(step))) < _STEP * (1 + float(np.max(np.abs(beta)))):
            mean = np.exp(eta)
            bread = linalg.inv(x.T @ (x * (persons * weigh(mean))[:, None]))
            return Glm(beta, bread, mean, eta)
    raise NotComputableError("no-convergence")

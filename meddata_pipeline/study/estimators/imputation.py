"""Multiple imputation by chained equations, pooled by Rubin's rules.

Belongs here: drawing what is missing, and pooling. Does not belong here: the models that are pooled.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import linalg, special, stats

from meddata_pipeline.core.expression import Floats
from meddata_pipeline.study.design import Column, Context, expand, outcome_times
from meddata_pipeline.study.estimators.linear import least_squares
from meddata_pipeline.study.estimators.logistic import newton
from meddata_pipeline.study.estimators.regression import Prepared, exponential, exposure_cells, failed
from meddata_pipeline.study.estimators.result import Computed, Estimate, row
from meddata_pipeline.study.estimators.survival import cox
from meddata_pipeline.study.variables import Coded, NotComputableError

_MEASURE = {"logistic": "or", "linear": "beta", "cox": "hr"}
#: Observed values that a missing number is drawn from: those of the persons with the nearest predictions.
_DONORS = 5
#: Ridge that keeps a regression of an imputation solvable, as a share of the diagonal.
_RIDGE = 1e-5


@dataclass(frozen=True)
class Pooled:
    """An estimate pooled over imputations.

    Attributes:
        estimate: mean of the estimates.
        variance: total.
        df: degrees of freedom.
        fmi: fraction of missing information.
        riv: relative increase of the variance by missing values.
    """

    estimate: float
    variance: float
    df: float
    fmi: float
    riv: float


def pool(estimates: Sequence[float], variances: Sequence[float], complete_df: float = math.inf) -> Pooled:
    """Rubin's rules for one quantity.

    Args:
        estimates: of each imputation, at least two.
        variances: their squared standard errors.
        complete_df: degrees of freedom that the complete data would have.

    Source:
        Rubin, Multiple Imputation for Nonresponse in Surveys (1987); degrees of freedom after Barnard & Rubin,
        Biometrika 86 (1999).
    """
    q = np.asarray(estimates, dtype=np.float64)
    m = len(q)
    within, between = float(np.mean(variances)), float(np.var(q, ddof=1))
    total = within + (1 + 1 / m) * between
    riv = (1 + 1 / m) * between / within if within > 0 else math.inf
    share = (1 + 1 / m) * between / total if total > 0 else 0.0
    old = (m - 1) / share**2 if share > 0 else math.inf
    if math.isinf(complete_df):
        df = old
    else:
        observed = (complete_df + 1) / (complete_df + 3) * complete_df * (1 - share)
        df = observed if math.isinf(old) else old * observed / (old + observed)
    fmi = (riv + 2 / (df + 3)) / (riv + 1) if math.isfinite(riv) else 1.0
    return Pooled(float(q.mean()), total, df, fmi, riv)


def _regression(x: Floats, y: Floats, rng: np.random.Generator) -> tuple[Floats, Floats, float]:
    """A least-squares fit, and coefficients and spread drawn from their posterior."""
    cross = x.T @ x
    cross = cross + np.diag(np.diag(cross) * _RIDGE)
    inverse = linalg.inv(cross)
    beta = inverse @ (x.T @ y)
    df = max(len(y) - x.shape[1], 1)
    rest = y - x @ beta
    sigma = math.sqrt(float(rest @ rest) / rng.chisquare(df))
    root = linalg.cholesky((inverse + inverse.T) / 2, lower=True)
    return beta, beta + sigma * (root @ rng.standard_normal(len(beta))), sigma


def _draw_number(x: Floats, y: Floats, missing: npt.NDArray[np.bool_], rng: np.random.Generator) -> Floats:
    """Predictive mean matching: an observed value of one of the persons with the nearest prediction.

    Source: Little, Journal of Business & Economic Statistics 6 (1988), with type-1 matching as van Buuren, Flexible
    Imputation of Missing Data (2018), section 3.4.
    """
    beta, drawn, _ = _regression(x[~missing], y[~missing], rng)
    known, wanted = x[~missing] @ beta, x[missing] @ drawn
    order = np.argsort(known, kind="stable")
    donors = min(_DONORS, len(order))
    at = np.searchsorted(known[order], wanted)
    # The nearest lie among the `donors` before and after: taken by distance.
    window = np.clip(at[:, None] + np.arange(-donors, donors), 0, len(order) - 1)
    distance = np.abs(known[order][window] - wanted[:, None])
    # A position that clipping gave twice counts once.
    first = np.concatenate([np.ones((len(window), 1), dtype=bool), np.diff(window, axis=1) > 0], axis=1)
    nearest = np.argsort(np.where(first, distance, np.inf), axis=1, kind="stable")[:, :donors]
    chosen = nearest[np.arange(len(window)), rng.integers(0, donors, len(window))]
    return np.asarray(y[~missing][order][window[np.arange(len(window)), chosen]])


def _draw_binary(x: Floats, y: Floats, missing: npt.NDArray[np.bool_], rng: np.random.Generator) -> Floats:
    """A draw from a logistic regression whose coefficients are drawn too.

    Few pseudo-observations keep separated data from fits at infinity (White, Daniel & Royston 2010).
    """
    known, events = x[~missing], y[~missing]
    centre, spread = known.mean(axis=0), known.std(axis=0)
    grid = np.vstack([centre + side * spread * np.eye(x.shape[1])[i] for i in range(1, x.shape[1]) for side in (-1, 1)])
    weight = np.full(2 * len(grid), x.shape[1] / max(2 * len(grid), 1))
    design = np.vstack([known, grid, grid])
    outcome = np.concatenate([events, np.zeros(len(grid)), np.ones(len(grid))])
    persons = np.concatenate([np.ones(len(known)), weight])
    fit = newton(design, outcome * persons, persons)
    root = linalg.cholesky((fit.covariance + fit.covariance.T) / 2, lower=True)
    drawn = fit.beta + root @ rng.standard_normal(len(fit.beta))
    hit: Floats = (rng.random(int(missing.sum())) < special.expit(x[missing] @ drawn)).astype(np.float64)
    return hit


def _draw_category(
    x: Floats, y: Floats, missing: npt.NDArray[np.bool_], levels: int, rng: np.random.Generator
) -> Floats:
    """Levels in turn, each by a logistic regression against those after it (continuation ratios)."""
    values = np.full(int(missing.sum()), float(levels - 1))
    open_ = np.ones(len(values), dtype=bool)
    rows = np.flatnonzero(missing)
    for level in range(levels - 1):
        among = ~missing & (y >= level)
        is_level = (y[among] == level).astype(np.float64)
        if not open_.any():
            break
        if is_level.min(initial=1.0) == is_level.max(initial=0.0):
            hit = np.full(int(open_.sum()), bool(is_level.max(initial=0.0)))
        else:
            own = np.concatenate([x[among], x[rows[open_]]])
            target = np.concatenate([is_level, np.zeros(int(open_.sum()))])
            absent = np.concatenate([np.zeros(int(among.sum()), bool), np.ones(int(open_.sum()), bool)])
            hit = _draw_binary(own, target, absent, rng) > 0
        values[np.flatnonzero(open_)[hit]] = level
        open_[np.flatnonzero(open_)[hit]] = False
    return values


class _Chain:
    """The variables of one imputation model, and their turns."""

    def __init__(self, variables: dict[str, Coded], extra: Sequence[Floats]) -> None:
        self.variables = variables
        self.missing = {name: np.isnan(coded.values) for name, coded in variables.items()}
        #: The fewest missing values first.
        self.turns = sorted((n for n, m in self.missing.items() if m.any()), key=lambda n: int(self.missing[n].sum()))
        self.extra = [(v - v.mean()) / (v.std() or 1.0) for v in extra]

    def columns(self, name: str, values: Floats) -> list[Floats]:
        coded = self.variables[name]
        if coded.kind == "category":
            return [(values == i).astype(np.float64) for i in range(1, len(coded.levels))]
        spread = float(values.std()) or 1.0
        return [(values - float(values.mean())) / spread]

    def run(self, iterations: int, rng: np.random.Generator) -> dict[str, Floats]:
        """One completed set of variables."""
        state = {name: coded.values.copy() for name, coded in self.variables.items()}
        for name in self.turns:
            missing = self.missing[name]
            known = state[name][~missing]
            if not len(known):
                raise NotComputableError("variable-without-values")
            state[name][missing] = rng.choice(known, int(missing.sum()))
        for _ in range(iterations):
            for name in self.turns:
                missing = self.missing[name]
                others = [c for n in self.variables if n != name for c in self.columns(n, state[n])]
                columns = [np.ones(len(missing)), *others, *self.extra]
                x = np.column_stack([c for i, c in enumerate(columns) if i == 0 or c[~missing].std() > 0])
                coded = self.variables[name]
                if coded.kind == "number":
                    state[name][missing] = _draw_number(x, state[name], missing, rng)
                elif coded.kind == "binary":
                    state[name][missing] = self._binary(x, state[name], missing, rng)
                else:
                    state[name][missing] = _draw_category(x, state[name], missing, len(coded.levels), rng)
        return state

    @staticmethod
    def _binary(x: Floats, y: Floats, missing: npt.NDArray[np.bool_], rng: np.random.Generator) -> Floats:
        known = y[~missing]
        if known.min() == known.max():
            return np.full(int(missing.sum()), known[0])
        return _draw_binary(x, y, missing, rng)


def _variables(ctx: Context) -> tuple[dict[str, Coded], list[str], list[str]]:
    """Plain variables that the model's terms are made of, its terms, and variables that only help."""
    exposure = ctx.exposure
    if exposure is None:
        raise ctx.fail("The analysis needs an exposure", "exposure")
    terms = [exposure, *(term for term in ctx.covariates if term != exposure)]
    names: dict[str, Coded] = {}
    for term in terms:
        for part in term.split(":"):
            plain = part.strip().removesuffix("^2").strip()
            if plain.startswith("ns("):
                plain = plain[3:].rsplit(",", 1)[0].strip()
            if not ctx.variables.has(plain):
                raise ctx.fail(f"The term {term[:60]!r} can't be imputed", "covariates")
            names[plain] = ctx.variables.get(plain)
    helping = [name for name in ctx.analysis.predictors if name not in names]
    for name in helping:
        names[name] = ctx.variables.get(name)
    return names, terms, helping


def compute(ctx: Context) -> Computed:
    """Impute the missing values of a model's variables, fit it to each completed table, pool.

    The outcome takes part in the imputation; persons with a missing outcome help to impute others and are imputed
    themselves, as with mice. Of a time to event, event and Nelson-Aalen hazard take part (White & Royston 2009), and
    persons without it are left out.

    Raises:
        ConfigError: the analysis lacks exposure or outcome, or names an unknown term.

    Source:
        van Buuren & Groothuis-Oudshoorn, Journal of Statistical Software 45 (2011).
    """
    analysis = ctx.analysis
    kind = analysis.fitted_model
    measure = _MEASURE[kind]
    names, terms, _ = _variables(ctx)
    kept = ctx.subset.copy()
    extra: list[Floats] = []
    outcome_name: str | None = None
    if kind == "cox":
        time, event = outcome_times(ctx)
        kept &= ~np.isnan(time)
    else:
        if not isinstance(ctx.outcome, str):
            raise ctx.fail(f"The model {kind} needs an outcome that is one variable", "outcome")
        outcome_name = ctx.outcome
        own = ctx.variables.binary(outcome_name) if kind == "logistic" else ctx.variables.get(outcome_name)
        if own.kind == "category":
            raise ctx.fail("The outcome must not be a category", "outcome")
        names[outcome_name] = own
    rows = np.repeat(np.flatnonzero(kept), ctx.frequency[kept].astype(np.int64))
    n = len(rows)
    exposure_terms = [c.term for c in expand(ctx, terms[0])]
    computed = Computed(exposure_terms=exposure_terms, groups={"persons": n})
    shown = [c.term for term in terms for c in expand(ctx, term)]
    if not n:
        computed.rows = failed(analysis.id, shown, [measure], "no-complete-rows", 0)
        return computed
    if kind == "cox":
        extra = [event[rows], _nelson_aalen(time[rows], event[rows])]
    own_rows = {name: Coded(name, c.kind, c.values[rows], c.levels, c.reference) for name, c in names.items()}
    try:
        chain = _Chain(own_rows, extra)
        fits = []
        for number in range(analysis.imputations):
            rng = np.random.default_rng([analysis.seed, number])
            completed = chain.run(analysis.iterations, rng)
            if kind == "cox":
                fit = _fit_cox(ctx, own_rows, completed, terms, time[rows], event[rows])
            else:
                fit = _fit(ctx, own_rows, completed, terms, completed[str(outcome_name)], kind)
            fits.append(fit)
        complete_df = math.inf if kind == "cox" else float(n - len(fits[0]))
        computed.rows = _rows(analysis.id, measure, fits, complete_df, analysis.level, n)
    except NotComputableError as problem:
        computed.rows = failed(analysis.id, shown, [measure], problem.reason, n)
    persons = np.ones(n)
    columns = [Column(c.term, c.values[rows], c.level) for c in expand(ctx, terms[0])]
    if kind == "linear":
        parts = [persons]
    else:
        happened = np.nan_to_num(event[rows] if kind == "cox" else own_rows[str(outcome_name)].values)
        parts = [happened, persons - happened]
        computed.prevalence = float(happened.mean())
    cells = exposure_cells(columns, exposure_terms, parts)
    whole = tuple(round(float(part.sum())) for part in parts)
    computed.cells = {estimate["id"]: cells.get(estimate["term"], whole) for estimate in computed.rows}
    return computed


def _nelson_aalen(time: Floats, event: Floats) -> Floats:
    times, position = np.unique(time, return_inverse=True)
    deaths = np.bincount(position, weights=event, minlength=len(times))
    leaving = np.bincount(position, minlength=len(times))
    at_risk = leaving[::-1].cumsum()[::-1]
    hazard: Floats = np.cumsum(deaths / at_risk)
    return hazard[position]


def _columns(ctx: Context, own: dict[str, Coded], completed: dict[str, Floats], terms: Sequence[str]) -> list[Column]:
    """The model's columns with the imputed values put in."""
    filled = {
        name: Coded(name, coded.kind, completed[name], coded.levels, coded.reference) for name, coded in own.items()
    }
    variables = ctx.variables.completed(filled)
    persons = len(next(iter(completed.values())))
    inner = Context(
        ctx.spec, ctx.analysis, variables, np.ones(persons), np.ones(persons, dtype=bool), None, ctx.earlier
    )
    return [column for term in terms for column in expand(inner, term)]


Estimates = dict[str, tuple[float, float]]


def _fit(
    ctx: Context, own: dict[str, Coded], completed: dict[str, Floats], terms: Sequence[str], y: Floats, kind: str
) -> Estimates:
    prepared = Prepared.of(_columns(ctx, own, completed, terms), np.ones(len(y)))
    if kind == "logistic":
        if not 0 < y.sum() < len(y):
            raise NotComputableError("no-events" if y.sum() == 0 else "no-non-events")
        fit = newton(prepared.std.z, y, np.ones(len(y)))
        beta, covariance = prepared.std.back(fit.beta, fit.covariance)
    else:
        linear = least_squares(prepared.std.z, y, np.ones(len(y)))
        beta, covariance = prepared.std.back(linear.beta, linear.covariance(np.ones(len(y))))
    used = [name for name, use in zip(prepared.names, prepared.used, strict=True) if use]
    return {name: (float(b), float(v)) for name, b, v in zip(used, beta, np.diag(covariance), strict=True)}


def _fit_cox(
    ctx: Context,
    own: dict[str, Coded],
    completed: dict[str, Floats],
    terms: Sequence[str],
    time: Floats,
    event: Floats,
) -> Estimates:
    prepared = Prepared.of(_columns(ctx, own, completed, terms), np.ones(len(time)))
    fit = cox(prepared.std.z[:, 1:], time, event)
    scale = prepared.std.scale[1:]
    used = [name for name, use in zip(prepared.names[1:], prepared.used[1:], strict=True) if use]
    variances = np.diag(fit.covariance) / scale**2
    return {name: (float(b), float(v)) for name, b, v in zip(used, fit.beta / scale, variances, strict=True)}


def _rows(
    analysis: str, measure: str, fits: Sequence[Estimates], complete_df: float, level: float, n: int
) -> list[Estimate]:
    shown: Callable[[float], float] = (lambda v: v) if measure == "beta" else exponential
    rows = []
    for name in fits[0]:
        if any(name not in fit for fit in fits):
            rows.append(row(analysis, name, measure, n=n, reason="collinear"))
            continue
        found = pool([fit[name][0] for fit in fits], [fit[name][1] for fit in fits], complete_df)
        se = math.sqrt(found.variance)
        distribution = stats.norm() if math.isinf(found.df) else stats.t(found.df)
        reach = float(distribution.ppf(0.5 + level / 2)) * se
        p = float(2 * distribution.sf(abs(found.estimate) / se)) if se > 0 else None
        ends = [shown(found.estimate + side * reach) for side in (0, -1, 1)]
        df = None if math.isinf(found.df) else found.df
        rows.append(row(analysis, name, measure, *ends, p=p, n=n, se=se, df=df))
        rows.append(row(analysis, name, "fmi", found.fmi, n=n))
    return rows

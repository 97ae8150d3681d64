"""From the terms of an analysis to columns of numbers: complete cases, outcome, model matrix.

Belongs here: terms (`age^2`, `a:b`), dummy columns of categories, who is left after missing values and subset, and how
many persons a row stands for. Does not belong here: estimation.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from meddata_pipeline.core.errors import BadInput, ConfigError
from meddata_pipeline.core.expression import Floats
from meddata_pipeline.study.spec import Analysis, GroupedOutcome, Outcome, StudySpec, TimeOutcome
from meddata_pipeline.study.splines import natural_spline
from meddata_pipeline.study.variables import Coded, NotComputableError, Variables, as_numbers

if TYPE_CHECKING:
    from meddata_pipeline.study.estimators.result import Estimate

Mask = npt.NDArray[np.bool_]

INTERCEPT = "(Intercept)"


@dataclass(frozen=True)
class Column:
    """One column of a model matrix.

    Attributes:
        term: its name in the results.
        values: float64 over all rows of the table.
        level: for a dummy of a category, the level's position; else None.
    """

    term: str
    values: Floats
    level: int | None = None


@dataclass(frozen=True)
class Counts:
    """The outcome as counts: `events` of `persons` in each row; grouped if a row holds several persons' answers."""

    events: Floats
    persons: Floats
    grouped: bool
    frequency: Floats


@dataclass(frozen=True)
class Context:
    """One analysis on one table: the study's defaults filled in, variables coded, frequency read.

    Attributes:
        spec: the study.
        analysis: one of its analyses.
        variables: its variables over the table.
        frequency: persons that each row stands for.
        subset: rows that the analysis is about.
        weights: sampling weights per person, or None.
        earlier: estimates of the analyses before this one, by id.
        prevalence: share of events among the persons of each analysis before this one.
    """

    spec: StudySpec
    analysis: Analysis
    variables: Variables
    frequency: Floats
    subset: Mask
    weights: Floats | None = None
    earlier: Mapping[str, Estimate] = field(default_factory=dict)
    prevalence: Mapping[str, float] = field(default_factory=dict)

    @property
    def exposure(self) -> str | None:
        """The exposure of this analysis."""
        return self.analysis.exposure or self.spec.exposure

    @property
    def outcome(self) -> Outcome | None:
        """The outcome of this analysis."""
        return self.analysis.outcome if self.analysis.outcome is not None else self.spec.outcome

    @property
    def covariates(self) -> list[str]:
        """The covariates of this analysis; an empty list overrides the study's."""
        return self.analysis.covariates if self.analysis.covariates is not None else self.spec.covariates

    def fail(self, message: str, field: str) -> ConfigError:
        """An error of the file at this analysis."""
        return ConfigError(message, where=f"analysis {self.analysis.id}, field {field}")


def context(
    frame: pd.DataFrame,
    spec: StudySpec,
    analysis: Analysis,
    shared: Variables,
    earlier: Mapping[str, Estimate] | None = None,
    prevalence: Mapping[str, float] | None = None,
) -> Context:
    """Prepare one analysis.

    Args:
        frame: the table.
        spec: the study.
        analysis: one of its analyses.
        shared: variables coded without frequencies, reused where the analysis has none.
        earlier: estimates of the analyses before it.
        prevalence: share of events in the analyses before it.

    Raises:
        ConfigError: the frequency column holds anything but whole numbers from 0 up.
    """
    variables = shared
    frequency: Floats = np.ones(len(frame))
    if analysis.frequency is not None:
        if analysis.frequency not in frame.columns:
            raise BadInput("The table has no such column", where=f"column {analysis.frequency}")
        frequency = _counts(frame[analysis.frequency], analysis.frequency)
        variables = Variables(frame, spec, frequency)
    subset: Mask = frequency > 0
    if analysis.subset is not None:
        # A missing condition compares false with 0 as well, hence the explicit test.
        chosen = variables.expression(analysis.subset)
        subset = subset & ~np.isnan(chosen) & (chosen != 0)
    weights: Floats | None = None
    if analysis.weights is not None:
        weights = variables.numbers(analysis.weights)
        if (weights[~np.isnan(weights)] < 0).any():
            raise BadInput("Sampling weights must not be negative", where=f"column {analysis.weights}")
        subset = subset & ~np.isnan(weights) & (np.nan_to_num(weights) > 0)
    return Context(spec, analysis, variables, frequency, subset, weights, earlier or {}, prevalence or {})


def _counts(column: pd.Series, name: str) -> Floats:
    values = as_numbers(column, name)
    present = values[~np.isnan(values)]
    if (present < 0).any() or (present != np.floor(present)).any():
        raise BadInput("Counts must be whole numbers from 0 up", where=f"column {name}")
    return values


def outcome_counts(ctx: Context) -> tuple[Counts, Mask]:
    """The binary or grouped outcome of an analysis.

    Returns:
        Events and persons per row (already times the frequency), and where they are known.

    Raises:
        ConfigError: there is no outcome, or it is no binary one.
    """
    outcome = ctx.outcome
    if outcome is None:
        raise ctx.fail("The analysis needs an outcome", "outcome")
    if isinstance(outcome, TimeOutcome):
        raise ctx.fail(f"Method {ctx.analysis.method} needs a binary outcome, not a time to event", "outcome")
    if isinstance(outcome, GroupedOutcome):
        sides = []
        for name in (outcome.events, outcome.nonevents):
            if name not in ctx.variables.frame.columns:
                raise BadInput("The table has no such column", where=f"column {name}")
            sides.append(_counts(ctx.variables.frame[name], name))
        persons = sides[0] + sides[1]
        known = ~np.isnan(persons) & (np.nan_to_num(persons) > 0)
        return Counts(sides[0] * ctx.frequency, persons * ctx.frequency, True, ctx.frequency), known
    coded = ctx.variables.binary(outcome)
    return Counts(coded.values * ctx.frequency, ctx.frequency, False, ctx.frequency), ~np.isnan(coded.values)


def expand(ctx: Context, term: str) -> list[Column]:
    """The columns of one term.

    Raises:
        ConfigError: the term can't be read or is of a kind that is not supported.
    """
    variables = ctx.variables
    if variables.has(term):
        return _columns(variables.get(term))
    if (spline := re.fullmatch(r"ns\((.+),\s*(\d+)\)", term)) is not None:
        coded = _known(ctx, spline[1].strip(), term)
        df = int(spline[2])
        if coded.kind == "category" or df < 1:
            raise ctx.fail(f"A spline needs a number and at least one degree of freedom: {term!r}", "covariates")
        return [
            Column(f"{term}{position}", column)
            for position, column in enumerate(natural_spline(coded.values, df, ctx.subset, ctx.frequency), start=1)
        ]
    if (power := re.fullmatch(r"(.+)\^2", term)) is not None:
        coded = _known(ctx, power[1].strip(), term)
        if coded.kind == "category":
            raise ctx.fail(f"A category has no square: {term!r}", "covariates")
        return [Column(term, coded.values**2)]
    if ":" in term:
        columns = [Column("", np.ones(len(variables)))]
        for part in term.split(":"):
            factors = _columns(_known(ctx, part.strip(), term))
            columns = [
                Column(f"{left.term}:{right.term}".lstrip(":"), left.values * right.values)
                for left in columns
                for right in factors
            ]
        return columns
    raise ctx.fail(f"The term {term[:60]!r} is neither a variable nor a column nor a known form", "covariates")


def _known(ctx: Context, name: str, term: str) -> Coded:
    if not ctx.variables.has(name):
        names = f"The term {term[:60]!r} names {name[:60]!r}"
        raise ctx.fail(f"{names}, which is neither a variable nor a column", "covariates")
    return ctx.variables.get(name)


def _columns(coded: Coded) -> list[Column]:
    if coded.kind != "category":
        return [Column(coded.name, coded.values)]
    missing = np.isnan(coded.values)

    def dummy(position: int) -> Floats:
        return np.where(missing, np.nan, (coded.values == position).astype(np.float64))

    return [
        Column(f"{coded.name}={level}", dummy(position), position)
        for position, level in enumerate(coded.levels)
        if position != coded.reference
    ]


@dataclass(frozen=True)
class Model:
    """The matrix of a regression on its complete cases.

    Attributes:
        columns: the model's columns without the intercept, the exposure's first; values over the kept rows.
        counts: the outcome over the kept rows.
        exposure_terms: names of the exposure's terms.
        kept: rows of the table that are used.
    """

    columns: list[Column]
    counts: Counts
    exposure_terms: list[str]
    kept: Mask

    @property
    def persons(self) -> int:
        """Persons in the model."""
        return round(float(self.counts.persons.sum()))

    @property
    def events(self) -> int:
        """Events in the model."""
        return round(float(self.counts.events.sum()))


@dataclass(frozen=True)
class Matrix:
    """Columns of a regression on its complete cases.

    Attributes:
        columns: without the intercept, the exposure's first; values over the kept rows.
        exposure_terms: names of the exposure's terms.
        kept: rows of the table that are used.
    """

    columns: list[Column]
    exposure_terms: list[str]
    kept: Mask


def matrix(ctx: Context, known: Mask, terms: Sequence[str] | None = None, extra: Sequence[str] = ()) -> Matrix:
    """Build the columns of an analysis: the exposure first, then the covariates in the order of the file.

    Args:
        ctx: the analysis.
        known: rows whose outcome is known.
        terms: other terms than exposure and covariates.
        extra: terms after these.

    Raises:
        ConfigError: no exposure, or a term that can't be read.
        NotComputableError: a category's reference level has no row left, or none are left at all.
    """
    exposure = ctx.exposure
    if terms is None:
        if exposure is None:
            raise ctx.fail("The analysis needs an exposure", "exposure")
        terms = [exposure, *(term for term in ctx.covariates if term != exposure)]
    terms = [*terms, *extra]
    if len(set(terms)) < len(terms):
        raise ctx.fail("A term stands twice among the covariates", "covariates")
    expanded = [(term, expand(ctx, term)) for term in terms]
    kept = known & ctx.subset
    columns = [column for _, group in expanded for column in group]
    for column in columns:
        kept = kept & ~np.isnan(column.values)
    if not kept.any():
        raise NotComputableError("no-complete-rows")
    for term in terms:
        if ctx.variables.has(term):
            coded = ctx.variables.get(term)
            if coded.kind == "category" and not (coded.values[kept] == coded.reference).any():
                raise NotComputableError("reference-level-empty")
    exposed = [column.term for term, group in expanded if term == exposure for column in group]
    return Matrix([Column(c.term, c.values[kept], c.level) for c in columns], exposed, kept)


def model(ctx: Context, extra: Sequence[str] = ()) -> Model:
    """Build the model of an analysis with a binary outcome; see `matrix`.

    Raises:
        ConfigError: no exposure, or a term that can't be read.
        NotComputableError: a category's reference level has no row left, or none are left at all.
    """
    if ctx.exposure is None:
        raise ctx.fail("The analysis needs an exposure", "exposure")
    counts, known = outcome_counts(ctx)
    m = matrix(ctx, known, extra=extra)
    kept = Counts(counts.events[m.kept], counts.persons[m.kept], counts.grouped, counts.frequency[m.kept])
    return Model(m.columns, kept, m.exposure_terms, m.kept)


def outcome_numbers(ctx: Context) -> Floats:
    """The outcome as a number; a binary one as 1 and 0.

    Raises:
        ConfigError: there is no outcome, or it is a category, a time or grouped counts.
    """
    outcome = ctx.outcome
    if not isinstance(outcome, str):
        raise ctx.fail(f"Method {ctx.analysis.method} needs an outcome that is one variable", "outcome")
    coded = ctx.variables.get(outcome)
    if coded.kind == "category":
        raise ctx.fail(f"Method {ctx.analysis.method} needs a number as outcome, not a category", "outcome")
    return coded.values


def outcome_times(ctx: Context) -> tuple[Floats, Floats]:
    """Time and event (1 and 0) of a time-to-event outcome; NaN where either is missing.

    Raises:
        ConfigError: the outcome is none of time to event.
        BadInput: a time is negative.
    """
    outcome = ctx.outcome
    if not isinstance(outcome, TimeOutcome):
        raise ctx.fail(f"Method {ctx.analysis.method} needs an outcome of time and event", "outcome")
    time = ctx.variables.get(outcome.time).values
    event = ctx.variables.binary(outcome.event).values
    if (time[~np.isnan(time)] < 0).any():
        raise BadInput("A time to event is negative", where=f"column {outcome.time}")
    missing = np.isnan(time) | np.isnan(event)
    return np.where(missing, np.nan, time), np.where(missing, np.nan, event)


def labels(ctx: Context, names: Sequence[str]) -> tuple[npt.NDArray[np.int64], list[str]]:
    """Groups by one or more variables or columns (strata, clusters): code of each row, -1 for missing, and their names.

    Args:
        ctx: the analysis.
        names: variables, or columns that are not declared, whose values are then taken as texts.

    Returns:
        Codes over all rows, and labels like ``race=1`` in the order of levels (else of texts).
    """
    codes = np.zeros(len(ctx.variables), dtype=np.int64)
    missing = np.zeros(len(ctx.variables), dtype=bool)
    texts = [""]
    for name in names:
        if name in ctx.spec.variables:
            coded = ctx.variables.get(name)
            absent = np.isnan(coded.values)
            if coded.kind == "category":
                own, levels = np.nan_to_num(coded.values).astype(np.int64), list(coded.levels)
            else:
                distinct, own = np.unique(coded.values[~absent], return_inverse=True)
                levels = [f"{value:.15g}" for value in distinct]
                spread = np.zeros(len(codes), dtype=np.int64)
                spread[~absent] = own
                own = spread
        else:
            found = ctx.variables.texts(name)
            own, uniques = pd.factorize(found, use_na_sentinel=True, sort=True)
            absent, levels = own < 0, [str(value) for value in uniques]
            own = np.where(absent, 0, own)
        missing |= absent
        texts = [f"{left},{name}={level}".lstrip(",") for left in texts for level in levels]
        codes = codes * max(len(levels), 1) + own
    return np.where(missing, -1, codes), texts

"""From the terms of an analysis to columns of numbers: complete cases, outcome, model matrix.

Belongs here: terms (`age^2`, `a:b`), dummy columns of categories, who is left after missing values and subset, and how
many persons a row stands for. Does not belong here: estimation.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from meddata_pipeline.core.errors import BadInput, ConfigError
from meddata_pipeline.core.expression import Floats
from meddata_pipeline.study.spec import Analysis, GroupedOutcome, Outcome, StudySpec, TimeOutcome
from meddata_pipeline.study.variables import Coded, NotComputableError, Variables, as_numbers

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
    """One analysis on one table: the study's defaults filled in, variables coded, frequency read."""

    spec: StudySpec
    analysis: Analysis
    variables: Variables
    frequency: Floats
    subset: Mask

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


def context(frame: pd.DataFrame, spec: StudySpec, analysis: Analysis, shared: Variables) -> Context:
    """Prepare one analysis.

    Args:
        frame: the table.
        spec: the study.
        analysis: one of its analyses.
        shared: variables coded without frequencies, reused where the analysis has none.

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
    return Context(spec, analysis, variables, frequency, subset)


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
    if re.fullmatch(r"ns\(.*\)", term):
        raise ctx.fail(f"The spline term {term!r} is not supported; use a square or a category", "covariates")
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


def model(ctx: Context) -> Model:
    """Build the model of an analysis: the exposure first, then the covariates in the order of the file.

    Raises:
        ConfigError: no exposure, or a term that can't be read.
        NotComputableError: a category's reference level has no row left, or none are left at all.
    """
    exposure = ctx.exposure
    if exposure is None:
        raise ctx.fail("The analysis needs an exposure", "exposure")
    terms = [exposure, *(term for term in ctx.covariates if term != exposure)]
    if len(set(terms)) < len(terms):
        raise ctx.fail("A term stands twice among the covariates", "covariates")
    expanded = [(term, expand(ctx, term)) for term in terms]
    counts, kept = outcome_counts(ctx)
    kept = kept & ctx.subset
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
    return Model(
        [Column(c.term, c.values[kept], c.level) for c in columns],
        Counts(counts.events[kept], counts.persons[kept], counts.grouped, counts.frequency[kept]),
        [column.term for column in expanded[0][1]],
        kept,
    )

"""The way in to the estimators: a table and a study in, estimates out.

Belongs here: running every analysis of a study. Does not belong here: formulas (estimators/), suppression and rounding
(disclosure), texts (report.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import pandas as pd

from meddata_pipeline.disclosure.cells import CountTable
from meddata_pipeline.study.design import context
from meddata_pipeline.study.estimators import METHODS
from meddata_pipeline.study.estimators.result import Estimate
from meddata_pipeline.study.spec import StudySpec
from meddata_pipeline.study.variables import Variables

__all__ = ["Associations", "Estimate", "associate", "measure"]


@dataclass
class Associations:
    """Every estimate of a study with what it rests on; holds small counts, so it stays where the table is.

    Attributes:
        persons: rows of the table.
        estimates: in the order of the analyses, never rounded.
        cells: by estimate id, the counts of persons behind it.
        tables: tables of counts with the ids that show them.
        groups: by analysis, persons by group.
        exposure_terms: by analysis, the exposure's terms.
    """

    persons: int
    estimates: list[Estimate] = field(default_factory=list)
    cells: dict[str, tuple[int, ...]] = field(default_factory=dict)
    tables: list[CountTable] = field(default_factory=list)
    groups: dict[str, dict[str, int]] = field(default_factory=dict)
    exposure_terms: dict[str, list[str]] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Everything as plain JSON; `from_dict` reads it back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Associations:
        """Read what `as_dict` wrote."""
        tables = [
            CountTable(
                analysis=table["analysis"],
                counts=tuple(tuple(line) for line in table["counts"]),
                ids=tuple(tuple(tuple(cell) for cell in line) for line in table["ids"]),
                zero_is_safe=tuple(table["zero_is_safe"]),
                dependents=tuple(table["dependents"]),
                n_dependents=tuple(table["n_dependents"]),
            )
            for table in raw["tables"]
        ]
        cells = {i: tuple(counts) for i, counts in raw["cells"].items()}
        return cls(**{**raw, "tables": tables, "cells": cells})


def measure(frame: pd.DataFrame, spec: StudySpec) -> Associations:
    """Run every analysis of a study.

    Args:
        frame: one row a person (or a row for as many persons as a frequency column says); cells may be texts.
        spec: the study.

    Returns:
        The estimates and the counts behind them. An analysis that can't be computed gives rows with a reason.

    Raises:
        ConfigError: the study does not fit its own rules (a term, a type).
        BadInput: the table lacks a column, or a value is no number.
    """
    shared = Variables(frame, spec)
    result = Associations(persons=len(frame))
    earlier: dict[str, Estimate] = {}
    prevalence: dict[str, float] = {}
    for analysis in spec.analyses:
        computed = METHODS[analysis.method](context(frame, spec, analysis, shared, earlier, prevalence))
        result.estimates += computed.rows
        earlier |= {estimate["id"]: estimate for estimate in computed.rows}
        if computed.prevalence is not None:
            prevalence[analysis.id] = computed.prevalence
        result.cells |= computed.cells
        result.tables += computed.tables
        result.exposure_terms[analysis.id] = computed.exposure_terms
        if computed.groups:
            result.groups[analysis.id] = computed.groups
    return result


def associate(frame: pd.DataFrame, spec: StudySpec) -> list[Estimate]:
    """The estimates of a study, never rounded and nothing suppressed; see `measure`."""
    return measure(frame, spec).estimates

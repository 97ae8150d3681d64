"""The one shape of a result, and what a result rests on.

Belongs here: rows of estimates, the counts of persons behind them, and the words of infinity. Does not belong here: any
decision whether a number may be shown (disclosure).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TypedDict

from meddata_pipeline.disclosure.cells import CountTable

Number = float | str | None


class Estimate(TypedDict):
    """One number of a study with its uncertainty; `estimate` is None with a `reason` where it can't be computed."""

    id: str
    analysis: str
    term: str
    measure: str
    estimate: Number
    low: Number
    high: Number
    p: float | None
    n: int | None
    se: float | None
    df: float | None
    reason: str | None


@dataclass
class Computed:
    """What one analysis gives.

    Attributes:
        rows: its estimates.
        cells: by estimate id, the counts of persons that the estimate rests on.
        tables: tables of counts with the ids that show them.
        groups: persons by group (``VARIABLE=LEVEL``) and of all (``persons``), as far as the rows show them.
        exposure_terms: names of the exposure's terms.
        prevalence: share of events among the persons, where the outcome is binary.
    """

    rows: list[Estimate] = field(default_factory=list)
    cells: dict[str, tuple[int, ...]] = field(default_factory=dict)
    tables: list[CountTable] = field(default_factory=list)
    groups: dict[str, int] = field(default_factory=dict)
    exposure_terms: list[str] = field(default_factory=list)
    prevalence: float | None = None


def json_number(value: float | None) -> Number:
    """A float for JSON: infinity as the text ``inf``, not-a-number as None."""
    if value is None or math.isnan(value):
        return None
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    return float(value)


def _plain(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)


def row(
    analysis: str,
    term: str,
    measure: str,
    estimate: float | None = None,
    low: float | None = None,
    high: float | None = None,
    *,
    p: float | None = None,
    n: int | None = None,
    se: float | None = None,
    df: float | None = None,
    reason: str | None = None,
) -> Estimate:
    """One estimate; its id is ``analysis/term/measure``."""
    value = json_number(estimate)
    if value is None and reason is None:
        reason = "not-computable"
    return Estimate(
        id=f"{analysis}/{term}/{measure}",
        analysis=analysis,
        term=term,
        measure=measure,
        estimate=value,
        low=json_number(low),
        high=json_number(high),
        p=_plain(p),
        n=n,
        se=_plain(se),
        df=_plain(df),
        reason=reason,
    )

"""Aggregates for products that hand over no rows: how many persons have which value, by outcome, coarsely.

Belongs here: counting and coarsening. Does not belong here: exact tables with secondary suppression (cells), which the
report prints; these counts are rounded so far that the two cannot be subtracted to find a person.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

_BASE = 10


def coarse(count: int, limit: int) -> str:
    """A count as published: ``<limit`` below the small-cell limit, else rounded to tens."""
    return f"<{limit}" if count < limit else str((count + _BASE // 2) // _BASE * _BASE)


def aggregates(frame: pd.DataFrame, columns: Sequence[str], outcome: str, limit: int) -> bytes:
    """One-way tables of categorical columns by outcome.

    Args:
        frame: one row a person, generalised.
        columns: columns to count.
        outcome: column of the outcome.
        limit: small-cell limit.

    Returns:
        CSV (UTF-8): variable, level, outcome, persons; sorted.
    """
    sink = io.StringIO()
    writer = csv.writer(sink, lineterminator="\n")
    writer.writerow(["variable", "level", outcome, "persons"])
    for column in columns:
        counts = Counter(zip(frame[column].astype(str), frame[outcome].astype(str), strict=True))
        for (level, group), count in sorted(counts.items()):
            writer.writerow([column, level, group, coarse(count, limit)])
    return sink.getvalue().encode()

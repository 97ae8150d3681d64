"""Released columns as numbers again, so that a study can run on the release.

What belongs here: reading the texts that hierarchy.py writes. What does not: estimating anything.
"""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

import numpy as np
import pandas as pd

from meddata_pipeline.privacy.policy import Policy

_INTERVAL = re.compile(r"^\[(-?[0-9.eE+-]+), (-?[0-9.eE+-]+)\)$")
_BELOW = re.compile(r"^< (-?[0-9.eE+-]+)$")
_ABOVE = re.compile(r"^>= (-?[0-9.eE+-]+)$")
_MONTH = re.compile(r"^(\d{4})-(\d{2})$")
_QUARTER = re.compile(r"^(\d{4})-Q([1-4])$")
_YEAR = re.compile(r"^(\d{4})(s?)$")


def number_of(text: str) -> float:
    """A generalised number as one number: the middle of an interval, the edge of an open one, NaN for ``*``."""
    interval = _INTERVAL.match(text)
    if interval:
        return (float(interval[1]) + float(interval[2])) / 2.0
    edge = _BELOW.match(text) or _ABOVE.match(text)
    try:
        return float(edge[1]) if edge else float(text)
    except ValueError:
        return float("nan")


def date_of(text: str) -> dt.date | None:
    """A generalised date as the first day of its month, quarter, year or decade; None for ``*``."""
    if month := _MONTH.match(text):
        return dt.date(int(month[1]), int(month[2]), 1)
    if quarter := _QUARTER.match(text):
        return dt.date(int(quarter[1]), int(quarter[2]) * 3 - 2, 1)
    if year := _YEAR.match(text):
        return dt.date(int(year[1]), 1, 1)
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        return None


def for_analysis(released: pd.DataFrame, policy: Policy) -> pd.DataFrame:
    """Turn generalised numbers and dates of a release into values that estimators take.

    Args:
        released: an anonymised table.
        policy: says which columns are intervals and which dates.

    Returns:
        A copy in which interval columns are floats (middle of the interval) and date columns are dates (first day);
        ``*`` becomes missing. Other columns stay as they are.
    """
    result = released.copy()
    for name, spec in policy.quasi_identifiers.items():
        if name not in result.columns or (spec.intervals is None and spec.dates is None):
            continue
        numeric = spec.intervals is not None
        distinct = [value for value in pd.unique(result[name]) if isinstance(value, str)]
        meaning: dict[Any, Any] = {text: number_of(text) if numeric else date_of(text) for text in distinct}
        mapped = result[name].map(meaning)
        result[name] = mapped.astype(np.float64) if numeric else mapped
    return result

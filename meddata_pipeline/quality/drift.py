"""What has changed since an earlier version, from two profiles: aggregates, never a value of a person.

What belongs here: the formulas of ``drift`` checks. What does not: measuring a profile (sql.py, api.profile). A profile
is ``{"rows": n, "columns": {name: {"nulls": share, "mean": m, "sd": s, "shares": {category: share, "": others}}}}``;
categories are those that the contract names, so that no value of the data becomes a key.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import log
from typing import Any

from meddata_pipeline.quality.checks import CheckSpec, Count

#: A share of 0 has no logarithm; the usual floor of the population stability index.
FLOOR = 1e-4


def stability(now: Mapping[str, float], then: Mapping[str, float]) -> float:
    """Population stability index: sum over categories of (p - q) ln(p / q), shares of 0 taken as FLOOR.

    Source: Siddiqi, Credit Risk Scorecards (2006): below 0.1 little, above 0.25 large change.
    """
    total = 0.0
    for name in sorted({*now, *then}):
        p, q = max(now.get(name, 0.0), FLOOR), max(then.get(name, 0.0), FLOOR)
        total += (p - q) * log(p / q)
    return total


def change(spec: CheckSpec, now: Mapping[str, Any], then: Mapping[str, Any]) -> Count | None:
    """The measured change of a ``drift`` check.

    Args:
        spec: the check.
        now: profile of this version.
        then: profile of the earlier one.

    Returns:
        rows: per cent; nulls: percentage points; mean: in standard deviations of then, absolute; psi: index. With
        ``applicable`` 0 where the earlier profile does not have it; None where it has no measure.
    """
    if spec.statistic == "rows":
        rows, before = float(now["rows"]), float(then["rows"])
        if not before:
            return None if rows else Count(0.0, int(rows))
        return Count(100.0 * (rows - before) / before, int(rows))
    name = spec.columns[0]
    new, old = now["columns"][name], then.get("columns", {}).get(name)
    key = {"nulls": "nulls", "mean": "mean", "psi": "shares"}[spec.statistic]
    if not old or old.get(key) is None or new.get(key) is None:
        return Count(0.0, 0)
    if spec.statistic == "nulls":
        return Count(100.0 * (new["nulls"] - old["nulls"]), int(now["rows"]))
    if spec.statistic == "psi":
        return Count(stability(new["shares"], old["shares"]), int(now["rows"]))
    distance = abs(new["mean"] - old["mean"])
    if not old.get("sd"):
        return Count(0.0, int(now["rows"])) if distance == 0 else None
    return Count(distance / old["sd"], int(now["rows"]))

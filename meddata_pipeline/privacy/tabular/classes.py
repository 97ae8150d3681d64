"""Figures of equivalence classes: sizes, re-identification risk, what columns tell people apart.

What belongs here: arithmetic on class sizes. What does not: tables, policies and files; see ../risk.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from meddata_pipeline.privacy.tabular.uniqueness import ESTIMATORS, has_estimate, population_uniqueness

Ints = NDArray[np.int64]

#: Smallest sizes of the ranges that the distribution of risk is told in: 1, 1/2, 1/3, 1/5, 1/11 and 1/20.
RISK_RANGES = (1, 2, 3, 5, 11, 20)


def class_report(persons: Ints) -> dict[str, Any]:
    """Count, smallest and histogram of class sizes.

    Args:
        persons: shape (classes,), persons of each class that is released.

    Returns:
        ``count``, ``min`` (None without classes), ``histogram`` (size as text → classes of that size, rising).
    """
    sizes, counts = np.unique(persons, return_counts=True)
    return {
        "count": len(persons),
        "min": int(sizes[0]) if len(sizes) else None,
        "histogram": {str(int(size)): int(count) for size, count in zip(sizes, counts, strict=True)},
    }


def _attacker(rows: Ints, group: Ints, threshold: float) -> dict[str, float]:
    """Risk of an attacker who finds ``group[i]`` persons behind each row of class i."""
    total = int(rows.sum())
    if not total:
        return {"records_at_risk": 0.0, "highest": 0.0, "success_rate": 0.0}
    # 1 / size > threshold, as a product: no rounding when the threshold is itself 1 / k.
    at_risk = int(rows[group * threshold < 1.0 - 1e-12].sum())
    whole = np.array_equal(rows, group)
    return {
        "records_at_risk": at_risk / total,
        "highest": 1.0 / int(group.min()),
        "success_rate": len(group) / total if whole else float((rows / group).sum()) / total,
    }


def risk_report(
    rows: Ints,
    persons: Ints,
    threshold: float,
    *,
    population: Ints | None = None,
    sampling_fraction: float | None = None,
) -> dict[str, Any]:
    """Prosecutor, journalist and marketer risk of classes, and how many of a population are unique.

    The prosecutor knows that his target is in the table: 1 / persons of the class. The journalist does not: 1 / persons
    of the population that fit the class. The marketer wants as many as possible: the average over the records. Without
    a population table it is taken to be the table itself, so that the journalist's and the marketer's risk equal the
    prosecutor's: an upper bound of the true one.

    Args:
        rows: shape (classes,), rows of each class.
        persons: shape (classes,), persons of each class.
        threshold: a record whose risk lies above it is at risk.
        population: shape (classes,), persons of the population that fit each class. The people of the table belong to
            the population: a class counts at least its own.
        sampling_fraction: share of the population that the table holds; None: uniqueness is not estimated.

    Returns:
        The keys of formats/policy.md, ``risk --json``, without ``attributes``; and ``without_estimate`` (estimators
        that say nothing of this table: their None, or the 0 that ARX gives for it, is no small risk), ``sample`` (the
        prosecutor's risk: average, highest, lowest, the shares of records at both, uniques), ``risk_distribution``
        (share of the records by size of their class) and ``histogram`` (classes by size).

    Source:
        El Emam, Guide to the De-Identification of Personal Health Information, 2013; Dankar and El Emam, A method for
        evaluating marketer re-identification risk, 2010.
    """
    total, people = int(rows.sum()), int(persons.sum())
    prosecutor = _attacker(rows, persons, threshold)
    journalist = dict(prosecutor)
    if population is not None:
        journalist = _attacker(rows, np.maximum(population, persons), threshold)
    sizes, counts = np.unique(persons, return_counts=True)
    ends = [*RISK_RANGES[1:], None]
    distribution = [
        {
            "from": low,
            "to": None if high is None else high - 1,
            "records": _share(rows, (persons >= low) & (persons < (high or persons.max(initial=0) + 1))),
        }
        for low, high in zip(RISK_RANGES, ends, strict=True)
    ]
    estimates: dict[str, float | None] = dict.fromkeys(ESTIMATORS)
    silent = list(ESTIMATORS)
    if sampling_fraction is not None:
        estimates = {name: population_uniqueness(sizes, counts, sampling_fraction, name) for name in ESTIMATORS}
        silent = [name for name in ESTIMATORS if not has_estimate(sizes, counts, sampling_fraction, name)]
    return {
        "rows": total,
        "classes": len(persons),
        "average_class_size": people / len(persons) if len(persons) else 0.0,
        "uniques": int((persons == 1).sum()),
        "prosecutor": prosecutor,
        "journalist": journalist,
        "marketer": {"success_rate": journalist["success_rate"]},
        "population_uniqueness": estimates,
        "without_estimate": silent,
        "sample": {
            "average": prosecutor["success_rate"],
            "highest": prosecutor["highest"],
            "lowest": 1.0 / int(sizes[-1]) if len(sizes) else 0.0,
            "share_at_highest": _share(rows, persons == sizes[0]) if len(sizes) else 0.0,
            "share_at_lowest": _share(rows, persons == sizes[-1]) if len(sizes) else 0.0,
            "uniques": int((persons == 1).sum()),
        },
        "risk_distribution": distribution,
        "histogram": {str(int(size)): int(count) for size, count in zip(sizes, counts, strict=True)},
    }


def _share(rows: Ints, chosen: NDArray[np.bool_]) -> float:
    total = int(rows.sum())
    return int(rows[chosen].sum()) / total if total else 0.0


def separation(rows: Ints) -> tuple[float, float]:
    """How well a set of columns tells rows apart.

    Args:
        rows: shape (classes,), rows of each combination of their values.

    Returns:
        Distinction (distinct combinations / rows) and separation (share of pairs of rows that differ).

    Source:
        Motwani and Xu, Efficient Algorithms for Masking and Finding Quasi-Identifiers, 2007.
    """
    total = int(rows.sum())
    if not total:
        return 0.0, 0.0
    pairs = total * (total - 1) // 2
    same = int((rows * (rows - 1) // 2).sum())
    return len(rows) / total, (pairs - same) / pairs if pairs else 0.0

"""Figures of equivalence classes: sizes, re-identification risk, what columns tell people apart.

What belongs here: arithmetic on class sizes. What does not: tables, policies and files; see ../risk.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from meddata_pipeline.privacy.tabular.lattice import Ints


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


def risk_report(rows: Ints, persons: Ints, threshold: float) -> dict[str, Any]:
    """Prosecutor, journalist and marketer risk of classes.

    Without a population table the journalist's population is the table itself, so that his risk equals the
    prosecutor's: an upper bound of the true one.

    Args:
        rows: shape (classes,), rows of each class.
        persons: shape (classes,), persons of each class; a record's risk is 1 / persons.
        threshold: a record above it is at risk.

    Returns:
        The keys of formats/policy.md, ``risk --json``, without ``attributes``.

    Source:
        ARX 3.9.2, RiskModelSampleRisks; El Emam, Guide to the De-Identification of Personal Health Information, 2013.
    """
    total = int(rows.sum())
    single = {"records_at_risk": 0.0, "highest": 0.0, "success_rate": 0.0}
    if total:
        # 1 / size > threshold, as a product: no rounding when the threshold is itself 1 / k.
        at_risk = int(rows[persons * threshold < 1.0 - 1e-12].sum())
        success = len(persons) / total if np.array_equal(rows, persons) else float((rows / persons).sum()) / total
        single = {
            "records_at_risk": at_risk / total,
            "highest": 1.0 / int(persons.min()),
            "success_rate": success,
        }
    return {
        "rows": total,
        "classes": len(persons),
        "average_class_size": total / len(persons) if len(persons) else 0.0,
        "uniques": int((persons == 1).sum()),
        "prosecutor": dict(single),
        "journalist": dict(single),
        "marketer": {"success_rate": single["success_rate"]},
        "population_uniqueness": {"dankar": None, "pitman": None, "zayatz": None, "snb": None},
    }


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

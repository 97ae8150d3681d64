"""Re-identification risk of a table, before or after anonymization: `meddata risk`.

What belongs here: classes of a table as it lies, the three attackers, what its columns tell apart. What does not:
changing the table (tabular/), the page for people (risk_report.py).

The uniqueness estimates of a population (Dankar, Pitman, Zayatz, SNB) are None: this version does not compute them, and
a number that nobody computed must not look like one.
"""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from meddata_pipeline.privacy.policy import Policy, load_policy
from meddata_pipeline.privacy.tabular.classes import risk_report, separation
from meddata_pipeline.privacy.tabular.files import read_table
from meddata_pipeline.privacy.tabular.lattice import class_ids, class_sizes
from meddata_pipeline.privacy.tabular.release import require_columns, unit_codes
from meddata_pipeline.privacy.tabular.values import SUPPRESSED, encode

# All subsets up to this many quasi-identifiers (63 for six); beyond it single columns, pairs and the whole.
_ALL_SUBSETS_UP_TO = 6


def _subsets(names: list[str]) -> list[tuple[str, ...]]:
    sizes = range(1, len(names) + 1) if len(names) <= _ALL_SUBSETS_UP_TO else (1, 2, len(names))
    return [subset for size in sizes for subset in combinations(names, size)]


def risk(table: pd.DataFrame, policy: Policy) -> dict[str, Any]:
    """Re-identification risk of a table as it lies, generalised or not.

    Args:
        table: one row per record.
        policy: names the quasi-identifiers, the unit and the threshold. A ``unit`` that the table no longer has means
            that every row counts as a person.

    Returns:
        The answer of ``risk --json``; suppressed rows (``*`` in all quasi-identifiers) are no class and not counted.

    Raises:
        BadInput: a quasi-identifier is missing.
    """
    names = list(policy.quasi_identifiers)
    require_columns(table, names, "quasi_identifiers")
    stars = (table[names].astype(object) == SUPPRESSED).all(axis=1)
    kept = table.loc[~stars]
    encoded = {name: encode(kept[name]) for name in names}
    units = unit_codes(kept, policy) if policy.unit in table.columns else None
    unit = units.astype(np.int64) if units is not None else None
    ones = np.ones(len(kept), dtype=np.int64)
    rows_per: dict[tuple[str, ...], Any] = {}
    answer: dict[str, Any] = {}
    for subset in _subsets(names):
        columns = [encoded[name] for name in subset]
        ids, count = class_ids([c.codes for c in columns], [len(c.texts) for c in columns])
        rows, persons = class_sizes(ids, count, ones, unit, int(units.max()) + 1 if units is not None else 0)
        rows_per[subset] = rows
        if len(subset) == len(names):
            answer = risk_report(rows, persons, policy.risk.threshold)
    answer["suppressed_rows"] = int(stars.sum())
    answer["attributes"] = []
    for subset, rows in rows_per.items():
        distinct, apart = separation(rows)
        answer["attributes"].append({"columns": list(subset), "distinction": distinct, "separation": apart})
    return answer


def risk_file(table: Path, policy_file: Path) -> dict[str, Any]:
    """The whole of ``meddata risk``: a CSV or Parquet file and a policy file in, the answer out."""
    policy = load_policy(policy_file)
    return risk(read_table(table, policy.table.delimiter), policy)

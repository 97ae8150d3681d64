"""Re-identification risk of a table, before or after anonymization: `meddata risk`.

What belongs here: classes of a table as it lies, the three attackers, what its columns tell apart. What does not:
changing the table (tabular/), attacks that are carried out (attack.py), the page for people (risk_report.py).
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from meddata_pipeline.core.errors import BadInput
from meddata_pipeline.privacy.policy import Policy, load_policy
from meddata_pipeline.privacy.profiles import profiles
from meddata_pipeline.privacy.tabular.classes import Ints, risk_report
from meddata_pipeline.privacy.tabular.files import read_table
from meddata_pipeline.privacy.tabular.lattice import class_sizes
from meddata_pipeline.privacy.tabular.outside import match, persons_outside
from meddata_pipeline.privacy.tabular.release import require_columns, unit_codes
from meddata_pipeline.privacy.tabular.subsets import group, subset_report
from meddata_pipeline.privacy.tabular.values import SUPPRESSED, Encoded, encode


def risk(table: pd.DataFrame, policy: Policy, *, base: Path | None = None) -> dict[str, Any]:
    """Re-identification risk of a table as it lies, generalised or not.

    Args:
        table: one row per record.
        policy: names the quasi-identifiers, the unit and the threshold. A ``unit`` that the table no longer has means
            that every row counts as a person.
        base: folder that the policy's files are relative to; needed for a population table.

    Returns:
        The answer of ``risk --json``; suppressed rows (``*`` in all quasi-identifiers) are no class and not counted.
        Beyond the format: ``suppressed_rows``, ``counts`` (``persons`` or ``rows``), ``sample``,
        ``risk_distribution``, ``histogram``, ``population`` (its persons, or None), ``profiles`` (which are met),
        ``unique_by`` (which columns make how many unique), and with each attribute ``uniques`` and ``minimal``.

    Raises:
        BadInput: a quasi-identifier is missing, here or in the population table; the population is too small.
    """
    kept, encoded, units = _kept(table, policy)
    counted = policy.unit is not None and policy.unit in table.columns
    ids, count = group([c.codes for c in encoded.values()], [len(c.texts) for c in encoded.values()], len(kept))
    unit = units.astype(np.int64) if units is not None else None
    ones = np.ones(len(kept), dtype=np.int64)
    rows, persons = class_sizes(ids, count, ones, unit, int(units.max()) + 1 if units is not None else 0)

    fraction = policy.risk.sampling_fraction
    outside: Ints | None = None
    size: int | None = None
    if policy.risk.population is not None and len(kept):
        outside, size = _population(policy, encoded, ids, count, base)
        people = int(units.max()) + 1 if units is not None else len(kept)
        if size < people:
            raise BadInput(
                "The population table holds fewer persons than the table",
                where="risk.population",
                next_step="Give a table of all the people whom the table's people belong to",
            )
        fraction = fraction if fraction is not None else people / size
    answer = risk_report(rows, persons, policy.risk.threshold, population=outside, sampling_fraction=fraction)
    smallest = int(persons.min()) if len(persons) else None
    told = subset_report(encoded, units)
    return {
        **answer,
        "suppressed_rows": len(table) - len(kept),
        "counts": "persons" if counted else "rows",
        "population": size,
        "sampling_fraction": fraction,
        "profiles": [
            {"id": p.id, "k": p.k, "highest": float(p.highest), "met": p.met(smallest)} for p in profiles().values()
        ],
        "unique_by": {
            "persons": told.uniques,
            "complete": told.complete,
            "columns": [asdict(column) for column in told.columns],
        },
        "attributes": [
            {
                "columns": list(s.columns),
                "distinction": s.distinction,
                "separation": s.separation,
                "uniques": s.uniques,
                "minimal": s.minimal,
            }
            for s in told.subsets
        ],
    }


def _kept(table: pd.DataFrame, policy: Policy) -> tuple[Ints, dict[str, Encoded], NDArray[np.int32] | None]:
    """Positions of rows that are not suppressed, their quasi-identifiers, whose they are (None: each is a person)."""
    names = list(policy.quasi_identifiers)
    require_columns(table, names, "quasi_identifiers")
    encoded = {name: encode(table[name]) for name in names}
    stars = np.ones(len(table), dtype=bool)
    for column in encoded.values():
        stars &= column.codes == (column.texts.index(SUPPRESSED) if SUPPRESSED in column.texts else -1)
    rows = np.flatnonzero(~stars)
    if stars.any():
        encoded = {name: _used(column, rows) for name, column in encoded.items()}
    counted = policy.unit is not None and policy.unit in table.columns
    units = unit_codes(table[[policy.unit]].iloc[rows], policy) if counted else None
    return rows, encoded, units


def _used(column: Encoded, rows: Ints) -> Encoded:
    """A column of some rows, with the texts that these have."""
    codes = column.codes[rows]
    used = np.zeros(len(column.texts), dtype=bool)
    used[codes] = True
    number = (np.cumsum(used) - 1).astype(np.int32)
    return Encoded(number[codes], [text for text, there in zip(column.texts, used, strict=True) if there])


def unique_people(table: pd.DataFrame, policy: Policy) -> pd.Series[Any]:
    """Which columns make whom unique: for each row the smallest set of columns that sets its person apart.

    For the people inside who decide on a policy: the answer is about single persons and must not be published.

    Args:
        table: see ``risk``.
        policy: see ``risk``.

    Returns:
        Names of columns by the index of ``table``, the first of several smallest sets; empty for persons who are not
        unique and for suppressed rows.
    """
    kept, encoded, units = _kept(table, policy)
    told = subset_report(encoded, units)
    sets = {int(row): told.subsets[at].columns for row, at in zip(kept, told.smallest, strict=True) if at >= 0}
    return pd.Series([sets.get(row, ()) for row in range(len(table))], index=table.index, dtype=object)


def _population(
    policy: Policy, encoded: dict[str, Encoded], ids: Ints, count: int, base: Path | None
) -> tuple[Ints, int]:
    """Persons of the population that fit each class, and persons in all."""
    path = (base or Path()) / str(policy.risk.population)
    table = read_table(path, policy.table.delimiter)
    require_columns(table, list(encoded), "quasi_identifiers")
    outside = {name: encode(table[name]) for name in encoded}
    units = unit_codes(table, policy) if policy.unit in table.columns else None
    matches = match(
        encoded, ids, outside, policy.quasi_identifiers, base=base or Path(), delimiter=policy.table.delimiter
    )
    return persons_outside(matches, count, units), int(units.max()) + 1 if units is not None else len(table)


def risk_file(table: Path, policy_file: Path) -> dict[str, Any]:
    """The whole of ``meddata risk``: a CSV or Parquet file and a policy file in, the answer out.

    A policy with ``risk.attack`` also gets ``attack``: what a linkage attack with that register achieved.
    """
    from meddata_pipeline.privacy.attack import attack_by_policy

    policy = load_policy(policy_file)
    frame = read_table(table, policy.table.delimiter)
    answer = risk(frame, policy, base=policy_file.parent)
    if policy.risk.attack is not None:
        answer["attack"] = attack_by_policy(frame, policy, policy.risk.attack, policy_file.parent).as_dict()
    return answer

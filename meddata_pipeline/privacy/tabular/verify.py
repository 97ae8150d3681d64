"""An independent recount of a release: classes by SQL, not by the engine that made them.

What belongs here: the last gate before a table leaves. It shares no code with the search: it reads the released table
as a buyer would and counts persons per class with DuckDB. What does not: finding a transformation.
"""

from __future__ import annotations

from typing import Any

import pandas as pd

from meddata_pipeline.core.errors import BadInput, Reason, Refused
from meddata_pipeline.privacy.policy import Policy
from meddata_pipeline.privacy.tabular.values import SUPPRESSED


def recount(released: pd.DataFrame, policy: Policy, unit: pd.Series[Any] | None = None) -> dict[str, Any]:
    """Count the classes of a released table by SQL.

    Args:
        released: the table as it would be published.
        policy: names the quasi-identifiers.
        unit: who each row belongs to, by the index of ``released``; None when every row is a person of its own.

    Returns:
        ``rows``, ``suppressed_rows`` (all quasi-identifiers ``*``), ``classes`` and ``min`` (persons; None without
        classes).

    Raises:
        BadInput: the table lacks a quasi-identifier, or ``unit`` does not say whose a row is.
    """
    import duckdb

    names = list(policy.quasi_identifiers)
    for name in names:
        if name not in released.columns:
            raise BadInput(f"The released table has no column {name}")
    frame = released[names].astype(object).map(lambda value: None if pd.isna(value) else str(value))
    frame = frame.set_axis([f"q{i}" for i in range(len(names))], axis=1).reset_index(drop=True)
    owners = pd.Series(range(len(frame))) if unit is None else unit.reindex(released.index).reset_index(drop=True)
    if bool(owners.isna().any()):
        raise BadInput("Some released rows belong to nobody, so persons can't be counted")
    frame["unit"] = owners.astype(str)
    columns = ", ".join(f"q{i}" for i in range(len(names)))
    stars = " AND ".join(f"q{i} = '{SUPPRESSED}'" for i in range(len(names)))
    # Without a temporary folder DuckDB can't spill persons' rows to disk in clear.
    with duckdb.connect(":memory:", config={"temp_directory": "", "threads": 2}) as connection:
        connection.register("released", frame)
        # Columns are named here, q0, q1 …; nothing of the table's own text enters the statement.
        statement = (
            "SELECT count(*), min(persons), coalesce(sum(n), 0) FROM ("  # noqa: S608
            "SELECT count(*) AS n, count(DISTINCT unit) AS persons FROM released "
            f"WHERE NOT coalesce({stars}, false) GROUP BY {columns})"
        )
        row = connection.execute(statement).fetchone()
    count, smallest, rows = row if row is not None else (0, None, 0)
    return {
        "rows": len(frame),
        "suppressed_rows": len(frame) - int(rows),
        "classes": int(count),
        "min": None if smallest is None else int(smallest),
    }


def verify(
    released: pd.DataFrame,
    policy: Policy,
    *,
    unit: pd.Series[Any] | None = None,
    report: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Let a table pass only when an independent count agrees that every class is large enough.

    Args:
        released: the table as it would be published.
        policy: what it must meet.
        unit: see ``recount``.
        report: the engine's report, to be compared with the count.

    Returns:
        The count of ``recount``, with the ``k`` that was asked.

    Raises:
        Refused: reason ``k-anonymity`` (a class is too small), ``columns`` (a column is not the policy's) or
            ``recount`` (the engine's report says something else).
    """
    stray = [str(name) for name in released.columns if name not in policy.released_columns]
    if stray:
        raise Refused(
            "The table holds columns that its policy does not release",
            reasons=[Reason("columns", "the policy does not list the column", name) for name in stray],
        )
    counted = recount(released, policy, unit)
    if counted["min"] is not None and counted["min"] < policy.k:
        detail = f"the smallest class holds fewer than {policy.k} persons"
        raise Refused("The recount refuses the table", reasons=[Reason("k-anonymity", detail)])
    if report is not None:
        classes = report.get("classes", {})
        said = (classes.get("count"), classes.get("min"))
        # When everything is generalised to *, kept and suppressed rows look the same and none counts as a class.
        if counted["classes"] and said != (counted["classes"], counted["min"]):
            detail = f"the engine reports {said[0]} classes, the recount finds {counted['classes']}"
            raise Refused("The recount disagrees with the engine", reasons=[Reason("recount", detail)])
    return {**counted, "k": policy.k}

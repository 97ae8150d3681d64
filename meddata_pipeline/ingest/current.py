"""The current state of records that are appended delivery by delivery.

What belongs here: the one rule which of several deliveries of a record counts. What does not: running the query.
"""

from __future__ import annotations


def current_sql(source: str, *, voided: bool = False) -> str:
    """SQL of the current records: the latest of each (hospital, record_key), voided ones left out.

    The latest is that of the latest day; on a day, a correction wins over a snapshot or an increment; then the file's
    digest and the row decide, so that the order in which deliveries arrive never matters.

    Args:
        source: a relation with the provenance columns; trusted SQL, never a user's text.
        voided: keep records whose latest row voids them, for callers that have other days to compare with.

    Returns:
        A SELECT for DuckDB with the columns of ``source``.
    """
    latest_first = "day DESC, (delivery = 'correction') DESC, source_table DESC, source_file DESC, source_row DESC"
    living = "" if voided else " AND NOT deleted"
    return (
        f"SELECT * FROM {source} "  # noqa: S608
        f"QUALIFY row_number() OVER (PARTITION BY hospital, record_key ORDER BY {latest_first}) = 1{living}"
    )

"""The quarantine as people see it: counts for everybody, rows for those who may look into the restricted zone.

What belongs here: listing and showing what ingest and the rules of quality put aside. What does not: deciding that a
row is bad (ingest, quality_station). A row that ingest could not map is never released: a hospital that delivers the
corrected file replaces what it sent. Rows of the station deid are, see quality_quarantine.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from meddata_pipeline.app import quality_quarantine, status
from meddata_pipeline.app.workplace import Workplace
from meddata_pipeline.core.errors import BadInput
from meddata_pipeline.core.settings import Settings
from meddata_pipeline.storage.lake import Partition


def counts(settings: Settings, hospital: str | None = None, day: str | None = None) -> list[dict[str, Any]]:
    """Quarantined rows by hospital, day, table, file and reason; nothing in it comes from a patient.

    A file that was put aside whole has 0 rows: what it holds cannot be counted. Rows that a rule of quality put aside
    have the station ``deid``, the check as reason, no file, and how many of them people have released.

    Args:
        settings: of the home.
        hospital: only this one.
        day: only this one.

    Raises:
        BadInput: there is no home.
    """
    status.require_home(settings)
    raw = {"station": "raw"}
    ingested = [
        {**raw, "hospital": h, "day": d, "table": b["source_table"], "file": b["file"], "reason": reason, "rows": rows}
        for (h, d), facts in sorted(status.deliveries(settings).items())
        if hospital in (None, h) and day in (None, d)
        for b in facts["balance"]
        for reason, rows in b["quarantined"].items()
    ] + [
        {**raw, "hospital": h, "day": d, **whole, "rows": 0}
        for (h, d), facts in sorted(status.deliveries(settings).items())
        if hospital in (None, h) and day in (None, d)
        for whole in facts.get("files_refused", ())
    ]
    return ingested + quality_quarantine.counts(settings, hospital, day)


def rows(workplace: Workplace, hospital: str, day: str, reason: str | None = None) -> list[dict[str, Any]]:
    """The quarantined rows of a delivery, with their raw text: personal data, from the restricted zone.

    Args:
        workplace: the home.
        hospital: whose.
        day: yyyy-mm-dd.
        reason: only rows with this reason.

    Returns:
        ``{"station", "table", "file", "row", "column", "reason", "raw"}`` each; ``row`` is None for a whole file.
        Rows of the station ``deid`` have ``released`` too.

    Raises:
        BadInput: that delivery has not been ingested.
    """
    status.require_home(workplace.settings)
    where = Partition("quarantine", "rows", (hospital, day))
    if status.manifests(workplace.settings).manifest(where) is None:
        raise BadInput(
            "This delivery has not been ingested", where=f"{hospital}/{day}", next_step="See `meddata quarantine list`"
        )
    ingested = [
        {
            "station": "raw",
            "table": r["source_table"],
            "file": f"#{r['file_digest'][:8]}",
            "row": r["source_row"],
            "column": r["column"],
            "reason": r["reason"],
            "raw": r["raw"],
        }
        for r in workplace.lake.read(where).to_pylist()
        if reason in (None, r["reason"])
    ]
    return ingested + quality_quarantine.rows(workplace, hospital, day, reason)


def without_values(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same rows without what the hospital wrote into them."""
    return [{name: value for name, value in item.items() if name != "raw"} for item in items]


def restricted_file(settings: Settings, out: Path) -> Path:
    """The file to write rows to, if it lies in the home's restricted zone.

    Raises:
        BadInput: it lies anywhere else.
    """
    target = out.absolute()
    inside = target.parent.resolve() / target.name
    if not inside.is_relative_to(settings.restricted.resolve()):
        raise BadInput(
            "Rows of the quarantine may be written into the home's restricted folder only",
            where="--out",
            next_step="Choose a file below <home>/restricted/review",
        )
    return inside


def printable(raw: str) -> str:
    """A row's text without control characters: a file must not steer the terminal of whoever looks at it."""
    return "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in raw)

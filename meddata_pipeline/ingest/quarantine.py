"""What is put aside and why: the reasons, the table of quarantined rows, the balance of source rows.

What belongs here: shapes of what ingest reports beside the records. What does not: deciding that a row is bad.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import pyarrow as pa

from meddata_pipeline.core.errors import Reason, Refused
from meddata_pipeline.ingest.normalise import fold, mobile_key, record_no_key, resident_id_key

#: Reasons of a quarantined row, in no order of severity. unknown_file and bad_file stand for a whole file.
REASONS = (
    "short_row",  # fewer cells than the header
    "long_row",  # more cells than the header
    "bad_encoding",  # bytes that do not decode, or zero bytes
    "bad_quote",  # a quote that is never closed, or text behind a closing quote
    "missing_required",  # a required column, or the whole record key, is empty
    "impossible_date",  # no such day, before 1900, behind the day of delivery, or not readable without a guess
    "unmapped_code",  # a code that the profile does not map
    "bad_number",  # not a number where one is due
    "duplicate",  # the delivery holds the record again
    "lost_digits",  # an identifier that a spreadsheet turned into 4.1E+17
    "unknown_file",  # no table of the profile takes the file
    "bad_file",  # unreadable, or the manifest disagrees
)

_TOKEN = re.compile(r"[0-9A-Za-z_-]{3,}")


@dataclass(frozen=True)
class Rejected:
    """One row, or with ``row`` None one file, on its way into quarantine.

    Attributes:
        table: the hospital's table, "" where unknown.
        file: SHA-256 of the file, "" where there is none.
        row: number of the record, None for a whole file.
        column: canonical column at fault, "" for the row as such.
        reason: one of REASONS.
        raw: JSON of the row; restricted.
    """

    table: str
    file: str
    row: int | None
    column: str
    reason: str
    raw: str = ""

    def mentions(self, identifiers: AbstractSet[str]) -> bool:
        """Whether a cell of the row, or a word of one, is one of these identifiers (in their one spelling)."""
        if not identifiers or not self.raw:
            return False
        held = json.loads(self.raw)
        for cell in held.values() if isinstance(held, dict) else held:
            text = str(cell or "")
            if any(spell(text) in identifiers for spell in (record_no_key, resident_id_key, mobile_key)):
                return True
            if any(token.upper() in identifiers for token in _TOKEN.findall(fold(text))):
                return True
        return False


def raw_json(cells: Sequence[str | None]) -> str:
    """A row as it lies in quarantine."""
    return json.dumps(list(cells), ensure_ascii=False).encode("utf-8", "replace").decode("utf-8")


@cache
def quarantine_schema() -> pa.Schema:
    """Schema of the quarantine table."""
    text = pa.string()
    return pa.schema(
        [
            ("hospital", text),
            ("day", text),
            ("source_table", text),
            ("file_digest", text),
            ("source_row", pa.int64()),
            ("column", text),
            ("reason", text),
            ("raw", text),
        ]
    )


def quarantine_table(hospital: str, day: str, rejected: Sequence[Rejected]) -> pa.Table:
    """The quarantine of one delivery, sorted by table, file and row."""
    ordered = sorted(rejected, key=lambda r: (r.table, r.file, -1 if r.row is None else r.row, r.reason, r.column))
    columns = {
        "hospital": [hospital] * len(ordered),
        "day": [day] * len(ordered),
        "source_table": [r.table for r in ordered],
        "file_digest": [r.file for r in ordered],
        "source_row": [r.row for r in ordered],
        "column": [r.column for r in ordered],
        "reason": [r.reason for r in ordered],
        "raw": [r.raw for r in ordered],
    }
    return pa.table(columns, schema=quarantine_schema())


@dataclass(frozen=True)
class TableBalance:
    """Where the source rows of one file went.

    rows_in = mapped + quarantined, mapped = recorded + excluded. A source row counts once, however many kinds it gives.

    Attributes:
        source_table: the hospital's table.
        file: SHA-256 of the file.
        rows_in: records of the file. 0 for a file that could not be read.
        mapped: rows that became records or were excluded.
        quarantined: rows by reason.
        excluded: rows by reason, of people who must not be in.
        recorded: rows that became records.
    """

    source_table: str
    file: str
    rows_in: int
    mapped: int
    recorded: int
    quarantined: Mapping[str, int] = field(default_factory=dict)
    excluded: Mapping[str, int] = field(default_factory=dict)

    def check(self) -> TableBalance:
        """Return the balance itself, or refuse when it does not add up.

        Raises:
            Refused: with reason ``row-balance``.
        """
        lost = self.rows_in - self.mapped - sum(self.quarantined.values())
        gone = self.mapped - self.recorded - sum(self.excluded.values())
        if lost or gone:
            detail = f"{self.rows_in} in, {self.mapped} mapped, {self.recorded} recorded: {lost} and {gone} missing"
            where = f"{self.source_table} #{self.file[:8]}"
            raise Refused("The row balance of ingest does not add up", reasons=[Reason("row-balance", detail, where)])
        return self

    def as_dict(self) -> dict[str, Any]:
        """The balance as plain JSON; the file by the short form of its digest."""
        return {
            "source_table": self.source_table,
            "file": f"#{self.file[:8]}",
            "rows_in": self.rows_in,
            "mapped": self.mapped,
            "recorded": self.recorded,
            "quarantined": dict(sorted(self.quarantined.items())),
            "excluded": dict(sorted(self.excluded.items())),
        }


@dataclass(frozen=True)
class Withheld:
    """A source column that is not taken, or a mapped one that is not there.

    Attributes:
        source_table: the hospital's table.
        file: SHA-256 of the file.
        header: text of the header cell; restricted, since a header may hold anything. "" for a missing column.
        position: 1-based position of the cell, 0 for a missing column.
        why: ``unmapped`` (unknown, so taken for identifying), ``listed`` (the profile withholds it), ``repeated``
            (a second column of the same meaning) or ``missing-column``.
        column: canonical column, for ``missing-column``.
    """

    source_table: str
    file: str
    header: str
    position: int
    why: str
    column: str = ""

    def as_public(self) -> dict[str, Any]:
        """What may be shown outside the restricted zone: never the header."""
        return {
            "source_table": self.source_table,
            "file": f"#{self.file[:8]}",
            "position": self.position,
            "why": self.why,
            "column": self.column,
        }

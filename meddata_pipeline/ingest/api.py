"""One delivery in, records and everything that is not a record out.

What belongs here: the order of the steps over all files of a delivery. What does not: formats, columns, storage. The
result is a pure function of the delivery's content, the profile, the vocabularies and the key: neither the order of
arrival nor the clock takes part.
"""

from __future__ import annotations

import fnmatch
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa

from meddata_pipeline.core.canonical import digest8
from meddata_pipeline.core.config import Config
from meddata_pipeline.core.errors import BadInput
from meddata_pipeline.core.tables import arrow_schema, arrow_type, kinds
from meddata_pipeline.ingest import readers
from meddata_pipeline.ingest.exclusions import (
    OPT_OUT,
    SPELLING,
    VIP,
    Evidence,
    Exclusion,
    People,
    drop_reasons,
    load_groups,
)
from meddata_pipeline.ingest.landing import MANIFEST, Delivery, LandingFile, ManifestLine, read_manifest
from meddata_pipeline.ingest.mapping import BESIDE, Mapper, Rows, group, header_key
from meddata_pipeline.ingest.normalise import Vocabulary, load_vocabulary
from meddata_pipeline.ingest.profile import PeopleList, Profile, Table
from meddata_pipeline.ingest.quarantine import Rejected, TableBalance, Withheld, quarantine_table
from meddata_pipeline.ingest.sniff import UnreadableFile

Progress = Callable[[str, int], None]


@dataclass(frozen=True)
class IngestResult:
    """What one delivery gave.

    Attributes:
        hospital: id of the hospital.
        day: day of delivery.
        digest: digest of the delivery.
        tables: kind → records (schema: core.tables.arrow_schema), every kind of the profile; restricted.
        quarantine: rows and files put aside with their reasons (schema: quarantine.quarantine_schema); restricted.
        balance: one entry per file of a known table.
        withheld: columns that were not taken; headers are restricted, see Withheld.as_public().
        unknown_files: short digests of files that no table of the profile takes.
        exclusions: keyed hashes of people who must not be in; restricted.
        flags: how many records carry which flag, and how many further records were superseded in the delivery.
    """

    hospital: str
    day: str
    digest: str
    tables: dict[str, pa.Table]
    quarantine: pa.Table
    balance: list[TableBalance]
    withheld: list[Withheld]
    unknown_files: list[str]
    exclusions: list[Exclusion]
    flags: dict[str, int] = field(default_factory=dict)

    @property
    def rows_in(self) -> int:
        """Source records of all files."""
        return sum(b.rows_in for b in self.balance)

    @property
    def rows_mapped(self) -> int:
        """Source records that became records or were excluded."""
        return sum(b.mapped for b in self.balance)

    @property
    def rows_quarantined(self) -> int:
        """Source records in quarantine."""
        return self.rows_in - self.rows_mapped

    def quarantined(self) -> dict[str, int]:
        """Quarantined rows by reason; a file that could not be read or is unknown counts as one."""
        reasons = self.quarantine.column("reason").to_pylist()
        return dict(sorted(Counter(reasons).items()))

    def excluded(self) -> dict[str, int]:
        """Excluded source rows by reason."""
        total: Counter[str] = Counter()
        for balance in self.balance:
            total.update(balance.excluded)
        return dict(sorted(total.items()))

    def public_facts(self) -> dict[str, Any]:
        """What may be shown outside the restricted zone: counts, positions and short digests, as plain JSON."""
        return {
            "hospital": self.hospital,
            "day": self.day,
            "delivery": digest8(self.digest),
            "rows_in": self.rows_in,
            "rows_mapped": self.rows_mapped,
            "rows_quarantined": self.rows_quarantined,
            "records": {kind: table.num_rows for kind, table in sorted(self.tables.items())},
            "quarantined": self.quarantined(),
            "excluded": self.excluded(),
            "balance": [b.as_dict() for b in self.balance],
            "withheld": [w.as_public() for w in self.withheld],
            "unknown_files": self.unknown_files,
            "flags": dict(sorted(self.flags.items())),
        }


@dataclass
class _File:
    """One file of a known table, while the delivery is being read."""

    table: str
    sha256: str
    rows_in: int = 0
    quarantined: Counter[str] = field(default_factory=Counter)
    excluded: Counter[str] = field(default_factory=Counter)


def ingest_delivery(
    delivery: Delivery, profile: Profile, config: Config, *, key: bytes, progress: Progress | None = None
) -> IngestResult:
    """Turn one delivery into records.

    Args:
        delivery: what lies in the landing folder.
        profile: the hospital's profile.
        config: the configuration folders, for the vocabularies.
        key: secret of the hashes in ``exclusions``.
        progress: called with the table's name and the records read since the last call.

    Returns:
        Records and what was put aside; the balance has been checked.

    Raises:
        BadInput: opt-outs, the VIP list or the manifest cannot be read: then nobody may be let in.
        ConfigError: the vocabularies are wrong.
        Refused: the row balance does not add up.
    """
    if delivery.hospital != profile.hospital:
        raise BadInput(f"The profile is of {profile.hospital}", where=f"{delivery.hospital}/{delivery.day}")
    vocabulary = load_vocabulary(config)
    evidence = Evidence(load_groups(config, profile), delivery.date, vocabulary.is_negated)
    reading = _Reading(delivery, profile, vocabulary, evidence, progress)
    reading.run()
    people = evidence.people()
    tables, flags = reading.finish(people)
    gone = people.identifiers()
    rejected = [replace(r, raw="") if r.mentions(gone) else r for r in reading.rejected]
    return IngestResult(
        hospital=delivery.hospital,
        day=delivery.day,
        digest=delivery.digest,
        tables=tables,
        quarantine=quarantine_table(delivery.hospital, delivery.day, rejected),
        balance=reading.balance(),
        withheld=reading.withheld,
        unknown_files=reading.unknown,
        exclusions=people.exclusions(key, delivery.hospital),
        flags=flags,
    )


class _Reading:
    """The state of one delivery on its way."""

    def __init__(
        self,
        delivery: Delivery,
        profile: Profile,
        vocabulary: Vocabulary,
        evidence: Evidence,
        progress: Progress | None,
    ) -> None:
        self.delivery, self.profile, self.vocabulary = delivery, profile, vocabulary
        self.evidence, self.progress = evidence, progress
        self.files: list[_File] = []
        self.rejected: list[Rejected] = []
        self.withheld: list[Withheld] = []
        self.unknown: list[str] = []
        #: (table, kind, whether a further kind) → tables of the batches, with the private columns _file and _row
        self._parts: dict[tuple[str, str, bool], list[pa.Table]] = {}

    # --- reading -----------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Read all files: first who must leave, then the tables in the order of the profile."""
        manifest = read_manifest(self.delivery)
        self.evidence.lists = {OPT_OUT: {}, VIP: {}}
        by_table: dict[str, list[LandingFile]] = {name: [] for name in self.profile.tables}
        for file in self.delivery.files:
            if file.name == MANIFEST:
                continue
            for reason, people in ((OPT_OUT, self.profile.optout), (VIP, self.profile.vip)):
                if any(fnmatch.fnmatchcase(file.name, glob) for glob in people.files):
                    self._check(file, manifest, control=True)
                    _read_people(self.delivery, file, people, self.evidence.lists[reason])
                    break
            else:
                table = self.profile.table_of(file.name)
                if table is None:
                    self.unknown.append(digest8(file.sha256))
                    self.rejected.append(Rejected("", file.sha256, None, "", "unknown_file"))
                else:
                    by_table[table].append(file)
        self.unknown.sort()
        # Names, not times, say what is later: 检验_01.csv, 检验_02.csv.
        for name, files in by_table.items():
            for file in files:
                self._read(name, file, manifest)
        present = {file.name for file in self.delivery.files}
        for missing in sorted(set(manifest or ()) - present):
            self.rejected.append(Rejected(self.profile.table_of(missing) or "", "", None, "", "bad_file"))

    def _check(self, file: LandingFile, manifest: dict[str, ManifestLine] | None, *, control: bool = False) -> bool:
        """Whether the manifest, where there is one, agrees with the file's content."""
        if manifest is None:
            return True
        line = manifest.get(file.name)
        agrees = (line is not None or control) and (line is None or line.sha256 in (None, file.sha256))
        if control and not agrees:
            raise BadInput(
                "An opt-out or VIP list is not what the manifest says",
                where=self.delivery.public_name(file),
                next_step="Send the delivery again",
            )
        return agrees

    def _read(self, name: str, file: LandingFile, manifest: dict[str, ManifestLine] | None) -> None:
        entry = _File(name, file.sha256)
        self.files.append(entry)
        table = self.profile.tables[name]
        parts: list[tuple[str, bool, pa.Table]] = []
        rejected: list[Rejected] = []
        try:
            if not self._check(file, manifest):
                raise UnreadableFile("The manifest disagrees")
            withheld = self._read_parts(name, table, file, entry, parts, rejected)
            line = manifest.get(file.name) if manifest else None
            if line is not None and line.rows is not None and line.rows != entry.rows_in:
                raise UnreadableFile("The manifest disagrees")
        except UnreadableFile:
            # The file as a whole is put aside, with whatever had been read of it.
            entry.quarantined = Counter({"bad_file": entry.rows_in} if entry.rows_in else {})
            self.rejected.append(Rejected(name, file.sha256, None, "", "bad_file"))
            return
        self.withheld += withheld
        entry.quarantined.update(r.reason for r in rejected)
        self.rejected += rejected
        for kind, also, part in parts:
            self._parts.setdefault((name, kind, also), []).append(part)

    def _read_parts(
        self,
        name: str,
        table: Table,
        file: LandingFile,
        entry: _File,
        parts: list[tuple[str, bool, pa.Table]],
        rejected: list[Rejected],
    ) -> list[Withheld]:
        withheld: list[Withheld] = []
        recognised = False
        number = len(self.files) - 1
        encoding = table.encoding or self.profile.encoding
        for part in readers.read(file, encoding=encoding, delimiter=table.delimiter):
            mapper = Mapper(name, table, self.profile, self.vocabulary, self.delivery.date, part.header, file.sha256)
            withheld += mapper.withheld
            if not mapper.recognised:
                continue  # a sheet of remarks
            recognised = True
            offset = entry.rows_in
            for batch in part.batches:
                mapped = mapper.map(batch)
                for rows in mapped.seen:
                    self.evidence.add(rows)
                parts.append((mapped.main.kind, False, _table(mapped.main, number, offset)))
                parts += [(rows.kind, True, _table(rows, number, offset)) for rows in mapped.also]
                rejected += [
                    replace(r, row=r.row + offset) if r.row is not None and offset else r for r in mapped.rejected
                ]
                entry.rows_in += mapped.rows_in
                if self.progress is not None:
                    self.progress(name, mapped.rows_in)
        if not recognised:
            raise UnreadableFile("No column of the header is in the profile")
        return withheld

    # --- finishing ---------------------------------------------------------------------------------------------------

    def finish(self, people: People) -> tuple[dict[str, pa.Table], dict[str, int]]:
        """Remove duplicates and people who must leave; add the provenance."""
        reason_of = people.reason_of()
        made: dict[str, list[pa.Table]] = {kind: [] for kind in self.profile.kinds()}
        flags: Counter[str] = Counter()
        for name, table in self.profile.tables.items():
            main = self._joined(name, table.kind)
            if main is None:
                continue
            main, gone = self._without_duplicates(name, table, main)
            main, left = self._without_people(main, reason_of, table.kind, count=True)
            gone = np.concatenate([gone, left])
            made[table.kind].append(self._finished(main, table.kind, name, table))
            del main
            for kind in dict.fromkeys(a.kind for a in table.also):
                further = self._joined(name, kind, also=True)
                if further is None:
                    continue
                if len(gone):
                    further = further.filter(pa.array(~np.isin(_places(further), gone)))
                further, superseded = _latest(further)
                flags["superseded"] += superseded
                further, _ = self._without_people(further, reason_of, kind, count=False)
                made[kind].append(self._finished(further, kind, name, table))
        tables = {
            kind: pa.concat_tables(parts) if parts else arrow_schema(kind).empty_table() for kind, parts in made.items()
        }
        if "lab" in tables:
            counted = tables["lab"].column("flag").value_counts().to_pylist()
            flags.update({str(c["values"]): c["counts"] for c in counted if c["values"] is not None})
        return tables, {name: count for name, count in sorted(flags.items()) if count}

    def _joined(self, name: str, kind: str, *, also: bool = False) -> pa.Table | None:
        parts = self._parts.pop((name, kind, also), None)
        return pa.concat_tables(parts).combine_chunks() if parts else None

    def _without_duplicates(self, name: str, table: Table, main: pa.Table) -> tuple[pa.Table, Any]:
        """Keep one row per record key.

        The content of the last row counts, because a file is written in the order of events; of several rows with
        that content the first stays, so that a row that is sent twice is quarantined where it is repeated.
        """
        at = group(_column(main, "record_key"))
        places = np.flatnonzero(np.bincount(at)[at] > 1) if len(at) else np.zeros(0, dtype=np.int64)
        if not len(places):
            return main, np.zeros(0, dtype=np.int64)
        keys = at[places]
        _, last_reversed = np.unique(keys[::-1], return_index=True)
        last = len(keys) - 1 - last_reversed
        content = _contents(main.take(pa.array(places)), table.kind)
        _, first, of_row = np.unique(content, return_index=True, return_inverse=True)
        keep = first[of_row[last]]
        gone = np.setdiff1d(places, places[keep])
        dropped = main.take(pa.array(gone))
        for row, number in zip(dropped.to_pylist(), dropped.column("_file").to_pylist(), strict=True):
            file = self.files[number]
            file.quarantined["duplicate"] += 1
            # The source cells are no longer at hand; the canonical ones say the same.
            raw = {c: str(row[c]) for c in kinds()[table.kind].names() if row[c] is not None}
            text = json.dumps(raw, ensure_ascii=False)
            self.rejected.append(Rejected(name, file.sha256, row["_row"], "", "duplicate", text))
        keep_mask = np.ones(main.num_rows, dtype=np.bool_)
        keep_mask[gone] = False
        return main.filter(pa.array(keep_mask)), _places(dropped)

    def _without_people(
        self, table: pa.Table, reason_of: dict[str, Callable[[str], str | None]], kind: str, *, count: bool
    ) -> tuple[pa.Table, Any]:
        none = np.zeros(0, dtype=np.int64)
        if kind == "staff":  # the roster is no patient data; privacy needs it
            return table, none
        columns = {name: _column(table, name) for name in SPELLING if name in table.column_names}
        names, at = drop_reasons(columns, table.num_rows, reason_of)
        drop = at >= 0
        if not drop.any():
            return table, none
        if count:
            files = np.asarray(_column(table, "_file"))
            for number, reason in enumerate(names):
                for file, rows in zip(*np.unique(files[at == number], return_counts=True), strict=True):
                    self.files[int(file)].excluded[reason] += int(rows)
        dropped = _places(table)[drop]
        return table.filter(pa.array(~drop)), dropped

    def _finished(self, table: pa.Table, kind: str, name: str, spec: Table) -> pa.Table:
        count = table.num_rows
        shas = pa.array([file.sha256 for file in self.files], pa.string())
        constant = {
            "hospital": self.delivery.hospital,
            "day": self.delivery.day,
            "source_table": name,
            "delivery": spec.delivery,
        }
        columns = []
        schema = arrow_schema(kind)
        for column in schema.names:
            if column in constant:
                columns.append(pa.repeat(pa.scalar(constant[column], pa.string()), count))
            elif column == "source_file":
                columns.append(shas.take(_column(table, "_file")))
            elif column == "source_row":
                columns.append(table.column("_row"))
            else:
                columns.append(table.column(column))
        return pa.table(columns, schema=schema)

    def balance(self) -> list[TableBalance]:
        """The balance per file, checked; to be called after finish()."""
        balances = []
        for file in self.files:
            mapped = file.rows_in - sum(file.quarantined.values())
            balances.append(
                TableBalance(
                    file.table,
                    file.sha256,
                    file.rows_in,
                    mapped,
                    mapped - sum(file.excluded.values()),
                    dict(sorted(file.quarantined.items())),
                    dict(sorted(file.excluded.items())),
                ).check()
            )
        return balances


def _read_people(delivery: Delivery, file: LandingFile, people: PeopleList, found: dict[str, set[str]]) -> None:
    """Add the identifiers of a list of people who must leave.

    Raises:
        BadInput: any part of the list cannot be read; a list that is half read would let people in.
    """
    where = delivery.public_name(file)
    hint = "Ask the hospital for the list again"
    aliases = {
        "patient_no": {header_key(text) for text in people.patient_no},
        "resident_id": {header_key(text) for text in people.resident_id},
    }
    known = False
    try:
        for part in readers.read(file):
            columns = [
                (kind, position)
                for position, text in enumerate(part.header)
                for kind, spelt in aliases.items()
                if header_key(text) in spelt
            ]
            known = known or bool(columns)
            for batch in part.batches:
                if batch.rejects:
                    row = batch.rejects[0].row + 1
                    raise BadInput(f"Record {row} of an opt-out or VIP list is damaged", where=where, next_step=hint)
                for kind, position in columns:
                    spell = SPELLING[kind]
                    found.setdefault(kind, set()).update(spell(text) for text in batch.columns[position].to_pylist())
    except UnreadableFile as error:
        raise BadInput(f"An opt-out or VIP list cannot be read: {error.message}", where=where, next_step=hint) from None
    if not known:
        raise BadInput(
            "An opt-out or VIP list has neither record numbers nor resident ids",
            where=where,
            next_step="Name its headers under optout or vip in the hospital's profile",
        )


def _table(rows: Rows, file: int, offset: int) -> pa.Table:
    """Rows of a batch as a table of the kind's columns and the private ones."""
    count = len(rows.rows)
    columns: dict[str, Any] = {}
    for column in kinds()[rows.kind].columns:
        found = rows.columns.get(column.name)
        columns[column.name] = pa.nulls(count, arrow_type(column.type)) if found is None else found
    columns.update((name, column) for name, column in rows.columns.items() if name.startswith(BESIDE))
    columns["record_key"] = rows.key
    columns["deleted"] = pa.array(rows.deleted)
    columns["source_values"] = pa.nulls(count, pa.string()) if rows.sources is None else rows.sources
    columns["_file"] = pa.array(np.full(count, file, dtype=np.int32))
    columns["_row"] = pa.array(rows.rows + offset)
    return pa.table(columns)


def _column(table: pa.Table, name: str) -> pa.Array:
    chunks = table.column(name).chunks
    if len(chunks) == 1:
        return chunks[0]
    return pa.concat_arrays(chunks) if chunks else pa.array([], table.column(name).type)


def _places(table: pa.Table) -> Any:
    """One number per source row of the delivery."""
    files = np.asarray(_column(table, "_file")).astype(np.int64)
    return (files << 40) + np.asarray(_column(table, "_row"))


def _contents(table: pa.Table, kind: str) -> Any:
    """One number per row, equal for rows of equal record key and content."""
    result = np.zeros(table.num_rows, dtype=np.int64)
    beside = [name for name in table.column_names if name.startswith(BESIDE)]
    for name in ("record_key", "deleted", *kinds()[kind].names(), *beside):
        at = group(_column(table, name))
        _, result = np.unique(result * (int(at.max(initial=0)) + 2) + at + 1, return_inverse=True)
    return result


def _latest(table: pa.Table) -> tuple[pa.Table, int]:
    """The last row per record key, and how many others there were."""
    at = group(_column(table, "record_key"))
    _, last_reversed = np.unique(at[::-1], return_index=True)
    if len(last_reversed) == table.num_rows:
        return table, 0
    keep = np.sort(table.num_rows - 1 - last_reversed)
    return table.take(pa.array(keep)), table.num_rows - len(keep)

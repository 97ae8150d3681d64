"""Who is who in a hospital: the identifiers known of each person, and the staff roster.

What belongs here: building this from records, looking it up, its digest, its form in the lake. What does not: matching
it in texts (privacy/detect/known.py).

Latest wins: of a person's names and numbers the newest stands first, but earlier ones are kept, because notes may hold
them. The digest depends on the content alone, not on the order in which deliveries came.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from meddata_pipeline.core.tables import kinds
from meddata_pipeline.privacy.detect.types import Known
from meddata_pipeline.privacy.detect.words import words
from meddata_pipeline.privacy.pseudonym import normalise_resident_id, pseudonym, resident_id_is_valid

if TYPE_CHECKING:
    import pyarrow as pa

#: Columns of the patient table that become lists, newest value first.
_LISTS = (
    "name",
    "resident_id",
    "insurance_no",
    "mobile",
    "phone",
    "email",
    "address",
    "contact_name",
    "contact_mobile",
)
_STAFF_SEPARATORS = re.compile(r"[/、,，;；&+|]+|\s{2,}")


def identities_schema() -> pa.Schema:
    """The table in the lake: one row per patient number (kind ``patient``) and per staff name (kind ``staff``)."""
    import pyarrow as pa

    fields = [pa.field(n, pa.string()) for n in ("kind", "hospital", "patient_no", "person_id")]
    fields += [pa.field(name, pa.list_(pa.string())) for name in _LISTS]
    return pa.schema(fields)


class Identities:
    """The identifiers known of a hospital's persons.

    Args:
        table: rows of ``identities_schema``, sorted by kind, hospital, patient number, name.
        key: the lake's key for person ids; needed for patients who are not in the table.
    """

    def __init__(self, table: pa.Table, key: bytes) -> None:
        self.table = table
        self._key = key
        self._rows: dict[tuple[str, str], int] = {}
        hospitals, numbers = table["hospital"].to_pylist(), table["patient_no"].to_pylist()
        for i, kind in enumerate(table["kind"].to_pylist()):
            if kind == "patient":
                self._rows[(hospitals[i], numbers[i])] = i
        self._person_ids: list[str | None] = table["person_id"].to_pylist()
        self._columns: dict[str, Any] = {name: table[name].combine_chunks() for name in _LISTS}
        self._known: dict[int, Known] = {}

    @property
    def persons(self) -> int:
        """How many patient numbers are known."""
        return len(self._rows)

    def digest(self) -> str:
        """SHA-256 of the content; a part of the data version of everything that is made with it."""
        digest = hashlib.sha256()
        for name in identities_schema().names:
            digest.update(json.dumps([name, self.table[name].to_pylist()], ensure_ascii=False).encode())
        return digest.hexdigest()

    def staff(self, hospital: str | None = None) -> list[str]:
        """The staff's names, sorted; of one hospital or of all."""
        import pyarrow.compute as pc

        rows = self.table.filter(pc.equal(self.table["kind"], "staff"))
        if hospital is not None:
            rows = rows.filter(pc.equal(rows["hospital"], hospital))
        return sorted({name for names in rows["name"].to_pylist() for name in names or ()})

    def person_id(self, hospital: str, patient_no: str | None) -> str | None:
        """The keyed id of the human behind a patient number; for an unknown number one of its own."""
        if patient_no is None:
            return None
        row = self._rows.get((hospital, patient_no))
        found = self._person_ids[row] if row is not None else None
        return found or _own_person_id(self._key, hospital, patient_no)

    def person_ids(self, hospital: pa.Array, patient_no: pa.Array) -> pa.Array:
        """``person_id`` for columns, once per distinct pair.

        Args:
            hospital: string column.
            patient_no: string column of the same length; null gives null.
        """
        import pyarrow as pa

        memo: dict[tuple[str, str | None], str | None] = {}
        out: list[str | None] = []
        for pair in zip(hospital.to_pylist(), patient_no.to_pylist(), strict=True):
            if pair not in memo:
                memo[pair] = self.person_id(*pair)
            out.append(memo[pair])
        return pa.array(out, pa.string())

    def known(self, hospital: str, patient_no: str | None) -> Known | None:
        """What is known of the patient of a row, or None; the same object for the same patient."""
        row = self._rows.get((hospital, patient_no or ""))
        if row is None:
            return None
        cached = self._known.get(row)
        if cached is None:
            lists = {name: tuple(column[row].as_py() or ()) for name, column in self._columns.items()}
            names, mobiles = lists["contact_name"], lists["contact_mobile"]
            contacts = tuple(
                (names[i] if i < len(names) else "", mobiles[i] if i < len(mobiles) else "")
                for i in range(max(len(names), len(mobiles)))
            )
            cached = self._known[row] = Known(
                names=lists["name"],
                resident_ids=lists["resident_id"],
                mobiles=lists["mobile"] + lists["phone"],
                record_nos=(patient_no or "",),
                addresses=lists["address"],
                contacts=contacts,
                other=lists["email"] + lists["insurance_no"],
            )
        return cached

    def all_names(self) -> list[str]:
        """Every name of a patient or contact, sorted; for the search in columns that should hold none."""
        import pyarrow.compute as pc

        names: set[str] = set()
        for column in ("name", "contact_name"):
            flat = pc.unique(pc.list_flatten(self._columns[column]))
            names.update(value for value in flat.to_pylist() if value)
        return sorted(names)


def _own_person_id(key: bytes, hospital: str, patient_no: str) -> str:
    return pseudonym(key, "person", f"patient|{hospital}|{patient_no}")


def build(records: Mapping[str, pa.Table | Sequence[pa.Table]], key: bytes) -> Identities:
    """Build the identities from the records of one or more hospitals.

    Args:
        records: by kind, tables in the form of ``core.tables.arrow_schema``; of ``patient`` and ``staff`` all rows
            are used, of other kinds the patient numbers and the columns with staff names. Tables may hold a part of
            the columns.
        key: the lake's key for person ids.

    Returns:
        Identities; a patient number that occurs only outside the patient table is not in them.
    """
    import pyarrow as pa

    tables = {kind: [given] if isinstance(given, pa.Table) else list(given) for kind, given in records.items()}
    patients = _patients(tables.get("patient", []), key)
    staff = _staff(tables)
    return Identities(pa.concat_tables([patients, staff]), key)


def _patients(tables: Sequence[pa.Table], key: bytes) -> pa.Table:
    import pyarrow as pa

    schema = identities_schema()
    needed = ["hospital", "patient_no", "day"]
    usable = [table for table in tables if table.num_rows]
    if not usable:
        return schema.empty_table()
    parts = [t.select([c for c in (*needed, *_LISTS) if c in t.column_names]) for t in usable]
    rows = pa.concat_tables(parts, promote_options="default")
    people = rows.select(["hospital", "patient_no"]).group_by(["hospital", "patient_no"]).aggregate([])
    people = people.filter(people["patient_no"].is_valid()).sort_by(
        [("hospital", "ascending"), ("patient_no", "ascending")]
    )
    keys = list(zip(people["hospital"].to_pylist(), people["patient_no"].to_pylist(), strict=True))
    place = {pair: i for i, pair in enumerate(keys)}
    columns: dict[str, Any] = {}
    for name in _LISTS:
        values: list[list[str] | None] = [None] * len(keys)
        if name in rows.column_names:
            for hospital, number, value in _newest_first(rows, name):
                if name == "resident_id":
                    value = normalise_resident_id(value)
                slot = place[(hospital, number)]
                held = values[slot]
                if held is None:
                    values[slot] = [value]
                elif value not in held:
                    held.append(value)
        columns[name] = pa.array(values, pa.list_(pa.string()))
    ids: list[str] = []
    for (hospital, number), candidates in zip(keys, columns["resident_id"].to_pylist(), strict=True):
        valid = next((c for c in candidates or () if resident_id_is_valid(c)), None)
        ids.append(pseudonym(key, "person", f"resident|{valid}") if valid else _own_person_id(key, hospital, number))
    return pa.table(
        {
            "kind": pa.array(["patient"] * len(keys), pa.string()),
            "hospital": people["hospital"],
            "patient_no": people["patient_no"],
            "person_id": pa.array(ids, pa.string()),
            **columns,
        },
        schema=schema,
    )


def _newest_first(rows: pa.Table, name: str) -> Iterable[tuple[str, str, str]]:
    """(hospital, patient number, value) once each, newest delivery first; ties by the value, so that order is fixed."""
    import pyarrow as pa
    import pyarrow.compute as pc

    part = rows.select(["hospital", "patient_no", name, "day"])
    value = pc.utf8_trim_whitespace(part[name].cast(pa.string()))
    part = part.set_column(2, "value", value)
    part = part.filter(
        pc.and_(pc.and_(pc.is_valid(part["value"]), pc.not_equal(part["value"], "")), pc.is_valid(part["patient_no"]))
    )
    latest = part.group_by(["hospital", "patient_no", "value"]).aggregate([("day", "max")])
    latest = latest.sort_by(
        [("hospital", "ascending"), ("patient_no", "ascending"), ("day_max", "descending"), ("value", "ascending")]
    )
    return zip(
        latest["hospital"].to_pylist(), latest["patient_no"].to_pylist(), latest["value"].to_pylist(), strict=True
    )


def _staff(tables: Mapping[str, Sequence[pa.Table]]) -> pa.Table:
    import pyarrow as pa

    found: set[tuple[str, str]] = set()
    for kind, spec in kinds().items():
        columns = ["name"] if kind == "staff" else spec.names("staff")
        for table in tables.get(kind, ()):
            for column in columns:
                if column not in table.column_names:
                    continue
                pairs = table.select(["hospital", column]).group_by(["hospital", column]).aggregate([])
                for hospital, cell in zip(pairs["hospital"].to_pylist(), pairs[column].to_pylist(), strict=True):
                    for name in _staff_names(cell):
                        found.add((hospital, name))
    ordered = sorted(found)
    schema = identities_schema()
    columns_out: dict[str, Any] = {field.name: pa.nulls(len(ordered), field.type) for field in schema}
    columns_out["kind"] = pa.array(["staff"] * len(ordered), pa.string())
    columns_out["hospital"] = pa.array([hospital for hospital, _ in ordered], pa.string())
    columns_out["name"] = pa.array([[name] for _, name in ordered], pa.list_(pa.string()))
    return pa.table(columns_out, schema=schema)


def _staff_names(cell: str | None) -> list[str]:
    """The names in a cell of staff: several may share it, and titles may stand behind them."""
    names: list[str] = []
    for part in _STAFF_SEPARATORS.split(cell or ""):
        name = part.strip()
        for title in words("titles"):
            if name.endswith(title) and len(name) > len(title) + 1:
                name = name[: -len(title)].strip()
                break
        if len(name) >= 2 and not any(c.isdigit() for c in name):
            names.append(name)
    return names

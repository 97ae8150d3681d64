"""People who must not be in: opt-outs, the VIP list, staff as patients, groups by diagnosis and age.

What belongs here: finding them in one delivery, and the register of all days that keeps them out later. What does not:
reading the lists (api). A register holds keyed hashes only, never an identifier.
"""

from __future__ import annotations

import datetime as dt
import hmac
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from meddata_pipeline.core.config import Config
from meddata_pipeline.core.errors import BadInput, ConfigError
from meddata_pipeline.ingest import normalise as norm
from meddata_pipeline.ingest.mapping import Rows, encode
from meddata_pipeline.ingest.profile import Group, Profile

IdKind = Literal["patient_no", "resident_id", "mobile", "visit_no"]

#: How each kind of identifier is spelt before it is compared or hashed.
SPELLING = {
    "patient_no": norm.record_no_key,
    "visit_no": norm.record_no_key,
    "resident_id": norm.resident_id_key,
    "mobile": norm.mobile_key,
}

OPT_OUT, VIP = "opt_out", "vip"


@dataclass(frozen=True, order=True)
class Exclusion:
    """One identifier of a person who must not be in.

    Attributes:
        id_kind: patient_no, visit_no, resident_id or mobile.
        hash: keyed hash of the identifier.
        reason: opt_out, vip or the name of a group.
    """

    id_kind: str
    hash: str
    reason: str


def keyed_hash(key: bytes, hospital: str, id_kind: str, value: str) -> str:
    """Hash of an identifier that nobody without the key can recompute.

    Args:
        key: secret, 32 bytes.
        hospital: id of the hospital: equal numbers of two hospitals are different people.
        id_kind: kind of identifier.
        value: the identifier in any spelling.
    """
    message = f"{hospital}\0{id_kind}\0{SPELLING[id_kind](value)}".encode()
    return hmac.digest(key, message, "sha256").hex()


def load_groups(config: Config, profile: Profile) -> dict[str, Group]:
    """Excluded groups: the shipped ones in their order, then those that the profile adds.

    Raises:
        ConfigError: the vocabulary is wrong, or the profile redefines a shipped group.
    """
    where = "vocabulary/excluded_groups.yaml"
    try:
        shipped = norm.vocabulary_file(config, where)["groups"]
        groups = {str(name): Group.model_validate(entry) for name, entry in shipped.items()}
    except (KeyError, AttributeError, ValueError) as error:
        raise ConfigError(f"The list of excluded groups is wrong ({type(error).__name__})", where=where) from None
    for name, group in profile.excluded_groups.items():
        if name in groups or name in (OPT_OUT, VIP):
            raise ConfigError(
                f"excluded_groups.{name} is a shipped group",
                where=f"hospitals/{profile.hospital}.yaml",
                next_step="Add codes under a name of your own",
            )
        groups[name] = group
    return groups


def has_code(group: Group, code: str) -> bool:
    """Whether an ICD-10 code (upper case) belongs to the group."""
    for entry in group.icd10:
        low, _, high = entry.partition("-")
        if high:
            if low <= code[:3] <= high:
                return True
        elif code.startswith(low):
            return True
    return False


def _texts(rows: Rows, name: str) -> list[str | None]:
    column = rows.columns.get(name)
    return [None] * len(rows.rows) if column is None else column.to_pylist()


@dataclass
class Evidence:
    """What a delivery shows about who must leave, collected batch by batch from all rows, the rejected ones too.

    Attributes:
        groups: excluded groups by name, in order of their priority.
        day: day of delivery.
        is_negated: whether the words of a diagnosis negate it.
        lists: reason (opt_out, vip) → id kind → identifiers as SPELLING gives them.
    """

    groups: Mapping[str, Group]
    day: dt.date
    is_negated: Callable[[str], bool]
    lists: dict[str, dict[str, set[str]]] = field(default_factory=dict)
    _sick: dict[str, set[str]] = field(default_factory=dict)
    _patients: set[tuple[str, str | None, str | None, dt.date | None]] = field(default_factory=set)
    _roster: dict[str, set[str]] = field(default_factory=lambda: {"resident_id": set(), "mobile": set()})
    _visits: dict[str, str] = field(default_factory=dict)
    _codes: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def add(self, rows: Rows) -> None:
        """Look at the rows of one batch."""
        if rows.kind == "diagnosis":
            self._add_diagnoses(rows)
        elif rows.kind == "death":
            self._add_codes(rows, "cause")
        elif rows.kind == "patient":
            numbers, ids = _texts(rows, "patient_no"), _texts(rows, "resident_id")
            mobiles, births = _texts(rows, "mobile"), _texts(rows, "birth_date")
            self._patients.update(
                (number, resident, mobile, birth)  # type: ignore[misc]
                for number, resident, mobile, birth in zip(numbers, ids, mobiles, births, strict=True)
                if number is not None
            )
        elif rows.kind == "staff":
            for kind, known in self._roster.items():
                known.update(SPELLING[kind](text) for text in _texts(rows, kind) if text is not None)
        elif rows.kind == "visit" and {"visit_no", "patient_no"} <= set(rows.columns):
            pairs = zip(_texts(rows, "visit_no"), _texts(rows, "patient_no"), strict=True)
            # The largest number where two claim a visit: the order of rows must not matter.
            for visit, number in pairs:
                if visit is not None and number is not None:
                    self._visits[visit] = max(number, self._visits.get(visit, ""))

    def _groups_of(self, code: str) -> tuple[str, ...]:
        if code not in self._codes:
            self._codes[code] = tuple(name for name, group in self.groups.items() if has_code(group, code))
        return self._codes[code]

    def _add_codes(self, rows: Rows, column: str) -> None:
        codes = rows.columns.get(column)
        numbers = rows.columns.get("patient_no")
        if codes is None or numbers is None:
            return
        uniques, at = encode(codes)
        hit = np.array([bool(self._groups_of(code)) for code in uniques] + [False])[at]
        for place in np.flatnonzero(hit).tolist():
            number = numbers[place].as_py()
            if number is None:
                number = self._by_visit(rows, place)
            if number is not None:
                for name in self._groups_of(uniques[at[place]]):
                    self._sick.setdefault(name, set()).add(number)

    @staticmethod
    def _by_visit(rows: Rows, place: int) -> str | None:
        visits = rows.columns.get("visit_no")
        visit = visits[place].as_py() if visits is not None else None
        return None if visit is None else f"\0visit {visit}"

    def _add_diagnoses(self, rows: Rows) -> None:
        self._add_codes(rows, "code")
        words = [(name, group.terms) for name, group in self.groups.items() if group.terms]
        texts, codes = rows.columns.get("text"), rows.columns.get("code")
        numbers = rows.columns.get("patient_no")
        if not words or texts is None or numbers is None:
            return
        uniques, at = encode(texts)
        named = [tuple(name for name, terms in words if any(term in text for term in terms)) for text in uniques]
        named = [() if found and self.is_negated(text) else found for found, text in zip(named, uniques, strict=True)]
        hit = np.array([bool(found) for found in named] + [False])[at]
        if codes is not None:
            hit &= np.asarray(codes.is_null())
        for place in np.flatnonzero(hit).tolist():
            number = numbers[place].as_py() or self._by_visit(rows, place)
            if number is not None:
                for name in named[at[place]]:
                    self._sick.setdefault(name, set()).add(number)

    def people(self) -> People:
        """Who must leave, by all that the delivery shows."""
        reasons = {reason: {kind: set(ids) for kind, ids in lists.items()} for reason, lists in self.lists.items()}
        for name, group in self.groups.items():
            ids = reasons.setdefault(name, {})
            if group.roster:
                ids["resident_id"], ids["mobile"] = set(self._roster["resident_id"]), set(self._roster["mobile"])
            found = ids.setdefault("patient_no", set())
            for number in self._sick.get(name, ()):
                owner = self._visits.get(number.removeprefix("\0visit ")) if number.startswith("\0visit ") else number
                if owner is not None:
                    found.add(norm.record_no_key(owner))
        patients = []
        for number, resident, mobile, birth in self._patients:
            key = norm.resident_id_key(resident or "")
            born = birth if birth is not None else norm.birth_date_of(key)
            valid = key if norm.is_resident_id(key) else ""
            patients.append((norm.record_no_key(number), key, valid, norm.mobile_key(mobile or ""), born))
        for name, group in self.groups.items():
            if group.under_age is not None:
                limit = group.under_age
                reasons[name]["patient_no"] |= {
                    number for number, _, _, _, born in patients if born is not None and age_on(born, self.day) < limit
                }
        # A person is all numbers that share a resident id. Lists and rosters reach the number through the patient's
        # row, and a number reaches the resident id, so that the same person's next number is known too.
        by_resident: dict[str, set[str]] = {}
        for number, _, resident, _, _ in patients:
            if resident:
                by_resident.setdefault(resident, set()).add(number)
        for ids in reasons.values():
            numbers, residents = ids.setdefault("patient_no", set()), ids.setdefault("resident_id", set())
            mobiles = ids.setdefault("mobile", set())
            for known in (numbers, residents, mobiles):
                known.discard("")
            numbers.update(n for n, r, _, m, _ in patients if r in residents or m in mobiles)
            residents.update(valid for n, _, valid, _, _ in patients if valid and n in numbers)
            for resident in residents:
                numbers.update(by_resident.get(resident, ()))
        visits: dict[str, set[str]] = {}
        for visit, number in self._visits.items():
            visits.setdefault(norm.record_no_key(number), set()).add(norm.record_no_key(visit))
        for ids in reasons.values():
            ids["visit_no"] = {visit for number in ids["patient_no"] for visit in visits.get(number, ())}
        return People(reasons)


def age_on(born: dt.date, day: dt.date) -> int:
    """Completed years of age on a day."""
    return day.year - born.year - ((day.month, day.day) < (born.month, born.day))


@dataclass(frozen=True)
class People:
    """Who must leave a delivery.

    Attributes:
        reasons: reason in order of priority → id kind → identifiers as SPELLING gives them; restricted.
    """

    reasons: Mapping[str, Mapping[str, set[str]]]

    def reason_by(self, id_kind: str) -> dict[str, str]:
        """Per identifier the first reason that holds for it."""
        found: dict[str, str] = {}
        for reason, ids in self.reasons.items():
            for value in ids.get(id_kind, ()):
                found.setdefault(value, reason)
        return found

    def reason_of(self) -> dict[str, Callable[[str], str | None]]:
        """Per id kind a function from an identifier in any spelling to the first reason that holds for it."""

        def finder(kind: str) -> Callable[[str], str | None]:
            known, spell = self.reason_by(kind), SPELLING[kind]
            return cache(lambda text: known.get(spell(text)))

        return {kind: finder(kind) for kind in SPELLING if self.reason_by(kind)}

    def identifiers(self) -> set[str]:
        """All identifiers, of any kind."""
        return {value for ids in self.reasons.values() for values in ids.values() for value in values if value}

    def exclusions(self, key: bytes, hospital: str) -> list[Exclusion]:
        """The entries of the register, sorted."""
        return sorted(
            Exclusion(kind, keyed_hash(key, hospital, kind, value), reason)
            for reason, ids in self.reasons.items()
            for kind, values in ids.items()
            for value in values
            if value
        )


def drop_reasons(
    columns: Mapping[str, Any], count: int, reason_of: Mapping[str, Callable[[str], str | None]]
) -> tuple[list[str], npt.NDArray[np.int64]]:
    """Find the rows of people who must leave.

    A row is theirs if its patient_no, resident_id or mobile is; visit_no counts only where the row has no patient_no.

    Args:
        columns: Arrow arrays by name; other names are ignored.
        count: number of rows.
        reason_of: id kind → reason of an identifier, None if its person stays.

    Returns:
        Names of reasons, and per row the index of its reason (-1: the row stays).
    """
    names: list[str] = []
    result = np.full(count, -1, dtype=np.int64)
    for kind in ("patient_no", "resident_id", "mobile", "visit_no"):
        column, find = columns.get(kind), reason_of.get(kind)
        if column is None or find is None:
            continue
        free = result < 0
        number = columns.get("patient_no")
        if kind == "visit_no" and number is not None:
            free &= np.asarray(number.is_null())
        if not free.any():
            continue
        uniques, at = encode(column)
        found = [find(text) for text in uniques]
        names += sorted({reason for reason in found if reason is not None} - set(names))
        index = {name: place for place, name in enumerate(names)}
        places = np.array([-1 if reason is None else index[reason] for reason in found] + [-1], dtype=np.int64)[at]
        result[free] = places[free]
    return names, result


@dataclass(frozen=True)
class Register:
    """Who must not be in, over all days of one hospital; a set, so the order of days does not matter.

    Attributes:
        hospital: id of the hospital.
        exclusions: keyed hashes with their reasons.
        order: reasons in order of priority.
    """

    hospital: str
    exclusions: frozenset[Exclusion] = frozenset()
    order: tuple[str, ...] = ()

    def union(self, *others: Register) -> Register:
        """All exclusions of several registers of the same hospital.

        Raises:
            BadInput: a register of another hospital.
        """
        if any(other.hospital != self.hospital for other in others):
            raise BadInput("Registers of different hospitals cannot be joined", where=self.hospital)
        exclusions = self.exclusions.union(*(other.exclusions for other in others))
        return Register(self.hospital, exclusions, _priority(e.reason for e in exclusions))

    def __len__(self) -> int:
        return len(self.exclusions)

    def to_json(self) -> str:
        """The register as text: equal registers give equal texts."""
        entries = [[e.id_kind, e.hash, e.reason] for e in sorted(self.exclusions)]
        return json.dumps({"hospital": self.hospital, "exclusions": entries}, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Register:
        """Read what to_json() wrote.

        Raises:
            BadInput: not a register.
        """
        try:
            data = json.loads(text)
            exclusions = frozenset(Exclusion(str(k), str(h), str(r)) for k, h, r in data["exclusions"])
            return cls(str(data["hospital"]), exclusions, _priority(e.reason for e in exclusions))
        except (ValueError, KeyError, TypeError):
            raise BadInput("Not a register of exclusions", next_step="Run ingest of the hospital again") from None

    @cached_property
    def reason_by_hash(self) -> Mapping[str, Mapping[str, str]]:
        """Id kind → hash → reason."""
        rank = {reason: number for number, reason in enumerate(self.order)}
        found: dict[str, dict[str, str]] = {}
        for entry in sorted(self.exclusions, key=lambda e: (rank.get(e.reason, len(rank)), e)):
            found.setdefault(entry.id_kind, {}).setdefault(entry.hash, entry.reason)
        return found

    def link(self, patients: pa.Table, key: bytes) -> Register:
        """Add the record numbers that belong to excluded resident ids and mobiles, and the other way round.

        Call it with the patients of all days before apply(): an opt-out of day 3 by resident id concerns laboratory
        rows of day 1, which hold the record number only.

        Args:
            patients: rows of kind patient, all days of the hospital.
            key: the key of the hashes.
        """
        wanted = {"patient_no", "resident_id", "mobile"} & set(patients.column_names)
        unique = patients.select(sorted(wanted)).group_by(sorted(wanted)).aggregate([]).to_pylist()
        hashed = [
            {
                kind: keyed_hash(key, self.hospital, kind, row[kind])
                for kind in sorted(wanted)
                if row[kind] and (kind != "resident_id" or norm.is_resident_id(norm.resident_id_key(row[kind])))
            }
            for row in unique
        ]
        known = {kind: dict(reasons) for kind, reasons in self.reason_by_hash.items()}
        added: set[Exclusion] = set()
        # Twice round is not always enough: numbers and resident ids may form a chain.
        grew = True
        while grew:
            grew = False
            for row in hashed:
                reasons = {known.get(kind, {}).get(value) for kind, value in row.items()} - {None}
                if not reasons:
                    continue
                reason = min(reasons, key=lambda r: self._rank(str(r)))
                for kind in ("patient_no", "resident_id"):
                    value = row.get(kind)
                    if value is not None and value not in known.setdefault(kind, {}):
                        known[kind][value] = str(reason)
                        added.add(Exclusion(kind, value, str(reason)))
                        grew = True
        return self.union(Register(self.hospital, frozenset(added)))

    def _rank(self, reason: str) -> tuple[int, str]:
        return (self.order.index(reason) if reason in self.order else len(self.order), reason)


def _priority(reasons: Iterable[str]) -> tuple[str, ...]:
    first = (OPT_OUT, VIP, "staff", "hiv", "std", "psychiatric", "under_14")
    found = set(reasons)
    return (*(r for r in first if r in found), *sorted(found - set(first)))


def register_of(hospital: str, exclusions: Sequence[Exclusion]) -> Register:
    """The register of one delivery."""
    return Register(hospital, frozenset(exclusions), _priority(e.reason for e in exclusions))


def apply(table: pa.Table, register: Register, key: bytes) -> tuple[pa.Table, dict[str, int]]:
    """Drop the rows of people who must not be in.

    Args:
        table: rows of any kind of the register's hospital, with patient_no where the kind has it.
        register: the union over all days, after link().
        key: the key of the hashes.

    Returns:
        The other rows, and rows by reason of those that were dropped.
    """
    if not len(register) or not table.num_rows or "staff_no" in table.column_names:
        return table, {}
    known = register.reason_by_hash

    def finder(kind: str) -> Callable[[str], str | None]:
        hashes = known[kind]
        return lambda text: hashes.get(keyed_hash(key, register.hospital, kind, text))

    columns = {kind: table.column(kind).combine_chunks() for kind in SPELLING if kind in table.column_names}
    names, at = drop_reasons(columns, table.num_rows, {kind: finder(kind) for kind in known})
    counts = {name: int((at == number).sum()) for number, name in enumerate(names) if (at == number).any()}
    return table.filter(pa.array(at < 0)), counts

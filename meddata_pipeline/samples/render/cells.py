"""The cells of a hospital's tables: canonical events and identities in that hospital's spellings.

What belongs here: codes, units, dates, serial numbers and free texts as the hospital writes them, for one chunk of
persons. What does not: files and defects.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from meddata_pipeline.samples.events import REFERRAL, SECOND, Events
from meddata_pipeline.samples.identity import (
    STAFF_PER_HOSPITAL,
    People,
    Roster,
    addresses,
    landlines,
    names,
    people,
    roster,
    scattered,
    serials,
)
from meddata_pipeline.samples.model import CHUNK, GROUPS, Dates, Population, generator
from meddata_pipeline.samples.render.style import Style
from meddata_pipeline.samples.texts import Span, compose, word_slots
from meddata_pipeline.samples.vocab import Words, vocabulary, words

Spans = list[list[Span]]

_FOLDED = str.maketrans("0123456789", "０１２３４５６７８９")
_LOD = 0.5

#: The entity of each identifying field, in the words of the truth files. Fields that are not here identify nobody,
#: except free texts, whose spans are written one by one.
ENTITIES: dict[str, str] = {
    "patient_no": "MEDICAL_ID",
    "visit_no": "MEDICAL_ID",
    "specimen_no": "MEDICAL_ID",
    "exam_no": "MEDICAL_ID",
    "pathology_no": "MEDICAL_ID",
    "sample_no": "MEDICAL_ID",
    "note_no": "MEDICAL_ID",
    "name": "PERSON",
    "resident_id": "CN_RESIDENT_ID",
    "insurance_no": "CN_INSURANCE",
    "mobile": "PHONE_NUMBER",
    "phone": "PHONE_NUMBER",
    "email": "EMAIL_ADDRESS",
    "address": "LOCATION",
    "contact_name": "PERSON",
    "contact_mobile": "PHONE_NUMBER",
    "doctor": "PERSON",
    "nurse": "PERSON",
    "technician": "PERSON",
    "staff_no": "OTHER_ID",
    "date": "DATE_TIME",
    "birth_date": "DATE_TIME",
}

#: Kinds whose ``name`` is that of a thing.
UNNAMED_KINDS = frozenset({"procedure", "medication"})

_TEXT_KINDS = {"note": "note", "pathology": "pathology", "imaging": "imaging", "follow_up": "follow_up"}
_NOTE_TYPES = {SECOND: "复诊记录", REFERRAL: "会诊记录"}


def date_texts(dates: Dates, style: str) -> Words:
    """Dates as a hospital writes them.

    Args:
        dates: days.
        style: name of the format; ``serial`` cells become numbers when they are written and are ISO until then.
    """
    days, where = np.unique(dates, return_inverse=True)
    parts = [text.split("-") for text in np.datetime_as_string(days.astype("datetime64[D]"))]
    layouts: dict[str, Callable[[str, str, str], str]] = {
        "iso": lambda y, m, d: f"{y}-{m}-{d}",
        "serial": lambda y, m, d: f"{y}-{m}-{d}",
        "slash": lambda y, m, d: f"{y}/{int(m)}/{int(d)}",
        "chinese": lambda y, m, d: f"{y}年{int(m)}月{int(d)}日",
        "compact": lambda y, m, d: f"{y}{m}{d}",
        "dots": lambda y, m, d: f"{y}.{m}.{d}",
        "short": lambda y, m, d: f"{int(m)}月{int(d)}日",
    }
    layout = layouts[style]
    return words([layout(*part) for part in parts])[where]


@dataclass(frozen=True)
class Cells:
    """The rows of one kind of one hospital in one chunk.

    Attributes:
        wave: delivery that brings each row first.
        voided: rows that a later delivery marks as void.
        fields: values by field: dates as datetime64, everything else as text.
        spans: spans of the identifying values of a text field, by field.
        moved: values that later snapshots show instead, by field.
        wrong: rows that a correction repairs; ``fields`` hold the wrong value, ``corrected`` the right ones.
        person: position of each row's person in the chunk, -1 for none.
        planted: rows that contradict others, with the field and the defect's name; see ``logic``.
    """

    wave: npt.NDArray[np.int64]
    voided: npt.NDArray[np.bool_]
    fields: dict[str, npt.NDArray[Any]]
    spans: dict[str, Spans]
    moved: dict[str, Words]
    wrong: npt.NDArray[np.bool_]
    corrected: dict[str, Words]
    person: npt.NDArray[np.int64]
    planted: dict[int, tuple[str, str]] = field(default_factory=dict)


class Hospital:
    """One hospital's view of one chunk of persons.

    Args:
        chunk: the persons.
        tables: their events.
        identities: their identifying values.
        number: number of the hospital.
        style: how it exports.
    """

    def __init__(
        self, chunk: Population, tables: dict[str, Events], identities: People, number: int, style: Style
    ) -> None:
        self.chunk = chunk
        self.tables = tables
        self.number = number
        self.style = style
        self.piece = int(chunk.number[0]) // CHUNK
        self.people = identities
        self.roster: Roster = roster(number, chunk.seed)

    @cached_property
    def patient_no(self) -> Words:
        """The hospital's number of each person of the chunk."""
        return self.serial("patient_no", self.chunk.number)

    @cached_property
    def doctors(self) -> Words:
        """Names of the doctors."""
        return self.roster.group("口腔内科", "牙体牙髓科", "口腔综合科", "牙周科")

    @cached_property
    def nurses(self) -> Words:
        """Names of the nurses."""
        return self.roster.group("护理部")

    @cached_property
    def technicians(self) -> Words:
        """Names of the laboratory technicians."""
        return self.roster.group("检验科", "放射科")

    def rows(self, kind: str) -> Events:
        """The events of one kind that this hospital has on record."""
        rows = self.tables[kind]
        return rows.take(rows["hospital"] == self.number)

    def cells(self, kind: str) -> Cells:
        """The rows of one kind.

        Args:
            kind: a canonical kind that the generator knows.
        """
        if kind == "staff":
            return self._staff()
        rows = self.rows(kind)
        person = rows["person"]
        staff = rows["staff"]
        n = len(rows)
        number = self.chunk.number[person]
        fields: dict[str, npt.NDArray[Any]] = {
            "patient_no": self.patient_no[person],
            "visit_no": self.serial("visit_no", number * 4 + np.maximum(rows["visit"], 0)),
            "date": rows["date"],
            "doctor": self.doctors[staff % len(self.doctors)],
            "nurse": self.nurses[staff % len(self.nurses)],
            "technician": self.technicians[staff % len(self.technicians)],
        }
        fields["visit_no"] = np.where(rows["visit"] >= 0, fields["visit_no"], "")
        spans: dict[str, Spans] = {}
        moved: dict[str, Words] = {}
        wrong = np.zeros(n, dtype=bool)
        corrected: dict[str, Words] = {}
        if kind == "patient":
            fields |= {name: values[person] for name, values in vars(self.people).items()}
            fields["sex"] = self.coded("sex", np.where(self.chunk.male[person], "M", "F"))
            fields["birth_date"] = self.chunk.birth_date[person]
            moved = self._moved(fields, person, staff)
        elif kind == "lab":
            fields |= self._lab(rows, rows["wrong"])
            wrong = rows["wrong"]
            corrected = self._lab(rows, np.zeros(n, dtype=bool)) if wrong.any() else {}
        elif kind == "visit":
            for name, form in (("height", "%.0f"), ("weight", "%.1f"), ("bmi", "%.1f")):
                fields[name] = words(["" if v != v else form % v for v in rows[name].tolist()])
            smoking = np.where(np.isnan(rows["smoking"]), "", np.where(rows["smoking"] == 1, "1", "0"))
            fields["smoking"] = self.coded("smoking", smoking)
        for name in (
            "code",
            "text",
            "name",
            "days",
            "visit_type",
            "department",
            "modality",
            "body_part",
            "method",
            "cause",
        ):
            if name in rows.columns:
                fields[name] = rows[name]
        for name in ("gene", "variant", "genotype"):
            if name in rows.columns:
                fields[name] = rows[name]
        for name in ("outcome", "carrier"):
            if name in rows.columns:
                fields[name] = self.coded(name, rows[name])
        if "tooth" in rows.columns:
            fields["tooth"] = words([str(value) if value else "" for value in rows["tooth"].tolist()])
        if kind == "imaging":
            fields["exam_no"] = self.serial("exam_no", number)
        elif kind == "pathology":
            fields["pathology_no"] = self.serial("pathology_no", number)
        elif kind == "variant":
            fields["sample_no"] = self.serial("sample_no", number)
        elif kind == "note":
            fields["note_no"] = self.serial("note_no", number * 4 + rows["visit"])
            fields["note_type"] = words([_NOTE_TYPES.get(visit, "初诊病历") for visit in rows["visit"].tolist()])
        if kind in _TEXT_KINDS:
            fields["text"], spans["text"] = self._texts(kind, rows, fields)
        return Cells(rows["wave"], rows["voided"], fields, spans, moved, wrong, corrected, person)

    def listed(self, which: str) -> Cells:
        """The persons of a list that leaves people out.

        Half of those who opt out and came with the first load say so only on the second day.

        Args:
            which: ``optout`` or ``vip``.
        """
        chunk = self.chunk
        mask = chunk.opt_out if which == "optout" else chunk.group == GROUPS.index("vip")
        rows = np.flatnonzero(mask & (chunk.hospital == self.number))
        late = (chunk.number[rows] % 2 == 1) & (chunk.days > 1) & (which == "optout")
        fields: dict[str, npt.NDArray[Any]] = {
            "patient_no": self.patient_no[rows],
            "resident_id": self.people.resident_id[rows],
        }
        nothing = np.zeros(len(rows), dtype=bool)
        wave = np.maximum(chunk.wave[rows], np.where(late, 1, 0))
        return Cells(wave, nothing, fields, {}, {}, nothing, {}, rows)

    def serial(self, field: str, numbers: npt.NDArray[np.int64]) -> Words:
        """Serial numbers of this hospital: distinct ones for distinct numbers."""
        prefix, width = self.style.numbers[field]
        salt = self.chunk.seed * 131 + self.number * 17 + list(self.style.numbers).index(field)
        return serials(prefix, width, numbers, salt)

    def coded(self, field: str, values: npt.NDArray[Any]) -> Words:
        """Coded values as this hospital writes them."""
        codes = self.style.codes.get(field)
        if codes is None:
            return words(values.tolist())
        return words([codes.get(str(value), "") for value in values.tolist()])

    def _moved(self, fields: dict[str, npt.NDArray[Any]], person: npt.NDArray[Any], draw: Any) -> dict[str, Words]:
        """New addresses and mobiles of the few who move between two deliveries."""
        chunk = self.chunk
        after = people(chunk.number, chunk.birth_date, chunk.male, chunk.seed, self.piece, "moved")
        moves = draw % 40 == 0
        return {
            "address": np.where(moves, after.address[person], fields["address"]),
            "mobile": np.where(moves, after.mobile[person], fields["mobile"]),
        }

    def _lab(self, rows: Events, wrong: npt.NDArray[np.bool_]) -> dict[str, npt.NDArray[Any]]:
        """Names, results and units of laboratory tests; a wrong result has its decimal point one place to the right."""
        n = len(rows)
        test, units, results, references = (np.full(n, "", dtype=object) for _ in range(4))
        specimen = self.serial("specimen_no", self.chunk.number[rows["person"]] * 4 + rows["specimen"])
        value = np.where(wrong, rows["value"] * 10, rows["value"])
        for name, spec in self.style.tests.items():
            mine = rows["test"] == name
            test[mine] = spec["name"]
            references[mine] = spec.get("range", "")
            if "results" in spec:
                results[mine] = words(spec["results"])[value[mine].astype(np.int64)]
                continue
            for variant, (unit, factor, decimals) in enumerate(spec["units"]):
                here = mine & (rows["staff"] % len(spec["units"]) == variant)
                censored = (rows["censored"] & ~wrong)[here].tolist()
                limit = f"<{_LOD * factor:.{decimals}f}".rstrip("0")
                numbers = (value[here] * factor).tolist()
                results[here] = words(
                    [limit if low else f"{v:.{decimals}f}" for v, low in zip(numbers, censored, strict=True)]
                )
                units[here] = unit
        return {"specimen_no": specimen, "test": test, "result": results, "unit": units, "reference": references}

    def _staff(self) -> Cells:
        """The roster (with the first chunk) and the members of staff who are patients."""
        chunk, base = self.chunk, self.roster
        own = np.flatnonzero((chunk.group == GROUPS.index("staff")) & (chunk.hospital == self.number))
        first = self.piece == 0
        fields: dict[str, npt.NDArray[Any]] = {
            name: values if first else values[:0] for name, values in vars(base).items()
        }
        lists = vocabulary("people")
        more = {
            "staff_no": words(
                [
                    f"{(self.number + 1) * 10_000_000 + STAFF_PER_HOSPITAL + value}"
                    for value in chunk.number[own].tolist()
                ]
            ),
            "name": self.people.name[own],
            "resident_id": self.people.resident_id[own],
            "mobile": self.people.mobile[own],
            "department": words(lists["staff_departments"])[chunk.number[own] % len(lists["staff_departments"])],
            "title": words(lists["titles"])[chunk.number[own] % len(lists["titles"])],
        }
        fields = {name: np.concatenate([values, more[name]]) for name, values in fields.items()}
        wave = np.concatenate([np.zeros(STAFF_PER_HOSPITAL if first else 0, dtype=np.int64), chunk.wave[own]])
        nothing = np.zeros(len(wave), dtype=bool)
        return Cells(wave, nothing, fields, {}, {}, nothing, {}, np.full(len(wave), -1, dtype=np.int64))

    def _texts(self, kind: str, rows: Events, fields: dict[str, npt.NDArray[Any]]) -> tuple[Words, Spans]:
        """Free texts of one kind with the spans of their identifying values."""
        chunk, style = self.chunk, self.style
        rng = generator(chunk.seed, f"text-{kind}-{self.number}", self.piece)
        n = len(rows)
        person = rows["person"]
        known = {name: values[person] for name, values in vars(self.people).items()}
        lists = vocabulary("people")
        others = words(vocabulary("texts")["other_hospitals"])

        def number(low: int, high: int) -> list[int]:
            drawn: list[int] = rng.integers(low, high, n).tolist()
            return drawn

        plates = words(lists["plates"].split())[rng.integers(0, len(lists["plates"].split()), n)]
        day = rows["date"]
        values: dict[str, Any] = {
            **word_slots(rng, n),
            "patient": known["name"],
            "contact": known["contact_name"],
            "relation": known["contact_relation"],
            "relative": names(rng, rng.random(n) < 0.5),
            "doctor": fields["doctor"],
            "doctor2": self.doctors[rng.integers(0, len(self.doctors), n)],
            "nurse": self.nurses[rng.integers(0, len(self.nurses), n)],
            "technician": self.technicians[rng.integers(0, len(self.technicians), n)],
            "day": self._spoken_dates(rng, day),
            "date": self._spoken_dates(rng, day - rng.integers(3, 400, n)),
            "date2": self._spoken_dates(rng, day - rng.integers(1, 30, n)),
            "later": self._spoken_dates(rng, day + rng.integers(3, 30, n)),
            "mobile": _spoken_mobiles(rng, known["mobile"]),
            "contact_mobile": _spoken_mobiles(rng, known["contact_mobile"]),
            "landline": landlines(rng, n),
            "address": known["address"],
            "hometown": addresses(rng, n),
            "hospital": words([style.hospital_name])[np.zeros(n, dtype=np.int64)],
            "ward": words([style.ward])[np.zeros(n, dtype=np.int64)],
            "other_hospital": others[rng.integers(0, len(others), n)],
            "workplace": words(lists["workplaces"].split())[rng.integers(0, len(lists["workplaces"].split()), n)],
            "record_no": fields["patient_no"],
            "visit_no": fields["visit_no"],
            "exam_no": self.serial("exam_no", chunk.number[person]),
            "resident_id": known["resident_id"],
            "insurance_no": known["insurance_no"],
            "passport": words([f"E{value}" for value in number(10_000_000, 99_999_999)]),
            "hkm_permit": words([f"H{value:08d}" for value in number(0, 99_999_999)]),
            "tw_permit": words([f"{value:08d}" for value in number(1_000_000, 99_999_999)]),
            "officer_card": words([f"南字第{value:07d}号" for value in number(0, 9_999_999)]),
            "bank_card": _bank_cards(rng, n),
            "plate": words([f"{a}{v:05d}" for a, v in zip(plates, number(0, 99_999), strict=True)]),
            "email": words(
                [f"{a}{v}@163.com" for a, v in zip(_mail_words(rng, n), number(10, 9_999_999), strict=True)]
            ),
            "wechat": words([f"wx_{a}{v}" for a, v in zip(_mail_words(rng, n), number(10, 99_999), strict=True)]),
            "qq": words([str(v) for v in scattered(chunk.number[person], 10**9, chunk.seed + 41) + 10**9]),
            "age": words(chunk.age[person].tolist()),
            "tooth": words([str(v) if v else "16" for v in rows.columns.get("tooth", np.zeros(n, dtype=int)).tolist()]),
        }
        if kind in ("note", "follow_up"):
            values["tooth"] = words([str(v) if v else "46" for v in chunk.teeth[person, 0].tolist()])
        texts, spans = compose(_TEXT_KINDS[kind], values, n, rng, style.separator)
        return words(texts), spans

    def _spoken_dates(self, rng: np.random.Generator, dates: npt.NDArray[Any]) -> Words:
        """Dates in one of the ways that people write them in a text."""
        layouts = ["chinese", "iso", "dots", "short", "slash", "compact"]
        choice = rng.choice(len(layouts), len(dates), p=[0.34, 0.24, 0.12, 0.16, 0.08, 0.06])
        spoken = np.full(len(dates), "", dtype=object)
        for number, layout in enumerate(layouts):
            spoken[choice == number] = date_texts(dates[choice == number], layout)
        return spoken


def _bank_cards(rng: np.random.Generator, size: int) -> Words:
    """Bank card numbers of 19 digits with their check digit. Source: ISO/IEC 7812-1 Annex B (Luhn)."""
    stems = 622848 * 10**12 + rng.integers(0, 10**12, size)
    digits = (stems[:, None] // 10 ** np.arange(18)) % 10
    doubled = digits * np.where(np.arange(18) % 2 == 0, 2, 1)
    check = -(doubled // 10 + doubled % 10).sum(axis=1) % 10
    return words([f"{stem}{digit}" for stem, digit in zip(stems.tolist(), check.tolist(), strict=True)])


def _mail_words(rng: np.random.Generator, size: int) -> Words:
    options = vocabulary("people")["mail_words"].split()
    return words(options)[rng.integers(0, len(options), size)]


def _spoken_mobiles(rng: np.random.Generator, values: Words) -> Words:
    """Mobile numbers in one of the ways that people write them in a text."""
    spoken = []
    for way, number in zip(rng.integers(0, 10, len(values)).tolist(), values.tolist(), strict=True):
        if way == 0:
            number = f"{number[:3]}-{number[3:7]}-{number[7:]}"
        elif way == 1:
            number = f"{number[:3]} {number[3:7]} {number[7:]}"
        elif way == 2:
            number = f"+86 {number}"
        elif way == 3:
            number = number.translate(_FOLDED)
        spoken.append(number)
    return words(spoken)

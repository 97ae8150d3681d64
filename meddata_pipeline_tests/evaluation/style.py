"""What an author of notes is: words, frames and spellings; and the filling of one author's frames for one patient.

What belongs here: the machinery that all authors share. What does not: any word or frame; each author has a file.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, ClassVar

from meddata_pipeline_tests.evaluation import values
from meddata_pipeline_tests.evaluation.notes import Note, Piece, Writer

#: A share of notes and the sentences of which one is written.
Section = tuple[float, tuple[str, ...]]


@dataclass(frozen=True)
class People:
    """Of what an author makes names.

    Attributes:
        surnames: single characters, the frequent ones first.
        given: characters of given names.
        compound: surnames of two characters.
        minority: whole names with a middle dot or without surname.
        latin: pairs of surname and given name in pinyin.
    """

    surnames: str
    given: str
    compound: tuple[str, ...]
    minority: tuple[str, ...]
    latin: tuple[tuple[str, str], ...]

    def name(self, rng: Random) -> tuple[str, int]:
        """A name, and how long its surname is."""
        kind = rng.random()
        if kind < 0.04:
            return rng.choice(self.minority), 0
        length = 1
        if kind < 0.08:
            surname, length = rng.choice(self.compound), 2
        elif kind < 0.7:
            surname = rng.choice(self.surnames[: len(self.surnames) // 3])
        else:
            surname = rng.choice(self.surnames)
        given = rng.choice(self.given)
        if rng.random() < 0.75:
            given += rng.choice(self.given)
        return surname + given, length


class Style:
    """An author. Subclasses give words and frames and override how values are spelled.

    Attributes:
        name: its letter.
        people: of what it makes names.
        words: clinical words by slot, which must be kept.
        fillers: other words by slot.
        titles: words behind a staff member's surname.
        courtesies: words behind a layman's surname.
        hospitals, wards, estates: names of bodies and parts of addresses.
        sections: frames of a whole note.
        free: frames of notes that name nobody.
        joint: what stands between sections.
    """

    name: ClassVar[str]
    people: ClassVar[People]
    words: ClassVar[Mapping[str, Sequence[str]]]
    fillers: ClassVar[Mapping[str, Sequence[str]]]
    titles: ClassVar[Sequence[str]]
    courtesies: ClassVar[Sequence[str]]
    hospitals: ClassVar[Sequence[str]]
    wards: ClassVar[Sequence[str]]
    sections: ClassVar[Sequence[Section]]
    free: ClassVar[Sequence[Section]]
    joint: ClassVar[str] = "\n"

    def noise(self, rng: Random) -> Callable[[str], str] | None:
        """What happens to the words of one note."""
        return None

    def address(self, rng: Random) -> str:
        """An address."""
        raise NotImplementedError

    def date(self, rng: Random, day: dt.date) -> str:
        """A date as the author writes it."""
        raise NotImplementedError

    def part_date(self, rng: Random, day: dt.date) -> str:
        """A date without its year."""
        return f"{day.month}月{day.day}日"

    def spell(self, rng: Random, kind: str, value: str) -> str:
        """A number as the author writes it.

        Args:
            rng: the source of chance.
            kind: the slot.
            value: the number without blanks.
        """
        return value

    def landline(self, rng: Random, area: str, local: str) -> str:
        """A landline number."""
        return f"{area}-{local}"

    def record_number(self, rng: Random, kind: str) -> str:
        """A number that the author's hospital gives."""
        return values.digits(rng, 8)

    def slot(self, case: Case, slot: str) -> Piece | None:
        """A slot of the author's own; None where it is one that all authors share."""
        return None

    def measure(self, rng: Random) -> str:
        """A measured value with its unit, which must be kept."""
        kind = rng.randrange(8)
        if kind == 0:
            return f"{rng.randint(90, 185)}/{rng.randint(50, 110)}mmHg"
        if kind == 1:
            return f"{rng.randint(355, 395) / 10}℃"
        if kind == 2:
            return f"{rng.randint(1, 250) / 10}mg/L"
        if kind == 3:
            return f"{rng.randint(30, 180) / 10}×10^9/L"
        if kind == 4:
            return f"{rng.randint(3, 30)}.{rng.randint(0, 9)}mm"
        if kind == 5:
            return f"{rng.randint(1, 99)}%"
        if kind == 6:
            return f"{rng.randint(60, 110)}次/分"
        return f"{rng.randint(30, 200) / 10}mmol/L"


class Case:
    """One patient of one author, and the filling of slots.

    ``others`` is for an author who names the same strangers more than once: they are in no table.

    Args:
        style: the author.
        rng: the source of chance of this note.
        staff: names and surname lengths of the hospital's staff.
    """

    def __init__(self, style: Style, rng: Random, staff: Sequence[tuple[str, int]]) -> None:
        self.style, self.rng = style, rng
        self._staff = staff
        self.patient = style.people.name(rng)
        self.old = rng.random() < 0.08
        self.age = rng.randint(90, 104) if self.old else rng.randint(14, 89)
        self.visit = values.day(rng)
        self.born = dt.date(self.visit.year - self.age, rng.randint(1, 12), rng.randint(1, 28))
        self.resident_id = values.resident_id(rng, self.born)
        self.mobile = values.mobile(rng)
        self.address = style.address(rng)
        self.numbers = {
            kind: style.record_number(rng, kind) for kind in ("record_no", "visit_no", "exam_no", "path_no")
        }
        self.kin = [style.people.name(rng) for _ in range(2)]
        self.kin_mobile = values.mobile(rng)
        self.doctors = [rng.choice(staff) if rng.random() < 0.9 else style.people.name(rng) for _ in range(4)]
        self.others: dict[str, tuple[str, int]] = {}
        self.latin = rng.choice(style.people.latin)
        self.hospital = rng.choice(style.hospitals)

    def known(self) -> dict[str, Any]:
        """The patient's own row: one of two kin is in it."""
        return {
            "name": self.patient[0],
            "resident_id": self.resident_id,
            "mobile": [self.mobile],
            "record_no": [self.numbers["record_no"]],
            "address": self.address,
            "contacts": [{"name": self.kin[0][0], "mobile": self.kin_mobile}],
        }

    def fill(self, slot: str) -> Piece:
        """What stands in a slot."""
        style, rng = self.style, self.rng
        if slot in style.words:
            return Piece(rng.choice(style.words[slot]), "content")
        if slot in style.fillers:
            return Piece(rng.choice(style.fillers[slot]))
        own = style.slot(self, slot)
        if own is not None:
            return own
        method = getattr(self, f"_{slot}", None)
        if method is not None:
            piece: Piece = method()
            return piece
        value, entity = self._number(slot)
        return Piece(style.spell(rng, slot, value), entity)

    def _number(self, slot: str) -> tuple[str, str]:
        rng = self.rng
        if slot in self.numbers:
            return self.numbers[slot], "MEDICAL_ID"
        made: dict[str, tuple[Callable[[], str], str]] = {
            "resident_id": (lambda: self.resident_id, "CN_RESIDENT_ID"),
            "old_id": (lambda: values.old_resident_id(rng, self.born), "CN_RESIDENT_ID"),
            "mobile": (lambda: self.mobile, "PHONE_NUMBER"),
            "kin_mobile": (lambda: self.kin_mobile, "PHONE_NUMBER"),
            "new_mobile": (lambda: values.mobile(rng), "PHONE_NUMBER"),
            "hotline": (lambda: rng.choice("48") + "00" + values.digits(rng, 7), "PHONE_NUMBER"),
            "local_phone": (lambda: values.landline(rng)[1], "PHONE_NUMBER"),
            "bank_card": (lambda: values.bank_card(rng, rng.choice((16, 19))), "CREDIT_CARD"),
            "passport": (lambda: values.passport(rng), "CN_PASSPORT"),
            "hkm_permit": (lambda: values.hkm_permit(rng), "CN_HKM_PERMIT"),
            "tw_permit": (lambda: values.tw_permit(rng), "CN_TW_PERMIT"),
            "officer_card": (lambda: values.officer_card(rng), "CN_OFFICER_CARD"),
            "insurance": (lambda: values.insurance(rng), "CN_INSURANCE"),
            "plate": (lambda: values.plate(rng), "CN_PLATE"),
            "wechat": (lambda: self.latin[1].lower() + rng.choice(("_", "")) + values.digits(rng, 4), "SOCIAL_ID"),
            "qq": (lambda: values.digits(rng, rng.choice((8, 9, 10))), "SOCIAL_ID"),
            "email": (lambda: values.email(rng, self.latin[1].lower()), "EMAIL_ADDRESS"),
            "ip": (lambda: values.ip(rng), "IP_ADDRESS"),
            "url": (lambda: f"https://pacs{rng.randint(1, 9)}.example.cn/v?id={values.digits(rng, 6)}", "URL"),
            "barcode": (lambda: values.digits(rng, 12), "MEDICAL_ID"),
            "device": (lambda: rng.choice(("SN", "DX", "MF")) + values.digits(rng, 8), "OTHER_ID"),
        }
        make, entity = made[slot]
        return make(), entity

    # -- people --------------------------------------------------------------------------------------------------------

    def _patient(self) -> Piece:
        return Piece(self.patient[0], "PERSON")

    def _kin(self) -> Piece:
        return Piece(self.kin[0][0], "PERSON")

    def _kin2(self) -> Piece:
        return Piece(self.kin[1][0], "PERSON")

    def _doctor(self) -> Piece:
        return Piece(self.doctors[0][0], "PERSON")

    def _doctor2(self) -> Piece:
        return Piece(self.doctors[1][0], "PERSON")

    def _nurse(self) -> Piece:
        return Piece(self.doctors[2][0], "PERSON")

    def _tech(self) -> Piece:
        return Piece(self.doctors[3][0], "PERSON")

    def _stranger(self) -> Piece:
        return Piece(self.style.people.name(self.rng)[0], "PERSON")

    def _titled(self) -> Piece:
        name, length = self.doctors[1]
        return Piece(name[:length] if length else name, "PERSON", behind=self.rng.choice(self.style.titles))

    def _courteous(self) -> Piece:
        name, length = self.patient if self.rng.random() < 0.5 else self.kin[0]
        return Piece(name[:length] if length else name, "PERSON", behind=self.rng.choice(self.style.courtesies))

    def _veiled(self) -> Piece:
        name, length = self.patient
        if not length:
            return Piece(name, "PERSON")
        return Piece(name[:length] + self.rng.choice(("某", "某某", "××", "*")), "PERSON")

    def _pinyin(self) -> Piece:
        surname, given = self.latin
        form = self.rng.choice(("{0} {1}", "{0}^{1}", "{0}, {1}"))
        upper = self.rng.random() < 0.5
        return Piece(form.format(surname.upper() if upper else surname, given.upper() if upper else given), "PERSON")

    # -- places and bodies ---------------------------------------------------------------------------------------------

    def _address(self) -> Piece:
        return Piece(self.address, "LOCATION")

    def _new_address(self) -> Piece:
        return Piece(self.style.address(self.rng), "LOCATION")

    def _hospital(self) -> Piece:
        return Piece(self.hospital, "ORGANIZATION")

    def _other_hospital(self) -> Piece:
        return Piece(self.rng.choice(self.style.hospitals), "ORGANIZATION")

    def _ward(self) -> Piece:
        return Piece(self.rng.choice(self.style.wards), "ORGANIZATION")

    # -- time ----------------------------------------------------------------------------------------------------------

    def _date(self) -> Piece:
        return Piece(self.style.date(self.rng, self.visit), "DATE_TIME")

    def _past(self) -> Piece:
        return Piece(self.style.date(self.rng, self.visit - dt.timedelta(days=self.rng.randint(2, 900))), "DATE_TIME")

    def _later(self) -> Piece:
        return Piece(self.style.date(self.rng, self.visit + dt.timedelta(days=self.rng.randint(2, 90))), "DATE_TIME")

    def _part_date(self) -> Piece:
        day = self.visit - dt.timedelta(days=self.rng.randint(2, 90))
        return Piece(self.style.part_date(self.rng, day), "DATE_TIME")

    def _range(self) -> Piece:
        first = self.visit.replace(day=min(self.visit.day, 20))
        last = first.day + self.rng.randint(1, 7)
        forms = (
            f"{first.month}月{first.day}日至{last}日",
            f"{first.year}年{first.month}月{first.day}-{last}日",
            f"{first.month}月{first.day}日-{last}日",
        )
        return Piece(self.rng.choice(forms), "DATE_TIME")

    def _date_time(self) -> Piece:
        clock = f"{self.rng.randint(0, 23):02d}:{self.rng.randint(0, 59):02d}:{self.rng.randint(0, 59):02d}"
        return Piece(f"{self.visit.isoformat()} {clock}", "DATE_TIME")

    def _packed(self) -> Piece:
        return Piece(self.visit.strftime("%Y%m%d"), "DATE_TIME")

    def _birth(self) -> Piece:
        return Piece(self.style.date(self.rng, self.born), "DATE_TIME")

    def _age(self) -> Piece:
        return Piece(f"{self.age}岁", "AGE" if self.old else "")

    # -- the rest ------------------------------------------------------------------------------------------------------

    def _landline(self) -> Piece:
        return Piece(self.style.landline(self.rng, *values.landline(self.rng)), "PHONE_NUMBER")

    def _measure(self) -> Piece:
        return Piece(self.style.measure(self.rng), "content")

    def _tooth(self) -> Piece:
        return Piece(f"{self.rng.randint(1, 4)}{self.rng.randint(1, 8)}", "content")

    def _years(self) -> Piece:
        return Piece(f"{self.rng.randint(2, 30)}年", "content")

    def _n(self) -> Piece:
        return Piece(str(self.rng.randint(1, 9)))


def make_notes(style: Style, count: int, seed: int, *, name_free: bool = False) -> list[Note]:
    """Notes of one author.

    Args:
        style: the author.
        count: how many.
        seed: the same seed gives the same notes.
        name_free: whether the notes name nobody.
    """
    lead = Random(f"{style.name}/{seed}/staff")
    staff = [style.people.name(lead) for _ in range(60)]
    roster = tuple(name for name, _ in staff)
    notes = []
    for i in range(count):
        rng = Random(f"{style.name}/{seed}/{int(name_free)}/{i}")
        case = Case(style, rng, staff)
        writer = Writer(style.noise(rng))
        for share, frames in style.free if name_free else style.sections:
            if rng.random() >= share:
                continue
            if len(writer):
                writer.plain(style.joint)
            writer.frame(rng.choice(frames), case.fill)
        notes.append(
            Note(
                id=f"{style.name}{'f' if name_free else 'n'}{i}",
                text=writer.text,
                known=None if name_free else case.known(),
                roster=roster,
                spans=writer.spans,
                content=writer.content,
                name_free=name_free,
            )
        )
    return notes

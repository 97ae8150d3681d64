"""Planted identifiers: made-up values put into copies of real notes, to see how many of them are found.

What belongs here: making values, choosing where they go, and counting which were covered. What does not: which notes
(app/leak_audit.py), what is good enough (config/leak_audit.yaml), the statistics of the counts (leak_bound.py).

The words (probes.yaml) are independent of those of the recognizers and of the sample generator. A probe's value is not
in its note, nor among the names that the hospital knows: what is found of it is found by rules and models alone. The
copies live in memory; nothing of them is written anywhere.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import cache
from importlib import resources
from typing import Any, NamedTuple

import yaml

from meddata_pipeline.privacy.detect import Detector, Known, Span
from meddata_pipeline.privacy.pseudonym import resident_id_check
from meddata_pipeline.privacy.second_pass import SecondPass

PLACES = ("start", "inside", "signature", "glued")
_HAN = re.compile("[\u3400-\u9fff]")
#: Behind these a sentence or clause of a note ends.
_ENDS = re.compile(r"[。；;]|[.!?](?=\s)|\n")
#: Before these a clause ends: what is put there is glued to what stands before.
_CLAUSES = re.compile(r"(?<=[\u3400-\u9fffa-z])[，。；,.;]")
_TRIES = 50


class Probe(NamedTuple):
    """One planted identifier.

    Attributes:
        text: the copy of the note, with the identifier in it.
        start: first code point of the identifier.
        end: one behind its last.
        entity: what it is.
        place: one of PLACES.
        note: which of the given notes was copied.
    """

    text: str
    start: int
    end: int
    entity: str
    place: str
    note: int

    @property
    def value(self) -> str:
        """The identifier."""
        return self.text[self.start : self.end]


class Draw:
    """Numbers that follow from a seed, the same on every machine.

    Args:
        seed: any bytes.
    """

    def __init__(self, seed: bytes) -> None:
        self._seed = seed
        self._count = 0

    def below(self, limit: int) -> int:
        """A number from 0 to ``limit`` - 1."""
        self._count += 1
        drawn = hashlib.sha256(self._seed + self._count.to_bytes(8, "big")).digest()
        return int.from_bytes(drawn[:8], "big") % limit

    def of(self, items: Sequence[str]) -> str:
        """One of several texts."""
        return items[self.below(len(items))]

    def digits(self, count: int) -> str:
        """Digits, the first of them not 0."""
        return str(1 + self.below(9)) + "".join(str(self.below(10)) for _ in range(count - 1))


@cache
def _words(lang: str) -> Mapping[str, Any]:
    raw = yaml.safe_load(resources.files("meddata_pipeline.privacy").joinpath("probes.yaml").read_text("utf-8"))[lang]
    separated = {"streets": ", ", "towns": ", "}
    return {k: v if k == "forms" else v.split(separated.get(k)) for k, v in raw.items()}


def entities(lang: str) -> list[str]:
    """The entities that can be planted into notes of a language."""
    return list(_words(lang)["forms"])


def words(lang: str) -> dict[str, list[str]]:
    """The word lists of a language, for the test that nobody shares them."""
    return {k: list(v) for k, v in _words(lang).items() if k != "forms"}


# -- values ------------------------------------------------------------------------------------------------------------


def _luhn(digits: str) -> str:
    total = 0
    for i, digit in enumerate(reversed(digits)):
        doubled = int(digit) * (2 if i % 2 == 0 else 1)
        total += doubled - 9 if doubled > 9 else doubled
    return digits + str(-total % 10)


def _day(draw: Draw, first: int, years: int) -> tuple[int, int, int]:
    return first + draw.below(years), 1 + draw.below(12), 1 + draw.below(28)


def _han_name(draw: Draw) -> str:
    words = _words("zh")
    kind = draw.below(20)
    if kind == 0:
        return draw.of(words["long_names"])
    return draw.of(words["long_surnames" if kind == 1 else "surnames"]) + draw.of(words["given"])


def _latin_name(draw: Draw) -> str:
    words = _words("en")
    first, last = draw.of(words["first"]), draw.of(words["last"])
    return f"{last}, {first}" if draw.below(5) == 0 else f"{first} {last}"


def _han_phone(draw: Draw) -> str:
    if draw.below(4) == 0:
        area = draw.of(["0816", "0717", "0596", "0731", "010"])
        # A local number begins with 2 to 8, and most areas with four digits have numbers of seven.
        return f"{area}-{2 + draw.below(7)}{draw.digits(7 if area in ('0731', '010') else 6)}"
    number = draw.of(["13", "15", "17", "18", "19"]) + draw.digits(9)
    parts = (number[:3], number[3:7], number[7:])
    return draw.of([number, " ".join(parts), "-".join(parts), "+86 " + number, number.translate(_WIDE)])


_WIDE = {ord("0") + i: ord("０") + i for i in range(10)}


def _resident_id(draw: Draw) -> str:
    year, month, day = _day(draw, 1935, 80)
    area = draw.of(["510703", "430203", "420502", "350602", "360702", "520303"])
    first = f"{area}{year:04d}{month:02d}{day:02d}{draw.below(1000):03d}"
    number = first + resident_id_check(first)
    spaced = f"{number[:6]} {number[6:14]} {number[14:]}"
    return draw.of([number, number, number.lower(), spaced, number.translate(_WIDE)])


def _address(draw: Draw) -> str:
    words = _words("zh")
    city, district, road = draw.of(words["cities"]), draw.of(words["districts"]), draw.of(words["roads"])
    number, block, floor = 1 + draw.below(300), 1 + draw.below(30), 1 + draw.below(28)
    room = f"{floor}{1 + draw.below(6):02d}"
    tail = draw.of([f"{block}栋{room}室", f"{block}号楼{1 + draw.below(4)}单元{room}", f"{block}幢{room}", ""])
    estate = draw.of([draw.of(words["estates"]), ""]) if tail else ""
    return f"{draw.of([city + district, city, district])}{road}{number}号{estate}{tail}"


def _street(draw: Draw) -> str:
    words = _words("en")
    place = f", {draw.of(words['towns'])}" if draw.below(2) else ""
    return f"{1 + draw.below(1500)} {draw.of(words['streets'])}{place}"


def _han_date(draw: Draw) -> str:
    year, month, day = _day(draw, 2008, 17)
    spelled = "".join("〇一二三四五六七八九"[int(d)] for d in str(year))
    months = ["一", "二", "三", "四", "五", "六", "七", "八", "九", "十", "十一", "十二"]
    return draw.of(
        [
            f"{year}年{month}月{day}日",
            f"{year}-{month:02d}-{day:02d}",
            f"{year}.{month}.{day}",
            f"{year}/{month}/{day}",
            f"{month}月{day}日",
            f"{spelled}年{months[month - 1]}月{months[day % 10]}日",
        ]
    )


def _latin_date(draw: Draw) -> str:
    year, month, day = _day(draw, 2008, 17)
    name = ["January", "February", "March", "April", "May", "June", "July"][month % 7]
    return draw.of(
        [f"{month}/{day}/{year}", f"{name} {day}, {year}", f"{day} {name} {year}", f"{year}-{month:02d}-{day:02d}"]
    )


def _email(draw: Draw) -> str:
    user = draw.of(["zhoumingyue", "k.lin", "sunny_rain", "hf", "tang-w"]) + draw.digits(3)
    return f"{user}@{draw.of(['mailbox.cn', 'river-post.com', 'vip.lotus.net', 'example.org'])}"


def _record_number(draw: Draw) -> str:
    return draw.of(
        [draw.digits(8), draw.digits(10), f"Z{draw.digits(7)}", f"B{2010 + draw.below(15)}-{draw.digits(5)}"]
    )


def _card(draw: Draw) -> str:
    number = _luhn(draw.of(["622848", "621700", "436742"]) + draw.digits(12))
    return draw.of([number, " ".join(number[i : i + 4] for i in range(0, len(number), 4))])


def _plate(draw: Draw) -> str:
    letter = "ABCDEFGHJKLMNPQRSTUVWXYZ"[draw.below(24)]
    return draw.of(_words("zh")["plates"]) + draw.of([f"{letter}{draw.digits(4)}", f"D{draw.digits(5)}"])


def _latin_phone(draw: Draw) -> str:
    area, first, last = f"{2 + draw.below(8)}{draw.digits(2)}", f"{2 + draw.below(8)}{draw.digits(2)}", draw.digits(4)
    return draw.of([f"({area}) {first}-{last}", f"{area}-{first}-{last}", f"{area}.{first}.{last}"])


_Make = Callable[[Draw], str]
_BOTH: dict[str, _Make] = {
    "EMAIL_ADDRESS": _email,
    "CREDIT_CARD": _card,
    "URL": lambda d: f"https://{d.of(['pacs', 'film'])}.{d.of(['lotus-view.net', 'riverside.cn'])}/s/{d.digits(8)}",
}
_MAKERS: dict[str, dict[str, _Make]] = {
    "zh": {
        **_BOTH,
        "PERSON": _han_name,
        "PHONE_NUMBER": _han_phone,
        "CN_RESIDENT_ID": _resident_id,
        "LOCATION": _address,
        "MEDICAL_ID": _record_number,
        "DATE_TIME": _han_date,
        "CN_INSURANCE": lambda d: d.of([d.digits(10), f"H{d.digits(9)}"]),
        "CN_PASSPORT": lambda d: d.of(["E", "G", "EA", "EJ"]) + d.digits(8)[:8],
        "CN_PLATE": _plate,
        "SOCIAL_ID": lambda d: d.of(["wxid_", "lan", "happy_", "Mr-"]) + d.digits(6),
        "AGE": lambda d: f"{90 + d.below(14)}岁",
        "ORGANIZATION": lambda d: d.of(_words("zh")["cities"]) + d.of(_words("zh")["hospitals"]),
    },
    "en": {
        **_BOTH,
        "PERSON": _latin_name,
        "PHONE_NUMBER": _latin_phone,
        "US_SSN": lambda d: f"{100 + d.below(560):03d}-{10 + d.below(89):02d}-{d.digits(4)}",
        "LOCATION": _street,
        "MEDICAL_ID": lambda d: d.digits(8),
        "DATE_TIME": _latin_date,
        "AGE": lambda d: str(90 + d.below(12)),
    },
}


# -- planting ----------------------------------------------------------------------------------------------------------


def plant(notes: Sequence[str], counts: Mapping[str, int], *, seed: bytes, unknown_to: Collection[str]) -> list[Probe]:
    """Put identifiers into copies of notes, one into each copy.

    Args:
        notes: texts; each is copied as often as it takes.
        counts: by entity, how many probes. An entity that has no form in a note's language is left out there.
        seed: decides everything that is drawn.
        unknown_to: names that nobody may be called here: those of patients, contacts and staff.

    Returns:
        The probes, in the order of the entities.
    """
    probes: list[Probe] = []
    if not notes:
        return probes
    draw, turn = Draw(seed), 0
    for entity, count in counts.items():
        for number in range(count):
            note = turn % len(notes)
            turn += 1
            lang = "zh" if _HAN.search(notes[note]) else "en"
            forms = _words(lang)["forms"].get(entity)
            if forms is None:
                continue
            place = PLACES[number % len(PLACES)]
            value = _unknown(_MAKERS[lang][entity], draw, notes[note], unknown_to)
            form = draw.of(forms[place])
            probes.append(_put(notes[note], form, value, entity, place, note, draw))
    return probes


def _unknown(make: _Make, draw: Draw, note: str, unknown_to: Collection[str]) -> str:
    for _ in range(_TRIES):
        value = make(draw)
        if value not in note and value not in unknown_to:
            return value
    raise ValueError("every value that was drawn is known already")


def _put(note: str, form: str, value: str, entity: str, place: str, number: int, draw: Draw) -> Probe:
    if "{d}" in form:
        form, value = form.replace("{d}", "{p}"), draw.digits(9)
    before, after = form.split("{p}")
    at = _where(note, place, draw)
    text = f"{note[:at]}{before}{value}{after}{note[at:]}"
    start = at + len(before)
    return Probe(text, start, start + len(value), entity, place, number)


def _where(note: str, place: str, draw: Draw) -> int:
    if place == "start":
        return 0
    if place == "signature":
        return len(note)
    pattern = _ENDS if place == "inside" else _CLAUSES
    found = [m.end() if place == "inside" else m.start() for m in pattern.finditer(note)]
    return found[draw.below(len(found))] if found else len(note)


# -- counting ----------------------------------------------------------------------------------------------------------


def with_known(probe: Probe, known: Known | None) -> Known | None:
    """What is known of a note's person, with the probe's value in it as if it stood in the patient's row.

    Returns:
        None where a patient's row has no place for such a value (dates, ages, organisations).
    """
    fields = {
        "PERSON": "names",
        "PHONE_NUMBER": "mobiles",
        "CN_RESIDENT_ID": "resident_ids",
        "LOCATION": "addresses",
        "MEDICAL_ID": "record_nos",
        "EMAIL_ADDRESS": "other",
        "CN_INSURANCE": "other",
    }
    name = fields.get(probe.entity)
    if name is None:
        return None
    base = known or Known()
    return replace(base, **{name: (*getattr(base, name), probe.value)})


def covered(probe: Probe, spans: Sequence[Span]) -> float:
    """The share of a probe's letters, digits and ideographs that lie inside spans, whatever their entity."""
    marked = [i for i in range(probe.start, probe.end) if probe.text[i].isalnum()]
    hit = sum(1 for i in marked if any(s.start <= i < s.end for s in spans))
    return hit / len(marked)


def search(probes: Sequence[Probe], detector: Detector, known: Sequence[Known | None]) -> list[float]:
    """Look for probes as the pipeline looks for identifiers: both passes, and what is withheld as uncertain is found.

    Args:
        probes: what was planted.
        detector: with the hospital's roster and number shapes.
        known: for each probe what is known of its note's person.

    Returns:
        For each probe the share of it that was found.
    """
    settled = SecondPass(detector).settle([p.text for p in probes], known)
    return [covered(probe, found.spans) for probe, found in zip(probes, settled, strict=True)]

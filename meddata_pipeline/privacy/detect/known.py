"""What is known beforehand: the patient's own identifiers and the staff roster, matched with their near variants.

What belongs here: variants and matching. What does not: where the values come from (privacy/identities.py).

The roster is one list for all texts of a hospital and is matched by an Aho-Corasick automaton. A patient has a dozen
values that concern a few short texts: for those a plain substring search is faster than building an automaton.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import NamedTuple

from meddata_pipeline.privacy.detect.fold import Compact, compact_value
from meddata_pipeline.privacy.detect.names import grammar, is_han
from meddata_pipeline.privacy.detect.types import Known, Span
from meddata_pipeline.privacy.detect.words import words

_COURTESY = (
    "先生",
    "女士",
    "小姐",
    "阿姨",
    "叔叔",
    "老师",
    "师傅",
    "同志",
    "大爷",
    "大妈",
    "奶奶",
    "爷爷",
    "太太",
    "老太",
    "老伯",
    "大姐",
    "大哥",
)
_SPLIT = re.compile(r"(?<=[省市区县镇乡村路街巷弄号栋幢座楼室户])|(?<=街道)|(?<=单元)|(?<=小区)|(?<=大道)")
_DIGIT = re.compile("[0-9]")
_SEPARATORS = re.compile(r"[\u00b7.,、/&+\s^]+")


class Needle(NamedTuple):
    """A value to look for, in compact form.

    Attributes:
        value: the compact value.
        entity: what it is.
        source: where it is known from.
        keep: how many characters of it are the identifier (李先生: 1); what is behind is context.
        bounded: whether it counts as a token of its own only (numbers, Latin letters).
    """

    value: str
    entity: str
    source: str
    keep: int
    bounded: bool


def _han_name(name: str) -> bool:
    return bool(name) and all(is_han(c) or c == "\u00b7" for c in name)


def name_needles(name: str, source: str, *, courtesy: bool = True) -> Iterator[Needle]:
    """The variants of one name.

    Args:
        name: a name in Chinese or Latin letters.
        source: what the spans will carry.
        courtesy: whether a rare surname with 先生, 女士, 某 and the like is looked for too.
    """
    plain = compact_value(name)
    if len(plain) < 2:
        return
    if _han_name(plain):
        yield Needle(plain, "PERSON", source, len(plain), False)
        parts = [part for part in re.split("[\u00b7•・]", name.strip()) if len(part) >= 2]
        if len(parts) > 1:
            for part in parts:
                yield Needle(compact_value(part), "PERSON", source, len(part), False)
        # 李先生 and 李某 are found by rules of their own where the surname is a listed one.
        if courtesy and len(plain) <= 4 and not grammar().surname_length(plain, 0):
            surname = plain[:1]
            for word in _COURTESY:
                yield Needle(surname + word, "PERSON", source, len(surname), False)
            yield Needle(surname + "某", "PERSON", source, len(surname) + 1, False)
            yield Needle(surname + "某某", "PERSON", source, len(surname) + 2, False)
        return
    yield Needle(plain, "PERSON", source, len(plain), True)
    parts = [part for part in _SEPARATORS.split(name.strip()) if part]
    if len(parts) > 1:
        turned = compact_value("".join([parts[-1], *parts[:-1]]))
        yield Needle(turned, "PERSON", source, len(turned), True)
        comma = compact_value(parts[-1] + "," + "".join(parts[:-1]))
        yield Needle(comma, "PERSON", source, len(comma), True)
        short = compact_value(parts[0] + parts[-1])
        yield Needle(short, "PERSON", source, len(short), True)
        for part in parts:
            if len(part) >= 3:
                yield Needle(compact_value(part), "PERSON", source, len(part), True)


def _number_needles(value: str, entity: str, source: str, least: int) -> Iterator[Needle]:
    plain = compact_value(value)
    if len(plain) < least:
        return
    # A long number inside a longer run is still that number with something stuck to it; a short one is chance.
    yield Needle(plain, entity, source, len(plain), len(plain) < 8)
    stripped = plain.lstrip("0")
    if stripped != plain and len(stripped) >= max(least, 5):
        yield Needle(stripped, entity, source, len(stripped), True)


def _phone_needles(value: str, source: str) -> Iterator[Needle]:
    digits = re.sub(r"[^0-9]", "", compact_value(value))
    if digits.startswith("0086"):
        digits = digits[4:]
    elif digits.startswith("86") and len(digits) == 13:
        digits = digits[2:]
    if len(digits) < 7:
        return
    yield Needle(digits, "PHONE_NUMBER", source, len(digits), False)
    if digits.startswith("0") and len(digits) >= 10:
        # Without the area code: three digits for the largest cities, four elsewhere.
        local = digits[3:] if digits[1] in "12" else digits[4:]
        if len(local) >= 7:
            yield Needle(local, "PHONE_NUMBER", source, len(local), True)
        spelled = f"({digits[: len(digits) - len(local)]}){local}"
        yield Needle(spelled, "PHONE_NUMBER", source, len(spelled), False)


def address_steps(address: str) -> tuple[str, ...]:
    """An address in its steps (province, city, street, number, room), compact; empty where it is too short to count."""
    plain = compact_value(address)
    return tuple(step for step in _SPLIT.split(plain) if step) if len(plain) >= 4 else ()


def _address_runs(steps: Sequence[str], text: str) -> Iterator[str]:
    """The longest runs of an address's steps that a text holds, from any step on.

    A run counts when it says more than a city: two steps or more, or one with a number, or the whole address.
    """
    end_of_last = 0
    for i, step in enumerate(steps):
        if step not in text:
            continue
        for j in range(len(steps), max(i, end_of_last), -1):
            value = "".join(steps[i:j])
            numbered = _DIGIT.search(value) is not None
            enough = len(value) >= (5 if numbered else 4) and (j - i > 1 or numbered or len(steps) == 1)
            if enough and value in text:
                yield value
                end_of_last = j
                break


def _other_needles(value: str, source: str) -> Iterator[Needle]:
    plain = compact_value(value)
    if len(plain) >= 3:
        entity = "EMAIL_ADDRESS" if "@" in plain else "OTHER_ID"
        yield Needle(plain, entity, source, len(plain), plain.isascii() and len(plain) < 8)


@cache
def _unsafe_words() -> frozenset[str]:
    """Ordinary words that a value must not be: they would mask half of every text."""
    return frozenset(
        [
            *words("roles"),
            *words("labels"),
            *words("titles"),
            "不详",
            "未知",
            "无",
            "本人",
            "同上",
            "none",
            "null",
            "unknown",
            "n/a",
            "na",
            "nan",
            "nil",
        ]
    )


class Needles:
    """All that is looked for in the texts of one patient.

    Args:
        needles: values with their variants.
        addresses: addresses in steps.
    """

    __slots__ = ("_addresses", "_needles")

    def __init__(self, needles: Iterable[Needle], addresses: Iterable[tuple[str, ...]] = ()) -> None:
        unique: dict[str, Needle] = {}
        for needle in needles:
            if needle.value not in _unsafe_words():
                unique.setdefault(needle.value, needle)
        self._needles = tuple(unique.values())
        self._addresses = tuple(steps for steps in addresses if steps)

    def find(self, folded: str, compact: Compact) -> Iterator[Span]:
        """Occurrences.

        Args:
            folded: the folded text.
            compact: its compact form.

        Yields:
            Spans with offsets of the folded text.
        """
        text = compact.text
        for needle in self._needles:
            if needle.value in text:
                yield from _occurrences(needle, folded, compact)
        for steps in self._addresses:
            for value in _address_runs(steps, text):
                needle = Needle(value, "LOCATION", "known/address", len(value), value.isascii())
                yield from _occurrences(needle, folded, compact)


NOTHING = Needles(())


def _occurrences(needle: Needle, folded: str, compact: Compact) -> Iterator[Span]:
    value, text = needle.value, compact.text
    at = text.find(value)
    while at >= 0:
        start, end = compact.folded(at, at + needle.keep)
        if not needle.bounded or _stands_alone(folded, start, compact.folded(at, at + len(value))[1]):
            yield Span(start, end, needle.entity, 1.0, needle.source)
        at = text.find(value, at + 1)


def _stands_alone(folded: str, start: int, end: int) -> bool:
    before = folded[start - 1] if start else " "
    after = folded[end] if end < len(folded) else " "
    return not ((before.isascii() and before.isalnum()) or (after.isascii() and after.isalnum()))


def needles_of(known: Known) -> Needles:
    """What is looked for of one patient."""
    found: list[Needle] = []
    for name in known.names:
        found.extend(name_needles(name, "known/patient"))
    for number in known.resident_ids:
        found.extend(_number_needles(number, "CN_RESIDENT_ID", "known/resident-id", 8))
    for number in known.mobiles:
        found.extend(_phone_needles(number, "known/phone"))
    for number in known.record_nos:
        found.extend(_number_needles(number, "MEDICAL_ID", "known/record-number", 4))
    for i, (name, mobile) in enumerate(known.contacts, start=1):
        if name:
            found.extend(name_needles(name, f"known/contact-{i}"))
        if mobile:
            found.extend(_phone_needles(mobile, f"known/contact-{i}-phone"))
    for value in known.other:
        found.extend(_other_needles(value, "known/other"))
    return Needles(found, map(address_steps, known.addresses))


def own_needles(numbers: Iterable[str]) -> Needles:
    """What is looked for of the numbers that a text's own record carries."""
    return Needles(n for number in numbers for n in _number_needles(number, "MEDICAL_ID", "known/own-number", 4))


class Roster:
    """The staff's names as one automaton.

    Args:
        names: names of staff members; titles behind them are dropped.
    """

    def __init__(self, names: Iterable[str]) -> None:
        import ahocorasick

        entries: dict[str, Needle] = {}
        for name in sorted(set(names)):
            for needle in name_needles(name, "roster", courtesy=False):
                if needle.value not in _unsafe_words():
                    entries.setdefault(needle.value, needle)
        self._automaton = None
        if entries:
            automaton = ahocorasick.Automaton()
            for value, needle in entries.items():
                automaton.add_word(value, needle)
            automaton.make_automaton()
            self._automaton = automaton

    def find(self, folded: str, compact: Compact) -> Iterator[Span]:
        """Occurrences of staff names; offsets of the folded text."""
        if self._automaton is None:
            return
        for last, needle in self._automaton.iter(compact.text):
            start, end = compact.folded(last + 1 - len(needle.value), last + 1)
            if not needle.bounded or _stands_alone(folded, start, end):
                yield Span(start, end, "PERSON", 0.98, "roster")

"""What is known beforehand: the patient's own identifiers and the staff roster, matched with their near variants.

What belongs here: what is looked for, and the search. What does not: how a name may be spelt (variants.py), where the
values come from (privacy/identities.py).

The roster is one list for all texts of a hospital and is matched by an Aho-Corasick automaton. A patient has some forty
values that concern a few short texts: for those a plain substring search is faster than building an automaton. What is
not a fixed string is looked for in the text first and compared then: masked numbers (138****5678), last digits behind a
label (尾号5678), dates (80.5.1).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache, lru_cache, partial
from typing import NamedTuple

from meddata_pipeline.privacy.detect import variants
from meddata_pipeline.privacy.detect.fold import Compact, compact_value
from meddata_pipeline.privacy.detect.names import grammar, is_han
from meddata_pipeline.privacy.detect.types import Known, Span
from meddata_pipeline.privacy.detect.variants import ALONE, ANYWHERE
from meddata_pipeline.privacy.detect.words import words

_SPLIT = re.compile(r"(?<=[省市区县镇乡村路街巷弄号栋幢座楼室户])|(?<=街道)|(?<=单元)|(?<=小区)|(?<=大道)")
_DIGIT = re.compile("[0-9]")
_NO_DIGITS = re.compile("[^0-9]")
_DOTS = re.compile("[\u00b7•・]")
_SEPARATORS = re.compile(r"[\u00b7.,、/&+\s^]+")
#: Known: the parts of an address that name a place by themselves.
_PLACE = re.compile(r"[路街巷弄村苑园里庄]$|大道$|胡同$|小区$|公寓$|新村$|家园$|花园$|花苑$")
#: A room ends an address: 301室 and a number or 户口 behind it are the next thing, on the next line perhaps.
_ROOM = re.compile(
    r"(?:号楼|号院|支弄|单元|[号弄栋幢座楼层室房#,.]|(?<!室)户|(?<=[0-9])[a-z](?![a-z/])|(?<![室户房])[0-9]{1,4}(?![0-9]))*"
)
_TAIL = re.compile(
    r"(?:尾号|尾数|末尾|[后末][4四5五6六](?:位|码)|最后[4四5五6六](?:位|码)|lastfour|last4)(?:数字|digits?)?(?:号码?)?[为是:(]*([0-9]{3,5}[0-9x])(?![0-9])"
)
_TAIL_WORDS = ("尾号", "尾数", "末尾", "结尾", "四位", "4位", "六位", "6位", "五位", "5位", "四码", "last")
#: Each of them holds one of these.
_TAIL_SIGNS = ("尾", "位", "码", "last")
_MASKS = ("**", "××", "○○", "●●", "xxx")
_TAIL_BEHIND = re.compile(r"([0-9]{3,5}[0-9x])(?<![0-9]{7})(?:结尾|为尾号)")
_MASKED = re.compile(r"(?<![0-9*])([0-9]{0,14})([*×○●]{2,}|x{3,})([0-9]{0,8}x?)(?![0-9*])")
#: Both begin with a digit, not with a look-behind: the engine then skips to the next one (several times faster).
_DATE = re.compile(
    r"[0-9](?<![0-9].)(?:(?<![0-9]\..)((?:(?<=1)9|(?<=2)0)[0-9]{2}|[0-9]) ?[年./\-] ?(0?[1-9]|1[0-2]) ?[月./\-] ?"
    r"(0?[1-9]|[12][0-9]|3[01])(?![0-9])日?"
    r"|((?:(?<=1)9|(?<=2)0)[0-9]{2})(0[1-9]|1[0-2])([0-2][0-9]|3[01])(?![0-9]))"
)
#: Month and day behind a year, as ``_DATE`` takes them or more freely.
_BEHIND_YEAR = re.compile(r" ?[年./\-] ?([0-9]{1,2}) ?[月./\-] ?([0-9]{1,2})")
_DATE_TURNED = re.compile(
    r"[0-9](?<![0-9.].)((?:(?<=[0-3])[0-9])?)[./\-]([0-3]?[0-9])[./\-]((?:19|20)[0-9]{2})(?![0-9])"
)
_HAN_DIGITS = "〇一二三四五六七八九"


class Needle(NamedTuple):
    """A value to look for, in compact form.

    Attributes:
        value: the compact value.
        entity: what it is.
        source: where it is known from.
        keep: how many characters of it are the identifier (李先生: 1); what is behind is context.
        when: the condition under which it counts (variants.py).
        last: of a surname, the last character of the whole name.
    """

    value: str
    entity: str
    source: str
    keep: int
    when: str = ANYWHERE
    last: str = ""


def _han_name(name: str) -> bool:
    return bool(name) and all(is_han(c) or c == "\u00b7" for c in name)


def name_needles(name: str, source: str, *, staff: bool = False) -> Iterator[Needle]:
    """The variants of one name.

    Args:
        name: a name in Chinese or Latin letters.
        source: what the spans will carry.
        staff: whether it is of the roster. A staff member's surname and given name count before a title only, and the
            surname only where the rules for names in general would not take it.
    """
    plain = compact_value(name)
    if len(plain) < 2:
        return
    if _han_name(plain):
        yield from _han_needles(name, plain, source, staff)
        return
    yield Needle(plain, "PERSON", source, len(plain), ALONE)
    parts = [part for part in _SEPARATORS.split(name.strip()) if part]
    if len(parts) > 1:
        turned = compact_value("".join([parts[-1], *parts[:-1]]))
        yield Needle(turned, "PERSON", source, len(turned), ALONE)
        comma = compact_value(parts[-1] + "," + "".join(parts[:-1]))
        yield Needle(comma, "PERSON", source, len(comma), ALONE)
        short = compact_value(parts[0] + parts[-1])
        yield Needle(short, "PERSON", source, len(short), ALONE)
        for part in parts:
            if len(part) >= 3:
                yield Needle(compact_value(part), "PERSON", source, len(part), ALONE)


def _han_needles(name: str, plain: str, source: str, staff: bool) -> Iterator[Needle]:
    short = len(plain) == 2
    whole = (variants.STAFF_NAME if staff else variants.NAME) if short else ANYWHERE
    yield Needle(plain, "PERSON", source, len(plain), whole)
    pieces = _pieces(name)
    if len(pieces) > 1:
        # 阿依古丽·买买提: no surname, no pinyin that anybody would write.
        for piece in pieces:
            yield Needle(compact_value(piece), "PERSON", source, len(piece))
        return
    if len(plain) > 4:
        return
    surname, given = variants.parts_of(plain)
    names = grammar()
    if not staff:
        yield Needle(surname, "PERSON", source, len(surname), variants.SURNAME, plain[-1])
    elif not names.surname_length(surname, 0) or surname in names.weak:
        yield Needle(surname, "PERSON", source, len(surname), variants.STAFF_SURNAME)
    if len(given) == 2:
        yield Needle(given, "PERSON", source, 2, variants.STAFF_GIVEN if staff else variants.GIVEN)
    if given and not staff:
        for pet in dict.fromkeys(("阿" + given[-1], given[-1] * 2)):
            if pet != given:
                yield Needle(pet, "PERSON", source, 2, variants.PET)
    if staff:
        for form, when in variants.latin_forms(plain):
            if when in (variants.PINYIN, ALONE) and len(form) >= 5:
                yield Needle(form, "PERSON", source, len(form), variants.STAFF_PINYIN)


def _pieces(name: str) -> list[str]:
    return [piece for piece in _DOTS.split(name.strip()) if len(piece) >= 2]


def _number_needles(value: str, entity: str, source: str, least: int) -> Iterator[Needle]:
    plain = compact_value(value)
    if len(plain) < least:
        return
    # A long number inside a longer run is still that number with something stuck to it; a short one is chance.
    yield Needle(plain, entity, source, len(plain), ALONE if len(plain) < 8 else ANYWHERE)
    stripped = plain.lstrip("0")
    if stripped != plain and len(stripped) >= max(least, 5):
        yield Needle(stripped, entity, source, len(stripped), ALONE)
    digits = plain.lstrip("abcdefghijklmnopqrstuvwxyz")
    if digits != plain and digits.isdigit() and len(digits) >= 6:
        yield Needle(digits, entity, source, len(digits), ALONE)


def _resident_needles(value: str, source: str) -> Iterator[Needle]:
    yield from _number_needles(value, "CN_RESIDENT_ID", source, 8)
    plain = compact_value(value)
    if len(plain) == 18:
        # The old form of fifteen digits has neither the century nor the check digit.
        old = plain[:6] + plain[8:17]
        yield Needle(old, "CN_RESIDENT_ID", source, len(old), ALONE)


def _phone_digits(value: str) -> str:
    digits = _NO_DIGITS.sub("", compact_value(value))
    if digits.startswith("0086"):
        return digits[4:]
    return digits[2:] if digits.startswith("86") and len(digits) == 13 else digits


def _phone_needles(value: str, source: str) -> Iterator[Needle]:
    digits = _phone_digits(value)
    if len(digits) < 7:
        return

    def needle(spelled: str, when: str = ANYWHERE) -> Needle:
        return Needle(spelled, "PHONE_NUMBER", source, len(spelled), when)

    yield needle(digits)
    local = digits
    if digits.startswith("0") and len(digits) >= 10:
        # Without the area code: three digits for the largest cities, four elsewhere.
        local = digits[3:] if digits[1] in "12" else digits[4:]
        if len(local) >= 7:
            yield needle(local, ALONE)
        area = digits[: len(digits) - len(local)]
        for spelled in (f"({area}){local}", f"{area}.{local}", f"{area}/{local}"):
            yield needle(spelled)
        yield needle(f"{local[:-4]}.{local[-4:]}", ALONE)
    elif len(digits) == 11:
        # Blanks and dashes are not in compact texts; dots are.
        for first, second in ((3, 7), (3, 6), (4, 8), (4, 7), (3, 8), (2, 5)):
            yield needle(f"{digits[:first]}.{digits[first:second]}.{digits[second:]}")
        yield needle(f"({digits[:3]}){digits[3:]}")


def address_steps(address: str) -> tuple[str, ...]:
    """An address in its steps (province, city, street, number, room), compact; empty where it is too short to count."""
    plain = compact_value(address)
    return tuple(step for step in _SPLIT.split(plain) if step) if len(plain) >= 4 else ()


def _address_runs(steps: Sequence[str], text: str) -> Iterator[str]:
    """The longest runs of an address's steps that a text holds, from any step on.

    A run counts when it says more than a city: two steps or more, or one with a number, or a street or an estate of
    three characters or more, or the whole address.
    """
    end_of_last = 0
    for i, step in enumerate(steps):
        if step not in text:
            continue
        for j in range(len(steps), max(i, end_of_last), -1):
            value = "".join(steps[i:j])
            numbered = _DIGIT.search(value) is not None
            enough = len(value) >= (5 if numbered else 4) and (j - i > 1 or numbered or len(steps) == 1)
            if (enough or (len(value) >= 3 and _PLACE.search(value))) and value in text:
                yield value
                end_of_last = j
                break


def _anchors(steps: Sequence[str]) -> Iterator[str]:
    """Street or estate with its number, without the word behind the number: 文三路90 for 文三路90号2幢301室.

    What stands behind an anchor (2栋, 2号楼, -2-301) is read on from there.
    """
    for i, step in enumerate(steps):
        inside = re.match(r"(\D{2,})([0-9]+)", step)
        if inside is not None:
            yield inside.group()
        elif i + 1 < len(steps) and not _DIGIT.search(step) and len(step) >= 2:
            number = re.match("[0-9]+", steps[i + 1])
            if number is not None:
                yield step + number.group()


def _other_needles(value: str, source: str) -> Iterator[Needle]:
    plain = compact_value(value)
    if len(plain) >= 3:
        entity = "EMAIL_ADDRESS" if "@" in plain else "OTHER_ID"
        alone = plain.isascii() and len(plain) < 8
        yield Needle(plain, entity, source, len(plain), ALONE if alone else ANYWHERE)


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


class Number(NamedTuple):
    """A known number of which a text may hold a part: its last digits, or all but a masked middle."""

    digits: str
    entity: str
    source: str


class Birth(NamedTuple):
    """A date of birth."""

    year: int
    month: int
    day: int


def birth_of(resident_id: str) -> Birth | None:
    """The date of birth that a resident identity number holds, or None."""
    plain = compact_value(resident_id)
    digits = plain[6:14] if len(plain) == 18 else "19" + plain[6:12] if len(plain) == 15 else ""
    if len(digits) != 8 or not digits.isdigit():
        return None
    birth = Birth(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
    return birth if 1 <= birth.month <= 12 and 1 <= birth.day <= 31 else None


def _birth_needles(birth: Birth) -> Iterator[Needle]:
    """The date in Chinese numerals; what is written in digits is compared (``_dates``)."""
    year = "".join(_HAN_DIGITS[int(c)] for c in str(birth.year))
    rest = f"年{_han_number(birth.month)}{_han_day(birth.day)}"
    for spelled in sorted({year, year.replace("〇", "零"), year.replace("〇", "○")}):
        value = spelled + rest
        yield Needle(value, "DATE_TIME", "known/birth-date", len(value))


@cache
def _han_day(day: int) -> str:
    return f"月{_han_number(day)}日"


def _han_number(number: int) -> str:
    tens, ones = divmod(number, 10)
    ten = "" if tens == 0 else "十" if tens == 1 else _HAN_DIGITS[tens] + "十"
    return ten + (_HAN_DIGITS[ones] if ones else "")


class _Latin(NamedTuple):
    """A Chinese name that is looked for in Latin letters."""

    name: str
    source: str
    surnames: tuple[str, ...]

    def find(self, folded: str, compact: Compact) -> Iterator[Span]:
        text = variants.without_tones(compact.text)
        if not _holds_any(text, self.surnames) and not variants.holds_initials(text):
            return
        for form, when in variants.latin_forms(self.name):
            if form in text:
                yield from _occurrences(Needle(form, "PERSON", self.source, len(form), when), folded, compact, text)


class Group:
    """The spellings of one value, made when a text holds a part of it: most texts hold nothing of most values.

    Args:
        parts: every spelling holds one of these.
        make: makes the spellings.
        latin: the name and its source, where the value is a name that is looked for in Latin letters too.
    """

    __slots__ = ("_latin", "_make", "_needles", "_parts")

    def __init__(
        self, parts: tuple[str, ...], make: Callable[[], Iterable[Needle]], latin: tuple[str, str] | None = None
    ) -> None:
        self._parts = parts
        self._make = make
        self._latin = latin
        self._needles: tuple[Needle, ...] | None = None

    def needles(self, text: str) -> tuple[Needle, ...]:
        """The spellings of which a compact text may hold one."""
        if self._needles is None:
            if not _holds_any(text, self._parts):
                return ()
            self._needles = tuple(needle for needle in self._make() if needle.value not in _unsafe_words())
        return self._needles

    def latin(self) -> Iterator[_Latin]:
        """The name that is looked for in Latin letters, if the value is one."""
        if self._latin is not None:
            name, source = self._latin
            yield _Latin(name, source, variants.surname_spellings(variants.parts_of(name).surname))


class Needles:
    """All that is looked for in the texts of one patient.

    Args:
        groups: names, numbers and the like; of what is spelt alike the first counts.
        addresses: addresses as they are given.
        numbers: numbers of which parts count too.
        births: dates of birth.
    """

    __slots__ = ("_addresses", "_births", "_groups", "_latin", "_numbers")

    def __init__(
        self,
        groups: Iterable[Group] = (),
        addresses: Iterable[str] = (),
        numbers: Iterable[Number] = (),
        births: Iterable[Birth] = (),
    ) -> None:
        self._groups = tuple(groups)
        self._latin: tuple[_Latin, ...] | None = None
        self._addresses = tuple((compact_value(address), address) for address in addresses)
        self._numbers = tuple(numbers)
        self._births = tuple(dict.fromkeys(births))

    def find(self, folded: str, compact: Compact) -> Iterator[Span]:
        """Occurrences.

        Args:
            folded: the folded text.
            compact: its compact form.

        Yields:
            Spans with offsets of the folded text.
        """
        text = compact.text
        for needle in self._held(text):
            yield from _occurrences(needle, folded, compact)
        if variants.holds_latin(text):
            for name in self._names():
                yield from name.find(folded, compact)
        addresses = [_address(address) for plain, address in self._addresses if _touches(plain, text)]
        for address in addresses:
            for value in _address_runs(address.steps, text):
                needle = Needle(value, "LOCATION", "known/address", len(value), ALONE if value.isascii() else ANYWHERE)
                yield from _occurrences(needle, folded, compact)
        for anchor in dict.fromkeys(anchor for address in addresses for anchor in address.anchors):
            if anchor in text:
                yield from _from_anchor(anchor, compact)
        if self._numbers:
            yield from _parts_of_numbers(self._numbers, compact)
        for birth in self._births:
            if _dated(birth, folded):
                yield from _dates(birth, folded)

    def _held(self, text: str) -> Iterable[Needle]:
        """The needles whose value a text holds, each value once."""
        held: dict[tuple[str, bool], Needle] = {}
        for group in self._groups:
            for needle in group.needles(text):
                if needle.value in text:
                    # A surname may be a needle beside a name that is spelt the same.
                    held.setdefault((needle.value, needle.when == variants.SURNAME), needle)
        return held.values()

    def _names(self) -> tuple[_Latin, ...]:
        if self._latin is None:
            latin: dict[str, _Latin] = {}
            for group in self._groups:
                for name in group.latin():
                    latin.setdefault(name.name, name)
            self._latin = tuple(latin.values())
        return self._latin


class _Address(NamedTuple):
    """An address in its steps, and its anchors."""

    steps: tuple[str, ...]
    anchors: tuple[str, ...]


@lru_cache(maxsize=20_000)
def _address(address: str) -> _Address:
    steps = address_steps(address)
    return _Address(steps, tuple(_anchors(steps)))


def _touches(address: str, text: str) -> bool:
    """Whether a text may hold a part of an address that counts: three characters in a row, so one pair of these."""
    for i in range(0, len(address) - 1, 2):  # noqa: SIM110 - a generator in any() costs more than the search
        if address[i : i + 2] in text:
            return True
    return False


NOTHING = Needles()


def _holds_any(text: str, values: Sequence[str]) -> bool:
    for value in values:  # noqa: SIM110 - a generator in any() costs more than the search
        if value in text:
            return True
    return False


def _occurrences(needle: Needle, folded: str, compact: Compact, bare: str | None = None) -> Iterator[Span]:
    """The spans of a needle; ``bare`` is the compact text without tones, where the needle is to be looked for there."""
    value, text = needle.value, bare or compact.text
    at = text.find(value)
    while at >= 0:
        span = _hit(needle, at, folded, compact)
        if span is not None:
            yield span
        at = text.find(value, at + 1)


def _hit(needle: Needle, at: int, folded: str, compact: Compact) -> Span | None:
    """The span of a needle that stands at a place of the compact text, or None where it does not count there."""
    text, when, end = compact.text, needle.when, at + len(needle.value)
    stop = at + needle.keep
    if when == ANYWHERE:
        pass
    elif when == variants.NAME:
        if variants.words_against(text, at, end) == 2:
            return None
    elif when == variants.STAFF_NAME:
        against = variants.words_against(text, at, end) or variants.is_ordinary(needle.value)
        if against and not (
            variants.announced(text, at)
            or variants.titled(text, end)
            or variants.acting(text, at, end, partial(_sides, folded, compact, at, end))
        ):
            return None
    elif when in (variants.SURNAME, variants.STAFF_SURNAME):
        staff = when == variants.STAFF_SURNAME
        if not variants.surname_marked(text, at, end, staff=staff):
            return None
        sides = partial(_sides, folded, compact, at, end)
        found = variants.surname_hit(text, at, end, needle.last, sides, staff=staff)
        if found is None:
            return None
        stop = found
    elif when == variants.GIVEN:
        if not variants.given_hit(text, at, end, partial(_sides, folded, compact, at, end)):
            return None
    elif when == variants.PET:
        if not variants.pet_hit(text, at, end, partial(_sides, folded, compact, at, end)):
            return None
    elif when == variants.STAFF_GIVEN:
        if not variants.titled(text, end) or needle.value in grammar().not_titled:
            return None
        if at and is_han(text[at - 1]) and not variants.announced(text, at):
            return None
    else:
        start, last = compact.folded(at, end)
        surface = folded[start:last]
        if (
            not variants.stands_alone(folded, start, last)
            or (when == variants.PINYIN and not variants.pinyin_hit(surface, staff=False))
            or (when == variants.STAFF_PINYIN and not variants.pinyin_hit(surface, staff=True))
            or (when == variants.CAPITALS and not variants.capitals_hit(surface))
            or (when == variants.INITIALS and not variants.initials_hit(text, at, surface))
        ):
            return None
    start, last = compact.folded(at, stop)
    return Span(start, last, needle.entity, 1.0, needle.source)


def _sides(folded: str, compact: Compact, at: int, end: int) -> variants.Sides:
    start, last = compact.folded(at, end)
    return variants.Sides(
        start > 0 and not folded[start - 1].isspace(), last < len(folded) and not folded[last].isspace()
    )


def _from_anchor(anchor: str, compact: Compact) -> Iterator[Span]:
    """A street or an estate with its number, and the house and the room behind it however they are written."""
    text = compact.text
    at = text.find(anchor)
    while at >= 0:
        end = at + len(anchor)
        if not text[end : end + 1].isdigit() or compact.folded(end - 1, end + 1) != _touching(compact, end):
            behind = _ROOM.match(text, end)
            stop = behind.end() if behind is not None else end
            while stop > end and text[stop - 1] in ",.":
                stop -= 1
            start, last = compact.folded(at, stop)
            yield Span(start, last, "LOCATION", 1.0, "known/address")
        at = text.find(anchor, at + 1)


def _touching(compact: Compact, end: int) -> tuple[int, int]:
    """The range of the characters around a place if nothing was dropped between them."""
    start = compact.folded(end - 1, end)[0]
    return start, start + 2


def _parts_of_numbers(numbers: Sequence[Number], compact: Compact) -> Iterator[Span]:
    """Last digits behind a label, and numbers with a masked middle, that fit a known number."""
    text = compact.text
    if _holds_any(text, _TAIL_SIGNS) and _holds_any(text, _TAIL_WORDS):
        for pattern in (_TAIL, _TAIL_BEHIND):
            for match in pattern.finditer(text):
                for number in numbers:
                    if number.digits.endswith(match.group(1)):
                        yield Span(*compact.folded(*match.span(1)), number.entity, 1.0, number.source)
                        break
    if not _holds_any(text, _MASKS):
        return
    for match in _MASKED.finditer(text):
        head, _, tail = match.groups()
        if len(head) + len(tail) < 4 or len(match.group()) > 24:
            continue
        for number in numbers:
            if number.digits.startswith(head) and number.digits.endswith(tail):
                yield Span(*compact.folded(*match.span()), number.entity, 1.0, number.source)
                break


def _dated(birth: Birth, folded: str) -> bool:
    """Whether a text may hold a date of birth in digits: soon answered, because few texts do."""
    year, month, day = birth
    short = f"{year % 100:02d}"
    at = folded.find(short)
    while at >= 0:
        match = _BEHIND_YEAR.match(folded, at + 2)
        if match is not None and (int(match.group(1)), int(match.group(2))) == (month, day):
            return True
        at = folded.find(short, at + 1)
    return f"{year}{month:02d}{day:02d}" in folded or _holds_any(folded, (f"/{year}", f".{year}", f"-{year}"))


def _dates(birth: Birth, folded: str) -> Iterator[Span]:
    """Dates in digits that are a date of birth: 1980-05-01, 80.5.1, 1980年5月1日, 19800501, 01/05/1980."""
    for match in _DATE.finditer(folded):
        behind, *rest = (part for part in match.groups() if part is not None)
        year, month, day = (int(part) for part in (match.group()[0] + behind, *rest))
        short = len(behind) == 1
        if (year, month, day) == (birth.year % 100 if short else birth.year, birth.month, birth.day):
            yield Span(*match.span(), "DATE_TIME", 1.0, "known/birth-date")
    for match in _DATE_TURNED.finditer(folded):
        behind, *rest = match.groups()
        first, second, year = (int(part) for part in (match.group()[0] + behind, *rest))
        if birth.year == year and {first, second} == {birth.month, birth.day}:
            yield Span(*match.span(), "DATE_TIME", 1.0, "known/birth-date")


def needles_of(known: Known) -> Needles:
    """What is looked for of one patient."""
    groups: list[Group] = []
    numbers: list[Number] = []
    births: list[Birth] = []
    groups.extend(_name_group(name, "known/patient") for name in known.names)
    for value in known.resident_ids:
        groups.append(_resident_group(value, "known/resident-id"))
        numbers.append(Number(compact_value(value), "CN_RESIDENT_ID", "known/resident-id"))
        birth = birth_of(value)
        if birth is not None:
            births.append(birth)
    for value in known.mobiles:
        groups.append(_phone_group(value, "known/phone"))
        numbers.append(Number(_phone_digits(value), "PHONE_NUMBER", "known/phone"))
    groups.extend(_number_group(value, "known/record-number") for value in known.record_nos)
    for i, (name, mobile) in enumerate(known.contacts, start=1):
        if name:
            groups.append(_name_group(name, f"known/contact-{i}"))
        if mobile:
            groups.append(_phone_group(mobile, f"known/contact-{i}-phone"))
            numbers.append(Number(_phone_digits(mobile), "PHONE_NUMBER", f"known/contact-{i}-phone"))
    for value in known.other:
        groups.append(Group((compact_value(value),), partial(_other_needles, value, "known/other")))
        numbers.append(Number(compact_value(value), "OTHER_ID", "known/other"))
    groups.extend(Group((_han_day(birth.day),), partial(_birth_needles, birth)) for birth in births)
    long_enough = (number for number in numbers if len(number.digits) >= 7)
    return Needles(groups, known.addresses, long_enough, births)


@lru_cache(maxsize=20_000)
def needles_of_name(name: str) -> Needles:
    """What is looked for in the rest of a text in which a full name was found: the name and its variants."""
    return Needles([_name_group(name, "repeat")])


def own_needles(numbers: Iterable[str]) -> Needles:
    """What is looked for of the numbers that a text's own record carries."""
    return Needles(_number_group(number, "known/own-number") for number in numbers)


def _name_group(name: str, source: str) -> Group:
    plain = compact_value(name)
    make = partial(name_needles, name, source)
    if not _han_name(plain):
        return Group(("",), make)
    # Whole, surname and given name; of a name in pieces any piece.
    parts = ("",) if _DOTS.search(name) else (plain[0], plain[-1])
    # The spellings in Latin letters are worked out when the surname's is in a text: in most it is not.
    latin = 2 <= len(plain) <= 4 and len(_pieces(name)) < 2
    return Group(parts, make, (plain, source) if latin else None)


def _number_group(value: str, source: str) -> Group:
    # All spellings end alike.
    return Group((compact_value(value)[-3:],), partial(_number_needles, value, "MEDICAL_ID", source, 4))


def _resident_group(value: str, source: str) -> Group:
    plain = compact_value(value)
    # The old form ends before the check digit.
    end = plain[13:17] if len(plain) == 18 else plain[-3:]
    return Group((end,), partial(_resident_needles, value, source))


def _phone_group(value: str, source: str) -> Group:
    # However the digits are grouped, the last three stay together.
    return Group((_phone_digits(value)[-3:],), partial(_phone_needles, value, source))


class Roster:
    """The staff's names as one automaton.

    Args:
        names: names of staff members; titles behind them are dropped.
    """

    def __init__(self, names: Iterable[str]) -> None:
        import ahocorasick

        entries: dict[str, Needle] = {}
        for name in sorted(set(names)):
            for needle in name_needles(name, "roster", staff=True):
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
            span = _hit(needle, last + 1 - len(needle.value), folded, compact)
            if span is not None:
                yield span._replace(score=0.98)

"""How a known name may be written otherwise, and whether what stands there is the name or a part of ordinary words.

What belongs here: spellings of a name and the questions that decide on a hit. What does not: searching (known.py),
names of which nothing is known (recognizers).

Ordinary words. A short name can be a part of words: 周敏 in 牙周敏感, 高明 in 升高明显, 安静 as a word.
- The patient's own name is masked all the same, even where it is a word, because an overlooked patient is the worse
  error. One exception: where what stands before and what stands behind both make words with its halves (牙周 | 敏感),
  the name is not there.
- A name of the staff roster concerns every text of the hospital, so one such sign is enough against it, and a name that
  is a word itself (安静, 高明) counts only behind a role (护士安静) or before a title (安静医师).
- A given name alone (伟明) that is no word counts wherever no word reaches over its borders. One that is a word (菊花)
  counts where a clause, a role or a verb of dealing with people begins it and a clause, a title or a verb ends it, and
  never where it is one of everyday notes (健康).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache, lru_cache
from typing import NamedTuple

from meddata_pipeline.privacy.detect.models.lexicon import lexicon
from meddata_pipeline.privacy.detect.names import grammar, is_han
from meddata_pipeline.privacy.detect.words import alternation, characters, word_set, words

COURTESY = (
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
#: Last characters of kin words that stand behind a name: 王姐, 玉芬婶.
_KIN = "姐哥叔婶嫂姨伯"
#: Where a hit counts.
ANYWHERE = "anywhere"
#: No Latin letter or digit touches it.
ALONE = "alone"
#: A patient's name: see above.
NAME = "name"
#: A staff member's name of two characters.
STAFF_NAME = "staff-name"
#: A surname that a title, a mask (某, **) or a nickname (老张) makes a name.
SURNAME = "surname"
#: A staff member's surname before a title.
STAFF_SURNAME = "staff-surname"
#: A given name alone.
GIVEN = "given"
#: What friends say: 阿强, 丽丽.
PET = "pet"
#: A staff member's given name before a title.
STAFF_GIVEN = "staff-given"
#: Pinyin.
PINYIN = "pinyin"
#: A staff member's pinyin: with a capital.
STAFF_PINYIN = "staff-pinyin"
#: Surname and initials in capitals (Zhang WM).
CAPITALS = "capitals"
#: Initials alone, in capitals behind a label.
INITIALS = "initials"

_MASK = re.compile(r"某[某甲乙丙丁]?(?![种些个次日年月天侧处医院科地单])|[*×○□]{1,3}|x{1,2}(?![a-z0-9线光片])")
#: Surnames that are prepositions more often, also behind a role.
_PREPOSITIONS = "于经由从向和时应"
_HIDDEN = "*×○某"
#: Verbs and prepositions of dealing with people: they stand before somebody's name.
_DEALING = frozenset("找给跟和叫让请陪问劝喊替对把被说讲诉托谢骂帮扶见于与由里晚约听需向经嘱称随接送床将成是据映")
#: What begins behind somebody's name, beside what ends every name.
_GOES_ON = frozenset("在来去回上昨今明前先扶笑哭随意态合自当刚一两从躺想")
_TIMES = frozenset(["明天", "昨天", "今天", "今年", "去年", "前年", "上周", "昨晚", "今晚", "今早", "明早"])
#: What somebody does, where the name is an everyday word.
_DOES = frozenset("说讲让叫喊想躺扶笑哭闹问答听称诉回")
#: Characters of transliterations that begin frequent words too.
_FREQUENT = frozenset("来和在同")
#: What a mask begins with.
_MASKS = frozenset("某*×○□x")
_LABEL = re.compile(alternation(words("initials_labels")) + r"[:为是(\[]{0,2}\Z")
_LABELLED = re.compile(alternation(words("initials_labels")) + r"[:为是(\[]{0,2}[a-z]\.?[a-z](?:\.?[a-z])?(?![a-z])")
_LATIN = re.compile("[a-z][a-z.\u00e0-\u01dc]")
_TONED = re.compile("[\u00e0-\u01dc]")
_TONES = str.maketrans("āáǎàēéěèīíǐìōóǒòūúǔùǖǘǚǜü", "aaaaeeeeiiiioooouuuuvvvvv")


class Name(NamedTuple):
    """A Chinese name in its parts."""

    surname: str
    given: str


def parts_of(plain: str) -> Name:
    """Surname and given name of a name in ideographs."""
    length = max(grammar().surname_length(plain, 0), 1)
    return Name(plain[:length], plain[length:])


@cache
def _title() -> re.Pattern[str]:
    kin = f"[{_KIN}](?![{_KIN}夫们])"
    return re.compile(alternation([*words("titles"), *COURTESY]) + "|" + kin)


@cache
def _act() -> re.Pattern[str]:
    return re.compile(alternation(words("acts")))


@cache
def _surname_readings() -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for line in words("surname_readings"):
        surname, reading = line.split()
        found.setdefault(surname, []).append(reading)
    return {surname: tuple(sorted(readings)) for surname, readings in found.items()}


@lru_cache(maxsize=5_000)
def surname_spellings(surname: str) -> tuple[str, ...]:
    """A surname in Latin letters, in all its readings; empty where it has none."""
    from pypinyin import lazy_pinyin

    readings = {"".join(lazy_pinyin(surname)), *_surname_readings().get(surname, ())}
    return tuple(sorted({spelt for reading in readings if reading.isascii() for spelt in _umlauts(reading)}))


@lru_cache(maxsize=50_000)
def latin_forms(plain: str) -> tuple[tuple[str, str], ...]:
    """A Chinese name in Latin letters, in compact form.

    Args:
        plain: the name in ideographs, without separators.

    Returns:
        Pairs of spelling and the condition under which it counts. Blanks, dashes and carets are not in compact forms:
        ``zhangwei`` stands for Zhang Wei, ZHANG^WEI and zhang-wei.
    """
    from pypinyin import lazy_pinyin

    name = parts_of(plain)
    syllables = {tuple(lazy_pinyin(name.given)), tuple(s for c in name.given for s in lazy_pinyin(c))}
    forms: dict[str, str] = {}
    for given in sorted(syllables):
        if not given or not all(s.isascii() and s.isalpha() for s in given):
            continue  # a character that has no reading
        initials = "".join(s[0] for s in given)
        for surname in surname_spellings(name.surname):
            for whole in _umlauts("".join(given)):
                for form in (surname + whole, whole + surname):
                    forms.setdefault(form, PINYIN)
                for mark in ",./":
                    forms.setdefault(f"{surname}{mark}{whole}", PINYIN)
                forms.setdefault(f"{whole}.{surname}", PINYIN)
            for form in (f"{initials[0]}.{surname}", ".".join(initials) + f".{surname}"):
                forms.setdefault(form, ALONE)
            for form in (surname + initials, initials + surname, surname + initials[0], f"{surname},{initials[0]}"):
                forms.setdefault(form, CAPITALS)
            forms.setdefault(surname[0] + initials, INITIALS)
            forms.setdefault(".".join(surname[0] + initials), INITIALS)
    return tuple(forms.items())


def _umlauts(spelling: str) -> tuple[str, ...]:
    """Spellings of ü in a text without tones: lv, lu, lyu."""
    if "v" not in spelling:
        return (spelling,)
    return (spelling, spelling.replace("v", "u"), spelling.replace("v", "yu"))


@lru_cache(maxsize=16)
def without_tones(text: str) -> str:
    """A text with the letters of pinyin bare, ü as v; the length stays."""
    return text.translate(_TONES) if _TONED.search(text) else text


def stands_alone(text: str, start: int, end: int) -> bool:
    """Whether no Latin letter or digit touches a range."""
    before = text[start - 1] if start else " "
    after = text[end] if end < len(text) else " "
    return not ((before.isascii() and before.isalnum()) or (after.isascii() and after.isalnum()))


def words_against(text: str, start: int, end: int) -> int:
    """On how many sides ordinary words speak against a name of two characters: 0 to 2.

    Args:
        text: the compact text.
        start: where the name seems to begin.
        end: one behind its last character.
    """
    before = start > 0 and text[start - 1 : start + 1] in word_set("ends_in_surname")
    return before + (text[end - 1 : end + 1] in word_set("begins_with_given"))


def is_ordinary(name: str) -> bool:
    """Whether a name is an ordinary word too."""
    return name in word_set("ordinary_names") or name in grammar().not_names


@cache
def _roles() -> tuple[str, ...]:
    return (*words("roles"), *words("labels"), *words("leads"))


@cache
def _persons() -> tuple[str, ...]:
    return (*words("roles"), *words("labels"))


def announced(text: str, start: int) -> bool:
    """Whether a role or a label stands before a place of the compact text (护士, 签名:)."""
    before = start - 1 if start and text[start - 1] in ":(" else start
    return text.endswith(_persons(), max(0, before - 8), before)


def titled(text: str, end: int) -> bool:
    """Whether a title stands behind a place of the compact text."""
    return _title().match(text, end) is not None


def acting(text: str, start: int, end: int, sides: Callable[[], Sides]) -> bool:
    """Whether what stands at a place does what only people do (温馨持不同意见), at the start of a clause."""
    opens = start == 0 or not sides().before or not is_han(text[start - 1]) or text[start - 1] in "科室与经由"
    return opens and _act().match(text, end) is not None


@cache
def _title_begins() -> frozenset[str]:
    return frozenset(word[0] for word in (*words("titles"), *COURTESY)) | frozenset(_KIN)


def surname_marked(text: str, start: int, end: int, *, staff: bool) -> bool:
    """Whether anything that could make a surname a name touches it; asked first, because mostly nothing does.

    Args:
        text: the compact text.
        start: where the surname begins.
        end: one behind it.
        staff: whether only a title counts.
    """
    following = text[end : end + 1]
    if following in _title_begins():
        return True
    return not staff and (following in _MASKS or (start > 0 and text[start - 1] in "老小"))


class Sides(NamedTuple):
    """Whether other characters touch a range in the text itself; blanks and line breaks are not in compact texts."""

    before: bool
    behind: bool


def surname_hit(text: str, start: int, end: int, last: str, sides: Callable[[], Sides], *, staff: bool) -> int | None:
    """Where the name ends that a surname begins, or None where it is no name.

    Args:
        text: the compact text.
        start: where the surname begins.
        end: one behind it.
        last: the last character of the whole name: 张*明 is 张伟明.
        sides: tells what touches it.
        staff: whether only a title counts.
    """
    names = grammar()
    surname = text[start:end]
    if end - start == 1 and start and is_han(text[start - 1]) and sides().before:
        # 于主任 in 患者于主任查房时: a function word. 血压高护士: a word that ends in a surname.
        leads = words("leads") if surname in _PREPOSITIONS else _roles()
        weak = surname in names.weak and not text.endswith(leads, max(0, start - 8), start)
        if weak or text[start - 1 : end] in word_set("ends_in_surname"):
            return None
    if titled(text, end):
        return end
    if staff:
        return None
    if mask := _MASK.match(text, end):
        return mask.end() + (text[mask.end() : mask.end() + 1] == last)
    if start and text[start - 1] in "老小" and surname not in names.weak and _nickname(text, start, end, sides):
        return end
    return None


def _nickname(text: str, start: int, end: int, sides: Callable[[], Sides]) -> bool:
    """Whether 小张 or 老张 is somebody: between the borders of clauses, and no word."""
    if text[start - 1 : end] in word_set("not_nicknames") or text[start : end + 1] in grammar().not_names:
        return False
    before = start - 1
    opens = (
        before == 0
        or not is_han(text[before - 1])
        or text[before - 1] in _DEALING
        or text.endswith(_roles(), max(0, before - 8), before)
    )
    return opens and (grammar().ends(text, end) or not sides().behind)


def given_hit(text: str, start: int, end: int, sides: Callable[[], Sides]) -> bool:
    """Whether a given name stands alone as a name.

    Args:
        text: the compact text.
        start: where it begins.
        end: one behind its last character.
        sides: tells what touches it.
    """
    given = text[start:end]
    following = text[end : end + 1]
    if text.startswith(words("eponyms"), start):
        return False  # 阿尔茨海默
    everyday = given in word_set("ordinary_given") or given in word_set("begins_with_given")
    goes_on = grammar().ends(text, end) or following in _GOES_ON
    if given not in lexicon().words and not everyday:
        bordered = _opened(text, start, sides) and (goes_on or not sides().behind)
        return bordered or not _reached_over(text, start, end, sides)
    if following.isdigit() and sides().behind:
        return False  # 菊花10g
    if titled(text, end):
        return not (sides().before and text[start - 1 : start + 1] in lexicon().words)
    if not _opened(text, start, sides):
        return False
    if bool(_act().match(text, end)) or (bool(following) and following in _DOES) or text[end : end + 2] in _TIMES:
        return True
    if everyday:
        return goes_on and sides().before and sides().behind and text[start - 1] in _DEALING and is_han(following)
    return not sides().behind or goes_on


def pet_hit(text: str, start: int, end: int, sides: Callable[[], Sides]) -> bool:
    """Whether 阿强 or 丽丽 is somebody: no ordinary word, and none reaches over its borders."""
    if text.startswith(words("eponyms"), start):
        return False
    if text[start] == "阿" and sides().behind and text[end] in characters("foreign_names") - _FREQUENT:
        return False  # 阿托伐他汀, 阿尔茨海默
    return text[start:end] not in lexicon().words and not _reached_over(text, start, end, sides)


def _opened(text: str, start: int, sides: Callable[[], Sides]) -> bool:
    """Whether a clause, a role, or a word of dealing with people stands before a place."""
    before = text[start - 1] if start else ""
    return (
        not before
        or before in _HIDDEN
        or not (before.isalnum() or is_han(before))
        or before in _DEALING
        or text.endswith(_roles(), max(0, start - 8), start)
    )


def _reached_over(text: str, start: int, end: int, sides: Callable[[], Sides]) -> bool:
    """Whether an ordinary word begins before a range and ends in it, or begins in it and ends behind it."""
    known = lexicon().words
    if sides().before and (text[start - 1 : start + 1] in known or text[max(0, start - 2) : start + 1] in known):
        return True
    return sides().behind and any(text[end - 1 : end + size] in known for size in (1, 2))


def pinyin_hit(surface: str, *, staff: bool) -> bool:
    """Whether a spelling in Latin letters may be a name.

    Args:
        surface: as it stands in the text.
        staff: whether it is of the roster: then it must begin with a capital and have five letters.
    """
    if staff and (not surface[:1].isupper() or sum(c.isalpha() for c in surface) < 5):
        return False
    if surface.islower():
        # "he may" is 何梅 only where it is written as a name.
        first = re.split(r"[^a-z]+", surface)
        return len(first) == 1 or first[0] not in word_set("english_pinyin")
    return True


@lru_cache(maxsize=16)
def holds_latin(text: str) -> bool:
    """Whether a compact text holds two Latin letters in a row: otherwise nobody's pinyin is in it."""
    return _LATIN.search(text) is not None


@lru_cache(maxsize=16)
def holds_initials(text: str) -> bool:
    """Whether a compact text holds two or three letters behind a label that announces initials."""
    for label in words("initials_labels"):
        if label in text:
            return _LABELLED.search(text) is not None
    return False


def initials_hit(text: str, start: int, surface: str) -> bool:
    """Whether initials are somebody's: in capitals, and behind a label."""
    letters = [c for c in surface if c.isalpha()]
    return all(c.isupper() for c in letters) and _LABEL.search(text, max(0, start - 12), start) is not None


def capitals_hit(surface: str) -> bool:
    """Whether surname and initials are written as such, with capitals at both ends: Zhang WM, WM Zhang, ZHANG W."""
    capitals = [c.isupper() for c in surface if c.isalpha()]
    return capitals[0] and sum(capitals) > 1 and (capitals[-1] or capitals[1] or not surface.isalpha())

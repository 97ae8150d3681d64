"""A lexicon of Chinese words: what is an ordinary word, and what only looks like a name.

What belongs here: reading the word list of the package ``jieba`` and the project's own clinical vocabulary
(clinical_words.yaml), and asking them. What does not: the lists of the rules (detect/words.py).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import NamedTuple

import yaml

from meddata_pipeline.core.errors import ConfigError
from meddata_pipeline.privacy.detect.models.packages import digest_of, package_folder, recipes
from meddata_pipeline.privacy.detect.names import grammar

#: Longest word that is kept; longer ones are phrases.
LONGEST = 6
#: The lists of clinical_words.yaml that hold words; the others hold stems, doubtful words, or marks of words.
CLINICAL_GROUPS = (
    "drugs",
    "herbs",
    "formulas",
    "eponyms",
    "instruments_materials",
    "laboratory",
    "anatomy_findings",
    "shorthand",
    "offices",
)
#: Shortest word that a stem alone shows to be a drug: a surname and a given name have three characters at most.
_DRUG_LENGTH = 4
#: Longest clinical word around a candidate that is looked for.
_CLINICAL_LENGTH = 8
#: Length from which on the beginning of a drug is nobody's name.
_SHORTENED_LENGTH = 3
#: An amount behind a shortened drug (伊马400, 莫沙5tid) or what is done with one; not a bed, an age, a time or a longer
#: number.
_AMOUNT = re.compile(
    "[ (]?[0-9]{1,4}(?:\\.[0-9]+)?(?![0-9.:/-]*[0-9床号岁年月日时点:室楼层区病℃])"
    "|停用|停药|加量|减量|联合|合用|静滴|静注|泵入|缓释|剂量|浓度|耐药|敏感|起始|单药|滴定"
)
#: An amount with a unit of drugs.
_DOSE = re.compile(
    "[ (]?[0-9.]+ ?(?:mg|g|克|毫克|ug|μg|片|粒|袋|丸|u|iu|枚|支|[tbqu]id|q[dnoh]|q[0-9]+h)(?![a-z])", re.IGNORECASE
)


class Lexicon(NamedTuple):
    """Words with their kind, of the segmenter's own word list.

    Attributes:
        names: words that are names of persons there, of two characters or more.
        transliterated: those among them that are names from other languages, as far as the list knows.
        words: all others of two to six characters, with how often they were counted.
        places: names of places among them.
        characters: how often each character was counted, as a word of its own and in other words.
    """

    names: frozenset[str]
    transliterated: frozenset[str]
    words: Mapping[str, int]
    places: frozenset[str]
    characters: Mapping[str, tuple[int, int]]


@cache
def lexicon() -> Lexicon:
    """The lexicon.

    Raises:
        ConfigError: its package is missing, or another version of it is installed.
    """
    recipe = recipes()["lexicon"]
    path = package_folder(recipe["package"]) / recipe["file"]
    if digest_of([path]) != recipe["sha256"]:
        raise ConfigError(f"the word list of {recipe['package']} is not the one of version {recipe['version']}")
    names: set[str] = set()
    transliterated: set[str] = set()
    words: dict[str, int] = {}
    places: set[str] = set()
    alone: dict[str, int] = {}
    within: dict[str, int] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        word, count, kind = line.split(" ")
        times = int(count)
        if kind.startswith("nr") and len(word) > 1:
            names.add(word)
            if kind == "nrt":
                transliterated.add(word)
            continue
        for c in word:
            within[c] = within.get(c, 0) + times
        if len(word) == 1:
            alone[word] = times
        elif len(word) <= LONGEST:
            words[word] = times
            if kind == "ns":
                places.add(word)
    characters = {c: (alone.get(c, 0), count) for c, count in within.items()}
    return Lexicon(frozenset(names), frozenset(transliterated), words, frozenset(places), characters)


def ordinary_at(text: str, start: int) -> bool:
    """Whether an ordinary word begins at a place, or reaches over it: no name begins there on weak evidence."""
    if grammar().surname_length(text, start) == 2:
        return False
    words = lexicon().words
    return text[start : start + 2] in words or (start > 0 and text[start - 1 : start + 1] in words)


@cache
def clinical_list(name: str) -> tuple[str, ...]:
    """A list of clinical_words.yaml as it is written, e.g. ``herbs``, ``ambiguous``, ``also_given``."""
    return tuple(_clinical()[name].split())


@cache
def clinical_words() -> frozenset[str]:
    """Clinical words that are nobody's full name, however much they look like one.

    They speak about a candidate that is such a word or lies within one, not about one that holds it: 桂枝 is a drug,
    王桂枝 a woman (``also_given`` lists the words to which this happens).
    """
    return frozenset(word for name in CLINICAL_GROUPS for word in clinical_list(name))


def is_drug(word: str) -> bool:
    """Whether a stem or a salt shows that a word of folded text is a drug, even one that no list holds.

    Chinese names of persons never count, whatever their given name is (王西林), since they are too short or begin with
    a surname of two characters.
    """
    if len(word) < _DRUG_LENGTH or grammar().surname_length(word, 0) == 2:
        return False
    return word.endswith(clinical_list("drug_endings")) or word.startswith(clinical_list("drug_beginnings"))


def is_shortened_drug(text: str, start: int, end: int) -> bool:
    """Whether a range is a drug as wards shorten it: 秋水仙, 阿奇, 伊马400, 山萸12.

    The first three characters of a listed drug always count. Two count where no surname begins them or an amount stands
    behind them; and a word that people are called too (代文) where a dose does.
    """
    word = text[start:end]
    if word in _given_too():
        return _DOSE.match(text, end) is not None
    if word not in _beginnings():
        return False
    if len(word) >= _SHORTENED_LENGTH:
        return True
    return not grammar().surname_length(word, 0) or _AMOUNT.match(text, end) is not None


def cuts_word(text: str, start: int, end: int) -> bool:
    """Whether a range cuts a long clinical word in two: 凡士[林厚涂], 静脉[窦狭]窄, [阳用达]拉非尼.

    To the right only drugs and the like count: a name may stand before any other word.
    """
    known, substances, beginnings = clinical_words(), _substances(), _clinical_beginnings()
    for left in range(max(0, start - _CLINICAL_LENGTH), start):
        # Few pieces of text begin a clinical word: the others need no second look.
        if text[left : start + 1] in beginnings and any(
            text[left:right] in known for right in range(max(start + 1, left + _SHORTENED_LENGTH), end)
        ):
            return True
    for left in range(start + 1, end):
        if text[left : end + 1] in beginnings and any(
            text[left:right] in substances
            for right in range(max(end + 1, left + _SHORTENED_LENGTH), min(len(text), left + _CLINICAL_LENGTH) + 1)
        ):
            return True
    return False


@cache
def _given_too() -> frozenset[str]:
    """Words that people are called too."""
    return frozenset((*clinical_list("ambiguous"), *clinical_list("also_given")))


@cache
def _substances() -> frozenset[str]:
    return frozenset(w for name in ("drugs", "herbs", "formulas") for w in clinical_list(name))


@cache
def _beginnings() -> frozenset[str]:
    """What drugs, herbs and formulas begin with, of two characters or more."""
    listed = [word for name in ("drugs", "herbs", "formulas") for word in clinical_list(name)]
    return frozenset(word[:size] for word in listed for size in range(2, len(word)))


def within_clinical(text: str, start: int, end: int) -> bool:
    """Whether a range is a clinical word or lies within one: 洛芬 in 布洛芬."""
    known, beginnings = clinical_words(), _clinical_beginnings()
    for left in range(start, max(-1, end - _CLINICAL_LENGTH - 1), -1):
        for right in range(left + 2, min(len(text), left + _CLINICAL_LENGTH) + 1):
            piece = text[left:right]
            if piece not in beginnings:
                break
            if right >= end and piece in known:
                return True
    return False


@cache
def _clinical_beginnings() -> frozenset[str]:
    """The clinical words and what they begin with: where a piece is missing, no longer word begins."""
    return frozenset(word[:end] for word in clinical_words() for end in range(2, len(word) + 1))


@cache
def _clinical() -> dict[str, str]:
    source = resources.files(__package__).joinpath("clinical_words.yaml").read_text(encoding="utf-8")
    loaded: dict[str, str] = yaml.safe_load(source)
    return loaded

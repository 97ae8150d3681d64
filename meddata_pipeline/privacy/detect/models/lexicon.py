"""A lexicon of Chinese words: what is an ordinary word, and what only looks like a name.

What belongs here: reading the word list of the package ``jieba`` and the project's own clinical vocabulary
(clinical_words.yaml), and asking them. What does not: the lists of the rules (detect/words.py).
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import NamedTuple

import yaml

from meddata_pipeline.core.errors import ConfigError
from meddata_pipeline.privacy.detect.models.packages import digest_of, package_folder, recipes
from meddata_pipeline.privacy.detect.names import grammar

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


class Lexicon(NamedTuple):
    """Words with their kind, of the segmenter's own word list.

    Attributes:
        names: words that are names of persons there.
        words: all others of two to six characters.
        places: names of places among them.
    """

    names: frozenset[str]
    words: frozenset[str]
    places: frozenset[str]


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
    words: set[str] = set()
    places: set[str] = set()
    for line in path.read_text(encoding="utf-8").splitlines():
        word, _, kind = line.split(" ")
        if not 2 <= len(word) <= 6:
            continue
        (names if kind.startswith("nr") else words).add(word)
        if kind == "ns":
            places.add(word)
    return Lexicon(frozenset(names), frozenset(words), frozenset(places))


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


@cache
def _clinical() -> dict[str, str]:
    source = resources.files(__package__).joinpath("clinical_words.yaml").read_text(encoding="utf-8")
    loaded: dict[str, str] = yaml.safe_load(source)
    return loaded

"""A lexicon of Chinese words: what is an ordinary word, and what only looks like a name.

What belongs here: reading the word list of the package ``jieba`` and asking it. What does not: the project's own lists
(detect/words.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import NamedTuple

from meddata_pipeline.core.errors import ConfigError
from meddata_pipeline.privacy.detect.models.packages import digest_of, package_folder, recipes
from meddata_pipeline.privacy.detect.names import grammar

#: Longest word that is kept; longer ones are phrases.
LONGEST = 6


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


def clinical_words() -> frozenset[str]:
    return frozenset()

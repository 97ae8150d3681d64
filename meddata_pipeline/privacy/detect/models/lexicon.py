"""A lexicon of Chinese words: what is an ordinary word, and what only looks like a name.

What belongs here: reading the word list of the package ``jieba`` and asking it. What does not: the project's own lists
(detect/words.py).
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from meddata_pipeline.core.errors import ConfigError
from meddata_pipeline.privacy.detect.models.packages import digest_of, package_folder, recipes
from meddata_pipeline.privacy.detect.names import grammar


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

"""The word lists of words.yaml and known.yaml, read once.

What belongs here: access to the lists. What does not: the words themselves, rules that use them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from importlib import resources
from itertools import groupby
from operator import itemgetter

import yaml

from meddata_pipeline.privacy.detect.fold import simplify


@cache
def _raw() -> dict[str, str | list[str]]:
    folder = resources.files("meddata_pipeline.privacy.detect")
    loaded: dict[str, str | list[str]] = {}
    for file in ("words.yaml", "known.yaml"):
        # The rules look in folded texts, which hold no traditional characters.
        loaded |= yaml.safe_load(simplify(folder.joinpath(file).read_text(encoding="utf-8")))
    return loaded


def _items(name: str) -> list[str]:
    """A list as it is written: running text, or YAML items where words hold blanks."""
    raw = _raw()[name]
    return raw.split() if isinstance(raw, str) else raw


@cache
def characters(name: str) -> frozenset[str]:
    """A list of single characters, e.g. ``surnames``."""
    return frozenset("".join(_items(name)))


@cache
def words(name: str) -> tuple[str, ...]:
    """A list of words, longest first, so that an alternation prefers the longest."""
    return tuple(sorted(set(_items(name)), key=lambda word: (-len(word), word)))


@cache
def word_set(name: str) -> frozenset[str]:
    """A list of words as a set."""
    return frozenset(words(name))


def alternation(items: Iterable[str]) -> str:
    """A pattern for any of the words, longest first; it begins with a definite set of characters.

    Words that begin alike share their beginning (主治(?:医师|医生)): the engine tries the branches one after the other.
    Of the words that a text holds at a place each begins with the shorter ones, so the order stays: longest first.
    """
    return _tree(sorted(set(items)))


def _tree(words: list[str]) -> str:
    """A pattern for sorted, distinct words; one that is empty comes first and is tried last."""
    branches = [
        re.escape(first) + (_tree([word[1:] for word in group]) if group != [first] else "")
        for first, group in ((first, list(same)) for first, same in groupby(filter(None, words), itemgetter(0)))
    ]
    together = branches[0] if len(branches) == 1 and words[0] else "(?:" + "|".join(branches) + ")"
    return together if words[0] else f"{together}?"

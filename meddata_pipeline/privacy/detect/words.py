"""The word lists of words.yaml and known.yaml, read once.

What belongs here: access to the lists. What does not: the words themselves, rules that use them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from importlib import resources

import yaml


@cache
def _raw() -> dict[str, str | list[str]]:
    folder = resources.files("meddata_pipeline.privacy.detect")
    loaded: dict[str, str | list[str]] = {}
    for file in ("words.yaml", "known.yaml"):
        loaded |= yaml.safe_load(folder.joinpath(file).read_text(encoding="utf-8"))
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
    """A pattern for any of the words, longest first; it begins with a definite set of characters."""
    return "(?:" + "|".join(re.escape(word) for word in sorted(set(items), key=lambda w: (-len(w), w))) + ")"

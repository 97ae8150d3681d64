"""Folding: one spelling for what is written in full width, with odd dashes or invisible characters.

What belongs here: mappings of characters and the way back to the original offsets. What does not: what is looked for.

Almost every mapping is one character to one, so offsets stay; only invisible characters are dropped, and then a map
leads back.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from functools import lru_cache
from typing import NamedTuple

_INVISIBLE = re.compile("[\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff\u00ad]")


def _table() -> dict[int, str]:
    # The whole basic plane is in the table: translate() is several times slower on characters that it lacks.
    table = {code: chr(code) for code in range(0x10000)}
    table.update({code: chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)})
    table.update(dict.fromkeys([0x3000, 0xA0, *range(0x2000, 0x200B), 0x202F, 0x205F], " "))
    table.update(dict.fromkeys([*range(0x2010, 0x2016), 0x2212, 0xFE58, 0xFE63, 0x2500, 0x30FC], "-"))
    table.update(dict.fromkeys([0x2022, 0x2027, 0x30FB, 0x2219, 0x22C5, 0x387, 0xFF65], "\u00b7"))
    table.update(
        {0xFE13: ":", 0x2236: ":", 0xFE55: ":", 0xFE50: ",", 0xFE59: "(", 0xFE5A: ")", 0x3014: "[", 0x3015: "]"}
    )
    table.update({0x3010: "[", 0x3011: "]"})
    return table


_TABLE = _table()


class Folded(NamedTuple):
    """A folded text.

    Attributes:
        text: the text in which the rules look.
        offsets: for every character of ``text`` its place in the original, or None where the places are the same.
    """

    text: str
    offsets: list[int] | None

    def original(self, start: int, end: int) -> tuple[int, int]:
        """The half-open range in the original text for a non-empty range of the folded one."""
        if self.offsets is None:
            return start, end
        return self.offsets[start], self.offsets[end - 1] + 1


def fold(text: str) -> Folded:
    """Fold full-width forms, dashes, spaces and middle dots; drop invisible characters."""
    if text.isascii():
        return Folded(text, None)
    if _INVISIBLE.search(text) is None:
        return Folded(text.translate(_TABLE), None)
    offsets = [i for i, character in enumerate(text) if _INVISIBLE.match(character) is None]
    return Folded("".join(text[i] for i in offsets).translate(_TABLE), offsets)


_LOOSE = re.compile(r"[\s\-\u00b7^_]+")


class Compact:
    """A folded text without white space, dashes and middle dots, in lower case: known values are looked for in it.

    The way back is worked out when something is found: in most texts nothing is.

    Args:
        folded: the folded text.
    """

    __slots__ = ("_folded", "_gaps", "text")

    def __init__(self, folded: str) -> None:
        self.text = _lower(_LOOSE.sub("", folded))
        self._folded = folded
        self._gaps: tuple[list[int], list[int]] | None = None

    def folded(self, start: int, end: int) -> tuple[int, int]:
        """The half-open range in the folded text for a non-empty range of the compact one."""
        if len(self.text) == len(self._folded):
            return start, end
        if self._gaps is None:
            self._gaps = self._find_gaps()
        places, dropped = self._gaps
        last = end - 1
        return start + dropped[bisect_right(places, start)], last + dropped[bisect_right(places, last)] + 1

    def _find_gaps(self) -> tuple[list[int], list[int]]:
        """Where in the compact text something is missing, and how much in all is missing before the n-th such place."""
        places: list[int] = []
        dropped = [0]
        for match in _LOOSE.finditer(self._folded):
            places.append(match.start() - dropped[-1])
            dropped.append(dropped[-1] + match.end() - match.start())
        return places, dropped


def _lower(text: str) -> str:
    lowered = text.lower()
    # Some capitals (İ) become two characters in lower case; offsets would slip.
    return lowered if len(lowered) == len(text) else "".join(c.lower() if len(c.lower()) == 1 else c for c in text)


@lru_cache(maxsize=100_000)
def compact_value(value: str) -> str:
    """A known value in the form in which it is looked for in a compact text."""
    return Compact(fold(value.strip()).text).text

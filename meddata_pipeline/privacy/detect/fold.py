"""Folding: one spelling for what is written in full width, with odd dashes or invisible characters.

What belongs here: mappings of characters and the way back to the original offsets. What does not: what is looked for.

Almost every mapping is one character to one, so offsets stay; only invisible characters are dropped, and then a map
leads back.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_INVISIBLE = re.compile("[\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff\u00ad]")


def _table() -> dict[int, str]:
    table = {code: chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)}
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


class Compact(NamedTuple):
    """A folded text without white space, dashes and middle dots, in lower case: known values are looked for in it.

    Attributes:
        text: what is left.
        offsets: for every character its place in the folded text, or None where the places are the same.
    """

    text: str
    offsets: list[int] | None

    def folded(self, start: int, end: int) -> tuple[int, int]:
        """The half-open range in the folded text for a non-empty range of the compact one."""
        if self.offsets is None:
            return start, end
        return self.offsets[start], self.offsets[end - 1] + 1


def _lower(text: str) -> str:
    lowered = text.lower()
    # Some capitals (İ) become two characters in lower case; offsets would slip.
    return lowered if len(lowered) == len(text) else "".join(c.lower() if len(c.lower()) == 1 else c for c in text)


def compact(folded: str) -> Compact:
    """Drop white space, dashes, middle dots, and lower the case."""
    if _LOOSE.search(folded) is None:
        return Compact(_lower(folded), None)
    offsets = [i for i, character in enumerate(folded) if _LOOSE.match(character) is None]
    return Compact(_lower("".join([folded[i] for i in offsets])), offsets)


def compact_value(value: str) -> str:
    """A known value in the form in which it is looked for in a compact text."""
    return compact(fold(value.strip()).text).text

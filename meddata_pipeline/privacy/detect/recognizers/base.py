"""What a rule is."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator

from meddata_pipeline.privacy.detect.types import Hit


class Rule(ABC):
    """Finds one kind of identifier in a folded text.

    Attributes:
        name: the source that spans carry.
        entities: what it may find.
    """

    name: str
    entities: tuple[str, ...]

    @abstractmethod
    def find(self, text: str) -> Iterator[Hit]:
        """Hits in a folded text, in any order; they may overlap."""


def compiled(pattern: str, flags: int = 0) -> re.Pattern[str]:
    """Compile a pattern.

    A pattern here begins with a character or a set of characters, never with a look-behind: the regex engine then
    skips to the next candidate in one sweep (several times faster). What must not stand before is asked of
    ``bounded`` or of a look-behind after the first character.
    """
    return re.compile(pattern, flags)


def bounded(text: str, start: int, end: int) -> bool:
    r"""Whether no ASCII letter or digit touches the range: it is a token of its own.

    ``\\b`` cannot say this: in Python a Chinese character is a word character too.
    """
    before = text[start - 1] if start else " "
    after = text[end] if end < len(text) else " "
    return not ((before.isascii() and before.isalnum()) or (after.isascii() and after.isalnum()))


def digit_bounded(text: str, start: int, end: int) -> bool:
    """Whether no digit touches the range, and no decimal point with a digit behind it."""
    if start and text[start - 1].isdigit():
        return False
    if start > 1 and text[start - 1] == "." and text[start - 2].isdigit():
        return False
    if end < len(text) and text[end].isdigit():
        return False
    return not (end + 1 < len(text) and text[end] == "." and text[end + 1].isdigit())


def digits_of(text: str) -> str:
    """The ASCII digits of a text."""
    return "".join(c for c in text if "0" <= c <= "9")

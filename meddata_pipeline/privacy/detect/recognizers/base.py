"""What a rule is."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator

from meddata_pipeline.privacy.detect.sweep import Pattern
from meddata_pipeline.privacy.detect.types import Hit


class Rule(ABC):
    """Finds one kind of identifier in a folded text.

    Attributes:
        name: the source that spans carry.
        entities: what it may find.
        needs: what a text must hold for the rule to find anything: nothing, ``digits`` (five digits close together),
            ``coded`` (six in a row), ``letters`` (a Latin letter) or ``capitals`` (a capital before a letter).
        across: whether the rule may be given many texts at once with SEPARATOR between them. Its patterns are
            ``compiled`` (these never reach over a separator); everything else that it looks at must end there too, and
            must not ask something of the text as a whole (``if "号" in text``) but what a match implies.
    """

    name: str
    entities: tuple[str, ...]
    needs: str = ""
    across: bool = False

    @abstractmethod
    def find(self, text: str) -> Iterator[Hit]:
        """Hits in a folded text, in any order; they may overlap."""


_FEATURES = {
    "digits": re.compile(r"[0-9](?:[ \-.()]{0,2}[0-9]){4}"),
    "coded": re.compile(r"[0-9]{6}"),
    "letters": re.compile(r"[A-Za-z]"),
    "capitals": re.compile(r"[A-Z\u00c0-\u00de][A-Za-z\u00c0-\u00ff]"),
}


def features(text: str) -> frozenset[str]:
    """What a text holds, of the things that rules may need."""
    return frozenset(["", *(name for name, pattern in _FEATURES.items() if pattern.search(text))])


def compiled(pattern: str, flags: int = 0, holds: str | None = None) -> Pattern:
    """Compile a pattern, for one text or for many at once.

    A pattern here begins with a character or a set of characters, never with a look-behind: the regex engine then
    skips to the next candidate in one sweep (several times faster). What must not stand before is asked of
    ``bounded`` or of a look-behind after the first character.

    Args:
        pattern: the expression.
        flags: as for ``re.compile``.
        holds: a part of every match, as an expression; for patterns that may begin almost anywhere.
    """
    return Pattern(pattern, flags, holds)


def spellings(words: Iterable[str]) -> list[str]:
    """English words as they are written: small, capitalised, in capitals. Ignoring the case would cost the sweep."""
    return [form for word in words for form in (word, word.capitalize(), word.title(), word.upper())]


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


def is_tail(text: str, start: int) -> bool:
    """Whether digits and a dash stand before: what begins here is the tail of a longer number."""
    return start > 1 and text[start - 1] == "-" and text[start - 2].isdigit()


def digits_of(text: str) -> str:
    """The ASCII digits of a text."""
    return "".join(c for c in text if "0" <= c <= "9")


def labelled(labels: str, value: str = r"[A-Za-z0-9](?:[ \-]?[A-Za-z0-9]){3,30}") -> Pattern:
    """A pattern for a value behind an English label, however its number is introduced; group 1 is the value.

    Args:
        labels: an alternation of labels; it begins with a definite set of characters.
        value: the shape of the value.
    """
    return compiled(
        rf"(?:{labels})[ ,]{{0,2}}(?:[Nn]umbers?|[Nn]os?\.?|[Ii][Dd]|ID#|#)?[ ,]{{0,2}}"
        rf"(?:[:#=(]|is|was|of)?[ :#]{{0,3}}({value})(?![A-Za-z0-9])"
    )


def coded(text: str, least: int = 4) -> bool:
    """Whether a value looks like a number of something and not like words: enough digits."""
    return sum(c.isdigit() for c in text) >= least


def opens(text: str, start: int) -> bool:
    """Whether no ASCII letter or digit stands directly before a position."""
    return start == 0 or not (text[start - 1].isascii() and text[start - 1].isalnum())

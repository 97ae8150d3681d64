"""Dates as English texts write them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from meddata_pipeline.privacy.detect.recognizers.base import Rule, compiled
from meddata_pipeline.privacy.detect.types import Hit

_NAMES = (
    r"(?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|Sept?(?:embe"
    r"r)?|Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?)\.?"
)
_DAY = r"(?:3[01]|[12][0-9]|0?[1-9])(?:st|nd|rd|th)?"
_MONTH_FIRST = compiled(
    rf"{_NAMES}[ \-]{{1,2}}(?:{_DAY}(?![0-9:])(?:(?:, ?| |-)[12][0-9]{{3}})?|(?:of )?[12][0-9]{{3}})(?![0-9A-Za-z])",
    re.IGNORECASE,
)
_DAY_FIRST = compiled(
    rf"[0-3]?[0-9](?<![0-9][0-9][0-9])(?:st|nd|rd|th)?(?: of)?[ \-]{_NAMES}(?:,? ?[\- ]?[12][0-9]{{3}})?(?![A-Za-z])",
    re.IGNORECASE,
)
_SLASHED = compiled(
    r"[0-3]?[0-9](?<![0-9./\-][0-9])(?<![0-9./\-][0-9][0-9])([/\-.])[0-3]?[0-9]\1(?:[12][0-9]{3}|["
    r"0-9]{2})(?![0-9/\-.]?[0-9])"
)


class EnglishDateRule(Rule):
    """English dates with month names, and m/d/y."""

    name = "date-english"
    entities = ("DATE_TIME",)

    def find(self, text: str) -> Iterator[Hit]:
        """Hits of 0.9; 0.8 for slashed forms."""
        for match in _MONTH_FIRST.finditer(text):
            start = match.start()
            if start and text[start - 1].isascii() and text[start - 1].isalpha():
                continue
            yield Hit(start, match.end(), "DATE_TIME", 0.9)
        for match in _DAY_FIRST.finditer(text):
            yield Hit(match.start(), match.end(), "DATE_TIME", 0.9)
        for match in _SLASHED.finditer(text):
            first, second = (int(part) for part in re.split(r"[/\-.]", match.group())[:2])
            if 1 <= min(first, second) <= 12 and 1 <= max(first, second) <= 31:
                yield Hit(match.start(), match.end(), "DATE_TIME", 0.8)

"""Dates as English texts write them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from meddata_pipeline.privacy.detect.recognizers.base import Rule, compiled, spellings
from meddata_pipeline.privacy.detect.types import Hit
from meddata_pipeline.privacy.detect.words import alternation

_MONTHS = [
    [
        "january",
        "february",
        "march",
        "april",
        "may",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
    ],
    ["jan", "feb", "mar", "apr", "jun", "jul", "aug", "sep", "sept", "oct", "nov", "dec"],
]
_NAMES = alternation(spellings([month for form in _MONTHS for month in form])) + r"\.?"
_DAY = r"(?:3[01]|[12][0-9]|0?[1-9])(?:st|nd|rd|th)?"
_MONTH_FIRST = compiled(
    _NAMES + rf"[ \-]{{1,2}}(?:{_DAY}(?![0-9:])(?:(?:, ?| |-)[12][0-9]{{3}})?|(?:of )?[12][0-9]{{3}})(?![0-9A-Za-z])"
)
_DAY_FIRST = compiled(
    r"[0-9](?<![0-9].)[0-9]?(?:st|nd|rd|th)?(?: of)?[ \-]" + _NAMES + r"(?:,? ?[\- ]?[12][0-9]{3})?(?![A-Za-z])"
)
_SLASHED = compiled(r"[0-9](?<![0-9./\-].)[0-9]?([/\-.])[0-9][0-9]?\1(?:[12][0-9]{3}|[0-9]{2})(?![0-9/\-.]?[0-9])")
#: A day and a month without a year, behind a word that dates something: a score of 4/5 is no date.
_DAY_MONTH = compiled(
    r"(?:[Oo]n|[Ss]ince|[Uu]ntil|[Dd]ated?|DOB|DOS|[Bb]orn|[Ss]een|[Aa]dmitted|[Dd]ischarged|[Ff]rom|[Bb]y"
    r"|[Tt]hrough|[Aa]ppointment"
    r"|[Ff]ollow[ \-]up|[Vv]isit|[Ss]urgery|[Tt]aken|[Dd]rawn)(?: on)?[: ]{1,2}"
    r"((?:0?[1-9]|[12][0-9]|3[01])/(?:0?[1-9]|[12][0-9]|3[01]))"
    r"(?![0-9/%]|[ \-]?(?:mm|pain|strength|doses?|teeth|sites|of))"
)
_YEAR_MONTH = compiled(
    r"(?:[Ss]ince|[Ii]n|[Uu]ntil|[Oo]n|[Dd]ated?|[Ff]rom)[: ]{1,2}((?:0?[1-9]|1[0-2])/(?:19|20)[0-9]{2})(?![0-9/])"
)
#: Three scores of a newborn, written as a date could be: Apgar评分:9-10-10.
_APGAR = re.compile(r"(?:Apgar|阿普加|阿氏)(?:评分)?[: ]{0,2}\Z", re.IGNORECASE)
_LETTERS = re.compile("[A-Za-z]{3}")


class EnglishDateRule(Rule):
    """English dates with month names, and m/d/y."""

    name = "date-english"
    entities = ("DATE_TIME",)
    across = True

    def find(self, text: str) -> Iterator[Hit]:
        """Hits of 0.9; 0.8 for slashed forms."""
        if _LETTERS.search(text):
            for match in _MONTH_FIRST.finditer(text):
                start = match.start()
                if start and text[start - 1].isascii() and text[start - 1].isalpha():
                    continue
                yield Hit(start, match.end(), "DATE_TIME", 0.9)
            for match in _DAY_FIRST.finditer(text):
                yield Hit(match.start(), match.end(), "DATE_TIME", 0.9)
        for pattern in (_DAY_MONTH, _YEAR_MONTH):
            for match in pattern.finditer(text):
                before = text[match.start() - 1 : match.start()]
                if before.isascii() and before.isalpha():
                    continue  # Beighton 8/9
                first, second = (int(part) for part in match.group(1).split("/"))
                if second > 31 or min(first, second) <= 12:
                    yield Hit(match.start(1), match.end(1), "DATE_TIME", 0.7)
        for match in _SLASHED.finditer(text):
            if _APGAR.search(text, max(0, match.start() - 12), match.start()):
                continue
            first, second = (int(part) for part in re.split(r"[/\-.]", match.group())[:2])
            if 1 <= min(first, second) <= 12 and 1 <= max(first, second) <= 31:
                yield Hit(match.start(), match.end(), "DATE_TIME", 0.8)

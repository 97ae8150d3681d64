"""Phone numbers as they are written in English texts."""

from __future__ import annotations

from collections.abc import Iterator

from meddata_pipeline.privacy.detect.recognizers.base import Rule, compiled, digit_bounded
from meddata_pipeline.privacy.detect.types import Hit

_NORTH_AMERICA = compiled(
    r"[(+0-9](?<![0-9.\-].)(?:1[ \-.])?\(?(?:(?<=\()[2-9][0-9]{2}|[0-9]{2,3})\)?[ \-./]{1,2}"
    r"[2-9][0-9]{2}[ \-.][0-9]{4}(?: ?(?:x|ext\.?) ?[0-9]{1,6})?(?![0-9])"
)
_INTERNATIONAL = compiled(r"\+[1-9][0-9]{0,2}(?:[ \-.()]{0,2}[0-9]{1,5}){2,5}(?![0-9])")


class EnglishPhoneRule(Rule):
    """North American and international phone numbers."""

    name = "phone-english"
    entities = ("PHONE_NUMBER",)
    needs = "digits"
    across = True

    def find(self, text: str) -> Iterator[Hit]:
        """Hits of 0.75 and 0.8."""
        for match in _NORTH_AMERICA.finditer(text):
            if digit_bounded(text, match.start(), match.end()):
                yield Hit(match.start(), match.end(), "PHONE_NUMBER", 0.75)
        if "+" in text:
            for match in _INTERNATIONAL.finditer(text):
                if 8 <= sum(c.isdigit() for c in match.group()) <= 15:
                    yield Hit(match.start(), match.end(), "PHONE_NUMBER", 0.8)

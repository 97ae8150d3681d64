"""Mobile numbers of mainland China, in every spelling: prefixes, blanks, dashes, Chinese digits."""

from __future__ import annotations

from collections.abc import Iterator

from meddata_pipeline.privacy.detect.recognizers.base import Rule, compiled, digit_bounded
from meddata_pipeline.privacy.detect.types import Hit

_PLAIN = compiled(r"1(?<![0-9].)[ \-]?[3-9][ \-]?[0-9](?:[ \-.]{0,2}[0-9]){8}(?![0-9])")
_PREFIX = compiled(r"(?:\+ ?86|0086|\(86\)|86)[ \-)]{0,2}1[ \-]?[3-9][ \-]?[0-9](?:[ \-.]{0,2}[0-9]){8}(?![0-9])")
_MASKED = compiled(r"1(?<![0-9].)[3-9][0-9][*xX×]{3,6}[0-9]{2,5}(?![0-9])")
_SPOKEN = compiled(
    r"[一幺](?<![零〇一幺二两三四五六七八九].)[三四五六七八九][零〇一幺二两三四五六七八九]{9}(?![零〇一幺二两三四五六七八九十])"
)


class MobileRule(Rule):
    """Mobile numbers."""

    name = "mobile"
    entities = ("PHONE_NUMBER",)
    across = True

    def find(self, text: str) -> Iterator[Hit]:
        """Hits of 0.95 for the plain form."""
        for match in _PLAIN.finditer(text):
            if digit_bounded(text, match.start(), match.end()):
                yield Hit(match.start(), match.end(), "PHONE_NUMBER", 0.95)
        if "86" in text:
            for match in _PREFIX.finditer(text):
                yield Hit(match.start(), match.end(), "PHONE_NUMBER", 0.97)
        if "*" in text or "x" in text or "X" in text or "×" in text:
            for match in _MASKED.finditer(text):
                yield Hit(match.start(), match.end(), "PHONE_NUMBER", 0.7)
        for match in _SPOKEN.finditer(text):
            yield Hit(match.start(), match.end(), "PHONE_NUMBER", 0.9)

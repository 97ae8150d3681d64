"""Landlines: with area code, service numbers, and any number behind a label such as 电话."""

from __future__ import annotations

from collections.abc import Iterator

from meddata_pipeline.privacy.detect.recognizers.base import Rule, compiled, digit_bounded, digits_of
from meddata_pipeline.privacy.detect.types import Hit
from meddata_pipeline.privacy.detect.words import alternation, words

_AREA = compiled(
    r"[(0](?<![0-9].)0?(?:10|2[0-57-9]|[3-9][0-9]{2})[) \-]{0,3}[2-8][0-9]{2,3}[ \-]?[0-9]{4}"
    r"(?:(?: ?[\-转] ?| ?分机 ?:?)[0-9]{1,6})?(?![0-9])"
)
_SERVICE = compiled(r"[48](?<![0-9].)00[ \-]?[0-9]{3}[ \-]?[0-9]{4}(?![0-9])")
_LABEL = compiled(
    alternation(words("phone_labels")) + r"(?:号码?|为|是|随访|回访|通知|[:.# ]){0,4}"
    # A mobile number ends after eleven digits, whatever stands behind a blank; others come in groups of three or more.
    r"((?:\+?86[ \-]?)?1[3-9][0-9](?:[ \-]?[0-9]){8}|[(+]?[0-9]{2,}(?:[ \-()转]{1,2}[0-9]{3,}){0,4})(?![0-9])"
)
_TAIL = compiled(r"尾号(?:为|是|[: ])?([0-9]{3,6})(?![0-9])")


class LandlineRule(Rule):
    """Landlines and labelled numbers."""

    name = "landline"
    entities = ("PHONE_NUMBER", "OTHER_ID")
    across = True

    def find(self, text: str) -> Iterator[Hit]:
        """Hits of 0.85 by area code, 0.9 by label."""
        for match in _AREA.finditer(text):
            found = match.group()
            if found[0] == "(" and not found.startswith("(0"):
                continue
            if 10 <= len(digits_of(found)) <= 18 and digit_bounded(text, match.start(), match.end()):
                yield Hit(match.start(), match.end(), "PHONE_NUMBER", 0.85)
        for match in _SERVICE.finditer(text):
            if digit_bounded(text, match.start(), match.end()):
                yield Hit(match.start(), match.end(), "PHONE_NUMBER", 0.7)
        for match in _LABEL.finditer(text):
            if 7 <= len(digits_of(match.group(1))) <= 18:
                yield Hit(*match.span(1), "PHONE_NUMBER", 0.9)
        if "尾号" in text:
            for match in _TAIL.finditer(text):
                yield Hit(match.start(1), match.end(1), "OTHER_ID", 0.8)

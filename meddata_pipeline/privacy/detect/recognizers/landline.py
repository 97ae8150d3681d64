"""Landlines: with area code, service numbers, and any number behind a label such as 电话."""

from __future__ import annotations

from collections.abc import Iterator

from meddata_pipeline.privacy.detect.recognizers.base import Rule, compiled, digit_bounded, digits_of, is_tail
from meddata_pipeline.privacy.detect.types import Hit
from meddata_pipeline.privacy.detect.words import alternation, words

_EXTENSION = r"(?:(?: ?\-{1,2} ?| ?转 ?(?:分机)?[: ]?| ?分机 ?:?| ?(?:ext|Ext|EXT|x)\.? ?)[0-9]{1,6})?"
_AREA = compiled(
    r"[(0+8](?<![0-9].)(?:(?<=\+)86[ \-]{0,2}|(?<=8)6[ \-]|(?<=[(0]))0?(?:10|2[0-57-9]|[3-9][0-9]{2})[) \-]{0,3}"
    rf"[2-8](?:[0-9]{{2,3}}[ \-]?[0-9]{{4}}|[0-9]{{3}}[ \-][0-9]{{3}}){_EXTENSION}(?![0-9])"
)
_SERVICE = compiled(
    r"[48](?<![0-9].)00(?:[ \-]?[0-9]{3}[ \-]?[0-9]{4}|[ \-]?[0-9]{4}[ \-]?[0-9]{3}|[0-9][ \-]?[0-9]{3}[ \-]?[0-9]{3})"
    rf"{_EXTENSION}(?![0-9])"
)
#: A local number, whole or in two groups; with its area code; any unbroken run.
_NUMBER = r"(?:(?:\(?0[0-9]{2,3}\)?[ \-]{0,2})?[2-9][0-9]{2,3}[ \-]?[0-9]{4}(?![0-9])|\(?[0-9]{7,16}\)?)" + _EXTENSION
_LABEL = compiled(
    alternation(words("phone_labels")) + r"(?:号码?|为|是|随访|回访|通知|[:.# ()\n]){0,4}"
    # A mobile number ends after eleven digits, whatever stands behind a blank.
    rf"((?:\+?86[ \-]?)?1[3-9][0-9](?:[ \-]?[0-9]){{8}}|\+?{_NUMBER})(?![0-9])"
)
_MORE = compiled(rf"[/、,;或和](?<![0-9] .) ?({_NUMBER})(?![0-9年月日.\-/:])")
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
            if is_tail(text, match.start()):
                continue
            if 10 <= len(digits_of(found)) <= 18 and digit_bounded(text, match.start(), match.end()):
                yield Hit(match.start(), match.end(), "PHONE_NUMBER", 0.85)
        for match in _SERVICE.finditer(text):
            if digit_bounded(text, match.start(), match.end()):
                yield Hit(match.start(), match.end(), "PHONE_NUMBER", 0.7)
        for match in _LABEL.finditer(text):
            if not 7 <= len(digits_of(match.group(1))) <= 20:
                continue
            start, end = match.span(1)
            if text[end - 1] == ")" and "(" not in text[start:end]:
                end -= 1
            yield Hit(start, end, "PHONE_NUMBER", 0.9)
            more = _MORE.match(text, match.end())
            while more is not None and 7 <= len(digits_of(more.group(1))) <= 18:
                yield Hit(*more.span(1), "PHONE_NUMBER", 0.85)
                more = _MORE.match(text, more.end())
        if "尾号" in text:
            for match in _TAIL.finditer(text):
                yield Hit(match.start(1), match.end(1), "OTHER_ID", 0.8)

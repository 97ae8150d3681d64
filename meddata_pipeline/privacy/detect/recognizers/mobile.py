"""Mobile numbers of mainland China, in every spelling: prefixes, blanks, dashes, Chinese digits."""

from __future__ import annotations

import re
from collections.abc import Iterator

from meddata_pipeline.privacy.detect.recognizers.base import Rule, compiled, digit_bounded, is_tail
from meddata_pipeline.privacy.detect.sweep import part
from meddata_pipeline.privacy.detect.types import Hit
from meddata_pipeline.privacy.detect.words import alternation, words

_GAP = r"(?: ?[\-.] ?| {1,2}|\) ?)"
_PLAIN = compiled(rf"[1(0](?<![0-9].)(?:(?<=1)|(?<!1)1){_GAP}?[3-9](?:{_GAP}?[0-9]){{9}}(?![0-9])")
_PREFIX = compiled(
    r"(?:\+ ?86|0086(?<![0-9]0086)|\(\+?86\)|86(?<![0-9.]86))[ \-)(]{0,2}"
    rf"0?1{_GAP}?[3-9](?:{_GAP}?[0-9]){{9}}(?![0-9])"
)
_MASKED = compiled(r"1(?<![0-9].)[3-9][0-9][*xX×]{3,6}[0-9]{2,5}(?![0-9])")
_SPOKEN = compiled(
    r"[一幺](?<![零〇一幺二两三四五六七八九].)[ \-]?[三四五六七八九](?:[ \-]?[零〇○一幺二两三四五六七八九]){9}"
    r"(?![零〇一幺二两三四五六七八九十])"
)
#: Letters that a scanner reads for digits: behind a label, or the letter O in a token of its own.
_MISREAD = compiled(
    alternation(words("phone_labels")) + r"(?:号码?|为|是|[:.# ]){0,4}([1lI][3-9][0-9OoDQlI]{9})(?![0-9A-Za-z])"
)
#: Groups parted by strokes, behind a label only.
_SPLIT = compiled(r"(?:电话|手机|联系方式)(?:号码?)?[: ]{0,2}(1[3-9][0-9]([/_,])[0-9]{4}\2[0-9]{4})(?![0-9])")
_LETTER = re.compile("[lI][3-9][0-9]|[0-9][OoDQlI]")
_ALMOST = compiled(r"1(?<![0-9A-Za-z.\-].)[3-9][0-9Oo]{9}(?![0-9A-Za-z])")
_DATE_GOES_ON = re.compile(r" ?年|[/\-][0-9]{1,2}[/\-][0-9]")
_GROUPS = re.compile("[0-9]+")
#: Lengths of the groups in which people write and say such a number.
_USUAL = frozenset([(3, 4, 4), (3, 3, 5), (4, 4, 3), (4, 3, 4), (3, 5, 3), (5, 3, 3), (3, 2, 2, 2, 2)])
_BEFORE = re.compile(r"(?:电话|手机|联系|号码|致电|拨打|来电|[Tt]el|TEL|[Pp]hone|[Mm]obile)[^0-9。;\n]{0,6}$")


class MobileRule(Rule):
    """Mobile numbers."""

    name = "mobile"
    entities = ("PHONE_NUMBER",)
    across = True

    def find(self, text: str) -> Iterator[Hit]:
        """Hits of 0.95 for the plain form."""
        for match in _PLAIN.finditer(text):
            start, end = match.span()
            if text[start] == "(" and ")" not in match.group():
                start += 1
            # Digits that a date goes on from (1734523 2023/7/22) are no phone number.
            if _DATE_GOES_ON.match(text, end) or is_tail(text, start):
                continue
            if digit_bounded(text, start, end) and _grouped(text, start, end):
                yield Hit(start, end, "PHONE_NUMBER", 0.95)
        if "86" in text:
            for match in _PREFIX.finditer(text):
                yield Hit(match.start(), match.end(), "PHONE_NUMBER", 0.97)
        if "*" in text or "x" in text or "X" in text or "×" in text:
            for match in _MASKED.finditer(text):
                yield Hit(match.start(), match.end(), "PHONE_NUMBER", 0.7)
        for match in _SPOKEN.finditer(text):
            yield Hit(match.start(), match.end(), "PHONE_NUMBER", 0.9)
        for match in _SPLIT.finditer(text):
            yield Hit(*match.span(1), "PHONE_NUMBER", 0.85)
        for match in _MISREAD.finditer(text):
            if sum(c.isdigit() for c in match.group(1)) >= 6 and _LETTER.search(text, *part(text, match.start())):
                yield Hit(*match.span(1), "PHONE_NUMBER", 0.85)
        for match in _ALMOST.finditer(text):
            if 6 <= sum(c.isdigit() for c in match.group()) <= 10 and _LETTER.search(text, *part(text, match.start())):
                yield Hit(match.start(), match.end(), "PHONE_NUMBER", 0.8)


def _grouped(text: str, start: int, end: int) -> bool:
    """Whether the digits stand in groups as a phone number's do: 130 80 36.5 72 18 is a row of measurements."""
    found = text[start:end]
    if found.isdigit():
        return True
    sizes = tuple(len(group) for group in _GROUPS.findall(found))
    if sizes[0] == 1 and found[0] == "0":
        sizes = sizes[1:]
    if sizes in _USUAL or (len(sizes) == 2 and "." not in found) or set(sizes[:-1]) in ({1}, {2}):
        return True
    return _BEFORE.search(text, max(0, start - 16), start) is not None

"""Phone numbers as they are written in English texts."""

from __future__ import annotations

from collections.abc import Iterator

from meddata_pipeline.privacy.detect.recognizers.base import Rule, compiled, digit_bounded
from meddata_pipeline.privacy.detect.types import Hit

_NORTH_AMERICA = compiled(
    r"[(+0-9](?<![0-9.\-].)(?:1[ \-.])?\(?(?:(?<=\()[2-9][0-9]{2}|[0-9]{2,3})\)?[ \-./]{1,2}"
    r"[2-9][0-9]{2}[ \-.][0-9]{4}(?: ?(?:x|ext\.?) ?[0-9]{1,6})?(?![0-9])"
)
_INTERNATIONAL = compiled(r"\+[1-9][0-9]{0,2}(?:[ \-.()]{0,2}[0-9]{1,5}){2,5}(?: ?(?:x|ext\.?) ?[0-9]{1,6})?(?![0-9])")
#: A number in any grouping behind a word for a telephone, or before one.
_DIGITS = r"[(+0-9][0-9](?:[ \-.()/]{0,2}[0-9]){5,13}(?: ?(?:x|ext\.?|EXT\.?) ?[0-9]{1,6})?"
_LABEL = compiled(
    r"(?:[Pp]hone|PHONE|[Tt]el(?:ephone)?|TEL|[Ff]ax|FAX|[Cc]ell(?:ular)?|CELL|[Mm]obile|MOBILE|[Pp]ager|[Bb]eeper|[Oo]ffice"
    r"|[Dd]esk|[Hh]otline|[Cc]all(?:ed)?(?: (?:me|us|him|her|back))?|[Rr]each(?:ed)?(?: (?:me|us|him|her))?"
    r"|[Ee]xt(?:ension)?"
    r"|[Cc]ontact)(?:[ .]{0,2}(?:[Nn]umber|[Nn]o\.?|#))?(?:[:.\s]{1,4}|[ ]?(?:is|at|on|:)[: ]{1,3})"
    rf"({_DIGITS})(?![0-9])"
)
_PLACE = r"(?:[Oo]ffice|[Ff]ax|[Mm]obile|[Cc]ell|[Hh]ome|[Ww]ork|[Dd]esk)(?![A-Za-z])"
_BEFORE = compiled(rf"{_DIGITS}(?=[ \-]{{1,2}}\(?{_PLACE})", holds=_PLACE)
#: North American without a blank behind the area code, with dots, or with an extension.
_CLOSE = compiled(
    r"[(0-9](?<![0-9.\-].)(?:[0-9]{3}\)|[0-9]{2,3}[.\-]) ?[0-9]{3}[.\-][0-9]{4}(?: ?(?:x|ext\.?) ?[0-9]{1,6})?(?![0-9])"
)
#: British: 0 and two to five digits for the area.
_BRITISH = compiled(r"0(?<![0-9.\-/].)[1-9][0-9]{1,4}\)? [0-9]{3,4} ?[0-9]{3,4}(?! ?[0-9])")


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
        for match in _LABEL.finditer(text):
            if 7 <= sum(c.isdigit() for c in match.group(1)) <= 20:
                yield Hit(match.start(1), match.end(1), "PHONE_NUMBER", 0.8)
        for pattern in (_BEFORE, _CLOSE, _BRITISH):
            for match in pattern.finditer(text):
                start = match.start()
                if pattern is _BRITISH and start > 1 and text[start - 1] == " " and text[start - 2].isdigit():
                    continue  # the groups of a longer number
                if digit_bounded(text, match.start(), match.end()):
                    yield Hit(match.start(), match.end(), "PHONE_NUMBER", 0.75)
        if "+" in text:
            for match in _INTERNATIONAL.finditer(text):
                if 8 <= sum(c.isdigit() for c in match.group()) <= 21:
                    yield Hit(match.start(), match.end(), "PHONE_NUMBER", 0.8)

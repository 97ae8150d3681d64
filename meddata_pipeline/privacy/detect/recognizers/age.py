"""Ages over 89: few people have them, so they identify. 90+ and ≥90, which the project itself writes, are no hits."""

from __future__ import annotations

from collections.abc import Iterator

from meddata_pipeline.privacy.detect.recognizers.base import Rule, compiled
from meddata_pipeline.privacy.detect.types import Hit

_NUMBER = r"(?:9[0-9]|1[0-3][0-9])"
#: What must not stand before is asked behind two digits and behind three apart: in 100 the 1 stands before 00.
_ALONE = r"(?:9[0-9](?<![0-9.≥>/]..)|1[0-3][0-9](?<![0-9.≥>/]...))"
_CHINESE = compiled(
    r"(?:9[0-9](?<![0-9.≥>]..)|1[0-3][0-9](?<![0-9.≥>]...)) ?[余多]? ?(?:周岁|岁|虚岁)(?!以上|及以上|或以上)"
)
_SPELLED = compiled(
    r"(?:九十[一二三四五六七八九]?|一百(?:零[一二三四五六七八九]|一?十[一二三四五六七八九]?)?|百)"
    r"(?<!一百百)(?:余|多|有余)?(?:周岁|岁)(?!以上|及以上)"
)
_DECADE = compiled(r"九旬")
_LABEL = compiled(
    r"(?:年龄|年纪|享年|现年|虚龄|Age|age|AGE)(?:\(岁\)|为|是|[: ]){0,3}"
    rf"({_NUMBER})(?![0-9.+%]| ?(?:以上|及以上|分|mm))"
)
_ENGLISH = compiled(
    rf"{_ALONE}(?![0-9+])"
    r"(?:[ \-]?years?[ \-]?old|[ \-]?(?:y/?o|yrs?|years? of age)(?![a-z])|[ \-]year-old|[Yy](?![A-Za-z0-9]))"
)
#: 92F, 94 M, and words.
_SEX = compiled(rf"{_ALONE}(?: ?[MF](?![A-Za-z0-9/])| ?y\.o\.)")
_WORDED = compiled(
    r"(?:[Nn]inety(?:[ \-](?:one|two|three|four|five|six|seven|eight|nine))?|[Oo]ne hundred(?: and [a-z]+)?)"
    r"[ \-]years?[ \-](?:old|of age)|[Nn]onagenarian|[Cc]entenarian"
)
_ENGLISH_WORD = compiled(rf"(?:aged|age of) ({_NUMBER})(?![0-9.+%])")


class AgeRule(Rule):
    """Ages over 89."""

    name = "age-over-89"
    entities = ("AGE",)
    across = True

    def find(self, text: str) -> Iterator[Hit]:
        """Hits of 0.95."""
        if "岁" in text:
            for pattern in (_CHINESE, _SPELLED):
                for match in pattern.finditer(text):
                    yield Hit(match.start(), match.end(), "AGE", 0.95)
        if "九旬" in text:
            for match in _DECADE.finditer(text):
                yield Hit(match.start(), match.end(), "AGE", 0.8)
        for pattern in (_LABEL, _ENGLISH_WORD):
            for match in pattern.finditer(text):
                yield Hit(match.start(1), match.end(1), "AGE", 0.9)
        for pattern in (_ENGLISH, _SEX, _WORDED):
            for match in pattern.finditer(text):
                yield Hit(match.start(), match.end(), "AGE", 0.95)

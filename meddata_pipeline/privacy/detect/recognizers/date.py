"""Dates as Chinese texts write them, with year, month and day or parts of these; a year alone is kept."""

from __future__ import annotations

from collections.abc import Iterator

from meddata_pipeline.privacy.detect.recognizers.base import Rule, compiled, digit_bounded
from meddata_pipeline.privacy.detect.types import Hit

_TIME = r"(?:[T ]{0,2}[0-2]?[0-9]:[0-5][0-9](?::[0-5][0-9](?:\.[0-9]{1,6})?)?(?:Z|\+08:?00)?)?"
_MONTH = r"(?:0?[1-9]|1[0-2])"
_DAY = r"(?:3[01]|[12][0-9]|0?[1-9])"
#: Behind a month: a day, a range of days, or a part of the month.
_DAYS = rf"{_DAY} ?[日号](?:[至到~\-] ?{_DAY} ?[日号])?"
_CN = compiled(
    rf"[0-9](?<![0-9].)(?:[0-9]{{3}}|[0-9]) ?年 ?{_MONTH} ?月(?: ?份| ?{_DAYS}| ?{_DAY}(?![0-9.])|[上中下]旬|[初底末])?"
)
_CN_PART = compiled(rf"[0-9](?<![0-9.].)[0-9]? ?月 ?(?:份|{_DAYS}|{_DAY}(?![0-9.])|[上中下]旬|[初底末](?!诊))")
_NUMERIC = compiled(rf"[12](?<![0-9].)[0-9]{{3}} ?([\-/.]) ?{_MONTH} ?\1 ?{_DAY}(?![0-9])" + _TIME)
_YEAR_MONTH = compiled(
    r"[12](?<![0-9.\-/].)(?:(?<=1)9|(?<=2)0)[0-9]{2}(?:[\-/](?:0?[1-9]|1[0-2])|\.(?:0[1-9]|1[0-2]))(?![0-9.\-/%])"
)
_SHORT_YEAR = compiled(
    r"[0-9](?<![0-9./\-].)[0-9]([\-/.])(?:0[1-9]|1[0-2])\1(?:3[01]|[12][0-9]|0[1-9])(?![0-9./\-]|[a-zA-Z%])"
)
_PACKED = compiled(
    r"[12](?<![0-9A-Za-z.\-_].)(?:(?<=1)9|(?<=2)0)[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])"
    r"(?:[0-2][0-9][0-5][0-9](?:[0-5][0-9])?)?(?![0-9A-Za-z])"
)
_DIGIT = "[一二三四五六七八九〇零○]"
_SPELLED_DAY = (
    "(?:初[一二三四五六七八九十]|[一二三]?十[一二三四五六七八九]?|廿[一二三四五六七八九]?|[一二三四五六七八九])"
)
_SPELLED = compiled(rf"{_DIGIT}{_DIGIT}(?:{_DIGIT}{{2}})?年[一二三四五六七八九十]{{1,2}}月(?:{_SPELLED_DAY}[日号]|份)?")
_SPELLED_PART = compiled(rf"[一二三四五六七八九十正腊][一二]?月{_SPELLED_DAY}[日号]?")
_LABELLED = compiled(
    r"(?:日期|时间|出生|生日|生于|复诊|入院|出院|手术|就诊|预约|随访|于|约|至|自)[: ]?"
    rf"({_MONTH}([\-/.]){_DAY})(?![0-9%./\-]|[a-zA-Z]|[度颗级次])"
)
_OF_MONTH = compiled(rf"(?:本月|上月|下月|当月|同月|次月|上个月|下个月) ?{_DAY} ?[日号]")
_OF_YEAR = compiled(
    rf"(?:去年|前年|今年|本年|当年|同年|次年|明年|翌年) ?(?:{_MONTH}|十[一二]|[一二三四五六七八九十]) ?月(?: ?份)?"
)
_CODES = ("LOINC ", "LOINC:", "loinc ", "loinc:", "LOINC")
_WITH_MONTH = (
    (_CN, 0.95),
    (_CN_PART, 0.9),
    (_SPELLED, 0.9),
    (_SPELLED_PART, 0.85),
    (_OF_MONTH, 0.8),
    (_OF_YEAR, 0.8),
)


class DateRule(Rule):
    """Dates in digits and in Chinese numerals."""

    name = "date"
    entities = ("DATE_TIME",)
    across = True

    def find(self, text: str) -> Iterator[Hit]:
        """Hits of 0.95 for full dates, less for parts."""
        if "月" in text:
            for pattern, score in _WITH_MONTH:
                for match in pattern.finditer(text):
                    yield Hit(match.start(), match.end(), "DATE_TIME", score)
        for match in _NUMERIC.finditer(text):
            yield Hit(match.start(), match.end(), "DATE_TIME", 0.95)
        for match in _PACKED.finditer(text):
            if digit_bounded(text, match.start(), match.end()):
                yield Hit(match.start(), match.end(), "DATE_TIME", 0.75)
        for match in _YEAR_MONTH.finditer(text):
            # 1988-5 is the code of C-reactive protein too.
            if not text.endswith(_CODES, 0, match.start()):
                yield Hit(match.start(), match.end(), "DATE_TIME", 0.6)
        for match in _SHORT_YEAR.finditer(text):
            yield Hit(match.start(), match.end(), "DATE_TIME", 0.65)
        for match in _LABELLED.finditer(text):
            yield Hit(match.start(1), match.end(1), "DATE_TIME", 0.6)

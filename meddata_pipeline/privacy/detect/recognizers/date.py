"""Dates as Chinese texts write them, with year, month and day or parts of these; a year alone is kept.

A time of day that is attached to a date belongs to its span; the part of the day (上午) and the weekday do not.
"""

from __future__ import annotations

from collections.abc import Iterator

from meddata_pipeline.privacy.detect.recognizers.base import Rule, compiled, digit_bounded
from meddata_pipeline.privacy.detect.types import Hit

_CLOCK = r"[0-2]?[0-9]:[0-5][0-9](?::[0-5][0-9](?:\.[0-9]{1,6})?)?(?![0-9])(?:Z|\+08:?00)?"
_TIME = rf"(?:[T ]{{0,2}}(?:{_CLOCK}|[0-2]?[0-9] ?[时点](?: ?[0-5]?[0-9] ?分(?: ?[0-5]?[0-9] ?秒)?)?(?![0-9])))?"
_MONTH = r"(?:0?[1-9]|1[0-2])"
_DAY = r"(?:3[01]|[12][0-9]|0?[1-9])"
_TO = r"(?: ?[至到~\-] ?)"
#: Behind a month: a day, a range of days, or a part of the month.
_DAYS = rf"(?:{_DAY} ?[日号]?{_TO})?{_DAY} ?[日号]"
_DAYS_AND_TIME = rf"{_DAYS}{_TIME}(?:{_TO}{_DAY} ?[日号])?"
_SHORT_DAY = rf"{_DAY}(?=[,。;、)\s]|$)"
_CN = compiled(rf"[0-9](?<![0-9.].)(?:[0-9]{{3}}|[0-9]) ?年 ?{_MONTH} ?月(?: ?{_DAYS_AND_TIME}| ?{_SHORT_DAY})")
_CN_MONTH = compiled(rf"[12](?<![0-9.].)[0-9]{{3}} ?年 ?{_MONTH} ?月(?: ?份|[上中下]旬|[初底末](?!诊))?(?! ?[0-9])")
#: 20年5月 may be a duration; 于20年5月 and 20年5月份 are not.
_CN_SHORT = compiled(
    rf"[0-9](?<=[于自从在至到].)[0-9] ?年 ?{_MONTH} ?月(?![余多个])(?: ?份)?|[0-9]{{2}} ?年 ?{_MONTH} ?月 ?份"
)
_CN_PART = compiled(rf"[0-9](?<![0-9.].)[0-9]? ?月 ?(?:份|{_DAYS_AND_TIME}|{_SHORT_DAY}|[上中下]旬|[初底末](?!诊))")
_NUMERIC = compiled(
    rf"[12](?<![0-9.].)[0-9]{{3}} ?([\-/.]) ?{_MONTH} ?\1 ?{_DAY}(?![0-9])"
    + _TIME
    + rf"(?:[~至到\-]{_MONTH}\1{_DAY}(?![0-9.\-/]))?"
)
_YEAR_MONTH = compiled(
    r"[12](?<![0-9.\-/].)(?:(?<=1)9|(?<=2)0)[0-9]{2}(?:[\-/](?:0?[1-9]|1[0-2])|\.(?:0[1-9]|1[0-2]))(?![0-9.\-/%])"
)
_SHORT_YEAR = compiled(
    r"[0-9](?<![0-9./\-A-Za-z].)[0-9]([\-/.])(?:0[1-9]|1[0-2])\1(?:3[01]|[12][0-9]|0[1-9])(?![0-9./\-]|[a-zA-Z%])"
)
#: Without noughts a section's number looks like this too: recent years only.
_SHORT_PLAIN = compiled(
    rf"[12](?<![0-9./\-A-Za-z第].)(?:(?<=1)[5-9]|(?<=2)[0-9])([./\-]){_MONTH}\1{_DAY}(?![0-9./\-]|[a-zA-Z%×]|[章节条版])"
)
_PACKED = compiled(
    r"[12](?<![0-9A-Za-z.\-_].)(?:(?<=1)9|(?<=2)0)[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])"
    r"(?:[0-2][0-9][0-5][0-9](?:[0-5][0-9])?)?(?![0-9A-Za-z])"
)
_DIGIT = "[一二三四五六七八九〇零○]"
_TENS = "[一二三]?十[一二三四五六七八九]?|廿[一二三四五六七八九]?|[一二三四五六七八九]"
_SPELLED_MONTH = "(?:十[一二]|[一二三四五六七八九十])"
_SPELLED_DAYS = rf"(?:(?:{_TENS})[日号]?{_TO})?(?:{_TENS})[日号]"
_SPELLED = compiled(
    rf"[一二]{_DIGIT}(?:{_DIGIT}{{2}})?年{_SPELLED_MONTH}月(?:{_SPELLED_DAYS}|份|(?:三?十[一二三四五六七八九]?)(?![余多几来]))?"
)
_SPELLED_PART = compiled(
    rf"(?:十[一二]|[一二三四五六七八九十])月(?:{_SPELLED_DAYS}|份)"
    # Of the lunar calendar, whose days go without 日.
    rf"|(?:十[一二]|[一二三四五六七八九十正冬腊])月(?:初[一二三四五六七八九十]|[一二]?十[一二三四五六七八九]?(?<!月十)|三十|廿[一二三四五六七八九])"
    r"(?![余多几来日号天次例人个分年月])"
)
_EVENT = r"(?:日期|时间|出生|生日|生于|复诊|复查|初诊|入院|出院|手术|拆线|就诊|预约|随访|上次|下次|末次|约至|改约)"
_LABELLED = compiled(
    rf"{_EVENT}(?:于|在|为|是|[: ]){{0,2}}({_MONTH}([\-/.]){_DAY})(?![0-9%./\-×]|[a-zA-Z]|[度颗级次分牙])"
)
_AT = compiled(
    rf"(?:于|定于|自)(?<![位等高低大小介少多]于)({_MONTH}([\-/]){_DAY})(?![0-9%./\-×]|[a-zA-Z]|[度颗级次分牙处])"
)
_BEFORE_EVENT = compiled(
    rf"{_MONTH}[/\-]{_DAY}(?=[日号]?(?:去|来诊|来院|复诊|复查|就诊|拆线|手术|入院|出院|取药|取报告|回访|随访))"
)
#: Noughts in front: 05/01 is no fraction.
_PADDED = compiled(r"0(?<![0-9A-Za-z./\-:].)[1-9]/(?:3[01]|[12][0-9]|0[1-9])(?![0-9./\-:]|[a-zA-Z%])")
_OF_MONTH = compiled(rf"(?:本月|上月|下月|当月|同月|次月|上个月|下个月) ?{_DAY} ?[日号]")
_OF_YEAR = compiled(
    r"(?:去年|前年|今年|本年|当年|同年|次年|明年|翌年|后年) ?"
    r"(?:十[一二]|[一二三四五六七八九十正冬腊]|1[0-2]|0?[1-9]) ?月"
    r"(?: ?份|[上中下]旬|[初底末](?!诊))?(?!余|多)"
)
_CODES = ("LOINC ", "LOINC:", "loinc ", "loinc:", "LOINC")
_WITH_MONTH = (
    (_CN, 0.95),
    (_CN_MONTH, 0.9),
    (_CN_SHORT, 0.8),
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
        for pattern in (_SHORT_YEAR, _SHORT_PLAIN):
            for match in pattern.finditer(text):
                yield Hit(match.start(), match.end(), "DATE_TIME", 0.65)
        for pattern in (_LABELLED, _AT):
            for match in pattern.finditer(text):
                yield Hit(match.start(1), match.end(1), "DATE_TIME", 0.6)
        if "/" in text or "-" in text:
            for match in _BEFORE_EVENT.finditer(text):
                if not match.start() or text[match.start() - 1] not in "0123456789./-:+牙":
                    yield Hit(match.start(), match.end(), "DATE_TIME", 0.6)
            for match in _PADDED.finditer(text):
                yield Hit(match.start(), match.end(), "DATE_TIME", 0.6)

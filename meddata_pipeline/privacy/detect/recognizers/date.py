"""Dates as Chinese texts write them, with year, month and day or parts of these; a year alone is kept.

A time of day that is attached to a date belongs to its span; the part of the day (上午) and the weekday do not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from meddata_pipeline.privacy.detect.recognizers.base import Rule, compiled, digit_bounded
from meddata_pipeline.privacy.detect.sweep import part
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
#: 20年5月 may be a duration; 于20年5月, 20年5月份 and 98年3月手术 are not.
_CN_SHORT = compiled(
    rf"[0-9](?<=[于自从在至到].)[0-9] ?年 ?{_MONTH} ?月(?![余多个])(?: ?份)?"
    rf"|[0-9]{{2}} ?年 ?{_MONTH} ?月(?: ?份|(?=[手因行起曾始出患生住入发做诊查在拔摔]))"
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
    rf"[12789](?<![0-9./\-A-Za-z第].)(?:(?<=1)[5-9]|(?<=[2789])[0-9])([./\-]){_MONTH}\1{_DAY}(?![0-9./\-]|[a-zA-Z%×]|[章节条版])"
)
_PACKED = compiled(
    r"[12](?<![0-9A-Za-z.\-_].)(?:(?<=1)9|(?<=2)0)[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])"
    r"(?:[0-2][0-9][0-5][0-9](?:[0-5][0-9])?)?(?![0-9A-Za-z])"
)
_DIGIT = "[一二三四五六七八九〇零○Oo0]"
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
#: A month and a day in digits: a fraction, a ratio or a range unless something says that it is a date.
_PART = compiled(rf"{_MONTH}([\-/.]){_DAY}(?![0-9%./\-×]|[a-zA-Z]|[度颗级次分牙处])")
_EVENT_BEFORE = re.compile(
    r"(?:日期|时间|出生|生日|生于|复诊|复查|初诊|入院|出院|手术|拆线|就诊|预约|随访|上次|下次|末次|约至|改约)"
    r"[于在为是: ]{0,2}$"
)
_ON_BEFORE = re.compile(r"(?:于(?<![位等高低大小介少多]于)|自)$")
_EVENT_BEHIND = re.compile(r"[日号]?(?:去|来诊|来院|复诊|复查|就诊|拆线|手术|入院|出院|取药|取报告|回访|随访)")
#: Noughts in front: 05/01 is no fraction.
_PADDED = compiled(r"0(?<![0-9A-Za-z./\-:].)[1-9]/(?:3[01]|[12][0-9]|0[1-9])(?![0-9./\-:]|[a-zA-Z%])")
_OF_MONTH = compiled(rf"(?:本月|上月|下月|当月|同月|次月|上个月|下个月) ?{_DAY} ?[日号]")
_OF_YEAR = compiled(
    r"(?:去年|前年|今年|本年|当年|同年|次年|明年|翌年|后年) ?"
    r"(?:十[一二]|[一二三四五六七八九十正冬腊]|1[0-2]|0?[1-9]) ?月"
    r"(?: ?份|[上中下]旬|[初底末](?!诊))?(?!余|多)"
)
_WHOLE = ((_CN, 0.95), (_CN_MONTH, 0.9), (_CN_SHORT, 0.8))
_CODES = ("LOINC ", "LOINC:", "loinc ", "loinc:", "LOINC")
#: What stands before 月: from there on the patterns are tried. Few texts hold many of them.
_HEAD = re.compile(r"(?:(?:[0-9]{4}|[0-9]{2}) ?年 ?)?[0-9]{1,2} ?$")
_SPELLED_HEAD = re.compile(rf"(?:[一二]{_DIGIT}(?:{_DIGIT}{{2}})?年)?(?:十[一二]|[一二三四五六七八九十正冬腊])$")
#: The characters with which these may end; "$" allows a line break behind them.
_BEHIND_NUMBER = frozenset("0123456789 \n")
_BEHIND_NUMERAL = frozenset("一二三四五六七八九十正冬腊\n")
#: What ``_OF_MONTH`` and ``_OF_YEAR`` begin with.
_RELATIVE = re.compile("[本上下当同次去前今明翌后]")
_LAST_NUMBER = re.compile("[0-9]{1,2} ?$")
_LAST_NUMERAL = re.compile("(?:十[一二]|[一二三四五六七八九十正冬腊])$")
#: What all dates in digits begin with.
_DOTTED = compiled(r"[0-9]{1,4}(?= ?[\-/.] ?[0-9])")


class DateRule(Rule):
    """Dates in digits and in Chinese numerals."""

    name = "date"
    entities = ("DATE_TIME",)
    across = True

    def find(self, text: str) -> Iterator[Hit]:
        """Hits of 0.95 for full dates, less for parts."""
        at = text.find("月")
        while at >= 0:
            yield from self._around_month(text, at)
            at = text.find("月", at + 1)
        for match in _PACKED.finditer(text):
            if digit_bounded(text, match.start(), match.end()):
                yield Hit(match.start(), match.end(), "DATE_TIME", 0.75)
        for match in _DOTTED.finditer(text):
            hit = self._dotted(text, *match.span())
            if hit is not None:
                yield hit

    @staticmethod
    def _around_month(text: str, at: int) -> Iterator[Hit]:
        """Dates whose 月 stands at a place."""
        first, end = part(text, at)
        before = text[max(first, at - 1) : at]
        for ends, head, last, whole, rest in (
            (_BEHIND_NUMBER, _HEAD, _LAST_NUMBER, _WHOLE, _CN_PART),
            (_BEHIND_NUMERAL, _SPELLED_HEAD, _LAST_NUMERAL, ((_SPELLED, 0.9),), _SPELLED_PART),
        ):
            if before not in ends:
                continue
            begin = head.search(text, max(first, at - 13), at)
            if begin is None:
                continue
            for pattern, score in whole:
                if match := pattern.plain.match(text, begin.start(), end):
                    yield Hit(match.start(), match.end(), "DATE_TIME", score)
            month = last.search(text, begin.start(), at)
            if month is not None and (match := rest.plain.match(text, month.start(), end)):
                yield Hit(match.start(), match.end(), "DATE_TIME", 0.85)
        start, stop = max(first, at - 7), min(end, at + 6)
        for pattern in (_OF_MONTH, _OF_YEAR) if _RELATIVE.search(text, start, stop) else ():
            for match in pattern.plain.finditer(text, start, stop):
                yield Hit(match.start(), match.end(), "DATE_TIME", 0.8)

    @staticmethod
    def _dotted(text: str, start: int, digits: int) -> Hit | None:
        """The date that begins at a place with digits and a dash, a stroke or a point.

        Args:
            text: the text.
            start: where its first digits begin.
            digits: one behind them.
        """
        first, end = part(text, start)
        length = digits - start
        if length == 4:
            if match := _NUMERIC.plain.match(text, start, end):
                return Hit(match.start(), match.end(), "DATE_TIME", 0.95)
            # 1988-5 is the code of C-reactive protein too.
            if (match := _YEAR_MONTH.plain.match(text, start, end)) and not text.endswith(_CODES, 0, start):
                return Hit(match.start(), match.end(), "DATE_TIME", 0.6)
            return None
        if length == 3:
            return None
        if length == 2 and (
            match := _SHORT_YEAR.plain.match(text, start, end) or _SHORT_PLAIN.plain.match(text, start, end)
        ):
            return Hit(match.start(), match.end(), "DATE_TIME", 0.65)
        if match := _PART.plain.match(text, start, end):
            before = text[max(first, start - 6) : start]
            labelled = _EVENT_BEFORE.search(before) is not None
            on = match.group(1) != "." and _ON_BEFORE.search(before) is not None
            alone = not before or before[-1] not in "0123456789./-:+牙"
            if (
                (labelled or on)
                or (alone and match.group(1) != "." and _EVENT_BEHIND.match(text, match.end(), end))
                or (match.group(1) == "/" and _PADDED.match(text, start, end))
            ):
                return Hit(match.start(), match.end(), "DATE_TIME", 0.6)
        return None

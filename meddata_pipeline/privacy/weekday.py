"""Weekdays beside a date: left as they are they would give away, modulo seven, by how many days the date was shifted.

What belongs here: finding the weekday that stands beside a date, reading and writing it. What does not: dates
themselves (privacy/text.py).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date

from meddata_pipeline.privacy.detect import Span

_HAN = "一二三四五六日"
_ENGLISH = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_SHORT = tuple(name[:3] for name in _ENGLISH)
_LATIN_DAY = "|".join((*_ENGLISH, *(name.upper() for name in _ENGLISH), *_SHORT, *(name.upper() for name in _SHORT)))
_DAY = rf"(?:(?:星期|周|礼拜)[一二三四五六日天]|(?<![A-Za-z])(?:{_LATIN_DAY})(?![A-Za-z]))"
_ENCLOSED = rf"(?:[(（\[【] ?{_DAY} ?[)）\]】]|{_DAY}\.?)"
_BEHIND = re.compile(rf"[ ,，]{{0,2}}{_ENCLOSED}")
_BEFORE = re.compile(rf"{_ENCLOSED}[ ,，]{{0,2}}$")
_LEADING = re.compile(rf"{_ENCLOSED}[ ,，]{{0,2}}")
_TRAILING = re.compile(rf"[ ,，]{{0,2}}{_ENCLOSED}$")
_NAME = re.compile(rf"(?P<word>星期|周|礼拜)(?P<han>[一二三四五六日天])|(?P<latin>{_LATIN_DAY})")
#: The longest weekday with what may stand around it.
_REACH = 16


def with_weekdays(text: str, spans: Sequence[Span]) -> list[Span]:
    """The same spans, dates grown over the weekday beside them.

    Args:
        text: the text of the offsets.
        spans: sorted, without overlaps; they stay so.
    """
    grown: list[Span] = []
    for i, span in enumerate(spans):
        if span.entity == "DATE_TIME":
            limit = spans[i + 1].start if i + 1 < len(spans) else len(text)
            behind = _BEHIND.match(text, span.end, min(limit, span.end + _REACH))
            before = _BEFORE.search(text, max(grown[-1].end if grown else 0, span.start - _REACH), span.start)
            start, end = before.start() if before else span.start, behind.end() if behind else span.end
            grown.append(span._replace(start=start, end=end))
        else:
            grown.append(span)
    return grown


def split(surface: str) -> tuple[str, str, str]:
    """Part a date's surface into the weekday before it, the date, and the weekday behind it."""
    before = _LEADING.match(surface)
    start = before.end() if before else 0
    behind = _TRAILING.search(surface, start)
    end = behind.start() if behind else len(surface)
    return surface[:start], surface[start:end], surface[end:]


def form(text: str, day: date) -> str:
    """A part of ``split`` with marks in place of weekdays, for ``write``.

    A mark says how many days behind the date's own weekday the written one is: a slip of the pen, or a date whose year
    is not known, moves by the same days as the date.
    """

    def mark(match: re.Match[str]) -> str:
        if match["han"]:
            number, letter = _HAN.index(match["han"].replace("天", "日")), "W"
        else:
            number, letter = _SHORT.index(match["latin"][:3].title()), "V" if len(match["latin"]) > 3 else "U"
        return f"{match['word'] or ''}{letter}{(number - day.weekday()) % 7}"

    return _NAME.sub(mark, text)


def write(day: date, mark: str) -> str:
    """The weekday that a mark of ``form`` stands for."""
    number = (day.weekday() + int(mark[1])) % 7
    return {"W": _HAN[number], "V": _ENGLISH[number], "U": _SHORT[number]}[mark[0]]

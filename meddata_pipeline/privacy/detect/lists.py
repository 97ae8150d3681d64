"""Lists of names: where one of A、B、C is a name for certain, what is shaped as a name beside it is one too.

What belongs here: going on from a found name to its neighbours. What does not: finding the first one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from meddata_pipeline.privacy.detect.models.lexicon import lexicon, within_clinical
from meddata_pipeline.privacy.detect.names import grammar, is_han
from meddata_pipeline.privacy.detect.types import Span
from meddata_pipeline.privacy.detect.words import word_set

#: From here on a name counts as certain.
CERTAIN = 0.8
SOURCE = "name-in-list"
_SCORE = 0.78
_LONGEST = 4
#: Words before the first name of a list; hardly anybody is called so.
_LEADING = frozenset("经由与和及随请嘱")
_BEFORE = re.compile(r"([\u3400-\u9fff]{2,8})(?:、|/|  ?|和|及|与)\Z")
_BEHIND = re.compile(r"(?:\([^()\n]{1,8}\))?(?:、|/|  ?)([\u3400-\u9fff]{2,8})")
_JOINED = re.compile(r"(?:和|及|与)([\u3400-\u9fff]{2,8})")


def neighbours(text: str, spans: Sequence[Span]) -> list[Span]:
    """The names beside certain names; offsets of the text.

    Args:
        text: the folded text of the offsets.
        spans: what was found, sorted, without overlaps.
    """
    if "、" not in text and "/" not in text and not any(c in text for c in " 和及与"):
        return []
    taken = [(span.start, span.end) for span in spans]
    certain = [
        (span.start, span.end)
        for span in spans
        if span.entity == "PERSON" and span.score >= CERTAIN and _is_whole(text, span.start, span.end)
    ]
    found: list[Span] = []
    for start, end in certain:
        for first, last in (*_on(text, end), *_back(text, start)):
            if not any(a < last and first < b for a, b in taken):
                taken.append((first, last))
                found.append(Span(first, last, "PERSON", _SCORE, SOURCE))
    return found


def _is_whole(text: str, start: int, end: int) -> bool:
    """Whether a span is a surname with a given name."""
    length = grammar().surname_length(text, start)
    return bool(length) and 1 <= end - start - length <= 2 and all(map(is_han, text[start:end]))


def _on(text: str, end: int) -> Iterator[tuple[int, int]]:
    """The names that go on a list behind a place."""
    while (match := _BEHIND.match(text, end) or _JOINED.match(text, end)) is not None:
        start = match.start(1)
        stop = _name_end(text, start, match.end(1))
        if stop is None or not _parted(text, end, start, stop):
            return
        yield start, stop
        end = stop


def _back(text: str, start: int) -> Iterator[tuple[int, int]]:
    """The names that lead up to a place."""
    while (match := _BEFORE.search(text, max(0, start - 12), start)) is not None:
        stop = match.end(1)
        first = _name_start(text, max(match.start(1), stop - _LONGEST), stop)
        if first is None or not _parted(text, stop, start, stop):
            return
        yield first, stop
        start = first


def _name_start(text: str, least: int, stop: int) -> int | None:
    """Where the name begins that ends at a place of a list: behind what is no ideograph, or a word that leads to it."""
    for first in range(least, stop - 1):
        before = text[first - 1] if first else " "
        if (
            (before in _LEADING or not is_han(before))
            and text[first] not in _LEADING
            and _name_end(text, first, stop) == stop
        ):
            return first
    return None


def _parted(text: str, start: int, end: int, stop: int) -> bool:
    """Whether what parts two names parts names: a blank does only where the next name is seen to end as well."""
    gap = text[start:end]
    return bool(gap.strip()) or stop >= len(text) or not is_han(text[stop])


def _name_end(text: str, start: int, stop: int) -> int | None:
    """Where the name ends that begins at a place of a list, or None where it is none."""
    names = grammar()
    surname = names.surname_length(text, start)
    if not surname or text[start : start + 2] in names.kin_words:
        return None
    if text[stop : stop + 1].isdigit():
        return None  # 丁香6g
    run = stop - start
    if run > surname and run - surname <= 2 and (stop >= len(text) or not is_han(text[stop])):
        # Between separators: the whole run is the name, or none of it.
        word = text[start:stop]
        fits = (
            not any(c in names.not_given for c in text[start + surname : stop])
            and text[start + surname : start + surname + 2] not in names.titles
        )
        ordinary = word not in word_set("ordinary_names") and within_clinical(text, start, stop)
        return stop if fits and not ordinary and _may_be(word) else None
    found = names.name_at(text, start)
    if found is None or not found.certain or found.end > stop or not _may_be(text[start : found.end]):
        return None
    return found.end


def _may_be(word: str) -> bool:
    """Whether a word can be a name: it is no ordinary word that nobody is called."""
    if word in word_set("ordinary_names"):
        return True
    return word not in lexicon().words and word[:2] not in grammar().not_names and word not in word_set("labels")

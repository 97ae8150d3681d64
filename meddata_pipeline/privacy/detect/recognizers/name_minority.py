"""Names with a middle dot (阿依古丽·买买提), as Uyghurs, Kazakhs, Tibetans, Mongols and foreigners have them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

from meddata_pipeline.privacy.detect.names import grammar, is_han
from meddata_pipeline.privacy.detect.recognizers.base import Rule
from meddata_pipeline.privacy.detect.types import Hit
from meddata_pipeline.privacy.detect.words import alternation, characters, words

#: What ends a name to its left: who somebody is, and words that lead to a name.
_BEFORE = re.compile(
    alternation(
        [
            *words("roles"),
            *words("labels"),
            *words("leads"),
            *"的由请经因和与及对给向为是于在叫父母兄弟姐妹夫妻者属员知",
        ]
    )
)
_LONGEST = 8
#: First parts of names, written with characters that are words too.
_PREFIXES = ("阿不都", "阿卜都", "阿布都", "阿不力", "阿卜力", "阿不", "阿卜")


class MinorityNameRule(Rule):
    """Names with a middle dot."""

    name = "name-with-dot"
    entities = ("PERSON",)
    across = True

    def find(self, text: str) -> Iterator[Hit]:
        """Hits of 0.9: from the last word that leads to a name up to what shows that it ends."""
        at = text.find("\u00b7")
        while at >= 0:
            start = self._start(text, at)
            end = self._end(text, at + 1)
            while end < len(text) and text[end] == "\u00b7":
                end = self._end(text, end + 1)
            if start < at and end > at + 1:
                yield Hit(start, end, "PERSON", 0.9)
            at = text.find("\u00b7", max(end, at + 1))

    @staticmethod
    def _start(text: str, dot: int) -> int:
        start = dot
        while start and dot - start < _LONGEST and is_han(text[start - 1]):
            start -= 1
        for match in _BEFORE.finditer(text, start, dot):
            if match.end() < dot:
                start = match.end()
        letters = _letters()
        run = dot
        while run > start and (text[run - 1] in letters or (dot > run > start + 1 and text[run - 2] in letters)):
            run -= 1
        for prefix in _PREFIXES:
            if text.endswith(prefix, start, run):
                run -= len(prefix)
                break
        return run if dot - run > 1 else start

    @staticmethod
    def _end(text: str, start: int) -> int:
        names = grammar()
        letters = _letters()
        end = start
        while end < len(text) and end - start < _LONGEST and is_han(text[end]):
            # A character of transliterations goes on with the name, even where it could begin another word; any other
            # one only between two of them.
            if text[end] not in letters and end > start:
                between = text[end + 1 : end + 2]
                if names.ends(text, end) or (end > start + 1 and (not between or between not in letters)):
                    break
            end += 1
        return end


@cache
def _letters() -> frozenset[str]:
    return frozenset(characters("transliteration")) | frozenset(characters("foreign_names"))

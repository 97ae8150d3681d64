"""Names with a middle dot (阿依古丽·买买提), as Uyghurs, Kazakhs, Tibetans, Mongols and foreigners have them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from meddata_pipeline.privacy.detect.recognizers.base import Rule
from meddata_pipeline.privacy.detect.types import Hit
from meddata_pipeline.privacy.detect.words import alternation, characters, words

_DOT = re.compile("[\u00b7]")
_OPEN = re.compile(
    alternation(
        [
            *words("roles"),
            *words("labels"),
            "的",
            "由",
            "请",
            "经",
            "因",
            "和",
            "与",
            "及",
            "对",
            "给",
            "向",
            "为",
            "是",
            "于",
            "在",
            "叫",
        ]
    )
    + "$"
)


class MinorityNameRule(Rule):
    """Names with a middle dot."""

    name = "name-with-dot"
    entities = ("PERSON",)

    def find(self, text: str) -> Iterator[Hit]:
        """Hits of 0.9: transliterations on both sides of the dot; other ideographs up to the clause."""
        if "\u00b7" not in text:
            return
        letters = characters("transliteration")
        for match in _DOT.finditer(text):
            dot = match.start()
            start, end = dot, dot + 1
            while start and text[start - 1] in letters and dot - start < 8:
                start -= 1
            while end < len(text) and text[end] in letters and end - dot < 9:
                end += 1
            if start == dot or end == dot + 1:
                left = re.search(r"[\u3400-\u9fff]{1,8}$", text[:dot])
                right = re.match(r"[\u3400-\u9fff]{1,8}", text[dot + 1 :])
                if left is None or right is None:
                    continue
                if start == dot:
                    opened = [m.end() for i in range(len(left.group())) if (m := _OPEN.search(left.group()[: i + 1]))]
                    start = dot - len(left.group()) + (max(opened) if opened and max(opened) < len(left.group()) else 0)
                if end == dot + 1:
                    end = dot + 1 + min(len(right.group()), 6)
            yield Hit(start, end, "PERSON", 0.9)

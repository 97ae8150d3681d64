"""Names before a title: 王主任, 张伟医师, 李女士. The title itself is kept."""

from __future__ import annotations

from collections.abc import Iterator

from meddata_pipeline.privacy.detect.names import grammar
from meddata_pipeline.privacy.detect.recognizers.base import Rule, compiled
from meddata_pipeline.privacy.detect.types import Hit
from meddata_pipeline.privacy.detect.words import alternation, words

_TITLE = compiled(alternation(words("titles")))
_SPACED = " "


class NameTitleRule(Rule):
    """Names before titles."""

    name = "name-before-title"
    entities = ("PERSON",)
    across = True

    def find(self, text: str) -> Iterator[Hit]:
        """Hits of 0.85; 0.75 for a surname alone."""
        names = grammar()
        for match in _TITLE.finditer(text):
            end = match.start()
            if end and text[end - 1] == _SPACED:
                end -= 1
            if end == 0:
                continue
            start = names.start_before(text, end)
            if start is not None:
                yield Hit(start, end, "PERSON", 0.75 if end - start == 1 else 0.85)

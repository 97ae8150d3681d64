"""Names that stand as signatures do: on a line of their own, in pairs (张伟/李娜), or before a date."""

from __future__ import annotations

import re
from collections.abc import Iterator

from meddata_pipeline.privacy.detect.models.lexicon import lexicon
from meddata_pipeline.privacy.detect.names import grammar
from meddata_pipeline.privacy.detect.recognizers.base import Rule, compiled
from meddata_pipeline.privacy.detect.sweep import SEPARATOR
from meddata_pipeline.privacy.detect.types import Hit

_LINE = compiled(r"\n[ \t]*([\u3400-\u9fff]{2,4})[ \t]*(?=\n|$)")
_PAIR = re.compile(r"([\u3400-\u9fff]{2,4}) ?/ ?([\u3400-\u9fff]{2,4})(?![\u3400-\u9fffA-Za-z0-9])")
_DATED = compiled(r"([\u3400-\u9fff]{2,4}) {1,3}(?=(?:19|20)[0-9]{2}[\-/.年])")
_BREAK = " \t\n。;；" + SEPARATOR
_LONGEST = 4


class NameLineRule(Rule):
    """Names on a line of their own, behind the first line."""

    name = "name-on-a-line"
    entities = ("PERSON",)
    across = True

    def find(self, text: str) -> Iterator[Hit]:
        """Hits of 0.75."""
        for match in _LINE.finditer(text):
            if _is_name(text, *match.span(1)):
                yield Hit(*match.span(1), "PERSON", 0.75)
        for match in _pairs(text):
            if _opens(text, match.start()) and _is_name(text, *match.span(1)) and _is_name(text, *match.span(2)):
                yield Hit(*match.span(1), "PERSON", 0.75)
                yield Hit(*match.span(2), "PERSON", 0.75)
        for match in _DATED.finditer(text):
            if _opens(text, match.start()) and _is_name(text, *match.span(1)):
                yield Hit(*match.span(1), "PERSON", 0.75)


def _pairs(text: str) -> Iterator[re.Match[str]]:
    """What ``_PAIR`` finds, looked for at the strokes: these are rarer than ideographs."""
    done = 0
    stroke = text.find("/")
    while stroke >= 0:
        end = stroke - 1 if stroke and text[stroke - 1] == " " else stroke
        start = end
        while start > done and end - start < _LONGEST and "\u3400" <= text[start - 1] <= "\u9fff":
            start -= 1
        match = _PAIR.match(text, start) if end - start > 1 else None
        if match is not None:
            done = match.end()
            yield match
        stroke = text.find("/", stroke + 1)


def _opens(text: str, start: int) -> bool:
    return start == 0 or text[start - 1] in _BREAK


def _is_name(text: str, start: int, end: int) -> bool:
    name = text[start:end]
    found = grammar().name_at(name, 0)
    return found is not None and found.end == len(name) and name not in lexicon().words

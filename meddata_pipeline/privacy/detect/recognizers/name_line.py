"""Names that stand as signatures do: on a line of their own, in pairs (张伟/李娜), or before a date."""

from __future__ import annotations

import re
from collections.abc import Iterator

from meddata_pipeline.privacy.detect.models.lexicon import lexicon
from meddata_pipeline.privacy.detect.names import grammar
from meddata_pipeline.privacy.detect.recognizers.base import Rule
from meddata_pipeline.privacy.detect.types import Hit

_LINE = re.compile(r"\n[ \t]*([\u3400-\u9fff]{2,4})[ \t]*(?=\n|$)")
_PAIR = re.compile(r"([\u3400-\u9fff]{2,4}) ?/ ?([\u3400-\u9fff]{2,4})(?![\u3400-\u9fffA-Za-z0-9])")
_DATED = re.compile(r"([\u3400-\u9fff]{2,4}) {1,3}(?=(?:19|20)[0-9]{2}[\-/.年])")
_BREAK = " \t\n。;；"


class NameLineRule(Rule):
    """Names on a line of their own, behind the first line."""

    name = "name-on-a-line"
    entities = ("PERSON",)

    def find(self, text: str) -> Iterator[Hit]:
        """Hits of 0.75."""
        for match in _LINE.finditer(text) if "\n" in text else ():
            if _is_name(text, *match.span(1)):
                yield Hit(*match.span(1), "PERSON", 0.75)
        for match in _PAIR.finditer(text) if "/" in text else ():
            if _opens(text, match.start()) and _is_name(text, *match.span(1)) and _is_name(text, *match.span(2)):
                yield Hit(*match.span(1), "PERSON", 0.75)
                yield Hit(*match.span(2), "PERSON", 0.75)
        for match in _DATED.finditer(text):
            if _opens(text, match.start()) and _is_name(text, *match.span(1)):
                yield Hit(*match.span(1), "PERSON", 0.75)


def _opens(text: str, start: int) -> bool:
    return start == 0 or text[start - 1] in _BREAK


def _is_name(text: str, start: int, end: int) -> bool:
    found = grammar().name_at(text[:end], start)
    return found is not None and found.end == end and text[start:end] not in lexicon().words

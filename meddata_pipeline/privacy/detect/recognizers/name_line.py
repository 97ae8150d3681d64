"""Names that stand on a line of their own, as signatures do."""

from __future__ import annotations

import re
from collections.abc import Iterator

from meddata_pipeline.privacy.detect.models.lexicon import lexicon
from meddata_pipeline.privacy.detect.names import grammar
from meddata_pipeline.privacy.detect.recognizers.base import Rule
from meddata_pipeline.privacy.detect.types import Hit

_LINE = re.compile(r"\n[ \t]*([\u3400-\u9fff]{2,4})[ \t]*(?=\n|$)")


class NameLineRule(Rule):
    """Names on a line of their own, behind the first line."""

    name = "name-on-a-line"
    entities = ("PERSON",)

    def find(self, text: str) -> Iterator[Hit]:
        """Hits of 0.75."""
        if "\n" not in text:
            return
        names = grammar()
        for match in _LINE.finditer(text):
            start, end = match.span(1)
            found = names.name_at(text, start)
            if found is not None and found.end == end and match.group(1) not in lexicon().words:
                yield Hit(start, end, "PERSON", 0.75)

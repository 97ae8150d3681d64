"""Numbers that a hospital gives: by their label, and by the hospital's own pattern from its profile."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from meddata_pipeline.core.errors import ConfigError
from meddata_pipeline.privacy.detect.recognizers.base import Rule, bounded, compiled, spellings
from meddata_pipeline.privacy.detect.sweep import parts
from meddata_pipeline.privacy.detect.types import Hit
from meddata_pipeline.privacy.detect.words import alternation, words

_VALUE = r"([A-Za-z0-9](?:[A-Za-z0-9]|[\-_/.](?=[A-Za-z0-9])){2,39})"
_BY_LABEL = compiled(alternation(words("record_labels")) + r'(?:为|是|码|[:#()\[\]" ]|No\.?|NO\.?){0,4}' + _VALUE)
_BY_SHORT = compiled(r"(?:ID|No|NO|MRN|HN|PID|UID)(?<![A-Za-z].)(?:号|[.:# ]){1,3}" + _VALUE)
_BY_ENGLISH = compiled(alternation(spellings(words("record_labels_english"))) + r"(?:[.:# ]|is|\()*" + _VALUE)
_DATE = re.compile(r"(?:19|20)[0-9]{2}[\-/.](?:0?[1-9]|1[0-2])(?:[\-/.][0-3]?[0-9])?$")


class RecordNumberRule(Rule):
    """Record, visit, examination, pathology and specimen numbers.

    Args:
        patterns: the hospital's own number shapes by field (profile key ``id_patterns``).

    Raises:
        ConfigError: a pattern is no regular expression.
    """

    name = "record-number"
    entities = ("MEDICAL_ID",)
    across = True

    def __init__(self, patterns: Mapping[str, str]) -> None:
        self._own: list[re.Pattern[str]] = []
        for field, pattern in sorted(patterns.items()):
            try:
                self._own.append(re.compile(pattern))
            except re.error:
                raise ConfigError(
                    "An id pattern is not a regular expression",
                    where=f"id_patterns.{field}",
                    next_step="Correct it in the hospital's profile",
                ) from None

    def find(self, text: str) -> Iterator[Hit]:
        """Hits of 0.9 by label, 0.85 by the hospital's own pattern."""
        for pattern in (_BY_LABEL, _BY_SHORT, _BY_ENGLISH):
            for match in pattern.finditer(text):
                value = match.group(1)
                # A label in a heading (病理编号 HE 染色) must not take a word for a number.
                if sum(c.isdigit() for c in value) >= 3 and not _DATE.match(value):
                    yield Hit(match.start(1), match.end(1), "MEDICAL_ID", 0.9)
        for own in self._own:
            for first, last in parts(text):
                for match in own.finditer(text[first:last]):
                    start, end = first + match.start(), first + match.end()
                    if end > start and bounded(text, start, end):
                        yield Hit(start, end, "MEDICAL_ID", 0.85)

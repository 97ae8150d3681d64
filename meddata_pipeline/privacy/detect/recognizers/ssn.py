"""Social security numbers of the United States."""

from __future__ import annotations

from collections.abc import Iterator

from meddata_pipeline.privacy.detect.recognizers.base import Rule, compiled, spellings
from meddata_pipeline.privacy.detect.types import Hit
from meddata_pipeline.privacy.detect.words import alternation

_SSN = compiled(r"[0-8](?<![0-9\-].)[0-9]{2}([\- ])[0-9]{2}\1[0-9]{4}(?![0-9\-])")
_LABEL = compiled(
    alternation(["SSN", "ssn", *spellings(["social security number", "social security no.", "social security"])])
    + r"(?:number|is|[:.# ])*([0-9]{3}[\- ]?[0-9]{2}[\- ]?[0-9]{4})(?![0-9])"
)


class SsnRule(Rule):
    """US social security numbers."""

    name = "us-ssn"
    entities = ("US_SSN",)
    needs = "digits"
    across = True

    def find(self, text: str) -> Iterator[Hit]:
        """Hits of 0.85 by shape, 0.95 by label."""
        for match in _SSN.finditer(text):
            yield Hit(match.start(), match.end(), "US_SSN", 0.85)
        for match in _LABEL.finditer(text):
            yield Hit(match.start(1), match.end(1), "US_SSN", 0.95)

"""Numbers of medical and social insurance."""

from __future__ import annotations

from collections.abc import Iterator

from meddata_pipeline.privacy.detect.recognizers.base import Rule, compiled
from meddata_pipeline.privacy.detect.types import Hit
from meddata_pipeline.privacy.detect.words import alternation, words

_LABEL = compiled(
    alternation(words("insurance_labels"))
    + r"(?:号码?|编号|证号|为|是|[:#() ])*([A-Za-z0-9][A-Za-z0-9\-]{4,24}[A-Za-z0-9])(?![A-Za-z0-9])"
)


class InsuranceRule(Rule):
    """Insurance numbers by label."""

    name = "insurance"
    entities = ("CN_INSURANCE",)
    across = True

    def find(self, text: str) -> Iterator[Hit]:
        """Hits of 0.93."""
        for match in _LABEL.finditer(text):
            if sum(c.isdigit() for c in match.group(1)) >= 4:
                yield Hit(match.start(1), match.end(1), "CN_INSURANCE", 0.93)

"""Numbers of medical and social insurance."""

from __future__ import annotations

import re
from collections.abc import Iterator

from meddata_pipeline.privacy.detect.recognizers.base import Rule, bounded, compiled
from meddata_pipeline.privacy.detect.types import Hit
from meddata_pipeline.privacy.detect.words import alternation, words

_LABEL = compiled(
    alternation(words("insurance_labels")) + r"(?:号码?|编号|证号|凭证|账号|卡|为|是|[:#() ])*"
    r"([A-Za-z0-9][A-Za-z0-9\-]{4,24}[A-Za-z0-9]|[0-9]{3,6}(?: [0-9]{3,6}){1,4})"
    r"(?![A-Za-z0-9])"
)
#: One or two letters and digits, as the cards bear them: only where the text speaks of insurance.
_BARE = compiled(r"[A-Z](?<![A-Za-z0-9].)[A-Z]?[0-9]{7,10}(?![A-Za-z0-9])")
_TOPIC = ("医保", "社保", "参保", "新农合", "保险")


class InsuranceRule(Rule):
    """Insurance numbers by label, and by shape where insurance is spoken of."""

    name = "insurance"
    entities = ("CN_INSURANCE",)
    needs = "digits"
    across = True

    def find(self, text: str) -> Iterator[Hit]:
        """Hits of 0.93 by label, 0.7 by shape behind such a word."""
        for match in _LABEL.finditer(text):
            if sum(c.isdigit() for c in match.group(1)) >= 4:
                yield Hit(match.start(1), match.end(1), "CN_INSURANCE", 0.93)
        if any(word in text for word in _TOPIC):
            for match in _BARE.finditer(text):
                near = re.split("[,。;、\n\x00]", text[max(0, match.start() - 20) : match.start()])[-1]
                if any(word in near for word in _TOPIC) and bounded(text, match.start(), match.end()):
                    yield Hit(match.start(), match.end(), "CN_INSURANCE", 0.7)

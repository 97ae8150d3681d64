"""Chinese names in Latin letters: Zhang Wei, ZHANG^WEI, Ouyang Xiaoming."""

from __future__ import annotations

from collections.abc import Iterator

from meddata_pipeline.privacy.detect.recognizers.base import Rule, bounded, compiled
from meddata_pipeline.privacy.detect.types import Hit
from meddata_pipeline.privacy.detect.words import alternation, words

_INITIAL = "(?:zh|ch|sh|hs|ts|[bpmfdtnlgkhjqxrzcsyw])?"
_FINAL = (
    "(?:iang|iong|iung|uang|ang|eng|ing|ong|ung|ien|ieh|ueh|ian|iao|uai|uan|ai|an|ao|ei|en|er|ia|ie|in|iu|ou|ua|ue|ui"
    "|un|uo|ve|a|e|i|o|u|v)"
)
_NAME = compiled(alternation(words("pinyin_surnames")) + r"[ ,]{1,2}[A-Z][a-z]+(?:[ \-]?[A-Za-z][a-z]+)?")
_CAPITALS = compiled(
    alternation([surname.upper() for surname in words("pinyin_surnames")])
    + r"[ ,]{1,2}[A-Z]{2,12}(?:[ \-]?[A-Z]{2,6})?"
)
_CARET = compiled(r"[A-Za-z]+\^[A-Za-z]+(?:\^[A-Za-z]*)*")
_PINYIN = compiled(rf"(?:{_INITIAL}{_FINAL}){{1,2}}$")


class PinyinNameRule(Rule):
    """Names in pinyin."""

    name = "name-in-pinyin"
    entities = ("PERSON",)
    needs = "letters"
    across = True

    def find(self, text: str) -> Iterator[Hit]:
        """Hits of 0.6, of 0.85 in the form of DICOM."""
        for match in (*_NAME.finditer(text), *_CAPITALS.finditer(text)):
            parts = match.group().replace(",", " ").replace("-", " ").split()
            if not bounded(text, *match.span()) or len(parts) < 2:
                continue
            if all(_PINYIN.match(part.lower()) for part in parts[1:]):
                yield Hit(*match.span(), "PERSON", 0.6)
        if "^" in text:
            for match in _CARET.finditer(text):
                yield Hit(*match.span(), "PERSON", 0.85)

"""Passports, and the permits of Hong Kong, Macau and Taiwan."""

from __future__ import annotations

import re
from collections.abc import Iterator

from meddata_pipeline.privacy.detect.recognizers.base import Rule, bounded, compiled
from meddata_pipeline.privacy.detect.types import Hit

_PASSPORT = compiled(r"[EGDSPHK](?<![A-Za-z0-9].)(?:[A-HJ-NP-Z][0-9]{7}|[0-9]{8})(?![A-Za-z0-9])")
_LINK = r"(?:号码?|编号|证件号|证号|number|Number|no\.?|No\.?|为|是|[:#() \n])*"
_PASSPORT_LABEL = compiled(
    rf"(?:护照|passport|Passport|PASSPORT){_LINK}([A-Za-z0-9]{{6,12}}|[A-Za-z]{{1,2}} ?[0-9]{{3,4}} ?[0-9]{{4}})"
    r"(?![A-Za-z0-9])"
)
_HKM_LABEL = compiled(
    r"(?:港澳居民来往内地通行证|来往港澳通行证|往来港澳通行证|港澳通行证|港澳居民居住证|回乡证|港澳)"
    r"(?:同胞)?(?:证件)?"
    rf"{_LINK}([A-Za-z]{{1,2}}(?:[0-9]{{6,10}}| ?[0-9]{{4}} ?[0-9]{{4}}(?: ?[0-9]{{2}})?)(?:\([0-9A]\))?)"
    r"(?![A-Za-z0-9])"
)
_HKM = compiled(r"[HMCW](?<![A-Za-z0-9].)[0-9]{8}(?:[0-9]{2})?(?![A-Za-z0-9])")
_TW_LABEL = compiled(
    r"(?:台湾居民来往大陆通行证|来往台湾通行证|往来台湾通行证|大陆居民往来台湾通行证|台湾通行证|台湾居民居住证|台胞证)"
    rf"{_LINK}([A-Za-z]?[0-9]{{7,10}}(?:\([A-Z0-9]{{1,2}}\))?)(?![A-Za-z0-9])"
)
_TW = compiled(r"[TL](?<![A-Za-z0-9].)[0-9]{8}(?![A-Za-z0-9])")
_HK_CARD = compiled(r"[A-Z](?<![A-Za-z0-9].)[A-Z]?[0-9]{6}\([0-9A]\)")
_TW_CARD = compiled(r"[A-Z](?<![A-Za-z0-9].)[12][0-9]{8}(?![A-Za-z0-9])")
_OTHER_LABEL = re.compile(r"([\u3400-\u9fff]{0,6})号码?[:为是 ]{0,2}$")


def _labelled_otherwise(text: str, start: int) -> bool:
    """Whether a label stands before that names another kind of number (设备号 DX1234567)."""
    label = _OTHER_LABEL.search(text, max(0, start - 10), start)
    return label is not None and not any(word in label.group(1) for word in ("护照", "证", "通行"))


class PassportRule(Rule):
    """Passports and permits, by label and by shape."""

    name = "passport-and-permits"
    entities = ("CN_PASSPORT", "CN_HKM_PERMIT", "CN_TW_PERMIT", "OTHER_ID")
    needs = "digits"
    across = True

    def find(self, text: str) -> Iterator[Hit]:
        """Hits of 0.95 by label, 0.55 to 0.8 by shape."""
        for pattern, entity in (
            (_PASSPORT_LABEL, "CN_PASSPORT"),
            (_HKM_LABEL, "CN_HKM_PERMIT"),
            (_TW_LABEL, "CN_TW_PERMIT"),
        ):
            for match in pattern.finditer(text):
                if sum(c.isdigit() for c in match.group(1)) >= 5:
                    yield Hit(match.start(1), match.end(1), entity, 0.95)
        for match in _HKM.finditer(text):
            if not _labelled_otherwise(text, match.start()):
                yield Hit(match.start(), match.end(), "CN_HKM_PERMIT", 0.6)
        for match in _PASSPORT.finditer(text):
            if not _labelled_otherwise(text, match.start()):
                yield Hit(match.start(), match.end(), "CN_PASSPORT", 0.8 if match.group()[0] in "EG" else 0.55)
        for match in _TW.finditer(text):
            if not _labelled_otherwise(text, match.start()):
                yield Hit(match.start(), match.end(), "CN_TW_PERMIT", 0.55)
        for pattern in (_HK_CARD, _TW_CARD):
            for match in pattern.finditer(text):
                if bounded(text, match.start(), match.end()):
                    yield Hit(match.start(), match.end(), "OTHER_ID", 0.8)

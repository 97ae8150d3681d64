"""Resident identity numbers: 18 digits with a check digit, the 15-digit old form, masked forms and forms by label."""

from __future__ import annotations

import re
from collections.abc import Iterator

from meddata_pipeline.privacy.detect.recognizers.bank_card import luhn
from meddata_pipeline.privacy.detect.recognizers.base import Rule, compiled
from meddata_pipeline.privacy.detect.types import Hit
from meddata_pipeline.privacy.pseudonym import resident_id_is_valid

_GAP = r"[ \-]?"
_LONG = compiled(
    rf"[1-9](?<![0-9].)(?:{_GAP}[0-9]){{5}}{_GAP}(?:18|19|20)(?:{_GAP}[0-9]){{2}}"
    rf"{_GAP}(?:0[1-9]|1[0-2]){_GAP}(?:0[1-9]|[12][0-9]|3[01])(?:{_GAP}[0-9]){{3}}{_GAP}[0-9Xx×✕](?![0-9])"
)
_OLD = compiled(r"[1-9](?<![0-9].)[0-9]{5}[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])[0-9]{3}(?![0-9])")
_MASKED = compiled(r"[1-9](?<![0-9].)[0-9]{2,9}[*Xx×✕]{4,14}[0-9]{0,4}[0-9Xx×✕](?![0-9])")
_LABEL = compiled(
    r"(?:公民身份号码|居民身份证|身份证号码|身份证件|身份证|身份号码|证件号码|证件号|ID card|ID Card|resident id)"
    r"(?:号码?|编号|No\.?|no\.?|[:为是#() ])*((?:[0-9]{1,18}[ \-]?){1,6}[Xx×✕*]?)"
)

#: First two digits: the provinces, 81 to 83 for residents from Hong Kong, Macau and Taiwan.
_PROVINCES = frozenset(
    [
        "11",
        "12",
        "13",
        "14",
        "15",
        "21",
        "22",
        "23",
        "31",
        "32",
        "33",
        "34",
        "35",
        "36",
        "37",
        "41",
        "42",
        "43",
        "44",
        "45",
        "46",
        "50",
        "51",
        "52",
        "53",
        "54",
        "61",
        "62",
        "63",
        "64",
        "65",
        "71",
        "81",
        "82",
        "83",
        "91",
    ]
)


class ResidentIdRule(Rule):
    """Resident identity numbers."""

    name = "resident-id"
    entities = ("CN_RESIDENT_ID",)
    needs = "digits"

    def find(self, text: str) -> Iterator[Hit]:
        """Hits: 1.0 with a valid check digit, less where only the shape or a label speaks for it."""
        for match in _LONG.finditer(text):
            plain = re.sub(r"[ \-]", "", match.group()).replace("×", "X").replace("✕", "X").upper()
            # A wrong check digit is a slip of the pen: the number still leads to its owner.
            score = 1.0 if resident_id_is_valid(plain) else 0.8 if plain[:2] in _PROVINCES else 0.6
            yield Hit(match.start(), match.end(), "CN_RESIDENT_ID", score)
        for match in _OLD.finditer(text):
            if match.group().startswith(("1800", "2131")) and luhn(match.group()):
                continue  # a bank card
            score = 0.85 if match.group()[:2] in _PROVINCES else 0.5
            yield Hit(match.start(), match.end(), "CN_RESIDENT_ID", score)
        if "*" in text or "X" in text or "x" in text or "×" in text:
            for match in _MASKED.finditer(text):
                if 12 <= len(match.group()) <= 18:
                    yield Hit(match.start(), match.end(), "CN_RESIDENT_ID", 0.7)
        for match in _LABEL.finditer(text):
            found = match.group(1)
            if sum(c.isdigit() for c in found) >= 8:
                start, end = match.span(1)
                yield Hit(start, start + len(text[start:end].rstrip(" -")), "CN_RESIDENT_ID", 0.9)

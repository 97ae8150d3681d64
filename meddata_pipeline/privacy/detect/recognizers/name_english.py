"""English names: by title (Mr., Dr.), by label (Patient: …), by degree (Jane Doe, MD)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from meddata_pipeline.privacy.detect.recognizers.base import Rule, compiled, spellings
from meddata_pipeline.privacy.detect.types import Hit
from meddata_pipeline.privacy.detect.words import alternation, word_set, words

_WORD = r"[A-Z\u00c0-\u00de](?:[a-z\u00df-\u00ff]+|[A-Z]+)?(?:['’\-][A-Z][a-z]+)*"
_FULL = rf"{_WORD}(?:(?: {{1,2}}|(?<=[A-Z])\. ?)(?:(?:van|von|de|der|la|del|bin|al) )?{_WORD}){{0,3}}"
_TITLE = compiled(
    rf"(?:Mr|Mrs|Ms|Miss|Mx|Dr|DR|Prof|Professor|Doctor|Nurse|Sir|Madam|MR|MRS|MS"
    rf"|(?:mr|mrs|ms|dr)(?=\.))(?:\. ?| )({_FULL})"
)
_LABEL = compiled(
    alternation(spellings(words("english_labels"))) + rf"(?: ?: ?|,? (?:is |was |named |called )?)({_FULL})"
)
_LABEL_HAN = compiled(alternation(["姓名", "患者", "联系人", "医师", "医生", "家属", "签名"]) + rf" ?:? ?({_FULL})")
_DEGREE = compiled(
    rf"({_WORD}(?: [A-Z]\.?)?(?: {_WORD}){{1,2}}),? "
    r"(?:MD|M\.D\.|RN|R\.N\.|DDS|D\.D\.S\.|DMD|PhD|Ph\.D\.|NP|PA|PA-C|DO|FACS)(?![A-Za-z])"
)
_MY_NAME = compiled(rf"(?:My name is|my name is|I'm called|I am called|goes by) ({_FULL})")
#: Behind these a name may be written small: hardly anything else can follow.
_SMALL = compiled(
    r"(?:(?:[Mm]y|[Hh]er|[Hh]is|[Mm]aiden|[Ll]ast|[Ff]irst|[Ff]ull|[Pp]atient)(?: name is| name:)"
    r"|[Nn](?<![A-Za-z ].)ame:)"
    r" {1,6}"
    r"([a-z\u00df-\u017f]{2,20}(?: [a-z]\.?(?= ))?(?: (?!but|and|or|is|was|who|from)[a-z\u00df-\u017f]{2,20})?)"
    r"(?=[\s.,;]|$)"
)
_NO_NAMES = frozenset(
    (
        "not",
        "unknown",
        "none",
        "withheld",
        "on",
        "in",
        "the",
        "a",
        "an",
        "no",
        "unclear",
        "redacted",
        "misspelled",
        "listed",
    )
)
_CAPITAL = re.compile(r"[A-Z\u00c0-\u00de][A-Za-z\u00c0-\u00ff]")
_WORDS = re.compile(r"[^\s.]+")


class EnglishNameRule(Rule):
    """English names by title, label and degree."""

    name = "name-english"
    entities = ("PERSON",)
    needs = "letters"

    def __init__(self) -> None:
        self._common = word_set("english_common")

    def find(self, text: str) -> Iterator[Hit]:
        """Hits of 0.85 by title or degree, 0.75 by label."""
        if "name" in text:
            for match in _SMALL.finditer(text):
                if match.group(1).split()[0] not in _NO_NAMES:
                    yield Hit(match.start(1), match.end(1), "PERSON", 0.7)
        if not _CAPITAL.search(text):
            return
        for pattern, score in ((_TITLE, 0.85), (_DEGREE, 0.85), (_MY_NAME, 0.85), (_LABEL, 0.75), (_LABEL_HAN, 0.75)):
            for match in pattern.finditer(text):
                hit = self._trimmed(match, score)
                if hit is not None:
                    yield hit

    def _trimmed(self, match: re.Match[str], score: float) -> Hit | None:
        """The hit without ordinary words at its ends, or None where nothing is left of it."""
        before = match.string[match.start() - 1] if match.start() else " "
        if before.isascii() and before.isalpha():
            return None
        parts = [(m.start(), m.end(), m.group()) for m in _WORDS.finditer(match.group(1))]
        while parts and parts[-1][2] in self._common:
            parts.pop()
        if not parts or parts[0][2] in self._common:
            return None
        # One word in capitals behind a label is more often a heading or an abbreviation.
        if len(parts) == 1 and (len(parts[0][2]) < 2 or (score < 0.8 and parts[0][2].isupper())):
            return None
        return Hit(match.start(1) + parts[0][0], match.start(1) + parts[-1][1], "PERSON", score)

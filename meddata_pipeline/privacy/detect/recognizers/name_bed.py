"""Names behind a bed: 12床陈玉芬, +5床 李梅, 03床(王某)."""

from __future__ import annotations

from collections.abc import Iterator

from meddata_pipeline.privacy.detect.models.lexicon import lexicon
from meddata_pipeline.privacy.detect.names import Name, grammar, is_han
from meddata_pipeline.privacy.detect.recognizers.base import Rule, compiled
from meddata_pipeline.privacy.detect.recognizers.name_shape import settled_name, transliterated
from meddata_pipeline.privacy.detect.types import Hit
from meddata_pipeline.privacy.detect.words import word_set

_BED = compiled(
    r"[0-9](?<![0-9.].)[0-9]{0,2}[A-Za-z]?号?床位?(?:病人|患者|病员|患儿)?(?: {1,2}|[:,(]{1,2} ?)?(?=[\u3400-\u9fff])"
)
#: How many there are, or what is done with a bed: no bed of somebody.
_NOT_ITS = frozenset("位旁边头上尾")


class NameBedRule(Rule):
    """Names behind the number of a bed."""

    name = "name-behind-bed"
    entities = ("PERSON",)
    across = True

    def find(self, text: str) -> Iterator[Hit]:
        """Hits of 0.85 where the end is plain, of 0.7 in doubt."""
        names = grammar()
        for match in _BED.finditer(text):
            i = match.end()
            if text[i] in _NOT_ITS:
                continue
            found = settled_name(text, i)
            long = transliterated(text, i, least=4)
            if long is not None and (found is None or found.end < long):
                found = Name(long, names.ends(text, long))
            if found is not None:
                # 高热 is none, 高峰 may be one: words need a border on both sides.
                word = text[i : found.end] in lexicon().words
                if not (word and not names.ends(text, found.end)):
                    yield Hit(i, found.end, "PERSON", 0.85 if found.certain else 0.7)
            elif text[i : i + 2] in word_set("ordinary_names") and (i + 2 == len(text) or not is_han(text[i + 2])):
                yield Hit(i, i + 2, "PERSON", 0.8)
            elif (end := transliterated(text, i)) is not None:
                yield Hit(i, end, "PERSON", 0.75)

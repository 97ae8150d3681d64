"""Names behind labels that no list holds: whatever ends as words for people and offices do (灌注师, 接种者, 核保员)."""

from __future__ import annotations

from collections.abc import Iterator

from meddata_pipeline.privacy.detect.models.lexicon import lexicon
from meddata_pipeline.privacy.detect.names import grammar, is_han
from meddata_pipeline.privacy.detect.recognizers.base import Rule, compiled
from meddata_pipeline.privacy.detect.recognizers.name_shape import (
    is_clinical_word,
    is_disease,
    settled_name,
    transliterated,
)
from meddata_pipeline.privacy.detect.types import Hit
from meddata_pipeline.privacy.detect.words import word_set

#: The last character of a label, and what parts it from the name.
_PARTED = compiled(
    r"[者人员师士官工医护家长手生友属亲友伴名签字](?:\([^()\n]{1,6}\))? ?[:/_][ _:]{0,4}(?=[\u3400-\u9fff])"
)
#: A blank, or nothing: only words for those who do something end so.
_TOUCHING = compiled(r"[者员师](?![者员师傅]) {0,2}(?=[\u3400-\u9fff])")
#: A form's blanks inside a name: 姓名 雷 雨, 签名:何 根 莉.
_SPREAD = compiled(
    r"[者人员师士官工医护长名字签](?: ?[:/_])? {0,3}(?=[\u3400-\u9fff])"
    r"(?P<name>[\u3400-\u9fff]{1,2}(?: {1,2}(?![男女])[\u3400-\u9fff]){1,2})(?= |\n|$|[,。;、()/0-9])"
)
#: What goes on behind a label as no name does.
_GOES_ON = frozenset("们均都中之")


class NameLabelRule(Rule):
    """Names behind labels of a productive shape."""

    name = "name-behind-label"
    entities = ("PERSON",)
    across = True

    def find(self, text: str) -> Iterator[Hit]:
        """Hits of 0.85 behind a separator, of 0.8 behind a blank or nothing."""
        names = grammar()
        for match in _PARTED.finditer(text):
            if not _is_label(text, match.start()):
                continue
            found = names.name_at(text, match.end())
            if (
                found is not None
                and found.certain
                and not (is_clinical_word(text, match.end(), found.end) or is_disease(text, match.end(), found))
            ):
                yield Hit(match.end(), found.end, "PERSON", 0.85)
            elif (end := transliterated(text, match.end())) is not None and names.ends(text, end):
                yield Hit(match.end(), end, "PERSON", 0.8)
        for match in _SPREAD.finditer(text):
            parts = match.group("name").split()
            name = "".join(parts)
            found = names.name_at(name, 0)
            if names.surname_length(name, 0) == len(parts[0]) and found is not None and found.end == len(name):
                yield Hit(*match.span("name"), "PERSON", 0.9)
        for match in _TOUCHING.finditer(text):
            i = match.end()
            if text[i] in _GOES_ON or not _is_label(text, match.start()) or text[i - 1 : i + 1] in lexicon().words:
                continue
            settled = settled_name(text, i)
            # Two characters that are a word too (高峰) need a separator, or a blank.
            word = text[i : i + 2] in lexicon().words and (settled is None or settled.end == i + 2)
            if settled is not None and settled.certain and not (word and text[i - 1] != " "):
                yield Hit(i, settled.end, "PERSON", 0.8)
            elif (end := transliterated(text, i)) is not None and names.ends(text, end):
                yield Hit(i, end, "PERSON", 0.8)


def _is_label(text: str, last: int) -> bool:
    """Whether a word for a person, of two characters or more, ends at a place."""
    return last > 0 and is_han(text[last - 1]) and text[last - 1 : last + 1] not in word_set("not_labels")

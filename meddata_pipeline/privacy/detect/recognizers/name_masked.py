"""Names that somebody has half hidden already: 李某, 王某某, 张**, 张XX."""

from __future__ import annotations

from collections.abc import Iterator

from meddata_pipeline.privacy.detect.names import grammar, is_han
from meddata_pipeline.privacy.detect.recognizers.base import Rule, compiled
from meddata_pipeline.privacy.detect.types import Hit
from meddata_pipeline.privacy.detect.words import words

_HIDDEN = compiled(r"(?:某[某甲乙丙丁]?(?![种些个次日年月天侧处医院科地单])|[*×]{1,3}|[Xx○]{1,2}(?![A-Za-z0-9线光片]))")

#: What leads to somebody.
_SOMEBODY = (*words("roles"), *words("labels"), "间", "床")


class MaskedNameRule(Rule):
    """Half-hidden names."""

    name = "name-half-hidden"
    entities = ("PERSON",)
    across = True

    def find(self, text: str) -> Iterator[Hit]:
        """Hits of 0.7."""
        names = grammar()
        for match in _HIDDEN.finditer(text):
            at = match.start()
            if names.surname_length(text, at - 2) == 2 and at > 1:
                yield Hit(at - 2, match.end(), "PERSON", 0.7)
                continue
            before = text[at - 1] if at else " "
            if before in names.surnames and (before not in names.weak or _opens(text, at - 1)):
                yield Hit(at - 1, match.end(), "PERSON", 0.7)


def _opens(text: str, start: int) -> bool:
    """Whether a surname that is mostly a word makes no word with what stands before it."""
    return start == 0 or not is_han(text[start - 1]) or text.endswith(_SOMEBODY, 0, start)

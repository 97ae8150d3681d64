"""Names that somebody has half hidden already: 李某, 王某某, 张**, 张XX."""

from __future__ import annotations

from collections.abc import Iterator

from meddata_pipeline.privacy.detect.names import grammar
from meddata_pipeline.privacy.detect.recognizers.base import Rule, compiled
from meddata_pipeline.privacy.detect.types import Hit

_HIDDEN = compiled(r"(?:某[某甲乙丙丁]?(?![种些个次日年月天侧处医院科地单])|[*×]{1,3}|[Xx○]{1,2}(?![A-Za-z0-9线光片]))")


class MaskedNameRule(Rule):
    """Half-hidden names."""

    name = "name-half-hidden"
    entities = ("PERSON",)
    across = True

    def find(self, text: str) -> Iterator[Hit]:
        """Hits of 0.7."""
        names = grammar()
        for match in _HIDDEN.finditer(text):
            before = text[match.start() - 1] if match.start() else " "
            if before in names.surnames and before not in names.weak:
                yield Hit(match.start() - 1, match.end(), "PERSON", 0.7)

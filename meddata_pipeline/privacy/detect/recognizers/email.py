"""E-mail addresses."""

from __future__ import annotations

from collections.abc import Iterator

from meddata_pipeline.privacy.detect.recognizers.base import Rule, compiled
from meddata_pipeline.privacy.detect.types import Hit

#: Behind a blank or another point only what certainly ends an address: a new sentence may begin there.
_END = r"(?:\.[A-Za-z]{2,24}|[.。] ?(?:com|cn|net|org|edu|COM|CN|NET|ORG|EDU))(?![A-Za-z0-9\-])"
_HOST = rf"[A-Za-z0-9\-]+(?:\.[A-Za-z0-9\-]+)*{_END}"
_LOCAL = r"[A-Za-z0-9](?<![A-Za-z0-9._%+\-].)[A-Za-z0-9._%+\-]{0,63}"
_EMAIL = compiled(rf"{_LOCAL} ?@ ?{_HOST}")
#: Spelled against machines that collect addresses.
_SPELLED = compiled(rf"{_LOCAL} ?[(\[](?:at|AT|艾特)[)\]] ?{_HOST}", holds=r"[(\[](?:at|AT|艾特)[)\]]")


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
        if "(" in text or "[" in text:
            for match in _SPELLED.finditer(text):
                yield Hit(match.start(), match.end(), "EMAIL_ADDRESS", 0.95)

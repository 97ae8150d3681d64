"""Texts in Chinese and English, as they stand in configuration and on pages."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator


class Text(BaseModel):
    """A text in both languages; a plain string stands for both."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    zh: str
    en: str

    @model_validator(mode="before")
    @classmethod
    def _from_plain(cls, value: Any) -> Any:
        return {"zh": value, "en": value} if isinstance(value, str) else value

    def get(self, lang: str) -> str:
        """The text in a language; anything that is not ``zh`` reads English."""
        return self.zh if lang == "zh" else self.en

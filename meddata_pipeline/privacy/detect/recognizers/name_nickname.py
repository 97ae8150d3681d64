"""Nicknames: 小袁, 老彭, 老欧阳."""

from __future__ import annotations

from collections.abc import Iterator

from meddata_pipeline.privacy.detect.models.lexicon import lexicon, within_clinical
from meddata_pipeline.privacy.detect.names import grammar, is_han
from meddata_pipeline.privacy.detect.recognizers.base import Rule, compiled
from meddata_pipeline.privacy.detect.types import Hit
from meddata_pipeline.privacy.detect.words import word_set

_YOUNG_OR_OLD = compiled("[小老](?=[\u3400-\u9fff])")
#: What stands before a nickname: verbs and prepositions of dealing with people, and times.
_FUNCTION = frozenset("于由从向和经时应与及同后有能无都又不全主副公常水权利文白")
_BEFORE = frozenset("找说给跟和叫让请陪问劝喊替对是被托谢骂帮扶见于与由里晚的了")


class NicknameRule(Rule):
    """Surnames behind 小 or 老."""

    name = "name-nickname"
    entities = ("PERSON",)
    across = True

    def find(self, text: str) -> Iterator[Hit]:
        """Hits of 0.75."""
        names = grammar()
        for match in _YOUNG_OR_OLD.finditer(text):
            i = match.end()
            length = names.surname_length(text, i)
            if not length or (length == 1 and not self._plain(text, i)):
                continue
            before = text[i - 2] if i > 1 else ""
            if before and is_han(before) and before not in _BEFORE:
                continue
            yield Hit(i - 1, i + length, "PERSON", 0.75)

    @staticmethod
    def _plain(text: str, i: int) -> bool:
        """Whether neither the nickname nor the surname begins an ordinary word."""
        nickname = text[i - 1 : i + 1]
        if nickname in word_set("not_nicknames") or text[i] in _FUNCTION or within_clinical(text, i - 1, i + 1):
            return False
        known = lexicon()
        if text[i : i + 2] in grammar().kin_words:
            return False  # 给小孙子剪指甲
        if text[i] in grammar().weak and nickname in known.words:
            return False
        following = text[i + 1 : i + 2]
        if not following or not is_han(following):
            return True
        return text[i : i + 2] not in known.words and text[i - 1 : i + 2] not in known.words

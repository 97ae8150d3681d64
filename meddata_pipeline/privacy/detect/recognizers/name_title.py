"""Names before titles: 王主任, 张伟医师, 李女士, 黎叔. The title itself is kept."""

from __future__ import annotations

import re
from collections.abc import Iterator

from meddata_pipeline.privacy.detect.models.lexicon import lexicon
from meddata_pipeline.privacy.detect.names import grammar, is_han
from meddata_pipeline.privacy.detect.recognizers.base import Rule, compiled
from meddata_pipeline.privacy.detect.types import Hit
from meddata_pipeline.privacy.detect.words import alternation, characters, word_set, words

_TITLE = compiled(alternation(words("titles")))
#: Not 哥哥, 姐夫, 叔叔 and other words that go on; not 总胆红素, 工作, 处理.
_KIN = compiled("[姐哥叔婶嫂姨伯](?![姐哥叔婶嫂姨伯夫子父母弟妹家们侄])")
#: What stands before a surname with such a word: a verb or a preposition of dealing with people.
_DEALING = frozenset("找给跟和叫让请陪问劝喊替对是有把被说托谢骂帮扶见")
#: Surnames that are mostly function words.
_FUNCTION = frozenset("于由从向和经时应与及同后有能无都又不全主副")
_SPACED = " "


class NameTitleRule(Rule):
    """Names before titles."""

    name = "name-before-title"
    entities = ("PERSON",)
    across = True

    def find(self, text: str) -> Iterator[Hit]:
        """Hits of 0.85; 0.75 for a surname alone."""
        names = grammar()
        for match in _TITLE.finditer(text):
            end = match.start()
            if end and text[end - 1] == _SPACED:
                end -= 1
            if end == 0:
                continue
            start = self._whole(text, end)
            if start is None:
                start = names.start_before(text, end)
            if start is None and end == match.start():
                start = _doubtful(text, end)
            if start is not None and not self._is_part(text, start, end, match):
                yield Hit(start, end, "PERSON", 0.75 if end - start == 1 else 0.85)
        for match in _KIN.finditer(text):
            start = _called(text, match.start(), match.end())
            if start is not None:
                yield Hit(start, match.start(), "PERSON", 0.75)

    @staticmethod
    def _whole(text: str, end: int) -> int | None:
        """Where a clause begins that is nothing but a name before a title: 施云芬药师, 布赫巴雅尔主任."""
        names = grammar()
        start = end
        while start and end - start < 7 and is_han(text[start - 1]):
            start -= 1
        length = end - start
        letters = characters("transliteration")
        run = end
        while run > start and text[run - 1] in letters:
            run -= 1
        if 4 <= end - run <= 6 and (
            run == start or text[run - 1] in _DEALING or text.endswith(("所", "科", "室", "的"), 0, run)
        ):
            return run
        surname = names.surname_length(text, start)
        given = text[start + surname : end]
        if (
            surname == 1
            and length == 3
            and text[start] in names.weak
            and text[start] not in _FUNCTION
            and text[start : start + 2] not in names.not_names
            and not any(c in names.not_given for c in given)
            and names.surname_length(text, start + 1) != 2
            and not text.endswith(names.not_titled, 0, end)
            and text[start : start + 2] not in lexicon().words
        ):
            return start
        return None

    @staticmethod
    def _is_part(text: str, start: int, end: int, title: re.Match[str]) -> bool:
        """Whether what looks like a name and a title are parts of other words (公司|总经理, 双方|由民警, 护士|站)."""
        known = lexicon().words
        before = text[start - 1] if start else ""
        if title.end() < len(text) and text[title.start() : title.end() + 1] in known:
            return True
        if end < title.start():
            # 试戴 医师: a surname alone touches its title, or something else than a word stands before it.
            return end - start == 1 and bool(before) and is_han(before)
        if end - start == 1:
            names = grammar()
            if text[start] in names.frequent and before in names.before_titled:
                return False  # 由于医师
            return text[start - 1 : end] in word_set("ends_in_surname")
        return is_word(text[start:end]) or (start > 0 and text[start - 1 : start + 1] in known)


def is_word(name: str) -> bool:
    """Whether what looks like a name is an ordinary word that hardly anybody is called (谈话医生)."""
    known = lexicon()
    return (
        name in known.words
        and name not in known.places
        and name not in word_set("ordinary_names")
        and name not in grammar().compound
    )


def _doubtful(text: str, end: int) -> int | None:
    """A surname before a title that is mostly a word (即告施主任), where it makes none with what stands before."""
    names = grammar()
    surname = text[end - 1]
    if surname not in names.weak or surname in _FUNCTION:
        return None
    pair = text[max(0, end - 2) : end]
    if pair in lexicon().words or pair in word_set("ends_in_surname") or text.endswith(names.not_titled, 0, end):
        return None
    return end - 1


def _called(text: str, end: int, behind: int) -> int | None:
    """Where the name begins of somebody who is called by a word of kin (黎叔), or None."""
    names = grammar()
    if text[end : behind + 1] in lexicon().words or text[end - 1 : behind] in lexicon().words:
        return None
    for length in (2, 1):
        start = end - length
        if start < 0 or names.surname_length(text, start) != length or text[start:end] in names.weak:
            continue
        before = text[start - 1] if start else ""
        if not before or not is_han(before) or before in _DEALING:
            return start
    return None

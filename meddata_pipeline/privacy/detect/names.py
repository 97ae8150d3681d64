"""The grammar of Chinese names: where a name that begins at a place ends, and where one that ends at a place begins.

What belongs here: surnames, given names and what stands around them. What does not: which words announce a name; that
is for the recognizers of names.
"""

from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple

from meddata_pipeline.privacy.detect.words import characters, word_set, words

#: What begins a date or a span of time in words: 患者于一月一日就诊.
TIME = re.compile("(?:[一二三四五六七八九十两几半][十余]?[一二三四五六七八九]?|正|腊|当|同)[年月日号时点周天个]")


class Name(NamedTuple):
    """A name in a text.

    Attributes:
        end: one behind its last character.
        certain: whether what follows shows that it ends there.
    """

    end: int
    certain: bool


def is_han(character: str) -> bool:
    """Whether a character is a Chinese ideograph (the basic block, extension A, or a private-use stand-in)."""
    return "\u4e00" <= character <= "\u9fff" or "\u3400" <= character <= "\u4dbf" or character >= "\U00020000"


class Grammar:
    """The word lists, as sets."""

    def __init__(self) -> None:
        self.surnames = characters("surnames")
        self.weak = characters("weak_surnames")
        self.frequent = characters("frequent_weak_surnames")
        self.before_titled = characters("before_titled")
        self.compound = word_set("compound_surnames")
        self.not_given = characters("not_given")
        self.ambiguous = characters("ambiguous_given")
        self.sides = characters("sides")
        self.body_parts = characters("body_parts")
        self.follow = word_set("follow")
        self.not_names = word_set("not_names")
        #: What a name begins with: one look at it spares most of the questions.
        self.begins = self.surnames | {surname[0] for surname in self.compound}
        self.not_titled = tuple(word for word in words("not_titled") if len(word) > 1)
        self.kin_words = word_set("kin_words")
        self.titles = frozenset(word[:2] for word in words("titles") if len(word) > 1)

    def surname_length(self, text: str, i: int) -> int:
        """Length of the surname that may begin at ``i``: 0, 1 or 2."""
        if text[i : i + 2] in self.compound:
            return 2
        return 1 if text[i : i + 1] in self.surnames else 0

    def ends(self, text: str, i: int) -> bool:
        """Whether a name may be taken to end before ``i``, by what stands there."""
        if i >= len(text):
            return True
        character = text[i]
        return not is_han(character) or character in self.not_given or text[i : i + 2] in self.follow

    def sided(self, text: str, i: int) -> bool:
        """Whether a side and a part of the body stand at ``i``: 左眉弓, 双小腿."""
        return text[i : i + 1] in self.sides and any(c in self.body_parts for c in text[i + 1 : i + 3])

    def name_at(self, text: str, i: int) -> Name | None:
        """The name that begins at ``i``, or None.

        A surname of one or two characters, then a given name of one or two. Where nothing shows whether the given
        name has one or two characters, two are taken: when in doubt, mask.
        """
        length = self.surname_length(text, i)
        if length == 0 or text[i : i + 2] in self.not_names or self.sided(text, i):
            return None
        given = i + length
        if given >= len(text) or not is_han(text[given]) or text[given] in self.not_given:
            return None
        if text[given : given + 2] in self.titles:
            # 王主任: what is found before a title is for its own rule.
            return None
        if text[i : i + 2] in self.kin_words and (self.ends(text, i + 2) or self.name_at(text, i + 2) is not None):
            # 孙子, 孙子魏飞: who somebody is; 孙子涵 is a name.
            return None
        weak = length == 1 and text[i] in self.weak
        if weak and text[given : given + 2] in self.follow:
            return None  # 曾表示, 时出现
        second = given + 1
        if self.ends(text, second):
            return Name(second, True)
        if text[second] in self.ambiguous:
            # 张伟现… and 张有为，…: what stands behind decides; a name of three characters must be seen to end.
            end = second + 1
            at_end = end >= len(text) or not is_han(text[end]) or text[end : end + 2] in self.follow
            if at_end and text[end : end + 1].isascii() and text[end : end + 1].isalpha():
                return Name(second, True)  # 张伟转ICU
            if at_end:
                return Name(end, True)
            return None if weak else Name(second, False)
        if self.ends(text, second + 1):
            return Name(second + 1, True)
        return None if weak else Name(second + 1, False)

    def start_before(self, text: str, end: int) -> int | None:
        """Where a name begins that ends at ``end`` because a title stands there (王主任, 张伟医师), or None."""
        if text.endswith(self.not_titled, 0, end):
            return None
        best: int | None = None
        for length in (4, 3, 2, 1):
            start = end - length
            if start < 0 or not all(is_han(c) for c in text[start:end]):
                continue
            surname = self.surname_length(text, start)
            if surname == 0 or length - surname > 2 or length < surname:
                continue
            if surname == 1 and length == 4:
                continue
            given = text[start + surname : end]
            if any(c in self.not_given for c in given):
                continue
            if length > 1 and (
                text[start : start + 2] in self.not_names or (surname == 1 and text[start] in self.weak)
            ):
                # 于王主任, 和李医生: the function word is no surname, the character behind it is.
                continue
            if (
                length == 1
                and text[start] in self.weak
                and start > 0
                and is_han(text[start - 1])
                and not (text[start] in self.frequent and text[start - 1] in self.before_titled)
            ):
                continue
            best = start
            break
        return best


@cache
def grammar() -> Grammar:
    """The grammar over the shipped lists."""
    return Grammar()

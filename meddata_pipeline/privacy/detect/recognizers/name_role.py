"""Names behind a word that says who somebody is (患者, 家属, 医师), or behind a label with a colon (审核：)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from meddata_pipeline.privacy.detect.models.lexicon import clinical_list, lexicon, ordinary_at, within_clinical
from meddata_pipeline.privacy.detect.names import grammar, is_han
from meddata_pipeline.privacy.detect.recognizers.base import Rule, compiled
from meddata_pipeline.privacy.detect.recognizers.name_shape import (
    is_clinical_word,
    is_disease,
    is_made_of_words,
    is_running_on,
    settled_name,
)
from meddata_pipeline.privacy.detect.types import Hit
from meddata_pipeline.privacy.detect.words import alternation, characters, word_set, words

_ROLE = compiled(
    alternation(words("roles")) + r"(?:姓名|签名|签字|名叫|叫|为|是)?(?:\([^()\n]{1,6}\))?[:;\s\[\"“'\-_]{0,4}"
)
_LABEL = compiled(alternation(words("labels")) + r"(?:\([^()\n]{1,6}\))? ?[:;_][\s:_\"“]{0,4}")
_NAMED = compiled(r"(?:名叫|姓名|我叫|自称|化名|名为)[:\s\"“]{0,3}")
_LEAD = compiled(alternation(words("leads")))
_NEXT = re.compile(r" ?(?:[、/,;&+]|和|及|与|以及) ?| {1,2}")
#: Behind a label of a name there may be a name that no list of surnames knows.
_UNLISTED = re.compile(r"[\u3400-\u9fff]{2,4}(?=$|[\s\x00,。;、()/0-9A-Za-z\[])")
_BRACKET = re.compile(r"\(([^()\n]{2,6})\)\Z")
_NO_NAME = re.compile(
    r"(?:无|不详|未|暂|同上|本人|患者|病人|家属|自己|见|略|详|其|父|母|配|夫|妻|儿|女|子|兄|弟|姐|妹|同事|朋友|邻居|医师|医生|护士|主任|男|已|待|正常|阴性|阳性|空|拒|没|不|是|否|有|完成|合格|通过)"
)


class NameRoleRule(Rule):
    """Names by role words and labels."""

    name = "name-by-role"
    entities = ("PERSON",)
    across = True

    def find(self, text: str) -> Iterator[Hit]:
        """Hits of 0.9 where the end of the name is plain, 0.7 where it is taken long in doubt."""
        names = grammar()
        for match in _ROLE.finditer(text):
            tail = match.group()
            hits = self._chain(text, match.end(), ":" in tail, 0.02 if ":" in tail else 0.0)
            long = list(self._transliterated(text, match.end()))
            if long and (not hits or hits[0].end < long[0].end):
                hits = long
            yield from hits or self._in_doubt(text, match)
        for match in _LABEL.finditer(text):
            hits = self._chain(text, match.end(), True, 0.05)
            yield from hits
            if not hits:
                unlisted = _UNLISTED.match(text, match.end())
                if (
                    unlisted
                    and not _NO_NAME.match(text, match.end())
                    and not any(c in names.not_given for c in unlisted.group())
                    and not is_clinical_word(text, unlisted.start(), unlisted.end())
                    and not is_made_of_words(text, unlisted.start(), unlisted.end())
                    and not _is_plainly_clinical(text, unlisted.start(), unlisted.end())
                ):
                    yield Hit(unlisted.start(), unlisted.end(), "PERSON", 0.6)
        for match in _NAMED.finditer(text):
            yield from self._chain(text, match.end(), True, 0.0)
        for match in _LEAD.finditer(text):
            start = match.end()
            word = text[start : start + 2]
            if word in word_set("ordinary_names") and text[start + 2 : start + 4] in word_set("acts"):
                yield Hit(start, start + 2, "PERSON", 0.8)
            if text[start : start + 1] not in names.begins:
                continue
            led = names.name_at(text, start)
            if (led is None or not led.certain) and names.surname_length(text, start):
                led = settled_name(text, start, acting=True)
            # Such words are frequent: the end must be seen, and a doubtful surname needs two characters behind it.
            if (
                led is not None
                and led.certain
                and (text[start] not in names.weak or led.end - start > 2)
                and not ordinary_at(text, start)
                # 经|皮肾镜: the word that leads is the first character of another.
                and not within_clinical(text, start - 1, led.end)
            ):
                yield Hit(start, led.end, "PERSON", 0.8)

    @staticmethod
    def _in_doubt(text: str, role: re.Match[str]) -> Iterator[Hit]:
        """Behind a role: a name with its end by the words behind it, one that is a word, one in brackets."""
        i = role.end()
        if text[i : i + 1] == "(":
            found = grammar().name_at(text, i + 1)
            if found is not None and text[found.end : found.end + 1] == ")":
                yield Hit(i + 1, found.end, "PERSON", 0.9)
            return
        bracket = _BRACKET.search(role.group())
        if bracket is not None:
            start = role.start() + bracket.start(1)
            found = grammar().name_at(text, start)
            if found is not None and text[found.end] == ")" and not is_clinical_word(text, start, found.end):
                yield Hit(start, found.end, "PERSON", 0.85)
            return
        settled = settled_name(text, i)
        parted = not is_han(text[i - 1])
        if settled is not None and settled.certain and (parted or not is_running_on(text, i, settled)):
            yield Hit(i, settled.end, "PERSON", 0.8)
        elif text[i : i + 2] in word_set("ordinary_names") and text[i + 2 : i + 4] in word_set("acts"):
            yield Hit(i, i + 2, "PERSON", 0.8)

    @staticmethod
    def _transliterated(text: str, i: int) -> Iterator[Hit]:
        """A name of three to five transliteration characters at ``i``: 达瓦卓玛, 扎西顿珠."""
        letters = characters("transliteration")
        end = i
        while end < len(text) and end - i < 6 and text[end] in letters:
            end += 1
        if 3 <= end - i <= 5 and grammar().ends(text, end):
            yield Hit(i, end, "PERSON", 0.8)

    @staticmethod
    def _chain(text: str, i: int, listed: bool, bonus: float) -> list[Hit]:
        """The name at ``i`` and, behind a label, the further names of a list (张伟、李娜)."""
        names = grammar()
        hits: list[Hit] = []
        while text[i : i + 1] in names.begins:
            found = names.name_at(text, i)
            if (
                found is None
                or (not found.certain and text[i : i + 2] in lexicon().words)
                or is_disease(text, i, found)
                or (not listed and is_running_on(text, i, found))
            ):
                break
            if not found.certain:
                found = settled_name(text, i) or found
            hits.append(Hit(i, found.end, "PERSON", (0.9 if found.certain else 0.7) + bonus))
            if not found.certain:
                break
            link = _NEXT.match(text, found.end)
            if link is None or link.end() >= len(text) or not is_han(text[link.end()]):
                break
            following = names.name_at(text, link.end())
            # Further names must be seen to end, otherwise the list has ended and a sentence goes on.
            if following is None or not following.certain:
                break
            if not listed and link.group().strip() in {"", ","}:
                break
            i = link.end()
        return hits


def _is_plainly_clinical(text: str, start: int, end: int) -> bool:
    """Whether what stands behind a label is no name though no surname begins it (随访:术后三月, 通知:中性粒).

    Two characters may be anybody's name there, and so may what a scale is called after (巴特尔).
    """
    if end - start == 4 and all(
        is_clinical_word(text, i, i + 2) or within_clinical(text, i, i + 2) for i in (start, start + 2)
    ):
        return True
    return end - start > 2 and text[start:end] not in clinical_list("eponyms") and within_clinical(text, start, end)

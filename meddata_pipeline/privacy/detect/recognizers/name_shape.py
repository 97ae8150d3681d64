"""What is shaped as a name where something outside the name speaks for one: a label, a bed, a list.

What belongs here: questions about one place of a text that several rules of names ask. What does not: the grammar
itself (detect/names.py), what announces a name (the rules).
"""

from __future__ import annotations

import re
from collections.abc import Container

from meddata_pipeline.privacy.detect.models.lexicon import lexicon, within_clinical
from meddata_pipeline.privacy.detect.names import TIME, Name, grammar, is_han
from meddata_pipeline.privacy.detect.words import characters, word_set, words

#: Names of other peoples, written without a dot: 次仁央宗, 帕提古丽, 布赫巴雅尔.
_LONGEST = 6
#: Of the characters that open words as well (names.ambiguous), those that often end a given name.
_OFTEN_GIVEN = frozenset("可发来明根心同本")
#: Surnames that are mostly function words.
_FUNCTION = frozenset("从由向和经时与及同后有能都又过别边家双充终")
_DISEASE = re.compile(
    "病(?![情史后重逝故危倒休假历床房区人程理愈因])|[征症](?![状求得询])|综合征|氏|反射|试验|量表|评分"
)


def is_clinical_word(text: str, start: int, end: int) -> bool:
    """Whether a range is an ordinary word, and none that people are called (安宁, 高峰)."""
    word = text[start:end]
    return word in lexicon().words and word not in word_set("ordinary_names") and word not in lexicon().places


def is_made_of_words(text: str, start: int, end: int) -> bool:
    """Whether a range is two words, in a clinical one, or a side of the body (独居老人, 静吸复合, 左眉弓)."""
    middle = start + 2
    pair = end == start + 4 and is_clinical_word(text, start, middle) and is_clinical_word(text, middle, end)
    return pair or grammar().sided(text, start) or (end - start > 2 and within_clinical(text, start, end))


def is_running_on(text: str, i: int, found: Name) -> bool:
    """Whether a sentence runs on behind a role (家属商量后, 领导班子), where nothing parts the two."""
    names = grammar()
    if names.surname_length(text, i) == 2:
        return False
    weak = (
        text[i] in names.weak
        and (
            is_clinical_word(text, i, found.end)
            or is_clinical_word(text, i, i + 2)
            # 驾驶员能看到: behind what is mostly a word another word begins.
            or (found.end == i + 2 and text[i + 1 : i + 3] in lexicon().words)
            # 父亲从推进: the same, where hardly anybody is called by the first character.
            or (text[i] in _FUNCTION and is_clinical_word(text, i + 1, i + 3))
        )
    )
    return weak or any(text[i : i + size] in lexicon().words for size in (3, 4))


def is_disease(text: str, i: int, found: Name) -> bool:
    """Whether a disease or sign that is called after somebody, or another clinical word, stands at a place (皮克病)."""
    return (
        text.startswith(words("eponyms"), i)
        or _DISEASE.match(text, found.end) is not None
        or (within_clinical(text, i, found.end) and text[i : found.end] not in word_set("ordinary_names"))
    )


def settled_name(text: str, i: int, *, acting: bool = False) -> Name | None:
    """The name that begins at ``i``, its end settled by the words behind it; None where an ordinary word begins there.

    12床陈玉芬欠费 ends before 欠费. Certain is a name whose end is plain, or before a word of the lexicon.

    Args:
        text: the folded text.
        i: where the name begins.
        acting: whether only words for what people do count behind it (由李梅巧接替).
    """
    names = grammar()
    found = names.name_at(text, i)
    surname = names.surname_length(text, i)
    known: Container[str] = word_set("acts") if acting else lexicon().words
    if found is None and surname == 1 and text[i] in names.weak and not TIME.match(text, i + 1):
        found = _behind_weak(text, i, known)
    if found is None or is_clinical_word(text, i, found.end) or is_disease(text, i, found):
        return None
    if surname == 1 and is_clinical_word(text, i, i + 2):
        return None
    if found.certain or found.end >= len(text):
        return found
    longer = found.end + 1
    doubtful = text[found.end] in names.ambiguous and found.end - i == surname + 1
    if doubtful and text[found.end] in _OFTEN_GIVEN and text[longer : longer + 2] in known:
        return Name(longer, True)  # 曹琳发|在场
    shorter = found.end - 1
    # In doubt the longer name is taken: of two ends the nearer one counts only before what people do.
    if shorter - i > surname and text[shorter : shorter + 2] in word_set("acts"):
        return Name(shorter, True)
    if text[found.end : found.end + 2] in known:
        return Name(found.end, True)
    return found


def _behind_weak(text: str, i: int, known: Container[str]) -> Name | None:
    """A name with a surname that is mostly a word, where its end is not plain."""
    names = grammar()
    ordinary = text[i : i + 2] in names.not_names or text[i : i + 2] in lexicon().words
    if i + 2 > len(text) or ordinary or names.sided(text, i):
        return None
    if is_han(text[i + 1]) and text[i + 1] not in names.not_given and text[i + 2 : i + 4] in word_set("acts"):
        return Name(i + 2, True)
    end = i + 3
    if end > len(text) or any(not is_han(c) or c in names.not_given for c in text[i + 1 : end]):
        return None
    return Name(end, False) if text[end : end + 2] in known else None


def transliterated(text: str, i: int, least: int = 3) -> int | None:
    """Where a name in transliteration characters ends that begins at ``i`` (达瓦卓玛), or None."""
    letters = characters("transliteration")
    end = i
    while end < len(text) and end - i <= _LONGEST and text[end] in letters:
        end += 1
    return end if least <= end - i <= _LONGEST else None

"""What speaks for and against a range of a Chinese clause being a name, in numbers.

What belongs here: candidates and their features, and the weighing of the features. What does not: asking taggers,
scores of findings (models/chinese.py), the weights (models.yaml).

The features are few and say nothing of single words: who votes for the range, what its characters look like, and which
kinds of words or borders touch it. The weights are those of a logistic regression on made-up notes of several authors
(``python -m meddata_pipeline_tests.evaluation.fit``).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Set
from functools import cache
from typing import NamedTuple

from meddata_pipeline.privacy.detect.models.lexicon import (
    clinical_list,
    cuts_word,
    is_drug,
    is_shortened_drug,
    lexicon,
    within_clinical,
)
from meddata_pipeline.privacy.detect.models.packages import recipes
from meddata_pipeline.privacy.detect.models.shape import shape
from meddata_pipeline.privacy.detect.names import grammar, is_han
from meddata_pipeline.privacy.detect.words import alternation, characters, word_set, words

Range = tuple[int, int]
#: What makes a name that of a disease, sign or scale: 库欣综合征, 格林-巴利综合征, 墨菲征.
_EPONYM = re.compile(
    "(?:[\u00b7-][\u4e00-\u9fff]{1,5}?)?氏?(?:综合[征症]|[征症病瘤]|现象|反射|试验|细胞|小体|淋巴瘤|肉芽肿|麻痹|角|线|手术|分[级期类型]|评分|量表|指数|定律|杆菌|螺杆菌|病毒|染色|牙刷)"
)
#: The same behind a transliteration: a Chinese name may stand before these (陈玉芬骨折术后).
_FOREIGN_EPONYM = re.compile(
    "(?:动脉炎|甲状腺炎|面瘫|瘫痪|骨折|脱位|囊肿|疝|肉瘤|结节|韧带|间隙|三角|纤维|支架|刮匙|拉钩|牵引|体位|卧位|切口|缝合|杂音|呼吸|法则|公式|溶液|培养基)"
)
_DOTS = "\u00b7-"
#: The item of a list before a range and the one behind it.
_ITEM_LEFT = re.compile("(?:^|[、:(])([\u4e00-\u9fff]{2,4})、$")
_ITEM_RIGHT = re.compile("^、([\u4e00-\u9fff]{2,4})(?=$|[、,.;:)。，；])")
_TITLE = re.compile(" ?" + alternation(words("titles")))
_DOSE = re.compile("[ (]?[0-9.]+ ?(?:m?g|克|毫克|m?l|片|粒|袋|丸|u|iu|枚|支)", re.IGNORECASE)
#: Behind a name: what makes it a place, a disease, a drug.
_NO_PERSON = "村镇乡县市区路街巷桥氏病症征丸散汤膏片粉液酸钠钙酮素碱胶"
#: As the last character: the same, and herbs.
_NO_GIVEN = _NO_PERSON + "叶花皮仁子石"
#: Last characters of words for people by what they do or are to somebody: a name may follow.
_AGENT = "者员工师人长医护士警生官友妹弟姐哥嫂婆公爷奶叔姨舅婶伯妻夫儿女子孙父母爸妈属伴侄媳婿"
#: Words of one character that lead to a name.
_LEAD = "由给把被让跟找叫请对与和及同替向问听讲说称经找是叫@"
#: Probabilities are taken between this and its complement.
_CERTAIN = 1e-4
_LIMIT = 6.0
#: A probability of another range from which on it is a rival.
_RIVAL = 0.3


class Votes(NamedTuple):
    """What the taggers and the segmenter take for names in a clause."""

    first: Set[Range]
    second: Set[Range]
    segmenter: Set[Range]


def candidates(clause: str, votes: Votes) -> Iterator[tuple[Range, dict[str, float]]]:
    """The ranges of a clause that may be names, with their features, sorted."""
    likely = {(start, end): p for start, end, p in shape().likely(clause)}
    for start, end in sorted({*likely, *votes.first, *votes.second}):
        word = clause[start:end]
        if kind(word) != "none" and not clinical(clause, start, end) and not _among_words(clause, start, end):
            yield (start, end), _features(clause, (start, end), likely, votes)


class Chances(NamedTuple):
    """How likely a range is exactly a name, and how likely a name lies there, whatever its borders."""

    exact: float
    there: float


def chances(features: Mapping[str, float]) -> Chances:
    """The chances of a candidate by its features."""
    evidence = recipes()["evidence"]
    return Chances(_logistic(evidence["exact"], features), _logistic(evidence["there"], features))


def _logistic(weights: Mapping[str, float], features: Mapping[str, float]) -> float:
    total = weights["bias"] + sum(weights[name] * value for name, value in features.items())
    return 1 / (1 + math.exp(-total))


def _features(clause: str, place: Range, likely: Mapping[Range, float], votes: Votes) -> dict[str, float]:
    start, end = place
    word, left, right = clause[start:end], clause[:start], clause[end:]
    names, known = grammar(), lexicon()
    p = min(max(likely.get(place, 0.0), _CERTAIN), 1 - _CERTAIN)
    odds = max(-_LIMIT, min(_LIMIT, math.log(p / (1 - p))))
    rival = max((q for other, q in likely.items() if other != place and _touch(other, place)), default=0.0)
    voted = [place in some for some in votes]
    before = left[-1] if left else ""
    behind = right[0] if right else ""
    edge_left = not before or not is_han(before)
    edge_right = not behind or not is_han(behind)
    what = kind(word)
    found: dict[str, float | bool] = {
        "shape": odds,
        "shape_best": place in likely and likely[place] >= rival,
        "shape_rival": rival > _RIVAL,
        "first": voted[0],
        "first_touches": not voted[0] and any(_touch(other, place) for other in votes.first),
        "second": voted[1],
        "second_touches": not voted[1] and any(_touch(other, place) for other in votes.second),
        "segmenter": voted[2],
        "unvoted": not any(voted),
        "edge_left": edge_left,
        "edge_right": edge_right,
        "edges": edge_left and edge_right,
        "edge_right_shape": odds if edge_right else 0.0,
        "role_left": left.endswith(_roles()),
        "lead_left": left.endswith(words("leads")),
        "agent_left": bool(before) and before in _AGENT,
        "lead_character_left": bool(before) and before in _LEAD,
        "bed_left": before == "床",
        "list_left": bool(before) and before in "、/(@",
        "list_right": bool(behind) and behind in "、/):",
        "title_right": _TITLE.match(right) is not None,
        "follow_right": right[:2] in names.follow,
        "dose_right": _DOSE.match(right) is not None,
        "no_person_right": bool(behind) and behind in _NO_PERSON,
        "no_given": word[-1] in _NO_GIVEN,
        "not_given": any(c in names.not_given for c in word[1:]),
        "not_name": word[:2] in names.not_names,
        "word_left": bool(left) and clause[start - 1 : start + 1] in known.words,
        "word_right": clause[end - 1 : end + 1] in known.words,
        "two": len(word) == 2,
        "long": len(word) > 3,
        "foreign": what == "foreign",
        "dotted": what == "dotted",
        "other": what == "other",
        "weak": word[0] in names.weak and word[:2] not in names.compound,
        "listed": word in known.names,
        "ambiguous": word in _ambiguous(),
    }
    return {name: float(value) for name, value in found.items()}


def clinical(text: str, start: int, end: int) -> bool:
    """Whether what looks like a name is a clinical word, a part of one, or the name of a disease, sign or method."""
    return (
        grammar().sided(text, start)
        or within_clinical(text, start, end)
        or is_drug(text[start:end])
        or is_shortened_drug(text, start, end)
        or cuts_word(text, start, end)
        or eponym(text, start, end)
    )


def _among_words(clause: str, start: int, end: int) -> bool:
    """Whether a word that may be a name too stands in a list beside an ordinary word (柠檬、丁香、桉叶)."""
    if clause[start:end] not in _ambiguous():
        return False
    beside = [*_ITEM_LEFT.findall(clause[:start]), *_ITEM_RIGHT.findall(clause[end:])]
    return any(
        item in lexicon().words and item not in _ambiguous() and item not in word_set("ordinary_names")
        for item in beside
    )


def eponym(text: str, start: int, end: int) -> bool:
    """Whether a name is that of a disease, sign or method."""
    if _EPONYM.match(text, end) or text.startswith(words("eponyms"), start):
        return True
    if kind(text[start:end]) == "other" and text.startswith(_long_eponyms(), start):
        return True  # 凯格尔三月
    return _FOREIGN_EPONYM.match(text, end) is not None and kind(text[start:end]) in ("foreign", "dotted")


def kind(word: str) -> str:
    """What a word could be the name of: chinese, foreign (transliterated), dotted, other; none if of nobody."""
    parts = re.split(f"[{_DOTS}]", word)
    if len(word) < 2 or not all(part and all(map(is_han, part)) for part in parts):
        return "none"
    if len(parts) > 1:
        return "dotted"
    surname = grammar().surname_length(word, 0)
    if surname and 1 <= len(word) - surname <= 2:
        return "chinese"
    if all(c in characters("foreign_names") for c in word):
        return "foreign"
    return "other"


@cache
def _long_eponyms() -> tuple[str, ...]:
    """Those of three characters or more: shorter ones begin names."""
    return tuple(word for word in clinical_list("eponyms") if len(word) > 2)


@cache
def _ambiguous() -> frozenset[str]:
    return frozenset(clinical_list("ambiguous"))


@cache
def _roles() -> tuple[str, ...]:
    return (*words("roles"), *words("labels"))


def _touch(one: Range, other: Range) -> bool:
    return one[0] < other[1] and other[0] < one[1]

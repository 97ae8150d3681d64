"""Names in Chinese texts: two published taggers and a segmenter vote, a lexicon and the grammar of names decide.

What belongs here: where the taggers are asked, and what of their findings is a name. What does not: the taggers
themselves (models/bigru.py), names that a label, a title or the patient's own row gives away (detect/recognizers,
detect/known.py).

The taggers read some ten thousand characters a second, the segmenter millions. So the segmenter reads everything and
the taggers read the clauses in which it, or the grammar, leaves a doubt; each distinct clause is read once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache, lru_cache

from meddata_pipeline.privacy.detect.models.bigru import Tagger, Token
from meddata_pipeline.privacy.detect.models.lexicon import lexicon, ordinary_at
from meddata_pipeline.privacy.detect.models.packages import recipes
from meddata_pipeline.privacy.detect.names import grammar, is_han
from meddata_pipeline.privacy.detect.types import Hit
from meddata_pipeline.privacy.detect.words import alternation, characters, words

#: A clause, or a piece of one: taggers that read whole sentences found no more names, and took twice as long.
_CLAUSE = re.compile("[^。！？!?；;\n，, ]{1,120}[。！？!?；;\n，, ]?")
#: What makes a name that of a disease, sign or scale: 库欣综合征, 格林-巴利综合征, 墨菲征.
_EPONYM = re.compile(
    "(?:[\u00b7-][\u4e00-\u9fff]{1,5}?)?氏?(?:综合[征症]|[征症病瘤]|现象|反射|试验|细胞|小体|淋巴瘤|肉芽肿|麻痹|角|线|手术|分[级期类型]|评分|量表|指数|定律|杆菌|螺杆菌|病毒|染色|牙刷)"
)
#: A title behind a name.
_TITLE = re.compile(" ?" + alternation(words("titles")))
_DOTS = "\u00b7-"
#: Half-open ranges of a text.
Spans = Sequence[tuple[int, int]]
#: Clauses whose answer is kept: notes of one hospital repeat their sentences.
_KEPT = 50_000


class ChineseModel:
    """The names model for Chinese."""

    name = "names-zh"
    entities: tuple[str, ...] = ("PERSON",)

    def __init__(self) -> None:
        self._doubts = lru_cache(maxsize=_KEPT)(lambda clause: tuple(_doubts(clause)))
        self._answers: dict[str, tuple[Hit, ...]] = {}

    def find_many(self, texts: Sequence[str], covered: Sequence[Spans] | None = None) -> list[list[Hit]]:
        """For each folded text the names that the taggers agree on.

        The answer for a text does not depend on the texts beside it.

        Args:
            texts: folded texts.
            covered: for each text what is known to be a name or number already; there is no doubt about it, and the
                taggers are not asked for its sake.
        """
        asked: list[tuple[int, int, str]] = []
        for i, text in enumerate(texts):
            clear = covered[i] if covered is not None else ()
            for match in _CLAUSE.finditer(text):
                at = match.start()
                if any(
                    not any(a - at < end and start < b - at for a, b in clear)
                    for start, end in self._doubts(match.group())
                ):
                    asked.append((i, at, match.group()))
        unread = [clause for clause in dict.fromkeys(clause for _, _, clause in asked) if clause not in self._answers]
        self._answers.update(zip(unread, _judged(unread), strict=True))
        answers: list[list[Hit]] = [[] for _ in texts]
        for i, at, clause in asked:
            hits = self._answers[clause]
            answers[i] += [hit._replace(start=hit.start + at, end=hit.end + at) for hit in hits]
        for clause in list(self._answers)[: max(0, len(self._answers) - _KEPT)]:
            del self._answers[clause]
        return answers


@cache
def _taggers() -> tuple[Tagger, Tagger]:
    """The two taggers, once a process."""
    import rjieba

    return Tagger("lac"), Tagger("small", rjieba.cut)


def _doubts(clause: str) -> Iterator[tuple[int, int]]:
    """Where the segmenter sees something in a clause that could be a name."""
    import rjieba

    if len(clause) < 2 or not any(map(is_han, clause)):
        return
    names = grammar()
    at = 0
    for word, kind in rjieba.tag(clause):
        end = at + len(word)
        named = kind[:2] == "nr"
        if word[0] in names.surnames and _TITLE.match(clause, at + 1):
            # A surname before a title is found by its rule (recognizers/name_title.py).
            doubtful = False
        elif len(word) > 1:
            doubtful = named and not _ordinary(clause, at, end) and not _eponym(clause, at, end)
        else:
            # A surname on its own, with an ideograph behind it: the segmenter did not know the name.
            doubtful = (
                (named or word in names.surnames)
                and word not in names.weak
                and is_han(clause[end : end + 1] or " ")
                and not _ordinary(clause, at, end + 1)
                and not ordinary_at(clause, at)
            )
        if doubtful:
            yield at, end
        at = end


def _eponym(text: str, start: int, end: int) -> bool:
    """Whether a name is that of a disease, sign or method."""
    return bool(_EPONYM.match(text, end)) or text.startswith(words("eponyms"), start)


def _ordinary(text: str, start: int, end: int) -> bool:
    """Whether what looks like a name begins or ends as no name does."""
    names = grammar()
    return text[start : start + 2] in names.not_names or any(c in names.not_given for c in text[start:end])


def _judged(clauses: Sequence[str]) -> Iterator[tuple[Hit, ...]]:
    """The names of clauses.

    The second tagger reads those in which the first, the segmenter or a dot speaks for a name: by itself it is not
    believed.
    """
    first, second = _taggers()
    ones = [_persons("lac", clause, tokens) for clause, tokens in zip(clauses, first.tag(clauses), strict=True)]
    segmented = [_segmented(clause) for clause in clauses]
    again = [i for i, clause in enumerate(clauses) if ones[i] or segmented[i] or any(dot in clause for dot in _DOTS)]
    twos: dict[int, set[tuple[int, int]]] = {
        i: _persons("small", clauses[i], tokens)
        for i, tokens in zip(again, second.tag([clauses[i] for i in again]), strict=True)
    }
    for i, clause in enumerate(clauses):
        one, two = ones[i], twos.get(i, set())
        found: list[Hit] = []
        for start, end in sorted(one | two):
            both = (start, end) in one and (start, end) in two
            only_second = (start, end) not in one
            score = _score(clause[start:end], both, only_second, (start, end) in segmented[i])
            if score and not _eponym(clause, start, end) and (both or not _ordinary(clause, start, end)):
                found.append(Hit(start, end, "PERSON", score))
        yield tuple(found)


def _persons(tagger: str, clause: str, tokens: Sequence[Token]) -> set[tuple[int, int]]:
    """What a tagger takes for names."""
    person = recipes()["taggers"][tagger]["person"]
    return {_trimmed(clause, token) for token in tokens if token.tag == person}


def _segmented(clause: str) -> set[tuple[int, int]]:
    """What the segmenter takes for names."""
    import rjieba

    found: set[tuple[int, int]] = set()
    at = 0
    for word, kind in rjieba.tag(clause):
        if kind[:2] == "nr":
            found.add((at, at + len(word)))
        at += len(word)
    return found


def _score(word: str, both: bool, only_second: bool, segmenter: bool) -> float:
    """How sure it is that a word is a name; 0 where it is none."""
    scores = recipes()["scores"]
    kind = _kind(word)
    if kind == "other" and not both:
        return 0.0
    if kind == "none":
        return 0.0
    if kind == "dotted":
        return float(scores["dotted"] if both else scores["one_and_segmenter"])
    known = lexicon()
    if both:
        against = word in known.words and not (kind == "chinese" and len(word) > 2)
        return float(scores["both_against_lexicon"] if against else scores["both"])
    # The lexicon calls many foreign places names; where only the first tagger does too, it is one more often than not.
    if word in known.words or not segmenter or (word in known.names and not only_second):
        return 0.0
    return float(scores["one_and_segmenter"])


def _kind(word: str) -> str:
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


def _trimmed(text: str, token: Token) -> tuple[int, int]:
    """A tagger's finding without the offices, places and titles that it took into the name."""
    start, end = token.start, token.end
    left, right, places = _trims()
    trimming = True
    while trimming and end - start > 1:
        trimming = False
        for size in (4, 3, 2):
            head = text[start : start + size]
            if end - start - size >= 2 and (
                head in left or (head in places and not grammar().surname_length(text, start))
            ):
                start += size
                trimming = True
                break
        for size in (3, 2):
            if end - start > size and text[end - size : end] in right:
                end -= size
                trimming = True
                break
    if end - start == 2 and text[end - 1] in "老总家氏某":
        end -= 1
    return start, end


@cache
def _trims() -> tuple[frozenset[str], frozenset[str], frozenset[str]]:
    rule = recipes()
    return frozenset(rule["left"].split()), frozenset(rule["right"].split()), lexicon().places

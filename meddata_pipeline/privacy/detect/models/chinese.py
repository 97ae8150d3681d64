"""Names in Chinese texts: two published taggers and a segmenter vote, a lexicon and the grammar of names decide.

What belongs here: where the taggers are asked, and what of their findings is a name. What does not: the taggers
themselves (models/bigru.py), names that a label, a title or the patient's own row gives away (detect/recognizers,
detect/known.py).

The taggers read some ten thousand characters a second, the segmenter millions. So the segmenter reads everything and
the taggers read the clauses in which it, or the grammar, leaves a doubt; each distinct clause is read once.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from functools import cache
from typing import NamedTuple

from meddata_pipeline.core.errors import ConfigError
from meddata_pipeline.privacy.detect.models.bigru import Tagger, Token, digest_of, package_folder, recipes
from meddata_pipeline.privacy.detect.names import grammar, is_han
from meddata_pipeline.privacy.detect.types import Hit
from meddata_pipeline.privacy.detect.words import characters

#: A sentence, or a piece of one where it is longer than what the taggers were trained on.
_SENTENCE = re.compile("[^。！？!?；;\n]{1,120}[。！？!?；;\n]?")
_DOTS = "\u00b7-"
#: Clauses whose answer is kept: notes of one hospital repeat their sentences.
_KEPT = 50_000


class Lexicon(NamedTuple):
    """Words with their kind, of the segmenter's own word list.

    Attributes:
        names: words that are names of persons there.
        words: all others of two to six characters.
        places: names of places among them.
    """

    names: frozenset[str]
    words: frozenset[str]
    places: frozenset[str]


@cache
def lexicon() -> Lexicon:
    """The lexicon.

    Raises:
        ConfigError: its package is missing, or another version of it is installed.
    """
    recipe = recipes()["lexicon"]
    path = package_folder(recipe["package"]) / recipe["file"]
    if digest_of([path]) != recipe["sha256"]:
        raise ConfigError(f"the word list of {recipe['package']} is not the one of version {recipe['version']}")
    names: set[str] = set()
    words: set[str] = set()
    places: set[str] = set()
    for line in path.read_text(encoding="utf-8").splitlines():
        word, _, kind = line.split(" ")
        if not 2 <= len(word) <= 6:
            continue
        (names if kind.startswith("nr") else words).add(word)
        if kind == "ns":
            places.add(word)
    return Lexicon(frozenset(names), frozenset(words), frozenset(places))


class ChineseModel:
    """The names model for Chinese."""

    name = "names-zh"
    entities: tuple[str, ...] = ("PERSON",)

    def __init__(self) -> None:
        self._answers: OrderedDict[str, tuple[Hit, ...]] = OrderedDict()

    def find_many(self, texts: Sequence[str]) -> list[list[Hit]]:
        """For each folded text the names that the taggers agree on."""
        places: dict[str, list[tuple[int, int]]] = {}
        for i, text in enumerate(texts):
            for match in _SENTENCE.finditer(text):
                places.setdefault(match.group(), []).append((i, match.start()))
        answers: list[list[Hit]] = [[] for _ in texts]
        doubtful = [s for s in places if s not in self._answers and _doubtful(s)]
        if doubtful:
            for sentence, hits in zip(doubtful, _judged(doubtful), strict=True):
                self._answers[sentence] = hits
        for sentence, where in places.items():
            hits = self._answers.get(sentence, ())
            for i, at in where if hits else ():
                answers[i] += [hit._replace(start=hit.start + at, end=hit.end + at) for hit in hits]
        while len(self._answers) > _KEPT:
            self._answers.popitem(last=False)
        return answers


@cache
def _taggers() -> tuple[Tagger, Tagger]:
    """The two taggers, once a process."""
    import rjieba

    return Tagger("lac"), Tagger("small", rjieba.cut)


def _doubtful(sentence: str) -> bool:
    """Whether the segmenter sees anything in a sentence that could be a name."""
    import rjieba

    if not any(is_han(c) for c in sentence):
        return False
    if "\u00b7" in sentence:
        return True
    names = grammar()
    at = 0
    for word, kind in rjieba.tag(sentence):
        if kind[:2] == "nr" and len(word) > 1 and not _ordinary(sentence, at, at + len(word)):
            return True
        # A surname on its own, with ideographs behind it that are no word: the segmenter did not know the name.
        if (
            kind == "nr"
            and len(word) == 1
            and word not in names.weak
            and is_han(sentence[at + 1 : at + 2] or " ")
            and sentence[at + 1] not in names.not_given
            and sentence[at : at + 2] not in names.not_names
        ):
            return True
        at += len(word)
    return False


def _ordinary(text: str, start: int, end: int) -> bool:
    """Whether what looks like a name begins or ends as no name does."""
    names = grammar()
    return text[start : start + 2] in names.not_names or any(c in names.not_given for c in text[start:end])


def _judged(sentences: Sequence[str]) -> Iterator[tuple[Hit, ...]]:
    """The names of sentences."""
    import rjieba

    rule = recipes()
    first, second = _taggers()
    persons = tuple(rule["taggers"][name]["person"] for name in ("lac", "small"))
    for sentence, one, two in zip(sentences, first.tag(sentences), second.tag(sentences), strict=True):
        segmenter: set[tuple[int, int]] = set()
        at = 0
        for word, kind in rjieba.tag(sentence):
            if kind[:2] == "nr":
                segmenter.add((at, at + len(word)))
            at += len(word)
        votes = [
            {_trimmed(sentence, token) for token in tokens if token.tag == person}
            for tokens, person in zip((one, two), persons, strict=True)
        ]
        found: list[Hit] = []
        for start, end in sorted(votes[0] | votes[1]):
            both = (start, end) in votes[0] and (start, end) in votes[1]
            only_second = (start, end) not in votes[0]
            score = _score(sentence[start:end], both, only_second, (start, end) in segmenter)
            if score and not (_ordinary(sentence, start, end) and not both):
                found.append(Hit(start, end, "PERSON", score))
        yield tuple(found)


def _score(word: str, both: bool, only_second: bool, segmenter: bool) -> float:
    """How sure it is that a word is a name; 0 where it is none."""
    scores = recipes()["scores"]
    kind = _kind(word)
    if kind == "other" and not both:
        return 0.0
    if kind == "none":
        return 0.0
    if kind == "dotted":
        return float(scores["both"] if both else scores["one_and_segmenter"])
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

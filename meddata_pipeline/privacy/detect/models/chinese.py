"""Names in Chinese texts: two published taggers and a segmenter vote, their votes and the shape of names are weighed.

What belongs here: where the taggers are asked, and what of their findings is a name. What does not: the taggers
themselves (models/bigru.py), what speaks for a range (models/evidence.py, models/shape.py), names that a label, a title
or the patient's own row gives away (detect/recognizers, detect/known.py).

The taggers read some ten thousand characters a second, the segmenter millions. So the segmenter and the lattice of
shapes read everything, and the taggers read the clauses in which these leave a doubt; each distinct clause is read
once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache, lru_cache
from typing import NamedTuple

import numpy as np

from meddata_pipeline.privacy.detect.models.bigru import Tagger, Token
from meddata_pipeline.privacy.detect.models.evidence import Range, Votes, candidates, chances, clinical, kind
from meddata_pipeline.privacy.detect.models.lexicon import lexicon, ordinary_at
from meddata_pipeline.privacy.detect.models.packages import recipes
from meddata_pipeline.privacy.detect.models.shape import RUN, shape
from meddata_pipeline.privacy.detect.names import grammar
from meddata_pipeline.privacy.detect.types import Hit
from meddata_pipeline.privacy.detect.words import alternation, words

#: A clause, or a piece of one: taggers that read whole sentences found no more names, and took twice as long.
_CLAUSE = re.compile("[^。！？!?；;\n，, ]{1,120}[。！？!?；;\n，, ]?")
#: A title behind a name.
_TITLE = re.compile(" ?" + alternation(words("titles")))
_DOTS = "\u00b7-"
#: Half-open ranges of a text.
Spans = Sequence[Range]
#: Clauses whose answer is kept: notes of one hospital repeat their sentences.
_KEPT = 50_000
#: Where a finding goes to the review list and where it counts, in scores (entities.yaml: PERSON).
REVIEW, COUNTS = 0.35, 0.5


class _Finding(NamedTuple):
    """A name of a clause.

    Attributes:
        hit: the name.
        voted: whether the taggers' votes suffice by themselves.
        exact: how likely it is exactly a name.
        whole: the name with the characters that may belong to it: in a note they are masked too.
    """

    hit: Hit
    voted: bool
    exact: float
    whole: Hit


class ChineseModel:
    """The names model for Chinese."""

    name = "names-zh"
    entities: tuple[str, ...] = ("PERSON",)

    def __init__(self) -> None:
        self._doubts = lru_cache(maxsize=_KEPT)(lambda run: tuple(_doubts(run)))
        self._answers: dict[str, tuple[_Finding, ...]] = {}

    def find_many(
        self,
        texts: Sequence[str],
        covered: Sequence[Spans] | None = None,
        notes: Sequence[bool] | None = None,
    ) -> list[list[Hit]]:
        """For each folded text its names.

        The answer for a text does not depend on the texts beside it.

        Args:
            texts: folded texts.
            covered: for each text what is known to be a name or number already; there is no doubt about it, and the
                taggers are not asked for its sake.
            notes: for each text whether it is a hospital's note, in which a name is likely and the worse error is to
                overlook it; by default none is.
        """
        asked: list[tuple[int, int, str]] = []
        for i, text in enumerate(texts):
            clear = covered[i] if covered is not None else ()
            for at, clause in clauses(text):
                if self._doubtful(clause, at, clear):
                    asked.append((i, at, clause))
        unread = [clause for clause in dict.fromkeys(clause for _, _, clause in asked) if clause not in self._answers]
        self._answers.update(zip(unread, _judged(unread), strict=True))
        answers: list[list[Hit]] = [[] for _ in texts]
        least = recipes()["least"]
        for i, at, clause in asked:
            note = notes is not None and notes[i]
            for finding in self._answers[clause]:
                if finding.voted or note or finding.exact >= least["any_text"]:
                    hit = finding.whole if note else finding.hit
                    answers[i].append(hit._replace(start=hit.start + at, end=hit.end + at))
        for clause in list(self._answers)[: max(0, len(self._answers) - _KEPT)]:
            del self._answers[clause]
        return answers

    def _doubtful(self, clause: str, at: int, clear: Spans) -> bool:
        """Whether something in a clause could be a name that is not known already."""
        for run in RUN.finditer(clause):
            begins = at + run.start()
            for start, end in self._doubts(run.group()):
                if not any(a < begins + end and begins + start < b for a, b in clear):
                    return True
        return False


@cache
def _taggers() -> tuple[Tagger, Tagger]:
    """The two taggers, once a process."""
    import rjieba

    return Tagger("lac"), Tagger("small", rjieba.cut)


def _doubts(run: str) -> Iterator[tuple[int, int]]:
    """Where the segmenter or the lattice sees something in a run of ideographs that could be a name."""
    import rjieba

    names = grammar()
    at = 0
    for word, tag in rjieba.tag(run):
        end = at + len(word)
        named = tag[:2] == "nr"
        if word[0] in names.surnames and _TITLE.match(run, at + 1):
            # A surname before a title is found by its rule (recognizers/name_title.py).
            doubtful = False
        elif len(word) > 1:
            doubtful = named and not _unlike(run, at, end) and not clinical(run, at, end)
        else:
            # A surname on its own, with an ideograph behind it: the segmenter did not know the name.
            doubtful = (
                (named or word in names.surnames)
                and word not in names.weak
                and end < len(run)
                and not _ordinary(run, at, end + 1)
                and not ordinary_at(run, at)
            )
        if doubtful:
            yield at, end
        at = end
    least = recipes()["doubt"]
    for start, end, chance in shape().likely(run):
        if chance >= least and not _unlike(run, start, end) and not clinical(run, start, end):
            yield start, end


def _ordinary(text: str, start: int, end: int) -> bool:
    """Whether what looks like a name begins or ends as no name does."""
    return text[start : start + 2] in grammar().not_names or _unlike(text, start, end)


def _unlike(text: str, start: int, end: int) -> bool:
    """Whether what looks like a name holds a character that given names do not."""
    names = grammar()
    given = start + max(1, names.surname_length(text, start))
    return any(c in names.not_given for c in text[given:end])


def clauses(text: str) -> Iterator[tuple[int, str]]:
    """The clauses of a text with their offsets."""
    for match in _CLAUSE.finditer(text):
        yield match.start(), match.group()


def votes_of(asked: Sequence[str]) -> Iterator[Votes]:
    """What taggers and segmenter take for names in clauses."""
    first, second = _taggers()
    for clause, ones, twos in zip(asked, first.tag(asked), second.tag(asked), strict=True):
        yield Votes(_persons("lac", clause, ones), _persons("small", clause, twos), _segmented(clause))


def _judged(asked: Sequence[str]) -> Iterator[tuple[_Finding, ...]]:
    """The names of clauses, and what may be one in a note."""
    rule = recipes()
    for clause, votes in zip(asked, votes_of(asked), strict=True):
        ranked: list[tuple[float, _Finding]] = []
        for place, features in candidates(clause, votes):
            exact, there = chances(features)
            score = _score(clause, place, votes)
            if score or there >= rule["least"]["withheld"]:
                hit = Hit(*place, "PERSON", score or _confidence(there))
                ranked.append((exact + (rule["voted"] if score else 0.0), _Finding(hit, bool(score), exact, hit)))
        ranked.sort(key=lambda item: -item[0])
        found: list[_Finding] = []
        for _, finding in ranked:
            hit = finding.hit
            if all(hit.end <= other.hit.start or other.hit.end <= hit.start for other in found):
                found.append(finding)
        found = [_whole(finding, ranked, found, rule["whole"]) for finding in found]
        yield tuple(sorted(found))


def _whole(
    finding: _Finding, ranked: Sequence[tuple[float, _Finding]], found: Sequence[_Finding], share: float
) -> _Finding:
    """A finding with its ``whole``: the longest range around it that is nearly as likely."""
    start, end = finding.hit.start, finding.hit.end
    for _, other in ranked:
        first, last = other.hit.start, other.hit.end
        holds = first <= start and end <= last and last - first > end - start
        free = all(f is finding or last <= f.hit.start or f.hit.end <= first for f in found)
        if holds and free and other.exact >= share * finding.exact:
            return finding._replace(whole=finding.hit._replace(start=first, end=last))
    return finding


def _confidence(chance: float) -> float:
    """A probability as a score: what counts in a note reaches the threshold of names, the rest the review list."""
    least = recipes()["least"]
    score = np.interp(chance, [0.0, least["withheld"], least["note"], 1.0], [0.0, REVIEW, COUNTS, 1.0])
    return round(float(score), 2)


def _persons(tagger: str, clause: str, tokens: Sequence[Token]) -> set[tuple[int, int]]:
    """What a tagger takes for names."""
    person = recipes()["taggers"][tagger]["person"]
    return {_trimmed(clause, token) for token in tokens if token.tag == person}


def _segmented(clause: str) -> set[tuple[int, int]]:
    """What the segmenter takes for names."""
    import rjieba

    found: set[tuple[int, int]] = set()
    at = 0
    for word, tag in rjieba.tag(clause):
        if tag[:2] == "nr":
            found.add((at, at + len(word)))
        at += len(word)
    return found


def _score(clause: str, place: Range, votes: Votes) -> float:
    """How sure the votes alone make it that a range is a name; 0 where they do not."""
    word = clause[slice(*place)]
    scores = recipes()["scores"]
    one, two = place in votes.first, place in votes.second
    if not (one or two) or (not (one and two) and _ordinary(clause, *place)):
        return 0.0
    what = kind(word)
    if what == "other" and not (one and two):
        return 0.0
    if what == "dotted":
        return float(scores["dotted"] if one and two else scores["one_and_segmenter"])
    known = lexicon()
    if one and two:
        against = word in known.words and not (what == "chinese" and len(word) > 2)
        return 0.0 if against else float(scores["both"])
    # The lexicon calls many foreign places names; where only the first tagger does too, it is one more often than not.
    if word in known.words or place not in votes.segmenter or (word in known.names and one):
        return 0.0
    return float(scores["one_and_segmenter"])


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

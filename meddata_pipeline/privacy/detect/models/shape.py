"""What looks like a Chinese name by its characters alone: a lattice of words and names.

What belongs here: how likely characters are a name rather than words, from counts. What does not: what stands around
a name (models/chinese.py weighs that), taggers.

A run of ideographs is read in all ways as words of the lexicon, single characters, and names. A name is a surname with
one or two characters of given names, or three to six characters of transliterated names; its likelihood is that of its
characters among names. The sum over all readings in which a range is a name, divided by the sum over all readings, is
the range's probability. Names of the lexicon teach the characters; many of its entries are none, so each entry counts
as far as it looks like a name itself (expectation maximisation).

Source:
    J. Sun, J. Gao, L. Zhang, M. Zhou, C. Huang: Chinese named entity identification using class-based language model,
    COLING 2002.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from functools import cache, lru_cache
from typing import NamedTuple

from meddata_pipeline.privacy.detect.models.lexicon import LONGEST, clinical_words, lexicon
from meddata_pipeline.privacy.detect.names import grammar
from meddata_pipeline.privacy.detect.words import characters

#: Share of names among the words of a text, and of transliterated names.
NAMES = 0.01
TRANSLITERATED = 0.001
#: How often a clinical word counts that the lexicon lacks.
CLINICAL = 300
#: A compound surname among all surnames.
COMPOUND = 2e-5
#: Given names of one character among all.
SHORT = 0.25
#: Ranges below this are not worth a look.
LEAST = 0.003
#: A run of ideographs, or a piece of a long one.
RUN = re.compile("[\u3400-\u9fff]{2,40}")
#: Keeps products of probabilities in range: about the inverse of a character's probability.
_SCALE = 3000.0
_POWERS = tuple(_SCALE**n for n in range(6))
_KEPT = 50_000
Range = tuple[int, int]


class Likely(NamedTuple):
    """A range that may be a name; half-open offsets."""

    start: int
    end: int
    probability: float


class Shape:
    """The lattice over the lexicon."""

    def __init__(self) -> None:
        known = lexicon()
        names = grammar()
        total = sum(known.words.values()) + sum(alone for alone, _ in known.characters.values())
        self._words = {word: count / total * _SCALE ** len(word) for word, count in known.words.items()}
        for word in clinical_words():
            if 2 <= len(word) <= LONGEST:
                weight = CLINICAL / total * _SCALE ** len(word)
                self._words[word] = max(self._words.get(word, 0.0), weight)
        # The beginnings of words are kept with no weight: where one is missing, no longer word begins.
        for word in list(self._words):
            for end in range(2, len(word)):
                self._words.setdefault(word[:end], 0.0)
        self._words |= {c: max(alone, 0.5) / total * _SCALE for c, (alone, _) in known.characters.items()}
        self._unknown = 0.5 / total * _SCALE
        self._surnames, self._given = _counted(
            [n for n in known.names if len(n) in (2, 3) and n[0] in names.surnames],
            {c: within for c, (_, within) in known.characters.items()},
        )
        self._compound = names.compound
        self._least = tuple(min(table.values()) for table in self._given)
        foreign = Counter(c for word in sorted(known.transliterated) if len(word) > 2 for c in word)
        letters = characters("transliteration")
        mass = sum(foreign.values())
        self._foreign = {c: (foreign[c] / mass + (c in letters) / len(letters)) / 2 for c in {*foreign, *letters}}
        self.runs = lru_cache(maxsize=_KEPT)(self._run)

    def surname(self, character: str) -> float:
        """Share of a surname of one character among all surnames; 0 where it is none."""
        return self._surnames.get(character, 0.0)

    def likely(self, text: str) -> Iterator[Likely]:
        """The ranges of a text that may be names."""
        for run in RUN.finditer(text):
            at = run.start()
            for start, end, probability in self.runs(run.group()):
                yield Likely(start + at, end + at, probability)

    def _run(self, text: str) -> Sequence[Likely]:
        size = len(text)
        get = self._words.get
        unknown = self._unknown
        into = [1.0] + [0.0] * size
        ways: list[list[tuple[int, float]]] = []
        named: list[tuple[int, int, float]] = []
        for i in range(size):
            reached = into[i]
            weight = get(text[i]) or unknown
            here = [(i + 1, weight)]
            into[i + 1] += reached * weight
            for end in range(i + 2, min(i + LONGEST, size) + 1):
                known = get(text[i:end])
                if known is None:
                    break
                if known:
                    here.append((end, known))
                    into[end] += reached * known
            for end, weight in self._names_at(text, i):
                here.append((end, weight))
                named.append((i, end, weight))
                into[end] += reached * weight
            ways.append(here)
        if not named:
            return ()
        out_of = [0.0] * size + [1.0]
        for i in range(size - 1, -1, -1):
            total = 0.0
            for end, weight in ways[i]:
                total += weight * out_of[end]
            out_of[i] = total
        found: dict[Range, float] = {}
        for i, end, weight in named:
            chance = into[i] * weight * out_of[end] / into[size]
            found[i, end] = found.get((i, end), 0.0) + chance
        return tuple(Likely(*place, chance) for place, chance in found.items() if chance >= LEAST)

    def _names_at(self, text: str, i: int) -> Iterator[tuple[int, float]]:
        """Where names that begin at a place may end, with their weights."""
        size = len(text)
        surname = 2 if text[i : i + 2] in self._compound else 1 if text[i] in self._surnames else 0
        if surname:
            first, second, only = self._given
            share = NAMES * (self._surnames[text[i]] if surname == 1 else COMPOUND)
            end = i + surname + 1
            if end <= size:
                last = text[end - 1]
                yield end, share * SHORT * only.get(last, self._least[2]) * _POWERS[surname + 1]
                if end < size:
                    given = first.get(last, self._least[0]) * second.get(text[end], self._least[1])
                    yield end + 1, share * (1 - SHORT) * given * _POWERS[surname + 2]
        letters = self._foreign
        weight = TRANSLITERATED / 4
        for end in range(i + 1, min(i + 6, size) + 1):
            letter = letters.get(text[end - 1])
            if letter is None:
                return
            weight *= letter * _SCALE
            if end - i >= 3:
                yield end, weight


def _counted(
    names: Sequence[str], background: dict[str, int]
) -> tuple[dict[str, float], tuple[dict[str, float], dict[str, float], dict[str, float]]]:
    """Shares of surnames, and of given names' characters: the first and second of two, and the only one.

    Args:
        names: entries of two and three characters that begin with a surname, many of them no names.
        background: how often a character is counted in words.
    """
    names = sorted(names)
    given = {*background, *(c for name in names for c in name[1:])}
    mass = sum(background.values())
    weights = [1.0] * len(names)
    surnames: dict[str, float] = {}
    tables: tuple[dict[str, float], ...] = ({}, {}, {})
    for _ in range(3):
        counts: tuple[dict[str, float], ...] = ({}, {}, {}, {})
        for name, weight in zip(names, weights, strict=True):
            places = ((name[0], 0), (name[1], 1), (name[2], 2)) if len(name) == 3 else ((name[0], 0), (name[1], 3))
            for c, place in places:
                counts[place][c] = counts[place].get(c, 0.0) + weight
        surnames = _shares(counts[0], grammar().surnames, 0.5)
        first, second, only = (_shares(counts[place], given, 0.1) for place in (1, 2, 3))
        # One character alone is like the second of two, of which there are many more entries.
        only = {c: 0.3 * only[c] + 0.7 * second[c] for c in only}
        tables = (first, second, only)
        weights = []
        for name in names:
            chance = 0.5
            for c in name:
                chance *= (background.get(c, 0) + 1) / mass
            if len(name) == 3:
                own = surnames[name[0]] * first.get(name[1], 0.0) * second.get(name[2], 0.0)
            else:
                own = surnames[name[0]] * only.get(name[1], 0.0)
            weights.append(own / (own + chance))
    return surnames, (tables[0], tables[1], tables[2])


def _shares(counts: dict[str, float], alphabet: Collection[str], extra: float) -> dict[str, float]:
    """Counts as shares, each item of an alphabet with something added."""
    mass = sum(counts.values()) + extra * len(alphabet)
    return {c: (counts.get(c, 0.0) + extra) / mass for c in alphabet}


@cache
def shape() -> Shape:
    """The lattice, once a process."""
    return Shape()

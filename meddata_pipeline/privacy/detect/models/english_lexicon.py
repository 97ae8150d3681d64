"""What kind of word a capitalised English word is: ordinary, a name, a term, a place, or unknown.

What belongs here: word lists, frequencies and vectors. What does not: deciding which words of a sentence are a name.

The vocabulary of the pinned spaCy package is ordered by frequency and keeps Rose apart from rose: that tells ordinary
words. Its vectors tell names from places, drugs and firms: a ridge regression on the words of english_words.yaml,
solved when the package is loaded (some 30 ms), carries those examples over to its half a million words.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from importlib import resources
from typing import Any

import numpy as np
import yaml

#: A word is ordinary where its small form stands at most this many times as deep in the vocabulary as its capital form.
ORDINARY_RANK = 4
#: Score of a vector (names are near 1, other words near -1) from which on a word counts as a name.
NAME_SCORE = 0.0
#: A word that is never written small and scores above this may be a name; below it is something else.
DOUBT_SCORE = -0.6
#: Score from which on a word counts as a name that is an ordinary word too (Young, Wells).
BOTH_SCORE = 0.3
#: Score from which on a word in capitals counts as a name.
SURE_SCORE = 0.7
#: How many times as deep as its capital form a small word has to stand to count as a name.
SMALL_RANK = 8
#: A small word before this position is too frequent to be a name, whatever its capital form is.
_OFTEN = 20_000
_RARE = 10**9
#: Words up to this length say little.
_SHORT = 3
#: Words in capitals shorter than this are names only where they are listed.
_LONG = 5
_RIDGE = 2.0
#: Frequent small words that stand for everything that is no name.
_FREQUENT = slice(200, 12_000, 4)
_PREFIXED = re.compile(r"(?:Mc|Mac|Di|De|La|Le|Van|Fitz|O['’])[A-ZÀ-Þ][a-zß-ÿ]+")


@cache
def words(name: str) -> frozenset[str]:
    """A list of english_words.yaml; an underscore stands for a blank."""
    return frozenset(word.replace("_", " ") for word in _raw()[name].split())


@cache
def _raw() -> dict[str, str]:
    source = resources.files(__package__).joinpath("english_words.yaml").read_text(encoding="utf-8")
    loaded: dict[str, str] = yaml.safe_load(source)
    return loaded


class Lexicon:
    """Kinds of words.

    ``kind`` answers with one letter: N name, A ordinary and a name too, O ordinary, U known and something else, V
    unknown, X term, T eponym, P country or state, B word of a body or place.

    Args:
        vocab: a spaCy vocabulary with vectors, its keys in order of frequency.
    """

    def __init__(self, vocab: Any) -> None:
        strings = vocab.strings
        self._rank = {strings[key]: i for i, key in enumerate(vocab.vectors.key2row)}
        self._rows = vocab.vectors.key2row
        self._strings = strings
        self._table = vocab.vectors.data
        self._names = words("given") | words("surnames")
        self._terms = words("never") | words("brands")
        self._drug_ends = tuple(words("drug_ends"))
        self._surname_ends = tuple(words("surname_ends"))
        self._weights = self._fitted()
        self._kinds: dict[str, str] = {}

    def _vector(self, word: str) -> Any:
        vector = self._table[self._rows[self._strings[word]]]
        return np.append(vector / (float(np.linalg.norm(vector)) or 1.0), 1.0)

    def _fitted(self) -> Any:
        """Weights of the 300 components and a constant: ridge regression, both classes of equal weight."""
        others = {word for part in ("cities", "brands", "body_words", "wide_places", "never") for word in words(part)}
        others |= {word for word in list(self._rank)[_FREQUENT] if word.isalpha() and word.islower()}
        known = [
            [self._vector(word) for word in sorted(group) if word in self._rank]
            for group in (self._names, others - self._names)
        ]
        x = np.array([vector for group in known for vector in group])
        y = np.repeat([1.0, -1.0], [len(group) for group in known])
        weighted = x * np.repeat([0.5 * len(x) / len(group) for group in known], [len(g) for g in known])[:, None]
        return np.linalg.solve(weighted.T @ x + _RIDGE * np.eye(x.shape[1]), weighted.T @ y)

    def score(self, word: str) -> float:
        """How much a word of the vocabulary resembles names: about 1 for names, about -1 for other words."""
        return float(self._vector(word) @ self._weights)

    def kind(self, word: str) -> str:
        """The kind of a word as it stands in a text, without a possessive end."""
        found = self._kinds.get(word)
        if found is None:
            found = self._kinds[word] = self._kind(word)
        return found

    def _kind(self, word: str) -> str:
        form = titled(word)
        if word in self._terms or form in self._terms:
            return "X"
        if form in words("wide_places") or form.endswith(("lander", "landers")):
            return "P"
        if form in words("body_words"):
            return "B"
        if form in words("eponyms_alone"):
            return "T"
        if "-" in form:
            kinds = {self.kind(part) for part in form.split("-") if part[:1].isupper()}
            return "N" if "N" in kinds and kinds <= set("NAVU") else "V" if kinds == {"V"} else "O"
        if word.isupper() and form not in self._names and (len(word) < _LONG or self.score_of(form) < SURE_SCORE):
            return "O"
        if form != word and not word.isupper() and not word.islower():
            form = word
        known = form in self._names
        if not known and form not in self._rank:
            return self._unknown(word, form)
        if self.ordinary(form):
            return "A" if known or (form in self._rank and self.score(form) > BOTH_SCORE) else "O"
        if known or self.score(form) > NAME_SCORE or self._foreign(form):
            return "N"
        return "V" if self.score(form) > DOUBT_SCORE and form.lower() not in self._rank else "U"

    def _foreign(self, form: str) -> bool:
        """Whether a word that is hardly ever written small is a known name without its accents, or ends like one."""
        if form.lower() in self._rank or form in words("cities"):
            return False
        bare = unaccented(form)
        return form.endswith(self._surname_ends) or (
            bare != form and (bare in self._names or (bare in self._rank and self.score(bare) > NAME_SCORE))
        )

    def _unknown(self, word: str, form: str) -> str:
        if word.isupper() or form.lower() in self._rank or form.lower().endswith(self._drug_ends):
            return "O"
        if self._foreign(form):
            return "N"
        if re.search("[A-ZÀ-Þ]", form[1:]):
            # McDonald is a name; mmHg, SpO2 and HbA are not.
            return "V" if _PREFIXED.fullmatch(form) else "O"
        return "V"

    def surely(self, word: str) -> bool:
        """Whether a word that is written small is a name all the same."""
        form = titled(word)
        if len(word) <= _SHORT or self.kind(form) != "N":
            return False
        if form in self._names or unaccented(form) in self._names:
            return True
        small, capital = self._rank.get(word, _RARE), self._rank.get(form, _RARE)
        return self.score_of(form) > BOTH_SCORE and small > max(_OFTEN, SMALL_RANK * capital)

    def unheard(self, word: str) -> str:
        """``V`` for a word written small that may belong to a name beside it, otherwise ``O``."""
        kind = self.kind(titled(word)) if len(word) > _SHORT else "O"
        return "V" if kind == "N" or (kind == "V" and word not in self._rank) else "O"

    def score_of(self, word: str) -> float:
        """The score of any word; -1 where the vocabulary lacks it."""
        return self.score(word) if word in self._rank else -1.0

    def ordinary(self, form: str) -> bool:
        """Whether a word is mostly written small."""
        small = self._rank.get(form.lower())
        capital = self._rank.get(form)
        return small is not None and (capital is None or small < ORDINARY_RANK * capital)


def unaccented(word: str) -> str:
    """A word without its diacritics; letters that are no combination (ø, ł) stay."""
    return "".join(c for c in unicodedata.normalize("NFD", word) if not unicodedata.combining(c))


def titled(word: str) -> str:
    """A word in capitals or small letters as a name is written; any other as it is."""
    if word.isupper() or word.islower():
        return "-".join(part[:1].upper() + part[1:].lower() for part in word.split("-"))
    return word

"""One look at many texts for all patterns: where may a match of each begin?

What belongs here: the places that are worth a pattern's while, worked out for all patterns at once. What does not: what
is looked for.

Dozens of patterns that each run over every character cost most of the time of a search. From a pattern's own syntax
tree follows what its first characters may be, and of which rare characters a match holds one (号 or 弄 of a house's
number, @ of an e-mail address); with these as bit sets, a few array operations give, for sixty-four patterns at a time,
the few places where a match may begin, and the pattern is tried there only. What is found stays the same: a place that
is left out can't match.
"""

from __future__ import annotations

import re
import sys
import threading
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Stands between texts that are searched in one call.
SEPARATOR = "\x00"
#: Characters at the beginning of a match that are looked at.
DEPTH = 6
#: Characters outside the basic plane share one place in the tables.
_ASTRAL = 0x10000
_BITS = 64
#: A power of two. A rare character that stands within so many characters of the beginning is looked for there, one that
#: may stand further off in the whole text.
_NEAR = 8
#: How frequent characters are in notes, about, in thousandths; others: 1. Costs speed where it is wrong, nothing else.
_FREQUENT = {
    **dict.fromkeys("0123456789", 20),
    **dict.fromkeys(" ,.:;", 30),
    **dict.fromkeys("-/()\n", 8),
    **dict.fromkeys("abcdefghijklmnopqrstuvwxyz", 5),
}
#: A set of characters this frequent tells nothing.
_TOO_FREQUENT = 300


class Pattern:
    """A regular expression whose ``finditer`` uses the sweep of the text, where there is one.

    A look-behind may reach one character before the match and no further: there may be another text.

    Args:
        pattern: the expression.
        flags: as for ``re.compile``.
        holds: an expression that finds something in every text in which the pattern does. Where it is rarer than what
            the pattern begins with, most texts are passed over.
    """

    def __init__(self, pattern: str, flags: int = 0, holds: str | None = None) -> None:
        self.plain = re.compile(pattern, flags)
        self.holds = Pattern(holds) if holds is not None else None
        self.number = len(_PATTERNS)
        _PATTERNS.append(self)

    def finditer(self, text: str) -> Iterator[re.Match[str]]:
        """All matches; of a swept text those within each of its parts."""
        sweep: Sweep | None = getattr(_CURRENT, "sweep", None)
        if sweep is None or sweep.text is not text:
            return self.plain.finditer(text)
        return sweep.matches(self)

    def search(self, text: str, start: int = 0, end: int = sys.maxsize) -> re.Match[str] | None:
        """The first match in a range."""
        return self.plain.search(text, start, end)

    def match(self, text: str, start: int = 0, end: int = sys.maxsize) -> re.Match[str] | None:
        """The match at a place."""
        return self.plain.match(text, start, end)


_PATTERNS: list[Pattern] = []
_CURRENT = threading.local()


class Sweep:
    """The places in joined texts at which patterns may match.

    Args:
        text: texts with SEPARATOR between them.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        tables = _tables(len(_PATTERNS))
        codes = np.frombuffer((text + SEPARATOR * DEPTH).encode("utf-32-le", "surrogatepass"), np.uint32)
        classes = tables.classes[np.minimum(codes, _ASTRAL)]
        size = len(text)
        breaks = np.flatnonzero(codes[:size] == 0)
        self.starts: list[int] = [0, *(breaks + 1).tolist()]
        self._ends = np.append(breaks, size)
        self._places: list[NDArray[np.int64]] = []
        self._held: list[NDArray[np.uint64]] = []
        self._stops: list[NDArray[np.int64]] = []
        for word in range(len(tables.near)):
            # What rules out most comes first; what is left is soon little.
            near = tables.near[word].take(classes)
            step = 1
            while step < _NEAR:
                near[:-step] |= near[step:]
                step *= 2
            first = tables.follows[word][0].take(classes[:size])
            first &= near[:size]
            places = (first != 0).nonzero()[0]
            held = first[places]
            held &= tables.before[word].take(classes[places - 1])
            for depth in range(1, DEPTH):
                held &= tables.follows[word][depth].take(classes[places + depth])
                if depth % 2:
                    places, held = _kept(places, held)
            where = self._ends.searchsorted(places)
            held &= np.bitwise_or.reduceat(tables.somewhere[word].take(classes), self.starts)[where]
            some = (held != 0).nonzero()[0]
            self._places.append(places[some])
            self._held.append(held[some])
            self._stops.append(self._ends[where[some]])

    def part(self, place: int) -> tuple[int, int]:
        """The half-open range of the text in which a place lies."""
        i = bisect_right(self.starts, place) - 1
        return self.starts[i], int(self._ends[i])

    def parts(self) -> Iterator[tuple[int, int]]:
        """The half-open ranges of all texts."""
        return zip(self.starts, self._ends.tolist(), strict=True)

    def matches(self, pattern: Pattern) -> Iterator[re.Match[str]]:
        """What ``finditer`` finds in each text."""
        word, bit = divmod(pattern.number, _BITS)
        if word >= len(self._held):
            # Made after the sweep.
            for start, end in self.parts():
                yield from pattern.plain.finditer(self.text, start, end)
            return
        tried = (self._held[word] & np.uint64(1 << bit) != 0).nonzero()[0]
        if tried.size and pattern.holds is not None:
            ends = {self.part(found.start())[1] for found in self.matches(pattern.holds)}
            tried = tried[np.isin(self._stops[word][tried], list(ends))] if ends else tried[:0]
        if not tried.size:
            return
        text, match, done = self.text, pattern.plain.match, 0
        for place, end in zip(self._places[word][tried].tolist(), self._stops[word][tried].tolist(), strict=True):
            if place >= done and (found := match(text, place, end)) is not None:
                done = found.end()
                yield found


def _kept(places: NDArray[np.int64], held: NDArray[np.uint64]) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
    """The places at which anything is held, and what."""
    some = (held != 0).nonzero()[0]
    return places[some], held[some]


@contextmanager
def swept(text: str) -> Iterator[Sweep]:
    """Sweep a text; inside the block all patterns use it, in this thread."""
    sweep = _CURRENT.sweep = Sweep(text)
    try:
        yield sweep
    finally:
        _CURRENT.sweep = None


def parts(text: str) -> Iterator[tuple[int, int]]:
    """The ranges of the texts of which a text consists: of a swept one its parts, else the whole."""
    sweep: Sweep | None = getattr(_CURRENT, "sweep", None)
    return iter([(0, len(text))]) if sweep is None or sweep.text is not text else sweep.parts()


def part(text: str, place: int) -> tuple[int, int]:
    """The range of the text in which a place lies, as ``parts`` has it."""
    sweep: Sweep | None = getattr(_CURRENT, "sweep", None)
    return (0, len(text)) if sweep is None or sweep.text is not text else sweep.part(place)


class _Tables:
    """Bit sets of patterns by characters.

    Attributes:
        classes: for each character its class; characters that no pattern tells apart share one.
        follows: for every 64 patterns, by place in a match and class, the patterns that allow it there.
        before: for every 64 patterns, by class, the patterns that allow it before a match.
        near: for every 64 patterns, by class, those of which a match is possible where it stands near the beginning.
        somewhere: the same where it stands anywhere in the text.
    """

    def __init__(self, patterns: Sequence[Pattern]) -> None:
        words = -(-len(patterns) // _BITS)
        bits = np.zeros((words, DEPTH + 3, _ASTRAL + 1), np.uint64)
        for pattern in patterns:
            word, bit = divmod(pattern.number, _BITS)
            rows = bits[word]
            for row, held in zip(rows, _conditions(pattern.plain), strict=True):
                row |= held.view(np.uint8) * np.uint64(1 << bit)
        columns = np.ascontiguousarray(bits.reshape(-1, _ASTRAL + 1).T)
        # Neighbours are mostly alike: only the first of each run is compared with the others.
        begins = np.flatnonzero(np.append(True, (columns[1:] != columns[:-1]).any(axis=1)))
        rows = np.ascontiguousarray(columns[begins]).view(np.dtype((np.void, columns.shape[1] * 8))).ravel()
        _, first, classes = np.unique(rows, return_index=True, return_inverse=True)
        first = begins[first]
        self.classes = np.repeat(classes, np.diff(np.append(begins, len(columns)))).astype(np.intp)
        small = np.ascontiguousarray(bits[:, :, first])
        self.follows = [[small[word, depth] for depth in range(DEPTH)] for word in range(words)]
        self.before, self.near, self.somewhere = (
            [small[word, row] for word in range(words)] for row in range(DEPTH, DEPTH + 3)
        )


@lru_cache(maxsize=1)
def _tables(count: int) -> _Tables:
    return _Tables(_PATTERNS[:count])


def _conditions(pattern: re.Pattern[str]) -> NDArray[np.bool_]:
    """What is necessary for a match.

    Returns:
        Rows of truth values by code, the last for all characters outside the basic plane: for each of the first DEPTH
        places what may stand there; what may stand before the first; of what one must stand among the first _NEAR; of
        what one must stand in the text. What is not understood allows everything.
    """
    every = np.ones((DEPTH + 3, _ASTRAL + 1), np.bool_)
    if pattern.flags & ~(re.UNICODE | re.DOTALL):
        return every
    # The module has no public name; a version without it, or with other trees, costs speed and nothing else.
    try:
        from re import _parser  # type: ignore[attr-defined]

        tree = _parser.parse(pattern.pattern, pattern.flags)
        allowed = np.zeros((DEPTH, _ASTRAL + 1), np.bool_)
        for place in _walk(_seen_through(tree), {0}, allowed):
            allowed[place:] = True
        rare = (_rarest(tree, _NEAR), _rarest(tree, sys.maxsize))
        return np.concatenate([allowed, [_before(tree), *(every[0] if r is None else r.held for r in rare)]])
    except (ImportError, AttributeError, KeyError, TypeError, ValueError):
        return every


def _seen_through(tree: Any) -> list[Any]:
    """An expression with the content of a look-ahead at its end in place of it: that is what stands behind a match."""
    items = list(tree)
    for i in range(len(items) - 1, -1, -1):
        name = str(items[i][0])
        if name == "ASSERT" and items[i][1][0] > 0:
            return [*items[:i], *items[i][1][1]]
        if name not in {"ASSERT", "ASSERT_NOT", "AT"}:
            break
    return items


class _Rare(NamedTuple):
    """Characters of which a match holds one, how frequent they are, and within how many characters one stands."""

    held: NDArray[np.bool_]
    weight: int
    reach: int


def _rarest(tree: Any, farthest: int, at: int = 0) -> _Rare | None:
    """The rarest such set that the syntax gives away, or None.

    Args:
        tree: a part of an expression.
        farthest: within how many characters of the beginning of a match it must stand.
        at: how many characters may stand before it. The first character of all has been looked at already.
    """
    best: _Rare | None = None
    for operation, value in tree:
        name = str(operation)
        found: _Rare | None = None
        width = 0
        if name in _SINGLE:
            width = 1
            found = _rare(_characters(name, value), at + 1) if 0 < at < farthest else None
        elif name in {"MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"}:
            least, most, inside = value
            width = int(most) * inside.getwidth()[1]
            found = _rarest(inside, farthest, at) if least else None
        elif name in {"SUBPATTERN", "ATOMIC_GROUP"}:
            inside = value[3] if name == "SUBPATTERN" else value
            width = inside.getwidth()[1]
            found = _rarest(inside, farthest, at)
        elif name == "BRANCH":
            width = max(branch.getwidth()[1] for branch in value[1])
            branches = [_rarest(branch, farthest, at) for branch in value[1]]
            if all(branches):
                some = [branch for branch in branches if branch is not None]
                held = np.logical_or.reduce([branch.held for branch in some])
                found = _rare(held, max(branch.reach for branch in some))
        elif name == "ASSERT" and value[0] > 0:
            found = _rarest(value[1], farthest, at)
        elif name not in {"ASSERT", "ASSERT_NOT", "AT"}:
            # A reference or something new: of any width.
            width = sys.maxsize
        if found is not None and found.weight < (best.weight if best is not None else _TOO_FREQUENT):
            best = found
        at += width
    return best


def _rare(held: NDArray[np.bool_], reach: int) -> _Rare:
    return _Rare(held, int(_weights()[held].sum()), reach)


@cache
def _weights() -> NDArray[np.int64]:
    weights = np.ones(_ASTRAL + 1, np.int64)
    for character, weight in _FREQUENT.items():
        weights[ord(character)] = weight
    return weights


def _walk(tree: Any, places: set[int], allowed: NDArray[np.bool_]) -> set[int]:
    """Add what a part of an expression may hold, and return where the next part may begin."""
    for operation, value in tree:
        places = {place for place in places if place < DEPTH}
        if not places:
            break
        name = str(operation)
        if name == "LITERAL":
            for place in places:
                allowed[place, min(value, _ASTRAL)] = True
            places = {place + 1 for place in places}
        elif name in _SINGLE:
            held = _characters(name, value)
            for place in places:
                allowed[place] |= held
            places = {place + 1 for place in places}
        elif name in {"MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"}:
            least, most, inside = value
            places = _repeat(inside, int(least), int(most), places, allowed)
        elif name == "SUBPATTERN":
            if value[1] or value[2]:
                raise ValueError("flags inside")
            places = _walk(value[3], places, allowed)
        elif name == "ATOMIC_GROUP":
            places = _walk(value, places, allowed)
        elif name == "BRANCH":
            places = set().union(*(_walk(branch, set(places), allowed) for branch in value[1]))
        elif name not in {"ASSERT", "ASSERT_NOT", "AT"}:
            # A reference or something new: anything of any length.
            allowed[min(places) :] = True
            return set()
    return places


def _repeat(inside: Any, least: int, most: int, places: set[int], allowed: NDArray[np.bool_]) -> set[int]:
    for _ in range(min(least, DEPTH)):
        places = _walk(inside, places, allowed)
    reached = set(places)
    for _ in range(min(most - least, DEPTH)):
        places = _walk(inside, places, allowed)
        reached |= places
    return reached


_SINGLE = frozenset(["LITERAL", "NOT_LITERAL", "ANY", "IN"])
_CATEGORIES = {
    "CATEGORY_DIGIT": r"\d",
    "CATEGORY_NOT_DIGIT": r"\D",
    "CATEGORY_SPACE": r"\s",
    "CATEGORY_NOT_SPACE": r"\S",
    "CATEGORY_WORD": r"\w",
    "CATEGORY_NOT_WORD": r"\W",
}


@lru_cache(maxsize=8)
def _category(name: str) -> NDArray[np.bool_]:
    test = re.compile(_CATEGORIES[name])
    held = np.fromiter((test.match(chr(code)) is not None for code in range(_ASTRAL)), np.bool_, _ASTRAL)
    return np.append(held, True)


def _characters(name: str, value: Any) -> NDArray[np.bool_]:
    """The set of one character of an expression."""
    held = np.zeros(_ASTRAL + 1, np.bool_)
    if name == "ANY":
        return ~held
    if name == "LITERAL":
        held[min(value, _ASTRAL)] = True
        return held
    if name == "NOT_LITERAL":
        held[:_ASTRAL] = True
        held[_ASTRAL] = True
        if value < _ASTRAL:
            held[value] = False
        return held
    negated = False
    for kind, item in value:
        what = str(kind)
        if what == "NEGATE":
            negated = True
        elif what == "LITERAL":
            held[min(item, _ASTRAL)] = True
        elif what == "RANGE":
            held[min(item[0], _ASTRAL) : min(item[1], _ASTRAL) + 1] = True
        else:
            held |= _category(str(item))
    if negated:
        held = ~held
        held[_ASTRAL] = True
    return held


def _before(tree: Any) -> NDArray[np.bool_]:
    """What may stand before a match: of ``x(?<![a-z].)`` and its like, everything but ``[a-z]``."""
    allowed = np.ones(_ASTRAL + 1, np.bool_)
    width = 0
    for operation, value in tree:
        name = str(operation)
        if name == "ASSERT_NOT" and value[0] < 0 and width:
            inside = [(str(what), item) for what, item in value[1]]
            if (
                len(inside) == width + 1
                and inside[0][0] in {"IN", "LITERAL"}
                and all(what == "ANY" for what, _ in inside[1:])
            ):
                # ANY leaves out the line feed, which these expressions do not begin with; if one did, it might match.
                forbidden = _characters(*inside[0])
                # Before a text stands nothing, or a separator.
                forbidden[[ord(SEPARATOR), _ASTRAL]] = False
                allowed &= ~forbidden
        elif name in _SINGLE:
            if name != "LITERAL" and (name == "ANY" or _characters(name, value)[10]):
                break
            width += 1
        elif name not in {"ASSERT", "ASSERT_NOT", "AT"}:
            break
    return allowed

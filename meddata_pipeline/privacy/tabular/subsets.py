"""How well every set of quasi-identifiers tells people apart, and which columns make whom unique.

What belongs here: counting the classes of many sets of columns at once. What does not: the attackers' risk
(classes.py) and reading tables (../risk.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from meddata_pipeline.privacy.tabular.classes import separation
from meddata_pipeline.privacy.tabular.values import Encoded

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

#: All sets of up to this many quasi-identifiers (4,095 sets); beyond it those of up to three, and the whole.
ALL_SETS_UP_TO = 12
_WIDE = 3
_RADIX_LIMIT = 2**62
#: A dense table is faster than hashing while it has at most this many cells per combination.
_DENSE = 16


@dataclass(frozen=True)
class SubsetCount:
    """What one set of quasi-identifiers tells.

    Attributes:
        columns: names, in the order of the policy.
        classes: distinct combinations of their values.
        records: rows, or distinct pairs of a person and a combination when persons are counted.
        distinction: classes / records.
        separation: share of pairs of records that differ.
        uniques: persons who are alone in a class.
        minimal: persons who are unique by this set and by none of its proper subsets; None where that was not counted.
    """

    columns: tuple[str, ...]
    classes: int
    records: int
    distinction: float
    separation: float
    uniques: int
    minimal: int | None


@dataclass(frozen=True)
class ColumnCount:
    """What one quasi-identifier adds to being unique.

    Attributes:
        column: its name.
        alone: persons unique by it alone.
        lost: persons unique by all quasi-identifiers, but no longer when this one is left out.
        minimal: persons for whom it belongs to a smallest set that makes them unique.
    """

    column: str
    alone: int
    lost: int
    minimal: int


@dataclass(frozen=True)
class SubsetReport:
    """Answer of ``subset_report``.

    Attributes:
        subsets: one per counted set, by size, then in the policy's order.
        columns: one per quasi-identifier.
        uniques: persons unique by all quasi-identifiers.
        complete: whether every set was counted.
        smallest: shape (rows,), position in ``subsets`` of the smallest set that makes the row's person unique, the
            first of several; -1 for others. It is about single persons and must not be published.
    """

    subsets: list[SubsetCount]
    columns: list[ColumnCount]
    uniques: int
    complete: bool
    smallest: NDArray[np.int32]


def group(columns: Sequence[NDArray[np.int32]], sizes: Sequence[int], length: int) -> tuple[Ints, int]:
    """Number the distinct combinations of code columns.

    Args:
        columns: each shape (n,), codes below the matching size.
        sizes: number of codes of each column.
        length: n.

    Returns:
        Ids of shape (n,), dense from 0, and how many there are.
    """
    key = np.zeros(length, dtype=np.int64)
    radix = 1
    for column, size in zip(columns, sizes, strict=True):
        if radix > _RADIX_LIMIT // max(size, 1):
            key, radix = _dense(key, radix)
        key = key * size + column
        radix *= max(size, 1)
    return _dense(key, radix)


def _dense(key: Ints, radix: int) -> tuple[Ints, int]:
    if radix <= _DENSE * len(key) + 1024:
        seen = np.zeros(radix, dtype=bool)
        seen[key] = True
        ids = np.cumsum(seen) - 1
        return ids[key], int(ids[-1]) + 1
    codes, distinct = pd.factorize(key)
    return codes.astype(np.int64, copy=False), len(distinct)


@dataclass(frozen=True)
class _Node:
    """Distinct combinations of a set of columns (and of the person, if persons are counted) with their weights."""

    columns: dict[int, NDArray[np.int32]]
    units: NDArray[np.int32] | None
    weights: Ints
    owners: Ints


def _merge(node: _Node, kept: Sequence[int], sizes: Sequence[int], unit_count: int) -> tuple[_Node, Ints, int]:
    """Merge equal combinations of ``kept`` columns; also the class of each, and how many classes there are."""
    columns = [node.columns[i] for i in kept]
    ids, count = group(columns, [sizes[i] for i in kept], len(node.weights))
    if node.units is None:
        weights = np.bincount(ids, weights=node.weights, minlength=count).astype(np.int64)
        first = np.empty(count, dtype=np.int64)
        first[ids[::-1]] = np.arange(len(ids) - 1, -1, -1)
        classes = np.arange(count, dtype=np.int64)
        units = None
    else:
        pair, pairs = group([ids.astype(np.int32), node.units], [count, unit_count], len(ids))
        first = np.empty(pairs, dtype=np.int64)
        first[pair[::-1]] = np.arange(len(ids) - 1, -1, -1)
        weights, classes, units = np.ones(pairs, dtype=np.int64), ids[first], node.units[first]
    merged = _Node({i: node.columns[i][first] for i in kept}, units, weights, node.owners[first])
    return merged, classes, count


@dataclass(frozen=True)
class _Counted:
    classes: int
    records: int
    distinction: float
    separation: float
    unique: Bools


def _count(node: _Node, classes: Ints, count: int, owners: int) -> _Counted:
    sizes = np.bincount(classes, weights=node.weights, minlength=count).astype(np.int64)
    unique = np.zeros(owners, dtype=bool)
    unique[node.owners[sizes[classes] == 1]] = True
    distinction, apart = separation(sizes)
    return _Counted(count, int(sizes.sum()), distinction, apart, unique)


def _every_set(root: _Node, sizes: Sequence[int], unit_count: int) -> Iterator[tuple[int, _Counted]]:
    """Every set once, each from one that has a column more; the whole comes first.

    Columns with many values are dropped first, so that half of all sets are counted on the smallest table.
    """
    width = len(sizes)
    order = sorted(range(width), key=lambda i: (-sizes[i], i))

    def visit(node: _Node, kept: list[int], start: int) -> Iterator[tuple[int, _Counted]]:
        merged, classes, count = _merge(node, kept, sizes, unit_count)
        yield _mask(kept), _count(merged, classes, count, unit_count)
        for at in range(start, width):
            if len(kept) > 1:
                yield from visit(merged, [i for i in kept if i != order[at]], at + 1)

    return visit(root, list(range(width)), 0)


def _some_sets(root: _Node, sizes: Sequence[int], unit_count: int) -> Iterator[tuple[int, _Counted]]:
    """The whole, the whole without each column, and sets of up to three, of a table with very many columns."""
    width = len(sizes)
    # Equal rows once: a generalised table has few combinations.
    whole, _, _ = _merge(root, range(width), sizes, unit_count)
    for count in (width, width - 1, *range(1, _WIDE + 1)):
        for kept in combinations(range(width), count):
            merged, classes, found = _merge(whole, kept, sizes, unit_count)
            yield _mask(kept), _count(merged, classes, found, unit_count)


def _mask(columns: Sequence[int]) -> int:
    return sum(1 << i for i in columns)


def subset_report(encoded: Mapping[str, Encoded], units: NDArray[np.int32] | None = None) -> SubsetReport:
    """Distinction, separation and uniques of every set of quasi-identifiers.

    Args:
        encoded: the quasi-identifiers, at least one, each with codes of shape (rows,).
        units: shape (rows,), code of each row's person; None when every row is a person of its own.

    Returns:
        The counts; for more than ``ALL_SETS_UP_TO`` columns only of sets of up to three, of all together, and of all
        but one.

    Source:
        Distinction and separation: Motwani and Xu, Efficient algorithms for masking and finding quasi-identifiers,
        2007. Smallest sets that make somebody unique: Elliot, Manning and Ford, A computational algorithm for handling
        the special uniques problem, Int. J. Uncertainty, Fuzziness and Knowledge-Based Systems 10(5), 2002.
    """
    names = list(encoded)
    width = len(names)
    sizes = [max(len(encoded[name].texts), 1) for name in names]
    codes = {i: encoded[name].codes for i, name in enumerate(names)}
    rows = len(codes[0])
    owners = np.arange(rows, dtype=np.int64) if units is None else units.astype(np.int64)
    unit_count = int(owners.max()) + 1 if rows else 0
    root = _Node(codes, units, np.ones(rows, dtype=np.int64), owners)
    complete = width <= ALL_SETS_UP_TO
    whole = _mask(range(width))
    # Only who is unique by all columns can be unique by some: the whole comes first, others are noted for these alone.
    people = np.zeros(0, dtype=np.int64)
    found: dict[int, _Counted] = {}
    unique: dict[int, NDArray[np.uint8]] = {}
    for mask, counted in (_every_set if complete else _some_sets)(root, sizes, unit_count):
        if mask == whole:
            people = np.flatnonzero(counted.unique)
        unique[mask] = np.packbits(counted.unique[people])
        found[mask] = replace(counted, unique=np.zeros(0, dtype=bool))

    smallest = np.full(len(people), -1, dtype=np.int32)
    minimal_of = [np.zeros_like(unique[whole]) for _ in names]
    subsets: list[SubsetCount] = []
    for mask in sorted(found, key=lambda m: (m.bit_count(), [i for i in range(width) if m >> i & 1])):
        columns = [i for i in range(width) if mask >> i & 1]
        below = [rest for i in columns if (rest := mask & ~(1 << i))]
        minimal: int | None = None
        if all(rest in unique for rest in below):
            least = unique[mask].copy()
            for rest in below:
                least &= ~unique[rest]
            here = np.unpackbits(least, count=len(people)).astype(bool)
            minimal = int(here.sum())
            smallest[here & (smallest < 0)] = len(subsets)
            for i in columns:
                minimal_of[i] |= least
        counted = found[mask]
        subsets.append(
            SubsetCount(
                tuple(names[i] for i in columns),
                counted.classes,
                counted.records,
                counted.distinction,
                counted.separation,
                _bits(unique[mask]),
                minimal,
            )
        )
    report = [
        ColumnCount(
            name,
            _bits(unique[1 << i]),
            len(people) - (_bits(unique[whole & ~(1 << i)]) if width > 1 else 0),
            _bits(minimal_of[i]),
        )
        for i, name in enumerate(names)
    ]
    by_owner = np.full(unit_count, -1, dtype=np.int32)
    by_owner[people] = smallest
    return SubsetReport(subsets, report, len(people), complete, by_owner[owners])


def _bits(packed: NDArray[np.uint8]) -> int:
    return int(np.bitwise_count(packed).sum(dtype=np.int64))

"""The lattice of transformations, with what is known of each; and the numbering of combinations of codes.

What belongs here: levels as numbers, open and closed transformations, lower bounds. What does not: checks (check.py),
the order of checks (search.py).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from meddata_pipeline.privacy.tabular import kernels
from meddata_pipeline.privacy.tabular.hierarchy import Hierarchy
from meddata_pipeline.privacy.tabular.metrics import Floats, Metric

Ints = NDArray[np.int64]
_RADIX_LIMIT = 2**62


def class_ids(columns: Sequence[NDArray[np.int32]], sizes: Sequence[int]) -> tuple[Ints, int]:
    """Number the distinct combinations of several code columns.

    Args:
        columns: each shape (n,), codes below the matching size.
        sizes: number of codes of each column.

    Returns:
        Ids of shape (n,), dense from 0 in order of appearance, and how many there are.
    """
    key = np.zeros(len(columns[0]), dtype=np.int64)
    radix = 1
    for column, size in zip(columns, sizes, strict=True):
        if radix > _RADIX_LIMIT // max(size, 1):
            ids, distinct = pd.factorize(key)
            key, radix = ids.astype(np.int64), len(distinct)
        key = key * size + column
        radix *= max(size, 1)
    ids, distinct = pd.factorize(key)
    return ids.astype(np.int64, copy=False), len(distinct)


def class_sizes(ids: Ints, count: int, weights: Ints, units: Ints | None, unit_count: int) -> tuple[Ints, Ints]:
    """Rows and persons of each class.

    Args:
        ids: shape (n,), class of each combination.
        count: number of classes.
        weights: shape (n,), rows of each combination.
        units: shape (n,), person of each combination; None when every row is a person.
        unit_count: number of persons.

    Returns:
        Rows per class and distinct persons per class, each of shape (count,).
    """
    # Float sums of whole numbers are exact below 2^53 rows.
    rows = np.bincount(ids, weights=weights, minlength=count).astype(np.int64)
    if units is None:
        return rows, rows
    pairs = pd.unique(ids * unit_count + units)
    return rows, np.bincount(pairs // unit_count, minlength=count).astype(np.int64)


class Lattice:
    """State of one search: for each transformation, whether it is still open, and a lower bound of its cost.

    Transformations are numbered by the sum of their levels, then lexicographically; the number breaks ties.

    Args:
        hierarchies: of the quasi-identifiers.
        metric: gives the bounds.
        combinations: merged rows of the table, which no transformation has more classes than.
    """

    def __init__(self, hierarchies: Sequence[Hierarchy], metric: Metric, combinations: int) -> None:
        depths = [len(h.levels) for h in hierarchies]
        self._depths = np.array(depths, dtype=np.int64)
        grid = np.indices(depths, dtype=np.int16).reshape(len(depths), -1).T
        order = np.lexsort([*grid.T[::-1], grid.sum(axis=1)])
        self.levels = np.ascontiguousarray(grid[order])
        self._radix = np.array([math.prod(depths[i + 1 :]) for i in range(len(depths))], dtype=np.int64)
        self._number = np.empty(len(order), dtype=np.int64)
        self._number[order] = np.arange(len(order))
        self.metric = metric
        self.open = np.ones(len(order), dtype=bool)
        static = metric.static()
        if metric.by_column:
            self.parts = np.stack([static[i][self.levels[:, i]] for i in range(len(depths))], axis=1)
        else:
            classes = np.ones(len(order))
            for i, hierarchy in enumerate(hierarchies):
                classes *= np.array([len(level.labels) for level in hierarchy.levels])[self.levels[:, i]]
            most = np.minimum(classes, combinations).astype(np.int64)
            bounds = {int(count): metric.class_bound(int(count)) for count in np.unique(most)}
            self.parts = np.array([[bounds[int(count)]] for count in most])
        self.parts = np.ascontiguousarray(self.parts)
        self.keys = np.zeros((len(order), metric.width), dtype=np.int64)
        kernels.write_keys(self.parts, metric.mode, metric.scale, self.keys)

    def __len__(self) -> int:
        return len(self.open)

    def node(self, index: int) -> tuple[int, ...]:
        """Levels of a transformation."""
        return tuple(int(level) for level in self.levels[index])

    def index(self, node: Sequence[int]) -> int:
        """Number of a transformation."""
        return int(self._number[int(np.asarray(node, dtype=np.int64) @ self._radix)])

    def cheapest(self) -> int:
        """The open transformation with the least bound; -1 when none is open."""
        return int(kernels.smallest(self.keys, self.open))

    def close_below(self, index: int) -> None:
        """Close a transformation and all that are nowhere coarser."""
        kernels.mark(self.levels, self.levels[index], False, False, self.open)

    def rule_out(self, flags: NDArray[np.bool_]) -> None:
        """Close the transformations that a flag is set for."""
        self.open &= ~flags

    def raise_bounds(self, index: int, by_level: Floats, *, above: bool) -> None:
        """Raise bounds to what a check implies for coarser (above) or finer transformations."""
        kernels.raise_parts(
            self.levels,
            self.levels[index],
            above,
            self.open,
            self.parts,
            by_level,
            self.metric.mode,
            self.metric.scale,
            self.keys,
        )

    def chain(self, index: int) -> list[int]:
        """A way from a transformation to the top; each step is the one with the least bound."""
        found = kernels.chain(index, self.levels, self._depths, self._radix, self._number, self.keys)
        return [int(i) for i in found]

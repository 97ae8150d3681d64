"""Checks of transformations: which rows a transformation suppresses and what it costs.

What belongs here: the table as merged, weighted combinations of codes, and one check. What does not: the order of
checks (search.py) and texts (release.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from meddata_pipeline.privacy.tabular.hierarchy import Hierarchy
from meddata_pipeline.privacy.tabular.metric import Floats, Loss
from meddata_pipeline.privacy.tabular.values import Codes

Ints = NDArray[np.int64]
_RADIX_LIMIT = 2**62
_CONTINGENCY_LIMIT = 200_000


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


@dataclass(frozen=True)
class Check:
    """What one transformation does.

    Attributes:
        suppressed: shape (combinations,), True where a combination is suppressed.
        suppressed_rows: rows in those combinations.
        sums: shape (q,), Loss before normalisation; None where too many rows are suppressed.
    """

    suppressed: NDArray[np.bool_]
    suppressed_rows: int
    sums: Floats | None


class Table:
    """A table as merged combinations of its quasi-identifiers' codes.

    Args:
        codes: one array of shape (rows,) per quasi-identifier.
        hierarchies: of the same columns.
        units: shape (rows,), codes of persons, or None when every row is a person of its own.
        k: smallest class in persons.
        loss: the metric.
    """

    def __init__(
        self,
        codes: Sequence[Codes],
        hierarchies: Sequence[Hierarchy],
        units: NDArray[np.int32] | None,
        k: int,
        loss: Loss,
    ) -> None:
        self.hierarchies = list(hierarchies)
        self.k = k
        self.loss = loss
        self.rows = len(codes[0])
        unit_count = int(units.max()) + 1 if units is not None and len(units) else 0
        sizes = [len(h.levels[0].codes) for h in hierarchies]
        columns = [*codes] if units is None else [*codes, units]
        self.combination, count = class_ids(columns, sizes if units is None else [*sizes, unit_count])
        first = np.zeros(count, dtype=np.int64)
        first[self.combination[::-1]] = np.arange(self.rows - 1, -1, -1)
        self.leaf_codes = [column[first] for column in codes]
        self.weights: Ints = np.bincount(self.combination, minlength=count).astype(np.int64)
        self.units: Ints | None = None if units is None else units[first].astype(np.int64)
        self.unit_count = unit_count
        self.level_codes = [
            [level.codes[leaf] for level in h.levels] for h, leaf in zip(hierarchies, self.leaf_codes, strict=True)
        ]
        self.costs = [
            [(loss.kept_cost(level.shares), loss.suppressed_cost(level.shares)) for level in h.levels]
            for h in hierarchies
        ]
        self.leaf_rows: list[Floats] = [
            np.bincount(leaf, weights=self.weights, minlength=size).astype(np.float64)
            for leaf, size in zip(self.leaf_codes, sizes, strict=True)
        ]

    def classes(self, node: Sequence[int]) -> tuple[Ints, Ints, Ints]:
        """Class of each combination under a transformation, rows per class and persons per class."""
        columns = [self.level_codes[i][level] for i, level in enumerate(node)]
        sizes = [len(self.hierarchies[i].levels[level].labels) for i, level in enumerate(node)]
        ids, count = class_ids(columns, sizes)
        rows, persons = class_sizes(ids, count, self.weights, self.units, self.unit_count)
        return ids, rows, persons

    def check(self, node: Sequence[int], max_suppressed: int) -> Check:
        """Check one transformation: what is suppressed and, where that is within the limit, its Loss."""
        ids, rows, persons = self.classes(node)
        small = persons < self.k
        suppressed_rows = int(rows[small].sum())
        suppressed = small[ids]
        if suppressed_rows > max_suppressed:
            return Check(suppressed, suppressed_rows, None)
        gone = self._leaf_rows_of(suppressed) if suppressed_rows else None
        sums = np.empty(len(node))
        for i, level in enumerate(node):
            kept_cost, gone_cost = self.costs[i][level]
            lost = gone[i] if gone is not None else None
            kept = self.leaf_rows[i] if lost is None else self.leaf_rows[i] - lost
            sums[i] = float(kept @ kept_cost) + (float(lost @ gone_cost) if lost is not None else 0.0)
        return Check(suppressed, suppressed_rows, sums)

    def bounds(self, check: Check | None = None) -> list[Floats]:
        """Lower bounds of Loss per attribute and level, for every transformation that is nowhere coarser.

        Rows that a transformation suppresses are suppressed by every finer one too (its classes are parts of the same
        classes, and hold no more persons); every other row costs at least the cheaper of staying and going.

        Args:
            check: of the coarser transformation; None: nothing is known to be suppressed.

        Returns:
            One array per quasi-identifier, shape (levels,).
        """
        gone = self._leaf_rows_of(check.suppressed) if check is not None and check.suppressed_rows else None
        result: list[Floats] = []
        for i, costs in enumerate(self.costs):
            lost = gone[i] if gone is not None else np.zeros_like(self.leaf_rows[i])
            kept = self.leaf_rows[i] - lost
            result.append(np.array([float(kept @ np.minimum(k, g)) + float(lost @ g) for k, g in costs]))
        return result

    def pair_suppression(self, i: int, j: int) -> NDArray[np.int64] | None:
        """Rows that two quasi-identifiers alone condemn, whatever becomes of the others.

        Args:
            i: first quasi-identifier.
            j: second one.

        Returns:
            Shape (levels of i, levels of j), rows in classes below k when all other columns say nothing; None where
            persons have several rows (they can't be added up) or the contingency table would be large.
        """
        first, second = self.hierarchies[i], self.hierarchies[j]
        shape = (len(first.levels[0].codes), len(second.levels[0].codes))
        if self.units is not None or shape[0] * shape[1] > _CONTINGENCY_LIMIT:
            return None
        cells = self.leaf_codes[i].astype(np.int64) * shape[1] + self.leaf_codes[j]
        counts = np.bincount(cells, weights=self.weights, minlength=shape[0] * shape[1]).reshape(shape)
        result = np.zeros((len(first.levels), len(second.levels)), dtype=np.int64)
        for a, low in enumerate(first.levels):
            merged = np.zeros((len(low.labels), shape[1]))
            np.add.at(merged, low.codes, counts)
            for b, high in enumerate(second.levels):
                table = np.zeros((len(high.labels), len(low.labels)))
                np.add.at(table, high.codes, merged.T)
                result[a, b] = int(table[table < self.k].sum())
        return result

    def _leaf_rows_of(self, chosen: NDArray[np.bool_]) -> list[Floats]:
        weights = self.weights[chosen]
        return [
            np.bincount(leaf[chosen], weights=weights, minlength=len(total)).astype(np.float64)
            for leaf, total in zip(self.leaf_codes, self.leaf_rows, strict=True)
        ]

"""The optimal transformation: best first over the lattice of levels, pruned by what a check proves.

What belongs here: the order of checks and what may be skipped, with the reason why that is sound. What does not: how
one transformation is checked; see lattice.py.

Why pruning is sound. Coarser classes are unions of finer ones, so with k-anonymity the suppressed rows can only become
fewer: if a transformation suppresses too many rows, so does every finer one (tagged without a check). Loss with
suppression is not monotonic, so nothing above a feasible transformation is skipped for that reason; it is skipped when
a lower bound of its Loss reaches the best Loss found. The bound holds because a row costs at least the cheaper of
staying and going, and because a row that a transformation suppresses is suppressed by every finer one.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from meddata_pipeline.core.errors import BadInput
from meddata_pipeline.privacy.tabular.lattice import Check, Table
from meddata_pipeline.privacy.tabular.metric import Floats

MAX_LATTICE = 1_000_000


@dataclass(frozen=True)
class Found:
    """The answer of a search.

    Attributes:
        node: level of each quasi-identifier; None when no transformation meets the policy.
        check: of that transformation.
        key: its comparable loss.
        bound: smallest loss that anything unchecked could still have; equals ``key`` when the search was exhaustive.
        lattice: number of transformations.
        checked: how many of them were checked.
    """

    node: tuple[int, ...] | None
    check: Check | None
    key: Floats | None
    bound: Floats | None
    lattice: int
    checked: int


def _smallest(keys: Floats, among: NDArray[np.int64]) -> int:
    """Position of the lexicographically smallest row; the first of equal ones."""
    for column in range(keys.shape[1]):
        values = keys[among, column]
        among = among[values == values.min()]
        if len(among) == 1:
            break
    return int(among[0])


class _Search:
    """State of one search; transformations are numbered by how much they generalise, finest first."""

    def __init__(self, table: Table, max_suppressed: int) -> None:
        self.table = table
        self.max_suppressed = max_suppressed
        depths = [len(h.levels) for h in table.hierarchies]
        self.top = tuple(depth - 1 for depth in depths)
        levels = np.array(list(itertools.product(*(range(d) for d in depths))), dtype=np.int16)
        order = np.lexsort([*levels.T[::-1], levels.sum(axis=1)])
        self.levels = levels[order]
        self.radix = np.array([math.prod(depths[i + 1 :]) for i in range(len(depths))], dtype=np.int64)
        self.number = np.empty(len(order), dtype=np.int64)
        self.number[self.levels.astype(np.int64) @ self.radix] = np.arange(len(order))
        self.open = np.ones(len(order), dtype=bool)
        self.feasible = np.zeros(len(order), dtype=bool)
        self.infeasible = np.zeros(len(order), dtype=bool)
        self.sums = np.stack([b[self.levels[:, i]] for i, b in enumerate(table.bounds())], axis=1)
        self.keys = table.loss.keys(self.sums)
        self.checked = 0
        self.best: tuple[tuple[float, ...], int] | None = None
        self.best_check: Check | None = None

    def visit(self, index: int) -> bool:
        """Check a transformation and note what follows for others; returns whether it meets the policy."""
        check = self.table.check([int(level) for level in self.levels[index]], self.max_suppressed)
        self.checked += 1
        self.open[index] = False
        below = np.flatnonzero((self.levels <= self.levels[index]).all(axis=1))
        if check.sums is None:
            self.infeasible[below] = True
            self.open[below] = False
            return False
        self.feasible |= (self.levels >= self.levels[index]).all(axis=1)
        rank = (tuple(self.table.loss.keys(check.sums[None, :])[0].tolist()), index)
        if self.best is None or rank < self.best:
            self.best, self.best_check = rank, check
        below = below[self.open[below]]
        if check.suppressed_rows and len(below):
            for i, bound in enumerate(self.table.bounds(check)):
                self.sums[below, i] = np.maximum(self.sums[below, i], bound[self.levels[below, i]])
            self.keys[below] = self.table.loss.keys(self.sums[below])
        return True

    def chain(self, index: int) -> list[int]:
        """A way from a transformation to the top; each step is the one that costs least by the bound."""
        node = self.levels[index].astype(np.int64)
        path = []
        while tuple(node) != self.top:
            steps = []
            for i in range(len(node)):
                if node[i] < self.top[i]:
                    node[i] += 1
                    steps.append((float(self.sums[self.number[node @ self.radix]].sum()), i))
                    node[i] -= 1
            node[min(steps)[1]] += 1
            path.append(int(self.number[node @ self.radix]))
        return path

    def bisect(self, path: Sequence[int]) -> None:
        """Find where a chain becomes feasible: the last infeasible one tags most, the next is a candidate."""
        low, high = -1, len(path) - 1
        while high - low > 1:
            middle = (low + high) // 2
            index = path[middle]
            if self.feasible[index] or (not self.infeasible[index] and self.visit(index)):
                high = middle
            else:
                low = middle

    def tag_pairs(self) -> None:
        """Tag what two quasi-identifiers alone make infeasible: other columns can only split their classes further."""
        for i, j in itertools.combinations(range(len(self.top)), 2):
            condemned = self.table.pair_suppression(i, j)
            if condemned is not None:
                self.infeasible |= condemned[self.levels[:, i], self.levels[:, j]] > self.max_suppressed
        self.open &= ~self.infeasible

    def run(self) -> Found:
        """Check in the order of lower bounds until nothing open can beat, or tie with, the best."""
        self.tag_pairs()
        top = len(self.levels) - 1
        if not self.visit(top):
            return Found(None, None, None, None, len(self.levels), self.checked)
        while True:
            among = np.flatnonzero(self.open)
            if not len(among):
                break
            index = _smallest(self.keys, among)
            if self.best is not None and (tuple(self.keys[index].tolist()), index) >= self.best:
                break
            if not self.visit(index):
                self.bisect(self.chain(index))
        key, best = cast("tuple[tuple[float, ...], int]", self.best)
        node = tuple(int(level) for level in self.levels[best])
        loss = np.array(key, dtype=np.float64)
        return Found(node, self.best_check, loss, loss, len(self.levels), self.checked)


def lattice_size(table: Table) -> int:
    """Number of transformations."""
    return math.prod(len(h.levels) for h in table.hierarchies)


def search(table: Table, max_suppressed: int) -> Found:
    """Find the transformation with the smallest Loss that suppresses at most ``max_suppressed`` rows.

    Args:
        table: merged combinations, with k and the metric.
        max_suppressed: rows that may be suppressed.

    Returns:
        The optimum. Among equal losses (to 12 decimals) the transformation with the smallest sum of levels, then the
        lexicographically smallest, so that the same table and policy always give the same release.

    Raises:
        BadInput: the lattice is larger than this exhaustive search takes on.
    """
    size = lattice_size(table)
    if size > MAX_LATTICE:
        raise BadInput(
            f"The quasi-identifiers have {size:,} transformations; the optimal search takes at most {MAX_LATTICE:,}",
            next_step="Give some quasi-identifiers fewer levels",
        )
    return _Search(table, max_suppressed).run()

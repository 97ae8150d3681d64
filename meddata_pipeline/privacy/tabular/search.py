"""The optimal search: the cheapest transformation that meets the policy, and the proof that none is cheaper.

What belongs here: the order in which transformations are checked and what is concluded from a check. What does not:
checking (check.py), bounds (metrics.py), what models allow to conclude (models/base.py).

Transformations are checked in the order of lower bounds of their cost until the least bound of what is open exceeds the
best cost found. Conclusions, each only where it is sound:

- more rows fail *shrinking* models than may be suppressed: every finer transformation is ruled out. On such a failure
  the chain of coarser ones is bisected for the last failure, which rules out most;
- all models shrink, or nothing may be suppressed and all merge: an infeasible transformation rules out finer ones;
- classes of two or three columns alone that are too small (a dense contingency table for each) rule out transformations
  before any check: further columns can only split classes;
- rows that must be suppressed at a transformation raise the bound of finer ones; Σ size² and the number of classes
  raise that of coarser ones (DM, DM*, AECS).

Loss is not monotonic under suppression: a coarser transformation may keep rows and cost less. So a feasible
transformation never ends the search above it; only bounds do.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from meddata_pipeline.core.errors import BadInput
from meddata_pipeline.privacy.tabular import kernels
from meddata_pipeline.privacy.tabular.check import Check, Checker, Node, lattice_size
from meddata_pipeline.privacy.tabular.lattice import Lattice

Ints = NDArray[np.int64]

MAX_LATTICE = 1_000_000
# A projection is worth it while its table is small against the rows that a check reads.
_PAIR_CELLS = 1_000_000
_TRIPLE_CELLS = 100_000
_TRIPLES_FROM = 5_000
# Checks that may go into finding a finer transformation among equally good ones; gs_factor 1 makes most equal.
_TIES = 64


@dataclass(frozen=True)
class Found:
    """The answer of a search.

    Attributes:
        node: level of each quasi-identifier; None when no transformation meets the policy.
        key: its comparable cost.
        bound: least cost that anything unchecked could still have; ``key`` when the search was exhaustive.
        loss: the cost as reports give it.
        lower_bound: ``bound`` as reports give it.
        lattice: number of transformations.
        checked: how many of them were checked.
        stopped: why it ended: ``complete``, ``time`` or ``checks``.
        proven: without a node: whether there is none, or none was found.
    """

    node: Node | None
    key: Ints | None
    bound: Ints | None
    loss: float | list[float] | None
    lower_bound: float | list[float] | None
    lattice: int
    checked: int
    stopped: str = "complete"
    proven: bool = True


class _Search:
    def __init__(self, checker: Checker, practical: bool) -> None:
        self.checker = checker
        self.lattice = Lattice(checker.hierarchies, checker.metric, len(checker.table.rows))
        self.practical = practical
        self.best: tuple[tuple[int, ...], int] | None = None
        self.best_values: NDArray[np.float64] | None = None
        self.known_good = np.zeros(len(self.lattice), dtype=bool)
        self.good = np.zeros(len(self.lattice), dtype=bool)

    def visit(self, index: int) -> Check:
        """Check a transformation and note what follows for others."""
        lattice, checker, metric = self.lattice, self.checker, self.checker.metric
        node = lattice.node(index)
        beaten = None if self.best is None else np.array(self.best[0], dtype=np.int64)
        check = checker.check(node, beaten)
        lattice.open[index] = False
        if self.rules_out(check):
            lattice.close_below(index)
        else:
            self.good[index] = True
        if check.feasible and check.sums is not None:
            values = metric.values(check.sums, node)
            rank = (tuple(int(k) for k in checker.key(values)), index)
            if self.best is None or rank < self.best:
                self.best, self.best_values = rank, values
            if checker.upward:
                kernels.mark(lattice.levels, lattice.levels[index], True, True, self.known_good)
        if check.certain_sums is not None:
            finer = metric.finer(check.certain_sums, node)
            if finer is not None:
                lattice.raise_bounds(index, finer, above=False)
        if not metric.by_column:
            sums = check.certain_sums or checker.sums(check.counted, check.failed)
            least = metric.coarser_value(sums)
            if least is not None:
                lattice.raise_bounds(index, np.array([[least]]), above=True)
        return check

    def bisect(self, path: Sequence[int]) -> None:
        """Find where a chain stops being ruled out: the last failure rules out most, the next is a candidate.

        Coarser transformations than the chain's end are not cheaper than the best one, so nobody asks about them.
        """
        low, high = -1, len(path)
        while high - low > 1:
            middle = (low + high) // 2
            index = path[middle]
            if not self.lattice.open[index]:
                # Closed is either checked, and then remembered, or ruled out.
                low, high = (low, middle) if self.good[index] else (middle, high)
            elif self.known_good[index]:
                high = middle
            else:
                low, high = (middle, high) if self.rules_out(self.visit(index)) else (low, middle)

    def settle(self, index: int) -> int:
        """Look on one chain for a finer transformation that costs as little as the best; returns the checks made."""
        before = self.checker.checked
        path = [index, *self.lattice.chain(index)]
        low, high = -1, len(path)
        while high - low > 1:
            middle = (low + high) // 2
            if self.best is None or path[middle] >= self.best[1]:
                high = middle
                continue
            if self.lattice.open[path[middle]]:
                self.visit(path[middle])
            low, high = (low, middle) if self.best[1] == path[middle] else (middle, high)
        self.lattice.open[index] = False
        return self.checker.checked - before

    def rules_out(self, check: Check) -> bool:
        """Whether a check rules out every finer transformation."""
        if check.certain > self.checker.limit:
            return True
        return not check.feasible and not check.worse and (self.checker.upward or self.practical)

    def project(self) -> None:
        """Rule out what two or three quasi-identifiers alone make infeasible."""
        table, hierarchies = self.checker.table, self.checker.hierarchies
        if self.checker.least <= 1:
            return
        sizes = [len(h.levels[0].codes) for h in hierarchies]
        columns = range(len(hierarchies))
        few: dict[tuple[int, int], NDArray[np.bool_]] = {}
        for size in (2, 3) if len(table.rows) >= _TRIPLES_FROM else (2,):
            for chosen in itertools.combinations(columns, size):
                cells = math.prod(sizes[i] for i in chosen)
                if cells > (_PAIR_CELLS if size == 2 else _TRIPLE_CELLS) or cells > 20 * len(table.rows):
                    continue
                if cells * (self.checker.least - 1) <= self.checker.limit:
                    continue  # so few cells can't hold too many rows in small ones
                radix = np.array([math.prod(sizes[j] for j in chosen[at + 1 :]) for at in range(size)], dtype=np.int64)
                counts = kernels.contingency(table.codes, np.array(chosen, dtype=np.int64), radix, table.rows, cells)
                bad = np.zeros([len(hierarchies[i].levels) for i in chosen], dtype=bool)
                for at, pair in enumerate(itertools.combinations(chosen, 2) if size == 3 else ()):
                    if pair in few:
                        bad |= np.expand_dims(few[pair], 2 - at)
                self._fold(chosen, counts, (), bad)
                if size == 2:
                    few[chosen[0], chosen[1]] = bad
                self.lattice.rule_out(bad[tuple(self.lattice.levels[:, i] for i in chosen)])

    def _fold(self, chosen: Sequence[int], counts: Ints, levels: tuple[int, ...], bad: NDArray[np.bool_]) -> bool:
        """Find the levels of a few columns that leave too many rows in small classes, coarsening one axis at a time.

        Args:
            chosen: the columns.
            counts: rows by the groups of the first ``len(levels)`` columns and the leaves of the others.
            levels: of the first columns.
            bad: by level of each column; set where the columns rule a transformation out.

        Returns:
            Whether the levels, with any levels of the other columns, leave few enough.
        """
        at = len(levels)
        if at == len(chosen):
            bad[levels] = int(kernels.rows_below(counts, self.checker.least)) > self.checker.limit
            return not bad[levels]
        hierarchies = self.checker.hierarchies
        before = math.prod(len(hierarchies[i].levels[level].labels) for i, level in zip(chosen, levels, strict=False))
        after = math.prod(len(hierarchies[i].levels[0].codes) for i in chosen[at + 1 :])
        for level, made in enumerate(hierarchies[chosen[at]].levels):
            if bad[(*levels, level)].all():
                continue
            size, count = len(made.codes), len(made.labels)
            # As many groups as leaves are the leaves in another order, which is all the same here.
            groups = made.codes.astype(np.int64)
            folded = counts if count == size else kernels.fold(counts, before, size, after, groups, count)
            if self._fold(chosen, folded, (*levels, level), bad):
                return level == 0
        return False

    def run(self) -> Found:
        """Check in the order of lower bounds until nothing open can beat, or tie with, the best."""
        lattice, checker = self.lattice, self.checker
        self.project()
        size = len(lattice)
        # With upward models the top decides whether there is a solution at all.
        top = size - 1
        if checker.upward and lattice.open[top] and not self.visit(top).feasible:
            return Found(None, None, None, None, None, size, checker.checked)
        ties = _TIES
        while True:
            index = lattice.cheapest()
            if index < 0:
                break
            if self.best is not None:
                key = tuple(int(k) for k in lattice.keys[index])
                if key > self.best[0] or (key == self.best[0] and (index > self.best[1] or ties <= 0)):
                    break
                if key == self.best[0]:
                    ties -= self.settle(index)
                    continue
            check = self.visit(index)
            if self.rules_out(check):
                self.bisect(lattice.chain(index))
        if self.best is None or self.best_values is None:
            return Found(None, None, None, None, None, size, checker.checked, proven=not self.practical)
        key, best = self.best
        loss = checker.metric.report(self.best_values)
        made = np.array(key, dtype=np.int64)
        return Found(lattice.node(best), made, made, loss, loss, size, checker.checked)


def search(checker: Checker, *, practical: bool = False) -> Found:
    """Find the transformation with the least cost that meets the models.

    Args:
        checker: the table, models, metric and suppression limit.
        practical: take every infeasible transformation to rule out finer ones, also where that is not sound
            (the policy's ``practical_monotonicity``).

    Returns:
        The optimum. Among equal costs (to 12 digits) one with few levels is looked for; the same table and policy give
        the same answer, whatever the order of rows.

    Raises:
        BadInput: the lattice is larger than this exhaustive search takes on.
    """
    size = lattice_size(checker.hierarchies)
    if size > MAX_LATTICE:
        raise BadInput(
            f"The quasi-identifiers have {size:,} transformations; the optimal search takes at most {MAX_LATTICE:,}",
            next_step="Give some quasi-identifiers fewer levels, or use search: heuristic",
        )
    return _Search(checker, practical).run()

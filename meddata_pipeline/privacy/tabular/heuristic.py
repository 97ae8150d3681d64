"""The heuristic search: a good transformation of a lattice too large to enumerate, and how far from optimal it may be.

What belongs here: the search with a time limit, and the lower bound. What does not: the exhaustive search (search.py).

From the coarsest transformation down: of the feasible transformations seen, the cheapest that was not expanded yet is
expanded to all that are one level finer in one column; rows that must fail rule out finer ones as in the exhaustive
search. Expanding everything would be exhaustive; the time limit, or the number of checks, ends it.

The lower bound is that of the static bounds of columns under what pairs of columns rule out: a branch and bound over
levels, column by column, that no check of whole transformations is needed for. It may be broken off anywhere, and is
when the time limit, of which a part is kept for it, has passed. The gap is loss - bound.

The result depends on the machine's speed only when the time limit strikes; ``stopped`` says so.
"""

from __future__ import annotations

import heapq
import itertools
import math
import time

import numpy as np
from numpy.typing import NDArray

from meddata_pipeline.privacy.tabular import kernels
from meddata_pipeline.privacy.tabular.check import Checker, Node, lattice_size
from meddata_pipeline.privacy.tabular.metrics import Floats
from meddata_pipeline.privacy.tabular.search import Found

_CHECKS = 20_000
_PAIR_CELLS = 1_000_000
_BOUND_STEPS = 200_000
# Share of the time limit that the search leaves to the bound.
_BOUND_SHARE = 0.25


class _Heuristic:
    def __init__(self, checker: Checker, seconds: float) -> None:
        self.checker = checker
        self.static = checker.metric.static()
        began = time.monotonic()
        self.end = began + seconds
        self.deadline = began + (1.0 - _BOUND_SHARE) * seconds
        self.bad: list[Node] = []
        self.seen: set[Node] = set()
        self.best: tuple[tuple[int, ...], Node, Floats] | None = None
        self.stopped = "complete"

    def _ruled_out(self, node: Node) -> bool:
        return any(all(a <= b for a, b in zip(node, bad, strict=True)) for bad in self.bad)

    def visit(self, node: Node) -> tuple[int, ...] | None:
        """Check a transformation; its key when it is feasible."""
        self.seen.add(node)
        if self._ruled_out(node):
            return None
        check = self.checker.check(node)
        if check.certain > self.checker.limit or (not check.feasible and self.checker.upward):
            self.bad = [b for b in self.bad if not all(x <= y for x, y in zip(b, node, strict=True))]
            self.bad.append(node)
            return None
        if not check.feasible or check.sums is None:
            return None
        values = self.checker.metric.values(check.sums, node)
        key = tuple(int(k) for k in self.checker.key(values))
        if self.best is None or (key, node) < self.best[:2]:
            self.best = (key, node, values)
        return key

    def run(self) -> None:
        """Search until ``stopped`` says why it ended."""
        top = tuple(len(h.levels) - 1 for h in self.checker.hierarchies)
        first = self.visit(top)
        if first is None and self.checker.upward:
            return  # then no finer one is feasible either
        # A transformation that is not feasible may have feasible ones below it: it waits behind all others.
        waiting: list[tuple[bool, tuple[int, ...], Node]] = [(first is None, first or (), top)]
        while waiting:
            _, _, node = heapq.heappop(waiting)
            for i, level in enumerate(node):
                finer = (*node[:i], level - 1, *node[i + 1 :])
                if level == 0 or finer in self.seen:
                    continue
                if time.monotonic() > self.deadline:
                    self.stopped = "time"
                    return
                if self.checker.checked >= _CHECKS:
                    self.stopped = "checks"
                    return
                key = self.visit(finer)
                if key is not None or not self._ruled_out(finer):
                    heapq.heappush(waiting, (key is None, key or (), finer))

    def pairs(self) -> dict[tuple[int, int], NDArray[np.bool_]]:
        """Levels of pairs of columns that leave too many rows in small classes; of those that there is time for."""
        checker, table = self.checker, self.checker.table
        sizes = [len(h.levels[0].codes) for h in checker.hierarchies]
        result = {}
        for i, j in itertools.combinations(range(len(sizes)), 2):
            if self._late():
                break
            cells = sizes[i] * sizes[j]
            if cells > _PAIR_CELLS or cells * (checker.least - 1) <= checker.limit:
                continue
            radix = np.array([sizes[j], 1], dtype=np.int64)
            counts = kernels.contingency(table.codes, np.array([i, j], dtype=np.int64), radix, table.rows, cells)
            bad = np.zeros((len(checker.hierarchies[i].levels), len(checker.hierarchies[j].levels)), dtype=bool)
            for a, low in enumerate(checker.hierarchies[i].levels):
                folded = kernels.fold(counts, 1, sizes[i], sizes[j], low.codes.astype(np.int64), len(low.labels))
                for b, high in enumerate(checker.hierarchies[j].levels):
                    groups = high.codes.astype(np.int64)
                    cell = kernels.fold(folded, len(low.labels), sizes[j], 1, groups, len(high.labels))
                    bad[a, b] = int(kernels.rows_below(cell, checker.least)) > checker.limit
            if bad.any():
                result[i, j] = bad
        return result

    def _late(self) -> bool:
        """Whether the whole time limit has passed; what is found then depends on the machine."""
        late = time.monotonic() > self.end
        if late:
            self.stopped = "time"
        return late

    def bound(self) -> NDArray[np.int64]:
        """Least key of a transformation that no pair of columns rules out, or a lower one."""
        metric = self.checker.metric
        key = np.zeros(metric.width, dtype=np.int64)
        if not metric.by_column:
            classes = min(
                math.prod(len(h.levels[0].labels) for h in self.checker.hierarchies), len(self.checker.table.rows)
            )
            kernels.write_key(np.array([metric.class_bound(classes)]), metric.mode, metric.scale, key)
            return key
        lowest = self.static[:, 0]
        if metric.mode == 0:
            parts = np.zeros(1)
            parts[0] = self._cheapest(self.pairs(), float(lowest.sum()))
            kernels.write_key(parts, 0, metric.scale, key)
            return key
        kernels.write_key(lowest.copy(), metric.mode, metric.scale, key)
        return key

    def _cheapest(self, bad: dict[tuple[int, int], NDArray[np.bool_]], trivial: float) -> float:
        """Branch and bound over levels; the bound so far when it takes too many steps."""
        q = len(self.static)
        rest = np.concatenate([np.cumsum(self.static[::-1, 0])[::-1], [0.0]])
        waiting: list[tuple[float, Node]] = [(trivial, ())]
        for _ in range(_BOUND_STEPS):
            if not waiting:
                return trivial
            if self._late():
                break
            cost, node = heapq.heappop(waiting)
            at = len(node)
            if at == q:
                return cost
            spent = cost - rest[at]
            for level in range(len(self.checker.hierarchies[at].levels)):
                if any((i, at) in bad and bad[i, at][chosen, level] for i, chosen in enumerate(node)):
                    continue
                heapq.heappush(waiting, (spent + float(self.static[at, level]) + rest[at + 1], (*node, level)))
        return waiting[0][0] if waiting else trivial


def heuristic(checker: Checker, seconds: float) -> Found:
    """Find a good transformation within a time limit.

    Args:
        checker: the table, models, metric and suppression limit.
        seconds: after which the search stops.

    Returns:
        The best transformation seen; ``lower_bound`` is what the optimum costs at least.
    """
    search = _Heuristic(checker, seconds)
    search.run()
    size = lattice_size(checker.hierarchies)
    if search.best is None:
        # Nothing was left open: every one was checked or ruled out, at best by the coarsest, which was the first.
        complete = search.stopped == "complete"
        return Found(None, None, None, None, None, size, checker.checked, search.stopped, complete)
    key, node, values = search.best
    metric = checker.metric
    made = np.array(key, dtype=np.int64)
    loss = metric.report(values)
    if search.stopped == "complete":
        return Found(node, made, made, loss, loss, size, checker.checked, search.stopped)
    bound = search.bound()
    return Found(node, made, bound, loss, metric.report_key(bound), size, checker.checked, search.stopped)

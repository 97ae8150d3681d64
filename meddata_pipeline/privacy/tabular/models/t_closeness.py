"""t-closeness: the distribution of a sensitive column in every class is close to that in the table.

Three ground distances of the earth mover's distance: equal (half the sum of differences), ordered (values in
lexicographic order, one step apart), hierarchical (the height of the lowest common ancestor). Each is convex: a mixture
of two classes is no farther than the farther one (merges); a far class pulls a near one away (does not shrink).
Distances are summed as whole numbers, q · P - p · Q, so that a class exactly at t meets it.

Source: Li, Li and Venkatasubramanian, t-Closeness: Privacy Beyond k-Anonymity and l-Diversity, 2007.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from meddata_pipeline.privacy.tabular.jit import compiled
from meddata_pipeline.privacy.tabular.kernels import rows_of
from meddata_pipeline.privacy.tabular.models.base import Background, Bools, Classes, Model

_SLACK = 1e-12


class TCloseness(Model):
    """Every class is within ``t`` of the table."""

    def __init__(self, attribute: str, t: float, distance: str, background: Background) -> None:
        self.attribute, self.t, self.distance, self.background = attribute, t, distance, background
        if distance == "hierarchical":
            self._parents = np.concatenate([np.asarray(p, dtype=np.int64) for p in background.parents])
            sizes = [len(p) for p in background.parents]
            self._begin = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
            self._widths = np.array([int(p.max()) + 1 for p in background.parents], dtype=np.int64)

    def fail(self, classes: Classes, failed: Bools, budget: int) -> None:
        """See Model."""
        found = classes.values[str(self.attribute)]
        limit = self.t * (1.0 + _SLACK)
        args = (found.starts, found.values, found.counts, self.background.counts)
        if self.distance == "equal":
            equal_fails(*args, limit, classes.rows, failed, budget)
        elif self.distance == "ordered":
            ordered_fails(*args, limit, classes.rows, failed, budget)
        else:
            tree_fails(*args, self._parents, self._begin, self._widths, limit, classes.rows, failed, budget)


@compiled
def _persons(counts: Any, begin: int, end: int) -> Any:
    """Persons of a class: the sum of its counts."""
    total = np.int64(0)
    for e in range(begin, end):
        total += counts[e]
    return total


@compiled
def equal_fails(
    starts: Any, values: Any, counts: Any, whole: Any, t: float, rows: Any, failed: Any, budget: int
) -> None:
    """Mark classes where half of Σ |q - p| exceeds t."""
    everything = whole.sum()
    gone = rows_of(rows, failed)
    for c in range(len(starts) - 1):
        if gone > budget:
            return
        if failed[c]:
            continue
        total = _persons(counts, starts[c], starts[c + 1])
        # Values that the class lacks add their p; start with all of them and correct those that it has.
        distance = everything * total
        for e in range(starts[c], starts[c + 1]):
            expected = whole[values[e]] * total
            distance += abs(counts[e] * everything - expected) - expected
        if distance > 2.0 * t * everything * total:
            failed[c] = True
            gone += rows[c]


@compiled
def ordered_fails(
    starts: Any, values: Any, counts: Any, whole: Any, t: float, rows: Any, failed: Any, budget: int
) -> None:
    """Mark classes where Σ |cumulated q - p| / (values - 1) exceeds t."""
    everything = whole.sum()
    distinct = len(whole)
    gone = rows_of(rows, failed)
    for c in range(len(starts) - 1):
        if gone > budget:
            return
        if failed[c]:
            continue
        total = _persons(counts, starts[c], starts[c + 1])
        limit = t * (distinct - 1) * everything * total
        moved = np.int64(0)
        distance = np.int64(0)
        e = starts[c]
        for v in range(distinct):
            moved -= whole[v] * total
            if e < starts[c + 1] and values[e] == v:
                moved += counts[e] * everything
                e += 1
            distance += abs(moved)
            if distance > limit:
                failed[c] = True
                gone += rows[c]
                break


@compiled
def tree_fails(
    starts: Any,
    values: Any,
    counts: Any,
    whole: Any,
    parents: Any,
    begin: Any,
    widths: Any,
    t: float,
    rows: Any,
    failed: Any,
    budget: int,
) -> None:
    """Mark classes where the cost of moving mass within the hierarchy exceeds t.

    At a node of level i of h, what its children have too much and too little cancels at a cost of i / h; the rest moves
    up.
    """
    everything = whole.sum()
    height = len(widths)
    widest = len(whole)
    for level in range(height):
        widest = max(widest, widths[level])
    below = np.zeros(widest, np.int64)
    plus = np.zeros(widest, np.int64)
    minus = np.zeros(widest, np.int64)
    gone = rows_of(rows, failed)
    for c in range(len(starts) - 1):
        if gone > budget:
            return
        if failed[c]:
            continue
        total = _persons(counts, starts[c], starts[c + 1])
        for v in range(len(whole)):
            below[v] = -whole[v] * total
        for e in range(starts[c], starts[c + 1]):
            below[values[e]] += counts[e] * everything
        cost = 0.0
        for level in range(height):
            plus[: widths[level]] = 0
            minus[: widths[level]] = 0
            for child in range(begin[level + 1] - begin[level]):
                to = parents[begin[level] + child]
                if below[child] > 0:
                    plus[to] += below[child]
                else:
                    minus[to] -= below[child]
            for node in range(widths[level]):
                cost += (level + 1) / height * min(plus[node], minus[node])
                below[node] = plus[node] - minus[node]
        if cost > t * everything * total:
            failed[c] = True
            gone += rows[c]

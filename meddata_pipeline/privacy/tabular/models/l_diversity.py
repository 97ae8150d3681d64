"""l-diversity in three forms: distinct, entropy, recursive.

Source: Machanavajjhala et al., l-Diversity: Privacy Beyond k-Anonymity, 2007; Grassberger, Entropy Estimates from
Insufficient Samplings, 2003, for the estimator of small classes.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from meddata_pipeline.privacy.tabular.jit import compiled
from meddata_pipeline.privacy.tabular.kernels import rows_of
from meddata_pipeline.privacy.tabular.models.base import Bools, Classes, Model

_EULER = 0.577215664901532860606512090082402431


class DistinctLDiversity(Model):
    """Every class holds at least l distinct values. Merging never loses a value: shrinks."""

    shrinks = True

    def __init__(self, attribute: str, needed: int) -> None:
        self.attribute, self.needed, self.least = attribute, needed, needed

    def fail(self, classes: Classes, failed: Bools, budget: int) -> None:
        """See Model."""
        starts = classes.values[str(self.attribute)].starts
        failed |= np.diff(starts) < self.needed


class EntropyLDiversity(Model):
    """The entropy of every class is at least log(l).

    Entropy is concave: a mixture of two classes has at least the smaller entropy of the two (merges). A class of one
    value pulls a good one down, so it does not shrink. Grassberger's correction is not proven concave: nothing is
    inferred from it. In both forms a class needs at least l distinct values (see the factory), which does shrink.
    """

    def __init__(self, attribute: str, wanted: float, estimator: str) -> None:
        self.attribute, self.wanted, self.least = attribute, wanted, math.ceil(wanted)
        self.grassberger = estimator == "grassberger"
        self.merges = not self.grassberger

    def fail(self, classes: Classes, failed: Bools, budget: int) -> None:
        """See Model."""
        found = classes.values[str(self.attribute)]
        totals = found.totals()
        largest = int(totals.max(initial=1))
        psi = grassberger(largest) if self.grassberger else np.log(np.maximum(np.arange(largest + 1), 1.0))
        args = (found.starts, found.counts, totals, psi, math.ceil(self.wanted), math.log(self.wanted))
        entropy_fails(*args, classes.rows, failed, budget)


def grassberger(largest: int) -> Any:
    """Grassberger's G(0) to G(largest): G(1) = -γ - ln 2, G(2n) = G(2n + 1) = G(1) + Σ 2/(2i - 1), i = 1 … n."""
    half = np.arange(1, largest // 2 + 1)
    steps = np.concatenate([[0.0], np.cumsum(2.0 / (2.0 * half - 1.0))])
    return -_EULER - math.log(2.0) + steps[np.arange(largest + 1) // 2]


@compiled
def entropy_fails(
    starts: Any,
    counts: Any,
    totals: Any,
    psi: Any,
    distinct: int,
    log_l: float,
    rows: Any,
    failed: Any,
    budget: int,
) -> None:
    """Mark classes whose Σ f ψ(f) exceeds n (ψ(n) - log l); rounding must not fail a class of equal shares."""
    gone = rows_of(rows, failed)
    for c in range(len(totals)):
        if gone > budget:
            return
        if failed[c]:
            continue
        if starts[c + 1] - starts[c] < distinct:
            failed[c] = True
            gone += rows[c]
            continue
        total = totals[c]
        limit = total * (psi[total] - log_l)
        found = 0.0
        for e in range(starts[c], starts[c + 1]):
            found += counts[e] * psi[counts[e]]
        if found > limit + 1e-12 * (1.0 + abs(total * psi[total])):
            failed[c] = True
            gone += rows[c]


class RecursiveLDiversity(Model):
    """The most frequent value is rarer than c times all values from the l-th most frequent on.

    Of two classes that meet it, the most frequent value of both together has at most the sum of their largest counts,
    and all but the l - 1 most frequent ones at least the sum of their tails, since a tail is the least that any l - 1
    values leave over: merges. A class of one value pulls a good one down: does not shrink.
    """

    def __init__(self, attribute: str, needed: int, c: float) -> None:
        self.attribute, self.needed, self.c, self.least = attribute, needed, c, needed

    def fail(self, classes: Classes, failed: Bools, budget: int) -> None:
        """See Model."""
        found = classes.values[str(self.attribute)]
        recursive_fails(found.starts, found.counts, self.needed, self.c, failed)


@compiled
def recursive_fails(starts: Any, counts: Any, needed: int, c: float, failed: Any) -> None:
    """Mark classes whose largest count is not below c times the tail."""
    for k in range(len(starts) - 1):
        if failed[k]:
            continue
        distinct = starts[k + 1] - starts[k]
        if distinct < needed:
            failed[k] = True
            continue
        ordered = np.sort(counts[starts[k] : starts[k + 1]])
        tail = np.int64(0)
        for i in range(distinct - needed + 1):
            tail += ordered[i]
        if ordered[distinct - 1] >= tail * c:
            failed[k] = True

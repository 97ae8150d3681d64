"""Loss: how much a generalisation costs, and a bound of it that needs no check of classes.

What belongs here: the quality metric and its lower bounds, as arithmetic on arrays. What does not: which transformation
to look at next; see search.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from meddata_pipeline.privacy.policy import Aggregate
from meddata_pipeline.privacy.tabular.hierarchy import Hierarchy

Floats = NDArray[np.float64]

# Losses that differ less are ties: the last digits of a sum depend on the order of its terms.
DIGITS = 12


@dataclass(frozen=True)
class Loss:
    """The Loss metric for one table.

    Attributes:
        rows: number of rows, n.
        leaves: shape (q,), leaves of each hierarchy.
        weights: shape (q,), weights divided by their maximum.
        aggregate: how the values of the columns become one.
        kept_weight: how much of the generalisation of a kept row counts, min(1, 2(1 - g)).
        suppressed_weight: how much of the rest counts for a suppressed row, min(1, 2g).

    Source:
        ARX 3.9.2, Loss metric. Per attribute x = Σ kept rows (leaves under the value / all leaves) + suppressed rows;
        normalised (x - n/leaves) / (n - n/leaves), clipped at 0; geometric mean Π(norm + 1)^(1/q) - 1. How the
        generalisation/suppression factor g enters was read off its published results for g = 0, 0.33, 0.66 and 1.
    """

    rows: int
    leaves: Floats
    weights: Floats
    aggregate: Aggregate
    kept_weight: float
    suppressed_weight: float

    @classmethod
    def create(
        cls,
        rows: int,
        hierarchies: Sequence[Hierarchy],
        weights: dict[str, float],
        aggregate: Aggregate,
        gs_factor: float,
    ) -> Loss:
        """The metric for a table and a policy's ``quality``."""
        top = max(weights.values(), default=1.0)
        return cls(
            rows=rows,
            leaves=np.array([h.leaves for h in hierarchies], dtype=np.float64),
            weights=np.array([weights.get(h.column, top) / top for h in hierarchies], dtype=np.float64),
            aggregate=aggregate,
            kept_weight=min(1.0, 2.0 * (1.0 - gs_factor)),
            suppressed_weight=min(1.0, 2.0 * gs_factor),
        )

    def kept_cost(self, shares: Floats) -> Floats:
        """Cost of one kept row per value, by the share of leaves under what the value becomes."""
        cost: Floats = self.kept_weight * shares
        return cost

    def suppressed_cost(self, shares: Floats) -> Floats:
        """Cost of one suppressed row per value, by the share that generalisation alone would have left."""
        cost: Floats = shares + self.suppressed_weight * (1.0 - shares)
        return cost

    def keys(self, sums: Floats) -> Floats:
        """Comparable values of transformations; each is monotonic in every element of ``sums``.

        Args:
            sums: shape (n, q), x of each attribute.

        Returns:
            Shape (n, 1), or (n, q) for the aggregate ``rank``, where rows compare lexicographically; rounded, so that
            ties are ties.
        """
        low = self.kept_weight * self.rows / self.leaves
        width = self.rows - low
        with np.errstate(divide="ignore", invalid="ignore"):
            norm = np.where(width > 0, np.maximum((sums - low) / width, 0.0), 0.0)
        weighted = norm * self.weights
        count = sums.shape[1]
        if self.aggregate == "rank":
            values = -np.sort(-weighted, axis=1)
        elif self.aggregate == "geometric-mean":
            # Column by column, so that the result does not depend on how numpy splits a product.
            product = np.ones(sums.shape[0])
            for i in range(count):
                product *= (weighted[:, i] + 1.0) ** (1.0 / count)
            values = (product - 1.0)[:, None]
        elif self.aggregate == "maximum":
            values = weighted.max(axis=1)[:, None]
        else:
            total = np.zeros(sums.shape[0])
            for i in range(count):
                total += weighted[:, i]
            values = (total / count if self.aggregate == "arithmetic-mean" else total)[:, None]
        rounded: Floats = np.round(values, DIGITS)
        return rounded

    def report(self, key: Floats) -> float | list[float]:
        """The loss as reports give it: a number, or the list of the aggregate ``rank``."""
        return [float(v) for v in key] if self.aggregate == "rank" else float(key[0])

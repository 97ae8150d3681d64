"""Models over all classes of a sample: average risk, sample uniqueness, estimated population uniqueness.

The smallest classes are suppressed until the rest meets the model; see enforce.

Sources: El Emam, Guide to the De-Identification of Personal Health Information, 2013 (average risk); Dankar et al.,
Estimating the re-identification risk of clinical data sets, 2012 (population uniqueness).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from meddata_pipeline.privacy.tabular.models.base import Ints, SampleModel

_SLACK = 1e-12


class AverageRisk(SampleModel):
    """Kept classes / kept persons is at most ``threshold``.

    Shrinks, given that smallest classes go first: what a finer transformation keeps can be kept by a coarser one in no
    more classes, so the same suppression suffices there, and suppressing the smallest classes costs the fewest rows.
    """

    shrinks = True

    def __init__(self, threshold: float) -> None:
        self.threshold = threshold

    def met(self, sizes: Ints, total: int) -> bool:
        """See SampleModel."""
        return not total or len(sizes) <= self.threshold * total * (1.0 + _SLACK)


class SampleUniqueness(SampleModel):
    """The share of kept persons alone in their class is at most ``threshold``.

    Shrinks: a unique of a coarser transformation is one of a finer, and uniques go first.
    """

    shrinks = True

    def __init__(self, threshold: float) -> None:
        self.threshold = threshold

    def met(self, sizes: Ints, total: int) -> bool:
        """See SampleModel."""
        return int(np.searchsorted(sizes, 1, side="right")) <= self.threshold * total * (1.0 + _SLACK)


class PopulationUniqueness(SampleModel):
    """The estimated share of persons unique in the population is at most ``threshold``.

    Estimators are not monotonic in anything: nothing is inferred.
    """

    def __init__(self, threshold: float, estimator: str, population: int) -> None:
        self.threshold, self.estimator, self.population = threshold, estimator, population

    def met(self, sizes: Ints, total: int) -> bool:
        """See SampleModel. No estimate is no small risk: the model is then not met."""
        from meddata_pipeline.privacy.tabular.uniqueness import has_estimate, population_uniqueness

        if not total:
            return True
        distinct, counts = np.unique(sizes, return_counts=True)
        sample = (distinct, counts, total / self.population, self.estimator)
        return has_estimate(*sample) and population_uniqueness(*sample) <= self.threshold


def enforce(
    model: SampleModel, order: NDArray[np.int64], sizes: Ints, rows: Ints, gone: int, limit: int
) -> tuple[int, int]:
    """Find by bisection how many of the smallest classes must go until a model is met.

    Args:
        model: the model.
        order: (e,) kept classes, those to be suppressed first in front.
        sizes: (c,) persons of each class.
        rows: (c,) rows of each class.
        gone: rows that are suppressed already.
        limit: rows that may be suppressed; the search ends when more would have to go.

    Returns:
        Number of classes of ``order`` that go, and rows suppressed in all.

    Source:
        ARX 3.9.2 finds the same number by the same bisection, which matters where the model is not monotonic.
    """
    ordered = sizes[order]
    running = np.concatenate([[0], np.cumsum(rows[order])])
    persons = np.concatenate([[0], np.cumsum(ordered)])

    def met(first: int) -> bool:
        return model.met(ordered[first:], int(persons[-1] - persons[first]))

    if met(0) or not len(order):
        return 0, gone
    low, high = 0, len(order) - 1
    middle = (low + high) // 2
    while low <= high:
        if met(middle + 1):
            high = middle - 1
            middle = max((low + high) // 2, 0)
        elif gone + int(running[middle + 1]) > limit:
            return middle + 1, gone + int(running[middle + 1])
        else:
            low = middle + 1
            middle = (low + high) // 2
    count = middle + 1
    if count < len(order) and gone + int(running[count]) <= limit and not met(count):
        count += 1
    return count, gone + int(running[count])

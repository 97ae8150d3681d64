"""k-anonymity, and k-map where the population's size is estimated: a class is large enough.

Source: Sweeney 2002; El Emam and Dankar 2008 for the estimated k-map.
"""

from __future__ import annotations

from meddata_pipeline.privacy.tabular.models.base import Bools, Classes, Model


class KAnonymity(Model):
    """Every class holds at least ``k`` persons. A class only grows by merging: shrinks."""

    shrinks = True

    def __init__(self, k: int) -> None:
        self.least = k

    def fail(self, classes: Classes, failed: Bools, budget: int) -> None:
        """See Model."""
        failed |= classes.size < self.least


def derived_k(k: int, rows: int, population: int, significance: float, estimator: str) -> int:
    """The class size in the sample from which a class is taken to stand for ``k`` persons of the population.

    A class of the population that is smaller than k shows at most that many persons in the sample with probability
    1 - significance, when a class of size k shows Poisson(k · rows / population) of them.

    Args:
        k: wanted size in the population.
        rows: size of the sample.
        population: size of the population.
        significance: probability of error.
        estimator: ``poisson``, or ``zero-truncated-poisson``: a class of the sample is never empty.

    Returns:
        A size between 1 and ``k``.
    """
    from scipy.stats import poisson

    expected = rows / population * k
    wanted = 1.0 - significance
    if estimator == "poisson":
        size, reached = 0, 0.0
        while reached < wanted and size < k:
            reached = float(poisson.cdf(size, expected))
            size += 1
        size += 1
    else:
        size, reached = 1, 0.0
        seen = 1.0 - float(poisson.pmf(0, expected))
        while reached < wanted and size < k:
            reached += float(poisson.pmf(size, expected)) / seen
            size += 1
    return max(min(k, size, rows), 1)

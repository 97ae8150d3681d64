"""δ-disclosure privacy and β-likeness: no value is much more (or less) frequent in a class than in the table.

Sources: Brickell and Shmatikov, The Cost of Privacy, 2008 (δ-disclosure); Cao and Karras, Publishing Microdata with a
Robust Privacy Guarantee, 2012 (β-likeness).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from meddata_pipeline.privacy.tabular.models.base import Background, Bools, Classes, Distribution, Model

_SLACK = 1e-12


def _shares(found: Distribution, background: Background) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Share of each entry in its class and in the table."""
    totals = np.repeat(found.totals(), np.diff(found.starts))
    whole = background.counts / background.counts.sum()
    return found.counts / totals, whole[found.values]


def _fail_entries(found: Distribution, bad: Bools, failed: Bools) -> None:
    sums = np.concatenate([[0], np.cumsum(bad)])
    failed |= sums[found.starts[1:]] > sums[found.starts[:-1]]


class DeltaDisclosure(Model):
    """|log2(share in the class / share in the table)| of every value present is below ``delta``.

    A value that a class lacks is not judged, and a merged class may hold just a little of it: it neither shrinks nor
    merges, and nothing is inferred from it.
    """

    merges = False

    def __init__(self, attribute: str, delta: float, background: Background) -> None:
        self.attribute, self.delta, self.background = attribute, delta, background

    def fail(self, classes: Classes, failed: Bools, budget: int) -> None:
        """See Model."""
        found = classes.values[str(self.attribute)]
        inside, whole = _shares(found, self.background)
        _fail_entries(found, np.abs(np.log2(inside / whole)) >= self.delta * (1.0 - _SLACK), failed)


class BetaLikeness(Model):
    """No value's share exceeds that in the table by more than ``beta`` times it; enhanced: nor by -ln(share) times it.

    The share in a merged class is at most the larger of the two, also where one lacks the value: merges. A class with
    too much of a value pulls a good one up: does not shrink.
    """

    def __init__(self, attribute: str, beta: float, enhanced: bool, background: Background) -> None:
        self.attribute, self.background = attribute, background
        whole = background.counts / background.counts.sum()
        limits = np.full(len(whole), beta)
        if enhanced:
            limits = np.array([min(beta, -math.log(p)) if p > 0 else beta for p in whole])
        self.limits = limits

    def fail(self, classes: Classes, failed: Bools, budget: int) -> None:
        """See Model."""
        found = classes.values[str(self.attribute)]
        inside, whole = _shares(found, self.background)
        gain = (inside - whole) / whole
        _fail_entries(found, gain > self.limits[found.values] * (1.0 + _SLACK) + _SLACK, failed)

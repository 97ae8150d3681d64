"""δ-presence and inclusion: how much a class tells about who belongs to the research subset.

Source: Nergiz, Atzori and Clifton, Hiding the Presence of Individuals from Shared Databases, 2007.
"""

from __future__ import annotations

import numpy as np

from meddata_pipeline.privacy.tabular.models.base import Bools, Classes, Model

_SLACK = 1e-12


class DeltaPresence(Model):
    """The share of a class that belongs to the subset lies between ``low`` and ``high``.

    The share of a merged class lies between those of its parts (merges, as long as every part was judged). A class
    without any row of the subset has the share 0: where ``low`` is above 0 it says of its people that they are not in
    the subset, and a transformation with such a class is no solution. When another model asks for a size, such a class
    counts as suppressed instead (as in ARX); it then was not judged, so merging it may spoil a good one.
    """

    def __init__(self, low: float, high: float) -> None:
        self.low, self.high = low, high
        #: Whether a class without rows of the subset rules its transformation out; set by the factory.
        self.refuses_empty = low > 0.0
        self.merges = True

    def fail(self, classes: Classes, failed: Bools, budget: int) -> None:
        """See Model."""
        share = classes.size / np.maximum(classes.population, 1)
        failed |= (share < self.low * (1.0 - _SLACK)) | (share > self.high * (1.0 + _SLACK))


class Inclusion(Model):
    """Only rows of the subset are released; it asks nothing of a class."""

    shrinks = True

    def fail(self, classes: Classes, failed: Bools, budget: int) -> None:
        """See Model."""

"""k-map with the population at hand: every class of the subset stands for enough persons of the whole table.

Source: Sweeney 2001, Computational Disclosure Control.
"""

from __future__ import annotations

from meddata_pipeline.privacy.tabular.models.base import Bools, Classes, Model


class KMap(Model):
    """Every class holds at least ``k`` persons of the whole table. A class only grows by merging: shrinks."""

    shrinks = True

    def __init__(self, k: int) -> None:
        self.k = k

    def fail(self, classes: Classes, failed: Bools, budget: int) -> None:
        """See Model."""
        failed |= classes.population < self.k

"""What a privacy model is to the search: a check of classes, and what its answer implies for other transformations.

What belongs here: the shared form of models and of the classes that they judge. What does not: any one model.

Two facts decide how much a model lets the search skip; each model states its own and why:

- ``shrinks``: a class that meets the model still meets it after merging with any other class. Then the rows that fail
  only become fewer on the way up: a transformation that fails more rows than may be suppressed rules out every finer
  one, with any suppression limit.
- ``merges``: two classes that both meet the model meet it together. When nothing may be suppressed, that is enough to
  rule out finer transformations too; with suppression it is not, for a failing class may pull a good one down.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Distribution:
    """Values of a sensitive column by class.

    Attributes:
        starts: (classes + 1,) where each class begins in ``values``.
        values: (t,) codes of values, rising within a class.
        counts: (t,) rows of each (persons, where the policy has a unit).
    """

    starts: Ints
    values: NDArray[np.int32]
    counts: Ints

    def totals(self) -> Ints:
        """Sum of the counts of each class."""
        sums = np.concatenate([[0], np.cumsum(self.counts)])
        totals: Ints = sums[self.starts[1:]] - sums[self.starts[:-1]]
        return totals


@dataclass(frozen=True)
class Background:
    """A sensitive column of the whole table.

    Attributes:
        texts: distinct values, in lexicographic order.
        counts: (texts,) rows (persons) of each in the table, or in the subset where there is one.
        parents: for hierarchical distances: per level from the finest up, what each node of the level before becomes;
            the first entry maps ``texts``.
    """

    texts: Sequence[str]
    counts: Ints
    parents: Sequence[Ints] = ()


@dataclass(frozen=True)
class Classes:
    """The classes of one transformation.

    Attributes:
        rows: (c,) rows that could be released (of the subset, where there is one).
        size: (c,) persons of those rows; rows without a unit.
        population: (c,) persons (rows) of the class in the whole table.
        values: distributions of the sensitive columns that the models ask for.
    """

    rows: Ints
    size: Ints
    population: Ints
    values: Mapping[str, Distribution] = field(default_factory=dict)


class Criterion:
    """What a policy asks of the released classes: a Model or a SampleModel."""

    #: See the module's docstring.
    shrinks: bool = False
    merges: bool = True
    #: The sensitive column it is about, if any.
    attribute: str | None = None
    #: Persons that a class needs at least to meet it, for bounds that know sizes only.
    least: int = 0


class Model(Criterion, ABC):
    """A model that judges each class by itself."""

    @abstractmethod
    def fail(self, classes: Classes, failed: Bools, budget: int) -> None:
        """Mark the classes that do not meet the model.

        Args:
            classes: of one transformation.
            failed: (c,) set to True where a class fails; other entries stay as they are.
            budget: rows that may fail in all; a model may stop judging once more have.
        """


class SampleModel(Criterion, ABC):
    """A model that judges the sizes of all kept classes together; classes are suppressed until it is met."""

    #: A model over all classes implies nothing for one; the search treats ``shrinks`` alike.
    merges: bool = False

    @abstractmethod
    def met(self, sizes: Ints, total: int) -> bool:
        """Whether kept classes meet the model.

        Args:
            sizes: (kept classes,) rising sizes in persons.
            total: their sum.
        """

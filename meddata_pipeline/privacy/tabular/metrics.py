"""Quality metrics: what a transformation costs, and lower bounds of it that need no count of its classes.

What belongs here: the metrics of the policy format as arithmetic on whole-number sums of classes, their aggregates and
weights, and for each the bounds that let the search skip transformations. What does not: counting (kernels.py), which
transformation to look at next (search.py).

Every metric is a list of *parts* that grow with the cost: one for each column (Loss, entropy, precision, height), or a
single one (DM, DM*, AECS). The aggregate makes them comparable: their sum, their maximum, or the list itself sorted
from the largest. Three kinds of bounds hold for parts:

- ``static``: for a column at a level, whatever the other columns do. It rises with the level in every metric, since a
  coarser value is never cheaper and a row costs at least the cheaper of staying and going.
- ``finer``: a row that fails a shrinking model (models/base.py) at a transformation fails it at every finer one, so the
  extra cost of its suppression is due there too. The extra cost per row does not fall with finer levels.
- ``coarser``: classes only merge on the way up, so Σ size² does not fall and the number of classes does not rise.

Sources: ARX 3.9.2 (Apache-2.0) for the definitions, confirmed by its results; Iyengar 2002 (Loss),
Bayardo and Agrawal 2005 (DM), LeFevre et al. 2006 (AECS), De Waal and Willenborg 1999, Gionis and Tassa 2009
(non-uniform entropy), Sweeney 2002 (precision).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from meddata_pipeline.privacy.policy import Quality
from meddata_pipeline.privacy.tabular.hierarchy import Hierarchy

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

#: Digits that are kept of a reported loss: the last ones depend on the order of additions.
DIGITS = 12
_MODES = {"rank": 2, "maximum": 1}


@dataclass(frozen=True)
class Sums:
    """What a metric may know of the classes of one transformation; only what it ``needs`` is counted.

    Attributes:
        sizes: (6,) classes, kept classes, kept rows, suppressed rows, Σ rows², Σ rows² of kept classes.
        leaves: (2, q) leaves over kept and over suppressed rows; see kernels.leaf_sums.
        histogram: per column, suppressed rows by what their values become.
    """

    sizes: Ints
    leaves: Ints | None = None
    histogram: list[Ints] | None = None


@dataclass
class Metric(ABC):
    """A metric for one table.

    Attributes:
        rows: rows that are released or suppressed (those of the subset, where there is one).
        hierarchies: of the quasi-identifiers.
        leaf_rows: per column, (leaves of the table,) rows of each.
        weights: (q,) weights divided by their maximum.
        aggregate: see policy.Quality.
        kept_weight: min(1, 2(1 - g)).
        gone_weight: min(1, 2g).
    """

    rows: int
    hierarchies: Sequence[Hierarchy]
    leaf_rows: Sequence[Ints]
    weights: Floats
    aggregate: str
    kept_weight: float
    gone_weight: float
    needs_leaves: bool = False
    needs_histogram: bool = False
    by_column: bool = True
    #: Whether suppressing more rows of the same transformation never lowers the value.
    suppression_costs: bool = True
    scale: float = field(init=False, default=1.0)

    @property
    def mode(self) -> int:
        """How kernels.write_key combines parts."""
        return _MODES.get(self.aggregate, 0) if self.by_column else 0

    @property
    def width(self) -> int:
        """Length of a key."""
        return len(self.hierarchies) if self.mode == 2 else 1

    @property
    def part_count(self) -> int:
        """Number of parts."""
        return len(self.hierarchies) if self.by_column else 1

    @abstractmethod
    def values(self, sums: Sums, node: Sequence[int]) -> Floats:
        """Value of each part before weights and aggregate."""

    def static_values(self, column: int, level: int) -> float:
        """Least value of a column at a level, before weights and aggregate; 0 bounds every metric from below."""
        return 0.0

    def extra_values(self, sums: Sums, node: Sequence[int]) -> Floats | None:
        """What the suppressed rows of ``sums`` add at least, at ``node`` and at every finer transformation."""
        return None

    def coarser_value(self, sums: Sums) -> float | None:
        """Least value of every coarser transformation, whatever it suppresses."""
        return None

    def class_bound(self, classes: int) -> float:
        """Least value of a transformation with at most that many classes."""
        return 0.0

    def parts(self, values: Floats) -> Floats:
        """Values as parts that the key adds up, takes the maximum of, or sorts."""
        if not self.by_column:
            return values
        weighted: Floats = values * self.weights
        if self.aggregate == "geometric-mean":
            return np.log1p(weighted) / len(values)
        if self.aggregate == "arithmetic-mean":
            return weighted / len(values)
        return weighted

    def static(self) -> Floats:
        """Static bounds as parts, (parts, most levels); levels that a column lacks are infinite."""
        if not self.by_column:
            return np.zeros((1, 1))
        deepest = max(len(h.levels) for h in self.hierarchies)
        result = np.full((len(self.hierarchies), deepest), np.inf)
        self._raw = np.full_like(result, np.inf)
        for i, hierarchy in enumerate(self.hierarchies):
            low = 0.0
            for level in range(len(hierarchy.levels)):
                low = max(low, self.static_values(i, level))
                self._raw[i, level] = low
        for level in range(deepest):
            finite = np.isfinite(self._raw[:, level])
            result[finite, level] = self.parts(np.where(finite, self._raw[:, level], 0.0))[finite]
        return result

    def finer(self, sums: Sums, node: Sequence[int]) -> Floats | None:
        """Bounds for every transformation nowhere coarser than ``node``, as ``static``; None when nothing is known.

        Args:
            sums: of ``node``, where only rows that fail shrinking models count as suppressed.
            node: the transformation.
        """
        if not self.by_column or not int(sums.sizes[3]):
            return None
        extra = self.extra_values(sums, node)
        if extra is None or not (extra > 0).any():
            return None
        raised = self._raw + extra[:, None]
        result = np.full_like(raised, np.inf)
        for level in range(raised.shape[1]):
            finite = np.isfinite(raised[:, level])
            result[finite, level] = self.parts(np.where(finite, raised[:, level], 0.0))[finite]
        return result

    def recoded(
        self, sizes: Ints, codes: NDArray[np.int32], rows: Ints, levels: NDArray[np.int8], gone: Bools
    ) -> Floats:
        """``values`` of a table whose rows have levels of their own; a suppressed row stands for every leaf.

        Args:
            sizes: see Sums.
            codes: (n, q) leaf of each combination.
            rows: (n,).
            levels: (n, q).
            gone: (n,) True where a combination is suppressed.
        """
        if not self.by_column:
            return self.values(Sums(sizes), ())
        kept = ~gone
        result = np.zeros(len(self.hierarchies))
        for i in range(len(result)):
            for level in np.unique(levels[kept, i]):
                at = kept & (levels[:, i] == level)
                result[i] += self.level_cost(i, int(level), codes[at, i], rows[at])
        return self.recoded_values(result, int(rows[gone].sum()))

    def level_cost(self, column: int, level: int, leaves: NDArray[np.int32], rows: Ints) -> float:
        """Cost of kept rows at a level."""
        return float(level * rows.sum())

    def recoded_values(self, costs: Floats, gone: int) -> Floats:
        """Values from the costs of kept rows and the number of suppressed ones."""
        return costs / max(self.rows, 1)

    def report(self, values: Floats) -> float | list[float]:
        """The loss as reports give it: a number, or the sorted list of the aggregate ``rank``."""
        if not self.by_column:
            return float(values[0])
        weighted = values * self.weights
        count = len(values)
        if self.aggregate == "rank":
            return [round(float(v), DIGITS) for v in -np.sort(-weighted)]
        if self.aggregate == "maximum":
            return round(float(weighted.max()), DIGITS)
        if self.aggregate == "geometric-mean":
            product = 1.0
            for value in weighted:
                product *= (float(value) + 1.0) ** (1.0 / count)
            return round(product - 1.0, DIGITS)
        total = 0.0
        for value in weighted:
            total += float(value)
        return round(total / count if self.aggregate == "arithmetic-mean" else total, DIGITS)

    def report_key(self, key: Ints) -> float | list[float]:
        """A key (of a bound) as ``report`` gives losses."""
        plain = key / 1e12 * self.scale
        if self.mode == 2:
            return [round(float(v), DIGITS) for v in plain]
        value = float(plain[0])
        return round(math.expm1(value) if self.by_column and self.aggregate == "geometric-mean" else value, DIGITS)


@dataclass
class Loss(Metric):
    """Granularity: the share of a column's leaves that a value stands for; 1 for a suppressed row.

    Per attribute x = Σ kept rows (leaves under the value / all leaves) + suppressed rows; normalised
    (x - n/leaves) / (n - n/leaves), clipped at 0. With g: kept rows count kept_weight · share, suppressed ones
    share + gone_weight (1 - share), and the lowest x is that of kept rows.
    """

    needs_leaves: bool = True

    @staticmethod
    def _leaves(sums: Sums) -> Ints:
        if sums.leaves is None:
            raise ValueError("Loss needs sums of leaves")
        return sums.leaves

    def _norm(self, x: float, column: int) -> float:
        low = self.kept_weight * self.rows / self.hierarchies[column].leaves
        width = self.rows - low
        return max((x - low) / width, 0.0) if width > 0 else 0.0

    def _x(self, kept: int, gone: int, gone_rows: int, column: int) -> float:
        leaves = self.hierarchies[column].leaves
        stays = self.kept_weight * kept / leaves
        return stays + gone / leaves + self.gone_weight * (gone_rows - gone / leaves)

    def values(self, sums: Sums, node: Sequence[int]) -> Floats:
        """See Metric."""
        gone = int(sums.sizes[3])
        kept_leaves, gone_leaves = self._leaves(sums)
        return np.array(
            [
                self._norm(self._x(int(k), int(g), gone, i), i)
                for i, (k, g) in enumerate(zip(kept_leaves, gone_leaves, strict=True))
            ]
        )

    def static_values(self, column: int, level: int) -> float:
        """See Metric: every row stays, since one weight is 1 and going then costs at least as much."""
        leaves = np.rint(self.hierarchies[column].levels[level].shares * self.hierarchies[column].leaves).astype(
            np.int64
        )
        return self._norm(self._x(int(leaves @ self.leaf_rows[column]), 0, 0, column), column)

    def level_cost(self, column: int, level: int, leaves: NDArray[np.int32], rows: Ints) -> float:
        """See Metric."""
        return self.kept_weight * float(self.hierarchies[column].levels[level].shares[leaves] @ rows)

    def recoded_values(self, costs: Floats, gone: int) -> Floats:
        """See Metric."""
        return np.array([self._norm(float(cost) + gone, i) for i, cost in enumerate(costs)])

    def extra_values(self, sums: Sums, node: Sequence[int]) -> Floats | None:
        """See Metric: going instead of staying costs gone_weight + share (1 - gone_weight - kept_weight) a row.

        The factor of share is not positive, so at finer levels, where shares are smaller, it costs no less.
        """
        gone = int(sums.sizes[3])
        gone_leaves = self._leaves(sums)[1]
        result = np.zeros(len(self.hierarchies))
        for i, hierarchy in enumerate(self.hierarchies):
            width = self.rows - self.kept_weight * self.rows / hierarchy.leaves
            share = float(gone_leaves[i]) / hierarchy.leaves
            due = self.gone_weight * gone + share * (1.0 - self.gone_weight - self.kept_weight)
            # Clipping at 0 can only eat what the static bound left below 0, which it never does here.
            result[i] = max(due, 0.0) / width if width > 0 else 0.0
        return result


@dataclass
class Entropy(Metric):
    """Non-uniform entropy: bits that a generalised value leaves open about the original one.

    Per column -Σ count · log2(freq(original) / freq(generalised)) over all rows; unless ``monotonic``, plus
    -Σ suppressed count · log2(count / suppressed) over the generalised values of suppressed rows.
    """

    monotonic: bool = False

    def __post_init__(self) -> None:
        self.needs_histogram = not self.monotonic
        self.suppression_costs = True
        bits = self.rows * math.log2(max(self.rows, 2))
        if self.aggregate != "geometric-mean":  # whose parts are logarithms already
            self.scale = 2.0 * bits * (len(self.hierarchies) if self.aggregate == "sum" else 1)

    def static_values(self, column: int, level: int) -> float:
        """See Metric."""
        counts = self.leaf_rows[column]
        codes = self.hierarchies[column].levels[level].codes
        groups = np.bincount(codes, weights=counts, minlength=len(self.hierarchies[column].levels[level].labels))
        total = 0.0
        for count, group in zip(counts.tolist(), groups[codes].tolist(), strict=True):
            if count:
                total += count * math.log2(count / group)
        return self.kept_weight * (-total if total else 0.0)

    def level_cost(self, column: int, level: int, leaves: NDArray[np.int32], rows: Ints) -> float:
        """See Metric."""
        counts, made = self.leaf_rows[column], self.hierarchies[column].levels[level]
        groups = np.bincount(made.codes, weights=counts, minlength=len(made.labels))[made.codes]
        return self.kept_weight * float(np.log2(groups[leaves] / counts[leaves]) @ rows)

    def recoded_values(self, costs: Floats, gone: int) -> Floats:
        """See Metric."""
        return costs if self.monotonic else costs + self.gone_weight * gone * math.log2(max(gone, 1))

    def extra_values(self, sums: Sums, node: Sequence[int]) -> Floats | None:
        """See Metric: N log N - Σ c log c grows with every suppressed row and with every split of a value."""
        if self.monotonic or sums.histogram is None:
            return None
        result = np.zeros(len(self.hierarchies))
        gone = int(sums.sizes[3])
        for i, counts in enumerate(sums.histogram):
            positive = np.sort(counts[counts > 0])
            total = float((positive * np.log2(positive / gone)).sum()) if gone else 0.0
            result[i] = self.gone_weight * (-total if total else 0.0)
        return result

    def values(self, sums: Sums, node: Sequence[int]) -> Floats:
        """See Metric."""
        fixed = np.array([self._raw[i, level] for i, level in enumerate(node)])
        extra = self.extra_values(sums, node)
        return fixed if extra is None else fixed + extra


@dataclass
class Precision(Metric):
    """Level / height of each column, averaged over rows; a suppressed row counts 1. ``monotonic`` leaves those out."""

    monotonic: bool = False

    def __post_init__(self) -> None:
        self.suppression_costs = self.gone_weight >= self.kept_weight

    def _share(self, column: int, level: int) -> float:
        height = len(self.hierarchies[column].levels) - 1
        return self.kept_weight * level / height if height else 0.0

    def static_values(self, column: int, level: int) -> float:
        """See Metric."""
        share = self._share(column, level)
        return share if self.monotonic else min(share, self.gone_weight)

    def level_cost(self, column: int, level: int, leaves: NDArray[np.int32], rows: Ints) -> float:
        """See Metric."""
        return self._share(column, level) * float(rows.sum())

    def recoded_values(self, costs: Floats, gone: int) -> Floats:
        """See Metric."""
        return (costs + (0.0 if self.monotonic else gone * self.gone_weight)) / self.rows

    def values(self, sums: Sums, node: Sequence[int]) -> Floats:
        """See Metric."""
        kept, gone = int(sums.sizes[2]), int(sums.sizes[3])
        if self.monotonic:
            return np.array([self._share(i, level) for i, level in enumerate(node)])
        return np.array(
            [(kept * self._share(i, level) + gone * self.gone_weight) / self.rows for i, level in enumerate(node)]
        )

    def extra_values(self, sums: Sums, node: Sequence[int]) -> Floats | None:
        """See Metric: the difference to staying grows as levels fall."""
        if self.monotonic:
            return None
        gone = int(sums.sizes[3])
        return np.array(
            [gone * max(self.gone_weight - self._share(i, level), 0.0) / self.rows for i, level in enumerate(node)]
        )


@dataclass
class Height(Metric):
    """The levels themselves."""

    def __post_init__(self) -> None:
        self.scale = float(max(sum(len(h.levels) for h in self.hierarchies), 1))

    def static_values(self, column: int, level: int) -> float:
        """See Metric."""
        return float(level)

    def values(self, sums: Sums, node: Sequence[int]) -> Floats:
        """See Metric."""
        return np.array(node, dtype=np.float64)


@dataclass
class Discernibility(Metric):
    """DM* = Σ rows²; DM counts the whole table for each suppressed row instead."""

    star: bool = False
    by_column: bool = False

    def __post_init__(self) -> None:
        self.scale = float(self.rows) ** 2

    def values(self, sums: Sums, node: Sequence[int]) -> Floats:
        """See Metric."""
        if self.star:
            return np.array([float(sums.sizes[4])])
        return np.array([float(int(sums.sizes[5]) + self.rows * int(sums.sizes[3]))])

    def coarser_value(self, sums: Sums) -> float | None:
        """See Metric: DM is at least DM*, and Σ rows² does not fall when classes merge."""
        return float(sums.sizes[4])

    def class_bound(self, classes: int) -> float:
        """See Metric: Σ rows² is least when all classes are equal."""
        return float(self.rows) ** 2 / classes


@dataclass
class ClassSize(Metric):
    """AECS: rows / (kept classes + 1 if anything is suppressed).

    The factor of kept rows here is that of suppressed ones elsewhere, and the other way round, as ARX has it: what
    stands below the line must grow for the loss to fall.
    """

    by_column: bool = False

    def __post_init__(self) -> None:
        self.scale = float(self.rows)
        self.suppression_costs = self.kept_weight <= self.gone_weight

    def values(self, sums: Sums, node: Sequence[int]) -> Floats:
        """See Metric."""
        below = float(sums.sizes[1]) * self.gone_weight + (self.kept_weight if int(sums.sizes[3]) else 0.0)
        return np.array([self.rows / below if below else math.inf])

    def coarser_value(self, sums: Sums) -> float | None:
        """See Metric."""
        return self.class_bound(int(sums.sizes[0]))

    def class_bound(self, classes: int) -> float:
        """See Metric: with something suppressed at most all but one class is kept."""
        below = max(classes * self.gone_weight, (classes - 1) * self.gone_weight + self.kept_weight)
        return self.rows / below if below else math.inf


def create(quality: Quality, rows: int, hierarchies: Sequence[Hierarchy], leaf_rows: Sequence[Ints]) -> Metric:
    """The metric that a policy asks for.

    Args:
        quality: of the policy.
        rows: rows that are released or suppressed.
        hierarchies: of the quasi-identifiers.
        leaf_rows: per column, rows of each leaf of the table.

    Returns:
        The metric, with its static bounds computed.
    """
    top = max(quality.weights.values(), default=1.0)
    weights = np.array([quality.weights.get(h.column, top) / top for h in hierarchies])
    kept, gone = min(1.0, 2.0 * (1.0 - quality.gs_factor)), min(1.0, 2.0 * quality.gs_factor)
    common = (rows, hierarchies, leaf_rows, weights, quality.aggregate, kept, gone)
    made: Metric
    if quality.metric == "loss":
        made = Loss(*common)
    elif quality.metric == "non-uniform-entropy":
        made = Entropy(*common, monotonic=quality.monotonic)
    elif quality.metric == "precision":
        made = Precision(*common, monotonic=quality.monotonic)
    elif quality.metric == "height":
        made = Height(*common)
    elif quality.metric == "aecs":
        made = ClassSize(*common)
    else:
        made = Discernibility(*common, star=quality.metric == "dm-star")
    return made

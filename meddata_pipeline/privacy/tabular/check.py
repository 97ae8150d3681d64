"""One check: the classes of a transformation, which of them fail, and what that costs.

What belongs here: counting with roll-up from finer checks, the models in order, the sums for the metric. What does not:
which transformation to check next (search.py).

Roll-up: the classes of a coarser transformation are unions of those of a finer one, so they are counted from the
smallest finer check that is still kept, not from the table. Persons with rows in several classes can't be added up;
with a unit of several rows each check starts from the table.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from meddata_pipeline.privacy.tabular import kernels
from meddata_pipeline.privacy.tabular.encode import Merged
from meddata_pipeline.privacy.tabular.grouping import Grouper, Source
from meddata_pipeline.privacy.tabular.hierarchy import Hierarchy
from meddata_pipeline.privacy.tabular.metrics import Floats, Metric, Sums
from meddata_pipeline.privacy.tabular.models import Classes, Criterion, Distribution, Model, SampleModel
from meddata_pipeline.privacy.tabular.models.presence import DeltaPresence
from meddata_pipeline.privacy.tabular.models.risk import enforce
from meddata_pipeline.privacy.tabular.values import SUPPRESSED

Ints = NDArray[np.int64]
Node = tuple[int, ...]

# Classes that snapshots may hold together: 16 to 32 bytes each.
_SNAPSHOT_CLASSES = 4_000_000
_SNAPSHOTS = 512


@dataclass(frozen=True)
class Counted:
    """Classes of one transformation, as they were counted.

    Attributes:
        node: level of each quasi-identifier.
        classes: rows of each, and a combination for it.
        values: distributions by class.
    """

    node: Node
    classes: Source
    values: dict[str, Distribution]


@dataclass(frozen=True)
class Check:
    """What one transformation does.

    Attributes:
        feasible: whether it meets the policy.
        certain: rows that fail shrinking models; every finer transformation fails at least these.
        sums: of all suppressed rows; None where too many are.
        certain_sums: where only the certain ones count.
        failed: (c,) classes that are suppressed.
        counted: the classes.
        worse: the check ended early since the transformation can't beat the best one.
    """

    feasible: bool
    certain: int
    sums: Sums | None
    certain_sums: Sums | None
    failed: NDArray[np.bool_]
    counted: Counted
    worse: bool = False


@dataclass
class Checker:
    """Checks transformations of one table.

    Attributes:
        table: merged combinations.
        hierarchies: of the quasi-identifiers.
        models: see models.create_models.
        metric: the quality metric.
        limit: rows that may be suppressed.
    """

    table: Merged
    hierarchies: Sequence[Hierarchy]
    models: Sequence[Criterion]
    metric: Metric
    limit: int
    checked: int = 0
    _kept: list[Counted] = field(default_factory=list)
    _kept_total: int = 0
    _oldest: int = 0
    _next: int = 0

    def __post_init__(self) -> None:
        self.grouper = Grouper(self.table.codes, self.hierarchies, self.table.rows, self.table.population)
        # Where only sizes matter, combinations may be counted in any order.
        self._plain = self.table.persons is None and not any(m.attribute for m in self.models)
        self._sizes, self._groups = self.grouper.sizes, self.grouper.groups
        leaf_of = self.grouper.leaf_of
        # By the code of a column's pack, as classes are kept: their combinations lie scattered in the table.
        self._leaves = [
            [np.rint(level.shares * h.leaves).astype(np.int64)[leaf] for level in h.levels]
            for h, leaf in zip(self.hierarchies, leaf_of, strict=True)
        ]
        self._group_of = [[g[leaf] for g in groups] for groups, leaf in zip(self._groups, leaf_of, strict=True)]
        self._starts = np.concatenate([[0], np.cumsum([len(leaf) for leaf in leaf_of])])[:-1].astype(np.int64)
        self._kept_nodes = np.zeros((_SNAPSHOTS, len(self.hierarchies)), dtype=np.int16)
        self._kept_sizes = np.zeros(_SNAPSHOTS, dtype=np.int64)
        self._kept_weights = np.zeros(_SNAPSHOTS, dtype=np.int64)
        self.shrinking = [m for m in self.models if isinstance(m, Model) and m.shrinks]
        self.others = [m for m in self.models if isinstance(m, Model) and not m.shrinks]
        self.samples = [m for m in self.models if isinstance(m, SampleModel)]
        self.least = max((m.least for m in self.models), default=0)
        #: Whether a feasible transformation makes every coarser one feasible; see models/base.py.
        self.upward = all(m.shrinks for m in self.models) or (
            self.limit == 0 and all(m.shrinks or m.merges for m in self.models)
        )

    def _start(self, node: Node) -> Counted | None:
        """The smallest kept check that is finer, or None: the table."""
        levels = np.array(node, dtype=np.int16)
        at = int(kernels.smallest_finer(self._kept_nodes, self._kept_sizes, len(self._kept), levels))
        return None if at < 0 else self._kept[at]

    def _keep(self, counted: Counted) -> None:
        """Keep a check for roll-up; when there is no room, the ones kept longest go."""
        if 2 * len(counted.classes.rows) > len(self.table.rows):
            return
        size = len(counted.classes.combination) + sum(len(d.values) for d in counted.values.values())
        while self._kept_total + size > _SNAPSHOT_CLASSES or self._next - self._oldest >= _SNAPSHOTS:
            if self._oldest == self._next:
                return
            gone = self._oldest % _SNAPSHOTS
            self._kept_total -= int(self._kept_weights[gone])
            self._kept_sizes[gone] = 0
            self._oldest += 1
        at = self._next % _SNAPSHOTS
        if at == len(self._kept):
            self._kept.append(counted)
        else:
            self._kept[at] = counted
        self._kept_nodes[at] = counted.node
        self._kept_sizes[at] = len(counted.classes.combination)
        self._kept_weights[at] = size
        self._kept_total += size
        self._next += 1

    def check(self, node: Node, beaten: NDArray[np.int64] | None = None) -> Check:
        """Check one transformation.

        Args:
            node: level of each quasi-identifier.
            beaten: key of the best solution so far; the check stops when this transformation can't come up to it.

        Returns:
            The check.
        """
        self.checked += 1
        table = self.table
        units = table.persons is not None
        start = None if units else self._start(node)
        values: dict[str, Distribution] = {}
        # Metrics of whole classes draw bounds from failed checks too, and need all classes for that.
        enough = self.limit if self.metric.by_column else int(self.table.total)
        if start is None and self._plain:
            grouped = self.grouper.count(node, self.least, enough)
        else:
            source = self.grouper.whole if start is None else start.classes
            grouped = self.grouper.group(node, source, self.least, enough, numbered=not self._plain)
        ids, made = grouped.ids, grouped.classes
        counted = Counted(node, made, values)
        if grouped.small > self.limit:
            if grouped.complete:
                self._finish(counted, units)
            return Check(False, grouped.small, None, None, made.rows < self.least, counted)
        total, whole, count = made.rows.astype(np.int64), made.population.astype(np.int64), len(made.rows)
        size = total
        if table.persons is not None:
            size = kernels.persons(ids, table.persons.combination, table.persons.person, count)
        people = whole if len(whole) else size
        if table.all_persons is not None:
            people = kernels.persons(ids, table.all_persons.combination, table.all_persons.person, count)

        def classes(models: Sequence[Model]) -> Classes:
            for model in models:
                name = model.attribute
                if name is not None and name not in values:
                    if units:
                        triples = table.triples[name]
                        found = kernels.person_values(ids, count, triples.combination, triples.value, triples.person)
                    else:
                        before = table.values[name] if start is None else start.values[name]
                        distinct = len(table.backgrounds[name].texts)
                        found = kernels.merge_values(ids, count, before.starts, before.values, before.counts, distinct)
                    values[name] = Distribution(*found)
            return Classes(total, size, people, values)

        failed = np.zeros(count, dtype=bool)
        if self.least > 0:
            failed |= size < self.least
        certain = int(total[failed].sum())
        if certain > self.limit:
            self._finish(counted, units)
            return Check(False, certain, None, None, failed, counted)
        for model in self.shrinking:
            model.fail(classes([model]), failed, self.limit)
        certain = int(total[failed].sum())
        if certain > self.limit:
            self._finish(counted, units)
            return Check(False, certain, None, None, failed, counted)
        certain_sums = self.sums(counted, failed)
        if beaten is not None and (self.others or self.samples) and self._behind(certain_sums, node, beaten):
            self._finish(counted, units)
            return Check(False, certain, None, certain_sums, failed, counted, worse=True)
        refused = False
        if self.others or self.samples:
            failed = failed.copy()
            for model in self.others:
                before_model = failed.copy()
                model.fail(classes([model]), failed, self.limit)
                if isinstance(model, DeltaPresence) and model.refuses_empty:
                    refused = refused or bool((failed & ~before_model & (total == 0)).any())
            gone = int(total[failed].sum())
            for sample in self.samples:
                if gone > self.limit:
                    break
                order = self._order(counted, failed, size)
                number, gone = enforce(sample, order, size, total, gone, self.limit)
                failed[order[:number]] = True
            if gone > self.limit or refused:
                self._finish(counted, units)
                return Check(False, certain, None, certain_sums, failed, counted)
        self._finish(counted, units)
        same = not self.others and not self.samples
        sums = certain_sums if same else self.sums(counted, failed)
        return Check(True, certain, sums, certain_sums, failed, counted)

    def _finish(self, counted: Counted, units: bool) -> None:
        needed = {m.attribute for m in self.models if m.attribute is not None}
        if not units and needed <= counted.values.keys():
            self._keep(counted)

    def _behind(self, sums: Sums, node: Node, beaten: NDArray[np.int64]) -> bool:
        """Whether a transformation with at least these suppressed rows can't come up to the best one."""
        if not self.metric.suppression_costs:
            return False
        return tuple(self.key(self.metric.values(sums, node))) > tuple(beaten)

    def key(self, values: Floats) -> Ints:
        """Comparable key of a transformation's values."""
        key = np.zeros(self.metric.width, dtype=np.int64)
        kernels.write_key(self.metric.parts(values), self.metric.mode, self.metric.scale, key)
        return key

    def sums(self, counted: Counted, failed: NDArray[np.bool_]) -> Sums:
        """The sums that the metric needs."""
        packed, packs, rows = counted.classes.packed, self.grouper.pack_of, counted.classes.rows
        sizes = kernels.size_sums(rows, failed)
        leaves = histogram = None
        if self.metric.needs_leaves:
            table = np.concatenate([self._leaves[i][level] for i, level in enumerate(counted.node)])
            leaves = kernels.leaf_sums(packed, packs, rows, failed, table, self._starts)
        if self.metric.needs_histogram:
            table = np.concatenate([self._group_of[i][level] for i, level in enumerate(counted.node)])
            ends = np.cumsum([self._sizes[i][level] for i, level in enumerate(counted.node)])
            at = np.concatenate([[0], ends[:-1]]).astype(np.int64)
            flat = kernels.group_histogram(packed, packs, rows, failed, table, self._starts, at, int(ends[-1]))
            histogram = np.split(flat, ends[:-1])
        return Sums(sizes, leaves, histogram)

    def _order(self, counted: Counted, failed: NDArray[np.bool_], size: Ints) -> Ints:
        """Kept classes in the order in which a sample model suppresses them: small, cheap, first in the table.

        Classes of which nothing is left but ``*`` look like suppressed rows and are left alone.
        """
        stars = np.ones(len(counted.classes.combination), dtype=bool)
        costs = []
        for i, level in enumerate(counted.node):
            leaf = self.table.codes[counted.classes.combination, i]
            chosen = self.hierarchies[i].levels[level]
            starred = np.array([label == SUPPRESSED for label in chosen.labels])
            stars &= starred[chosen.codes[leaf]]
            costs.append(counted.classes.rows * chosen.shares[leaf])
        which = np.flatnonzero(~failed & (counted.classes.rows > 0) & ~stars)
        first = self._first_rows(counted)[which]
        keys: list[NDArray[np.int64] | Floats] = [first]
        if self.metric.needs_leaves:
            weighted = np.stack(costs, axis=1)[which] * self.metric.weights
            if self.metric.mode == 2:
                keys += list(-np.sort(-weighted, axis=1).T[::-1])
            elif self.metric.mode == 1:
                keys.append(weighted.max(axis=1))
            else:
                keys.append((np.log1p(weighted) if self.metric.aggregate == "geometric-mean" else weighted).sum(axis=1))
        order: Ints = which[np.lexsort([*keys, size[which]])]
        return order

    def _first_rows(self, counted: Counted) -> Ints:
        """First row of the table of each class."""
        ids = self.grouper.group(counted.node, self.grouper.whole).ids
        # A class's representative is the key between the two numberings.
        order = np.empty(len(counted.classes.combination), dtype=np.int64)
        order[ids[counted.classes.combination]] = np.arange(len(counted.classes.combination))
        result = np.full(len(counted.classes.combination), np.iinfo(np.int64).max)
        np.minimum.at(result, order[ids], self.table.first)
        return result

    def suppressed(self, node: Node) -> tuple[NDArray[np.bool_], Check, Classes]:
        """The check of a transformation counted from the table, and which combinations it suppresses."""
        self._kept_sizes[:] = 0
        self._plain = False  # so that both counts number classes in the order of the table
        check = self.check(node)
        ids = self.grouper.group(node, self.grouper.whole).ids
        persons = self.table.persons
        made = check.counted.classes
        rows: Ints = made.rows.astype(np.int64)
        size: Ints = rows
        if persons is not None:
            size = kernels.persons(ids, persons.combination, persons.person, len(rows))
        people: Ints = made.population.astype(np.int64) if len(made.population) else size
        return check.failed[ids], check, Classes(rows, size, people, check.counted.values)


def lattice_size(hierarchies: Sequence[Hierarchy]) -> int:
    """Number of transformations."""
    return math.prod(len(h.levels) for h in hierarchies)

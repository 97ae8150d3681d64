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
from meddata_pipeline.privacy.tabular.hierarchy import Hierarchy
from meddata_pipeline.privacy.tabular.metrics import Floats, Metric, Sums
from meddata_pipeline.privacy.tabular.models import Classes, Distribution, Model, SampleModel
from meddata_pipeline.privacy.tabular.models.presence import DeltaPresence
from meddata_pipeline.privacy.tabular.models.risk import enforce
from meddata_pipeline.privacy.tabular.values import SUPPRESSED

Ints = NDArray[np.int64]
Node = tuple[int, ...]

# Classes that snapshots may hold together: 16 to 32 bytes each.
_SNAPSHOT_CLASSES = 4_000_000
_KEY_LIMIT = 2**62
_DENSE = 1 << 16


@dataclass(frozen=True)
class Counted:
    """Classes of one transformation, as they were counted.

    Attributes:
        node: level of each quasi-identifier.
        source: (c,) a combination of each class.
        rows: (c,) see models.Classes.
        population: (c,) or empty.
        values: distributions by class.
    """

    node: Node
    source: NDArray[np.int32]
    rows: Ints
    population: Ints
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
    models: Sequence[Model]
    metric: Metric
    limit: int
    checked: int = 0
    _snapshots: dict[Node, Counted] = field(default_factory=dict)
    _kept: int = 0

    def __post_init__(self) -> None:
        n = len(self.table.rows)
        depth = max(len(h.levels) for h in self.hierarchies)
        q = len(self.hierarchies)
        self._sizes = [[len(level.labels) for level in h.levels] for h in self.hierarchies]
        self._groups = [[level.codes.astype(np.int64) for level in h.levels] for h in self.hierarchies]
        self._leaves = [
            [np.rint(level.shares * h.leaves).astype(np.int64) for level in h.levels] for h in self.hierarchies
        ]
        self._starts = np.concatenate([[0], np.cumsum([len(g[0]) for g in self._groups])])[:-1].astype(np.int64)
        self._everything = np.arange(n, dtype=np.int32)
        self._dense = np.full(max(_DENSE, min(4 * n, 1 << 23)), -1, dtype=np.int32)
        slots = 1 << max((2 * n - 1).bit_length(), 4)
        self._slot_keys = np.zeros(slots, dtype=np.int64)
        self._slot_ids = np.full(slots, -1, dtype=np.int32)
        self._levels = np.arange(q * depth)
        self.shrinking = [m for m in self.models if m.shrinks and not isinstance(m, SampleModel)]
        self.others = [m for m in self.models if not m.shrinks and not isinstance(m, SampleModel)]
        self.samples = [m for m in self.models if isinstance(m, SampleModel)]
        self.least = max((m.least for m in self.models), default=0)
        #: Whether a feasible transformation makes every coarser one feasible; see models/base.py.
        self.upward = all(m.shrinks for m in self.models) or (
            self.limit == 0 and all(m.shrinks or m.merges for m in self.models)
        )

    def groups(
        self, ids_of: Sequence[int], source: NDArray[np.int32], rows: Ints, population: Ints
    ) -> tuple[NDArray[np.int32], NDArray[np.int32], Ints, Ints]:
        """Classes of a source under a transformation; see kernels.group."""
        columns = [i for i, level in enumerate(ids_of) if self._sizes[i][level] > 1]
        parts: list[list[int]] = [[]]
        space = 1
        for i in columns:
            size = self._sizes[i][ids_of[i]]
            if space * size > _KEY_LIMIT:
                parts.append([])
                space = 1
            parts[-1].append(i)
            space *= size
        if len(parts) > 1:
            return self._groups_in_parts(ids_of, parts, source, rows, population)
        tables, starts, space = self._tables(ids_of, columns)
        return self._group(self.table.codes, columns, source, tables, starts, space, rows, population)

    def _tables(self, node: Sequence[int], columns: Sequence[int]) -> tuple[Ints, Ints, int]:
        made, starts, at, radix = [], [], 0, 1
        for i in columns:
            group = self._groups[i][node[i]]
            made.append(group * radix)
            starts.append(at)
            at += len(group)
            radix *= self._sizes[i][node[i]]
        tables = np.concatenate(made) if made else np.zeros(1, dtype=np.int64)
        return tables, np.array(starts, dtype=np.int64), radix

    def _group(
        self,
        codes: NDArray[np.int32],
        columns: Sequence[int],
        source: NDArray[np.int32],
        tables: Ints,
        starts: Ints,
        space: int,
        rows: Ints,
        population: Ints,
    ) -> tuple[NDArray[np.int32], NDArray[np.int32], Ints, Ints]:
        m = len(source)
        dense = self._dense[: min(max(_DENSE, 4 * m), len(self._dense))]
        slots = min(1 << max((2 * m - 1).bit_length(), 4), len(self._slot_ids))
        ids, first, total, whole = kernels.group(
            codes,
            np.array(columns, dtype=np.int64),
            source,
            tables,
            starts,
            space,
            rows,
            population,
            dense,
            self._slot_keys[:slots],
            self._slot_ids[:slots],
        )
        return ids, first, total, whole

    def _groups_in_parts(
        self,
        node: Sequence[int],
        parts: Sequence[Sequence[int]],
        source: NDArray[np.int32],
        rows: Ints,
        population: Ints,
    ) -> tuple[NDArray[np.int32], NDArray[np.int32], Ints, Ints]:
        """Group by some columns at a time, where one number can't hold the combination of all."""
        nothing = np.zeros(0, dtype=np.int64)
        ids = np.zeros((len(source), len(parts)), dtype=np.int32)
        for at, part in enumerate(parts):
            tables, starts, space = self._tables(node, part)
            found, _, _, _ = self._group(self.table.codes, part, source, tables, starts, space, rows, nothing)
            ids[:, at] = found
        while True:
            radix, sizes = 1, ids.max(axis=0).astype(np.int64) + 1
            for size in sizes:
                radix *= int(size)
            if radix <= _KEY_LIMIT:
                break
            pair = ids[:, :2].astype(np.int64)
            _, merged = np.unique(pair[:, 0] * sizes[1] + pair[:, 1], return_inverse=True)
            ids = np.column_stack([merged.astype(np.int32), ids[:, 2:]])
        made, starts_list, at, radix = [], [], 0, 1
        for size in sizes:
            made.append(np.arange(size, dtype=np.int64) * radix)
            starts_list.append(at)
            at += int(size)
            radix *= int(size)
        here = np.arange(len(source), dtype=np.int32)
        group, first, total, whole = self._group(
            np.ascontiguousarray(ids),
            range(len(sizes)),
            here,
            np.concatenate(made),
            np.array(starts_list, dtype=np.int64),
            radix,
            rows,
            population,
        )
        return group, source[first], total, whole

    def _start(self, node: Node) -> Counted | None:
        """The smallest kept check that is finer, or None: the table."""
        best: Counted | None = None
        for found in self._snapshots.values():
            if (best is None or len(found.source) < len(best.source)) and all(
                a <= b for a, b in zip(found.node, node, strict=True)
            ):
                best = found
        if best is not None:
            self._snapshots[best.node] = self._snapshots.pop(best.node)
        return best

    def _keep(self, counted: Counted) -> None:
        size = len(counted.source) + sum(len(d.values) for d in counted.values.values())
        if 2 * len(counted.source) > len(self._everything) or counted.node in self._snapshots:
            return
        self._snapshots[counted.node] = counted
        self._kept += size
        while self._kept > _SNAPSHOT_CLASSES and len(self._snapshots) > 1:
            oldest = self._snapshots.pop(next(iter(self._snapshots)))
            self._kept -= len(oldest.source) + sum(len(d.values) for d in oldest.values.values())

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
        if start is None:
            source, rows, population = self._everything, table.rows, table.population
        else:
            source, rows, population = start.source, start.rows, start.population
        ids, first, total, whole = self.groups(node, source, rows, population)
        count = len(first)
        size = (
            total
            if table.persons is None
            else kernels.persons(ids, table.persons.combination, table.persons.person, count)
        )
        people = whole if len(whole) else size
        if table.all_persons is not None:
            people = kernels.persons(ids, table.all_persons.combination, table.all_persons.person, count)
        values: dict[str, Distribution] = {}

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
        counted = Counted(node, first, total, whole, values)
        if certain > self.limit:
            self._finish(counted, units)
            return Check(False, certain, None, None, failed, counted)
        for model in self.shrinking:
            model.fail(classes([model]), failed)
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
                model.fail(classes([model]), failed)
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
        sizes = kernels.size_sums(counted.rows, failed)
        codes = self.table.codes
        leaves = histogram = None
        if self.metric.needs_leaves:
            table = np.concatenate([self._leaves[i][level] for i, level in enumerate(counted.node)])
            leaves = kernels.leaf_sums(codes, counted.source, counted.rows, failed, table, self._starts)
        if self.metric.needs_histogram:
            table = np.concatenate([self._groups[i][level] for i, level in enumerate(counted.node)])
            ends = np.cumsum([self._sizes[i][level] for i, level in enumerate(counted.node)])
            at = np.concatenate([[0], ends[:-1]]).astype(np.int64)
            flat = kernels.group_histogram(
                codes, counted.source, counted.rows, failed, table, self._starts, at, int(ends[-1])
            )
            histogram = np.split(flat, ends[:-1])
        return Sums(sizes, leaves, histogram)

    def _order(self, counted: Counted, failed: NDArray[np.bool_], size: Ints) -> Ints:
        """Kept classes in the order in which a sample model suppresses them: small, cheap, first in the table.

        Classes of which nothing is left but ``*`` look like suppressed rows and are left alone.
        """
        stars = np.ones(len(counted.source), dtype=bool)
        costs = []
        for i, level in enumerate(counted.node):
            leaf = self.table.codes[counted.source, i]
            chosen = self.hierarchies[i].levels[level]
            starred = np.array([label == SUPPRESSED for label in chosen.labels])
            stars &= starred[chosen.codes[leaf]]
            costs.append(counted.rows * chosen.shares[leaf])
        which = np.flatnonzero(~failed & (counted.rows > 0) & ~stars)
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
        ids, _, _, _ = self.groups(counted.node, self._everything, self.table.rows, np.zeros(0, dtype=np.int64))
        # A class's representative is the key between the two numberings.
        order = np.empty(len(counted.source), dtype=np.int64)
        order[ids[counted.source]] = np.arange(len(counted.source))
        result = np.full(len(counted.source), np.iinfo(np.int64).max)
        np.minimum.at(result, order[ids], self.table.first)
        return result

    def suppressed(self, node: Node) -> tuple[NDArray[np.bool_], Check, Classes]:
        """The check of a transformation counted from the table, and which combinations it suppresses."""
        self._snapshots.clear()
        self._kept = 0
        check = self.check(node)
        ids, _, _, _ = self.groups(node, self._everything, self.table.rows, np.zeros(0, dtype=np.int64))
        persons = self.table.persons
        counted = check.counted
        size = (
            counted.rows
            if persons is None
            else kernels.persons(ids, persons.combination, persons.person, len(counted.source))
        )
        people = counted.population if len(counted.population) else size
        return check.failed[ids], check, Classes(counted.rows, size, people, counted.values)


def lattice_size(hierarchies: Sequence[Hierarchy]) -> int:
    """Number of transformations."""
    return math.prod(len(h.levels) for h in hierarchies)

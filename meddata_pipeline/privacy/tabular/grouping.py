"""Numbering the classes of transformations: keys of a few small tables, looked up directly or by hashing.

What belongs here: how a transformation becomes one whole number for each combination, what it is counted from, and
scratch space for counting. What does not: what classes mean (check.py), the loop itself (kernels.py).

A *view* is the table counted at levels below which few transformations are worth a full count; coarser ones are counted
from it, since classes of a coarser transformation are unions of those of a finer one. What is counted from what changes
no sum, and neither does the number of threads.

Columns are packed: a few columns with few leaves together become one code, so that a key is the sum of three or four
small tables instead of one for each column. The tables stay in the processor's nearest cache.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meddata_pipeline.privacy.tabular import kernels
from meddata_pipeline.privacy.tabular.hierarchy import Hierarchy
from meddata_pipeline.privacy.tabular.parallel import run_both, threads

Ints = NDArray[np.int64]
Ids = NDArray[np.int32]

#: Most codes of a pack: 8 bytes each, four packs stay within 32 KiB.
_PACK = 1024
_KEY_LIMIT = 2**62
_DENSE = 1 << 16
# Tables below this stay in the cache as they are. Segments: enough to be short, few enough to be worth a loop each.
_SORT_FROM = 8_192
_SEGMENTS_LEAST, _SEGMENTS, _SEGMENTS_MOST = 32, 64, 8_192
_ORDERS = 4
# A view is made of what this many full counts have in common, if it is this much smaller than what it is counted from.
_VIEW_AFTER, _VIEW_SHARE, _VIEWS = 8, 0.6, 6
# Below this a thread costs more than it saves.
_THREADS_FROM = 100_000


@dataclass(frozen=True, eq=False)
class Source:
    """Classes of a transformation, or all combinations: what coarser transformations are counted from.

    Attributes:
        combination: (m,) a combination of each class.
        packed: (m, packs) uint16 (int32 for columns of very many values), its packed codes.
        rows: (m,) int32, rows.
        population: (m,) int32, rows in the whole table; empty when that is the same.
        segments: (s + 1,) where each segment begins.
        within: levels up to which a transformation's classes stay within segments; None when there is one segment.
    """

    combination: Ids
    packed: NDArray[Any]
    rows: Ids
    population: Ids
    segments: Ints
    within: tuple[int, ...] | None


@dataclass(frozen=True)
class Grouped:
    """Classes of a source under a transformation.

    Attributes:
        ids: (m,) class of each member of the source, if asked for.
        classes: as a source for coarser transformations; none where counting stopped.
        small: rows in classes that are too small; one more than the limit where counting stopped there.
        complete: whether all was counted.
    """

    ids: Ids
    classes: Source
    small: int
    complete: bool = True


@dataclass(eq=False)
class _View:
    """The table at some levels.

    Attributes:
        node: the levels.
        source: its classes.
        orders: the same, sorted into segments; see ``Grouper.segmented``.
    """

    node: tuple[int, ...]
    source: Source
    orders: list[Source] = field(default_factory=list)

    def serves(self, node: Sequence[int]) -> bool:
        """Whether a transformation is nowhere finer."""
        return all(a <= b for a, b in zip(self.node, node, strict=True))


class _Scratch:
    """Memory that one thread counts in; see kernels.group."""

    def __init__(self, longest: int) -> None:
        slots = 1 << max((2 * longest - 1).bit_length(), 4)
        self.arrays: tuple[Any, ...] = (
            np.full(_DENSE, -1, dtype=np.int32),
            np.zeros(slots, dtype=np.int64),
            np.full(slots, -1, dtype=np.int32),
            *(np.zeros(longest, dtype=np.int32) for _ in range(3)),
        )


class Grouper:
    """Groups the combinations of one table.

    Args:
        codes: (n, q) leaves of each combination.
        hierarchies: of the columns.
        rows: (n,) rows of each combination.
        population: (n,) rows in the whole table, or empty.

    Attributes:
        sizes: by column and level, number of groups.
        groups: by column and level, (leaves,) group of each leaf.
        pack_of: (q,) the pack of each column.
        leaf_of: by column, its leaf for each code of that pack.
    """

    def __init__(self, codes: Ids, hierarchies: Sequence[Hierarchy], rows: Ints, population: Ints) -> None:
        self.sizes = [[len(level.labels) for level in h.levels] for h in hierarchies]
        self.groups = [[level.codes.astype(np.int64) for level in h.levels] for h in hierarchies]
        self._codes = codes
        leaves = [len(h.levels[0].codes) for h in hierarchies]
        self._packs: list[list[int]] = []
        for i in sorted(range(len(leaves)), key=lambda i: -leaves[i]):
            for pack in self._packs:
                if math.prod(leaves[j] for j in pack) * leaves[i] <= _PACK:
                    pack.append(i)
                    break
            else:
                self._packs.append([i])
        n = len(codes)
        small = np.uint16 if max(leaves, default=1) <= 1 << 16 else np.int32
        packed = np.zeros((n, len(self._packs)), dtype=small)
        for at, pack in enumerate(self._packs):
            for i in pack:
                packed[:, at] = packed[:, at] * small(leaves[i] if leaves[i] < _PACK else 0) + codes[:, i].astype(small)
        self.pack_of = np.zeros(len(leaves), dtype=np.int64)
        self.leaf_of: list[Ints] = [np.zeros(0, dtype=np.int64)] * len(leaves)
        for at, pack in enumerate(self._packs):
            for i, of in zip(pack, np.indices([leaves[j] for j in pack]).reshape(len(pack), -1), strict=True):
                self.pack_of[i], self.leaf_of[i] = at, of.astype(np.int64)
        one = np.array([0, n], dtype=np.int64)
        counts, people = rows.astype(np.int32), population.astype(np.int32)
        self.whole = Source(np.arange(n, dtype=np.int32), packed, counts, people, one, None)
        self._scratch = [_Scratch(n)]
        self._views = [_View((0,) * len(leaves), self.whole)]
        self._refused: set[tuple[int, ...]] = set()
        self._long: list[tuple[int, ...]] = []
        self._numbers: dict[tuple[int, int, int], tuple[Ints, int]] = {}

    def count(self, node: tuple[int, ...], least: int, limit: int) -> Grouped:
        """Classes of a transformation, counted from what is cheapest, in no certain order and without numbers.

        Args:
            node: level of each column.
            least: classes of fewer rows are too small.
            limit: rows that may be in such classes.

        Returns:
            The classes, as of ``group``.
        """
        source = self._segmented(node)
        made = self.group(node, source, least, limit, numbered=False)
        if made.complete and len(source.rows) >= _SORT_FROM:
            self._long.append(node)
            if len(self._long) == _VIEW_AFTER:
                self._make_view()
        return made

    def _view(self, node: Sequence[int]) -> _View:
        """The smallest view that a transformation can be counted from."""
        return min((v for v in self._views if v.serves(node)), key=lambda v: len(v.source.rows))

    def _make_view(self) -> None:
        """Make a view of the finest levels of the last full counts, if it is small enough to be worth it."""
        node = tuple(min(levels) for levels in zip(*self._long, strict=True))
        self._long.clear()
        if len(self._views) >= _VIEWS or node in self._refused:
            return
        self._refused.add(node)  # it is there, or it does not pay
        before = self._view(node).source
        made = self.group(node, self._segmented(node), numbered=False).classes
        if len(made.rows) < _VIEW_SHARE * len(before.rows):
            self._views.append(_View(node, made))

    def _segmented(self, node: Sequence[int]) -> Source:
        """What a transformation is counted from: a view, sorted into segments that hold each of its classes whole.

        A few such orders are kept. Each is by columns at the coarsest levels that still tell rows apart, so that it
        serves all transformations that leave these columns below their top.
        """
        view = self._view(node)
        if len(view.source.rows) < _SORT_FROM:
            return view.source
        fitting = [
            s for s in view.orders if s.within is not None and all(a <= b for a, b in zip(node, s.within, strict=True))
        ]
        best = max(fitting, key=lambda s: len(s.segments), default=None)
        if best is not None and len(best.segments) > _SEGMENTS_LEAST:
            view.orders.append(view.orders.pop(view.orders.index(best)))
            return best
        within, segments = self._plan(node)
        if best is not None and segments < 2 * len(best.segments):
            return best
        if segments <= 1:
            return view.source
        made = self._sort(view.source, within)
        if len(view.orders) >= _ORDERS:
            view.orders.pop(0)
        view.orders.append(made)
        return made

    def _plan(self, node: Sequence[int]) -> tuple[tuple[int, ...], int]:
        """Levels to sort by: columns with most groups first, until there are enough segments."""
        within = [len(sizes) - 1 for sizes in self.sizes]
        last = [max((k for k, size in enumerate(sizes) if size > 1), default=-1) for sizes in self.sizes]
        usable = [i for i, level in enumerate(last) if node[i] <= level]
        segments = 1
        for i in sorted(usable, key=lambda i: -self.sizes[i][last[i]]):
            if segments >= _SEGMENTS or segments * self.sizes[i][last[i]] > _SEGMENTS_MOST:
                continue
            within[i] = last[i]
            segments *= self.sizes[i][last[i]]
        return tuple(within), segments

    def _sort(self, source: Source, within: tuple[int, ...]) -> Source:
        active = [at for at, pack in enumerate(self._packs) if any(self.sizes[i][within[i]] > 1 for i in pack)]
        tables, starts, count, active = self._tables(within, active, 1)
        order, packed, rows, population, segments = kernels.sort_segments(
            source.packed, np.array(active, dtype=np.int64), tables, starts, count, source.rows, source.population
        )
        return Source(source.combination[order], packed, rows, population, segments, within)

    def group(
        self, node: Sequence[int], source: Source, least: int = 0, limit: int = 0, *, numbered: bool = True
    ) -> Grouped:
        """Classes of a source under a transformation.

        Args:
            node: level of each column.
            source: classes of a finer transformation, or all combinations.
            least: classes of fewer rows are too small.
            limit: rows that may be in such classes; counting may stop when there are more.
            numbered: whether the class of each member is asked for.

        Returns:
            The classes.
        """
        segments, within = source.segments, source.within
        if within is None or any(a > b for a, b in zip(node, within, strict=True)):
            segments, within = np.array([0, len(source.rows)], dtype=np.int64), None
        spaces = [math.prod(self.sizes[i][node[i]] for i in pack) for pack in self._packs]
        active = [at for at, space in enumerate(spaces) if space > 1]
        if math.prod(spaces) <= _KEY_LIMIT:
            tables, starts, space, active = self._tables(node, active, 1, within)
            made = self._count(source.packed, active, tables, starts, space, source, segments, least, limit, numbered)
        else:
            made = self._count_in_parts(node, source, spaces, active)
            segments, within = np.array([0, len(source.rows)], dtype=np.int64), None
        ids, first, rows, population, ends, small, complete = made
        if not complete:
            first, rows, population, ends = first[:0], rows[:0], population[:0], ends[:1]
        classes = Source(source.combination[first], source.packed[first], rows, population, ends, within)
        return Grouped(ids, classes, small, complete)

    def _count_in_parts(self, node: Sequence[int], source: Source, spaces: Sequence[int], active: list[int]) -> Any:
        """Number some packs at a time, and carry on with those numbers: no number can hold all columns together."""
        whole = np.array([0, len(source.rows)], dtype=np.int64)
        carried = np.zeros(len(source.rows), dtype=np.int32)
        count = 1
        made: Any = None
        while active:
            part = [active.pop(0)]
            while active and count * math.prod(spaces[at] for at in [*part, active[0]]) <= _KEY_LIMIT:
                part.append(active.pop(0))
            tables, starts, space, _ = self._tables(node, part, count)
            codes = np.ascontiguousarray(np.column_stack([carried, source.packed[:, part]]))
            tables = np.concatenate([np.arange(count, dtype=np.int64), tables])
            starts = np.concatenate([[0], starts + count])
            made = self._count(codes, range(len(part) + 1), tables, starts, space, source, whole, 0, 0, True)
            carried, count = made[0], len(made[1])
        return made

    def _tables(
        self, node: Sequence[int], packs: Sequence[int], radix: int, within: Sequence[int] | None = None
    ) -> tuple[Ints, Ints, int, list[int]]:
        """What a code of each pack adds to the key, where each pack begins, the number of keys, and the packs.

        Where ``within`` is given, keys tell only classes of the same segment apart, and packs that are the same all
        over each segment are left out. So keys are few enough, most times, to be looked up directly.
        """
        made, starts, at, active = [], [], 0, []
        for number in packs:
            table = np.zeros(1, dtype=np.int64)
            before = radix
            for i in self._packs[number]:
                group, size = self.groups[i][node[i]], self.sizes[i][node[i]]
                if within is not None:
                    group, size = self._among(i, node[i], within[i])
                table = (table[:, None] + group * radix).ravel() if size > 1 else np.repeat(table, len(group))
                radix *= size
            if radix == before and within is not None:
                continue
            made.append(table)
            starts.append(at)
            at += len(table)
            active.append(number)
        tables = np.concatenate(made) if made else np.zeros(1, dtype=np.int64)
        return tables, np.array(starts, dtype=np.int64), radix, active

    def _among(self, column: int, level: int, above: int) -> tuple[Ints, int]:
        """For each leaf the number of its group among those that a coarser level joins, and the most of such groups."""
        key = (column, level, above)
        if key not in self._numbers:
            group, size, parent = self.groups[column][level], self.sizes[column][level], self.groups[column][above]
            joined = np.zeros(size, dtype=np.int64)
            joined[group] = parent
            order = np.argsort(joined, kind="stable")
            held = np.bincount(joined)
            rank = np.empty(size, dtype=np.int64)
            rank[order] = np.arange(size) - np.repeat(np.cumsum(held) - held, held)
            self._numbers[key] = rank[group], int(held.max())
        return self._numbers[key]

    def _count(
        self,
        codes: Ids,
        columns: Sequence[int],
        tables: Ints,
        starts: Ints,
        space: int,
        source: Source,
        segments: Ints,
        least: int,
        limit: int,
        numbered: bool,
    ) -> tuple[Any, ...]:
        """Count by one thread, or by two that take the segments in turn; see kernels.group."""
        calls = min(threads(), len(segments) - 1) if not numbered and len(source.rows) >= _THREADS_FROM else 1
        while len(self._scratch) < calls:
            self._scratch.append(_Scratch(len(self.whole.rows)))
        small = np.zeros(calls, dtype=np.int64)
        packs = np.array(columns, dtype=np.int64)
        table: tuple[Any, ...] = (codes, packs, tables, starts, space, source.rows, source.population, segments)

        count: Any = kernels.group

        def run(part: int) -> Any:
            return count(*table, least, limit, small, part, *self._scratch[part].arrays, numbered)

        if calls == 1:
            ids, first, rows, population, ends, complete = run(0)
        else:
            one, two = run_both(lambda: run(0), lambda: run(1))
            ids = one[0]
            first, rows, population = (np.concatenate([one[i], two[i]]) for i in (1, 2, 3))
            ends = np.concatenate([one[4], two[4][1:] + one[4][-1]])
            complete = one[5] and two[5]
        found = int(small.sum())
        if found > limit:
            # Which thread was how far when counting stopped is chance, and must show in no answer.
            found, complete = limit + 1, complete and calls == 1
        return ids, first, rows, population, ends, found, complete

"""Numbering the classes of transformations: keys of a few small tables, looked up directly or by hashing.

What belongs here: how a transformation becomes one whole number for each combination, and scratch space for counting.
What does not: what classes mean (check.py), the loop itself (kernels.py).

Columns are packed: a few columns with few leaves together become one code, so that a key is the sum of three or four
small tables instead of one for each column. The tables stay in the processor's nearest cache.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meddata_pipeline.privacy.tabular import kernels
from meddata_pipeline.privacy.tabular.hierarchy import Hierarchy

Ints = NDArray[np.int64]
Ids = NDArray[np.int32]

#: Most codes of a pack: 8 bytes each, four packs stay within 32 KiB.
_PACK = 1024
_KEY_LIMIT = 2**62
_DENSE = 1 << 16
# Tables below this stay in the cache as they are. Segments: enough to be short, few enough to be worth a loop each.
_SORT_FROM = 8_192
_SEGMENTS_LEAST, _SEGMENTS, _SEGMENTS_MOST = 32, 64, 8_192
_ORDERS = 8


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
        classes: as a source for coarser transformations.
        small: rows in classes that are too small.
        complete: whether all was counted; not always when ``small`` is beyond the limit.
    """

    ids: Ids
    classes: Source
    small: int
    complete: bool = True


class Grouper:
    """Groups the combinations of one table.

    Args:
        codes: (n, q) leaves of each combination.
        hierarchies: of the columns.
        rows: (n,) rows of each combination.
        population: (n,) rows in the whole table, or empty.
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
        self._dense = np.full(_DENSE, -1, dtype=np.int32)
        slots = 1 << max((2 * n - 1).bit_length(), 4)
        self._slot_keys = np.zeros(slots, dtype=np.int64)
        self._slot_ids = np.full(slots, -1, dtype=np.int32)
        one = np.array([0, n], dtype=np.int64)
        counts, people = rows.astype(np.int32), population.astype(np.int32)
        self.whole = Source(np.arange(n, dtype=np.int32), packed, counts, people, one, None)
        self._first, self._total, self._places = (np.zeros(n, dtype=np.int32) for _ in range(3))
        self._sorted: list[Source] = []

    def segmented(self, node: Sequence[int]) -> Source:
        """All combinations, sorted into segments that hold every class of a transformation whole.

        A few such orders are kept. Each is by columns at the coarsest levels that still tell rows apart, so that it
        serves all transformations that leave these columns below their top.
        """
        if len(self.whole.rows) < _SORT_FROM:
            return self.whole
        fitting = [
            s for s in self._sorted if s.within is not None and all(a <= b for a, b in zip(node, s.within, strict=True))
        ]
        best = max(fitting, key=lambda s: len(s.segments), default=None)
        if best is not None and len(best.segments) > _SEGMENTS_LEAST:
            self._sorted.append(self._sorted.pop(self._sorted.index(best)))
            return best
        within, segments = self._plan(node)
        if best is not None and segments < 2 * len(best.segments):
            return best
        if segments <= 1:
            return self.whole
        made = self._sort(within)
        if len(self._sorted) >= _ORDERS:
            self._sorted.pop(0)
        self._sorted.append(made)
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

    def _sort(self, within: tuple[int, ...]) -> Source:
        whole = self.whole
        active = [at for at, pack in enumerate(self._packs) if any(self.sizes[i][within[i]] > 1 for i in pack)]
        tables, starts, count = self._tables(within, active, 1)
        order, packed, rows, population, segments = kernels.sort_segments(
            whole.packed, np.array(active, dtype=np.int64), tables, starts, count, whole.rows, whole.population
        )
        return Source(order, packed, rows, population, segments, within)

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
            tables, starts, space = self._tables(node, active, 1)
            made = self._count(source.packed, active, tables, starts, space, source, segments, least, limit, numbered)
        else:
            made = self._count_in_parts(node, source, spaces, active)
            segments, within = np.array([0, len(source.rows)], dtype=np.int64), None
        ids, first, rows, population, ends, small = made
        classes = Source(source.combination[first], source.packed[first], rows, population, ends, within)
        return Grouped(ids, classes, int(small), int(ends[-1]) == len(rows))

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
            tables, starts, space = self._tables(node, part, count)
            codes = np.ascontiguousarray(np.column_stack([carried, source.packed[:, part]]))
            tables = np.concatenate([np.arange(count, dtype=np.int64), tables])
            starts = np.concatenate([[0], starts + count])
            made = self._count(codes, range(len(part) + 1), tables, starts, space, source, whole, 0, 0, True)
            carried, count = made[0], len(made[1])
        return made

    def _tables(self, node: Sequence[int], packs: Sequence[int], radix: int) -> tuple[Ints, Ints, int]:
        """What a code of each pack adds to the key, where each pack begins, and the number of keys."""
        made, starts, at = [], [], 0
        for number in packs:
            table = np.zeros(1, dtype=np.int64)
            for i in self._packs[number]:
                group = self.groups[i][node[i]]
                size = self.sizes[i][node[i]]
                table = (table[:, None] + group * radix).ravel() if size > 1 else np.repeat(table, len(group))
                radix *= size
            made.append(table)
            starts.append(at)
            at += len(table)
        tables = np.concatenate(made) if made else np.zeros(1, dtype=np.int64)
        return tables, np.array(starts, dtype=np.int64), radix

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
    ) -> Any:
        return kernels.group(
            codes,
            np.array(columns, dtype=np.int64),
            tables,
            starts,
            space,
            source.rows,
            source.population,
            segments,
            least,
            limit,
            self._dense,
            self._slot_keys,
            self._slot_ids,
            self._first,
            self._total,
            self._places,
            numbered,
        )

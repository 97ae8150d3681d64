"""Numbering the classes of transformations: keys of a few small tables, looked up directly or by hashing.

What belongs here: how a transformation becomes one whole number for each combination, and scratch space for counting.
What does not: what classes mean (check.py), the loop itself (kernels.py).

Columns are packed: a few columns with few leaves together become one code, so that a key is the sum of three or four
small tables instead of one for each column. The tables stay in the processor's nearest cache.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

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
_NOTHING = np.zeros(0, dtype=np.int64)


class Grouper:
    """Groups the combinations of one table.

    Args:
        codes: (n, q) leaves of each combination.
        hierarchies: of the columns.
    """

    def __init__(self, codes: Ids, hierarchies: Sequence[Hierarchy]) -> None:
        self.sizes = [[len(level.labels) for level in h.levels] for h in hierarchies]
        self.groups = [[level.codes.astype(np.int64) for level in h.levels] for h in hierarchies]
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
        self.packed = np.zeros((n, len(self._packs)), dtype=np.int32)
        for at, pack in enumerate(self._packs):
            for i in pack:
                self.packed[:, at] = self.packed[:, at] * leaves[i] + codes[:, i]
        self._dense = np.full(max(_DENSE, min(4 * n, 1 << 23)), -1, dtype=np.int32)
        slots = 1 << max((2 * n - 1).bit_length(), 4)
        self._slot_keys = np.zeros(slots, dtype=np.int64)
        self._slot_ids = np.full(slots, -1, dtype=np.int32)

    def group(
        self, node: Sequence[int], source: Ids, rows: Ints, population: Ints = _NOTHING
    ) -> tuple[Ids, Ids, Ints, Ints]:
        """Classes of a source under a transformation.

        Args:
            node: level of each column.
            source: (m,) combinations.
            rows: (m,) rows of each.
            population: (m,) or empty.

        Returns:
            Class of each (m,), a combination of each class (c,), rows (c,), population (c,) or empty.
        """
        spaces = [math.prod(self.sizes[i][node[i]] for i in pack) for pack in self._packs]
        active = [at for at, space in enumerate(spaces) if space > 1]
        if math.prod(spaces) <= _KEY_LIMIT:
            tables, starts, space = self._tables(node, active, 1)
            return self._count(self.packed, active, source, tables, starts, space, rows, population)
        # One number can't hold the combination of all columns: number some packs, and carry on with those numbers.
        carried = np.zeros(len(source), dtype=np.int32)
        here = np.arange(len(source), dtype=np.int32)
        count = 1
        while active:
            part = [active.pop(0)]
            while active and count * math.prod(spaces[at] for at in [*part, active[0]]) <= _KEY_LIMIT:
                part.append(active.pop(0))
            tables, starts, space = self._tables(node, part, count)
            codes = np.column_stack([carried, self.packed[source][:, part]])
            made = self._count(
                np.ascontiguousarray(codes),
                range(len(part) + 1),
                here,
                np.concatenate([np.arange(count, dtype=np.int64), tables]),
                np.concatenate([[0], starts + count]),
                space,
                rows,
                population,
            )
            carried, count = made[0], len(made[1])
        return carried, source[made[1]], made[2], made[3]

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
        source: Ids,
        tables: Ints,
        starts: Ints,
        space: int,
        rows: Ints,
        population: Ints,
    ) -> tuple[Ids, Ids, Ints, Ints]:
        m = len(source)
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
            self._dense[: min(max(_DENSE, 4 * m), len(self._dense))],
            self._slot_keys[:slots],
            self._slot_ids[:slots],
        )
        return ids, first, total, whole

"""Mondrian: classes of their own levels, found by splitting the table from the top while every part meets the models.

What belongs here: the recursive partitioning over hierarchies. What does not: one scheme for the whole table
(search.py), rounds of such schemes (local.py).

All parts are split at once, round by round. In a round each part takes the column whose value stands for most leaves,
and falls into the groups one level finer. Groups that fail a model are put together and stay at the coarser level; when
they fail together too, the smallest good group joins them; when that does not help, the part is not split by this
column again. A part is final when no column is left. What fails at the top already is suppressed.

Source: LeFevre, DeWitt and Ramakrishnan, Mondrian Multidimensional k-Anonymity, 2006; with hierarchies in place of
medians, so that released values are those of the policy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from meddata_pipeline.privacy.tabular import kernels
from meddata_pipeline.privacy.tabular.check import Checker
from meddata_pipeline.privacy.tabular.models import Classes, Distribution

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Recoded:
    """A table whose rows have levels of their own.

    Attributes:
        levels: (combinations, q) int8, level of each quasi-identifier.
        suppressed: (combinations,) True where a combination is suppressed.
        checked: classes or transformations that were judged.
        feasible: whether no more rows are suppressed than allowed.
    """

    levels: NDArray[np.int8]
    suppressed: Bools
    checked: int
    feasible: bool


def judge(checker: Checker, ids: NDArray[np.int32], count: int) -> tuple[Bools, Ints]:
    """Judge any grouping of combinations by the models about single classes.

    Args:
        checker: the table and the models.
        ids: (n,) class of each combination; -1: of none.
        count: number of classes.

    Returns:
        (count,) True where a class fails; persons of each class.
    """
    table = checker.table
    member = np.flatnonzero(ids >= 0)
    inside = ids[member]
    rows = np.bincount(inside, weights=table.rows[member], minlength=count).astype(np.int64)
    size = rows
    if table.persons is not None:
        among = ids[table.persons.combination] >= 0
        pairs = table.persons.combination[among], table.persons.person[among]
        size = kernels.persons(ids, *pairs, count)
    failed = np.zeros(count, dtype=bool)
    values: dict[str, Distribution] = {}
    for model in [*checker.shrinking, *checker.others]:
        name = model.attribute
        if name is not None and name not in values:
            if table.persons is not None:
                triples = table.triples[name]
                among = ids[triples.combination] >= 0
                found = kernels.person_values(
                    ids, count, triples.combination[among], triples.value[among], triples.person[among]
                )
            else:
                everything = table.values[name]
                held = np.diff(everything.starts)
                chosen = np.repeat(ids >= 0, held)
                starts = np.concatenate([[0], np.cumsum(held[member])])
                distinct = len(table.backgrounds[name].texts)
                found = kernels.merge_values(
                    inside, count, starts, everything.values[chosen], everything.counts[chosen], distinct
                )
            values[name] = Distribution(*found)
        if model.least > 0:
            failed |= size < model.least
        model.fail(Classes(rows, size, size, values), failed, table.total)
    return failed, size


def mondrian(checker: Checker, weights: Sequence[float]) -> Recoded:
    """Partition a table.

    Args:
        checker: the table, the models and the suppression limit.
        weights: of the columns; a heavier one is split earlier.

    Returns:
        Levels of each combination.
    """
    return _Partition(checker, weights).run()


class _Partition:
    def __init__(self, checker: Checker, weights: Sequence[float]) -> None:
        self.checker = checker
        hierarchies = checker.hierarchies
        self.codes = checker.table.codes
        n, q = self.codes.shape
        self.n, self.q = n, q
        self.weights = np.array(weights)
        self.top = np.array([len(h.levels) - 1 for h in hierarchies], dtype=np.int8)
        self.shares = [[level.shares for level in h.levels] for h in hierarchies]
        self.groups = [[level.codes for level in h.levels] for h in hierarchies]
        self.judged = 0
        # The parts; a row of each table for each part.
        self.part = np.zeros(n, dtype=np.int32)
        self.levels = np.zeros((1, q), dtype=np.int8)
        self.stuck = np.zeros((1, q), dtype=bool)
        self.leaf = np.zeros(1, dtype=np.int64)  # a combination of each part

    def _number(self, keys: Ints) -> tuple[NDArray[np.int32], int, Ints]:
        distinct, first, ids = np.unique(keys, return_index=True, return_inverse=True)
        return ids.astype(np.int32), len(distinct), first

    def run(self) -> Recoded:
        checker = self.checker
        node = tuple(int(level) for level in self.top)
        grouped = checker.grouper.group(node, checker.grouper.whole)
        count = len(grouped.classes.rows)
        failed, _ = judge(checker, grouped.ids, count)
        self.part = grouped.ids.copy()
        self.levels = np.repeat(self.top[None, :], count, axis=0)
        self.leaf = grouped.classes.combination.astype(np.int64)
        suppressed = failed[grouped.ids]
        self.stuck = np.repeat(failed[:, None], self.q, axis=1) | (self.levels == 0)
        while self._round():
            pass
        gone = int(checker.table.rows[suppressed].sum())
        return Recoded(self.levels[self.part], suppressed, self.judged, gone <= checker.limit)

    def _column(self) -> NDArray[np.int64]:
        """The column that each part is split by next; -1 when it is final."""
        width = np.full((len(self.leaf), self.q), -1.0)
        for i in range(self.q):
            leaf = self.codes[self.leaf, i]
            for level in range(1, len(self.groups[i])):
                at = (self.levels[:, i] == level) & ~self.stuck[:, i]
                width[at, i] = self.shares[i][level][leaf[at]] * self.weights[i] + 1e-9
        chosen = width.argmax(axis=1)
        return np.where(width.max(axis=1) > 0, chosen, -1)

    def _round(self) -> bool:
        """Split every part that can be split; returns whether there was one."""
        column = self._column()
        active = np.flatnonzero(column[self.part] >= 0).astype(np.int32)
        if not len(active):
            return False
        parents = self.part[active]
        by = column[parents]
        finer = np.zeros(len(active), dtype=np.int64)
        widest = 1
        for i in range(self.q):
            for level in range(1, len(self.groups[i])):
                here = (column == i) & (self.levels[:, i] == level)
                if here.any():
                    at = here[parents]
                    finer[at] = self.groups[i][level - 1][self.codes[active[at], i]]
                    widest = max(widest, len(self.groups[i][level - 1]))
        child, count, first = self._number(parents * np.int64(widest + 1) + finer)
        failed, size = self._judge(active, child, count)
        parent = parents[first]
        # Failing groups of a part together; with its smallest good group where that is not enough.
        rest = self._together(active, child, failed, parent)
        if rest is not None:
            bad = np.zeros(len(column), dtype=bool)
            bad[rest] = True
            order = np.lexsort((size, failed, parent))
            helps = order[np.concatenate([[True], parent[order][1:] != parent[order][:-1]])]
            helper = helps[bad[parent[helps]] & ~failed[helps]]
            failed[helper] = True
            rest = self._together(active, child, failed, parent)
        unsplit = np.zeros(len(column), dtype=bool)
        if rest is not None:
            unsplit[rest] = True
        good = np.zeros(len(column), dtype=bool)
        good[parent[~failed]] = True
        unsplit |= (column >= 0) & ~good
        self.stuck[np.flatnonzero(column >= 0), column[column >= 0]] |= unsplit[column >= 0]
        # Part numbers: a failing group stays in its parent, which is stuck in this column; a good one is a new part.
        made = np.flatnonzero(~failed & ~unsplit[parent])
        number = np.full(count, -1, dtype=np.int64)
        number[made] = len(self.leaf) + np.arange(len(made))
        fresh_levels = self.levels[parent[made]].copy()
        split_by = column[parent[made]]
        fresh_levels[np.arange(len(made)), split_by] -= 1
        self.levels = np.concatenate([self.levels, fresh_levels])
        self.stuck = np.concatenate([self.stuck, self.stuck[parent[made]] | (fresh_levels == 0)])
        self.leaf = np.concatenate([self.leaf, active[first[made]].astype(np.int64)])
        split = np.flatnonzero((column >= 0) & ~unsplit)
        self.stuck[split, column[split]] = True
        to = number[child]
        self.part[active[to >= 0]] = to[to >= 0]
        kept = np.flatnonzero(to < 0)
        self.leaf[self.part[active[kept]]] = active[kept]
        return True

    def _judge(self, active: NDArray[np.int32], child: NDArray[np.int32], count: int) -> tuple[Bools, Ints]:
        self.judged += count
        ids = np.full(self.n, -1, dtype=np.int32)
        ids[active] = child
        return judge(self.checker, ids, count)

    def _together(
        self, active: NDArray[np.int32], child: NDArray[np.int32], failed: Bools, parent: NDArray[np.int32]
    ) -> Ints | None:
        """Parts whose failing groups fail as one class, too; None when there is none."""
        at = failed[child]
        if not at.any():
            return None
        distinct, ids = np.unique(parent[child[at]], return_inverse=True)
        bad, _ = self._judge(active[at], ids.astype(np.int32), len(distinct))
        return distinct[bad].astype(np.int64) if bad.any() else None

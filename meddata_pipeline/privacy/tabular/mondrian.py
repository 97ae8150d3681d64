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
import pandas as pd
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
        self.n, self.q = self.codes.shape
        self.weights = np.array(weights)
        self.top = np.array([len(h.levels) - 1 for h in hierarchies], dtype=np.int8)
        self.begin = np.zeros((self.q, int(self.top.max()) + 1), dtype=np.int64)
        at = 0
        for i, hierarchy in enumerate(hierarchies):
            for level, made in enumerate(hierarchy.levels):
                self.begin[i, level] = at
                at += len(made.codes)
        every = [level for h in hierarchies for level in h.levels]
        self.shares = np.concatenate([level.shares for level in every])
        self.groups = np.concatenate([level.codes for level in every]).astype(np.int64)
        self.widest = max(len(level.labels) for level in every)
        self.judged = 0
        # The parts: levels, columns that can't be split any more, and a combination of each.
        self.part = np.zeros(self.n, dtype=np.int32)
        self.levels = np.zeros((1, self.q), dtype=np.int8)
        self.stuck = np.zeros((1, self.q), dtype=bool)
        self.leaf = np.zeros(1, dtype=np.int64)
        self.active = np.arange(self.n, dtype=np.int32)

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

    def _round(self) -> bool:
        """Split every part that can be split; returns whether there was one."""
        alive = np.zeros(len(self.leaf), dtype=bool)
        alive[self.part[self.active]] = True
        parts = np.flatnonzero(alive)
        column = np.full(len(self.leaf), -1, dtype=np.int8)
        column[parts] = kernels.widest_column(
            parts, self.leaf, self.levels, self.stuck, self.codes, self.shares, self.begin, self.weights
        )
        self.active = active = self.active[column[self.part[self.active]] >= 0]
        if not len(active):
            return False
        finer = kernels.finer_groups(active, self.part, column, self.levels, self.codes, self.groups, self.begin)
        child, keys = _number(self.part[active] * np.int64(self.widest) + finer)
        parent = keys // self.widest
        first = np.zeros(len(keys), dtype=np.int64)
        first[child] = active
        failed, size = self._judge(active, child, len(keys))
        # Failing groups of a part together; with its smallest good group where that is not enough.
        rest = self._together(child, failed, parent)
        if rest is not None:
            order = np.lexsort((size, failed, parent))
            helps = order[np.concatenate([[True], parent[order][1:] != parent[order][:-1]])]
            failed[helps[rest[parent[helps]] & ~failed[helps]]] = True
            rest = self._together(child, failed, parent)
        good = np.zeros(len(column), dtype=bool)
        good[parent[~failed]] = True
        unsplit = (column >= 0) & ~good
        if rest is not None:
            unsplit |= rest
        # A good group is a new part; a failing one stays in its part, which is not split by this column again.
        done = np.flatnonzero(column >= 0)
        self.stuck[done, column[done]] = True
        made = np.flatnonzero(~failed & ~unsplit[parent])
        number = np.full(len(keys), -1, dtype=np.int32)
        number[made] = len(self.leaf) + np.arange(len(made))
        levels, stuck, by = self.levels[parent[made]], self.stuck[parent[made]], column[parent[made]]
        each = np.arange(len(made))
        levels[each, by] -= 1
        stuck[each, by] = levels[each, by] == 0
        self.levels = np.concatenate([self.levels, levels])
        self.stuck = np.concatenate([self.stuck, stuck])
        self.leaf = np.concatenate([self.leaf, first[made]])
        to = number[child]
        moved = to >= 0
        self.part[active[moved]] = to[moved]
        stayed = active[~moved]
        self.leaf[self.part[stayed]] = stayed
        return True

    def _judge(self, members: NDArray[np.int32], classes: NDArray[np.int32], count: int) -> tuple[Bools, Ints]:
        self.judged += count
        ids = np.full(self.n, -1, dtype=np.int32)
        ids[members] = classes
        return judge(self.checker, ids, count)

    def _together(self, child: NDArray[np.int32], failed: Bools, parent: Ints) -> Bools | None:
        """(parts,) True where a part's failing groups fail as one class, too; None when there is no such part."""
        if not failed.any():
            return None
        at = failed[child]
        among = np.zeros(len(self.leaf), dtype=bool)
        among[parent[failed]] = True
        number = np.cumsum(among, dtype=np.int32) - 1
        bad, _ = self._judge(self.active[at], number[parent[child[at]]], int(among.sum()))
        if not bad.any():
            return None
        among[among] = bad
        return among


def _number(keys: Ints) -> tuple[NDArray[np.int32], Ints]:
    """Ids of keys, in the order of the keys, and the distinct keys: as numpy.unique, by hashing."""
    ids, distinct = pd.factorize(keys)
    order = np.argsort(distinct)
    rank = np.empty(len(order), dtype=np.int32)
    rank[order] = np.arange(len(order), dtype=np.int32)
    return rank[ids], distinct[order]

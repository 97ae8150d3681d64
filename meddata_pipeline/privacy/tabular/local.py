"""Local recoding: rounds of the optimal search, each on the rows that the rounds before it suppressed.

What belongs here: the rounds. What does not: one search (search.py), splitting from the top (mondrian.py).

Each round may suppress as many rows as pay off under the policy's metric; what it keeps is released at its levels, and
the rest goes to the next round. The last round keeps to the whole table's suppression limit. Classes of two rounds that
look alike are one class in the release; a model that such a union could break is judged again in the end.

Source: Prasser, Eicher, Spengler, Bild and Kuhn, Flexible data anonymization using ARX, 2020 (iterative recoding).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from meddata_pipeline.privacy.tabular.check import Checker
from meddata_pipeline.privacy.tabular.encode import Merged, Pairs, Triples
from meddata_pipeline.privacy.tabular.metrics import Ints
from meddata_pipeline.privacy.tabular.models import Distribution
from meddata_pipeline.privacy.tabular.mondrian import Bools, Recoded
from meddata_pipeline.privacy.tabular.search import search

_ROUNDS = 20
# Rounds that keep less than this share of the table are not worth a search.
_LEAST_SHARE = 0.005
# A round must keep half of what is left: it then rules out most transformations early, and few rounds are needed.
_KEPT = 0.5


def restrict(table: Merged, keep: Bools) -> tuple[Merged, Ints]:
    """Some combinations of a table as a table of their own; backgrounds stay those of the whole.

    Args:
        table: all combinations.
        keep: (n,) which to take.

    Returns:
        The table, and which combination of the whole each one is.
    """
    at = np.flatnonzero(keep)
    number = np.full(len(keep), -1, dtype=np.int32)
    number[at] = np.arange(len(at))
    persons = table.persons
    if persons is not None:
        among = keep[persons.combination]
        persons = Pairs(number[persons.combination[among]], persons.person[among])
    values = {}
    for name, found in table.values.items():
        held = np.diff(found.starts)
        chosen = np.repeat(keep, held)
        starts = np.concatenate([[0], np.cumsum(held[at])]).astype(np.int64)
        values[name] = Distribution(starts, found.values[chosen], found.counts[chosen])
    triples = {}
    for name, three in table.triples.items():
        among = keep[three.combination]
        triples[name] = Triples(number[three.combination[among]], three.value[among], three.person[among])
    made = replace(
        table,
        codes=np.ascontiguousarray(table.codes[at]),
        rows=table.rows[at],
        first=table.first[at],
        total=int(table.rows[at].sum()),
        persons=persons,
        values=values,
        triples=triples,
    )
    return made, at


class _Rounds:
    def __init__(self, checker: Checker) -> None:
        self.checker = checker
        n = len(checker.table.rows)
        self.left = np.ones(n, dtype=bool)
        self.levels = np.zeros((n, len(checker.hierarchies)), dtype=np.int8)
        self.checked = 0

    @property
    def rows_left(self) -> int:
        """Rows that no round has kept."""
        return int(self.checker.table.rows[self.left].sum())

    def round(self, limit: int) -> int:
        """One search on what is left, with a suppression limit of its own; returns the rows that it keeps."""
        checker = self.checker
        part, at = restrict(checker.table, self.left)
        sizes = [len(h.levels[0].codes) for h in checker.hierarchies]
        metric = replace(checker.metric, rows=part.total, leaf_rows=part.leaf_rows(sizes))
        among = Checker(part, checker.hierarchies, checker.models, metric, limit)
        found = search(among)
        self.checked += found.checked
        if found.node is None:
            return 0
        kept = ~among.suppressed(found.node)[0]
        self.levels[at[kept]] = found.node
        self.left[at[kept]] = False
        return int(part.rows[kept].sum())


def local(checker: Checker) -> Recoded:
    """Recode a table in rounds.

    Args:
        checker: the table, models, metric and suppression limit.

    Returns:
        Levels of each combination.
    """
    least = checker.table.total * _LEAST_SHARE
    rounds = _Rounds(checker)
    for _ in range(_ROUNDS):
        if not rounds.left.any() or rounds.round(int(rounds.rows_left * _KEPT)) < least:
            break
    if rounds.rows_left > checker.limit:
        rounds.round(checker.limit)
    checked = rounds.checked
    if rounds.rows_left > checker.limit:
        # What the rounds left over has no solution of its own: start from one scheme within the limit instead.
        rounds = _Rounds(checker)
        rounds.round(checker.limit)
        while rounds.left.any() and rounds.round(int(rounds.rows_left * _KEPT)) >= least:
            pass
        checked += rounds.checked
    return Recoded(rounds.levels, rounds.left, checked, rounds.rows_left <= checker.limit)

"""Tables of counts: which cells must be hidden so that no small one can be computed back.

Belongs here: primary and secondary suppression, and the attacker's view that checks them. Does not belong here: what a
count means, or any rounding of other numbers (publish.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import optimize

#: The least limit anywhere: cells under 10 are never shown in anything published.
LEAST_LIMIT = 10

Hidden = npt.NDArray[np.bool_]


def small_cell_limit(k: int) -> int:
    """Counts below this are suppressed: max(10, k); k = 1 switches suppression off."""
    return 0 if k <= 1 else max(LEAST_LIMIT, k)


def masked_count(count: int, limit: int) -> int | str:
    """A count as it may be told where no table stands around it: ``<limit`` for 1 to limit - 1."""
    return f"<{limit}" if 0 < count < limit else count


@dataclass(frozen=True)
class CountTable:
    """A table of persons, and which published ids would show each cell.

    Attributes:
        analysis: id of the analysis that shows it.
        counts: persons by row and column; every person of a column's group is in exactly one row.
        ids: ids of results that show (or give away) the cell; empty where a cell is not shown itself.
        zero_is_safe: by row, whether a count of 0 may be shown (nobody is missing) or not (nobody has the finding).
        dependents: ids that rest on the whole table and fall with any cell of it.
        n_dependents: ids whose `n` is a group's size less its missing persons, and goes when their count does.
    """

    analysis: str
    counts: tuple[tuple[int, ...], ...]
    ids: tuple[tuple[tuple[str, ...], ...], ...]
    zero_is_safe: tuple[bool, ...]
    dependents: tuple[str, ...] = ()
    n_dependents: tuple[str, ...] = ()


class Attacker:
    """Who sees a table with hidden cells and computes what they can be.

    The attacker knows every column's total (group sizes are published) and each row's total that is no small cell
    itself; hidden cells are at least 0. The bounds are those of linear programming, so nothing computable is missed.

    Args:
        counts: (rows, columns).
        hidden: which cells are suppressed.
        limit: the small-cell limit.
    """

    def __init__(self, counts: npt.NDArray[np.int64], hidden: Hidden, limit: int) -> None:
        rows, columns = counts.shape
        self.places = [(i, j) for i in range(rows) for j in range(columns) if hidden[i, j]]
        self.equations: list[list[float]] = []
        self.totals: list[float] = []
        for j in range(columns):
            if hidden[:, j].any():
                self.equations.append([float(b == j) for _, b in self.places])
                self.totals.append(float(counts[hidden[:, j], j].sum()))
        for i in range(rows):
            if hidden[i].any() and counts[i].sum() >= limit:
                self.equations.append([float(a == i) for a, _ in self.places])
                self.totals.append(float(counts[i, hidden[i]].sum()))

    def interval(self, i: int, j: int) -> tuple[float, float]:
        """Least and greatest value that a hidden cell can have."""
        goal = np.array([float(place == (i, j)) for place in self.places])
        ends = [
            optimize.linprog(sign * goal, A_eq=self.equations, b_eq=self.totals, bounds=(0, None), method="highs").fun
            for sign in (1.0, -1.0)
        ]
        return float(ends[0]), float(-ends[1])


def suppress(table: CountTable, limit: int) -> Hidden:
    """Hide every small cell, and as many others as it takes that none can be computed back.

    A small cell is safe when the attacker's interval for it is at least `limit` wide. While one is not, the smallest
    visible cell of its column or row is hidden as well.

    Args:
        table: the counts.
        limit: counts below it are small; 0 hides nothing.

    Returns:
        (rows, columns), true where a cell is hidden.
    """
    counts = np.asarray(table.counts, dtype=np.int64)
    if counts.size == 0:
        return np.zeros(counts.shape, dtype=bool)
    safe_zero = np.asarray(table.zero_is_safe)[:, None] & (counts == 0)
    small = (counts < limit) & ~safe_zero
    hidden: Hidden = small.copy()
    while hidden.any() and not hidden.all():
        weak = _weak(counts, hidden, small, limit)
        if weak is None:
            break
        i, j = weak
        near = [(int(counts[a, b]), a, b) for a, b in _neighbours(counts.shape, i, j) if not hidden[a, b]]
        # A row and a column hidden throughout: only the rest of the table can still help.
        rest = near or [(int(counts[a, b]), int(a), int(b)) for a, b in np.argwhere(~hidden)]
        # An empty cell hides nothing, so it comes last.
        _, a, b = min(rest, key=lambda cell: (cell[0] == 0, *cell))
        hidden[a, b] = True
    # Greed hides some in vain: show again, greatest first, what is not needed.
    for a, b in sorted(np.argwhere(hidden & ~small).tolist(), key=lambda place: (-counts[*place], *place)):
        hidden[a, b] = False
        if _weak(counts, hidden, small, limit) is not None:
            hidden[a, b] = True
    return hidden


def _weak(counts: npt.NDArray[np.int64], hidden: Hidden, small: Hidden, limit: int) -> tuple[int, int] | None:
    """A small cell that an attacker can narrow down to less than the limit, if there is one."""
    attacker = Attacker(counts, hidden, limit)
    for i, j in np.argwhere(small).tolist():
        low, high = attacker.interval(i, j)
        if high - low < limit - 1e-6:
            return i, j
    return None


def _neighbours(shape: Sequence[int], i: int, j: int) -> list[tuple[int, int]]:
    column = [(a, j) for a in range(shape[0]) if a != i]
    line = [(i, b) for b in range(shape[1]) if b != j]
    return column + line


class CountRegistry:
    """Counts of persons already shown; a new one that differs from one of them by a few persons is held back.

    Two published numbers of persons whose difference is 1 to limit - 1 give away a small group: those who are in the
    one and not in the other. Compare like with like: persons, events and non-events are families of their own.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._shown: dict[str, set[int]] = {}

    def admit(self, family: str, count: int) -> bool:
        """Whether a count may be shown; if so it is remembered."""
        if not self.fits(family, count):
            return False
        self._shown.setdefault(family, set()).add(count)
        return True

    def fits(self, family: str, count: int) -> bool:
        """Whether a count is no small cell and differs from every shown one by nothing or by the limit at least."""
        if self.limit <= 1:
            return True
        return count >= self.limit and all(
            count == other or abs(count - other) >= self.limit for other in self._shown.get(family, ())
        )

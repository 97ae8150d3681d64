"""A table as merged combinations: rows that agree in all quasi-identifiers become one, with a weight.

What belongs here: from columns of codes to the arrays that the kernels read: combinations, rows, persons, the subset,
sensitive values. What does not: spelling of values (values.py), levels (hierarchy.py), checks (check.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from meddata_pipeline.core.errors import BadInput
from meddata_pipeline.privacy.tabular.lattice import class_ids
from meddata_pipeline.privacy.tabular.models import Background, Distribution
from meddata_pipeline.privacy.tabular.values import Codes, Encoded, encode

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Pairs:
    """Who has rows in a combination: distinct pairs sorted by person, so that a class counts each person once.

    Attributes:
        combination: (p,) int32.
        person: (p,) int32.
    """

    combination: Codes
    person: Codes


@dataclass(frozen=True)
class Triples:
    """Which persons have a sensitive value in a combination: distinct triples, sorted by value and then person."""

    combination: Codes
    value: Codes
    person: Codes


@dataclass(frozen=True)
class Merged:
    """A table for the search.

    Attributes:
        codes: (n, q) int32, leaf of each combination and quasi-identifier.
        combination: (rows,) int32, combination of each row of the table.
        rows: (n,) rows that could be released: of the subset, where there is one.
        population: (n,) all rows; empty when there is no subset.
        first: (n,) first such row of the table, which breaks ties between classes of equal size.
        total: sum of ``rows``.
        persons: of the rows that could be released; None when every row is a person of its own.
        all_persons: of all rows; None as above, or without a subset.
        values: sensitive column → distribution by combination; empty where persons are counted.
        triples: sensitive column → persons by value; empty where rows are counted.
        backgrounds: sensitive column → its distribution in the table.
    """

    codes: NDArray[np.int32]
    combination: Codes
    rows: Ints
    population: Ints
    first: Ints
    total: int
    persons: Pairs | None = None
    all_persons: Pairs | None = None
    values: Mapping[str, Distribution] = field(default_factory=dict)
    triples: Mapping[str, Triples] = field(default_factory=dict)
    backgrounds: Mapping[str, Background] = field(default_factory=dict)

    def leaf_rows(self, sizes: Sequence[int]) -> list[Ints]:
        """Rows of each leaf, per column; ``sizes`` are the numbers of leaves."""
        return [
            np.bincount(self.codes[:, i], weights=self.rows, minlength=size).astype(np.int64)
            for i, size in enumerate(sizes)
        ]


def merge(
    columns: Sequence[Codes],
    sizes: Sequence[int],
    *,
    units: Codes | None = None,
    subset: NDArray[np.bool_] | None = None,
    sensitive: Mapping[str, Encoded] | None = None,
    parents: Mapping[str, Sequence[Ints]] | None = None,
) -> Merged:
    """Merge equal rows.

    Args:
        columns: (rows,) each, codes of the quasi-identifiers.
        sizes: number of codes of each.
        units: (rows,) persons; None when every row is a person of its own.
        subset: (rows,) True for rows of the research subset; None when there is none.
        sensitive: columns that the models judge.
        parents: their hierarchies, see models.Background.

    Returns:
        The table.
    """
    total = len(columns[0])
    ids, count = class_ids(columns, sizes)
    combination = ids.astype(np.int32)
    inside = np.ones(total, dtype=bool) if subset is None else subset
    place = np.zeros(count, dtype=np.int64)
    place[combination[::-1]] = np.arange(total - 1, -1, -1)
    codes = np.empty((count, len(columns)), dtype=np.int32)
    for i, column in enumerate(columns):
        codes[:, i] = column[place]
    whole = np.bincount(combination, minlength=count).astype(np.int64)
    rows, first = whole, place
    if subset is not None:
        rows = np.bincount(combination[inside], minlength=count).astype(np.int64)
        at = np.flatnonzero(inside)
        first = np.full(count, total, dtype=np.int64)
        first[combination[at[::-1]]] = at[::-1]
    values: dict[str, Distribution] = {}
    triples: dict[str, Triples] = {}
    backgrounds: dict[str, Background] = {}
    for name, judged in (sensitive or {}).items():
        held = combination[inside]
        codes_inside = judged.codes[inside]
        distinct = len(judged.texts)
        if units is None:
            values[name] = _distribution(held, codes_inside, count, distinct)
            counts = np.bincount(codes_inside, minlength=distinct).astype(np.int64)
        else:
            triples[name] = _triples(held, codes_inside, units[inside])
            once = np.unique(codes_inside.astype(np.int64) * (int(units.max(initial=0)) + 1) + units[inside])
            counts = np.bincount(once // (int(units.max(initial=0)) + 1), minlength=distinct).astype(np.int64)
        backgrounds[name] = Background(judged.texts, counts, tuple((parents or {}).get(name, ())))
    return Merged(
        codes=codes,
        combination=combination,
        rows=rows,
        population=np.zeros(0, dtype=np.int64) if subset is None else whole,
        first=first,
        total=int(rows.sum()),
        persons=None if units is None else _pairs(combination[inside], units[inside]),
        all_persons=None if units is None or subset is None else _pairs(combination, units),
        values=values,
        triples=triples,
        backgrounds=backgrounds,
    )


def _distribution(combination: Codes, values: Codes, count: int, distinct: int) -> Distribution:
    keys, counts = np.unique(combination.astype(np.int64) * distinct + values, return_counts=True)
    starts = np.zeros(count + 1, dtype=np.int64)
    np.cumsum(np.bincount(keys // distinct, minlength=count), out=starts[1:])
    return Distribution(starts, (keys % distinct).astype(np.int32), counts.astype(np.int64))


def _pairs(combination: Codes, units: Codes) -> Pairs:
    width = int(combination.max(initial=0)) + 1
    keys = np.unique(units.astype(np.int64) * width + combination)
    return Pairs((keys % width).astype(np.int32), (keys // width).astype(np.int32))


def _triples(combination: Codes, values: Codes, units: Codes) -> Triples:
    order = np.lexsort((combination, units, values))
    columns = [array[order] for array in (combination, values, units)]
    fresh = np.ones(len(order), dtype=bool)
    if len(order) > 1:
        fresh[1:] = np.logical_or.reduce([column[1:] != column[:-1] for column in columns])
    return Triples(*(column[fresh].astype(np.int32) for column in columns))


def subset_rows(table: pd.DataFrame, subset: pd.DataFrame) -> NDArray[np.bool_]:
    """Find the rows of a research subset in its table, as a multiset of whole rows.

    Args:
        table: all rows.
        subset: some of them, with the same columns in any order.

    Returns:
        (rows,) True for rows of the subset; of equal rows the first ones.

    Raises:
        BadInput: the columns differ, the subset is empty, or holds rows that the table lacks.
    """
    if set(table.columns) != set(subset.columns):
        raise BadInput("The subset file has other columns than the table", next_step="Give whole rows of the table")
    if not len(subset):
        raise BadInput("The subset file has no rows", next_step="Give the rows of the research subset")
    columns, sizes = [], []
    for name in table.columns:
        both = pd.concat([table[name].astype(object), subset[name].astype(object)], ignore_index=True)
        encoded = encode(both)
        columns.append(encoded.codes)
        sizes.append(len(encoded.texts))
    ids, count = class_ids(columns, sizes)
    mine, theirs = ids[: len(table)], ids[len(table) :]
    wanted = np.bincount(theirs, minlength=count)
    missing = int(np.maximum(wanted - np.bincount(mine, minlength=count), 0).sum())
    if missing:
        raise BadInput(f"{missing} rows of the subset file are not in the table")
    rank = pd.Series(mine).groupby(mine, sort=False).cumcount().to_numpy()
    found: NDArray[np.bool_] = rank < wanted[mine]
    return found

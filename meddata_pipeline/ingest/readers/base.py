"""The protocol of all readers.

What belongs here: the types that readers hand over. What does not: any format.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa


@dataclass(frozen=True)
class Reject:
    """One record that is damaged as a record.

    Attributes:
        row: number of the record, from 0, the header not counted.
        reason: ``short_row``, ``long_row``, ``bad_encoding`` or ``bad_quote``.
        cells: what could be read of it; restricted.
    """

    row: int
    reason: str
    cells: tuple[str, ...]


@dataclass(frozen=True)
class Batch:
    """Some consecutive records of a part.

    Attributes:
        columns: one array of text per header cell, all of the same length; never null.
        rows: numbers of the records in the arrays (shape: their length).
        rejects: records of the same stretch that are not in the arrays.
    """

    columns: Sequence[pa.Array]
    rows: npt.NDArray[np.int64]
    rejects: Sequence[Reject] = ()


@dataclass(frozen=True)
class Part:
    """A table in a file: all of a text file, or one sheet.

    Attributes:
        header: cells of the first record.
        batches: the records after it, in the order of the file.
    """

    header: tuple[str, ...]
    batches: Iterator[Batch]

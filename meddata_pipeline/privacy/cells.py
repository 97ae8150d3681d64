"""Masking a column of short cells: each distinct value once.

What belongs here: columns about whose rows' persons nothing is to be looked for. What does not: notes (masker).

A column of a million cells has some ten thousand values. The column is dictionary-encoded, the values are masked, and
values and spans go back to the rows by array operations, without a step of Python for each row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meddata_pipeline.privacy.masker import Batch, Masker

if TYPE_CHECKING:
    import pyarrow as pa


def mask_cells(column: pa.Array | pa.ChunkedArray, masker: Masker) -> tuple[pa.Array, pa.Table]:
    """Replace what identifies in a column.

    Args:
        column: strings, n of them; null stays null.
        masker: finds and replaces.

    Returns:
        The n strings with placeholders, and the span table (``text.span_schema``) whose ``row`` is the cell's place:
        the same as ``Masker.mask`` gives for the column's cells one by one.
    """
    import pyarrow as pa

    encoded = column.dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.unify_dictionaries().combine_chunks()
    values = encoded.dictionary.to_pylist()
    texts, spans = masker.mask(Batch(values, [None] * len(values), [()] * len(values)))
    return pa.array(texts, pa.string()).take(encoded.indices), _spread(spans, encoded.indices, len(values))


def _spread(spans: pa.Table, values: pa.Array, distinct: int) -> pa.Table:
    """The spans of distinct values for every row that has such a value, in the order of the rows."""
    import numpy as np
    import pyarrow as pa

    counts = np.bincount(spans["row"].to_numpy(), minlength=distinct)
    first = np.cumsum(counts) - counts
    present = np.flatnonzero(values.is_valid().to_numpy(zero_copy_only=False))
    chosen = values.drop_null().to_numpy()
    repeats = counts[chosen]
    rows = np.repeat(present, repeats)
    # The n-th span of a row: where its value's spans begin, and n.
    within = np.arange(len(rows)) - np.repeat(np.cumsum(repeats) - repeats, repeats)
    taken = spans.take(pa.array(np.repeat(first[chosen], repeats) + within))
    return taken.set_column(0, taken.schema.field("row"), pa.array(rows, pa.int64()))

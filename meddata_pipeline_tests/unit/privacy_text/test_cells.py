"""Columns of cells: distinct values once, the same answer as cell by cell."""

from __future__ import annotations

import random

import pyarrow as pa
import pytest

from meddata_pipeline.privacy.cells import mask_cells
from meddata_pipeline.privacy.masker import Batch, Masker

VALUES = [
    "慢性牙周炎",
    "",
    "电话13812345678，2024年3月5日复诊，电话13812345678",
    "王主任查房",
    "2023-11-02",
    "ＶＡＳ３分",
    "记录人：欧阳画眉、李四光",
    "\x00",
]


@pytest.mark.parametrize("chunks", [1, 3])
def test_a_column_is_masked_as_its_cells_are(chunks: int) -> None:
    chance = random.Random(chunks)
    cells = chance.choices([*VALUES, None], k=600)
    column = pa.chunked_array([cells[n::chunks] for n in range(chunks)], pa.string())
    flat = column.to_pylist()
    with Masker(b"k" * 32) as masker:
        masked, spans = mask_cells(column, masker)
        present = [i for i, cell in enumerate(flat) if cell is not None]
        texts, expected = masker.mask(Batch([flat[i] for i in present], [None] * len(present), [()] * len(present)))
    assert [masked[i].as_py() for i in present] == texts
    assert [i for i, cell in enumerate(masked.to_pylist()) if cell is not None] == present
    rows = pa.array(present, pa.int64()).take(expected["row"].combine_chunks())
    assert spans.combine_chunks().equals(expected.set_column(0, "row", rows).combine_chunks())
    assert spans.num_rows > 400


@pytest.mark.parametrize("cells", [[], [None, None], ["", "复诊"]])
def test_columns_without_findings_stay(cells: list[str | None]) -> None:
    with Masker(b"k" * 32) as masker:
        masked, spans = mask_cells(pa.array(cells, pa.string()), masker)
    assert masked.to_pylist() == cells
    assert spans.num_rows == 0

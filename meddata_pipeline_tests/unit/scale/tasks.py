"""Tasks that workers import by name."""

from __future__ import annotations

import os

import pyarrow as pa
import pyarrow.compute as pc

from meddata_pipeline.scale import Task, Work

SCHEMA = pa.schema([pa.field("n", pa.int64()), pa.field("pid", pa.int64()), pa.field("prepared", pa.int64())])
_PREPARED = [0]


def times(factor: int) -> Work:
    """Multiplies, and says which process did it and how often it has prepared."""
    _PREPARED[0] += 1

    def work(batch: pa.RecordBatch) -> pa.RecordBatch:
        rows = batch.num_rows
        columns = [pc.multiply(batch["n"], factor), pa.array([os.getpid()] * rows), pa.array([_PREPARED[0]] * rows)]
        return pa.RecordBatch.from_arrays(columns, schema=SCHEMA)

    return work


def shorter(_: object) -> Work:
    """Breaks the promise of one row for each."""
    return lambda batch: pa.RecordBatch.from_pylist([], schema=SCHEMA)


def task(factor: int = 3) -> Task:
    return Task(times, factor, SCHEMA)

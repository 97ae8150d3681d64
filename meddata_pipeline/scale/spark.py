"""The backend that works on Spark; the only module that imports pyspark, and that inside functions only.

pyspark is an extra (``pip install 'meddata-pipeline[spark]'``) and needs a Java runtime. On a cluster the project must
be installed on the executors too: tasks are sent by name.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from meddata_pipeline.core.errors import BadInput
from meddata_pipeline.scale.task import Task, checked, prepared

if TYPE_CHECKING:
    from types import TracebackType

    import pyarrow as pa

#: Carries the place of a row through Spark, which does not promise any order.
_PLACE = "_place"
#: Batches that are in Spark together: bounds what the driver holds.
_TOGETHER = 64


def session(folder: Path, master: str = "local[2]") -> Any:
    """A Spark session that leaves nothing readable behind.

    Args:
        folder: where Spark spills, e.g. the home's ``restricted/tmp``; what it writes there is encrypted.
        master: Spark's address; ``local[n]`` for n threads in this machine.

    Raises:
        BadInput: pyspark is not installed.
    """
    try:
        from pyspark.sql import SparkSession
    except ImportError:
        raise BadInput("pyspark is not installed", next_step="pip install 'meddata-pipeline[spark]'") from None
    builder = SparkSession.builder.master(master)
    if master.startswith("local"):
        # Its workers would take whatever python3 is first on the path, and its ports would be open to the network.
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        builder = builder.config("spark.driver.bindAddress", "127.0.0.1").config("spark.driver.host", "127.0.0.1")
    return (
        builder.appName("meddata")
        # Rows are patients' texts: no page shows them, and what is spilled is encrypted.
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .config("spark.io.encryption.enabled", "true")
        .config("spark.local.dir", str(folder))
        .config("spark.sql.warehouse.dir", str(folder / "spark-warehouse"))
        .config("spark.python.worker.reuse", "true")
        .getOrCreate()
    )


class SparkMapper:
    """Maps on a Spark session, which stays its owner's to stop.

    Args:
        task: what is done; each Python worker prepares it once.
        session: a ``pyspark.sql.SparkSession`` of Spark 4.
    """

    def __init__(self, task: Task, session: Any) -> None:
        self._task = task
        self._session = session

    def frame(self, frame: Any) -> Any:
        """Map a DataFrame without bringing it here; the columns are the task's, rows keep no order of their own."""
        from pyspark.sql.pandas.types import from_arrow_schema

        return frame.mapInArrow(_over(self._task, placed=False), from_arrow_schema(self._task.schema))

    def map(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """See ``Mapper.map``."""
        waiting = iter(batches)
        while group := list(islice(waiting, _TOGETHER)):
            yield from self._together(group)

    def _together(self, group: list[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa
        from pyspark.sql.pandas.types import from_arrow_schema

        # In one piece: Spark 4.3 silently drops what stands behind an empty one.
        whole = pa.Table.from_batches(group).combine_chunks()
        whole = whole.append_column(_PLACE, pa.array(range(whole.num_rows), pa.int64()))
        schema = self._task.schema.append(pa.field(_PLACE, pa.int64()))
        made = (
            self._session.createDataFrame(whole)
            .mapInArrow(_over(self._task, placed=True), from_arrow_schema(schema))
            .toArrow()
        )
        ordered = made.sort_by(_PLACE).drop_columns([_PLACE]).cast(self._task.schema)
        if ordered.num_rows != whole.num_rows:
            raise RuntimeError(f"Spark returned {ordered.num_rows} rows of {whole.num_rows}")
        start = 0
        for batch in group:
            # A slice may begin with an empty piece, so pieces are put together before one is taken.
            pieces = ordered.slice(start, batch.num_rows).combine_chunks().to_batches()
            yield pieces[0] if pieces else pa.RecordBatch.from_pylist([], schema=self._task.schema)
            start += batch.num_rows

    def __enter__(self) -> SparkMapper:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """The session stays its owner's."""


def _over(task: Task, *, placed: bool) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """What a Python worker of Spark runs; models come from the worker's module-level cache."""

    def run(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            given = batch.drop_columns([_PLACE]) if placed else batch
            out = checked(task, prepared(task), given)
            yield out.append_column(_PLACE, batch[_PLACE]) if placed else out

    return run

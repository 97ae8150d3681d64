"""The backend that works in this process."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from meddata_pipeline.scale.task import Task, Work, checked

if TYPE_CHECKING:
    from types import TracebackType

    import pyarrow as pa


class LocalMapper:
    """Maps in this process, one batch after the other.

    Args:
        task: what is done.
    """

    def __init__(self, task: Task) -> None:
        self._task = task
        self._work: Work | None = None

    def map(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """See ``Mapper.map``."""
        for batch in batches:
            if self._work is None:
                self._work = self._task.prepare(self._task.recipe)
            yield checked(self._task, self._work, batch)

    def __enter__(self) -> LocalMapper:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._work = None

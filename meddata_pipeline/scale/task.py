"""What is mapped, and what a mapper is.

What belongs here: the protocol that all backends keep, and the cache through which a worker prepares once. What does
not: any backend.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

if TYPE_CHECKING:
    from types import TracebackType

    import pyarrow as pa

#: Maps one batch to one batch of as many rows.
Work: TypeAlias = "Callable[[pa.RecordBatch], pa.RecordBatch]"


@dataclass(frozen=True)
class Task:
    """What is done with every batch.

    Attributes:
        prepare: a function of a module (it is pickled by its name) that loads models and returns the work; it is
            called once in each worker.
        recipe: what ``prepare`` is called with; it can be pickled and compared.
        schema: of the batches that come out.
    """

    prepare: Callable[[Any], Work]
    recipe: Any
    schema: pa.Schema


class Mapper(Protocol):
    """Maps one task over batches; a context manager, because it may own workers."""

    def map(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """The results in the order of the batches; each has the rows of its batch in their order.

        Raises:
            ValueError: the work returned another number of rows or another schema.
        """
        ...

    def __enter__(self) -> Mapper:
        """Nothing starts before the first batch."""
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the workers."""
        ...


_PREPARED: list[tuple[Task, Work]] = []


def prepared(task: Task) -> Work:
    """The work of a task, prepared once in this process.

    One task is held at a time: models are large, and a worker serves one task until its mapper ends.
    """
    for known, work in _PREPARED:
        if known == task:
            return work
    _PREPARED.clear()
    _PREPARED.append((task, task.prepare(task.recipe)))
    return _PREPARED[0][1]


def checked(task: Task, work: Work, batch: pa.RecordBatch) -> pa.RecordBatch:
    """The result of one batch; see ``Mapper.map``."""
    out = work(batch)
    if out.num_rows != batch.num_rows or not out.schema.equals(task.schema):
        raise ValueError(f"{task.prepare.__qualname__} must return the task's schema and as many rows as it was given")
    return out

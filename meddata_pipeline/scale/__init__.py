"""Mapping a function over record batches: in this process, in several, or on Spark.

What belongs here: sharing work out and bringing its results back in order. What does not: what the work is (the
domain packages say that in a ``Task``), and where the batches come from.

A task works row by row: row n of what comes out is made from row n of what went in and from the recipe alone. How
rows are grouped into batches, how many workers there are and which of them was first never changes a result.
"""

from __future__ import annotations

from meddata_pipeline.scale.local import LocalMapper
from meddata_pipeline.scale.processes import ProcessMapper, processors
from meddata_pipeline.scale.task import Mapper, Task, Work

__all__ = ["LocalMapper", "Mapper", "ProcessMapper", "Task", "Work", "mapper", "processors"]

BACKENDS = ("local", "processes", "spark")


def mapper(task: Task, backend: str = "local", *, processes: int = 1, session: object = None) -> Mapper:
    """A mapper by the name of its backend.

    Args:
        task: what is done.
        backend: ``local``, ``processes`` or ``spark``.
        processes: how many processes work (``processes`` only).
        session: a Spark session (``spark`` only), e.g. ``scale.spark.session``.

    Raises:
        ValueError: there is no such backend, or Spark has no session.
    """
    if backend == "local":
        return LocalMapper(task)
    if backend == "processes":
        return ProcessMapper(task, processes)
    if backend == "spark":
        from meddata_pipeline.scale.spark import SparkMapper

        if session is None:
            raise ValueError("The backend spark needs a session")
        return SparkMapper(task, session)
    raise ValueError(f"There is no backend {backend!r}; there are {', '.join(BACKENDS)}")

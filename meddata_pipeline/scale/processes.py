"""The backend that works in several processes of this machine."""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import os
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from typing import TYPE_CHECKING

from meddata_pipeline.scale.task import Task, checked, prepared

if TYPE_CHECKING:
    from types import TracebackType

    import pyarrow as pa

#: Batches under way for each process: enough that none waits, few enough that memory stays bounded.
_AHEAD = 3


def processors() -> int:
    """Processors that this process may use, at most 8: each further process holds the models once more."""
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(8, available))


class ProcessMapper:
    """Maps in processes that start with the first batch and prepare the task once each.

    Args:
        task: what is done.
        processes: how many processes work.
    """

    def __init__(self, task: Task, processes: int) -> None:
        self._task = task
        self._processes = processes
        self._pool: ProcessPoolExecutor | None = None

    @property
    def workers(self) -> list[int]:
        """The processes' ids."""
        # The executor offers no other way to its processes.
        return sorted((self._pool and self._pool._processes) or {})

    def map(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """See ``Mapper.map``."""
        if self._pool is None:
            # Not forked: this process has threads (DuckDB, Arrow, the orchestrator) that a fork would cut in two.
            self._pool = ProcessPoolExecutor(
                self._processes, multiprocessing.get_context("spawn"), initializer=_start, initargs=(self._task,)
            )
        under_way: deque[Future[bytes]] = deque()
        try:
            for batch in batches:
                under_way.append(self._pool.submit(_work, packed(batch)))
                if len(under_way) >= _AHEAD * self._processes:
                    yield unpacked(under_way.popleft().result())
            while under_way:
                yield unpacked(under_way.popleft().result())
        finally:
            for waiting in under_way:
                waiting.cancel()

    def __enter__(self) -> ProcessMapper:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None


def packed(batch: pa.RecordBatch) -> bytes:
    """A batch as Arrow's stream format; pickling a slice would send the whole table that it is cut from."""
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as stream:
        stream.write_batch(batch)
    return bytes(sink.getvalue())


def unpacked(data: bytes) -> pa.RecordBatch:
    """The batch of ``packed``."""
    import pyarrow as pa

    with pa.ipc.open_stream(data) as stream:
        return stream.read_next_batch()


_WORKER: dict[str, Task] = {}


def _start(task: Task) -> None:
    """What every process prepares once."""
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    _WORKER["task"] = task
    prepared(task)


def _leave_with_parent() -> None:
    """A killed run leaves no processes behind that wait for work for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)


def _work(data: bytes) -> bytes:
    task = _WORKER["task"]
    return packed(checked(task, prepared(task), unpacked(data)))

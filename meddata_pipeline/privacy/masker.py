"""Detecting and replacing in many texts, in several processes where that pays.

What belongs here: sharing out the work. What does not: finding (privacy/detect) and replacing (privacy/text).

The answer does not depend on the number of processes: what is found in a text depends on the text and on what is
known of its person alone.
"""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import os
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

from meddata_pipeline.privacy.detect import Detector, Known
from meddata_pipeline.privacy.second_pass import Accepted, SecondPass
from meddata_pipeline.privacy.text import to_placeholders

if TYPE_CHECKING:
    from types import TracebackType

    import pyarrow as pa

#: Distinct texts for which starting processes (some seconds of imports) pays.
WORTH_PROCESSES = 8_000
#: Texts of one piece of work.
PIECE = 1_000


class Batch(NamedTuple):
    """Texts, what is known of the person of each, and the numbers that each one's record carries itself.

    ``accepted`` is what people have accepted in each text; empty where nobody has accepted anything in any.
    """

    texts: Sequence[str]
    known: Sequence[Known | None]
    numbers: Sequence[tuple[str, ...]]
    accepted: Sequence[tuple[Accepted, ...]] = ()

    def part(self, start: int, end: int) -> Batch:
        """Some of the texts."""
        return Batch(self.texts[start:end], self.known[start:end], self.numbers[start:end], self.accepted[start:end])


def processors() -> int:
    """Processors that this process may use, at most 8: each further process holds the roster and the rules."""
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(8, available))


class Masker:
    """Puts typed placeholders into texts; a context manager, because it may own processes.

    Args:
        key: the lake's key for digests of surfaces.
        roster: names of the hospital's staff.
        id_patterns: the hospital's own number shapes.
        processes: how many processes may work; they start when a batch is large enough.
    """

    def __init__(
        self,
        key: bytes,
        roster: Sequence[str] = (),
        id_patterns: Mapping[str, str] | None = None,
        *,
        processes: int = 1,
    ) -> None:
        self.detector = Detector(roster=roster, id_patterns=id_patterns)
        self._passes = SecondPass(self.detector)
        self._key = key
        self._recipe = (key, tuple(roster), dict(id_patterns or {}))
        self._processes = processes
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> Masker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None

    def mask(self, batch: Batch) -> tuple[list[str], pa.Table]:
        """Replace what identifies.

        Returns:
            The texts with placeholders, and the span table (``text.span_schema``) whose ``row`` is the text's place.
        """
        if self._processes < 2 or len(set(batch.texts)) < WORTH_PROCESSES:
            return _mask(self._passes, self._key, batch)
        return self._shared(batch)

    def _shared(self, batch: Batch) -> tuple[list[str], pa.Table]:
        import pyarrow as pa
        import pyarrow.compute as pc

        if self._pool is None:
            # Not forked: this process has threads (DuckDB, Arrow, the orchestrator) that a fork would cut in two.
            self._pool = ProcessPoolExecutor(
                self._processes, multiprocessing.get_context("spawn"), initializer=_start, initargs=self._recipe
            )
        pieces = [batch.part(start, start + PIECE) for start in range(0, len(batch.texts), PIECE)]
        texts: list[str] = []
        tables: list[pa.Table] = []
        for replaced, spans in self._pool.map(_work, pieces):
            rows = pc.add(spans["row"], pa.scalar(len(texts), pa.int64()))
            tables.append(spans.set_column(0, spans.schema.field("row"), rows))
            texts += replaced
        return texts, pa.concat_tables(tables)


def _mask(passes: SecondPass, key: bytes, batch: Batch) -> tuple[list[str], pa.Table]:
    settled = passes.settle(batch.texts, batch.known, batch.numbers, batch.accepted or None)
    return to_placeholders(batch.texts, [s.spans for s in settled], key=key, reasons=[s.reasons for s in settled])


_WORKER: dict[str, tuple[SecondPass, bytes]] = {}


def _start(key: bytes, roster: Sequence[str], id_patterns: Mapping[str, str]) -> None:
    """What every process prepares once."""
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    _WORKER["own"] = (SecondPass(Detector(roster=roster, id_patterns=id_patterns)), key)


def _leave_with_parent() -> None:
    """A killed run leaves no processes behind that wait for work for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)


def _work(batch: Batch) -> tuple[list[str], pa.Table]:
    return _mask(*_WORKER["own"], batch)

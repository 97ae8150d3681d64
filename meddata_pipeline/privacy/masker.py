"""Detecting and replacing in many texts, shared out over workers where that pays.

What belongs here: the work as a task of scale/, and what its batches hold. What does not: finding (privacy/detect),
replacing (privacy/text), the workers themselves (scale/).

The answer does not depend on the workers: what is found in a text depends on the text and on what is known of its
person alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from meddata_pipeline.privacy.detect import Detector, Known
from meddata_pipeline.privacy.second_pass import Accepted, SecondPass
from meddata_pipeline.privacy.text import span_schema, to_placeholders
from meddata_pipeline.scale import Mapper, ProcessMapper, Task, Work

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


class Recipe(NamedTuple):
    """What a worker makes its detector from.

    Attributes:
        key: the lake's key for digests of surfaces.
        roster: names of the hospital's staff.
        id_patterns: the hospital's own number shapes by field.
    """

    key: bytes
    roster: tuple[str, ...] = ()
    id_patterns: tuple[tuple[str, str], ...] = ()

    def detector(self) -> Detector:
        """A new detector."""
        return Detector(roster=self.roster, id_patterns=dict(self.id_patterns))


class Masker:
    """Puts typed placeholders into texts; a context manager, because it may own processes.

    Args:
        key: the lake's key for digests of surfaces.
        roster: names of the hospital's staff.
        id_patterns: the hospital's own number shapes.
        processes: how many processes may work; they start when a batch is large enough.
        mapper: maps ``masking(...)`` for all batches in place of processes (Spark); it stays its owner's.
    """

    def __init__(
        self,
        key: bytes,
        roster: Sequence[str] = (),
        id_patterns: Mapping[str, str] | None = None,
        *,
        processes: int = 1,
        mapper: Mapper | None = None,
    ) -> None:
        self.recipe = Recipe(key, tuple(roster), tuple(sorted((id_patterns or {}).items())))
        self.detector = self.recipe.detector()
        self._passes = SecondPass(self.detector)
        self._processes = processes
        self._mapper = mapper
        self.pool: ProcessMapper | None = None

    def __enter__(self) -> Masker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.pool is not None:
            self.pool.__exit__(kind, error, trace)
            self.pool = None

    def mask(self, batch: Batch) -> tuple[list[str], pa.Table]:
        """Replace what identifies.

        Returns:
            The texts with placeholders, and the span table (``text.span_schema``) whose ``row`` is the text's place.
        """
        if self._mapper is not None:
            return _shared(self._mapper, batch)
        if self._processes < 2 or len(set(batch.texts)) < WORTH_PROCESSES:
            return _mask(self._passes, self.recipe.key, batch)
        if self.pool is None:
            self.pool = ProcessMapper(masking(self.recipe), self._processes)
        return _shared(self.pool, batch)


def masking(recipe: Recipe) -> Task:
    """The task of masking.

    Its batches hold ``text``, ``known`` (JSON of ``Known`` or null), ``numbers`` and ``accepted`` (JSON of what people
    have accepted in the text, or null); what comes out holds ``text`` and ``spans``, the rows of the text's span table.
    """
    return Task(_prepare, recipe, _out_schema())


def _mask(passes: SecondPass, key: bytes, batch: Batch) -> tuple[list[str], pa.Table]:
    settled = passes.settle(batch.texts, batch.known, batch.numbers, batch.accepted or None)
    return to_placeholders(batch.texts, [s.spans for s in settled], key=key, reasons=[s.reasons for s in settled])


def _prepare(recipe: Recipe) -> Work:
    """What every worker prepares once."""
    passes = SecondPass(recipe.detector())
    known = lru_cache(maxsize=20_000)(_read_known)

    def work(batch: pa.RecordBatch) -> pa.RecordBatch:
        about = [None if value is None else known(value) for value in batch["known"].to_pylist()]
        numbers = [tuple(value) for value in batch["numbers"].to_pylist()]
        free = [() if value is None else _read_accepted(value) for value in batch["accepted"].to_pylist()]
        return _nested(*_mask(passes, recipe.key, Batch(batch["text"].to_pylist(), about, numbers, free)))

    return work


def _shared(mapper: Mapper, batch: Batch) -> tuple[list[str], pa.Table]:
    import pyarrow as pa

    texts: list[str] = []
    tables: list[pa.Table] = []
    for made in mapper.map(_pieces(batch)):
        tables.append(_flat(made, len(texts)))
        texts += made["text"].to_pylist()
    return texts, pa.concat_tables(tables) if tables else span_schema().empty_table()


def _pieces(batch: Batch) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    schema = pa.schema(
        [
            pa.field("text", pa.string()),
            pa.field("known", pa.string()),
            pa.field("numbers", pa.list_(pa.string())),
            pa.field("accepted", pa.string()),
        ]
    )
    written = lru_cache(maxsize=20_000)(_write_known)
    for start in range(0, len(batch.texts), PIECE):
        part = batch.part(start, start + PIECE)
        about = [None if known is None else written(known) for known in part.known]
        free = [json.dumps(accepted, ensure_ascii=False) if accepted else None for accepted in part.accepted]
        free = free or [None] * len(part.texts)
        columns = [
            pa.array(part.texts, pa.string()),
            pa.array(about, pa.string()),
            pa.array(part.numbers, schema[2].type),
            pa.array(free, pa.string()),
        ]
        yield pa.RecordBatch.from_arrays(columns, schema=schema)


def _write_known(known: Known) -> str:
    return json.dumps(asdict(known), ensure_ascii=False)


def _read_known(value: str) -> Known:
    fields = json.loads(value)
    contacts = tuple((name, mobile) for name, mobile in fields.pop("contacts"))
    return Known(**{name: tuple(values) for name, values in fields.items()}, contacts=contacts)


def _read_accepted(value: str) -> tuple[Accepted, ...]:
    return tuple(Accepted(*pair) for pair in json.loads(value))


def _out_schema() -> pa.Schema:
    import pyarrow as pa

    spans = pa.struct([field for field in span_schema() if field.name != "row"])
    return pa.schema([pa.field("text", pa.string()), pa.field("spans", pa.list_(spans))])


def _nested(texts: Sequence[str], spans: pa.Table) -> pa.RecordBatch:
    """Texts, each with its rows of the span table, which are in the order of the texts."""
    import numpy as np
    import pyarrow as pa

    schema = _out_schema()
    rows = spans["row"].to_numpy()
    offsets = np.searchsorted(rows, np.arange(len(texts) + 1)).astype(np.int32)
    structs = pa.StructArray.from_arrays(
        [spans[field.name].combine_chunks() for field in schema.field("spans").type.value_type],
        fields=list(schema.field("spans").type.value_type),
    )
    lists = pa.ListArray.from_arrays(pa.array(offsets), structs, type=schema.field("spans").type)
    return pa.RecordBatch.from_arrays([pa.array(texts, pa.string()), lists], schema=schema)


def _flat(made: pa.RecordBatch, first: int) -> pa.Table:
    """The span table of a batch whose texts count from ``first``."""
    import pyarrow as pa
    import pyarrow.compute as pc

    lists = made["spans"]
    rows = pc.add(pc.cast(pc.list_parent_indices(lists), pa.int64()), pa.scalar(first, pa.int64()))
    return pa.Table.from_arrays([rows, *pc.list_flatten(lists).flatten()], schema=span_schema())

"""From records to the deid layer: ids become pseudonyms, names go, texts get placeholders, dates stay true.

What belongs here: what happens to each column of one records table. What does not: opt-outs and excluded groups
(ingest), writing to the lake, anything about a product.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from meddata_pipeline.core.balance import Balance
from meddata_pipeline.core.tables import arrow_type, kinds
from meddata_pipeline.privacy.cells import mask_cells
from meddata_pipeline.privacy.columns import ColumnScreen
from meddata_pipeline.privacy.detect import Known
from meddata_pipeline.privacy.detect.fold import compact_value
from meddata_pipeline.privacy.identities import Identities
from meddata_pipeline.privacy.masker import Batch, Masker
from meddata_pipeline.privacy.pseudonym import pseudonyms
from meddata_pipeline.privacy.review import Item, Reviewer
from meddata_pipeline.privacy.second_pass import Accepted
from meddata_pipeline.privacy.text import span_schema

if TYPE_CHECKING:
    import pyarrow as pa

#: Longer texts are somebody's own.
_SHORT = 60
_NUMBER = re.compile(r"[A-Za-z0-9]{4}|\d\D?\d\D?\d\D?\d")
#: Rows of one slice: bounds the memory that texts and spans take.
SLICE_ROWS = 20_000


@dataclass(frozen=True)
class DeidResult:
    """One deid table with what stands beside it.

    Attributes:
        table: the de-identified rows, in the order of the records.
        spans: the span table: ``row`` is the row's place in ``table`` (its column ``row``), ``column`` the column.
        balance: rows in and out.
        withheld: by column, how many values were withheld because they held an identifier.
        found: by entity, how many spans were replaced.
        sources: by recognizer, how many spans were replaced.
        review: what people must look at, or have looked at; holds text, so restricted.
    """

    table: pa.Table
    spans: pa.Table
    balance: Balance
    withheld: Mapping[str, int] = field(default_factory=dict)
    found: Mapping[str, int] = field(default_factory=dict)
    sources: Mapping[str, int] = field(default_factory=dict)
    review: Sequence[Item] = ()

    def facts(self) -> dict[str, Any]:
        """Counts for manifests and reports; no value of a patient."""
        return {
            "balance": self.balance.as_dict(),
            "withheld": dict(self.withheld),
            "spans": dict(self.found),
            "sources": dict(self.sources),
        }


def deid_schema(kind: str) -> pa.Schema:
    """Columns of a deid table: person_id, what is kept of the kind, and the reduced provenance.

    ``row`` is the row's place in its partition; it orders rows of one delivery and joins the span table.
    """
    import pyarrow as pa

    kept = [c for c in kinds()[kind].columns if c.sensitivity not in {"direct", "staff"}]
    fields = [pa.field("person_id", pa.string())]
    fields += [pa.field(c.name, arrow_type(c.type)) for c in kept]
    fields += [
        pa.field("hospital", pa.string()),
        pa.field("day", pa.string()),
        pa.field("record_key", pa.string()),
        pa.field("deleted", pa.bool_()),
        pa.field("row", pa.int64()),
    ]
    return pa.schema(fields)


def deid_span_schema() -> pa.Schema:
    """Columns of the span table of a deid table."""
    import pyarrow as pa

    return pa.schema([pa.field("column", pa.string()), pa.field("person_id", pa.string()), *span_schema()])


class Deidentifier:
    """De-identifies the records tables of a hospital; a context manager, because its masker may own processes.

    Args:
        identities: of the tables' hospitals.
        key: the lake's key for pseudonyms.
        masker: for texts, with the hospital's roster and number shapes.
        reviewer: what people have decided on the tables' texts; nothing by default.
    """

    def __init__(self, identities: Identities, key: bytes, masker: Masker, reviewer: Reviewer | None = None) -> None:
        self.masker = masker
        self._reviewer = reviewer or Reviewer(key)
        self._identities = identities
        self._key = key
        self._screen = ColumnScreen(identities.all_names(), identities.staff())

    def slices(
        self,
        kind: str,
        table: pa.Table,
        *,
        progress: Callable[[int, int], None] | None = None,
        slice_rows: int = SLICE_ROWS,
    ) -> Iterator[DeidResult]:
        """De-identify a records table slice by slice, in bounded memory.

        Args:
            kind: the table's kind.
            table: records (``core.tables.arrow_schema``).
            progress: called before the first and after each slice with rows done and rows in all.
            slice_rows: rows of one slice.

        Yields:
            Results whose ``row`` counts on through the slices.
        """
        total = table.num_rows
        if progress is not None and total:
            progress(0, total)
        for start in range(0, total, slice_rows):
            part = table.slice(start, slice_rows)
            yield _one(kind, part, start, self._identities, self._key, self.masker, self._screen, self._reviewer)
            if progress is not None:
                progress(start + part.num_rows, total)

    def table(self, kind: str, table: pa.Table, *, progress: Callable[[int, int], None] | None = None) -> DeidResult:
        """De-identify a whole records table; see ``slices``."""
        import pyarrow as pa

        parts = list(self.slices(kind, table, progress=progress))
        tables = [part.table for part in parts] or [deid_schema(kind).empty_table()]
        spans = [part.spans for part in parts] or [deid_span_schema().empty_table()]
        out = pa.concat_tables(tables)
        return DeidResult(
            table=out,
            spans=pa.concat_tables(spans),
            balance=Balance(f"deid/{kind}", table.num_rows, out.num_rows).check(),
            withheld=_sum(part.withheld for part in parts),
            found=_sum(part.found for part in parts),
            sources=_sum(part.sources for part in parts),
            review=[item for part in parts for item in part.review],
        )


def _sum(counts: Iterator[Mapping[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for count in counts:
        for name, number in count.items():
            total[name] = total.get(name, 0) + number
    return dict(sorted(total.items()))


def _one(
    kind: str,
    part: pa.Table,
    first_row: int,
    identities: Identities,
    key: bytes,
    masker: Masker,
    screen: ColumnScreen,
    reviewer: Reviewer,
) -> DeidResult:
    import pyarrow as pa

    schema = deid_schema(kind)
    spec = kinds()[kind]
    hospitals = part["hospital"].to_pylist()
    numbers = part["patient_no"].to_pylist() if "patient_no" in part.column_names else [None] * part.num_rows
    person_ids = identities.person_ids(part["hospital"], pa.array(numbers, pa.string()))

    def known(row: int) -> Known | None:
        return identities.known(hospitals[row], numbers[row])

    record_keys = _link(key, part["hospital"], part["record_key"].combine_chunks(), "record_key")
    columns: dict[str, Any] = {"person_id": person_ids}
    review: list[Item] = []
    spans: list[pa.Table] = []
    withheld: dict[str, int] = {}
    found: dict[str, int] = {}
    sources: dict[str, int] = {}
    for column in spec.columns:
        if column.name not in schema.names:
            continue
        if column.name not in part.column_names:
            columns[column.name] = pa.nulls(part.num_rows, schema.field(column.name).type)
            continue
        values = part[column.name].combine_chunks()
        if column.sensitivity == "link":
            columns[column.name] = _link(key, part["hospital"], values, column.name)
        elif column.sensitivity == "text":
            about = _Texts(kind, column.name, record_keys.to_pylist(), hospitals, part["day"].to_pylist(), reviewer)
            texts, table, items = _texts(values, known, masker, _own_numbers(part, spec.names("link")), screen, about)
            review += items
            columns[column.name] = texts
            spans.append(_locate(table, column.name, first_row, person_ids))
            for name, counts in (("entity", found), ("source", sources)):
                for entry in table[name].value_counts().to_pylist():
                    counts[entry["values"]] = counts.get(entry["values"], 0) + entry["counts"]
        elif column.type == "text":
            columns[column.name], count = screen.withhold(values, known)
            if count:
                withheld[column.name] = count
        else:
            columns[column.name] = values
    columns["hospital"] = part["hospital"]
    columns["day"] = part["day"]
    columns["record_key"] = record_keys
    columns["deleted"] = part["deleted"]
    columns["row"] = pa.array(range(first_row, first_row + part.num_rows), pa.int64())
    return DeidResult(
        table=pa.table({name: columns[name] for name in schema.names}, schema=schema),
        spans=pa.concat_tables(spans) if spans else deid_span_schema().empty_table(),
        balance=Balance(f"deid/{kind}", part.num_rows, part.num_rows),
        withheld=withheld,
        found=found,
        sources=sources,
        review=review,
    )


def _link(key: bytes, hospitals: pa.ChunkedArray, values: pa.Array, label: str) -> pa.Array:
    """Pseudonyms of link ids; two hospitals may use the same numbers, so the hospital is a part of the value."""
    import pyarrow.compute as pc

    return pseudonyms(key, pc.binary_join_element_wise(hospitals.combine_chunks(), values, "|"), label)


def _own_numbers(part: pa.Table, names: Sequence[str]) -> list[tuple[str, ...]]:
    """For each row the numbers that it carries itself (visit, specimen, note): its text may repeat them."""
    present = [part[name].to_pylist() for name in names if name in part.column_names]
    return [tuple(v for v in row if v) for row in zip(*present, strict=True)] if present else [()] * part.num_rows


class _Texts(NamedTuple):
    """Of which column and records some texts are, and what people have decided on them."""

    kind: str
    column: str
    rows: Sequence[str]
    hospitals: Sequence[str]
    days: Sequence[str]
    reviewer: Reviewer

    def accepted(self, present: Sequence[int], texts: Sequence[str]) -> list[tuple[Accepted, ...]]:
        """What people have accepted in each text; its row is in ``present``."""
        return [
            self.reviewer.accepted(self.kind, self.column, self.rows[i], text)
            for i, text in zip(present, texts, strict=True)
        ]

    def items(self, present: Sequence[int], texts: Sequence[str], spans: pa.Table) -> list[Item]:
        """The items of these texts."""
        rows = [self.rows[i] for i in present]
        places = [(self.hospitals[i], self.days[i]) for i in present]
        return self.reviewer.items(self.kind, self.column, rows, places, texts, spans)


def _texts(
    values: pa.Array,
    known: Callable[[int], Known | None],
    masker: Masker,
    own_numbers: Sequence[tuple[str, ...]],
    screen: ColumnScreen,
    where: _Texts,
) -> tuple[pa.Array, pa.Table, list[Item]]:
    """Texts with placeholders, null stays null; their span table, and what people must look at."""
    import pyarrow as pa
    import pyarrow.compute as pc

    places = range(len(values))
    given = pc.fill_null(values, "").to_pylist()
    accepted = where.accepted(places, given)
    encoded = values.dictionary_encode()
    # What is known of a row's patient need not be looked for in these one row after the other; what people have
    # accepted holds for one row alone.
    shared = _impersonal(encoded, screen).take(encoded.indices)
    shared = pc.and_(shared, pa.array([not free for free in accepted], pa.bool_()))
    cells, cell_spans = mask_cells(pc.if_else(shared, values, pa.scalar(None, pa.string())), masker)
    own = [i for i, personal in enumerate(pc.and_(pc.invert(shared), pc.not_equal(values, "")).to_pylist()) if personal]
    batch = Batch(
        [given[i] for i in own], [known(i) for i in own], [own_numbers[i] for i in own], [accepted[i] for i in own]
    )
    replaced, spans = masker.mask(batch)
    rows = pa.array(own, pa.int64()).take(spans["row"].combine_chunks())
    found = pa.concat_tables([cell_spans, spans.set_column(0, "row", rows)])
    its_own = pc.is_in(pa.array(places, pa.int64()), pa.array(own, pa.int64()))
    notes = pc.replace_with_mask(values, its_own, pa.array(replaced, pa.string()))
    # A stable order: the spans of a row stand in the order of its text.
    found = found.sort_by([("row", "ascending"), ("start", "ascending")])
    return pc.coalesce(cells, notes), found, where.items(places, given, found)


def _impersonal(encoded: pa.DictionaryArray, screen: ColumnScreen) -> pa.Array:
    """For each value whether several rows share it and it holds neither a number nor anybody's name: 慢性牙周炎."""
    import numpy as np
    import pyarrow as pa

    values = encoded.dictionary.to_pylist()
    counts = np.bincount(encoded.indices.drop_null().to_numpy(), minlength=len(values))
    return pa.array(
        [
            count > 1 and len(text) <= _SHORT and not _NUMBER.search(compact_value(text)) and not screen.names_in(text)
            for text, count in zip(values, counts.tolist(), strict=True)
        ],
        pa.bool_(),
    )


def _locate(table: pa.Table, column: str, first_row: int, person_ids: pa.Array) -> pa.Table:
    import pyarrow as pa
    import pyarrow.compute as pc

    rows = table["row"].combine_chunks()
    located = table.set_column(0, "row", pc.add(rows, first_row))
    located = located.add_column(0, "column", pa.array([column] * table.num_rows, pa.string()))
    located = located.add_column(1, "person_id", person_ids.take(rows))
    return located.select(deid_span_schema().names).cast(deid_span_schema())

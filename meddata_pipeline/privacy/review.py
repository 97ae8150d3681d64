"""The review list: one item per span that is withheld, what people have decided on it, and what that changes.

What belongs here: items and decisions as data. What does not: where they are kept (app/review), deciding that a span is
withheld (privacy/second_pass).

An item shows what a person needs to decide, so it holds the surface and its surroundings: it belongs into the
restricted zone. A decision counts only for what the person saw: where the text around the span has changed since, the
item is open again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from meddata_pipeline.core.canonical import digest_of
from meddata_pipeline.privacy.detect.merge import default_rules
from meddata_pipeline.privacy.pseudonym import keyed
from meddata_pipeline.privacy.second_pass import Accepted

if TYPE_CHECKING:
    import pyarrow as pa

State = Literal["open", "accepted", "masked"]
STATES: tuple[State, ...] = ("open", "accepted", "masked")
#: Characters shown on either side of a span.
CONTEXT = 20


@dataclass(frozen=True)
class Item:
    """One span that people look at.

    Attributes:
        id: the same in every run: digest of hospital, day, kind, column, row key, offset and entity.
        hospital, day, kind, column: of the text.
        row: the record's key in the deid layer.
        start, length: of the span in the text as the hospital wrote it.
        entity, score, source: of the finding.
        reason: ``uncertain`` or ``second-pass``.
        seen: keyed digest of the surface and its surroundings.
        before, surface, after: what a person sees; restricted.
        state: open, accepted or masked.
        by: role and worker who decided, "" while it is open.
    """

    id: str
    hospital: str
    day: str
    kind: str
    column: str
    row: str
    start: int
    length: int
    entity: str
    score: float
    source: str
    reason: str
    seen: str
    before: str
    surface: str
    after: str
    state: str = "open"
    by: str = ""

    def public(self) -> dict[str, Any]:
        """What may be shown outside the restricted zone: no text."""
        names = ("id", "state", "entity", "score", "source", "reason", "hospital", "day", "kind", "column", "by")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True)
class Decision:
    """What somebody decided on an item.

    Attributes:
        item: the item as it was seen.
        decision: ``accepted`` or ``masked``.
        role, worker, reason: who decided, as what, in which words.
    """

    item: Item
    decision: str
    role: str
    worker: str
    reason: str

    @property
    def by(self) -> str:
        """Role and worker."""
        return f"{self.role}/{self.worker}" if self.worker else self.role

    def to_json(self) -> dict[str, Any]:
        """The decision as plain JSON; restricted."""
        return asdict(self)

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Decision:
        """Read what :meth:`to_json` gave."""
        return cls(**{**raw, "item": Item(**raw["item"])})


def item_schema() -> pa.Schema:
    """Columns of the table of items: the attributes of :class:`Item`."""
    import pyarrow as pa

    types = {"start": pa.int32(), "length": pa.int32(), "score": pa.float32()}
    return pa.schema([pa.field(name, types.get(name, pa.string())) for name in Item.__dataclass_fields__])


def table_of(items: Iterable[Item]) -> pa.Table:
    """Items as a table, in the order of their ids."""
    import pyarrow as pa

    return pa.Table.from_pylist([asdict(i) for i in sorted(items, key=lambda i: i.id)], schema=item_schema())


def items_of(table: pa.Table) -> list[Item]:
    """The items of a table."""
    return [Item(**{**row, "score": round(row["score"], 3)}) for row in table.to_pylist()]


def facts(items: Sequence[Item]) -> dict[str, Any]:
    """How many items are open, and of which entities; no value of a patient."""
    waiting = Counter(item.entity for item in items if item.state == "open")
    return {"open": sum(waiting.values()), "by_entity": dict(sorted(waiting.items()))}


def by_importance(items: Iterable[Item]) -> list[Item]:
    """Items in the order in which they matter: what identifies most directly first, then what is most likely."""
    priority = default_rules().priority
    return sorted(items, key=lambda i: (-priority[i.entity], -i.score, i.id))


class Reviewer:
    """What has been decided on the texts of one hospital and day.

    Args:
        key: the lake's key for digests.
        decisions: those of the hospital and day.
    """

    def __init__(self, key: bytes, decisions: Iterable[Decision] = ()) -> None:
        self._key = key
        self._by_text: dict[tuple[str, str, str], list[Decision]] = {}
        for decision in decisions:
            item = decision.item
            self._by_text.setdefault((item.kind, item.column, item.row), []).append(decision)

    def valid(self, kind: str, column: str, row: str, text: str) -> list[Decision]:
        """The decisions on a text that were taken on what it still says."""
        found = self._by_text.get((kind, column, row), ()) if self._by_text else ()
        return [d for d in found if self._seen(text, d.item.start, d.item.length)[0] == d.item.seen]

    def accepted(self, kind: str, column: str, row: str, text: str) -> tuple[Accepted, ...]:
        """What people have accepted in a text."""
        found: dict[str, set[Accepted]] = {"accepted": set(), "masked": set()}
        for d in self.valid(kind, column, row, text):
            found[d.decision].add(Accepted(d.item.surface, d.item.entity))
        # Where people disagree about one surface of a text, it stays masked.
        return tuple(sorted(found["accepted"] - found["masked"]))

    def items(
        self,
        kind: str,
        column: str,
        rows: Sequence[str],
        places: Sequence[tuple[str, str]],
        texts: Sequence[str],
        spans: pa.Table,
    ) -> list[Item]:
        """The items of some texts.

        Args:
            kind: of the records.
            column: of the texts.
            rows: for each text its record's key in the deid layer.
            places: for each text hospital and day.
            texts: as the hospital wrote them.
            spans: their span table; ``row`` counts from 0 in ``texts``.

        Returns:
            One item per withheld span, and one per accepted span, which is withheld no longer.
        """
        import pyarrow.compute as pc

        found: dict[str, Item] = {}
        concerned = pc.unique(spans.filter(pc.is_valid(spans["review"]))["row"])
        columns = ["row", "start", "end", "length", "entity", "source", "score", "review"]
        part = spans.select(columns).filter(pc.is_in(spans["row"], value_set=concerned))
        moved: Counter[int] = Counter()
        for span in part.to_pylist():
            i = span["row"]
            start = span["start"] + moved[i]
            moved[i] += span["length"] - (span["end"] - span["start"])
            if span["review"] is not None:
                item = self._item(kind, column, rows[i], places[i], texts[i], start, span)
                found[item.id] = item
        if self._by_text:
            self._decided(kind, column, rows, texts, found)
        return list(found.values())

    def _decided(
        self, kind: str, column: str, rows: Sequence[str], texts: Sequence[str], found: dict[str, Item]
    ) -> None:
        for row, text in zip(rows, texts, strict=True):
            for decision in self.valid(kind, column, row, text):
                item = found.get(decision.item.id)
                # A masked span that nothing finds any more needs no item; an accepted one stands in the text.
                if item is not None or decision.decision == "accepted":
                    found[decision.item.id] = decided(item or decision.item, decision)

    def _seen(self, text: str, start: int, length: int) -> tuple[str, str, str, str]:
        """Digest of what a person sees of a span, and that."""
        end = start + length
        before, surface, after = text[max(0, start - CONTEXT) : start], text[start:end], text[end : end + CONTEXT]
        digest = keyed(self._key, "review", "\x1f".join((before, surface, after))).hex()[:16]
        return digest, before, surface, after

    def _item(
        self, kind: str, column: str, row: str, place: tuple[str, str], text: str, start: int, span: Mapping[str, Any]
    ) -> Item:
        hospital, day = place
        seen, before, surface, after = self._seen(text, start, span["length"])
        address = [hospital, day, kind, column, row, start, span["entity"]]
        return Item(
            digest_of({"review": address})[:16],
            *(hospital, day, kind, column, row, start, span["length"]),
            *(span["entity"], round(span["score"], 3), span["source"], span["review"]),
            *(seen, before, surface, after),
        )


def decided(item: Item, decision: Decision) -> Item:
    """An item with what was decided on it."""
    return Item(**{**asdict(item), "state": decision.decision, "by": decision.by})

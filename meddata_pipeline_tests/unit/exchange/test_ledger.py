"""The ledger: once under its key, balanced, append-only, safe for several processes."""

from __future__ import annotations

import multiprocessing
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from meddata_pipeline.core.errors import BadInput, Refused
from meddata_pipeline.storage.ledger import Ledger, _write_ahead, open_ledger
from meddata_pipeline_tests.unit.exchange.ledgers import KINDS, fresh_ledger


@pytest.fixture(params=KINDS)
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    with fresh_ledger(request.param, tmp_path) as opened:
        yield opened


def test_an_event_is_recorded_once(ledger: Ledger) -> None:
    first = ledger.record_event("publication", "demo/1.1", {"digest": "x", "名": 1}, "publication:x")
    assert ledger.record_event("publication", "demo/1.1", {"名": 1, "digest": "x"}, "publication:x") == first
    assert ledger.events() == [first]
    assert ledger.event("publication:x") == first
    assert ledger.event("other") is None
    for kind, subject, payload in (("other", "demo/1.1", first.payload), ("publication", "demo/1.1", {"digest": "y"})):
        with pytest.raises(Refused) as refusal:
            ledger.record_event(kind, subject, payload, "publication:x")
        assert refusal.value.reasons[0].code == "key-reused"


def test_events_come_back_in_order_and_by_kind_and_subject(ledger: Ledger) -> None:
    for number in range(12):
        ledger.record_event(("order", "delivery")[number % 2], f"demo/{number % 3}", {"n": number}, f"key:{number}")
    assert [event.payload["n"] for event in ledger.events()] == list(range(12))
    assert [event.payload["n"] for event in ledger.events("order", "demo/0")] == [0, 6]


def test_an_order_is_placed_once_at_one_price(ledger: Ledger) -> None:
    order = ledger.place_order("order-1", "demo", "1.1", "age1x", 10**14)
    assert ledger.place_order("order-1", "demo", "1.1", "age1x", 10**14) == order
    assert ledger.orders("demo") == [order]
    assert ledger.order("order-2") is None
    with pytest.raises(Refused):
        ledger.place_order("order-1", "demo", "1.1", "age1x", 10**14 + 1)
    for price in (0, -1, 1.5, True):
        with pytest.raises(BadInput):
            ledger.place_order("order-2", "demo", "1.1", "age1x", price)  # type: ignore[arg-type]


def test_a_posting_balances_and_is_written_whole_or_not(ledger: Ledger) -> None:
    ledger.place_order("order-1", "demo", "1.1", "age1x", 100)
    with pytest.raises(BadInput, match="zero"):
        ledger.post("k", "settlement", "order-1", [("a", 100), ("b", -99)], {})
    with pytest.raises(BadInput, match="zero"):
        ledger.post("k", "settlement", "order-1", [], {})
    assert ledger.posting("k") is None
    made = ledger.post("k", "settlement", "order-1", [("a", 100), ("b", -60), ("b", -40)], {"x": 1})
    assert ledger.post("k", "settlement", "order-1", [("a", 100), ("b", -60), ("b", -40)], {"x": 1}) == made
    assert ledger.balances() == {"a": 100, "b": -100}
    with pytest.raises(Refused):
        ledger.post("k", "settlement", "order-1", [("a", 100), ("b", -100)], {"x": 1})
    assert ledger.balances() == {"a": 100, "b": -100}


def test_nothing_in_the_ledger_can_be_changed_or_deleted(ledger: Ledger) -> None:
    ledger.place_order("order-1", "demo", "1.1", "age1x", 100)
    ledger.post("k", "settlement", "order-1", [("a", 100), ("b", -100)], {})
    ledger.record_event("order", "demo/1.1", {}, "order:1")
    engine = ledger._engine
    for statement in (
        "UPDATE orders SET price_fen = 1",
        "UPDATE entries SET amount_fen = 0",
        "DELETE FROM entries",
        "DELETE FROM postings",
        "UPDATE events SET kind = 'x'",
        "DELETE FROM events",
    ):
        with pytest.raises(sa.exc.DBAPIError, match="append-only"), engine.begin() as connection:
            connection.execute(sa.text(statement))
    assert ledger.balances() == {"a": 100, "b": -100}


def test_times_are_the_injected_clocks_in_utc(tmp_path: Path) -> None:
    shanghai = timezone(timedelta(hours=8))
    with Ledger(f"sqlite:///{tmp_path / 'l.db'}", clock=lambda: datetime(2024, 1, 2, 2, 0, tzinfo=shanghai)) as ledger:
        at = ledger.record_event("x", "y", {}, "k").at
    assert datetime.fromisoformat(at) == datetime(2024, 1, 1, 18, 0, tzinfo=UTC)


def test_the_homes_ledger_is_closed_to_others_and_opens_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MEDDATA_LEDGER_URL", raising=False)
    with open_ledger(tmp_path) as ledger:
        ledger.record_event("x", "y", {}, "k")
        assert {p.stat().st_mode & 0o077 for p in tmp_path.glob("ledger.db*")} == {0}
    with open_ledger(tmp_path) as ledger:
        assert len(ledger.events()) == 1


def _writer(path: Path, number: int, barrier: Any) -> None:
    barrier.wait()
    with Ledger(f"sqlite:///{path}") as ledger:
        for index in range(20):
            ledger.record_event("x", f"writer-{number}", {"n": index}, f"{number}:{index}")
            ledger.record_event("shared", "all", {"n": index}, f"shared:{index}")


def _refusal(code: int) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("refused")
    error.sqlite_errorcode = code
    return error


class _Cursor:
    """A cursor of a file whose journal another process is changing."""

    def __init__(self, refusals: list[sqlite3.OperationalError]) -> None:
        self.refusals = refusals

    def execute(self, _: str) -> None:
        if self.refusals:
            raise self.refusals.pop()


def test_the_journal_is_changed_once_others_are_done() -> None:
    cursor = _Cursor([_refusal(sqlite3.SQLITE_BUSY), _refusal(sqlite3.SQLITE_BUSY_RECOVERY)])
    _write_ahead(cursor)  # type: ignore[arg-type]
    assert cursor.refusals == []
    with pytest.raises(sqlite3.OperationalError):
        _write_ahead(_Cursor([_refusal(sqlite3.SQLITE_READONLY)]))  # type: ignore[arg-type]


def test_processes_that_open_a_fresh_ledger_at_once_lose_nothing(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(3)
    path = tmp_path / "ledger.db"
    writers = [context.Process(target=_writer, args=(path, number, barrier)) for number in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(120)
    assert [writer.exitcode for writer in writers] == [0, 0, 0]
    with Ledger(f"sqlite:///{path}") as ledger:
        assert len(ledger.events("x")) == 60
        assert len(ledger.events("shared")) == 20

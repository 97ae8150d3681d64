"""The ledger: orders, double-entry postings and events, append-only, in SQLite (WAL) or PostgreSQL by URL.

What belongs here: writing facts of the trade once, under an idempotency key, and reading them. What does not: what is
owed to whom (exchange/settlement). Only here and in the log does the wall clock count.

Amounts are integer fen: positive = debit, negative = credit; each posting sums to zero. A key that comes again with the
same content changes nothing; with other content it is refused. Database triggers refuse UPDATE and DELETE, so that
corrections are further entries.
"""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from meddata_pipeline.core.canonical import canonical_json
from meddata_pipeline.core.errors import BadInput, Reason, Refused
from meddata_pipeline.storage.files import create_if_absent

_BUSY_SECONDS = 30

_metadata = sa.MetaData()
_AUTO = sa.BigInteger().with_variant(sa.Integer(), "sqlite")  # SQLite counts up INTEGER PRIMARY KEY only

_orders = sa.Table(
    "orders",
    _metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("product", sa.Text, nullable=False),
    sa.Column("version", sa.Text, nullable=False),
    sa.Column("buyer", sa.Text, nullable=False),
    sa.Column("price_fen", sa.BigInteger, nullable=False),
    sa.Column("at", sa.Text, nullable=False),
)
_postings = sa.Table(
    "postings",
    _metadata,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("order_id", sa.Text, sa.ForeignKey("orders.id"), nullable=False),
    sa.Column("payload", sa.Text, nullable=False),
    sa.Column("at", sa.Text, nullable=False),
)
_entries = sa.Table(
    "entries",
    _metadata,
    sa.Column("id", _AUTO, primary_key=True, autoincrement=True),
    sa.Column("posting_key", sa.Text, sa.ForeignKey("postings.key"), nullable=False),
    sa.Column("line", sa.Integer, nullable=False),
    sa.Column("account", sa.Text, nullable=False, index=True),
    sa.Column("amount_fen", sa.BigInteger, nullable=False),
    sa.UniqueConstraint("posting_key", "line"),
)
_events = sa.Table(
    "events",
    _metadata,
    sa.Column("id", _AUTO, primary_key=True, autoincrement=True),
    sa.Column("key", sa.Text, nullable=False, unique=True),
    sa.Column("kind", sa.Text, nullable=False, index=True),
    sa.Column("subject", sa.Text, nullable=False, index=True),
    sa.Column("payload", sa.Text, nullable=False),
    sa.Column("at", sa.Text, nullable=False),
)


def _on(dialect: str, target: sa.Table | sa.MetaData, moment: str, statement: str) -> None:
    ddl = sa.DDL(statement).execute_if(dialect=dialect)  # type: ignore[no-untyped-call]
    sa.event.listen(target, moment, ddl)


def _append_only() -> None:
    _on(
        "postgresql",
        _metadata,
        "before_create",
        "CREATE OR REPLACE FUNCTION meddata_append_only() RETURNS trigger AS $$ "
        "BEGIN RAISE EXCEPTION 'the ledger is append-only'; END $$ LANGUAGE plpgsql",
    )
    for table in (_orders, _postings, _entries, _events):
        _on(
            "postgresql",
            table,
            "after_create",
            f"CREATE TRIGGER {table.name}_append_only BEFORE UPDATE OR DELETE ON {table.name} "
            "FOR EACH ROW EXECUTE FUNCTION meddata_append_only()",
        )
        for action in ("UPDATE", "DELETE"):
            _on(
                "sqlite",
                table,
                "after_create",
                f"CREATE TRIGGER {table.name}_no_{action.lower()} BEFORE {action} ON {table.name} "
                "BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END",
            )


_append_only()


@dataclass(frozen=True)
class Order:
    """One order; ``price_fen`` includes taxes."""

    id: str
    product: str
    version: str
    buyer: str
    price_fen: int
    at: str


@dataclass(frozen=True)
class Event:
    """One fact of the trade, e.g. a publication, a delivery, the destruction of a key."""

    id: int
    key: str
    kind: str
    subject: str
    payload: dict[str, Any]
    at: str


@dataclass(frozen=True)
class Posting:
    """One balanced set of entries: ``(account, fen)``, debit positive."""

    key: str
    kind: str
    order_id: str
    payload: dict[str, Any]
    entries: tuple[tuple[str, int], ...]
    at: str


def _now() -> datetime:
    return datetime.now(UTC)


def _differs(key: str) -> Refused:
    reason = Reason("key-reused", "The key is in the ledger with other content", key)
    return Refused("The ledger holds something else under this key", reasons=[reason], where=key)


class Ledger:
    """The ledger of one installation.

    Args:
        url: SQLAlchemy URL, ``sqlite:///…`` or ``postgresql+psycopg://…``; tables are created where they are absent.
        clock: the present time, with time zone.
    """

    def __init__(self, url: str, *, clock: Callable[[], datetime] = _now) -> None:
        self._clock = clock
        options: dict[str, Any] = {}
        if url.startswith("sqlite"):
            options["connect_args"] = {"timeout": _BUSY_SECONDS}
        self._engine = sa.create_engine(url, **options)
        if self._engine.dialect.name not in ("sqlite", "postgresql"):
            raise BadInput("The ledger's URL names neither SQLite nor PostgreSQL", where="ledger URL")
        if self._engine.dialect.name == "sqlite":
            sa.event.listen(self._engine, "connect", _sqlite_pragmas)
        self._create()

    def _create(self) -> None:
        with self._engine.begin() as connection:
            # Two processes that open a fresh ledger at once must not both create its tables.
            if self._engine.dialect.name == "postgresql":
                connection.execute(sa.text("SELECT pg_advisory_xact_lock(7234001)"))
            else:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            _metadata.create_all(connection)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Give the connections back."""
        self._engine.dispose()

    def place_order(self, order_id: str, product: str, version: str, buyer: str, price_fen: int) -> Order:
        """Record an order once.

        Returns:
            The order as the ledger has it.

        Raises:
            BadInput: the price is not a positive whole number of fen.
            Refused: the id is there with other content.
        """
        if isinstance(price_fen, bool) or not isinstance(price_fen, int) or price_fen <= 0:
            raise BadInput("The price must be a positive whole number of fen", where="price")
        row = {"product": product, "version": version, "buyer": buyer, "price_fen": price_fen}
        with self._engine.begin() as connection:
            self._insert(connection, _orders, {"id": order_id, **row, "at": self._stamp()}, "id")
            found = connection.execute(sa.select(_orders).where(_orders.c.id == order_id)).mappings().one()
        if any(found[name] != value for name, value in row.items()):
            raise _differs(order_id)
        return Order(**found)

    def order(self, order_id: str) -> Order | None:
        """One order, or None."""
        with self._engine.connect() as connection:
            found = connection.execute(sa.select(_orders).where(_orders.c.id == order_id)).mappings().one_or_none()
        return Order(**found) if found else None

    def orders(self, product: str | None = None) -> list[Order]:
        """All orders, or those of a product, by time and id."""
        query = sa.select(_orders).order_by(_orders.c.at, _orders.c.id)
        if product is not None:
            query = query.where(_orders.c.product == product)
        with self._engine.connect() as connection:
            return [Order(**row) for row in connection.execute(query).mappings()]

    def post(
        self, key: str, kind: str, order_id: str, entries: Sequence[tuple[str, int]], payload: Mapping[str, Any]
    ) -> Posting:
        """Write a balanced posting once, all of it or nothing.

        Args:
            key: idempotency key.
            kind: e.g. ``settlement``.
            order_id: the order it belongs to.
            entries: (account, fen), debit positive, credit negative.
            payload: JSON-like, what the posting was computed from.

        Raises:
            BadInput: the entries do not sum to zero, or there are none.
            Refused: the key is there with other content.
        """
        if not entries or sum(amount for _, amount in entries) != 0:
            raise BadInput("The entries of a posting must sum to zero", where=key)
        text = canonical_json(dict(payload)).decode()
        with self._engine.begin() as connection:
            row = {"key": key, "kind": kind, "order_id": order_id, "payload": text, "at": self._stamp()}
            if self._insert(connection, _postings, row, "key"):
                lines = [
                    {"posting_key": key, "line": line, "account": account, "amount_fen": amount}
                    for line, (account, amount) in enumerate(entries)
                ]
                connection.execute(sa.insert(_entries), lines)
            found = self._posting(connection, key)
        same = (kind, order_id, tuple(entries), json.loads(text))
        if found is None or (found.kind, found.order_id, found.entries, found.payload) != same:
            raise _differs(key)
        return found

    def posting(self, key: str) -> Posting | None:
        """One posting by its key, or None."""
        with self._engine.connect() as connection:
            return self._posting(connection, key)

    def _posting(self, connection: sa.Connection, key: str) -> Posting | None:
        head = connection.execute(sa.select(_postings).where(_postings.c.key == key)).mappings().one_or_none()
        if head is None:
            return None
        query = sa.select(_entries.c.account, _entries.c.amount_fen).where(_entries.c.posting_key == key)
        lines = connection.execute(query.order_by(_entries.c.line)).all()
        entries = tuple((str(account), int(amount)) for account, amount in lines)
        return Posting(key, head["kind"], head["order_id"], json.loads(head["payload"]), entries, head["at"])

    def balances(self) -> dict[str, int]:
        """Account → balance in fen (debit positive), sorted by account."""
        query = sa.select(_entries.c.account, sa.func.sum(_entries.c.amount_fen)).group_by(_entries.c.account)
        with self._engine.connect() as connection:
            return {str(account): int(total) for account, total in sorted(connection.execute(query).all())}

    def record_event(self, kind: str, subject: str, payload: Mapping[str, Any], key: str) -> Event:
        """Record a fact once.

        Args:
            kind: kebab-case word, e.g. ``publication``, ``key-destroyed``.
            subject: what it is about, e.g. ``inflammation-pulpitis/1.1``.
            payload: JSON-like, nothing personal.
            key: idempotency key.

        Returns:
            The event as the ledger has it.

        Raises:
            Refused: the key is there with other content.
        """
        row = {"kind": kind, "subject": subject, "payload": canonical_json(dict(payload)).decode()}
        with self._engine.begin() as connection:
            self._insert(connection, _events, {"key": key, **row, "at": self._stamp()}, "key")
            found = connection.execute(sa.select(_events).where(_events.c.key == key)).mappings().one()
        if any(found[name] != value for name, value in row.items()):
            raise _differs(key)
        return _event(found)

    def event(self, key: str) -> Event | None:
        """One event by its key, or None."""
        with self._engine.connect() as connection:
            found = connection.execute(sa.select(_events).where(_events.c.key == key)).mappings().one_or_none()
        return _event(found) if found else None

    def events(self, kind: str | None = None, subject: str | None = None) -> list[Event]:
        """Events in the order in which they were recorded."""
        query = sa.select(_events).order_by(_events.c.id)
        if kind is not None:
            query = query.where(_events.c.kind == kind)
        if subject is not None:
            query = query.where(_events.c.subject == subject)
        with self._engine.connect() as connection:
            return [_event(row) for row in connection.execute(query).mappings()]

    def _stamp(self) -> str:
        return self._clock().astimezone(UTC).isoformat(timespec="seconds")

    def _insert(self, connection: sa.Connection, table: sa.Table, row: Mapping[str, Any], key: str) -> bool:
        # A write comes first in each transaction: SQLite then waits for the lock instead of failing on an upgrade.
        insert = postgresql.insert if self._engine.dialect.name == "postgresql" else sqlite.insert
        statement = insert(table).values(**row).on_conflict_do_nothing(index_elements=[key])
        # RETURNING says whether a row was written; psycopg's rowcount does not.
        return connection.execute(statement.returning(table.c[key])).first() is not None


def _event(row: sa.RowMapping) -> Event:
    return Event(row["id"], row["key"], row["kind"], row["subject"], json.loads(row["payload"]), row["at"])


def _sqlite_pragmas(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {_BUSY_SECONDS * 1000}")
    _write_ahead(cursor)
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _write_ahead(cursor: sqlite3.Cursor) -> None:
    """Turn the write-ahead log on; of a fresh file several processes may do so at once.

    The change takes a lock that SQLite does not wait for, whatever the busy timeout is: it is tried again.
    """
    give_up = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            cursor.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > give_up:
                raise
        time.sleep(0.02)


@contextmanager
def open_ledger(home: Path, url: str | None = None) -> Iterator[Ledger]:
    """The ledger of a home: ``<home>/ledger.db`` (closed to others), or PostgreSQL by URL.

    Args:
        home: the home folder.
        url: SQLAlchemy URL; by default MEDDATA_LEDGER_URL, else the home's SQLite file.
    """
    address = url or os.environ.get("MEDDATA_LEDGER_URL")
    if not address:
        path = home.absolute() / "ledger.db"
        create_if_absent(path, b"")  # an empty file is an empty database; created here for its mode
        address = f"sqlite:///{path}"
    with Ledger(address) as ledger:
        yield ledger

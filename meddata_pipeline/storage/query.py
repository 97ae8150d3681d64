"""In-memory DuckDB over Arrow tables: the one place that opens connections, so that none spills outside the zone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from meddata_pipeline.storage.files import ensure_private_dir

if TYPE_CHECKING:
    import duckdb


def connect(tmp: Path, *, memory: str = "2GB", threads: int = 2) -> duckdb.DuckDBPyConnection:
    """Open an in-memory connection.

    Args:
        tmp: folder DuckDB may spill to; it spills in clear, so this must lie in the restricted zone.
        memory: DuckDB's memory limit.
        threads: worker threads.

    Returns:
        A connection that neither loads nor fetches extensions.
    """
    import duckdb

    config: dict[str, str | bool | int | float | list[str]] = {
        "temp_directory": str(ensure_private_dir(tmp)),
        "memory_limit": memory,
        "threads": threads,
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        "preserve_insertion_order": True,
    }
    return duckdb.connect(":memory:", config=config)

"""A workplace: one home with its keys, lake and configuration, and the two ways in which steps keep their results.

What belongs here: opening a home, writing a table or an object with its outcome, finding out that nothing has changed.
What does not: any step.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from meddata_pipeline import __version__
from meddata_pipeline.app.outcome import Outcome
from meddata_pipeline.core.canonical import canonical_json, sha256_hex
from meddata_pipeline.core.config import Config
from meddata_pipeline.core.settings import Settings
from meddata_pipeline.storage.files import clear_dir, ensure_private_dir
from meddata_pipeline.storage.keys import Keyring, load_keyring
from meddata_pipeline.storage.lake import Lake, Manifest, Partition

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

    from meddata_pipeline.storage.ledger import Ledger


@dataclass(frozen=True)
class Workplace:
    """One home, opened.

    Attributes:
        settings: where the home lies and which keys it has.
        landing: the operator's landing folder, read in place.
    """

    settings: Settings
    landing: Path

    @cached_property
    def keyring(self) -> Keyring:
        """The home's keys."""
        return load_keyring(self.settings)

    @cached_property
    def lake(self) -> Lake:
        """The restricted lake."""
        ensure_private_dir(self.settings.restricted)
        return Lake(self.settings.restricted, self.keyring)

    @cached_property
    def config(self) -> Config:
        """The configuration."""
        return self.settings.config

    @property
    def home(self) -> Path:
        """The home folder."""
        return self.settings.home

    def ledger(self) -> AbstractContextManager[Ledger]:
        """The home's ledger, to be used in a with statement."""
        from meddata_pipeline.storage.ledger import open_ledger

        return open_ledger(self.settings.home)

    def query(self) -> duckdb.DuckDBPyConnection:
        """An in-memory DuckDB connection that spills into the restricted zone."""
        from meddata_pipeline.storage.query import connect

        return connect(self.settings.zone("tmp"))

    def wipe_tmp(self) -> None:
        """Empty the restricted zone's temporary folder: DuckDB spills in clear."""
        clear_dir(self.settings.zone("tmp"))

    def config_digest(self, *relative: str) -> str:
        """Digest of configuration files; a missing one counts as absent."""
        digests = {r: sha256_hex(self.config.find(r).read_bytes()) if self.config.has(r) else "" for r in relative}
        return sha256_hex(canonical_json(digests))

    # -- results of steps ------------------------------------------------------------------------------------------

    def kept(self, partition: Partition, inputs: Mapping[str, str]) -> Outcome | None:
        """The outcome kept for these inputs, or None where the step must run."""
        manifest = self.lake.manifest(partition)
        if manifest is None or dict(manifest.inputs) != self.stamped(inputs) or "checks" not in manifest.facts:
            return None
        return Outcome.from_facts(manifest.digest, manifest.rows, manifest.facts)

    @staticmethod
    def stamped(inputs: Mapping[str, str]) -> dict[str, str]:
        """Inputs and the version of the code, which is an input too."""
        return {**inputs, "code": __version__}

    def keep(self, partition: Partition, table: pa.Table, inputs: Mapping[str, str], outcome: Outcome) -> Outcome:
        """Write a table with its outcome. The outcome's digest, rows and columns are those of the table."""
        columns = tuple((f.name, str(f.type)) for f in table.schema)
        whole = Outcome("", table.num_rows, True, outcome.facts, outcome.checks, outcome.figures, columns)
        manifest = self.lake.write(partition, table, inputs=self.stamped(inputs), facts=whole.as_facts())
        return Outcome(manifest.digest, table.num_rows, True, whole.facts, whole.checks, whole.figures, columns)

    def keep_object(
        self, partition: Partition, obj: Mapping[str, Any], inputs: Mapping[str, str], outcome: Outcome
    ) -> Outcome:
        """Write one JSON object (encrypted like a table) with its outcome."""
        import pyarrow as pa

        # Not canonical JSON: unrounded estimates hold infinities and large integers that RFC 8785 refuses.
        text = json.dumps(obj, ensure_ascii=False, sort_keys=True)
        manifest = self.lake.write(
            partition, pa.table({"json": [text]}), inputs=self.stamped(inputs), facts=outcome.as_facts()
        )
        return Outcome(manifest.digest, outcome.rows, True, outcome.facts, outcome.checks, outcome.figures)

    def load_object(self, partition: Partition) -> dict[str, Any]:
        """Read an object that :meth:`keep_object` wrote."""
        loaded: dict[str, Any] = json.loads(self.lake.read(partition)["json"][0].as_py())
        return loaded

    def manifest(self, partition: Partition) -> Manifest:
        """The manifest of a partition that an earlier step must have written.

        Raises:
            BadInput: it has not been written.
        """
        from meddata_pipeline.core.errors import BadInput

        found = self.lake.manifest(partition)
        if found is None:
            raise BadInput("An earlier step has not run yet", where=str(partition.path), next_step="Run it first")
        return found

    def read_all(self, partitions: Sequence[Partition], columns: Sequence[str] | None = None) -> pa.Table:
        """Read several partitions of one table."""
        import pyarrow as pa

        return pa.concat_tables([self.lake.read(p, columns) for p in partitions])

"""The lake: Parquet files named by their content, and one small manifest per partition that lists them.

What belongs here: writing a partition in one step, reading it back, encryption at rest. What does not: which layer
depends on which, and what a column means. A file is never overwritten; a partition changes when its manifest is
replaced, so a killed run leaves the old partition or the new one, never a mixture.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from meddata_pipeline.core.canonical import canonical_json, combined_digest, digest_of
from meddata_pipeline.core.errors import BadInput
from meddata_pipeline.storage.files import PRIVATE_FILE, ensure_private_dir, write_atomic
from meddata_pipeline.storage.keys import Keyring

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

_ROWS_PER_GROUP = 131_072
_MASTER_KEY = "zone"


@dataclass(frozen=True)
class Partition:
    """Address of a partition: a layer, a table in it, and the values it is partitioned by.

    Attributes:
        layer: records, identities, deid, cohort …
        name: table.
        keys: hospital, day or product, in the order of the folder names.
    """

    layer: str
    name: str
    keys: tuple[str, ...] = ()

    @property
    def path(self) -> Path:
        """Folder of the partition below the lake."""
        return Path(self.layer, self.name, *self.keys)


@dataclass(frozen=True)
class Manifest:
    """What a partition holds.

    Attributes:
        digest: SHA-256 of the plain content; encrypted files differ at every write, this does not.
        rows: number of rows.
        files: file names below the partition's folder.
        inputs: digests of what it was computed from, by name.
        facts: small facts about the step (balances, counts); no values.
    """

    digest: str
    rows: int
    files: tuple[str, ...]
    inputs: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def inputs_digest(self) -> str:
        """One digest of all inputs."""
        return digest_of(dict(self.inputs))


def table_digest(table: pa.Table) -> str:
    """SHA-256 of a table's schema and content, independent of chunks and compression."""
    import pyarrow as pa

    digest = hashlib.sha256()

    class _Sink:
        closed = False

        def write(self, data: Any) -> int:
            digest.update(data)
            return len(data)

        def flush(self) -> None: ...

        def close(self) -> None: ...

    with pa.ipc.new_stream(pa.PythonFile(_Sink(), mode="w"), table.schema.remove_metadata()) as writer:
        bare = table.replace_schema_metadata(None)
        for start in range(0, bare.num_rows, _ROWS_PER_GROUP):
            # A slice of combined chunks written alone: the bytes do not depend on how the table was put together.
            part = bare.slice(start, _ROWS_PER_GROUP).combine_chunks()
            writer.write_table(part)
    return digest.hexdigest()


class Lake:
    """Encrypted partitions below one restricted folder.

    Args:
        root: the restricted zone of a home.
        keyring: its keys; the zone's master key is derived from it.
    """

    def __init__(self, root: Path, keyring: Keyring) -> None:
        self.root = root
        self._master = keyring.derive("zone:restricted")

    # -- reading ---------------------------------------------------------------------------------------------------

    def manifest(self, partition: Partition) -> Manifest | None:
        """The manifest of a partition, or None where nothing was written yet."""
        path = self.root / partition.path / "_manifest.json"
        try:
            raw = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        raw["files"] = tuple(raw["files"])
        return Manifest(**raw)

    def partitions(self, layer: str, name: str) -> list[Partition]:
        """All partitions of a table, sorted."""
        base = self.root / layer / name
        found = sorted(base.glob("**/_manifest.json"))
        return [Partition(layer, name, path.parent.relative_to(base).parts) for path in found]

    def names(self, layer: str) -> list[str]:
        """All tables of a layer, sorted."""
        base = self.root / layer
        return sorted(p.name for p in base.iterdir() if p.is_dir()) if base.is_dir() else []

    def read(self, partition: Partition, columns: Sequence[str] | None = None) -> pa.Table:
        """Read one partition.

        Raises:
            BadInput: there is no such partition.
        """
        import pyarrow as pa

        manifest = self.manifest(partition)
        if manifest is None:
            raise BadInput("This partition has not been written", where=str(partition.path))
        tables = [self._read_file(self.root / partition.path / name, columns) for name in manifest.files]
        return pa.concat_tables(tables)

    def batches(self, partition: Partition, rows: int = 100_000) -> Iterator[pa.Table]:
        """Read one partition in slices of about ``rows`` rows, so that size is no matter."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        manifest = self.manifest(partition)
        for name in manifest.files if manifest else ():
            path = self.root / partition.path / name
            with pq.ParquetFile(path, decryption_properties=self._decryption()) as file:
                for batch in file.iter_batches(batch_size=rows):
                    yield pa.Table.from_batches([batch])

    def combined(self, partitions: Sequence[Partition]) -> str:
        """One digest over the content of several partitions, independent of their order."""
        manifests = [(p, self.manifest(p)) for p in partitions]
        return combined_digest(f"{p.path.as_posix()} {m.digest}" for p, m in manifests if m is not None)

    # -- writing ---------------------------------------------------------------------------------------------------

    def write(
        self,
        partition: Partition,
        table: pa.Table,
        *,
        inputs: Mapping[str, str] | None = None,
        facts: Mapping[str, Any] | None = None,
    ) -> Manifest:
        """Write a partition as a whole; readers see the old content or the new one.

        Args:
            partition: where.
            table: the content; written in the order given.
            inputs: digests of what it was computed from.
            facts: small facts kept beside; no values of patients.
        """
        digest = table_digest(table)
        folder = ensure_private_dir(self.root / partition.path)
        name = f"{digest[:32]}.parquet"
        if not (folder / name).exists():
            self._write_file(folder / name, table)
        manifest = Manifest(digest, table.num_rows, (name,), dict(inputs or {}), dict(facts or {}))
        previous = self.manifest(partition)
        write_atomic(folder / "_manifest.json", canonical_json(asdict(manifest)))
        for old in previous.files if previous else ():
            if old not in manifest.files:
                (folder / old).unlink(missing_ok=True)
        return manifest

    # -- encryption ------------------------------------------------------------------------------------------------

    @cached_property
    def _crypto(self) -> tuple[Any, Any]:
        """Pyarrow's factory and connection for modular encryption; data keys are wrapped with AES-GCM."""
        import pyarrow.parquet.encryption as pe
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        master = self._master

        class _Kms(pe.KmsClient):  # type: ignore[misc]
            def __init__(self, _config: Any) -> None:
                super().__init__()

            def wrap_key(self, key_bytes: bytes, master_key_identifier: str) -> str:
                nonce = os.urandom(12)
                sealed = AESGCM(master).encrypt(nonce, key_bytes, master_key_identifier.encode())
                return base64.b64encode(nonce + sealed).decode()

            def unwrap_key(self, wrapped_key: str, master_key_identifier: str) -> bytes:
                raw = base64.b64decode(wrapped_key)
                return AESGCM(master).decrypt(raw[:12], raw[12:], master_key_identifier.encode())

        return pe.CryptoFactory(_Kms), pe.KmsConnectionConfig()

    def _encryption(self) -> Any:
        import pyarrow.parquet.encryption as pe

        factory, connection = self._crypto
        config = pe.EncryptionConfiguration(
            footer_key=_MASTER_KEY, uniform_encryption=True, double_wrapping=True, internal_key_material=True
        )
        return factory.file_encryption_properties(connection, config)

    def _decryption(self) -> Any:
        import pyarrow.parquet.encryption as pe

        factory, connection = self._crypto
        return factory.file_decryption_properties(connection, pe.DecryptionConfiguration())

    def _write_file(self, path: Path, table: pa.Table) -> None:
        import pyarrow.parquet as pq

        temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
        writer: pq.ParquetWriter
        with pq.ParquetWriter(
            temporary, table.schema, compression="zstd", encryption_properties=self._encryption()
        ) as writer:
            writer.write_table(table, row_group_size=_ROWS_PER_GROUP)
        temporary.chmod(PRIVATE_FILE)
        temporary.replace(path)

    def _read_file(self, path: Path, columns: Sequence[str] | None) -> pa.Table:
        import pyarrow.parquet as pq

        with pq.ParquetFile(path, decryption_properties=self._decryption()) as file:
            return file.read(columns=list(columns) if columns is not None else None)

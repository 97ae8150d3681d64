"""The lake: what is written comes back, nothing lies in clear, a partition changes in one step."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow as pa
import pytest

from meddata_pipeline.core.errors import BadInput
from meddata_pipeline.core.settings import Settings
from meddata_pipeline.storage import files
from meddata_pipeline.storage.keys import demo_keyring, load_keyring
from meddata_pipeline.storage.lake import Lake, Partition, table_digest

CANARY = "CANARY-7f3a-金丝雀"
PART = Partition("records", "patient", ("hospital-a", "2024-01-01"))


def _table(n: int = 3) -> pa.Table:
    return pa.table({"name": [CANARY] * n, "n": list(range(n))})


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "restricted", demo_keyring(1))


def test_round_trip_and_no_plain_text_on_disk(lake: Lake) -> None:
    manifest = lake.write(PART, _table(), inputs={"delivery": "d"}, facts={"rows_in": 3})
    assert lake.read(PART).equals(_table())
    assert lake.manifest(PART) == manifest
    for path in lake.root.rglob("*"):
        if path.is_file():
            assert path.stat().st_mode & 0o077 == 0
            content = path.read_bytes()
            for encoding in ("utf-8", "gb18030", "utf-16-le"):
                assert CANARY.encode(encoding) not in content


def test_another_key_reads_nothing(lake: Lake) -> None:
    lake.write(PART, _table())
    with pytest.raises(Exception):  # noqa: B017 - pyarrow's own error type differs between versions
        Lake(lake.root, demo_keyring(2)).read(PART)


def test_digest_ignores_chunks_but_not_content() -> None:
    whole = _table(6)
    pieces = pa.concat_tables([_table(6).slice(0, 2), _table(6).slice(2)])
    assert table_digest(whole) == table_digest(pieces)
    assert table_digest(whole) != table_digest(_table(5))


def test_rewriting_replaces_and_leaves_no_file_behind(lake: Lake) -> None:
    lake.write(PART, _table(3))
    lake.write(PART, _table(4))
    assert lake.read(PART).num_rows == 4
    assert len(list((lake.root / PART.path).glob("*.parquet"))) == 1


def test_a_crash_before_the_manifest_keeps_the_old_partition(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    lake.write(PART, _table(3))

    def crash(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("meddata_pipeline.storage.lake.write_atomic", crash)
    with pytest.raises(KeyboardInterrupt):
        lake.write(PART, _table(4))
    assert lake.read(PART).num_rows == 3


def test_missing_partition_is_a_clear_error(lake: Lake) -> None:
    with pytest.raises(BadInput, match="has not been written"):
        lake.read(PART)


def test_partitions_are_listed_sorted(lake: Lake) -> None:
    for day in ("2024-01-02", "2024-01-01"):
        lake.write(Partition("records", "patient", ("hospital-a", day)), _table())
    assert [p.keys[1] for p in lake.partitions("records", "patient")] == ["2024-01-01", "2024-01-02"]


def test_create_if_absent_has_one_winner(tmp_path: Path) -> None:
    target = tmp_path / "commits" / "1.json"
    assert files.create_if_absent(target, b"first")
    assert not files.create_if_absent(target, b"second")
    assert target.read_bytes() == b"first"
    assert os.listdir(target.parent) == ["1.json"]


def test_a_home_refuses_another_root_key(tmp_path: Path) -> None:
    load_keyring(Settings(home=tmp_path, demo_seed=1))
    with pytest.raises(BadInput, match="another root key"):
        load_keyring(Settings(home=tmp_path, demo_seed=2))


def test_root_key_is_created_outside_the_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MEDDATA_KEY", "MEDDATA_KEY_FILE", "MEDDATA_KEY_COMMAND"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    first = load_keyring(Settings(home=tmp_path / "home")).fingerprint
    assert load_keyring(Settings(home=tmp_path / "home")).fingerprint == first
    key_file = tmp_path / "config" / "meddata" / "root.key"
    assert key_file.stat().st_mode & 0o077 == 0
    secret = key_file.read_bytes().strip()
    assert not any(secret in p.read_bytes() for p in (tmp_path / "home").rglob("*") if p.is_file())

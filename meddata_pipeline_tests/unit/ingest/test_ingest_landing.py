"""The landing folder: what counts as a delivery, when it is complete, what its digest depends on."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from meddata_pipeline.core.errors import BadInput
from meddata_pipeline.ingest.landing import delivery, look, scan
from meddata_pipeline_tests.unit.ingest.deliveries import DAY, ingest, reasons, write

PATIENTS = "病案号,姓名\n1,甲\n2,乙\n"


def test_unfinished_and_hidden_files_are_no_part_of_a_delivery(tmp_path: Path) -> None:
    write(tmp_path / "a" / DAY, {"x.csv": "1", "y.csv.part": "2", "z.TMP": "3", ".hidden": "4", "~$x.xlsx": "5"})
    (tmp_path / "a" / DAY / "folder").mkdir()
    (found,) = scan(tmp_path)
    assert [f.name for f in found.files] == ["x.csv"]
    assert not found.complete
    write(tmp_path / "a" / DAY, {"_COMPLETE": ""})
    (found,) = scan(tmp_path)
    assert found.complete
    assert [f.name for f in found.files] == ["x.csv"]


def test_folders_that_cannot_be_deliveries_are_reported_without_their_names(tmp_path: Path) -> None:
    for name in ("2024-02-30", "2024-2-1", "张三"):
        write(tmp_path / "a" / name, {"x.csv": "1"})
    write(tmp_path / "医院" / DAY, {"x.csv": "1"})
    write(tmp_path / "a|b" / DAY, {"x.csv": "1"})
    write(tmp_path / "a" / DAY, {"x.csv": "1"})
    seen = look(tmp_path)
    assert [(d.hospital, d.day) for d in seen.deliveries] == [("a", DAY)]
    assert sorted(why for _, why in seen.ignored) == ["day-name"] * 3 + ["hospital-name"] * 2
    assert "张三" not in repr(seen.ignored)


def test_the_digest_knows_names_and_contents_and_nothing_else(tmp_path: Path) -> None:
    first = delivery("a", DAY, write(tmp_path / "1", {"b.csv": "2", "a.csv": "1"}))
    second = delivery("a", DAY, write(tmp_path / "2", {"a.csv": "1", "b.csv": "2"}))
    os.utime(tmp_path / "2" / "a.csv", (1, 1))
    assert first.digest == second.digest
    assert delivery("a", DAY, write(tmp_path / "3", {"a.csv": "2", "b.csv": "1"})).digest != first.digest
    assert delivery("a", DAY, write(tmp_path / "4", {"a.csv": "1", "c.csv": "2"})).digest != first.digest


def test_the_fingerprint_changes_while_somebody_writes(tmp_path: Path) -> None:
    folder = write(tmp_path / "1", {"a.csv": "1"})
    before = delivery("a", DAY, folder).fingerprint()
    assert delivery("a", DAY, folder).fingerprint() == before
    (folder / "a.csv").write_text("12")
    assert delivery("a", DAY, folder).fingerprint() != before


def _manifest(rows: int, content: str, name: str = "患者.csv") -> str:
    return f"file,rows,sha256\n{name},{rows},{hashlib.sha256(content.encode()).hexdigest()}\n"


def test_a_manifest_that_agrees_changes_nothing(tmp_path: Path) -> None:
    result = ingest(tmp_path, {"患者.csv": PATIENTS, "_manifest.csv": _manifest(2, PATIENTS)})
    assert result.tables["patient"].num_rows == 2
    assert result.quarantine.num_rows == 0


@pytest.mark.parametrize(
    ("manifest", "rows_in"),
    [
        (_manifest(2, PATIENTS + "3,丙\n"), 0),  # other bytes than were sent: not even read
        (_manifest(3, PATIENTS), 2),  # a record is missing
        ("file,rows,sha256\nother.csv,,\n", 0),  # a file that the sender does not know, and one that is not there
    ],
)
def test_a_file_on_which_the_manifest_disagrees_is_put_aside_whole(tmp_path: Path, manifest: str, rows_in: int) -> None:
    result = ingest(tmp_path, {"患者.csv": PATIENTS, "_manifest.csv": manifest})
    assert result.tables["patient"].num_rows == 0
    assert result.rows_in == result.rows_quarantined == rows_in
    assert {reason for _, _, reason in reasons(result)} == {"bad_file"}


def test_a_damaged_manifest_stops_the_delivery(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="manifest"):
        ingest(tmp_path, {"患者.csv": PATIENTS, "_manifest.csv": "file,rows,sha256\n患者.csv,viele,\n"})


def test_file_names_stay_inside(tmp_path: Path) -> None:
    result = ingest(tmp_path, {"患者.csv": PATIENTS, "张三的片子.csv": "x\n1\n"})
    assert len(result.unknown_files) == 1
    assert "张三" not in repr(result.public_facts())
    assert "张三" not in repr(result.quarantine.to_pylist())

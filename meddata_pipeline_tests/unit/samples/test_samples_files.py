"""The generated files are what the truth says of them, byte for byte the same for the same seed."""

from __future__ import annotations

import csv
import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from meddata_pipeline.core.config import Config
from meddata_pipeline.core.errors import BadInput
from meddata_pipeline.samples import api
from meddata_pipeline.samples.api import SampleSummary, generate

ENTITIES = {
    "PERSON",
    "LOCATION",
    "ORGANIZATION",
    "DATE_TIME",
    "AGE",
    "PHONE_NUMBER",
    "EMAIL_ADDRESS",
    "MEDICAL_ID",
    "SOCIAL_ID",
    "OTHER_ID",
    "CN_RESIDENT_ID",
    "CN_PASSPORT",
    "CN_HKM_PERMIT",
    "CN_TW_PERMIT",
    "CN_OFFICER_CARD",
    "CREDIT_CARD",
    "CN_INSURANCE",
    "CN_PLATE",
}


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> SampleSummary:
    return generate(tmp_path_factory.mktemp("sample") / "landing", patients=900, seed=5)


def _records(path: Path) -> tuple[list[str], list[list[str]]]:
    """Header and records, read by other means than the product's readers."""
    if path.suffix == ".xlsx":
        sheet = openpyxl.load_workbook(path, read_only=True).worksheets[0]
        rows = [
            ["" if cell is None else cell.date().isoformat() if hasattr(cell, "date") else str(cell) for cell in row]
            for row in sheet.iter_rows(values_only=True)
        ]
    else:
        encoding = "gb18030" if path.parent.parent.name == "hospital-a" else "utf-8-sig"
        with path.open(encoding=encoding, errors="replace", newline="") as handle:
            rows = list(csv.reader(handle))
    return rows[0], rows[1:]


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as handle:
        for line in handle:
            yield json.loads(line)


def _data_files(landing: Path) -> list[Path]:
    return sorted(p for p in landing.rglob("*") if p.is_file() and not p.name.startswith(("_", ".")))


def test_same_seed_same_bytes(sample: SampleSummary, tmp_path: Path) -> None:
    again = generate(tmp_path / "landing", patients=900, seed=5)
    for first, second in ((sample.landing, again.landing), (sample.truth, again.truth)):
        digests = [
            {
                str(p.relative_to(root)): hashlib.sha256(p.read_bytes()).hexdigest()
                for p in root.rglob("*")
                if p.is_file()
            }
            for root in (first, second)
        ]
        assert digests[0] == digests[1]
    other = generate(tmp_path / "other" / "landing", patients=60, seed=6)
    assert (other.truth / "pii.jsonl").read_bytes()[:500] != (sample.truth / "pii.jsonl").read_bytes()[:500]


def test_chunk_size_does_not_hide_rows(sample: SampleSummary) -> None:
    files = _data_files(sample.landing)
    assert len(files) == sample.files
    assert sum(len(_records(path)[1]) for path in files) == sample.rows


def test_every_delivery_is_marked_and_its_manifest_agrees(sample: SampleSummary) -> None:
    for hospital in sample.hospitals:
        for day in sample.days:
            folder = sample.landing / hospital / day
            assert (folder / "_COMPLETE").exists()
            with (folder / "_manifest.csv").open(encoding="utf-8") as handle:
                listed = {row["file"]: row for row in csv.DictReader(handle)}
            files = {p.name: p for p in folder.iterdir() if not p.name.startswith("_")}
            assert set(listed) == set(files)
            for name, path in files.items():
                assert listed[name]["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
                assert int(listed[name]["rows"]) == len(_records(path)[1])


def test_truth_spans_are_what_stands_in_the_cells(sample: SampleSummary) -> None:
    tables: dict[str, tuple[list[str], list[list[str]]]] = {}
    types: Counter[str] = Counter()
    count = 0
    for line in _lines(sample.truth / "pii.jsonl"):
        if line["file"] not in tables:
            tables[line["file"]] = _records(sample.landing / line["file"])
        header, rows = tables[line["file"]]
        cell = rows[line["row"]][header.index(line["column"])]
        assert cell[line["start"] : line["end"]] == line["value"], line["file"]
        assert line["type"] in ENTITIES
        assert 0 <= line["start"] < line["end"]
        types[line["type"]] += 1
        count += 1
    assert count > 40_000
    assert set(types) | {"AGE"} == ENTITIES  # few persons are over 89


def test_nothing_that_identifies_a_patient_is_missing_from_the_truth(sample: SampleSummary) -> None:
    """Wherever a note names its own patient, the truth has that span."""
    spans: dict[tuple[str, int], set[tuple[int, str]]] = defaultdict(set)
    for line in _lines(sample.truth / "pii.jsonl"):
        if "notes_" in line["file"] and line["column"] == "note_text":
            spans[line["file"], line["row"]].add((line["start"], line["value"]))
    names: dict[str, str] = {}
    found = 0
    for day in sample.days:
        stem = sample.landing / "hospital-c" / day
        header, rows = _records(next(stem.glob("patients_*.csv")))
        names |= {row[0]: row[header.index("full_name")] for row in rows if len(row) == len(header)}
        path = next(stem.glob("notes_*.csv"))
        header, rows = _records(path)
        text = header.index("note_text")
        for number, row in enumerate(rows):
            if len(row) < len(header):
                continue
            name = names.get(row[0], "")
            at = row[text].find(name) if len(name) > 2 else -1
            if at >= 0:
                found += 1
                covered = [
                    s for s, v in spans[path.relative_to(sample.landing).as_posix(), number] if s <= at < s + len(v)
                ]
                assert covered
    assert found > 20


def test_resident_ids_are_valid_and_unique(sample: SampleSummary) -> None:
    values: dict[str, set[str]] = defaultdict(set)
    for line in _lines(sample.truth / "pii.jsonl"):
        if line["type"] == "CN_RESIDENT_ID" and line["start"] == 0:
            values[line["value"]].add(line["file"].split("/")[0])
    assert len(values) > 800
    for value in values:
        assert len(value) == 18
        total = 0
        for character in value[:17]:  # ISO 7064 MOD 11-2 by its recursive definition, not by weights
            total = (total + int(character)) * 2 % 11
        assert (total + (10 if value[17] == "X" else int(value[17]))) % 11 == 1
        date(int(value[6:10]), int(value[10:12]), int(value[12:14]))


def test_bank_cards_pass_the_luhn_check(sample: SampleSummary) -> None:
    cards = [line["value"] for line in _lines(sample.truth / "pii.jsonl") if line["type"] == "CREDIT_CARD"]
    assert cards
    for card in cards:
        doubled = [int(d) * (2 if i % 2 else 1) for i, d in enumerate(reversed(card))]
        assert sum(d // 10 + d % 10 for d in doubled) % 10 == 0


def test_a_resident_id_agrees_with_birth_date_and_sex(sample: SampleSummary) -> None:
    header, rows = _records(next((sample.landing / "hospital-c" / sample.days[0]).glob("patients_*.csv")))
    bad = {
        line["row"]
        for line in _lines(sample.truth / "defects.jsonl")
        if line["file"].endswith("patients_20240101.csv") and line["file"].startswith("hospital-c")
    }
    checked = 0
    for number, row in enumerate(rows):
        cells = dict(zip(header, row, strict=False))
        if number in bad or not cells["national_id"]:
            continue
        checked += 1
        assert cells["national_id"][6:14] == cells["dob"].replace("-", "")
        assert int(cells["national_id"][16]) % 2 == (cells["sex"] == "M")
    assert checked > 150


def test_identifiers_of_different_persons_differ(sample: SampleSummary) -> None:
    owners: dict[str, dict[str, set[str]]] = {"mobile": defaultdict(set), "national_id": defaultdict(set)}
    for day in sample.days:
        header, rows = _records(next((sample.landing / "hospital-c" / day).glob("patients_*.csv")))
        for row in rows:
            cells = dict(zip(header, row, strict=False))
            for name, seen in owners.items():
                if cells.get(name) and cells["record_no"]:
                    seen[cells[name]].add(cells["record_no"])
    for seen in owners.values():
        assert len(seen) > 200
        assert all(len(numbers) == 1 for numbers in seen.values())


def test_snapshots_repeat_and_increments_do_not(sample: SampleSummary) -> None:
    def numbers(hospital: str, day: str, glob: str) -> set[str]:
        return {row[0] for row in _records(next((sample.landing / hospital / day).glob(glob)))[1] if row[0]}

    first, second = (numbers("hospital-a", day, "患者信息_*.csv") for day in sample.days)
    assert len(second) > len(first)
    assert len(first - second) <= 3  # a few lose their number to a defect
    first, second = (numbers("hospital-b", day, "病人基本信息*.csv") for day in sample.days)
    assert first
    assert second
    assert not first & second


def test_a_later_snapshot_changes_rows_and_takes_errors_back(sample: SampleSummary) -> None:
    tables = [_records(next((sample.landing / "hospital-a" / day).glob("患者信息_*.csv"))) for day in sample.days]
    (header, old), (_, new) = tables
    place = header.index("手机号")
    before = {row[0]: row[place] for row in old if len(row) == len(header)}
    after = {row[0]: row[place] for row in new if len(row) == len(header)}
    changed = [number for number in before if number in after and before[number] != after[number]]
    assert 1 <= len(changed) < len(before) * 0.1
    header, rows = _records(next((sample.landing / "hospital-a" / sample.days[1]).glob("诊断记录_*.csv")))
    voided = [row for row in rows if len(row) == len(header) and row[header.index("作废标志")] == "1"]
    assert voided


def test_the_correction_repairs_what_was_wrong(tmp_path: Path) -> None:
    done = generate(tmp_path / "landing", patients=3000, seed=2)
    folder = done.landing / "hospital-c"
    header, wrong = _records(next((folder / done.days[0]).glob("labs_2*.csv")))
    _, right = _records(next((folder / done.days[1]).glob("labs_correction_*.csv")))
    specimen, test, result = (header.index(name) for name in ("specimen_no", "test", "result"))
    first = {(row[specimen], row[test]): row[result] for row in wrong if len(row) == len(header)}
    assert right
    for row in right:
        # Every decimal point is one place off; a result under the limit of detection was sent as a number.
        before = first.get((row[specimen], row[test]))
        if before and not row[result].startswith("<"):
            assert float(before) == pytest.approx(float(row[result]) * 10, rel=0.02)


def test_the_workbook_holds_dates_as_dates_and_numbers_as_text(sample: SampleSummary) -> None:
    path = next((sample.landing / "hospital-b" / sample.days[0]).glob("*.xlsx"))
    rows = list(openpyxl.load_workbook(path, read_only=True).worksheets[0].iter_rows(min_row=2, values_only=True))
    assert all(isinstance(row[0], str | None) and isinstance(row[2], str | None) for row in rows)
    assert sum(hasattr(row[3], "year") for row in rows) > 0.9 * len(rows)


def test_a_full_worksheet_goes_on_in_a_further_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "SHEET_ROWS", 300)
    monkeypatch.setattr("meddata_pipeline.samples.model.CHUNK", 50)
    done = generate(tmp_path / "landing", patients=300, days=1, hospitals=2)
    parts = sorted((done.landing / "hospital-b" / done.days[0]).glob("*.xlsx"))
    assert len(parts) >= 2
    assert all(0 < len(_records(path)[1]) <= 300 for path in parts)


def test_defects_are_what_the_truth_says(sample: SampleSummary) -> None:
    tables: dict[str, tuple[list[str], list[list[str]]]] = {}
    names: Counter[str] = Counter()
    seen: set[tuple[str, int]] = set()
    for line in _lines(sample.truth / "defects.jsonl"):
        if line["file"] not in tables:
            tables[line["file"]] = _records(sample.landing / line["file"])
        header, rows = tables[line["file"]]
        row = rows[line["row"]]
        names[line["defect"]] += 1
        assert (line["file"], line["row"]) not in seen
        seen.add((line["file"], line["row"]))
        if line["defect"] == "duplicate":
            assert row == rows[line["row"] - 1]
        elif line["defect"] == "short_row":
            assert len(row) < len(header)
        elif line["defect"] in ("missing", "unit_missing"):
            assert row[header.index(line["column"])] == ""
        elif line["defect"] == "damage":
            assert "\ufffd" in row[header.index(line["column"])]
        kind, _, reason = line["expected"].partition(":")
        assert kind in ("quarantine", "flag", "check")
        assert reason
    assert len(names) >= 20
    short = sum(len(row) < len(header) for header, rows in tables.values() for row in rows)
    assert short == names["short_row"]


def test_effects_add_up(sample: SampleSummary) -> None:
    effects = json.loads((sample.truth / "effects.json").read_text(encoding="utf-8"))
    assert effects["adjusted_or_per_sd"] == 1.30
    assert effects["counts"]["patients"] == 900
    assert effects["defects"] == sum(1 for _ in _lines(sample.truth / "defects.jsonl"))
    for fact, total in effects["counts"].items():
        assert total == sum(counts[fact] for counts in effects["hospitals"].values())


def test_those_who_opt_out_are_on_a_list(sample: SampleSummary) -> None:
    effects = json.loads((sample.truth / "effects.json").read_text(encoding="utf-8"))
    listed = [
        row
        for path in _data_files(sample.landing)
        if path.name == "optout.csv"
        for row in _records(path)[1]
        if any(row)
    ]
    assert len(listed) == effects["counts"]["opt_out"]


def test_the_truth_may_not_lie_inside_the_landing_folder(tmp_path: Path) -> None:
    for truth in (tmp_path / "landing", tmp_path / "landing" / "x" / "truth"):
        with pytest.raises(BadInput, match="landing"):
            generate(tmp_path / "landing", patients=10, truth=truth)
    assert not (tmp_path / "landing").exists()


def test_a_real_delivery_is_never_touched(tmp_path: Path) -> None:
    real = tmp_path / "landing" / "hospital-a" / "2024-01-01" / "x.csv"
    real.parent.mkdir(parents=True)
    real.write_text("a\n1\n", encoding="utf-8")
    with pytest.raises(BadInput, match="not an earlier sample"):
        generate(tmp_path / "landing", patients=10)
    assert real.exists()


def test_an_earlier_sample_is_replaced(tmp_path: Path) -> None:
    generate(tmp_path / "landing", patients=40, days=3)
    done = generate(tmp_path / "landing", patients=40, days=1, hospitals=1)
    assert {p.parent.name for p in _data_files(done.landing)} == {"2024-01-01"}
    assert {p.parent.parent.name for p in _data_files(done.landing)} == {"hospital-a"}


@pytest.mark.parametrize("wrong", [{"hospitals": 4}, {"hospitals": 0}, {"start": "1.1.2024"}, {"days": 0}])
def test_wrong_arguments_leave_nothing_behind(tmp_path: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(BadInput):
        generate(tmp_path / "landing", **{"patients": 10, **wrong})
    assert not list(tmp_path.iterdir())


def test_progress_ends_at_the_number_of_patients(tmp_path: Path) -> None:
    steps: list[tuple[int, int]] = []
    generate(tmp_path / "landing", patients=30, progress=lambda done, total: steps.append((done, total)))
    assert steps[-1] == (30, 30)


def test_every_column_of_every_file_is_in_the_profile(sample: SampleSummary) -> None:
    config = Config()
    for hospital in sample.hospitals:
        profile = config.load(f"hospitals/{hospital}.yaml")
        known: set[str] = set()
        for table in profile["tables"].values():
            known |= set(table.get("withhold", []))
            known |= {table["deleted"]["column"]} if "deleted" in table else set()
            for part in (table, *table.get("also", [])):
                for spec in (*part["columns"].values(), *part.get("values", {}).values()):
                    known |= {spec[key] for key in ("from", "unit_from") if key in spec}
        for path in _data_files(sample.landing / hospital):
            if path.name not in ("optout.csv", "vip.csv"):
                assert set(_records(path)[0]) <= known


def test_contradictions_stand_in_every_delivery_of_the_row(sample: SampleSummary) -> None:
    """They are in the hospital's database, unlike a defect of one export; orphans of a lost row aside."""
    of_export = {"duplicate", "orphan_patient", "orphan_visit"}
    days: dict[tuple[str, str], set[str]] = defaultdict(set)
    for line in _lines(sample.truth / "defects.jsonl"):
        hospital, day, _ = line["file"].split("/")
        if hospital != "hospital-a" or not line["expected"].startswith("check:") or line["defect"] in of_export:
            continue
        header, rows = _records(sample.landing / line["file"])
        row = rows[line["row"]]
        days[line["defect"], "|".join(v for h, v in zip(header, row, strict=True) if h != "作废标志")].add(day)
    assert len(days) >= 8
    assert sum(set(sample.days) == found for found in days.values()) > 0.6 * len(days)
    assert all(sample.days[-1] in found for found in days.values())


def test_an_orphan_points_to_nobody(sample: SampleSummary) -> None:
    """In its hospital, no delivery holds an intact row of the number that an orphan names."""
    quarantined = {
        (line["file"], line["row"])
        for line in _lines(sample.truth / "defects.jsonl")
        if line["expected"].startswith("quarantine") and line["defect"] != "duplicate"
    }
    intact: set[str] = set()
    for path in _data_files(sample.landing / "hospital-c"):
        if path.name.startswith("patients_"):
            name = path.relative_to(sample.landing).as_posix()
            intact |= {row[0] for place, row in enumerate(_records(path)[1]) if (name, place) not in quarantined}
    orphans = [
        _records(sample.landing / line["file"])[1][line["row"]][0]
        for line in _lines(sample.truth / "defects.jsonl")
        if line["defect"] == "orphan_patient" and line["file"].startswith("hospital-c")
    ]
    assert orphans
    assert not intact & set(orphans)

"""A profile that calls a telephone column harmless stops the run, and nothing that is written shows a number."""

from __future__ import annotations

import csv
import sqlite3
from pathlib import Path

import pytest

from meddata_pipeline.app import nights
from meddata_pipeline.core.config import Config
from meddata_pipeline_tests.e2e import pipeline

HOSPITAL = "hospital-c"


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, pipeline.Answer]:
    """Landing, home and answer of a run whose profile maps a contact's mobile to the relation of the contact."""
    root = tmp_path_factory.mktemp("columns")
    landing, home, config = root / "landing", root / "home", root / "home" / "config" / "hospitals"
    made = pipeline.meddata("sample", "--out", landing, "--hospitals", "3", "--patients", "60", "--days", "1")
    assert made.code == 0, made.stderr
    for other in ("hospital-a", "hospital-b"):
        for file in sorted((landing / other).rglob("*"), reverse=True):
            file.rmdir() if file.is_dir() else file.unlink()
        (landing / other).rmdir()
    config.mkdir(parents=True)
    profile = Config().find(f"hospitals/{HOSPITAL}.yaml").read_text(encoding="utf-8")
    line = next(x for x in profile.splitlines() if x.strip().startswith("contact_mobile:"))
    relation = next(x for x in profile.splitlines() if x.strip().startswith("contact_relation:"))
    wrong = line.replace("contact_mobile:", "contact_relation:")
    profile = profile.replace(line + "\n", "").replace(relation, wrong)
    (config / f"{HOSPITAL}.yaml").write_text(profile, encoding="utf-8")
    return landing, home, pipeline.night(landing, home)


def test_it_stops_with_its_reason(stopped: tuple[Path, Path, pipeline.Answer]) -> None:
    landing, home, answer = stopped
    assert answer.code == 1
    assert "column-disagrees" in answer.stdout
    place = pipeline.workplace(home, landing)
    (day,) = nights.days_with_records(place, HOSPITAL)
    outcomes = nights.ingested(place, HOSPITAL, day)
    assert outcomes is not None
    (check,) = outcomes["patient"].failed
    (column,) = check.facts["columns"]
    assert (check.name, check.code) == ("columns_agree", "column-disagrees")
    assert (column["table"], column["expected"], column["seen"], column["blocking"]) == (
        "patients",
        "other",
        "direct",
        True,
    )
    assert column["column"].startswith("contact_relation (from ")
    assert column["evidence"][0] == {"rule": "PHONE_NUMBER", "share": 1.0}
    assert not place.lake.partitions("deid", "patient")  # nothing below it was made


def test_no_number_is_shown(stopped: tuple[Path, Path, pipeline.Answer]) -> None:
    landing, home, answer = stopped
    (file,) = landing.glob(f"{HOSPITAL}/*/patients_*.csv")
    with file.open(encoding="utf-8-sig", errors="replace", newline="") as handle:
        rows = list(csv.reader(handle))[1:]
    values = {cell for row in rows for cell in row if len(cell) == 11 and cell.startswith("1") and cell.isdigit()}
    assert len(values) > 20
    written = [answer.stdout.encode(), answer.stderr.encode()]
    for path in home.rglob("*"):
        if path.is_file() and "restricted" not in path.relative_to(home).parts:
            written.append(path.read_bytes())
    whole = b"\n".join(written)
    assert not [value for value in values if value.encode() in whole]
    # The run's own database holds texts in UTF-8 or, in pages, as they are; asked as a database it shows none either.
    for database in home.rglob("*.db"):
        if "restricted" in database.relative_to(home).parts:
            continue
        with sqlite3.connect(database) as connection:
            dump = "\n".join(connection.iterdump())
        assert not [value for value in values if value in dump]

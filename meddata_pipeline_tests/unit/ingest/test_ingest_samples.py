"""Real and sample extracts through ingest: what is known of them must come out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from meddata_pipeline.core.config import Config
from meddata_pipeline.ingest.api import IngestResult, ingest_delivery
from meddata_pipeline.ingest.landing import scan
from meddata_pipeline.ingest.profile import load_profile
from meddata_pipeline_tests.shared import shared
from meddata_pipeline_tests.unit.ingest.deliveries import KEY


def test_births_at_baystate() -> None:
    (delivery,) = scan(shared("data/real"))
    result = ingest_delivery(delivery, load_profile(Config(), "baystate"), Config(), key=KEY)
    assert (result.rows_in, result.rows_quarantined) == (189, 0)
    assert not [w for w in result.withheld if w.why == "unmapped"]
    values = {(row["patient_no"], row["name"]): row["value"] for row in result.tables["observation"].to_pylist()}
    people = {number for number, _ in values}
    assert len(people) == 189
    table = [[0, 0], [0, 0]]
    for number in people:
        table[int(values[number, "smoke"])][int(values[number, "low"])] += 1
    # The published crude odds ratio of smoking is 2.02.
    assert round(table[1][1] * table[0][0] / (table[1][0] * table[0][1]), 2) == 2.02
    assert all((values[n, "bwt"] < 2500) == bool(values[n, "low"]) for n in people)


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[tuple[str, str], IngestResult]]:
    from meddata_pipeline.samples.api import generate

    landing = tmp_path_factory.mktemp("samples") / "landing"
    generate(landing, patients=400, seed=3)
    config = Config()
    return landing, {
        (d.hospital, d.day): ingest_delivery(d, load_profile(config, d.hospital), config, key=KEY)
        for d in scan(landing)
    }


def test_every_injected_defect_is_found_and_nothing_else(
    sample: tuple[Path, dict[tuple[str, str], IngestResult]],
) -> None:
    landing, results = sample
    names = {(d.hospital, d.day, f.sha256): f.name for d in scan(landing) for f in d.files}
    found: dict[tuple[str, int], str] = {}
    kept: set[tuple[str, int]] = set()
    for (hospital, day), result in results.items():
        for row in result.quarantine.to_pylist():
            file = f"{hospital}/{day}/{names[hospital, day, row['file_digest']]}"
            found[file, row["source_row"]] = "quarantine:" + row["reason"]
        for table in result.tables.values():
            flagged = "flag" in table.column_names
            for row in table.to_pylist():
                place = (f"{hospital}/{day}/{names[hospital, day, row['source_file']]}", row["source_row"])
                kept.add(place)
                if flagged and row["flag"] not in (None, "qualitative"):
                    found[place] = "flag:" + row["flag"]
    truth = [json.loads(line) for line in (landing.parent / "truth" / "defects.jsonl").read_text("utf-8").splitlines()]
    # What a quality check must find is nothing that ingest may put aside.
    expected = {(e["file"], e["row"]): e["expected"] for e in truth if not e["expected"].startswith("check:")}
    assert len(expected) > 30
    # A flagged row of a person who left is neither in quarantine nor among the records.
    missed = {place: what for place, what in expected.items() if found.get(place) != what}
    assert all(what.startswith("flag:") and place not in kept for place, what in missed.items())
    assert set(found) <= set(expected)


def test_sample_profiles_know_every_column(sample: tuple[Path, dict[tuple[str, str], IngestResult]]) -> None:
    for result in sample[1].values():
        assert not [w.as_public() for w in result.withheld if w.why != "listed"]
        assert not result.unknown_files
        assert result.rows_in == result.rows_mapped + result.rows_quarantined
        assert not {"unknown_file", "bad_file", "long_row", "bad_quote"} & result.quarantined().keys()

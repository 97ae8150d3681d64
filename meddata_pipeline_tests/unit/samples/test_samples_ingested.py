"""The generated deliveries, the shipped profiles and ingest agree to the row."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pyarrow.compute as pc
import pytest

from meddata_pipeline.core.config import Config
from meddata_pipeline.ingest.api import IngestResult, ingest_delivery
from meddata_pipeline.ingest.landing import Delivery, scan
from meddata_pipeline.ingest.profile import load_profile
from meddata_pipeline.samples.api import SampleSummary, generate


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> SampleSummary:
    return generate(tmp_path_factory.mktemp("ingested") / "landing", patients=1200, seed=9)


@pytest.fixture(scope="module")
def ingested(sample: SampleSummary) -> list[tuple[Delivery, IngestResult]]:
    config = Config()
    return [
        (found, ingest_delivery(found, load_profile(config, found.hospital), config, key=b"k" * 32))
        for found in scan(sample.landing)
    ]


def _expected(truth: Path, kind: str) -> dict[str, set[tuple[str, int, str]]]:
    """Injected defects by delivery: file name, row and reason."""
    found: dict[str, set[tuple[str, int, str]]] = {}
    for line in (truth / "defects.jsonl").read_text(encoding="utf-8").splitlines():
        defect = json.loads(line)
        delivery, _, name = defect["file"].rpartition("/")
        what, _, reason = defect["expected"].partition(":")
        if what == kind:
            found.setdefault(delivery, set()).add((name, defect["row"], reason))
    return found


def test_exactly_the_injected_defects_are_quarantined(
    sample: SampleSummary, ingested: list[tuple[Delivery, IngestResult]]
) -> None:
    expected = _expected(sample.truth, "quarantine")
    for found, result in ingested:
        names = {file.sha256: file.name for file in found.files}
        rows = result.quarantine.to_pylist()
        got = Counter((names.get(row["file_digest"]), row["source_row"], row["reason"]) for row in rows)
        assert got == Counter(expected[f"{found.hospital}/{found.day}"])
        assert result.rows_quarantined == len(rows)
        assert not result.unknown_files


def test_bad_units_are_flagged_and_never_converted(
    sample: SampleSummary, ingested: list[tuple[Delivery, IngestResult]]
) -> None:
    expected = _expected(sample.truth, "flag")
    for found, result in ingested:
        names = {file.sha256: file.name for file in found.files}
        labs = result.tables["lab"]
        flagged = labs.filter(pc.is_in(labs["flag"], value_set=pc.cast(["unit_missing", "unit_unknown"], "string")))
        got = {(names[row["source_file"]], row["source_row"], row["flag"]) for row in flagged.to_pylist()}
        assert got <= expected.get(f"{found.hospital}/{found.day}", set())  # the rest belongs to people who left
        assert flagged["value"].null_count == flagged.num_rows
        other = labs.filter(pc.is_null(labs["flag"]))
        assert other["value"].null_count == 0


def test_nothing_is_withheld_that_the_profile_does_not_list(ingested: list[tuple[Delivery, IngestResult]]) -> None:
    for _, result in ingested:
        assert {entry.as_public()["why"] for entry in result.withheld} <= {"listed"}


def test_all_records_come_in_or_leave_with_a_reason(
    sample: SampleSummary, ingested: list[tuple[Delivery, IngestResult]]
) -> None:
    lists = sum(len(path.read_bytes().splitlines()) - 1 for path in sample.landing.rglob("optout.csv"))
    lists += sum(len(path.read_bytes().splitlines()) - 1 for path in sample.landing.rglob("vip.csv"))
    assert sum(result.rows_in for _, result in ingested) == sample.rows - lists
    reasons = set().union(*(result.excluded() for _, result in ingested))
    assert reasons == {"opt_out", "vip", "hiv", "std", "psychiatric", "under_14", "staff"}

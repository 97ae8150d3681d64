"""How far a de-identification is, and how fast it was: told while it runs, kept nowhere."""

from __future__ import annotations

from pathlib import Path

from meddata_pipeline.app import nights, progress
from meddata_pipeline.orchestration.metadata import metadata
from meddata_pipeline_tests.conftest import Demo
from meddata_pipeline_tests.e2e import pipeline


def test_speed_is_metadata_and_not_in_the_manifest(demo: Demo, tmp_path: Path) -> None:
    place = pipeline.workplace(demo.copy(tmp_path / "copy"), demo.landing)
    day = nights.days_with_records(place, "hospital-b")[0]
    spans = nights.deid_partition("spans", "hospital-b", day)
    before = place.manifest(spans)
    (place.lake.root / spans.path / "_manifest.json").unlink()
    told: list[tuple[str, int, int]] = []
    with progress.listening(lambda *what: told.append(what)):
        outcome = nights.deidentify(place, "hospital-b", day)["spans"]
    shown = metadata(outcome)
    kept = place.manifest(spans)
    assert kept.digest == before.digest
    assert kept.facts == before.facts
    assert kept.facts["facts"]["characters"] > 20 * kept.facts["facts"]["documents"] > 0
    assert shown["documents"] == kept.facts["facts"]["documents"]
    assert shown["documents_per_second"] > 1
    assert "documents_per_second" not in str(kept.facts)
    notes = [(done, total) for what, done, total in told if what == f"hospital-b {day} note"]
    assert notes[0][0] == 0
    assert notes[-1][0] == notes[-1][1] > 0
    progress.report("nobody listens any more", 1, 1)
    assert told[-1][0] != "nobody listens any more"

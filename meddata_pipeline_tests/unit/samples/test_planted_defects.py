"""Every planted defect is found under its name by ingest or by a check, and no other row is accused."""

from __future__ import annotations

from pathlib import Path

from meddata_pipeline.samples.api import generate
from meddata_pipeline_tests.evaluation.defects import compare, measure, names


def test_all_that_is_planted_and_nothing_else(tmp_path: Path) -> None:
    done = generate(tmp_path / "landing", patients=500, hospitals=2, days=2, seed=77)
    tally = measure(done.landing, done.truth)
    assert len(tally.planted) >= 15
    assert tally.missed == {}
    assert tally.false == {}
    assert tally.recall == tally.precision == 1


def test_the_tally_counts_what_is_missed_and_what_is_falsely_accused(tmp_path: Path) -> None:
    truth = tmp_path / "defects.jsonl"
    lines = [
        '{"file":"a","row":0,"column":"x","defect":"date","expected":"quarantine:impossible_date"}',
        '{"file":"a","row":1,"column":"x","defect":"tooth","expected":"check:tooth-number"}',
        '{"file":"a","row":2,"column":"x","defect":"tooth","expected":"check:tooth-number"}',
        '{"file":"a","row":9,"column":"x","defect":"tooth","expected":"check:tooth-number"}',
    ]
    truth.write_text("\n".join(lines), encoding="utf-8")
    found = {
        ("a", 0): {"quarantine:impossible_date"},
        ("a", 1): {"check:imaging-tooth-number"},
        ("a", 2): {"check:imaging-orphan-visit"},
        ("a", 3): {"check:imaging-orphan-visit"},
    }
    tally = compare(truth, found, {("a", row) for row in range(5)})
    assert (tally.recall, tally.precision) == (2 / 3, 3 / 4)
    assert tally.missed == {("a", 2): "check:tooth-number"}
    assert list(tally.false) == [("a", 3)]
    assert not names("number", "tooth_number")

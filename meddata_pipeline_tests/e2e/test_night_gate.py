"""Products are other runs than nights: a night that failed a check, or is not closed, must stop them all the same."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from meddata_pipeline.app import candidates, nights
from meddata_pipeline.app.workplace import Workplace
from meddata_pipeline.core.errors import Refused
from meddata_pipeline.storage.lake import Partition
from meddata_pipeline_tests.conftest import Demo
from meddata_pipeline_tests.e2e import pipeline

PRODUCT = "inflammation-pulpitis"
HOSPITALS = ["hospital-a", "hospital-b", "hospital-c"]


@pytest.fixture
def place(demo: Demo, tmp_path: Path) -> Workplace:
    home = demo.copy(tmp_path / "copy")
    return pipeline.workplace(home, demo.landing)


def _fail_a_check(place: Workplace, partition: Partition) -> None:
    path = place.lake.root / partition.path / "_manifest.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    manifest["facts"]["checks"][0]["passed"] = False
    path.write_text(json.dumps(manifest), encoding="utf-8")


def test_closed_nights_let_products_pass(place: Workplace) -> None:
    assert nights.gate(place, HOSPITALS) == []


@pytest.mark.parametrize("layer", ["deid", "records", "judged"])
def test_a_failed_check_of_a_night_stops_the_product(place: Workplace, layer: str) -> None:
    day = nights.days_with_records(place, "hospital-a")[0]
    _fail_a_check(place, Partition(layer, "patient", ("hospital-a", day)))
    assert not candidates.is_current(place, PRODUCT)
    with pytest.raises(Refused) as refusal:
        candidates.build_cohort(place, PRODUCT)
    assert all(reason.where.startswith(f"hospital-a/{day}") for reason in refusal.value.reasons)


def test_a_day_that_has_not_been_judged_stops_the_product(place: Workplace) -> None:
    day = nights.days_with_records(place, "hospital-c")[0]
    (place.lake.root / nights.aside_partition("hospital-c", day).path / "_manifest.json").unlink()
    reasons = nights.gate(place, HOSPITALS)
    assert [(reason.code, reason.where) for reason in reasons] == [("night-not-closed", f"hospital-c/{day}")]


def test_failed_records_are_not_de_identified(place: Workplace) -> None:
    day = nights.days_with_records(place, "hospital-b")[0]
    _fail_a_check(place, Partition("quarantine", "rows", ("hospital-b", day)))
    spans = nights.deid_partition("spans", "hospital-b", day)
    (place.lake.root / spans.path / "_manifest.json").unlink()
    with pytest.raises(Refused, match="did not pass"):
        nights.deidentify(place, "hospital-b", day)


def test_an_opt_out_that_has_not_reached_every_day_stops_the_product(place: Workplace) -> None:
    first, *_, last = place.lake.partitions("optout", "register")
    assert first.keys[0] != last.keys[0]
    register = json.loads(place.load_object(last)["register"])
    register["exclusions"].append(["patient_no", "0" * 64, "opt_out"])
    path = place.lake.root / last.path
    (path / "_manifest.json").unlink()
    from meddata_pipeline.app.outcome import Outcome

    place.keep_object(last, {"register": json.dumps(register)}, {}, Outcome(""))
    reasons = nights.gate(place, [last.keys[0]])
    assert {reason.code for reason in reasons} == {"night-not-closed"}
    with pytest.raises(Refused):
        candidates.build_cohort(place, PRODUCT)


def test_a_file_that_is_not_what_its_manifest_says_is_named(demo: Demo, tmp_path: Path) -> None:
    """Its rows are in no balance, since they cannot be trusted to be counted: it must not be lost silently."""
    delivery = (
        Path("hospital-c") / nights.days_with_records(pipeline.workplace(demo.home, demo.landing), "hospital-c")[0]
    )
    shutil.copytree(demo.landing / delivery, tmp_path / "landing" / delivery)
    broken = next(p for p in sorted((tmp_path / "landing" / delivery).glob("*.csv")) if "lab" in p.name.lower())
    broken.write_bytes(broken.read_bytes() + b"one more row\n")
    home = tmp_path / "home"
    answer = pipeline.meddata("run", "--landing", tmp_path / "landing", "--home", home, "--demo-keys", "--json")
    (named,) = answer.body["files_refused"]
    assert (named["hospital"], named["reason"]) == ("hospital-c", "bad_file")
    listed = pipeline.meddata("quarantine", "list", "--home", home)
    whole = [i for i in listed.body["items"] if i["reason"] == "bad_file"]
    assert whole == [{"station": "raw", **named, "rows": 0}]
    assert broken.name not in answer.stdout + listed.stdout

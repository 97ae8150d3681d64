"""Attacks on a candidate of the demo: what registers hold, what a second version adds, what nobody may read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from meddata_pipeline.app import attacks, candidates, nights, releases
from meddata_pipeline.app.workplace import Workplace
from meddata_pipeline.core.config import Config
from meddata_pipeline_tests.conftest import Demo
from meddata_pipeline_tests.e2e import pipeline
from meddata_pipeline_tests.e2e.pipeline import COHORT, REPORT


def _risk(place: Workplace, product: str) -> dict[str, object]:
    return place.load_object(candidates.candidate_partition("risk", product))


def _policy(home: Path, **changes: object) -> None:
    policy = yaml.safe_load(Config([]).find(f"products/{COHORT}/privacy.yaml").read_text(encoding="utf-8"))
    overlay = home / "config" / "products" / COHORT / "privacy.yaml"
    overlay.parent.mkdir(parents=True, exist_ok=True)
    overlay.write_text(yaml.safe_dump({**policy, **changes}, allow_unicode=True, sort_keys=False), encoding="utf-8")


def test_both_registers_and_what_they_hold(demo: Demo) -> None:
    place = pipeline.workplace(demo.home, demo.landing)
    found = _risk(place, COHORT)
    whole, known = found["attack"], found["register_attack"]
    assert isinstance(whole, dict) and isinstance(known, dict)
    assert whole["columns"] == ["hospital", "age", "sex", "index_month", "bmi"]
    assert known["columns"] == ["hospital", "age", "sex"]
    assert known["targets"] == whole["targets"] and known["complete"]
    assert 0 < known["expected_rate"] <= whole["expected_rate"] <= 0.2
    assert found["joins"] == []
    assert _risk(place, REPORT)["joins"] is None  # it hands over no rows


def test_nothing_of_the_register_is_in_any_output(demo: Demo) -> None:
    place = pipeline.workplace(demo.home, demo.landing)
    manifest = (place.lake.root / candidates.candidate_partition("risk", COHORT).path / "_manifest.json").read_text()
    told = json.dumps(_risk(place, COHORT), ensure_ascii=False) + manifest
    told += "".join(p.read_text() for p in (demo.home / "products" / COHORT).rglob("risk.*"))
    searched = 0
    for hospital in ("hospital-a", "hospital-b", "hospital-c"):
        known = nights.identities_of(place, hospital).table
        names = {n for names in known["name"].to_pylist() for n in names or () if len(n) > 2}
        addresses = {a for all_ in known["address"].to_pylist() for a in all_ or ()}
        persons = {p for p in known["person_id"].to_pylist() if p}
        for partition in place.lake.partitions("deid", "patient"):
            births = place.lake.read(partition, ["birth_date"])["birth_date"].to_pylist()
            persons |= {b.isoformat() for b in births if b is not None}
        searched += len(names) + len(persons)
        assert not [word for word in names | addresses | persons if word in told]
    assert searched > 300


def test_a_second_version_is_joined_with_the_first(demo: Demo, tmp_path: Path) -> None:
    home = demo.copy(tmp_path / "home")
    place = pipeline.workplace(home, demo.landing)
    assert attacks.is_current(place, COHORT)
    before = attacks.measure_risk(place, COHORT)
    assert not before.changed  # its rows are out: nothing is joined again
    _policy(home, round={"crp": 3, "il6": 1, "nlr": 1, "ln_crp": 1, "crp_sd": 1})
    candidates.protect(place, COHORT)
    assert not attacks.is_current(place, COHORT)
    outcome = attacks.measure_risk(place, COHORT)
    (join,) = _risk(place, COHORT)["joins"]  # type: ignore[misc]
    assert (join["product"], join["version"]) == (COHORT, "1.1")
    assert join["targets"] > 100 and join["expected_rate"] > 0.9
    # The same people at the same levels: well joined, but no class gets smaller.
    assert join["exposed"] == 0 and join["register"]["expected_rate"] <= 0.2
    assert [c.name for c in outcome.failed] == []
    assert attacks.is_current(place, COHORT)


def test_a_candidate_whose_joins_are_outdated_waits(
    demo: Demo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = demo.copy(tmp_path / "home")
    place = pipeline.workplace(home, demo.landing)
    monkeypatch.setattr(releases, "_candidate_digest", lambda *_: "0" * 64)
    meta = releases.dossier.part(place, "dossier", COHORT)
    meta["meta"] = {**meta["meta"], "candidate_digest": "0" * 64}
    monkeypatch.setattr(releases.dossier, "part", lambda *_: meta)
    monkeypatch.setattr("meddata_pipeline.exchange.release.release_rule", lambda *_: [])
    monkeypatch.setattr(attacks, "is_current", lambda *_: False)
    assert releases.release(place, COHORT) is None
    state = releases.state_of(place, COHORT)
    assert state is not None and state.status == "candidate"
    assert [r["code"] for r in state.reasons] == ["joins-outdated"]

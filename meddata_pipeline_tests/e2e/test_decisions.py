"""Without demo keys a candidate waits for people: real keys, signatures by role, and the end of the release key."""

from __future__ import annotations

import json
from pathlib import Path

import yaml

from meddata_pipeline.core.settings import Settings
from meddata_pipeline.storage.ledger import open_ledger
from meddata_pipeline_tests.e2e import pipeline
from meddata_pipeline_tests.e2e.pipeline import COHORT, Answer


def test_a_candidate_waits_until_people_have_signed_it(tmp_path: Path) -> None:
    landing, home = tmp_path / "landing", tmp_path / "home"
    made = pipeline.meddata("sample", "--out", landing, "--patients", "200", "--hospitals", "2", "--days", "1")
    assert made.code == 0, made.stderr
    env = {"MEDDATA_KEY_FILE": str(tmp_path / "root.key")}
    assert pipeline.meddata("keys", "new", tmp_path / "root.key", "--root").code == 0

    def meddata(*arguments: str | Path) -> Answer:
        return pipeline.meddata(*arguments, "--home", home, env=env)

    def run() -> Answer:
        return meddata("run", "--landing", landing, "--product", COHORT)

    first = run()
    assert first.code == 0, first.stderr
    waiting = first.product(COHORT)
    assert waiting["status"] == "candidate"
    assert {r["code"] for r in waiting["reasons"]} == {"missing-signature"}
    assert waiting["next_command"].startswith("meddata release approve")
    assert waiting["version"] is None
    releases = Settings(home).zone("keys") / "releases"
    (key,) = releases.rglob("*.key")

    again = run()
    assert again.product(COHORT)["status"] == "candidate"
    assert again.product(COHORT)["candidate"] == waiting["candidate"], "a waiting candidate keeps its random key"

    # Somebody whose key is registered nowhere signs: refused, and nothing is published.
    publics = {}
    for role in ("privacy-officer", "data-owner"):
        answer = pipeline.meddata("keys", "new", tmp_path / f"{role}.pem")
        publics[role] = answer.body["public"]
    approve = ["release", "approve", COHORT, "--reason", "looked at risk and quality"]
    stranger = meddata(*approve, "--role", "privacy-officer", "--key", tmp_path / "privacy-officer.pem")
    assert stranger.code == 2

    (home / "config").mkdir(exist_ok=True)
    roles = {r: {"title": {"zh": r, "en": r}, "keys": [publics[r]]} for r in publics}
    (home / "config" / "roles.yaml").write_text(yaml.safe_dump({"roles": roles}), encoding="utf-8")
    swapped = meddata(*approve, "--role", "privacy-officer", "--key", tmp_path / "data-owner.pem")
    assert swapped.code == 2, "a key signs for its own role only"
    for role in publics:
        signed = meddata(*approve, "--role", role, "--key", tmp_path / f"{role}.pem")
        assert signed.code == 0, signed.stderr
    listed = meddata("release", "list")
    assert next(i for i in listed.body["items"] if i["product"] == COHORT)["missing"] == []

    published = run()
    assert published.code == 0, published.stderr
    release = published.product(COHORT)
    assert (release["status"], release["version"]) == ("published", "1.1")
    assert not key.exists()
    assert list(releases.rglob("*.key")) == []
    with open_ledger(home) as ledger:
        (destroyed,) = ledger.events("key-destroyed")
        assert destroyed.subject == f"{COHORT}/1.1"
    manifest = json.loads((home / "products" / COHORT / "1.1" / "manifest.json").read_bytes())
    assert manifest["demo"] is False

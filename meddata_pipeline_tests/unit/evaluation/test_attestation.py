"""Attestations and the third party's command: no changed byte passes, nor other data, nor a rights holder's key."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pypdf import PdfReader

from meddata_pipeline.app import candidates, evaluation
from meddata_pipeline.app.workplace import Workplace
from meddata_pipeline.core.canonical import canonical_json, file_sha256
from meddata_pipeline.core.errors import BadInput, ConfigError, Refused
from meddata_pipeline.core.offer import parse_offer
from meddata_pipeline.core.settings import Settings
from meddata_pipeline.exchange import attestation
from meddata_pipeline.exchange.credentials import did_key
from meddata_pipeline.exchange.signing import Signer, load_private_key
from meddata_pipeline_tests.unit.cli.calling import call
from meddata_pipeline_tests.unit.evaluation.made import (
    CANARY,
    DEMO,
    EXTRA,
    PRODUCT,
    TODAY,
    frame,
    pem,
    publish,
    release_folder,
)
from meddata_pipeline_tests.unit.exchange.trade import RAW

NOW = datetime(2024, 3, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A release, a key, and the evaluation of the one with the other; to be read only."""
    folder = tmp_path_factory.mktemp("evaluation")
    release_folder(folder / "release")
    pem(folder / "evaluator.pem")
    (folder / "extra.yaml").write_text(EXTRA % 18, encoding="utf-8")
    evaluation.evaluate(
        folder / "release",
        folder / "evaluator.pem",
        out=folder / "out",
        rules=folder / "extra.yaml",
        name="评估中心",
        reservations=["Only the table was read."],
        today=TODAY,
    )
    return folder


def _signed(place: Path) -> bytes:
    return (place / "out" / "attestation.json").read_bytes()


def _codes(path: Path, release: Path | None, **more: Any) -> set[str]:
    report = attestation.verify(path, release=release, now=more.pop("now", NOW), **more)
    failed = {c["code"] for c in report["checks"] if c["status"] == "failed"}
    assert report["ok"] == (not failed)
    return failed


def test_an_attestation_states_what_was_found(place: Path) -> None:
    stated = json.loads(_signed(place))
    subject = stated["credentialSubject"]
    assert stated["type"] == ["VerifiableCredential", "QualityEvaluationAttestation"]
    assert subject["releaseDigest"] == file_sha256(place / "release" / "manifest.json")
    assert subject["data"] == [{"path": "data.parquet", "sha256": file_sha256(place / "release" / "data.parquet")}]
    assert subject["rules"][1] == {"path": "extra.yaml", "sha256": file_sha256(place / "extra.yaml")}
    assert {r["path"]: r["sha256"] for r in subject["reports"]} == {
        p.name: file_sha256(p) for p in (place / "out").glob("quality.*")
    }
    assert subject["kind"] == "independent" and subject["reservations"] == ["Only the table was read."]
    assert subject["counts"]["by_severity"]["warning"] == {"checks": 1, "passed": 0, "failed": 1, "errored": 0}
    assert subject["scores"]["normativity"] == 0.0 and subject["scores"]["completeness"] == 1.0
    assert subject["reproduced"]["differ"] == []
    assert stated["validFrom"] == "2024-02-01T00:00:00Z" and stated["validUntil"] == "2025-02-01T00:00:00Z"
    assert [label["label"][0]["@language"] for label in stated["termsOfUse"]] == ["zh"]


def test_a_good_attestation_verifies(place: Path) -> None:
    path, key = place / "out" / "attestation.json", Signer(load_private_key(place / "evaluator.pem")).public
    for named in (key, did_key(key)):
        report = attestation.verify(path, release=place / "release", public_key=named, now=NOW)
        assert report["trusted"], report["checks"]
    alone = attestation.verify(path, now=NOW)  # the release lies beside
    assert alone["ok"] and not alone["trusted"]
    assert [c["id"] for c in alone["checks"] if c["status"] == "unknown"] == ["issuer"]


@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_no_changed_byte_passes(place: Path, data: st.DataObject) -> None:
    original = _signed(place)
    at = data.draw(st.integers(0, len(original) - 1))
    kind = data.draw(st.sampled_from(["flip", "drop", "insert", "double"]))
    byte = data.draw(st.integers(0, 255))
    changed = {
        "flip": original[:at] + bytes([byte]) + original[at + 1 :],
        "drop": original[:at] + original[at + 1 :],
        "insert": original[:at] + bytes([byte]) + original[at:],
        "double": original[:at] + original[at : at + 8] + original[at:],
    }[kind]
    if changed == original:
        return
    with pytest.raises(ValueError, match=r"."):
        attestation.read(changed)


@pytest.mark.parametrize("name", ["validUntil", "issuer", "credentialSubject", "proof", "@context", "termsOfUse"])
def test_no_statement_can_be_exchanged(place: Path, tmp_path: Path, name: str) -> None:
    other = json.loads(_signed(place))
    other[name] = {"validUntil": "2099-01-01T00:00:00Z"}.get(name, [])
    path = tmp_path / "attestation.json"
    path.write_bytes(canonical_json(other))
    assert _codes(path, place / "release") == {"tampered"}
    path.write_bytes(json.dumps(json.loads(_signed(place)), indent=1).encode())
    assert _codes(path, place / "release") == {"tampered"}
    for data in (b"{}", b"", b"[" * 100_000, b"{" * 100_000, b"\xff", b'{"type":7}'):
        path.write_bytes(data)
        assert _codes(path, place / "release") == {"malformed"}


def test_dates_data_and_issuer_are_judged(place: Path, tmp_path: Path) -> None:
    path = place / "out" / "attestation.json"
    assert _codes(path, place / "release", now=datetime(2025, 2, 1, tzinfo=UTC)) == {"expired"}
    assert _codes(path, place / "release", now=datetime(2024, 1, 31, tzinfo=UTC)) == {"not-yet-valid"}
    assert _codes(path, place / "release", public_key=Signer.from_keyring(DEMO, "x").public) == {"unknown-issuer"}
    other = release_folder(tmp_path / "other", frame().iloc[:-1])
    assert _codes(path, other) == {"other-data"}
    changed = tmp_path / "changed"
    shutil.copytree(place / "release", changed)
    (changed / "data.parquet").write_bytes(b"x")
    assert _codes(path, changed) == {"release-damaged"}
    assert _codes(path, tmp_path) == {"other-data"}
    (changed / "manifest.json").write_bytes(b"{}")
    assert _codes(path, changed) == {"other-data"}


def test_the_publisher_cannot_call_itself_independent(place: Path, tmp_path: Path) -> None:
    signer = Signer.from_keyring(DEMO, "publisher")
    found = json.loads((place / "release" / "quality.json").read_bytes())["evaluation"]
    digest = file_sha256(place / "release" / "manifest.json")
    forged = attestation.attest(
        {**found, "kind": "independent"}, release_digest=digest, reports={}, signer=signer, valid_from=TODAY, months=12
    )
    (tmp_path / "forged.json").write_bytes(forged)
    assert _codes(tmp_path / "forged.json", place / "release") == {"rights-holder"}


@pytest.mark.parametrize("beside", [False, True])
def test_a_key_with_rights_is_refused(place: Path, tmp_path: Path, beside: bool) -> None:
    release = tmp_path / "release"
    shutil.copytree(place / "release", release)
    key = DEMO.signing_key("publisher")
    if beside:  # a role that signed the candidate, as an unpacked bundle shows it
        key = DEMO.signing_key("role:data-owner")
        (tmp_path / "signoffs").mkdir()
        envelope = {"key": Signer(key).public, "signature": "", "statement": {}}
        (tmp_path / "signoffs" / "data-owner.json").write_bytes(canonical_json(envelope))
    with pytest.raises(Refused) as refusal:
        evaluation.evaluate(release, pem(tmp_path / "k.pem", key), out=tmp_path / "out")
    assert [r.code for r in refusal.value.reasons] == ["rights-holder"]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("damage", ["change", "add", "signature"])
def test_a_damaged_release_is_not_evaluated(tmp_path: Path, damage: str) -> None:
    release = publish(tmp_path, release_folder(tmp_path / "staged"))
    if damage == "change":
        (release / "data.parquet").write_bytes(b"x")
    elif damage == "add":
        (release / "more.csv").write_text("x")
    else:
        (release / "manifest.sig").write_bytes(b"{}")
    with pytest.raises(Refused) as refusal:
        evaluation.evaluate(release, pem(tmp_path / "k.pem"), out=tmp_path / "out")
    assert {r.code for r in refusal.value.reasons} == {"release-damaged"}


def test_a_failed_blocking_rule_is_attested_and_gives_exit_code_1(place: Path, tmp_path: Path) -> None:
    (tmp_path / "extra.yaml").write_text(EXTRA % 21, encoding="utf-8")
    words = ["evaluate", str(place / "release"), "--key", str(place / "evaluator.pem"), "--out", str(tmp_path / "out")]
    answer = call(*words, "--rules", str(tmp_path / "extra.yaml"), "--json")
    assert answer.code == 1, answer.err
    assert [r["where"] for r in answer.json["reasons"]] == ["age-adult"]
    assert answer.json["passed"] is False and answer.json["scores"]["normativity"] == 0.0
    checked = call("verify", answer.json["attestation"], "--release", str(place / "release"), "--json")
    assert checked.code == 0 and checked.json["kind"] == "independent"
    stated = json.loads(Path(answer.json["attestation"]).read_bytes())["credentialSubject"]
    assert stated["passed"] is False
    text = " ".join(page.extract_text() for page in PdfReader(tmp_path / "out" / "quality.en.pdf").pages)
    assert "age-adult" in text
    assert call(*words, "--lang", "zh").code == 0


def test_nothing_written_or_said_holds_a_value(place: Path, tmp_path: Path) -> None:
    words = ["evaluate", str(place / "release"), "--key", str(place / "evaluator.pem"), "--out", str(tmp_path / "out")]
    said = [call(*words, "--json"), call(*words), call("verify", str(tmp_path / "out" / "attestation.json"))]
    bad = tmp_path / "bad"
    release_folder(bad, frame().assign(age=[CANARY] * 40, row_id=[CANARY] * 40))
    said.append(call("evaluate", str(bad), *words[2:4], "--out", str(tmp_path / "bad-out")))
    assert [answer.code for answer in said] == [0, 0, 0, 1]
    texts = [answer.out + answer.err for answer in said]
    for path in [*(tmp_path / "out").iterdir(), *(tmp_path / "bad-out").iterdir()]:
        if path.suffix == ".pdf":
            texts.append("".join(page.extract_text() for page in PdfReader(path).pages))
        texts.append(path.read_bytes().decode("utf-8", "replace"))
    assert (tmp_path / "bad-out" / "attestation.json").exists()
    assert not any(part in text for text in texts for part in (CANARY, CANARY[:4], CANARY[4:]))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("schema: [{name: other}]", "no table"),
        ("schema: [{name: cohort, properties: [{name: zip}]}]", "no column"),
        ("quality: []", "quality sections"),
        ("schema: [{name: cohort, physicalName: x}]", "alone"),
        ("schema: [{name: cohort, quality: [{id: x, metric: rowCount}]}]", "rule x"),
    ],
)
def test_wrong_extra_rules_are_refused(place: Path, tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "extra.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=message):
        evaluation.evaluate(place / "release", place / "evaluator.pem", rules=tmp_path / "extra.yaml", out=tmp_path)


def test_wrong_usage_is_said(place: Path, tmp_path: Path) -> None:
    key = place / "evaluator.pem"
    with pytest.raises(BadInput, match="no manifest"):
        evaluation.evaluate(tmp_path, key)
    with pytest.raises(BadInput, match="longer than"):
        evaluation.evaluate(place / "release", key, reservations=["x" * 301, "y" * 300], out=tmp_path)
    with pytest.raises(BadInput, match="longer than"):
        evaluation.evaluate(place / "release", key, name="x" * 81, out=tmp_path)


# -- the gate ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def workplace(place: Path, tmp_path: Path) -> Workplace:
    """A demo home with a candidate, in which the evaluator is registered."""
    found = Workplace(Settings(home=tmp_path / "home", demo_seed=1), tmp_path / "landing")
    shutil.copytree(place / "release", candidates.staging(found, PRODUCT))
    key = Signer(load_private_key(place / "evaluator.pem")).public
    config = tmp_path / "home" / "config"
    config.mkdir()
    roles = {"quality-evaluator": {"title": "e", "keys": [key]}, "data-owner": {"title": "o", "keys": []}}
    (config / "roles.yaml").write_text(yaml.safe_dump({"roles": roles}), encoding="utf-8")
    return found


def _gate(workplace: Workplace, now: datetime = NOW) -> list[str]:
    return [reason.code for reason in evaluation.gate(workplace, PRODUCT, now)]


def test_an_attestation_that_fits_lets_the_candidate_out(place: Path, workplace: Workplace) -> None:
    evaluation.self_assess(workplace, PRODUCT)
    assert _gate(workplace) == []
    placed = evaluation.place(workplace, PRODUCT, place / "out" / "attestation.json", NOW)
    assert (placed["version"], placed["published"], placed["passed"]) == ("1.1", False, True)
    assert _gate(workplace) == []
    assert _gate(workplace, NOW + timedelta(days=400)) == ["attestation-expired"]
    assert evaluation.withdraw(workplace, PRODUCT)["removed"] == [placed["file"]]
    assert _gate(workplace, NOW + timedelta(days=400)) == []


def test_the_offer_may_ask_for_an_independent_one(place: Path, workplace: Workplace) -> None:
    offer = workplace.config.load(f"products/{PRODUCT}/offer.yaml")
    target = workplace.home / "config" / "products" / PRODUCT / "offer.yaml"
    target.parent.mkdir(parents=True)
    target.write_text(yaml.safe_dump({**offer, "quality": {"evaluation": "independent"}}), encoding="utf-8")
    evaluation.self_assess(workplace, PRODUCT)
    assert _gate(workplace) == ["missing-evaluation"]
    evaluation.place(workplace, PRODUCT, place / "out" / "attestation.json", NOW)
    assert _gate(workplace) == []
    with pytest.raises(ConfigError, match="released rows"):
        parse_offer({**RAW, "quality": {"evaluation": "independent"}}, "offer.yaml")


def test_what_is_placed_for_other_data_blocks(place: Path, workplace: Workplace) -> None:
    placed = evaluation.place(workplace, PRODUCT, place / "out" / "attestation.json", NOW)
    folder = candidates.staging(workplace, PRODUCT)
    shutil.rmtree(folder)
    release_folder(folder, frame().iloc[1:])  # another night has changed the candidate
    assert _gate(workplace) == ["attestation-of-other-data"]
    with pytest.raises(Refused) as refusal:
        evaluation.place(workplace, PRODUCT, place / "out" / "attestation.json", NOW)
    assert [r.code for r in refusal.value.reasons] == ["attestation-of-other-data"]
    path = workplace.home / placed["file"]
    path.write_bytes(path.read_bytes().replace(b'"passed":true', b'"passed":false', 1))
    assert _gate(workplace) == ["attestation-tampered"]


def _own_roles(workplace: Workplace, change: Callable[[dict[str, Any]], Any]) -> None:
    path = workplace.home / "config" / "roles.yaml"
    roles = yaml.safe_load(path.read_text(encoding="utf-8"))
    change(roles["roles"])
    path.write_text(yaml.safe_dump(roles), encoding="utf-8")


def test_only_a_registered_evaluator_without_another_role_counts(place: Path, workplace: Workplace) -> None:
    evaluation.place(workplace, PRODUCT, place / "out" / "attestation.json", NOW)
    _own_roles(workplace, lambda r: r["data-owner"]["keys"].extend(r["quality-evaluator"]["keys"]))
    assert _gate(workplace) == ["attestation-by-rights-holder"]
    _own_roles(workplace, lambda r: (r["data-owner"]["keys"].clear(), r["quality-evaluator"]["keys"].clear()))
    assert _gate(workplace) == ["attestation-unknown-issuer"]


def test_an_evaluator_who_found_failures_blocks(place: Path, workplace: Workplace, tmp_path: Path) -> None:
    (tmp_path / "extra.yaml").write_text(EXTRA % 21, encoding="utf-8")
    made = evaluation.evaluate(
        place / "release", place / "evaluator.pem", rules=tmp_path / "extra.yaml", out=tmp_path / "o", today=TODAY
    )
    assert evaluation.place(workplace, PRODUCT, Path(made["attestation"]), NOW)["passed"] is False
    assert _gate(workplace) == ["evaluation-failed"]


def test_the_page_knows_who_has_evaluated_a_published_version(place: Path, workplace: Workplace) -> None:
    evaluation.self_assess(workplace, PRODUCT)
    own = evaluation.attestation_dir(workplace.home, PRODUCT, "1.1") / evaluation.SELF
    first = own.read_bytes()
    version = publish(workplace.home, candidates.staging(workplace, PRODUCT))
    assert own.read_bytes() == first
    assert _codes(own, None) == set()  # finds the version it is about in the home
    assert attestation.read(first).release_digest == file_sha256(version / "manifest.json")
    placed = evaluation.place(workplace, PRODUCT, place / "out" / "attestation.json", NOW)
    assert placed["published"]
    (own.parent / "independent-0.json").write_bytes(first.replace(b"self-assessment", b"independent", 1))
    items = evaluation.shown(workplace, PRODUCT, "1.1")
    assert [(i["kind"], i["name"]["zh"]) for i in items] == [("self-assessment", "发布方"), ("independent", "评估中心")]
    assert evaluation.shown(workplace, PRODUCT, "1.1") == items

"""Releases: the rule, the manifest, and a commit that survives being killed between any two steps."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from meddata_pipeline.core.errors import BadInput, Refused
from meddata_pipeline.exchange import release as releases
from meddata_pipeline.exchange.bundle import verify
from meddata_pipeline.exchange.release import (
    commit,
    commits,
    contributions_of,
    file_entries,
    latest,
    manifest,
    next_version,
    release_digest,
    release_rule,
)
from meddata_pipeline_tests.unit.exchange.trade import (
    CONTRIBUTIONS,
    RAW,
    facts,
    offer,
    publish,
    release_signer,
    stage,
    staged_manifest,
)

LAST = {"candidate_digest": "0" * 64, "as_of": "2024-01-31", "version": "1.1"}


def _codes(last: dict[str, Any] | None, rule: dict[str, Any] | None = None, **changes: Any) -> list[str]:
    terms = offer(release={**RAW["release"], **(rule or {})})
    return [reason.code for reason in release_rule(terms, last, facts(**changes))]


def test_the_first_version_needs_hospitals_only() -> None:
    assert _codes(None) == []
    assert _codes(None, hospitals=("hospital-a",)) == ["too-few-hospitals"]
    assert _codes(None, new_persons=0) == []


def test_the_same_candidate_is_unchanged_whatever_else() -> None:
    assert _codes({**LAST, "candidate_digest": facts().candidate_digest}, hospitals=()) == ["unchanged"]


@pytest.mark.parametrize(
    ("cadence", "as_of", "due"),
    [
        ("every-run", "2024-01-31", True),
        ("daily", "2024-01-31", False),
        ("daily", "2024-02-01", True),
        ("weekly", "2024-02-06", False),
        ("weekly", "2024-02-07", True),
        ("monthly", "2024-01-31", False),
        ("monthly", "2024-02-01", True),
        ("monthly", "2025-01-01", True),
    ],
)
def test_cadence_counts_the_days_of_deliveries(cadence: str, as_of: str, due: bool) -> None:
    assert _codes(LAST, {"cadence": cadence}, as_of=as_of) == ([] if due else ["cadence"])


def test_few_new_persons_wait_within_a_major_version() -> None:
    assert _codes(LAST, new_persons=9) == ["too-few-new-persons"]
    assert _codes(LAST, new_persons=10) == []
    assert _codes(LAST, new_persons=0, contract_major=2) == []


def test_a_withdrawal_is_honoured_without_new_persons() -> None:
    assert _codes(LAST, new_persons=0, removed_persons=1) == []


def test_a_manifest_depends_on_content_only(tmp_path: Path) -> None:
    one, two = stage(tmp_path / "one"), stage(tmp_path / "two")
    os.utime(two / "report.html", (0, 0))
    assert release_digest(staged_manifest(one)) == release_digest(staged_manifest(two))
    (two / "results.json").write_text("{ }")
    assert release_digest(staged_manifest(one)) != release_digest(staged_manifest(two))


@pytest.mark.parametrize("path", ["../x", "/x", "a//b", "./a", "", "manifest.json", "manifest.sig"])
def test_a_manifest_lists_plain_paths_only(path: str) -> None:
    with pytest.raises(BadInput):
        manifest({path: {"sha256": "a" * 64, "bytes": 1}}, staged_meta())


def staged_meta() -> dict[str, Any]:
    """What a manifest must say."""
    return {
        "product": "demo",
        "version": "1.1",
        "candidate_digest": "c" * 64,
        "as_of": "2024-01-02",
        "hospitals": [],
        "persons": 0,
        "form": "report",
        "access": "download",
    }


def test_a_manifest_without_its_facts_is_refused() -> None:
    meta = staged_meta()
    del meta["persons"]
    with pytest.raises(BadInput, match="persons"):
        manifest({"a": {"sha256": "a" * 64, "bytes": 1}}, meta)


def test_versions_follow_each_other(tmp_path: Path) -> None:
    assert next_version(tmp_path, "demo", 1) == "1.1"
    first = publish(tmp_path)
    assert publish(tmp_path) == first
    assert next_version(tmp_path, "demo", 2) == "2.2"
    second = publish(tmp_path, "2.2", "second")
    assert [c.version for c in commits(tmp_path, "demo")] == ["1.1", "2.2"]
    assert latest(tmp_path, "demo") == second
    assert (first.previous, second.previous) == (None, first.digest)
    assert contributions_of(tmp_path, second) == CONTRIBUTIONS
    assert verify(tmp_path / "products/demo/2.2", public_key=second.key)["trusted"]


def test_a_version_is_immutable_and_in_turn(tmp_path: Path) -> None:
    publish(tmp_path)
    for version, text in (("1.1", "other"), ("2.1", "first"), ("1.3", "first")):
        with pytest.raises(Refused) as refusal:
            publish(tmp_path, version, text)
        assert refusal.value.reasons[0].code == "version-taken"
    assert (tmp_path / "products/demo/1.1/report.html").read_text() == "<p>first</p>"


def test_small_counts_per_hospital_stay_in_the_restricted_zone(tmp_path: Path) -> None:
    made = publish(tmp_path)
    assert "3" not in json.dumps(made.as_dict()["hospitals"])
    published = b"".join(p.read_bytes() for p in (tmp_path / "products").rglob("*") if p.is_file())
    assert b"contributions" not in published
    assert (tmp_path / "restricted").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("damage", ["extra", "missing", "changed", "link"])
def test_files_that_differ_from_the_manifest_are_refused(tmp_path: Path, damage: str) -> None:
    folder = stage(tmp_path / "staged")
    release = staged_manifest(folder)
    if damage == "extra":
        (folder / "extra.csv").write_text("x")
    elif damage == "missing":
        (folder / "results.json").unlink()
    elif damage == "changed":
        (folder / "results.json").write_text("[]")
    else:
        (folder / "results.json").unlink()
        (folder / "results.json").symlink_to(folder / "report.html")
    with pytest.raises(Refused) as refusal:
        commit(tmp_path, "demo", folder, release, release_signer())
    assert refusal.value.reasons[0].code in ("manifest-mismatch", "not-a-plain-file")
    assert commits(tmp_path, "demo") == []


class _Killed(BaseException):
    """The process is gone; nothing may catch it."""


def _steps(monkeypatch: pytest.MonkeyPatch, on_step: Callable[[], None]) -> None:
    """Call ``on_step`` before every system call by which a commit changes the disk."""

    def wrap(owner: Any, name: str) -> None:
        real = getattr(owner, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            on_step()
            return real(*args, **kwargs)

        monkeypatch.setattr(owner, name, call)

    for owner, names in (
        (os, ("replace", "link", "fsync", "mkdir", "rename", "chmod")),
        (shutil, ("rmtree", "copyfileobj")),
        (Path, ("rename", "unlink", "mkdir")),
    ):
        for name in names:
            wrap(owner, name)


def test_a_commit_may_be_killed_before_any_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    count = 0

    def tick() -> None:
        nonlocal count
        count += 1
        if count == limit:
            raise _Killed

    limit = -1
    reference = tmp_path / "reference"
    publish(reference)
    with monkeypatch.context() as patched:
        _steps(patched, tick)
        wanted = publish(reference, "1.2", "second")
    total = count
    assert total > 30
    for moment in range(1, total + 1):
        home = tmp_path / f"home{moment}"
        publish(home)
        count, limit = 0, moment
        with monkeypatch.context() as patched:
            _steps(patched, tick)
            with pytest.raises(_Killed):
                publish(home, "1.2", "second")
        seen = commits(home, "demo")
        for made in seen:  # whatever is visible is whole
            report = verify(home / "products/demo" / made.version, public_key=made.key)
            assert report["trusted"], report
            assert report["release_digest"] == made.digest
        assert contributions_of(home, seen[0]) == CONTRIBUTIONS
        assert publish(home, "1.2", "second") == wanted
        assert len(commits(home, "demo")) == 2
        assert contributions_of(home, wanted) == CONTRIBUTIONS
        shutil.rmtree(home)


def test_remains_of_another_release_are_replaced(tmp_path: Path) -> None:
    remains = tmp_path / "products/demo/1.1"
    remains.mkdir(parents=True)
    (remains / "leftover.csv").write_text("x")
    made = publish(tmp_path)
    assert not (remains / "leftover.csv").exists()
    assert set(file_entries(remains)) == {"report.html", "results.json", "data/数据字典.csv"}
    assert verify(remains, public_key=made.key)["trusted"]


def _race(home: Path, text: str, barrier: Any, answers: Any) -> None:
    folder = stage(home / "restricted" / text, text)
    barrier.wait()
    try:
        made = commit(home, "demo", folder, staged_manifest(folder), release_signer())
        answers.put(made.digest)
    except Refused as refusal:
        answers.put(refusal.reasons[0].code)


def test_of_two_processes_that_commit_at_once_one_wins(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    for attempt in range(3):
        home = tmp_path / str(attempt)
        barrier, answers = context.Barrier(2), context.Queue()
        racers = [context.Process(target=_race, args=(home, text, barrier, answers)) for text in ("one", "two")]
        for racer in racers:
            racer.start()
        got = [answers.get(timeout=60) for _ in racers]
        for racer in racers:
            racer.join()
        made = latest(home, "demo")
        assert made is not None
        assert sorted(got) == sorted(["version-taken", made.digest])
        assert verify(home / "products/demo/1.1", public_key=made.key)["release_digest"] == made.digest


def test_reading_commits_ignores_what_is_no_commit(tmp_path: Path) -> None:
    made = publish(tmp_path)
    (tmp_path / "products/demo/commits/.x.part").write_text("{")
    (tmp_path / "products/demo/commits/notes.json").write_text("{")
    assert commits(tmp_path, "demo") == [made]
    assert releases.find_version(tmp_path, "demo", "1.1") == made
    with pytest.raises(BadInput, match="not published"):
        releases.find_version(tmp_path, "demo", "1.2")

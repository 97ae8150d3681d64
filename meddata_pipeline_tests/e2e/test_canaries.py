"""No identifier leaves the restricted zone: canaries in every identifying field, searched for everywhere else."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml

from meddata_pipeline.core.config import Config
from meddata_pipeline.exchange import recipients
from meddata_pipeline.orchestration.runner import Runner
from meddata_pipeline_tests.conftest import PATIENTS
from meddata_pipeline_tests.e2e import landing_files, pipeline
from meddata_pipeline_tests.e2e.canaries import Planted, Search, plant


@dataclass(frozen=True)
class World:
    """A landing folder full of canaries, and what a run made of it.

    Attributes:
        root: holds the home, the working folder and the temporary folder of the command.
        landing: the landing folder.
        planted: the canaries.
        search: looks for them.
        answer: what the run answered.
    """

    root: Path
    landing: Path
    planted: Planted
    search: Search
    answer: pipeline.Answer

    @property
    def home(self) -> Path:
        """The home."""
        return self.root / "out" / "home"

    def meddata(self, *arguments: str | Path) -> pipeline.Answer:
        """A command that leaves everything it writes below root/out."""
        return _meddata(self.root, *arguments)

    def hits(self) -> dict[str, set[str]]:
        """Canaries outside landing/ and restricted/: files with what was found in them."""
        identity = recipients.demo_buyer(pipeline.workplace(self.home, self.landing).keyring)
        return self.search.below(self.root / "out", but=[self.home / "restricted"], identity=identity)

    def said(self, answer: pipeline.Answer) -> set[tuple[str, str]]:
        """Canaries in what a command printed."""
        return self.search.inside(answer.stdout.encode()) | self.search.inside(answer.stderr.encode())


def _meddata(root: Path, *arguments: str | Path) -> pipeline.Answer:
    out = root / "out"
    for name in ("cwd", "tmp", "user"):
        (out / name).mkdir(parents=True, exist_ok=True)
    env = {"TMPDIR": str(out / "tmp"), "HOME": str(out / "user")}
    return pipeline.meddata(*arguments, env=env, cwd=out / "cwd")


def build(root: Path, seed: int = 1, patients: int = PATIENTS) -> World:
    """Sample, plant, run."""
    made = _meddata(root, "sample", "--out", root / "plain", "--patients", str(patients), "--seed", str(seed))
    assert made.code == 0, made.stderr
    planted = plant(root / "plain", root / "truth", root / "landing")
    home = root / "out" / "home"
    answer = _meddata(root, "run", "--landing", root / "landing", "--home", home, "--demo-keys")
    return World(root, root / "landing", planted, Search(planted.tokens), answer)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return build(tmp_path_factory.mktemp("canaries"))


def test_canaries_lie_in_every_identifying_field(world: World) -> None:
    """The other tests prove nothing unless the landing folder is full of canaries and the search finds them there."""
    assert world.planted.cells > 5_000
    assert world.planted.missed <= 3
    found: set[str] = set()
    for path in landing_files.tables(world.landing):
        text = "\n".join("\t".join(row) for row in landing_files.read(path))
        encoded = text.encode("gb18030", "surrogateescape") if "hospital-a" in str(path) else text.encode("utf-8")
        found |= {token for token, _ in world.search.inside(encoded + path.name.encode())}
    kinds = {"PERSON", "CN_RESIDENT_ID", "PHONE_NUMBER", "MEDICAL_ID", "LOCATION", "CN_INSURANCE", "EMAIL_ADDRESS"}
    assert kinds | {"ORGANIZATION", "OTHER_ID", "header", "unmapped column", "note"} <= set(
        world.planted.tokens.values()
    )
    # Digits without their separators are searched for, but only some stand like that in the files.
    whole = [t for t, kind in world.planted.tokens.items() if kind in ("PERSON", "CN_RESIDENT_ID", "unmapped column")]
    assert set(whole) <= found


def test_the_run_works_as_if_nothing_had_been_changed(world: World) -> None:
    assert world.answer.code == 0, world.answer.stderr
    assert {p["status"] for p in world.answer.body["products"]} == {"published"}
    assert world.answer.body["rows_quarantined"] < 0.02 * world.answer.body["rows_in"]


def test_no_canary_is_found_outside_landing_and_restricted(world: World) -> None:
    assert world.hits() == {}
    assert world.said(world.answer) == set()


def test_data_docs_and_verdicts_hold_none_either(world: World) -> None:
    """They lie in the restricted zone, in clear: people open the pages, and status reads the manifests."""
    docs = world.home / "restricted" / "quality"
    assert len(list(docs.glob("hospital-*/*/lab.html"))) == 6
    assert list(docs.glob("products/*/*.html"))
    assert world.search.below(docs) == {}
    manifests = [p for n in ("judged", "quarantine/quality") for p in (docs.parent / n).rglob("_manifest.json")]
    assert len(manifests) > 6
    for path in manifests:
        assert world.search.inside(path.read_bytes()) == set(), path.parent


def test_commands_that_look_at_a_home_say_none(world: World) -> None:
    home = world.home
    for arguments in (
        ["status", "--landing", world.landing],
        ["quarantine", "list"],
        ["quarantine", "show", "hospital-a", "2024-01-01"],
        ["release", "show", pipeline.COHORT],
        ["explain", "hospital-a/病案号"],
        ["review", "sample", "--n", "30"],
    ):
        assert world.said(world.meddata(*arguments, "--home", home)) == set(), arguments


def test_failures_do_not_tell_either(world: World) -> None:
    """Files that break readers, a profile that contradicts them, and a cohort that trips over its own data."""
    landing = world.root / "broken"
    shutil.copytree(world.landing, landing)
    name = next(t for t, kind in world.planted.tokens.items() if kind == "PERSON")
    number = next(t for t, kind in world.planted.tokens.items() if kind == "CN_RESIDENT_ID")
    (people,) = landing.glob("hospital-c/2024-01-02/patients_*.csv")
    people.write_bytes(f'{name},{number}\n\0\0{name},"{number}\n'.encode() + b"\xff\xfe" + name.encode("utf-16-le"))
    (book,) = landing.glob("hospital-b/2024-01-02/检验报告*.xlsx")
    book.write_bytes(book.read_bytes()[:3000] + name.encode())
    (table,) = landing.glob("hospital-c/2024-01-02/notes_*.csv")
    table.write_text('note_no,note_text\n1,"' + f"{name}{number}," * 40_000, encoding="utf-8")
    for delivery in landing.glob("*/2024-01-02"):
        (delivery / "_manifest.csv").unlink()
    profile = yaml.safe_load(Config([]).find("hospitals/hospital-b.yaml").read_text(encoding="utf-8"))
    head = next(t for t in profile["tables"].values() if t["kind"] == "patient")
    head["columns"]["birth_date"]["from"] = head["columns"]["patient_no"]["from"]
    overlay = world.home / "config" / "hospitals" / "hospital-b.yaml"
    overlay.parent.mkdir(parents=True)
    overlay.write_text(yaml.safe_dump(profile, allow_unicode=True), encoding="utf-8")
    some = ["--hospital", "hospital-b", "--hospital", "hospital-c", "--product", pipeline.COHORT]
    answer = world.meddata("run", "--landing", landing, "--home", world.home, *some)
    assert answer.code in (0, 1), answer.stderr
    assert world.said(answer) == set()
    assert world.hits() == {}
    overlay.write_text(f"hospital: hospital-b\ntables: [{name}\n", encoding="utf-8")
    answer = world.meddata("run", "--landing", landing, "--home", world.home, "--demo-keys")
    assert answer.code in (1, 2)
    assert "Traceback" not in answer.stderr
    overlay.unlink()
    assert world.hits() == {}


def test_an_error_deep_inside_does_not_tell_what_it_choked_on(
    world: World, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A library quotes the row it could not handle, in a chain of exceptions, in the middle of the real job."""

    def choke(_: Any, kind: str, table: pa.Table, **_progress: Any) -> None:
        try:
            raise ValueError(f"could not convert {table.slice(0, 5).to_pylist()}")
        except ValueError as error:
            raise RuntimeError(f"{kind}: {table.slice(5, 5).to_pylist()}") from error

    for name in [k for k in os.environ if k.startswith("MEDDATA_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("DAGSTER_HOME", "")  # the runner sets it for this process
    monkeypatch.setattr("meddata_pipeline.privacy.deid.Deidentifier.table", choke)
    home = world.root / "choked"
    runner = Runner(pipeline.workplace(home, world.landing))
    summary = runner.run(hospitals=["hospital-c"], days=["2024-01-01"])
    assert [f["job"] for f in summary.failed] == ["deidentify_delivery"]
    told = json.dumps(summary.as_dict(), ensure_ascii=False) + "".join(capfd.readouterr())
    assert "restricted/errors" in told
    assert world.search.inside(told.encode()) == set()
    assert world.search.below(home, but=[home / "restricted"]) == {}
    kept = b"".join(p.read_bytes() for p in (home / "restricted" / "errors").iterdir())
    assert {"PERSON", "MEDICAL_ID"} <= {kind for _, kind in world.search.inside(kept)}

"""A product that is published twice: who holds both tables, and knows whose row is whose, singles nobody out.

The births are made up, in the form of the hospital `baystate`. Every birth has a weight of its own, so that a row of a
released table tells whose it is: the attacker here knows more than any real one, and reads nothing but the two files.
Most tests begin with the cohort and cut the version themselves; the slow one goes the whole way from files.
"""

from __future__ import annotations

import csv
import json
import random
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
import yaml

from meddata_pipeline.app import attacks, candidates, dossier, evaluation, releases
from meddata_pipeline.app.outcome import Outcome
from meddata_pipeline.app.workplace import Workplace
from meddata_pipeline.core.errors import Refused
from meddata_pipeline.core.settings import Settings
from meddata_pipeline.exchange import release
from meddata_pipeline.orchestration.runner import Runner
from meddata_pipeline.storage.files import PRIVATE_FILE, clear_dir, write_atomic
from meddata_pipeline.storage.keys import new_root_key
from meddata_pipeline_tests.e2e import pipeline

PRODUCT = pipeline.REAL
HEADER = ["rownames", "low", "age", "lwt", "race", "smoke", "ptl", "ht", "ui", "ftv", "bwt"]
QUASI = ["age", "race", "lwt"]
K = 5
FIRST = 420
Birth = dict[str, int]


def birth(number: int, rng: random.Random, **known: int) -> Birth:
    """A made-up birth; its weight, to tens of grams, is nobody else's."""
    weight = 700 + 10 * number
    made = {"low": int(weight < 2500), "age": rng.randint(15, 38), "lwt": rng.randint(90, 190)}
    made |= {name: rng.randint(0, 1) for name in ("smoke", "ht", "ui")}
    made |= {"race": rng.randint(1, 3), "ptl": rng.randint(0, 2), "ftv": rng.randint(0, 4), "bwt": weight}
    return {"rownames": 10_000 + number, **made, **known}


def deliver(landing: Path, day: str, births: list[Birth], optout: list[Birth] = ()) -> None:  # type: ignore[assignment]
    """One day's snapshot, and who has opted out."""
    folder = landing / "baystate" / day
    folder.mkdir(parents=True)
    with (folder / "births.csv").open("w", encoding="utf-8", newline="") as handle:
        writer = csv.DictWriter(handle, HEADER)
        writer.writeheader()
        writer.writerows(births)
    if optout:
        (folder / "optout.csv").write_text("patient_no\n" + "".join(f"{b['rownames']}\n" for b in optout))


def released(home: Path, version: str) -> dict[int, tuple[str, ...]]:
    """Person (by weight) → class, from one released file."""
    table = pd.read_parquet(home / "products" / PRODUCT / version / "data.parquet")
    classes = table[QUASI].astype(str).itertuples(index=False, name=None)
    return dict(zip(table["bwt"].astype(int), classes, strict=True))


def patterns(*versions: dict[int, tuple[str, ...]]) -> dict[int, tuple[Any, ...]]:
    """Person → what the person is in each version, of all who are in any."""
    return {person: tuple(v.get(person) for v in versions) for person in set().union(*versions)}


def enrol(place: Workplace, births: list[Birth]) -> None:
    """Put births into the restricted cohort, as the nights would."""
    columns = {name: [b[name] for b in births] for name in HEADER[1:]}
    table = pa.table({"person_id": [f"person-{b['rownames']}" for b in births], **columns})
    partition = candidates.cohort_partition(candidates.spec_of(place, PRODUCT))
    place.keep(partition, table, {}, Outcome("", facts={"persons": len(births), "as_of": "2024-03-01"}))


def publish(place: Workplace) -> releases.State:
    """Cut a version of the candidate's table alone, as a run does it from the whole dossier."""
    folder = candidates.staging(place, PRODUCT)
    clear_dir(folder)
    write_atomic(folder / "data.parquet", dossier.parquet(place, PRODUCT))
    write_atomic(folder / "contract.yaml", place.config.find(f"products/{PRODUCT}/contract.yaml").read_bytes())
    content = place.manifest(candidates.candidate_partition("table", PRODUCT)).digest
    major = candidates.contract_of(place, PRODUCT).major
    version = dossier.version_for(place, PRODUCT, content, major)
    meta = {"product": PRODUCT, "version": version, "content_digest": content, "candidate_digest": content}
    meta |= {"as_of": "2024-03-01", "hospitals": ["baystate"], "persons": 400, "form": "microdata"}
    answer = {"files": release.file_entries(folder), "meta": {**meta, "access": "download", "demo": True}}
    place.keep_object(candidates.candidate_partition("dossier", PRODUCT), answer, {}, Outcome(""))
    with pytest.MonkeyPatch.context() as rest:
        # The gates that need the rest of the dossier are not what is tested here.
        rest.setattr(evaluation, "self_assess", lambda *_: None)
        rest.setattr(evaluation, "gate", lambda *_: [])
        rest.setattr(attacks, "is_current", lambda *_: True)
        releases.release(place, PRODUCT)
    return releases.state_of(place, PRODUCT) or pytest.fail("the release left no state")


def configure(home: Path, name: str, **changes: Any) -> None:
    """Overlay a file of the product's configuration."""
    path = home / "config" / "products" / PRODUCT / f"{name}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    source = path if path.exists() else Settings(home=home).config.find(f"products/{PRODUCT}/{name}.yaml")
    raw = yaml.safe_load(source.read_text(encoding="utf-8"))
    path.write_text(yaml.safe_dump({**raw, **changes}, allow_unicode=True), encoding="utf-8")


def row_ids(home: Path, version: str) -> dict[int, str]:
    """Person (by weight) → row id, from one released file."""
    table = pd.read_parquet(home / "products" / PRODUCT / version / "data.parquet")
    return dict(zip(table["bwt"].astype(int), table["row_id"], strict=True))


class Days:
    """The births of three days: on the second some come, one leaves and one had been given a wrong age."""

    def __init__(self, home: Path) -> None:
        self.rng = random.Random(5)
        self.home = home
        self.first = [birth(n, self.rng) for n in range(FIRST)]
        self.alike = [birth(FIRST + n, self.rng, age=22, race=1, lwt=120) for n in range(30)]
        self.alone = birth(FIRST + 30, self.rng, age=27, race=3, lwt=170)

    def second(self) -> list[Birth]:
        """The second day, once the first version is out."""
        before = released(self.home, "1.1")
        sizes = Counter(before.values())
        large = [b for b in self.first if b["bwt"] in before and sizes[before[b["bwt"]]] >= 3 * K]
        self.leaver = next(b for b in large if b["age"] < 20)
        self.corrected = next(b for b in large if b["age"] >= 30)
        stay = [b | {"age": 17} if b is self.corrected else b for b in self.first if b is not self.leaver]
        return [*stay, *self.alike, self.alone]

    def attack(self) -> Counter[tuple[Any, ...]]:
        """People by pattern over both versions; asserts that none is small and that all who stand out are away."""
        before, after = released(self.home, "1.1"), released(self.home, "1.2")
        counted = Counter(patterns(before, after).values())
        assert min(counted.values()) >= K
        assert len(set(before) - set(after)) >= K
        assert {b["bwt"] for b in self.alike} <= set(after)
        assert not {b["bwt"] for b in (self.alone, self.corrected, self.leaver)} & set(after)
        assert set(after.values()) <= set(before.values()), "the levels are those of the first version"
        assert not set(row_ids(self.home, "1.1").values()) & set(row_ids(self.home, "1.2").values())
        return counted


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> tuple[Days, Path, list[Birth]]:
    """A home with two versions, and the births of the second; to be copied by tests that go on."""
    home = tmp_path_factory.mktemp("versions") / "home"
    place, days = pipeline.workplace(home, home / "landing"), Days(home)
    enrol(place, days.first)
    candidates.protect(place, PRODUCT)
    assert publish(place).status == "published"
    second = days.second()
    enrol(place, second)
    candidates.protect(place, PRODUCT)
    assert publish(place).status == "published"
    return days, home, second


def reopened(home: Path, tmp_path: Path) -> Workplace:
    return pipeline.workplace(Path(shutil.copytree(home, tmp_path / "home")), tmp_path)


def test_two_versions_together_tell_of_nobody(two: tuple[Days, Path, list[Birth]]) -> None:
    days, home, _ = two
    days.attack()
    manifest = pipeline.workplace(home, home).manifest(candidates.candidate_partition("table", PRODUCT))
    facts, checks = manifest.facts["facts"], {c["name"]: c for c in manifest.facts["checks"]}
    told, balance = facts["report"]["versions"], facts["balance"]
    assert (told["since"], told["live"]) == ("1.1", 1)
    assert told["exposed"] >= 3
    assert balance["rows_in"] == FIRST + 30 == balance["rows_out"] + sum(balance["suppressed"].values())
    assert balance["suppressed"]["versions"] == told["withheld_rows"] >= 3
    assert sum(balance["suppressed"].values()) <= 0.05 * balance["rows_in"]
    check = checks["live_versions"]
    assert check["passed"]
    assert check["facts"]["exposed"] == ("<10" if told["exposed"] < 10 else told["exposed"])
    # Nothing outside the restricted zone tells who was in which class.
    for path in (home / "products").rglob("*"):
        assert not path.is_file() or b"person-1" not in path.read_bytes()


def test_a_published_version_is_not_an_earlier_version_of_itself(
    two: tuple[Days, Path, list[Birth]], tmp_path: Path
) -> None:
    _, home, second = two
    place = reopened(home, tmp_path)
    kept = candidates.protect(place, PRODUCT)
    assert not kept.changed
    assert publish(place).status == "unchanged"
    # Made for the same version again, before its commit: the same bytes, also after the facts were written.
    enrol(place, second[:-20])
    once = candidates.protect(place, PRODUCT)
    for name in ("table", "classes"):
        (place.settings.restricted / "candidate" / name / PRODUCT / "_manifest.json").unlink()
    again = candidates.protect(place, PRODUCT)
    assert once.changed
    assert again.changed
    assert again.digest == once.digest


def test_many_who_leave_at_once_are_counted_and_refused(two: tuple[Days, Path, list[Birth]], tmp_path: Path) -> None:
    days, home, second = two
    place = reopened(home, tmp_path)
    before, after = released(home, "1.1"), released(home, "1.2")
    counted = days.attack()
    groups = [pattern for pattern, _ in counted.most_common() if pattern[1] is not None][:12]
    whole = patterns(before, after)
    gone = {next(p for p, pattern in sorted(whole.items()) if pattern == group) for group in groups}
    assert len(gone) == 12
    # Who was withheld stays away, so that the leavers are all that changes.
    third = [b for b in second if b["bwt"] in after and b["bwt"] not in gone]
    small = Counter((*whole[p], whole[p][1] if p in {b["bwt"] for b in third} else None) for p in whole)
    exposed = sum(n for n in small.values() if n < K)
    assert exposed == 12
    enrol(place, third)
    with pytest.raises(Refused) as refusal:
        candidates.protect(place, PRODUCT)
    (reason,) = refusal.value.reasons
    assert reason.code == "versions-expose"
    assert "would expose 12 persons" in reason.detail
    # A coarser major version has room for it: the same people, and nobody is told apart.
    configure(place.home, "contract", version="2.0")
    quasi = {"age": {"raw": False, "open": True, "intervals": [[]]}, "race": {}}
    quasi["lwt"] = {"raw": False, "open": True, "intervals": [[]]}
    configure(place.home, "privacy", quasi_identifiers=quasi, suppression_limit=0.2)
    candidates.protect(place, PRODUCT)
    assert publish(place).status == "published"
    newest = released(place.home, "2.3")
    assert min(Counter(patterns(before, after, newest).values()).values()) >= K


def test_other_hierarchies_need_a_new_major_version(two: tuple[Days, Path, list[Birth]], tmp_path: Path) -> None:
    _, home, _ = two
    place = reopened(home, tmp_path)
    quasi = {"age": {"raw": False, "open": True, "intervals": [[20, 30], []]}, "race": {}, "lwt": {}}
    configure(place.home, "privacy", quasi_identifiers=quasi)
    with pytest.raises(Refused) as refusal:
        candidates.protect(place, PRODUCT)
    assert [r.code for r in refusal.value.reasons] == ["frozen-scheme"]
    assert not candidates._inputs_hold(place, candidates.spec_of(place, PRODUCT))


def test_without_the_people_of_an_earlier_version_nothing_is_made(
    two: tuple[Days, Path, list[Birth]], tmp_path: Path
) -> None:
    _, home, second = two
    place = reopened(home, tmp_path)
    shutil.rmtree(place.settings.restricted / "candidate" / "released-classes" / PRODUCT / "1")
    enrol(place, second[:-1])
    with pytest.raises(Refused) as refusal:
        candidates.protect(place, PRODUCT)
    assert [r.code for r in refusal.value.reasons] == ["versions-unknown"]


def test_row_ids_by_linkability(two: tuple[Days, Path, list[Birth]], tmp_path: Path) -> None:
    days, _, _ = two
    more = [birth(FIRST + 40 + n, days.rng, age=22, race=1, lwt=120) for n in range(12)]
    for name, terms in {
        "kept": {"linkability": "versions"},
        "longitudinal": {"linkability": "versions", "longitudinal": True},
    }.items():
        home = tmp_path / name
        place = pipeline.workplace(home, home)
        configure(home, "privacy", **terms)
        for births in (days.first, [*days.first, *more]):
            enrol(place, births)
            candidates.protect(place, PRODUCT)
            assert publish(place).status == "published"
        first, second = row_ids(home, "1.1"), row_ids(home, "1.2")
        both = set(first) & set(second)
        assert len(both) > 300
        same = {person for person in both if first[person] == second[person]}
        assert same == (both if name == "longitudinal" else set())
        assert len(set(first.values()) & set(second.values())) == len(same)


def test_each_version_has_a_random_key_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_atomic(tmp_path / "root.key", new_root_key(), PRIVATE_FILE)
    monkeypatch.setenv("MEDDATA_KEY_FILE", str(tmp_path / "root.key"))
    place = Workplace(Settings(home=tmp_path / "home"), tmp_path)
    assert not place.keyring.demo
    first = dossier.random_key(place, PRODUCT, "c" * 64, 1)
    assert dossier.random_key(place, PRODUCT, "c" * 64, 1) == first
    assert dossier.random_key(place, PRODUCT, "c" * 64, 2) != first, "the same cohort under another policy"
    assert dossier.random_key(place, pipeline.COHORT, "c" * 64, 1) != first
    assert dossier.destroy_keys(place, PRODUCT)
    assert not dossier.destroy_keys(place, PRODUCT)
    assert dossier.random_key(place, PRODUCT, "c" * 64, 1) != first
    assert list((place.settings.zone("keys") / "releases" / pipeline.COHORT).glob("*.key"))


@pytest.mark.slow
def test_from_files_to_two_versions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_HOME", "")  # the runner sets it for this process
    home, landing = tmp_path / "home", tmp_path / "landing"
    place, days = pipeline.workplace(home, landing), Days(home)
    deliver(landing, "2024-03-01", days.first)
    (product,) = Runner(place).run(products=[PRODUCT]).products
    assert (product["status"], product["version"]) == ("published", "1.1"), product
    second = days.second()
    deliver(landing, "2024-03-02", second, [days.leaver])
    (product,) = Runner(place).run(products=[PRODUCT]).products
    assert (product["status"], product["version"]) == ("published", "1.2"), product
    days.attack()
    evidence = json.loads((home / "products" / PRODUCT / "1.2" / "risk.json").read_bytes())
    assert (evidence["versions"]["since"], evidence["versions"]["live"]) == ("1.1", 1)
    summary = Runner(place).run(products=[PRODUCT])
    assert summary.run_ids == []
    assert summary.products[0]["status"] == "unchanged"

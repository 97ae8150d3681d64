"""A product that is published twice: who holds both tables, and knows whose row is whose, singles nobody out.

The births are made up, in the form of the hospital `baystate`. Every birth has a weight of its own, so that a row of a
released table tells whose it is: the attacker here knows more than any real one, and reads nothing but the two files.
"""

from __future__ import annotations

import csv
import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from meddata_pipeline.app import candidates
from meddata_pipeline.app.workplace import Workplace
from meddata_pipeline.orchestration.runner import Runner, Summary
from meddata_pipeline.storage.lake import Partition
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


def run(place: Workplace) -> tuple[Summary, dict[str, Any]]:
    summary = Runner(place).run(products=[PRODUCT])
    return summary, summary.products[0]


def test_two_versions_together_tell_of_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_HOME", "")  # the runner sets it for this process
    home, landing, rng = tmp_path / "home", tmp_path / "landing", random.Random(5)
    place = pipeline.workplace(home, landing)
    first = [birth(n, rng) for n in range(FIRST)]
    deliver(landing, "2024-03-01", first)
    _, product = run(place)
    assert (product["status"], product["version"]) == ("published", "1.1"), product

    # Day 2: thirty mothers alike and one alone among her kind, one leaves, one had been given a wrong age.
    before = released(home, "1.1")
    sizes = Counter(before.values())
    large = [b for b in first if b["bwt"] in before and sizes[before[b["bwt"]]] >= 3 * K]
    leaver = next(b for b in large if b["age"] < 20)
    corrected = next(b for b in large if b["age"] >= 30)
    alike = [birth(FIRST + n, rng, age=22, race=1, lwt=120) for n in range(30)]
    alone = birth(FIRST + 30, rng, age=27, race=3, lwt=170)
    second = [b | {"age": 17} if b is corrected else b for b in first if b is not leaver] + [*alike, alone]
    deliver(landing, "2024-03-02", second, [leaver])
    _, product = run(place)
    assert (product["status"], product["version"]) == ("published", "1.2"), product

    after = released(home, "1.2")
    together = patterns(before, after)
    counted = Counter(together.values())
    assert min(counted.values()) >= K
    # The attack is a real one: what was protected alone, as the first version was, has patterns of one person.
    assert len(set(before) - set(after)) >= K
    assert {b["bwt"] for b in alike} <= set(after)
    assert not {alone["bwt"], corrected["bwt"], leaver["bwt"]} & set(after)
    assert set(after.values()) <= set(before.values()), "the levels are those of the first version"

    table = place.manifest(Partition("candidate", "table", (PRODUCT,))).facts["facts"]
    assert table["report"]["versions"]["since"] == "1.1"
    assert table["report"]["versions"]["exposed"] >= 3
    # Whoever is in no file was suppressed for small classes or withheld, and each is counted once.
    balance = table["balance"]
    assert balance["rows_in"] == FIRST + 30 == balance["rows_out"] + sum(balance["suppressed"].values())
    assert balance["suppressed"]["versions"] == table["report"]["versions"]["withheld_rows"] >= 3

    ids = [
        set(pd.read_parquet(home / "products" / PRODUCT / v / "data.parquet", columns=["row_id"])["row_id"])
        for v in ("1.1", "1.2")
    ]
    assert not ids[0] & ids[1]
    evidence = json.loads((home / "products" / PRODUCT / "1.2" / "risk.json").read_bytes())
    assert evidence["versions"]["since"] == "1.1"
    assert evidence["versions"]["live"] == 1

    # Again: nothing has changed, and the version does not count itself as an earlier one.
    summary, product = run(place)
    assert (product["status"], product["version"]) == ("unchanged", "1.2")
    assert summary.run_ids == []
    # Lost between the facts and the commit, or made anew: the same bytes.
    kept = place.manifest(Partition("candidate", "table", (PRODUCT,))).digest
    assert candidates.protect(place, PRODUCT).digest == kept

    # Day 3: one leaves from each of twelve groups. To cover them all would take more than may be suppressed.
    one_of_each = {pattern: person for person, pattern in sorted(together.items()) if pattern[1] is not None}
    leavers = {one_of_each[pattern] for pattern, _ in counted.most_common() if pattern in one_of_each}
    gone = [b for b in second if b["bwt"] in sorted(leavers)[:12]]
    assert len(gone) == 12
    deliver(landing, "2024-03-03", [b for b in second if b not in gone], gone)
    _, product = run(place)
    assert (product["status"], product["version"]) == ("refused", "1.2")
    (reason,) = product["reasons"]
    assert reason["code"] == "versions-expose"
    exposed = exposed_by(place, together, {b["bwt"] for b in gone})
    assert f"would expose {exposed} persons" in reason["detail"], reason
    assert exposed >= 12


def exposed_by(place: Workplace, together: dict[int, tuple[Any, ...]], gone: set[int]) -> int:
    """People of small patterns, if everybody who was withheld from the second version came back beside the leavers.

    Whom the engine suppresses for a small class is asked of it; the patterns are counted here.
    """
    from meddata_pipeline.privacy.tabular import anonymize

    policy, base = candidates.policy_of(place, PRODUCT)
    cohort = place.lake.read(Partition("cohort", "table", (PRODUCT,))).to_pandas()
    scheme = place.manifest(Partition("candidate", "table", (PRODUCT,))).facts["facts"]["report"]["transformation"]
    shown = anonymize(cohort, policy, base, scheme=scheme).require()
    third = dict(
        zip(
            cohort.loc[shown.index, "bwt"].astype(int) // 10 * 10,
            shown[QUASI].astype(str).itertuples(index=False, name=None),
            strict=True,
        )
    )
    assert not gone & set(third)
    people = set(together) | set(third)
    all_three = {p: (*together.get(p, (None, None)), third.get(p)) for p in people}
    sizes = Counter(all_three.values())
    return sum(n for n in sizes.values() if n < K)

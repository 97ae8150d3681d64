"""The linkage attack against a plain attacker, and what it says of protected and unprotected tables."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meddata_pipeline.core.errors import BadInput
from meddata_pipeline.privacy.attack import ages, linkage_attack
from meddata_pipeline.privacy.policy import Policy, parse_policy
from meddata_pipeline.privacy.risk import risk, risk_file
from meddata_pipeline.privacy.tabular import anonymize

BASE = Path()
_DISTRICTS = ["440305", "440304", "440100", "110101"]
_PERSON = st.tuples(
    st.integers(0, 12), st.sampled_from(["440305", "440304", "440100", "110101"]), st.sampled_from("MF")
)


def _policy(**changes: Any) -> Policy:
    raw: dict[str, Any] = {
        "unit": "who",
        "quasi_identifiers": {
            "age": {"intervals": [[0, 5, 10], []], "open": True},
            "district": {"divisions": ["district", "city", "province", "all"]},
            "sex": {},
        },
        "privacy": [{"model": "k-anonymity", "k": 2}],
        "suppression_limit": 0.4,
    }
    return parse_policy({**raw, **changes})


def _may_become(person: tuple[int, str, str]) -> tuple[set[str], set[str], set[str]]:
    age, district, sex = person
    bins = "[0, 5)" if age < 5 else "[5, 10)" if age < 10 else "[10, ∞)"
    province = {"44": "广东省", "11": "北京市"}[district[:2]]
    return {str(age), bins, "*"}, {district, district[:4] + "00", province, "*"}, {sex, "*"}


@given(
    st.lists(_PERSON, min_size=2, max_size=12),
    st.lists(st.integers(0, 11), min_size=2, max_size=20),
    st.lists(_PERSON, max_size=5),
    st.integers(0, 3),
)
def test_the_attacker_names_a_row_that_fits(
    people: list[tuple[int, str, str]], owners: list[int], strangers: list[tuple[int, str, str]], seed: int
) -> None:
    """Several rows of a person, suppressed rows and people who are not in the table; every number by a plain loop."""
    owners = [owner % len(people) for owner in owners]
    columns = ["age", "district", "sex"]
    table = pd.DataFrame([people[o] for o in owners], columns=columns).assign(who=owners)
    result = anonymize(table, _policy(), BASE)
    if result.table is None:
        return
    released = result.table
    everyone = people + strangers
    register = pd.DataFrame(everyone, columns=columns)
    attack = linkage_attack(
        released, table["who"], register, pd.Series(range(len(everyone))), _policy(), base=BASE, seed=seed
    )
    rows = [tuple(row) for row in released.astype(str).to_numpy().tolist()]
    expected, claims, sure, sure_correct = [], 0, 0, 0
    for number, person in enumerate(everyone):
        may = _may_become(person)
        fits = [
            i
            for i, row in enumerate(rows)
            if set(row) != {"*"} and all(value in options for value, options in zip(row, may, strict=True))
        ]
        own = sum(owners[i] == number for i in fits)
        sure += len(fits) == 1
        sure_correct += len(fits) == 1 == own
        if number in owners:
            claims += bool(fits)
            expected.append(own / len(fits) if fits else 0.0)
    assert (attack.targets, attack.strangers) == (len(set(owners)), len(everyone) - len(set(owners)))
    assert (attack.claims, attack.sure, attack.sure_correct) == (claims, sure, sure_correct)
    assert attack.expected == pytest.approx(sum(expected) / len(expected))
    assert attack.correct <= sum(e > 0 for e in expected) and attack.correct >= sum(e == 1 for e in expected)


def _town(people: int) -> pd.DataFrame:
    generator = np.random.default_rng(3)
    return pd.DataFrame(
        {
            "who": [f"p{i}" for i in range(people)],
            "age": generator.integers(0, 90, people),
            "district": generator.choice(["440305", "440304", "440303", "440106", "110101"], people),
            "sex": generator.choice(["M", "F"], people),
        }
    )


def test_protection_brings_the_success_rate_under_the_threshold() -> None:
    table = _town(2000)
    policy = _policy(
        quasi_identifiers={
            "age": {"intervals": [list(range(0, 100, 10)), [0, 40, 60], []], "open": True},
            "district": {"divisions": ["district", "city", "province", "all"]},
            "sex": {},
        },
        privacy=[{"model": "k-anonymity", "k": 11}],
        risk={"profile": "ema-0070"},
    )
    register = table.drop(columns="who")
    open_table = linkage_attack(register, table["who"], register, table["who"], policy, base=BASE)
    assert open_table.rate > 0.3 and open_table.sure_correct == open_table.sure > 50
    assert not open_table.below_threshold
    assert [reason.code for reason in open_table.reasons()] == ["linkage-attack"]
    released = anonymize(table, policy, BASE).require()
    protected = linkage_attack(released, table["who"], register, table["who"], policy, base=BASE)
    assert protected.sure == 0 and protected.below_threshold and protected.reasons() == []
    # Whoever knows all quasi-identifiers of everybody is the marketer of the risk figures.
    rows = int((released["sex"] != "*").sum())
    assert protected.expected == pytest.approx(risk(released, policy)["marketer"]["success_rate"] * rows / 2000)
    # The chosen rows are a draw around the expectation: many attackers together hit it.
    tries = [
        linkage_attack(released, table["who"], register, table["who"], policy, base=BASE, seed=seed).correct
        for seed in range(200)
    ]
    mean = protected.expected * 2000
    assert abs(np.mean(tries) - mean) < 4 * (mean / 200) ** 0.5
    assert protected == linkage_attack(released, table["who"], register, table["who"], policy, base=BASE)


def test_some_of_the_people_say_little_about_the_others() -> None:
    table = _town(20)
    policy = _policy(quasi_identifiers={"sex": {}}, risk={"threshold": 0.15})
    register = table[["sex"]]
    everybody = linkage_attack(register, table["who"], register, table["who"], policy, base=BASE, seed=5)
    assert everybody.expected == pytest.approx(2 / 20)
    assert everybody.complete and everybody.rate <= 0.15 < everybody.limits[1] and everybody.below_threshold
    some = linkage_attack(register, table["who"], register[1:], table["who"], policy, base=BASE, seed=5)
    assert not some.complete and some.expected <= 0.15 < some.limits[1] and not some.below_threshold
    strict = _policy(quasi_identifiers={"sex": {}}, risk={"threshold": 0.09})
    assert not linkage_attack(register, table["who"], register, table["who"], strict, base=BASE, seed=5).below_threshold
    nobody = linkage_attack(register, table["who"], register, "x" + table["who"], policy, base=BASE)
    assert nobody.targets == 0 and nobody.limits == (0.0, 1.0) and nobody.as_dict()["met"] is False


def test_birth_dates_become_ages() -> None:
    births = pd.Series(["2000-02-29", "2000-03-01", "1900-01-01", "2030-01-01", "", "unknown", None])
    found = ages(births, dt.date(2024, 2, 29)).tolist()
    assert found[:3] == [24, 23, 90] and all(value is pd.NA for value in found[3:])


def test_questions_that_cannot_be_judged_are_refused() -> None:
    table = _town(5)
    register = table.drop(columns="who")
    with pytest.raises(BadInput, match="shares no quasi-identifier"):
        linkage_attack(register, table["who"], table[["who"]], table["who"], _policy(), base=BASE)
    with pytest.raises(BadInput, match="nobody says whose"):
        linkage_attack(register, table["who"].iloc[1:], register, table["who"], _policy(), base=BASE)
    with pytest.raises(BadInput, match="a person twice"):
        linkage_attack(register, table["who"], register, table["who"].replace("p1", "p2"), _policy(), base=BASE)


def test_the_command_attacks_a_table_with_a_register(tmp_path: Path) -> None:
    table = _town(300)
    table.to_csv(tmp_path / "table.csv", index=False)
    births = [f"{2024 - age:04d}-01-01" for age in table["age"]]
    register = pd.DataFrame({"name": table["who"], "born": births, "sex": table["sex"], "place": table["district"]})
    register.to_csv(tmp_path / "register.csv", index=False)
    raw = _policy().model_dump(mode="json", exclude_defaults=True)
    raw["risk"] = {
        "attack": {
            "file": "register.csv",
            "person": "name",
            "columns": {"age": {"age_of": "born", "on": "2024-06-01"}, "sex": "sex", "district": "place"},
        }
    }
    (tmp_path / "policy.yaml").write_text(json.dumps(raw), encoding="utf-8")
    answer = risk_file(tmp_path / "table.csv", tmp_path / "policy.yaml")["attack"]
    assert answer["columns"] == ["age", "district", "sex"] and answer["targets"] == 300
    assert answer["success_rate"] > 0.5 and answer["met"] is False
    assert answer["interval"][0] < answer["success_rate"] < answer["interval"][1]
    with pytest.raises(BadInput, match="no column place"):
        register.drop(columns="place").to_csv(tmp_path / "register.csv", index=False)
        risk_file(tmp_path / "table.csv", tmp_path / "policy.yaml")
    table.drop(columns="who").to_csv(tmp_path / "table.csv", index=False)
    with pytest.raises(BadInput, match="does not say whose"):
        risk_file(tmp_path / "table.csv", tmp_path / "policy.yaml")

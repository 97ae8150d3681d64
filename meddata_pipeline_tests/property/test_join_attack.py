"""The attack that joins two releases: planted answers, a plain second implementation, and what classes promise."""

from __future__ import annotations

import math
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meddata_pipeline.core.canonical import sha256_hex
from meddata_pipeline.privacy.join_attack import JoinAttack, Side, join_attack
from meddata_pipeline.privacy.policy import Policy, parse_policy
from meddata_pipeline.privacy.tabular import anonymize

BASE = Path()


def _policy(k: int = 5, intervals: Any = None, **changes: Any) -> Policy:
    raw: dict[str, Any] = {
        "unit": "who",
        "quasi_identifiers": {
            "age": {"raw": False, "open": True, "intervals": intervals or [[20, 40, 60], []]},
            "sex": {},
        },
        "sensitive": ["crp", "smoker"],
        "privacy": [{"model": "k-anonymity", "k": k}],
        "suppression_limit": 0.05,
        "suppressed": "drop",
    }
    return parse_policy({**raw, **changes})


def _people(count: int, seed: int = 1) -> pd.DataFrame:
    draw = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "who": [f"p{i:05d}" for i in range(count)],
            "age": draw.integers(18, 90, count),
            "sex": draw.choice(["M", "F"], count),
            "crp": draw.lognormal(1.0, 1.0, count),
            "smoker": draw.integers(0, 2, count),
        }
    )


def _side(people: pd.DataFrame, policy: Policy) -> tuple[Side, pd.Series[Any]]:
    released = anonymize(people, policy, BASE).require()
    return Side(released, policy, BASE), people["who"]


def _attack(ours: pd.DataFrame, one: Policy, theirs: pd.DataFrame, two: Policy, seed: int = 1) -> JoinAttack:
    (left, owners), (right, _) = _side(ours, one), _side(theirs.sample(frac=1, random_state=3), two)
    truths = [Side(t.set_index("who"), p, BASE) for t, p in ((ours, one), (theirs, two))]
    return join_attack(left, owners, right, set(theirs["who"]), *truths, seed=seed)


# -- planted answers ---------------------------------------------------------------------------------------------------


def test_exact_laboratory_values_join_everybody_and_coarse_ones_few() -> None:
    people = _people(400)
    found = [
        _attack(people, _policy(**rounded), people, _policy(intervals=[[30, 50, 70], []], **rounded))
        for rounded in ({}, {"round": {"crp": 1}}, {"round": {"crp": -1}})
    ]
    exact, fine, coarse = found
    assert exact.columns == ("age", "sex", "crp", "smoker")
    assert exact.rate == exact.expected == 1.0 and exact.sure == exact.sure_correct == exact.targets
    assert exact.expected > fine.expected > coarse.expected > 1 / 400
    # Age bands that overlap make joint classes that neither release has.
    assert exact.register.expected > fine.register.expected > coarse.register.expected
    assert exact.as_dict()["interval"][0] > 0.99 and exact.as_dict()["interval"][1] == 1.0


def test_classes_that_only_the_join_tells_apart_refuse_the_candidate() -> None:
    """Two products of the same people, each 5-anonymous, whose bands cut each other."""
    ages = [*range(25, 31), *range(31, 35), *range(35, 41)]
    people = pd.DataFrame(
        {"who": [f"p{i}" for i in ages], "age": ages, "sex": "F", "crp": [a * 1.37 for a in ages], "smoker": 1}
    )
    one, two = _policy(intervals=[[0, 35, 100]]), _policy(intervals=[[0, 31, 100]])
    attack = _attack(people, one, people, two)
    # 25–30 (6), 31–34 (4) and 35–40 (6): four people stand in a class of four.
    assert (attack.targets, attack.correct, attack.exposed) == (16, 16, 4)
    assert attack.register.expected == pytest.approx(3 / 16) and attack.below_threshold
    strict = _policy(intervals=[[0, 35, 100]], risk={"threshold": 0.18})
    refused = _attack(people, strict, people, two)
    assert not refused.below_threshold and not refused.as_dict()["met"]
    (reason,) = refused.reasons("other 1.2")
    assert reason.code == "product-join-attack" and reason.where == "other 1.2" and "fewer than 10" in reason.detail
    same = _attack(people, one, people, one)
    assert same.exposed == 0 and same.register.expected == pytest.approx(2 / 16)


def test_rounded_differently_the_same_value_still_joins() -> None:
    people = _people(200, seed=4)
    attack = _attack(people, _policy(round={"crp": 3}), people, _policy(round={"crp": 1}))
    assert attack.expected > 0.5
    blind = _attack(people.assign(crp=1.0), _policy(), people, _policy())
    assert blind.expected < 0.1


def test_people_who_are_not_in_the_other_release_are_no_targets() -> None:
    people = _people(300, seed=5)
    attack = _attack(people, _policy(), people[:200], _policy())
    assert 190 <= attack.targets <= 200 and attack.rate == 1.0  # some are suppressed
    nobody = _attack(people, _policy(), people.assign(who="x" + people["who"]), _policy())
    assert nobody.targets == 0 and nobody.rate == 0.0 and nobody.as_dict()["interval"] == [0.0, 1.0]


def test_without_truth_every_partner_counts_as_right() -> None:
    people = _people(60, seed=6)
    (left, owners), (right, _) = _side(people, _policy()), _side(people, _policy(round={"crp": -2}))
    truth = Side(people.set_index("who"), _policy(), BASE)
    nothing = Side(truth.table.iloc[:0], _policy(), BASE)
    attack = join_attack(left, owners, right, set(people["who"]), truth, nothing)
    assert attack.rate == attack.expected == 1.0


def test_an_id_that_is_kept_joins_versions() -> None:
    people = _people(200, seed=7).assign(crp=1.0, smoker=1)
    (left, owners), (right, _) = _side(people, _policy()), _side(people, _policy())
    ids = people["who"].map(lambda who: sha256_hex(who.encode())[:16])
    sides = [Side(s.table.assign(row_id=ids), s.policy, BASE) for s in (left, right)]
    truth = Side(people.assign(row_id=ids).set_index("who"), _policy(), BASE)
    attack = join_attack(sides[0], owners, sides[1], set(people["who"]), truth, truth)
    assert attack.sure_correct == attack.targets
    other = Side(right.table.assign(row_id="x" + ids), right.policy, BASE)
    assert join_attack(sides[0], owners, other, set(people["who"]), truth, truth).sure == 0


# -- a plain second implementation -------------------------------------------------------------------------------------

_ROW = st.tuples(
    st.integers(18, 70), st.sampled_from("MF"), st.sampled_from([0.5, 1.25, 3.75, None]), st.integers(0, 1)
)


def _band(age: int, points: list[int]) -> tuple[float, float]:
    low = max([p for p in points if p <= age], default=-math.inf)
    return low, min([p for p in points if p > age], default=math.inf)


def _chances(counts: list[int], rows: int) -> list[float]:
    edge = 0.5 / rows
    return [min(max(c / rows, edge), 1 - edge) for c in counts]


def _plain_best(agree: list[list[list[bool]]], i: int, block: list[int], rows: int) -> set[int]:
    score: dict[int, float] = dict.fromkeys(block, 0.0)
    for column in agree:
        (chance,) = _chances([sum(column[i])], rows)
        weight = max(0.0, math.log(0.98 / chance) - math.log(0.02 / (1 - chance)))
        for j in block:
            score[j] += weight * column[i][j]
    top = max(score.values())
    return {j for j, s in score.items() if s >= top - 1e-4}


@settings(max_examples=40, deadline=None)
@given(st.lists(_ROW, min_size=2, max_size=9), st.lists(st.integers(0, 8), min_size=1, max_size=9, unique=True))
def test_the_best_partners_are_those_of_a_plain_loop(rows: list[Any], inside: list[int]) -> None:
    inside = [i for i in inside if i < len(rows)] or [0]
    people = pd.DataFrame(rows, columns=["age", "sex", "crp", "smoker"]).astype({"crp": float})
    people.insert(0, "who", [f"p{i}" for i in range(len(rows))])
    points = ([20, 40, 60], [30, 50])
    one, two = (_policy(1, [p], suppression_limit=0.0) for p in points)
    theirs = people.iloc[inside].reset_index(drop=True)
    left, right = anonymize(people, one, BASE).require(), anonymize(theirs, two, BASE).require()
    truths = [Side(t.set_index("who"), p, BASE) for t, p in ((people, one), (theirs, two))]
    got = join_attack(Side(left, one, BASE), people["who"], Side(right, two, BASE), set(theirs["who"]), *truths)

    def overlap(a: tuple[float, float], b: tuple[float, float]) -> bool:
        return a[0] < b[1] and b[0] < a[1]

    def equal(a: Any, b: Any) -> bool:
        return a == b or (a is None and b is None)

    n, m = range(len(rows)), range(len(inside))
    labs = [[[equal(rows[i][c], rows[inside[j]][c]) for j in m] for i in n] for c in (1, 2, 3)]
    ages = [[overlap(_band(rows[i][0], points[0]), _band(rows[inside[j]][0], points[1])) for j in m] for i in n]
    true = [[overlap((rows[i][0], rows[i][0] + 0.5), _band(rows[inside[j]][0], points[1])) for j in m] for i in n]
    expected, sure = [], 0
    for i in n:
        block = [j for j in m if labs[0][i][j]] or list(m)
        best = _plain_best([ages, *labs], i, block, len(inside))
        mine = _plain_best([true, *labs], i, block, len(inside))
        sure += len(best) == 1
        if i in inside:
            expected.append(len(best & mine) / len(best))
    assert got.targets == len(inside) and got.sure == sure
    assert got.expected == pytest.approx(sum(expected) / len(expected))


# -- what classes promise ----------------------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 6), st.booleans())
def test_alike_generalised_releases_give_at_most_one_in_k(seed: int, k: int, exact: bool) -> None:
    """The same people and the same levels: however well rows join, every joint class still holds k persons."""
    people = _people(80, seed)
    policy = _policy(k, **({} if exact else {"round": {"crp": 0}}))
    attack = _attack(people, policy, people, policy, seed=seed)
    if exact:
        assert attack.exposed == 0
        assert attack.register.expected <= 1 / k + 1e-9


def test_memory_does_not_grow_with_the_square_of_the_rows() -> None:
    people = _people(3_000, seed=8)
    (left, owners), (right, _) = _side(people, _policy()), _side(people, _policy())
    truth = Side(people.set_index("who"), _policy(), BASE)
    tracemalloc.start()
    try:
        attack = join_attack(left, owners, right, set(people["who"]), truth, truth)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert attack.targets == attack.correct > 2_900
    assert peak < 8 * len(people) ** 2


def test_an_earlier_version_under_other_levels_is_understood() -> None:
    """Its labels are none that today's policy gives; read as unknown ones they would hide everybody."""
    people = _people(400, seed=9)
    then, now = _policy(intervals=[[30, 50, 70]]), _policy(intervals=[[20, 40, 60]])
    truth = Side(people.set_index("who"), now, BASE)
    (left, owners), (right, _) = _side(people, now), _side(people, then)
    plain = join_attack(left, owners, right, set(people["who"]), truth, Side(truth.table, then, BASE))
    later = join_attack(left, owners, Side(right.table, now, BASE), set(people["who"]), truth, truth)
    assert later.register.expected == pytest.approx(plain.register.expected) and later.register.expected > 0.02
    assert later.exposed == plain.exposed

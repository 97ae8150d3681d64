"""What an attacker with a pencil can do with the published numbers: nothing about small groups."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meddata_pipeline.disclosure.cells import Attacker, CountRegistry, CountTable, small_cell_limit, suppress
from meddata_pipeline.disclosure.publish import publish, publish_flow, rounded, rounded_p


def table(counts: list[list[int]]) -> CountTable:
    ids = tuple(tuple((f"r{i}c{j}",) for j in range(len(line))) for i, line in enumerate(counts))
    return CountTable("t", tuple(tuple(line) for line in counts), ids, (False,) * len(counts), ("whole",))


@pytest.mark.parametrize(("k", "limit"), [(1, 0), (2, 10), (5, 10), (10, 10), (11, 11), (20, 20)])
def test_limit(k: int, limit: int) -> None:
    assert small_cell_limit(k) == limit


def test_one_small_cell_takes_a_square_of_others_with_it() -> None:
    hidden = suppress(table([[50, 60], [3, 40], [70, 80]]), 10)
    assert hidden.tolist() == [[True, True], [True, True], [False, False]]


def test_nothing_small_nothing_hidden() -> None:
    assert not suppress(table([[50, 60], [10, 40]]), 10).any()


@settings(max_examples=15, deadline=None)
@given(
    st.integers(2, 4).flatmap(
        lambda columns: st.lists(
            st.lists(st.integers(0, 60), min_size=columns, max_size=columns), min_size=2, max_size=4
        )
    )
)
def test_no_small_cell_can_be_narrowed_while_something_is_visible(counts: list[list[int]]) -> None:
    limit = 10
    array = np.array(counts)
    hidden = suppress(table(counts), limit)
    assert hidden[array < limit].all()
    if hidden.any() and not hidden.all():
        attacker = Attacker(array, hidden, limit)
        for i, j in np.argwhere(array < limit).tolist():
            low, high = attacker.interval(i, j)
            assert low - 1e-6 <= array[i, j] <= high + 1e-6
            assert high - low >= limit - 1e-6


def row(i: str, estimate: Any, n: int | None = 100, **more: Any) -> dict[str, Any]:
    analysis, term, measure = i.split("/")
    base = {"id": i, "analysis": analysis, "term": term, "measure": measure, "estimate": estimate}
    return base | {"low": None, "high": None, "p": None, "n": n, "se": None, "df": None, "reason": None} | more


def test_estimate_on_a_small_cell_is_null_with_reason() -> None:
    rows = [
        row("a/x/or", 2.34567, low=1.00049, high=9.87654, p=0.0123456, se=0.123456),
        row("a/y/or", None, reason="empty-cell"),
    ]
    shown = publish(rows, 10, cells={"a/x/or": (30, 9, 40, 50), "a/y/or": (0, 20, 30, 40)})
    assert shown.suppressed == 2
    assert [(r["estimate"], r["low"], r["p"], r["reason"]) for r in shown.estimates] == [
        (None, None, None, "small-cell")
    ] * 2


def test_rounding_and_withheld_measures() -> None:
    rows = [
        row("a/x/or", 2.34567, low=1.00049, high="inf", p=0.0123456, se=0.123456),
        row("a/model/deviance", 201.28),
        row("a/x/or-fisher", 0.0004, p=1e-9),
    ]
    first, second = publish(rows, 10, cells={}).estimates
    assert (first["estimate"], first["low"], first["high"], first["p"], first["se"]) == (2.35, 1.0, "inf", 0.012, 0.12)
    assert (second["estimate"], second["p"]) == (0.0004, 0.001)


def test_means_of_zero_and_one_do_not_give_the_count_back() -> None:
    for n in (30, 115, 2000):
        for count in (3, 7):
            shown = rounded("mean", count / n, n, 10)
            spread = [c for c in range(n + 1) if rounded("mean", c / n, n, 10) == shown]
            assert max(spread) - min(spread) >= 4
    assert rounded("mean", 23.42608, 115, 10) == 23.4


def test_p_values() -> None:
    assert [rounded_p(p) for p in (0.5349, 0.0264906, 0.00099, 0.0, None)] == [0.53, 0.026, 0.001, 0.001, None]


def test_models_that_differ_by_a_few_persons_keep_their_effects_only() -> None:
    rows = [row("a/model/n", 200), row("a/x/or", 2.0, 200), row("b/model/n", 197), row("b/x/or", 2.1, 197)]
    groups = {"a": {"low=1": 60, "persons": 200}, "b": {"low=1": 60, "persons": 197}}
    shown = {r["id"]: r for r in publish(rows, 10, cells={}, groups=groups).estimates}
    assert shown["a/model/n"]["estimate"] == 200
    assert shown["b/model/n"]["estimate"] is None
    assert (shown["b/x/or"]["estimate"], shown["b/x/or"]["n"]) == (2.1, None)


def test_missing_counts_take_the_n_of_their_variable_with_them() -> None:
    rows = [row("t/v|g=0/n", 96), row("t/v|g=0/missing", 4), row("t/v|g=1/n", 80), row("t/v|g=1/missing", 20)]
    rows.append(row("t/v|g=0/mean", 5.5, 96))
    counts = CountTable(
        "t",
        ((96, 80), (4, 20)),
        ((("t/v|g=0/n",), ("t/v|g=1/n",)), (("t/v|g=0/missing", "t/v|g=0/n"), ("t/v|g=1/missing", "t/v|g=1/n"))),
        (False, True),
        (),
        tuple(r["id"] for r in rows),
    )
    shown = publish(rows, 10, cells={}, tables=[counts]).estimates
    assert [r["estimate"] for r in shown] == [None, None, None, None, 5.6]
    assert {r["n"] for r in shown} == {None}


def test_k_of_one_switches_suppression_off() -> None:
    shown = publish(
        [row("a/x/or", 2.0)], small_cell_limit(1), cells={"a/x/or": (1, 1, 1, 1)}, tables=[table([[1, 2], [3, 4]])]
    )
    assert shown.suppressed == 0


def step(i: str, before: int, excluded: int) -> dict[str, Any]:
    title = {"zh": i, "en": i}
    return {"id": i, "title": title, "n_before": before, "excluded": excluded, "n_after": before - excluded}


def test_flow_joins_small_steps_and_still_adds_up() -> None:
    flow = publish_flow([step("all", 100, 0), step("a", 100, 3), step("b", 97, 20), step("c", 77, 2)], 10)
    assert [(s["id"], s["n_before"], s["excluded"], s["n_after"]) for s in flow] == [
        ("all", 100, 0, 100),
        ("c", 100, 25, 75),
    ]
    assert flow[1]["merged"] == ["a", "b", "c"]
    assert flow[1]["title"]["en"] == "a; b; c"


def test_flow_of_a_few_exclusions_shows_only_who_is_in() -> None:
    flow = publish_flow([step("all", 100, 0), step("a", 100, 3), step("b", 97, 0)], 10)
    assert [(s["n_before"], s["excluded"], s["n_after"]) for s in flow] == [(None, 0, None), (None, None, 97)]


def test_flow_hides_a_handful_of_remaining_persons() -> None:
    flow = publish_flow([step("all", 100, 0), step("a", 100, 50), step("b", 50, 46)], 10)
    assert [(s["n_before"], s["excluded"], s["n_after"]) for s in flow] == [
        (100, 0, 100),
        (100, 50, 50),
        (50, None, None),
    ]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 30), min_size=1, max_size=6))
def test_flow_never_shows_a_small_difference(excluded: list[int]) -> None:
    steps, before = [step("all", 300, 0)], 300
    for position, count in enumerate(excluded):
        steps.append(step(str(position), before, count))
        before -= count
    flow = publish_flow(steps, 10)
    shown = [v for s in flow for v in (s["n_before"], s["n_after"]) if v is not None]
    registry = CountRegistry(10)
    assert all(registry.admit("persons", value) for value in shown)
    for s in flow:
        known = None not in (s["n_before"], s["excluded"], s["n_after"])
        assert not known or s["excluded"] == s["n_before"] - s["n_after"]

"""People withheld from a version so that it undoes no earlier one: against every set of people, counted by hand."""

from __future__ import annotations

import hashlib
import itertools
from collections import Counter
from collections.abc import Mapping, Sequence

import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from meddata_pipeline.privacy.versions import Decision, decide, recount

History = Sequence[Mapping[str, str]]


def _order(person: str) -> bytes:
    return hashlib.sha256(f"key{person}".encode()).digest()


def _decide(earlier: History, now: Mapping[str, str], k: int) -> Decision:
    return decide([pd.Series(v, dtype=object) for v in earlier], pd.Series(now, dtype=object), k, _order)


def patterns(versions: History) -> Counter[tuple[str | None, ...]]:
    """People by what they are in every version, of all who are in any."""
    people = set().union(*versions) if versions else set()
    return Counter(tuple(v.get(p) for v in versions) for p in people)


def allowed(earlier: History, now: Mapping[str, str], k: int) -> bool:
    """Whether each pattern has k people, or is an earlier one that nothing has split."""
    before = patterns(earlier)
    return all(n >= k or n == before[pattern[:-1]] for pattern, n in patterns([*earlier, now]).items())


def without(now: Mapping[str, str], gone: Sequence[str]) -> dict[str, str]:
    return {person: name for person, name in now.items() if person not in gone}


def fewest(earlier: History, now: Mapping[str, str], k: int) -> int:
    """The fewest people to leave out, by trying all sets of people from the smallest on."""
    return next(
        size
        for size in range(len(now) + 1)
        if any(allowed(earlier, without(now, gone), k) for gone in itertools.combinations(now, size))
    )


def _version(people: int, classes: str) -> st.SearchStrategy[dict[str, str]]:
    names = [f"p{i}" for i in range(people)]
    return st.lists(st.sampled_from([None, *classes]), min_size=people, max_size=people).map(
        lambda given: {n: c for n, c in zip(names, given, strict=True) if c is not None}
    )


@settings(max_examples=25, deadline=None)
@given(st.lists(_version(7, "abc"), min_size=1, max_size=3), st.integers(2, 4))
def test_the_fewest_are_withheld(versions: list[dict[str, str]], k: int) -> None:
    history: list[dict[str, str]] = []
    for version in versions:
        made = _decide(history, version, k)
        released = without(version, made.withheld)
        assert set(made.withheld) <= set(version)
        assert allowed(history, released, k)
        assert len(made.withheld) == fewest(history, version, k)
        history.append(released)


@settings(max_examples=12, deadline=None)
@given(st.lists(_version(40, "abc"), min_size=2, max_size=5), st.integers(2, 6))
def test_no_series_of_versions_has_a_small_pattern(versions: list[dict[str, str]], k: int) -> None:
    history: list[dict[str, str]] = []
    for version in versions:
        before = patterns([*history, version])
        made = _decide(history, version, k)
        assert made.exposed == sum(n for n in before.values() if n < k)
        assert (made.exposed == 0) == (not made.withheld)
        history.append(without(version, made.withheld))
        assert _decide(history[:-1], history[-1], k).withheld == ()
        assert _decide(history, history[-1], k) == Decision((), 0), "the same again exposes nobody"
        sizes = list(patterns(history).values())
        assert min(sizes, default=k) >= k
        counted = recount([pd.Series(v, dtype=object) for v in history])
        assert counted == {"persons": sum(sizes), "patterns": len(sizes), "smallest": min(sizes, default=0)}


@settings(max_examples=8, deadline=None)
@given(_version(30, "ab"), _version(30, "ab"), st.randoms(use_true_random=False))
def test_the_order_of_people_changes_nothing(first: dict[str, str], second: dict[str, str], random: object) -> None:
    released = without(first, _decide([], first, 3).withheld)
    mixed = list(second.items())
    random.shuffle(mixed)  # type: ignore[attr-defined]
    assert _decide([dict(reversed(released.items()))], dict(mixed), 3) == _decide([released], second, 3)


def test_a_newcomer_a_leaver_and_a_corrected_age_are_each_covered() -> None:
    first = {f"a{i}": "a" for i in range(7)} | {f"b{i}": "b" for i in range(6)}
    same = dict(first)
    assert _decide([first], same, 5) == Decision((), 0)
    # Alone in the difference of the two versions.
    assert _decide([first], same | {"new": "a"}, 5) == Decision(("new",), 1)
    # A leaver needs four more who leave; class b can only go as a whole.
    leaver = _decide([first], without(same, ["b0"]), 5)
    assert leaver == Decision(("b1", "b2", "b3", "b4", "b5"), 1)
    # Class a has 7: who changed to b goes, and cover is all of a, since two to spare are too few.
    moved = _decide([first], same | {"a0": "b"}, 5)
    assert moved.exposed == 1
    assert set(moved.withheld) == {f"a{i}" for i in range(7)}
    # Twelve can spare five.
    many = {f"c{i}": "c" for i in range(12)}
    assert len(_decide([many], without(many, ["c3"]), 5).withheld) == 4


def test_a_higher_k_does_not_ask_for_what_is_out_already() -> None:
    first = {f"a{i}": "a" for i in range(6)}
    assert _decide([first], first, 10).withheld == ()
    assert set(_decide([first], without(first, ["a0"]), 10).withheld) == set(first) - {"a0"}

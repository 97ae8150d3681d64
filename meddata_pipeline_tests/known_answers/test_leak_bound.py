"""The exact limits of Clopper and Pearson, Cohen's kappa, and joining samples, against answers from elsewhere."""

from __future__ import annotations

from fractions import Fraction
from math import comb

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meddata_pipeline.privacy.leak_bound import interval, join, kappa, pooled, upper_bound


@pytest.mark.parametrize("notes", [1, 10, 59, 299, 300, 1000])
def test_without_a_leak_the_bound_has_a_closed_form(notes: int) -> None:
    assert upper_bound(0, notes) == pytest.approx(1 - 0.05 ** (1 / notes), rel=1e-9)


def test_0_of_300_is_at_most_1_percent_and_1_of_300_is_not() -> None:
    assert round(upper_bound(0, 300), 4) == 0.0099
    assert upper_bound(0, 298) > 0.01 >= upper_bound(0, 299)
    assert round(upper_bound(1, 300), 4) == 0.0157
    assert upper_bound(300, 300) == 1.0


@pytest.mark.parametrize(
    ("found", "tried", "low", "high"),
    # R 4: binom.test(x, n)$conf.int
    [(4, 10, 0.12155, 0.73762), (0, 10, 0.0, 0.30850), (7, 20, 0.15391, 0.59219), (24, 24, 0.85753, 1.0)],
)
def test_intervals_are_those_of_r(found: int, tried: int, low: float, high: float) -> None:
    assert interval(found, tried) == pytest.approx((low, high), abs=6e-6)


def test_nothing_tried_says_nothing() -> None:
    assert interval(0, 0) == (0.0, 1.0)
    assert upper_bound(0, 0) == 1.0


@given(st.integers(1, 80).flatmap(lambda n: st.tuples(st.integers(0, n - 1), st.just(n))))
@settings(max_examples=60)
def test_at_the_bound_so_few_leaks_have_a_chance_of_five_percent(counts: tuple[int, int]) -> None:
    """The definition itself, summed in exact fractions."""
    leaking, notes = counts
    p = Fraction(upper_bound(leaking, notes))
    chance = sum(comb(notes, k) * p**k * (1 - p) ** (notes - k) for k in range(leaking + 1))
    assert float(chance) == pytest.approx(0.05, rel=1e-6)


@pytest.mark.parametrize(("found", "tried"), [(-1, 3), (4, 3)])
def test_impossible_counts_are_refused(found: int, tried: int) -> None:
    with pytest.raises(ValueError, match="between"):
        upper_bound(found, tried)


def test_kappa_of_cohens_example() -> None:
    """Twenty yes of both, fifteen no of both, 5 and 10 apart: agreement .70, by chance .50, kappa .40."""
    first = [True] * 25 + [False] * 25
    second = [True] * 20 + [False] * 5 + [True] * 10 + [False] * 15
    assert kappa(first, second) == pytest.approx(0.4)
    assert kappa([False] * 9, [False] * 9) is None


def test_a_note_leaks_if_either_reader_says_so() -> None:
    joined = join([True, False, False, True], [False, False, True, True])
    assert (joined.leaking, joined.notes, joined.disagreements) == (3, 4, (0, 2))
    assert joined.upper == upper_bound(3, 4)
    for readers in (([True], [True, False]), ([], [])):
        with pytest.raises(ValueError, match="same notes"):
            join(*readers)


def _sample(seed: int, notes: int, leaking: int, population: int = 1000) -> dict[str, int]:
    return {"seed": seed, "notes": notes, "leaking": leaking, "population": population}


def test_drawing_again_does_not_wipe_out_what_was_found() -> None:
    assert pooled([_sample(1, 300, 2), _sample(2, 301, 0)]) == (2, 601)
    assert pooled([_sample(1, 300, 2), _sample(1, 600, 3)]) == (3, 600)
    assert pooled([_sample(1, 300, 0), _sample(1, 300, 1)]) == (1, 300)
    assert pooled([_sample(1, 300, 1, 400), _sample(2, 300, 0, 400)]) == (1, 400)
    assert pooled([]) == (0, 0)

"""Floors of detection on few notes of every author; the figures run the full counts.

The floors of names are what the rules alone reach; they rise with what is built on them. Author E was written to show
what the rules do not reach, so it has floors of its own: just below what was measured when it was written.
"""

from __future__ import annotations

import pytest

from meddata_pipeline_tests.evaluation import measure
from meddata_pipeline_tests.evaluation.scoring import STRUCTURED

#: Structured identifiers: exact recall, covered recall, precision; names: recall by characters, precision.
FLOORS = dict.fromkeys("ABCDEF", (0.99, 0.995, 0.99, 0.975, 0.9))


@pytest.mark.parametrize("letter", sorted(measure.STYLES))
def test_floors(letter: str) -> None:
    exact, covered, precision, *_ = FLOORS[letter]
    scores = measure.structured(letter, 150, seed=7)
    structured = scores.of(STRUCTURED)
    assert structured.true > 400
    assert structured.exact_recall >= exact
    assert structured.covered_recall >= covered
    assert structured.precision >= precision
    assert scores.of(["LOCATION", "ORGANIZATION"]).character_recall >= 0.99
    assert scores.content_kept >= 0.998


@pytest.mark.parametrize("letter", sorted(measure.STYLES))
def test_floors_of_names(letter: str) -> None:
    *_, characters, precision = FLOORS[letter]
    names = measure.clinical(letter, 100, seed=7).of(["PERSON"])
    assert names.character_recall >= characters
    assert names.precision >= precision


def test_without_rules_the_floors_would_not_be_reached() -> None:
    notes = measure.make_notes(measure.STYLES["A"], 20, 1)
    scores = measure.score(notes, [[] for _ in notes])
    assert scores.leak_rate == 1
    assert scores.of(STRUCTURED).exact_recall == 0

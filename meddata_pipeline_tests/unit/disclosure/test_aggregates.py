"""Aggregates: no exact count leaves, and none below the limit at all."""

from __future__ import annotations

import csv
import io

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from meddata_pipeline.disclosure.aggregates import aggregates, coarse


@given(st.integers(min_value=0, max_value=10_000))
def test_a_coarse_count_fits_at_least_five_true_ones(count: int) -> None:
    shown = coarse(count, 10)
    same = [n for n in range(max(0, count - 10), count + 11) if coarse(n, 10) == shown]
    assert len(same) >= 5


def test_every_person_is_counted_once_per_variable() -> None:
    frame = pd.DataFrame({"sex": ["F"] * 61 + ["M"] * 43, "case": [1, 0] * 52})
    rows = list(csv.DictReader(io.StringIO(aggregates(frame, ["sex"], "case", 10).decode())))
    assert [(r["level"], r["case"], r["persons"]) for r in rows] == [
        ("F", "0", "30"),
        ("F", "1", "30"),
        ("M", "0", "20"),
        ("M", "1", "20"),
    ]


def test_small_groups_are_hidden() -> None:
    frame = pd.DataFrame({"sex": ["F"] * 9 + ["M"] * 20, "case": [1] * 29})
    assert b"F,1,<10" in aggregates(frame, ["sex"], "case", 10)

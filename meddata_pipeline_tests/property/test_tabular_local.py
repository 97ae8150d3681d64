"""Local recoding and Mondrian with persons of several rows: `meddata anonymize`'s output, recounted with pandas."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from meddata_pipeline.core.errors import Refused
from meddata_pipeline.privacy.tabular.files import anonymize_file

QUASI = ["age", "day", "sex"]
ROW = st.tuples(
    st.integers(0, 9),
    st.integers(0, 15),
    st.sampled_from(["2023-01-05", "2023-02-05", "2023-07-01", "2024-01-31"]),
    st.sampled_from("MF"),
)


def _released(rows: list[tuple[Any, ...]], raw: dict[str, Any]) -> tuple[dict[str, Any], pd.DataFrame] | None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pd.DataFrame(rows, columns=["who", *QUASI]).to_csv(folder / "table.csv", index=False)
        (folder / "policy.yaml").write_text(json.dumps(raw), encoding="utf-8")
        try:
            answer = anonymize_file(folder / "table.csv", folder / "policy.yaml", folder / "out.csv")
        except Refused as refusal:
            # No solution, and never a release that the recount had to stop.
            assert [reason.code for reason in refusal.reasons] == ["no-transformation"]
            assert not (folder / "out.csv").exists()
            return None
        return answer, pd.read_csv(folder / "out.csv", dtype=str, keep_default_na=False)


@pytest.mark.parametrize("search", ["mondrian", "local"])
@given(
    st.lists(ROW, min_size=6, max_size=40),
    st.integers(2, 4),
    st.sampled_from([0.0, 0.1, 0.4, 1.0]),
    st.sampled_from(["loss", "dm"]),
)
@settings(max_examples=120, deadline=None)
def test_every_class_holds_k_distinct_persons(
    search: str, rows: list[tuple[Any, ...]], k: int, limit: float, metric: str
) -> None:
    raw = {
        "unit": "who",
        "quasi_identifiers": {
            "age": {"intervals": [[4, 8, 12], [8], []], "open": True},
            "day": {"dates": ["day", "month", "year"]},
            "sex": {"redact": {}},
        },
        "privacy": [{"model": "k-anonymity", "k": k}],
        "suppression_limit": limit,
        "quality": {"metric": metric},
        "search": search,
    }
    made = _released(rows, raw)
    if made is None:
        event("no solution")
        return
    answer, released = made
    table = pd.DataFrame(rows, columns=["who", *QUASI])
    assert list(released.columns) == QUASI and len(released) == len(rows)
    stars = (released == "*").all(axis=1)
    assert int(stars.sum()) >= answer["suppressed_rows"] and answer["suppressed_rows"] <= limit * len(rows) + 1e-9
    kept = released.assign(who=table["who"])[~stars]
    persons = kept.groupby(QUASI)["who"].nunique()
    assert (persons >= k).all()
    # Rows that nobody suppressed and of which nothing is left are a class too, if one that looks like no class.
    blank = table["who"][stars]
    if answer["suppressed_rows"] == 0 and len(blank):
        assert blank.nunique() >= k
    rows_of = kept.groupby(QUASI).size()
    event("a class with fewer persons than rows", str(bool((rows_of > persons).any())))
    event("different levels in one column", str(len({len(value) for value in kept["day"]}) > 1))
    if answer["suppressed_rows"] == int(stars.sum()):
        assert answer["classes"]["count"] == len(persons)
        assert answer["risk"]["classes"] == len(persons) and answer["risk"]["counts"] == "persons"
    # What stands in a row is what that row's values become, at some level.
    for (_, age, day, sex), row in zip(rows, released.itertuples(index=False), strict=True):
        four = "(-∞, 4)" if age < 4 else "[4, 8)" if age < 8 else "[8, 12)" if age < 12 else "[12, ∞)"
        assert row.age in {str(age), four, "(-∞, 8)" if age < 8 else "[8, ∞)", "*"}
        assert row.day in {day, day[:7], day[:4], "*"} and row.sex in {sex, "*"}


@pytest.mark.parametrize("search", ["mondrian", "local"])
def test_rows_of_one_person_are_no_crowd(search: str) -> None:
    """Eight rows of one person and two others: by rows three to a class would do, by persons only all together."""
    rng = np.random.default_rng(11)
    rows = [(int(w), int(w) * 5, "2023-01-05", "M") for w in [0] * 8 + [1, 2]]
    rng.shuffle(rows)
    raw: dict[str, Any] = {
        "unit": "who",
        "quasi_identifiers": {
            "age": {"intervals": [[3, 12], []], "open": True},
            "day": {"dates": ["day"]},
            "sex": {},
        },
        "privacy": [{"model": "k-anonymity", "k": 3}],
        "search": search,
    }
    made = _released(rows, raw)
    assert made is not None and set(made[1]["age"]) == {"*"} and made[0]["classes"]["histogram"] == {"3": 1}
    # Three persons are never four, though they have ten rows.
    assert _released(rows, {**raw, "privacy": [{"model": "k-anonymity", "k": 4}]}) is None

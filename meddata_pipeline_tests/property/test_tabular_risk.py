"""Risk against plain second implementations: loops over rows and persons, nothing merged."""

from __future__ import annotations

import itertools
from collections import defaultdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meddata_pipeline.core.errors import BadInput
from meddata_pipeline.privacy.policy import parse_policy
from meddata_pipeline.privacy.risk import risk, unique_people
from meddata_pipeline.privacy.tabular import anonymize, subsets
from meddata_pipeline.privacy.tabular.values import encode

_COLUMNS = ["a", "b", "c", "d"]
_ROW = st.tuples(st.integers(0, 7), *(st.integers(0, 2) for _ in _COLUMNS))
_ROWS = st.lists(_ROW, min_size=1, max_size=25)


def _classes(rows: list[tuple[int, ...]], chosen: tuple[int, ...]) -> dict[tuple[int, ...], list[tuple[int, int]]]:
    """Combination → (row, person)."""
    classes: dict[tuple[int, ...], list[tuple[int, int]]] = defaultdict(list)
    for number, (person, *values) in enumerate(rows):
        classes[tuple(values[i] for i in chosen)].append((number, person))
    return classes


def _unique(rows: list[tuple[int, ...]], chosen: tuple[int, ...]) -> set[int]:
    return {m[0][1] for m in _classes(rows, chosen).values() if len({person for _, person in m}) == 1}


@given(_ROWS, st.booleans(), st.booleans())
def test_sets_of_columns_are_counted_like_a_plain_loop(rows: list[tuple[int, ...]], units: bool, wide: bool) -> None:
    if not units:
        rows = [(number, *row[1:]) for number, row in enumerate(rows)]
    table = pd.DataFrame(rows, columns=["who", *_COLUMNS])
    encoded = {name: encode(table[name]) for name in _COLUMNS}
    codes = encode(table["who"]).codes if units else None
    limit = subsets.ALL_SETS_UP_TO
    try:
        subsets.ALL_SETS_UP_TO = 3 if wide else limit
        report = subsets.subset_report(encoded, codes)
    finally:
        subsets.ALL_SETS_UP_TO = limit
    every = [c for n in range(1, 5) for c in itertools.combinations(range(4), n)]
    assert [s.columns for s in report.subsets] == [tuple(_COLUMNS[i] for i in chosen) for chosen in every]
    unique = {chosen: _unique(rows, chosen) for chosen in every}
    smallest: dict[int, tuple[str, ...]] = {}
    minimal_with: dict[int, set[int]] = defaultdict(set)
    for chosen, found in zip(every, report.subsets, strict=True):
        classes = _classes(rows, chosen)
        sizes = [len({person for _, person in members}) for members in classes.values()]
        records = sum(sizes)
        assert (found.classes, found.records, found.uniques) == (len(classes), records, len(unique[chosen]))
        pairs = records * (records - 1) // 2
        apart = pairs - sum(n * (n - 1) // 2 for n in sizes)
        assert found.separation == pytest.approx(apart / pairs if pairs else 0.0)
        below = set().union(*(unique[s] for s in every if set(s) < set(chosen)))
        assert found.minimal == len(unique[chosen] - below)
        for person in unique[chosen] - below:
            smallest.setdefault(person, tuple(_COLUMNS[i] for i in chosen))
            for i in chosen:
                minimal_with[i].add(person)
    for i, column in enumerate(report.columns):
        rest = tuple(j for j in range(4) if j != i)
        lost = len(unique[every[-1]]) - len(unique[rest])
        assert (column.alone, column.lost, column.minimal) == (len(unique[i,]), lost, len(minimal_with[i]))
    named = [report.subsets[at].columns if at >= 0 else None for at in report.smallest]
    assert named == [smallest.get(row[0]) for row in rows]
    policy = parse_policy({**_PLAIN, "unit": "who"} if units else _PLAIN)
    if not wide:
        assert [columns or None for columns in unique_people(table, policy)] == named
    assert report.complete is not wide


_PLAIN: dict[str, Any] = {
    "quasi_identifiers": {name: {} for name in _COLUMNS},
    "privacy": [{"model": "k-anonymity", "k": 2}],
}
_POLICY: dict[str, Any] = {
    "unit": "who",
    "quasi_identifiers": {
        "age": {"intervals": [[0, 5, 10], []], "open": True},
        "day": {"dates": ["day", "month", "year"]},
        "sex": {},
    },
    "privacy": [{"model": "k-anonymity", "k": 2}],
    "suppression_limit": 0.3,
}
_PERSON = st.tuples(
    st.integers(0, 12), st.sampled_from(["2024-01-05", "2024-01-06", "2024-02-01", "2025-01-01"]), st.sampled_from("MF")
)


def _bin(age: int) -> set[str]:
    name = "(-∞, 0)" if age < 0 else "[0, 5)" if age < 5 else "[5, 10)" if age < 10 else "[10, ∞)"
    return {str(age), name, "*"}


def _fits(person: tuple[int, str, str], released: tuple[str, str, str]) -> bool:
    age, day, sex = person
    days = {day, day[:7], day[:4], "*"}
    return released[0] in _bin(age) and released[1] in days and released[2] in {sex, "*"}


@given(st.lists(_PERSON, min_size=2, max_size=14), st.lists(_PERSON, max_size=14), st.sampled_from([0.2, 0.5]))
def test_journalist_risk_counts_the_population_behind_each_class(
    inside: list[tuple[int, str, str]], others: list[tuple[int, str, str]], threshold: float
) -> None:
    everyone = inside + others
    table = pd.DataFrame(inside, columns=["age", "day", "sex"]).assign(who=range(len(inside)))
    with TemporaryDirectory() as folder:
        population = pd.DataFrame(everyone, columns=["age", "day", "sex"]).assign(who=range(len(everyone)))
        population.to_csv(Path(folder) / "population.csv", index=False)
        policy = parse_policy({**_POLICY, "risk": {"population": "population.csv", "threshold": threshold}})
        result = anonymize(table, policy, Path(folder))
        if result.table is None:
            return
        released = result.table.assign(who=table["who"])
        answer = risk(released, policy, base=Path(folder))
    kept = [tuple(row) for row in result.table.astype(str).to_numpy().tolist() if set(row) != {"*"}]
    risks = [1 / sum(_fits(person, row) for person in everyone) for row in kept]
    assert answer["population"] == len(everyone) and answer["rows"] == len(kept)
    if kept:
        assert answer["journalist"]["highest"] == pytest.approx(max(risks))
        assert answer["journalist"]["success_rate"] == pytest.approx(sum(risks) / len(risks))
        assert answer["marketer"]["success_rate"] == pytest.approx(sum(risks) / len(risks))
        at_risk = sum(r > threshold + 1e-9 for r in risks) / len(risks)
        assert answer["journalist"]["records_at_risk"] == pytest.approx(at_risk)
        assert answer["journalist"]["highest"] <= answer["prosecutor"]["highest"]


def test_a_population_smaller_than_the_table_is_refused(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("sex\nM\n", encoding="utf-8")
    policy = parse_policy(
        {
            "quasi_identifiers": {"sex": {}},
            "privacy": [{"model": "k-anonymity", "k": 2}],
            "risk": {"population": "p.csv"},
        }
    )
    with pytest.raises(BadInput, match="fewer persons"):
        risk(pd.DataFrame({"sex": ["M", "M"]}), policy, base=tmp_path)

"""Every way to build a hierarchy gives a tree: a level only merges groups of the level before it."""

from __future__ import annotations

import datetime as dt
import itertools
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from meddata_pipeline.privacy.policy import QuasiIdentifier
from meddata_pipeline.privacy.tabular.hierarchy import build

_DATE = st.dates(dt.date(1900, 1, 1), dt.date(2030, 12, 31)).map(dt.date.isoformat)
_PROVINCE = st.sampled_from(["11", "31", "44", "54", "82"])
_DIVISION = st.builds(lambda p, rest: f"{p}{rest:04d}", _PROVINCE, st.integers(0, 9999))
_CODE = st.builds(lambda n, tail: f"K{n:02d}{tail}", st.integers(0, 93), st.sampled_from(["", ".0", ".001", ".900x2"]))
_NUMBER = st.integers(-50, 200).map(str)
_WAYS: list[tuple[dict[str, Any], st.SearchStrategy[str]]] = [
    ({"dates": ["day", "month", "quarter", "year", "decade"]}, _DATE),
    ({"divisions": ["district", "city", "province", "all"]}, _DIVISION),
    ({"icd10": ["code", "category", "block", "chapter", "all"]}, _CODE),
    ({"intervals": [[0, 10, 20, 40, 80], [0, 40], []], "open": True}, _NUMBER),
    ({"groups": {"order": "numbers", "sizes": [3, 2, 5]}}, _NUMBER),
    ({"groups": {"order": "text", "sizes": [2, 2]}}, _NUMBER),
    ({"redact": {"from": "right"}}, st.text("0123456789", min_size=1, max_size=6)),
    ({"redact": {"from": "left"}}, st.text("0123456789", min_size=1, max_size=6)),
    ({}, _NUMBER),
]


@given(st.data(), st.sampled_from(range(len(_WAYS))))
def test_levels_are_nested_and_shares_add_up(data: st.DataObject, way: int) -> None:
    spec, values = _WAYS[way]
    texts = sorted(data.draw(st.sets(st.one_of(values, values, st.just("")) if way < 6 else values, min_size=1)))
    hierarchy = build("x", QuasiIdentifier.model_validate(spec), texts, base=Path())
    assert hierarchy.leaves == len(texts)
    for i, level in enumerate(hierarchy.levels):
        groups: dict[int, list[int]] = {}
        for at, code in enumerate(level.codes):
            groups.setdefault(int(code), []).append(at)
        for members in groups.values():
            assert all(level.shares[at] == len(members) / len(texts) for at in members)
        if i:
            finer = hierarchy.levels[i - 1].codes
            parents = {(int(a), int(b)) for a, b in zip(finer, level.codes, strict=True)}
            assert len(parents) == len(set(finer.tolist()))
    assert len(set(hierarchy.levels[0].labels)) == len(hierarchy.levels[0].labels)


@given(st.sets(st.integers(0, 500), min_size=1, max_size=60), st.lists(st.integers(2, 5), min_size=1, max_size=3))
def test_groups_are_chunks_of_the_order(values: set[int], sizes: list[int]) -> None:
    order = [str(v) for v in sorted(values)]
    spec = QuasiIdentifier.model_validate({"groups": {"order": "numbers", "sizes": sizes}})
    hierarchy = build("x", spec, sorted(order), base=Path())
    groups: list[list[str]] = [[value] for value in order]
    for level, size in zip(hierarchy.levels[1:], sizes, strict=True):
        groups = [list(itertools.chain(*groups[i : i + size])) for i in range(0, len(groups), size)]
        found: dict[int, set[str]] = {}
        for text, code in zip(sorted(order), level.codes, strict=True):
            found.setdefault(int(code), set()).add(text)
        assert sorted(map(sorted, found.values())) == sorted(sorted(group) for group in groups)

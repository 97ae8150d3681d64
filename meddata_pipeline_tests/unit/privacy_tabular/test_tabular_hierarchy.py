"""Hierarchies: labels, trees, uncovered values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from meddata_pipeline.core.errors import BadInput, ConfigError
from meddata_pipeline.privacy.policy import QuasiIdentifier
from meddata_pipeline.privacy.tabular import codes
from meddata_pipeline.privacy.tabular.hierarchy import Hierarchy, build, labels


def _build(spec: dict[str, Any], texts: list[str], base: Path = Path(), hidden: bool = False) -> Hierarchy:
    return build("age", QuasiIdentifier.model_validate(spec), texts, base=base, delimiter=";", hidden=hidden)


def _labels(hierarchy: Hierarchy, level: int) -> list[str]:
    chosen = hierarchy.levels[level]
    return [chosen.labels[code] for code in chosen.codes]


@pytest.mark.parametrize(
    ("spec", "texts", "level", "expected"),
    [
        (
            {"intervals": [[18, 40, 65]], "open": True},
            ["", "17", "18", "39.5", "40", "65", "90"],
            1,
            ["", "(-∞, 18)", "[18, 40)", "[18, 40)", "[40, 65)", "[65, ∞)", "[65, ∞)"],
        ),
        ({"intervals": [[0, 18.5, 24]]}, ["18.4", "18.5"], 1, ["[0, 18.5)", "[18.5, 24)"]),
        ({"intervals": [[0, 10], []]}, ["", "1"], 2, ["*", "*"]),
        ({"intervals": [[0, 10]], "raw": False}, ["1"], 0, ["[0, 10)"]),
        ({"dates": ["day", "month"]}, ["2024-02-29"], 0, ["2024-02-29"]),
        ({"dates": ["month", "quarter"]}, ["2024-03-31", "2024-04-01", ""], 1, ["2024-Q1", "2024-Q2", ""]),
        ({"dates": ["year", "decade"]}, ["1999-12-31"], 1, ["1990s"]),
        ({"redact": {"characters": "#", "from": "right"}}, ["20012", "20019"], 1, ["2001#", "2001#"]),
        ({"redact": {"from": "left"}}, ["ab", "cde"], 3, ["***", "***"]),
        ({}, ["M"], 0, ["M"]),
        ({"groups": {"order": ["I", "II", "III", "IV"], "sizes": [2]}}, ["IV", "I", ""], 1, ["III – IV", "I – II", ""]),
        ({"groups": {"order": ["I", "II", "III"], "sizes": [2, 2]}}, ["III", "I"], 1, ["III", "I – II"]),
        ({"groups": {"order": ["I", "II", "III"], "sizes": [2, 2]}}, ["III", "I"], 2, ["*", "*"]),
        ({"groups": {"order": "numbers", "sizes": [2]}}, ["10", "9", "100"], 1, ["9 – 10", "9 – 10", "100"]),
        ({"groups": {"order": "text", "sizes": [2]}}, ["10", "9", "100"], 1, ["10 – 100", "9", "10 – 100"]),
        ({"divisions": ["district", "city", "province"]}, ["440305", "110101"], 0, ["440305", "110101"]),
        ({"divisions": ["district", "city", "province"]}, ["440305", "440300", ""], 1, ["440300", "440300", ""]),
        ({"divisions": ["district", "city", "province"]}, ["440305", "650102"], 2, ["广东省", "新疆维吾尔自治区"]),
        ({"divisions": ["city", "all"]}, ["440305", ""], 1, ["*", "*"]),
        ({"icd10": ["code", "block"]}, ["K04.000x003", "k05.1", "C50.9"], 1, ["K00-K14", "K00-K14", "C50"]),
        ({"icd10": ["category", "chapter"]}, ["K04.0", "X85", "Y09.1"], 1, ["K00-K93", "V01-Y98", "V01-Y98"]),
        ({"icd10": ["category", "chapter"]}, ["D48.9", "D50", "A170†"], 0, ["D48", "D50", "A17"]),
        ({"icd10": ["code", "block", "chapter", "all"]}, ["U07.1", "", "K15"], 1, ["U00-U49", "", "K15"]),
    ],
)
def test_labels(spec: dict[str, Any], texts: list[str], level: int, expected: list[str]) -> None:
    assert _labels(_build(spec, texts), level) == expected


def test_shares_count_leaves_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "h.csv").write_text("a;x;*\nb;x;*\nc;y;*\nd;z;*\n", encoding="utf-8")
    hierarchy = _build({"hierarchy": "h.csv"}, ["a", "c"], tmp_path)
    assert hierarchy.leaves == 4
    assert [list(level.shares) for level in hierarchy.levels] == [[0.25, 0.25], [0.5, 0.25], [1.0, 1.0]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a;x;*\nb;y\n", "levels"),
        ("a;x;1\nb;x;2\n", "no tree"),
        ("a;x\na;y\n", "twice"),
        ("", "empty"),
    ],
)
def test_a_broken_file_is_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "h.csv").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=message):
        _build({"hierarchy": "h.csv"}, ["a"], tmp_path)


def test_uncovered_values_are_counted_and_shown_only_on_request() -> None:
    texts = ["SECRET-1", "SECRET-2", "3", "nan", "SECRET-4", "SECRET-5", "SECRET-6"]
    with pytest.raises(BadInput, match="6 distinct values of column age") as shown:
        _build({"intervals": [[0, 10]]}, texts)
    assert str(shown.value).count("SECRET") + str(shown.value).count("nan") == 5
    with pytest.raises(BadInput) as hidden:
        _build({"intervals": [[0, 10]]}, texts, hidden=True)
    assert "SECRET" not in str(hidden.value) and "6 distinct" in str(hidden.value)


@pytest.mark.parametrize(
    "spec",
    [
        {"intervals": [[0, 10], [0, 5]]},
        {"intervals": [[10, 0]]},
        {"intervals": [[5]]},
        {"dates": ["year", "month"]},
        {"dates": ["week"]},
        {"dates": ["year"], "intervals": [[0, 1]]},
        {"divisions": ["city", "district"]},
        {"icd10": ["chapter", "block"]},
        {"icd10": []},
        {"groups": {"order": ["a", "a"], "sizes": [2]}},
        {"groups": {"order": ["a", "b"], "sizes": [1]}},
        {"groups": {"order": "size", "sizes": [2]}},
        {"icd10": ["code"], "divisions": ["city"]},
        {"open": True},
        {"bins": 3},
    ],
)
def test_wrong_specifications_are_refused(spec: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        QuasiIdentifier.model_validate(spec)


@pytest.mark.parametrize(
    ("spec", "wrong"),
    [
        ({"divisions": ["city"]}, ["990101", "44030", "4403051", "广东"]),
        ({"icd10": ["code", "block"]}, ["K95", "D90", "M8000/3", "4K", "K04.0 ", "K0"]),
        ({"groups": {"order": ["I", "II"], "sizes": [2]}}, ["III"]),
        ({"groups": {"order": "numbers", "sizes": [2]}}, ["many", "inf"]),
    ],
)
def test_what_is_no_code_is_not_covered(spec: dict[str, Any], wrong: list[str]) -> None:
    table, missing = labels("x", QuasiIdentifier.model_validate(spec), wrong, base=Path())
    assert missing == wrong and table == {}


def test_blocks_fill_their_chapters_without_overlap() -> None:
    chapters, blocks = codes._ranges()
    assert len(chapters[0]) == 22
    for firsts, lasts in (chapters, blocks):
        assert all(first <= last for first, last in zip(firsts, lasts, strict=True))
        assert all(last < first for last, first in zip(lasts, firsts[1:], strict=False))
    for first, last in zip(*blocks, strict=True):
        assert codes._range(first, chapters) == codes._range(last, chapters) is not None
    assert set(chapters[0]) <= set(blocks[0])
    assert len(codes._provinces()) == 34

"""Figures: valid, small, the same bytes, readable without colour and without eyes."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meddata_pipeline.render.figures import (
    FlowBox,
    ForestRow,
    bars,
    flow,
    flow_boxes,
    forest,
    ratio_ticks,
    text_width,
    wrap,
)
from meddata_pipeline.render.html import inline_svg

SVG = "{http://www.w3.org/2000/svg}"
ROWS = [
    ForestRow("未校正 · 受限队列", 2.02, 1.08, 3.78, [("2.02", "crude/smoke/or"), " (1.08–3.78)"]),
    ForestRow("adjusted <&>", 2.56, 1.16, None, ["2.56"], strong=True),
    ForestRow("suppressed", None, None, None, ["—"]),
    ForestRow("huge", 900.0, 0.0001, float("inf"), ["900"]),
]
STEPS = [
    {"id": "population", "title": {"zh": "人员", "en": "Persons"}, "n_before": 1821, "excluded": 0, "n_after": 1821},
    {"id": "index", "title": "no visit", "n_before": 1821, "excluded": 0, "n_after": 1821},
    {
        "id": "adult",
        "title": {"zh": "未满 18 岁", "en": "Under 18"},
        "n_before": None,
        "excluded": None,
        "n_after": 1741,
    },
]


def drawn() -> dict[str, str]:
    return {
        "forest": forest(ROWS, title="t & t", desc="d", axis="比值比", tick_ids="tick/"),
        "flow": flow(STEPS, lang="en", ids="flow"),
        "bars": bars(["医院甲", "B", "none"], [120, 80.5, None], title="t"),
        "empty": bars([], [], title="t"),
        "no rows": forest([], title="t"),
        "boxes": flow_boxes([FlowBox([["only"]])], title="t", desc=""),
    }


@pytest.mark.parametrize("name", list(drawn()))
def test_valid_small_titled_and_inlinable(name: str) -> None:
    svg = drawn()[name]
    root = ET.fromstring(svg)
    assert root.find(f"{SVG}title") is not None
    assert root.find(f"{SVG}desc") is not None
    assert root.get("role") == "img"
    assert len(svg.encode()) <= 30_000
    assert svg == drawn()[name]
    assert "nan" not in svg and "inf" not in svg.replace("info", "")
    assert str(inline_svg(svg, "p")).startswith("<svg")


def test_numbers_carry_their_ids() -> None:
    root = ET.fromstring(drawn()["forest"])
    ids = {e.get("data-id"): e.text for e in root.iter(f"{SVG}tspan")}
    assert ids["crude/smoke/or"] == "2.02"
    assert ids["tick/0"] is not None
    root = ET.fromstring(drawn()["flow"])
    ids = {e.get("data-id"): e.text for e in root.iter(f"{SVG}tspan")}
    assert ids == {"flow/population/n_after": "1821", "flow/adult/n_after": "1741"}


def test_the_main_row_differs_in_shape_not_only_in_colour() -> None:
    svg = forest([ROWS[0], ROWS[1]], title="t")
    assert svg.count("<rect") == 1
    assert "l8 -7 8 7 -8 7z" in svg


@settings(max_examples=60, deadline=None)
@given(st.floats(0.02, 1.0), st.floats(1.0, 50.0))
def test_ticks_are_few_rising_and_inside(low: float, high: float) -> None:
    low, high = low / 1.5, high * 1.5
    ticks = ratio_ticks(low, high)
    assert 2 <= len(ticks) <= 7
    assert ticks == sorted(set(ticks))
    assert low <= ticks[0] and ticks[-1] <= high


@settings(max_examples=60, deadline=None)
@given(st.text(alphabet="ab 牙髓炎，。-", max_size=60))
def test_wrapping_loses_nothing_but_spaces(text: str) -> None:
    lines = wrap([text], 90)
    assert "".join("".join(p for p in line if isinstance(p, str)) for line in lines).replace(" ", "") == text.replace(
        " ", ""
    )
    for line in lines:
        words = [p for p in line if isinstance(p, str)]
        assert len(words) == 1 or text_width("".join(words)) <= 90 + 1e-6


def test_bars_of_unequal_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="one length"):
        bars(["a"], [1, 2], title="t")

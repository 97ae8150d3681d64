"""The JSON Lines of the commands."""

from __future__ import annotations

import json
from typing import Any

import pytest

from meddata_pipeline.privacy.detect import Detector, Known
from meddata_pipeline.privacy.jsonl import detect_lines, redact_lines


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Detector()


LINES = [
    json.dumps({"id": 1, "text": "患者卓小岚，电话13812345678", "known": {"name": "卓小岚"}, "patient": "p"}),
    "not json",
    "",
    json.dumps({"id": "x", "text": "😀王芳医师", "lang": "zh"}),
    json.dumps({"id": 3, "known": {"name": "卓小岚"}}),
    json.dumps({"id": 4, "text": "卓小岚复诊", "known": {"contacts": "卓小岚"}}),
    json.dumps({"id": 5, "text": "卓小岚复诊", "known": {"name": ["卓小岚"], "mobile": [13812345678]}, "patient": "p"}),
]


def test_detect_keeps_the_order_and_puts_errors_in_place(detector: Detector) -> None:
    out = list(detect_lines(LINES, detector, batch=2))
    assert [o.get("id", o.get("line")) for o in out] == [1, 2, "x", 5, 6, 5]
    assert [set(o) for o in out if "error" in o] == [{"line", "error"}] * 3
    assert not any("卓小岚" in o["error"] for o in out if "error" in o)
    assert out[2]["spans"] == [{"start": 1, "end": 3, "entity": "PERSON", "score": 0.85, "source": "name-before-title"}]


def test_redact(detector: Detector) -> None:
    tags = list(redact_lines(LINES, detector, b"k" * 32))
    assert tags[0]["text"] == "患者[PERSON_1]，电话[PHONE_NUMBER_1]"
    assert tags[0]["spans"] == next(iter(detect_lines(LINES, detector)))["spans"]
    rendered = list(redact_lines(LINES, detector, b"k" * 32, style="surrogate"))
    name = rendered[-1]["text"].removesuffix("复诊")
    assert rendered[0]["text"].startswith(f"患者{name}，")
    assert "卓小岚" not in json.dumps(rendered, ensure_ascii=False)


@pytest.mark.parametrize("bad", [{"contacts": ["x"]}, {"mobile": {"a": 1}}, {"name": [[]]}, {"name": True}])
def test_known_refuses_other_forms(bad: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="known"):
        Known.from_json(bad)

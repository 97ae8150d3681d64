"""Columns of unknown tables, and the JSON Lines of the commands."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pytest

from meddata_pipeline.privacy.columns import classify, disagreements
from meddata_pipeline.privacy.detect import Detector, Known
from meddata_pipeline.privacy.jsonl import detect_lines, redact_lines

NAMES = ["赵敏", "钱钟书", "孙丽", "李梅", "周洁", "吴迪", "郑爽", "王芳", "冯军", "陈静", "褚卫", "蒋勤"]


@pytest.fixture(scope="module")
def table() -> pa.Table:
    n = len(NAMES)
    return pa.table(
        {
            "a": NAMES,
            "b": [f"138123456{i:02d}" for i in range(n)],
            "性别": ["男", "女"] * (n // 2),
            "d": [f"2023-05-{i + 1:02d}" for i in range(n)],
            "e": [f"右下第一磨牙自发痛{i}天，夜间加重，冷热刺激痛明显，遂来就诊，要求治疗。" for i in range(n)],
            "crp": [f"{i}.5" for i in range(n)],
            "诊断编码": ["K04.0"] * n,
            "record_no": [f"BA{i:08d}" for i in range(n)],
            "病情": ["高血压", "牙痛"] * (n // 2),
        }
    )


def test_classes(table: pa.Table) -> None:
    found = {c.column: c.sensitivity for c in classify(table)}
    assert found == {
        "a": "direct",
        "b": "direct",
        "性别": "quasi",
        "d": "quasi",
        "e": "text",
        "crp": "other",
        "诊断编码": "sensitive",
        "record_no": "direct",
        "病情": "other",
    }


def test_evidence_holds_no_value(table: pa.Table) -> None:
    evidence = str([c.evidence for c in classify(table, names=NAMES)])
    assert not any(value in evidence for column in table.columns for value in map(str, column.to_pylist()))


def test_disagreements(table: pa.Table) -> None:
    declared = {"a": "other", "b": "sensitive", "性别": "quasi", "e": "text", "record_no": "link"}
    reasons = disagreements(table, declared, names=NAMES)
    assert [(r.code, r.where) for r in reasons] == [
        ("column-holds-identifiers", "a"),
        ("column-holds-identifiers", "b"),
    ]
    assert not any(name in r.detail for r in reasons for name in NAMES)
    assert disagreements(table, {"a": "direct", "b": "direct"}) == []


def test_a_few_identifiers_do_not_stop_a_run() -> None:
    values = ["正常"] * 99 + ["13812345678"]
    assert disagreements(pa.table({"x": values}), {"x": "other"}) == []
    assert len(disagreements(pa.table({"x": values}), {"x": "other"}, threshold=0.01)) == 1


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

"""How many names the detector sees in Chinese clinical texts that name nobody.

What belongs here: counting findings in the texts of ``free/``, which were written from general medical knowledge, one
paragraph a line; what they taught. What does not: notes with names (test_floors.py), words that are nobody's names
(unit/privacy_text/test_clinical_words.py).
"""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest

from meddata_pipeline.privacy.detect import Detector

#: The texts, and how many characters they have at least.
PARTS = {"part1": 45_000, "part2": 30_000}
#: Staff by a rule, so that the texts count as notes of a hospital: none of them stands in a text.
ROSTER = [
    surname + given
    for surname, given in product("王李张刘陈杨赵黄周吴", ["建国", "秀英", "志强", "丽华", "文博", "玉兰"])
]
#: False names in 100,000 characters that are too many.
MOST = 30


def _paragraphs(part: str) -> list[str]:
    return (Path(__file__).parent / "free" / f"{part}.txt").read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("part", PARTS)
def test_the_texts_are_all_different_and_name_nobody_of_the_staff(part: str) -> None:
    texts = _paragraphs(part)
    assert len(texts) == len(set(texts)) > 700
    assert sum(map(len, texts)) > PARTS[part]
    assert not any(name in text for name in ROSTER for text in texts)


@pytest.mark.parametrize("part", PARTS)
def test_hardly_a_name_is_found_where_nobody_is_named(part: str) -> None:
    texts = _paragraphs(part)
    false = [
        text[span.start : span.end]
        for text, findings in zip(texts, Detector("zh", roster=ROSTER).examine(texts), strict=True)
        for span in findings.spans
        if span.entity == "PERSON"
    ]
    assert len(false) * 100_000 / sum(map(len, texts)) < MOST, false


@pytest.mark.parametrize("part", PARTS)
def test_names_in_such_a_text_are_found(part: str) -> None:
    """The counting above would not notice a detector that finds nothing."""
    named = [f"患者蒋德昌，{text}责任护士：孟雨桐。" for text in _paragraphs(part)[:50]]
    for text, spans in zip(named, Detector("zh", roster=ROSTER).analyze(named), strict=True):
        found = {text[s.start : s.end] for s in spans if s.entity == "PERSON"}
        assert {"蒋德昌", "孟雨桐"} <= found


@pytest.mark.parametrize("label", ["会诊：", "患者", "检查：", "护士：", "，"])
def test_a_side_of_the_body_is_nobody(label: str) -> None:
    parts = [
        "小腿",
        "大腿",
        "下肢",
        "膝",
        "腕部",
        "足背",
        "颊部",
        "舌缘",
        "臀部",
        "眉弓",
        "颞部",
        "耳廓",
        "卵巢",
        "肾区",
        "肺底",
        "前臂",
        "拇指",
        "胫骨",
        "季肋部",
        "心室",
    ]
    said = [f"{label}{side}{part}肿痛两天" for side in "左双" for part in parts]
    answers = Detector("zh", roster=ROSTER).analyze(said)
    assert [text for text, spans in zip(said, answers, strict=True) if any(s.entity == "PERSON" for s in spans)] == []


@pytest.mark.parametrize("text", ["患者左宗明诉牙痛", "家属左玉兰签字", "主刀：左志强"])
def test_a_person_with_the_same_surname_is_found(text: str) -> None:
    assert any(s.entity == "PERSON" for s in Detector("zh", roster=ROSTER).analyze([text])[0])

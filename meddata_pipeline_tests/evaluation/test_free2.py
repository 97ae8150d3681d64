"""Clinical text that names nobody: how many names the detector takes out of it all the same.

What belongs here: the texts of free/part2.txt, written freely from general medical knowledge, and the floor that holds
for them. What does not: notes with names (test_floors.py), words that are nobody's names
(unit/privacy_text/test_clinical_words.py).
"""

from __future__ import annotations

from pathlib import Path

import pytest

from meddata_pipeline.privacy.detect import Detector

TEXTS = Path(__file__).parent / "free" / "part2.txt"
#: What may be taken for a name in 100,000 characters.
FALSE_NAMES = 30
#: Names by rule, a surname and a given name each: with a staff roster every text counts as a hospital's note.
ROSTER = [s + g for s in "王李张刘陈杨黄赵周吴" for g in ("建国", "丽华", "志强", "晓梅", "海涛", "玉兰")]


@pytest.fixture(scope="module")
def texts() -> list[str]:
    """The paragraphs."""
    return TEXTS.read_text(encoding="utf-8").splitlines()


def test_the_texts_are_all_different(texts: list[str]) -> None:
    assert len(texts) == len(set(texts)) > 700
    assert sum(map(len, texts)) > 30_000


def test_few_names_are_found_where_nobody_is_named(texts: list[str]) -> None:
    found = [
        text[span.start : span.end]
        for text, findings in zip(texts, Detector("zh", roster=ROSTER).examine(texts), strict=True)
        for span in findings.spans
        if span.entity == "PERSON"
    ]
    assert len(found) / sum(map(len, texts)) * 100_000 < FALSE_NAMES, found


def test_names_in_these_texts_would_be_found(texts: list[str]) -> None:
    """A detector that found nothing would pass the test above."""
    named = [f"患者{name}，{text}" for name, text in zip(["孟雨桐", "蒋德昌", "范秀珍"], texts, strict=False)]
    answers = Detector("zh", roster=ROSTER).analyze(named)
    assert all(any(s.entity == "PERSON" and s.start == 2 and s.end == 5 for s in spans) for spans in answers)


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

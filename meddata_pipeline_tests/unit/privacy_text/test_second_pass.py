"""The second pass: what it finds is masked, what stays doubtful is withheld, and it ends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import pytest

from meddata_pipeline.privacy.detect import Detector, Findings, Known, Span
from meddata_pipeline.privacy.jsonl import redact_lines
from meddata_pipeline.privacy.second_pass import Accepted, SecondPass, Settled
from meddata_pipeline.privacy.text import residual, to_placeholders
from meddata_pipeline_tests.unit.privacy_text.doubtful import doubtful_rules

KEY = b"k" * 32


class Chain:
    """Finds 甲 at once, 乙 once one placeholder stands in the sentence, 丙 once there are two, and so on."""

    def __init__(self) -> None:
        self.searched: list[str] = []

    def examine(self, texts: Sequence[str], *_: Any) -> list[Findings]:
        return [Findings(self._find(text), []) for text in texts]

    def analyze(self, texts: Sequence[str]) -> list[list[Span]]:
        self.searched += texts
        return [self._find(text) for text in texts]

    def _find(self, text: str) -> list[Span]:
        letter = "甲乙丙丁戊"[min(text.count("_1]"), 4)]
        at = text.find(letter)
        return [Span(at, at + 1, "PERSON", 0.9, "chain")] if at >= 0 else []

    def repeats(self, text: str, spans: Sequence[Span]) -> list[Span]:
        return []


def surfaces(text: str, settled: Settled) -> list[tuple[str, str | None]]:
    return [(text[s.start : s.end], settled.reasons.get(i)) for i, s in enumerate(settled.spans)]


def test_what_each_look_finds_is_masked_and_from_the_second_on_withheld() -> None:
    text = "丁说甲和丙，另有乙。甲在别处。"
    (settled,) = SecondPass(cast("Detector", Chain())).settle([text])
    assert surfaces(text, settled) == [
        ("丁", "second-pass"),
        ("甲", None),
        ("丙", "second-pass"),
        ("乙", None),
    ]
    assert {s.source for s in settled.spans} == {"chain", "second-pass/chain"}


def test_only_sentences_with_a_placeholder_are_searched_and_equal_ones_once() -> None:
    chain = Chain()
    texts = ["患者甲。没有名字的一句。", "患者甲。另一句。", "没有名字。"]
    SecondPass(cast("Detector", chain)).settle(texts)
    assert chain.searched == ["患者[PERSON_1]。"]


@pytest.fixture(scope="module")
def unsure() -> SecondPass:
    return SecondPass(Detector(merge_rules=doubtful_rules()))


TEXT = "电话13812345678，批号998877665544，再记998877665544。2023年5月1日（星期一）复诊。"


def test_uncertain_is_no_answer_of_detect_but_withheld(unsure: SecondPass) -> None:
    assert {s.entity for s in unsure.detector.analyze([TEXT])[0]} == {"PHONE_NUMBER", "DATE_TIME"}
    (settled,) = unsure.settle([TEXT])
    assert surfaces(TEXT, settled) == [
        ("13812345678", None),
        ("998877665544", "uncertain"),
        ("998877665544", "uncertain"),
        ("2023年5月1日（星期一）", None),
    ]
    (out,), table = to_placeholders([TEXT], [settled.spans], key=KEY, reasons=[settled.reasons])
    assert out == "电话[PHONE_NUMBER_1]，批号[OTHER_ID_1]，再记[OTHER_ID_1]。[DATE_TIME_1]复诊。"
    assert table["review"].to_pylist() == [None, "uncertain", "uncertain", None]
    for start, end, entity in zip(*(table[c].to_pylist() for c in ("start", "end", "entity")), strict=True):
        assert out[start:end] == f"[{entity}_1]"
    assert residual([out], unsure.detector) == 0


def test_what_people_accepted_is_free_in_that_text_and_what_is_sure_stays_masked(unsure: SecondPass) -> None:
    accepted = [(Accepted("998877665544", "OTHER_ID"), Accepted("13812345678", "PHONE_NUMBER")), ()]
    first, second = unsure.settle([TEXT, TEXT], accepted=accepted)
    assert [s for s, _ in surfaces(TEXT, first)] == ["13812345678", "2023年5月1日（星期一）"]
    assert len(second.spans) == 4


def test_equal_texts_about_one_person_share_one_answer(unsure: SecondPass) -> None:
    about = Known(names=("卓小岚",))
    answers = unsure.settle(["卓小岚复诊。"] * 3, [about, about, None])
    assert answers[0] is answers[1] is not answers[2]


def test_redact_says_what_it_withheld() -> None:
    import json

    detector = Detector(merge_rules=doubtful_rules())
    (line,) = redact_lines([json.dumps({"id": 1, "text": TEXT})], detector, KEY)
    assert [(s["entity"], s["start"], s["end"]) for s in line["withheld"]] == [
        ("OTHER_ID", 16, 28),
        ("OTHER_ID", 31, 43),
    ]
    assert all(w in line["spans"] for w in line["withheld"])
    assert "998877665544" not in line["text"]
    (sure,) = redact_lines([json.dumps({"id": 1, "text": TEXT})], Detector(), KEY)
    assert sure["withheld"] == []

"""How many names the detector sees in Chinese clinical texts that name nobody.

What belongs here: counting findings in ``free/part1.txt``, which was written from general medical knowledge, one
paragraph a line. What does not: notes with names, recall.
"""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest

from meddata_pipeline.privacy.detect import Detector

TEXTS = Path(__file__).parent / "free" / "part1.txt"
#: Staff by a rule, so that the texts count as notes of a hospital: none of them stands in a text.
ROSTER = [
    surname + given
    for surname, given in product("王李张刘陈杨赵黄周吴", ["建国", "秀英", "志强", "丽华", "文博", "玉兰"])
]
#: False names in 100,000 characters that are too many.
MOST = 30


@pytest.fixture(scope="module")
def texts() -> list[str]:
    """The paragraphs."""
    return TEXTS.read_text(encoding="utf-8").splitlines()


def test_the_texts_are_all_different_and_name_nobody_of_the_staff(texts: list[str]) -> None:
    assert len(texts) == len(set(texts)) > 700
    assert sum(map(len, texts)) > 45_000
    assert not any(name in text for name in ROSTER for text in texts)


def test_hardly_a_name_is_found_where_nobody_is_named(texts: list[str]) -> None:
    false = [
        text[span.start : span.end]
        for text, findings in zip(texts, Detector("zh", roster=ROSTER).examine(texts), strict=True)
        for span in findings.spans
        if span.entity == "PERSON"
    ]
    assert len(false) * 100_000 / sum(map(len, texts)) < MOST, false


def test_a_name_in_such_a_text_is_found(texts: list[str]) -> None:
    """The counting above would not notice a detector that finds nothing."""
    named = [f"{text}责任护士：孟雨桐。" for text in texts[:50]]
    for text, findings in zip(named, Detector("zh", roster=ROSTER).examine(named), strict=True):
        assert text[-4:-1] in [text[s.start : s.end] for s in findings.spans if s.entity == "PERSON"]

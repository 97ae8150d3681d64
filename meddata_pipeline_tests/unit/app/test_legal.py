"""What data are called: a table of all situations, and words that are never used."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from meddata_pipeline.app.legal import Label, decide, texts_of

_JOINS: list[dict[str, Any]] = [
    {"expected_rate": 0.3, "title": {"zh": "甲", "en": "One"}, "version": "1.1"},
    {"expected_rate": 0.62, "title": {"zh": "乙", "en": "Two"}, "version": "2.4"},
]


@pytest.mark.parametrize(
    ("passed", "demo", "linkability", "joined", "label"),
    [
        (True, False, "none", [], "key-destroyed"),
        (True, False, "none", [0.2, 0.1], "key-destroyed"),
        (True, False, "none", [0.1, 0.21], "key-destroyed-joinable"),
        (True, False, "versions", [], "key-kept"),
        (True, False, "versions", [0.9], "key-kept"),
        (True, True, "none", [0.9], "demo"),
        (True, True, "versions", [], "demo"),
        (False, False, "none", [], "insufficient"),
        (False, True, "versions", [0.9], "insufficient"),
        (True, False, "something-new", [], "key-kept"),
    ],
)
def test_what_data_are_called(passed: bool, demo: bool, linkability: str, joined: list[float], label: str) -> None:
    assert decide(passed=passed, demo=demo, linkability=linkability, joined=joined, limit=0.2) == label


@pytest.mark.parametrize("label", get_args(Label))
def test_no_label_claims_anonymity_and_all_have_both_languages(label: Label) -> None:
    for text in texts_of(label, _JOINS):
        for lang in ("zh", "en"):
            words = text.get(lang)
            assert words and "{" not in words
            assert (
                "已匿名" not in words
                and "are anonym" not in words
                and "is anonym" not in words.replace("that is anonym", "")
            )


def test_the_worst_join_is_named_with_its_share() -> None:
    _, reason = texts_of("key-destroyed-joinable", _JOINS)
    assert "62 %" in reason.en and "Two 2.4" in reason.en and "乙 2.4" in reason.zh

"""Folding on known answers: what becomes what, and what must stay as it is."""

from __future__ import annotations

import pytest

from meddata_pipeline.privacy.detect.fold import fold, loosen, simplify


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("１３８－１２３４", "138-1234"),
        ("電話診斷證號醫師歐陽臺灣", "电话诊断证号医师欧阳台湾"),
        ("於二〇二三年後", "于二〇二三年后"),
        ("⽤⼿⻔诊", "用手门诊"),
        ("𝟏𝟑𝟖", "138"),
        ("［张］【伟】", "[张][伟]"),
        ("13\u200b8", "138"),
        # Characters of simplified texts stay: they are also traditional forms of others.
        ("乾燥覆盖藉口", "乾燥覆盖藉口"),
        # Units and powers mean something else without their form.
        ("10²㎎①", "10²㎎①"),
    ],
)
def test_folds_to(text: str, folded: str) -> None:
    assert fold(text).text == folded


@pytest.mark.parametrize(
    ("text", "view"),
    [
        ("电话1381234\n5678,", "电话13812345678,"),
        ("电话138 \r\n 12345678", "电话13812345678"),
        ("身 份 证 号 1 1 0 1", "身份证号1101"),
        ("患 者 张 伟 。", "患者张伟。"),
        ("电话①③⑧①②", "电话13812"),
        ("abc\n@163.com", "abc@163.com"),
        # A list, a date and a paragraph's number begin a line of their own.
        ("WBC 6.5\n1. 诊断", None),
        ("日期5\n2023-05-01", None),
        ("住院号123\n2、主诉", None),
        ("A B\nC D", None),
        ("右 36 牙", None),
    ],
)
def test_loosens_to(text: str, view: str | None) -> None:
    found = loosen(text)
    assert (found.text if found else None) == view


def test_ideographs_are_joined_only_when_asked() -> None:
    assert loosen("张\n伟") is None
    view = loosen("张\n伟", wrapped=True)
    assert view is not None
    assert view.text == "张伟"
    assert view.original(0, 2) == (0, 3)


def test_simplified_forms_keep_the_length() -> None:
    text = "".join(chr(code) for code in range(0x3400, 0xA000))
    assert len(simplify(text)) == len(text)
    assert simplify(simplify(text)) == simplify(text)

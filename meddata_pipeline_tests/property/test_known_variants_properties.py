"""Whatever is known of a patient is found, however it is written, exactly where it stands."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from pypinyin import lazy_pinyin

from meddata_pipeline.privacy.detect import Known
from meddata_pipeline.privacy.detect.fold import Compact, fold
from meddata_pipeline.privacy.detect.known import Group, birth_of, needles_of
from meddata_pipeline.privacy.pseudonym import resident_id_check

SURNAMES = st.sampled_from([*"张王李赵刘陈仇曾单吕任华谢邓潘", "欧阳", "司马", "尉迟"])
GIVEN = st.text(alphabet="伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂英华玉兰春梅海燕红波宁绿", min_size=1, max_size=2)
MOBILE = st.from_regex(r"1[3-9][0-9]{9}", fullmatch=True)
BODY = st.from_regex(
    r"(110101|320503|440106)(19[3-9][0-9])(0[1-9]|1[0-2])(0[1-9]|1[0-9]|2[0-8])[0-9]{3}", fullmatch=True
)
BEFORE = st.sampled_from(
    ["主诉：右下后牙痛3天，", "查体：T36.5℃。\n", "现病史，", "患者", "家属", "K04.0；", "转诊自外院 ", ""]
)
BEHIND = st.sampled_from(["，诉冷热痛", "。", " 复诊", "\n既往体健", "，CRP 5.6mg/L", "；血压120/80mmHg", ""])
FEW = settings(max_examples=150, deadline=None)


def spans(known: Known, text: str) -> set[tuple[int, int]]:
    folded = fold(text)
    return {folded.original(span.start, span.end) for span in needles_of(known).find(folded.text, Compact(folded.text))}


def wide(text: str) -> str:
    return "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text)


@FEW
@given(
    st.one_of(st.builds(str.__add__, SURNAMES, GIVEN), st.text("张伟·•买提A Zi-", max_size=8)),
    st.one_of(MOBILE, BODY, st.text("0123456789+-() XA伟", max_size=20)),
)
def test_every_spelling_holds_a_part_that_is_looked_for_first(name: str, number: str) -> None:
    known = Known((name,), (number,), (number,), (number,), (), ((name, number),), (number, name))
    groups: tuple[Group, ...] = needles_of(known)._groups
    assert len(groups) == 8 + (birth_of(number) is not None) - (not name) - (not number)
    for group in groups:
        for needle in group._make():
            assert any(part in needle.value for part in group._parts)


@FEW
@given(SURNAMES, GIVEN, BEFORE, BEHIND, st.integers(0, 13))
def test_names(surname: str, given_name: str, before: str, behind: str, way: int) -> None:
    name = surname + given_name
    readings = {"仇": "qiu", "曾": "zeng", "单": "shan", "任": "ren", "华": "hua", "尉迟": "yuchi"}
    family, rest = readings.get(surname, "".join(lazy_pinyin(surname))), "".join(lazy_pinyin(given_name))
    family, rest = family.replace("v", "u"), rest.replace("v", "u")
    surface, title = [
        (name, ""),
        (" ".join(name), ""),
        ("\u3000".join(name), ""),
        (surname, "主任"),
        (surname, "女士"),
        (surname + "某", ""),
        (surname + "某某", ""),
        (surname + "**", ""),
        (surname + "XX", ""),
        (f"{family.title()} {rest.title()}", ""),
        (f"{family.upper()}^{rest.upper()}", ""),
        (f"{rest.title()} {family.title()}", ""),
        (f"{rest[0].upper()}. {family.title()}", ""),
        (wide(f"{family.title()}{rest}"), ""),
    ][way]
    text = f"{before}{surface}{title}{behind}"
    assert (len(before), len(before) + len(surface)) in spans(Known(names=(name,)), text)


@FEW
@given(MOBILE, BEFORE, BEHIND, st.integers(0, 12))
def test_mobiles(number: str, before: str, behind: str, way: int) -> None:
    a, b, c = number[:3], number[3:7], number[7:]
    label, surface = [
        ("", number),
        ("", f"{a} {b} {c}"),
        ("", f"{a}-{b}-{c}"),
        ("", f"{a}.{b}.{c}"),
        ("", f"{a} {number[3:6]} {number[6:]}"),
        ("", f"{number[:4]} {number[4:8]} {number[8:]}"),
        ("", f"{number[:5]}\u2014{number[5:]}"),
        ("+86 ", f"{a}-{b}-{c}"),
        ("0086", number),
        ("", wide(number)),
        ("", f"{a}****{c}"),
        ("手机尾号", c),
        ("电话后四位为", c),
    ][way]
    text = f"{before}电话{label}{surface}{behind}"
    start = text.index(surface, len(before) + 2)
    assert (start, start + len(surface)) in spans(Known(mobiles=(number,)), text)


@FEW
@given(BODY, BEFORE, BEHIND, st.integers(0, 11))
def test_resident_ids(body: str, before: str, behind: str, way: int) -> None:
    number = body + resident_id_check(body)
    year, month, day = number[6:10], int(number[10:12]), int(number[12:14])
    label, surface = [
        ("", number),
        ("", f"{number[:6]} {number[6:14]} {number[14:]}"),
        ("", f"{number[:6]}-{number[6:10]}-{number[10:14]}-{number[14:]}"),
        ("", wide(number)),
        ("", number.lower()),
        ("", f"{number[:6]}{'*' * 8}{number[14:]}"),
        ("", f"{number[:4]}{'*' * 10}{number[14:]}"),
        ("尾号", number[-4:]),
        ("末6位：", number[-6:]),
        ("生于", f"{year}年{month}月{day}日"),
        ("生于", f"{year[2:]}.{month}.{day}"),
        ("", f"{number[:6]}{number[8:17]}"),
    ][way]
    text = f"{before}证{label}{surface}{behind if not behind[:1].isdigit() else ''}"
    start = text.index(surface, len(before) + 1)
    assert (start, start + len(surface)) in spans(Known(resident_ids=(number,)), text)

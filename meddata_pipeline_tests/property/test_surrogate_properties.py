"""Properties of surrogates: consistent per patient, dates moved together, numbers that are nobody's."""

from __future__ import annotations

import calendar
import re
from datetime import date, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from meddata_pipeline.privacy.detect import Detector, Known
from meddata_pipeline.privacy.detect.recognizers.bank_card import luhn
from meddata_pipeline.privacy.detect.types import ENTITIES
from meddata_pipeline.privacy.pseudonym import date_shift_days, resident_id_check
from meddata_pipeline.privacy.second_pass import SecondPass
from meddata_pipeline.privacy.surrogate import surrogate_for
from meddata_pipeline.privacy.text import read_date, render, to_placeholders, write_date

PASSES = SecondPass(Detector())
LAKE = b"l" * 32
FEW = settings(max_examples=150, deadline=None)
KEYS = st.binary(min_size=32, max_size=32)
DAYS = st.dates(date(1950, 1, 1), date(2049, 12, 31))
_HAN = "〇一二三四五六七八九"
_WEEK = "一二三四五六日"
_ENGLISH_WEEK = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
_ENGLISH_MONTHS = list(calendar.month_name)[1:]


def han(number: int) -> str:
    """Ten, twenty-one as a doctor writes them; written apart from the product's own."""
    if number < 10:
        return _HAN[number]
    tens, ones = divmod(number, 10)
    return ("" if tens == 1 else _HAN[tens]) + "十" + (_HAN[ones] if ones else "")


FORMS = {
    "han": lambda d: f"{d.year}年{d.month}月{d.day}日",
    "spelled": lambda d: "".join(_HAN[int(c)] for c in str(d.year)) + f"年{han(d.month)}月{han(d.day)}日",
    "dots": lambda d: f"{d.year}.{d.month}.{d.day}",
    "slashes": lambda d: f"{d.year}/{d.month:02d}/{d.day:02d}",
    "dashes": lambda d: f"{d.year}-{d.month:02d}-{d.day:02d} 14:30",
    "packed": lambda d: f"{d.year}{d.month:02d}{d.day:02d}",
    "weekday": lambda d: f"{d.year}年{d.month}月{d.day}日（星期{_WEEK[d.weekday()]}）",
    "weekday before": lambda d: f"周{_WEEK[d.weekday()]}，{d.year}-{d.month:02d}-{d.day:02d}",
    "english": lambda d: f"{_ENGLISH_WEEK[d.weekday()]}, {_ENGLISH_MONTHS[d.month - 1]} {d.day}, {d.year}",
}


def rendered(texts: list[str], key: bytes, persons: list[str], known: list[Known] | None = None) -> list[str]:
    settled = PASSES.settle(texts, known)
    out, table = to_placeholders(texts, [s.spans for s in settled], key=LAKE)
    return render(out, table, key, style="surrogate", persons=persons)[0]


@FEW
@given(KEYS, DAYS, st.sampled_from(sorted(FORMS)), st.sampled_from(["p", "q"]))
def test_dates_move_by_their_patients_shift_in_the_form_in_which_they_are_written(
    key: bytes, day: date, form: str, person: str
) -> None:
    text = "The patient was seen on {}." if form == "english" else "患者，就诊日期：{}，牙龈红肿。"
    (out,) = rendered([text.format(FORMS[form](day))], key, [person])
    moved = day + timedelta(days=date_shift_days(key, person))
    # 2000.10.10 does not say whether its writer pads; it is taken for padded.
    padded = form == "dots" and min(day.month, day.day) > 9
    expected = f"{moved.year}.{moved.month:02d}.{moved.day:02d}" if padded else FORMS[form](moved)
    assert out == text.format(expected)


@FEW
@given(KEYS, DAYS, st.integers(0, 6))
def test_a_wrong_weekday_moves_as_far_as_its_date(key: bytes, day: date, slip: int) -> None:
    text = f"患者于{day.year}年{day.month}月{day.day}日，周{_WEEK[(day.weekday() + slip) % 7]}就诊。"
    (out,) = rendered([text], key, ["p"])
    moved = day + timedelta(days=date_shift_days(key, "p"))
    assert f"周{_WEEK[(moved.weekday() + slip) % 7]}就诊" in out


@FEW
@given(KEYS, st.dates(date(2001, 1, 1), date(2001, 12, 31)), st.sampled_from(["{0}月{1}日", "{2}月{3}日"]))
def test_dates_without_a_year_move_too(key: bytes, day: date, form: str) -> None:
    written = form.format(day.month, day.day, han(day.month), han(day.day))
    moved = day + timedelta(days=date_shift_days(key, "p"))
    (out,) = rendered([f"患者于{written}就诊。"], key, ["p"])
    assert out == f"患者于{form.format(moved.month, moved.day, han(moved.month), han(moved.day))}就诊。"


@FEW
@given(DAYS, st.sampled_from(sorted(FORMS)))
def test_reading_and_writing_a_date_are_inverse(day: date, form: str) -> None:
    surface = FORMS[form](day)
    found, how = read_date(surface)
    assert found == day
    assert write_date(day, how) == surface


NAMES = st.sampled_from(["卓小岚", "令狐春", "张伟明", "欧阳倩倩"])


@FEW
@given(KEYS, NAMES, st.sampled_from(["复诊。", "今日拔牙，术后无不适。", "，女，45岁，牙痛。"]))
def test_one_name_has_one_surrogate_of_its_kind_in_all_notes_of_a_patient(key: bytes, name: str, rest: str) -> None:
    about = Known(names=(name,))
    texts = [f"患者{name}{rest}", f"{name}来电。", f"患者{name}{rest}"]
    first, second, third = rendered(texts, key, ["p", "p", "q"], [about] * 3)
    surrogate = first.removeprefix("患者").removesuffix(rest)
    assert re.fullmatch("[\u4e00-\u9fff]{2,4}", surrogate)
    assert second == f"{surrogate}来电。"
    assert third.removesuffix(rest).removeprefix("患者") != "" and name not in first + second + third


@FEW
@given(KEYS, st.integers(1, 130))
def test_ages_are_kept_unless_over_89(key: bytes, age: int) -> None:
    text = f"患者{age}岁，因牙痛就诊。"
    (out,) = rendered([text], key, ["p"])
    assert out == (text if age <= 89 else "患者90岁以上，因牙痛就诊。")


def digits(text: str) -> str:
    return re.sub("[^0-9]", "", text)


SHAPES = {
    "CN_RESIDENT_ID": ["9" * 18, "9" * 17 + "A", "9" * 15, "999999 99999999 9999", "999999-99999999-999A"],
    "PHONE_NUMBER": ["9" * 11, "999-9999-9999", "9999-99999999", "+99 99999999999", "99999999", "(999) 999-9999"],
    "CREDIT_CARD": ["9" * 16, "9" * 19, "9999 9999 9999 9999", "9" * 13],
    "US_SSN": ["999-99-9999", "9" * 9],
}


@settings(max_examples=300, deadline=None)
@given(KEYS, st.sampled_from([(e, s) for e, shapes in SHAPES.items() for s in shapes]))
def test_numbers_keep_their_shape_and_are_nobodys(seed: bytes, what: tuple[str, str]) -> None:
    entity, shape = what
    out = surrogate_for(seed, entity, shape)
    assert re.sub("[A-Z]", "A", re.sub("[0-9]", "9", out)) == shape
    plain = re.sub("[^0-9A-Z]", "", out)
    number = digits(out)
    if entity == "CN_RESIDENT_ID":
        assert plain[0] == "0"
        if len(plain) == 18:
            assert resident_id_check(plain[:17]) != plain[17]
    if entity == "PHONE_NUMBER":
        assert not re.search(r"1[3-9][0-9]{9}$", number)
        assert not re.fullmatch(r"0(?:10|2[0-9]|[3-9][0-9]{2})[2-8][0-9]{6,7}", number)
        assert not re.fullmatch(r"[2-8][0-9]{6,7}", number)
        assert not re.fullmatch(r"1?[2-9][0-9]{2}[2-9][0-9]{6}", number)
    if entity == "CREDIT_CARD":
        assert not luhn(number)
    if entity == "US_SSN":
        assert number.startswith("000")


@settings(max_examples=300, deadline=None)
@given(
    KEYS,
    st.sampled_from([e for e in ENTITIES if e not in {"DATE_TIME"}]),
    st.integers(4, 22).map(lambda n: "9" * n),
)
def test_a_number_of_one_kind_is_no_valid_number_of_another(seed: bytes, entity: str, shape: str) -> None:
    number = digits(surrogate_for(seed, entity, shape)) if entity not in {"LOCATION", "AGE", "IP_ADDRESS"} else ""
    assert not re.fullmatch(r"1[3-9][0-9]{9}", number)
    assert not (13 <= len(number) <= 19 and luhn(number))
    assert not (len(number) in (15, 18) and number[0] != "0")

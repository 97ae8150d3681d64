"""Placeholders, surrogates, and the second pass over an output."""

from __future__ import annotations

from datetime import date

import pytest

from meddata_pipeline.privacy.detect import Detector, Known
from meddata_pipeline.privacy.pseudonym import date_shift_days, resident_id_is_valid
from meddata_pipeline.privacy.text import read_date, render, residual, span_schema, to_placeholders, write_date

LAKE, PRODUCT, OTHER = b"l" * 32, b"p" * 32, b"o" * 32
TEXTS = [
    "患者卓小岚（女）于2023年5月1日入院，电话13812345678。王主任查房，王建国主任医师补充：卓女士耐受可。",
    "卓小岚复诊，2023-05-15，身份证110105199003078570。",
]
KNOWN = [Known(names=("卓小岚",))] * 2


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Detector()


def test_one_person_has_one_number_in_all_variants(detector: Detector) -> None:
    texts, table = to_placeholders(TEXTS, detector.analyze(TEXTS, KNOWN), key=LAKE)
    assert texts[0] == (
        "患者[PERSON_1]（女）于[DATE_TIME_1]入院，电话[PHONE_NUMBER_1]。[PERSON_2]主任查房，[PERSON_2]主任医师补充："
        "[PERSON_1]女士耐受可。"
    )
    assert table.schema == span_schema()
    assert table["date"].to_pylist()[1] == date(2023, 5, 1)
    for row, start, end, entity, index in zip(
        *(table[c].to_pylist() for c in ("row", "start", "end", "entity", "index")), strict=True
    ):
        assert texts[row][start:end] == f"[{entity}_{index}]"


def test_span_table_holds_no_surface(detector: Detector) -> None:
    _, table = to_placeholders(TEXTS, detector.analyze(TEXTS, KNOWN), key=LAKE)
    everything = str(table.to_pylist())
    assert not any(value in everything for value in ("卓小岚", "王建国", "13812345678", "110105199003078570"))


def test_surrogates_are_consistent_per_patient_and_key(detector: Detector) -> None:
    texts, table = to_placeholders(TEXTS, detector.analyze(TEXTS, KNOWN), key=LAKE)
    rendered, placed = render(texts, table, PRODUCT, style="surrogate", persons=["p1", "p1"])
    name = rendered[1][: rendered[1].index("复诊")]
    assert rendered[0].startswith(f"患者{name}（女）")
    assert name[0] + "女士" in rendered[0]
    again, _ = render(texts, table, PRODUCT, style="surrogate", persons=["p1", "p1"])
    assert again == rendered
    elsewhere, _ = render(texts, table, OTHER, style="surrogate", persons=["p1", "p1"])
    assert elsewhere != rendered
    for text, spans in zip(rendered, placed, strict=True):
        assert all(0 <= s.start < s.end <= len(text) for s in spans)


def test_dates_move_by_the_patients_shift_and_keep_their_form(detector: Detector) -> None:
    texts, table = to_placeholders(TEXTS, detector.analyze(TEXTS, KNOWN), key=LAKE)
    rendered, _ = render(texts, table, PRODUCT, style="surrogate", persons=["p1", "p1"])
    shift = date_shift_days(PRODUCT, "p1")
    moved = date.fromordinal(date(2023, 5, 15).toordinal() + shift)
    assert moved.isoformat() in rendered[1]
    first = date.fromordinal(date(2023, 5, 1).toordinal() + shift)
    assert f"{first.year}年{first.month}月{first.day}日" in rendered[0]


def test_surrogate_ids_are_not_valid(detector: Detector) -> None:
    texts, table = to_placeholders(TEXTS, detector.analyze(TEXTS, KNOWN), key=LAKE)
    for i in range(30):
        rendered, placed = render(texts, table, bytes([i]) * 32, style="surrogate", persons=["p1", "p1"])
        number = next(rendered[1][s.start : s.end] for s in placed[1] if s.entity == "CN_RESIDENT_ID")
        assert len(number) == 18
        assert not resident_id_is_valid(number)


def test_second_pass_finds_nothing(detector: Detector) -> None:
    texts, table = to_placeholders(TEXTS, detector.analyze(TEXTS, KNOWN), key=LAKE)
    tags, placed_tags = render(texts, table, PRODUCT)
    assert residual(tags, detector, placed_tags) == residual(tags, detector) == 0
    rendered, placed = render(texts, table, PRODUCT, style="surrogate", persons=["p1", "p2"])
    assert residual(rendered, detector, placed) == 0
    assert residual(["电话13812345678"], detector) == 1


@pytest.mark.parametrize(
    ("surface", "day"),
    [
        ("2023年5月1日", date(2023, 5, 1)),
        ("２０２３年０５月０１日", date(2023, 5, 1)),
        ("2023-05-01 14:30", date(2023, 5, 1)),
        ("20230501", date(2023, 5, 1)),
        ("二〇二三年五月十二日", date(2023, 5, 12)),
        ("二〇二三年十二月廿三日", date(2023, 12, 23)),
        ("May 5, 2023", date(2023, 5, 5)),
        ("5 May 2023", date(2023, 5, 5)),
        ("05/12/2023", date(2023, 5, 12)),
        ("98-05-01", date(1998, 5, 1)),
    ],
)
def test_dates_are_read(surface: str, day: date) -> None:
    assert read_date(surface)[0] == day


@pytest.mark.parametrize(
    "surface", ["2023年5月1日", "2023-05-01 14:30", "20230501", "2023/5/1", "May 5, 2023", "05/12/2023"]
)
def test_dates_are_written_as_they_were(surface: str) -> None:
    day, form = read_date(surface)
    assert day is not None
    assert write_date(day, form) == surface


def test_impossible_dates_have_no_date_and_no_surface() -> None:
    assert read_date("2023年2月31日") == (None, "")

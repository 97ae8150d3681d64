"""Dates, numbers, results and units as Chinese hospitals write them; nothing is guessed."""

from __future__ import annotations

import datetime as dt

import pytest

from meddata_pipeline.core.config import Config
from meddata_pipeline.ingest import normalise as norm
from meddata_pipeline_tests.unit.ingest.deliveries import person

DAY = dt.date(2024, 3, 1)
VOCABULARY = norm.load_vocabulary(Config())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2023-05-01", (2023, 5, 1)),
        ("2023/5/1", (2023, 5, 1)),
        ("2023.05.01", (2023, 5, 1)),
        ("2023年5月1日", (2023, 5, 1)),
        ("2023 年 5 月 1 日", (2023, 5, 1)),
        ("２０２３年５月１日", (2023, 5, 1)),
        ("20230501", (2023, 5, 1)),
        ("20230501103000", (2023, 5, 1)),
        ("2023-05-01 10:30:00", (2023, 5, 1)),
        ("2023-05-01T10:30:00.000+08:00", (2023, 5, 1)),
        ("2023-05-01T10:30:00Z", (2023, 5, 1)),
        ("2023/5/1 8:05", (2023, 5, 1)),
        ("2023年5月1日 10时20分", (2023, 5, 1)),
        ("2023/5/1 上午 8:05", (2023, 5, 1)),
        ("45047", (2023, 5, 1)),  # Excel
        ("45047.4375", (2023, 5, 1)),
        ("36526", (2000, 1, 1)),
        ("23/5/1", (2023, 5, 1)),
        ("24/5/1", (2024, 5, 1)),
        ("25/5/1", (1925, 5, 1)),  # two digits never lie behind the year of delivery
        ("85年12月3日", (1985, 12, 3)),
        ("2024-02-29", (2024, 2, 29)),
    ],
)
def test_dates(text: str, expected: tuple[int, int, int]) -> None:
    assert norm.parse_date(text, DAY) == dt.date(*expected)


@pytest.mark.parametrize(
    "text",
    [
        "2024-02-30",
        "2023-02-29",
        "2023-13-05",
        "2023年13月5日",
        "20230231",
        "05/06/2023",
        "2023-05",
        "202305",
        "230501",
        "2023-05/01",
        "2023年5-1",
        "明天",
        "",
        "0",
        "1-2-3-4",
        "2023-05-01 又",
        "999999",
        "2023-5-1-",
        "2023-005-01",
    ],
)
def test_dates_that_are_none_or_would_have_to_be_guessed(text: str) -> None:
    assert norm.parse_date(text, DAY) is None


def test_other_orders_are_read_where_the_profile_says_so() -> None:
    assert norm.parse_date("05/06/2023", DAY, "dmy") == dt.date(2023, 6, 5)
    assert norm.parse_date("05/06/2023", DAY, "mdy") == dt.date(2023, 5, 6)
    assert norm.parse_date("31/12/23", DAY, "dmy") == dt.date(2023, 12, 31)
    assert norm.parse_date("2023-06-05", DAY, "dmy") == dt.date(2023, 6, 5)


def test_possible_dates() -> None:
    assert norm.is_possible(dt.date(1900, 1, 1), DAY)
    assert not norm.is_possible(dt.date(1899, 12, 31), DAY)
    assert norm.is_possible(DAY, DAY)
    assert not norm.is_possible(dt.date(2024, 3, 2), DAY)
    assert norm.is_possible(dt.date(2024, 3, 2), DAY, future=True)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1.5", 1.5),
        ("１．５", 1.5),
        ("1,234.5", 1234.5),
        ("1，234", 1234),
        (".5", 0.5),
        ("-3", -3),
        ("−3", -3),
        ("1.2E3", 1200),
        ("5.", 5),
        ("007", 7),
    ],
)
def test_numbers(text: str, expected: float) -> None:
    assert norm.parse_number(text) == expected


@pytest.mark.parametrize("text", ["", "1,23", "1..2", "1O.5", "inf", "nan", "1e999", "0x10", "1 2", "1_000", "五"])
def test_no_numbers(text: str) -> None:
    assert norm.parse_number(text) is None


def test_integers() -> None:
    assert norm.parse_integer("3.0") == 3
    assert norm.parse_integer("3.5") is None
    assert norm.parse_integer("9223372036854775807") == 2**63 - 1
    assert norm.parse_integer("9223372036854775808") is None
    assert norm.parse_integer("1e18") is None  # which digits?


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("3.2", (None, 3.2, None)),
        ("<0.5", ("<", 0.5, None)),
        ("＜０．５", ("<", 0.5, None)),
        ("≤ 0.5", ("<=", 0.5, None)),
        ("<=0.5", ("<=", 0.5, None)),
        (">1,000", (">", 1000, None)),
        ("大于200", (">", 200, None)),
        ("阴性", (None, None, "qualitative")),
        ("阴性(-)", (None, None, "qualitative")),
        ("+-", (None, None, "qualitative")),
        ("-", (None, None, "qualitative")),
        ("3+", (None, None, "qualitative")),
        ("1:160", (None, None, "qualitative")),
        ("5-10", (None, None, "qualitative")),
        ("<检出限", (None, None, "qualitative")),
        ("1..2", (None, None, "bad_number")),
        ("3.4.1", (None, None, "bad_number")),
        ("1O.5", (None, None, "bad_number")),
        ("<1..2", (None, None, "bad_number")),
    ],
)
def test_results(text: str, expected: tuple[str | None, float | None, str | None]) -> None:
    assert tuple(VOCABULARY.parse_result(text)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mg/L", "mg/L"),
        ("ｍｇ／Ｌ", "mg/L"),
        ("毫克/升", "mg/L"),
        (" MG/l ", "mg/L"),
        ("μmol/L", "umol/L"),
        ("µmol/L", "umol/L"),
    ]
    + [
        (spelling, "10*9/L")
        for spelling in ("10^9/L", "×10^9/L", "10E9/L", "x10^9/L", "10⁹/L", "×10⁹/L", "10*9/l", "10E+09/L")
    ]
    + [("×１０＾９／Ｌ", "10*9/L"), ("/µL", "/uL"), ("个/μL", "/uL"), ("10^3/uL", "10*3/uL"), ("ng/L", "ng/L")]
    + [("mmHg", None), ("次/分", None), ("IU", None), ("", None)],
)
def test_units(text: str, expected: str | None) -> None:
    assert VOCABULARY.unit_of(text) == expected


def test_conversions_of_the_domain() -> None:
    crp, wbc = VOCABULARY.units["1988-5"], VOCABULARY.units["6690-2"]
    assert crp.factors["mg/dL"] * 0.35 == pytest.approx(3.5)
    assert crp.factors["nmol/L"] * 9.524 == pytest.approx(1)
    assert wbc.factors["/uL"] * 6500 == pytest.approx(6.5)
    assert VOCABULARY.units["26881-3"].factors["ng/L"] == 1
    assert VOCABULARY.units["2160-0"].factors["umol/L"] * 88.42 == pytest.approx(1)
    assert VOCABULARY.units["2345-7"].factors["mg/dL"] * 18.016 == pytest.approx(1)
    for code in VOCABULARY.units.values():
        assert code.factors[code.unit] == 1
        # Every unit that has a factor can be spelt.
        assert all(VOCABULARY.unit_of(unit) == unit for unit in code.factors)


def test_identifiers() -> None:
    valid = person(1)
    assert norm.is_resident_id(valid)
    assert not norm.is_resident_id(valid[:-1] + ("0" if valid[-1] != "0" else "1"))
    assert norm.resident_id_key(f" {valid.lower()[:6]} {valid.lower()[6:]}") == valid
    assert norm.birth_date_of(valid) == dt.date(1980, 1, 1)
    # The old form of 15 digits is the same person.
    assert norm.resident_id_key("110101800101001") == person(1)
    assert norm.mobile_key("+86 138-1234 5678") == norm.mobile_key("１３８１２３４５６７８") == "13812345678"
    assert norm.has_lost_digits("4.1E+17")
    assert norm.has_lost_digits("1.10101198001010E+17")
    assert not norm.has_lost_digits("AE17")


@pytest.mark.parametrize(
    ("text", "negated"),
    [
        ("慢性牙髓炎", False),
        ("排除牙髓炎", True),
        ("牙髓炎待查", True),
        ("否认牙髓炎病史", True),
        ("牙髓炎？", True),
        ("Pulpitis, r/o", True),
    ],
)
def test_negations(text: str, negated: bool) -> None:
    assert VOCABULARY.is_negated(text) is negated

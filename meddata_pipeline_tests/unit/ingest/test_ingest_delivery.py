"""One delivery through all of ingest: what is kept, what is put aside, who leaves."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import openpyxl
import pytest

from meddata_pipeline.core.errors import BadInput, Refused
from meddata_pipeline.core.tables import arrow_schema
from meddata_pipeline.ingest.quarantine import TableBalance
from meddata_pipeline_tests.unit.ingest.deliveries import DAY, ingest, person, profile, reasons, rows

HEADER = "病案号,姓名,性别,出生日期,身份证号,手机\n"


def test_types_codes_and_source_values(tmp_path: Path) -> None:
    result = ingest(
        tmp_path, {"患者.csv": HEADER + f" 001 ,张三,男,1980年5月1日,{person(1).lower()},１３８００００００００\n"}
    )
    (row,) = result.tables["patient"].to_pylist()
    assert row["patient_no"] == "001"
    assert row["sex"] == "M"
    assert row["birth_date"] == dt.date(1980, 5, 1)
    assert row["resident_id"] == person(1)  # eighteen digits, as text
    assert row["mobile"] == "13800000000"
    assert json.loads(row["source_values"]) == {"birth_date": "1980年5月1日"}
    assert (row["hospital"], row["day"], row["source_table"], row["source_row"]) == ("h", DAY, "patients", 0)
    assert (row["record_key"], row["delivery"], row["deleted"]) == ("001", "snapshot", False)
    for kind, table in result.tables.items():
        assert table.schema == arrow_schema(kind)


def test_bad_rows_are_put_aside_with_their_reason(tmp_path: Path) -> None:
    lines = [
        "1,a,男,1980-01-01,,",
        "2,b,男,2024-02-30,,",  # no such day
        "3,c,男,2024-03-02,,",  # behind the day of delivery
        "4,d,男,1899-12-31,,",
        "5,e,双,1980-01-01,,",
        ",f,男,1980-01-01,,",
        "7,g,男,1980-01-01,4.1E+17,",
        "8,h,男",
        "9,i,男,1980-01-01,,,10",
        "10,j,NULL,,,",
    ]
    result = ingest(tmp_path, {"患者.csv": HEADER + "\n".join(lines)})
    assert [key for (key,) in rows(result, "patient", "patient_no")] == ["1", "10"]
    assert reasons(result) == [
        (1, "birth_date", "impossible_date"),
        (2, "birth_date", "impossible_date"),
        (3, "birth_date", "impossible_date"),
        (4, "sex", "unmapped_code"),
        (5, "patient_no", "missing_required"),
        (6, "resident_id", "lost_digits"),
        (7, "", "short_row"),
        (8, "", "long_row"),
    ]
    (balance,) = result.balance
    assert (balance.rows_in, balance.mapped, balance.recorded) == (10, 2, 2)
    assert json.loads(result.quarantine.column("raw")[1].as_py())[1] == "c"


def test_header_aliases_and_columns_that_nobody_knows(tmp_path: Path) -> None:
    text = "姓 名,病历号,备注,张三丰的微信,姓名\n甲,1,x,wx,乙\n"
    result = ingest(tmp_path, {"患者.csv": text})
    assert rows(result, "patient", "patient_no", "name") == [("1", "甲")]
    withheld = {(w.header, w.position, w.why) for w in result.withheld if w.position}
    assert withheld == {("备注", 3, "listed"), ("张三丰的微信", 4, "unmapped"), ("姓名", 5, "repeated")}
    assert {w.column for w in result.withheld if w.why == "missing-column"} == {
        "sex",
        "birth_date",
        "resident_id",
        "mobile",
    }
    facts = json.dumps(result.public_facts(), ensure_ascii=False)
    assert "张三丰" not in facts
    assert '"position": 4' in facts


def test_a_file_without_any_known_column_is_a_bad_file(tmp_path: Path) -> None:
    result = ingest(tmp_path, {"患者.csv": "x,y\n1,2\n"})
    assert [reason for _, _, reason in reasons(result)] == ["bad_file"]
    assert result.rows_in == 0


def test_laboratory_results(tmp_path: Path) -> None:
    lines = [
        "S1,C反应蛋白,3.5,mg/L",
        "S2,C反应蛋白,０．３５,ｍｇ／ｄＬ",
        "S3,C反应蛋白,<0.5,毫克/升",
        "S4,C反应蛋白,3.5,",
        "S5,C反应蛋白,3.5,mmHg",
        "S6,C反应蛋白,阴性,",
        "S7,WBC,6500,个/μL",
        "S8,WBC,6.5,×10⁹/L",
        "S9,血沉,12,mm/h",
        "S10,C反应蛋白,1..2,mg/L",
        "S11,C反应蛋白,99999,mg/L",
        "S12,C反应蛋白,,mg/L",
        "S9,尿酸,300,umol/L",
    ]
    text = "病案号,标本号,项目,结果,单位\n" + "\n".join("1," + line for line in lines)
    result = ingest(tmp_path, {"检验.csv": text})
    found = {key: rest for key, *rest in rows(result, "lab", "record_key", "operator", "value", "unit", "flag")}
    assert found["S1|1988-5"] == [None, 3.5, "mg/L", None]
    assert found["S2|1988-5"] == [None, pytest.approx(3.5), "mg/L", None]
    assert found["S3|1988-5"] == ["<", 0.5, "mg/L", None]
    assert found["S4|1988-5"] == [None, None, None, "unit_missing"]
    assert found["S5|1988-5"] == [None, None, None, "unit_unknown"]
    assert found["S6|1988-5"] == [None, None, None, "qualitative"]
    assert found["S7|6690-2"] == [None, pytest.approx(6.5), "10*9/L", None]
    assert found["S8|6690-2"] == [None, 6.5, "10*9/L", None]
    # Tests that the profile does not know stay, apart from each other, without a value that nobody can convert.
    assert found["S9|血沉"] == found["S9|尿酸"] == [None, None, None, "code_unknown"]
    assert found["S11|1988-5"] == [None, None, None, "unit_implausible"]
    assert found["S12|1988-5"] == [None, None, None, None]
    assert reasons(result) == [(9, "value", "bad_number")]
    source = {key: (text, unit) for key, text, unit in rows(result, "lab", "record_key", "value_text", "unit_source")}
    assert source["S2|1988-5"] == ("０．３５", "ｍｇ／ｄＬ")
    assert result.flags == {
        "unit_missing": 1,
        "unit_unknown": 1,
        "qualitative": 1,
        "unit_implausible": 1,
        "code_unknown": 2,
    }


def test_wide_rows_become_observations(tmp_path: Path) -> None:
    text = "病案号,就诊号,日期,BMI,吸烟,作废\n1,V1,2023-01-01,22.5,是,\n1,V2,2023-02-01,,否,\n1,V3,2023-03-01,x,否,\n"
    result = ingest(tmp_path, {"就诊.csv": text})
    assert rows(result, "observation", "record_key", "name", "value", "value_text", "unit") == [
        ("V1|bmi", "bmi", 22.5, "22.5", "kg/m2"),
        ("V1|smoking", "smoking", 1.0, "1", None),
        ("V2|smoking", "smoking", 0.0, "0", None),
    ]
    assert reasons(result) == [(2, "bmi", "bad_number")]
    assert [(b.rows_in, b.recorded) for b in result.balance] == [(3, 2)]


def test_repeated_records(tmp_path: Path) -> None:
    lines = ["1,a,男,,,", "2,b,男,,,", "1,a,男,,,", "2,B,男,,,", "3,c,男,,,", "3,d,男,,,", "3,c,男,,,"]
    result = ingest(tmp_path, {"患者.csv": HEADER + "\n".join(lines)})
    # Sent twice: the repetition goes. Changed within the file: the content of the last row counts.
    assert rows(result, "patient", "patient_no", "name", "source_row") == [("1", "a", 0), ("2", "B", 3), ("3", "c", 4)]
    assert [(row, reason) for row, _, reason in reasons(result)] == [(n, "duplicate") for n in (1, 2, 5, 6)]


def test_repeated_wide_rows_are_compared_by_all_they_say(tmp_path: Path) -> None:
    text = (
        "病案号,就诊号,日期,BMI,吸烟,作废\n1,V1,2023-01-01,22,是,\n1,V1,2023-01-01,22,是,\n1,V2,,20,是,\n1,V2,,21,是,\n"
    )
    result = ingest(tmp_path, {"就诊.csv": text})
    assert rows(result, "visit", "visit_no", "source_row") == [("V1", 0), ("V2", 3)]
    assert [v for (v,) in rows(result, "observation", "value")] == [22.0, 21.0, 1.0, 1.0]


def test_two_files_of_a_table_are_one(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        "患者_1.csv": HEADER + "1,old,男,,,\n2,b,男,,,\n",
        "患者_2.csv": "性别,姓名,病案号\n女,new,1\n",
    }
    result = ingest(tmp_path, files)
    assert sorted(rows(result, "patient", "patient_no", "name")) == [("1", "new"), ("2", "b")]
    assert [(b.rows_in, b.recorded) for b in result.balance] == [(2, 1), (1, 1)]


def test_a_void_record_needs_no_more_than_its_key(tmp_path: Path) -> None:
    text = "病案号,就诊号,日期,BMI,吸烟,作废\n1,V1,无效,x,是,1\n,V2,2023-01-01,,,1\n1,V3,2023-01-01,,,0\n1,,,,,1\n"
    result = ingest(tmp_path, {"就诊.csv": text})
    assert rows(result, "visit", "visit_no", "deleted") == [("V1", True), ("V2", True), ("V3", False)]
    assert reasons(result) == [(3, "visit_no", "missing_required")]


def test_a_workbook_gives_the_same_records_as_text(tmp_path: Path) -> None:
    text = HEADER + "001,张三,男,2001-02-03,,13800000000\n"
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.append(HEADER.strip().split(","))
    sheet.append(["001", "张三", "男", dt.date(2001, 2, 3), None, 13800000000])
    sheet.append(["002", "李四", "女", 36925, 110101198001010015, None])
    book.create_sheet("说明").append(["导出说明"])
    book.save(tmp_path / "f.xlsx")
    result = ingest(tmp_path / "1", {"患者.xlsx": (tmp_path / "f.xlsx").read_bytes()})
    plain = ingest(tmp_path / "2", {"患者.csv": text})
    drop = ["source_file"]
    assert result.tables["patient"].drop(drop).to_pylist() == plain.tables["patient"].drop(drop).to_pylist()
    assert reasons(result) == [(1, "resident_id", "lost_digits")]
    assert [w.header for w in result.withheld if w.why == "unmapped"] == ["导出说明"]


# --- who must leave --------------------------------------------------------------------------------------------------

PEOPLE = {
    "患者.csv": HEADER
    + "\n".join(
        [
            f"P1,甲,男,1980-01-01,{person(1)},",
            f"P2,乙,男,1980-01-01,{person(2)},",
            f"P3,丙,男,1980-01-01,{person(3)},138-0000-0003",
            f"P4,丁,男,2012-01-01,{person(4, '2012-01-01')},",
            f"P5,戊,男,,{person(5, '2015-05-05')},",
            f"P6,己,男,1980-01-01,{person(1)},",  # a second number of the first person
            f"P7,庚,男,1980-01-01,{person(7)},",
            "P8,辛,男,1980-01-01,,",
        ]
    ),
    "就诊.csv": "病案号,就诊号,日期,BMI,吸烟,作废\n" + "\n".join(f"P{n},V{n},2023-01-01,2{n},是," for n in range(1, 9)),
    "检验.csv": "病案号,就诊号,标本号,项目,结果,单位\n"
    + "\n".join(f"P{n},V{n},S{n},C反应蛋白,1,mg/L" for n in range(1, 9)),
}


def _left(tmp_path: Path, extra: dict[str, str | bytes]) -> tuple[set[str], dict[str, int]]:
    result = ingest(tmp_path, {**PEOPLE, **extra})
    kept = [{number for (number,) in rows(result, kind, "patient_no")} for kind in ("patient", "visit", "lab")]
    assert kept[0] == kept[1] == kept[2] == {n for (n,) in rows(result, "observation", "patient_no")}
    assert result.rows_in == sum(b.recorded for b in result.balance) + sum(result.excluded().values()) + (
        result.rows_quarantined
    )
    return {f"P{n}" for n in range(1, 9)} - kept[0], result.excluded()


def test_children_leave_even_where_only_the_resident_id_says_their_age(tmp_path: Path) -> None:
    left, counts = _left(tmp_path, {})
    assert left == {"P4", "P5"}
    assert counts == {"under_14": 6}


def test_an_opt_out_takes_all_numbers_of_the_person(tmp_path: Path) -> None:
    left, counts = _left(tmp_path, {"optout.csv": f"姓名,身份证号\n甲,{person(1).lower()}\n"})
    assert left == {"P1", "P4", "P5", "P6"}
    assert counts == {"opt_out": 6, "under_14": 6}


def test_an_opt_out_by_record_number_in_another_spelling(tmp_path: Path) -> None:
    left, _ = _left(tmp_path, {"optout.csv": "病案号\n ｐ８ \n", "vip.csv": "patient_no\nP2\n"})
    assert left == {"P2", "P4", "P5", "P8"}


def test_staff_as_patients_leave_and_the_roster_stays(tmp_path: Path) -> None:
    roster = f"工号,姓名,身份证号,手机\nD1,乙,{person(2)},\nD2,丙,,13800000003\n"
    result = ingest(tmp_path / "1", {**PEOPLE, "职工.csv": roster})
    assert result.tables["staff"].num_rows == 2
    left, counts = _left(tmp_path / "2", {"职工.csv": roster})
    assert left == {"P2", "P3", "P4", "P5"}
    assert counts == {"staff": 6, "under_14": 6}


def test_diagnoses_of_excluded_groups(tmp_path: Path) -> None:
    diagnoses = "病案号,日期,编码,名称\n" + "\n".join(
        [
            "P1,2023-01-01,b20.900,",
            "P2,2024-02-30,A53.0,",  # the row is impossible, the person leaves all the same
            "P3,2023-01-01,,梅毒",
            "P7,2023-01-01,,排除梅毒",
            "P8,2023-01-01,K04.001,慢性牙髓炎",
        ]
    )
    left, counts = _left(tmp_path, {"诊断.csv": diagnoses})
    assert left == {"P1", "P2", "P3", "P4", "P5", "P6"}
    assert set(counts) == {"hiv", "std", "under_14"}


def test_the_quarantine_forgets_people_who_left(tmp_path: Path) -> None:
    bad = PEOPLE["患者.csv"] + "\nP1,甲甲,人,,,\nP1,甲甲\nP2,乙乙,人,,,\nP1,甲,女,1980-01-01,,\n"
    result = ingest(tmp_path, {**PEOPLE, "患者.csv": bad, "optout.csv": "病案号\nP1\n"})
    raws = {(row["source_row"], row["reason"]): row["raw"] for row in result.quarantine.to_pylist()}
    assert raws[(8, "unmapped_code")] == raws[(9, "short_row")] == raws[(0, "duplicate")] == ""
    assert "乙乙" in raws[(10, "unmapped_code")]


@pytest.mark.parametrize(
    "content",
    [b"", "姓名\n甲\n", "病案号,x\n1\n", b"\xb2\xa1\xb0\xb8\xba\xc5\nP\xff1\n", b"PK\x03\x04broken"],
)
def test_a_list_that_cannot_be_read_in_full_stops_the_delivery(tmp_path: Path, content: str | bytes) -> None:
    with pytest.raises(BadInput, match="opt-out or VIP list"):
        ingest(tmp_path, {**PEOPLE, "optout.csv": content})


def test_profiles_add_groups_and_cannot_take_one_away(tmp_path: Path) -> None:
    diagnoses = "病案号,日期,编码,名称\nP8,2023-01-01,K04.001,\n"
    files: dict[str, str | bytes] = {**PEOPLE, "诊断.csv": diagnoses}
    extended = profile(excluded_groups={"pulpitis": {"icd10": ["K04.0"]}})
    assert ingest(tmp_path / "1", files, with_profile=extended).excluded() == {"pulpitis": 4, "under_14": 6}
    with pytest.raises(BadInput, match=r"excluded_groups\.hiv"):
        ingest(tmp_path / "2", files, with_profile=profile(excluded_groups={"hiv": {"icd10": []}}))


def test_a_balance_that_does_not_add_up_is_refused() -> None:
    with pytest.raises(Refused) as refused:
        TableBalance("t", "0" * 64, rows_in=3, mapped=2, recorded=2).check()
    assert refused.value.reasons[0].code == "row-balance"
    with pytest.raises(Refused):
        TableBalance("t", "0" * 64, rows_in=3, mapped=3, recorded=2).check()

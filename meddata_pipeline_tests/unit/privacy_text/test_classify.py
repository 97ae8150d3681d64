"""What columns are: many spellings of their names, generated values, real tables; and where a profile is wrong."""

from __future__ import annotations

import csv
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from meddata_pipeline.privacy.classify import ColumnClass, class_by_name, classify, compare
from meddata_pipeline.privacy.detect.recognizers.bank_card import luhn
from meddata_pipeline.privacy.pseudonym import resident_id_check
from meddata_pipeline_tests.shared import shared

N = 300
Make = Callable[[random.Random], str]


def _resident(r: random.Random) -> str:
    body = (
        f"{r.choice(['110101', '310104', '440306'])}{r.randint(1940, 2015)}{r.randint(1, 12):02d}{r.randint(1, 28):02d}"
    )
    body += f"{r.randint(1, 999):03d}"
    return body + resident_id_check(body)


def _card(r: random.Random) -> str:
    head = "62" + "".join(str(r.randint(0, 9)) for _ in range(16))
    return next(head + str(i) for i in range(10) if luhn(head + str(i)))


def _address(r: random.Random) -> str:
    return f"杭州市西湖区文{r.choice('一二三')}路{r.randint(1, 400)}号{r.randint(1, 20)}幢{r.randint(101, 999)}室"


def _pinyin(r: random.Random) -> str:
    return f"{r.choice(['Zhang', 'Wang', 'Zhao', 'Wu'])} {r.choice(['Wei', 'Xiaoming', 'Lihua', 'Jun'])}"


def _name(r: random.Random) -> str:
    return r.choice("赵钱孙李周吴郑王") + r.choice("岚琪瑜晗骁昊") + r.choice(["", *"宸妤媛彦"])


def _note(r: random.Random) -> str:
    return (
        f"患牙{r.choice('右左')}{r.choice('上下')}第{r.choice('一二')}磨牙自发痛{r.randint(1, 30)}天，"
        f"夜间{r.choice(['加重', '为甚'])}，疼痛评分{r.randint(1, 10)}分，{r.choice(['热', '冷', '咬合'])}刺激加剧。"
    )


MAKERS: dict[str, tuple[str, Make]] = {
    "name": ("direct", _name),
    "pinyin": ("direct", _pinyin),
    "resident": ("direct", _resident),
    "mobile": ("direct", lambda r: f"1{r.choice('3578')}{r.randint(0, 10**9 - 1):09d}"),
    "mobile-spaced": ("direct", lambda r: f"13{r.randint(0, 9)} {r.randint(0, 9999):04d} {r.randint(0, 9999):04d}"),
    "landline": ("direct", lambda r: f"0571-8{r.randint(0, 10**7 - 1):07d}"),
    "email": ("direct", lambda r: f"u{r.randint(1, 10**6)}@example.com"),
    "card": ("direct", _card),
    "record": ("direct", lambda r: f"ZQ{r.randint(0, 10**8 - 1):08d}"),
    "number": ("direct", lambda r: f"{r.randint(10**9, 10**10 - 1)}"),
    "visits": ("direct", lambda r: f"ZQ{r.randint(1, 150):08d}"),
    "uuid": ("direct", lambda r: "-".join(f"{r.getrandbits(4 * n):0{n}x}" for n in (8, 4, 4, 4, 12))),
    "address": ("direct", _address),
    "birth": ("quasi", lambda r: f"{r.randint(1935, 2015)}-{r.randint(1, 12):02d}-{r.randint(1, 28):02d}"),
    "date": ("quasi", lambda r: f"2023年{r.randint(1, 12)}月{r.randint(1, 28)}日"),
    "date-eight": ("quasi", lambda r: f"2023{r.randint(1, 12):02d}{r.randint(1, 28):02d}"),
    "postal": ("quasi", lambda r: r.choice(["310012", "310013", "200030", "100101"])),
    "icd": ("sensitive", lambda r: r.choice(["K04.0", "K04.001", "K05.3", "I10.x00", "E11.9", "K02.1"])),
    "note": ("text", _note),
    "sex": ("other", lambda r: r.choice("男女")),
    "decimal": ("other", lambda r: f"{r.uniform(0, 900000):.2f}"),
    "count": ("other", lambda r: str(r.randint(0, 400))),
    "loinc": ("other", lambda r: r.choice(["30522-7", "26881-3", "6690-2", "751-8"])),
    "disease": ("other", lambda r: r.choice(["高血压", "糖尿病", "慢性牙髓炎", "牙周炎"])),
    "empty": ("other", lambda r: ""),
}  # fmt: skip

#: Class that the name alone suggests.
SPELLINGS = {
    "direct": """
        姓名 患者姓名 病人名字 身份证号 证件号码 联系电话 手机号 家庭住址 病案号 住院号 门诊号 就诊卡号 医保卡号 联系人
        主治医师 检验者 电子邮箱 微信号 护照号 HZXM BRXM XM SFZH SFZHM ZJHM LXDH SJH BLH ZYH MZH JTDZ DZ LXR LXRDH
        YBKH BRID hzxm T_BR_XM PAT_XM name patient_name patientName PatientID patient-id MRN phone mobile_no
        contactPhone home_address ssn email doctor provider_id RecordNo EMAIL FIRST_NAME""",
    "quasi": """
        性别 年龄 出生日期 民族 婚姻状况 职业 邮政编码 入院日期 身高 BMI CSRQ XB NL MZ YZBM RYRQ HYZK csrq sex gender
        birthDate DOB zip race marital_status START visit_date occupation Lat county""",
    "sensitive": """
        诊断编码 诊断名称 检验结果 手术名称 药品名称 死因 过敏史 ZDMC ZDBM ICD10 JCJG GMS diagnosis icd genotype result
        outcome""",
    "text": """
        备注 主诉 现病史 检查所见 病历正文 出院小结 BZ ZS XBS JWS JCSJ note comments clinical_note remarks finding
        history""",
    "other": "科室 床号 牙位 单位 检查类型 KSMC ZJLX department status test_name file_name modality",
    "": "A x1 col3 crp value2x 列一",
}


@pytest.mark.parametrize(("spelling", "kind"), [(w, k) for k, words in SPELLINGS.items() for w in words.split()])
def test_class_by_name(spelling: str, kind: str) -> None:
    assert class_by_name(spelling) == kind


def column(make: Make, seed: int = 1) -> list[str | None]:
    r = random.Random(seed)
    return [make(r) or None for _ in range(N)]


def by_values(values: list[str | None], name: str = "x") -> ColumnClass:
    (found,) = classify(pa.table({name: pa.array(values, pa.string())}))
    return found


@pytest.mark.parametrize("maker", MAKERS)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_class_by_values_without_any_name(maker: str, seed: int) -> None:
    kind, make = MAKERS[maker]
    assert by_values(column(make, seed)).sensitivity == kind


def test_confusion_of_names_and_values() -> None:
    """Every spelling over every sort of values: an identifier is never called harmless, by whatever name it goes."""
    confusion: Counter[tuple[str, str, str]] = Counter()
    spelt = [(w, k) for k, words in SPELLINGS.items() for w in words.split()]
    for maker, (kind, make) in MAKERS.items():
        values = pa.array(column(make), pa.string())
        table = pa.table([values] * len(spelt), names=[w for w, _ in spelt])
        for (_, by_name), found in zip(spelt, classify(table), strict=True):
            confusion[by_name, kind, found.sensitivity] += 1
            if maker in {"resident", "mobile", "mobile-spaced", "landline", "email", "card", "uuid"}:
                assert found.sensitivity == "direct", (maker, found.column)
    harmless = {"quasi", "sensitive", "other"}
    leaked = {(h, k): n for (h, k, seen), n in confusion.items() if k in {"direct", "text"} and seen in harmless}
    # Names, record numbers and addresses carry no proof in each value: a name that speaks for another class is believed
    # (药品名称 with three characters; CSRQ with ten digits), never one that says nothing.
    assert not [key for key in leaked if key[0] in {"", "direct", "text", "other"}]
    # A column that says what it is is never called less than that, whatever it holds.
    assert all(seen == "direct" for (h, _, seen) in confusion if h == "direct")
    # What is harmless stays so where the name says so too.
    wrong = {key: n for key, n in confusion.items() if key[1] in {"quasi", "sensitive", "other"} and key[2] == "direct"}
    assert {key[0] for key in wrong} == {"direct"}


def test_a_few_telephones_make_a_column_of_remarks_text_and_one_of_codes_direct() -> None:
    r = random.Random(4)
    remarks = [_note(r) + (f"电话138{r.randint(0, 10**8 - 1):08d}" if i % 20 == 0 else "") for i in range(N)]
    assert by_values(list(remarks)).sensitivity == "text"
    assert by_values(list(remarks)).share == pytest.approx(0.05)
    short = [f"138{r.randint(0, 10**8 - 1):08d}" if i % 20 == 0 else r.choice(["无", "正常"]) for i in range(N)]
    assert by_values(list(short)).sensitivity == "direct"
    assert by_values(list(short), "备注").sensitivity == "text"


def test_dates_of_birth_are_told_from_other_dates() -> None:
    assert by_values(column(MAKERS["birth"][1])).evidence[0].rule == "dates-of-birth"
    assert by_values(column(MAKERS["date"][1])).evidence[0].rule == "dates"
    assert by_values(column(MAKERS["date"][1]), "CSRQ").evidence[0].rule == "dates-of-birth"


def test_known_names_are_found_where_no_grammar_sees_them() -> None:
    names = [f"Person{chr(97 + i)} Family{chr(97 + i)}" for i in range(20)]
    table = pa.table({"x": names * 3})
    assert classify(table)[0].sensitivity == "other"
    assert classify(table, names=names)[0].sensitivity == "direct"


def test_evidence_holds_no_value() -> None:
    for _, make in MAKERS.values():
        values = column(make)
        found = by_values(values)
        shown = str(found.evidence) + str(found.as_public())
        assert not [v for v in values if v and len(v) > 3 and v in shown]


def load(path: Path, delimiter: str = ",") -> pa.Table:
    with path.open(encoding="utf-8", newline="") as handle:
        header, *rows = csv.reader(handle, delimiter=delimiter)
    return pa.table({h: pa.array([row[i] or None for row in rows], pa.string()) for i, h in enumerate(header)})


@pytest.mark.parametrize(
    ("file", "delimiter"), [("data/arx/adult.csv", ";"), ("data/real/baystate/1986-12-31/births.csv", ",")]
)
def test_research_tables_hold_no_direct_identifier(file: str, delimiter: str) -> None:
    assert not [c.column for c in classify(load(shared(file), delimiter)) if c.sensitivity == "direct"]


def test_patients_of_a_positive_control() -> None:
    found = {c.column: c.sensitivity for c in classify(load(shared("data/samples/synthea-csv/patients.csv")))}
    direct = {"Id", "SSN", "DRIVERS", "PASSPORT", "FIRST", "LAST", "MAIDEN", "ADDRESS"}
    dates, places = {"BIRTHDATE", "DEATHDATE"}, {"BIRTHPLACE", "CITY", "STATE", "COUNTY", "ZIP", "LAT", "LON"}
    quasi = {*dates, *places, "MARITAL", "RACE", "ETHNICITY", "GENDER"}
    assert {c for c, k in found.items() if k == "direct"} == direct
    assert {c for c, k in found.items() if k == "quasi"} == quasi


@pytest.mark.parametrize("file", ["conditions", "encounters", "observations", "procedures", "providers"])
def test_events_of_a_positive_control(file: str) -> None:
    for found in classify(load(shared(f"data/samples/synthea-csv/{file}.csv"))):
        ids = {"Id", "PATIENT", "ENCOUNTER", "ORGANIZATION", "PROVIDER", "PAYER", "NAME", "ADDRESS"}
        assert (found.sensitivity == "direct") == (found.column in ids), found.column


@pytest.mark.parametrize("declared", ["quasi", "sensitive", "other"])
@pytest.mark.parametrize("maker", [m for m, (kind, _) in MAKERS.items() if kind == "direct" and m != "visits"])
def test_identifiers_in_a_harmless_column_stop_the_run(maker: str, declared: str) -> None:
    seen = compare(pa.array(column(MAKERS[maker][1]), pa.string()), declared)
    assert seen is not None
    assert (seen[0], seen[2]) == ("direct", True)


@pytest.mark.parametrize("maker", [m for m, (kind, _) in MAKERS.items() if kind not in {"direct", "text"}])
def test_harmless_values_in_a_harmless_column_agree(maker: str) -> None:
    assert compare(pa.array(column(MAKERS[maker][1]), pa.string()), "other") is None


def test_what_is_only_shown() -> None:
    def shown(values: list[str | None], declared: str, *headers: str) -> tuple[str, bool] | None:
        seen = compare(pa.array(values, pa.string()), declared, headers=headers)
        return None if seen is None else (seen[0], seen[2])

    assert shown(column(_note), "other") == ("text", False)
    assert shown(["一般"] * 50, "other", "联系电话") == ("direct", False)
    assert shown(column(MAKERS["sex"][1]), "direct") == ("other", False)
    assert shown(column(MAKERS["date"][1]), "link") == ("quasi", False)
    assert shown(column(MAKERS["name"][1]), "text") == ("direct", False)
    assert shown(column(MAKERS["name"][1]), "direct") is None
    assert shown(column(_note), "text") is None


def test_numbers_that_come_again_stop_the_run_where_they_are_known() -> None:
    visits = pa.array(column(MAKERS["visits"][1]), pa.string())
    seen = compare(visits, "sensitive")
    assert seen is not None
    assert seen[2] is False  # they may be codes
    known = {f"zq{i:08d}": "MEDICAL_ID" for i in range(1, 151)}
    seen = compare(visits, "sensitive", known=known)
    assert seen is not None
    assert seen[2] is True


def test_numbers_that_were_read_as_numbers_are_telephones_still() -> None:
    numbers = pa.array([float(f"138{i:08d}") for i in range(100)])
    assert compare(numbers, "sensitive") is not None
    assert compare(pa.array([i * 1.5 for i in range(1000)]), "sensitive") is None


def test_one_telephone_among_a_hundred_values_does_not_stop_a_run() -> None:
    values = ["正常"] * 99 + ["13812345678"]
    stops = [(seen := compare(pa.array(values[skip:]), "other")) is not None and seen[2] for skip in (0, 40, 60)]
    assert stops == [False, False, True]

"""The shipped rules of the canonical tables: what they are, and that each accuses the row it is meant for, no other."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import duckdb
import jsonschema
import pyarrow as pa
import pytest

from meddata_pipeline.app.quality_station import Judgement, judge
from meddata_pipeline.core.config import Config
from meddata_pipeline.core.errors import ConfigError
from meddata_pipeline.core.tables import kinds
from meddata_pipeline.privacy.deid import deid_schema
from meddata_pipeline.quality.canonical import FILE, deid_columns, load_rules, odcs, page
from meddata_pipeline.quality.checks import DIMENSIONS, dqd_types
from meddata_pipeline_tests.evaluation.defects import ARROW
from meddata_pipeline_tests.shared import shared

RULES = load_rules(Config())
UNITS = Config().load("vocabulary/units.yaml")["codes"]
DAY = "2024-03-01"


def test_all_types_of_the_dashboard_and_every_dimension() -> None:
    checks = RULES.contract.checks
    assert len(checks) >= 250
    assert {check.dqd for check in checks} >= set(dqd_types())
    assert {check.dimension for check in checks} == set(DIMENSIONS)
    assert len({(check.title.zh, check.title.en, check.table, check.kind) for check in checks}) == len(checks)
    assert all(check.title.zh and check.title.en and "{" not in check.title.zh + check.title.en for check in checks)


def test_the_contract_meets_the_official_schema() -> None:
    schema = json.loads(shared("data/catalog/odcs/schema/odcs-json-schema-v3.1.0.json").read_text(encoding="utf-8"))
    validator = jsonschema.validators.validator_for(schema)(schema)
    raw = odcs(Config().load(FILE), UNITS)
    assert [error.message for error in validator.iter_errors(json.loads(json.dumps(raw, default=str)))] == []


def test_the_page_lists_what_is_shipped() -> None:
    assert Path("docs/quality-checks.md").read_text(encoding="utf-8") == page(RULES.contract)


@pytest.mark.parametrize("kind", [kind for kind in kinds() if kind != "staff"])
def test_the_columns_are_those_of_the_deid_layer(kind: str) -> None:
    names = {"text": pa.string(), "date": pa.date32(), "number": pa.float64(), "boolean": pa.bool_()}
    types = names | {"integer": pa.int64()}
    expected = [(name, types[kind_of]) for name, kind_of in deid_columns(kind).items()]
    assert expected == [(field.name, field.type) for field in deid_schema(kind)]


def test_plausible_results_lie_within_what_a_unit_allows() -> None:
    ranges = {code: limits for code, limits in Config().load(FILE)["ranges"].items() if code != "threshold"}
    assert set(ranges) == set(UNITS)
    for code, limits in ranges.items():
        low, high = UNITS[code]["plausible"]
        assert low <= limits["low"] < limits["high"] <= high, code


def test_known_tables_hold_what_the_rules_ask_of_them() -> None:
    known = {entry.name: {*entry.columns} for entry in RULES.known}
    described = {table.name for table in RULES.contract.tables}
    for check in RULES.contract.checks:
        assert set(check.tables) <= set(known) | described
        for join in check.joins:
            asked = {name.partition(".")[2] for name in check.columns if name.startswith(f"{join.name}.")}
            assert {*join.key, *asked} <= known[join.table]


def test_a_rule_that_is_not_understood_is_named(tmp_path: Path) -> None:
    (tmp_path / "quality").mkdir()
    text = Config().find(FILE).read_text(encoding="utf-8")
    (tmp_path / FILE).write_text(text.replace("check: foreign-key", "check: foreign-kee", 1), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"visit-orphan-patient"):
        load_rules(Config([tmp_path]))
    (tmp_path / FILE).write_text(text.replace("one_sex:", "two_sexes:"), encoding="utf-8")
    with pytest.raises(ConfigError, match="one_sex is missing"):
        load_rules(Config([tmp_path]))


# -- one clean hospital, and one bad cell at a time ------------------------------------------------------------------

VISITED = dt.date(2024, 1, 10)
CLEAN: dict[str, list[dict[str, Any]]] = {
    "patient": [
        {"patient_no": "p1", "sex": "M", "birth_date": dt.date(1950, 5, 1)},
        {"patient_no": "p2", "sex": "F", "birth_date": dt.date(1990, 2, 3)},
    ],
    "visit": [
        {"patient_no": "p1", "visit_no": "v1", "visit_date": VISITED, "visit_type": "门诊", "department": "牙周科"},
        {"patient_no": "p2", "visit_no": "v2", "visit_date": VISITED, "visit_type": "门诊", "department": "牙周科"},
    ],
    "diagnosis": [
        {"code": "K04.001", "text": "急性牙髓炎", "tooth": "16", "negated": False},
        {"patient_no": "p2", "visit_no": "v2", "code": "N80.900", "text": "子宫内膜异位症", "negated": False},
    ],
    "procedure": [{"code": "23.7000X001", "name": "根管治疗术", "tooth": "16"}],
    "medication": [{"code": "J01CA04", "name": "阿莫西林胶囊", "days": 5.0}],
    "lab": [
        {"specimen_no": "s1", "code": "6690-2", "test": "WBC", "value_text": "7.1", "value": 7.1, "unit": "10*9/L"},
        {"specimen_no": "s1", "code": "751-8", "test": "NEUT", "value_text": "4", "value": 4.0, "unit": "10*9/L"},
        {"specimen_no": "s1", "code": "731-0", "test": "LYMPH", "value_text": "2", "value": 2.0, "unit": "10*9/L"},
        {"specimen_no": "s2", "code": "2345-7", "test": "GLU", "value_text": "5", "value": 5.0, "unit": "mmol/L"},
    ],
    "observation": [
        {"name": "height", "value_text": "170", "value": 170.0, "unit": "cm"},
        {"name": "weight", "value_text": "65", "value": 65.0, "unit": "kg"},
        {"name": "bmi", "value_text": "22.5", "value": 22.5, "unit": "kg/m2"},
    ],
    "imaging": [{"exam_no": "e1", "modality": "DX", "body_part": "根尖片", "tooth": "16", "finding": "未见异常"}],
    "pathology": [{"pathology_no": "y1", "text": "慢性炎症"}],
    "variant": [{"sample_no": "g1", "gene": "IL17A", "variant": "rs2275913", "genotype": "GA", "carrier": True}],
    "follow_up": [{"outcome": "healed", "method": "电话", "text": "恢复良好"}],
    "death": [{"patient_no": "p1", "died_on": dt.date(2024, 2, 1), "cause": "I21.900"}],
    "annotation": [{"exam_no": "e1", "label": "龋", "value": "1"}],
    "note": [{"note_no": "n1", "note_type": "初诊病历", "text": "主诉牙痛"}],
}
_IDS = ("patient_no", "visit_no", "specimen_no", "exam_no", "pathology_no", "note_no", "sample_no")

Change = tuple[str, int, dict[str, Any]]
More = tuple[str, dict[str, Any]]
Accused = set[tuple[str, str, int]]


def _tables(hospitals: list[tuple[list[Change], list[More]]]) -> tuple[dict[str, pa.Table], dict[str, list[Any]]]:
    """Copies of the clean hospital that share no number, each with its changes; and where each row comes from."""
    tables: dict[str, pa.Table] = {}
    places: dict[str, list[Any]] = {}
    for kind, rows in CLEAN.items():
        columns = deid_columns(kind)
        date = next((n for n, t in columns.items() if t == "date" and n != "birth_date"), None)
        filled: list[dict[str, Any]] = []
        places[kind] = []
        for copy, (changes, more) in enumerate(hospitals):
            for number, row in enumerate([*rows, *(row for table, row in more if table == kind)]):
                given = {"patient_no": "p1", "visit_no": "v1", **({date: VISITED} if date else {}), **row}
                for table, place, change in changes:
                    given |= change if (table, place) == (kind, number) else {}
                given |= {name: f"{given[name]}/{copy}" for name in _IDS if given.get(name)}
                given |= {"hospital": "h", "day": DAY, "deleted": False, "person_id": given["patient_no"]}
                given |= {"row": len(filled), "record_key": f"{kind}-{len(filled)}"}
                filled.append({name: given.get(name) for name in columns})
                places[kind].append((copy, number))
        arrays = {name: pa.array([r[name] for r in filled], ARROW[kind_of]) for name, kind_of in columns.items()}
        tables[kind] = pa.table(arrays)
    for known in RULES.known:
        tables[known.name] = tables[known.kind].select(list(known.columns))
    return tables, places


def _judged(tables: dict[str, pa.Table]) -> Judgement:
    with duckdb.connect() as con:
        return judge(con, tables, RULES, dt.date.fromisoformat(DAY))


def _accused(hospitals: list[tuple[list[Change], list[More]]]) -> list[Accused]:
    """Per copy of the hospital: kind, check and row of everything that is accused."""
    tables, places = _tables(hospitals)
    found: list[Accused] = [set() for _ in hospitals]
    for kind, checks in _judged(tables).failing.items():
        for check, rows in checks.items():
            for row in rows:
                copy, number = places[kind][row]
                found[copy].add((kind, check, number))
    return found


def test_a_clean_hospital_is_accused_of_nothing() -> None:
    judgement = _judged(_tables([([], [])])[0])
    assert judgement.failing == {}
    assert [(c.spec.id, c.status, c.code) for c in judgement.result.checks if c.status != "passed"] == []
    assert judgement.quarantine() == {}


BEFORE, AFTER = dt.date(1940, 1, 1), dt.date(2024, 5, 1)
CASES: list[tuple[str, int, dict[str, Any], set[str]]] = [
    ("patient", 0, {"sex": "X"}, {"patient-sex-code"}),
    ("patient", 1, {"birth_date": dt.date(1900, 1, 1)}, {"patient-birth_date-implausible-age"}),
    ("visit", 0, {"patient_no": "p9"}, {"visit-orphan-patient"}),
    ("diagnosis", 0, {"code": "K04,001"}, {"diagnosis-code-format"}),
    ("diagnosis", 0, {"tooth": "59"}, {"diagnosis-tooth-number"}),
    ("diagnosis", 0, {"code": "N80.900"}, {"diagnosis-f-sex-specific-code"}),
    ("diagnosis", 0, {"code": "R87.900"}, {"diagnosis-f-exact-sex-specific-code"}),
    ("diagnosis", 1, {"code": "C61.X00"}, {"diagnosis-m-sex-specific-code"}),
    ("diagnosis", 0, {"visit_no": "v9"}, {"diagnosis-orphan-visit"}),
    ("diagnosis", 0, {"visit_no": "v2"}, {"diagnosis-other-patient"}),
    ("procedure", 0, {"code": "68.5100"}, {"procedure-f-sex-specific-code"}),
    ("procedure", 0, {"tooth": "1"}, {"procedure-tooth-number"}),
    ("medication", 0, {"code": "J01"}, {"medication-code-class"}),
    ("medication", 0, {"days": 999.0}, {"medication-implausible-days"}),
    ("medication", 0, {"days": -2.0}, {"medication-implausible-days", "course-ends-before-start"}),
    ("lab", 0, {"value": 600.0, "value_text": "600"}, {"lab-wbc-6690-2-high-implausible-value"}),
    ("lab", 0, {"value": 4.5, "value_text": "4.5"}, {"blood_count-sum-mismatch"}),
    ("lab", 3, {"value": 0.3, "value_text": "0.3"}, {"lab-glucose-2345-7-low-implausible-value"}),
    ("lab", 3, {"unit": "mg/dL"}, {"lab-glucose-2345-7-unit"}),
    ("lab", 3, {"unit": None}, {"lab-value-without-unit", "lab-glucose-2345-7-unit"}),
    ("lab", 3, {"flag": "unit_unknown"}, {"lab-flagged-value", "lab-unit-flags"}),
    ("observation", 1, {"value": 400.0}, {"observation-weight-implausible", "body-bmi-mismatch"}),
    ("imaging", 0, {"tooth": "19"}, {"imaging-tooth-number"}),
    ("pathology", 0, {"reported_on": dt.date(2024, 1, 9)}, {"pathology-reported_on-before-visit"}),
    ("variant", 0, {"genotype": "GG"}, {"variant-il17a-carrier-genotype"}),
    ("variant", 0, {"carrier": False}, {"variant-il17a-not-carrier-genotype"}),
    ("follow_up", 0, {"outcome": "gut"}, {"follow_up-outcome-code"}),
    ("death", 0, {"cause": "S02.500"}, {"death-cause-domain"}),
    ("annotation", 0, {"exam_no": "e9"}, {"annotation-exam_no-orphan-exam"}),
    ("note", 0, {"patient_no": "p9"}, {"note-orphan-patient"}),
]


def test_one_bad_cell_is_named_and_nothing_else() -> None:
    found = _accused([([(kind, row, change)], []) for kind, row, change, _ in CASES])
    for accused, (kind, row, change, checks) in zip(found, CASES, strict=True):
        assert {check for _, check, _ in accused} == checks, (kind, row, change)
        # A body mass index is accused in its own row, whichever measure is wrong.
        places = {(table, number) for table, check, number in accused if check != "body-bmi-mismatch"}
        assert places == {(kind, row)}


def test_dates_of_every_kind_lie_in_life_and_by_the_visit() -> None:
    dated = [(kind, c.name) for kind in CLEAN for c in kinds()[kind].columns if c.type == "date"]
    dated = [(kind, name) for kind, name in dated if kind not in ("patient", "death", "annotation")]
    days = (BEFORE, AFTER)
    found = _accused([([(kind, 0, {name: day})], []) for kind, name in dated for day in days])
    for number, (kind, name) in enumerate(dated):
        early, late = ({check for _, check, row in found[2 * number + n] if row == 0} for n in (0, 1))
        assert {f"{kind}-{name}-before-birth", f"{kind}-{name}-too-early"} <= early
        assert {f"{kind}-{name}-after-death", f"{kind}-{name}-after-delivery"} <= late
        outside = f"{kind}-{name}-outside-visit"
        assert (kind in ("visit", "variant")) != (outside in early and outside in late)


def test_rows_that_contradict_each_other_are_named() -> None:
    again = {"specimen_no": "s9", "code": "2345-7", "test": "GLU", "value_text": "5", "value": 5.0, "unit": "mmol/L"}
    twin = {"patient_no": "p1", "sex": "F", "birth_date": dt.date(1950, 5, 1)}
    same, other = _accused([([], [("lab", again)]), ([], [("patient", twin)])])
    assert same == {("lab", "lab-near-duplicate", 3), ("lab", "lab-near-duplicate", 4)}
    assert {check for _, check, _ in other} == {"patient-sex-contradicts", "patient-patient_no-repeated-number"}


def test_what_a_rule_sets_aside_is_told_by_row() -> None:
    changes: list[Change] = [("lab", 0, {"value": 600.0}), ("diagnosis", 0, {"tooth": "59"})]
    judgement = _judged(_tables([(changes, [])])[0])
    assert judgement.quarantine() == {"lab": {0: ["lab-wbc-6690-2-high-implausible-value"]}}

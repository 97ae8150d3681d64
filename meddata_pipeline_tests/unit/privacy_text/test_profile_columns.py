"""A hospital's profile against what its columns hold, table by table."""

from __future__ import annotations

import pyarrow as pa

from meddata_pipeline.app import columns
from meddata_pipeline.core.config import Config
from meddata_pipeline.core.tables import arrow_schema
from meddata_pipeline.ingest.profile import Profile, load_profile, parse_profile

PROFILE = {
    "hospital": "h",
    "title": "h",
    "tables": {
        "wide": {
            "files": "a*.csv",
            "delivery": "snapshot",
            "kind": "visit",
            "record_key": ["visit_no"],
            "columns": {
                "patient_no": {"from": "BLH"},
                "visit_no": {"from": "JZH"},
                "department": {"from": ["LXDH", "KS"]},
                "visit_type": {"from": "LX"},
            },
            "also": [
                {
                    "kind": "observation",
                    "record_key": ["visit_no", "name"],
                    "columns": {"visit_no": {"from": "JZH"}},
                    "values": {"smoking": {"from": "SFZH"}, "bmi": {"from": "BMI", "type": "number"}},
                }
            ],
        }
    },
}


def profile() -> Profile:
    return parse_profile(PROFILE, "h.yaml")


def records(kind: str, **values: list[object]) -> pa.Table:
    rows = len(next(iter(values.values())))
    given = {"source_table": ["wide"] * rows, **values}
    schema = arrow_schema(kind)
    made = [pa.array(given.get(f.name, [None] * rows), f.type) for f in schema]
    return pa.table(made, schema=schema)


def test_headers_are_asked_before_any_data() -> None:
    found = columns.by_header(profile())
    assert [(c["table"], c["column"], c["header"], c["expected"]) for c in found] == [
        ("wide", "department", "LXDH", "other"),
        ("wide", "smoking", "SFZH", "sensitive"),
    ]


def test_no_shipped_profile_is_doubtful() -> None:
    config = Config()
    assert [columns.by_header(load_profile(config, hospital)) for hospital in config.hospitals()] == [[]] * len(
        config.hospitals()
    )


def test_columns_are_named_as_in_the_profile_and_no_value_is() -> None:
    phones = [f"139{i:08d}" for i in range(40)]
    table = records("visit", department=phones, visit_type=["门诊"] * 40)
    found = columns.disagreements("visit", table, profile(), {})
    check = columns.agree(found)
    assert (check.passed, check.code, check.severity) == (False, "column-disagrees", "error")
    assert [(c["table"], c["column"], c["seen"]) for c in check.facts["columns"]] == [
        ("wide", "department (from LXDH, KS)", "direct")
    ]
    assert not [phone for phone in phones if phone in str(check)]
    assert columns.expected(found).passed


def test_an_observation_is_a_column_of_its_own() -> None:
    numbers = [f"BA{i:07d}" for i in range(300)]
    table = records("observation", name=["smoking", "bmi"] * 150, value_text=numbers)
    found = columns.disagreements("observation", table, profile(), {})
    assert {d.column for d in found if d.blocking} == {"smoking (from SFZH)", "bmi (from BMI)"}
    found = columns.disagreements("observation", table.filter(pa.array([True, False] * 150)), profile(), {})
    assert [d.column for d in found if d.blocking] == ["smoking (from SFZH)"]


def test_names_of_the_delivery_are_known_everywhere_in_it() -> None:
    staff = pa.table({"name": ["Ann Bee", "Cy Dee"]})
    patients = pa.table({"name": ["Eve Eff", None], "contact_name": ["Gus Aitch", ""], "patient_no": ["BA000001", "7"]})
    known = columns.known_values({"staff": staff, "patient": patients})
    assert known == {
        "annbee": "PERSON",
        "cydee": "PERSON",
        "eveeff": "PERSON",
        "gusaitch": "PERSON",
        "ba000001": "MEDICAL_ID",
    }
    table = records("visit", department=["Ann Bee"] * 2 + ["surgery"] * 30)
    (found,) = columns.disagreements("visit", table, profile(), known)
    assert (found.evidence[0].rule, found.blocking) == ("PERSON", True)

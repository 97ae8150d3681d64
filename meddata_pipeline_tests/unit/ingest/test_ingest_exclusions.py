"""The register of people who must not be in: over all days, in any order, without an identifier in it."""

from __future__ import annotations

import itertools
import json

import pyarrow as pa
import pytest

from meddata_pipeline.core.errors import BadInput
from meddata_pipeline.ingest.exclusions import Exclusion, Register, apply, keyed_hash, register_of
from meddata_pipeline_tests.unit.ingest.deliveries import KEY, person

PATIENTS = pa.table(
    {
        "patient_no": ["P1", "P2", "P3", "P4"],
        "resident_id": [person(1), person(2), person(1), None],
        "mobile": ["13800000001", None, None, "138 0000 0009"],
    }
)
LABS = pa.table({"patient_no": ["P1", "P2", "P3", "P4", None, None], "visit_no": [None, None, None, None, "V1", "V2"]})


def _entry(kind: str, value: str, reason: str) -> Exclusion:
    return Exclusion(kind, keyed_hash(KEY, "h", kind, value), reason)


def test_an_opt_out_by_resident_id_reaches_laboratory_rows_of_other_days() -> None:
    register = register_of("h", [_entry("resident_id", person(1), "opt_out"), _entry("visit_no", "V1", "opt_out")])
    kept, counts = apply(LABS, register.link(PATIENTS, KEY), KEY)
    assert kept.column("patient_no").to_pylist() == ["P2", "P4", None]
    assert counts == {"opt_out": 3}
    kept, counts = apply(PATIENTS, register, KEY)
    assert kept.column("patient_no").to_pylist() == ["P2", "P4"]


def test_staff_are_found_by_mobile() -> None:
    register = register_of("h", [_entry("mobile", "+8613800000009", "staff")]).link(PATIENTS, KEY)
    kept, counts = apply(LABS, register, KEY)
    assert "P4" not in kept.column("patient_no").to_pylist()
    assert counts == {"staff": 1}


def test_the_staff_roster_itself_stays() -> None:
    roster = pa.table({"staff_no": ["D1"], "resident_id": [person(1)], "mobile": ["13800000009"]})
    register = register_of("h", [_entry("resident_id", person(1), "staff")])
    assert apply(roster, register, KEY)[0].num_rows == 1


def test_the_order_of_days_does_not_matter_and_the_first_reason_counts() -> None:
    days = [
        register_of("h", [_entry("patient_no", "P1", "under_14")]),
        register_of("h", [_entry("patient_no", "P1", "opt_out"), _entry("patient_no", "P2", "zebra")]),
        register_of("h", [_entry("patient_no", "P2", "hiv")]),
    ]
    texts = {a.union(b, c).to_json() for a, b, c in itertools.permutations(days)}
    assert len(texts) == 1
    whole = Register.from_json(texts.pop())
    assert whole == days[0].union(*days[1:])
    assert apply(LABS, whole, KEY)[1] == {"hiv": 1, "opt_out": 1}


def test_a_register_holds_no_identifier_and_nobody_else_can_read_it() -> None:
    text = register_of("h", [_entry("resident_id", person(1), "opt_out")]).to_json()
    assert person(1) not in text
    assert keyed_hash(KEY, "h", "resident_id", person(1)) in text
    assert keyed_hash(b"other", "h", "resident_id", person(1)) not in text
    assert keyed_hash(KEY, "h", "patient_no", "1") != keyed_hash(KEY, "g", "patient_no", "1")


def test_registers_are_checked() -> None:
    with pytest.raises(BadInput):
        Register.from_json(json.dumps({"hospital": "h"}))
    with pytest.raises(BadInput):
        Register("h").union(Register("g"))

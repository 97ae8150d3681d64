"""Identities, the deid layer and re-keying: nothing of a person in what comes out."""

from __future__ import annotations

from datetime import date
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from meddata_pipeline.core.errors import BadInput
from meddata_pipeline.core.tables import arrow_schema
from meddata_pipeline.privacy import deid, identities
from meddata_pipeline.privacy.masker import Masker
from meddata_pipeline.privacy.pseudonym import (
    date_shift_days,
    normalise_resident_id,
    pseudonyms,
    resident_id_check,
    resident_id_is_valid,
    shuffled,
)
from meddata_pipeline.privacy.release import rekey

KEY = b"k" * 32


def records(kind: str, rows: list[dict[str, Any]]) -> pa.Table:
    base = {
        "hospital": "h1",
        "day": "2024-01-01",
        "source_table": kind,
        "source_file": "0" * 64,
        "delivery": "snapshot",
        "deleted": False,
    }
    schema = arrow_schema(kind)
    full = [{**base, "source_row": i, "record_key": f"{kind}-{i}", **row} for i, row in enumerate(rows)]
    return pa.Table.from_pylist([{name: row.get(name) for name in schema.names} for row in full], schema=schema)


def resident(first17: str) -> str:
    return first17 + resident_id_check(first17)


CANARIES = {
    "patient_no": "CANARYNO7781",
    "name": "尉迟金丝雀",
    "resident_id": resident("33010619880704123"),
    "insurance_no": "CANARYINS5512",
    "mobile": "13899887766",
    "phone": "0571-81234567",
    "email": "canary.bird@example.com",
    "address": "杭州市西湖区金丝雀路77号5幢909室",
    "contact_name": "濮阳画眉",
    "contact_mobile": "13711223344",
}


@pytest.fixture(scope="module")
def patients() -> pa.Table:
    return records("patient", [{**CANARIES, "contact_relation": "夫妻", "sex": "F", "birth_date": date(1988, 7, 4)}])


@pytest.fixture(scope="module")
def known(patients: pa.Table) -> identities.Identities:
    staff = records("staff", [{"staff_no": "S1", "name": "单于百灵", "department": "口腔科"}])
    visits = records("visit", [{"patient_no": CANARIES["patient_no"], "doctor": "司空杜鹃主任医师/闻人鹧鸪"}])
    return identities.build({"patient": patients, "staff": staff, "visit": [visits]}, KEY)


def test_staff_come_from_the_roster_and_from_staff_columns(known: identities.Identities) -> None:
    assert known.staff("h1") == sorted(["单于百灵", "司空杜鹃", "闻人鹧鸪"])
    assert known.staff("h2") == []


def test_canaries_are_nowhere_in_the_deid_layer(patients: pa.Table, known: identities.Identities) -> None:
    number = CANARIES["patient_no"]
    text = (
        f"{CANARIES['name']}，女。{CANARIES['name'][:2]} {CANARIES['name'][2:]}，就诊号V-CANARY-1。"
        f"电话{CANARIES['mobile']}，"
        f"家{CANARIES['phone']}，联系人{CANARIES['contact_name']} 137 1122 3344。"
        f"住{CANARIES['address']}，邮箱{CANARIES['email']}，"
        f"证{CANARIES['resident_id']}，医保{CANARIES['insurance_no']}，号{number}。单于百灵查房，由司空杜鹃操作。"
    )
    notes = records(
        "note",
        [
            {
                "patient_no": number,
                "visit_no": "V-CANARY-1",
                "note_no": "N-CANARY-1",
                "written_on": date(2024, 1, 1),
                "note_type": "首次病程",
                "text": text,
                "author": "单于百灵",
                "record_key": "N-CANARY-1",
            },
            {"patient_no": number, "note_type": f"{CANARIES['name']}的记录", "text": None},
            {"patient_no": number, "note_type": f"电话{CANARIES['mobile']}", "text": "牙龈正常。"},
        ],
    )
    work = deid.Deidentifier(known, KEY, Masker(KEY, known.staff("h1")))
    out = [work.table(kind, table) for kind, table in (("patient", patients), ("note", notes))]
    everything = "".join(str(r.table.to_pylist()) + str(r.spans.to_pylist()) + str(r.facts()) for r in out)
    secrets = [*CANARIES.values(), "V-CANARY-1", "N-CANARY-1", "单于百灵", "司空杜鹃", "金丝雀", "画眉", "81234567"]
    assert [secret for secret in secrets if secret in everything] == []
    note = out[1]
    assert note.withheld == {"note_type": 2}
    assert note.table["note_type"].to_pylist()[0] == "首次病程"
    assert note.table["text"].to_pylist()[1:] == [None, "牙龈正常。"]
    assert note.table["written_on"].to_pylist()[0] == date(2024, 1, 1)
    assert note.table.schema == deid.deid_schema("note")
    assert note.balance.difference == 0


def test_link_ids_join_across_tables_and_not_across_hospitals(known: identities.Identities) -> None:
    work = deid.Deidentifier(known, KEY, Masker(KEY))
    rows = [{"patient_no": "P1", "visit_no": "V1"}, {"patient_no": "P1", "visit_no": "V1", "hospital": "h2"}]
    first = work.table("visit", records("visit", rows)).table
    second = work.table("diagnosis", records("diagnosis", rows)).table
    assert first["visit_no"].to_pylist() == second["visit_no"].to_pylist()
    assert len(set(first["visit_no"].to_pylist())) == 2
    assert len(set(first["person_id"].to_pylist())) == 2


def test_slices_count_on(known: identities.Identities) -> None:
    table = records("note", [{"patient_no": f"P{i}", "text": f"电话1381234567{i}"} for i in range(7)])
    done: list[tuple[int, int]] = []
    work = deid.Deidentifier(known, KEY, Masker(KEY))
    parts = list(work.slices("note", table, slice_rows=3, progress=lambda a, b: done.append((a, b))))
    assert [r for p in parts for r in p.table["row"].to_pylist()] == list(range(7))
    assert [r for p in parts for r in p.spans["row"].to_pylist()] == list(range(7))
    assert done == [(0, 7), (3, 7), (6, 7), (7, 7)]


def test_one_human_in_two_hospitals_is_one_person() -> None:
    number = resident("11010519490101001")
    rows = [
        {"hospital": "h1", "patient_no": "A", "resident_id": number},
        {"hospital": "h2", "patient_no": "B", "resident_id": f" {number.lower()} "},
        {"hospital": "h2", "patient_no": "C", "resident_id": "110105194901010010"[:17] + "?"},
    ]
    found = identities.build({"patient": records("patient", rows)}, KEY)
    assert found.person_id("h1", "A") == found.person_id("h2", "B") != found.person_id("h2", "C")
    assert found.person_id("h2", "unknown") not in {None, found.person_id("h2", "C")}


def test_latest_wins_and_order_of_arrival_does_not_matter() -> None:
    old = records("patient", [{"patient_no": "A", "name": "旧名", "mobile": "13800000001", "day": "2024-01-01"}])
    new = records("patient", [{"patient_no": "A", "name": "新名", "mobile": "13800000001", "day": "2024-01-02"}])
    first = identities.build({"patient": [old, new]}, KEY)
    second = identities.build({"patient": [new, old, old]}, KEY)
    assert first.digest() == second.digest()
    about = first.known("h1", "A")
    assert about is not None
    assert about.names == ("新名", "旧名")
    assert about.mobiles == ("13800000001",)


def test_identities_survive_the_lake(known: identities.Identities) -> None:
    again = identities.Identities(known.table, KEY)
    assert again.digest() == known.digest()
    assert again.known("h1", CANARIES["patient_no"]) == known.known("h1", CANARIES["patient_no"])


def test_resident_ids() -> None:
    assert resident_id_is_valid("11010519491231002X")
    assert not resident_id_is_valid("110105194912310021")
    assert not resident_id_is_valid("11010519490231002X")
    assert normalise_resident_id("１１０１０５４９１２３１００２") == "11010519491231002X"
    assert normalise_resident_id(" 110105 19491231 002x ") == "11010519491231002X"


def test_pseudonyms_keep_nulls_and_labels_apart() -> None:
    column = pa.chunked_array([["a", None], ["a", "b"]])
    first = pseudonyms(KEY, column, "visit").to_pylist()
    assert first[0] == first[2] != first[3]
    assert first[1] is None
    assert pseudonyms(KEY, column, "note").to_pylist()[0] != first[0]


def test_shift_is_never_zero_and_spreads() -> None:
    shifts = [date_shift_days(KEY, str(i), max_days=3) for i in range(300)]
    assert set(shifts) == {-3, -2, -1, 1, 2, 3}


def test_shuffle_hides_the_order() -> None:
    order = shuffled(KEY, [str(i) for i in range(50)])
    assert sorted(order.tolist()) == list(range(50))
    assert order.tolist() != list(range(50))


def cohort() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "person_id": ["a", "b", "c"],
            "age": pd.array([30, 95, None], "Int64"),
            "index_month": pd.to_datetime(["2023-05-01", "2023-06-01", None]),
            "seen": pd.to_datetime(["2023-05-10", "2023-06-20", "2023-07-30"]),
            "visit": ["v1", None, "v3"],
        }
    )


def test_rekey() -> None:
    out = rekey(cohort(), key=KEY, date_columns=["seen"], month_columns=["index_month"], link_columns=["visit"])
    assert list(out.columns) == ["row_id", "age", "index_month", "seen", "visit"]
    assert out["row_id"].str.fullmatch("[0-9a-f]{16}").all()
    assert out["row_id"].is_unique
    assert sorted(out["age"].dropna().tolist()) == [30, 90]
    assert not set(out["visit"].dropna()) & {"v1", "v3"}
    months = out["index_month"].dropna()
    assert (months.dt.day == 1).all()
    by_age = out.set_index(out["age"].fillna(-1))
    assert by_age.loc[30, "seen"] == pd.Timestamp("2023-05-10") + pd.Timedelta(days=date_shift_days(KEY, "a"))


def test_rekey_does_not_depend_on_the_order_of_rows() -> None:
    frame = pd.concat([cohort(), cohort().assign(age=pd.array([31, 32, 33], "Int64"))], ignore_index=True)
    first = rekey(frame, key=KEY, date_columns=["seen"], month_columns=["index_month"])
    second = rekey(frame.iloc[::-1], key=KEY, date_columns=["seen"], month_columns=["index_month"])
    pd.testing.assert_frame_equal(first, second)
    assert set(first["row_id"]).isdisjoint(rekey(frame, key=b"x" * 32)["row_id"])


def test_rekey_refuses_what_it_cannot_protect() -> None:
    with pytest.raises(BadInput, match="date_of_visit"):
        rekey(cohort(), key=KEY, date_columns=["date_of_visit"])
    with pytest.raises(BadInput, match="without a person"):
        rekey(cohort().assign(person_id=["a", None, "c"]), key=KEY)

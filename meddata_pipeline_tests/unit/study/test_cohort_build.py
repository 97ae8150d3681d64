"""The cohort on tables of a few persons whose answer is known by hand."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa
import pytest

from meddata_pipeline.core.config import Config
from meddata_pipeline.core.errors import ConfigError
from meddata_pipeline.core.tables import arrow_type, kinds
from meddata_pipeline.storage.query import connect
from meddata_pipeline.study.cohort import Cohort, build, load_cohort, parse_cohort

DAY = date(2024, 3, 10)
AS_OF = date(2024, 12, 31)


@pytest.fixture
def con(tmp_path: Path) -> duckdb.DuckDBPyConnection:
    return connect(tmp_path / "tmp")


def tables(con: duckdb.DuckDBPyConnection, **rows: list[dict[str, Any]]) -> None:
    """Register views named by kind with the columns that the restricted tables have."""
    for kind, records in rows.items():
        spec = kinds()[kind]
        names = spec.names("link", "quasi", "sensitive", "text", "other")
        fields = [
            pa.field("person_id", pa.string()),
            pa.field("hospital", pa.string()),
            pa.field("record_key", pa.string()),
        ]
        fields += [pa.field(n, arrow_type(spec.column(n).type)) for n in names]
        full = [
            {"hospital": "hospital-a", "record_key": f"{kind}-{position}", **record}
            for position, record in enumerate(records)
        ]
        con.register(
            kind, pa.Table.from_pylist([{f.name: r.get(f.name) for f in fields} for r in full], pa.schema(fields))
        )


def small(con: duckdb.DuckDBPyConnection, variables: dict[str, Any], eligibility: Any = (), **rows: Any) -> Cohort:
    raw = {"index": {"event": "visit"}, "variables": variables, "eligibility": list(eligibility)}
    base: dict[str, Any] = {"patient": [{"person_id": "p1"}], "visit": [{"person_id": "p1", "visit_date": DAY}]}
    tables(con, **(base | rows))
    return build(con, parse_cohort({"cohort": raw}), as_of=AS_OF)


def days(offset: int) -> date:
    return DAY + timedelta(days=offset)


def lab(code: str, offset: int, value: float | None, operator: str | None = None, **more: Any) -> dict[str, Any]:
    return {"person_id": "p1", "code": code, "collected_on": days(offset), "value": value, "operator": operator, **more}


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([lab("1988-5", -7, 3.0), lab("1988-5", -2, 5.0)], 5.0),
        ([lab("1988-5", -8, 3.0)], None),
        ([lab("1988-5", 1, 3.0)], None),
        ([lab("1988-5", 0, 0.5, "<")], 0.5 / 2**0.5),
        ([lab("1988-5", 0, None, flag="unit_missing"), lab("1988-5", -3, 2.0)], 2.0),
        ([lab("1988-5", 0, 9.0), lab("30522-7", 0, 4.0)], 4.0),
        ([lab("1988-5", 0, 9.0), lab("30522-7", -1, 4.0)], 9.0),
        ([lab("751-8", 0, 9.0)], None),
    ],
)
def test_lab_window_censoring_and_choice(con: Any, rows: Any, expected: float | None) -> None:
    cohort = small(con, {"crp": {"lab": ["30522-7", "1988-5"], "window": [-7, 0]}}, lab=rows)
    value = cohort.frame["crp"][0]
    assert pd.isna(value) if expected is None else value == pytest.approx(expected)


def case(
    code: str, offset: int, text: str = "", negated: bool | None = None, tooth: str | None = None
) -> dict[str, Any]:
    return {
        "person_id": "p1",
        "code": code,
        "diagnosed_on": days(offset),
        "text": text,
        "negated": negated,
        "tooth": tooth,
    }


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (case("K04.000x003", 0, "不可复性牙髓炎", False), 1),
        (case("K04.001", 30), 1),
        (case("K04.001", 31), 0),
        (case("K04.001", -1), 0),
        (case("K04.100", 0), 0),
        (case("K04.001", 0, "急性牙髓炎", True), 0),
        (case("K04.001", 0, "排除急性牙髓炎", None), 0),
        (case("K04.001", 0, "牙髓炎待查", False), 0),
        (case("K04.001", 0, "慢性牙髓炎？", False), 0),
    ],
)
def test_diagnosis_by_prefix_window_and_negation(con: Any, row: Any, expected: int) -> None:
    spec = load_cohort(Config(), "inflammation-pulpitis")
    variables = {"pulpitis": spec.variables["pulpitis"].model_dump(exclude_defaults=True)}
    assert small(con, variables, diagnosis=[row]).frame["pulpitis"][0] == expected


def test_teeth_are_counted_once_and_lists_are_split(con: Any) -> None:
    rows = [
        case("K04.0", 0, tooth="36"),
        case("K04.0", 2, tooth="36;46"),
        case("K02.1", 0, tooth="11"),
        case("K04.0", 3),
    ]
    cohort = small(con, {"teeth": {"teeth": "K04.0", "window": [0, 30]}}, diagnosis=rows)
    assert cohort.frame["teeth"].tolist() == [2]


def test_age_in_completed_years_folded_with_fallback(con: Any) -> None:
    people = [
        {"person_id": "p1", "birth_date": date(1984, 3, 10)},
        {"person_id": "p2", "birth_date": date(1984, 3, 11)},
        {"person_id": "p3", "birth_date": date(1930, 1, 1)},
        {"person_id": "p4"},
        {"person_id": "p5", "birth_date": date(2025, 1, 1)},
    ]
    visits = [{"person_id": p["person_id"], "visit_date": DAY} for p in people]
    seen = [{"person_id": "p4", "name": "age", "value": 33.0, "observed_on": DAY}]
    cohort = small(
        con,
        {"age": {"age": "birth_date", "fold": 90, "fallback": "age"}},
        patient=people,
        visit=visits,
        observation=seen,
    )
    assert cohort.frame["age"].tolist()[:4] == [40, 39, 90, 33]
    assert pd.isna(cohort.frame["age"][4])


def test_one_row_a_person_though_two_hospitals_know_them(con: Any) -> None:
    cohort = small(
        con,
        {"hospital": {"index": "hospital"}, "sex": {"patient": "sex"}, "month": {"index": "month"}},
        patient=[
            {"person_id": "p1", "sex": "F", "hospital": "hospital-a"},
            {"person_id": "p1", "sex": "M", "hospital": "hospital-b"},
            {"person_id": "p0", "sex": "M"},
        ],
        visit=[
            {"person_id": "p1", "visit_date": days(3), "hospital": "hospital-a"},
            {"person_id": "p1", "visit_date": DAY, "hospital": "hospital-b"},
        ],
    )
    assert cohort.frame.values.tolist() == [["p1", "hospital-b", "M", date(2024, 3, 1)]]
    assert [(s.id, s.n_before, s.excluded, s.n_after) for s in cohort.flow] == [
        ("population", 2, 0, 2),
        ("index", 2, 1, 1),
    ]


def test_carriers_tested_and_untested_and_latest_follow_up(con: Any) -> None:
    ids = ["p1", "p2", "p3"]
    cohort = small(
        con,
        {
            "carrier": {"variant": ["IL17A"]},
            "follow": {"follow_up": ["healed", "failed"], "window": [1, None], "missing": "none"},
            "anti": {"medication": ["J01"], "names": ["阿莫西林"], "window": [-30, 0]},
            "ct": {"record": "imaging", "match": {"modality": ["CT"]}},
        },
        patient=[{"person_id": p} for p in ids],
        visit=[{"person_id": p, "visit_date": DAY} for p in ids],
        variant=[
            {"person_id": "p1", "gene": "IL17A", "carrier": False, "tested_on": DAY},
            {"person_id": "p1", "gene": "IL17A", "carrier": True, "tested_on": DAY},
            {"person_id": "p2", "gene": "IL17A", "carrier": False, "tested_on": DAY},
            {"person_id": "p3", "gene": "IL6", "carrier": True, "tested_on": DAY},
        ],
        follow_up=[
            {"person_id": "p1", "outcome": "failed", "followed_on": days(40)},
            {"person_id": "p1", "outcome": "healed", "followed_on": days(90)},
            {"person_id": "p2", "outcome": "healed", "followed_on": DAY},
        ],
        medication=[
            {"person_id": "p1", "code": None, "name": "阿莫西林胶囊", "started_on": days(-30)},
            {"person_id": "p2", "code": "J01XD01", "name": "甲硝唑片", "started_on": days(-31)},
        ],
        imaging=[{"person_id": "p2", "modality": "CT", "performed_on": DAY}],
    )
    assert cohort.frame["carrier"].tolist()[:2] == [1, 0]
    assert pd.isna(cohort.frame["carrier"][2])
    assert cohort.frame["follow"].tolist() == ["healed", "none", "none"]
    assert cohort.frame["anti"].tolist() == [1, 0, 0]
    assert cohort.frame["ct"].tolist() == [0, 1, 0]


def test_standardised_by_those_who_stay(con: Any) -> None:
    ids = [f"p{i}" for i in range(5)]
    variables = {
        "crp": {"lab": "1988-5", "window": [-7, 0], "keep": False},
        "ln": {"expression": "log(crp)"},
        "sd": {"standardise": "ln"},
        "double": {"expression": "2 * sd"},
    }
    values = [1.0, 2.0, 4.0, 1e6, None]
    cohort = small(
        con,
        variables,
        [{"id": "plausible", "title": "x", "keep": "crp < 1000"}],
        patient=[{"person_id": p} for p in ids],
        visit=[{"person_id": p, "visit_date": DAY} for p in ids],
        lab=[
            {"person_id": p, "code": "1988-5", "collected_on": DAY, "value": v}
            for p, v in zip(ids, values, strict=True)
        ],
    )
    assert list(cohort.frame.columns) == ["person_id", "ln", "sd", "double"]
    assert cohort.frame["sd"].std() == pytest.approx(1.0)
    assert cohort.frame["double"].tolist() == pytest.approx([0.0, 2.0, 4.0])
    balance = cohort.balance("cohort")
    assert (balance.rows_in, balance.rows_out, dict(balance.excluded)) == (5, 3, {"plausible": 2})


def test_absent_tables_give_absent_values(con: Any) -> None:
    cohort = small(con, {"crp": {"lab": "1988-5", "window": [-7, 0]}, "caries": {"diagnosis": "K02"}})
    assert pd.isna(cohort.frame["crp"][0])
    assert cohort.frame["caries"].tolist() == [0]


def test_events_after_as_of_are_not_looked_at(con: Any) -> None:
    late = AS_OF + timedelta(days=1)
    cohort = small(
        con,
        {"caries": {"diagnosis": "K02"}},
        visit=[{"person_id": "p1", "visit_date": DAY}],
        diagnosis=[{"person_id": "p1", "code": "K02.1", "diagnosed_on": late}],
    )
    assert cohort.frame["caries"].tolist() == [0]


def test_no_index_no_dates(con: Any) -> None:
    spec = load_cohort(Config(), "birthweight-smoking")
    names = ["age", "lwt", "race", "smoke", "ptl", "ht", "ui", "ftv", "bwt", "low"]
    rows = [{"person_id": "b2", "name": n, "value_text": "1", "value": None if n == "smoke" else 1.0} for n in names]
    tables(con, patient=[{"person_id": "b2"}, {"person_id": "b1"}], observation=rows)
    cohort = build(con, spec, as_of=AS_OF)
    assert cohort.frame["person_id"].tolist() == ["b2"]
    assert cohort.frame[names].iloc[0].tolist() == [1] * 10
    assert {s.id: s.excluded for s in cohort.flow} == {
        "population": 0,
        "index": 0,
        "outcome-known": 1,
        "exposure-known": 0,
    }


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"unit": "tooth"}, "only unit is person"),
        ({"variables": {"x": {"lab": "1-1", "diagnosis": "K"}}}, "exactly one source"),
        ({"variables": {"x": {"expression": "y + 1"}}}, "no variable above"),
        ({"eligibility": [{"id": "a", "title": "t", "keep": "z > 1"}]}, "which is no variable"),
        ({"index": "none", "variables": {"x": {"lab": "1-1", "window": [-7, 0]}}}, "index is none"),
        ({"variables": {"x": {"patient": "name"}}}, "does not have"),
        ({"variables": {"x": {"record": "imaging", "match": {"a; DROP": ["1"]}}}}, "does not have"),
    ],
)
def test_wrong_cohort_files_are_refused(change: dict[str, Any], words: str) -> None:
    raw = {"index": {"event": "visit"}, "variables": {"x": {"constant": 1}}} | change
    with pytest.raises(ConfigError, match=words):
        parse_cohort({"cohort": raw})

"""Old systems resend whole tables: the records do not depend on the order of arrival, nor on what is sent again."""

from __future__ import annotations

import random
import tempfile
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from meddata_pipeline.ingest.current import current_sql
from meddata_pipeline_tests.unit.ingest.deliveries import TABLES, ingest, profile

DAYS = ("2024-01-01", "2024-01-02", "2024-01-03")
TABLE = {
    "columns": {
        "patient_no": {"from": "病案号", "required": True},
        "visit_no": {"from": "就诊号", "required": True},
        "department": {"from": "科室"},
    },
    "kind": "visit",
    "record_key": ["visit_no"],
    "deleted": {"column": "作废", "values": ["1"]},
}
WITH_CORRECTION = profile(
    tables={
        "patients": TABLES["patients"],
        "visits": {**TABLE, "files": ["就诊*"], "delivery": "snapshot"},
        "corrections": {**TABLE, "files": ["更正*"], "delivery": "correction"},
    }
)

#: visit number → (department, void) per day; None: not in the table yet
STATE = st.lists(
    st.lists(st.one_of(st.none(), st.tuples(st.sampled_from("内外牙"), st.booleans())), min_size=3, max_size=3),
    min_size=1,
    max_size=6,
)


def _csv(rows: list[tuple[int, str, bool]]) -> str:
    lines = [f"P{number % 3},V{number},{department},{int(void)}" for number, department, void in rows]
    return "病案号,就诊号,科室,作废\n" + "\n".join(lines) + "\n"


def _current(tables: list[pa.Table], *, voided: bool = False) -> list[tuple[Any, ...]]:
    connection = duckdb.connect()
    connection.register("source", pa.concat_tables(tables))
    return connection.sql(
        f"SELECT visit_no, department FROM ({current_sql('source', voided=voided)}) ORDER BY visit_no"
    ).fetchall()


@settings(max_examples=25, deadline=None)
@given(STATE, st.integers(0, 2**32), st.dictionaries(st.integers(0, 5), st.sampled_from("甲乙"), max_size=2))
def test_three_overlapping_snapshots_in_any_order(
    state: list[list[tuple[str, bool] | None]], seed: int, corrected: dict[int, str]
) -> None:
    shuffled = random.Random(seed)
    deliveries: dict[str, dict[str, str | bytes]] = {}
    expected: dict[int, tuple[str, bool]] = {}
    for at, day in enumerate(DAYS):
        # A snapshot holds everything so far, in an order of the old system's liking.
        for number, history in enumerate(state):
            now = history[at]
            if now is not None:
                expected[number] = now
        rows = [(number, *value) for number, value in expected.items()]
        shuffled.shuffle(rows)
        deliveries[day] = {"就诊.csv": _csv(rows)}
    # A correction wins over the snapshot of its day.
    fixes = [(number, department, False) for number, department in corrected.items()]
    if fixes:
        deliveries[DAYS[2]]["更正.csv"] = _csv(fixes)
        expected |= {number: (department, False) for number, department, _ in fixes}
    with tempfile.TemporaryDirectory() as folder:
        order = list(DAYS)
        shuffled.shuffle(order)
        tables = [
            ingest(Path(folder), deliveries[day], day=day, with_profile=WITH_CORRECTION).tables["visit"]
            for day in order
        ]
        # The same delivery ingested again is the same partition, not a second one.
        again = ingest(Path(folder), deliveries[order[0]], day=order[0], with_profile=WITH_CORRECTION).tables["visit"]
        assert again == tables[0]
    want = sorted((f"V{number}", department) for number, (department, void) in expected.items() if not void)
    assert _current(tables) == want
    shuffled.shuffle(tables)
    assert _current(tables) == want
    with_void = sorted((f"V{number}", department) for number, (department, _) in expected.items())
    assert _current(tables, voided=True) == with_void


@settings(max_examples=15, deadline=None)
@given(st.permutations(["a", "b", "c", "d"]), st.integers(0, 2**32))
def test_a_delivery_is_a_pure_function_of_its_content(names: list[str], seed: int) -> None:
    contents = {
        "患者_a.csv": "病案号,姓名\n1,甲\n2,乙\n",
        "患者_b.csv": "姓名,病案号\n丙,1\n丁,3\n",
        "就诊_c.csv": _csv([(1, "内", False), (2, "外", True)]),
        "更正_d.csv": _csv([(1, "牙", False)]),
    }
    with tempfile.TemporaryDirectory() as folder:
        straight = ingest(Path(folder) / "1", dict(contents), with_profile=WITH_CORRECTION)
        mixed = {name: contents[name] for letter in names for name in contents if name.endswith(f"{letter}.csv")}
        other = ingest(Path(folder) / str(seed), mixed, with_profile=WITH_CORRECTION)
    assert straight.digest == other.digest
    assert straight.tables == other.tables
    assert straight.quarantine == other.quarantine
    assert straight.public_facts() == other.public_facts()

"""The station deid in a home: verdicts kept once, rows put aside and released, what a cohort then reads."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from meddata_pipeline.app import candidates, nights, quality_quarantine, quality_station
from meddata_pipeline.app.outcome import Outcome
from meddata_pipeline.app.workplace import Workplace
from meddata_pipeline.core.config import Config
from meddata_pipeline.core.errors import BadInput
from meddata_pipeline.orchestration import metadata
from meddata_pipeline.quality.canonical import CanonicalRules, load_rules
from meddata_pipeline_tests.orchestration import world
from meddata_pipeline_tests.unit.quality.test_quality_canonical import DAY, Change, _tables

HOSPITAL, LATER = "hospital-x", "2024-03-02"
HIGH = "lab-wbc-6690-2-high-implausible-value"
BAD: list[Change] = [("lab", 0, {"value": 600.0, "value_text": "600"})]
WHO = {"worker": "zhang", "reason": "测得两次，患者王鼽龖"}


#: Rules that these tests trip over: all of them take seconds per judgement, and have tests of their own.
USED = {
    *(HIGH, "lab-collected_on-before-birth", "lab-orphan-patient", "visit-repeated-record", "note-text-missing"),
    *(f"{kind}-{name}" for kind in nights.DEID_KINDS for name in ("absent", "no-patient")),
}


@cache
def few_rules() -> CanonicalRules:
    whole = load_rules(Config())
    some = tuple(replace(t, checks=tuple(c for c in t.checks if c.id in USED)) for t in whole.contract.tables)
    return replace(whole, contract=replace(whole.contract, tables=some), derived=())


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workplace:
    monkeypatch.setattr(quality_station, "load_rules", lambda _: few_rules())
    # Rendering takes seconds too; the runs of the whole pipeline let it.
    monkeypatch.setattr("meddata_pipeline.quality.gx.write_docs", lambda _, folder: (folder / "lab.html").touch())
    return world.workplace(tmp_path)


def night(
    place: Workplace, day: str = DAY, changes: Sequence[Change] = (), kinds: Sequence[str] = nights.DEID_KINDS
) -> None:
    """Put a clean hospital's de-identified day into the home, with some changes."""
    tables, _ = _tables([(list(changes), [])])
    for kind in nights.DEID_KINDS:
        table = tables[kind] if kind in kinds else tables[kind].slice(0, 0)
        for name, value in (("hospital", HOSPITAL), ("day", day)):
            table = table.set_column(table.column_names.index(name), name, pa.array([value] * len(table), pa.string()))
        place.keep(nights.deid_partition(kind, HOSPITAL, day), table, {}, Outcome(""))
    place.keep(nights.deid_partition("spans", HOSPITAL, day), pa.table({"x": [1]}), {}, Outcome(""))


def aside(place: Workplace, day: str = DAY) -> list[dict[str, Any]]:
    return place.lake.read(nights.aside_partition(HOSPITAL, day)).to_pylist()


def labs(place: Workplace, *days: str) -> tuple[list[Any], Mapping[str, Any]]:
    """Results that a cohort reads, and the balance of their rows."""
    out = quality_quarantine.kept_out(place, [nights.aside_partition(HOSPITAL, day) for day in days])
    parts = {"lab": [nights.deid_partition("lab", HOSPITAL, day) for day in days]}
    with place.query() as con:
        (balance,) = candidates.current_tables(place, con, parts, out)
        values = [value for (value,) in con.execute("SELECT value FROM lab ORDER BY value").fetchall()]
    assert balance.difference == 0
    assert balance.rows_in == sum(place.manifest(p).rows for p in parts["lab"])
    return values, balance.as_dict()


def test_a_night_is_judged_once_and_says_so_per_severity(place: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    night(place, changes=BAD)
    first = quality_station.check_day(place, HOSPITAL, DAY)
    assert set(first) == set(nights.DEID_KINDS)
    assert {c.name for outcome in first.values() for c in outcome.checks} == {"errors", "warnings", "notes"}
    assert nights.failed_checks(place, HOSPITAL, DAY) == []
    lab = {check.name: check for check in first["lab"].checks}
    assert lab["errors"].passed
    assert not lab["warnings"].passed and lab["warnings"].severity == "warning"
    assert HIGH in lab["warnings"].facts["failed_rows"]
    assert lab["warnings"].figures["trend"].startswith("<svg")
    assert (place.settings.restricted / "quality" / HOSPITAL / DAY / "lab.html").is_file()
    monkeypatch.setattr(quality_station, "judge_deid", lambda *_: pytest.fail("judged again"))
    again = quality_station.check_day(place, HOSPITAL, DAY)
    assert {kind: (o.digest, o.changed, o.checks) for kind, o in again.items()} == {
        kind: (o.digest, False, o.checks) for kind, o in first.items()
    }


def test_small_counts_are_masked_where_they_are_shown(place: Workplace) -> None:
    night(place, changes=BAD)
    outcome = quality_station.check_day(place, HOSPITAL, DAY)["lab"]
    warnings = next(check for check in outcome.checks if check.name == "warnings")
    assert warnings.facts["failed_rows"][HIGH] == 1
    shown = metadata.check_result("quality_lab", warnings).metadata
    assert dict(shown["failed_rows"].value)[HIGH] == "<10"
    assert dict(metadata.metadata(outcome)["rows_aside"].value) == {HIGH: "<10"}
    assert str(shown["trend"].value).startswith("![trend](data:image/svg+xml;base64,")


def test_a_day_that_is_not_there_is_not_judged(place: Workplace) -> None:
    assert quality_station.check_day(place, HOSPITAL, DAY) == {}


def test_a_rule_that_cannot_be_counted_is_not_passed_and_stops_products(place: Workplace) -> None:
    night(place)
    broken = place.lake.read(nights.deid_partition("lab", HOSPITAL, DAY)).drop_columns(["unit"])
    place.keep(nights.deid_partition("lab", HOSPITAL, DAY), broken, {}, Outcome(""))
    outcome = quality_station.check_day(place, HOSPITAL, DAY)["lab"]
    warnings = next(check for check in outcome.checks if check.name == "warnings")
    assert not warnings.passed and warnings.facts["errored"] == 1
    assert f"{HIGH} errored" in warnings.detail
    doubled = pa.concat_tables([place.lake.read(nights.deid_partition("visit", HOSPITAL, DAY))] * 2)
    place.keep(nights.deid_partition("visit", HOSPITAL, DAY), doubled, {}, Outcome(""))
    quality_station.check_day(place, HOSPITAL, DAY)
    assert [reason.code for reason in nights.failed_checks(place, HOSPITAL, DAY)] == ["quality-errors"]


def test_a_later_birth_makes_the_verdict_stale(place: Workplace) -> None:
    night(place, kinds=["lab", "visit"])
    outcome = quality_station.check_day(place, HOSPITAL, DAY)["lab"]
    assert "lab-orphan-patient failed" in next(c for c in outcome.checks if c.name == "warnings").detail
    night(place, LATER, kinds=["patient"])
    assert quality_station.judged(place, HOSPITAL, DAY) is None
    outcome = quality_station.check_day(place, HOSPITAL, DAY)["lab"]
    assert next(c for c in outcome.checks if c.name == "warnings").passed


def test_a_killed_write_of_the_data_docs_leaves_the_old_ones_or_none(
    place: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    night(place)
    quality_station.check_day(place, HOSPITAL, DAY)
    night(place, changes=BAD)

    def killed(_: Any, folder: Path) -> None:
        (folder / "half.html").touch()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("meddata_pipeline.quality.gx.write_docs", killed)
        with pytest.raises(KeyboardInterrupt):
            quality_station.check_day(place, HOSPITAL, DAY)
    folder = place.settings.restricted / "quality" / HOSPITAL
    assert [p.name for p in (folder / DAY).iterdir()] == ["lab.html"]
    assert quality_station.judged(place, HOSPITAL, DAY) is None
    quality_station.check_day(place, HOSPITAL, DAY)
    assert [p.name for p in folder.iterdir()] == [DAY]


# -- what a cohort reads -----------------------------------------------------------------------------------------------


def test_a_row_put_aside_leaves_no_older_version_and_a_correction_supersedes_it(place: Workplace) -> None:
    night(place)
    night(place, LATER, BAD)
    for day in (DAY, LATER):
        quality_station.check_day(place, HOSPITAL, day)
    clean, _ = labs(place, DAY)
    assert clean == [2.0, 4.0, 5.0, 7.1]
    values, balance = labs(place, DAY, LATER)
    assert values == [2.0, 4.0, 5.0]
    assert (balance["excluded"], balance["merged"]) == ({"quality": 1}, {"superseded": 4})
    night(place, "2024-03-03", [("lab", 0, {"value": 8.0, "value_text": "8"})])
    quality_station.check_day(place, HOSPITAL, "2024-03-03")
    values, balance = labs(place, DAY, LATER, "2024-03-03")
    assert values == [2.0, 4.0, 5.0, 8.0]
    assert balance["excluded"] == {}


def test_released_rows_come_back_and_saying_it_again_changes_nothing(place: Workplace) -> None:
    night(place, changes=BAD)
    quality_station.check_day(place, HOSPITAL, DAY)
    (line,) = aside(place)
    assert (line["kind"], line["row"], line["check"], line["released"]) == ("lab", 0, HIGH, False)
    before = place.manifest(nights.aside_partition(HOSPITAL, DAY)).digest
    answer = quality_quarantine.release(place, HOSPITAL, DAY, check=HIGH, row=0, **WHO)
    assert [(i["row"], i["reason"], i["new"]) for i in answer["items"]] == [(0, HIGH, True)]
    assert quality_station.judged(place, HOSPITAL, DAY) is None
    quality_station.check_day(place, HOSPITAL, DAY)
    assert [line["released"] for line in aside(place)] == [True]
    assert place.manifest(nights.aside_partition(HOSPITAL, DAY)).digest != before
    assert labs(place, DAY)[0] == [2.0, 4.0, 5.0, 600.0]
    again = quality_quarantine.release(place, HOSPITAL, DAY, worker="li", reason="the same")
    assert [i["new"] for i in again["items"]] == [False]
    assert len(place.lake.partitions("quarantine", "released")) == 1
    assert quality_station.judged(place, HOSPITAL, DAY) is not None
    (listed,) = quality_quarantine.counts(place.settings)
    assert (listed["rows"], listed["released"], listed["reason"]) == (1, 1, HIGH)
    with place.ledger() as ledger:
        (event,) = ledger.events("quality-release", f"{HOSPITAL}/{DAY}")
    assert event.payload["worker"] == "zhang"
    assert "王鼽龖" not in json.dumps(event.payload, ensure_ascii=False)
    (kept,) = place.lake.partitions("quarantine", "released")
    assert place.load_object(kept)["reason"] == WHO["reason"]


def test_a_statement_lapses_when_the_hospital_sends_other_values(place: Workplace) -> None:
    night(place, changes=BAD)
    quality_station.check_day(place, HOSPITAL, DAY)
    quality_quarantine.release(place, HOSPITAL, DAY, **WHO)
    night(place, changes=[("lab", 0, {"value": 700.0, "value_text": "700"})])
    quality_station.check_day(place, HOSPITAL, DAY)
    assert [line["released"] for line in aside(place)] == [False]
    assert labs(place, DAY)[0] == [2.0, 4.0, 5.0]


def test_one_rule_that_nobody_contradicts_is_enough(place: Workplace) -> None:
    night(place, changes=[("lab", 0, {"value": 600.0, "collected_on": dt.date(1940, 1, 1)})])
    quality_station.check_day(place, HOSPITAL, DAY)
    assert {line["check"] for line in aside(place) if line["row"] == 0} == {HIGH, "lab-collected_on-before-birth"}
    quality_quarantine.release(place, HOSPITAL, DAY, check=HIGH, **WHO)
    quality_station.check_day(place, HOSPITAL, DAY)
    assert 600.0 not in labs(place, DAY)[0]
    quality_quarantine.release(place, HOSPITAL, DAY, row=0, **WHO)
    quality_station.check_day(place, HOSPITAL, DAY)
    assert 600.0 in labs(place, DAY)[0]


@pytest.mark.parametrize(
    "wrong",
    [
        {"day": "2024-09-09"},
        {"check": "no-such-check"},
        {"row": 77},
        {"worker": " "},
        {"reason": ""},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_what_cannot_be_released_is_bad_input(place: Workplace, wrong: dict[str, Any]) -> None:
    night(place, changes=BAD)
    quality_station.check_day(place, HOSPITAL, DAY)
    arguments: dict[str, Any] = {**WHO, **{k: v for k, v in wrong.items() if k != "day"}}
    with pytest.raises(BadInput):
        quality_quarantine.release(place, HOSPITAL, str(wrong.get("day", DAY)), **arguments)
    assert place.lake.partitions("quarantine", "released") == []

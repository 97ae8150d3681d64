"""What starts a night and what follows it: the landing sensor, the schedule, automation."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from dagster import (
    AssetKey,
    AssetMaterialization,
    DagsterInstance,
    Definitions,
    SensorResult,
    build_schedule_context,
    build_sensor_context,
    evaluate_automation_conditions,
)

from meddata_pipeline.app import status
from meddata_pipeline.app.workplace import Workplace
from meddata_pipeline.orchestration.build import build_defs
from meddata_pipeline.orchestration.partitions import add_delivery, add_products, delivery_key
from meddata_pipeline_tests.orchestration import world

DAY = "2024-01-01"
pytestmark = pytest.mark.filterwarnings("ignore::dagster.BetaWarning", "ignore::dagster.PreviewWarning")


@pytest.fixture
def place(tmp_path: Path) -> Workplace:
    return world.workplace(tmp_path)


def _defs(place: Workplace) -> Definitions:
    return build_defs(resource_overrides={"workplace": place})


def _look(place: Workplace, instance: DagsterInstance, cursor: str | None) -> SensorResult:
    """One tick of the landing sensor."""
    sensor = _defs(place).get_repository_def().get_sensor_def("landing_folder")
    context = build_sensor_context(instance=instance, cursor=cursor, resources={"workplace": place})
    answer: Any = sensor(context)
    assert isinstance(answer, SensorResult)
    return answer


def _started(answer: SensorResult) -> list[str]:
    return [str(r.partition_key) for r in answer.run_requests or []]


def test_a_marked_delivery_starts_at_the_first_look_and_only_once(place: Workplace) -> None:
    world.deliver(place, "hospital-a", DAY, complete=True)
    with DagsterInstance.ephemeral() as instance:
        first = _look(place, instance, None)
        assert _started(first) == [str(delivery_key("hospital-a", DAY))]
        added = {r.partitions_def_name: list(r.partition_keys) for r in first.dynamic_partitions_requests or []}
        assert added["hospital"] == ["hospital-a"]
        assert added["day"] == [DAY]
        assert "inflammation-pulpitis" in added["product"]
        assert _started(_look(place, instance, first.cursor)) == []


def test_a_delivery_without_a_mark_starts_when_two_looks_see_the_same(place: Workplace) -> None:
    folder = world.deliver(place, "hospital-b", DAY, complete=False)
    with DagsterInstance.ephemeral() as instance:
        first = _look(place, instance, None)
        assert _started(first) == []
        (folder / "file.csv").write_text("病案号\n1\n2\n", encoding="utf-8")  # still being written
        second = _look(place, instance, first.cursor)
        assert _started(second) == []
        third = _look(place, instance, second.cursor)
        assert _started(third) == [str(delivery_key("hospital-b", DAY))]
        (folder / "late.csv").write_text("病案号\n3\n", encoding="utf-8")  # a resend runs again, under another key
        fourth = _look(place, instance, third.cursor)
        fifth = _look(place, instance, fourth.cursor)
        assert _started(fourth) == []
        assert _started(fifth) == _started(third)
        keys = [r.run_key for answer in (third, fifth) for r in answer.run_requests or []]
        assert len(set(keys)) == 2


def test_unfinished_files_and_unknown_hospitals_start_nothing(place: Workplace) -> None:
    folder = world.deliver(place, "hospital-a", DAY, complete=False)
    (folder / "file.csv").rename(folder / "file.csv.part")
    world.deliver(place, "hospital-nobody-knows", DAY, complete=True)
    with DagsterInstance.ephemeral() as instance:
        first = _look(place, instance, None)
        assert _started(first) == []
        # An empty folder over two looks: nothing has been delivered yet.
        assert _started(_look(place, instance, first.cursor)) == []


def test_a_missing_landing_folder_is_no_error(tmp_path: Path) -> None:
    place = world.workplace(tmp_path)
    place.landing.rmdir()
    with DagsterInstance.ephemeral() as instance:
        assert _started(_look(place, instance, None)) == []


def test_the_night_closes_at_two_in_shanghai_for_every_hospital(place: Workplace, tmp_path: Path) -> None:
    repository = _defs(place).get_repository_def()
    schedule = repository.get_schedule_def("close_night")
    assert (schedule.cron_schedule, schedule.execution_timezone) == ("0 2 * * *", "Asia/Shanghai")
    with DagsterInstance.local_temp(str(tmp_path)) as instance:
        add_delivery(instance, "hospital-a", DAY)
        add_delivery(instance, "hospital-c", DAY)
        at = datetime(2024, 1, 1, 18, 0, tzinfo=UTC)  # 02:00 on the 2nd in Shanghai
        context = build_schedule_context(instance=instance, scheduled_execution_time=at, repository_def=repository)
        requests = list(schedule.evaluate_tick(context).run_requests or [])
    assert {str(r.partition_key) for r in requests} == {"hospital-a", "hospital-c"}
    assert {r.tags["meddata/hospital"] for r in requests} == {"hospital-a", "hospital-c"}
    assert len({r.run_key for r in requests}) == 2


def test_new_deid_rows_request_cohort_candidate_and_what_follows(place: Workplace) -> None:
    defs = _defs(place)
    with DagsterInstance.ephemeral() as instance:
        # Two hospitals and two days, of which one combination has never arrived: plain eager() would wait for it.
        add_delivery(instance, "hospital-a", DAY)
        add_delivery(instance, "hospital-b", "2024-01-02")
        add_products(instance, ["inflammation-pulpitis"])
        cursor = evaluate_automation_conditions(defs=defs, instance=instance).cursor
        quiet = evaluate_automation_conditions(defs=defs, instance=instance, cursor=cursor)
        assert quiet.total_requested == 0
        key = delivery_key("hospital-a", DAY)
        instance.report_runless_asset_event(AssetMaterialization(asset_key="deid_patient", partition=key))
        after = evaluate_automation_conditions(defs=defs, instance=instance, cursor=quiet.cursor)
        product = {"inflammation-pulpitis"}
        for name in ("cohort_table", "candidate_table", "candidate_dossier", "release"):
            assert after.get_requested_partitions(AssetKey(name)) == product, name
        again = evaluate_automation_conditions(defs=defs, instance=instance, cursor=after.cursor)
        assert again.total_requested == 0


def test_new_records_request_identities_and_deid_of_that_hospital_only(place: Workplace) -> None:
    defs = _defs(place)
    with DagsterInstance.ephemeral() as instance:
        add_delivery(instance, "hospital-a", DAY)
        add_delivery(instance, "hospital-b", DAY)
        cursor = evaluate_automation_conditions(defs=defs, instance=instance).cursor
        key = delivery_key("hospital-a", DAY)
        instance.report_runless_asset_event(AssetMaterialization(asset_key="records_patient", partition=key))
        after = evaluate_automation_conditions(defs=defs, instance=instance, cursor=cursor)
        assert after.get_requested_partitions(AssetKey("identities")) == {"hospital-a"}
        assert after.get_requested_partitions(AssetKey("deid_patient")) == {str(key)}


@pytest.mark.parametrize(
    ("today", "late", "stopped"),
    [
        (date(2024, 1, 3), set(), set()),
        (date(2024, 1, 4), {"hospital-a"}, set()),
        (date(2024, 1, 12), {"hospital-a", "hospital-b"}, set()),
        (date(2024, 2, 2), {"hospital-b"}, {"hospital-a"}),
    ],
)
def test_late_hospitals_are_named_after_their_own_window(
    place: Workplace, today: date, late: set[str], stopped: set[str]
) -> None:
    world.deliver(place, "hospital-a", DAY, complete=True)
    world.deliver(place, "hospital-a", "2024-01-09", complete=False)  # not there yet
    world.deliver(place, "hospital-b", "2024-01-03", complete=True)
    overlay = place.home / "config" / "arrival.yaml"
    overlay.parent.mkdir(parents=True)
    overlay.write_text("days: 2\nhospitals: {hospital-b: 8}\n", encoding="utf-8")
    check = status.on_time(place, today)
    assert (check.passed, check.severity) == (not late, "warning")
    assert (set(check.facts["late"]), set(check.facts["stopped"])) == (late, stopped)
    assert all(hospital in check.detail for hospital in late)
    assert check.facts["behind_others"] == {"hospital-b": ["2024-01-09"]}


def test_the_look_for_late_hospitals_warns_on_landing_and_fails_nothing(
    place: Workplace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.deliver(place, "hospital-a", DAY, complete=True)
    monkeypatch.setattr(status, "_LATE_DAYS", 100_000)
    overlay = place.home / "config" / "arrival.yaml"
    overlay.parent.mkdir(parents=True)
    job = _defs(place).resolve_job_def("look_for_late_hospitals")
    for days, passed in ((100_000, True), (2, False)):
        overlay.write_text(f"days: {days}\nhospitals: {{}}\n", encoding="utf-8")
        (tmp_path / str(days)).mkdir()
        with DagsterInstance.local_temp(str(tmp_path / str(days))) as instance:
            done = job.execute_in_process(instance=instance)
            assert done.success
            (found,) = done.get_asset_check_evaluations()
        assert (found.check_name, found.passed, found.blocking) == ("hospitals_on_time", passed, False)
        assert (found.asset_key, found.severity.value) == (AssetKey("landing_delivery"), "WARN")

"""What a failure tells, to whom, and what it stops: the guard, blocking checks, alerts."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from dagster import (
    AssetDep,
    AssetsDefinition,
    DagsterInstance,
    ExecuteInProcessResult,
    RetryPolicy,
    build_run_status_sensor_context,
    materialize,
)

from meddata_pipeline.app.outcome import Check, Outcome
from meddata_pipeline.app.workplace import Workplace
from meddata_pipeline.core.errors import BadInput, Reason, Refused
from meddata_pipeline.orchestration import factory
from meddata_pipeline.orchestration.build import build_defs
from meddata_pipeline.orchestration.instance import open_instance
from meddata_pipeline_tests.orchestration import world

CANARY, INNER = "王鼽龖13900001234", "赵齉麤510107196001010000"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workplace:
    # open_instance sets it for the process; other tests must not inherit this home.
    monkeypatch.setenv("DAGSTER_HOME", "")
    monkeypatch.setattr(factory, "_RETRY", RetryPolicy(max_retries=0))
    return world.workplace(tmp_path)


def _asset(name: str, step: factory.Step, *, above: str | None = None, check: str | None = None) -> AssetsDefinition:
    """An asset made the way all are, with the texts of the cohort table."""
    spec = factory.spec(name, [AssetDep(above)] if above else [], text="cohort_table")
    return factory.layer(name, [spec], step, partitions=None, checks={name: [check] if check else []})


def _run(place: Workplace, *assets: AssetsDefinition) -> ExecuteInProcessResult:
    with open_instance(place.home) as instance:
        return materialize(list(assets), instance=instance, resources={"workplace": place}, raise_on_error=False)


def _plain(_: Workplace, __: Any) -> Mapping[str, Outcome]:
    raise ValueError(f"could not convert {CANARY}")


def _chained(_: Workplace, __: Any) -> Mapping[str, Outcome]:
    try:
        raise KeyError(INNER)
    except KeyError as error:
        raise ValueError(f"bad row {CANARY}") from error


def _chained_to_our_own(_: Workplace, __: Any) -> Mapping[str, Outcome]:
    try:
        raise ValueError(f"bad row {CANARY} {INNER}")
    except ValueError as error:
        raise BadInput("The file cannot be read", where="hospital-a/2024-01-01/#12345678") from error


def _in_context(_: Workplace, __: Any) -> Mapping[str, Outcome]:
    try:
        raise ValueError(CANARY)
    except ValueError:
        raise RuntimeError(INNER)  # noqa: B904 - the implicit context is the point


def _group(_: Workplace, __: Any) -> Mapping[str, Outcome]:
    raise ExceptionGroup(CANARY, [ValueError(INNER)])


@pytest.mark.parametrize("step", [_plain, _chained, _chained_to_our_own, _in_context, _group])
def test_what_an_exception_says_of_a_patient_never_leaves_the_restricted_zone(
    place: Workplace, step: factory.Step, capfd: pytest.CaptureFixture[str]
) -> None:
    result = _run(place, _asset("guarded_step", step))
    assert not result.success
    public = world.readable(place.home) + "".join(capfd.readouterr()).encode()
    for canary in (CANARY, INNER):
        for form in (canary.encode(), json.dumps(canary)[1:-1].encode(), canary.encode("gb18030")):
            assert form not in public
        # Parts of it too: an id cut in two is an id.
        assert canary[-11:].encode() not in public
    if step is not _chained_to_our_own:
        kept = b"".join(p.read_bytes() for p in (place.home / "restricted" / "errors").iterdir())
        assert CANARY.encode() in kept
        assert (place.home / "restricted" / "errors").stat().st_mode & 0o077 == 0


def test_a_refusal_keeps_its_reasons_and_is_not_retried(place: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(factory, "_RETRY", RetryPolicy(max_retries=2, delay=0))
    calls: list[int] = []

    def refuse(_: Workplace, __: Any) -> Mapping[str, Outcome]:
        calls.append(1)
        raise Refused("Too few persons", reasons=[Reason("too-few", "3 persons", "cohort")])

    result = _run(place, _asset("refusing_step", refuse))
    assert len(calls) == 1
    (failure,) = [e.step_failure_data for e in result.all_events if e.is_step_failure]
    assert failure.user_failure_data is not None
    assert failure.user_failure_data.metadata["reasons"].value == [
        {"code": "too-few", "detail": "3 persons", "where": "cohort"}
    ]


def test_an_unexpected_error_is_retried(place: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(factory, "_RETRY", RetryPolicy(max_retries=2, delay=0))
    calls: list[int] = []

    def flaky(_: Workplace, __: Any) -> Mapping[str, Outcome]:
        calls.append(1)
        if len(calls) < 3:
            raise OSError("disk is busy")
        return {"flaky_step": Outcome("0" * 64)}

    assert _run(place, _asset("flaky_step", flaky)).success
    assert len(calls) == 3


@pytest.mark.parametrize(("severity", "runs"), [("error", []), ("warning", ["below"])])
def test_a_failed_check_stops_what_is_below_it_unless_it_only_warns(
    place: Workplace, severity: Any, runs: list[str]
) -> None:
    ran: list[str] = []

    def upper(_: Workplace, __: Any) -> Mapping[str, Outcome]:
        return {"upper": Outcome("1" * 64, checks=(Check("gate", False, severity, "no", "it does not hold"),))}

    def below(_: Workplace, __: Any) -> Mapping[str, Outcome]:
        ran.append("below")
        return {"below": Outcome("2" * 64)}

    result = _run(place, _asset("upper", upper, check="gate"), _asset("below", below, above="upper"))
    assert ran == runs
    assert result.success == bool(runs)
    (check,) = result.get_asset_check_evaluations()
    assert not check.passed
    assert check.description == "it does not hold"


def test_an_asset_with_a_check_may_wait(place: Workplace) -> None:
    """Outside a demo nothing is sold at publication: the bundle waits, and its check must not fail the run."""
    spec = factory.spec("waiting", text="cohort_table", skippable=True)
    asset = factory.layer("waiting", [spec], lambda *_: {}, partitions=None, checks={"waiting": ["gate"]})
    result = _run(place, asset)
    assert result.success
    assert not [e for e in result.all_events if e.is_step_materialization]
    (check,) = result.get_asset_check_evaluations()
    assert "waits" in (check.description or "")


# -- alerts ------------------------------------------------------------------------------------------------------------


class _Hook(http.server.BaseHTTPRequestHandler):
    posted: list[dict[str, Any]]

    def do_POST(self) -> None:
        self.posted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def webhook() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    posted: list[dict[str, Any]] = []
    handler = type("Hook", (_Hook,), {"posted": posted})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/alert", posted
    server.shutdown()
    thread.join()
    server.server_close()


def _alert(place: Workplace, instance: DagsterInstance, failed: ExecuteInProcessResult) -> dict[str, Any]:
    """Let the run-failure sensor see a failed run; the alert it wrote last."""
    sensor = build_defs(resource_overrides={"workplace": place}).get_repository_def().get_sensor_def("failed_run_alert")
    context = build_run_status_sensor_context(
        sensor_name="failed_run_alert",
        dagster_event=failed.get_run_failure_event(),
        dagster_instance=instance,
        dagster_run=failed.dagster_run,
        resources={"workplace": place},
    ).for_run_failure()
    sensor(context)
    lines = (place.home / "alerts.jsonl").read_text(encoding="utf-8").splitlines()
    found: dict[str, Any] = json.loads(lines[-1])
    return found


def _fail(place: Workplace, instance: DagsterInstance) -> ExecuteInProcessResult:
    asset = _asset("guarded_step", _plain)
    return materialize([asset], instance=instance, resources={"workplace": place}, raise_on_error=False)


def test_a_failed_run_is_written_to_the_alert_file_and_posted(
    place: Workplace, webhook: tuple[str, list[dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, posted = webhook
    monkeypatch.setenv("MEDDATA_ALERT_WEBHOOK", url)
    with open_instance(place.home) as instance:
        failed = _fail(place, instance)
        alert = _alert(place, instance, failed)
    assert alert["run_id"] == failed.run_id
    assert alert["webhook"] == "delivered"
    assert [p["run_id"] for p in posted] == [failed.run_id]
    assert CANARY not in json.dumps([alert, posted], ensure_ascii=False)


def test_a_webhook_that_cannot_be_reached_does_not_fail_the_sensor(
    place: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDDATA_ALERT_WEBHOOK", "http://127.0.0.1:9/nobody-listens")
    with open_instance(place.home) as instance:
        alert = _alert(place, instance, _fail(place, instance))
    assert alert["webhook"].startswith("not delivered")


@pytest.mark.parametrize("answer", [b"this is not HTTP\r\n\r\n", b""], ids=["garbage", "silence"])
def test_a_webhook_that_does_not_speak_http_does_not_fail_the_sensor(
    place: Workplace, monkeypatch: pytest.MonkeyPatch, answer: bytes
) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server, open_instance(place.home) as instance:

        def once() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(answer)

        thread = threading.Thread(target=once)
        thread.start()
        monkeypatch.setenv("MEDDATA_ALERT_WEBHOOK", f"http://127.0.0.1:{server.getsockname()[1]}/")
        alert = _alert(place, instance, _fail(place, instance))
        thread.join()
    assert alert["webhook"].startswith("not delivered")


def test_without_a_webhook_the_file_is_enough(place: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MEDDATA_ALERT_WEBHOOK", raising=False)
    with open_instance(place.home) as instance:
        alert = _alert(place, instance, _fail(place, instance))
    assert "webhook" not in alert
    assert alert["job"]

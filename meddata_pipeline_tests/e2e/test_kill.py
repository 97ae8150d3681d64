"""A run that is killed without warning and run again gives the release of a run that nobody disturbed."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from meddata_pipeline_tests.conftest import Demo
from meddata_pipeline_tests.e2e import pipeline

#: Moments that are told by what has appeared: name, and a pattern below the home.
FIXED = {
    "first-records": "restricted/records/*/*/*/_manifest.json",
    "first-candidate": "restricted/candidate/table/*/_manifest.json",
    "first-version": "products/*/1.*",
}
_POLL = 0.002


def start(landing: Path, home: Path) -> subprocess.Popen[bytes]:
    """Start `meddata run` in a process group of its own."""
    arguments = pipeline.command("run", "--landing", landing, "--home", home, "--demo-keys", "--json")
    quiet = subprocess.DEVNULL
    return subprocess.Popen(arguments, env=pipeline.environment(), stdout=quiet, stderr=quiet, start_new_session=True)


def kill_when(process: subprocess.Popen[bytes], due: Callable[[], bool]) -> bool:
    """Kill a process without warning as soon as it is due.

    Returns:
        Whether it was still running.
    """
    while process.poll() is None and not due():
        time.sleep(_POLL)
    running = process.poll() is None
    if running:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return running


def appeared(home: Path, pattern: str) -> Callable[[], bool]:
    """Whether something that fits the pattern lies below the home."""
    return lambda: next(home.glob(pattern), None) is not None


def after(seconds: float) -> Callable[[], bool]:
    """Whether so much time has passed since this call."""
    end = time.monotonic() + seconds
    return lambda: time.monotonic() >= end


def killed_then_again(landing: Path, home: Path, moment: str | float, whole: float) -> tuple[bool, pipeline.Answer]:
    """Start a run, kill it, run it to the end.

    Args:
        landing: the landing folder.
        home: a home that does not exist yet.
        moment: one of FIXED, or the share of an undisturbed run's time after which to kill.
        whole: how many seconds an undisturbed run takes.

    Returns:
        Whether the first run was really cut short, and what the second answered.
    """
    process = start(landing, home)
    cut = kill_when(process, appeared(home, FIXED[moment]) if isinstance(moment, str) else after(moment * whole))
    return cut, pipeline.night(landing, home)


def _same(demo: Demo, answer: pipeline.Answer) -> None:
    assert answer.code == 0, answer.stderr
    assert answer.digests == demo.answer.digests
    assert {p["version"] for p in answer.body["products"]} == {"1.1"}
    for name in ("rows_in", "rows_mapped", "rows_quarantined"):
        assert answer.body[name] == demo.answer.body[name]


def test_killed_twice_in_one_home(demo: Demo, tmp_path: Path) -> None:
    """At a random moment, then, on the way to finish that, while the first version is being published."""
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed of the moment: {seed}")
    home = tmp_path / "home"
    kill_when(start(demo.landing, home), after(random.Random(seed).uniform(5, 25)))
    cut, answer = killed_then_again(demo.landing, home, "first-version", 60)
    assert cut, f"seed of the moment: {seed}"
    _same(demo, answer)


@pytest.fixture(scope="module")
def whole(demo: Demo, tmp_path_factory: pytest.TempPathFactory) -> float:
    """Seconds that an undisturbed run takes here and now."""
    began = time.monotonic()
    _same(demo, pipeline.night(demo.landing, tmp_path_factory.mktemp("undisturbed") / "home"))
    return time.monotonic() - began


@pytest.mark.slow
@pytest.mark.parametrize("moment", [*FIXED, *(round(random.Random(n).uniform(0.03, 0.97), 3) for n in range(7))])
def test_killed_at_ten_moments(demo: Demo, tmp_path: Path, whole: float, moment: str | float) -> None:
    cut, answer = killed_then_again(demo.landing, tmp_path / "home", moment, whole)
    if isinstance(moment, str):
        assert cut
    _same(demo, answer)

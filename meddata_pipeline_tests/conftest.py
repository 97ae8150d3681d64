"""Fixtures that several folders of tests share: one run of the demo, made once even where tests run in parallel."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import settings

from meddata_pipeline_tests.e2e import pipeline

PATIENTS = 200

# How long an example takes says more about what else the machine does than about the code.
settings.register_profile("any-machine", deadline=None)
settings.load_profile("any-machine")


@dataclass(frozen=True)
class Demo:
    """A landing folder of 200 patients and the home that one run with demo keys made of it; to be read only.

    Attributes:
        landing: three sample hospitals over two days, and the real births where the shared data are at hand.
        truth: the generator's truth files.
        home: the home.
        answer: what the run answered.
    """

    landing: Path
    truth: Path
    home: Path
    answer: pipeline.Answer

    def copy(self, target: Path) -> Path:
        """A copy of the home, for tests that change it."""
        shutil.copytree(self.home, target, symlinks=True)
        return target


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """One run of the demo for all tests, whichever worker comes first."""
    base = tmp_path_factory.getbasetemp()
    root = (base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base) / "demo"
    landing, truth, home, kept = root / "landing", root / "truth", root / "home", root / "answer.json"
    root.mkdir(exist_ok=True)
    with (root / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            made = pipeline.meddata("sample", "--out", landing, "--patients", str(PATIENTS), "--truth", truth)
            assert made.code == 0, made.stderr
            if (real := pipeline.real_data()) is not None:
                for hospital in real.iterdir():
                    shutil.copytree(hospital, landing / hospital.name, copy_function=shutil.copyfile)
            answer = pipeline.night(landing, home)
            kept.write_text(json.dumps([answer.code, answer.stdout, answer.stderr]), encoding="utf-8")
    return Demo(landing, truth, home, pipeline.Answer(*json.loads(kept.read_text(encoding="utf-8"))))

"""The Dagster instance of a home: <home>/dagster, set up once, in one process.

What belongs here: opening it, and closing runs whose process died. What does not: what runs do.
"""

from __future__ import annotations

import os
import shutil
from importlib import resources
from pathlib import Path

from dagster import DagsterInstance, DagsterRunStatus, RunsFilter

from meddata_pipeline.storage.files import ensure_private_dir

PID_TAG = "meddata/pid"


def dagster_home(home: Path) -> Path:
    """The folder that DAGSTER_HOME must name for this home."""
    return home / "dagster"


def prepare(home: Path) -> Path:
    """Create <home>/dagster with its dagster.yaml, and keep an operator's changes to that file."""
    folder = ensure_private_dir(dagster_home(home))
    target = folder / "dagster.yaml"
    if not target.exists():
        with resources.as_file(resources.files("meddata_pipeline.config").joinpath("dagster.yaml")) as source:
            shutil.copyfile(source, target)
    return folder


def open_instance(home: Path) -> DagsterInstance:
    """Open the instance of a home.

    A daemon and a command that open a fresh DAGSTER_HOME at the same moment break it, so `meddata` opens it first.
    """
    folder = prepare(home)
    os.environ["DAGSTER_HOME"] = str(folder)
    os.environ.setdefault("DAGSTER_DISABLE_TELEMETRY", "1")
    return DagsterInstance.from_config(str(folder))


def close_dead_runs(instance: DagsterInstance) -> int:
    """Mark runs whose process is gone as failed: after kill -9 they would stay STARTED for ever.

    Returns:
        How many there were.
    """
    closed = 0
    started = RunsFilter(statuses=[DagsterRunStatus.STARTED, DagsterRunStatus.STARTING])
    for run in instance.get_runs(started):
        pid = run.tags.get(PID_TAG)
        if pid is not None and not Path(f"/proc/{pid}").exists():
            instance.report_run_failed(run, "The process of this run was ended; running again continues the work.")
            closed += 1
    return closed

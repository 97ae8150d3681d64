"""The pipeline from outside: the command `meddata` in a process of its own, and what tests ask of its answer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from meddata_pipeline.app.workplace import Workplace
from meddata_pipeline.core.settings import Settings

#: Generous: a run of 200 patients takes one minute of a core, and tests share theirs.
TIMEOUT = 580
REPORT, COHORT, REAL = "inflammation-pulpitis", "inflammation-pulpitis-cohort", "birthweight-smoking"


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a command: nothing of this machine's own homes and keys."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("MEDDATA_", "DAGSTER_"))}
    return {**clean, "DAGSTER_DISABLE_TELEMETRY": "1", **(extra or {})}


def command(*arguments: str | Path) -> list[str]:
    """The argument list of one `meddata` command."""
    return [sys.executable, "-m", "meddata_pipeline.cli", *map(str, arguments)]


@dataclass(frozen=True)
class Answer:
    """What one command answered.

    Attributes:
        code: exit code.
        stdout: standard output.
        stderr: standard error.
    """

    code: int
    stdout: str
    stderr: str

    @property
    def body(self) -> dict[str, Any]:
        """The one JSON object on standard output."""
        found: dict[str, Any] = json.loads(self.stdout)
        return found

    def product(self, name: str) -> dict[str, Any]:
        """What the summary says of one product."""
        found: dict[str, Any] = next(p for p in self.body["products"] if p["id"] == name)
        return found

    @property
    def digests(self) -> dict[str, str]:
        """Release digest by product."""
        return {p["id"]: p["digest"] for p in self.body["products"]}


def meddata(*arguments: str | Path, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> Answer:
    """Run one command with --json."""
    done = subprocess.run(
        command(*arguments, "--json"),
        env=environment(env),
        cwd=cwd or Path(__file__).resolve().parents[2],
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=TIMEOUT,
    )
    return Answer(done.returncode, done.stdout, done.stderr)


def night(landing: Path, home: Path, *more: str, env: Mapping[str, str] | None = None) -> Answer:
    """One `meddata run` with demo keys."""
    return meddata("run", "--landing", landing, "--home", home, "--demo-keys", *more, env=env)


def workplace(home: Path, landing: Path) -> Workplace:
    """The home of a run with demo keys, opened to look into it."""
    return Workplace(Settings(home=home, demo_seed=1), landing)


def real_data() -> Path | None:
    """The folder with real public deliveries, where this machine has it."""
    base = Path(os.environ.get("MEDDATA_SHARED") or Path(__file__).resolve().parents[2].parent / "shared")
    return base / "data" / "real" if (base / "data" / "real").is_dir() else None

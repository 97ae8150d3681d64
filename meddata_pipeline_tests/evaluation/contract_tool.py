"""The shipped contracts and a release's data before datacontract-cli, in an environment of its own.

What belongs here: making that environment (from the package registry, once, under the user's cache) and calling the
tool. It is a tool of tests: the product itself fetches nothing.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

VERSION = "1.2.8"


class NotInstalled(RuntimeError):
    """The tool can't be had on this machine."""


def tool() -> Path:
    """The command ``datacontract``.

    Raises:
        NotInstalled: the registry can't be reached.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "meddata-tests"
    folder = cache / f"datacontract-cli-{VERSION}-py{sys.version_info.major}{sys.version_info.minor}"
    command = folder / "bin" / "datacontract"
    done = folder / ".done"
    if not done.exists():
        try:
            subprocess.run(
                [sys.executable, "-m", "venv", "--clear", folder], check=True, capture_output=True, timeout=300
            )
            wanted = f"datacontract-cli[duckdb,parquet]=={VERSION}"
            pip = [folder / "bin" / "pip", "install", "-q", wanted]
            subprocess.run(pip, check=True, capture_output=True, timeout=900)
        except (subprocess.SubprocessError, OSError) as error:
            raise NotInstalled(f"datacontract-cli {VERSION} could not be installed ({type(error).__name__})") from None
        done.touch()
    return command


def lint(contract: Path) -> tuple[int, str]:
    """``datacontract lint``: its exit code and what it said."""
    return _call("lint", str(contract))


def test(contract: Path, data: Path, work: Path) -> tuple[int, dict[str, int]]:
    """``datacontract test`` of a contract on a Parquet file.

    Args:
        contract: as it lies in a release.
        data: the Parquet file.
        work: folder for the contract with a server entry that names the file, and for the results.

    Returns:
        Exit code, and checks by result (passed, warning, failed, error).
    """
    raw = yaml.safe_load(contract.read_text(encoding="utf-8"))
    raw["servers"] = [{"server": "release", "type": "local", "path": str(data), "format": "parquet"}]
    here, results = work / f"{raw['id']}.yaml", work / f"{raw['id']}.json"
    here.write_text(yaml.safe_dump(raw, allow_unicode=True, sort_keys=False), encoding="utf-8")
    code, said = _call("test", str(here), "--output-format", "json", "--output", str(results))
    if not results.is_file():
        raise RuntimeError(said[-2000:])
    counts: dict[str, int] = {}
    found: dict[str, Any] = json.loads(results.read_text(encoding="utf-8"))
    for check in found["checks"]:
        counts[check["result"]] = counts.get(check["result"], 0) + 1
    return code, counts


def _call(*words: str) -> tuple[int, str]:
    made = subprocess.run([tool(), *words], capture_output=True, text=True, timeout=300, check=False)
    return made.returncode, made.stdout + made.stderr

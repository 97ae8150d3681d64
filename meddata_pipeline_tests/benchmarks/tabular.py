"""Figures of tabular anonymization: against the reference's answers, on a large made-up survey, against peers.

``python -m meddata_pipeline_tests.benchmarks.tabular [cases | adult | large | mondrian | first | anjana | pycanon …]``
prints one line for each. CPU seconds, since wall times say nothing on a shared machine; what is found is compared
before times are. Figures on the Adult table need the shared data, those against peers the packages anjana or pycanon.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from meddata_pipeline.privacy.policy import Policy, parse_policy
from meddata_pipeline.privacy.tabular import anonymize, release
from meddata_pipeline.privacy.tabular.check import Checker
from meddata_pipeline.privacy.tabular.mondrian import mondrian as partition
from meddata_pipeline.privacy.tabular.search import search
from meddata_pipeline.privacy.tabular.verify import recount
from meddata_pipeline_tests.benchmarks import survey
from meddata_pipeline_tests.known_answers import test_arx_cases as arx
from meddata_pipeline_tests.shared import shared

ADULT = "bench:adult:k:5:0.02:loss"


def _checker(table: pd.DataFrame, policy: Policy, base: Path) -> Checker:
    encoded, hierarchies = release.prepare(table, policy, base, hidden=False)
    return release.make_checker(
        table, policy, base, encoded, hierarchies, None, release.load_subset(table, policy, base)
    )


def _timed(work: Callable[[], Any]) -> tuple[float, Any]:
    began = time.process_time()
    result = work()
    return time.process_time() - began, result


def cases() -> str:
    """Cases of the reference: how many have its loss, and the CPU time of their searches."""
    right, total, slowest, skipped = 0, 0.0, (0.0, ""), 0
    table, base = arx._adult(), shared("data/arx")
    for case in arx._cases():
        if arx.needs_subset(case) and not arx.subset_file().is_file():
            skipped += 1
            continue
        policy = parse_policy(arx._policy(case))
        # The first run may compile; the second one is measured.
        for checker in [_checker(table, policy, base) for _ in range(2)]:
            began = time.process_time()
            found = search(checker, practical=policy.practical_monotonicity)
            seconds = time.process_time() - began
        expected = case["expected"].get("loss")
        right += found.loss == (None if expected is None else pytest.approx(json.loads(expected), rel=1e-6, abs=1e-9))
        total += seconds
        slowest = max(slowest, (seconds, case["id"]))
    told = f", {skipped} skipped for want of the research subset" if skipped else ""
    count = len(arx._cases()) - skipped
    return f"{right} of {count} cases{told}; {total:.1f} CPU s, slowest {slowest[0]:.2f} ({slowest[1]})"


def _adult() -> tuple[pd.DataFrame, Policy, Path]:
    case = next(c for c in arx._cases() if c["id"] == ADULT)
    return arx._adult(), parse_policy(arx._policy(case)), shared("data/arx")


def adult() -> str:
    """Search alone on the Adult table: 9 quasi-identifiers, k = 5, 2 % suppression, warm."""
    table, policy, base = _adult()
    runs = []
    for checker in [_checker(table, policy, base) for _ in range(6)]:
        began = time.process_time()
        found = search(checker)
        runs.append((time.process_time() - began, found))
    fastest, found = min(runs[1:], key=lambda run: run[0])
    return f"{fastest:.2f} CPU s, loss {found.loss:.4f}, {found.checked:,} of {found.lattice:,} checked"


def large() -> str:
    """The survey of 1,193,504 rows, lattice 25,920, k = 5, 2 %: `meddata anonymize` from file to file."""
    return _in_process("optimal")


def mondrian() -> str:
    """Mondrian on the survey: the partitioning alone, warm."""
    with tempfile.TemporaryDirectory() as folder:
        survey.write_hierarchies(Path(folder))
        table, policy = survey.table(), parse_policy(survey.policy(search="mondrian"))
        checker = _checker(table, policy, Path(folder))
        weights = checker.metric.weights.tolist()
        runs = [_timed(lambda: partition(checker, weights)) for _ in range(3)]
    fastest, found = min(runs[1:], key=lambda run: run[0])
    return f"{fastest:.1f} CPU s, {len(table):,} rows, {int(found.suppressed.sum())} combinations suppressed"


_SCRIPT = """
import json, sys, time
from pathlib import Path
from meddata_pipeline.privacy.tabular.files import anonymize_file
folder = Path(sys.argv[1])
answer = anonymize_file(folder / "table.csv", folder / "policy.yaml", folder / "out.csv")
answer["cpu"] = time.process_time()
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
answer["mb"] = int(peak.split()[1]) / 1024
print(json.dumps(answer))
"""


def _run(folder: Path, environment: dict[str, str] | None = None) -> dict[str, Any]:
    env = {**os.environ, **(environment or {})}
    done = subprocess.run([sys.executable, "-c", _SCRIPT, str(folder)], env=env, capture_output=True, check=True)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def _in_process(search_by: str) -> str:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        survey.write_hierarchies(folder)
        survey.table().to_csv(folder / "table.csv", index=False)
        (folder / "policy.yaml").write_text(json.dumps(survey.policy(search=search_by)), encoding="utf-8")
        _run(folder)
        answer = _run(folder)
    seconds = answer["seconds"]
    return (
        f"{answer['cpu']:.1f} CPU s in all (load {seconds['load']:.1f}, search and recount {seconds['search']:.1f}, "
        f"write {seconds['write']:.1f} s wall), {answer['mb']:.0f} MiB, loss {answer['loss']:.4f}, "
        f"{answer['checked']:,} checked"
    )


def first() -> str:
    """The first `meddata anonymize` on Adult with nothing compiled, and a later one: process start to end."""
    table, policy, base = _adult()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        table.to_csv(folder / "table.csv", sep=";", index=False)
        for path in base.glob("*hierarchy*.csv"):
            (folder / path.name).write_bytes(path.read_bytes())
        raw = {
            "table": {"delimiter": ";"},
            "quasi_identifiers": {n: {"hierarchy": f"adult_hierarchy_{n}.csv"} for n in policy.quasi_identifiers},
            "privacy": [{"model": "k-anonymity", "k": 5}],
            "suppression_limit": 0.02,
        }
        (folder / "policy.yaml").write_text(json.dumps(raw), encoding="utf-8")
        told = [_run(folder, {"NUMBA_CACHE_DIR": str(folder / "cache")})["cpu"] for _ in range(3)]
    return f"first {told[0]:.1f} CPU s, later {min(told[1:]):.1f}"


def anjana() -> str:
    """Against anjana on the Adult table: the whole call, the same levels of hierarchy to choose from."""
    try:
        from anjana.anonymity import k_anonymity
    except ImportError:
        return "not measured, the package anjana is not installed"
    table, policy, base = _adult()
    trees = {}
    for name in policy.quasi_identifiers:
        lines = pd.read_csv(base / f"adult_hierarchy_{name}.csv", sep=";", header=None, dtype=str)
        trees[name] = {level: lines[level].to_numpy() for level in lines.columns}
    anonymize(table, policy, base)
    ours, made = min((_timed(lambda: anonymize(table, policy, base)) for _ in range(3)), key=lambda run: run[0])
    theirs, other = _timed(lambda: k_anonymity(table.copy(), [], list(policy.quasi_identifiers), 5, 2, trees))
    return (
        f"{theirs / ours:.0f} times as fast ({ours:.2f} against {theirs:.2f} CPU s); loss {made.report['loss']:.4f}, "
        f"theirs keeps {len(other):,} rows"
    )


def pycanon() -> str:
    """Against pycanon: counting k of the survey as it is, 1.2 million rows in a million classes."""
    try:
        from pycanon.anonymity import k_anonymity
    except ImportError:
        return "not measured, the package pycanon is not installed"
    table, policy = survey.table(), parse_policy(survey.policy())
    ours, counted = min((_timed(lambda: recount(table, policy)) for _ in range(3)), key=lambda run: run[0])
    theirs, k = _timed(lambda: k_anonymity(table, list(policy.quasi_identifiers)))
    assert k == counted["min"]
    return f"{theirs / ours:.0f} times as fast ({ours:.2f} against {theirs:.2f} CPU s), both find {k}"


#: What there is to measure, by name.
ALL: dict[str, Callable[[], str]] = {
    "cases": cases,
    "adult": adult,
    "large": large,
    "mondrian": mondrian,
    "first": first,
    "anjana": anjana,
    "pycanon": pycanon,
}


if __name__ == "__main__":
    for wanted in sys.argv[1:] or list(ALL):
        print(f"{wanted}: {ALL[wanted]()}", flush=True)

"""The heuristic search beyond what can be enumerated: its time limit, and the gap that it states."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from meddata_pipeline.privacy.policy import Policy, parse_policy
from meddata_pipeline.privacy.tabular import anonymize, heuristic
from meddata_pipeline.privacy.tabular.verify import verify

WIDE = 14
SCALAR = ("loss", "precision", "height", "non-uniform-entropy", "dm", "dm-star", "aecs")


def _table() -> pd.DataFrame:
    return pd.DataFrame(
        np.random.default_rng(7).integers(0, 8, size=(200, WIDE)), columns=[f"q{i}" for i in range(WIDE)]
    )


def _policy(metric: str, seconds: float) -> Policy:
    levels = [[0, 2, 4, 6], [0, 4], []]
    return parse_policy(
        {
            "quasi_identifiers": {f"q{i}": {"intervals": levels, "open": True} for i in range(WIDE)},
            "privacy": [{"model": "k-anonymity", "k": 4}],
            "suppression_limit": 0.1,
            "quality": {"metric": metric},
            "search": "heuristic",
            "time_limit": seconds,
        }
    )


class _Clock:
    """One second further at each look."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        self.now += 1.0
        return self.now


@pytest.mark.parametrize("metric", SCALAR)
def test_the_time_limit_ends_search_and_bound(metric: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock that is looked at before every check and every step of the bound: both stay within the limit."""
    clock = _Clock()
    monkeypatch.setattr(heuristic, "time", SimpleNamespace(monotonic=clock.monotonic))
    policy = _policy(metric, 200.0)
    result = anonymize(_table(), policy, Path())
    report = result.report
    assert report["lattice"] == 4**WIDE and report["stopped"] == "time"
    assert 100 < report["checked"] <= 151 and clock.now <= 203
    assert result.suppressed_rows <= 20
    assert 0.0 <= report["bound"] <= report["loss"]
    verify(result.require(), policy, report=report)


def test_more_time_gives_no_worse_solution_and_no_lower_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[tuple[float, float]] = []
    for seconds in (20.0, 200.0, 2000.0):
        monkeypatch.setattr(heuristic, "time", SimpleNamespace(monotonic=_Clock().monotonic))
        report = anonymize(_table(), _policy("precision", seconds), Path()).report
        found.append((report["loss"], report["bound"]))
    (first, low), (second, middle), (third, high) = found
    assert first >= second >= third and low <= middle <= high <= third
    # Not merely the trivial bound: pairs of columns rule out the finest levels, where there is time to look at them.
    assert first > third and low < high


def test_a_search_that_stops_for_its_number_of_checks_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heuristic, "_CHECKS", 40)
    runs: list[Any] = [anonymize(_table(), _policy("loss", 600.0), Path()) for _ in range(2)]
    assert [run.report["stopped"] for run in runs] == ["checks", "checks"]
    assert runs[0].report == runs[1].report and runs[0].report["checked"] <= 42

"""Ratios against a peer that is measured in the same run: wall times alone say nothing on a shared machine.

``python -m meddata_pipeline_tests.benchmarks.bench`` prints one line a comparison. Each pair does the same work on the
same input; what they find is compared before the times are.
"""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd

from meddata_pipeline.core.config import Config
from meddata_pipeline.privacy.detect.engine import Detector, build_analyzer
from meddata_pipeline.privacy.policy import parse_policy
from meddata_pipeline.privacy.tabular import anonymize
from meddata_pipeline.quality.api import validate
from meddata_pipeline.quality.contract import load_contract
from meddata_pipeline.samples.api import generate
from meddata_pipeline_tests.e2e import landing_files
from meddata_pipeline_tests.property.test_tabular_optimum import _brute_force

T = TypeVar("T")


def best(work: Callable[[], T], times: int = 3) -> tuple[float, T]:
    """CPU seconds of the fastest of a few repetitions, and the result."""
    fastest, result = float("inf"), work()
    for _ in range(times):
        began = time.process_time()
        result = work()
        fastest = min(fastest, time.process_time() - began)
    return fastest, result


def _notes() -> list[str]:
    """Notes of 400 sample patients of hospital A."""
    with tempfile.TemporaryDirectory() as folder:
        landing = Path(folder) / "landing"
        generate(landing, patients=400, hospitals=1, days=1)
        (path,) = landing.glob("hospital-a/*/病历文书*.csv")
        table = landing_files.read(path)
    column = table[0].index("正文")
    return [row[column] for row in table[1:] if len(row) > column]


def detection() -> str:
    """Our detector against Presidio's AnalyzerEngine with one recognizer per rule, text by text."""
    notes = _notes()
    engine, detector = build_analyzer(("zh",), fused=False), Detector("zh")
    theirs, found = best(lambda: [engine.analyze(text, language="zh") for text in notes], 1)
    ours, spans = best(lambda: detector.analyze(notes), 1)
    characters = sum(map(len, notes))
    covered = sum(len(s) > 0 for s in spans) / max(sum(len(f) > 0 for f in found), 1)
    return (
        f"detection: {theirs / ours:.1f} times as fast as one Presidio recognizer per rule "
        f"({characters / ours:,.0f} against {characters / theirs:,.0f} characters a CPU second; "
        f"texts with findings {covered:.2f})"
    )


def checks() -> str:
    """One DuckDB statement against Great Expectations, on the contract of the birth-weight table."""
    contract = load_contract(Config([]).find("products/birthweight-smoking/contract.yaml"))
    chance = random.Random(1)
    rows = [{c.name: chance.randrange(100) for c in contract.columns} for _ in range(50_000)]
    frame = pd.DataFrame(rows).astype(str)
    ours, first = best(lambda: validate(frame, contract, engine="duckdb"))
    theirs, second = best(lambda: validate(frame, contract, engine="gx"))
    counts = [[c["failed_rows"] for c in r.as_dict()["checks"]] for r in (first, second)]
    assert counts[0] == counts[1]
    return (
        f"checks: DuckDB {theirs / ours:.1f} times as fast as Great Expectations (50,000 rows, {len(counts[0])} checks)"
    )


def anonymization() -> str:
    """The search for the best generalisation against trying every transformation."""
    chance = random.Random(1)
    days = ["2023-01-05", "2023-02-05", "2023-07-01", "2024-01-31"]
    rows: list[dict[str, Any]] = [
        {"who": n, "age": chance.randrange(64), "day": chance.choice(days), "sex": chance.choice("MF")}
        for n in range(1_000)
    ]
    cuts = [list(range(step, 64, step)) for step in (2, 4, 8, 16, 32)]
    raw: dict[str, Any] = {
        "unit": "who",
        "quasi_identifiers": {
            "age": {"intervals": [*cuts, []], "open": True},
            "day": {"dates": ["month", "quarter", "year"]},
            "sex": {},
        },
        "privacy": [{"model": "k-anonymity", "k": 5}],
        "suppression_limit": 0.05,
        "quality": {"gs_factor": 0.5},
        "suppressed": "drop",
    }
    policy, table = parse_policy(raw), pd.DataFrame(rows)
    ours, made = best(lambda: anonymize(table, policy, Path()))
    theirs, expected = best(lambda: _brute_force(rows, raw), 1)
    assert expected is not None
    assert abs(made.report["loss"] - expected[0]) < 1e-9
    return f"anonymization: {theirs / ours:.1f} times as fast as brute force, the same optimum (loss {expected[0]:.3f})"


def lines() -> Iterator[str]:
    """One line a comparison."""
    yield detection()
    yield checks()
    yield anonymization()


if __name__ == "__main__":
    for line in lines():
        print(line, flush=True)

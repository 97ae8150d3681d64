"""The planted effect: how often the adjusted interval of a generated population contains the odds ratio put into it.

A few seeds here; `make figures` runs `coverage(range(200), 2000)`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from datetime import date
from pathlib import Path

import pyarrow as pa

from meddata_pipeline.core.config import Config
from meddata_pipeline.samples.frames import deid_frames
from meddata_pipeline.samples.model import PLANTED, simulate
from meddata_pipeline.storage.query import connect
from meddata_pipeline.study.api import Estimate, associate
from meddata_pipeline.study.cohort import build, load_cohort
from meddata_pipeline.study.spec import load_study

PRODUCT = "inflammation-pulpitis"


def adjusted(seed: int, n: int, scenario: str = "true-effect") -> Estimate:
    """The adjusted odds ratio of one generated population: generator, cohort and estimator, no files."""
    config = Config()
    study = load_study(config.find(f"products/{PRODUCT}/study.yaml"))
    with tempfile.TemporaryDirectory() as folder:
        con = connect(Path(folder) / "tmp")
        for kind, frame in deid_frames(simulate(n, seed, scenario)).items():
            con.register(kind, pa.Table.from_pandas(frame, preserve_index=False))
        cohort = build(con, load_cohort(config, PRODUCT), as_of=date(2024, 12, 31))
        con.close()
    study = study.model_copy(update={"analyses": [a for a in study.analyses if a.id == "adjusted"]})
    return next(e for e in associate(cohort.frame, study) if e["id"] == "adjusted/crp_sd/or")


def coverage(seeds: Iterable[int], n: int, scenario: str = "true-effect") -> tuple[int, int]:
    """How many intervals contain the planted odds ratio.

    Args:
        seeds: one population each.
        n: persons generated per population.
        scenario: true-effect or null.

    Returns:
        (hits, total).
    """
    planted, hits, total = PLANTED[scenario], 0, 0
    for seed in seeds:
        estimate = adjusted(seed, n, scenario)
        total += 1
        hits += float(estimate["low"] or "nan") <= planted <= float(estimate["high"] or "nan")
    return hits, total


def test_intervals_contain_the_planted_odds_ratio() -> None:
    hits, total = coverage(range(12), 2000)
    # 12 intervals of 95 %: fewer than 9 hits would happen once in 500 runs.
    assert total == 12
    assert hits >= 9


def test_without_an_effect_the_intervals_contain_one() -> None:
    hits, total = coverage(range(100, 104), 1000, "null")
    assert total == 4
    assert hits >= 3


def test_one_large_population_recovers_the_effect() -> None:
    estimate = adjusted(7, 8000)
    assert abs(float(estimate["estimate"] or 0) - PLANTED["true-effect"]) < 0.12

"""The order of arrival never changes the result: deliveries one by one in a random order, against all at once."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from meddata_pipeline.orchestration.runner import Runner
from meddata_pipeline_tests.conftest import Demo
from meddata_pipeline_tests.e2e import pipeline


def test_deliveries_one_by_one_in_any_order_give_the_release_of_all_at_once(
    demo: Demo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [k for k in os.environ if k.startswith("MEDDATA_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("DAGSTER_HOME", "")  # the runner sets it for this process
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed of the order: {seed}")
    deliveries = sorted((p.parent.name, p.name) for p in demo.landing.glob("hospital-*/*-*-*"))
    random.Random(seed).shuffle(deliveries)
    place = pipeline.workplace(tmp_path / "home", demo.landing)
    with monkeypatch.context() as nights_only:
        # A version cut after each delivery would carry another number.
        nights_only.setattr(Runner, "_product", lambda *_: None)
        nights_only.setattr("meddata_pipeline.app.publication.site_is_current", lambda *_: True)
        for hospital, day in deliveries:
            summary = Runner(place).run(hospitals=[hospital], days=[day])
            assert not summary.failed, (seed, summary.failed)
    summary = Runner(place).run()
    digests = {p["id"]: p["digest"] for p in summary.products}
    assert digests == demo.answer.digests, f"seed of the order: {seed}"
    assert (summary.rows_in, summary.rows_mapped) == (demo.answer.body["rows_in"], demo.answer.body["rows_mapped"])

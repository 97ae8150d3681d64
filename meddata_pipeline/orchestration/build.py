"""build_defs: everything Dagster loads, with resources that tests may override."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dagster import Definitions, in_process_executor

from meddata_pipeline.app.workplace import Workplace
from meddata_pipeline.core.settings import Settings
from meddata_pipeline.orchestration import jobs, schedules, sensors
from meddata_pipeline.orchestration.assets import deid, landing, products, quality


def workplace_from_env() -> Workplace:
    """The workplace that MEDDATA_HOME, MEDDATA_LANDING and the other variables name."""
    settings = Settings.from_env()
    landing = os.environ.get("MEDDATA_LANDING")
    return Workplace(settings, Path(landing).absolute() if landing else settings.home / "landing")


def build_defs(*, resource_overrides: Mapping[str, Any] | None = None) -> Definitions:
    """The definitions of the whole pipeline.

    Args:
        resource_overrides: resources to use in place of those from the environment, e.g. ``{"workplace": …}``.
    """
    return Definitions(
        assets=[*landing.build(), *deid.build(), *quality.build(), *products.build()],
        asset_checks=landing.checks(),
        jobs=jobs.build(),
        schedules=schedules.build(),
        sensors=sensors.build(),
        resources={"workplace": workplace_from_env(), **(resource_overrides or {})},
        # 0.3 to 0.46 s a step; the default multiprocess executor costs 4 to 11 CPU-seconds a step.
        executor=in_process_executor,
    )

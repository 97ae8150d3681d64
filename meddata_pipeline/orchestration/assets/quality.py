"""Assets of the group quality: a hospital's de-identified day against the rules, one check per severity and table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dagster import AssetDep, AssetsDefinition

from meddata_pipeline.app import nights, quality_station
from meddata_pipeline.app.outcome import Outcome
from meddata_pipeline.app.workplace import Workplace
from meddata_pipeline.core.config import Config
from meddata_pipeline.core.tables import kinds
from meddata_pipeline.orchestration.factory import REFRESH, layer, spec
from meddata_pipeline.orchestration.partitions import DAY, HOSPITAL, all_days, deliveries
from meddata_pipeline.quality.canonical import known_kinds


def _check(workplace: Workplace, key: Any) -> Mapping[str, Outcome]:
    hospital, day = key.keys_by_dimension[HOSPITAL], key.keys_by_dimension[DAY]
    return {f"quality_{kind}": outcome for kind, outcome in quality_station.check_day(workplace, hospital, day).items()}


def build() -> list[AssetsDefinition]:
    """The assets of the group quality; one op, since the rules look across tables."""
    known = known_kinds(Config())
    above = [AssetDep(f"deid_{kind}", partition_mapping=all_days) for kind in known]
    specs = []
    for kind in nights.DEID_KINDS:
        title = kinds()[kind].title
        own = [] if kind in known else [AssetDep(f"deid_{kind}")]
        texts = {"zh": title.zh, "en": title.en}
        specs.append(
            spec(f"quality_{kind}", [*own, *above], text="quality", title=texts, automation=REFRESH, skippable=True)
        )
    return [
        layer(
            "quality",
            specs,
            _check,
            partitions=deliveries,
            checks={f"quality_{kind}": list(quality_station.SEVERITIES) for kind in nights.DEID_KINDS},
            pool="deid",
            advisory=["notes"],
        ),
    ]

"""Assets landing and records: from files as they lie to typed tables, per hospital and day."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from dagster import (
    AssetCheckResult,
    AssetChecksDefinition,
    AssetDep,
    AssetKey,
    AssetsDefinition,
    ResourceParam,
    asset_check,
)

from meddata_pipeline.app import nights, status
from meddata_pipeline.app.outcome import Outcome
from meddata_pipeline.app.workplace import Workplace
from meddata_pipeline.core.tables import kinds
from meddata_pipeline.orchestration.factory import layer, spec
from meddata_pipeline.orchestration.guard import guarded
from meddata_pipeline.orchestration.metadata import check_result
from meddata_pipeline.orchestration.partitions import DAY, HOSPITAL, deliveries

ZONE = ZoneInfo("Asia/Shanghai")


def _keys(key: Any) -> tuple[str, str]:
    return key.keys_by_dimension[HOSPITAL], key.keys_by_dimension[DAY]


def _deliver(workplace: Workplace, key: Any) -> Mapping[str, Outcome]:
    return {"landing_delivery": nights.deliver(workplace, *_keys(key))}


def _ingest(workplace: Workplace, key: Any) -> Mapping[str, Outcome]:
    return {f"records_{name}": outcome for name, outcome in nights.ingest(workplace, *_keys(key)).items()}


def build() -> list[AssetsDefinition]:
    """The assets of the layers landing and records."""
    after = [AssetDep("landing_delivery")]
    records = [
        spec(f"records_{kind}", after, text="records", title={"zh": table.title.zh, "en": table.title.en})
        for kind, table in kinds().items()
    ]
    return [
        layer(
            "landing_delivery",
            [spec("landing_delivery")],
            _deliver,
            partitions=deliveries,
            checks={"landing_delivery": ["files_agree"]},
        ),
        layer(
            "records",
            [*records, spec("records_quarantine", after)],
            _ingest,
            partitions=deliveries,
            checks={
                "records_quarantine": ["row_balance", "quarantined_share", "columns_expected"],
                **{f"records_{kind}": ["columns_agree"] for kind in kinds()},
            },
            pool="ingest",
        ),
    ]


def on_time(workplace: Workplace) -> AssetCheckResult:
    """The check hospitals_on_time as of now: the one place in the pipeline where the wall clock decides something."""
    with guarded(workplace.settings.zone("errors")):
        check = status.on_time(workplace, datetime.now(ZONE).date())
    return check_result("landing_delivery", check)


def checks() -> list[AssetChecksDefinition]:
    """Checks that run by the clock, not with their asset."""

    @asset_check(
        asset=AssetKey("landing_delivery"),
        name="hospitals_on_time",
        description="各医院最近一次交付是否在期限之内（arrival.yaml）；只提醒。"
        "Whether each hospital's newest delivery is within its window (arrival.yaml); only warns.",
    )
    def hospitals_on_time(workplace: ResourceParam[Workplace]) -> AssetCheckResult:
        return on_time(workplace)

    return [hospitals_on_time]

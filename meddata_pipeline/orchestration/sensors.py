"""Sensors: a delivery that has become complete starts its night; a run that failed alerts; automation refreshes."""

import json
from typing import Any

from dagster import (
    AddDynamicPartitionsRequest,
    AssetSelection,
    AutomationConditionSensorDefinition,
    DefaultSensorStatus,
    ResourceParam,
    RunFailureSensorContext,
    RunRequest,
    SensorEvaluationContext,
    SensorResult,
    SkipReason,
    run_failure_sensor,
    sensor,
)

from meddata_pipeline.app import alerts, nights
from meddata_pipeline.app.workplace import Workplace
from meddata_pipeline.orchestration.jobs import INGEST
from meddata_pipeline.orchestration.partitions import DAY, HOSPITAL, PRODUCT, delivery_key


def build() -> list[Any]:
    """All sensors."""

    @sensor(
        name="landing_folder",
        job_name=INGEST,
        minimum_interval_seconds=60,
        default_status=DefaultSensorStatus.STOPPED,
        description="交付完整（有 _COMPLETE，或两次查看大小与时间不变）即启动该医院该日。"
        "Starts a hospital's day when its delivery is complete: _COMPLETE, or unchanged over two looks.",
    )
    def landing_folder(
        context: SensorEvaluationContext, workplace: ResourceParam[Workplace]
    ) -> SensorResult | SkipReason:
        seen: dict[str, list[str]] = json.loads(context.cursor or "{}")
        ready, looks = nights.look(workplace, seen)
        if not ready:
            return SensorResult(skip_reason=SkipReason("no delivery has become complete"), cursor=json.dumps(looks))
        requests = [
            RunRequest(
                run_key=f"{hospital}|{day}|{digest}",
                partition_key=delivery_key(hospital, day),
                tags={"meddata/hospital": hospital},
            )
            for hospital, day, digest in ready
        ]
        return SensorResult(
            run_requests=requests,
            dynamic_partitions_requests=[
                AddDynamicPartitionsRequest(HOSPITAL, sorted({h for h, _, _ in ready})),
                AddDynamicPartitionsRequest(DAY, sorted({d for _, d, _ in ready})),
                AddDynamicPartitionsRequest(PRODUCT, workplace.config.products()),
            ],
            cursor=json.dumps(looks),
        )

    @run_failure_sensor(
        name="failed_run_alert",
        description="运行失败时写入告警文件，或通知 webhook。Alerts to a file or a webhook when a run fails.",
        default_status=DefaultSensorStatus.RUNNING,
    )
    def failed_run_alert(context: RunFailureSensorContext, workplace: ResourceParam[Workplace]) -> None:
        run = context.dagster_run
        partitions = {k.removeprefix("dagster/partition/"): v for k, v in run.tags.items() if "dagster/partition" in k}
        # Step failures carry guarded texts; the run's own message names the steps only.
        alerts.send(
            workplace,
            run_id=run.run_id,
            job=run.job_name,
            partitions=partitions,
            text=context.failure_event.message or "",
        )

    refresh = AutomationConditionSensorDefinition(
        "refresh",
        target=AssetSelection.all(),
        minimum_interval_seconds=60,
        default_status=DefaultSensorStatus.STOPPED,
        description="上游变化后自动更新去标识化、队列与候选。Brings deid, cohorts and candidates up to date.",
    )
    return [landing_folder, failed_run_alert, refresh]

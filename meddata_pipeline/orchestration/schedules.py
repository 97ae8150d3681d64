"""Schedules: what happens by the clock."""

from collections.abc import Iterator

from dagster import RunRequest, ScheduleDefinition, ScheduleEvaluationContext, schedule

from meddata_pipeline.orchestration.jobs import ARRIVAL, IDENTIFY
from meddata_pipeline.orchestration.partitions import HOSPITAL


def build() -> list[ScheduleDefinition]:
    """All schedules."""

    @schedule(
        name="close_night",
        job_name=IDENTIFY,
        cron_schedule="0 2 * * *",
        execution_timezone="Asia/Shanghai",
        description="每晚 02:00 结束当夜：更新各医院的标识汇总，其余由自动化跟进。"
        "Closes the night at 02:00: identities of every hospital; automation brings the rest up to date.",
    )
    def close_night(context: ScheduleEvaluationContext) -> Iterator[RunRequest]:
        night = context.scheduled_execution_time.date().isoformat()
        for hospital in context.instance.get_dynamic_partitions(HOSPITAL):
            tags = {"meddata/hospital": hospital, "meddata/night": night}
            yield RunRequest(run_key=f"{night}|{hospital}", partition_key=hospital, tags=tags)

    late = ScheduleDefinition(
        name="look_for_late_hospitals",
        job_name=ARRIVAL,
        cron_schedule="0 9 * * *",
        execution_timezone="Asia/Shanghai",
        description="每天 09:00 查看哪些医院逾期未交付。"
        "Looks at 09:00 which hospitals have not delivered for too long.",
    )
    return [close_night, late]

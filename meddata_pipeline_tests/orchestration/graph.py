"""The asset graph as plain data: what the snapshot holds, and the command that writes it again.

``python -m meddata_pipeline_tests.orchestration.graph`` writes asset_graph.yaml beside this file. Do that when the
graph was changed on purpose, and read the difference in the commit.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from dagster import Definitions, PartitionsDefinition
from dagster import MultiPartitionsDefinition as Multi

SNAPSHOT = Path(__file__).with_name("asset_graph.yaml")
COMMAND = "python -m meddata_pipeline_tests.orchestration.graph"


def _partitions(definition: PartitionsDefinition[Any] | None) -> str:
    if definition is None:
        return ""
    if isinstance(definition, Multi):
        return " x ".join(f"{d.name}: {_partitions(d.partitions_def)}" for d in definition.partitions_defs)
    return f"{type(definition).__name__}({getattr(definition, 'name', '')})"


def graph(defs: Definitions) -> dict[str, Any]:
    """Assets, jobs, schedules and sensors of the definitions, with everything that shows in the UI but texts."""
    resolved = defs.resolve_asset_graph()
    assets: dict[str, Any] = {}
    for node in sorted(resolved.asset_nodes, key=lambda n: n.key):
        condition = node.automation_condition
        checks = [resolved.get(check) for check in node.check_keys]
        assets[node.key.to_user_string()] = {
            "group": node.group_name,
            "deps": sorted(k.to_user_string() for k in node.parent_keys),
            "partitions": _partitions(node.partitions_def),
            "checks": sorted(f"{c.key.name}{' (blocking)' if c.blocking else ''}" for c in checks),
            "kinds": sorted(node.kinds),
            "owners": sorted(node.owners),
            "automation": condition.get_label() or condition.name if condition else "",
            "freshness": node.freshness_policy_or_from_metadata is not None,
            "pools": sorted(node.pools or ()),
        }
    repository = defs.get_repository_def()
    return {
        "assets": assets,
        "jobs": {
            j.name: sorted(k.to_user_string() for k in j.asset_layer.executable_asset_keys)
            for j in repository.get_all_jobs()
            if not j.name.startswith("__")
        },
        "schedules": {s.name: f"{s.cron_schedule} {s.execution_timezone}" for s in repository.schedule_defs},
        "sensors": {s.name: s.sensor_type.value for s in repository.sensor_defs},
    }


def text(defs: Definitions) -> str:
    """The graph as YAML, one fact a line, so that a difference reads well."""
    dumped: str = yaml.safe_dump(graph(defs), allow_unicode=True, sort_keys=True, width=120)
    return dumped


if __name__ == "__main__":
    from meddata_pipeline.orchestration.build import build_defs

    SNAPSHOT.write_text(text(build_defs()), encoding="utf-8")

"""How an asset of this project is made: texts from assets.yaml, one guarded body that takes a set of partition keys.

What belongs here: what all assets have in common (owner, kinds, pool, retries, freshness, checks). What does not: which
assets there are (assets/) and what a step does (app/).
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import timedelta
from functools import cache
from importlib import resources
from typing import Any

import yaml
from dagster import (
    AssetCheckResult,
    AssetCheckSpec,
    AssetDep,
    AssetExecutionContext,
    AssetKey,
    AssetsDefinition,
    AssetSpec,
    AutomationCondition,
    BackfillPolicy,
    DataVersion,
    FreshnessPolicy,
    MaterializeResult,
    PartitionsDefinition,
    ResourceParam,
    RetryPolicy,
    multi_asset,
)

from meddata_pipeline.app.outcome import Outcome
from meddata_pipeline.app.workplace import Workplace
from meddata_pipeline.core.canonical import combined_digest
from meddata_pipeline.orchestration.guard import guarded
from meddata_pipeline.orchestration.metadata import Lineage, check_result, metadata

#: A step answers the outcomes of its assets by name; an asset that is missing waits (a release without signatures).
Step = Callable[[Workplace, Any], Mapping[str, Outcome]]

#: Checks by asset: their names. All but advisory ones are blocking: what is below does not run when one of severity
#: error fails.
Checks = Mapping[str, Sequence[str]]

_RETRY = RetryPolicy(max_retries=2, delay=2)
_FRESH = FreshnessPolicy.time_window(fail_window=timedelta(hours=36), warn_window=timedelta(hours=26))

#: Refresh as soon as anything above has changed. Plain eager() would wait for every hospital x day combination of the
#: two dynamic dimensions, and some are always missing.
REFRESH = AutomationCondition.eager().without(~AutomationCondition.any_deps_missing())


@cache
def texts() -> dict[str, dict[str, Any]]:
    """assets.yaml."""
    source = resources.files("meddata_pipeline.orchestration").joinpath("assets.yaml").read_text(encoding="utf-8")
    loaded: dict[str, dict[str, Any]] = yaml.safe_load(source)
    return loaded


def spec(
    name: str,
    deps: Sequence[AssetDep] = (),
    *,
    text: str | None = None,
    title: Mapping[str, str] | None = None,
    automation: AutomationCondition | None = None,
    skippable: bool = False,
) -> AssetSpec:
    """The spec of one asset.

    Args:
        name: key of the asset.
        deps: what it depends on, with partition mappings.
        text: entry of assets.yaml, by default the name.
        title: zh and en put in for ``{title}``.
        automation: when it is requested by itself.
        skippable: the step may answer without it.
    """
    entry = texts()[text or name]
    title = title or {"zh": "", "en": ""}
    zh, en = entry["zh"].format(title=title["zh"]), entry["en"].format(title=title["en"])
    return AssetSpec(
        name,
        deps=list(deps),
        group_name=entry["group"],
        description=f"{zh}\n\n{en}",
        owners=[entry["owner"]],
        kinds=set(entry["kinds"]),
        automation_condition=automation,
        freshness_policy=_FRESH if automation or entry["group"] == "landing" else None,
        skippable=skippable,
    )


def _results(
    context: AssetExecutionContext, outcomes: Mapping[str, Mapping[str, Outcome]], lineage: Mapping[str, Lineage]
) -> Iterator[MaterializeResult]:
    """Results of one run over a set of partitions: metadata per partition, one data version over all."""
    names = {name for by_asset in outcomes.values() for name in by_asset}
    for name in sorted(names):
        per_key = {key: by_asset[name] for key, by_asset in outcomes.items() if name in by_asset}
        if len(per_key) > 1:
            for key, outcome in per_key.items():
                context.add_asset_metadata(metadata(outcome, lineage.get(name)), asset_key=name, partition_key=key)
        last = list(per_key.values())[-1]
        # A failed check of any partition counts: the first failed one of each name is shown, else the last.
        checks = {c.name: c for outcome in per_key.values() for c in outcome.checks}
        checks |= {c.name: c for outcome in per_key.values() for c in outcome.checks if not c.passed}
        digests = [o.digest for o in per_key.values()]
        yield MaterializeResult(
            asset_key=AssetKey(name),
            metadata=metadata(last, lineage.get(name)) if len(per_key) == 1 else None,
            data_version=DataVersion((digests[0] if len(digests) == 1 else combined_digest(digests))[:32]),
            check_results=[check_result(name, c) for c in checks.values()],
        )


def _nothing_to_check(checks: Checks, made: set[str]) -> Iterator[AssetCheckResult]:
    """Answers of the checks of assets that wait: Dagster lets an asset be skipped, but not its checks."""
    for asset, names in checks.items():
        for check in () if asset in made else names:
            yield AssetCheckResult(
                asset_key=AssetKey(asset),
                check_name=check,
                passed=True,
                description="The asset waits; nothing to check",
            )


def layer(
    name: str,
    specs: Sequence[AssetSpec],
    step: Step,
    *,
    partitions: PartitionsDefinition | None,
    checks: Checks,
    lineage: Mapping[str, Lineage] | None = None,
    pool: str | None = None,
    advisory: Collection[str] = (),
) -> AssetsDefinition:
    """One op that materializes one or several assets of a layer.

    Args:
        name: name of the op.
        specs: its assets.
        step: called with the workplace and one partition key (None where the assets are not partitioned).
        partitions: how they are partitioned.
        checks: names of the blocking checks by asset.
        lineage: column lineage by asset.
        pool: concurrency pool of heavy steps.
        advisory: names of checks that never stop anything.
    """

    @multi_asset(
        name=name,
        specs=list(specs),
        partitions_def=partitions,
        check_specs=[
            AssetCheckSpec(c, asset=a, blocking=c not in advisory) for a, names in checks.items() for c in names
        ],
        retry_policy=_RETRY,
        backfill_policy=BackfillPolicy.multi_run(30) if partitions else None,
        pool=pool,
        can_subset=False,
    )
    def body(
        context: AssetExecutionContext, workplace: ResourceParam[Workplace]
    ) -> Iterator[MaterializeResult | AssetCheckResult]:
        keys: Sequence[Any] = context.partition_keys if partitions else [None]
        with guarded(workplace.settings.zone("errors")):
            outcomes = {str(key): step(workplace, key) for key in keys}
        yield from _results(context, outcomes, lineage or {})
        yield from _nothing_to_check(checks, {asset for by_asset in outcomes.values() for asset in by_asset})

    return body

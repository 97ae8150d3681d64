"""Assets per product: cohort, candidate, release, catalogue entry, exchange."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dagster import AssetDep, AssetsDefinition

from meddata_pipeline.app import attacks, candidates, nights, publication, releases
from meddata_pipeline.app.outcome import Outcome
from meddata_pipeline.app.workplace import Workplace
from meddata_pipeline.orchestration.factory import REFRESH, layer, spec
from meddata_pipeline.orchestration.partitions import everything, products

ProductStep = Callable[[Workplace, str], Outcome | None]


def _per_product(
    name: str,
    above: Sequence[str | AssetDep],
    step: ProductStep,
    checks: Sequence[str] = (),
    *,
    skippable: bool = False,
) -> AssetsDefinition:
    """One asset per product; a step that answers None waits, and so does what is below it."""

    def run(workplace: Workplace, key: Any) -> Mapping[str, Outcome]:
        outcome = step(workplace, str(key))
        return {} if outcome is None else {name: outcome}

    deps = [dep if isinstance(dep, AssetDep) else AssetDep(dep) for dep in above]
    return layer(
        name,
        [spec(name, deps, automation=REFRESH, skippable=skippable)],
        run,
        partitions=products,
        checks={name: list(checks)},
        pool="product",
    )


def _site(workplace: Workplace, _: Any) -> Mapping[str, Outcome]:
    return {"catalog_site": publication.build_site(workplace)}


def build() -> list[AssetsDefinition]:
    """The assets of the layers cohort, candidate, release, catalog and exchange."""
    deid = [AssetDep(f"deid_{kind}", partition_mapping=everything) for kind in nights.DEID_KINDS]
    site = [AssetDep("catalog_entry", partition_mapping=everything)]
    return [
        _per_product("cohort_table", deid, candidates.build_cohort, ["row_balance"]),
        _per_product("cohort_study", ["cohort_table"], candidates.study_cohort),
        _per_product(
            "candidate_table", ["cohort_table"], candidates.protect, ["row_balance", "k_anonymity", "live_versions"]
        ),
        _per_product(
            "candidate_risk",
            ["cohort_table", "candidate_table"],
            attacks.measure_risk,
            ["risk_below_limit", "linkage_attack", "product_join_attack"],
        ),
        _per_product(
            "candidate_quality", ["candidate_table"], candidates.judge_quality, ["contract_errors", "contract_warnings"]
        ),
        _per_product("candidate_study", ["cohort_study", "candidate_table"], candidates.study_candidate),
        _per_product("candidate_offer", ["cohort_table", "candidate_quality"], candidates.price),
        _per_product(
            "candidate_dossier",
            ["candidate_table", "candidate_risk", "candidate_quality", "candidate_study", "candidate_offer"],
            candidates.assemble,
            ["entry_conforms", "no_identifier_inside"],
        ),
        _per_product("release", ["candidate_dossier"], releases.release, skippable=True),
        _per_product("catalog_entry", ["release"], publication.publish_entry, ["entry_conforms"]),
        layer(
            "catalog_site",
            [spec("catalog_site", site, automation=REFRESH)],
            _site,
            partitions=None,
            checks={},
        ),
        _per_product("exchange_bundle", ["release"], publication.deliver_sample, ["bundle_verifies"], skippable=True),
        _per_product("exchange_settlement", ["exchange_bundle"], publication.settle_sample, ["sums_to_the_fen"]),
    ]

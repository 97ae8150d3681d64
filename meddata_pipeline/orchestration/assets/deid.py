"""Assets of the deid layer: what is known of persons, the de-identified tables of a hospital's day, its leak audit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dagster import AssetDep, AssetsDefinition

from meddata_pipeline.app import leak_audit, nights
from meddata_pipeline.app.outcome import Outcome
from meddata_pipeline.app.workplace import Workplace
from meddata_pipeline.core.tables import kinds
from meddata_pipeline.orchestration.factory import REFRESH, layer, spec
from meddata_pipeline.orchestration.metadata import Lineage
from meddata_pipeline.orchestration.partitions import DAY, HOSPITAL, by_hospital, deliveries, hospitals


def _identify(workplace: Workplace, key: Any) -> Mapping[str, Outcome]:
    return {"identities": nights.identify(workplace, str(key))}


def _deidentify(workplace: Workplace, key: Any) -> Mapping[str, Outcome]:
    hospital, day = key.keys_by_dimension[HOSPITAL], key.keys_by_dimension[DAY]
    return {f"deid_{name}": outcome for name, outcome in nights.deidentify(workplace, hospital, day).items()}


def _audit(workplace: Workplace, key: Any) -> Mapping[str, Outcome]:
    hospital, day = key.keys_by_dimension[HOSPITAL], key.keys_by_dimension[DAY]
    return {"leak_audit": leak_audit.audit(workplace, hospital, day)}


def _lineage() -> dict[str, Lineage]:
    return {
        f"deid_{kind}": {
            c.name: [(f"records_{kind}", c.name)]
            for c in kinds()[kind].columns
            if c.sensitivity not in ("direct", "staff")
        }
        for kind in nights.DEID_KINDS
    }


def build() -> list[AssetsDefinition]:
    """The assets of the layer deid."""
    known = [AssetDep(f"records_{kind}", partition_mapping=by_hospital) for kind in kinds()]
    specs = []
    for kind in nights.DEID_KINDS:
        title = kinds()[kind].title
        above = [AssetDep(f"records_{kind}"), AssetDep("identities", partition_mapping=by_hospital)]
        specs.append(
            spec(f"deid_{kind}", above, text="deid", title={"zh": title.zh, "en": title.en}, automation=REFRESH)
        )
    texts = [AssetDep(f"records_{kind}") for kind in nights.TEXT_KINDS]
    specs.append(
        spec("deid_spans", [*texts, AssetDep("identities", partition_mapping=by_hospital)], automation=REFRESH)
    )
    audited = [AssetDep("deid_spans"), *(AssetDep(f"deid_{kind}") for kind in nights.TEXT_KINDS)]
    audited.append(AssetDep("identities", partition_mapping=by_hospital))
    return [
        layer(
            "identities",
            [spec("identities", known, automation=REFRESH)],
            _identify,
            partitions=hospitals,
            checks={},
        ),
        layer(
            "deid",
            specs,
            _deidentify,
            partitions=deliveries,
            checks={"deid_patient": ["row_balance"], "deid_spans": ["no_residual_identifiers"]},
            lineage=_lineage(),
            pool="deid",
        ),
        layer(
            "leak_audit",
            [spec("leak_audit", audited, automation=REFRESH)],
            _audit,
            partitions=deliveries,
            checks={"leak_audit": ["planted_recall", "planted_recall_floor"]},
            pool="deid",
        ),
    ]

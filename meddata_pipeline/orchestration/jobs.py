"""Jobs: the units in which the way of the data is run, each over one kind of partition."""

from __future__ import annotations

from typing import Any

from dagster import AssetCheckKey, AssetKey, AssetSelection, define_asset_job

INGEST, IDENTIFY, DEIDENTIFY, JUDGE, PRODUCT, SITE, ARRIVAL = (
    "ingest_delivery",
    "identify_hospital",
    "deidentify_delivery",
    "judge_delivery",
    "build_product",
    "publish_site",
    "look_for_late_hospitals",
)


def build() -> list[Any]:
    """All jobs."""
    groups = AssetSelection.groups
    identities = AssetSelection.assets("identities")
    site = AssetSelection.assets("catalog_site")
    on_time = AssetSelection.checks(AssetCheckKey(AssetKey("landing_delivery"), "hospitals_on_time"))
    return [
        define_asset_job(
            INGEST,
            groups("landing", "records") - on_time,
            description="一家医院一天的交付：读取、映射、隔离。One hospital's day: read, map, quarantine.",
        ),
        define_asset_job(
            IDENTIFY,
            identities,
            description="汇总一家医院已知的个人标识。What is known of one hospital's persons.",
        ),
        define_asset_job(
            DEIDENTIFY,
            groups("deid") - identities,
            description="一家医院一天的去标识化。De-identify one hospital's day.",
        ),
        define_asset_job(
            JUDGE,
            groups("quality"),
            description="一家医院一天的质量检查，在其各日均已去标识化之后。"
            "Quality of one hospital's day, after all of its days have been de-identified.",
        ),
        define_asset_job(
            PRODUCT,
            groups("cohort", "candidate", "release", "catalog", "exchange") - site,
            description="一个产品：队列、候选、发布、目录、交付与结算。One product from cohort to settlement.",
        ),
        define_asset_job(
            ARRIVAL, on_time, description="哪些医院逾期未交付。Which hospitals have not delivered for too long."
        ),
        define_asset_job(SITE, site, description="生成目录网站。Build the catalogue's site."),
    ]

"""Partitions: hospital, day and product, all dynamic, since keys exist only once something has arrived.

A calendar from 1986 for 22 hospitals would be 328,592 keys and cost 7 to 12 seconds an automation tick; keys added on
arrival cost nothing.
"""

from __future__ import annotations

import warnings

from dagster import (
    AllPartitionMapping,
    DagsterInstance,
    DimensionPartitionMapping,
    DynamicPartitionsDefinition,
    IdentityPartitionMapping,
    MultiPartitionKey,
    MultiPartitionMapping,
    MultiPartitionsDefinition,
    MultiToSingleDimensionPartitionMapping,
)

HOSPITAL, DAY, PRODUCT = "hospital", "day", "product"

hospitals = DynamicPartitionsDefinition(name=HOSPITAL)
days = DynamicPartitionsDefinition(name=DAY)
deliveries = MultiPartitionsDefinition({HOSPITAL: hospitals, DAY: days})
products = DynamicPartitionsDefinition(name=PRODUCT)

with warnings.catch_warnings():
    # Dagster calls these mappings beta; silenced here and nowhere else.
    warnings.simplefilter("ignore")
    #: One hospital's partition beside all of its days, in both directions.
    by_hospital = MultiToSingleDimensionPartitionMapping(partition_dimension_name=HOSPITAL)
    #: One hospital's day beside all days of that hospital.
    all_days = MultiPartitionMapping(
        {
            HOSPITAL: DimensionPartitionMapping(HOSPITAL, IdentityPartitionMapping()),
            DAY: DimensionPartitionMapping(DAY, AllPartitionMapping()),
        }
    )
everything = AllPartitionMapping()


def delivery_key(hospital: str, day: str) -> MultiPartitionKey:
    """The partition key of one hospital's day."""
    return MultiPartitionKey({HOSPITAL: hospital, DAY: day})


def add_delivery(instance: DagsterInstance, hospital: str, day: str) -> None:
    """Make a hospital and a day known to the instance."""
    instance.add_dynamic_partitions(HOSPITAL, [hospital])
    instance.add_dynamic_partitions(DAY, [day])


def add_products(instance: DagsterInstance, product_ids: list[str]) -> None:
    """Make products known to the instance."""
    instance.add_dynamic_partitions(PRODUCT, product_ids)

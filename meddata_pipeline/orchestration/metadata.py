"""Outcomes as Dagster metadata: row counts, column schema and lineage, balances, small figures, data versions.

What belongs here: turning an Outcome into what the UI shows. What does not: computing anything.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from typing import Any

from dagster import (
    AssetCheckResult,
    AssetCheckSeverity,
    AssetKey,
    DataVersion,
    MaterializeResult,
    MetadataValue,
    TableColumn,
    TableColumnDep,
    TableColumnLineage,
    TableSchema,
)

from meddata_pipeline.app.outcome import Check, Outcome

Lineage = Mapping[str, Iterable[tuple[str, str]]]


#: Facts that count persons or rows of persons: small numbers in them stay in the restricted zone's manifests.
_COUNTS_OF_PERSONS = frozenset(
    {
        *("flow", "balance", "excluded", "persons", "suppressed", "report", "recount"),
        *("row_balances", "failed_rows", "rows_aside"),
    }
)
_LIMIT = 10


def masked(value: Any) -> Any:
    """A fact as the UI may show it: counts from 1 to 9 become ``<10``, at any depth."""
    if isinstance(value, Mapping):
        return {key: masked(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [masked(item) for item in value]
    if isinstance(value, int) and not isinstance(value, bool) and 0 < value < _LIMIT:
        return f"<{_LIMIT}"
    return value


def picture(title: str, svg: str) -> Any:
    """An SVG as Markdown that the UI renders inline."""
    encoded = base64.b64encode(svg.encode()).decode()
    return MetadataValue.md(f"![{title}](data:image/svg+xml;base64,{encoded})")


def metadata(outcome: Outcome, lineage: Lineage | None = None) -> dict[str, Any]:
    """Metadata of one materialization.

    Args:
        outcome: what the step answered.
        lineage: for each column, the (asset, column) pairs it comes from.
    """
    shown: dict[str, Any] = {}
    if outcome.rows is not None:
        shown["dagster/row_count"] = outcome.rows
    if outcome.columns:
        columns = [TableColumn(name, type_) for name, type_ in outcome.columns]
        shown["dagster/column_schema"] = TableSchema(columns=columns)
    if lineage:
        deps = {
            column: [TableColumnDep(asset_key=AssetKey(asset), column_name=source) for asset, source in sources]
            for column, sources in lineage.items()
        }
        shown["dagster/column_lineage"] = TableColumnLineage(deps_by_column=deps)
    return {**shown, **_facts(outcome.facts, outcome.figures)}


def _facts(facts: Mapping[str, Any], figures: Mapping[str, str]) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    for name, exact in facts.items():
        value = masked(exact) if name in _COUNTS_OF_PERSONS else exact
        shown[name] = MetadataValue.json(value) if isinstance(value, dict | list) else value
    for title, svg in figures.items():
        shown[title] = picture(title, svg)
    return shown


def check_result(asset: str, check: Check) -> AssetCheckResult:
    """One check as Dagster knows it."""
    severity = AssetCheckSeverity.ERROR if check.severity == "error" else AssetCheckSeverity.WARN
    return AssetCheckResult(
        asset_key=AssetKey(asset),
        check_name=check.name,
        passed=check.passed,
        severity=severity,
        description=check.detail or None,
        metadata=_facts(check.facts, check.figures),
    )


def result(asset: str, outcome: Outcome, lineage: Lineage | None = None) -> MaterializeResult:
    """One asset's materialization with its checks."""
    return MaterializeResult(
        asset_key=AssetKey(asset),
        metadata=metadata(outcome, lineage),
        data_version=DataVersion(outcome.digest[:32]),
        check_results=[check_result(asset, check) for check in outcome.checks],
    )

"""The canonical tables: kinds, their columns, types and sensitivity classes.

What belongs here: the shape that every hospital's files are mapped to (tables.yaml) and the provenance columns that
every row carries. What does not: how a hospital names its columns (profiles) or what a product publishes (contracts).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Literal, get_args

import yaml

from meddata_pipeline.core.text import Text

if TYPE_CHECKING:
    import pyarrow as pa

ColumnType = Literal["text", "date", "number", "integer", "boolean"]
Sensitivity = Literal["link", "direct", "staff", "quasi", "sensitive", "text", "other"]

#: Columns that every records table carries: where a row is from.
#: source_file is the SHA-256 of the file; source_row counts data records from 0, the header not counted;
#: source_values is JSON of the source texts of the row's normalised cells (dates, numbers, units) where they differ.
PROVENANCE: dict[str, str] = {
    "hospital": "string",
    "day": "string",
    "source_table": "string",
    "source_file": "string",
    "source_row": "int64",
    "record_key": "string",
    "delivery": "string",
    "deleted": "bool",
    "source_values": "string",
}


@dataclass(frozen=True)
class ColumnSpec:
    """One canonical column."""

    name: str
    type: ColumnType
    sensitivity: Sensitivity
    title: Text


@dataclass(frozen=True)
class TableSpec:
    """One canonical table (a kind)."""

    kind: str
    title: Text
    columns: tuple[ColumnSpec, ...]

    def column(self, name: str) -> ColumnSpec:
        """The column of that name.

        Raises:
            KeyError: the kind has no such column.
        """
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)

    def names(self, *sensitivities: Sensitivity) -> list[str]:
        """Names of the columns of these sensitivity classes, or of all columns."""
        return [c.name for c in self.columns if not sensitivities or c.sensitivity in sensitivities]


@cache
def kinds() -> dict[str, TableSpec]:
    """All kinds by name, in the order of tables.yaml."""
    source = resources.files("meddata_pipeline.core").joinpath("tables.yaml").read_text(encoding="utf-8")
    tables: dict[str, TableSpec] = {}
    for kind, entry in yaml.safe_load(source).items():
        columns = []
        for name, column in entry["columns"].items():
            if column["type"] not in get_args(ColumnType) or column["sensitivity"] not in get_args(Sensitivity):
                raise ValueError(f"tables.yaml: {kind}.{name} has an unknown type or sensitivity")
            title = Text(zh=column["zh"], en=column["en"])
            columns.append(ColumnSpec(name, column["type"], column["sensitivity"], title))
        tables[kind] = TableSpec(kind, Text(**entry["title"]), tuple(columns))
    return tables


def arrow_type(column_type: ColumnType) -> pa.DataType:
    """Arrow type of a canonical column type."""
    import pyarrow as pa

    types = {
        "text": pa.string(),
        "date": pa.date32(),
        "number": pa.float64(),
        "integer": pa.int64(),
        "boolean": pa.bool_(),
    }
    return types[column_type]


@cache
def arrow_schema(kind: str) -> pa.Schema:
    """Schema of a records table: the kind's columns, then the provenance columns."""
    import pyarrow as pa

    fields = [pa.field(c.name, arrow_type(c.type)) for c in kinds()[kind].columns]
    fields += [pa.field(name, pa.type_for_alias(alias)) for name, alias in PROVENANCE.items()]
    return pa.schema(fields)

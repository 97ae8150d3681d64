"""contract.yaml: an Open Data Contract Standard 3.1 contract, read into columns and checks.

What belongs here: the parts of ODCS that this project interprets. What does not: the syntax of one rule (rules.py) and
running checks. A contract's version is ``major.minor`` (a breaking change needs a new major); a release's version is
the contract's major and its own running number, and stands nowhere in this file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from meddata_pipeline.core.config import load_yaml, shown_name
from meddata_pipeline.core.errors import ConfigError
from meddata_pipeline.core.text import Text
from meddata_pipeline.quality.checks import KINDS, CheckSpec, Join
from meddata_pipeline.quality.rules import TYPES, bilingual, parse_join, parse_rule, properties


@dataclass(frozen=True)
class ContractColumn:
    """A column of the contract.

    Attributes:
        name: as in the table.
        type: ODCS logical type.
        title: short name.
        description: one sentence.
        unit: of measurement, or empty.
        classification: ``link`` (key of a row), ``quasi``, ``sensitive``, ``other``; ``public``: values may be shown.
        required: whether no value may be missing.
        codes: meaning of each code.
    """

    name: str
    type: str
    title: Text
    description: Text
    unit: str
    classification: str
    required: bool
    codes: dict[str, Text]

    def as_dict(self) -> dict[str, Any]:
        """The column as plain JSON, for codebooks."""
        return {
            "name": self.name,
            "type": self.type,
            "title": self.title.model_dump(),
            "description": self.description.model_dump(),
            "unit": self.unit,
            "classification": self.classification,
            "required": self.required,
            "codes": {code: text.model_dump() for code, text in self.codes.items()},
        }


@dataclass(frozen=True)
class TableContract:
    """What a contract says of one table.

    Attributes:
        name: of the table.
        title: what it is called.
        columns: in order.
        checks: rules of the file, and those that ``required``, ``unique`` and the list of columns imply.
    """

    name: str
    title: Text
    columns: tuple[ContractColumn, ...]
    checks: tuple[CheckSpec, ...]

    @property
    def types(self) -> list[tuple[str, str]]:
        """Name and logical type of each column."""
        return [(column.name, column.type) for column in self.columns]


@dataclass(frozen=True)
class Contract:
    """A data contract for one table or several; table, title, columns and types are those of the first.

    Attributes:
        id: of the contract.
        version: ``major.minor``.
        tables: in the order of the file.
    """

    id: str
    version: str
    tables: tuple[TableContract, ...]

    @property
    def major(self) -> int:
        """The major version, which a release's version starts with."""
        return int(self.version.split(".")[0])

    @property
    def table(self) -> str:
        """Name of the first table."""
        return self.tables[0].name

    @property
    def title(self) -> Text:
        """What the first table is called."""
        return self.tables[0].title

    @property
    def columns(self) -> tuple[ContractColumn, ...]:
        """Columns of the first table."""
        return self.tables[0].columns

    @property
    def types(self) -> list[tuple[str, str]]:
        """Name and logical type of each column of the first table."""
        return self.tables[0].types

    @property
    def checks(self) -> tuple[CheckSpec, ...]:
        """The checks of all tables."""
        return tuple(check for table in self.tables for check in table.checks)


def _rules(
    raw: Mapping[str, Any], column: str | None, table: str, joins: Mapping[str, Join], own: Sequence[str], where: str
) -> list[CheckSpec]:
    specs = []
    for number, rule in enumerate(raw.get("quality") or []):
        name = rule.get("id", f"number {number + 1}") if isinstance(rule, Mapping) else f"number {number + 1}"
        try:
            specs.append(parse_rule(rule, column=column, table=table, joins=joins, own=own))
        except (ValueError, TypeError, KeyError, AttributeError, re.error, ConfigError) as error:
            place = f"column {column}" if column else "the table"
            told = isinstance(error, (ValueError, ConfigError)) and error.args
            raise ConfigError(
                f"Quality rule {name} of {place}: {error.args[0] if told else 'is not understood'}", where=where
            ) from None
    return specs


def _codes(raw: Mapping[Any, Any], column: str, where: str) -> dict[str, Text]:
    try:
        return {str(code): Text.model_validate(text) for code, text in raw.items()}
    except ValidationError:
        step = "Quote yes and no: YAML reads them as true and false"
        message = f"The codes of column {column} need a zh and an en text each"
        raise ConfigError(message, where=where, next_step=step) from None


def _column(raw: Mapping[str, Any], where: str) -> ContractColumn:
    custom = properties(raw)
    name, logical = str(raw["name"]), str(raw.get("logicalType", "string"))
    if logical not in TYPES:
        raise ConfigError(f"Column {name} has the type {logical}; known are {', '.join(sorted(TYPES))}", where=where)
    return ContractColumn(
        name=name,
        type=logical,
        title=bilingual(custom.get("titleZh"), raw.get("businessName") or name),
        description=bilingual(custom.get("descriptionZh"), raw.get("description")),
        unit=str(custom.get("unit", "")),
        classification=str(raw.get("classification", "other")),
        required=bool(raw.get("required", False)),
        codes=_codes(custom.get("codes") or {}, name, where),
    )


def _implied(columns: Sequence[ContractColumn], unique: Sequence[str], table: str, prefix: str) -> list[CheckSpec]:
    """Checks that the schema itself asks for."""

    def spec(name: str, kind: str, columns: tuple[str, ...], dimension: str, title: Text, dqd: str) -> CheckSpec:
        kahn = KINDS[kind][1]
        return CheckSpec(prefix + name, kind, columns, "error", dimension, title=title, table=table, kahn=kahn, dqd=dqd)

    title = Text(
        zh="表中恰好包含合同列出的列，且类型一致",
        en="The table holds exactly the contract's columns, with their types",
    )
    specs = [spec("table-schema", "schema", (), "accessibility", title, "cdmField")]
    for column in columns:
        if column.required:
            title = Text(zh=f"{column.title.zh}不得缺失", en=f"{column.title.en} is never missing")
            specs.append(spec(f"{column.name}-required", "null", (column.name,), "completeness", title, "isRequired"))
        if column.name in unique:
            title = Text(zh=f"{column.title.zh}不得重复", en=f"{column.title.en} is unique")
            specs.append(spec(f"{column.name}-unique", "duplicate", (column.name,), "accuracy", title, "isPrimaryKey"))
    return specs


def _table(raw: Mapping[str, Any], prefix: str, where: str) -> TableContract:
    entries, name = raw["properties"], str(raw["name"])
    columns = tuple(_column(entry, where) for entry in entries)
    own = [column.name for column in columns]
    unique = [str(entry["name"]) for entry in entries if entry.get("unique") or entry.get("primaryKey")]
    custom = properties(raw)
    try:
        joins = {str(key): parse_join(str(key), entry) for key, entry in (custom.get("joins") or {}).items()}
    except (ValueError, TypeError, AttributeError) as error:
        reason = error.args[0] if isinstance(error, ValueError) else "joins is a mapping of names to mappings"
        raise ConfigError(f"Table {name}: {reason}", where=where) from None
    checks = _implied(columns, unique, name, prefix) + _rules(raw, None, name, joins, own, where)
    for entry in entries:
        checks += _rules(entry, str(entry["name"]), name, joins, own, where)
    title = bilingual(custom.get("titleZh"), raw.get("businessName") or raw["name"])
    return TableContract(name, title, columns, tuple(checks))


def parse_contract(raw: Mapping[str, Any], *, where: str = "contract") -> Contract:
    """Read a contract that is already in memory.

    Args:
        raw: the mapping as YAML gave it.
        where: name of the file for messages.

    Returns:
        The contract.

    Raises:
        ConfigError: it is no ODCS 3.1 contract, or holds a rule that is not understood; the text names it.
    """
    if raw.get("kind") != "DataContract" or not str(raw.get("apiVersion", "")).startswith("v3.1"):
        raise ConfigError("The file is no ODCS 3.1 data contract", where=where)
    version = str(raw.get("version", ""))
    if not re.fullmatch(r"\d+\.\d+(\.\d+)?", version):
        raise ConfigError("The contract's version must be major.minor", where=where)
    entries = raw.get("schema")
    if not isinstance(entries, list) or not entries or not all(entry.get("properties") for entry in entries):
        raise ConfigError("The contract must describe at least one table, each with its properties", where=where)
    # With several tables, what the schemas imply is told apart by the table's name.
    several = len(entries) > 1
    tables = tuple(_table(entry, f"{entry['name']}-" if several else "", where) for entry in entries)
    for what, names in (
        ("quality rules have the id", [check.id for table in tables for check in table.checks]),
        ("tables have the name", [table.name for table in tables]),
    ):
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise ConfigError(f"Several {what} {repeated[0]}", where=where)
    return Contract(str(raw["id"]), version, tables)


def load_contract(path: Path) -> Contract:
    """Read contract.yaml.

    Args:
        path: the file.

    Returns:
        The contract.

    Raises:
        ConfigError: see parse_contract.
    """
    return parse_contract(load_yaml(path), where=shown_name(path))

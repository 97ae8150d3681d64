"""contract.yaml: an Open Data Contract Standard 3.1 contract, read into columns and checks.

What belongs here: the parts of ODCS that this project interprets, and refusing a rule it can't. What does not: running
checks. A contract's version is ``major.minor`` (a breaking change needs a new major); a release's version is the
contract's major and its own running number, and stands nowhere in this file.
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
from meddata_pipeline.quality.checks import (
    DIMENSIONS,
    ODCS_DIMENSIONS,
    WEIGHTS,
    CheckSpec,
    Severity,
    Threshold,
    parse_condition,
    plain_values,
)

_OPERATORS = {
    "mustBe": "=",
    "mustNotBe": "!=",
    "mustBeGreaterThan": ">",
    "mustBeGreaterOrEqualTo": ">=",
    "mustBeLessThan": "<",
    "mustBeLessOrEqualTo": "<=",
    "mustBeBetween": "between",
    "mustNotBeBetween": "not-between",
}
_ENGINE = "meddata"
_ONLY_PYTHON = re.compile(r"\(\?(?!:)|\\[1-9]")
_TYPES = {"string", "number", "integer", "boolean", "date"}


@dataclass(frozen=True)
class ContractColumn:
    """A column of the contract.

    Attributes:
        name: as in the table.
        type: ODCS logical type.
        title: short name.
        description: one sentence.
        unit: of measurement, or empty.
        classification: ``link`` (key of a row), ``quasi``, ``sensitive``, ``other``.
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
class Contract:
    """A data contract for one table.

    Attributes:
        id: of the contract.
        version: ``major.minor``.
        table: name of the table.
        title: what the table is called.
        columns: in order.
        checks: rules of the file, and those that ``required``, ``unique`` and the list of columns imply.
    """

    id: str
    version: str
    table: str
    title: Text
    columns: tuple[ContractColumn, ...]
    checks: tuple[CheckSpec, ...]

    @property
    def major(self) -> int:
        """The major version, which a release's version starts with."""
        return int(self.version.split(".")[0])

    @property
    def types(self) -> list[tuple[str, str]]:
        """Name and logical type of each column."""
        return [(column.name, column.type) for column in self.columns]


def _properties(raw: Mapping[str, Any]) -> dict[str, Any]:
    return {str(entry["property"]): entry["value"] for entry in raw.get("customProperties") or []}


def _text(zh: Any, en: Any) -> Text:
    return Text(zh=str(zh or en or ""), en=str(en or zh or ""))


def _threshold(raw: Mapping[str, Any]) -> Threshold:
    found = [key for key in _OPERATORS if key in raw]
    if len(found) != 1:
        raise ValueError(f"needs one of {', '.join(_OPERATORS)}")
    limit = raw[found[0]]
    values = tuple(float(value) for value in (limit if isinstance(limit, list) else [limit]))
    if len(values) != (2 if "Between" in found[0] else 1):
        raise ValueError(f"{found[0]} has the wrong number of limits")
    unit = raw.get("unit", "rows")
    if unit not in {"rows", "percent"}:
        raise ValueError("unit must be rows or percent")
    return Threshold(_OPERATORS[found[0]], values, "percent" if unit == "percent" else "rows")


def _library(raw: Mapping[str, Any], column: str | None) -> dict[str, Any]:
    """What a rule of ODCS's library becomes."""
    metric = raw["metric"]
    arguments = raw.get("arguments") or {}
    columns = (column,) if column is not None else tuple(str(name) for name in arguments.get("properties", ()))
    if metric == "rowCount":
        return {"kind": "row-count", "columns": ()}
    if not columns:
        raise ValueError(f"{metric} at the table needs arguments.properties")
    if metric == "nullValues":
        return {"kind": "null", "columns": columns}
    if metric == "duplicateValues":
        return {"kind": "duplicate", "columns": columns}
    if metric == "missingValues":
        spellings = plain_values(arguments.get("missingValues", ()))
        return {"kind": "missing", "columns": columns, "values": spellings}
    if metric == "invalidValues" and "validValues" in arguments:
        return {"kind": "valid-values", "columns": columns, "values": plain_values(arguments["validValues"])}
    if metric == "invalidValues" and "pattern" in arguments:
        re.compile(arguments["pattern"])
        if _ONLY_PYTHON.search(str(arguments["pattern"])):
            raise ValueError("the pattern looks around or back, which only one of the engines can")
        return {"kind": "pattern", "columns": columns, "pattern": str(arguments["pattern"])}
    raise ValueError(f"the metric {metric} with these arguments is not supported")


def _custom(raw: Mapping[str, Any], column: str | None) -> dict[str, Any]:
    """What a rule of this project's own engine becomes."""
    rule = raw.get("implementation")
    if raw.get("engine") != _ENGINE or not isinstance(rule, Mapping):
        raise ValueError(f"a custom rule needs engine: {_ENGINE} and an implementation that is a mapping")
    check = rule.get("check")
    columns = (column,) if column is not None else ()
    if check == "range" and columns and ("minimum" in rule or "maximum" in rule):
        low, high = rule.get("minimum"), rule.get("maximum")
        return {
            "kind": "range",
            "columns": columns,
            "minimum": None if low is None else float(low),
            "maximum": None if high is None else float(high),
        }
    if check == "implies" and "when" in rule and "then" in rule:
        when, then = parse_condition(rule["when"]), parse_condition(rule["then"])
        return {"kind": "implies", "columns": (then.column,), "when": when, "then": then}
    if check == "recent" and columns:
        return {"kind": "recent", "columns": columns, "years": int(rule["years"])}
    raise ValueError("the check of a custom rule must be range, implies or recent, with its keys")


def _rule(raw: Mapping[str, Any], column: str | None) -> CheckSpec:
    if "id" not in raw:
        raise ValueError("has no id")
    custom = _properties(raw)
    severity: Severity = raw.get("severity", "error")
    if severity not in WEIGHTS:
        raise ValueError(f"severity must be one of {', '.join(WEIGHTS)}")
    dimension = custom.get("gbt36344") or ODCS_DIMENSIONS.get(str(raw.get("dimension")))
    if dimension not in DIMENSIONS:
        raise ValueError("has no known dimension")
    is_custom = raw.get("type") == "custom"
    keys = _custom(raw, column) if is_custom else _library(raw, column)
    # ODCS gives custom rules no operator: their threshold is a custom property, none may fail by default.
    limits = custom.get("threshold", {"mustBe": 0}) if is_custom else raw
    return CheckSpec(
        id=str(raw["id"]),
        severity=severity,
        dimension=str(dimension),
        threshold=_threshold(limits),
        title=_text(custom.get("descriptionZh"), raw.get("description")),
        **keys,
    )


def _rules(raw: Mapping[str, Any], column: str | None, where: str) -> list[CheckSpec]:
    specs = []
    for number, rule in enumerate(raw.get("quality") or []):
        name = rule.get("id", f"number {number + 1}") if isinstance(rule, Mapping) else f"number {number + 1}"
        try:
            specs.append(_rule(rule, column))
        except (ValueError, TypeError, KeyError, AttributeError, re.error) as error:
            place = f"column {column}" if column else "the table"
            reason = error.args[0] if isinstance(error, ValueError) and error.args else "is not understood"
            raise ConfigError(f"Quality rule {name} of {place}: {reason}", where=where) from None
    return specs


def _codes(raw: Mapping[Any, Any], column: str, where: str) -> dict[str, Text]:
    try:
        return {str(code): Text.model_validate(text) for code, text in raw.items()}
    except ValidationError:
        step = "Quote yes and no: YAML reads them as true and false"
        message = f"The codes of column {column} need a zh and an en text each"
        raise ConfigError(message, where=where, next_step=step) from None


def _column(raw: Mapping[str, Any], where: str) -> ContractColumn:
    custom = _properties(raw)
    name, logical = str(raw["name"]), str(raw.get("logicalType", "string"))
    if logical not in _TYPES:
        raise ConfigError(f"Column {name} has the type {logical}; known are {', '.join(sorted(_TYPES))}", where=where)
    return ContractColumn(
        name=name,
        type=logical,
        title=_text(custom.get("titleZh"), raw.get("businessName") or name),
        description=_text(custom.get("descriptionZh"), raw.get("description")),
        unit=str(custom.get("unit", "")),
        classification=str(raw.get("classification", "other")),
        required=bool(raw.get("required", False)),
        codes=_codes(custom.get("codes") or {}, name, where),
    )


def _implied(columns: Sequence[ContractColumn], unique: Sequence[str]) -> list[CheckSpec]:
    """Checks that the schema itself asks for."""
    specs = [
        CheckSpec(
            id="table-schema",
            kind="schema",
            columns=(),
            severity="error",
            dimension="accessibility",
            title=Text(
                zh="表中恰好包含合同列出的列，且类型一致",
                en="The table holds exactly the contract's columns, with their types",
            ),
        )
    ]
    for column in columns:
        if column.required:
            title = Text(zh=f"{column.title.zh}不得缺失", en=f"{column.title.en} is never missing")
            specs.append(
                CheckSpec(f"{column.name}-required", "null", (column.name,), "error", "completeness", title=title)
            )
        if column.name in unique:
            title = Text(zh=f"{column.title.zh}不得重复", en=f"{column.title.en} is unique")
            specs.append(
                CheckSpec(f"{column.name}-unique", "duplicate", (column.name,), "error", "accuracy", title=title)
            )
    return specs


def parse_contract(raw: Mapping[str, Any], *, where: str = "contract") -> Contract:
    """Read a contract that is already in memory.

    Args:
        raw: the mapping as YAML gave it.
        where: name of the file for messages.

    Returns:
        The contract.

    Raises:
        ConfigError: it is no ODCS 3.1 contract of one table, or holds a rule that is not understood; the text names it.
    """
    if raw.get("kind") != "DataContract" or not str(raw.get("apiVersion", "")).startswith("v3.1"):
        raise ConfigError("The file is no ODCS 3.1 data contract", where=where)
    version = str(raw.get("version", ""))
    if not re.fullmatch(r"\d+\.\d+(\.\d+)?", version):
        raise ConfigError("The contract's version must be major.minor", where=where)
    tables = raw.get("schema")
    if not isinstance(tables, list) or len(tables) != 1 or not tables[0].get("properties"):
        raise ConfigError("The contract must describe one table with its properties", where=where)
    table = tables[0]
    properties = table["properties"]
    columns = tuple(_column(entry, where) for entry in properties)
    unique = [str(entry["name"]) for entry in properties if entry.get("unique") or entry.get("primaryKey")]
    checks = _implied(columns, unique) + _rules(table, None, where)
    for entry in properties:
        checks += _rules(entry, str(entry["name"]), where)
    ids = [check.id for check in checks]
    repeated = sorted({name for name in ids if ids.count(name) > 1})
    if repeated:
        raise ConfigError(f"Several quality rules have the id {repeated[0]}", where=where)
    custom = _properties(table)
    return Contract(
        id=str(raw["id"]),
        version=version,
        table=str(table["name"]),
        title=_text(custom.get("titleZh"), table.get("businessName") or table["name"]),
        columns=columns,
        checks=tuple(checks),
    )


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

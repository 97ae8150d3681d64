"""The shipped rules of the canonical tables, as an ODCS contract: config/quality/*.yaml spread over core/tables.yaml.

What belongs here: which column gets which rule, and the tables that are computed or known from other deliveries. What
does not: the thresholds, ranges, codes and texts (YAML), and reading the tables of a home (app).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from meddata_pipeline.core.config import Config
from meddata_pipeline.core.errors import ConfigError
from meddata_pipeline.core.tables import ColumnType, TableSpec, kinds
from meddata_pipeline.core.text import Text
from meddata_pipeline.quality.checks import WEIGHTS
from meddata_pipeline.quality.contract import Contract, parse_contract

FILE = "quality/deid.yaml"
_UNITS = "vocabulary/units.yaml"

#: Columns of a deid table that are no columns of its kind.
_BEFORE = {"person_id": "text"}
_AFTER = {"hospital": "text", "day": "text", "record_key": "text", "deleted": "boolean", "row": "integer"}
_ODCS_TYPE: dict[str, str] = {
    "text": "string",
    "date": "date",
    "number": "number",
    "integer": "integer",
    "boolean": "boolean",
}
_TITLES = {
    "person_id": ("人员代号", "person"),
    "hospital": ("医院", "hospital"),
    "day": ("交付日", "day of delivery"),
    "record_key": ("记录键", "key of the record"),
    "deleted": ("作废", "void"),
    "row": ("行", "row"),
}

Raw = dict[str, Any]


@dataclass(frozen=True)
class Derived:
    """A table that is computed from the day's rows of one kind; its ``row`` is the ``row`` of one of them.

    Attributes:
        name: of the table.
        of: the kind.
        sql: DuckDB SELECT over the kind's table.
    """

    name: str
    of: str
    sql: str


@dataclass(frozen=True)
class Known:
    """What is known of a hospital from all its deliveries.

    Attributes:
        name: of the table.
        kind: whose rows it holds.
        columns: those that rules look at.
        blank_unless: column → known table; a value that the column of that name there does not have counts as missing.
    """

    name: str
    kind: str
    columns: tuple[str, ...]
    blank_unless: Mapping[str, str]


@dataclass(frozen=True)
class CanonicalRules:
    """The contract of the canonical tables, and the tables beside them that its rules read.

    Attributes:
        contract: one table per kind that is de-identified, and the derived ones.
        derived: computed from the day's rows.
        known: of the hospital.
    """

    contract: Contract
    derived: tuple[Derived, ...]
    known: tuple[Known, ...]


def load_rules(config: Config) -> CanonicalRules:
    """Read the shipped rules, or the operator's own file of the same name.

    Args:
        config: the configuration folders.

    Returns:
        Contract, derived tables and known tables.

    Raises:
        ConfigError: a rule is not understood; the text names it.
    """
    raw = config.load(FILE)
    try:
        contract = odcs(raw, config.load(_UNITS)["codes"])
        derived = tuple(Derived(name, str(entry["of"]), str(entry["sql"])) for name, entry in raw["derived"].items())
        known = tuple(
            Known(name, str(entry["kind"]), tuple(map(str, entry["columns"])), dict(entry.get("blank_unless", {})))
            for name, entry in raw["known"].items()
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        reason = f"{error.args[0]} is missing" if isinstance(error, KeyError) else "is not of the known form"
        raise ConfigError(f"The quality rules of the canonical tables: {reason}", where=FILE) from None
    return CanonicalRules(parse_contract(contract, where=FILE), derived, known)


def deid_columns(kind: str) -> dict[str, ColumnType | str]:
    """Names and types of the columns that a kind's rows have after de-identification."""
    kept = {c.name: c.type for c in kinds()[kind].columns if c.sensitivity not in {"direct", "staff"}}
    return {**_BEFORE, **kept, **_AFTER}


def date_column(kind: str) -> str:
    """The column that says when a row of a kind happened; the date of birth is no such column."""
    return next((c.name for c in kinds()[kind].columns if c.type == "date" and kind != "patient"), "")


def odcs(raw: Mapping[str, Any], units: Mapping[str, Any]) -> Raw:
    """The rules of a file as an ODCS 3.1 contract.

    Args:
        raw: the file.
        units: per LOINC code its name, canonical unit and factors, as config/vocabulary/units.yaml has them.

    Returns:
        A mapping that ``parse_contract`` reads, and that other ODCS tools may read too.
    """
    # The staff roster is known to identities only.
    tables = {kind: _table(spec, raw["joins"]) for kind, spec in kinds().items() if kind != "staff"}
    for name, entry in raw["derived"].items():
        tables[name] = _derived(name, entry)
    sources = (_families(raw, list(tables)), _single(raw), _one_sex(raw["one_sex"]), _ranges(raw["ranges"], units))
    for rules in sources:
        for rule in rules:
            _place(tables[rule["table"]], rule)
    return {
        "apiVersion": "v3.1.0",
        "kind": "DataContract",
        "id": str(raw["id"]),
        "version": str(raw["version"]),
        "name": raw["title"]["en"],
        "status": "active",
        "schema": list(tables.values()),
    }


# -- tables ------------------------------------------------------------------------------------------------------------


def _column(name: str, kind: str, zh: str, en: str) -> Raw:
    return {
        "name": name,
        "logicalType": _ODCS_TYPE[kind],
        "businessName": en,
        "classification": "other",
        "customProperties": [{"property": "titleZh", "value": zh}],
        "quality": [],
    }


def _table(spec: TableSpec, joins: Mapping[str, Any]) -> Raw:
    titles = {c.name: (c.title.zh, c.title.en) for c in spec.columns} | _TITLES
    columns = deid_columns(spec.kind)
    usable = {name: join for name, join in joins.items() if join["on"] in columns}
    return {
        "name": spec.kind,
        "businessName": spec.title.en,
        "customProperties": [
            {"property": "titleZh", "value": spec.title.zh},
            {"property": "joins", "value": usable},
        ],
        "properties": [_column(name, kind, *titles[name]) for name, kind in columns.items()],
        "quality": [],
    }


def _derived(name: str, entry: Mapping[str, Any]) -> Raw:
    return {
        "name": name,
        "businessName": entry["title"]["en"],
        "customProperties": [{"property": "titleZh", "value": entry["title"]["zh"]}],
        "properties": [_column(column, kind, column, column) for column, kind in entry["columns"].items()],
        "quality": [],
    }


def _place(table: Raw, rule: Raw) -> None:
    """Put a rule where ODCS wants it: at its column or at the table."""
    column = rule.get("column")
    target = table if column is None else next(entry for entry in table["properties"] if entry["name"] == column)
    target["quality"].append(_rule(rule))


def _rule(rule: Raw) -> Raw:
    """A rule of the file in ODCS's words."""
    what = dict(rule["rule"])
    extra = {
        "descriptionZh": rule["zh"],
        "dqd": rule.get("dqd") or None,
        "gbt36344": rule.get("gbt36344"),
        "onFailure": rule.get("onFailure"),
        "denominator": rule.get("denominator"),
    }
    out: Raw = {
        "id": rule["id"],
        "dimension": rule["dimension"],
        "severity": rule["severity"],
        "description": rule["en"],
    }
    limit = rule.get("threshold", 0)
    allowed: Raw = {"mustBe": 0} if not limit else {"mustBeLessOrEqualTo": limit, "unit": "percent"}
    if "metric" in what:
        out |= {"metric": what["metric"], "arguments": what.get("arguments", {}), **allowed}
    else:
        out |= {"type": "custom", "engine": "meddata", "implementation": what}
        extra["threshold"] = allowed if limit else None
    out["customProperties"] = [{"property": key, "value": value} for key, value in extra.items() if value is not None]
    return out


# -- which column gets which rule --------------------------------------------------------------------------------------


def _places(family: Mapping[str, Any], derived: set[str], tables: list[str]) -> Iterator[tuple[str, str | None, Raw]]:
    """Tables and columns that a family is for, each with what the file says of it."""
    where, skip = family["for"], set(family.get("skip", ()))
    canonical = [table for table in tables if table not in derived and table not in skip]
    if where == "tables":
        yield from ((table, None, {}) for table in canonical)
    elif where in ("dates", "visit-dates", "all-dates"):
        for table in canonical:
            names = {date_column(table)} - {""}
            if where == "all-dates":
                names |= {name for name, kind in deid_columns(table).items() if kind == "date"}
            if where != "visit-dates" or (table != "visit" and "visit_no" in deid_columns(table)):
                yield from ((table, name, {}) for name in sorted(names))
    elif where == "typed":
        for table in canonical:
            typed = {c.name: c.type for c in kinds()[table].columns if c.type != "text"}
            yield from ((table, name, {"rule": {"type": _ODCS_TYPE[kind]}}) for name, kind in typed.items())
    elif "tables" in where:
        column = where["tables"]
        yield from ((table, column, {}) for table in canonical if column in deid_columns(table))
    elif "columns" in where:
        for table, names in where["columns"].items():
            limits = names if isinstance(names, Mapping) else dict.fromkeys(names)
            for name, limit in limits.items():
                yield table, name, {} if limit is None else {"threshold": limit}
    else:
        for other, entry in where["each"].items():
            more = {key: value for key, value in entry.items() if key != "referred_title"}
            title = entry["referred_title"]
            yield family["table"], None, {**more, "rule": {"table": f"known_{other}"}, "of": other, "referred": title}


def _families(raw: Mapping[str, Any], tables: list[str]) -> Iterator[Raw]:
    for name, family in raw["families"].items():
        for table, column, more in _places(family, set(raw["derived"]), tables):
            override = dict(family.get("override", {}).get(table, {}))
            rule = {**family, **{key: value for key, value in more.items() if key != "rule"}}
            for key in ("dqd", "severity", "threshold"):
                if key in override:
                    rule[key] = override.pop(key)
            rule["rule"] = {**family["rule"], **more.get("rule", {}), **override}
            rule["table"] = table
            rule["column"] = None if family.get("at") == "table" else column
            part = more.get("of", column if column and not _of_table(family) else "")
            rule["id"] = "-".join(filter(None, (table, part, name)))
            words = {"table": table, "column": column, "referred": more.get("referred")}
            yield _told(rule, words)


def _of_table(family: Mapping[str, Any]) -> bool:
    """Whether a family has at most one column per table, so that the id does not name it."""
    return isinstance(family["for"], Mapping) and "tables" in family["for"]


def _told(rule: Raw, words: Mapping[str, Any]) -> Raw:
    """A rule with its texts filled in."""
    spec = kinds()[words["table"]]
    titles = {c.name: c.title for c in spec.columns}
    column, referred = words["column"], words["referred"] or {"zh": "", "en": ""}
    title = (
        titles[column] if column in titles else Text(zh=_TITLES[column][0], en=_TITLES[column][1]) if column else None
    )
    limit = rule.get("threshold", 0)
    for lang in ("zh", "en"):
        name = getattr(title, lang, "")
        table = getattr(spec.title, lang)
        rule[lang] = rule[lang].format(table=table, column=name, referred=referred[lang], threshold=limit)
    return rule


def _single(raw: Mapping[str, Any]) -> Iterator[Raw]:
    yield from (dict(rule) for rule in raw["rules"])


def _one_sex(raw: Mapping[str, Any]) -> Iterator[Raw]:
    """Codes that one sex can't have, where the sex is known."""
    common = {"severity": "warning", "dimension": "consistency", "onFailure": "quarantine"}
    # Few rows have such a code at all: the share is of all rows.
    common |= {"threshold": raw["threshold"], "denominator": "all"}
    known = {"column": "patient.sex", "in": ["M", "F"]}
    for sex in ("F", "M"):
        title = raw[sex]["title"]
        plan = [
            (table, column, way, what)
            for table, columns in raw["columns"].items()
            for column in columns
            for way, what in (("", {"prefix": raw[sex]["below"]}), ("-exact", {"in": raw[sex]["exact"]}))
        ]
        for table, column, way, what in [*plan, ("procedure", "code", "", {"prefix": raw[sex]["procedures"]})]:
            spec = kinds()[table]
            exact = way == "-exact"
            yield {
                **common,
                "id": f"{table}-{sex.lower()}{way}-sex-specific-code",
                "table": table,
                "rule": {
                    "check": "implies",
                    "when": [{"column": column, **what}, known],
                    "then": {"column": "patient.sex", "equals": sex},
                },
                "dqd": "plausibleGender" if exact else "plausibleGenderUseDescendants",
                "zh": f"{spec.title.zh}：仅{title['zh']}可有的{'单个' if exact else ''}编码不见于另一性别",
                "en": f"{table}: {'single ' if exact else ''}codes of {title['en']} only are not of the other sex",
            }


def _ranges(raw: Mapping[str, Any], units: Mapping[str, Any]) -> Iterator[Raw]:
    """Plausible results per LOINC code in its canonical unit, and the unit itself."""
    for code, limits in raw.items():
        if code == "threshold":
            continue
        name, unit = str(units[code]["name"]), str(units[code]["unit"])
        slug = "".join(letter if letter.isalnum() else "_" for letter in name.lower())
        common = {"table": "lab", "severity": "warning", "dimension": "accuracy", "threshold": raw["threshold"]}
        where = [{"column": "code", "equals": code}, {"column": "unit", "equals": unit}]
        ends = (
            ("low", "minimum", "plausibleValueLow", "不低于", "at least"),
            ("high", "maximum", "plausibleValueHigh", "不高于", "at most"),
        )
        for end, key, dqd, zh, en in ends:
            yield {
                **common,
                "id": f"lab-{slug}-{code}-{end}-implausible-value",
                "column": "value",
                "rule": {"check": "range", key: limits[end], "where": where},
                "dqd": dqd,
                "onFailure": "quarantine",
                "zh": f"检验：{name}（{code}）{zh} {limits[end]:g} {unit} {limits['source']}",
                "en": f"lab: {name} ({code}) is {en} {limits[end]:g} {unit} {limits['source']}",
            }
        yield {
            **common,
            "id": f"lab-{slug}-{code}-unit",
            "rule": {
                "check": "implies",
                "when": [{"column": "code", "equals": code}, {"column": "value", "missing": False}],
                "then": {"column": "unit", "equals": unit},
            },
            "dqd": "plausibleUnitConceptIds",
            "zh": f"检验：{name}（{code}）的单位为 {unit}",
            "en": f"lab: the unit of {name} ({code}) is {unit}",
        }


_PAGE = """# 规范表的质量规则 Quality checks of the canonical tables

{total} checks of {tables} tables at the station `deid` ({severities}), with all 27 types of OHDSI's Data Quality
Dashboard. Made from `meddata_pipeline/config/quality/deid.yaml`, `config/vocabulary/units.yaml` and the canonical
tables by `python -m meddata_pipeline.quality.canonical`; [quality-rules.md](quality-rules.md) describes the language.
An operator's own `quality/deid.yaml` in the home's config folder replaces the shipped one.

*allowed* is what may fail: rows, or per cent of the rows that a rule applies to. Rules marked † set failing rows aside.
Sources of ranges: [MX] valid or outlier limits of MIMIC-Extract's `variable_ranges.csv`, [K] general knowledge, not
confirmed by a source.
"""


def page(contract: Contract) -> str:
    """All checks of a contract as a Markdown page, table by table, in the contract's order.

    Args:
        contract: of the canonical tables.
    """
    checks = contract.checks
    counts = {level: sum(check.severity == level for check in checks) for level in WEIGHTS}
    severities = ", ".join(f"{count} {level}" for level, count in counts.items())
    parts = [_PAGE.format(total=len(checks), tables=len(contract.tables), severities=severities)]
    for table in contract.tables:
        lines = [
            f"\n## {table.title.zh} {table.title.en} (`{table.name}`)\n",
            "| id | severity | dimension | DQD | allowed | 含义 | meaning |",
            "|---|---|---|---|---|---|---|",
        ]
        for check in table.checks:
            mark = " †" if check.on_failure == "quarantine" else ""
            cells = (check.id + mark, check.severity, check.dimension, check.dqd, str(check.threshold))
            texts = (check.title.zh, check.title.en)
            lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in (*cells, *texts)) + " |")
        parts.append("\n".join(lines) + "\n")
    return "".join(parts)


if __name__ == "__main__":
    sys.stdout.write(page(load_rules(Config()).contract))

"""One rule of contract.yaml: from ODCS's words, and this project's own, to a CheckSpec.

What belongs here: the syntax of rules and conditions, and refusing what is not understood. What does not: the rest of a
contract (contract.py) and counting. docs/quality-rules.md describes the language.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from meddata_pipeline.core.expression import parse
from meddata_pipeline.core.text import Text
from meddata_pipeline.quality.checks import (
    DIMENSIONS,
    DQD_SEVERITY,
    KINDS,
    ODCS_DIMENSIONS,
    STATISTICS,
    WEIGHTS,
    CheckSpec,
    Condition,
    Join,
    Other,
    Threshold,
    Value,
    dqd_types,
    kahn_of,
    plain_values,
)

OPERATORS = {
    "mustBe": "=",
    "mustNotBe": "!=",
    "mustBeGreaterThan": ">",
    "mustBeGreaterOrEqualTo": ">=",
    "mustBeLessThan": "<",
    "mustBeLessOrEqualTo": "<=",
    "mustBeBetween": "between",
    "mustNotBeBetween": "not-between",
}
TYPES = {"string", "number", "integer", "boolean", "date"}
ENGINE = "meddata"
_ONLY_PYTHON = re.compile(r"\(\?(?!:)|\\[1-9]")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_CONDITION = {"column", "equals", "in", "not_in", "minimum", "maximum", "pattern", "prefix", "missing"}
#: Thresholds of checks of the whole table measure another number than failed rows.
_TABLE_RULES = {"row-count", "freshness", "drift"}

Keys = dict[str, Any]


def properties(raw: Mapping[str, Any]) -> dict[str, Any]:
    """The custom properties of an ODCS element by name."""
    return {str(entry["property"]): entry["value"] for entry in raw.get("customProperties") or []}


def bilingual(zh: Any, en: Any) -> Text:
    """A text of which one language may be missing."""
    return Text(zh=str(zh or en or ""), en=str(en or zh or ""))


def threshold_of(raw: Mapping[str, Any]) -> Threshold:
    """The threshold in a rule's mustBe… key.

    Raises:
        ValueError: there is none, several, or one with the wrong number of limits.
    """
    found = [key for key in OPERATORS if key in raw]
    if len(found) != 1:
        raise ValueError(f"needs one of {', '.join(OPERATORS)}")
    limit = raw[found[0]]
    values = tuple(float(value) for value in (limit if isinstance(limit, list) else [limit]))
    if len(values) != (2 if "Between" in found[0] else 1):
        raise ValueError(f"{found[0]} has the wrong number of limits")
    unit = raw.get("unit", "rows")
    if unit not in {"rows", "percent"}:
        raise ValueError("unit must be rows or percent")
    return Threshold(OPERATORS[found[0]], values, "percent" if unit == "percent" else "rows")


def names_of(raw: Any) -> tuple[str, ...]:
    """One name or a list of names."""
    if raw is None:
        return ()
    return tuple(str(name) for name in raw) if isinstance(raw, list) else (str(raw),)


def _bound(raw: Any) -> Value | None:
    """A limit: a number, or a date as text."""
    if raw is None:
        return None
    if isinstance(raw, dt.date) and not isinstance(raw, dt.datetime):
        return raw.isoformat()
    if isinstance(raw, str):
        if not _DATE.fullmatch(raw):
            raise ValueError("a limit is a number or a date yyyy-mm-dd")
        return dt.date.fromisoformat(raw).isoformat()
    if isinstance(raw, bool) or not isinstance(raw, (int, float)):
        raise ValueError("a limit is a number or a date yyyy-mm-dd")
    return raw


def limits_of(raw: Mapping[str, Any]) -> tuple[Value | None, Value | None]:
    """Smallest and largest allowed value.

    Raises:
        ValueError: one is a date and the other a number.
    """
    low, high = _bound(raw.get("minimum")), _bound(raw.get("maximum"))
    if low is not None and high is not None and isinstance(low, str) != isinstance(high, str):
        raise ValueError("minimum and maximum must both be numbers or both be dates")
    return low, high


def pattern_of(raw: Any) -> str:
    """A regular expression that both engines understand.

    Raises:
        ValueError: it is none, or looks around or back.
    """
    text = str(raw)
    re.compile(text)
    if _ONLY_PYTHON.search(text):
        raise ValueError("the pattern looks around or back, which only one of the engines can")
    return text


def parse_condition(raw: Mapping[str, Any]) -> Condition:
    """Read one condition.

    Raises:
        ValueError: a key is missing or unknown.
    """
    if not isinstance(raw, Mapping) or set(raw) - _CONDITION or "column" not in raw or len(raw) < 2:
        names = ", ".join(sorted(_CONDITION - {"column"}))
        raise ValueError(f"a condition has a column and one of {names}")
    values = [raw["equals"]] if "equals" in raw else raw.get("in")
    low, high = limits_of(raw)
    missing = raw.get("missing")
    if missing is not None and not isinstance(missing, bool):
        raise ValueError("missing is true or false")
    if missing and len(raw) > 2:
        raise ValueError("a missing value meets no other part of a condition")
    return Condition(
        column=str(raw["column"]),
        values=None if values is None else plain_values(values),
        minimum=low,
        maximum=high,
        exclude=None if raw.get("not_in") is None else plain_values(raw["not_in"]),
        pattern=pattern_of(raw["pattern"]) if "pattern" in raw else "",
        prefixes=names_of(raw.get("prefix")),
        missing=missing,
    )


def parse_conditions(raw: Any) -> tuple[Condition, ...]:
    """Read one condition or a list of them, which must all hold."""
    if raw is None:
        return ()
    return tuple(parse_condition(entry) for entry in (raw if isinstance(raw, list) else [raw]))


def parse_join(name: str, raw: Mapping[str, Any]) -> Join:
    """Read one entry of a table's custom property ``joins``.

    Raises:
        ValueError: a key is missing or unknown.
    """
    if set(raw) - {"table", "on", "key", "pick"} or "on" not in raw:
        raise ValueError(f"the join {name} has on, and table, key, pick if they differ")
    on = names_of(raw["on"])
    key = names_of(raw.get("key")) or on
    pick = raw.get("pick", "agree")
    if len(on) != len(key) or pick not in {"agree", "min", "max"}:
        raise ValueError(f"the join {name} needs as many key columns as on columns, and pick agree, min or max")
    return Join(name, str(raw.get("table", name)), on, key, pick)


# -- ODCS's library ----------------------------------------------------------------------------------------------------


def _library(raw: Mapping[str, Any], column: str | None) -> Keys:
    metric = raw["metric"]
    arguments = raw.get("arguments") or {}
    columns = (column,) if column is not None else names_of(arguments.get("properties"))
    if metric == "rowCount":
        return {"kind": "row-count", "columns": ()}
    if not columns:
        raise ValueError(f"{metric} at the table needs arguments.properties")
    if metric == "nullValues":
        return {"kind": "null", "columns": columns}
    if metric == "duplicateValues":
        return {"kind": "duplicate", "columns": columns}
    if metric == "missingValues":
        return {"kind": "missing", "columns": columns, "values": plain_values(arguments.get("missingValues", ()))}
    if metric == "invalidValues" and "validValues" in arguments:
        return {"kind": "valid-values", "columns": columns, "values": plain_values(arguments["validValues"])}
    if metric == "invalidValues" and "pattern" in arguments:
        return {"kind": "pattern", "columns": columns, "pattern": pattern_of(arguments["pattern"])}
    raise ValueError(f"the metric {metric} with these arguments is not supported")


# -- this project's own rules ------------------------------------------------------------------------------------------


def _column_of(column: str | None, check: str) -> tuple[str]:
    if column is None:
        raise ValueError(f"{check} belongs to a column")
    return (column,)


def _range(rule: Mapping[str, Any], column: str | None) -> Keys:
    low, high = limits_of(rule)
    if low is None and high is None:
        raise ValueError("range needs minimum or maximum")
    return {"columns": _column_of(column, "range"), "minimum": low, "maximum": high}


def _implies(rule: Mapping[str, Any], _: str | None) -> Keys:
    when, then = parse_conditions(rule.get("when")), parse_conditions(rule.get("then"))
    if not when or not then:
        raise ValueError("implies needs when and then")
    return {"columns": tuple(dict.fromkeys(c.column for c in then)), "when": when, "then": then}


def _recent(rule: Mapping[str, Any], column: str | None) -> Keys:
    return {"columns": _column_of(column, "recent"), "years": int(rule["years"])}


def _order(rule: Mapping[str, Any], column: str | None) -> Keys:
    own = _column_of(column, "order")
    if ("after" in rule) == ("before" in rule):
        raise ValueError("order needs after or before: another date column")
    other = (str(rule.get("after", rule.get("before"))),)
    # The first column holds the earlier date.
    columns = other + own if "after" in rule else own + other
    return {"columns": columns, "days": int(rule.get("days", 0)), "strict": bool(rule.get("strict", False))}


def _within(rule: Mapping[str, Any], column: str | None) -> Keys:
    start = str(rule["start"])
    columns = (*_column_of(column, "within"), start, str(rule.get("end", start)))
    return {"columns": columns, "days": int(rule.get("days", 0))}


def _columns(rule: Mapping[str, Any], column: str | None) -> tuple[str, ...]:
    columns = names_of(rule.get("columns")) or names_of(column)
    if not columns:
        raise ValueError("at the table the rule needs columns")
    return columns


def _other(rule: Mapping[str, Any], columns: tuple[str, ...], where: str) -> Other:
    key = names_of(rule.get("key")) or columns
    if len(key) != len(columns):
        raise ValueError("key needs as many columns as the rule has")
    return Other(str(rule["table"]), key, parse_conditions(rule.get(where)))


def _foreign_key(rule: Mapping[str, Any], column: str | None) -> Keys:
    columns = _columns(rule, column)
    return {"columns": columns, "other": _other(rule, columns, "referred")}


def _has_record(rule: Mapping[str, Any], column: str | None) -> Keys:
    columns = _columns(rule, column)
    return {"columns": columns, "other": _other(rule, columns, "referred")}


def _overlap(rule: Mapping[str, Any], _: str | None) -> Keys:
    key = names_of(rule["key"])
    columns = (*key, str(rule["start"]), str(rule["end"]))
    return {"columns": columns, "strict": bool(rule.get("adjacent", False))}


def _unmapped(rule: Mapping[str, Any], column: str | None) -> Keys:
    columns = (*_column_of(column, "unmapped"), str(rule["mapped"]))
    return {"columns": columns, "values": plain_values(rule.get("values", ()))}


def _computed(rule: Mapping[str, Any], column: str | None) -> Keys:
    text = str(rule["expression"])
    parse(text)
    return {
        "columns": _column_of(column, "computed"),
        "expression": text,
        "tolerance": float(rule.get("tolerance", 0.0)),
        "relative": float(rule.get("relative", 0.0)),
    }


def _expression(rule: Mapping[str, Any], _: str | None) -> Keys:
    text = str(rule["expression"])
    return {"columns": tuple(sorted(parse(text).names())), "expression": text}


def _freshness(rule: Mapping[str, Any], column: str | None) -> Keys:
    limit = Threshold("<=", (float(rule["days"]),))
    return {"columns": _column_of(column, "freshness"), "threshold": limit}


def _drift(rule: Mapping[str, Any], column: str | None) -> Keys:
    statistic = rule.get("statistic")
    if statistic not in STATISTICS:
        raise ValueError(f"statistic must be one of {', '.join(STATISTICS)}")
    if statistic != "rows" and column is None:
        raise ValueError(f"drift of {statistic} belongs to a column")
    return {"columns": names_of(column), "statistic": statistic}


def _present(_: Mapping[str, Any], column: str | None) -> Keys:
    return {"columns": _column_of(column, "column-present")}


def _type(rule: Mapping[str, Any], column: str | None) -> Keys:
    if rule.get("type") not in TYPES:
        raise ValueError(f"type must be one of {', '.join(sorted(TYPES))}")
    return {"columns": _column_of(column, "column-type"), "type": str(rule["type"])}


_CUSTOM: dict[str, tuple[Callable[[Mapping[str, Any], str | None], Keys], set[str]]] = {
    "range": (_range, {"minimum", "maximum"}),
    "implies": (_implies, {"when", "then"}),
    "recent": (_recent, {"years"}),
    "order": (_order, {"after", "before", "days", "strict"}),
    "within": (_within, {"start", "end", "days"}),
    "foreign-key": (_foreign_key, {"columns", "table", "key", "referred"}),
    "has-record": (_has_record, {"columns", "table", "key", "referred"}),
    "overlap": (_overlap, {"key", "start", "end", "adjacent"}),
    "unmapped": (_unmapped, {"mapped", "values"}),
    "computed": (_computed, {"expression", "tolerance", "relative"}),
    "expression": (_expression, {"expression"}),
    "freshness": (_freshness, {"days"}),
    "drift": (_drift, {"statistic"}),
    "table-present": (lambda _r, _c: {"columns": ()}, set()),
    "column-present": (_present, set()),
    "column-type": (_type, {"type"}),
}


def _custom(raw: Mapping[str, Any], column: str | None) -> Keys:
    rule = raw.get("implementation")
    if raw.get("engine") != ENGINE or not isinstance(rule, Mapping):
        raise ValueError(f"a custom rule needs engine: {ENGINE} and an implementation that is a mapping")
    check = str(rule.get("check"))
    if check not in _CUSTOM:
        raise ValueError(f"the check of a custom rule must be one of {', '.join(_CUSTOM)}")
    read, known = _CUSTOM[check]
    unknown = set(rule) - known - {"check", "where"}
    if unknown:
        raise ValueError(f"{check} has no key {sorted(unknown)[0]}")
    try:
        keys = read(rule, column)
    except KeyError as error:
        raise ValueError(f"{check} needs {error.args[0]}") from None
    return {"kind": check, **keys, "where": parse_conditions(rule.get("where"))}


def references(spec: CheckSpec) -> set[str]:
    """Every column name that a check reads for its own rows, joined ones as ``join.column``."""
    names = {*spec.columns, *(c.column for c in (*spec.where, *spec.when, *spec.then))}
    return names | (set(parse(spec.expression).names()) if spec.expression else set())


def parse_rule(
    raw: Mapping[str, Any], *, column: str | None, table: str, joins: Mapping[str, Join], own: Sequence[str]
) -> CheckSpec:
    """Read one rule.

    Args:
        raw: the mapping of the contract.
        column: that it stands at; None: at the table.
        table: name of the table.
        joins: of the table, by name.
        own: columns of the table; a name among them is never a joined one.

    Returns:
        The check.

    Raises:
        ValueError: the rule is not understood; the text says why.
    """
    if "id" not in raw:
        raise ValueError("has no id")
    custom = properties(raw)
    is_custom = raw.get("type") == "custom"
    keys = _custom(raw, column) if is_custom else _library(raw, column)
    kind = str(keys["kind"])
    dqd = str(custom.get("dqd", ""))
    if dqd and dqd not in dqd_types():
        raise ValueError(f"dqd names no check type of the Data Quality Dashboard: {dqd}")
    severity = raw.get("severity") or (DQD_SEVERITY[dqd_types()[dqd].severity] if dqd else "error")
    if severity not in WEIGHTS:
        raise ValueError(f"severity must be one of {', '.join(WEIGHTS)}")
    dimension = custom.get("gbt36344") or ODCS_DIMENSIONS.get(str(raw.get("dimension")))
    if dimension not in DIMENSIONS:
        raise ValueError("has no known dimension")
    # ODCS gives custom rules no operator: their threshold is a custom property, none may fail by default.
    if not is_custom:
        keys["threshold"] = threshold_of(raw)
        keys["where"] = parse_conditions(custom.get("where"))
    elif "threshold" in custom:
        keys["threshold"] = threshold_of(custom["threshold"])
    elif kind == "drift":
        raise ValueError("drift needs the custom property threshold")
    if kind in _TABLE_RULES and keys.get("threshold") and keys["threshold"].unit == "percent":
        raise ValueError(f"the threshold of {kind} is no percentage of rows")
    default = dqd_types()[dqd].kahn if dqd else KINDS[kind][1]
    context = custom.get("context")
    kahn = kahn_of(str(custom["kahn"]), context) if "kahn" in custom else default
    denominator, on_failure = custom.get("denominator", "applicable"), custom.get("onFailure", "report")
    if denominator not in {"applicable", "all"}:
        raise ValueError("denominator must be applicable or all")
    if on_failure not in {"report", "quarantine"} or (on_failure == "quarantine" and KINDS[kind][0] != "rows"):
        raise ValueError("onFailure must be report or, for a check of rows, quarantine")
    spec = CheckSpec(
        id=str(raw["id"]),
        severity=severity,
        dimension=str(dimension),
        title=bilingual(custom.get("descriptionZh"), raw.get("description")),
        table=table,
        kahn=kahn,
        dqd=dqd,
        denominator=denominator,
        on_failure=on_failure,
        **keys,
    )
    return with_joins(spec, joins, own)


def with_joins(spec: CheckSpec, joins: Mapping[str, Join], own: Sequence[str]) -> CheckSpec:
    """The check with the joins that its columns name.

    Raises:
        ValueError: a kind that can't read joined columns names one.
    """
    import dataclasses

    prefixes = {name.partition(".")[0] for name in references(spec) if name not in own and "." in name}
    used = tuple(joins[name] for name in sorted(prefixes & set(joins)))
    if used and spec.kind in {"duplicate", "has-record", "overlap", "unmapped"} | _TABLE_RULES:
        raise ValueError(f"{spec.kind} reads columns of its own table only")
    return dataclasses.replace(spec, joins=used)

"""A draft of a contract from the profile of a table, and the questions that only people can answer.

What belongs here: which part of a profile may be written, and how. What does not: counting (profile.py), what a column
is about (given by the caller). A draft is a file that is mailed around, so no raw value enters it: a list of allowed
values only where each is held by as many persons as the small-cell limit asks and the column identifies nobody; ranges
are rounded outward so far that the extremes can't be read from them; counts are rounded.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from meddata_pipeline.core.text import Text
from meddata_pipeline.disclosure.aggregates import coarse
from meddata_pipeline.quality.profile import FORMATS, ColumnProfile

#: Classes whose values are never listed and have no range.
IDENTIFYING = frozenset({"direct", "link", "staff", "text"})
#: Formats of keys: such a column may be the key of its rows.
_KEYS = frozenset({"row-key", "uuid"})
#: Formats of which a list of those seen says less than the format.
_OPEN = frozenset(FORMATS) - {"icd10", "loinc"}
_PHYSICAL = {"string": "VARCHAR", "integer": "BIGINT", "number": "DOUBLE", "boolean": "BOOLEAN", "date": "DATE"}


def draft(
    profiles: Sequence[ColumnProfile],
    classes: Mapping[str, str],
    *,
    limit: int,
    screened: Collection[str] = (),
    counted_by: Sequence[str] = (),
    pairs: Sequence[tuple[str, str]] = (),
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Write the draft.

    Args:
        profiles: of the table's columns.
        classes: column → what it seems to be (direct, quasi, sensitive, text, other).
        limit: the small-cell limit: a value held by fewer persons is not written.
        screened: columns whose values may be names or identifiers though the column as a whole does not look so.
        counted_by: columns that told persons apart; none: rows were counted.
        pairs: pairs of columns that may be the key.

    Returns:
        The contract as an ODCS mapping, and the open questions: ``[{"code", "column", "question": {"zh", "en"}}]``.
    """
    rows = profiles[0].rows
    questions = _about_table(profiles, classes, counted_by, pairs)
    properties = []
    for column in profiles:
        identifying = classes.get(column.name, "other") in IDENTIFYING
        entry = _property(column, classes.get(column.name, "other"))
        rules = _rules(column, limit, identifying, column.name in screened)
        if rules:
            entry["quality"] = rules
        properties.append(entry)
        questions += _about_column(column, classes.get(column.name, "other"), limit, column.name in screened)
    table: dict[str, Any] = {"name": "table", "physicalType": "table", "properties": properties}
    if rows >= 2 * limit:
        least = _leading(rows / 2)
        table["quality"] = [
            _rule(
                "rows-enough",
                Text(zh=f"至少 {least} 行", en=f"At least {least} rows"),
                "coverage",
                {"metric": "rowCount", "mustBeGreaterOrEqualTo": least},
                custom={"gbt36344": "accessibility"},
            )
        ]
    contract = {
        "apiVersion": "v3.1.0",
        "kind": "DataContract",
        "id": "draft",
        "name": "Draft",
        "version": "1.0",
        "status": "draft",
        "domain": "health",
        "schema": [table],
    }
    return contract, questions


# -- columns -----------------------------------------------------------------------------------------------------------


def _property(column: ColumnProfile, kind: str) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "name": column.name,
        "logicalType": column.type,
        "physicalType": _PHYSICAL[column.type],
        "classification": kind,
        "required": column.rows > 0 and not column.missing,
    }
    if _is_key(column, kind):
        entry["unique"] = True
    return entry


def _is_key(column: ColumnProfile, kind: str) -> bool:
    """A column whose values never repeat, by design as it seems and not by the chance of a measurement."""
    by_design = kind in {"direct", "link"} or column.format in _KEYS
    return column.unique and by_design and column.type in {"string", "integer"}


def _rules(column: ColumnProfile, limit: int, identifying: bool, screened: bool) -> list[dict[str, Any]]:
    rules = []
    name = column.name
    listed = not identifying and not screened and _may_list(column, limit)
    if listed:
        rules.append(
            _rule(
                f"{name}-valid",
                Text(zh=f"{name} 只取列出的代码", en=f"{name} is one of the listed codes"),
                "conformity",
                {"metric": "invalidValues", "arguments": {"validValues": list(column.values)}, "mustBe": 0},
            )
        )
    if column.format and not listed:
        rules.append(
            _rule(
                f"{name}-form",
                Text(zh=f"{name} 的格式为 {column.format}", en=f"{name} has the form {column.format}"),
                "conformity",
                {"metric": "invalidValues", "arguments": {"pattern": FORMATS[column.format]}, "mustBe": 0},
            )
        )
    if not identifying and not listed and (bounds := outward(column, limit)) is not None:
        low, high = bounds
        rules.append(
            _rule(
                f"{name}-plausible",
                Text(zh=f"{name} 在 {low:g} 至 {high:g} 之间", en=f"{name} between {low:g} and {high:g}"),
                "accuracy",
                {
                    "type": "custom",
                    "engine": "meddata",
                    "implementation": {"check": "range", "minimum": low, "maximum": high},
                },
                severity="warning",
            )
        )
    if column.missing and column.rows >= limit:
        percent = (math.floor(10 * column.missing / column.rows) + 1) * 10
        if percent <= 100:
            rules.append(
                _rule(
                    f"{name}-complete",
                    Text(zh=f"{name} 缺失少于 {percent}%", en=f"{name}: fewer than {percent} % missing"),
                    "completeness",
                    {"metric": "nullValues", "mustBeLessThan": percent, "unit": "percent"},
                    severity="info",
                )
            )
    return rules


def _rule(
    name: str,
    title: Text,
    dimension: str,
    body: Mapping[str, Any],
    *,
    severity: str = "error",
    custom: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    properties = {"descriptionZh": title.zh, **(custom or {})}
    return {
        "id": name,
        **body,
        "dimension": dimension,
        "severity": severity,
        "description": title.en,
        "customProperties": [{"property": key, "value": value} for key, value in properties.items()],
    }


def _may_list(column: ColumnProfile, limit: int) -> bool:
    """Whether every value of a column of few is held by enough persons."""
    fits = column.type in {"string", "integer", "number"} and column.format not in _OPEN
    fits = fits and not any(isinstance(value, str) and len(value) > 40 for value in column.values)
    return bool(column.values) and fits and column.persons >= limit and column.rows >= limit


def outward(column: ColumnProfile, limit: int) -> tuple[float, float] | None:
    """Bounds for a column of numbers, rounded outward to a tenth to a whole of its span.

    An end of the data never is a bound, with one exception: 0 where enough rows hold it, since that counts begin at 0
    tells of nobody.

    Args:
        column: its profile.
        limit: the small-cell limit; a table of fewer rows gets no bounds.

    Returns:
        Minimum and maximum, or None where there is nothing to say.
    """
    low, high = column.minimum, column.maximum
    if low is None or high is None or column.rows - column.missing < limit:
        return None
    span = (high - low) or abs(high) or 1.0
    step = 10.0 ** math.floor(math.log10(span))
    if not math.isfinite(step) or abs(high) / step > 1e12 or abs(low) / step > 1e12:
        return None
    bottom, top = (math.ceil(low / step) - 1) * step, (math.floor(high / step) + 1) * step
    if bottom < 0 < low or (low == 0 and column.lowest >= limit):
        bottom = 0.0
    if top > 0 > high:
        top = 0.0
    bottom, top = round(bottom, 12), round(top, 12)
    if not bottom <= low <= high <= top:
        return None
    if column.type == "integer" or (bottom.is_integer() and top.is_integer()):
        bottom, top = math.floor(bottom), math.ceil(top)
    return bottom, top


def _leading(number: float) -> int:
    """A count rounded down to its first digit."""
    step = 10 ** math.floor(math.log10(max(number, 1)))
    return int(number // step * step)


# -- questions ---------------------------------------------------------------------------------------------------------


def _ask(code: str, column: str, zh: str, en: str) -> dict[str, Any]:
    return {"code": code, "column": column, "question": {"zh": zh, "en": en}}


def _about_table(
    profiles: Sequence[ColumnProfile],
    classes: Mapping[str, str],
    counted_by: Sequence[str],
    pairs: Sequence[tuple[str, str]],
) -> list[dict[str, Any]]:
    asked = [
        _ask(
            "words",
            "",
            "合同与表的名称、用途、许可与局限，以及各列的中英文标题，请填写。",
            "Fill in the contract's and the table's name, purpose, usage and limitations, and each column's titles.",
        )
    ]
    keys = [p.name for p in profiles if _is_key(p, classes.get(p.name, "other"))]
    if keys:
        shown = ", ".join(keys)
        asked.append(
            _ask("key", keys[0], f"主键是哪一列？可能是：{shown}", f"Which column is the key? Perhaps: {shown}")
        )
    elif pairs:
        shown = ", ".join(f"{a} + {b}" for a, b in pairs)
        asked.append(_ask("key", pairs[0][0], f"主键可能由两列组成：{shown}", f"The key may be two columns: {shown}"))
    else:
        asked.append(_ask("key", "", "没有一列可作主键。", "No column tells the rows apart. What is the key?"))
    if not counted_by:
        asked.append(
            _ask(
                "persons",
                "",
                "没有认出区分个人的列，故按行计数；若一人可有多行，请用 --person 指明该列后重做。",
                "No column that tells persons apart was seen, so rows were counted; where a person can have several,"
                " name the column with --person and draft again.",
            )
        )
    return asked


def _about_column(column: ColumnProfile, kind: str, limit: int, screened: bool) -> list[dict[str, Any]]:
    name, many = column.name, coarse(column.distinct, limit)
    if kind in {"direct", "link", "staff"}:
        return [
            _ask(
                "identifies",
                name,
                "此列看来含直接标识，是否应在数据中？",
                "This column seems to identify persons. Does it belong into the data?",
            )
        ]
    if kind == "text":
        return [
            _ask(
                "free-text",
                name,
                "此列看来是自由文本，须先经文本去标识。",
                "This column seems to be free text, which must pass the text engine first.",
            )
        ]
    asked = []
    if not column.rows - column.missing:
        asked.append(_ask("empty", name, "此列没有取值，类型不明。", "This column has no values; its type is unknown."))
    elif screened:
        asked.append(
            _ask(
                "values-withheld",
                name,
                f"此列有 {many} 种取值，其中有的可能是姓名或标识，故未列出。",
                f"This column has {many} values, some of which may be names or identifiers: none is listed.",
            )
        )
    elif column.values and column.type == "string" and not _may_list(column, limit):
        asked.append(
            _ask(
                "values-withheld",
                name,
                f"此列有 {many} 种取值，有的不足 {limit} 人，故未列出；允许哪些代码？",
                f"This column has {many} different values, some held by fewer than {limit} persons, so none is listed."
                " Which codes are allowed?",
            )
        )
    elif _may_list(column, limit):
        asked.append(_ask("meaning", name, "各代码是什么含义？", "What does each code mean?"))
    elif column.type in {"integer", "number"}:
        asked.append(
            _ask("unit", name, "单位是什么？合理范围是多少？", "What is the unit, and what is the plausible range?")
        )
    elif column.type == "string" and not column.format:
        asked.append(
            _ask(
                "form",
                name,
                f"此列有 {many} 种取值，格式未知" + (f"，多数形如 {column.nearly}。" if column.nearly else "。"),
                f"This column has {many} different values of no known form"
                + (f"; most look like {column.nearly}." if column.nearly else "."),
            )
        )
    return asked

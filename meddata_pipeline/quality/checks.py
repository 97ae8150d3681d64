"""The rule language: what a check counts, where, what the count may be, and what it says about the data.

What belongs here: CheckSpec and its parts, thresholds, the place of a check in GB/T 36344, Kahn's frame and OHDSI's
Data Quality Dashboard, and the arithmetic from counts to a verdict, which all engines share. What does not: reading
a rule (rules.py), counting (sql.py, gx.py) or scores (scores.py).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any, Literal

import yaml

from meddata_pipeline.core.text import Text

Severity = Literal["error", "warning", "info"]
Status = Literal["passed", "failed", "errored"]
Number = int | float
#: A value of a rule: a number or a text; dates are texts of the form yyyy-mm-dd.
Value = int | float | str

# GB/T 36344-2018, in its order.
DIMENSIONS: dict[str, Text] = {
    "normativity": Text(zh="规范性", en="Normativity"),
    "completeness": Text(zh="完整性", en="Completeness"),
    "accuracy": Text(zh="准确性", en="Accuracy"),
    "consistency": Text(zh="一致性", en="Consistency"),
    "timeliness": Text(zh="时效性", en="Timeliness"),
    "accessibility": Text(zh="可访问性", en="Accessibility"),
}

# The words of ODCS for dimensions, in those of GB/T 36344. A rule may name its own (custom property gbt36344).
ODCS_DIMENSIONS: dict[str, str] = {
    "conformity": "normativity",
    "completeness": "completeness",
    "coverage": "completeness",
    "accuracy": "accuracy",
    "uniqueness": "accuracy",
    "consistency": "consistency",
    "timeliness": "timeliness",
}

# What a check weighs in the score of its dimension.
WEIGHTS: dict[Severity, int] = {"error": 3, "warning": 2, "info": 1}

#: Severity of the Data Quality Dashboard → ours, where a rule names its type and no severity.
DQD_SEVERITY: dict[str, Severity] = {"fatal": "error", "convention": "warning", "characterization": "info"}

#: What is counted: rows; distinct keys (persons); distinct values; or one number of the table as a whole.
Counted = Literal["rows", "keys", "values", "table"]


@dataclass(frozen=True)
class Kahn:
    """A place in the frame of Kahn et al. 2016 (eGEMs 4(1):18).

    Attributes:
        category: conformance, completeness or plausibility.
        subcategory: relational, value, computational; atemporal, temporal; or empty.
        context: verification (against expectations inside the data) or validation (against something outside).
    """

    category: str
    subcategory: str = ""
    context: str = "verification"

    def as_dict(self) -> dict[str, str]:
        """The place as plain JSON."""
        return {"category": self.category, "subcategory": self.subcategory, "context": self.context}


KAHN_CATEGORIES: dict[str, Text] = {
    "conformance": Text(zh="符合性", en="Conformance"),
    "completeness": Text(zh="完整性", en="Completeness"),
    "plausibility": Text(zh="合理性", en="Plausibility"),
}
_SUBCATEGORIES = {
    "conformance": {"", "relational", "value", "computational"},
    "completeness": {""},
    "plausibility": {"", "atemporal", "temporal"},
}

_RELATIONAL, _VALUE = Kahn("conformance", "relational"), Kahn("conformance", "value")
_COMPUTATIONAL, _COMPLETE = Kahn("conformance", "computational"), Kahn("completeness")
_ATEMPORAL, _TEMPORAL = Kahn("plausibility", "atemporal"), Kahn("plausibility", "temporal")

#: Every kind of check: what it counts, and its place in Kahn's frame unless the rule says otherwise.
KINDS: dict[str, tuple[Counted, Kahn]] = {
    "schema": ("table", _RELATIONAL),
    "table-present": ("table", _RELATIONAL),
    "column-present": ("table", _RELATIONAL),
    "column-type": ("table", _VALUE),
    "row-count": ("table", _COMPLETE),
    "null": ("rows", _COMPLETE),
    "missing": ("rows", _COMPLETE),
    "duplicate": ("rows", _RELATIONAL),
    "valid-values": ("rows", _VALUE),
    "pattern": ("rows", _VALUE),
    "range": ("rows", _ATEMPORAL),
    "implies": ("rows", _ATEMPORAL),
    "recent": ("rows", _TEMPORAL),
    "order": ("rows", _TEMPORAL),
    "within": ("rows", _TEMPORAL),
    "foreign-key": ("rows", _RELATIONAL),
    "computed": ("rows", _COMPUTATIONAL),
    "expression": ("rows", _COMPUTATIONAL),
    "has-record": ("keys", Kahn("completeness", "", "validation")),
    "overlap": ("keys", _TEMPORAL),
    "unmapped": ("values", _COMPLETE),
    "freshness": ("table", _TEMPORAL),
    "drift": ("table", Kahn("plausibility", "temporal", "validation")),
}

#: Statistics that ``drift`` compares with an earlier version; the formulas stand in drift.py.
STATISTICS = ("rows", "nulls", "mean", "psi")


@dataclass(frozen=True)
class DqdType:
    """A check type of OHDSI's Data Quality Dashboard.

    Attributes:
        name: as there.
        level: table, field or concept.
        kahn: its place in Kahn's frame.
        severity: fatal, convention or characterization.
        title: what it means.
    """

    name: str
    level: str
    kahn: Kahn
    severity: str
    title: Text


@cache
def dqd_types() -> dict[str, DqdType]:
    """The 27 types by name, from dqd.yaml."""
    text = resources.files("meddata_pipeline.quality").joinpath("dqd.yaml").read_text(encoding="utf-8")
    return {
        name: DqdType(
            name,
            raw["level"],
            Kahn(raw["category"], raw["subcategory"], raw["context"]),
            raw["severity"],
            Text(zh=raw["zh"], en=raw["en"]),
        )
        for name, raw in yaml.safe_load(text).items()
    }


def kahn_of(text: str, context: str | None) -> Kahn:
    """A place from a rule's words, e.g. ``plausibility.temporal``.

    Raises:
        ValueError: the frame has no such place.
    """
    category, _, subcategory = text.partition(".")
    if subcategory not in _SUBCATEGORIES.get(category, ()):
        raise ValueError("kahn must be conformance, completeness or plausibility, with .subcategory of that frame")
    if context not in {None, "verification", "validation"}:
        raise ValueError("context must be verification or validation")
    return Kahn(category, subcategory, context or "verification")


@dataclass(frozen=True)
class Threshold:
    """What a measured number may be.

    Attributes:
        operator: ``=``, ``!=``, ``<``, ``<=``, ``>``, ``>=``, ``between``, ``not-between``.
        values: one number, or two for the last two operators.
        unit: whether the count or per cent of the rows that the rule applies to is compared.
    """

    operator: str
    values: tuple[float, ...]
    unit: Literal["rows", "percent"] = "rows"

    def allows(self, value: float) -> bool:
        """Whether a measured value passes."""
        first, last = self.values[0], self.values[-1]
        verdicts = {
            "=": value == first,
            "!=": value != first,
            "<": value < first,
            "<=": value <= first,
            ">": value > first,
            ">=": value >= first,
            "between": first <= value <= last,
            "not-between": not first <= value <= last,
        }
        return verdicts[self.operator]

    def __str__(self) -> str:
        numbers = " ".join(f"{value:g}" for value in self.values)
        return f"{self.operator} {numbers}{' %' if self.unit == 'percent' else ''}"


NONE_FAIL = Threshold("=", (0.0,))


@dataclass(frozen=True)
class Condition:
    """A condition on one column; all parts that are given must hold. A missing value meets none but ``missing: true``.

    Attributes:
        column: of the table, or ``join.column`` of a joined one.
        values: one of these (``equals``, ``in``).
        exclude: none of these (``not_in``).
        minimum: at least; a number, or a date as text.
        maximum: at most.
        pattern: regular expression that the whole text matches.
        prefixes: the text starts with one of these (a code and those below it).
        missing: true: there is no value; false: there is one.
    """

    column: str
    values: tuple[Value, ...] | None = None
    minimum: Value | None = None
    maximum: Value | None = None
    exclude: tuple[Value, ...] | None = None
    pattern: str = ""
    prefixes: tuple[str, ...] = ()
    missing: bool | None = None


@dataclass(frozen=True)
class Join:
    """How columns of another table are looked up for a row.

    A key that stands in several rows of the other table has the value on which all of them that have one agree, and
    none where they differ; or the smallest or largest.

    Attributes:
        name: that stands before the point in ``name.column``.
        table: the other table.
        on: columns of this table.
        key: columns of the other one, in the same order.
        pick: ``agree``, ``min`` or ``max``.
    """

    name: str
    table: str
    on: tuple[str, ...]
    key: tuple[str, ...]
    pick: Literal["agree", "min", "max"] = "agree"


@dataclass(frozen=True)
class Other:
    """Rows of another table that a ``foreign-key`` or ``has-record`` check looks for.

    Attributes:
        table: the other table.
        key: its columns that equal the check's columns.
        where: which of its rows count.
    """

    table: str
    key: tuple[str, ...]
    where: tuple[Condition, ...] = ()


@dataclass(frozen=True)
class CheckSpec:
    """One check. What makes a row fail is said for each kind in docs/quality-rules.md.

    Attributes:
        id: unique in its contract.
        kind: one of KINDS.
        columns: columns concerned; empty for checks of the whole table.
        severity: ``error`` blocks a release.
        dimension: of GB/T 36344.
        threshold: for the number of failed rows (or its share, or the measured number).
        title: what the check means, in one line.
        values: allowed values (``valid-values``) or spellings of missing (``missing``, ``unmapped``).
        pattern: regular expression that a whole text must match.
        minimum: smallest allowed number or date.
        maximum: largest allowed number or date.
        when: conditions of ``implies``.
        then: what must hold where ``when`` does.
        years: age in years that ``recent`` allows.
        table: name of the table.
        where: rows that the check applies to; all must hold.
        joins: joined tables that its columns come from.
        other: rows referred to (``foreign-key``, ``has-record``).
        expression: of ``computed`` and ``expression``, in the language of core/expression.py.
        tolerance: allowed absolute difference (``computed``).
        relative: allowed difference as a share of the computed value (``computed``); the larger allowance counts.
        days: tolerance in days (``order``, ``within``) .
        strict: ``order``: equal dates fail too; ``overlap``: adjacent periods fail too.
        statistic: of ``drift``.
        type: logical type of ``column-type``.
        kahn: place in Kahn's frame.
        dqd: check type of the Data Quality Dashboard, or empty.
        denominator: what a percentage is of: the rows that the check applies to, or all rows.
        on_failure: ``quarantine``: failing rows are set aside.
    """

    id: str
    kind: str
    columns: tuple[str, ...]
    severity: Severity
    dimension: str
    threshold: Threshold = NONE_FAIL
    title: Text = field(default_factory=lambda: Text(zh="", en=""))
    values: tuple[Value, ...] = ()
    pattern: str = ""
    minimum: Value | None = None
    maximum: Value | None = None
    when: tuple[Condition, ...] = ()
    then: tuple[Condition, ...] = ()
    years: int = 0
    table: str = ""
    where: tuple[Condition, ...] = ()
    joins: tuple[Join, ...] = ()
    other: Other | None = None
    expression: str = ""
    tolerance: float = 0.0
    relative: float = 0.0
    days: int = 0
    strict: bool = False
    statistic: str = ""
    type: str = ""
    kahn: Kahn = _VALUE
    dqd: str = ""
    denominator: Literal["applicable", "all"] = "applicable"
    on_failure: Literal["report", "quarantine"] = "report"

    @property
    def counted(self) -> Counted:
        """What the check counts."""
        return KINDS[self.kind][0]

    @property
    def tables(self) -> tuple[str, ...]:
        """Other tables that the check reads."""
        names = [join.table for join in self.joins] + ([self.other.table] if self.other else [])
        return tuple(dict.fromkeys(names))


@dataclass(frozen=True)
class Count:
    """What an engine found.

    Attributes:
        failed: failed rows, keys or values; the measured number for checks of the whole table.
        applicable: rows, keys or values that the check applies to.
    """

    failed: float
    applicable: int


@dataclass(frozen=True)
class CheckResult:
    """What one check found: counts only.

    Attributes:
        spec: the check.
        status: ``errored`` when it could not be counted; never mixed up with ``failed``.
        failed_rows: rows (keys, values) that fail; 0 for checks of the table as a whole and for errored ones.
        value: the number that was compared with the threshold; None when errored.
        code: why it is errored (``column-missing``, ``wrong-type``, ``table-missing``, ``no-as-of``, ``engine``), or
            that it had nothing to look at (``not-applicable``, ``no-earlier-version``), else empty.
        applicable_rows: rows (keys, values) that the check applies to.
    """

    spec: CheckSpec
    status: Status
    failed_rows: int
    value: float | None = None
    code: str = ""
    applicable_rows: int = 0

    def as_dict(self) -> dict[str, Any]:
        """The result as plain JSON, without any value of the table."""
        spec = self.spec
        return {
            "id": spec.id,
            "dimension": spec.dimension,
            "severity": spec.severity,
            "status": self.status,
            "failed_rows": self.failed_rows,
            "applicable_rows": self.applicable_rows,
            "kind": spec.kind,
            "table": spec.table,
            "columns": list(spec.columns),
            "value": self.value,
            "expected": str(spec.threshold),
            "counted": spec.counted,
            "title": {"zh": spec.title.zh, "en": spec.title.en},
            "code": self.code,
            "kahn": spec.kahn.as_dict(),
            "dqd": spec.dqd,
            "on_failure": spec.on_failure,
        }


def judge(spec: CheckSpec, count: Count, rows: int) -> CheckResult:
    """From a count to a verdict; the only place where thresholds are applied.

    Args:
        spec: the check.
        count: what the engine found.
        rows: rows of the table.

    Returns:
        The result. A check of rows that applies to none passes with the code ``not-applicable``.
    """
    if spec.kind == "drift" and not count.applicable:
        return CheckResult(spec, "passed", 0, None, "no-earlier-version", 0)
    if spec.counted == "table":
        value = float(count.failed)
        status: Status = "passed" if spec.threshold.allows(value) else "failed"
        return CheckResult(spec, status, 0, round(value, 6), "", count.applicable)
    base = rows if spec.denominator == "all" and spec.counted == "rows" else count.applicable
    share = 100.0 * count.failed / base if base else 0.0
    value = share if spec.threshold.unit == "percent" else float(count.failed)
    if not count.applicable:
        return CheckResult(spec, "passed", 0, 0.0, "not-applicable", 0)
    status = "passed" if spec.threshold.allows(value) else "failed"
    return CheckResult(spec, status, int(count.failed), round(value, 6), "", count.applicable)


def errored(spec: CheckSpec, code: str) -> CheckResult:
    """A check that could not be counted."""
    return CheckResult(spec, "errored", 0, None, code)


def conditions_of(spec: CheckSpec) -> tuple[Condition, ...]:
    """All conditions on columns that the check sees for its own rows."""
    return spec.where + spec.when + spec.then


def plain_values(values: Iterable[Any]) -> tuple[Value, ...]:
    """Values of a rule in the types that columns have: all numbers (true is 1), or all texts (dates as yyyy-mm-dd)."""
    listed = [value for value in values if value is not None]
    if all(isinstance(value, (bool, int, float)) for value in listed):
        return tuple(int(value) if isinstance(value, (bool, int)) else value for value in listed)
    return tuple(str(value) for value in listed)

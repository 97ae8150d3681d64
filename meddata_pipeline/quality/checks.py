"""Checks that no engine owns: what to count, in which column, and what the count may be.

What belongs here: CheckSpec, thresholds, and the arithmetic from a count to a verdict, which both engines share. What
does not: counting; see gx.py and sql.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from meddata_pipeline.core.text import Text

Severity = Literal["error", "warning", "info"]
Status = Literal["passed", "failed", "errored"]

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

KINDS = (
    "schema",
    "row-count",
    "null",
    "missing",
    "duplicate",
    "valid-values",
    "pattern",
    "range",
    "implies",
    "recent",
)

# What a check weighs in the score of its dimension.
WEIGHTS: dict[Severity, int] = {"error": 3, "warning": 2, "info": 1}


@dataclass(frozen=True)
class Threshold:
    """What a measured number may be.

    Attributes:
        operator: ``=``, ``!=``, ``<``, ``<=``, ``>``, ``>=``, ``between``, ``not-between``.
        values: one number, or two for the last two operators.
        unit: whether rows or per cent of all rows are compared.
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
    """A condition on one column: ``equals``/``in`` (values), ``minimum``, ``maximum``; a missing value meets none."""

    column: str
    values: tuple[str | float, ...] | None = None
    minimum: float | None = None
    maximum: float | None = None


@dataclass(frozen=True)
class CheckSpec:
    """One check.

    Attributes:
        id: unique in its contract.
        kind: one of KINDS; what counts as a failed row is said in sql.py, once.
        columns: columns concerned; empty for ``row-count`` and ``schema``.
        severity: ``error`` blocks a release.
        dimension: of GB/T 36344.
        threshold: for the number of failed rows (or its share, or the row count).
        title: what the check means, in one line.
        values: allowed values (``valid-values``) or spellings of missing (``missing``).
        pattern: regular expression that a whole text must match.
        minimum: smallest allowed number.
        maximum: largest allowed number.
        when: condition of ``implies``.
        then: what must hold where ``when`` does.
        years: age in years that ``recent`` allows.
    """

    id: str
    kind: str
    columns: tuple[str, ...]
    severity: Severity
    dimension: str
    threshold: Threshold = NONE_FAIL
    title: Text = field(default_factory=lambda: Text(zh="", en=""))
    values: tuple[str | float, ...] = ()
    pattern: str = ""
    minimum: float | None = None
    maximum: float | None = None
    when: Condition | None = None
    then: Condition | None = None
    years: int = 0


@dataclass(frozen=True)
class CheckResult:
    """What one check found: counts only.

    Attributes:
        spec: the check.
        status: ``errored`` when it could not be counted; never mixed up with ``failed``.
        failed_rows: rows that fail; 0 for checks of the table as a whole and for errored ones.
        value: the number that was compared with the threshold; None when errored.
        code: why it is errored (``column-missing``, ``wrong-type``, ``engine``), else empty.
    """

    spec: CheckSpec
    status: Status
    failed_rows: int
    value: float | None = None
    code: str = ""

    def as_dict(self) -> dict[str, Any]:
        """The result as plain JSON, without any value of the table."""
        return {
            "id": self.spec.id,
            "dimension": self.spec.dimension,
            "severity": self.spec.severity,
            "status": self.status,
            "failed_rows": self.failed_rows,
            "kind": self.spec.kind,
            "columns": list(self.spec.columns),
            "value": self.value,
            "expected": str(self.spec.threshold),
            "title": {"zh": self.spec.title.zh, "en": self.spec.title.en},
            "code": self.code,
        }


def judge(spec: CheckSpec, failed: int, rows: int) -> CheckResult:
    """From a count to a verdict; the only place where thresholds are applied.

    Args:
        spec: the check.
        failed: failed rows; for ``row-count`` the number of rows; for ``schema`` the number of columns that differ.
        rows: rows of the table.

    Returns:
        The result.
    """
    share = 100.0 * failed / rows if rows else 0.0
    value = share if spec.threshold.unit == "percent" else float(failed)
    status: Status = "passed" if spec.threshold.allows(value) else "failed"
    whole_table = spec.kind in {"row-count", "schema"}
    return CheckResult(spec, status, 0 if whole_table else failed, round(value, 6))


def errored(spec: CheckSpec, code: str) -> CheckResult:
    """A check that could not be counted."""
    return CheckResult(spec, "errored", 0, None, code)


def scores(results: list[CheckResult]) -> dict[str, float | None]:
    """Score of each dimension of GB/T 36344: weight of passed checks / weight of all checks of the dimension.

    Args:
        results: of all checks; errored checks count as not passed.

    Returns:
        Dimension → score between 0 and 1, None where no check measures it.
    """
    answer: dict[str, float | None] = {}
    for dimension in DIMENSIONS:
        of_it = [result for result in results if result.spec.dimension == dimension]
        total = sum(WEIGHTS[result.spec.severity] for result in of_it)
        passed = sum(WEIGHTS[result.spec.severity] for result in of_it if result.status == "passed")
        answer[dimension] = round(passed / total, 6) if total else None
    return answer


def conditions_of(spec: CheckSpec) -> tuple[Condition, ...]:
    """The conditions of an ``implies`` check."""
    return tuple(condition for condition in (spec.when, spec.then) if condition is not None)


def parse_condition(raw: Mapping[str, Any]) -> Condition:
    """Read a condition of a custom rule.

    Raises:
        ValueError: a key is missing or unknown.
    """
    unknown = set(raw) - {"column", "equals", "in", "minimum", "maximum"}
    if unknown or "column" not in raw or len(raw) < 2:
        raise ValueError("a condition has a column and one of equals, in, minimum, maximum")
    values = [raw["equals"]] if "equals" in raw else raw.get("in")
    return Condition(
        column=str(raw["column"]),
        values=None if values is None else plain_values(values),
        minimum=None if raw.get("minimum") is None else float(raw["minimum"]),
        maximum=None if raw.get("maximum") is None else float(raw["maximum"]),
    )


def plain_values(values: Iterable[Any]) -> tuple[str | float, ...]:
    """Values of a rule in the two types that tables are reduced to: all numbers (true is 1), or all texts."""
    listed = [value for value in values if value is not None]
    if all(isinstance(value, (bool, int, float)) for value in listed):
        return tuple(float(value) for value in listed)
    return tuple(str(value) for value in listed)

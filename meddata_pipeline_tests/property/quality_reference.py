"""A third, naive counting of every kind of check: plain Python over lists of dicts, one row after the other.

What belongs here: the meaning of the rules as docs/quality-rules.md says it, as plainly as it can be said. What does
not: speed, and anything of the package but the rule objects and the parser of expressions.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections import Counter
from typing import Any

from meddata_pipeline.core.expression import Node, parse
from meddata_pipeline.quality.checks import CheckSpec, Condition

Row = dict[str, Any]


def plain(value: Any) -> Any:
    """A value as the rules see it: None, a number or a text."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, dt.date):
        return value.isoformat()
    return value


def day(value: Any) -> dt.date | None:
    if not isinstance(value, str) or not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value[:10]):
        return None
    try:
        return dt.date.fromisoformat(value[:10])
    except ValueError:
        return None


class Reference:
    """Tables as lists of rows."""

    def __init__(self, tables: dict[str, list[Row]], as_of: dt.date | None = None) -> None:
        self.tables = {name: [{k: plain(v) for k, v in row.items()} for row in rows] for name, rows in tables.items()}
        self.as_of = as_of

    def get(self, spec: CheckSpec, row: Row, name: str) -> Any:
        if name in row:
            return row[name]
        alias, _, column = name.partition(".")
        join = next(j for j in spec.joins if j.name == alias)
        key = [row[c] for c in join.on]
        if None in key:
            return None
        found = [r[column] for r in self.tables[join.table] if [r[k] for k in join.key] == key]
        found = [value for value in found if value is not None]
        if not found:
            return None
        if join.pick == "agree":
            return found[0] if all(value == found[0] for value in found) else None
        return min(found) if join.pick == "min" else max(found)

    def holds(self, value: Any, c: Condition) -> bool:
        if c.missing:
            return value is None
        if value is None:
            return False
        good = c.values is None or value in c.values
        good = good and (c.exclude is None or value not in c.exclude)
        good = good and not self.beyond(value, c.minimum, c.maximum)
        if isinstance(c.minimum, str) or isinstance(c.maximum, str):
            good = good and day(value) is not None
        if c.pattern:
            good = good and re.fullmatch(f"(?a:{c.pattern})", value) is not None
        return good and (not c.prefixes or value.startswith(c.prefixes))

    def beyond(self, value: Any, low: Any, high: Any) -> bool:
        if isinstance(low, str) or isinstance(high, str):
            value = day(value)
            low, high = (dt.date.fromisoformat(limit) if limit else None for limit in (low, high))
            if value is None:
                return False
        return (low is not None and value < low) or (high is not None and value > high)

    def all_hold(self, spec: CheckSpec, row: Row, conditions: tuple[Condition, ...]) -> bool:
        return all(self.holds(self.get(spec, row, c.column), c) for c in conditions)

    def referred(self, spec: CheckSpec) -> set[tuple[Any, ...]]:
        assert spec.other is not None
        rows = self.tables[spec.other.table]
        good = [row for row in rows if all(self.holds(row[c.column], c) for c in spec.other.where)]
        keys = {tuple(row[k] for k in spec.other.key) for row in good}
        return {key for key in keys if None not in key}

    def count(self, spec: CheckSpec) -> tuple[float, int]:
        """Failed and applicable rows, keys or values."""
        rows = [row for row in self.tables[spec.table] if self.all_hold(spec, row, spec.where)]
        if spec.kind == "row-count":
            return len(rows), len(rows)
        if spec.kind == "duplicate":
            keys = [tuple(row[c] for c in spec.columns) for row in rows]
            keys = [key for key in keys if None not in key]
            return sum(n for n in Counter(keys).values() if n > 1), len(keys)
        if spec.kind == "has-record":
            mine = {tuple(row[c] for c in spec.columns) for row in rows}
            mine = {key for key in mine if None not in key}
            return len(mine - self.referred(spec)), len(mine)
        if spec.kind == "unmapped":
            value, mapped = spec.columns
            values = {row[value] for row in rows} - {None}
            good = {row[value] for row in rows if row[mapped] is not None and row[mapped] not in spec.values}
            return len(values - good), len(values)
        if spec.kind == "overlap":
            return self.overlap(spec, rows)
        verdicts = [self.verdict(spec, row) for row in rows]
        return sum(v is False for v in verdicts), sum(v is not None for v in verdicts)

    def overlap(self, spec: CheckSpec, rows: list[Row]) -> tuple[int, int]:
        *keys, start, end = spec.columns
        periods: dict[Any, list[tuple[dt.date, dt.date]]] = {}
        for row in rows:
            key, first = tuple(row[k] for k in keys), day(row[start])
            if None not in key and first is not None:
                periods.setdefault(key, []).append((first, day(row[end]) or first))
        gap, failed = dt.timedelta(days=1 if spec.strict else 0), 0
        for known in periods.values():
            hit = any(
                b <= other_e + gap
                for i, (b, e) in enumerate(sorted(known))
                for other_b, other_e in sorted(known)[:i]
                if (other_b, other_e) <= (b, e)
            )
            failed += hit
        return failed, len(periods)

    def verdict(self, spec: CheckSpec, row: Row) -> bool | None:
        """True: good; False: fails; None: does not apply."""
        values = [self.get(spec, row, name) for name in spec.columns]
        if spec.kind in {"null", "missing"}:
            return None not in values and values[0] not in spec.values
        if spec.kind == "implies":
            return self.all_hold(spec, row, spec.then) if self.all_hold(spec, row, spec.when) else None
        if spec.kind == "expression":
            result = self.value(spec, row, parse(spec.expression))
            return None if result is None else result != 0
        if spec.kind == "order":
            earlier, later = map(day, values)
            if earlier is None or later is None:
                return None
            late = (earlier - later).days
            return not (late >= spec.days if spec.strict else late > spec.days)
        if spec.kind == "within":
            this, start, end = map(day, values)
            if this is None or start is None:
                return None
            return -spec.days <= (this - start).days and (this - (end or start)).days <= spec.days
        if None in values:
            return None
        first = values[0]
        if spec.kind == "valid-values":
            return first in spec.values
        if spec.kind == "pattern":
            return re.fullmatch(f"(?a:{spec.pattern})", first) is not None
        if spec.kind == "range":
            dated = isinstance(spec.minimum, str) or isinstance(spec.maximum, str)
            return None if dated and day(first) is None else not self.beyond(first, spec.minimum, spec.maximum)
        if spec.kind == "recent":
            last = self.as_of.year if self.as_of else self.newest(spec)
            return re.match("[0-9]{4}", first) is not None and last - spec.years <= int(first[:4]) <= last
        if spec.kind == "computed":
            right = self.value(spec, row, parse(spec.expression))
            if right is None:
                return None
            return not abs(float(first) - right) > max(spec.tolerance, spec.relative * abs(right))
        assert spec.kind == "foreign-key"
        return tuple(values) in self.referred(spec)

    def newest(self, spec: CheckSpec) -> int:
        texts = [row[spec.columns[0]] for row in self.tables[spec.table] if row[spec.columns[0]] is not None]
        return max((int(text[:4]) for text in texts if re.match("[0-9]{4}", text)), default=0)

    def value(self, spec: CheckSpec, row: Row, node: Node) -> float | None:
        if node.kind == "number":
            return float(node.value)
        if node.kind == "name":
            found = self.get(spec, row, node.value)
            return None if found is None else float(found)
        if node.kind == "comparison" and any(child.kind == "text" for child in node.children):
            left, right = node.children if node.children[0].kind == "name" else node.children[::-1]
            found = self.get(spec, row, left.value)
            return None if found is None else float((found == right.value) == (node.value == "=="))
        parts = [self.value(spec, row, child) for child in node.children]
        if node.kind == "logic":
            decisive = node.value == "or"
            if any(part is not None and (part != 0) == decisive for part in parts):
                return float(decisive)
            return None if None in parts else float(not decisive)
        if None in parts:
            return None
        try:
            result = _OPERATIONS[node.value if node.kind != "minus" else "negative"](*parts)
        except (ArithmeticError, ValueError):
            return None
        return float(result) if not isinstance(result, complex) and math.isfinite(result) else None


_OPERATIONS: dict[str, Any] = {
    "negative": lambda a: -a,
    "not": lambda a: a == 0,
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "**": lambda a, b: a**b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "log": math.log,
    "exp": math.exp,
    "sqrt": math.sqrt,
    "abs": abs,
}

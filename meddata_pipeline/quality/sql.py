"""The checks of a table, counted by DuckDB and numpy.

What belongs here: what makes a row fail, as SQL, for every kind of check. One statement reads, row by row, what the
columns are to the checks (a text of few values as it is, a number or date, a comparison between columns as true, false
or missing). These are numbered (a number or date by its place among the limits of all rules) and reduced to the
combinations that occur and how many rows have each; the checks of rows are then counted on these few combinations.
Duplicates and the checks of keys, values and whole tables read the columns that they need once more. gx.py gives the
same counts by Great Expectations.
What does not: thresholds.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from math import ceil, floor, prod
from pathlib import Path
from typing import Any, Literal

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from meddata_pipeline.core.errors import BadInput
from meddata_pipeline.core.expression import Node, parse
from meddata_pipeline.quality.checks import CheckSpec, Condition, Count, Join, Value, plain_values
from meddata_pipeline.quality.drift import change
from meddata_pipeline.quality.table import Column, Data, Table

#: A text column with more distinct values than this in its first rows is not grouped by value.
_MANY, _SAMPLE = 500, 20_000
#: What a check can fail with in DuckDB or on the way there; their texts quote values.
ENGINE_ERRORS = (duckdb.Error, pa.ArrowException, ValueError, TypeError, OverflowError, MemoryError, RuntimeError)
#: Columns are grouped together while no more than so many combinations are to be expected.
_COMBINATIONS = 3_000
#: Combinations are counted in an array with a place for each while it has no more places than this.
_DENSE = 1 << 20
_THREADS = 2
_EPOCH = dt.date(1970, 1, 1)
Flags = npt.NDArray[np.bool_]
_DAY = "'[0-9]{4}-[0-9]{2}-[0-9]{2}'"


def quoted(name: str) -> str:
    """A name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def _day(text: str) -> str:
    """SQL that reads a text as a date: its first ten characters, if they are a day of the calendar from year 1 on."""
    head = f"substr({text}, 1, 10)"
    return f"CASE WHEN regexp_full_match({head}, {_DAY}) AND {head} >= '0001' THEN TRY_CAST({head} AS DATE) END"


class _Parameters:
    """Values of rules, bound by name; none becomes part of a statement's text."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.names: dict[tuple[type, Any], str] = {}

    def bind(self, value: Any) -> str:
        """The place holder of a value; equal values share one, so that equal tests are equal texts."""
        name = self.names.setdefault((type(value), value), f"p{len(self.names)}")
        self.values[name] = value
        return f"${name}"

    def used(self, text: str) -> dict[str, Any]:
        """The parameters that a statement names; DuckDB refuses others."""
        return {name: self.values[name] for name in set(re.findall(r"\$(p\d+)", text))}


def _as_text(kind: str, arrow: pa.DataType, value: str) -> str:
    if kind == "text":
        return value
    if kind != "date":
        return "CAST(NULL AS VARCHAR)"
    day = f"CAST(CAST({value} AS DATE) AS VARCHAR)"
    if pa.types.is_date(arrow):
        return day
    part = f"CASE WHEN microsecond({value}) % 1000000 = 0 THEN '' ELSE strftime({value}, '.%f') END"
    moment = f"strftime({value}, '%Y-%m-%dT%H:%M:%S') || {part}"
    return f"CASE WHEN {value} = date_trunc('day', {value}) THEN {day} ELSE {moment} END"


def _as_date(kind: str, value: str) -> str:
    return {"date": f"CAST({value} AS DATE)", "text": _day(value)}.get(kind, "CAST(NULL AS DATE)")


@dataclass(frozen=True)
class Test:
    """A test that is true or false: a piece of SQL (missing is false), or several joined by and, or, not."""

    how: Literal["sql", "and", "or", "not"]
    sql: str = ""
    parts: tuple[Test, ...] = ()

    def text(self) -> str:
        """The test as SQL."""
        if self.how == "sql":
            return f"coalesce({self.sql}, false)"
        if self.how == "not":
            return f"NOT {self.parts[0].text()}"
        joined = f" {self.how.upper()} ".join(part.text() for part in self.parts)
        return f"({joined})" if joined else ("true" if self.how == "and" else "false")

    def leaves(self) -> Iterator[str]:
        """The pieces of SQL in it."""
        if self.how == "sql":
            yield self.sql
        for part in self.parts:
            yield from part.leaves()

    def mask(self, known: dict[Test, Flags], rows: int) -> Flags:
        """The test on groups, from its leaves on them; what is asked twice is computed once."""
        found = known.get(self)
        if found is None:
            masks = [part.mask(known, rows) for part in self.parts]
            if self.how == "not":
                found = ~masks[0]
            elif masks:
                found = (np.logical_and if self.how == "and" else np.logical_or).reduce(masks)
            else:
                found = np.full(rows, self.how == "and")
            known[self] = found
        return found

    def __and__(self, other: Test) -> Test:
        return both(self, other)

    def __or__(self, other: Test) -> Test:
        return Test("or", parts=(self, other))

    def __invert__(self) -> Test:
        return Test("not", parts=(self,))


def both(*parts: Test) -> Test:
    """All of these tests."""
    return Test("and", parts=parts)


def either(*parts: Test) -> Test:
    """Any of these tests."""
    return Test("or", parts=parts)


ALWAYS, NEVER = both(), either()


class Session:
    """One in-memory connection with the tables of a set of checks as views.

    Args:
        data: the tables.
        names: of those that are read.
    """

    def __init__(self, data: Data, names: Iterable[str]) -> None:
        self.data = data
        # Without a temporary folder DuckDB can't spill persons' rows to disk in clear.
        config = {"temp_directory": "", "threads": _THREADS, "preserve_insertion_order": True}
        self.connection = duckdb.connect(":memory:", config=config)  # type: ignore[arg-type]
        self.connection.execute("SET enable_progress_bar = false")
        self.views: dict[str, str] = {}
        self.many: dict[tuple[str, str], int] = {}
        for number, name in enumerate(names):
            source, view = data.tables[name].source, f"t{number}"
            if isinstance(source, Path):
                self.connection.read_parquet(str(source)).create_view(view)
            else:
                self.connection.register(view, source)
            self.views[name] = view

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()

    def rows(self, query: str, parameters: _Parameters) -> list[tuple[Any, ...]]:
        """Run a query."""
        return self.connection.execute(query, parameters.used(query)).fetchall()

    def distinct(self, column: Column) -> int:
        """About how many values a text column has, by its first rows."""
        name = next(name for name, table in self.data.tables.items() if table is column.table)
        place = (name, column.name)
        if place not in self.many:
            physical = column.table.physical[column.table.names.index(column.name)]
            query = (
                f"SELECT count(DISTINCT v) FROM (SELECT {quoted(physical)} AS v FROM {self.views[name]} "  # noqa: S608
                f"LIMIT {_SAMPLE})"
            )
            self.many[place] = int(self.connection.execute(query).fetchall()[0][0])
        return self.many[place]


class Rows:
    """Tests of the rows of one table as SQL over ``m`` (the table) and ``j0`` … (joined ones).

    Args:
        session: with the tables.
        table: name of the table.
        parameters: where values are bound; shared by all parts of a statement.
    """

    def __init__(self, session: Session, table: str, parameters: _Parameters | None = None) -> None:
        self.session, self.name = session, table
        self.table = session.data.tables[table]
        self.parameters = parameters or _Parameters()
        self.joins: dict[Join, dict[str, str]] = {}

    # -- columns -------------------------------------------------------------------------------------------------------

    def column(self, spec: CheckSpec, name: str) -> Column:
        """The column that a check means.

        Raises:
            ValueError: there is none.
        """
        found = self.session.data.resolve(spec, name)
        if found is None:
            raise ValueError("column-missing")
        return found

    def value(self, column: Column) -> str:
        """A column in the type it is compared in: NaN is missing, true is 1, a timestamp has no zone."""
        if column.join is not None:
            columns = self.joins.setdefault(column.join, {})
            name = columns.setdefault(column.name, f"v{len(columns)}")
            return f"j{list(self.joins).index(column.join)}.{name}"
        arrow = column.table.type(column.name)
        raw = "m." + quoted(column.table.physical[column.table.names.index(column.name)])
        if pa.types.is_boolean(arrow):
            return f"CAST({raw} AS TINYINT)"
        if pa.types.is_decimal(arrow):
            return f"CAST({raw} AS DOUBLE)"
        if pa.types.is_floating(arrow):
            return f"CASE WHEN NOT isnan({raw}) THEN CAST({raw} AS DOUBLE) END"
        if pa.types.is_timestamp(arrow) and arrow.tz is not None:
            return f"timezone('UTC', {raw})"
        return raw

    def _must_be(self, column: Column, kinds: set[str]) -> None:
        if column.kind not in kinds and not column.table.is_empty(column.name):
            raise ValueError("wrong-type")

    def text(self, column: Column) -> str:
        """A column as text; dates as yyyy-mm-dd."""
        self._must_be(column, {"text", "date"})
        return _as_text(column.kind, column.table.type(column.name), self.value(column))

    def date(self, column: Column) -> str:
        """A column as date; missing where a text is none."""
        self._must_be(column, {"text", "date"})
        return _as_date(column.kind, self.value(column))

    def number(self, column: Column) -> str:
        """A column as number."""
        self._must_be(column, {"number"})
        return self.value(column) if column.kind == "number" else "CAST(NULL AS DOUBLE)"

    def plain(self, column: Column) -> str:
        """A column to be compared with another: a number, or a text."""
        return self.number(column) if column.kind == "number" else self.text(column)

    def source(self) -> str:
        """The FROM clause; complete only after every column has been asked for."""
        parts = [f"{self.session.views[self.name]} m"]
        for number, (join, columns) in enumerate(self.joins.items()):
            other = Rows(self.session, join.table, self.parameters)
            keys, matches = [], []
            for position, (own, key) in enumerate(zip(join.on, join.key, strict=True)):
                mine, theirs = comparable(self, Column(self.table, own), other, Column(other.table, key))
                keys.append(f"{theirs} AS k{position}")
                matches.append(f"{mine} = j{number}.k{position}")
            picked = [f"{_pick(other.value(Column(other.table, n)), join)} AS {v}" for n, v in columns.items()]
            view = self.session.views[join.table]
            grouped = ", ".join(f"k{position}" for position in range(len(keys)))
            query = f"SELECT {', '.join([*keys, *picked])} FROM {view} m GROUP BY {grouped}"  # noqa: S608
            parts.append(f"LEFT JOIN ({query}) j{number} ON {' AND '.join(matches)}")
        return " ".join(parts)

    # -- tests of one column -------------------------------------------------------------------------------------------

    def flag(self, expression: str) -> tuple[Test, Test]:
        """Whether a comparison can be made, and whether it is true."""
        return Test("sql", f"({expression}) IS NOT NULL"), Test("sql", f"({expression})")

    def on_text(self, column: Column, test: Callable[[str], str]) -> Test:
        """A test of a text."""
        return Test("sql", f"({test(self.text(column))})")

    def compare(self, expression: str, operator: str, limit: Any) -> Test:
        """A comparison (``<``, ``>``, ``=``) of a number or date with a limit."""
        return Test("sql", f"({expression} {operator} {self.parameters.bind(limit)})")

    def present(self, column: Column) -> Test:
        """Whether there is a value."""
        return NEVER if column.kind == "empty" else Test("sql", f"({self.value(column)} IS NOT NULL)")

    def is_day(self, column: Column) -> Test:
        """Whether the value is a date."""
        return Test("sql", f"({self.date(column)} IS NOT NULL)")

    def one_of(self, column: Column, values: Sequence[Value]) -> Test:
        """Whether the value is one of these; not true for a missing one."""
        numeric = all(not isinstance(value, str) for value in values)
        if not values or column.kind == "empty" or numeric != (column.kind == "number"):
            return NEVER
        if numeric:
            return either(*(self.compare(self.number(column), "=", value) for value in values))
        return self.on_text(column, lambda text: f"{text} IN ({', '.join(map(self.parameters.bind, values))})")

    def bound(self, column: Column, operator: str, limit: Value) -> Test:
        """Whether a number or date is less (``<``) or greater (``>``) than a limit."""
        if not isinstance(limit, str):
            return self.compare(self.number(column), operator, limit)
        return self.compare(self.date(column), operator, dt.date.fromisoformat(limit))

    def matches(self, column: Column, pattern: str) -> Test:
        """Whether the whole text matches."""
        return self.on_text(column, lambda text: f"regexp_full_match({text}, {self.parameters.bind(pattern)})")

    def condition(self, column: Column, condition: Condition) -> Test:
        """Whether a condition holds on a column."""
        present = self.present(column)
        if condition.missing:
            return ~present
        parts = [present]
        if condition.values is not None:
            parts.append(self.one_of(column, condition.values))
        if condition.exclude is not None:
            parts.append(~self.one_of(column, condition.exclude))
        for operator, limit in (("<", condition.minimum), (">", condition.maximum)):
            if limit is not None:
                parts.append(~self.bound(column, operator, limit))
                parts += [self.is_day(column)] if isinstance(limit, str) else []
        if condition.pattern:
            parts.append(self.matches(column, condition.pattern))
        if condition.prefixes:
            bind, prefixes = self.parameters.bind, condition.prefixes
            parts.append(
                self.on_text(column, lambda text: " OR ".join(f"starts_with({text}, {bind(p)})" for p in prefixes))
            )
        return both(*parts)

    def all_hold(self, spec: CheckSpec, conditions: Sequence[Condition]) -> Test:
        """Whether all conditions hold."""
        return both(*(self.condition(self.column(spec, c.column), c) for c in conditions))

    # -- checks of rows ------------------------------------------------------------------------------------------------

    def rule(self, spec: CheckSpec, years: dict[str, int]) -> tuple[Test, Test]:
        """Two tests: whether the check applies to a row, and whether the row fails.

        Args:
            spec: a check of rows other than ``duplicate``, or ``row-count``.
            years: per column of a ``recent`` check, the year it is measured from.
        """
        applies, fails = self._rule(spec, years)
        applies = self.all_hold(spec, spec.where) & applies
        return applies, applies & fails

    def _rule(self, spec: CheckSpec, years: dict[str, int]) -> tuple[Test, Test]:
        if spec.kind == "row-count":
            return ALWAYS, ALWAYS
        if spec.kind == "implies":
            return self.all_hold(spec, spec.when), ~self.all_hold(spec, spec.then)
        if spec.kind == "expression":
            known, true = self.flag(f"({self.expression(spec, parse(spec.expression))}) <> 0")
            return known, ~true
        columns = [self.column(spec, name) for name in spec.columns]
        first = columns[0]
        if spec.kind in {"null", "missing"}:
            present = both(*(self.present(column) for column in columns))
            return ALWAYS, ~present | self.one_of(first, spec.values)
        if spec.kind == "valid-values":
            return self.present(first), ~self.one_of(first, spec.values)
        if spec.kind == "pattern":
            return self.present(first), ~self.matches(first, spec.pattern)
        if spec.kind == "range":
            sides = [("<", spec.minimum), (">", spec.maximum)]
            fails = either(*(self.bound(first, side, limit) for side, limit in sides if limit is not None))
            dated = isinstance(spec.minimum, str) or isinstance(spec.maximum, str)
            return self.is_day(first) if dated else self.present(first), fails
        if spec.kind == "recent":
            last = years.get(spec.columns[0], 0)
            low, high = self.parameters.bind(last - spec.years), self.parameters.bind(last)
            if first.kind == "date":
                return self.present(first), ~self.flag(f"year({self.date(first)}) BETWEEN {low} AND {high}")[1]
            return self.present(first), ~self.on_text(first, lambda text: f"{_year(text)} BETWEEN {low} AND {high}")
        return self.flag(self._across(spec, columns))

    def _across(self, spec: CheckSpec, columns: list[Column]) -> str:
        """Kinds that compare columns of a row with each other or with other tables: true where the row fails."""
        if spec.kind == "order":
            earlier, later = (self.date(column) for column in columns)
            operator = ">=" if spec.strict else ">"
            return f"{earlier} {operator} {later} + CAST({self.parameters.bind(spec.days)} AS INTEGER)"
        if spec.kind == "within":
            day, start, end = (self.date(column) for column in columns)
            days = f"CAST({self.parameters.bind(spec.days)} AS INTEGER)"
            return (
                f"CASE WHEN {day} IS NOT NULL AND {start} IS NOT NULL THEN {day} < {start} - {days} "
                f"OR {day} > coalesce({end}, {start}) + {days} END"
            )
        if spec.kind == "computed":
            value, right = self.number(columns[0]), self.expression(spec, parse(spec.expression))
            fixed, share = self.parameters.bind(spec.tolerance), self.parameters.bind(spec.relative)
            return (
                f"CASE WHEN {value} IS NOT NULL AND {right} IS NOT NULL THEN "
                f"abs(CAST({value} AS DOUBLE) - {right}) > greatest({fixed}, {share} * abs({right})) END"
            )
        # foreign-key: true where no row of the other table has the key, missing where part of the key is.
        keys, query = self.referred(spec, columns)
        present = " AND ".join(f"{key} IS NOT NULL" for key in keys)
        mine = keys[0] if len(keys) == 1 else f"row({', '.join(keys)})"
        return f"CASE WHEN {present} THEN {mine} NOT IN ({query}) END"

    def referred(self, spec: CheckSpec, columns: list[Column]) -> tuple[list[str], str]:
        """The key of a row as SQL, and the query of all keys that the other table has.

        Raises:
            ValueError: the check names no other table.
        """
        if spec.other is None:
            raise ValueError(f"the check {spec.id} refers to no table")
        other = Rows(self.session, spec.other.table, self.parameters)
        pairs = [
            comparable(self, column, other, Column(other.table, name))
            for column, name in zip(columns, spec.other.key, strict=True)
        ]
        tests = [f"{theirs} IS NOT NULL" for _, theirs in pairs]
        tests += [other.condition(Column(other.table, c.column), c).text() for c in spec.other.where]
        theirs = pairs[0][1] if len(pairs) == 1 else f"row({', '.join(theirs for _, theirs in pairs)})"
        view = self.session.views[spec.other.table]
        return [mine for mine, _ in pairs], f"SELECT {theirs} FROM {view} m WHERE {' AND '.join(tests)}"  # noqa: S608

    # -- expressions ---------------------------------------------------------------------------------------------------

    def expression(self, spec: CheckSpec, node: Node) -> str:
        """An expression of core/expression.py as a DOUBLE, missing where it is not finite."""
        if node.kind == "number":
            return f"CAST({self.parameters.bind(node.value)} AS DOUBLE)"
        if node.kind == "name":
            return f"CAST({self.number(self.column(spec, node.value))} AS DOUBLE)"
        if node.kind == "comparison" and any(child.kind == "text" for child in node.children):
            left, right = node.children if node.children[0].kind == "name" else node.children[::-1]
            same = f"{self.text(self.column(spec, left.value))} = {self.parameters.bind(right.value)}"
            return f"CAST({same if node.value == '==' else f'NOT ({same})'} AS DOUBLE)"
        parts = [self.expression(spec, child) for child in node.children]
        if node.kind == "logic":
            return f"CAST(({f') {node.value.upper()} ('.join(f'{part} <> 0' for part in parts)}) AS DOUBLE)"
        if node.kind == "not":
            return f"CAST(({parts[0]} = 0) AS DOUBLE)"
        if node.kind == "comparison":
            operator = {"==": "=", "!=": "<>"}.get(node.value, node.value)
            return f"CAST(({parts[0]} {operator} {parts[1]}) AS DOUBLE)"
        if node.kind == "minus":
            return f"(-{parts[0]})"
        if node.kind == "call":
            guards = {"log": f"CASE WHEN {parts[0]} > 0 THEN ln({parts[0]}) END"}
            guards["sqrt"] = f"CASE WHEN {parts[0]} >= 0 THEN sqrt({parts[0]}) END"
            result = guards.get(node.value, f"{node.value}({parts[0]})")
        elif node.value == "**":
            result = f"pow({parts[0]}, {parts[1]})"
        elif node.value == "/":
            result = f"({parts[0]} / CASE WHEN {parts[1]} <> 0 THEN {parts[1]} END)"
        else:
            result = f"({parts[0]} {node.value} {parts[1]})"
        return f"CASE WHEN isfinite({result}) THEN {result} END"


def comparable(one: Rows, first: Column, other: Rows, second: Column) -> tuple[str, str]:
    """Two columns of two tables as SQL that can be compared: as numbers, or as texts."""
    if "empty" in {first.kind, second.kind}:
        return one.text(first) if first.kind == "empty" else one.plain(first), other.plain(second)
    return one.plain(first), other.plain(second)


def _pick(value: str, join: Join) -> str:
    if join.pick == "agree":
        return f"CASE WHEN min({value}) = max({value}) THEN min({value}) END"
    return f"{join.pick}({value})"


def _year(text: str) -> str:
    head = f"substr({text}, 1, 4)"
    return f"CASE WHEN regexp_full_match({head}, '[0-9]{{4}}') THEN TRY_CAST({head} AS INTEGER) END"


@dataclass
class _Key:
    """One thing that rows are grouped by: the value of an expression, or its place among limits."""

    name: str
    expression: str
    width: int
    limits: dict[Any, int] | None

    def numbered(self, values: pa.ChunkedArray) -> tuple[npt.NDArray[np.int32], pa.Array]:
        """The key of every row as a number from 1 on, 0 where it is missing, and what the numbers from 1 on stand for.

        Args:
            values: of the expression, row by row.
        """
        array = values.combine_chunks()
        if self.limits is not None:
            codes, domain = _places(array, list(self.limits)), pa.array(range(2 * len(self.limits) + 1), pa.int32())
        elif pa.types.is_boolean(array.type):
            codes, domain = array.cast(pa.int8()).fill_null(0).to_numpy(), pa.array([False, True])
        else:
            encoded = array.dictionary_encode()
            codes, domain = encoded.indices.fill_null(0).to_numpy(), encoded.dictionary
        numbers = codes.astype(np.int32)
        numbers += 1
        if array.null_count:
            numbers[array.is_null().to_numpy(zero_copy_only=False)] = 0
        return numbers, domain


def _places(array: pa.Array, limits: Sequence[Any]) -> npt.NDArray[np.intp]:
    """Where values stand among rising limits: 2 i + 1 if equal to limit i (from 0), else the even number beside it."""
    if not limits:
        return np.zeros(len(array), np.intp)
    if pa.types.is_date(array.type):
        array, limits = array.cast(pa.int32()), [(limit - _EPOCH).days for limit in limits]
    values = array.fill_null(0).to_numpy(zero_copy_only=False)
    # The place is how many edges are not above the value; every limit has two: itself and the next number.
    if values.dtype.kind == "f":
        edges = np.array([edge for limit in limits for edge in (limit, np.nextafter(float(limit), np.inf))], float)
        return np.asarray(np.searchsorted(edges, values, side="right"), np.intp)
    ends, whole = np.iinfo(values.dtype), [edge for limit in limits for edge in (ceil(limit), floor(limit) + 1)]
    inside = np.array([edge for edge in whole if ends.min <= edge <= ends.max], values.dtype)
    below = sum(edge < ends.min for edge in whole)
    return np.asarray(np.searchsorted(inside, values, side="right") + below, np.intp)


class Grouped(Rows):
    """Tests of groups of rows: those that are the same to every check.

    It is asked for every check twice: first to learn the limits of each column, then, after ``settle``, for the tests.
    """

    def __init__(self, session: Session, table: str) -> None:
        super().__init__(session, table)
        self.keys: dict[str, _Key] = {}
        self.used: set[str] = set()

    def settle(self) -> None:
        """Put the limits of every key in order."""
        for key in self.keys.values():
            if key.limits is not None:
                key.limits = {limit: place for place, limit in enumerate(sorted(key.limits))}
                key.width = 2 * len(key.limits) + 2

    def _key(self, expression: str, width: int, limits: Iterable[Any] | None = None) -> _Key:
        place = f"{'value' if limits is None else 'place'}:{expression}"
        if place not in self.keys:
            self.keys[place] = _Key(f"k{len(self.keys)}", expression, width, None if limits is None else {})
        key = self.keys[place]
        for limit in limits or ():
            key.limits.setdefault(limit, 0)  # type: ignore[union-attr] # a key of places has limits
        self.used.add(key.name)
        return key

    def _value_key(self, column: Column) -> str | None:
        """The key of a text column that has few values."""
        if column.kind != "text" or (distinct := self.session.distinct(column)) > _MANY:
            return None
        return self._key(self.text(column), distinct + 1).name

    def flag(self, expression: str) -> tuple[Test, Test]:
        """Whether a comparison made row by row can be made, and whether it is true."""
        name = self._key(expression, 3).name
        return Test("sql", f"{name} IS NOT NULL"), Test("sql", name)

    def on_text(self, column: Column, test: Callable[[str], str]) -> Test:
        """A test of a text: on each distinct value where there are few, else row by row."""
        name = self._value_key(column)
        return self.flag(test(self.text(column)))[1] if name is None else Test("sql", f"({test(name)})")

    def compare(self, expression: str, operator: str, limit: Any) -> Test:
        """A comparison with a limit, by the place among all limits of that expression."""
        key = self._key(expression, 2, [limit])
        return Test("sql", f"({key.name} {operator} {2 * (key.limits or {})[limit] + 1})")

    def present(self, column: Column) -> Test:
        """Whether there is a value."""
        if column.kind == "empty":
            return NEVER
        name = self._value_key(column)
        if name is None and column.kind == "number":
            name = self._key(self.number(column), 2, []).name
        elif name is None and column.kind == "date":
            name = self._key(self.date(column), 2, []).name
        if name is None:
            return self.flag(f"{self.value(column)} IS NOT NULL")[1]
        return Test("sql", f"({name} IS NOT NULL)")

    def is_day(self, column: Column) -> Test:
        """Whether the value is a date."""
        if self._value_key(column) is not None:
            return self.on_text(column, lambda text: f"({_day(text)}) IS NOT NULL")
        return Test("sql", f"({self._key(self.date(column), 2, []).name} IS NOT NULL)")

    def bound(self, column: Column, operator: str, limit: Value) -> Test:
        """Whether a number or date is less or greater than a limit."""
        if isinstance(limit, str) and self._value_key(column) is not None:
            day = self.parameters.bind(dt.date.fromisoformat(limit))
            return self.on_text(column, lambda text: f"({_day(text)}) {operator} {day}")
        return super().bound(column, operator, limit)


def _together(sets: Sequence[frozenset[str]], width: dict[str, int]) -> list[frozenset[str]]:
    """Few sets of keys that hold all the given ones, none with more combinations than needed or allowed."""
    largest = [s for s in dict.fromkeys(sets) if not any(s < other for other in sets)]
    bins: list[frozenset[str]] = []
    for one in sorted(largest, key=lambda s: (-prod(width[k] for k in s), sorted(s))):
        for number, other in enumerate(bins):
            if prod(width[key] for key in one | other) <= _COMBINATIONS:
                bins[number] = one | other
                break
        else:
            bins.append(one)
    return bins


def _count_rows(session: Session, table: str, specs: Sequence[CheckSpec], years: dict[str, int]) -> list[Count]:
    """Count checks of rows; one statement reads their columns."""
    grouped = Grouped(session, table)
    for spec in specs:
        grouped.rule(spec, years)
    grouped.settle()
    tests: list[tuple[Test, Test]] = []
    sets: list[frozenset[str]] = []
    for spec in specs:
        grouped.used = set()
        tests.append(grouped.rule(spec, years))
        sets.append(frozenset(grouped.used))
    bins = _together(sets, {key.name: key.width for key in grouped.keys.values()})
    numbered = _scan(grouped)
    counts: dict[int, Count] = {}
    for number, one in enumerate(bins):
        members = [n for n, s in enumerate(sets) if s <= one and n not in counts]
        groups, weights = _groups({name: numbered[name] for name in sorted(one)}, grouped.table.rows)
        session.connection.register(f"g{number}", groups)
        leaves = dict.fromkeys(leaf for n in members for test in tests[n] for leaf in test.leaves())
        query = f"SELECT {', '.join(['y', *(f'coalesce({leaf}, false)' for leaf in leaves)])} FROM g{number} ORDER BY y"  # noqa: S608
        found = session.connection.sql(query, params=grouped.parameters.used(query)).to_arrow_table()
        known = {
            Test("sql", leaf): found.column(place + 1).to_numpy(zero_copy_only=False)
            for place, leaf in enumerate(leaves)
        }
        for member in members:
            applies, fails = (int(weights[test.mask(known, len(weights))].sum()) for test in tests[member])
            counts[member] = Count(fails, applies)
    return [counts[n] for n in range(len(specs))]


_Numbered = tuple[npt.NDArray[np.int32], pa.Array]


def _scan(grouped: Grouped) -> dict[str, _Numbered]:
    """Read the table once: every key of every row, numbered."""
    keys = list(grouped.keys.values())
    values = {expression: f"x{n}" for n, expression in enumerate(dict.fromkeys(key.expression for key in keys))}
    if not keys:
        return {}
    listed = ", ".join(f"{expression} AS {name}" for expression, name in values.items())
    query = f"SELECT {listed} FROM {grouped.source()}"  # noqa: S608 - names are quoted and values bound
    found = grouped.session.connection.sql(query, params=grouped.parameters.used(query)).to_arrow_table()
    with ThreadPoolExecutor(_THREADS) as pool:
        done = pool.map(lambda key: key.numbered(found.column(values[key.expression])), keys)
        return {key.name: one for key, one in zip(keys, done, strict=True)}


def _groups(numbered: Mapping[str, _Numbered], rows: int) -> tuple[pa.Table, npt.NDArray[np.intp]]:
    """The combinations of keys that rows have, and how many rows have each.

    Returns:
        A table of the keys, with the running number ``y``; the numbers of rows in its order.
    """
    index, size = np.zeros(rows, np.intp), 1
    for codes, domain in numbered.values():
        if size > _DENSE:
            distinct, index = np.unique(index, return_inverse=True)
            size = len(distinct)
        index, size = index * (len(domain) + 1) + codes, size * (len(domain) + 1)
    if size > _DENSE:
        index = np.unique(index, return_inverse=True)[1]
    weights = np.bincount(index)
    taken = np.flatnonzero(weights)
    row = np.zeros(len(weights), np.intp)
    row[index] = np.arange(rows)
    columns = {"y": pa.array(range(len(taken)), pa.int64())}
    for name, (codes, domain) in numbered.items():
        places = codes[row[taken]] - 1
        columns[name] = domain.take(pa.array(places, mask=places < 0))
    return pa.table(columns), weights[taken]


# -- checks of keys, values and whole tables ---------------------------------------------------------------------------


def _duplicates(session: Session, spec: CheckSpec) -> Count:
    rows = Rows(session, spec.table)
    columns = [rows.column(spec, name) for name in spec.columns]
    if any(column.kind == "empty" for column in columns):
        return Count(0, 0)
    tests = both(*(rows.present(column) for column in columns), rows.all_hold(spec, spec.where)).text()
    values = ", ".join(rows.value(column) for column in columns)
    query = f"SELECT hash({values}) FROM {rows.source()} WHERE {tests}"  # noqa: S608
    found = session.connection.sql(query, params=rows.parameters.used(query)).to_arrow_table()
    hashes = np.sort(found.column(0).to_numpy())
    again = np.unique(hashes[1:][hashes[1:] == hashes[:-1]])
    if not len(again):
        return Count(0, len(hashes))
    # Equal values have equal hashes, so that only rows whose hash comes again are compared by value.
    session.connection.register("again", pa.table({"h": again}))
    query = (
        "SELECT coalesce(sum(n) FILTER (WHERE n > 1), 0) FROM "  # noqa: S608
        f"(SELECT count(*) AS n FROM {rows.source()} WHERE {tests} AND hash({values}) IN (SELECT h FROM again) "
        f"GROUP BY {values})"
    )
    return Count(int(session.rows(query, rows.parameters)[0][0]), len(hashes))


def _without_record(session: Session, spec: CheckSpec) -> Count:
    rows = Rows(session, spec.table)
    columns = [rows.column(spec, name) for name in spec.columns]
    keys, referred = rows.referred(spec, columns)
    where = rows.all_hold(spec, spec.where).text()
    present = " AND ".join(f"{key} IS NOT NULL" for key in keys)
    key = keys[0] if len(keys) == 1 else f"row({', '.join(keys)})"
    query = (
        f"SELECT count(*), count(*) FILTER (WHERE k NOT IN ({referred})) "  # noqa: S608
        f"FROM (SELECT DISTINCT {key} AS k FROM {rows.source()} WHERE {present} AND {where})"
    )
    applicable, failed = session.rows(query, rows.parameters)[0]
    return Count(int(failed), int(applicable))


def _overlaps(session: Session, spec: CheckSpec) -> Count:
    rows = Rows(session, spec.table)
    *keys, start, end = (rows.column(spec, name) for name in spec.columns)
    names = [f"a{position}" for position in range(len(keys))]
    chosen = [f"{rows.plain(key)} AS {name}" for key, name in zip(keys, names, strict=True)]
    begin, last = rows.date(start), f"coalesce({rows.date(end)}, {rows.date(start)})"
    tests = both(*(rows.present(key) for key in keys), rows.is_day(start), rows.all_hold(spec, spec.where)).text()
    by = ", ".join(names)
    gap = 1 if spec.strict else 0
    query = (
        "SELECT count(*), count(*) FILTER (WHERE hit) FROM (SELECT bool_or(coalesce(b <= before + "  # noqa: S608
        f"{gap}, false)) AS hit FROM (SELECT *, max(e) OVER (PARTITION BY {by} ORDER BY b, e "
        "ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before "
        f"FROM (SELECT {', '.join(chosen)}, {begin} AS b, {last} AS e FROM {rows.source()} "
        f"WHERE {tests})) GROUP BY {by})"
    )
    applicable, failed = session.rows(query, rows.parameters)[0]
    return Count(int(failed), int(applicable))


def _unmapped(session: Session, spec: CheckSpec) -> Count:
    rows = Rows(session, spec.table)
    value, mapped = (rows.column(spec, name) for name in spec.columns)
    if value.kind == "empty":
        return Count(0, 0)
    none = (~rows.present(mapped) | rows.one_of(mapped, spec.values)).text()
    tests = (rows.present(value) & rows.all_hold(spec, spec.where)).text()
    query = (
        f"SELECT count(*), count(*) FILTER (WHERE none) FROM (SELECT bool_and({none}) AS none "  # noqa: S608
        f"FROM {rows.source()} WHERE {tests} GROUP BY {rows.value(value)})"
    )
    applicable, failed = session.rows(query, rows.parameters)[0]
    return Count(int(failed), int(applicable))


def _age(session: Session, spec: CheckSpec) -> Count | None:
    rows = Rows(session, spec.table)
    column = rows.column(spec, spec.columns[0])
    where = rows.all_hold(spec, spec.where).text()
    query = f"SELECT max({rows.date(column)}), count({rows.date(column)}) FROM {rows.source()} WHERE {where}"  # noqa: S608
    newest, dated = session.rows(query, rows.parameters)[0]
    as_of = session.data.as_of
    return None if newest is None or as_of is None else Count((as_of - newest).days, int(dated))


def _odd_columns(session: Session, table: str, expected: Sequence[tuple[str, str]]) -> set[str]:
    """Columns of a logical type that the table has otherwise, or not at all."""
    rows = Rows(session, table)
    odd: set[str] = set()
    tests: dict[str, str] = {}
    for name, logical in expected:
        kind = rows.table.kinds.get(name)
        if kind is None:
            odd.add(name)
            continue
        column = Column(rows.table, name)
        wanted = {"number": {"number"}, "integer": {"number"}, "boolean": {"number"}}.get(logical, {"text", "date"})
        value, arrow = rows.value(column), rows.table.type(name)
        if kind not in wanted:
            if not rows.table.is_empty(name):
                odd.add(name)
        elif logical == "integer" and not pa.types.is_integer(arrow) and not pa.types.is_boolean(arrow):
            tests[name] = f"NOT (isfinite(CAST({value} AS DOUBLE)) AND {value} = floor({value}))"
        elif logical == "boolean" and not pa.types.is_boolean(arrow):
            tests[name] = f"{value} NOT IN (0, 1)"
        elif logical == "date" and not pa.types.is_date(arrow):
            text = rows.text(column)
            tests[name] = f"NOT regexp_full_match({text}, {_DAY})"
    if tests:
        sums = ", ".join(f"bool_or(coalesce({test}, false))" for test in tests.values())
        found = session.rows(f"SELECT {sums} FROM {rows.source()}", rows.parameters)[0]  # noqa: S608
        odd |= {name for name, hit in zip(tests, found, strict=True) if hit}
    return odd


def _structure(session: Session, spec: CheckSpec, types: Sequence[tuple[str, str]]) -> Count:
    """Whether tables and columns are there, with their types."""
    if spec.kind == "table-present":
        return Count(int(spec.table not in session.data.tables), 1)
    table = session.data.tables[spec.table]
    if spec.kind == "column-present":
        return Count(int(spec.columns[0] not in table.kinds), 1)
    if spec.kind == "column-type":
        return Count(len(_odd_columns(session, spec.table, [(spec.columns[0], spec.type)])), 1)
    names = {name for name, _ in types}
    stray = sum(name not in names for name in table.names)
    return Count(stray + len(_odd_columns(session, spec.table, types)), len(names) + stray)


def _newest_years(session: Session, specs: Sequence[CheckSpec]) -> dict[tuple[str, str], int]:
    """The year that ``recent`` counts back from: that of ``as_of``, or the newest of the column."""
    years: dict[tuple[str, str], int] = {}
    for spec in specs:
        place = (spec.table, spec.columns[0]) if spec.kind == "recent" else None
        if place is None or place in years:
            continue
        if session.data.as_of is not None:
            years[place] = session.data.as_of.year
            continue
        rows = Rows(session, spec.table)
        text = rows.text(rows.column(spec, spec.columns[0]))
        query = f"SELECT coalesce(max({_year('v')}), 0) FROM (SELECT DISTINCT {text} AS v FROM {rows.source()})"  # noqa: S608
        years[place] = int(session.rows(query, rows.parameters)[0][0])
    return years


def measure(
    session: Session, table: str, columns: Sequence[str], categories: Mapping[str, Sequence[str]]
) -> dict[str, Any]:
    """A profile of some columns (see drift.py): aggregates only.

    Args:
        session: with the table.
        table: its name.
        columns: to be measured.
        categories: per column, the names whose shares are counted.
    """
    rows = Rows(session, table)
    sums = ["count(*)"]
    for name in columns:
        column = Column(rows.table, name)
        value = f"CAST({rows.number(column) if column.kind == 'number' else 'NULL'} AS DOUBLE)"
        finite = f"CASE WHEN isfinite({value}) THEN {value} END"
        sums += [
            f"count(*) FILTER (WHERE NOT {rows.present(column).text()})",
            f"avg({finite})",
            f"stddev_samp({finite})",
        ]
        for category in categories.get(name, ()):
            wanted = plain_values([float(category)]) if column.kind == "number" else (category,)
            sums.append(f"count(*) FILTER (WHERE {rows.one_of(column, wanted).text()})")
    found = list(session.rows(f"SELECT {', '.join(sums)} FROM {rows.source()}", rows.parameters)[0])  # noqa: S608
    total = int(found.pop(0))
    profile: dict[str, Any] = {"rows": total, "columns": {}}
    for name in columns:
        nulls, mean, spread = found.pop(0), found.pop(0), found.pop(0)
        entry: dict[str, Any] = {"nulls": nulls / total if total else 0.0, "mean": mean, "sd": spread}
        if name in categories:
            present = total - nulls
            counts = {category: found.pop(0) for category in categories[name]}
            rest = present - sum(counts.values())
            entry["shares"] = {c: n / present if present else 0.0 for c, n in {**counts, "": rest}.items()}
        profile["columns"][name] = entry
    return profile


def profile(name: str, table: Table, columns: Sequence[str], categories: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """A profile of one table, see ``measure``; columns that it does not have are left out.

    Raises:
        BadInput: the engine can't measure it.
    """
    known = [column for column in columns if column in table.kinds]
    measured = None
    try:
        with Session(Data({name: table}), [name]) as session:
            measured = measure(session, name, known, categories)
    except ENGINE_ERRORS:
        pass  # raised below, so that no exception that quotes values hangs on ours
    if measured is None:
        raise BadInput("The table can't be measured: the engine failed", where=name)
    return measured


def _drift(session: Session, spec: CheckSpec) -> Count | None:
    """The change since the newest earlier version."""
    if not session.data.history:
        return Count(0, 0)
    then = session.data.history[-1]
    shares = {name: then.get("columns", {}).get(name, {}).get("shares") for name in spec.columns}
    categories = {name: [c for c in known if c] for name, known in shares.items() if known is not None}
    return change(spec, measure(session, spec.table, spec.columns, categories), then)


_ALONE: dict[str, Callable[[Session, CheckSpec], Count | None]] = {
    "duplicate": _duplicates,
    "has-record": _without_record,
    "overlap": _overlaps,
    "unmapped": _unmapped,
    "freshness": _age,
    "drift": _drift,
}
_STRUCTURE = {"schema", "table-present", "column-present", "column-type"}


def _alone(session: Session, spec: CheckSpec, types: Sequence[tuple[str, str]]) -> Count | None:
    if spec.kind in _STRUCTURE:
        return _structure(session, spec, types)
    if spec.kind in _ALONE:
        return _ALONE[spec.kind](session, spec)
    years = {column: year for (_, column), year in _newest_years(session, [spec]).items()}
    return _count_rows(session, spec.table, [spec], years)[0]


def count(
    specs: Sequence[CheckSpec], data: Data, types: Mapping[str, Sequence[tuple[str, str]]] | None = None
) -> list[Count | None]:
    """Count checks.

    Args:
        specs: checks that make sense on the tables (see table.problem).
        data: the tables.
        types: per table, name and logical type of the contract's columns, for ``schema``.

    Returns:
        A count per check; None where it could not be counted.
    """
    answer: dict[int, Count | None] = {}
    try:
        with Session(data, _tables_of(specs, data)) as session:
            for table in dict.fromkeys(spec.table for spec in specs):
                own = [n for n, spec in enumerate(specs) if spec.table == table]
                rowwise = [n for n in own if specs[n].kind not in _ALONE and specs[n].kind not in _STRUCTURE]
                answer |= _together_or_alone(session, specs, rowwise)
                for n in (n for n in own if n not in answer):
                    answer[n] = _guarded(_alone, session, specs[n], (types or {}).get(table, ()))
    except ENGINE_ERRORS:
        # The tables themselves can't be read; the text may quote values, and nothing of it is passed on.
        return [answer.get(n) for n in range(len(specs))]
    return [answer.get(n) for n in range(len(specs))]


def _together_or_alone(session: Session, specs: Sequence[CheckSpec], own: list[int]) -> dict[int, Count | None]:
    chosen = [specs[n] for n in own]
    if not chosen:
        return {}
    try:
        years = {column: year for (_, column), year in _newest_years(session, chosen).items()}
        return dict(zip(own, _count_rows(session, chosen[0].table, chosen, years), strict=True))
    except ENGINE_ERRORS:
        # One bad check must not take the others down: each on its own, and the bad one is errored.
        return {n: _guarded(_alone, session, specs[n], ()) for n in own}


def _guarded(function: Callable[..., Count | None], *arguments: Any) -> Count | None:
    try:
        return function(*arguments)
    except ENGINE_ERRORS:
        return None


def _tables_of(specs: Sequence[CheckSpec], data: Data) -> list[str]:
    names = dict.fromkeys(name for spec in specs for name in (spec.table, *spec.tables))
    return [name for name in names if name in data.tables]


def failing(specs: Sequence[CheckSpec], data: Data) -> dict[str, list[int]]:
    """Positions of the rows that fail, per check; for use inside the restricted zone.

    Args:
        specs: checks of rows, all of one table, that make sense on it.
        data: the tables.

    Returns:
        Check id → positions from 0, rising.

    Raises:
        BadInput: the engine can't tell; nothing may then be taken for good.
    """
    answer: dict[str, list[int]] = {}
    try:
        with Session(data, _tables_of(specs, data)) as session:
            for spec in specs:
                answer[spec.id] = _positions(session, spec)
    except ENGINE_ERRORS:
        pass  # raised below, so that no exception that quotes values hangs on ours
    if len(answer) < len(specs):
        raise BadInput("The failing rows can't be told: the engine failed", where=specs[len(answer)].id)
    return answer


def _positions(session: Session, spec: CheckSpec) -> list[int]:
    view, numbered = session.views[spec.table], f"n{len(session.views)}"
    # Views keep the order of rows, so that a running number is the position.
    session.connection.execute(
        f"CREATE OR REPLACE TEMP VIEW {numbered} AS SELECT *, row_number() OVER () - 1 AS meddata_position FROM {view}"  # noqa: S608
    )
    session.views[spec.table] = numbered
    try:
        rows = Rows(session, spec.table)
        if spec.kind == "duplicate":
            columns = [rows.column(spec, name) for name in spec.columns]
            if any(column.kind == "empty" for column in columns):
                return []
            tests = both(*(rows.present(c) for c in columns), rows.all_hold(spec, spec.where)).text()
            values = ", ".join(rows.value(column) for column in columns)
            query = (
                f"SELECT p FROM (SELECT m.meddata_position AS p, count(*) OVER (PARTITION BY {values}) AS n "  # noqa: S608
                f"FROM {rows.source()} WHERE {tests}) WHERE n > 1 ORDER BY p"
            )
        else:
            years = {column: year for (_, column), year in _newest_years(session, [spec]).items()}
            fails = rows.rule(spec, years)[1].text()
            query = f"SELECT m.meddata_position FROM {rows.source()} WHERE {fails} ORDER BY m.meddata_position"  # noqa: S608
        return [int(position) for (position,) in session.rows(query, rows.parameters)]
    finally:
        session.views[spec.table] = view

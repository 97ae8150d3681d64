"""Tables as both engines see them: columns of numbers, texts or dates, and which checks make sense on them.

What belongs here: taking a pandas frame, an Arrow table or data set or a Parquet file, saying of what kind each column
is, and the reduced pandas frame that Great Expectations gets. What does not: counting.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from meddata_pipeline.core.expression import Node, parse
from meddata_pipeline.quality.checks import CheckSpec, Condition, Join, Value

TableInput: TypeAlias = pd.DataFrame | pa.Table | ds.Dataset | Path
Kind = Literal["number", "text", "date", "other", "empty"]
#: The largest integers that a float64 holds exactly.
_EXACT = 2**53


def kind_of(arrow: pa.DataType) -> Kind:
    """The kind of a column of an Arrow type."""
    if pa.types.is_dictionary(arrow):
        return kind_of(arrow.value_type)
    if pa.types.is_null(arrow):
        return "empty"
    if any(f(arrow) for f in (pa.types.is_boolean, pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal)):
        return "number"
    if pa.types.is_date(arrow) or pa.types.is_timestamp(arrow):
        return "date"
    if pa.types.is_string(arrow) or pa.types.is_large_string(arrow) or pa.types.is_string_view(arrow):
        return "text"
    return "other"


def _text(value: Any) -> str | None:
    if value is None or value is pd.NaT or value is pd.NA or (isinstance(value, float) and np.isnan(value)):
        return None
    if isinstance(value, dt.datetime):
        value = value.astimezone(dt.UTC).replace(tzinfo=None) if value.tzinfo else value
        return str(value.date().isoformat() if value.time() == dt.time(0) else value.isoformat())
    # A lone surrogate can't be stored as UTF-8.
    return str(value.isoformat() if isinstance(value, dt.date) else value).encode("utf-8", "replace").decode()


def _arrow(column: pd.Series[Any]) -> pa.Array | pa.ChunkedArray:
    """A pandas column as Arrow; one of several types becomes text."""
    try:
        array = pa.array(column, from_pandas=True)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        array = None
    if array is not None and kind_of(array.type) != "other":
        return array
    codes, distinct = pd.factorize(column.map(repr), use_na_sentinel=False)
    first = pd.Series(column.to_numpy()).groupby(codes).first().reindex(range(len(distinct)))
    texts = np.array([_text(value) for value in first], dtype=object)
    return pa.array(texts[codes], type=pa.string(), from_pandas=True)


@dataclass(frozen=True)
class Table:
    """A table to be checked.

    Attributes:
        source: Arrow table, Arrow data set or Parquet file.
        names: its columns, as the contract calls them.
        physical: the same as the source calls them, in the same order.
        types: their Arrow types.
    """

    source: pa.Table | ds.Dataset | Path = field(repr=False)
    names: tuple[str, ...]
    physical: tuple[str, ...]
    types: tuple[pa.DataType, ...]
    _empty: dict[str, bool] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, given: TableInput | Table) -> Table:
        """Take a table in any of the accepted forms.

        Args:
            given: pandas frame, Arrow table or data set, or the path of a Parquet file.
        """
        if isinstance(given, Table):
            return given
        if isinstance(given, pd.DataFrame):
            arrays = [_arrow(given.iloc[:, position]) for position in range(given.shape[1])]
            names = [str(name) for name in given.columns]
            # Without a column Arrow would forget how many rows there are.
            extra = [] if arrays else [pa.nulls(len(given))]
            table = pa.table([*arrays, *extra], names=[f"c{n}" for n in range(len(arrays) + len(extra))])
            return cls(table, tuple(names), tuple(table.column_names[: len(names)]), tuple(a.type for a in arrays))
        schema = pq.read_schema(given) if isinstance(given, Path) else given.schema
        names = list(schema.names)
        # DuckDB takes names that differ in case for the same.
        if isinstance(given, pa.Table) or len({name.casefold() for name in names}) < len(names):
            whole = given if isinstance(given, pa.Table) else ds.dataset(given).to_table()
            numbered = [f"c{n}" for n in range(len(names))]
            return cls(whole.rename_columns(numbered), tuple(names), tuple(numbered), tuple(schema.types))
        return cls(given, tuple(names), tuple(names), tuple(schema.types))

    @cached_property
    def kinds(self) -> dict[str, Kind]:
        """Column → kind by its type."""
        return {name: kind_of(arrow) for name, arrow in zip(self.names, self.types, strict=True)}

    def type(self, name: str) -> pa.DataType:
        """Arrow type of a column, that of its values where they are numbered."""
        arrow = self.types[self.names.index(name)]
        return arrow.value_type if pa.types.is_dictionary(arrow) else arrow

    @cached_property
    def rows(self) -> int:
        """Number of rows."""
        if isinstance(self.source, Path):
            return int(pq.read_metadata(self.source).num_rows)
        return int(self.source.num_rows if isinstance(self.source, pa.Table) else self.source.count_rows())

    def column(self, name: str) -> pa.ChunkedArray:
        """One column in memory."""
        physical = self.physical[self.names.index(name)]
        if isinstance(self.source, Path):
            return pq.read_table(self.source, columns=[physical]).column(0)
        if isinstance(self.source, pa.Table):
            return self.source.column(physical)
        return self.source.to_table(columns=[physical]).column(0)

    def is_empty(self, name: str) -> bool:
        """Whether a column has no value at all; then it has no type of its own either."""
        if name not in self._empty:
            column = self.column(name)
            self._empty[name] = column.null_count == len(column) or (
                pa.types.is_floating(column.type) and bool(pc.all(pc.is_null(column, nan_is_null=True)).as_py())
            )
        return self._empty[name]

    @cached_property
    def frame(self) -> pd.DataFrame:
        """The reduced pandas frame: number columns, and object columns of ``str`` or None; dates are texts."""
        columns = {name: self._reduced(name) for name in self.names}
        return pd.DataFrame(columns) if columns else pd.DataFrame(index=range(self.rows))

    def _reduced(self, name: str) -> pd.Series[Any]:
        column, kind = self.column(name), self.kinds[name]
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        if self.is_empty(name):
            return pd.Series(np.full(len(column), None, dtype=object), dtype=object)
        if kind == "number":
            return _numbers(column)
        if kind == "other":
            return pd.Series(["" if valid else None for valid in column.is_valid().to_pylist()], dtype=object)
        if kind == "text":
            return pd.Series(column.to_numpy(zero_copy_only=False), dtype=object)
        if pa.types.is_timestamp(column.type) and column.type.unit == "ns":
            column = column.cast(pa.timestamp("us", column.type.tz), safe=False)
        encoded = column.combine_chunks().dictionary_encode()
        texts = np.array([*(_text(value) for value in encoded.dictionary.to_pylist()), None], dtype=object)
        return pd.Series(texts[encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)], dtype=object)


def _numbers(column: pa.ChunkedArray) -> pd.Series[Any]:
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.int64())
    if pa.types.is_decimal(column.type) or pa.types.is_floating(column.type):
        return pd.Series(column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False))
    bounds = pc.min_max(column).as_py()
    if max(abs(bounds["min"]), abs(bounds["max"])) <= _EXACT:
        if not column.null_count:
            return pd.Series(column.to_numpy())
        return pd.Series(column.cast(pa.float64()).to_numpy(zero_copy_only=False))
    # float64 would make different numbers equal.
    return pd.Series(column.to_pylist(), dtype="UInt64" if pa.types.is_uint64(column.type) else "Int64")


@dataclass(frozen=True)
class Column:
    """A column that a check names: of its own table, or of a joined one."""

    table: Table
    name: str
    join: Join | None = None

    @property
    def kind(self) -> Kind:
        """``empty`` when it has no value at all and its type would be in the way."""
        return self.table.kinds[self.name]


@dataclass(frozen=True)
class Data:
    """Everything that a set of checks is counted on.

    Attributes:
        tables: by the name that contracts and rules call them.
        as_of: day of the newest delivery; None: unknown.
        history: profiles of earlier versions, oldest first (see drift.py).
    """

    tables: Mapping[str, Table]
    as_of: dt.date | None = None
    history: Sequence[Mapping[str, Any]] = ()

    def resolve(self, spec: CheckSpec, name: str) -> Column | None:
        """The column that a check means by a name; None where there is none."""
        own = self.tables[spec.table]
        if name in own.kinds:
            return Column(own, name)
        alias, _, rest = name.partition(".")
        for join in spec.joins:
            other = self.tables.get(join.table)
            if join.name == alias and other is not None and rest in other.kinds:
                return Column(other, rest, join)
        return None


def _names_in(node: Node) -> Iterator[tuple[str, bool]]:
    """Names of an expression, and whether each stands where a text is meant."""
    if node.kind == "comparison" and any(child.kind == "text" for child in node.children):
        yield from ((child.value, True) for child in node.children if child.kind == "name")
    elif node.kind == "name":
        yield node.value, False
    else:
        for child in node.children:
            yield from _names_in(child)


def _need(values: Sequence[Value]) -> Iterator[str]:
    if values:
        yield "text" if any(isinstance(value, str) for value in values) else "number"


def _condition_needs(condition: Condition) -> Iterator[tuple[str, str]]:
    name = condition.column
    yield name, "any"
    for values in (condition.values or (), condition.exclude or ()):
        yield from ((name, need) for need in _need(values))
    for bound in (condition.minimum, condition.maximum):
        if bound is not None:
            yield name, "date" if isinstance(bound, str) else "number"
    if condition.pattern or condition.prefixes:
        yield name, "text"


def needs(spec: CheckSpec) -> Iterator[tuple[str, str]]:
    """Every column of its own rows that a check reads, and what it must hold.

    That is ``any``, ``plain`` (no list or bytes), ``number``, ``text`` or ``date``.
    """
    for condition in (*spec.where, *spec.when, *spec.then):
        yield from _condition_needs(condition)
    for join in spec.joins:
        yield from ((name, "plain") for name in join.on)
    if spec.kind in {"schema", "table-present", "column-present", "column-type"}:
        return
    if spec.kind == "expression" or spec.kind == "computed":
        yield from ((name, "text" if text else "number") for name, text in _names_in(parse(spec.expression)))
    if spec.kind == "expression":
        return
    for position, name in enumerate(spec.columns):
        yield name, "any" if spec.kind in {"null", "missing"} else "plain"
        if spec.kind == "range":
            yield name, "date" if isinstance(spec.minimum, str) or isinstance(spec.maximum, str) else "number"
        elif spec.kind in {"order", "within", "freshness"} or (
            spec.kind == "overlap" and position >= len(spec.columns) - 2
        ):
            yield name, "date"
        elif spec.kind in {"pattern", "recent"}:
            yield name, "text"
        elif spec.kind == "computed" or (spec.kind == "drift" and spec.statistic == "mean"):
            yield name, "number"
        elif spec.kind in {"valid-values", "missing"} or (spec.kind == "unmapped" and position == 1):
            yield from ((name, need) for need in _need(spec.values))


def _fits(column: Column, need: str) -> bool:
    if need == "any":
        return True
    # Dates are read as texts of the form yyyy-mm-dd, and texts of that form as dates.
    texts = {"text", "date"}
    allowed = {"plain": {"number", *texts}, "number": {"number"}, "text": texts, "date": texts}[need]
    return column.kind in allowed or column.table.is_empty(column.name)


def _comparable(one: Column, other: Column) -> bool:
    if any(column.table.is_empty(column.name) for column in (one, other)):
        return True
    return (one.kind == "number") == (other.kind == "number") and "other" not in {one.kind, other.kind}


def problem(spec: CheckSpec, data: Data) -> str:
    """Why a check can't be counted: ``table-missing``, ``column-missing``, ``wrong-type``, ``no-as-of``, or nothing."""
    if spec.kind == "table-present":
        return ""
    if spec.table not in data.tables or any(name not in data.tables for name in spec.tables):
        return "table-missing"
    wanted = list(needs(spec))
    columns = {name: data.resolve(spec, name) for name, _ in wanted}
    if None in columns.values():
        return "column-missing"
    known = {name: column for name, column in columns.items() if column is not None}
    if not all(_fits(known[name], need) for name, need in wanted):
        return "wrong-type"
    pairs: list[tuple[Column, str, str]] = []
    for join in spec.joins:
        pairs += [(known[own], join.table, key) for own, key in zip(join.on, join.key, strict=True)]
    if spec.other is not None:
        other = data.tables[spec.other.table]
        pairs += [(known[n], spec.other.table, k) for n, k in zip(spec.columns, spec.other.key, strict=True)]
        for name, need in (entry for condition in spec.other.where for entry in _condition_needs(condition)):
            if name not in other.kinds:
                return "column-missing"
            if not _fits(Column(other, name), need):
                return "wrong-type"
    for own, table, key in pairs:
        if key not in data.tables[table].kinds:
            return "column-missing"
        if not _comparable(own, Column(data.tables[table], key)):
            return "wrong-type"
    if spec.kind == "freshness" and data.as_of is None:
        return "no-as-of"
    return ""

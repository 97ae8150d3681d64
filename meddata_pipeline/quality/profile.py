"""What a table's columns are like, in counts: types, missing, distinct, known formats, rare values.

What belongs here: reading a CSV or Parquet file as a contract's checks will read it, and one DuckDB query per column.
What does not: what a column is about (privacy/classify.py, joined in app), writing a contract (suggest.py).

A profile holds raw values (extremes, the values of a column of few) and never leaves the process; suggest.py decides
what of it may be written.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from meddata_pipeline.core.canonical import digest8, file_sha256
from meddata_pipeline.core.errors import BadInput

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

#: Formats that are told by their shape: name, regular expression of a whole value. The first that all values have wins.
FORMATS: Mapping[str, str] = {
    "date": r"[0-9]{4}-[0-9]{2}-[0-9]{2}",
    "date-slashed": r"[0-9]{4}/[0-9]{1,2}/[0-9]{1,2}",
    "date-chinese": r"[0-9]{4}年[0-9]{1,2}月[0-9]{1,2}日",
    "timestamp": r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?(Z|[+-][0-9]{2}:?[0-9]{2})?",
    "month": r"[0-9]{4}-(0[1-9]|1[0-2])",
    "time": r"([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?",
    "uuid": r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}",
    "row-key": r"[0-9a-f]{16}",
    "icd10": r"[A-TV-Z][0-9]{2}(\.[0-9A-Za-z]{1,4}(x[0-9]{2,3})?)?[*†+]?",
    "loinc": r"[0-9]{1,5}-[0-9]",
    "interval": r"(\(-∞|\[-?[0-9.]+), (-?[0-9.]+|∞)\)|\*",
}
#: Distinct values up to which a column may be a list of codes.
FEW = 50
_INTEGER = r"[+-]?(0|[1-9][0-9]{0,14})"
_NUMBER = r"[+-]?(0|[1-9][0-9]{0,14})?(\.[0-9]{1,15}|(0|[1-9][0-9]{0,14})\.)?([eE][+-]?[0-9]{1,2})?"
_NAME = "profiled"


@dataclass(frozen=True)
class ColumnProfile:
    """One column.

    Attributes:
        name: its name.
        type: ODCS logical type: string, integer, number, boolean, date.
        rows: of the table.
        missing: rows without a value.
        distinct: different values.
        persons: persons behind the rarest value, where there are at most FEW values; else 0.
        format: one of FORMATS that all values have, or empty.
        nearly: a format that most values have, or empty.
        minimum: of numbers; a raw value.
        maximum: of numbers; a raw value.
        lowest: rows that hold the minimum.
        values: raw values, sorted, where there are at most FEW; else none.
    """

    name: str
    type: str
    rows: int
    missing: int
    distinct: int
    persons: int = 0
    format: str = ""
    nearly: str = ""
    minimum: float | None = None
    maximum: float | None = None
    lowest: int = 0
    values: tuple[Any, ...] = ()

    @property
    def unique(self) -> bool:
        """Whether every row has a value and none comes twice."""
        return self.rows > 0 and not self.missing and self.distinct == self.rows


def has_types(path: Path) -> bool:
    """Whether a file says of what type its columns are."""
    return path.suffix.lower() in {".parquet", ".pq"}


def read(path: Path) -> pa.Table:
    """Read a table: CSV (UTF-8, comma, empty is missing; every cell as text) or Parquet.

    Raises:
        BadInput: it is missing, can't be read, has no column, nested columns, or two columns of one name.
    """
    import pyarrow as pa
    import pyarrow.csv as arrow_csv
    import pyarrow.parquet as pq

    if not path.is_file():
        raise BadInput("The table is missing", next_step="Give the path of a CSV or Parquet file")
    where = f"file {digest8(file_sha256(path))}"
    try:
        if has_types(path):
            table = pq.read_table(path)
        else:
            with path.open("rb") as handle:
                names = _header(handle.readline())
            options = arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()),
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=True,
            )
            table = arrow_csv.read_csv(
                path, parse_options=arrow_csv.ParseOptions(newlines_in_values=True), convert_options=options
            )
    except (pa.ArrowInvalid, pa.ArrowKeyError, UnicodeDecodeError, OSError):
        # The library's text quotes the row that it stumbled over.
        raise BadInput("The table can't be read as UTF-8 CSV or Parquet", where=where) from None
    if len(set(table.column_names)) != table.num_columns or not table.num_columns:
        raise BadInput("Two columns have the same name, or there is none", where=where)
    for number, field in enumerate(table.schema, 1):
        if pa.types.is_nested(field.type) or pa.types.is_binary(field.type):
            raise BadInput("A column holds no plain values", where=f"{where}, column {number}")
    return table


def _header(line: bytes) -> list[str]:
    import csv

    return next(csv.reader([line.decode("utf-8-sig").rstrip("\r\n")]), [])


def profile(
    table: pa.Table,
    persons: Sequence[str] = (),
    progress: Callable[[int, int], None] = lambda done, total: None,
    *,
    typed: bool = False,
) -> list[ColumnProfile]:
    """Profile every column.

    Args:
        table: from read.
        persons: columns that tell persons apart; a value's persons are counted by each of them and the least counts.
            none: rows count.
        progress: called with the columns that are done and all columns.
        typed: whether the file has types of its own, so that a text of digits is a text.

    Returns:
        One profile per column, in order.
    """
    import duckdb

    found = []
    # Without a temporary folder DuckDB can't spill persons' rows to disk in clear.
    with duckdb.connect(":memory:", config={"temp_directory": "", "threads": 2}) as connection:
        connection.register(_NAME, table)
        for number, name in enumerate(table.column_names):
            progress(number, table.num_columns)
            found.append(_column(connection, table, name, [p for p in persons if p != name], typed))
        progress(table.num_columns, table.num_columns)
    return found


def quoted(column: str) -> str:
    """A column's name in a statement."""
    return '"' + column.replace('"', '""') + '"'


def pairs(table: pa.Table, columns: Sequence[str]) -> list[tuple[str, str]]:
    """Pairs of columns whose values together come once; none of the columns has missing values.

    Args:
        table: the table.
        columns: candidates, the most promising first; few, because each pair is one pass.
    """
    import duckdb

    found = []
    with duckdb.connect(":memory:", config={"temp_directory": "", "threads": 2}) as connection:
        connection.register(_NAME, table)
        for number, first in enumerate(columns):
            for second in columns[number + 1 :]:
                # Names are quoted, so that nothing of the table is read as SQL.
                query = f"SELECT count(*) FROM (SELECT DISTINCT {quoted(first)}, {quoted(second)} FROM {_NAME})"  # noqa: S608
                if connection.execute(query).fetchall()[0][0] == table.num_rows:
                    found.append((first, second))
    return found


def _column(
    connection: duckdb.DuckDBPyConnection, table: pa.Table, name: str, persons: Sequence[str], typed: bool
) -> ColumnProfile:
    column, rows = quoted(name), table.num_rows
    logical, text = _logical(table.schema.field(name).type)
    # Distinct values are looked at once, however many rows hold them. Names are quoted and the formats are this
    # module's own, so that nothing of the table is read as SQL.
    value = f"CAST({column} AS VARCHAR)"
    shapes = {**FORMATS, "integer": _INTEGER, "number": _NUMBER} if text else {}
    counted = ", ".join(
        f"coalesce(sum(n) FILTER (WHERE regexp_full_match(t, '{shape}')), 0)" for shape in shapes.values()
    )
    query = (
        f"WITH d AS (SELECT {value} AS t, count(*) AS n FROM {_NAME} WHERE {column} IS NOT NULL GROUP BY 1) "  # noqa: S608
        f"SELECT count(*), coalesce(sum(n), 0){', ' + counted if counted else ''} FROM d"
    )
    distinct, present, *matched = (int(v) for v in connection.execute(query).fetchall()[0])
    shares = dict(zip(shapes, matched, strict=True))
    if text and present:
        # "." and "e5" have the shape of a number and are none.
        if shares["integer"] == present and not typed:
            logical = "integer"
        elif shares["number"] == present and not typed and _all_numbers(connection, column):
            logical = "number"
        elif shares["date"] == present:
            logical = "date"
    given = next((f for f in FORMATS if present and shares.get(f) == present), "") if logical == "string" else ""
    nearly = next((f for f in FORMATS if shares.get(f, 0) >= 0.9 * present > 0), "") if not given else ""
    found: dict[str, Any] = {"format": given, "nearly": nearly if logical == "string" else ""}
    if logical in {"integer", "number"} and present:
        found |= _extremes(connection, column)
    if 0 < distinct <= FEW:
        found |= _few(connection, column, logical, persons)
    return ColumnProfile(name, logical, rows, rows - present, distinct, **found)


def _logical(kind: Any) -> tuple[str, bool]:
    """ODCS logical type of an Arrow type, and whether its texts must be looked at."""
    import pyarrow as pa

    if pa.types.is_boolean(kind):
        return "boolean", False
    if pa.types.is_integer(kind):
        return "integer", False
    if pa.types.is_floating(kind):
        return "number", False
    if pa.types.is_date(kind):
        return "date", False
    return "string", pa.types.is_string(kind) or pa.types.is_large_string(kind)


def _all_numbers(connection: duckdb.DuckDBPyConnection, column: str) -> bool:
    query = f"SELECT count(*) FROM {_NAME} WHERE {column} IS NOT NULL AND TRY_CAST({column} AS DOUBLE) IS NULL"  # noqa: S608
    return bool(connection.execute(query).fetchall()[0][0] == 0)


def _extremes(connection: duckdb.DuckDBPyConnection, column: str) -> dict[str, Any]:
    query = (
        f"WITH d AS (SELECT CAST({column} AS DOUBLE) AS v FROM {_NAME} WHERE {column} IS NOT NULL) "  # noqa: S608
        "SELECT min(v), max(v), count(*) FILTER (WHERE v = (SELECT min(v) FROM d)) FROM d WHERE isfinite(v)"
    )
    low, high, lowest = connection.execute(query).fetchall()[0]
    return {"minimum": low, "maximum": high, "lowest": int(lowest)}


def _few(connection: duckdb.DuckDBPyConnection, column: str, logical: str, persons: Sequence[str]) -> dict[str, Any]:
    """The values of a column of few, and how many persons stand behind the rarest of them."""
    counts = ["count(*)", *(f"count(DISTINCT {quoted(person)})" for person in persons)]
    query = (
        f"SELECT CAST({column} AS VARCHAR), least({', '.join(counts)}) "  # noqa: S608
        f"FROM {_NAME} WHERE {column} IS NOT NULL GROUP BY {column}"
    )
    found = connection.execute(query).fetchall()
    values: list[Any] = [row[0] for row in found]
    if logical == "integer":
        values = [int(v) for v in values]
    elif logical == "number":
        values = [float(v) for v in values]
    return {"values": tuple(sorted(set(values))), "persons": min(int(row[1]) for row in found)}


def looks_like_data(header: str) -> bool:
    """Whether a header is empty, a number or a date, as the first row of a table without a header is."""
    text = header.strip()
    shapes = (_NUMBER, FORMATS["date"], FORMATS["date-slashed"], FORMATS["timestamp"], FORMATS["uuid"], r"[0-9]{5,}.*")
    return not text or any(re.fullmatch(shape, text) for shape in shapes)

"""The checks of a table as one DuckDB statement: one scan counts them all.

What belongs here: the definition of a failed row for every kind of check, as SQL. gx.py gives the same counts by Great
Expectations; a test holds them together. What does not: thresholds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from meddata_pipeline.quality.checks import CheckSpec, Condition
from meddata_pipeline.quality.frame import Reduced

_TABLE = "checked"


def _name(column: str) -> str:
    return '"' + column.replace('"', '""') + '"'


class _Statement:
    """Collects the expressions of one SELECT and their parameters; no value becomes part of the statement's text."""

    def __init__(self, reference_year: dict[str, int], empty: set[str]) -> None:
        self.parameters: list[Any] = []
        self.reference_year = reference_year
        self.empty = empty

    def number(self, column: str) -> str:
        """A column to compare with numbers; one without any value has no type of its own."""
        return "CAST(NULL AS DOUBLE)" if column in self.empty else _name(column)

    def bind(self, value: Any) -> str:
        self.parameters.append(value)
        return "?"

    def one_of(self, column: str, values: Sequence[str | float]) -> str:
        if not values:
            return "false"
        subject = self.number(column) if isinstance(values[0], float) else _name(column)
        return f"{subject} IN ({', '.join(self.bind(value) for value in values)})"

    def holds(self, condition: Condition) -> str:
        parts = [f"{_name(condition.column)} IS NOT NULL"]
        if condition.values is not None:
            parts.append(self.one_of(condition.column, condition.values))
        if condition.minimum is not None:
            parts.append(f"{self.number(condition.column)} >= {self.bind(condition.minimum)}")
        if condition.maximum is not None:
            parts.append(f"{self.number(condition.column)} <= {self.bind(condition.maximum)}")
        return f"coalesce({' AND '.join(parts)}, false)"

    def failed(self, spec: CheckSpec) -> str:
        """A boolean expression that is true on failed rows; missing values fail only where missing is the question."""
        present = " AND ".join(f"{_name(column)} IS NOT NULL" for column in spec.columns)
        column = _name(spec.columns[0])
        if spec.kind == "null":
            return f"NOT ({present})"
        if spec.kind == "missing":
            return f"NOT ({present}) OR {self.one_of(spec.columns[0], spec.values)}"
        if spec.kind == "valid-values":
            return f"{present} AND NOT ({self.one_of(spec.columns[0], spec.values)})"
        if spec.kind == "pattern":
            return f"{present} AND NOT regexp_full_match({column}, {self.bind(spec.pattern)})"
        if spec.kind == "range":
            outside = []
            if spec.minimum is not None:
                outside.append(f"{self.number(spec.columns[0])} < {self.bind(spec.minimum)}")
            if spec.maximum is not None:
                outside.append(f"{self.number(spec.columns[0])} > {self.bind(spec.maximum)}")
            return f"{present} AND ({' OR '.join(outside)})"
        if spec.kind == "recent":
            head = f"substr({column}, 1, 4)"
            year = f"CASE WHEN regexp_full_match({head}, '[0-9]{{4}}') THEN CAST({head} AS INTEGER) END"
            last = self.reference_year.get(spec.columns[0], 0)
            between = f"{year} BETWEEN {self.bind(last - spec.years)} AND {self.bind(last)}"
            return f"{present} AND NOT coalesce({between}, false)"
        if spec.when is None or spec.then is None:
            raise ValueError(f"the check {spec.id} has no conditions")
        return f"{self.holds(spec.when)} AND NOT {self.holds(spec.then)}"

    def expression(self, spec: CheckSpec) -> str:
        """A scalar expression: the number of failed rows."""
        if spec.kind == "row-count":
            return "count(*)"
        if spec.kind == "duplicate":
            columns = ", ".join(_name(column) for column in spec.columns)
            present = " AND ".join(f"{_name(column)} IS NOT NULL" for column in spec.columns)
            # Column names are quoted and values bound, so that nothing of the table or contract is read as SQL.
            return (
                f"(SELECT coalesce(sum(n), 0) FROM (SELECT count(*) AS n FROM {_TABLE} "  # noqa: S608
                f"WHERE {present} GROUP BY {columns} HAVING count(*) > 1))"
            )
        return f"count(*) FILTER (WHERE {self.failed(spec)})"


def _run(connection: Any, specs: Sequence[CheckSpec], reference_year: dict[str, int], empty: set[str]) -> list[int]:
    statement = _Statement(reference_year, empty)
    # The leading count makes it an aggregate, which answers with one row even for an empty table.
    expressions = ["count(*)", *(statement.expression(spec) for spec in specs)]
    text = f"SELECT {', '.join(expressions)} FROM {_TABLE}"  # noqa: S608
    row = connection.execute(text, statement.parameters).fetchone()
    return [int(value) for value in row[1:]]


def count(table: Reduced, specs: Sequence[CheckSpec], reference_year: dict[str, int]) -> list[int | None]:
    """Count the failed rows of each check in one statement.

    Args:
        table: the reduced table.
        specs: checks that make sense on it.
        reference_year: per column of a ``recent`` check, the year it is measured from.

    Returns:
        Failed rows per check (the row count for ``row-count``); None where the engine could not count it.
    """
    import duckdb
    import pyarrow as pa

    if not specs:
        return []
    names = list(table.kinds) or ["empty"]
    types = {name: pa.string() if table.kinds.get(name, "text") == "text" else None for name in names}
    arrays = [
        pa.array(table.frame[name], type=types[name], from_pandas=True)
        if name in table.kinds
        else pa.nulls(len(table.frame))
        for name in names
    ]
    empty = {name for name in table.kinds if bool(table.frame[name].isna().all())}
    answer: list[int | None] = []
    # Without a temporary folder DuckDB can't spill persons' rows to disk in clear.
    with duckdb.connect(":memory:", config={"temp_directory": "", "threads": 2}) as connection:
        connection.register(_TABLE, pa.table(arrays, names=names))
        try:
            return list(_run(connection, specs, reference_year, empty))
        except duckdb.Error:
            # One bad check must not take the others down: each on its own, and the bad one is errored.
            for spec in specs:
                try:
                    answer.append(_run(connection, [spec], reference_year, empty)[0])
                except duckdb.Error:
                    answer.append(None)
    return answer

"""One call from a table and its contract to verdicts, scores and reasons.

What belongs here: choosing the engine, putting counts and thresholds together. What does not: files of the home, or
Dagster.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from meddata_pipeline.core.canonical import digest8, file_sha256
from meddata_pipeline.core.errors import BadInput, Reason
from meddata_pipeline.quality import gx, sql
from meddata_pipeline.quality.checks import DIMENSIONS, CheckResult, Count, errored, judge
from meddata_pipeline.quality.contract import Contract, load_contract
from meddata_pipeline.quality.scores import kahn_scores, scores
from meddata_pipeline.quality.table import Data, Table, TableInput, problem

Engine = Literal["gx", "duckdb"]


@dataclass(frozen=True)
class QualityResult:
    """What a contract's checks found in one table: counts and verdicts, never a value.

    Attributes:
        contract: id of the contract.
        version: of the contract.
        rows: of the first table.
        checks: in the contract's order.
        scores: dimension of GB/T 36344 → 0 to 1, None where nothing measures it.
        tables: rows of every table that was there.
        engine: which counted the rows.
    """

    contract: str
    version: str
    rows: int
    checks: tuple[CheckResult, ...]
    scores: dict[str, float | None]
    tables: dict[str, int]
    engine: str

    @property
    def blocking(self) -> tuple[CheckResult, ...]:
        """Checks of severity ``error`` that did not pass; an errored check blocks like a failed one."""
        return tuple(c for c in self.checks if c.spec.severity == "error" and c.status != "passed")

    @property
    def passed(self) -> bool:
        """Whether nothing blocks a release."""
        return not self.blocking

    def reasons(self) -> list[Reason]:
        """Why a release is blocked, one reason per check; empty when it is not."""
        return [
            Reason(
                code=f"quality-{check.status}",
                detail=(
                    f"{check.spec.title.en or check.spec.kind}: could not be checked ({check.code})"
                    if check.status == "errored"
                    else f"{check.spec.title.en or check.spec.kind}: {check.value:g}, expected {check.spec.threshold}"
                ),
                where=check.spec.id,
            )
            for check in self.blocking
        ]

    def dimensions(self) -> list[dict[str, Any]]:
        """Per measured dimension: ``dimension``, ``title``, ``score``, ``checks``, ``failed``."""
        rows = []
        for name, title in DIMENSIONS.items():
            of_it = [check for check in self.checks if check.spec.dimension == name]
            if of_it:
                rows.append(
                    {
                        "dimension": name,
                        "title": {"zh": title.zh, "en": title.en},
                        "score": self.scores[name],
                        "checks": len(of_it),
                        "failed": sum(check.status != "passed" for check in of_it),
                    }
                )
        return rows

    def as_dict(self) -> dict[str, Any]:
        """The answer of ``meddata validate --json``."""
        return {
            "contract": {"id": self.contract, "version": self.version},
            "rows": self.rows,
            "passed": self.passed,
            "checks": [check.as_dict() for check in self.checks],
            "scores": dict(self.scores),
            "kahn": kahn_scores(self.checks),
            "tables": dict(self.tables),
            "engine": self.engine,
        }


def validate_tables(
    tables: Mapping[str, TableInput],
    contract: Contract,
    *,
    engine: Engine = "duckdb",
    as_of: dt.date | None = None,
    history: Sequence[Mapping[str, Any]] = (),
) -> QualityResult:
    """Check the tables of a contract.

    Args:
        tables: by name; those that the contract describes, and others that its rules refer to.
        contract: from load_contract.
        engine: ``duckdb``, or ``gx`` (Great Expectations on pandas) for checks of rows; the counts are the same.
        as_of: day of the newest delivery, for checks of timeliness; None: ``recent`` counts back from the newest year
            of the column, ``freshness`` is errored.
        history: profiles of earlier versions, oldest first, for ``drift``.

    Returns:
        Verdicts, scores and reasons.
    """
    data = Data({name: Table.of(table) for name, table in tables.items()}, as_of, tuple(history))
    problems = {spec.id: problem(spec, data) for spec in contract.checks}
    countable = [spec for spec in contract.checks if not problems[spec.id]]
    found: dict[str, Count | None] = {}
    by_gx = [spec for spec in countable if engine == "gx" and gx.expresses(spec)]
    for table in dict.fromkeys(spec.table for spec in by_gx):
        own = [spec for spec in by_gx if spec.table == table]
        found |= {spec.id: count for spec, count in zip(own, gx.count(own, data), strict=True)}
    rest = [spec for spec in countable if spec.id not in found]
    types = {table.name: table.types for table in contract.tables}
    found |= {spec.id: count for spec, count in zip(rest, sql.count(rest, data, types), strict=True)}
    results: list[CheckResult] = []
    for spec in contract.checks:
        count = found.get(spec.id)
        if problems[spec.id]:
            results.append(errored(spec, problems[spec.id]))
        elif count is None:
            results.append(errored(spec, "engine"))
        else:
            rows = data.tables[spec.table].rows if spec.table in data.tables else 0
            results.append(judge(spec, count, rows))
    known = {table.name: data.tables[table.name].rows for table in contract.tables if table.name in data.tables}
    first = known.get(contract.table, 0)
    return QualityResult(contract.id, contract.version, first, tuple(results), scores(results), known, engine)


def validate(
    table: TableInput,
    contract: Contract,
    *,
    engine: Engine = "duckdb",
    as_of: dt.date | None = None,
    others: Mapping[str, TableInput] | None = None,
    history: Sequence[Mapping[str, Any]] = (),
) -> QualityResult:
    """Check one table against its contract: the first that the contract describes; see validate_tables.

    Args:
        table: pandas frame, Arrow table or data set, or the path of a Parquet file.
        contract: from load_contract.
        engine: see validate_tables.
        as_of: see validate_tables.
        others: tables that rules refer to, by name.
        history: see validate_tables.

    Returns:
        Verdicts, scores and reasons.
    """
    tables = {**(others or {}), contract.table: table}
    return validate_tables(tables, contract, engine=engine, as_of=as_of, history=history)


def failing_rows(
    table: TableInput,
    contract: Contract,
    *,
    as_of: dt.date | None = None,
    others: Mapping[str, TableInput] | None = None,
    name: str | None = None,
) -> dict[str, list[int]]:
    """Rows that rules with ``onFailure: quarantine`` set aside; for use inside the restricted zone only.

    A check that passes by its threshold sets its failing rows aside too: the threshold judges the table, the rule
    the row.

    Args:
        table: as in validate.
        contract: from load_contract.
        as_of: see validate_tables.
        others: tables that rules refer to, by name.
        name: of the table in a contract of several; by default the first.

    Returns:
        Check id → positions of rows from 0, rising; without checks that find none.

    Raises:
        BadInput: a rule can't be counted, so that no row may be taken for good.
    """
    name = name or contract.table
    tables = {**(others or {}), name: table}
    data = Data({key: Table.of(given) for key, given in tables.items()}, as_of)
    wanted = [spec for spec in contract.checks if spec.table == name and spec.on_failure == "quarantine"]
    for spec in wanted:
        if code := problem(spec, data):
            raise BadInput(f"The rule can't be counted: {code}", where=spec.id)
    return {check: rows for check, rows in sql.failing(wanted, data).items() if rows}


def profile(table: TableInput, contract: Contract, *, name: str | None = None) -> dict[str, Any]:
    """The profile of a table for ``drift`` checks of later versions (see drift.py): aggregates only.

    Categories are those that the contract itself names (codes, valid values); all others are counted together.

    Args:
        table: as in validate.
        contract: from load_contract.
        name: of the table in a contract of several; by default the first.

    Raises:
        BadInput: the engine can't measure it.
    """
    described = next(t for t in contract.tables if t.name == (name or contract.table))
    categories: dict[str, list[str]] = {}
    for column in described.columns:
        named = list(column.codes)
        for spec in described.checks:
            if spec.kind == "valid-values" and spec.columns == (column.name,) and not spec.where:
                named += [str(value) for value in spec.values]
        if named:
            categories[column.name] = list(dict.fromkeys(named))
    return sql.profile(described.name, Table.of(table), [c.name for c in described.columns], categories)


def validate_file(table: Path, contract_file: Path, *, engine: Engine = "duckdb") -> QualityResult:
    """The whole of ``meddata validate``.

    Args:
        table: CSV (UTF-8, comma) or Parquet.
        contract_file: ODCS contract.
        engine: see validate.

    Returns:
        The result; the command exits with 1 when it is not ``passed``.

    Raises:
        BadInput: the table is missing or can't be read, or the contract is wrong.
    """
    contract = load_contract(contract_file)
    if not table.is_file():
        raise BadInput("The table is missing", next_step="Give the path of a CSV or Parquet file")
    given: TableInput = table
    try:
        if table.suffix.lower() in {".parquet", ".pq"}:
            Table.of(table)
        else:
            numbers = {name for name, kind in contract.types if kind in {"number", "integer", "boolean"}}
            frame = pd.read_csv(table, dtype=str, keep_default_na=False, na_values=[""], encoding="utf-8-sig")
            for name in numbers & set(frame.columns):
                # A text that is no number stays text: the schema check says so, instead of it vanishing as missing.
                converted = pd.to_numeric(frame[name], errors="coerce")
                if not bool((converted.isna() & frame[name].notna()).any()):
                    frame[name] = converted
            given = frame
    except (ValueError, OSError, pd.errors.ParserError):
        where = f"file {digest8(file_sha256(table))}"
        raise BadInput("The table can't be read as UTF-8 CSV or Parquet", where=where) from None
    return validate(given, contract, engine=engine)

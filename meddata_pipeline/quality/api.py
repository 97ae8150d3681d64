"""One call from a table and its contract to verdicts, scores and reasons.

What belongs here: choosing the engine, putting counts and thresholds together. What does not: files of the home, or
Dagster.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from meddata_pipeline.core.canonical import digest8, file_sha256
from meddata_pipeline.core.errors import BadInput, Reason
from meddata_pipeline.quality import gx, sql
from meddata_pipeline.quality.checks import DIMENSIONS, CheckResult, CheckSpec, errored, judge, scores
from meddata_pipeline.quality.contract import Contract, load_contract
from meddata_pipeline.quality.frame import Reduced, columns_that_differ, problem, reduce

Engine = Literal["gx", "duckdb"]


@dataclass(frozen=True)
class QualityResult:
    """What a contract's checks found in one table: counts and verdicts, never a value.

    Attributes:
        contract: id of the contract.
        version: of the contract.
        rows: of the table.
        checks: in the contract's order.
        scores: dimension of GB/T 36344 → 0 to 1, None where nothing measures it.
    """

    contract: str
    version: str
    rows: int
    checks: tuple[CheckResult, ...]
    scores: dict[str, float | None]

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
        }


def _reference_years(table: Reduced, specs: list[CheckSpec], as_of: dt.date | None) -> dict[str, int]:
    """The year that ``recent`` counts back from: that of ``as_of``, or the newest of the column."""
    years: dict[str, int] = {}
    for spec in specs:
        if spec.kind == "recent":
            found = [gx.year_of(text) for text in table.frame[spec.columns[0]].dropna().unique()]
            newest = max((year for year in found if year is not None), default=0)
            years[spec.columns[0]] = as_of.year if as_of is not None else newest
    return years


def validate(
    frame: pd.DataFrame, contract: Contract, *, engine: Engine = "gx", as_of: dt.date | None = None
) -> QualityResult:
    """Check a table against its contract.

    Args:
        frame: the table.
        contract: from load_contract.
        engine: ``gx`` (Great Expectations) or ``duckdb`` (one SQL statement); the counts are the same.
        as_of: day of the newest delivery, for checks of timeliness; None: the newest year of the column itself.

    Returns:
        Verdicts, scores and reasons.
    """
    table = reduce(frame)
    problems = {spec.id: problem(spec, table) for spec in contract.checks}
    countable = [spec for spec in contract.checks if spec.kind != "schema" and not problems[spec.id]]
    years = _reference_years(table, countable, as_of)
    counts = (gx.count if engine == "gx" else sql.count)(table, countable, years)
    by_id = {spec.id: found for spec, found in zip(countable, counts, strict=True)}
    results: list[CheckResult] = []
    for spec in contract.checks:
        if spec.kind == "schema":
            results.append(judge(spec, columns_that_differ(table, contract.types), len(frame)))
        elif problems[spec.id]:
            results.append(errored(spec, problems[spec.id]))
        else:
            found = by_id[spec.id]
            results.append(errored(spec, "engine") if found is None else judge(spec, found, len(frame)))
    return QualityResult(contract.id, contract.version, len(frame), tuple(results), scores(results))


def validate_file(table: Path, contract_file: Path, *, engine: Engine = "gx") -> QualityResult:
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
    try:
        if table.suffix.lower() in {".parquet", ".pq"}:
            frame = pd.read_parquet(table)
        else:
            numbers = {name for name, kind in contract.types if kind in {"number", "integer", "boolean"}}
            frame = pd.read_csv(table, dtype=str, keep_default_na=False, na_values=[""], encoding="utf-8-sig")
            for name in numbers & set(frame.columns):
                # A text that is no number stays text: the schema check says so, instead of it vanishing as missing.
                converted = pd.to_numeric(frame[name], errors="coerce")
                if not bool((converted.isna() & frame[name].notna()).any()):
                    frame[name] = converted
    except (ValueError, OSError, pd.errors.ParserError):
        where = f"file {digest8(file_sha256(table))}"
        raise BadInput("The table can't be read as UTF-8 CSV or Parquet", where=where) from None
    return validate(frame, contract, engine=engine)

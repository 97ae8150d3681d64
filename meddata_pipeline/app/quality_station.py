"""The station "deid" of quality: one hospital and day of de-identified rows against the rules of the canonical tables.

What belongs here: reading the tables, computing those that rules see beside them, and which rows fail. What does not:
the rules (config/quality), counting (quality), and what a night does with the verdict (checks, quarantine).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from meddata_pipeline.app.nights import DEID_KINDS, deid_partition
from meddata_pipeline.app.workplace import Workplace
from meddata_pipeline.quality import api, sql
from meddata_pipeline.quality.canonical import FILE, CanonicalRules, load_rules
from meddata_pipeline.quality.checks import CheckSpec
from meddata_pipeline.quality.table import Data, Table

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

    from meddata_pipeline.storage.lake import Partition

#: Kinds of checks that judge a row by itself or by what it belongs to; a missing value alone makes no row bad.
_COMPLETENESS = frozenset({"null", "missing"})


@dataclass(frozen=True)
class Judgement:
    """What the rules say of one hospital and day.

    Attributes:
        result: counts and verdicts; holds no value.
        failing: kind → id of a check → ``row`` of each failing row in the partition of that kind; restricted.
        rules: the rules that were applied.
    """

    result: api.QualityResult
    failing: Mapping[str, Mapping[str, list[int]]]
    rules: CanonicalRules

    def quarantine(self) -> dict[str, dict[int, list[str]]]:
        """Rows that their rule wants aside: kind → ``row`` → ids of the checks; restricted."""
        aside = {spec.id for spec in self.rules.contract.checks if spec.on_failure == "quarantine"}
        found: dict[str, dict[int, list[str]]] = {}
        for kind, checks in self.failing.items():
            for check, rows in checks.items():
                if check in aside:
                    for row in rows:
                        found.setdefault(kind, {}).setdefault(row, []).append(check)
        return found


def judge_inputs(workplace: Workplace, hospital: str, day: str) -> dict[str, str]:
    """What a day's judgement is computed from: its rows, what is known of the hospital from all days, the rules.

    Args:
        workplace: where.
        hospital: id.
        day: of delivery.
    """
    lake = workplace.lake
    rules = load_rules(workplace.config)
    known = sorted({known.kind for known in rules.known})
    return {
        "deid": lake.combined([deid_partition(kind, hospital, day) for kind in DEID_KINDS]),
        "known": lake.combined([p for kind in known for p in _partitions(workplace, hospital, kind)]),
        "rules": workplace.config_digest(FILE, "vocabulary/units.yaml"),
    }


def judge_deid(workplace: Workplace, hospital: str, day: str) -> Judgement:
    """Judge the de-identified rows of one hospital and day.

    Voided rows are left out. The parents of rows, births and deaths are looked up in all deliveries of the hospital
    that are there, so that the order of arrival does not matter once all are.

    Args:
        workplace: where.
        hospital: id.
        day: of delivery, yyyy-mm-dd.

    Returns:
        Verdicts, and the rows that fail.

    Raises:
        ConfigError: a rule is not understood.
        BadInput: the engine can't tell which rows fail.
    """
    rules = load_rules(workplace.config)
    with workplace.query() as con:
        tables: dict[str, pa.Table] = {}
        for kind in DEID_KINDS:
            partition = deid_partition(kind, hospital, day)
            if workplace.lake.manifest(partition) is not None:
                tables[kind] = _living(workplace.lake.read(partition))
        for known in rules.known:
            wanted = [*known.columns, "deleted"]
            rows = [workplace.lake.read(p, wanted) for p in _partitions(workplace, hospital, known.kind)]
            if rows:
                tables[known.name] = _distinct(con, rows, known.columns)
        return judge(con, tables, rules, dt.date.fromisoformat(day))


def _partitions(workplace: Workplace, hospital: str, kind: str) -> list[Partition]:
    return [p for p in workplace.lake.partitions("deid", kind) if p.keys[0] == hospital]


def _living(table: pa.Table) -> pa.Table:
    import pyarrow.compute as pc

    return table.filter(pc.invert(table["deleted"]))


def _distinct(con: duckdb.DuckDBPyConnection, parts: list[pa.Table], columns: tuple[str, ...]) -> pa.Table:
    """What several deliveries say, each once."""
    import pyarrow as pa

    con.register("known_rows", pa.concat_tables(parts))
    names = ", ".join(columns)
    found = con.sql(f"SELECT DISTINCT {names} FROM known_rows WHERE NOT deleted ORDER BY ALL").to_arrow_table()  # noqa: S608
    con.unregister("known_rows")
    return found


def _blanked(table: pa.Table, column: str, values: pa.ChunkedArray) -> pa.Table:
    """The table with those values of a column that are not among some values taken out."""
    import pyarrow as pa
    import pyarrow.compute as pc

    have = pc.is_in(table[column], value_set=values.combine_chunks())
    cleaned = pc.if_else(have, table[column], pa.scalar(None, table[column].type))
    return table.set_column(table.column_names.index(column), column, cleaned)


def judge(
    con: duckdb.DuckDBPyConnection, tables: Mapping[str, pa.Table], rules: CanonicalRules, as_of: dt.date
) -> Judgement:
    """Judge tables that are already in memory.

    Args:
        con: a connection for the derived tables.
        tables: by kind, with the columns of the deid layer, and the known ones by name.
        rules: from load_rules.
        as_of: day of delivery.

    Returns:
        Verdicts, and the rows that fail: the values of their column ``row``.
    """
    import pyarrow as pa

    judged: dict[str, pa.Table] = dict(tables)
    for known in rules.known:
        for column, other in known.blank_unless.items():
            if known.name in tables and other in tables:
                judged[known.name] = _blanked(judged[known.name], column, tables[other][column])
    owner = {kind: kind for kind in tables}  # of a row number
    for derived in rules.derived:
        if derived.of in tables:
            con.register(derived.of, tables[derived.of])
            judged[derived.name] = con.sql(f'{derived.sql} ORDER BY "row"').to_arrow_table()
            con.unregister(derived.of)
            owner[derived.name] = derived.of
    result = api.validate_tables(judged, rules.contract, as_of=as_of)
    data = Data({name: Table.of(table) for name, table in judged.items()}, as_of)
    bad = [check.spec for check in result.checks if check.failed_rows and _tells_rows(check.spec)]
    table_of = {spec.id: spec.table for spec in bad}
    failing: dict[str, dict[str, list[int]]] = {}
    for check, places in (sql.failing(bad, data) if bad else {}).items():
        name = table_of[check]
        rows = judged[name]["row"].take(pa.array(places, pa.int64())).drop_null()
        failing.setdefault(owner[name], {})[check] = sorted(set(rows.to_pylist()))
    return Judgement(result, failing, rules)


def _tells_rows(spec: CheckSpec) -> bool:
    """Whether a failing row is a bad row, rather than one of many that lack a value."""
    return spec.counted == "rows" and (spec.kind not in _COMPLETENESS or spec.severity == "error")

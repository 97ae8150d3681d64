"""The station "deid" of quality: one hospital and day of de-identified rows against the rules of the canonical tables.

What belongs here: reading the tables, computing those that rules see beside them, which rows fail, and the step of a
night that keeps verdicts, Data Docs and the rows to put aside. What does not: the rules (config/quality), counting
(quality), and what people say of rows put aside (quality_quarantine).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from meddata_pipeline.app import nights, quality_quarantine
from meddata_pipeline.app.nights import DEID_KINDS, deid_partition
from meddata_pipeline.app.outcome import Check, Outcome
from meddata_pipeline.app.workplace import Workplace
from meddata_pipeline.quality import api, sql
from meddata_pipeline.quality.canonical import FILE, CanonicalRules, known_kinds, load_rules
from meddata_pipeline.quality.checks import CheckResult, CheckSpec
from meddata_pipeline.quality.table import Data, Table
from meddata_pipeline.storage.lake import Partition

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

#: Kinds of checks that judge a row by itself or by what it belongs to; a missing value alone makes no row bad.
_COMPLETENESS = frozenset({"null", "missing"})

#: Checks of every judged table, by the severity of the rules that they sum up; the first blocks what is below.
SEVERITIES = {"errors": "error", "warnings": "warning", "notes": "info"}
#: Failed rules that a check names, and days that its figure shows.
_NAMED = 20
_DAYS = 10
_ASIDE = "aside"


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
    known = known_kinds(workplace.config)
    return {
        "deid": nights.deid_digest(workplace, hospital, day),
        "known": lake.combined([p for kind in known for p in _partitions(workplace, hospital, kind)]),
        "rules": workplace.config_digest(FILE, "vocabulary/units.yaml"),
        "released": quality_quarantine.released_digest(workplace, hospital, day),
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


# -- the step of a night -----------------------------------------------------------------------------------------------


def docs_folder(workplace: Workplace, hospital: str, day: str) -> Path:
    """Folder of a day's Data Docs: counts only, but exact ones, so in the restricted zone."""
    return workplace.settings.zone("quality") / hospital / day


def _partitions_of(hospital: str, day: str) -> dict[str, Partition]:
    kinds = {kind: nights.judged_partition(kind, hospital, day) for kind in DEID_KINDS}
    return {**kinds, _ASIDE: nights.aside_partition(hospital, day)}


def judged(workplace: Workplace, hospital: str, day: str) -> dict[str, Outcome] | None:
    """The outcomes of a judgement that is still up to date, else None."""
    kept = nights.all_kept(workplace, _partitions_of(hospital, day), judge_inputs(workplace, hospital, day))
    if kept is None or not docs_folder(workplace, hospital, day).is_dir():
        return None
    return {kind: kept[kind] for kind in DEID_KINDS}


def check_day(workplace: Workplace, hospital: str, day: str) -> dict[str, Outcome]:
    """Judge a hospital's day: verdicts by kind, Data Docs, and the rows that rules want aside.

    Returns:
        An outcome per kind, with a check per severity; empty where that day has not been de-identified.
    """
    if workplace.lake.manifest(deid_partition("spans", hospital, day)) is None:
        return {}
    outcomes = judged(workplace, hospital, day)
    if outcomes is None:
        outcomes = _judge_and_keep(workplace, hospital, day)
    trend = _trend(workplace, hospital, day)
    return {kind: replace(o, checks=tuple(_drawn(c, trend[kind]) for c in o.checks)) for kind, o in outcomes.items()}


def _judge_and_keep(workplace: Workplace, hospital: str, day: str) -> dict[str, Outcome]:
    from meddata_pipeline.quality.gx import write_docs
    from meddata_pipeline.storage.files import replaced_dir

    inputs = judge_inputs(workplace, hospital, day)
    partitions = _partitions_of(hospital, day)
    judgement = judge_deid(workplace, hospital, day)
    folder = docs_folder(workplace, hospital, day)
    with replaced_dir(folder) as new:
        write_docs(judgement.result, new)
    aside = quality_quarantine.table(workplace, hospital, day, judgement.quarantine())
    by_kind = quality_quarantine.counts_of(aside)
    docs = folder.relative_to(workplace.home).as_posix()
    outcomes = {}
    for kind in DEID_KINDS:
        tables = [kind, *(derived.name for derived in judgement.rules.derived if derived.of == kind)]
        checks = [c for c in judgement.result.checks if c.spec.table in tables]
        facts = {
            "rows_judged": judgement.result.tables.get(kind, 0),
            "rows_aside": {line["check"]: line["rows"] for line in by_kind if line["kind"] == kind},
            "data_docs": [f"{docs}/{table}.html" for table in tables],
        }
        outcome = Outcome("", facts=facts, checks=tuple(_check(n, s, checks, facts) for n, s in SEVERITIES.items()))
        answer = {"checks": [check.as_dict() for check in checks]}
        outcomes[kind] = workplace.keep_object(partitions[kind], answer, inputs, outcome)
    # Last: without it the day counts as not judged.
    workplace.keep(partitions[_ASIDE], aside, inputs, Outcome("", facts={"aside": by_kind}))
    return outcomes


def _check(name: str, severity: str, results: Sequence[CheckResult], facts: Mapping[str, Any]) -> Check:
    """One severity's rules of one kind, summed up; a rule that could not be counted is not passed."""
    of_it = [result for result in results if result.spec.severity == severity]
    bad = [result for result in of_it if result.status != "passed"]
    named = [f"{result.spec.id} {result.status}" for result in bad[:_NAMED]]
    more = f" and {len(bad) - _NAMED} more" if len(bad) > _NAMED else ""
    detail = f"{len(bad)} of {len(of_it)} rules not passed" + (f": {', '.join(named)}{more}" if bad else "")
    counted = {
        "rules": len(of_it),
        "not_passed": len(bad),
        "errored": sum(result.status == "errored" for result in bad),
        "failed_rows": {result.spec.id: result.failed_rows for result in bad if result.status == "failed"},
        "data_docs": facts["data_docs"],
    }
    return Check(name, not bad, "error" if severity == "error" else "warning", f"quality-{name}", detail, counted)


def _trend(workplace: Workplace, hospital: str, day: str) -> dict[str, dict[str, dict[str, float]]]:
    """Share of rules passed: kind → day → check, over the hospital's days up to this one."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    for kind in DEID_KINDS:
        days = [p.keys[1] for p in workplace.lake.partitions(nights.JUDGED, kind) if p.keys[0] == hospital]
        for one in sorted(d for d in days if d <= day)[-_DAYS:]:
            manifest = workplace.manifest(nights.judged_partition(kind, hospital, one))
            for check in Outcome.from_facts("", None, manifest.facts).checks:
                if check.facts["rules"]:
                    share = 1 - check.facts["not_passed"] / check.facts["rules"]
                    found.setdefault(kind, {}).setdefault(one, {})[check.name] = share
    return found


def _drawn(check: Check, days: Mapping[str, Mapping[str, float]]) -> Check:
    """The check with its figure; drawn when shown, since it tells of other days too."""
    from meddata_pipeline.render.figures import trend

    line = [shares.get(check.name) for shares in days.values()]
    title = "通过的规则占比 Share of rules passed"
    return replace(check, figures={"trend": trend([d[5:] for d in days], {check.name: line}, title=title)})

"""How many planted defects are found, and how many rows are accused that have none.

What belongs here: running ingest and the rules of the canonical tables over a sample's landing folder and comparing,
row by row, with the generator's truth. What does not: the generator's and the rules' own tests. Names and texts are not
redacted on the way, which no rule looks at, so that this takes seconds.
"""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from meddata_pipeline.app.quality_station import Judgement, judge
from meddata_pipeline.core.config import Config
from meddata_pipeline.core.tables import kinds
from meddata_pipeline.ingest.api import IngestResult, ingest_delivery
from meddata_pipeline.ingest.current import current_sql
from meddata_pipeline.ingest.exclusions import Register, apply
from meddata_pipeline.ingest.landing import scan
from meddata_pipeline.ingest.profile import load_profile
from meddata_pipeline.quality.canonical import CanonicalRules, deid_columns, load_rules

_KEY = b"k" * 32

#: A record of a file of the landing folder: path, number from 0.
Place = tuple[str, int]


@dataclass
class Tally:
    """Planted and found rows.

    Attributes:
        planted: by defect, records that are still among the data: neither they nor their person had to leave.
        caught: by defect, those of them that the expected reason names.
        missed: records that are not named, with what was expected.
        accused: records that anything names.
        false: records named by a check though nothing was planted, with the checks.
    """

    planted: Counter[str] = field(default_factory=Counter)
    caught: Counter[str] = field(default_factory=Counter)
    missed: dict[Place, str] = field(default_factory=dict)
    accused: int = 0
    false: dict[Place, set[str]] = field(default_factory=dict)

    @property
    def recall(self) -> float:
        """Share of the planted defects that are found under their name."""
        return self.caught.total() / self.planted.total()

    @property
    def precision(self) -> float:
        """Share of the accused records that have a defect."""
        return 1 - len(self.false) / self.accused

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.planted + other.planted,
            self.caught + other.caught,
            {**self.missed, **other.missed},
            self.accused + other.accused,
            {**self.false, **other.false},
        )


def names(reason: str, found: str) -> bool:
    """Whether a finding has the expected reason: the last words of a check's id, or the reason of ingest."""
    return found == reason or found.endswith(f"-{reason}")


def compare(truth: Path, found: Mapping[Place, set[str]], kept: set[Place]) -> Tally:
    """Compare findings with the truth.

    Args:
        truth: defects.jsonl.
        found: per record everything that names it: ``quarantine:…``, ``flag:…``, ``check:<id>``.
        kept: records that are among the data or in quarantine.
    """
    tally = Tally(accused=len(found))
    planted: set[Place] = set()
    for line in truth.read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        place, expected = (entry["file"], entry["row"]), entry["expected"]
        planted.add(place)
        if place not in kept:
            continue
        way, _, reason = expected.partition(":")
        tally.planted[entry["defect"]] += 1
        hit = any(f.partition(":")[0] == way and names(reason, f.partition(":")[2]) for f in found.get(place, ()))
        if hit:
            tally.caught[entry["defect"]] += 1
        else:
            tally.missed[place] = expected
    tally.false = {place: why for place, why in found.items() if place not in planted}
    return tally


@dataclass
class _Day:
    hospital: str
    day: str
    names: dict[str, str]
    result: IngestResult
    tables: dict[str, pa.Table] = field(default_factory=dict)
    places: dict[str, list[Place]] = field(default_factory=dict)


def _register(days: Sequence[_Day]) -> Register:
    """Everybody of a hospital who must not be in, by all its deliveries."""
    entries = [entry for day in days for entry in day.result.exclusions]
    register = Register(days[0].hospital, frozenset(entries), ())
    patients = [day.result.tables["patient"] for day in days if "patient" in day.result.tables]
    rows = [table.select(["patient_no", "resident_id", "mobile"]) for table in patients]
    return register.link(pa.concat_tables(rows), _KEY)


def _as_deid(con: duckdb.DuckDBPyConnection, day: _Day, register: Register) -> None:
    """The day's records as the deid layer has them, but with true numbers and texts."""
    for kind in kinds():
        if kind == "staff":
            continue
        wanted = deid_columns(kind)
        table = day.result.tables.get(kind)
        if table is None:
            day.tables[kind] = pa.table({n: pa.array([], ARROW[t]) for n, t in wanted.items()})
            day.places[kind] = []
            continue
        con.register("rows", table)
        latest = current_sql("rows", voided=True)
        order = "source_table, source_file, source_row, record_key"
        rows = con.sql(f"SELECT * FROM ({latest}) ORDER BY {order}").to_arrow_table().cast(table.schema)
        rows, _ = apply(rows, register, _KEY)
        rows = rows.append_column("person_id", rows["patient_no"].cast(pa.string()))
        rows = rows.append_column("row", pa.array(range(rows.num_rows), pa.int64()))
        files, numbers = rows["source_file"].to_pylist(), rows["source_row"].to_pylist()
        folder = f"{day.hospital}/{day.day}"
        day.places[kind] = [(f"{folder}/{day.names[f]}", n) for f, n in zip(files, numbers, strict=True)]
        day.tables[kind] = rows.select(list(wanted))


ARROW = {
    "text": pa.string(),
    "date": pa.date32(),
    "number": pa.float64(),
    "integer": pa.int64(),
    "boolean": pa.bool_(),
}


def _findings(day: _Day, judgement: Judgement) -> tuple[dict[Place, set[str]], set[Place]]:
    folder = f"{day.hospital}/{day.day}"
    found: dict[Place, set[str]] = {}
    kept = {place for places in day.places.values() for place in places}
    for row in day.result.quarantine.to_pylist():
        place = (f"{folder}/{day.names[row['file_digest']]}", row["source_row"])
        found.setdefault(place, set()).add("quarantine:" + row["reason"])
        kept.add(place)
    flags = day.tables["lab"]["flag"].to_pylist()
    for place, flag in zip(day.places["lab"], flags, strict=True):
        if flag not in (None, "qualitative"):
            found.setdefault(place, set()).add("flag:" + flag)
    severity = {spec.id: spec.severity for spec in judgement.rules.contract.checks}
    for kind, checks in judgement.failing.items():
        for check, rows in checks.items():
            if severity[check] != "info":
                for row in rows:
                    found.setdefault(day.places[kind][row], set()).add("check:" + check)
    return found, kept


def judged(landing: Path, rules: CanonicalRules | None = None) -> list[tuple[_Day, Judgement]]:
    """Ingest every delivery of a landing folder and judge it."""
    config = Config()
    rules = rules or load_rules(config)
    days = []
    with duckdb.connect() as con:
        for delivery in scan(landing):
            result = ingest_delivery(delivery, load_profile(config, delivery.hospital), config, key=_KEY)
            day = _Day(delivery.hospital, delivery.day, {f.sha256: f.name for f in delivery.files}, result)
            days.append(day)
        for day in days:
            _as_deid(con, day, _register([other for other in days if other.hospital == day.hospital]))
        answers = []
        for day in days:
            tables: dict[str, Any] = {
                kind: table.filter(pa.compute.invert(table["deleted"])) for kind, table in day.tables.items()
            }
            for known in rules.known:
                same = [other.tables[known.kind] for other in days if other.hospital == day.hospital]
                con.register("known_rows", pa.concat_tables(same))
                columns = ", ".join(known.columns)
                query = f"SELECT DISTINCT {columns} FROM known_rows WHERE NOT deleted ORDER BY ALL"
                tables[known.name] = con.sql(query).to_arrow_table()
            answers.append((day, judge(con, tables, rules, dt.date.fromisoformat(day.day))))
    return answers


def measure(landing: Path, truth: Path) -> Tally:
    """Ingest, judge and compare a sample.

    Args:
        landing: the landing folder.
        truth: the folder of the truth files.
    """
    found: dict[Place, set[str]] = {}
    kept: set[Place] = set()
    for day, judgement in judged(landing):
        for place, why in _findings(day, judgement)[0].items():
            found.setdefault(place, set()).update(why)
        kept |= _findings(day, judgement)[1]
    return compare(truth / "defects.jsonl", found, kept)

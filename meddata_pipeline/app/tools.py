"""Tools on single files: texts in JSON Lines, an association study on a table, keys, entries of the catalogue.

What belongs here: what a command does between its arguments and one package. What does not: a home's pipeline.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from meddata_pipeline.core.errors import BadInput
from meddata_pipeline.storage.files import PUBLIC_FILE, create_if_absent, write_atomic
from meddata_pipeline.storage.keys import Keyring, new_root_key

if TYPE_CHECKING:
    from meddata_pipeline.privacy.detect import Detector

KeyKind = Literal["role", "root", "buyer"]


# -- texts -------------------------------------------------------------------------------------------------------------


def text_lines(stream: Iterable[bytes]) -> Iterator[str]:
    """Lines of a byte stream; one that is not UTF-8 is NOT_UTF8, in its place."""
    from meddata_pipeline.privacy.jsonl import NOT_UTF8

    for number, raw in enumerate(stream):
        try:
            yield raw.decode("utf-8-sig" if number == 0 else "utf-8")
        except UnicodeDecodeError:
            yield NOT_UTF8


def detectors(lang: str, roster: Path | None) -> tuple[Detector, dict[str, Detector]]:
    """The detector for a language, and those for lines that say another one.

    Args:
        lang: zh, en or auto.
        roster: file with one name of the hospital's staff per line.

    Raises:
        BadInput: the language is unknown, or the roster cannot be read.
    """
    from meddata_pipeline.privacy.detect import Detector

    if lang not in ("zh", "en", "auto"):
        raise BadInput("The language is zh, en or auto", where="--lang")
    names: list[str] = []
    if roster is not None:
        try:
            names = [line.strip() for line in roster.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
        except (OSError, UnicodeDecodeError):
            raise BadInput(
                "The roster cannot be read", where="--roster", next_step="One name per line, in UTF-8"
            ) from None
    chosen = {name: Detector(name, roster=names) for name in ("zh", "en", "auto")}
    return chosen[lang], chosen


def keyring_of(path: Path) -> Keyring:
    """A keyring from a root key file.

    Raises:
        BadInput: the file cannot be read or holds no root key.
    """
    try:
        root = base64.b64decode(path.read_bytes().strip(), validate=True)
    except (OSError, ValueError):
        raise BadInput(
            "The key file cannot be read", where="--key-file", next_step="Make one with `meddata keys new FILE --root`"
        ) from None
    return Keyring(root)


# -- keys --------------------------------------------------------------------------------------------------------------


def new_key(path: Path, kind: KeyKind, home: Path) -> dict[str, Any]:
    """Write a new key, readable by its owner only; an existing file is never replaced.

    Args:
        path: where.
        kind: ``role``: Ed25519 for signing as a role; ``root``: the root key of a home; ``buyer``: an age identity.
        home: a root key must not lie in here.

    Returns:
        ``{"file", "kind", "public"}``; ``public`` is what others may know: the public key, or None for a root key.

    Raises:
        BadInput: the file exists, or a root key would lie inside the home.
    """
    if kind == "root" and path.resolve().is_relative_to(home.resolve()):
        raise BadInput("The root key must lie outside the home", where="FILE")
    private, public = {"role": _role_key, "root": _root_key, "buyer": _buyer_key}[kind]()
    if not create_if_absent(path, private):
        raise BadInput(
            "A file of that name exists; keys are never replaced", where="FILE", next_step="Choose another name"
        )
    return {"file": str(path), "kind": kind, "public": public}


def _role_key() -> tuple[bytes, str | None]:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from meddata_pipeline.exchange.signing import public_text

    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return pem, public_text(key)


def _root_key() -> tuple[bytes, str | None]:
    return new_root_key(), None


def _buyer_key() -> tuple[bytes, str | None]:
    from pyrage import x25519

    identity = x25519.Identity.generate()
    public = str(identity.to_public())
    return f"# public key: {public}\n{identity}\n".encode(), public


# -- associations ------------------------------------------------------------------------------------------------------


def associate(table: Path, study_file: Path, out: Path, lang: str) -> dict[str, Any]:
    """The whole of ``meddata associate``: estimates of a study, and its report.

    Args:
        table: CSV or Parquet.
        study_file: formats/study.md.
        out: folder for report.html (suppressed, rounded) and results.json (never rounded, so as private as the table).
        lang: language of report.html.

    Returns:
        ``{"study", "persons", "estimates", "report", "results"}``.

    Raises:
        BadInput: the table or the study is wrong.
    """
    from meddata_pipeline.study import report
    from meddata_pipeline.study.api import measure
    from meddata_pipeline.study.spec import load_study
    from meddata_pipeline.study.variables import read_table

    study = load_study(study_file)
    found = measure(read_table(table, study), study)
    meta = {"product": None, "title": study.title.model_dump() if study.title else study.study}
    published = report.results(study, found, None, flow=(), k=1, meta=meta)
    body = {"study": study.study, "persons": found.persons, "estimates": [dict(e) for e in found.estimates]}
    write_atomic(out / "results.json", json.dumps(body, ensure_ascii=False, indent=1).encode() + b"\n")
    write_atomic(out / "report.html", report.render_html(published, lang).encode(), PUBLIC_FILE)
    return {**body, "report": str(out / "report.html"), "results": str(out / "results.json")}


# -- the catalogue -----------------------------------------------------------------------------------------------------


def entries_of(home: Path) -> list[Path]:
    """The machine-readable entries of every committed version, and the catalogue itself."""
    from meddata_pipeline.catalog import site
    from meddata_pipeline.exchange import release

    found = []
    for folder in sorted((home / "products").glob("*")):
        for made in release.commits(home, folder.name):
            found += [folder / made.version / name for name in (site.ENTRY_TURTLE, site.ENTRY_JSONLD)]
    return [
        *found,
        *(p for p in (home / "catalog" / "catalog.ttl", home / "catalog" / "catalog.jsonld") if p.is_file()),
    ]


def validate_entries(entries: Iterable[Path], shapes: Iterable[Path]) -> list[dict[str, Any]]:
    """Check entries against SHACL shapes.

    Args:
        entries: .ttl or .jsonld files.
        shapes: files or folders of shapes; none means the project's own.

    Returns:
        ``{"entry", "violations", "warnings", "results"}`` each.

    Raises:
        BadInput: an entry or a shapes file cannot be read.
    """
    from meddata_pipeline.catalog import validation

    against = tuple(shapes) or (validation.GATE_SHAPES,)
    items = []
    for entry in entries:
        results = validation.validate(validation.load_graph(entry), against)
        wrong = validation.violations(results)
        items.append(
            {"entry": str(entry), "violations": len(wrong), "warnings": len(results) - len(wrong), "results": results}
        )
    return items

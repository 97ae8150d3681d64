"""Releases: when a version is cut, its manifest and digest, and the one atomic commit that publishes it.

What belongs here: the release rule, the manifest, the commit protocol, reading commits. What does not: what a release
holds, and the gates before it.

A version is published by the existence of ``<home>/products/<id>/commits/<n>.json`` and by nothing else: readers ask
:func:`commits`, and a version folder without a commit is the remains of a killed process, which the next commit of that
number replaces. Commit number n carries version ``<contract major>.<n>``. Layout of a version folder::

    <version>/<files of the release>
    <version>/manifest.json     canonical JSON; its SHA-256 is the release digest
    <version>/manifest.sig      envelope over product, version and release digest; stands outside the digest

How many persons each hospital contributed is kept in ``restricted/contributions``, not in the manifest, because a small
count tells about persons.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path, PurePosixPath
from typing import Any

from meddata_pipeline.core.canonical import canonical_json, digest8, file_sha256, sha256_hex
from meddata_pipeline.core.errors import BadInput, Reason, Refused
from meddata_pipeline.core.offer import OfferTerms
from meddata_pipeline.exchange.signing import Signer, seal
from meddata_pipeline.storage.files import PUBLIC_FILE, create_if_absent, ensure_private_dir, write_atomic

TYPE = "meddata/release/1"
MANIFEST = "manifest.json"
SIGNATURE = "manifest.sig"
_REQUIRED = ("product", "version", "candidate_digest", "as_of", "hospitals", "persons", "form", "access")
_WEEK = 7


@dataclass(frozen=True)
class CandidateFacts:
    """What the release rule asks of a candidate.

    Attributes:
        candidate_digest: SHA-256 of the candidate's evidence, hexadecimal.
        contract_major: major version of the contract.
        hospitals: hospitals with persons in it, sorted.
        persons: persons in it.
        new_persons: of these, persons who were not in the last committed version.
        removed_persons: persons of the last committed version who are no longer in it.
        as_of: day of the newest delivery, yyyy-mm-dd; cadence counts these days, not the wall clock.
    """

    candidate_digest: str
    contract_major: int
    hospitals: tuple[str, ...]
    persons: int
    new_persons: int
    as_of: str
    removed_persons: int = 0


@dataclass(frozen=True)
class Commit:
    """One published version, as commits/<n>.json has it.

    Attributes:
        number: n of the commit, from 1.
        digest: release digest (SHA-256 of manifest.json).
        previous: release digest of the commit before, or None.
        key: public key that signed the manifest.
        demo: that key is a demo key.
    """

    product: str
    number: int
    version: str
    digest: str
    previous: str | None
    candidate_digest: str
    as_of: str
    hospitals: tuple[str, ...]
    persons: int
    key: str
    demo: bool

    def as_dict(self) -> dict[str, Any]:
        """The commit as plain JSON."""
        return {**asdict(self), "hospitals": list(self.hospitals)}


def product_dir(home: Path, product: str) -> Path:
    """The folder of a product's releases and commits."""
    return home / "products" / product


def commits(home: Path, product: str) -> list[Commit]:
    """All published versions, oldest first; these and no others are published."""
    folder = product_dir(home, product) / "commits"
    numbers = sorted(int(path.stem) for path in folder.glob("*.json") if path.stem.isdecimal())
    return [_read_commit(folder / f"{number}.json") for number in numbers]


def latest(home: Path, product: str) -> Commit | None:
    """The newest published version, or None."""
    found = commits(home, product)
    return found[-1] if found else None


def find_version(home: Path, product: str, version: str) -> Commit:
    """The commit of a version.

    Raises:
        BadInput: no such version is published.
    """
    for commit_ in commits(home, product):
        if commit_.version == version:
            return commit_
    raise BadInput(f"Version {version} is not published", where=product, next_step="See `meddata status`")


def _read_commit(path: Path) -> Commit:
    raw = json.loads(path.read_bytes())
    return Commit(**{**raw, "hospitals": tuple(raw["hospitals"])})


def next_version(home: Path, product: str, contract_major: int) -> str:
    """The version that the next commit will carry: ``<contract major>.<n>``."""
    last = latest(home, product)
    return f"{contract_major}.{last.number + 1 if last else 1}"


def release_rule(offer: OfferTerms, last_commit: Mapping[str, Any] | None, facts: CandidateFacts) -> list[Reason]:
    """Decide whether a version is due.

    The rule on new persons holds within a major version and not against withdrawals: who has left must not stay in
    the newest version because nobody new has come.

    Args:
        offer: its ``release`` rule.
        last_commit: the newest commit as plain JSON (:meth:`Commit.as_dict`), or None.
        facts: what is known of the candidate.

    Returns:
        Reasons to wait, with codes ``unchanged``, ``too-few-hospitals``, ``cadence``, ``too-few-new-persons``;
        empty: cut a version.
    """
    rule = offer.release
    if last_commit is not None and last_commit["candidate_digest"] == facts.candidate_digest:
        return [Reason("unchanged", "The candidate equals the last published version", offer.product)]
    reasons = []
    if len(facts.hospitals) < rule.minimum_hospitals:
        detail = f"{len(facts.hospitals)} of at least {rule.minimum_hospitals} hospitals"
        reasons.append(Reason("too-few-hospitals", detail, offer.product))
    if last_commit is None:
        return reasons
    before, now = date.fromisoformat(last_commit["as_of"]), date.fromisoformat(facts.as_of)
    due = {
        "every-run": True,
        "daily": now > before,
        "weekly": (now - before).days >= _WEEK,
        "monthly": (now.year, now.month) > (before.year, before.month),
    }[rule.cadence]
    if not due:
        detail = f"The last version is of {before.isoformat()}, versions are cut {rule.cadence}"
        reasons.append(Reason("cadence", detail, offer.product))
    same_major = int(str(last_commit["version"]).split(".")[0]) == facts.contract_major
    if same_major and not facts.removed_persons and facts.new_persons < rule.minimum_new_persons:
        detail = f"Fewer than {rule.minimum_new_persons} new persons"
        reasons.append(Reason("too-few-new-persons", detail, offer.product))
    return reasons


def is_plain_path(relative: str) -> bool:
    """Whether a path is relative, normal and stays below its folder."""
    path = PurePosixPath(relative)
    return bool(relative) and not path.is_absolute() and ".." not in path.parts and path.as_posix() == relative


def file_entries(folder: Path) -> dict[str, dict[str, Any]]:
    """Digest and size of every file below a folder, except manifest.json and manifest.sig at its top.

    Returns:
        relative path (with ``/``) → ``{"sha256", "bytes"}``, sorted by path.

    Raises:
        Refused: something below it is a link or a special file.
    """
    return {
        relative: {"sha256": file_sha256(path), "bytes": path.stat().st_size}
        for relative, path in _plain_files(folder).items()
    }


def _plain_files(folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in folder.rglob("*"):
        relative = path.relative_to(folder).as_posix()
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            reason = Reason("not-a-plain-file", "A release holds plain files only", relative)
            raise Refused("The release holds a link or a special file", reasons=[reason], where=relative)
        if path.is_file() and relative not in (MANIFEST, SIGNATURE):
            found[relative] = path
    return {relative: found[relative] for relative in sorted(found)}


def manifest(files: Mapping[str, Mapping[str, Any]], meta: Mapping[str, Any]) -> dict[str, Any]:
    """The manifest of a release. It holds no time and no signature, so that equal releases have equal manifests.

    Args:
        files: relative path → ``{"sha256", "bytes"}``, as :func:`file_entries` gives it.
        meta: JSON-like, at least product, version, candidate_digest, as_of, hospitals, persons, form, access.

    Returns:
        ``{"type", "files": [{"path", "sha256", "bytes"}], **meta}``.

    Raises:
        BadInput: meta lacks a key, there are no files, or a path is not plain and relative.
    """
    lacking = [key for key in _REQUIRED if key not in meta]
    if lacking:
        raise BadInput(f"The manifest lacks {', '.join(lacking)}", where="release manifest")
    if not files:
        raise BadInput("A release needs at least one file", where="release manifest")
    for relative in files:
        if not is_plain_path(relative) or relative in (MANIFEST, SIGNATURE):
            raise BadInput("A path of the release is not plain and relative", where=f"release manifest, {relative}")
    listed = [{"path": p, "sha256": files[p]["sha256"], "bytes": files[p]["bytes"]} for p in sorted(files)]
    return {**meta, "type": TYPE, "hospitals": sorted(meta["hospitals"]), "files": listed}


def release_digest(release: Mapping[str, Any]) -> str:
    """SHA-256 of a manifest's canonical JSON, hexadecimal."""
    return sha256_hex(canonical_json(release))


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a product's folder for this process.

    Args:
        folder: the product's folder; created where it is absent.
    """
    # Two processes committing the same product would clear away each other's version folder.
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("ab") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _sync_dir(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with source.open("rb") as reader, target.open("xb") as writer:
        shutil.copyfileobj(reader, writer, 1 << 20)
        writer.flush()
        os.fsync(writer.fileno())
    target.chmod(PUBLIC_FILE)


def _stage(staged: Path, target: Path, release: Mapping[str, Any], data: bytes, signature: bytes) -> None:
    """Copy a release into a fresh folder and check what arrived against the manifest."""
    if target.exists():
        shutil.rmtree(target)
    target.mkdir(parents=True)
    listed = {entry["path"]: {"sha256": entry["sha256"], "bytes": entry["bytes"]} for entry in release["files"]}
    found = _plain_files(staged)
    if set(found) == set(listed):
        for relative, path in found.items():
            _copy(path, target / relative)
    # What arrived is judged, not what was staged: the copy is what buyers get.
    if file_entries(target) != listed:
        reason = Reason("manifest-mismatch", "The files differ from their manifest", str(release["product"]))
        raise Refused("The release's files differ from its manifest", reasons=[reason], next_step="Build it again")
    write_atomic(target / MANIFEST, data, PUBLIC_FILE)
    write_atomic(target / SIGNATURE, signature, PUBLIC_FILE)
    for folder in [target, *(path for path in target.rglob("*") if path.is_dir())]:
        _sync_dir(folder)


def _taken(product: str, version: str) -> Refused:
    reason = Reason("version-taken", f"Version {version} is already published or out of turn", product)
    return Refused("Another release has been published meanwhile", reasons=[reason], next_step="Run again")


def commit(
    home: Path,
    product: str,
    staged_dir: Path,
    release: Mapping[str, Any],
    signer: Signer,
    *,
    contributions: Mapping[str, int] | None = None,
) -> Commit:
    """Publish a release, atomically; may be killed at any moment and called again.

    Copies the staged files beside their final place, renames the folder, then creates the commit file. The staged
    folder is only read. Committing what is already the published version changes nothing.

    Args:
        home: the home folder.
        product: the product's id.
        staged_dir: the release's files, exactly those of the manifest (manifest.json and .sig there are ignored).
        release: the manifest, its version ``<major>.<n>`` with n the next commit's number.
        signer: signs the manifest's digest.
        contributions: hospital → persons, for the settlement of sales.

    Returns:
        The commit, new or as it was.

    Raises:
        Refused: the files differ from the manifest, or another release holds that version.
        BadInput: the manifest is of another product, or its version is malformed.
    """
    version = str(release["version"])
    if release["product"] != product or not re.fullmatch(r"[1-9][0-9]*\.[1-9][0-9]*", version):
        raise BadInput("The manifest names another product or a malformed version", where=product)
    data = canonical_json(release)
    digest = sha256_hex(data)
    number = int(version.split(".")[1])
    folder = product_dir(home, product)
    record = folder / "commits" / f"{number}.json"
    with locked(folder):
        done = commits(home, product)
        if record.exists():
            existing = next(found for found in done if found.number == number)
            if existing.digest != digest:
                raise _taken(product, version)
            return existing
        if number != (done[-1].number + 1 if done else 1):
            raise _taken(product, version)
        made = Commit(
            product=product,
            number=number,
            version=version,
            digest=digest,
            previous=done[-1].digest if done else None,
            candidate_digest=str(release["candidate_digest"]),
            as_of=str(release["as_of"]),
            hospitals=tuple(release["hospitals"]),
            persons=int(release["persons"]),
            key=signer.public,
            demo=signer.demo,
        )
        statement = {"type": TYPE, "product": product, "version": version, "release_digest": digest}
        staging = folder / ".staging" / version
        _stage(staged_dir, staging, release, data, seal(statement, signer))
        if contributions is not None:
            ensure_private_dir(home / "restricted")
            kept = ensure_private_dir(home / "restricted" / "contributions" / product) / f"{number}.json"
            write_atomic(kept, canonical_json({"digest": digest, "persons": dict(contributions)}))
        final = folder / version
        if final.exists():  # without a commit: the remains of a killed process
            shutil.rmtree(final)
        staging.rename(final)
        _sync_dir(folder)
        if not create_if_absent(record, canonical_json(made.as_dict()), PUBLIC_FILE):
            raise _taken(product, version)
        _sync_dir(record.parent)
        return made


def contributions_of(home: Path, made: Commit) -> dict[str, int]:
    """Persons that each hospital contributed to a published version.

    Raises:
        Refused: none were recorded for this release.
    """
    path = home / "restricted" / "contributions" / made.product / f"{made.number}.json"
    raw = json.loads(path.read_bytes()) if path.exists() else {}
    if raw.get("digest") != made.digest:
        reason = Reason("no-contributions", "Contributions of this version are not recorded", made.product)
        raise Refused(f"Contributions of {digest8(made.digest)} are not recorded", reasons=[reason], where=made.product)
    return {str(hospital): int(persons) for hospital, persons in raw["persons"].items()}

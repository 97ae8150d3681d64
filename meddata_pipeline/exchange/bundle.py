"""The bundle for one buyer, and its verification offline.

What belongs here: packing a published version with its agreement, encrypting it to one age recipient, and checking a
bundle or a release folder without any network or home. What does not: who may buy, and for how much (sale).

A bundle is ``<home>/products/<id>/bundles/<version>-<digest>.tar.age``: an age file (X25519) around a plain tar whose
members stand in this order, with fixed times and owners, so that equal content gives equal tar bytes (``digest`` is
theirs; the encrypted file differs at every write)::

    bundle.json               envelope: product, version, release_digest, recipient, members [{path, sha256, bytes}]
    agreement.json            envelope: order, buyer, price, terms (purposes, territory, months, no redistribution)
    release/manifest.json     canonical JSON; its SHA-256 is the release digest
    release/manifest.sig      envelope: product, version, release_digest
    release/<files>           the release, as published
    signoffs/<role>.json      envelopes: who approved the candidate from which this version was cut

Envelopes are described in :mod:`meddata_pipeline.exchange.signing`. ``age --decrypt`` and ``tar`` open a bundle too.
"""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from meddata_pipeline.core.canonical import file_sha256, sha256_hex
from meddata_pipeline.core.errors import BadInput, MeddataError, Reason, Refused
from meddata_pipeline.core.offer import OfferTerms
from meddata_pipeline.exchange import release as releases
from meddata_pipeline.exchange import signoff
from meddata_pipeline.exchange.recipients import load_identity, parse_recipient
from meddata_pipeline.exchange.release import MANIFEST, SIGNATURE, Commit, file_entries, is_plain_path
from meddata_pipeline.exchange.signing import Envelope, Signer, fingerprint, read_canonical, seal, unseal

TYPE = "meddata/bundle/1"
AGREEMENT_TYPE = "meddata/agreement/1"
_HEAD = "bundle.json"
_AGREEMENT = "agreement.json"
_AGE_MAGIC = b"age-encryption.org/v1"
# What reading somebody else's JSON can raise once its shape is not ours.
_MALFORMED = (ValueError, KeyError, TypeError, AttributeError, IndexError)


def agreement(offer: OfferTerms, made: Commit, *, order: str, buyer: str, price_fen: int) -> dict[str, Any]:
    """What buyer and publisher agree on for one sale; canonical JSON, for both sides to sign.

    Args:
        offer: its terms.
        made: the published version that is sold.
        order: the order's id.
        buyer: the buyer's age recipient.
        price_fen: price including taxes, in fen.
    """
    return {
        "type": AGREEMENT_TYPE,
        "product": made.product,
        "version": made.version,
        "release_digest": made.digest,
        "order": order,
        "buyer": buyer,
        "price_fen": price_fen,
        "currency": "CNY",
        "terms": offer.terms.model_dump(mode="json"),
    }


def _pack(members: Mapping[str, Path | bytes], sink: IO[bytes]) -> None:
    with tarfile.open(fileobj=sink, mode="w|", format=tarfile.PAX_FORMAT) as archive:
        for name in sorted(members, key=lambda path: (path != _HEAD, path)):
            source = members[name]
            info = tarfile.TarInfo(name)
            info.mode = 0o644
            if isinstance(source, bytes):
                info.size = len(source)
                archive.addfile(info, io.BytesIO(source))
            else:
                info.size = source.stat().st_size
                with source.open("rb") as stream:
                    archive.addfile(info, stream)


class _Hasher(io.RawIOBase):
    """A sink that keeps only the SHA-256 of what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.sha256 = hashlib.sha256()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.sha256.update(data)
        return len(data)


def _packed_digest(members: Mapping[str, Path | bytes]) -> str:
    sink = _Hasher()
    _pack(members, sink)  # type: ignore[arg-type]  # tarfile writes to it and does nothing else
    return sink.sha256.hexdigest()


def bundle(home: Path, product: str, version: str, recipient: str, *, signer: Signer, terms: Mapping[str, Any]) -> Path:
    """Pack and encrypt a published version for one buyer. Asked again for the same, it returns what is there.

    Args:
        home: the home folder.
        product: the product's id.
        version: a published version.
        recipient: the buyer's age recipient (age1…).
        signer: the publisher's key.
        terms: the agreement, see :func:`agreement`.

    Returns:
        Path of the encrypted bundle.

    Raises:
        BadInput: the version is not published, or the recipient is malformed.
        Refused: the product is under controlled access, the agreement is of another release, or the release on disk
            is not what was published.
    """
    made = releases.find_version(home, product, version)
    key = parse_recipient(recipient)
    folder = releases.product_dir(home, product)
    source = folder / version
    checked = verify(source, public_key=made.key)
    if not checked["ok"] or checked["release_digest"] != made.digest:
        reason = Reason("release-damaged", "The release on disk is not what was published", product)
        raise Refused("The release on disk is damaged", reasons=[reason], where=f"{product} {version}")
    published = read_canonical((source / MANIFEST).read_bytes())
    if published["access"] != "download":
        reason = Reason("controlled-access", "The product may be used in the controlled domain only", product)
        raise Refused("The product cannot be delivered as a file", reasons=[reason], where=product)
    if (terms["release_digest"], terms["buyer"]) != (made.digest, recipient):
        reason = Reason("agreement-differs", "The agreement is of another release or buyer", product)
        raise Refused("The agreement does not fit the delivery", reasons=[reason], where=product)

    members: dict[str, Path | bytes] = {_AGREEMENT: seal(terms, signer)}
    for name in (MANIFEST, SIGNATURE, *(entry["path"] for entry in published["files"])):
        members[f"release/{name}"] = source / name
    for role, envelope in signoff.signoffs(home, product, made.candidate_digest).items():
        if _approves(envelope, made.candidate_digest, role):
            members[f"signoffs/{role}.json"] = envelope
    listed = [{"path": name, **_entry(members[name], published, name)} for name in sorted(members)]
    head = {
        "type": TYPE,
        "product": product,
        "version": version,
        "release_digest": made.digest,
        "recipient": recipient,
        "members": listed,
    }
    members[_HEAD] = seal(head, signer)
    target = folder / "bundles" / f"{version}-{_packed_digest(members)[:16]}.tar.age"
    with releases.locked(folder):
        if not target.exists():
            _encrypt(members, key, target)
    return target


def _approves(envelope: bytes, candidate_digest: str, role: str) -> bool:
    try:
        signed = unseal(envelope, signoff.TYPE).statement
    except _MALFORMED:
        return False
    expected = {"candidate_digest": candidate_digest, "role": role, "decision": "approve"}
    return all(signed.get(name) == value for name, value in expected.items())


def _entry(source: Path | bytes, published: Mapping[str, Any], name: str) -> dict[str, Any]:
    if isinstance(source, bytes):
        return {"sha256": sha256_hex(source), "bytes": len(source)}
    for entry in published["files"]:  # just verified, so not hashed again
        if name == f"release/{entry['path']}":
            return {"sha256": entry["sha256"], "bytes": entry["bytes"]}
    return _entry(source.read_bytes(), published, name)


def _encrypt(members: Mapping[str, Path | bytes], recipient: Any, target: Path) -> None:
    import pyrage

    target.parent.mkdir(parents=True, exist_ok=True)
    for remains in target.parent.glob(".*.part"):  # of killed processes; the caller holds the lock
        remains.unlink()
    with tempfile.TemporaryFile(dir=target.parent) as plain:
        _pack(members, plain)
        plain.seek(0)
        part = target.with_name(f".{target.name}.part")
        with part.open("wb") as encrypted:
            pyrage.encrypt_io(plain, encrypted, [recipient])
            encrypted.flush()
            os.fsync(encrypted.fileno())
        part.replace(target)


@dataclass(frozen=True)
class Check:
    """One check of :func:`verify`; ``unknown`` where the caller gave nothing to compare with."""

    id: str
    status: str
    detail: str = ""


class _Checks:
    def __init__(self) -> None:
        self.done: list[Check] = []

    def add(self, check_id: str, passed: bool, detail: str = "") -> bool:
        self.done.append(Check(check_id, "passed" if passed else "failed", "" if passed else detail))
        return passed

    def unknown(self, check_id: str, detail: str) -> None:
        self.done.append(Check(check_id, "unknown", detail))

    def envelope(self, check_id: str, path: Path, expected_type: str) -> Envelope | None:
        try:
            opened = unseal(path.read_bytes(), expected_type)
        except FileNotFoundError:
            self.add(check_id, False, f"{path.name} is missing")
            return None
        except _MALFORMED as error:
            self.add(check_id, False, f"{path.name}: {error}")
            return None
        self.add(check_id, True)
        return opened


def verify(bundle_path: Path, identity: str | Path | None = None, public_key: str | None = None) -> dict[str, Any]:
    """Check a bundle, a decrypted bundle or a release folder, offline.

    Args:
        bundle_path: encrypted bundle, its decrypted tar, or a version folder.
        identity: the buyer's age identity, or a file that holds it; needed for an encrypted bundle.
        public_key: the publisher's public key (base64), known from elsewhere. Without it the signatures are checked
            against the key in the bundle, and ``trusted`` stays false.

    Returns:
        ``{"ok", "trusted", "demo", "product", "version", "release_digest", "publisher_key", "checks": [{"id",
        "status", "detail"}]}``; ``ok`` is false as soon as one check failed.

    Raises:
        BadInput: there is no such file, or an encrypted bundle comes without a readable identity.
    """
    checks = _Checks()
    if bundle_path.is_dir():
        return _report(checks, *_verify_release(checks, bundle_path, public_key))
    try:
        with bundle_path.open("rb") as stream:
            encrypted = stream.read(len(_AGE_MAGIC)) == _AGE_MAGIC
    except OSError:
        raise BadInput("The bundle cannot be read", where=bundle_path.name) from None
    with tempfile.TemporaryDirectory(prefix="meddata-verify-") as name:
        folder = Path(name)
        plain, recipient = bundle_path, None
        if encrypted:
            if identity is None:
                raise BadInput("The bundle is encrypted", next_step="Give the buyer's key with --identity")
            plain, recipient = folder / "bundle.tar", str(load_identity(identity).to_public())
            if not _decrypt(checks, bundle_path, identity, plain):
                return _report(checks, None, None)
        members = folder / "members"
        if not _unpack(checks, plain, members):
            return _report(checks, None, None)
        release, key = _verify_release(checks, members / "release", public_key)
        _verify_bundle(checks, members, release, key, recipient)
        return _report(checks, release, key)


def _report(checks: _Checks, release: Envelope | None, key: str | None) -> dict[str, Any]:
    ok = all(check.status != "failed" for check in checks.done)
    statement = release.statement if release else {}
    return {
        "ok": ok,
        "trusted": ok and all(check.status == "passed" for check in checks.done),
        "demo": bool(release and release.demo),
        "product": statement.get("product"),
        "version": statement.get("version"),
        "release_digest": statement.get("release_digest"),
        "publisher_key": key,
        "checks": [asdict(check) for check in checks.done],
    }


def _decrypt(checks: _Checks, source: Path, identity: str | Path, target: Path) -> bool:
    import pyrage

    try:
        with source.open("rb") as reader, target.open("wb") as writer:
            pyrage.decrypt_io(reader, writer, [load_identity(identity)])
    except (pyrage.DecryptError, OSError):
        return checks.add("decryption", False, "Not encrypted to this key, or changed since")
    return checks.add("decryption", True)


def _unpack(checks: _Checks, source: Path, target: Path) -> bool:
    """Unpack the tar and insist that packing its members again gives the same bytes."""
    found: dict[str, Path | bytes] = {}
    try:
        with tarfile.open(source, mode="r:") as archive:
            for info in archive:
                if not info.isreg() or not is_plain_path(info.name) or "\0" in info.name or info.name in found:
                    return checks.add("container", False, "A member is not a plain file")
                path = target / info.name
                path.parent.mkdir(parents=True, exist_ok=True)
                stream = archive.extractfile(info)
                with path.open("xb") as writer:
                    while block := stream.read(1 << 20) if stream else b"":
                        writer.write(block)
                found[info.name] = path
        same = _packed_digest(found) == file_sha256(source)
    except (tarfile.TarError, OSError, ValueError, EOFError, OverflowError):
        return checks.add("container", False, "Not a bundle, or changed since")
    return checks.add("container", same, "Not packed as bundles are, or changed since")


def _verify_release(checks: _Checks, folder: Path, public_key: str | None) -> tuple[Envelope | None, str | None]:
    signature = checks.envelope("manifest-signature", folder / SIGNATURE, releases.TYPE)
    key = signature.key if signature else None
    if public_key is None:
        checks.unknown("publisher-key", f"Compare {fingerprint(key)} with the publisher" if key else "")
    else:
        checks.add("publisher-key", key == public_key, "Signed by another key than the publisher's")
    try:
        data = (folder / MANIFEST).read_bytes()
        published = read_canonical(data)
        stated = signature.statement if signature else {}
        same = {
            "product": published["product"],
            "version": published["version"],
            "release_digest": sha256_hex(data),
        }
        checks.add("manifest", all(stated.get(k) == v for k, v in same.items()), "Not the manifest that was signed")
        listed = {entry["path"]: {"sha256": entry["sha256"], "bytes": entry["bytes"]} for entry in published["files"]}
        actual = file_entries(folder)
        odd = sorted(path for path in {*listed, *actual} if listed.get(path) != actual.get(path))
        checks.add("files", not odd, f"Missing, added or changed: {', '.join(odd[:5])}")
    except OSError:
        checks.add("manifest", False, "manifest.json is missing")
    except _MALFORMED:
        checks.add("manifest", False, "manifest.json is malformed")
    except MeddataError as error:
        checks.add("files", False, error.message)
    return signature, key


def _verify_bundle(
    checks: _Checks, folder: Path, release: Envelope | None, key: str | None, recipient: str | None
) -> None:
    head = checks.envelope("bundle-signature", folder / _HEAD, TYPE)
    terms = checks.envelope("agreement-signature", folder / _AGREEMENT, AGREEMENT_TYPE)
    if head is None or terms is None or release is None:
        return
    checks.add("same-publisher", head.key == terms.key == key, "The parts are signed by different keys")
    names = ("product", "version", "release_digest")
    stated = [tuple(part.statement.get(name) for name in names) for part in (head, terms, release)]
    buyer = head.statement.get("recipient")
    checks.add("same-release", len(set(stated)) == 1, "The parts speak of different releases")
    checks.add(
        "same-buyer",
        buyer == terms.statement.get("buyer") and recipient in (None, buyer),
        "Agreement, bundle and key are of different buyers",
    )
    try:
        listed = {item["path"]: (item["sha256"], item["bytes"]) for item in head.statement["members"]}
    except _MALFORMED:
        listed = {}
    actual = {
        path.relative_to(folder).as_posix(): (file_sha256(path), path.stat().st_size)
        for path in folder.rglob("*")
        if path.is_file() and path != folder / _HEAD
    }
    checks.add("members", listed == actual, "A member is missing, added or changed")
    try:
        digest = read_canonical((folder / "release" / MANIFEST).read_bytes())["candidate_digest"]
    except (OSError, *_MALFORMED):
        return
    for path in sorted((folder / "signoffs").glob("*.json")):
        approved = _approves(path.read_bytes(), digest, path.stem)
        checks.add(f"sign-off-{path.stem}", approved, "Not a valid approval of this release")

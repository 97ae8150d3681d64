"""The signed attestation of a data quality evaluation: what it states, making one, and checking one offline.

What belongs here: the credential's shape and the checks that need no home. What does not: evaluating (quality), who may
evaluate a product and what is done with an attestation (app.evaluation), the signature itself (credentials).

An attestation is a W3C Verifiable Credential 2.0 in canonical JSON. It names a release by the SHA-256 of its
manifest.json, which names every file; so it stands beside the release and not inside. It is read strictly: bytes that
are not canonical are refused, so that no byte of it can be changed unnoticed.
"""

from __future__ import annotations

import calendar
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from meddata_pipeline.core.canonical import canonical_json, sha256_hex
from meddata_pipeline.core.errors import BadInput, MeddataError
from meddata_pipeline.exchange.credentials import add_proof, check_proof, did_key, public_of
from meddata_pipeline.exchange.release import MANIFEST, file_entries
from meddata_pipeline.exchange.signing import Signer, fingerprint, read_canonical

TYPE = "QualityEvaluationAttestation"
CONTEXT: list[Any] = ["https://www.w3.org/ns/credentials/v2", {"@vocab": "urn:meddata:quality-attestation:"}]
KINDS = ("self-assessment", "independent")
_LABELS = {
    "self-assessment": {
        "zh": "自评：由数据产品发布方自行评估；不构成认证",
        "en": "Self-assessment by the publisher of the data product; no certification",
    },
    "independent": {
        "zh": "第三方独立评估；不构成认证",
        "en": "Independent evaluation by a third party; no certification",
    },
}
_DEMO = {"zh": "演示密钥签署，请勿用于真实数据", "en": "Signed with a demo key: NOT FOR REAL DATA"}
# Reading somebody else's JSON can raise these once its shape is not ours.
_MALFORMED = (ValueError, KeyError, TypeError, AttributeError, IndexError)

#: check of :func:`verify` → code of the reason when it fails.
CODES = {
    "form": "malformed",
    "signature": "tampered",
    "dates": "expired",
    "issuer": "unknown-issuer",
    "independence": "rights-holder",
    "data": "other-data",
    "files": "release-damaged",
}


def add_months(day: date, months: int) -> date:
    """The same day some months later, or the last of that month where it has no such day."""
    years, month = divmod(day.month - 1 + months, 12)
    year = day.year + years
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


def _instant(day: date) -> str:
    return f"{day.isoformat()}T00:00:00Z"


def attest(
    evaluation: Mapping[str, Any],
    *,
    release_digest: str,
    reports: Mapping[str, str],
    signer: Signer,
    valid_from: date,
    months: int,
) -> bytes:
    """Sign an evaluation.

    Args:
        evaluation: from :func:`meddata_pipeline.quality.evaluation.evaluation`.
        release_digest: SHA-256 of the manifest.json of what was evaluated.
        reports: file name → SHA-256 of the reports that were made with it.
        signer: the evaluator's key.
        valid_from: day from which the attestation holds.
        months: how long it holds.

    Returns:
        Canonical JSON; the same arguments give the same bytes.
    """
    did = did_key(signer.public)
    stated = ("product", "version", "rows", "contract", "passed", "counts", "score", "scores", "data", "rules")
    labels = [_LABELS[evaluation["kind"]], *([_DEMO] if signer.demo else [])]
    document = {
        "@context": CONTEXT,
        "type": ["VerifiableCredential", TYPE],
        "issuer": {"id": did, "name": _values(evaluation["evaluator"]["name"])},
        "validFrom": _instant(valid_from),
        "validUntil": _instant(add_months(valid_from, months)),
        "credentialSubject": {
            "id": f"urn:meddata:release:{release_digest}",
            "releaseDigest": release_digest,
            "asOf": evaluation["as_of"],
            "kind": evaluation["kind"],
            "demo": signer.demo,
            "reproduced": evaluation["reproduced"],
            "notEvaluated": evaluation["not_evaluated"],
            "reservations": evaluation["reservations"],
            "reports": [{"path": name, "sha256": reports[name]} for name in sorted(reports)],
            **{name: evaluation[name] for name in stated},
        },
        "termsOfUse": [{"type": "QualityEvaluationTerms", "label": _values(label)} for label in labels],
    }
    return canonical_json(add_proof(document, signer.key, did, _instant(valid_from)))


def _values(text: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"@value": text[lang], "@language": lang} for lang in ("zh", "en")]


@dataclass(frozen=True)
class Attestation:
    """A well-formed attestation whose signature holds; whether it fits and whom one trusts are other questions.

    Attributes:
        issuer: public key of the evaluator (base64 of 32 bytes).
        name: of the evaluator, zh and en.
        kind: ``self-assessment`` or ``independent``.
        demo: a demo key signed.
        release_digest: of what was evaluated.
        valid_from: first day.
        valid_until: it holds before this instant.
        subject: what is stated.
    """

    issuer: str
    name: dict[str, str]
    kind: str
    demo: bool
    release_digest: str
    valid_from: datetime
    valid_until: datetime
    subject: dict[str, Any]

    @property
    def passed(self) -> bool:
        """Whether the evaluator found every blocking rule met."""
        return bool(self.subject["passed"])


class Tampered(ValueError):
    """The signature does not hold, while the form may be right."""


def looks_like(path: Path) -> bool:
    """Whether a file is a JSON object, so that it may be an attestation and is no bundle."""
    if not path.is_file():
        return False
    with path.open("rb") as stream:
        return stream.read(1) == b"{"


def read(data: bytes) -> Attestation:
    """Check an attestation's form and signature.

    Raises:
        Tampered: the signature does not hold, or the bytes are not as they were signed.
        ValueError: it is no attestation.
    """
    try:
        parsed = json.loads(data)
        named = parsed["type"]
    except (RecursionError, *_MALFORMED):
        raise ValueError("not an attestation of a quality evaluation") from None
    if not isinstance(named, list) or TYPE not in named:
        raise ValueError("not an attestation of a quality evaluation")
    try:
        read_canonical(data)
        did = check_proof(parsed)
    except _MALFORMED as error:
        raise Tampered(str(error)) from None
    try:
        subject = parsed["credentialSubject"]
        found = Attestation(
            issuer=public_of(did),
            name={entry["@language"]: str(entry["@value"]) for entry in parsed["issuer"]["name"]},
            kind=subject["kind"],
            demo=bool(subject["demo"]),
            release_digest=str(subject["releaseDigest"]),
            valid_from=_read_instant(parsed["validFrom"]),
            valid_until=_read_instant(parsed["validUntil"]),
            subject=subject,
        )
        right = (
            parsed["@context"] == CONTEXT
            and parsed["issuer"]["id"] == did
            and found.kind in KINDS
            and set(found.name) == {"zh", "en"}
            and isinstance(subject["passed"], bool)
        )
    except _MALFORMED:
        right = False
    if not right:
        raise ValueError("not an attestation of this form")
    return found


def _read_instant(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a time needs its zone")
    return moment


def holds(found: Attestation, now: datetime) -> bool:
    """Whether an attestation is valid at a time."""
    return found.valid_from <= now < found.valid_until


def release_of(path: Path) -> Path | None:
    """The release beside an attestation: in its folder, in an unpacked bundle, or in the home it was placed in."""
    here = path.parent
    places = (here, here / "release", here.parent / "release", here.parent.parent / here.name)
    return next((place for place in places if (place / MANIFEST).is_file()), None)


@dataclass(frozen=True)
class Check:
    """One check of :func:`verify`; ``unknown`` where there was nothing to compare with."""

    id: str
    status: str
    detail: str = ""
    code: str = ""


def _check(name: str, passed: bool, detail: str, code: str = "") -> Check:
    return Check(name, "passed") if passed else Check(name, "failed", detail, code or CODES[name])


def verify(
    path: Path, *, release: Path | None = None, public_key: str | None = None, now: datetime | None = None
) -> dict[str, Any]:
    """Check an attestation offline.

    Args:
        path: the attestation.
        release: folder of the release it is about; by default one that lies beside it.
        public_key: the evaluator's public key (base64) or did:key, known from elsewhere. Without it the signature is
            checked against the key that the attestation names, and ``trusted`` stays false.
        now: time to judge by; by default now.

    Returns:
        ``{"ok", "trusted", "demo", "kind", "product", "version", "release_digest", "issuer", "evaluator", "checks":
        [{"id", "status", "detail", "code"}]}``; ``ok`` is false as soon as one check failed.

    Raises:
        BadInput: the file cannot be read.
    """
    try:
        data = path.read_bytes()
    except OSError:
        raise BadInput("The attestation cannot be read", where=path.name) from None
    folder = release or release_of(path)
    checks: list[Check] = []
    found = None
    try:
        found = read(data)
    except Tampered as error:
        checks.append(_check("signature", False, str(error)))
    except ValueError as error:
        checks.append(_check("form", False, str(error)))
    if found is not None:
        checks += [Check("form", "passed"), Check("signature", "passed")]
        checks += _judge(found, folder, public_key, now or datetime.now(UTC))
    ok = all(check.status != "failed" for check in checks)
    return {
        "ok": ok,
        "trusted": ok and all(check.status == "passed" for check in checks),
        "demo": found is not None and found.demo,
        "kind": found.kind if found else None,
        "product": found.subject.get("product") if found else None,
        "version": found.subject.get("version") if found else None,
        "release_digest": found.release_digest if found else None,
        "issuer": did_key(found.issuer) if found else None,
        "evaluator": found.name if found else None,
        "checks": [asdict(check) for check in checks],
    }


def _judge(found: Attestation, folder: Path | None, public_key: str | None, now: datetime) -> list[Check]:
    early = now < found.valid_from
    when = f"It holds from {found.valid_from.date()} until {found.valid_until.date()}"
    checks = [_check("dates", holds(found, now), when, "not-yet-valid" if early else "")]
    if public_key is None:
        checks.append(Check("issuer", "unknown", f"Compare {fingerprint(found.issuer)} with the evaluator"))
    else:
        same = public_key in (found.issuer, did_key(found.issuer))
        checks.append(_check("issuer", same, "Signed by another key than the evaluator's"))
    if folder is None:
        return [*checks, Check("data", "unknown", "No release lies beside it: name its folder with --release")]
    try:
        data = (folder / MANIFEST).read_bytes()
        published = read_canonical(data)
        listed = {entry["path"]: {"sha256": entry["sha256"], "bytes": entry["bytes"]} for entry in published["files"]}
        publisher = published.get("publisher_key")
        same = sha256_hex(data) == found.release_digest
        checks.append(_check("data", same, "It was made for another release"))
        actual = file_entries(folder)
        odd = sorted(name for name in {*listed, *actual} if listed.get(name) != actual.get(name))
        checks.append(_check("files", not odd, f"Missing, added or changed: {', '.join(odd[:5])}"))
    except (OSError, *_MALFORMED):
        return [*checks, _check("data", False, "The folder holds no readable manifest of a release")]
    except MeddataError as error:
        return [*checks, _check("files", False, error.message)]
    if found.kind == "independent":
        own = publisher == found.issuer
        checks.append(_check("independence", not own, "It calls itself independent, and the publisher signed it"))
    return checks

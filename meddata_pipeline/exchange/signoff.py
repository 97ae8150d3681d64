"""Sign-off by role: people approve or reject a candidate by signing its digest.

What belongs here: making, keeping and judging these signatures. What does not: what the candidate must show before
people are asked, which the gates decide.

A sign-off lies in ``<home>/products/<id>/signoffs/<candidate digest>/<role>.json`` and is an envelope
(see :mod:`meddata_pipeline.exchange.signing`) over product, candidate digest, role, decision and reason. Trusted are
the keys that roles.yaml lists for the role and, in a home with demo keys only, the role's demo key: a real root key
can't sign for people, since whoever runs the machine holds it. A rejection by anybody trusted blocks.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from meddata_pipeline.core.canonical import digest8, sha256_hex
from meddata_pipeline.core.config import Config
from meddata_pipeline.core.errors import BadInput, Reason
from meddata_pipeline.core.offer import OfferTerms
from meddata_pipeline.core.product import validation_error
from meddata_pipeline.core.text import Text
from meddata_pipeline.exchange.signing import Envelope, Signer, seal, unseal
from meddata_pipeline.storage.files import PUBLIC_FILE, create_if_absent, write_atomic
from meddata_pipeline.storage.keys import Keyring

TYPE = "meddata/sign-off/1"
Decision = Literal["approve", "reject"]
_DIGEST = re.compile(r"[0-9a-f]{64}")
_ROLE = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


class Role(BaseModel):
    """One role of roles.yaml: its title and the public keys (base64) of the people who hold it."""

    model_config = ConfigDict(extra="forbid")

    title: Text
    keys: list[str] = []


class _RolesFile(BaseModel):
    model_config = ConfigDict(extra="forbid")

    roles: dict[str, Role]


class Roles:
    """Who may sign as what.

    Args:
        roles: role → its entry.
        keyring: the home's keys; only demo keys count, see the module's text.
    """

    def __init__(self, roles: Mapping[str, Role], keyring: Keyring | None = None) -> None:
        self.roles = dict(roles)
        self._demo = keyring if keyring is not None and keyring.demo else None

    @classmethod
    def load(cls, config: Config, keyring: Keyring | None = None) -> Roles:
        """Read roles.yaml.

        Raises:
            ConfigError: the file is missing or wrong.
        """
        try:
            parsed = _RolesFile.model_validate(config.load("roles.yaml"))
        except ValidationError as error:
            raise validation_error("roles.yaml", error) from None
        return cls(parsed.roles, keyring)

    def trusts(self, role: str, envelope: Envelope) -> bool:
        """Whether the key of an envelope may sign as this role."""
        if envelope.demo:
            return self._demo is not None and envelope.key == Signer.from_keyring(self._demo, f"role:{role}").public
        return role in self.roles and envelope.key in self.roles[role].keys

    def title(self, role: str) -> dict[str, str]:
        """The role's name in both languages."""
        return self.roles[role].title.model_dump() if role in self.roles else {"zh": role, "en": role}


@dataclass(frozen=True)
class SignoffStatus:
    """Where a candidate stands with the people.

    Attributes:
        approved, rejected: role → reason that was given.
        missing: required roles that have not signed.
        untrusted: roles whose file holds no valid signature of a trusted key; they count as missing.
        demo: some signature comes from a demo key.
    """

    approved: dict[str, str]
    rejected: dict[str, str]
    missing: tuple[str, ...]
    untrusted: tuple[str, ...]
    demo: bool

    @property
    def complete(self) -> bool:
        """Whether a version may be cut."""
        return not self.missing and not self.rejected

    def reasons(self) -> list[Reason]:
        """Why not; empty when complete."""
        untrusted = "The signature is invalid or its key is not registered for the role"
        return [
            *(Reason("rejected", "The candidate was rejected", role) for role in self.rejected),
            *(Reason("untrusted-signature", untrusted, role) for role in self.untrusted),
            *(Reason("missing-signature", "The role has not signed this candidate", role) for role in self.missing),
        ]


def signoff_dir(home: Path, product: str, candidate_digest: str) -> Path:
    """The folder that holds the sign-offs of one candidate.

    Raises:
        BadInput: not a SHA-256 digest.
    """
    if not _DIGEST.fullmatch(candidate_digest):
        raise BadInput("The candidate's digest must be 64 hexadecimal characters", where="candidate digest")
    return home / "products" / product / "signoffs" / candidate_digest


def sign(
    home: Path,
    product: str,
    candidate_digest: str,
    role: str,
    decision: Decision,
    reason: str,
    signer: Signer,
    *,
    signed_at: str | None = None,
) -> dict[str, Any]:
    """Sign a candidate as a role, and keep the signature.

    Signing the same again changes nothing. A changed mind replaces the earlier sign-off, names it by digest, and the
    earlier one is kept beside it.

    Args:
        home: the home folder.
        product: the product's id.
        candidate_digest: SHA-256 of the candidate's evidence, hexadecimal.
        role: as what the person signs.
        decision: approve or reject.
        reason: the person's words; a rejection needs them.
        signer: the person's key.
        signed_at: time as text (ISO 8601); None in the demo, so that the same run gives the same bytes.

    Returns:
        The statement that was signed.

    Raises:
        BadInput: role or digest is malformed, or a rejection comes without a reason.
    """
    if not _ROLE.fullmatch(role):
        raise BadInput("A role is lower-case letters, digits and dashes", where="role")
    if decision not in ("approve", "reject"):
        raise BadInput("The decision is approve or reject", where="decision")
    if decision == "reject" and not reason.strip():
        raise BadInput("A rejection needs a reason", where="reason", next_step="Say why, with --reason")
    path = signoff_dir(home, product, candidate_digest) / f"{role}.json"
    body: dict[str, Any] = {
        "type": TYPE,
        "product": product,
        "candidate_digest": candidate_digest,
        "role": role,
        "decision": decision,
        "reason": reason,
        "replaces": None,
    }
    if signed_at is not None:
        body["signed_at"] = signed_at
    earlier = path.read_bytes() if path.exists() else None
    if earlier is not None:
        before = _read(earlier)
        said = ("decision", "reason")
        if before is not None and before.key == signer.public and all(before.statement.get(k) == body[k] for k in said):
            return before.statement
        body["replaces"] = sha256_hex(earlier)
        # Kept before it is replaced: a killed process leaves at worst a copy of what still counts.
        create_if_absent(path.with_name(f"{role}.{body['replaces'][:16]}.superseded"), earlier, PUBLIC_FILE)
    data = seal(body, signer)
    write_atomic(path, data, PUBLIC_FILE)
    return unseal(data, TYPE).statement


def _read(data: bytes) -> Envelope | None:
    try:
        return unseal(data, TYPE)
    except ValueError:
        return None


def signoffs(home: Path, product: str, candidate_digest: str) -> dict[str, bytes]:
    """The envelopes that count now, role → bytes, unjudged."""
    folder = signoff_dir(home, product, candidate_digest)
    return {path.stem: path.read_bytes() for path in sorted(folder.glob("*.json"))}


def status(home: Path, offer: OfferTerms, candidate_digest: str, roles: Roles) -> SignoffStatus:
    """Judge the sign-offs of a candidate against the roles that the offer asks for.

    Args:
        home: the home folder.
        candidate_digest: SHA-256 of the candidate's evidence, hexadecimal.
        offer: names the required roles; other trusted roles may reject too.
        roles: who may sign as what.
    """
    approved: dict[str, str] = {}
    rejected: dict[str, str] = {}
    untrusted: list[str] = []
    demo = False
    for role, data in signoffs(home, offer.product, candidate_digest).items():
        envelope = _read(data)
        expected = (offer.product, candidate_digest, role)
        named = envelope and tuple(envelope.statement.get(k) for k in ("product", "candidate_digest", "role"))
        if envelope is None or named != expected or not roles.trusts(role, envelope):
            untrusted.append(role)
            continue
        demo = demo or envelope.demo
        kept = approved if envelope.statement.get("decision") == "approve" else rejected
        kept[role] = str(envelope.statement.get("reason", ""))
    missing = tuple(role for role in offer.signatures if role not in approved and role not in rejected)
    return SignoffStatus(approved, rejected, missing, tuple(untrusted), demo)


def demo_sign(home: Path, offer: OfferTerms, candidate_digest: str, keyring: Keyring) -> list[str]:
    """Sign as every required role with demo keys, unless the role has already decided.

    Returns:
        The roles signed for now.

    Raises:
        BadInput: the keyring is not a demo keyring.
    """
    if not keyring.demo:
        raise BadInput(
            "Real keys cannot sign for people", next_step="Use `meddata release approve`, or --demo-keys in a demo home"
        )
    decided = signoffs(home, offer.product, candidate_digest)
    now = [role for role in offer.signatures if role not in decided]
    for role in now:
        signer = Signer.from_keyring(keyring, f"role:{role}")
        sign(home, offer.product, candidate_digest, role, "approve", f"demo key {digest8(candidate_digest)}", signer)
    return now

"""Ed25519 signatures over canonical JSON: the one form in which this package signs anything.

What belongs here: keys as text, envelopes, their strict reading. What does not: who is trusted for what, which the
callers decide. A self-issued signature is evidence, not a 可靠电子签名.

An envelope is the canonical JSON of ``{"key", "signature", "statement"}``. The statement names its own ``type``, so
that a signature made for one purpose can't be shown for another, and says whether the key is a demo key. Reading is
strict: an envelope whose bytes are not canonical is refused, so that no byte of it can be changed unnoticed.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from meddata_pipeline.core.canonical import canonical_json, sha256_hex
from meddata_pipeline.core.errors import BadInput
from meddata_pipeline.storage.keys import Keyring


@dataclass(frozen=True)
class Signer:
    """A key that signs, and whether it is a demo key (then every statement says so)."""

    key: Ed25519PrivateKey
    demo: bool = False

    @classmethod
    def from_keyring(cls, keyring: Keyring, purpose: str) -> Signer:
        """The signer of one purpose, e.g. ``release`` or ``role:privacy-officer``."""
        return cls(keyring.signing_key(purpose), keyring.demo)

    @property
    def public(self) -> str:
        """The public key as text (base64 of 32 bytes)."""
        return public_text(self.key)


def public_text(key: Ed25519PrivateKey) -> str:
    """The public key of a private one as text: base64 of its 32 bytes."""
    raw = key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return base64.b64encode(raw).decode()


def fingerprint(public: str) -> str:
    """Short name of a public key for people: the first 16 characters of the SHA-256 of its text."""
    return sha256_hex(public.encode())[:16]


def load_private_key(path: Path) -> Ed25519PrivateKey:
    """Read an Ed25519 private key from a PEM file (``openssl genpkey -algorithm ed25519``).

    Raises:
        BadInput: the file is not there, is not PEM, is encrypted or holds another kind of key.
    """
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except OSError:
        raise BadInput("The key file cannot be read", where=path.name) from None
    except (ValueError, TypeError):
        raise BadInput(
            "The key file is not an unencrypted PEM private key",
            where=path.name,
            next_step="Make one with: openssl genpkey -algorithm ed25519 -out role.pem",
        ) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise BadInput("The key is not an Ed25519 key", where=path.name)
    return key


def seal(statement: Mapping[str, Any], signer: Signer) -> bytes:
    """Sign a statement.

    Args:
        statement: JSON-like, with a ``type``; ``demo`` is set from the signer.
        signer: the key, and whether it is a demo key.

    Returns:
        The envelope's bytes; the same statement and key give the same bytes.
    """
    body = {**statement, "demo": signer.demo}
    signature = signer.key.sign(canonical_json(body))
    return canonical_json(
        {"key": signer.public, "signature": base64.b64encode(signature).decode(), "statement": body},
    )


@dataclass(frozen=True)
class Envelope:
    """A statement whose signature holds for ``key``; whether that key is trusted is another question."""

    statement: dict[str, Any]
    key: str

    @property
    def demo(self) -> bool:
        """Whether a demo key signed."""
        return bool(self.statement.get("demo"))


def read_canonical(data: bytes) -> Any:
    """Parse JSON and insist that the bytes are its canonical form.

    Raises:
        ValueError: not JSON, or not canonical.
    """
    try:
        parsed = json.loads(data)
        canonical = canonical_json(parsed)
    except (RecursionError, UnicodeError):
        raise ValueError("not canonical JSON") from None
    if canonical != data:
        raise ValueError("not canonical JSON")
    return parsed


def _decode(text: Any, length: int) -> bytes:
    if not isinstance(text, str):
        raise ValueError("not base64 text")
    raw = base64.b64decode(text, validate=True)
    # Base64 has spare bits at the end; only the canonical spelling counts.
    if len(raw) != length or base64.b64encode(raw).decode() != text:
        raise ValueError("not canonical base64")
    return raw


def unseal(data: bytes, expected_type: str) -> Envelope:
    """Check an envelope's form and signature.

    Raises:
        ValueError: the form is wrong, the type is another one, or the signature doesn't hold.
    """
    parsed = read_canonical(data)
    if not isinstance(parsed, dict) or set(parsed) != {"key", "signature", "statement"}:
        raise ValueError("not an envelope")
    statement = parsed["statement"]
    if not isinstance(statement, dict) or statement.get("type") != expected_type:
        raise ValueError(f"not a statement of type {expected_type}")
    key = Ed25519PublicKey.from_public_bytes(_decode(parsed["key"], 32))
    try:
        key.verify(_decode(parsed["signature"], 64), canonical_json(statement))
    except InvalidSignature:
        raise ValueError("the signature does not hold") from None
    return Envelope(statement, parsed["key"])

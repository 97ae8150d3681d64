"""Verifiable Credentials 2.0 with a Data Integrity proof ``eddsa-jcs-2022``: adding one, and checking one offline.

What belongs here: the cryptosuite, ``did:key`` and the encodings they need. What does not: what a credential says, and
whom its reader trusts. Only ``did:key`` is resolved, since it needs no network: the key is in the name.

Source:
    W3C, Data Integrity EdDSA Cryptosuites v1.0, section 3.3; Verifiable Credential Data Integrity 1.0; did:key.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from meddata_pipeline.core.canonical import canonical_json

_ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_ED25519 = b"\xed\x01"  # multicodec ed25519-pub
_SUITE = {"type": "DataIntegrityProof", "cryptosuite": "eddsa-jcs-2022", "proofPurpose": "assertionMethod"}
_DID = "did:key:"


def multibase(data: bytes) -> str:
    """Bytes as multibase text: ``z`` and base58btc."""
    number, digits = int.from_bytes(data), ""
    while number:
        number, digit = divmod(number, 58)
        digits = _ALPHABET[digit] + digits
    zeros = len(data) - len(data.lstrip(b"\0"))
    return "z" + "1" * zeros + digits


def from_multibase(text: Any, length: int) -> bytes:
    """The bytes of a multibase text.

    Raises:
        ValueError: not ``z`` and base58btc, or of another length.
    """
    if not isinstance(text, str) or len(text) > 2 * length + 1 or text[:1] != "z":
        raise ValueError("not base58btc")
    number = 0
    for char in text[1:]:
        number = number * 58 + _ALPHABET.index(char)
    zeros = len(text[1:]) - len(text[1:].lstrip("1"))
    data = b"\0" * zeros + number.to_bytes((number.bit_length() + 7) // 8)
    if len(data) != length:
        raise ValueError("not base58btc of the right length")
    return data


def did_key(public: str) -> str:
    """The ``did:key`` of an Ed25519 public key.

    Args:
        public: base64 of its 32 bytes, as roles.yaml and manifests have it.
    """
    return _DID + multibase(_ED25519 + base64.b64decode(public))


def public_of(did: Any) -> str:
    """The public key (base64 of 32 bytes) that a ``did:key`` names.

    Raises:
        ValueError: not the did:key of an Ed25519 key.
    """
    if not isinstance(did, str) or not did.startswith(_DID):
        raise ValueError("not a did:key")
    raw = from_multibase(did.removeprefix(_DID), len(_ED25519) + 32)
    if raw[: len(_ED25519)] != _ED25519:
        raise ValueError("not an Ed25519 key")
    return base64.b64encode(raw[len(_ED25519) :]).decode()


def _hashed(config: Mapping[str, Any], document: Mapping[str, Any]) -> bytes:
    return hashlib.sha256(canonical_json(config)).digest() + hashlib.sha256(canonical_json(document)).digest()


def add_proof(document: Mapping[str, Any], key: Ed25519PrivateKey, did: str, created: str) -> dict[str, Any]:
    """Sign a document.

    Args:
        document: JSON-like, with ``@context`` and without ``proof``.
        key: the signer's key.
        did: its did:key, see :func:`did_key`.
        created: time of the signature, XML Schema dateTime.

    Returns:
        The document with its proof; the same arguments give the same proof.
    """
    method = f"{did}#{did.removeprefix(_DID)}"
    config = {**_SUITE, "created": created, "verificationMethod": method, "@context": document["@context"]}
    return {**document, "proof": {**config, "proofValue": multibase(key.sign(_hashed(config, document)))}}


def check_proof(secured: Mapping[str, Any]) -> str:
    """Check the proof of a document.

    Args:
        secured: the document with its one proof.

    Returns:
        The did:key that signed it.

    Raises:
        ValueError: there is no such proof, or it does not hold.
    """
    proof = secured.get("proof")
    if not isinstance(proof, dict) or any(proof.get(name) != value for name, value in _SUITE.items()):
        raise ValueError("not an eddsa-jcs-2022 proof")
    document = {name: value for name, value in secured.items() if name != "proof"}
    config = {name: value for name, value in proof.items() if name != "proofValue"}
    if config.get("@context") != document.get("@context"):
        raise ValueError("the proof is of another context")
    method = proof.get("verificationMethod")
    did, _, fragment = method.partition("#") if isinstance(method, str) else ("", "", "")
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public_of(did)))
    if fragment != did.removeprefix(_DID):
        raise ValueError("the verification method is not the key's own")
    try:
        key.verify(from_multibase(proof.get("proofValue"), 64), _hashed(config, document))
    except InvalidSignature:
        raise ValueError("the signature does not hold") from None
    return did

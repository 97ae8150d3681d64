"""The proof of attestations against the test vectors of W3C's Data Integrity EdDSA Cryptosuites v1.0, appendix B.

The key pair and every value below are public and stand in the specification.
"""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from meddata_pipeline.core.canonical import canonical_json
from meddata_pipeline.exchange.credentials import add_proof, check_proof, did_key, from_multibase, multibase, public_of
from meddata_pipeline.exchange.signing import public_text

PUBLIC = "z6MkrJVnaZkeFzdQyMZu1cgjg7k1pZZ6pvBQ7XJPt4swbTQ2"
PRIVATE = "z3u2en7t5LR2WtQH5PfFqMqwVHBeXouLzo6haApm8XHqvjxq"
DID = f"did:key:{PUBLIC}"
CREATED = "2023-02-24T23:36:38Z"
DOCUMENT: dict[str, Any] = {
    "@context": ["https://www.w3.org/ns/credentials/v2", "https://www.w3.org/ns/credentials/examples/v2"],
    "id": "urn:uuid:58172aac-d8ba-11ed-83dd-0b3aef56cc33",
    "type": ["VerifiableCredential", "AlumniCredential"],
    "name": "Alumni Credential",
    "description": "A minimum viable example of an Alumni Credential.",
    "issuer": "https://vc.example/issuers/5678",
    "validFrom": "2023-01-01T00:00:00Z",
    "credentialSubject": {"id": "did:example:abcdefgh", "alumniOf": "The School of Examples"},
}
DOCUMENT_HASH = "59b7cb6251b8991add1ce0bc83107e3db9dbbab5bd2c28f687db1a03abc92f19"
PROOF_HASH = "66ab154f5c2890a140cb8388a22a160454f80575f6eae09e5a097cabe539a1db"
SIGNATURE = (
    "407cd12654b33d718ecbb99179a1506daaa849450bf3fc523cce3e1c96f8b803"
    "51da3f253d725c6f00b07c9e5448d50b3ef78012b9ab54255116d069c6dd2808"
)
PROOF_VALUE = "z2HnFSSPPBzR36zdDgK8PbEHeXbR56YF24jwMpt3R1eHXQzJDMWS93FCzpvJpwTWd3GAVFuUfjoJdcnTMuVor51aX"


def test_the_published_key_signs_as_published() -> None:
    key = Ed25519PrivateKey.from_private_bytes(from_multibase(PRIVATE, 34)[2:])
    assert did_key(public_text(key)) == DID
    assert public_of(DID) == public_text(key)
    signed = add_proof(DOCUMENT, key, DID, CREATED)
    assert signed["proof"]["proofValue"] == PROOF_VALUE
    assert from_multibase(PROOF_VALUE, 64).hex() == SIGNATURE
    assert multibase(bytes.fromhex(SIGNATURE)) == PROOF_VALUE
    assert check_proof(signed) == DID


def test_the_hashes_are_the_published_ones() -> None:
    proof = add_proof(DOCUMENT, Ed25519PrivateKey.generate(), DID, CREATED)["proof"]
    del proof["proofValue"]
    assert hashlib.sha256(canonical_json(DOCUMENT)).hexdigest() == DOCUMENT_HASH
    assert hashlib.sha256(canonical_json(proof)).hexdigest() == PROOF_HASH


@pytest.mark.parametrize("name", ["created", "verificationMethod", "proofValue", "@context", "cryptosuite"])
def test_no_other_proof_passes(name: str) -> None:
    key = Ed25519PrivateKey.from_private_bytes(from_multibase(PRIVATE, 34)[2:])
    signed = add_proof(DOCUMENT, key, DID, CREATED)
    other = did_key(public_text(Ed25519PrivateKey.generate()))
    changed = {
        "created": "2023-02-24T23:36:39Z",
        "verificationMethod": f"{other}#{other.removeprefix('did:key:')}",
        "proofValue": multibase(bytes(64)),
        "@context": DOCUMENT["@context"][:1],
        "cryptosuite": "eddsa-rdfc-2022",
    }
    with pytest.raises(ValueError, match=r"."):
        check_proof({**signed, "proof": {**signed["proof"], name: changed[name]}})
    with pytest.raises(ValueError, match=r"."):
        check_proof({**signed, name: "x"})


def test_leading_zeros_survive_base58() -> None:
    # Vectors of draft-msporny-base58-03, section 5.
    assert multibase(b"Hello World!") == "z2NEpo7TZRRrLZSi2U"
    assert multibase(bytes.fromhex("0000287fb4cd")) == "z11233QC4"
    assert from_multibase("z11233QC4", 6).hex() == "0000287fb4cd"
    for wrong in ("11233QC4", "z1233QC4", "z0", "", None, "z" + "1" * 9):
        with pytest.raises(ValueError, match=r"."):
            from_multibase(wrong, 6)

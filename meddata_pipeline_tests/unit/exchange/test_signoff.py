"""Sign-offs: only trusted keys count, for their role, product and digest only."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from meddata_pipeline.core.config import Config
from meddata_pipeline.core.errors import BadInput
from meddata_pipeline.exchange.signing import Signer, load_private_key
from meddata_pipeline.exchange.signoff import Role, Roles, demo_sign, sign, signoff_dir, status
from meddata_pipeline.storage.keys import demo_keyring
from meddata_pipeline_tests.unit.exchange.trade import CANDIDATE, KEYRING, REAL, offer

OFFICER = Signer(Ed25519PrivateKey.from_private_bytes(b"o" * 32))
OWNER = Signer(Ed25519PrivateKey.from_private_bytes(b"w" * 32))


def _roles(keyring: object = None) -> Roles:
    registered = {
        "privacy-officer": Role(title="officer", keys=[OFFICER.public]),
        "data-owner": Role(title="owner", keys=[OWNER.public]),
        "ethics-committee": Role(title="ethics", keys=[OWNER.public]),
    }
    return Roles(registered, keyring)  # type: ignore[arg-type]


def test_two_registered_people_complete_the_sign_off(tmp_path: Path) -> None:
    sign(
        tmp_path, "demo", CANDIDATE, "privacy-officer", "approve", "checked", OFFICER, signed_at="2024-01-03T08:00:00Z"
    )
    assert status(tmp_path, offer(), CANDIDATE, _roles()).missing == ("data-owner",)
    sign(tmp_path, "demo", CANDIDATE, "data-owner", "approve", "", OWNER)
    found = status(tmp_path, offer(), CANDIDATE, _roles())
    assert found.complete
    assert not found.demo
    assert found.reasons() == []


def test_demo_keys_count_in_a_demo_home_only(tmp_path: Path) -> None:
    assert demo_sign(tmp_path, offer(), CANDIDATE, KEYRING) == ["privacy-officer", "data-owner"]
    assert demo_sign(tmp_path, offer(), CANDIDATE, KEYRING) == []
    found = status(tmp_path, offer(), CANDIDATE, _roles(KEYRING))
    assert found.complete
    assert found.demo
    for other in (None, REAL, demo_keyring(8)):
        outside = status(tmp_path, offer(), CANDIDATE, _roles(other))
        assert not outside.complete
        assert outside.untrusted == ("data-owner", "privacy-officer")


def test_a_real_root_key_cannot_sign_for_people(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="Real keys"):
        demo_sign(tmp_path, offer(), CANDIDATE, REAL)
    sign(tmp_path, "demo", CANDIDATE, "data-owner", "approve", "", Signer.from_keyring(REAL, "role:data-owner"))
    assert status(tmp_path, offer(), CANDIDATE, _roles(REAL)).untrusted == ("data-owner",)


def test_a_key_counts_for_its_role_product_and_digest_only(tmp_path: Path) -> None:
    folder = signoff_dir(tmp_path, "demo", CANDIDATE)
    sign(tmp_path, "demo", CANDIDATE, "data-owner", "approve", "", OFFICER)  # the officer's key as the owner
    sign(tmp_path, "other", CANDIDATE, "privacy-officer", "approve", "", OFFICER)
    moved = signoff_dir(tmp_path, "other", CANDIDATE) / "privacy-officer.json"
    (folder / moved.name).write_bytes(moved.read_bytes())
    found = status(tmp_path, offer(), CANDIDATE, _roles())
    assert found.untrusted == ("data-owner", "privacy-officer")
    assert found.missing == ("privacy-officer", "data-owner")
    elsewhere = "d" * 64
    signoff_dir(tmp_path, "demo", elsewhere).mkdir(parents=True)
    sign(tmp_path, "demo", CANDIDATE, "privacy-officer", "approve", "", OFFICER)
    copied = signoff_dir(tmp_path, "demo", elsewhere) / "privacy-officer.json"
    copied.write_bytes((folder / "privacy-officer.json").read_bytes())
    assert status(tmp_path, offer(), elsewhere, _roles()).untrusted == ("privacy-officer",)


def test_a_rejection_blocks_even_from_a_role_that_is_not_asked(tmp_path: Path) -> None:
    for role, signer in (("privacy-officer", OFFICER), ("data-owner", OWNER)):
        sign(tmp_path, "demo", CANDIDATE, role, "approve", "", signer)
    sign(tmp_path, "demo", CANDIDATE, "ethics-committee", "reject", "consent is unclear", OWNER)
    found = status(tmp_path, offer(), CANDIDATE, _roles())
    assert found.rejected == {"ethics-committee": "consent is unclear"}
    assert [reason.code for reason in found.reasons()] == ["rejected"]
    assert not found.complete


def test_a_changed_mind_replaces_and_keeps_the_earlier_word(tmp_path: Path) -> None:
    sign(tmp_path, "demo", CANDIDATE, "data-owner", "reject", "wait", OWNER)
    with pytest.raises(BadInput, match="reason"):
        sign(tmp_path, "demo", CANDIDATE, "data-owner", "reject", " ", OWNER)
    again = sign(tmp_path, "demo", CANDIDATE, "data-owner", "approve", "settled", OWNER)
    assert again["replaces"]
    assert sign(tmp_path, "demo", CANDIDATE, "data-owner", "approve", "settled", OWNER) == again
    folder = signoff_dir(tmp_path, "demo", CANDIDATE)
    assert len(list(folder.glob("data-owner.*.superseded"))) == 1
    assert status(tmp_path, offer(), CANDIDATE, _roles()).approved == {"data-owner": "settled"}


def test_a_changed_byte_makes_a_sign_off_untrusted(tmp_path: Path) -> None:
    sign(tmp_path, "demo", CANDIDATE, "privacy-officer", "reject", "no", OFFICER)
    path = signoff_dir(tmp_path, "demo", CANDIDATE) / "privacy-officer.json"
    path.write_bytes(path.read_bytes().replace(b'"reject"', b'"approve"'))
    assert status(tmp_path, offer(), CANDIDATE, _roles()).untrusted == ("privacy-officer",)


@pytest.mark.parametrize(
    ("digest", "role"), [("c" * 63, "data-owner"), ("../../../x", "data-owner"), (CANDIDATE, "../x")]
)
def test_paths_cannot_be_smuggled_in(tmp_path: Path, digest: str, role: str) -> None:
    with pytest.raises(BadInput):
        sign(tmp_path, "demo", digest, role, "approve", "", OWNER)


def test_the_shipped_roles_are_readable_and_trust_nobody() -> None:
    roles = Roles.load(Config())
    assert {"privacy-officer", "data-owner"} <= set(roles.roles)
    assert all(not role.keys for role in roles.roles.values())


def test_a_private_key_is_read_from_pem(tmp_path: Path) -> None:
    path = tmp_path / "role.pem"
    path.write_bytes(
        OFFICER.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    assert Signer(load_private_key(path)).public == OFFICER.public
    path.write_text(json.dumps({"not": "a key"}))
    with pytest.raises(BadInput, match="PEM"):
        load_private_key(path)

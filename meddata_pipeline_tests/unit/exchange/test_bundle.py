"""Bundles: the buyer opens and checks them offline, nobody else, and no changed byte passes."""

from __future__ import annotations

import io
import random
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyrage
import pytest

from meddata_pipeline.core.canonical import canonical_json, sha256_hex
from meddata_pipeline.core.errors import BadInput, Refused
from meddata_pipeline.exchange.bundle import agreement, bundle, verify
from meddata_pipeline.exchange.recipients import bech32, demo_buyer, load_identity, recipient_of
from meddata_pipeline.exchange.release import commits
from meddata_pipeline.exchange.signing import Signer, read_canonical, seal
from meddata_pipeline.exchange.signoff import demo_sign
from meddata_pipeline.storage.keys import demo_keyring
from meddata_pipeline_tests.unit.exchange.trade import CANDIDATE, KEYRING, REAL, offer, publish, release_signer

IDENTITY = demo_buyer(KEYRING)
BUYER = recipient_of(IDENTITY)
PUBLISHER = release_signer().public


def _sold(home: Path) -> Path:
    demo_sign(home, offer(), CANDIDATE, KEYRING)
    made = publish(home)
    terms = agreement(offer(), made, order="order-1", buyer=BUYER, price_fen=60_000)
    return bundle(home, "demo", "1.1", BUYER, signer=release_signer(), terms=terms)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("home")
    _sold(folder)
    return folder


@pytest.fixture(scope="module")
def sold(home: Path) -> Path:
    return next((home / "products/demo/bundles").iterdir())


def test_bech32_agrees_with_a_published_vector_and_with_age() -> None:
    assert bech32("a", b"") == "a12uel5l"  # BIP 173, valid test vectors
    generated = pyrage.x25519.Identity.generate()
    for seed in range(20):
        identity = demo_buyer(demo_keyring(seed))
        assert str(load_identity(identity)) == identity
    assert str(load_identity(str(generated))) == str(generated)
    with pytest.raises(BadInput, match="demo home"):
        demo_buyer(REAL)


def test_the_buyer_can_check_everything(sold: Path, tmp_path: Path) -> None:
    key = tmp_path / "key.txt"
    key.write_text(f"# created: today\n{IDENTITY}\n")
    for identity in (IDENTITY, key):
        report = verify(sold, identity, PUBLISHER)
        assert report["ok"], report
        assert report["trusted"]
        assert report["demo"]
        assert (report["product"], report["version"]) == ("demo", "1.1")
        ids = {check["id"] for check in report["checks"]}
        assert {"decryption", "container", "files", "members", "sign-off-privacy-officer", "sign-off-data-owner"} <= ids


def test_without_the_publishers_key_nothing_is_trusted(sold: Path) -> None:
    report = verify(sold, IDENTITY)
    assert report["ok"]
    assert not report["trusted"]
    assert [c["id"] for c in report["checks"] if c["status"] == "unknown"] == ["publisher-key"]
    assert not verify(sold, IDENTITY, release_signer(REAL).public)["ok"]


def test_nobody_else_can_open_it(sold: Path) -> None:
    other = demo_buyer(demo_keyring(99))
    assert [c["id"] for c in verify(sold, other, PUBLISHER)["checks"] if c["status"] == "failed"] == ["decryption"]
    assert b"first" not in sold.read_bytes()
    with pytest.raises(BadInput, match="encrypted"):
        verify(sold)
    with pytest.raises(BadInput, match="identity"):
        verify(sold, "AGE-SECRET-KEY-1NONSENSE")
    with pytest.raises(BadInput, match="cannot be read"):
        verify(sold.with_name("absent.age"), IDENTITY)


def test_the_same_sale_gives_the_same_bundle(tmp_path: Path, sold: Path) -> None:
    first = _sold(tmp_path)
    bytes_before = first.read_bytes()
    assert _sold(tmp_path) == first
    assert first.read_bytes() == bytes_before
    assert first.name == sold.name  # another home, same content, same digest
    plain = [pyrage.decrypt(path.read_bytes(), [load_identity(IDENTITY)]) for path in (first, sold)]
    assert plain[0] == plain[1]


def test_plain_tools_can_unpack_it(sold: Path) -> None:
    plain = pyrage.decrypt(sold.read_bytes(), [load_identity(IDENTITY)])
    with tarfile.open(fileobj=io.BytesIO(plain)) as archive:
        names = archive.getnames()
    assert names[0] == "bundle.json"
    assert {"agreement.json", "release/manifest.json", "release/data/数据字典.csv", "signoffs/data-owner.json"} <= set(
        names
    )


def _mutations(data: bytes, count: int, seed: int) -> list[bytes]:
    chosen = random.Random(seed)
    changed = []
    for _ in range(count):
        at, flip = chosen.randrange(len(data)), chosen.randrange(1, 256)
        changed.append(data[:at] + bytes([data[at] ^ flip]) + data[at + 1 :])
    return changed


def test_no_changed_byte_of_a_bundle_passes(sold: Path, tmp_path: Path) -> None:
    path = tmp_path / "x.age"
    data = sold.read_bytes()
    # Every byte of the header, then anywhere; bytes taken away or added.
    header = [data[:i] + bytes([data[i] ^ 1]) + data[i + 1 :] for i in range(22, min(260, len(data)))]
    for changed in [*header, *_mutations(data, 200, 1), data[:-1], data + b"\0", data[:100], data + data]:
        path.write_bytes(changed)
        assert not verify(path, IDENTITY, PUBLISHER)["ok"]


def test_no_changed_byte_of_a_decrypted_bundle_passes(sold: Path, tmp_path: Path) -> None:
    path = tmp_path / "x.tar"
    plain = pyrage.decrypt(sold.read_bytes(), [load_identity(IDENTITY)])
    path.write_bytes(plain)
    assert verify(path, public_key=PUBLISHER)["trusted"]
    for changed in [*_mutations(plain, 250, 2), plain[:-512], plain + b"\0" * 512, plain + plain]:
        path.write_bytes(changed)
        assert not verify(path, public_key=PUBLISHER)["ok"]


@pytest.mark.parametrize("name", ["manifest.json", "manifest.sig", "report.html", "data/数据字典.csv"])
def test_no_changed_byte_of_a_release_folder_passes(home: Path, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "release"
    shutil.copytree(home / "products/demo/1.1", folder)
    assert verify(folder, public_key=PUBLISHER)["trusted"]
    data = (folder / name).read_bytes()
    for changed in [*_mutations(data, 120, 3), data[:-1], data + b" ", data + b"\n"]:
        (folder / name).write_bytes(changed)
        assert not verify(folder, public_key=PUBLISHER)["ok"]
    (folder / name).unlink()
    assert not verify(folder, public_key=PUBLISHER)["ok"]


def test_a_file_added_to_a_release_is_noticed(home: Path, tmp_path: Path) -> None:
    folder = tmp_path / "release"
    shutil.copytree(home / "products/demo/1.1", folder)
    (folder / "rows.csv").write_text("x")
    assert not verify(folder, public_key=PUBLISHER)["ok"]
    (folder / "rows.csv").unlink()
    (folder / "link").symlink_to("report.html")
    assert not verify(folder, public_key=PUBLISHER)["ok"]


def _repack(sold: Path, target: Path, change: Callable[[dict[str, bytes]], None]) -> Path:
    """What a dishonest buyer can do: unpack, change, pack and encrypt again."""
    plain = pyrage.decrypt(sold.read_bytes(), [load_identity(IDENTITY)])
    with tarfile.open(fileobj=io.BytesIO(plain)) as archive:
        members = {info.name: archive.extractfile(info).read() for info in archive}  # type: ignore[union-attr]
    change(members)
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT) as archive:
        for name in sorted(members, key=lambda path: (path != "bundle.json", path)):
            info = tarfile.TarInfo(name)
            info.mode, info.size = 0o644, len(members[name])
            archive.addfile(info, io.BytesIO(members[name]))
    target.write_bytes(pyrage.encrypt(packed.getvalue(), [load_identity(IDENTITY).to_public()]))
    return target


def _reseal(members: dict[str, bytes], name: str, **changes: Any) -> None:
    statement = {**read_canonical(members[name])["statement"], **changes}
    members[name] = seal(statement, Signer.from_keyring(demo_keyring(99), "release"))


@pytest.mark.parametrize(
    ("change", "check"),
    [
        (lambda m: m.update({"release/report.html": b"better"}), "files"),
        (lambda m: m.pop("signoffs/data-owner.json"), "members"),
        (lambda m: m.update({"extra.txt": b"x"}), "members"),
        (lambda m: m.update({"signoffs/x.json": b"{}"}), "sign-off-x"),
        (lambda m: _reseal(m, "agreement.json", price_fen=1), "same-publisher"),
        (lambda m: _reseal(m, "bundle.json", recipient="age1x"), "same-buyer"),
        (lambda m: m.pop("agreement.json"), "agreement-signature"),
        (lambda m: m.pop("bundle.json"), "bundle-signature"),
        (lambda m: m.pop("release/manifest.sig"), "manifest-signature"),
        (lambda m: m.update({"bundle.json": m["agreement.json"]}), "bundle-signature"),
        (lambda m: m.update({"bundle.json": b"[" * 100_000}), "bundle-signature"),
        (lambda m: m.update({"bundle.json": b"\xff"}), "bundle-signature"),
        (lambda m: m.update({"release/manifest.json": b'{"files":7}'}), "manifest"),
        (lambda m: m.update({"../escape.txt": b"x"}), "container"),
        (lambda m: m.update({"/tmp/escape.txt": b"x"}), "container"),
    ],
)
def test_what_a_dishonest_buyer_packs_again_is_refused(
    sold: Path, tmp_path: Path, change: Callable[[dict[str, bytes]], Any], check: str
) -> None:
    changed = _repack(sold, tmp_path / "x.age", lambda members: change(members) and None)
    report = verify(changed, IDENTITY, PUBLISHER)
    assert not report["ok"]
    assert check in {c["id"] for c in report["checks"] if c["status"] == "failed"}, report
    assert not list(tmp_path.rglob("escape.txt"))


def test_an_unchanged_repack_passes(sold: Path, tmp_path: Path) -> None:
    assert verify(_repack(sold, tmp_path / "x.age", lambda members: None), IDENTITY, PUBLISHER)["trusted"]


def test_a_controlled_product_is_never_packed(tmp_path: Path) -> None:
    made = publish(tmp_path, access="controlled")
    terms = agreement(offer(), made, order="order-1", buyer=BUYER, price_fen=1)
    with pytest.raises(Refused) as refusal:
        bundle(tmp_path, "demo", "1.1", BUYER, signer=release_signer(), terms=terms)
    assert refusal.value.reasons[0].code == "controlled-access"


def test_a_damaged_release_is_never_packed(tmp_path: Path) -> None:
    made = publish(tmp_path)
    terms = agreement(offer(), made, order="order-1", buyer=BUYER, price_fen=1)
    page = tmp_path / "products/demo/1.1/report.html"
    page.write_text("better")
    with pytest.raises(Refused) as refusal:
        bundle(tmp_path, "demo", "1.1", BUYER, signer=release_signer(), terms=terms)
    assert refusal.value.reasons[0].code == "release-damaged"


def test_a_release_exchanged_by_the_key_holder_is_not_what_was_published(tmp_path: Path) -> None:
    made = publish(tmp_path)
    folder = tmp_path / "products/demo/1.1"
    manifest = read_canonical((folder / "manifest.json").read_bytes())
    (folder / "report.html").write_text("better")
    for entry in manifest["files"]:
        data = (folder / entry["path"]).read_bytes()
        entry.update(sha256=sha256_hex(data), bytes=len(data))
    data = canonical_json(manifest)
    (folder / "manifest.json").write_bytes(data)
    statement = {
        "type": "meddata/release/1",
        "product": "demo",
        "version": "1.1",
        "release_digest": sha256_hex(data),
    }
    (folder / "manifest.sig").write_bytes(seal(statement, release_signer()))
    assert verify(folder, public_key=made.key)["trusted"]
    terms = agreement(offer(), commits(tmp_path, "demo")[0], order="order-1", buyer=BUYER, price_fen=1)
    with pytest.raises(Refused) as refusal:
        bundle(tmp_path, "demo", "1.1", BUYER, signer=release_signer(), terms=terms)
    assert refusal.value.reasons[0].code == "release-damaged"

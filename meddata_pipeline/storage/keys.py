"""Keys: one root key outside the home, everything else derived from it by purpose.

What belongs here: finding the root, deriving keys, demo keys. What does not: what a key is used for; callers name the
purpose. Demo keys come from a seed, are marked ``demo`` wherever they appear, and are NOT FOR REAL DATA.
"""

from __future__ import annotations

import base64
import os
import secrets
import shlex
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from meddata_pipeline.core.canonical import sha256_hex
from meddata_pipeline.core.errors import BadInput
from meddata_pipeline.core.settings import Settings
from meddata_pipeline.storage.files import create_if_absent, ensure_private_dir

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_ROOT_BYTES = 32
_FINGERPRINT = "fingerprint"


def hkdf(secret: bytes, purpose: str, length: int = 32) -> bytes:
    """Derive a key for one purpose.

    Source:
        RFC 5869, HKDF with SHA-256; the purpose is the info field.
    """
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(algorithm=SHA256(), length=length, salt=b"meddata", info=purpose.encode()).derive(secret)


class Keyring:
    """Keys of one home.

    Args:
        root: 32 bytes or more.
        demo: the root comes from a seed and protects nothing.
    """

    def __init__(self, root: bytes, *, demo: bool = False) -> None:
        if len(root) < _ROOT_BYTES:
            raise BadInput("The root key is shorter than 32 bytes", next_step="Create one with `meddata keys new FILE`")
        self._root = root
        self.demo = demo

    def derive(self, purpose: str, length: int = 32) -> bytes:
        """A key for one purpose, ``length`` bytes long."""
        return hkdf(self._root, purpose, length)

    def signing_key(self, purpose: str) -> Ed25519PrivateKey:
        """An Ed25519 key for one purpose."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        return Ed25519PrivateKey.from_private_bytes(self.derive(f"sign:{purpose}"))

    @property
    def fingerprint(self) -> str:
        """A name of this root that gives nothing of it away."""
        return sha256_hex(self.derive("fingerprint"))


def demo_keyring(seed: int) -> Keyring:
    """Keys from a seed: for demonstrations and tests, NOT FOR REAL DATA."""
    return Keyring(hkdf(f"DEMO KEY, NOT FOR REAL DATA: {seed}".encode(), "demo-root"), demo=True)


def new_root_key() -> bytes:
    """A fresh root key in the text form that key files hold."""
    return base64.b64encode(secrets.token_bytes(_ROOT_BYTES)) + b"\n"


def _decode(text: bytes, source: str) -> bytes:
    try:
        return base64.b64decode(text.strip(), validate=True)
    except ValueError:
        raise BadInput("The root key is not base64", where=source) from None


def default_key_file() -> Path:
    """Where the root key lies when nothing else is said: the user's configuration folder, outside the home."""
    base = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return base / "meddata" / "root.key"


def load_root() -> tuple[bytes, str]:
    """The root key from MEDDATA_KEY, MEDDATA_KEY_COMMAND, MEDDATA_KEY_FILE or the user's key file, and its source.

    The user's key file is created at first use: a hospital with weak IT gets a real key without a step to forget.

    Raises:
        BadInput: the key is unreadable.
    """
    if text := os.environ.get("MEDDATA_KEY"):
        return _decode(text.encode(), "MEDDATA_KEY"), "environment"
    if command := os.environ.get("MEDDATA_KEY_COMMAND"):
        done = subprocess.run(shlex.split(command), capture_output=True, check=False)
        if done.returncode:
            raise BadInput("The command that brings the root key failed", where="MEDDATA_KEY_COMMAND")
        return _decode(done.stdout, "MEDDATA_KEY_COMMAND"), "command"
    named = os.environ.get("MEDDATA_KEY_FILE")
    path = Path(named) if named else default_key_file()
    if not named:
        ensure_private_dir(path.parent)
        create_if_absent(path, new_root_key())
    try:
        return _decode(path.read_bytes(), "the root key file"), "file"
    except OSError:
        raise BadInput("The root key file cannot be read", where="MEDDATA_KEY_FILE") from None


def load_keyring(settings: Settings) -> Keyring:
    """The keys of a home. A home remembers the fingerprint of its root, and refuses another one.

    Raises:
        BadInput: the home was made with another root key.
    """
    ring = demo_keyring(settings.demo_seed) if settings.demo_seed is not None else Keyring(load_root()[0])
    folder = ensure_private_dir(settings.zone("keys"))
    marker = folder / _FINGERPRINT
    line = f"{'demo' if ring.demo else 'real'} {ring.fingerprint}\n".encode()
    if not create_if_absent(marker, line) and marker.read_bytes() != line:
        made_with = marker.read_text().split()[0]
        raise BadInput(
            f"This home was made with another root key ({made_with} keys)",
            where="restricted/keys",
            next_step="Use the same key (and the same choice of --demo-keys), or another --home",
        )
    return ring


def home_uses_demo_keys(settings: Settings) -> bool:
    """Whether the home was made with demo keys."""
    marker = settings.zone("keys") / _FINGERPRINT
    return marker.exists() and marker.read_text().startswith("demo")

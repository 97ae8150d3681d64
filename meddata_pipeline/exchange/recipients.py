"""Buyers' age keys: reading a recipient and an identity, and the demo buyer's identity.

What belongs here: the text forms of age X25519 keys. What does not: encryption itself, which is pyrage's.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from meddata_pipeline.core.errors import BadInput
from meddata_pipeline.storage.keys import Keyring

if TYPE_CHECKING:
    from pyrage import x25519

_IDENTITY_PREFIX = "AGE-SECRET-KEY-1"
_CHARSET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)


def _polymod(values: list[int]) -> int:
    check = 1
    for value in values:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate(_GENERATOR):
            check ^= generator if top >> bit & 1 else 0
    return check


def bech32(prefix: str, data: bytes) -> str:
    """Encode bytes as Bech32, in lower case.

    Source:
        BIP 173; age uses it without the length limit.
    """
    bits = int.from_bytes(data, "big") << (-len(data) * 8 % 5)
    count = -(-len(data) * 8 // 5)
    words = [bits >> 5 * place & 31 for place in reversed(range(count))]
    expanded = [ord(c) >> 5 for c in prefix] + [0] + [ord(c) & 31 for c in prefix]
    checksum = _polymod([*expanded, *words, 0, 0, 0, 0, 0, 0]) ^ 1
    words += [checksum >> 5 * place & 31 for place in reversed(range(6))]
    return prefix + "1" + "".join(_CHARSET[word] for word in words)


def demo_buyer(keyring: Keyring) -> str:
    """The demo buyer's age identity, from the seed: NOT FOR REAL DATA.

    Raises:
        BadInput: the keyring is a real one; nobody may hold a buyer's key but the buyer.
    """
    if not keyring.demo:
        raise BadInput("A demo buyer exists in a demo home only", next_step="Ask the buyer for an age recipient")
    return bech32("age-secret-key-", keyring.derive("demo-buyer")).upper()


def recipient_of(identity: str) -> str:
    """The public recipient (age1…) of an identity (AGE-SECRET-KEY-1…)."""
    return str(_identity(identity).to_public())


def parse_recipient(text: str) -> x25519.Recipient:
    """Read a recipient.

    Raises:
        BadInput: not an age X25519 recipient.
    """
    from pyrage import RecipientError, x25519

    try:
        return x25519.Recipient.from_str(text.strip())
    except RecipientError:
        raise BadInput("The recipient is not an age key (age1…)", where="recipient") from None


def _identity(text: str) -> x25519.Identity:
    from pyrage import IdentityError, x25519

    try:
        return x25519.Identity.from_str(text.strip())
    except IdentityError:
        raise BadInput("The identity is not an age key (AGE-SECRET-KEY-1…)", where="identity") from None


def load_identity(source: str | Path) -> x25519.Identity:
    """Read an identity from its text, or from a file as ``age-keygen`` writes it (lines with # are remarks).

    Raises:
        BadInput: no identity in it.
    """
    text = str(source)
    if not text.strip().upper().startswith(_IDENTITY_PREFIX):
        try:
            lines = Path(source).read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError):
            raise BadInput("The identity file cannot be read", where="identity") from None
        text = next((line for line in lines if line.strip() and not line.lstrip().startswith("#")), "")
    return _identity(text)

"""Canonical bytes and digests: the one way in which content is named everywhere in the project."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

_BLOCK = 1 << 20


def canonical_json(obj: Any) -> bytes:
    """Serialise to canonical JSON, so that equal objects have equal bytes.

    Args:
        obj: JSON-like object (dicts with text keys, lists, text, finite numbers, booleans, None).

    Returns:
        UTF-8 bytes.

    Source:
        RFC 8785, JSON Canonicalization Scheme.
    """
    import rfc8785

    return bytes(rfc8785.dumps(obj))


def sha256_hex(data: bytes) -> str:
    """SHA-256 of bytes as 64 hexadecimal characters."""
    return hashlib.sha256(data).hexdigest()


def digest_of(obj: Any) -> str:
    """SHA-256 of an object's canonical JSON."""
    return sha256_hex(canonical_json(obj))


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, read in blocks."""
    digest = hashlib.sha256()
    with path.open("rb") as handle:
        for block in iter(lambda: handle.read(_BLOCK), b""):
            digest.update(block)
    return digest.hexdigest()


def combined_digest(digests: Iterable[str]) -> str:
    """Digest of a set of digests; the order in which they come does not matter."""
    return sha256_hex("\n".join(sorted(digests)).encode())


def digest8(hexdigest: str) -> str:
    """Short name of a digest for people: ``#`` and its first eight characters."""
    return "#" + hexdigest[:8]

"""Pseudonyms, date shifts and orders that a key decides; and the check digit of resident identity numbers.

What belongs here: keyed functions of single values. What does not: which key is for what (storage/keys.py), which
columns are concerned (privacy/deid.py, privacy/release.py).
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Sequence
from datetime import date
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

#: Hexadecimal characters of a pseudonym: 128 bits, far beyond accidental collisions of a hospital's rows.
LENGTH = 32
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECKS = "10X98765432"


def keyed(key: bytes, label: str, value: str) -> bytes:
    """HMAC-SHA256 of a labelled value; labels keep apart what the same key is used for.

    Args:
        key: secret key.
        label: what the value is, e.g. ``visit_no``.
        value: the value.

    Returns:
        32 bytes.

    Source:
        RFC 2104.
    """
    return hmac.digest(key, f"{label}\x1f{value}".encode(), hashlib.sha256)


def pseudonym(key: bytes, label: str, value: str) -> str:
    """The pseudonym of one value as hexadecimal text."""
    return keyed(key, label, value).hex()[:LENGTH]


def pseudonyms(key: bytes, values: pa.Array | pa.ChunkedArray, label: str) -> pa.Array:
    """Pseudonyms of a column, computed once per distinct value.

    Args:
        key: secret key.
        values: any column; values are taken as text, null stays null.
        label: what the values are; the same label in two tables gives pseudonyms that join.

    Returns:
        A string array of the same length.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    column = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    encoded = pc.dictionary_encode(column.cast(pa.string()))
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    digest = _bulk(key, label)
    digests = [None if v is None else digest(v) for v in encoded.dictionary.to_pylist()]
    return pa.array(digests, pa.string()).take(encoded.indices)


def _bulk(key: bytes, label: str) -> Callable[[str], str]:
    """``pseudonym`` for many values: HMAC with the key's and the label's blocks hashed once (half the time).

    Source:
        RFC 2104, section 4, on precomputing the intermediate results.
    """
    block = (key if len(key) <= 64 else hashlib.sha256(key).digest()).ljust(64, b"\0")
    inner = hashlib.sha256(bytes(b ^ 0x36 for b in block) + f"{label}\x1f".encode())
    outer = hashlib.sha256(bytes(b ^ 0x5C for b in block))

    def digest(value: str) -> str:
        first, second = inner.copy(), outer.copy()
        first.update(value.encode())
        second.update(first.digest())
        return second.hexdigest()[:LENGTH]

    return digest


def date_shift_days(key: bytes, person_id: str, *, max_days: int = 182) -> int:
    """The days by which all dates of one person move: fixed for key and person, never 0.

    Args:
        key: the product's key.
        person_id: whose dates.
        max_days: largest shift in either direction, at least 1.

    Returns:
        An integer in [-max_days, -1] or [1, max_days].
    """
    if max_days < 1:
        raise ValueError("max_days must be at least 1")
    drawn = int.from_bytes(keyed(key, "date-shift", person_id)[:8], "big") % (2 * max_days)
    return drawn - max_days if drawn < max_days else drawn - max_days + 1


def shuffled(key: bytes, values: Sequence[str], label: str = "row-order") -> np.ndarray:
    """Positions of the values in the order of their keyed digests, so that an order gives nothing away.

    Args:
        key: the product's key.
        values: one text per row; equal texts keep their order among each other.
        label: what is ordered.

    Returns:
        int64 positions: ``rows.take(positions)`` is the shuffled table.
    """
    import numpy as np

    digests = [keyed(key, label, value) for value in values]
    return np.array(sorted(range(len(digests)), key=lambda i: (digests[i], i)), dtype=np.int64)


def resident_id_check(first17: str) -> str:
    """The check character for the first 17 digits of a resident identity number.

    Source:
        GB 11643-1999, ISO 7064:1983 MOD 11-2.
    """
    return _CHECKS[sum(int(d) * w for d, w in zip(first17, _WEIGHTS, strict=True)) % 11]


def normalise_resident_id(value: str) -> str:
    """A resident identity number in half width, capital X, 18 digits; other texts come back stripped.

    The 15-digit form gets its century (19) and its check digit.
    """
    folded = "".join(chr(ord(c) - 0xFEE0) if "\uff01" <= c <= "\uff5e" else c for c in value)
    plain = re.sub(r"[\s\-]", "", folded).upper()
    if re.fullmatch(r"[0-9]{15}", plain):
        first = plain[:6] + "19" + plain[6:]
        return first + resident_id_check(first)
    return plain


def resident_id_is_valid(value: str) -> bool:
    """Whether a text is a resident identity number with a real date and the right check digit (18 digits)."""
    if not re.fullmatch(r"[1-9][0-9]{16}[0-9X]", value):
        return False
    try:
        date(int(value[6:10]), int(value[10:12]), int(value[12:14]))
    except ValueError:
        return False
    return resident_id_check(value[:17]) == value[17]

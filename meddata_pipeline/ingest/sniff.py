"""What a file is: its format, its encoding (confirmed by decoding all of it) and its delimiter.

What belongs here: deciding how to read. What does not: reading records (readers/) or judging values.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from meddata_pipeline.core.errors import BadInput

Format = Literal["delimited", "xlsx"]

#: Stands for a byte that could not be decoded. A lone surrogate, so it cannot come from valid text.
MARK = "\udcff"
ERRORS = "meddata-mark"

DELIMITERS = (",", "\t", ";", "|")
_BLOCK = 1 << 20
_SAMPLE = 1 << 18
#: So many non-ASCII bytes tell an encoding from another.
_ENOUGH = 4000
_NOT_ASCII = bytes(range(0x80, 0x100))
#: Below this share of undecodable bytes among the non-ASCII ones a file is in an encoding, with damaged rows.
_DAMAGED = 0.2
#: A line longer than this is not a table; it would also have to be held in memory.
_LONGEST_LINE = 16 << 20

_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (b"\x84\x31\x95\x33", "gb18030"),
)


class UnreadableFile(BadInput):
    """A file that cannot be read as a table; ingest puts it into quarantine as ``bad_file``."""


@dataclass(frozen=True)
class Sniffed:
    """How to read a file.

    Attributes:
        format: delimited text or workbook.
        encoding: Python codec of delimited text.
        bad_offset: byte offset of the first byte that does not decode, None if all do.
    """

    format: Format
    encoding: str = ""
    bad_offset: int | None = None


def _mark(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    # One byte at a time, so that a delimiter or line end after a broken character survives; wide encodings by unit.
    wide = error.encoding.lower().startswith(("utf-16", "utf-32", "utf16", "utf32"))
    return MARK, max(error.end, error.start + 1) if wide else error.start + 1


codecs.register_error(ERRORS, _mark)


def _first_bad(path: Path, encoding: str) -> int | None:
    """Byte offset of the first byte that does not decode, None if the whole file does."""
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    position = 0
    with path.open("rb") as handle:
        while True:
            block = handle.read(_BLOCK)
            pending = len(decoder.getstate()[0])
            try:
                decoder.decode(block, final=not block)
            except UnicodeDecodeError as error:
                return max(position - pending + error.start, 0)
            except UnicodeError:
                return position
            position += len(block)
            if not block:
                return None


def _damage(path: Path, encoding: str, offset: int) -> float:
    """Share of undecodable bytes among the non-ASCII bytes around an offset."""
    with path.open("rb") as handle:
        handle.seek(max(offset - _SAMPLE // 2, 0))
        # Start at a line, so that no character is cut.
        if handle.tell():
            handle.readline(_SAMPLE)
        sample = handle.read(_SAMPLE)
    cut = sample.rfind(b"\n")
    sample = sample[: cut + 1] if cut > 0 else sample
    wide = bad = 0
    for line in sample.splitlines(keepends=True):
        found = len(line) - len(line.translate(None, _NOT_ASCII))
        if found:
            wide += found
            bad += line.decode(encoding, ERRORS).count(MARK)
        if wide > _ENOUGH:
            break
    return bad / wide if wide else 0.0


def _guess(path: Path) -> str | None:
    from charset_normalizer import from_bytes

    with path.open("rb") as handle:
        best = from_bytes(handle.read(1 << 16)).best()
    return best.encoding if best is not None else None


def _wide_without_bom(head: bytes) -> str | None:
    """UTF-16 written without a mark shows itself by a zero in every other byte of its ASCII characters."""
    even, odd = head[0::2].count(0), head[1::2].count(0)
    few = len(head) // 8
    if odd > few and even <= odd // 3:
        return "utf-16-le"
    if even > few and odd <= even // 3:
        return "utf-16-be"
    return None


def encoding_of(path: Path, declared: str = "auto") -> tuple[str, int | None]:
    """Find the encoding of a text file and confirm it by decoding all of it.

    A byte order mark wins. Then a declared encoding; else strict UTF-8; else UTF-8 or GB18030 when almost all of it
    decodes (a single broken byte must not turn a UTF-8 file into GB18030, where nearly any bytes are characters); else
    what charset-normalizer says of the first 64 KB, if all of the file agrees.

    Args:
        path: the file.
        declared: a codec's name or ``auto``.

    Returns:
        The codec's name, and the byte offset of the first undecodable byte (None if there is none).

    Raises:
        UnreadableFile: no encoding fits.
    """
    with path.open("rb") as handle:
        head = handle.read(4096)
    for bom, encoding in _BOMS:
        if head.startswith(bom):
            return encoding, _first_bad(path, encoding)
    if declared != "auto":
        return declared, _first_bad(path, declared)
    wide = _wide_without_bom(head)
    if wide is not None:
        return wide, _first_bad(path, wide)
    bad: dict[str, int] = {}
    for encoding in ("utf-8", "gb18030"):
        offset = _first_bad(path, encoding)
        if offset is None:
            return encoding, None
        bad[encoding] = offset
        if _damage(path, encoding, offset) < _DAMAGED:
            return encoding, offset
    guessed = _guess(path)
    if guessed is not None and _first_bad(path, guessed) is None:
        return guessed, None
    raise UnreadableFile(
        f"No encoding fits; UTF-8 fails at byte {bad['utf-8']}, GB18030 at byte {bad['gb18030']}",
        next_step="Name the encoding in the hospital's profile or ask for the file again",
    )


def _refuse_long_lines(path: Path) -> None:
    run = 0
    with path.open("rb") as handle:
        while block := handle.read(_BLOCK):
            first = min((i for i in (block.find(b"\n"), block.find(b"\r")) if i >= 0), default=-1)
            if first < 0:
                run += len(block)
            else:
                run = len(block) - 1 - max(block.rfind(b"\n"), block.rfind(b"\r"))
            if run > _LONGEST_LINE:
                raise UnreadableFile("A line is longer than 16 MB; this is not a table")


def sniff(path: Path, declared: str = "auto") -> Sniffed:
    """Find out how to read a file, from its content and never from its extension.

    Args:
        path: the file.
        declared: the profile's encoding or ``auto``.

    Raises:
        UnreadableFile: empty, a format that is not read, or no encoding fits.
    """
    try:
        with path.open("rb") as handle:
            head = handle.read(4096)
        if not head:
            raise UnreadableFile("The file is empty", next_step="Ask the hospital for the file again")
        if head.startswith(b"PK\x03\x04"):
            return Sniffed("xlsx")
        if head.startswith(b"\xd0\xcf\x11\xe0"):
            raise UnreadableFile("An old or password-protected workbook", next_step="Save it as .xlsx or CSV")
        if re.match(rb"[\xef\xbb\xbf\s]*<(!doctype html|html|table|\?xml)", head, re.IGNORECASE):
            raise UnreadableFile("A web page or XML, not a table", next_step="Save it as .xlsx or CSV")
        encoding, offset = encoding_of(path, declared)
        _refuse_long_lines(path)
    except OSError:
        raise UnreadableFile("The file cannot be read", next_step="Check its mode and owner") from None
    return Sniffed("delimited", encoding, offset)


def delimiter_of(line: str) -> str:
    """The delimiter that a header line uses most, outside quotes; a comma where it uses none."""
    bare = re.sub(r'"[^"]*"', "", line)
    counts = [bare.count(d) for d in DELIMITERS]
    return DELIMITERS[counts.index(max(counts))]

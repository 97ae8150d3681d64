"""Delimited text (CSV, TSV and relatives), read in blocks, whatever its size.

What belongs here: records of delimited text. What does not: finding the encoding (sniff).

Two ways give the same records, and a property test holds them together. A block without quotes, blank lines, lone
carriage returns, zero bytes or undecodable bytes goes through Arrow's parser, many times faster; any other block goes
through Python's csv module record by record, which knows which line a record began on and can pick up behind a quote
that was never closed.
"""

from __future__ import annotations

import csv
import io
import re
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import csv as arrow_csv

from meddata_pipeline.ingest.readers.base import Batch, Part, Reject
from meddata_pipeline.ingest.sniff import ERRORS, MARK, UnreadableFile, delimiter_of

#: Characters read at a time; small, so that one damaged byte sends few records the slow way.
_BLOCK = 1 << 17
#: Records handed over at a time.
_BATCH = 40_000
#: A quoted value may run over this many lines; a longer one is a quote that was never closed.
_MOST_LINES = 1000
_MOST_CHARACTERS = 4 << 20
_SEPARATOR = re.compile(r"\s*sep=(.)\s*", re.IGNORECASE)

_Record = tuple[list[str], str | None]


class _Tape:
    """Lines of one block, then of the file behind it while a quoted value is still open."""

    def __init__(self, block: str, file: io.TextIOBase) -> None:
        # newline="" splits at \n, \r\n and \r only: U+2028 or a form feed inside a value does not end a line.
        self._lines = iter(io.StringIO(block, newline=""))
        self._file = file
        self._back: deque[str] = deque()
        self._held: list[str] = []
        self._characters = 0
        #: Whether lines behind the block were read, which nobody has looked at yet.
        self.went_on = False

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if len(self._held) >= _MOST_LINES or self._characters > _MOST_CHARACTERS:
            raise StopIteration
        if self._back:
            line = self._back.popleft()
        else:
            line = next(self._lines, "")
            if not line and self._held:
                line = self._file.readline()
                self.went_on = True
            if not line:
                raise StopIteration
        self._held.append(line)
        self._characters += len(line)
        return line

    def take(self) -> list[str]:
        """The lines since the last call: those of one record."""
        held, self._held, self._characters = self._held, [], 0
        return held

    def put_back(self, lines: list[str]) -> None:
        self._back.extendleft(reversed(lines))


def _careful(block: str, file: io.TextIOBase, delimiter: str) -> Iterator[_Record]:
    """Records with the reason why a record is damaged, None where it is not. Blank lines are no records."""
    tape = _Tape(block, file)
    dirty = MARK in block or "\0" in block
    while True:
        try:
            for cells in csv.reader(tape, delimiter=delimiter, strict=True):
                held = tape.take()
                if (dirty or tape.went_on) and any(MARK in line or "\0" in line for line in held):
                    yield cells, "bad_encoding"
                elif cells:
                    yield cells, None
        except csv.Error:
            # Quarantine the line on which the record began and go on behind it: one stray quote must not swallow
            # the records that follow.
            held = tape.take()
            tape.put_back(held[1:])
            yield [held[0].rstrip("\r\n")], "bad_quote"
            continue
        return


def _is_plain(block: str) -> bool:
    """Whether Arrow's parser sees the same records in the block as the csv module."""
    return not (
        '"' in block
        or "\0" in block
        or "\n\n" in block
        or "\n\r" in block
        or block[0] in "\r\n"
        or block.count("\r") != block.count("\r\n")
    )


def _fast(data: bytes, width: int, delimiter: str) -> tuple[list[pa.Array], list[tuple[int, str, list[str]]]]:
    """Columns of the good records; number in the block, reason and cells of the others."""
    bad: list[tuple[int, str, list[str]]] = []

    def skip(row: arrow_csv.InvalidRow) -> str:
        reason = "short_row" if row.actual_columns < row.expected_columns else "long_row"
        bad.append((row.number - 1, reason, row.text.split(delimiter)))
        return "skip"

    names = [str(i) for i in range(width)]
    table = arrow_csv.read_csv(
        io.BytesIO(data),
        read_options=arrow_csv.ReadOptions(use_threads=False, column_names=names, block_size=len(data) + 1),
        parse_options=arrow_csv.ParseOptions(
            delimiter=delimiter, quote_char=False, escape_char=False, double_quote=False, invalid_row_handler=skip
        ),
        convert_options=arrow_csv.ConvertOptions(
            check_utf8=False, strings_can_be_null=False, column_types={name: pa.string() for name in names}
        ),
    ).combine_chunks()
    columns = [table.column(i).chunk(0) if table.num_rows else pa.array([], pa.string()) for i in range(width)]
    return columns, bad


def _columns(records: list[list[str]], width: int) -> list[pa.Array]:
    if not records:
        return [pa.array([], pa.string()) for _ in range(width)]
    return [pa.array(column, pa.string()) for column in zip(*records, strict=True)]


def _batches(file: io.TextIOBase, width: int, delimiter: str, block_size: int, *, fast: bool = True) -> Iterator[Batch]:
    row = 0
    while block := file.read(block_size):
        block += file.readline()
        data = _encoded(block) if fast and width and _is_plain(block) else None
        if data is not None:
            columns, bad = _fast(data, width, delimiter)
            count = len(columns[0]) + len(bad)
            good = np.setdiff1d(np.arange(count, dtype=np.int64), np.array([n for n, _, _ in bad], dtype=np.int64))
            yield Batch(columns, good + row, [Reject(row + n, reason, tuple(cells)) for n, reason, cells in bad])
            row += count
            continue
        records: list[list[str]] = []
        numbers: list[int] = []
        rejects: list[Reject] = []
        for cells, damage in _careful(block, file, delimiter):
            reason = damage
            if reason is None and len(cells) != width:
                reason = "short_row" if len(cells) < width else "long_row"
            if reason is None:
                records.append(cells)
                numbers.append(row)
            else:
                rejects.append(Reject(row, reason, tuple(cells)))
            row += 1
        yield Batch(_columns(records, width), np.array(numbers, dtype=np.int64), rejects)


def _merged(batches: Iterator[Batch]) -> Iterator[Batch]:
    """Batches of a size that makes working by column worthwhile."""
    held: list[Batch] = []
    size = 0
    for batch in batches:
        held.append(batch)
        size += len(batch.rows) + len(batch.rejects)
        if size >= _BATCH:
            yield _concatenated(held)
            held, size = [], 0
    if held:
        yield _concatenated(held)


def _concatenated(batches: list[Batch]) -> Batch:
    columns = [pa.concat_arrays(arrays) for arrays in zip(*(batch.columns for batch in batches), strict=True)]
    rows = np.concatenate([batch.rows for batch in batches])
    return Batch(columns, rows, [reject for batch in batches for reject in batch.rejects])


def _encoded(block: str) -> bytes | None:
    try:
        return block.encode("utf-8")
    except UnicodeEncodeError:  # it holds marks of undecodable bytes
        return None


def _header(file: io.TextIOBase, delimiter: str | None) -> tuple[tuple[str, ...], str]:
    """The header's cells, and the delimiter of the file."""
    line = ""
    while not line.strip():
        line = file.readline()
        if not line:
            raise UnreadableFile("The file has no header", next_step="Ask the hospital for the file again")
        said = _SEPARATOR.fullmatch(line)
        if said is not None:  # a line that some exports write for spreadsheets
            delimiter, line = said[1], ""
    delimiter = delimiter or delimiter_of(line)
    for cells, damage in _careful(line, file, delimiter):
        if damage is not None:
            raise UnreadableFile(f"The header is damaged ({damage})", next_step="Ask the hospital for the file again")
        return tuple(cell.lstrip("\ufeff") for cell in cells), delimiter
    raise UnreadableFile("The file has no header", next_step="Ask the hospital for the file again")


def parts(
    path: Path, encoding: str, delimiter: str | None = None, *, block_size: int = _BLOCK, fast: bool = True
) -> Iterator[Part]:
    """Read delimited text.

    Args:
        path: the file.
        encoding: codec that sniff() found.
        delimiter: one character, None to take what the header uses.
        block_size: characters read at a time; a record never lies in two batches.
        fast: whether blocks without irregularities may take the fast way; False only to compare the two.

    Yields:
        One part.

    Raises:
        UnreadableFile: no readable header.
    """
    csv.field_size_limit(1 << 30)
    with path.open("r", encoding=encoding, errors=ERRORS, newline="") as file:
        header, mark = _header(file, delimiter)
        if len(mark) != 1 or mark in '\r\n"\0' or not mark.isascii():
            raise UnreadableFile("The delimiter must be one ASCII character", next_step="Correct the profile")
        yield Part(header, _merged(_batches(file, len(header), mark, block_size, fast=fast)))

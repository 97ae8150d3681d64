"""Workbooks (.xlsx), read with calamine behind a guard.

What belongs here: sheets as columns of text. What does not: old binary workbooks.

Calamine allocates a sheet as one rectangle: a workbook of 4 kB with one cell in XFD1048576 asks for half a terabyte and
aborts the process. So before calamine opens a file, its parts are unpacked as a stream and the cells' references read.
"""

from __future__ import annotations

import datetime as dt
import re
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from meddata_pipeline.ingest.readers.base import Batch, Part, Reject
from meddata_pipeline.ingest.sniff import UnreadableFile

_BATCH = 50_000
_MOST_BYTES = 2 << 30
_MOST_CELLS = 40_000_000
_REFERENCE = re.compile(rb"""[\s]r\s*=\s*["']\$?([A-Za-z]{1,4})\$?([0-9]{1,9})["']""")
_ROW = re.compile(rb"""<(?:\w+:)?row\b[^>]*?\sr\s*=\s*["']([0-9]{1,9})["']""")
#: Digits that a spreadsheet's numbers hold; an integer beyond them has lost its last digits.
_EXACT = 10**15
_RETRY = "Ask the hospital to save the file again, or send CSV"


def _column_number(letters: bytes) -> int:
    number = 0
    for letter in letters.upper():
        number = number * 26 + letter - 64
    return number


def _guard(path: Path) -> None:
    """Refuse what would take more memory than a table can need."""
    total = 0
    try:
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                if info.flag_bits & 1:
                    raise UnreadableFile("The workbook is protected by a password", next_step=_RETRY)
                widest, deepest, tail = 0, 0, b""
                with archive.open(info) as member:
                    while block := member.read(1 << 20):
                        total += len(block)
                        if total > _MOST_BYTES:
                            raise UnreadableFile("The workbook unpacks to more than 2 GB", next_step="Send CSV")
                        # Any part may be named as a sheet, so all are looked at.
                        if not tail and info.filename.endswith(".xml") and block[:2] in (b"\xff\xfe", b"\xfe\xff"):
                            raise UnreadableFile("The workbook's sheets are not UTF-8", next_step=_RETRY)
                        text = tail + block
                        found = _REFERENCE.findall(text)
                        if found:
                            widest = max(widest, max(_column_number(c) for c in {c for c, _ in found}))
                            deepest = max(deepest, max(int(r) for r in {r for _, r in found}))
                        deepest = max([deepest, *map(int, _ROW.findall(text))])
                        tail = text[-64:]
                if widest * deepest > _MOST_CELLS:
                    raise UnreadableFile("A sheet spans more cells than a table can have", next_step="Send CSV")
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError, RuntimeError) as error:
        raise UnreadableFile(f"The workbook is broken ({type(error).__name__})", next_step=_RETRY) from None


def _text(value: Any) -> str:
    """A cell as text. Numbers beyond 15 digits come out as 4.1E+17, which the mapping knows as lost digits."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, float | int):
        if value == int(value) if abs(value) < _EXACT else False:
            return str(int(value))
        return repr(value) if abs(value) < _EXACT else f"{value:.14E}"
    if isinstance(value, dt.datetime):
        return value.isoformat(sep=" ")
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    return "" if value is None else str(value)


def _texts(values: tuple[Any, ...]) -> pa.Array:
    texts = [value if type(value) is str else _text(value) for value in values]
    # A lone surrogate cannot be text; spreadsheets do not hold them, damaged ones may.
    try:
        return pa.array(texts, pa.string())
    except UnicodeEncodeError:
        return pa.array([text.encode("utf-8", "replace").decode("utf-8") for text in texts], pa.string())


@contextmanager
def _calamine() -> Iterator[None]:
    """Whatever calamine raises on a damaged workbook, as one error."""
    import python_calamine

    try:
        yield
    except UnreadableFile:
        raise
    except (python_calamine.CalamineError, OSError, ValueError, OverflowError) as error:
        raise UnreadableFile(f"The workbook is broken ({type(error).__name__})", next_step=_RETRY) from None
    except BaseException as error:
        # A panic in calamine derives from BaseException; anything else of that kind is none of our business.
        if type(error).__name__ != "PanicException":
            raise
        raise UnreadableFile("The workbook is broken", next_step=_RETRY) from None


def _rows(path: Path) -> Iterator[Iterator[list[Any]]]:
    """Per sheet its rows."""
    import python_calamine

    def guarded(sheet: Any) -> Iterator[list[Any]]:
        with _calamine():
            rows = iter(sheet.iter_rows())
        while True:
            with _calamine():
                cells = next(rows, None)
            if cells is None:
                return
            yield cells

    with _calamine():
        workbook = python_calamine.CalamineWorkbook.from_path(str(path))
        count = len(workbook.sheet_names)
    for index in range(count):
        with _calamine():
            sheet = workbook.get_sheet_by_index(index)
        yield guarded(sheet)


def _batches(rows: Iterator[list[Any]], width: int) -> Iterator[Batch]:
    number = 0
    more = True
    while more:
        kept: list[list[Any]] = []
        numbers: list[int] = []
        rejects: list[Reject] = []
        more = False
        for cells in rows:
            more = True
            if any(cell != "" for cell in cells):
                if any(cell != "" for cell in cells[width:]):
                    rejects.append(Reject(number, "long_row", tuple(_text(cell) for cell in cells)))
                else:
                    kept.append(cells[:width])
                    numbers.append(number)
                number += 1
            if len(kept) >= _BATCH:
                break
        columns = [_texts(column) for column in zip(*kept, strict=True)] if kept else [_texts(()) for _ in range(width)]
        if kept or rejects:
            yield Batch(columns, np.array(numbers, dtype=np.int64), rejects)


def parts(path: Path) -> Iterator[Part]:
    """Read a workbook.

    Args:
        path: the file.

    Yields:
        One part per sheet that is not empty, in the order of the workbook; the first row that is not empty is the
        header. Rows without any value are no records.

    Raises:
        UnreadableFile: broken, protected, or larger than a table can be.
    """
    _guard(path)
    for rows in _rows(path):
        first = next((cells for cells in rows if any(cell != "" for cell in cells)), None)
        if first is None:
            continue
        header = [_text(cell) for cell in first]
        while header and not header[-1]:
            header.pop()
        yield Part(tuple(header), _batches(rows, len(header)))

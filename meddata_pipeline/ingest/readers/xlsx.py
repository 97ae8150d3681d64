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
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from meddata_pipeline.ingest.readers.base import Batch, Part, Reject
from meddata_pipeline.ingest.sniff import UnreadableFile

_BATCH = 50_000
_MOST_BYTES = 2 << 30
_MOST_CELLS = 40_000_000
#: Longest reference of a cell that is looked at: four letters and nine digits, more than a sheet can have.
_LONGEST = 14
#: Spellings of a reference that XML allows and no program writes; the scan below does not read them.
_UNUSUAL = re.compile(rb"""\s*=\s*["'][A-Za-z]*[0-9]+["']""")
#: Digits that a spreadsheet's numbers hold; an integer beyond them has lost its last digits.
_EXACT = 10**15
_RETRY = "Ask the hospital to save the file again, or send CSV"


def _extent(data: bytes) -> tuple[int, int]:
    """Largest column and row among the cell and row references (``r="AB12"``, ``r="12"``) in a piece of XML."""
    view = np.frombuffer(data, dtype=np.uint8)
    size = len(view) - _LONGEST - 4
    if size <= 0:
        return 0, 0
    found = np.flatnonzero(view[1 : size + 1] == ord("r"))
    found = found[view[found] <= ord(" ")]
    sign, quote = view[found + 2], view[found + 3]
    for place in found[(sign <= ord(" ")) | ((sign == ord("=")) & (quote <= ord(" ")))].tolist():
        if _UNUSUAL.match(data, place + 2):
            raise UnreadableFile("The workbook is written in an unusual way", next_step=_RETRY)
    places = found[(sign == ord("=")) & ((quote == ord('"')) | (quote == ord("'")))] + 4
    column = np.zeros(len(places), dtype=np.int64)
    row = np.zeros(len(places), dtype=np.int64)
    going = np.ones(len(places), dtype=np.bool_)
    for offset in range(_LONGEST):
        byte = view[places + offset].astype(np.int64)
        letter = byte & ~32
        is_letter = going & (letter >= ord("A")) & (letter <= ord("Z"))
        is_digit = going & (byte >= ord("0")) & (byte <= ord("9"))
        column = np.where(is_letter, np.minimum(column * 26 + letter - 64, 1 << 30), column)
        row = np.where(is_digit, np.minimum(row * 10 + byte - 48, 1 << 30), row)
        going = is_letter | is_digit
        if not going.any():
            break
    return int(column.max(initial=0)), int(row.max(initial=0))


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
                        data = tail + block
                        column, row = _extent(data)
                        widest, deepest = max(widest, column), max(deepest, row)
                        tail = data[-32:]
                column, row = _extent(tail + b" " * 32)
                widest, deepest = max(widest, column), max(deepest, row)
                if widest * deepest > _MOST_CELLS:
                    raise UnreadableFile("A sheet spans more cells than a table can have", next_step="Send CSV")
    # RuntimeError: what zipfile raises for a way of packing that it does not know, and for a locked member.
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, RuntimeError) as error:
        raise UnreadableFile(f"The workbook is broken ({type(error).__name__})", next_step=_RETRY) from None


def _text(value: Any) -> str:
    """A cell as text. Numbers beyond 15 digits come out as 4.1E+17, which the mapping knows as lost digits."""
    kind = type(value)
    if kind is str:
        return str(value)
    if kind is float or kind is int:
        if not abs(value) < _EXACT:
            return f"{value:.14E}"
        whole = int(value)
        return str(whole) if whole == value else repr(value)
    if kind is bool:
        return "TRUE" if value else "FALSE"
    if kind is dt.datetime:
        return str(value.isoformat(sep=" "))
    if kind is dt.date or kind is dt.time:
        return str(value.isoformat())
    return "" if value is None else str(value)


def _texts(values: tuple[Any, ...]) -> pa.Array:
    texts = values if set(map(type, values)) <= {str} else [v if type(v) is str else _text(v) for v in values]
    try:
        return pa.array(texts, pa.string())
    except UnicodeEncodeError:  # a lone surrogate, which only a damaged workbook holds
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
                some = list(islice(rows, 1000))
            if not some:
                return
            yield from some

    with _calamine():
        workbook = python_calamine.CalamineWorkbook.from_path(str(path))
        count = len(workbook.sheet_names)
    for index in range(count):
        with _calamine():
            sheet = workbook.get_sheet_by_index(index)
        yield guarded(sheet)


def _batches(rows: Iterator[list[Any]], width: int) -> Iterator[Batch]:
    number = 0
    blank: list[Any] = []
    more = True
    while more:
        kept: list[list[Any]] = []
        numbers: list[int] = []
        rejects: list[Reject] = []
        more = False
        for cells in rows:
            more = True
            if len(cells) != len(blank):
                blank = [""] * len(cells)
            if cells != blank:
                if len(cells) > width and cells[width:] != blank[width:]:
                    rejects.append(Reject(number, "long_row", tuple(_text(cell) for cell in cells)))
                else:
                    kept.append(cells if len(cells) == width else cells[:width])
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

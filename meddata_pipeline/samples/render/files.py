"""Writing delivered files piece by piece: delimited text, workbooks, manifests.

What belongs here: bytes. Files are appended to while the persons are drawn chunk by chunk, so that memory does not grow
with their number, and the same pieces give the same bytes. What does not: what the cells say.
"""

from __future__ import annotations

import csv
import hashlib
import io
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import BinaryIO
from xml.sax.saxutils import escape

from meddata_pipeline.samples.render.sheet import Sheet

#: Records of a worksheet, the header not counted. Source: Excel's limit of 1,048,576 rows.
SHEET_ROWS = 1_048_575

_MOST_OPEN = 200
_BLOCK = 1 << 20
_ZIP_TIME = (1980, 1, 1, 0, 0, 0)
_EXCEL_EPOCH = date(1899, 12, 30)

_CONTENT_TYPES = (
    '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
    '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    '<Default Extension="xml" ContentType="application/xml"/>'
    '<Override PartName="/xl/workbook.xml" '
    'ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/>'
    '<Override PartName="/xl/styles.xml" '
    'ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.styles+xml"/>'
    '<Override PartName="/xl/worksheets/sheet1.xml" '
    'ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"/></Types>'
)
_RELATIONS = (
    '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
    '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" '
    'Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" '
    'Target="xl/workbook.xml"/></Relationships>'
)
_WORKBOOK = (
    '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
    '<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" '
    'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships">'
    '<sheets><sheet name="Sheet1" sheetId="1" r:id="rId1"/></sheets></workbook>'
)
_WORKBOOK_RELATIONS = (
    '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
    '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" '
    'Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet" '
    'Target="worksheets/sheet1.xml"/><Relationship Id="rId2" '
    'Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/styles" Target="styles.xml"/>'
    "</Relationships>"
)
_STYLES = (
    '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
    '<styleSheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">'
    '<fonts count="1"><font><sz val="11"/><name val="Calibri"/></font></fonts>'
    '<fills count="2"><fill><patternFill patternType="none"/></fill><fill><patternFill patternType="gray125"/></fill>'
    '</fills><borders count="1"><border><left/><right/><top/><bottom/><diagonal/></border></borders>'
    '<cellStyleXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0"/></cellStyleXfs>'
    '<cellXfs count="2"><xf numFmtId="0" fontId="0" fillId="0" borderId="0" xfId="0"/>'
    '<xf numFmtId="14" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1"/></cellXfs>'
    '<cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles></styleSheet>'
)
_SHEET_HEAD = (
    '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
    '<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>'
)
_SHEET_TAIL = "</sheetData></worksheet>"


class Pool:
    """Files that are appended to, of which only some are open at a time."""

    def __init__(self) -> None:
        self._open: OrderedDict[Path, BinaryIO] = OrderedDict()
        self._known: set[Path] = set()

    def append(self, path: Path, data: bytes) -> None:
        """Append to a file; the first time in this pool it is begun anew."""
        handle = self._open.get(path)
        if handle is None:
            if len(self._open) >= _MOST_OPEN:
                self._open.popitem(last=False)[1].close()
            handle = path.open("ab" if path in self._known else "wb")
            self._known.add(path)
            self._open[path] = handle
        else:
            self._open.move_to_end(path)
        handle.write(data)

    def close(self) -> None:
        """Close all files."""
        for handle in self._open.values():
            handle.close()
        self._open.clear()


def text_lines(sheet: Sheet, encoding: str) -> bytes:
    """The records of a piece as delimited text.

    Args:
        sheet: the piece.
        encoding: of the file.
    """
    cells = [
        [f'"{value}"' for value in column.values.tolist()] if column.quoted else column.values.tolist()
        for column in sheet.columns
    ]
    lines = [",".join(row) for row in zip(*cells, strict=True)]
    for row, kept in sheet.kept.items():
        lines[row] = ",".join(column[row] for column in cells[:kept])
    if not lines:
        return b""
    parts: list[bytes] = []
    begin = 0
    for row, position in sorted(sheet.damaged.items()):
        parts.append("".join(f"{line}\r\n" for line in lines[begin:row]).encode(encoding))
        before = ",".join(column[row] for column in cells[:position])
        after = ",".join(column[row] for column in cells[position + 1 :])
        # The last character loses its tail, as when a fixed-width field is cut between two bytes.
        broken = cells[position][row].encode(encoding) + b"\xff"
        parts.append(
            (f"{before},".encode(encoding) if position else b"")
            + broken
            + (f",{after}\r\n" if position + 1 < len(cells) else "\r\n").encode(encoding)
        )
        begin = row + 1
    parts.append("".join(f"{line}\r\n" for line in lines[begin:]).encode(encoding))
    return b"".join(parts)


def header_line(headers: list[str], encoding: str, bom: bool) -> bytes:
    """The header of a delimited file, behind a byte order mark if the hospital writes one."""
    return (b"\xef\xbb\xbf" if bom else b"") + (",".join(headers) + "\r\n").encode(encoding)


def sheet_rows(sheet: Sheet, first_row: int) -> bytes:
    """The records of a piece as rows of a worksheet; dates become date cells, everything else is text.

    Args:
        sheet: the piece.
        first_row: number of the first record's row, from 1, as Excel counts.
    """
    columns = []
    for column in sheet.columns:
        cell: Callable[[str], str] = _date_cell if column.date == "serial" else _text_cell
        # Most columns have few distinct values; making each cell once is what makes this fast.
        made: dict[str, str] = {}
        columns.append([made.get(v) or made.setdefault(v, cell(v)) for v in column.values.tolist()])
    return "".join(
        f'<row r="{number}">{"".join(row)}</row>'
        for number, row in enumerate(zip(*columns, strict=True), start=first_row)
    ).encode("utf-8")


def header_row(headers: list[str]) -> bytes:
    """The first row of a worksheet."""
    return f'<row r="1">{"".join(map(_text_cell, headers))}</row>'.encode()


def _text_cell(value: str) -> str:
    return f'<c t="inlineStr"><is><t>{escape(value)}</t></is></c>' if value else "<c/>"


def _date_cell(value: str) -> str:
    """A date cell; what is no date (a blank, an injected defect) stays text, as in Excel."""
    try:
        number = (date.fromisoformat(value) - _EXCEL_EPOCH).days
    except ValueError:
        return _text_cell(value)
    return f'<c s="1"><v>{number}</v></c>'


def write_workbook(path: Path, rows: Path) -> None:
    """Make a workbook of one sheet whose rows were spooled; the same rows give the same bytes.

    Args:
        path: the workbook.
        rows: the spooled rows; the file is removed.
    """
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in (
            ("[Content_Types].xml", _CONTENT_TYPES),
            ("_rels/.rels", _RELATIONS),
            ("xl/workbook.xml", _WORKBOOK),
            ("xl/_rels/workbook.xml.rels", _WORKBOOK_RELATIONS),
            ("xl/styles.xml", _STYLES),
        ):
            archive.writestr(_entry(name), content, compresslevel=1)
        with archive.open(_entry("xl/worksheets/sheet1.xml"), "w", force_zip64=True) as target:
            target.write(_SHEET_HEAD.encode())
            for block in _blocks(rows):
                target.write(block)
            target.write(_SHEET_TAIL.encode())
    rows.unlink()


def _entry(name: str) -> zipfile.ZipInfo:
    """An archive entry without a clock and without the umask of whoever runs this."""
    entry = zipfile.ZipInfo(name, date_time=_ZIP_TIME)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry._compresslevel = 1  # type: ignore[attr-defined]
    entry.external_attr = 0o600 << 16
    entry.create_system = 3
    return entry


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as handle:
        while block := handle.read(_BLOCK):
            yield block


def manifest(files: list[tuple[str, int, Path]]) -> bytes:
    """The delivery's ``_manifest.csv``.

    Args:
        files: name, number of records and path of each file.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["file", "rows", "sha256"])
    for name, rows, path in files:
        digest = hashlib.sha256()
        for block in _blocks(path):
            digest.update(block)
        writer.writerow([name, rows, digest.hexdigest()])
    return out.getvalue().encode("utf-8")

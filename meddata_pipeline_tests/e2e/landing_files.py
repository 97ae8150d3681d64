"""Landing files read by code of the tests' own, so that the pipeline's readers are not judged by themselves."""

from __future__ import annotations

import csv
import hashlib
import io
from pathlib import Path

from openpyxl import Workbook
from python_calamine import CalamineWorkbook

#: Files of a delivery that are no tables of patients.
CONTROL = ("optout.csv", "vip.csv", "_manifest.csv", "_COMPLETE")


def sha256(path: Path) -> str:
    """SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def tables(landing: Path) -> list[Path]:
    """Every table of every delivery."""
    return sorted(p for p in landing.glob("*/*/*") if p.suffix in (".csv", ".xlsx") and p.name not in CONTROL)


def encoding(data: bytes) -> str:
    """UTF-8 with or without its mark, else GB18030."""
    if data.startswith(b"\xef\xbb\xbf"):
        return "utf-8-sig"
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return "gb18030"
    return "utf-8"


def read(path: Path) -> list[list[str]]:
    """All rows of a table, header first; undecodable bytes as lone surrogates, so that they can be written back."""
    if path.suffix == ".xlsx":
        sheet = CalamineWorkbook.from_path(str(path)).get_sheet_by_index(0)
        return [["" if c is None else str(c) for c in row] for row in sheet.to_python()]
    data = path.read_bytes()
    text = data.decode(encoding(data), "surrogateescape")
    return [row for row in csv.reader(io.StringIO(text, newline="")) if row]


def write(path: Path, rows: list[list[str]]) -> None:
    """Write rows back in the file's own format and encoding."""
    if path.suffix == ".xlsx":
        book = Workbook()
        sheet = book.active
        assert sheet is not None
        for row in rows:
            sheet.append(row)
        book.save(path)
        return
    data = path.read_bytes()
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\r\n" if b"\r\n" in data else "\n").writerows(rows)
    path.write_bytes(out.getvalue().encode(encoding(data), "surrogateescape"))


def seal(delivery: Path) -> None:
    """Write the sender's _manifest.csv again after files have been changed."""
    listed = sorted(p for p in delivery.iterdir() if p.name not in ("_manifest.csv", "_COMPLETE"))
    lines = ["file,rows,sha256", *(f"{p.name},{len(read(p)) - 1},{sha256(p)}" for p in listed)]
    (delivery / "_manifest.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")

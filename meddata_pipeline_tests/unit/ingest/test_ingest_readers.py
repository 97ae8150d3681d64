"""Readers: all values as text, every record accounted for, no file can bring the process down."""

from __future__ import annotations

import datetime as dt
import io
import zipfile
from pathlib import Path

import openpyxl
import pytest

from meddata_pipeline.ingest import readers
from meddata_pipeline.ingest.landing import LandingFile
from meddata_pipeline.ingest.readers import xlsx
from meddata_pipeline.ingest.sniff import UnreadableFile


def _read(path: Path) -> tuple[list[tuple[str, ...]], list[list[str]], list[tuple[int, str]]]:
    headers, good, bad = [], [], []
    for part in readers.read(LandingFile(path, path.name, path.stat().st_size, 0)):
        headers.append(part.header)
        for batch in part.batches:
            columns = [column.to_pylist() for column in batch.columns]
            good += [[str(row), *cells] for row, *cells in zip(batch.rows.tolist(), *columns, strict=True)]
            bad += [(reject.row, reject.reason) for reject in batch.rejects]
    return headers, good, sorted(bad)


def _text(tmp_path: Path, data: bytes) -> tuple[list[tuple[str, ...]], list[list[str]], list[tuple[int, str]]]:
    path = tmp_path / "f.csv"
    path.write_bytes(data)
    return _read(path)


def test_quotes_newlines_and_blank_lines(tmp_path: Path) -> None:
    data = b'a,b\r\n"x\r\ny","say ""hi"", ok"\r\n\r\n1,2\r\n\r\n'
    assert _text(tmp_path, data) == ([("a", "b")], [["0", "x\r\ny", 'say "hi", ok'], ["1", "1", "2"]], [])


def test_ragged_rows_and_zero_bytes_are_rejected_one_by_one(tmp_path: Path) -> None:
    data = b"a,b\n1,2\n3\n4,5,6\n\0,7\n8,9\n"
    headers, good, bad = _text(tmp_path, data)
    assert headers == [("a", "b")]
    assert good == [["0", "1", "2"], ["4", "8", "9"]]
    assert bad == [(1, "short_row"), (2, "long_row"), (3, "bad_encoding")]


def test_an_undecodable_row_costs_one_row(tmp_path: Path) -> None:
    lines = ["病案号,姓名", *(f"{i},张三丰" for i in range(200))]
    data = [line.encode("gb18030") for line in lines]
    data[50] = data[50][:-1]  # half a character: the line end must survive
    data[99] = b"98,\x81\xff"
    _, good, bad = _text(tmp_path, b"\n".join(data))
    assert bad == [(49, "bad_encoding"), (98, "bad_encoding")]
    assert len(good) == 198


def test_a_quote_that_is_never_closed_costs_one_row(tmp_path: Path) -> None:
    lines = ["a,b", "1,2", '"open,3', *(f"{i},x" for i in range(3000))]
    _, good, bad = _text(tmp_path, "\n".join(lines).encode())
    assert bad == [(1, "bad_quote")]
    assert len(good) == 3001
    assert good[1] == ["2", "0", "x"]


def test_a_separator_line_and_other_line_ends(tmp_path: Path) -> None:
    assert _text(tmp_path, b"sep=;\na;b\n1;2\n") == ([("a", "b")], [["0", "1", "2"]], [])
    assert _text(tmp_path, b"a,b\r1,2\r3,4") == ([("a", "b")], [["0", "1", "2"], ["1", "3", "4"]], [])
    # A line separator of Unicode or a form feed is a character of a value, not the end of a record.
    assert _text(tmp_path, "a,b\n1\u2028,2\x0c\x1c\n".encode())[1] == [["0", "1\u2028", "2\x0c\x1c"]]


@pytest.mark.parametrize("data", [b"\n\n\n", b'"a,b\n1,2\n', b"\xff\xfe", b"sep=;\n"])
def test_no_header_is_an_unreadable_file(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(UnreadableFile):
        _text(tmp_path, data)


def _workbook(path: Path, *sheets: list[list[object]]) -> Path:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for cells in sheets:
        sheet = book.create_sheet()
        for row in cells:
            sheet.append(row)
    book.save(path)
    return path


def test_cells_of_a_workbook_become_text(tmp_path: Path) -> None:
    path = _workbook(
        tmp_path / "f.xlsx",
        [
            ["a", "b", "c", "d", "e", None],
            ["007", 12345678901, 110101198001010015, dt.date(2023, 5, 1), dt.datetime(2023, 5, 1, 8, 30)],  # noqa: DTZ001
            [None, None, None, None, None],
            [0.1, True, -3, "张三", dt.time(8, 30)],
            ["1", "2", "3", "4", "5", "too long"],
        ],
        [],
        [["a", "b"], ["x", "y"]],
    )
    headers, good, bad = _read(path)
    assert headers == [("a", "b", "c", "d", "e"), ("a", "b")]
    assert good == [
        ["0", "007", "12345678901", "1.10101198001010E+17", "2023-05-01", "2023-05-01 08:30:00"],
        ["1", "0.1", "TRUE", "-3", "张三", "08:30:00"],
        ["0", "x", "y"],
    ]
    assert bad == [(2, "long_row")]


def test_a_tiny_workbook_that_asks_for_half_a_terabyte_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.xlsx"
    book = openpyxl.Workbook()
    book.active["A1"] = "a"
    book.active["XFD1048576"] = "b"
    book.save(path)
    assert path.stat().st_size < 10_000
    with pytest.raises(UnreadableFile, match="more cells"):
        list(xlsx.parts(path))


def test_an_unusual_spelling_of_a_reference_does_not_slip_through(tmp_path: Path) -> None:
    source = _workbook(tmp_path / "f.xlsx", [["a"], ["b"]])
    for spelling in (b"<c r = 'XFD1048576' ", b'<c\nr= "XFD1048576" ', b"<c r='XFD1048576' "):
        path = tmp_path / "g.xlsx"
        with zipfile.ZipFile(source) as old, zipfile.ZipFile(path, "w") as new:
            for name in old.namelist():
                new.writestr(name, old.read(name).replace(b'<c r="A2" ', spelling))
        with pytest.raises(UnreadableFile):
            list(xlsx.parts(path))


def test_a_zip_bomb_is_refused_while_unpacking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xlsx, "_MOST_BYTES", 10 << 20)
    path = tmp_path / "bomb.xlsx"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet1.xml", b"0" * (11 << 20))
    assert path.stat().st_size < 100_000
    with pytest.raises(UnreadableFile, match="2 GB"):
        list(xlsx.parts(path))


def test_a_zip_that_is_no_workbook(tmp_path: Path) -> None:
    path = tmp_path / "f.xlsx"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.txt", "x")
    path.write_bytes(buffer.getvalue())
    with pytest.raises(UnreadableFile):
        _read(path)

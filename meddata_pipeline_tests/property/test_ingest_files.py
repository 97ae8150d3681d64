"""Whatever bytes arrive: no crash, an exact balance, and two ways of reading that agree."""

from __future__ import annotations

import io
import tempfile
from functools import cache
from pathlib import Path

import openpyxl
from hypothesis import example, given, settings
from hypothesis import strategies as st

from meddata_pipeline.core.errors import MeddataError
from meddata_pipeline.ingest.api import IngestResult
from meddata_pipeline.ingest.readers import delimited
from meddata_pipeline_tests.unit.ingest.deliveries import ingest

HEADER = "病案号,姓名,性别,出生日期,身份证号,手机"
ALPHABET = st.sampled_from('ab1,"\r\n\t;|\0 \u2028甲，Ａ')


def _exact(result: IngestResult) -> None:
    per_file: dict[tuple[str, str], int] = {}
    for row in result.quarantine.to_pylist():
        if row["source_row"] is not None:
            place = (row["source_table"], row["file_digest"])
            per_file[place] = per_file.get(place, 0) + 1
    for balance in result.balance:
        balance.check()
        if "bad_file" not in balance.quarantined:
            assert sum(balance.quarantined.values()) == per_file.get((balance.source_table, balance.file), 0)
    recorded = sum(b.recorded for b in result.balance)
    assert recorded == sum(t.num_rows for kind, t in result.tables.items() if kind != "observation")


def _delivery(name: str, content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        try:
            result = ingest(Path(folder), {name: content, "就诊.csv": "病案号,就诊号\n1,V1\n"})
        except MeddataError:
            # A reader never raises: what it can't read is a bad file. Only lists of people may stop a delivery.
            assert not name.startswith(("患者", "检验"))
            return
    _exact(result)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=300))
@example(b"\xff\xfe\x00")
@example(b"\xef\xbb\xbf")
@example(b"\x84\x31\x95\x33\n\x81")
@example(b"PK\x03\x04")
@example(b"\x00" * 100)
def test_any_bytes(content: bytes) -> None:
    _delivery("患者.csv", content)
    _delivery("optout.csv", content)


@settings(max_examples=80, deadline=None)
@given(
    st.sampled_from(["utf-8", "gb18030", "utf-8-sig", "utf-16"]),
    st.lists(st.lists(st.text(ALPHABET, max_size=6), max_size=8), max_size=6),
    st.lists(st.tuples(st.integers(0, 400), st.binary(max_size=3)), max_size=4),
)
def test_damaged_tables(encoding: str, cells: list[list[str]], cuts: list[tuple[int, bytes]]) -> None:
    good = ["1,张三,男,1980-01-01,,13800000000", '2,"李\n四",女,1981年2月3日,,']
    text = "\n".join([HEADER, *good, *(",".join(row) for row in cells), *good])
    data = bytearray(text.encode(encoding))
    for place, junk in cuts:
        data[place : place + len(junk)] = junk
    _delivery("患者.csv", bytes(data))


@cache
def _workbook() -> bytes:
    book = openpyxl.Workbook()
    book.active.append(HEADER.split(","))
    for number in range(20):
        book.active.append([number, "张三", "男", 30000 + number, "x", 13800000000])
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=4)), max_size=4), st.floats(0, 1))
def test_damaged_workbooks(cuts: list[tuple[float, bytes]], end: float) -> None:
    data = bytearray(_workbook())
    for share, junk in cuts:
        place = int(share * len(data))
        data[place : place + len(junk)] = junk
    _delivery("检验.xlsx", bytes(data[: max(4, int(len(data) * (0.5 + end)))]))
    _delivery("患者.xlsx", bytes(data))


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.lists(st.text(ALPHABET, max_size=4), min_size=1, max_size=5), min_size=1, max_size=12),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.integers(1, 40),
    st.sampled_from([",", "\t", ";"]),
)
def test_the_fast_way_and_the_careful_way_agree(cells: list[list[str]], end: str, block: int, delimiter: str) -> None:
    text = delimiter.join("abc") + end + end.join(delimiter.join(row) for row in cells)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "f"
        path.write_bytes(text.encode())
        seen = []
        for size, fast in ((block, True), (block, False), (1 << 17, True), (1 << 17, False)):
            (part,) = delimited.parts(path, "utf-8", delimiter, block_size=size, fast=fast)
            records: dict[int, tuple[str, ...]] = {}
            with path.open("r", encoding="utf-8", newline="") as file:
                _, mark = delimited._header(file, delimiter)
                for batch in delimited._batches(file, len(part.header), mark, size, fast=fast):
                    columns = [column.to_pylist() for column in batch.columns]
                    for place, *row in zip(batch.rows.tolist(), *columns, strict=True):
                        records[place] = ("good", *row)
                    records |= {reject.row: (reject.reason, *reject.cells) for reject in batch.rejects}
            assert sorted(records) == list(range(len(records)))
            seen.append(records)
        assert seen[0] == seen[1] == seen[2] == seen[3]

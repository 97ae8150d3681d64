"""Encodings and formats: found from content, confirmed by decoding, the first bad byte reported."""

from __future__ import annotations

from pathlib import Path

import pytest

from meddata_pipeline.ingest.sniff import UnreadableFile, delimiter_of, encoding_of, sniff

TEXT = "病案号,姓名,诊断\n" + "".join(f"{i},张{i},慢性牙髓炎，左上颌第一磨牙\n" for i in range(300))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16", "utf-16-le", "utf-16-be", "big5"])
def test_encodings_that_hospitals_use(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "f"
    text = TEXT if encoding != "big5" else TEXT.replace("龄", "")
    path.write_bytes(text.encode(encoding, "ignore"))
    found, bad = encoding_of(path, "big5" if encoding == "big5" else "auto")
    assert bad is None
    assert path.read_bytes().decode(found).lstrip("\ufeff") == text.encode(encoding, "ignore").decode(encoding)


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030"])
@pytest.mark.parametrize("place", [600, 5000])
def test_a_broken_byte_does_not_change_the_encoding(tmp_path: Path, encoding: str, place: int) -> None:
    data = bytearray(TEXT.encode(encoding))
    while data[place] < 0x80:
        place += 1
    data[place] = 0xFF
    path = tmp_path / "f"
    path.write_bytes(bytes(data))
    found, bad = encoding_of(path)
    assert found == encoding
    assert bad is not None
    assert abs(bad - place) <= 3


def test_the_offset_is_right_across_blocks(tmp_path: Path) -> None:
    path = tmp_path / "f"
    head = ("牙" * 700_000).encode()  # over two blocks, and no character ends at the end of a block
    path.write_bytes(head + b"\n" + b"\xff" + TEXT.encode())
    assert encoding_of(path) == ("utf-8", len(head) + 1)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600,
        b"<html><table><tr><td>1</td></tr></table></html>",
        b"\xef\xbb\xbf<!DOCTYPE html><html></html>",
        b"a,b\n" + b"x" * (17 << 20),
    ],
)
def test_what_is_no_table_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "f"
    path.write_bytes(data)
    with pytest.raises(UnreadableFile):
        sniff(path)


def test_delimiters() -> None:
    assert delimiter_of("a\tb\tc") == "\t"
    assert delimiter_of('"a;b;c;d",e,f') == ","
    assert delimiter_of("a;b") == ";"
    assert delimiter_of("a|b|c") == "|"
    assert delimiter_of("a") == ","

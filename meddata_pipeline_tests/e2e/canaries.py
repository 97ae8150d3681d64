"""Canaries: globally unique strings in the place of every identifier of sample files, and the search for them.

What belongs here: planting (by the generator's truth, keeping the shape of each identifier) and searching (every file,
by bytes and by what is inside it). What does not: running the pipeline. Dates are left alone: a date cannot be unique.
"""

from __future__ import annotations

import base64
import io
import itertools
import json
import random
import re
import shutil
import sqlite3
import tarfile
import unicodedata
import urllib.parse
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ahocorasick
import pyarrow.parquet as pq

from meddata_pipeline_tests.e2e import landing_files

#: The rare end of the common block of Chinese characters: all encodings and recognizers know them, no text uses them.
_RARE = [chr(c) for c in range(0x9E80, 0x9FA0)]
_ENCODINGS = ("utf-8", "gb18030", "utf-16-le", "utf-16-be")
#: Identifiers of which no unique one can be made: any two digits stand in every file. Other tests look after them.
_COMMON = frozenset({"DATE_TIME", "AGE"})
_DAMAGED = re.compile(r"[\ud800-\udfff]")
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


@dataclass
class Planted:
    """What was planted.

    Attributes:
        tokens: every string to search for, with the kind of identifier it stands for.
        cells: how many cells were changed.
        missed: identifiers of the truth that were not found in their cell (the injector had damaged it).
    """

    tokens: dict[str, str] = field(default_factory=dict)
    cells: int = 0
    missed: int = 0


class _Mint:
    """New identifiers, each given out once; the same old identifier always gets the same new one."""

    def __init__(self, planted: Planted, taken: set[str]) -> None:
        self._random = random.Random(20240101)
        self._planted, self._taken = planted, taken
        self._given: dict[tuple[str, str], str] = {}
        self._pairs = self._shuffled(["".join(pair) for pair in itertools.product(_RARE, _RARE)])
        self._triples = self._shuffled(["".join(t) for t in itertools.product(_RARE[::6], _RARE[::6], _RARE[::6])])
        self._words = (f"zq{n:05d}xv" for n in itertools.count(self._random.randrange(10_000)))

    def _shuffled(self, strings: list[str]) -> Iterator[str]:
        self._random.shuffle(strings)
        return iter(strings)

    def token(self, kind: str, text: str) -> str:
        """Remember a string to search for, which must be unlikely to stand anywhere by chance."""
        if len(text.encode()) < 6:
            raise ValueError(f"a canary of the kind {kind} is too short to be unique")
        self._planted.tokens[text] = kind
        return text

    def rare(self, kind: str) -> str:
        """Three rare characters that stand together nowhere else."""
        return self.token(kind, next(self._triples))

    def word(self, kind: str) -> str:
        """A Latin word that is used nowhere else."""
        return self.token(kind, next(self._words))

    def digits(self, count: int) -> str:
        """Fresh digits."""
        while True:
            made = "".join(self._random.choices("123456789", k=count))
            if made not in self._taken:
                self._taken.add(made)
                return made

    def given(self, kind: str, key: str, make: Callable[[], str]) -> str:
        """What was given out for an identifier, made at its first mention."""
        if (kind, key) not in self._given:
            self._given[kind, key] = make()
        return self._given[kind, key]

    # -- by kind -------------------------------------------------------------------------------------------------------

    def person(self, value: str) -> str:
        if "*" in value or "某" in value or "\uff0a" in value:
            return value  # masked in the source already
        if value.isascii():
            return self.given("PERSON", value.lower(), lambda: f"Wang {self.word('PERSON').capitalize()}")
        if "·" in value:
            return self.given("PERSON", value, lambda: self.token("PERSON", f"{next(self._pairs)}·{next(self._pairs)}"))
        return self.given("PERSON", value, lambda: self.token("PERSON", value[0] + next(self._pairs)))

    def resident_id(self, value: str) -> str:
        def make() -> str:
            while True:
                body = value[:14] + f"{self._random.randrange(100, 499) * 2 + int(value[16]) % 2:03d}"
                last = "10X98765432"[sum(int(d) * w for d, w in zip(body, _WEIGHTS, strict=True)) % 11]
                if body + last not in self._taken:
                    self._taken.add(body + last)
                    return self.token("CN_RESIDENT_ID", body + last)

        return self.given("CN_RESIDENT_ID", value, make)

    def numbered(self, kind: str, value: str) -> str:
        """Anything whose digits can be exchanged one by one; letters, separators and full-width digits stay."""
        if kind == "PHONE_NUMBER" and (prefix := re.match(r"[(（+＋]*(?:00)?(?:86|８６)[)）\s-]*(?=[1１])", value)):
            return prefix.group() + self.numbered(kind, value[prefix.end() :])
        plain = unicodedata.normalize("NFKC", value)
        old = re.sub(r"\D", "", plain)
        fixed = self._fixed(kind, old)
        key = re.sub(r"[^0-9A-Za-z\u4e00-\u9fff]", "", plain)

        def make() -> str:
            fresh = old[:fixed] + self.digits(len(old) - fixed)
            if kind == "CREDIT_CARD":
                fresh = fresh[:-1] + _luhn(fresh[:-1])
            return fresh

        fresh = self.given(kind, key, make)
        stream = iter(fresh)
        made = "".join(self._like(c, next(stream)) if c.isdigit() else c for c in value)
        self.token(kind, unicodedata.normalize("NFKC", made))
        # Without its letters and separators too, where what is left cannot be part of a digest by chance.
        if len(fresh) >= 10:
            self.token(kind, fresh)
        return made

    @staticmethod
    def _fixed(kind: str, old: str) -> int:
        """How many leading digits an identifier keeps: area codes, operators' ranges, banks."""
        if kind == "PHONE_NUMBER":
            return max(len(old) - 8, 0)
        return 6 if kind == "CREDIT_CARD" else 0

    @staticmethod
    def _like(old: str, new: str) -> str:
        return chr(ord(new) + 0xFEE0) if ord(old) > 0xFF00 else new

    def address(self, value: str) -> str:
        def make() -> str:
            road = f"{self.rare('LOCATION')}路"
            made = re.sub(r"(?<=[区县市])[^区县市\d]{2,8}?(?=\d)", road, value, count=1)
            return made if made != value else road + value

        return self.given("LOCATION", value, make)

    def replace(self, kind: str, value: str) -> str:
        """The canary for one identifier."""
        if kind == "PERSON":
            return self.person(value)
        if kind == "CN_RESIDENT_ID" and re.fullmatch(r"\d{17}[\dXx]", value):
            return self.resident_id(value)
        if kind == "LOCATION":
            return self.address(value)
        if kind == "ORGANIZATION":
            return self.given(kind, value, lambda: self.rare(kind) + value)
        if kind == "EMAIL_ADDRESS":
            return self.given(kind, value, lambda: f"{self.word(kind)}@{value.partition('@')[2]}")
        if kind in ("SOCIAL_ID", "OTHER_ID"):
            return self.given(kind, value, lambda: ("wx_" if kind == "SOCIAL_ID" else "") + self.word(kind))
        return self.numbered(kind, value)


def _luhn(body: str) -> str:
    doubled = [int(d) * (2 if i % 2 == 0 else 1) for i, d in enumerate(reversed(body))]
    return str(-sum(d - 9 if d > 9 else d for d in doubled) % 10)


def plant(landing: Path, truth: Path, target: Path) -> Planted:
    """Copy a landing folder with a canary in the place of every identifier.

    Beside the truth's identifiers, canaries go into an unmapped column with a telling header, into file names, into a
    file that no profile knows, and into a sentence at the end of every note.

    Args:
        landing: what `meddata sample` wrote.
        truth: its truth folder.
        target: becomes the landing folder with canaries.
    """
    shutil.copytree(landing, target)
    spans: dict[str, dict[tuple[int, str], list[dict[str, Any]]]] = defaultdict(lambda: defaultdict(list))
    taken: set[str] = set()
    for line in (truth / "pii.jsonl").read_text(encoding="utf-8").splitlines():
        found = json.loads(line)
        taken |= {found["value"], re.sub(r"\D", "", found["value"])}
        if found["type"] not in _COMMON:
            spans[found["file"]][found["row"], found["column"]].append(found)
    planted = Planted()
    mint = _Mint(planted, taken)
    for name in sorted(spans):
        path = target / name
        rows = landing_files.read(path)
        _replace(rows, spans[name], mint, planted)
        if path.name not in landing_files.CONTROL:
            _add(rows, mint)
        landing_files.write(path, rows)
    for delivery in sorted(target.glob("hospital-*/*-*-*")):
        for path in landing_files.tables(target):
            if path.parent == delivery:
                stem = f"{path.stem}_{mint.rare('file name')}"
                path.rename(path.with_name(stem + path.suffix))
        stray = delivery / f"扫描件_王{mint.rare('file name')}.txt"
        stray.write_text(f"姓名：王{mint.rare('unknown file')}\n", encoding="utf-8")
        landing_files.seal(delivery)
    return planted


def _replace(
    rows: list[list[str]], spans: dict[tuple[int, str], list[dict[str, Any]]], mint: _Mint, planted: Planted
) -> None:
    """Exchange the identifiers of one table, from the end of each cell to its start."""
    header = [name.strip() for name in rows[0]]
    for (row, column), found in spans.items():
        record, place = rows[row + 1], header.index(column)
        if place >= len(record):
            planted.missed += len(found)
            continue
        cell = record[place]
        for span in sorted(found, key=lambda s: -s["start"]):
            start, end = span["start"], span["end"]
            if cell[start:end] != span["value"]:
                planted.missed += 1
                continue
            cell = cell[:start] + mint.replace(span["type"], span["value"]) + cell[end:]
        planted.cells += cell != record[place]
        record[place] = cell


def _add(rows: list[list[str]], mint: _Mint) -> None:
    """An unmapped column with a name in its header, and one more sentence in every note."""
    width = len(rows[0])
    notes = next((i for i, name in enumerate(rows[0]) if name.strip() in ("正文", "病历内容", "note_text")), None)
    rows[0].append(f"王{mint.rare('header')}的备注")
    for record in rows[1:]:
        if len(record) != width:
            continue  # a short or long row must stay one
        record.append(f"王{mint.rare('unmapped column')}")
        if notes is not None and not _DAMAGED.search(record[notes]):
            record[notes] += f"联系人：王{mint.rare('note')}，电话13{mint.token('note', mint.digits(9))}。"


# -- searching ---------------------------------------------------------------------------------------------------------


class Search:
    """Looks for tokens in bytes, in several encodings and escapes.

    Args:
        tokens: strings with their kinds.
    """

    def __init__(self, tokens: dict[str, str]) -> None:
        self._automaton = ahocorasick.Automaton()
        for token, kind in tokens.items():
            for form in self._forms(token):
                self._automaton.add_word(form.decode("latin-1"), (token, kind))
        self._automaton.make_automaton()

    @staticmethod
    def _forms(token: str) -> set[bytes]:
        forms = {token.encode(e) for e in _ENCODINGS}
        escaped = json.dumps(token)[1:-1]
        entities = "".join(c if c.isascii() else f"&#{ord(c)};" for c in token)
        return forms | {f.encode() for f in (escaped, escaped.upper(), entities, urllib.parse.quote(token))}

    def inside(self, data: bytes) -> set[tuple[str, str]]:
        """Tokens found in some bytes."""
        return {found for _, found in self._automaton.iter(data.decode("latin-1"))}

    def below(self, folder: Path, *, but: Iterable[Path] = (), identity: str | None = None) -> dict[str, set[str]]:
        """Search every file below a folder, its name and what is inside it.

        Args:
            folder: where.
            but: folders that are left out.
            identity: age identity that opens bundles.

        Returns:
            For each file with a hit, the kinds found.
        """
        left_out = [p.resolve() for p in but]
        hits: dict[str, set[str]] = defaultdict(set)
        for path in sorted(p for p in folder.rglob("*") if not any(p.resolve().is_relative_to(b) for b in left_out)):
            name = path.relative_to(folder).as_posix()
            for kind in {kind for _, kind in self.inside(name.encode())}:
                hits[name].add(f"{kind} (in the name)")
            if path.is_file():
                for content in contents(path, identity):
                    hits[name] |= {kind for _, kind in self.inside(content)}
        return {name: kinds for name, kinds in hits.items() if kinds}


def _pictures(data: bytes) -> Iterator[bytes]:
    """What is embedded as base64; the end may be cut off by a page of a database."""
    for embedded in re.findall(rb"base64,([A-Za-z0-9+/]{16,})", data):
        yield base64.b64decode(embedded[: len(embedded) // 4 * 4])


def contents(path: Path, identity: str | None = None) -> Iterator[bytes]:
    """A file's bytes unless encrypted, and what is in them: cells of databases and Parquet, bundles, pictures."""
    data = path.read_bytes()
    if not data.startswith(b"age-encryption.org"):
        yield data
    yield from _pictures(data)
    if data.startswith(b"SQLite format 3"):
        # Long values are split over pages, so the raw bytes are not enough.
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as con:
            con.text_factory = bytes
            for (table,) in con.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
                for row in con.execute(f'SELECT * FROM "{table.decode()}"'):
                    cells = b"\n".join(c if isinstance(c, bytes) else str(c).encode() for c in row)
                    yield cells
                    yield from _pictures(cells)
    elif data.startswith(b"PAR1"):
        table = pq.read_table(path)
        yield str(table.schema).encode()
        yield "\n".join(str(v) for column in table.columns for v in column.to_pylist()).encode()
    elif data.startswith(b"age-encryption.org") and identity is not None:
        import pyrage

        plain = pyrage.decrypt(data, [pyrage.x25519.Identity.from_str(identity)])
        yield plain
        with tarfile.open(fileobj=io.BytesIO(plain)) as tar:
            for member in tar.getmembers():
                handle = tar.extractfile(member)
                if handle is not None and member.name.endswith(".parquet"):
                    inner = pq.read_table(io.BytesIO(handle.read()))
                    yield "\n".join(str(v) for column in inner.columns for v in column.to_pylist()).encode()

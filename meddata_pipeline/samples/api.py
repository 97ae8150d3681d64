"""The one way in: generate a landing folder of sample extracts and the truth beside it.

What belongs here: the loop over chunks, hospitals, tables and deliveries. What does not: how anything looks; see
``model``, ``events`` and ``render``.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt

from meddata_pipeline.core.errors import BadInput
from meddata_pipeline.samples.events import events
from meddata_pipeline.samples.identity import people
from meddata_pipeline.samples.model import CHUNK, Population, chunks, generator
from meddata_pipeline.samples.render.cells import ENTITIES, UNNAMED_KINDS, Cells, Hospital, date_texts
from meddata_pipeline.samples.render.files import (
    SHEET_ROWS,
    Pool,
    header_line,
    header_row,
    manifest,
    sheet_rows,
    text_lines,
    write_workbook,
)
from meddata_pipeline.samples.render.logic import plant, spared
from meddata_pipeline.samples.render.sheet import Defect, Sheet, SheetColumn, inject
from meddata_pipeline.samples.render.style import STYLES, Column, Style, Table, load_style
from meddata_pipeline.samples.truth import Truth
from meddata_pipeline.samples.vocab import Words, vocabulary, words

_COMPLETE = "_COMPLETE"
_MANIFEST = "_manifest.csv"
_SPOOL = ".rows.tmp"
#: Marks a landing folder as a sample, which may be generated anew; dot files are not part of any delivery.
_MARK = ".meddata-sample"


@dataclass(frozen=True)
class SampleSummary:
    """What was generated.

    Attributes:
        files: number of data files, markers and manifests not counted.
        patients: number of persons.
        rows: number of records over all data files.
        scenario: name of the scenario.
        hospitals: ids of the hospitals.
        days: the days of delivery, yyyy-mm-dd.
        landing: the landing folder.
        truth: the folder of the truth files.
    """

    files: int
    patients: int
    rows: int
    scenario: str
    hospitals: tuple[str, ...]
    days: tuple[str, ...]
    landing: Path
    truth: Path


def generate(
    out: Path,
    *,
    hospitals: int = 3,
    patients: int = 2000,
    days: int = 2,
    start: date | str = "2024-01-01",
    seed: int = 1,
    scenario: str = "true-effect",
    truth: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> SampleSummary:
    """Generate sample extracts; the same arguments give the same bytes.

    Args:
        out: becomes the landing folder, ``<hospital>/<yyyy-mm-dd>/<files>``.
        hospitals: number of hospitals, 1 to 3; each exports in a style of its own.
        patients: number of persons over all hospitals.
        days: number of daily deliveries; most persons come with the first.
        start: day of the first delivery.
        seed: any non-negative integer.
        scenario: ``true-effect`` or ``null``.
        truth: folder of the truth files, by default ``truth`` beside ``out``.
        progress: called with the number of persons done and their total.

    Returns:
        What was generated.

    Raises:
        BadInput: an argument is wrong, the truth would lie inside the landing folder, or ``out`` holds something
            that is not an earlier sample; an earlier sample is replaced.
    """
    begin = _day(start)
    if not 1 <= hospitals <= len(STYLES):
        raise BadInput(f"There are styles for 1 to {len(STYLES)} hospitals", next_step="Choose --hospitals accordingly")
    if not 1 <= days <= 366:
        raise BadInput("The number of days must be 1 to 366")
    landing = out.resolve()
    folder = (truth if truth is not None else landing.parent / "truth").resolve()
    if folder == landing or landing in folder.parents:
        raise BadInput(
            "The truth must not lie inside the landing folder, where it would be taken for data",
            next_step="Choose another folder with --truth",
        )
    if landing.exists() and not landing.is_dir():
        raise BadInput("The output folder is a file", next_step="Give a folder")
    mark = landing / _MARK
    if landing.exists() and any(landing.iterdir()) and not mark.exists():
        raise BadInput(
            "The output folder holds something that is not an earlier sample",
            next_step="Give a new folder, so that no real delivery is touched",
        )
    source = chunks(patients, seed, scenario, hospitals, days=days, start=begin)
    chunk = next(source)
    names = [style.replace("_", "-") for style in STYLES[:hospitals]]
    dates = [begin + timedelta(days=number) for number in range(days)]
    folder.mkdir(parents=True, exist_ok=True)
    landing.mkdir(parents=True, exist_ok=True)
    mark.write_bytes(b"NOT FOR REAL DATA\n")
    for style in STYLES:
        shutil.rmtree(landing / style.replace("_", "-"), ignore_errors=True)
    writer = _Writer(landing, names, dates, seed, Truth(folder))
    done = 0
    while True:
        writer.chunk(chunk)
        done += len(chunk)
        if progress is not None:
            progress(done, patients)
        following = next(source, None)
        if following is None:
            break
        chunk = following
    writer.finish(scenario)
    return SampleSummary(
        files=len(writer.files),
        patients=patients,
        rows=sum(file.rows for file in writer.files.values()),
        scenario=scenario,
        hospitals=tuple(names),
        days=tuple(day.isoformat() for day in dates),
        landing=landing,
        truth=folder,
    )


def _day(start: date | str) -> date:
    if isinstance(start, date):
        return start
    try:
        return date.fromisoformat(start)
    except ValueError:
        raise BadInput("The start is not a day", next_step="Write it as yyyy-mm-dd") from None


@dataclass
class _File:
    """One file that is being written: its path, its records so far, and the workbook part it has reached."""

    path: Path
    relative: str
    style: Style
    part: int = 1
    rows: int = 0


@dataclass
class _Parents:
    """Record and visit numbers of one hospital that some delivery brings intact, and the rows that point elsewhere.

    A table of a style stands behind those that it points to, and all persons of a chunk are in it, so that whoever
    comes later can know. A row whose parent was lost to another defect is an orphan like a planted one.

    Attributes:
        spared: persons of the chunk whose rows suffer no defect of a delivery.
    """

    spared: npt.NDArray[np.bool_]
    known: dict[str, set[str]] = field(default_factory=lambda: {"patient": set(), "visit": set()})

    def see(self, kind: str, headers: dict[str, str], sheet: Sheet) -> None:
        """Learn the numbers of a piece of patients or visits, and note the orphans of a piece."""
        values = {column.header: column.values for column in sheet.columns}
        if kind == "staff":
            return
        expected: dict[str, str] = vocabulary("defects")["expected"]
        lost = {d.row for d in sheet.defects if expected[d.name].startswith("quarantine") and d.name != "duplicate"}
        if kind in self.known:
            numbers = values[headers[_KEYS[kind]]].tolist()
            self.known[kind].update(number for row, number in enumerate(numbers) if row not in lost)
        bad = {d.row for d in sheet.defects}
        for parent, key in _KEYS.items():
            if parent == kind or key not in headers:
                continue
            for row, number in enumerate(values[headers[key]].tolist()):
                if number and row not in bad and number not in self.known[parent]:
                    sheet.defects.append(Defect(row, headers[key], f"orphan_{parent}"))
                    bad.add(row)


_KEYS = {"patient": "patient_no", "visit": "visit_no"}


@dataclass
class _Writer:
    """Writes chunks into the files of all hospitals and deliveries."""

    landing: Path
    names: list[str]
    dates: list[date]
    seed: int
    truth: Truth
    files: dict[str, _File] = field(default_factory=dict)
    current: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.pool = Pool()
        self.styles = [load_style(name) for name in STYLES[: len(self.names)]]
        for number, style in enumerate(self.styles):
            for wave in range(len(self.dates)):
                self._folder(number, wave).mkdir(parents=True)
                for table in style.tables:
                    if table.delivery != "correction" or wave == 1:
                        self._begin(number, wave, table)
                for which, headers in style.lists.items():
                    self._begin_list(number, wave, which, list(headers))

    def _folder(self, number: int, wave: int) -> Path:
        return self.landing / self.names[number] / self.dates[wave].isoformat()

    def _key(self, number: int, wave: int, table: str) -> str:
        return f"{number}/{wave}/{table}"

    def _begin(self, number: int, wave: int, table: Table, part: int = 1) -> _File:
        """Begin a file with its header; a workbook goes on in a further part when its sheet is full."""
        style = self.styles[number]
        name = table.file.format(day=self.dates[wave].strftime("%Y%m%d"))
        if part > 1:
            stem, dot, suffix = name.rpartition(".")
            name = f"{stem}_{part}{dot}{suffix}"
        file = self._open(number, wave, name, self._key(number, wave, table.name), part)
        headers = [column.header for column in table.columns]
        if name.endswith(".xlsx"):
            self.pool.append(_spool(file.path), header_row(headers))
        else:
            self.pool.append(file.path, header_line(headers, style.encoding, style.bom))
        return file

    def _begin_list(self, number: int, wave: int, which: str, headers: list[str]) -> None:
        style = self.styles[number]
        file = self._open(number, wave, f"{which}.csv", self._key(number, wave, which))
        self.pool.append(file.path, header_line(headers, style.encoding, style.bom))

    def _open(self, number: int, wave: int, name: str, key: str, part: int = 1) -> _File:
        path = self._folder(number, wave) / name
        file = _File(path, path.relative_to(self.landing).as_posix(), self.styles[number], part)
        self.files[file.relative] = file
        self.current[key] = file.relative
        return file

    def chunk(self, chunk: Population) -> None:
        """Write one chunk of persons."""
        piece = int(chunk.number[0]) // CHUNK
        tables = events(chunk)
        identities = people(chunk.number, chunk.birth_date, chunk.male, self.seed, piece)
        self.truth.persons(chunk, self.names)
        for number, style in enumerate(self.styles):
            hospital = Hospital(chunk, tables, identities, number, style)
            made = plant(hospital, {table.kind: hospital.cells(table.kind) for table in style.tables})
            parents = _Parents(spared(hospital, made))
            for table in style.tables:
                self._table(number, table, made[table.kind], piece, parents)
            for which, headers in style.lists.items():
                cells = hospital.listed(which)
                for wave in range(len(self.dates)):
                    rows = np.flatnonzero(cells.wave == wave)
                    columns = [
                        SheetColumn(header, cells.fields[name][rows], ENTITIES[name])
                        for header, name in headers.items()
                    ]
                    self._write(number, wave, which, Sheet(columns))

    def _table(self, number: int, table: Table, cells: Cells, piece: int, parents: _Parents) -> None:
        style = self.styles[number]
        dated = {
            column.header: date_texts(cells.fields[column.field], column.date)
            for column in table.columns
            if column.field in ("date", "birth_date")
        }
        for wave in range(len(self.dates)):
            if table.delivery == "correction":
                chosen = cells.wrong if wave == 1 else np.zeros(len(cells.wave), dtype=bool)
            elif table.delivery == "snapshot":
                chosen = cells.wave <= wave
            else:
                chosen = cells.wave == wave
            rows = np.flatnonzero(chosen)
            if not len(rows):
                continue
            columns = [
                self._column(style, table, column, cells, rows, wave, dated.get(column.header))
                for column in table.columns
            ]
            rng = generator(self.seed, f"defects-{number}-{wave}-{table.name}", piece)
            headers = {column.field: column.header for column in table.columns}
            planted = [
                Defect(place, headers[cells.planted[row][0]], cells.planted[row][1])
                for place, row in enumerate(rows.tolist())
                if row in cells.planted
            ]
            alone = parents.spared[cells.person[rows]] & (cells.person[rows] >= 0)
            sheet = inject(Sheet(columns, planted), table.defects, table.file.endswith(".csv"), rng, alone)
            parents.see(table.kind, headers, sheet)
            self._write(number, wave, table.name, sheet, table)

    def _column(
        self,
        style: Style,
        table: Table,
        column: Column,
        cells: Cells,
        rows: npt.NDArray[np.intp],
        wave: int,
        dated: Words | None,
    ) -> SheetColumn:
        """One column of the rows that one delivery brings."""
        name = column.field
        spans = cells.spans.get(name)
        chosen = None if spans is None else [spans[row] for row in rows.tolist()]
        entity = "" if name == "name" and table.kind in UNNAMED_KINDS else ENTITIES.get(name, "")
        quoted = spans is not None and style.quote_texts
        if name == "voided":
            marks = style.codes["voided"]
            late = cells.voided[rows] & (cells.wave[rows] < wave)
            return SheetColumn(column.header, words([marks[str(value)] for value in late.tolist()]))
        if dated is not None:
            return SheetColumn(column.header, dated[rows], entity, date=column.date)
        values = cells.fields[name][rows]
        if table.delivery == "correction" and name in cells.corrected:
            values = cells.corrected[name][rows]
        elif table.delivery == "snapshot" and name in cells.moved:
            values = np.where(cells.wave[rows] < wave, cells.moved[name][rows], values)
        return SheetColumn(column.header, values, entity, chosen, quoted)

    def _write(self, number: int, wave: int, name: str, sheet: Sheet, table: Table | None = None) -> None:
        """Append a piece to the file of one table and delivery, and its truth."""
        if not len(sheet):
            return
        file = self.files[self.current[self._key(number, wave, name)]]
        if file.path.suffix == ".xlsx":
            if table is not None and file.rows + len(sheet) > SHEET_ROWS:
                file = self._begin(number, wave, table, file.part + 1)
            self.pool.append(_spool(file.path), sheet_rows(sheet, file.rows + 2))
        else:
            self.pool.append(file.path, text_lines(sheet, file.style.encoding))
        self.truth.sheet(file.relative, file.rows, sheet)
        file.rows += len(sheet)

    def finish(self, scenario: str) -> None:
        """Close all files, make the workbooks, write manifests, markers and the truth's summary."""
        self.pool.close()
        self.truth.close(scenario, self.seed, len(self.dates))
        for file in self.files.values():
            if file.path.suffix == ".xlsx":
                write_workbook(file.path, _spool(file.path))
        for number in range(len(self.names)):
            for wave in range(len(self.dates)):
                folder = self._folder(number, wave)
                inside = sorted((f for f in self.files.values() if f.path.parent == folder), key=lambda f: f.path.name)
                listing = manifest([(f.path.name, f.rows, f.path) for f in inside])
                (folder / _MANIFEST).write_bytes(listing)
                (folder / _COMPLETE).write_bytes(b"")


def _spool(path: Path) -> Path:
    """Where the rows of a workbook wait until all of them are there."""
    return path.with_name(f".{path.name}{_SPOOL}")

"""One piece of an exported table, and the defects that strike it on its way out.

What belongs here: columns of text with their identifying values, and the seeded injection of defects with what ingest
is expected to do about each. What does not: where cells come from (``cells``) and how they are written (``files``).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from meddata_pipeline.samples.render.cells import Spans
from meddata_pipeline.samples.render.style import DateFormat
from meddata_pipeline.samples.vocab import Words, vocabulary, words


@dataclass(frozen=True)
class SheetColumn:
    """One column of a piece.

    Attributes:
        header: its header.
        values: the cells as texts.
        entity: entity of its cells if they identify someone as a whole, else empty.
        spans: spans of identifying values in free texts.
        quoted: whether cells are written in quotes.
        date: format of its dates, if it holds dates.
    """

    header: str
    values: Words
    entity: str = ""
    spans: Spans | None = None
    quoted: bool = False
    date: DateFormat | None = None


@dataclass(frozen=True)
class Defect:
    """One injected defect: the record's row within the piece, the column concerned and the defect's name."""

    row: int
    column: str
    name: str


@dataclass(frozen=True)
class Sheet:
    """Consecutive records of an exported table.

    Attributes:
        columns: in the order of the file.
        defects: injected so far.
        kept: number of cells that are left of a row that is cut short, by row.
        damaged: position of the cell whose bytes are broken, by row.
    """

    columns: list[SheetColumn]
    defects: list[Defect] = field(default_factory=list)
    kept: dict[int, int] = field(default_factory=dict)
    damaged: dict[int, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.columns[0].values)


def inject(
    sheet: Sheet,
    targets: dict[str, str],
    text_file: bool,
    rng: np.random.Generator,
    spared: npt.NDArray[np.bool_] | None = None,
) -> Sheet:
    """Strike a few records of a piece, each with one defect at most.

    Args:
        sheet: a piece; records that already have a defect must be spared.
        targets: header that each cell defect strikes (``missing``, ``date``, ``future``, ``code``, ``digits``,
            ``number``, ``unit``, ``damage``).
        text_file: whether the file is text; workbooks have neither short rows nor broken bytes.
        rng: random generator.
        spared: records that are left alone.

    Returns:
        The piece with duplicates inserted and cells struck.
    """
    if not targets or not len(sheet):
        return sheet
    rates: dict[str, float] = vocabulary("defects")["rates"]
    able = {"duplicate", *targets} | ({"unit_missing", "unit_unknown"} if "unit" in targets else set())
    able = able | {"short_row"} if text_file else able - {"damage"}
    plan = [(name, rate) for name, rate in rates.items() if name in able]
    edges = np.cumsum([rate for _, rate in plan])
    struck = np.searchsorted(edges, rng.random(len(sheet)), side="right")
    hits = np.flatnonzero((struck < len(plan)) & (True if spared is None else ~spared))
    names = {int(row): plan[int(struck[row])][0] for row in hits}
    draws = dict(zip(names, rng.integers(0, 1 << 20, len(names)).tolist(), strict=True))

    copies = np.ones(len(sheet), dtype=np.int64)
    for row, name in names.items():
        if name == "duplicate":
            copies[row] = 2
    source = np.repeat(np.arange(len(sheet)), copies)
    place = np.cumsum(copies) - 1
    columns = [
        replace(
            column,
            values=column.values[source],
            spans=None if column.spans is None else [column.spans[row] for row in source.tolist()],
        )
        for column in sheet.columns
    ]
    result = Sheet(columns, [replace(defect, row=int(place[defect.row])) for defect in sheet.defects])
    position = {column.header: number for number, column in enumerate(columns)}
    for row, name in names.items():
        _strike(result, int(place[row]), name, targets, position, draws[row])
    return result


def _strike(sheet: Sheet, row: int, name: str, targets: dict[str, str], position: dict[str, int], draw: int) -> None:
    """Give one record its defect; a defect that would change nothing is left out."""
    lists = vocabulary("defects")
    if name == "duplicate":
        sheet.defects.append(Defect(row, "", name))
        return
    if name == "short_row":
        sheet.kept[row] = max(len(sheet.columns) - 1 - draw % 3, 1)
        sheet.defects.append(Defect(row, "", name))
        return
    header = targets["unit" if name.startswith("unit_") else name]
    column = sheet.columns[position[header]]
    value = column.values[row]
    if not value:
        return
    if name == "damage":
        sheet.damaged[row] = position[header]
    else:
        options: dict[str, list[str]] = {
            "missing": [""],
            "date": lists["dates"][column.date or "iso"],
            "future": [lists["future"].get(column.date, lists["future"]["iso"])],
            "code": lists["codes"],
            "digits": lists["digits"],
            "number": lists["numbers"],
            "unit_missing": [""],
            "unit_unknown": lists["units"],
        }
        column.values[row] = options[name][draw % len(options[name])]
    sheet.defects.append(Defect(row, header, name))


def from_rows(headers: list[str], rows: list[list[str]]) -> Sheet:
    """A piece from plain rows, for small lists.

    Args:
        headers: headers of the columns.
        rows: records.
    """
    return Sheet([SheetColumn(header, words([row[i] for row in rows])) for i, header in enumerate(headers)])

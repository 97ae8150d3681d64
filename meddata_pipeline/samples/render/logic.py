"""Contradictions that stand in a hospital's own database, and so in every delivery of the row.

What belongs here: rows that are well-formed, so that ingest takes them, and that only a look at other rows or at what
is possible at all gives away. What does not: defects of one delivery (``sheet``) and how any of this is found.

The rows that the study reads as exposure, outcome or covariate are left alone, so that the planted effect stays true
whatever a pipeline does with the rows that it finds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from meddata_pipeline.samples.events import Events
from meddata_pipeline.samples.model import Bools, generator
from meddata_pipeline.samples.render.cells import Cells, Hospital
from meddata_pipeline.samples.vocab import vocabulary

#: Far above the numbers of persons, so that nobody has these record and visit numbers.
_NOBODY = 50_000_000
_NO_VISIT = 500_000_000

#: Units in which a number would be right, by the unit that is written: factor from the model's own unit.
#: Only where the result is impossible in the unit that is written.
_MIXED: dict[tuple[str, str], tuple[float, int]] = {
    ("glucose", "mmol/L"): (18.016, 0),
    ("glucose", "mg/dL"): (1.0, 1),
    ("creatinine", "umol/L"): (0.0113097, 2),
    ("creatinine", "mg/dL"): (1.0, 0),
    ("wbc", "/uL"): (1.0, 1),
}
#: Specimens of the laboratory's model that no cohort takes: an older and a later one.
_UNUSED_SPECIMENS = (2, 3)


@dataclass
class _Table:
    """The rows of one kind while they are struck.

    Attributes:
        cells: the hospital's cells, whose fields are copies.
        rows: the events behind them.
        rng: generator of this kind.
        copies: rows that are added: the row they are copied from, the fields that differ, defect and its field.
    """

    hospital: Hospital
    cells: Cells
    rows: Events
    rng: np.random.Generator
    copies: list[tuple[int, dict[str, str], tuple[str, str] | None]] = field(default_factory=list)

    def strike(self, row: int, name: str, column: str, value: Any) -> None:
        """Replace a cell and remember that."""
        self.cells.fields[column][row] = value
        self.cells.planted[row] = (column, name)

    def person(self, name: str, row: int) -> Any:
        """What the model knows of the person of a row."""
        return getattr(self.hospital.chunk, name)[self.cells.person[row]]

    def pick(self, options: list[Any]) -> Any:
        """One of some values."""
        return options[int(self.rng.integers(0, len(options)))]


def plant(hospital: Hospital, made: dict[str, Cells]) -> dict[str, Cells]:
    """Give a few rows of a hospital a contradiction each.

    Args:
        hospital: one hospital's view of a chunk.
        made: its cells by kind.

    Returns:
        The cells with rows changed and added; ``planted`` says which. Persons who must not be in are left alone.
    """
    rates: dict[str, dict[str, float]] = vocabulary("defects")["logic"]
    died = _died(hospital, made)
    result = dict(made)
    for kind, plan in rates.items():
        cells = made[kind]
        rng = generator(hospital.chunk.seed, f"logic-{hospital.number}-{kind}", hospital.piece)
        rows = hospital.rows(kind)
        fields = {name: values.copy() for name, values in cells.fields.items()}
        table = _Table(hospital, replace(cells, fields=fields, planted={}), rows, rng)
        able = hospital.chunk.eligible[cells.person] & ~cells.voided & ~cells.wrong
        edges = np.cumsum(list(plan.values()))
        drawn = np.searchsorted(edges, rng.random(len(able)), side="right")
        names = list(plan)
        for row in np.flatnonzero(able & (drawn < len(names))).tolist():
            _STRIKES[names[int(drawn[row])]](table, row)
        if kind in _LIVING:
            dead = died[cells.person]
            chosen = able & ~np.isnat(dead) & (rng.random(len(able)) < vocabulary("defects")["after_death"])
            for row in np.flatnonzero(chosen).tolist():
                if row not in table.cells.planted:
                    last = np.datetime64(hospital.chunk.start, "D") - np.timedelta64(1, "D")
                    after = int((last - dead[row]).astype(np.int64))
                    date = dead[row] + rng.integers(1, max(after, 2))
                    table.strike(row, "after_death", "date", min(date, last))
        result[kind] = _with_copies(table)
    return result


#: Kinds of which a few rows are dated after their person's death.
_LIVING = ("procedure", "imaging", "medication")


def _died(hospital: Hospital, made: dict[str, Cells]) -> npt.NDArray[np.datetime64]:
    """Day of death of each person of the chunk, NaT for the living."""
    died = np.full(len(hospital.chunk), np.datetime64("NaT"), dtype="datetime64[D]")
    died[made["death"].person] = made["death"].fields["date"]
    return died


def _with_copies(table: _Table) -> Cells:
    """The cells with the added rows at their end."""
    cells = table.cells
    if not table.copies:
        return cells
    count = len(cells.wave)
    source = np.concatenate([np.arange(count), [row for row, _, _ in table.copies]]).astype(np.int64)
    fields = {name: values[source] for name, values in cells.fields.items()}
    planted = dict(cells.planted)
    for place, (_, changes, mark) in enumerate(table.copies, start=count):
        for name, value in changes.items():
            fields[name][place] = value
        if mark is not None:
            planted[place] = mark
    return replace(
        cells,
        wave=cells.wave[source],
        voided=cells.voided[source],
        fields=fields,
        spans={name: [spans[row] for row in source.tolist()] for name, spans in cells.spans.items()},
        moved={name: values[source] for name, values in cells.moved.items()},
        wrong=cells.wrong[source],
        corrected={name: values[source] for name, values in cells.corrected.items()},
        person=cells.person[source],
        planted=planted,
    )


def spared(hospital: Hospital, made: dict[str, Cells]) -> Bools:
    """Persons of the chunk whose rows suffer no other defect, so that a planted contradiction can be seen.

    Args:
        hospital: one hospital's view of a chunk.
        made: what ``plant`` gave.
    """
    mask = np.zeros(len(hospital.chunk), dtype=bool)
    for cells in made.values():
        mask[cells.person[list(cells.planted)]] = True
    mask[made["death"].person] = True
    return mask


# -- the contradictions ------------------------------------------------------------------------------------------------


def _before_birth(table: _Table, row: int) -> None:
    date = table.person("birth_date", row) - np.timedelta64(int(table.rng.integers(30, 3000)), "D")
    table.strike(row, "before_birth", "date", date)


def _outside_visit(table: _Table, row: int) -> None:
    """The year before, as people write in January."""
    if table.rows["visit"][row] >= 0:
        table.strike(row, "outside_visit", "date", table.cells.fields["date"][row] - np.timedelta64(365, "D"))


def _tooth(table: _Table, row: int) -> None:
    if table.cells.fields["tooth"][row] and not str(table.cells.fields.get("code", [""] * (row + 1))[row]).startswith(
        "K04.0"
    ):
        table.strike(row, "tooth", "tooth", table.pick(vocabulary("defects")["teeth"]))


def _days(table: _Table, row: int) -> None:
    table.strike(row, "days", "days", table.pick(vocabulary("defects")["days"]))


def _orphan_patient(table: _Table, row: int) -> None:
    """The truth of an orphan is written where its parent is known to be missing (api), whatever the cause."""
    number = np.array([table.person("number", row) + _NOBODY])
    table.cells.fields["patient_no"][row] = table.hospital.serial("patient_no", number)[0]


def _orphan_visit(table: _Table, row: int) -> None:
    if table.rows["visit"][row] >= 0:
        number = np.array([table.person("number", row) * 4 + _NO_VISIT])
        table.cells.fields["visit_no"][row] = table.hospital.serial("visit_no", number)[0]


def _code_format(table: _Table, row: int) -> None:
    code = str(table.cells.fields["code"][row])
    if not code.startswith(("K04", "K02", "K05", "E11")):
        wrong = [code.replace(".", "。"), code[1:], code.replace("0", "O", 1), code.replace(".", "")]
        table.strike(row, "code_format", "code", table.pick(wrong))


def _one_sex(table: _Table, row: int, other: bool) -> None:
    male = bool(table.person("male", row)) != other
    code, text = table.pick(vocabulary("clinical")["one_sex"]["M" if male else "F"])
    mark = ("code", "sex_code") if other else None
    table.copies.append((row, {"code": code, "text": text, "tooth": ""}, mark))


def _sex_code(table: _Table, row: int) -> None:
    _one_sex(table, row, True)


def _right_sex(table: _Table, row: int) -> None:
    _one_sex(table, row, False)


def _weight(table: _Table, row: int) -> None:
    """Another person's weight: possible, but not with this height and body mass index."""
    value = table.cells.fields["weight"][row]
    if value:
        table.strike(row, "weight", "weight", f"{float(value) + table.rng.uniform(25, 45):.1f}")


def _age(table: _Table, row: int) -> None:
    """The day that a spreadsheet shows for an empty cell."""
    table.strike(row, "age", "birth_date", np.datetime64("1900-01-01", "D"))


def _genotype(table: _Table, row: int) -> None:
    """A carrier without the allele."""
    if table.rows["carrier"][row]:
        panel = {name: genotypes for _, name, genotypes in vocabulary("clinical")["variants"]}
        table.strike(row, "genotype", "genotype", panel[table.rows["variant"][row]][0])


def _unit_of(table: _Table, row: int) -> tuple[str, float, int] | None:
    """Spelling, factor from the model's unit and decimals of a laboratory row; None for results in words."""
    spec = table.hospital.style.tests[str(table.rows["test"][row])]
    if "units" not in spec:
        return None
    unit, factor, decimals = spec["units"][int(table.rows["staff"][row]) % len(spec["units"])]
    return str(unit), float(factor), int(decimals)


def _unused(table: _Table, row: int) -> bool:
    test = str(table.rows["test"][row])
    return test in ("wbc", "platelets", "glucose", "hba1c", "creatinine") or (
        test == "hscrp" and int(table.rows["specimen"][row]) in _UNUSED_SPECIMENS
    )


def _implausible(table: _Table, row: int) -> None:
    limits: dict[str, list[float]] = vocabulary("defects")["implausible"]
    unit = _unit_of(table, row)
    if unit is not None and _unused(table, row):
        low, high = limits[str(table.rows["test"][row])]
        value = table.rng.uniform(low, high) * unit[1]
        table.strike(row, "implausible", "result", f"{value:.{unit[2]}f}")


def _negative(table: _Table, row: int) -> None:
    unit = _unit_of(table, row)
    result = str(table.cells.fields["result"][row])
    if unit is not None and _unused(table, row) and not result.startswith("<") and float(result) > 0:
        table.strike(row, "negative", "result", f"-{result}")


def _unit_mixed(table: _Table, row: int) -> None:
    """A number in one unit beside the name of another, where the result can't be."""
    test, unit = str(table.rows["test"][row]), _unit_of(table, row)
    if unit is None:
        return
    written = unit[0].replace("µ", "u").replace("μ", "u")
    if (test, written) not in _MIXED:
        return
    factor, decimals = _MIXED[test, written]
    value = float(table.rows["value"][row]) * factor
    limits: list[float] | None = vocabulary("defects")["mixed"].get(f"{test} {written}")
    if limits is None or limits[0] < value < limits[1]:
        table.strike(row, "unit_mixed", "result", f"{value:.{decimals}f}")


def _near_duplicate(table: _Table, row: int) -> None:
    """The same result of the same day again, under another specimen number."""
    number = table.person("number", row) * 4 + int(table.rows["specimen"][row]) + _NO_VISIT
    again = table.hospital.serial("specimen_no", np.array([number]))[0]
    mark = ("specimen_no", "near_duplicate")
    # Neither of the two can be known to be the wrong one.
    table.copies.append((row, {"specimen_no": again}, mark))
    table.cells.planted[row] = mark


_STRIKES: dict[str, Callable[[_Table, int], None]] = {
    "before_birth": _before_birth,
    "outside_visit": _outside_visit,
    "tooth": _tooth,
    "days": _days,
    "orphan_patient": _orphan_patient,
    "orphan_visit": _orphan_visit,
    "code_format": _code_format,
    "sex_code": _sex_code,
    "right_sex": _right_sex,
    "weight": _weight,
    "age": _age,
    "genotype": _genotype,
    "implausible": _implausible,
    "negative": _negative,
    "unit_mixed": _unit_mixed,
    "near_duplicate": _near_duplicate,
}

"""A hospital's way of exporting, read from ``styles/*.yaml``.

What belongs here: the schema of a style and its loading. What does not: applying it (``cells``, ``files``).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Literal

import yaml

STYLES: tuple[str, ...] = ("hospital_a", "hospital_b", "hospital_c")

DateFormat = Literal["iso", "slash", "chinese", "compact", "serial"]


@dataclass(frozen=True)
class Column:
    """A column of an exported table.

    Attributes:
        header: text of the header.
        field: name of the canonical value.
        date: how its dates are written.
    """

    header: str
    field: str
    date: DateFormat


@dataclass(frozen=True)
class Table:
    """An exported table.

    Attributes:
        name: its name in the hospital's profile.
        kind: canonical kind.
        file: file name with ``{day}``, ending in .csv or .xlsx.
        delivery: snapshot, increment or correction.
        columns: in the order of the file.
        defects: header that each injected defect strikes, by the defect's name.
    """

    name: str
    kind: str
    file: str
    delivery: str
    columns: tuple[Column, ...]
    defects: dict[str, str]


@dataclass(frozen=True)
class Style:
    """How one hospital exports.

    Attributes:
        encoding: gb18030 or utf-8; ``bom`` says whether a byte order mark comes first.
        separator: what stands between the sentences of a text.
        quote_texts: whether free texts are quoted.
        numbers: prefix and digits of each serial number.
        codes: spelling of coded values, by field.
        tests: name and units (spelling, factor, decimals) or qualitative results of each laboratory test.
        lists: headers of the lists of persons to leave out, by list.
    """

    name: str
    hospital_name: str
    ward: str
    encoding: str
    bom: bool
    separator: str
    quote_texts: bool
    numbers: dict[str, tuple[str, int]]
    codes: dict[str, dict[str, str]]
    tests: dict[str, dict[str, Any]]
    tables: tuple[Table, ...]
    lists: dict[str, dict[str, str]]


@cache
def load_style(name: str) -> Style:
    """Load one style.

    Args:
        name: a name of STYLES.
    """
    source = resources.files("meddata_pipeline.samples").joinpath("render", "styles", f"{name}.yaml")
    data = yaml.safe_load(source.read_text(encoding="utf-8"))
    default: DateFormat = data.pop("dates")

    def one_column(header: str, spec: str | dict[str, Any]) -> Column:
        if isinstance(spec, str):
            return Column(header, spec, default)
        return Column(header, spec["field"], spec.get("date", default))

    tables = tuple(
        Table(**{**entry, "columns": tuple(one_column(*item) for item in entry["columns"].items())}, name=key)
        for key, entry in data.pop("tables").items()
    )
    numbers = {key: (prefix, width) for key, (prefix, width) in data.pop("numbers").items()}
    return Style(**data, numbers=numbers, tables=tables)

"""Columns of a table as variables of a study: numbers, coded binaries, categories, with missing values kept apart.

Belongs here: reading a table, cutting, coding, expressions over columns, and what a release's generalised values
(`[40, 45)`, `*`) are worth. Does not belong here: model terms (design.py) and estimates.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from meddata_pipeline.core.errors import BadInput, ConfigError
from meddata_pipeline.core.expression import Floats, evaluate, parse
from meddata_pipeline.study.spec import Cut, Scalar, StudySpec, Variable

#: YAML 1.1 reads yes/no/on/off as booleans; a cell that spells one of these words is meant then.
_TRUE_WORDS = ("true", "yes", "on")
_FALSE_WORDS = ("false", "no", "off")


class NotComputableError(Exception):
    """An analysis has no answer on these data; `reason` is a kebab-case code."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


@dataclass(frozen=True)
class Coded:
    """One variable over all rows of the table.

    Attributes:
        name: its name in study.yaml.
        kind: number, binary (1 and 0) or category (values are positions in `levels`).
        values: float64, NaN for missing.
        levels: names of a category's levels in order.
        reference: position of the reference level.
    """

    name: str
    kind: Literal["number", "binary", "category"]
    values: Floats
    levels: tuple[str, ...] = ()
    reference: int = 0


def read_table(path: Path, spec: StudySpec) -> pd.DataFrame:
    """Read the table of an association: CSV (all cells as text) or Parquet.

    Raises:
        BadInput: the file is missing, is neither, or its rows do not fit its header.
    """
    name = path.name
    if not path.is_file():
        raise BadInput("The table is not there", where=name)
    if path.suffix.lower() in (".parquet", ".pq"):
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            frame: pd.DataFrame = pq.read_table(path).to_pandas()
        except (pa.ArrowInvalid, OSError):
            raise BadInput("The table is not a readable Parquet file", where=name) from None
        return frame
    try:
        return pd.read_csv(
            path,
            sep=spec.table.delimiter,
            dtype=str,
            keep_default_na=False,
            na_values=spec.table.missing,
            encoding="utf-8-sig",
            index_col=False,
        )
    except UnicodeDecodeError:
        raise BadInput("The table is not UTF-8", where=name, next_step="Convert it to UTF-8") from None
    except pd.errors.ParserError as error:
        line = re.search(r"line (\d+)", str(error))
        where = f"{name}, line {line[1]}" if line else name
        raise BadInput("A row has more fields than the header", where=where) from None
    except pd.errors.EmptyDataError:
        raise BadInput("The table is empty", where=name) from None


def _text_of(value: object) -> str | None:
    if value is None or value is pd.NA or (isinstance(value, float) and np.isnan(value)):
        return None
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, float | np.floating) and float(value).is_integer() and abs(float(value)) < 1e15:
        return str(int(value))
    return str(value)


def as_texts(column: pd.Series) -> npt.NDArray[np.object_]:
    """A column as texts, None for missing; 1.0 reads "1", booleans read "true" and "false"."""
    codes, uniques = pd.factorize(column, use_na_sentinel=True)
    texts = np.array([*(_text_of(value) for value in uniques), None], dtype=object)
    return texts[codes]


def as_numbers(column: pd.Series, name: str) -> Floats:
    """A column as float64, NaN for missing.

    Raises:
        BadInput: a value is no number; the text names the row, never the value.
    """
    kind = column.dtype.kind if isinstance(column.dtype, np.dtype) else ""
    if kind in "iufb" and kind:
        return np.asarray(column, dtype=np.float64)
    if pd.api.types.is_numeric_dtype(column):  # pandas' own types with missing values
        return column.to_numpy(dtype=np.float64, na_value=np.nan)
    if kind in ("M", "m"):
        raise BadInput("A column of dates is used as a number", where=f"column {name}")
    codes, uniques = pd.factorize(column, use_na_sentinel=True)
    texts = [_text_of(value) for value in uniques]
    words = {"true": 1.0, "false": 0.0}
    values = np.full(len(texts) + 1, np.nan)
    for position, text in enumerate(texts):
        try:
            values[position] = words[text] if text in words else float((text or "").replace("_", "?"))
        except ValueError:
            row = int(np.flatnonzero(codes == position)[0]) + 1
            raise BadInput(
                "A value is not a number",
                where=f"column {name}, data row {row}",
                next_step="Declare the variable as category or binary, or add the spelling to table.missing",
            ) from None
    values[~np.isfinite(values)] = np.nan
    return values[codes]


def spellings(value: Scalar) -> tuple[str, ...]:
    """How a value of the YAML file may be spelled in the table."""
    if isinstance(value, bool):
        return _TRUE_WORDS if value else _FALSE_WORDS
    return (str(_text_of(value)),) if isinstance(value, float) else (str(value),)


def _matches(texts: npt.NDArray[np.object_], value: Scalar) -> npt.NDArray[np.bool_]:
    words = spellings(value)
    if isinstance(value, bool):
        codes, uniques = pd.factorize(texts, use_na_sentinel=True)
        hit = np.array([*(str(text).lower() in words for text in uniques), False], dtype=bool)
        return hit[codes]
    return np.asarray(texts == words[0], dtype=bool)


def break_labels(breaks: Sequence[float], right: bool) -> tuple[str, ...]:
    """Labels of the classes between breaks: ``(38,44]``, or ``[38,44)`` when the left end belongs to the class."""
    ends = [f"{value:.15g}" for value in breaks]
    opening, closing = ("(", "]") if right else ("[", ")")
    return tuple(f"{opening}{low},{high}{closing}" for low, high in pairwise(ends))


class Variables:
    """The variables of a study on one table, coded on first use.

    Args:
        frame: the table; one row a person, or a row for as many persons as its frequency says.
        spec: the study.
        weights: persons a row stands for, used where a variable is cut by quantiles.
    """

    def __init__(self, frame: pd.DataFrame, spec: StudySpec, weights: Floats | None = None) -> None:
        self.frame = frame
        self.spec = spec
        self.weights = weights
        self._coded: dict[str, Coded] = {}
        self._open: list[str] = []

    def __len__(self) -> int:
        return len(self.frame)

    def _column(self, name: str) -> pd.Series:
        if name not in self.frame.columns:
            raise BadInput("The table has no such column", where=f"column {name}")
        column = self.frame[name]
        if isinstance(column, pd.DataFrame):
            raise BadInput("Two columns of the table have the same name", where=f"column {name}")
        return column

    def has(self, name: str) -> bool:
        """Whether a name is a variable or a column."""
        return name in self.spec.variables or name in self.frame.columns

    def numbers(self, name: str) -> Floats:
        """A column (or, where there is no such column, a variable) as numbers, for expressions."""
        if name not in self.frame.columns and name in self.spec.variables:
            coded = self.get(name)
            if coded.kind == "category":
                raise ConfigError("A category can't be used as a number", where=f"variable {name}")
            return coded.values
        return as_numbers(self._column(name), name)

    def texts(self, name: str) -> npt.NDArray[np.object_]:
        """A column (or a category) as texts, for expressions."""
        if name not in self.frame.columns and name in self.spec.variables:
            coded = self.get(name)
            if coded.kind == "category":
                names = np.array([*coded.levels, None], dtype=object)
                return names[np.where(np.isnan(coded.values), len(coded.levels), coded.values).astype(np.intp)]
            return as_texts(pd.Series(coded.values))
        return as_texts(self._column(name))

    def expression(self, text: str) -> Floats:
        """An expression over all rows; NaN where it is missing."""
        values = evaluate(parse(text), self.numbers, self.texts)
        return np.broadcast_to(values, (len(self),)).astype(np.float64)

    def get(self, name: str) -> Coded:
        """A variable by name; a column that is not declared is read as a number.

        Raises:
            ConfigError: the variable refers to itself, or its reference is none of its levels.
            BadInput: the table has no such column, or a value is no number.
        """
        if name in self._coded:
            return self._coded[name]
        if name in self._open:
            raise ConfigError("Variables refer to each other in a circle", where=f"variable {name}")
        self._open.append(name)
        try:
            declared = self.spec.variables.get(name)
            if declared is None:
                coded = Coded(name, "number", as_numbers(self._column(name), name))
            else:
                coded = self._code(name, declared)
        finally:
            self._open.pop()
        self._coded[name] = coded
        return coded

    def binary(self, name: str) -> Coded:
        """A variable that must be binary; a number of only 0 and 1 counts as one.

        Raises:
            ConfigError: it is a category or another number.
        """
        coded = self.get(name)
        if coded.kind == "number":
            present = coded.values[~np.isnan(coded.values)]
            if np.isin(present, (0.0, 1.0)).all():
                return Coded(name, "binary", coded.values)
        if coded.kind != "binary":
            raise ConfigError(
                f"This analysis needs a binary variable, not a {coded.kind}",
                where=f"variable {name}",
                next_step="Declare it with type: binary and the event's value",
            )
        return coded

    def completed(self, filled: Mapping[str, Coded]) -> Variables:
        """Variables over other rows, all of them given; columns are not to be asked for."""
        rows = len(next(iter(filled.values())).values)
        other = Variables(pd.DataFrame(index=range(rows), columns=list(filled)), self.spec)
        other._coded = dict(filled)
        return other

    def _code(self, name: str, variable: Variable) -> Coded:
        if variable.type == "number":
            return Coded(name, "number", self._source_numbers(name, variable))
        if variable.type == "binary":
            return Coded(name, "binary", self._binary(name, variable))
        if variable.cut is not None:
            return self._cut(name, variable, variable.cut)
        return self._category(name, variable)

    def _source_numbers(self, name: str, variable: Variable) -> Floats:
        if variable.expression is not None:
            return self.expression(variable.expression)
        return as_numbers(self._column(variable.source or name), variable.source or name)

    def _binary(self, name: str, variable: Variable) -> Floats:
        if variable.expression is not None:
            values = self.expression(variable.expression)
            if variable.event is None:
                return np.where(np.isnan(values), np.nan, (values != 0).astype(np.float64))
            column = pd.Series(values)
        else:
            column = self._column(variable.source or name)
        event: Scalar = variable.event if variable.event is not None else 1
        is_boolean = pd.api.types.is_bool_dtype(column) or (
            column.dtype == object and pd.api.types.infer_dtype(column, skipna=True) == "boolean"
        )
        if is_boolean and str(event).lower() in ("0", "1", "true", "false"):
            event = str(event).lower() in ("1", "true")
        elif pd.api.types.is_numeric_dtype(column) and not is_boolean and not isinstance(event, bool):
            # 1 and "1.0" are the same value of a numeric column.
            try:
                event = float(event)
            except ValueError:
                event = str(event)
        texts = as_texts(column)
        missing = np.array(pd.isna(pd.Series(texts, dtype=object)), dtype=bool)
        return np.where(missing, np.nan, _matches(texts, event).astype(np.float64))

    def _cut(self, name: str, variable: Variable, cut: Cut) -> Coded:
        values = self._source_numbers(name, variable)
        present = ~np.isnan(values)
        if cut.breaks is not None:
            edges = np.asarray(cut.breaks, dtype=np.float64)
            labels = break_labels(cut.breaks, cut.right)
            inside = (values > edges[0]) & (values <= edges[-1])
            if not cut.right:
                inside = (values >= edges[0]) & (values < edges[-1])
        else:
            persons = values[present]
            if self.weights is not None:
                persons = np.repeat(persons, np.nan_to_num(self.weights[present]).astype(np.int64))
            if not len(persons):
                raise NotComputableError("no-rows")
            count = int(cut.quantiles or 2)
            edges = np.quantile(persons, np.linspace(0, 1, count + 1), method="linear")
            if (np.diff(edges) <= 0).any():
                raise NotComputableError("quantiles-not-distinct")
            labels = tuple(str(i + 1) for i in range(count))
            inside = present
        side: Literal["left", "right"] = "left" if cut.right else "right"
        with np.errstate(invalid="ignore"):
            position = np.searchsorted(edges, np.nan_to_num(values), side=side) - 1
        position = np.clip(position, 0, len(labels) - 1)
        coded = np.where(inside, position.astype(np.float64), np.nan)
        return Coded(name, "category", coded, labels, self._reference(name, variable, labels))

    def _category(self, name: str, variable: Variable) -> Coded:
        if variable.expression is not None:
            texts = as_texts(pd.Series(self.expression(variable.expression)))
        else:
            texts = as_texts(self._column(variable.source or name))
        codes, uniques = pd.factorize(texts, use_na_sentinel=True)
        found = [str(text) for text in uniques]
        if variable.levels is not None:
            levels = tuple(self._spelled(level, found) for level in variable.levels)
            if len(set(levels)) < len(levels):
                raise ConfigError("A level stands twice in levels", where=f"variable {name}")
        else:
            levels = tuple(sorted(found))
        if not levels:
            raise NotComputableError("no-rows")
        place = {level: float(position) for position, level in enumerate(levels)}
        lookup = np.array([*(place.get(text, np.nan) for text in found), np.nan])
        return Coded(name, "category", lookup[codes], levels, self._reference(name, variable, levels))

    @staticmethod
    def _spelled(value: Scalar, found: Sequence[str]) -> str:
        words = spellings(value)
        if isinstance(value, bool):
            return next((text for text in found if text.lower() in words), words[0])
        return words[0]

    def _reference(self, name: str, variable: Variable, levels: tuple[str, ...]) -> int:
        if variable.reference is None:
            return 0
        reference = self._spelled(variable.reference, levels)
        if reference not in levels:
            raise ConfigError(f"The reference {reference!r} is none of the levels", where=f"variable {name}")
        return levels.index(reference)


_INTERVAL = re.compile(r"^\s*([\[(])\s*([^,]+?)\s*,\s*([^,]+?)\s*([\])])\s*$")


def _interval_value(text: str) -> str:
    match = _INTERVAL.match(text)
    if match is None:
        return text
    ends: list[float] = []
    for end in (match[2], match[3]):
        try:
            value = float(end.replace("∞", "inf"))
        except ValueError:
            return text
        if np.isfinite(value):
            ends.append(value)
    return repr(sum(ends) / len(ends)) if ends else text


def numeric_midpoints(frame: pd.DataFrame, spec: StudySpec) -> pd.DataFrame:
    """Make a released table computable: intervals become numbers, suppressed rows go.

    ``[40, 45)`` becomes its midpoint 42.5; of an open interval (``[24, ∞)``) the finite end is taken. A row is
    suppressed when each column that holds ``*`` in some rows holds it there; such rows are left out, a single ``*``
    elsewhere is missing. A column that is ``*`` throughout was generalised away: it carries no contrast, so it becomes
    constant (0, or the reference level) and drops out of every model instead of emptying it.

    Args:
        frame: the released table.
        spec: the study that will read it; only columns that it reads as numbers are converted.

    Returns:
        A new table; columns that the study does not name are unchanged.
    """
    result = frame.reset_index(drop=True).copy()
    stars: dict[str, npt.NDArray[np.bool_]] = {}
    for name in result.columns:
        column = result[name]
        if column.dtype == object or isinstance(column.dtype, pd.StringDtype | pd.CategoricalDtype):
            starred = (column.astype(object) == "*").to_numpy(dtype=bool)
            if starred.any():
                stars[str(name)] = starred
    everywhere = {name for name, starred in stars.items() if starred.all()}
    partly = [starred for name, starred in stars.items() if name not in everywhere]
    if partly:
        kept = ~np.logical_and.reduce(partly)
        result = result[kept].reset_index(drop=True)
    for name in result.columns:
        declared = [v for key, v in spec.variables.items() if (v.source or key) == name and v.expression is None]
        column = result[name]
        if column.dtype != object and not isinstance(column.dtype, pd.StringDtype | pd.CategoricalDtype):
            continue
        texts = column.astype(object)
        if str(name) in everywhere:
            category = next((v for v in declared if v.type == "category" and v.cut is None), None)
            if category is not None:
                level = category.reference if category.reference is not None else (category.levels or ["*"])[0]
                result[name] = spellings(level)[0]
            elif not any(v.type == "binary" for v in declared):
                result[name] = 0.0
            continue
        texts[texts == "*"] = None
        numeric = any(v.type == "number" or v.cut is not None for v in declared)
        if numeric or not declared:
            midpoints = {t: _interval_value(str(t)) for t in texts.dropna().unique()}
            texts = texts.map(midpoints, na_action="ignore")
        result[name] = texts
    return result

"""`meddata anonymize` and `meddata risk` on files: CSV or Parquet in, the same out.

What belongs here: reading and writing tables, and the answer with its timings. What does not: the shell; see cli.
"""

from __future__ import annotations

import csv
import io
import time
from collections import defaultdict
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from meddata_pipeline.core.canonical import digest8, file_sha256
from meddata_pipeline.core.errors import BadInput
from meddata_pipeline.privacy.policy import load_policy
from meddata_pipeline.privacy.tabular.release import anonymize
from meddata_pipeline.privacy.tabular.verify import verify
from meddata_pipeline.storage.files import write_atomic

_PARQUET = {".parquet", ".pq"}
# Rows of a CSV that are put together at a time: some megabytes.
_CHUNK = 1 << 16


def read_table(path: Path, delimiter: str = ",", repeated: Collection[str] = ()) -> pd.DataFrame:
    """Read a CSV (every value as text, nothing guessed) or Parquet table.

    Args:
        path: file; its suffix says which.
        delimiter: of a CSV.
        repeated: columns of a CSV whose values repeat; they become categories of texts, which take little memory.

    Returns:
        The table.

    Raises:
        BadInput: the file is missing, can't be read, or its header does not fit; the text names it by its digest.
    """
    if not path.is_file():
        raise BadInput("The table is missing", next_step="Give the path of a CSV or Parquet file")
    try:
        if path.suffix.lower() in _PARQUET:
            return _read_parquet(path)
        text: dict[str, Any] = {"sep": delimiter, "keep_default_na": False, "encoding": "utf-8-sig"}
        header = pd.read_csv(path, header=None, nrows=1, dtype=str, **text).iloc[0].tolist()
        types: defaultdict[str, Any] = defaultdict(lambda: str, dict.fromkeys(repeated, "category"))
        table: pd.DataFrame = pd.read_csv(path, dtype=types, **text)
    except (ValueError, OSError, pd.errors.ParserError):
        raise BadInput(
            "The table can't be read as UTF-8 CSV or Parquet",
            where=f"file {digest8(file_sha256(path))}",
            next_step="Save it as UTF-8; GB18030 and other encodings are not guessed",
        ) from None
    if len(set(header)) != len(header):
        raise BadInput("The table has two columns of one name", where=f"file {digest8(file_sha256(path))}")
    # Rows that are longer than the header would move their first values into the index, and all columns by one.
    if not isinstance(table.index, pd.RangeIndex):
        raise BadInput("The table's rows have more values than its header", where=f"file {digest8(file_sha256(path))}")
    return table


def _read_parquet(path: Path) -> pd.DataFrame:
    """A Parquet table; whole numbers stay whole where some are missing, for floats hold none above 2⁵³."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    if len(set(table.column_names)) != len(table.column_names):
        raise BadInput("The table has two columns of one name", where=f"file {digest8(file_sha256(path))}")
    frame: pd.DataFrame = table.to_pandas()
    for name, column in zip(table.column_names, table.columns, strict=True):
        if pa.types.is_integer(column.type) and column.null_count and name in frame.columns:
            frame[name] = pd.array(column.to_pylist(), dtype="UInt64" if column.type == pa.uint64() else "Int64")
    return frame


def write_table(table: pd.DataFrame, path: Path, delimiter: str = ",") -> None:
    """Write a table whole or not at all, as CSV or Parquet by the suffix."""
    if path.suffix.lower() in _PARQUET:
        buffer = io.BytesIO()
        mixed = {
            name: table[name].map(_as_text).astype(object) for name in table.columns if _holds_objects(table[name])
        }
        table.assign(**mixed).to_parquet(buffer, index=False)
        write_atomic(path, buffer.getvalue())
        return
    write_atomic(path, _csv_parts(table, delimiter))


def _holds_objects(column: pd.Series[Any]) -> bool:
    return column.dtype == object or isinstance(column.dtype, pd.CategoricalDtype)


def _csv_parts(table: pd.DataFrame, delimiter: str) -> Iterator[bytes]:
    """The text of ``table.to_csv``, in parts: each distinct value is spelled and quoted once, Arrow joins the rows."""
    import pyarrow as pa
    import pyarrow.compute as pc

    spelled = [_spelled(table.iloc[:, i], delimiter, table.shape[1] == 1) for i in range(table.shape[1])]
    columns = [column for column in spelled if column is not None]
    if not columns or len(columns) < len(spelled):
        yield table.to_csv(sep=delimiter, index=False, lineterminator="\n").encode("utf-8")
        return
    yield table.iloc[:0].to_csv(sep=delimiter, index=False, lineterminator="\n").encode("utf-8")
    ends = [*[""] * (len(columns) - 1), "\n"]
    texts = [
        pa.array([text + end for text in made], pa.large_string()) for (_, made), end in zip(columns, ends, strict=True)
    ]
    for begin in range(0, len(table), _CHUNK):
        fields = [text.take(codes[begin : begin + _CHUNK]) for text, (codes, _) in zip(texts, columns, strict=True)]
        rows = pc.binary_join_element_wise(*fields, pa.scalar(delimiter, pa.large_string()))
        offsets = np.frombuffer(rows.buffers()[1], dtype=np.int64)
        yield rows.buffers()[2][: int(offsets[len(rows)])].to_pybytes()


def _spelled(column: pd.Series[Any], delimiter: str, alone: bool) -> tuple[NDArray[np.int64], list[str]] | None:
    """A column as codes into CSV fields, spelled as pandas does; None where a value's spelling depends on others.

    Args:
        column: of the table.
        delimiter: of the CSV.
        alone: whether it is the only column; an empty field is quoted then, or its row would be an empty line.
    """
    codes, distinct = pd.factorize(column)
    plain = pd.api.types.is_numeric_dtype(column.dtype)
    if plain:
        lines = pd.Series(distinct).to_csv(sep=delimiter, index=False, header=False, lineterminator="\n")
        fields = lines.split("\n")[:-1]
    else:
        values = np.asarray(distinct, dtype=object).tolist()
        if not all(isinstance(value, str) for value in values):
            return None
        fields = [_field([value] if alone else [value, ""], delimiter) for value in values]
    fields.append(_field([""] if alone else ["", ""], delimiter))
    return np.where(codes < 0, len(fields) - 1, codes), fields


def _field(row: list[str], delimiter: str) -> str:
    """The first field of a row as CSV, quoted where it must be."""
    buffer = io.StringIO()
    csv.writer(buffer, delimiter=delimiter, lineterminator="\n").writerow(row)
    return buffer.getvalue()[: -1 if len(row) == 1 else -2]


def _as_text(value: Any) -> str | None:
    return None if pd.isna(value) else str(value)


def anonymize_file(table: Path, policy_file: Path, out: Path) -> dict[str, Any]:
    """The whole of ``meddata anonymize``.

    Args:
        table: CSV or Parquet.
        policy_file: YAML; its relative paths are relative to its folder.
        out: where the anonymised table goes, CSV or Parquet.

    Returns:
        The answer of ``anonymize --json``.

    Raises:
        BadInput: input or policy is wrong.
        Refused: no solution, or the recount refuses; nothing is written then.
    """
    start = time.perf_counter()
    policy = load_policy(policy_file)
    frame = read_table(table, policy.table.delimiter, [*policy.quasi_identifiers, *policy.sensitive])
    loaded = time.perf_counter()
    result = anonymize(frame, policy, policy_file.parent, hidden=False)
    released = result.require()
    unit = frame[policy.unit] if policy.unit is not None else None
    counted = verify(
        released,
        policy,
        unit=unit,
        report=result.report,
        original=frame,
        background=result.background,
        base=policy_file.parent,
    )
    found = time.perf_counter()
    write_table(released, out, policy.table.delimiter)
    done = time.perf_counter()
    seconds = {"load": loaded - start, "search": found - loaded, "write": done - found}
    return {**result.report, "seconds": {name: round(value, 3) for name, value in seconds.items()}, "verified": counted}

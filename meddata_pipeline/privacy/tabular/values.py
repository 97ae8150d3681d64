"""Columns as dictionaries: one text per distinct value, one small number per row.

What belongs here: the canonical spelling of a value, which hierarchies and released columns share. What does not: what
a value may become; see hierarchy.py.
"""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

MISSING = ""
SUPPRESSED = "*"

Codes = NDArray[np.int32]


@dataclass(frozen=True)
class Encoded:
    """A column as codes into its distinct texts.

    Attributes:
        codes: shape (rows,), position in ``texts``.
        texts: distinct values in canonical spelling, sorted; a missing value is ``""``.
    """

    codes: Codes
    texts: list[str]


def text_of(value: Any) -> str:
    """The canonical spelling of one value: ISO dates, shortest numbers, ``""`` for missing."""
    if value is None or value is pd.NaT or value is pd.NA:
        return MISSING
    if isinstance(value, str):
        return value
    if isinstance(value, (bool, np.bool_)):
        return "true" if value else "false"
    if isinstance(value, (int, np.integer)):
        return str(int(value))
    if isinstance(value, (float, np.floating)):
        number = float(value)
        if math.isnan(number):
            return MISSING
        return str(int(number)) if number.is_integer() and abs(number) < 1e15 else repr(number)
    if isinstance(value, dt.datetime):
        midnight = value.time() == dt.time(0)
        return value.date().isoformat() if midnight else value.isoformat()
    if isinstance(value, dt.date):
        return value.isoformat()
    return str(value)


def encode(column: pd.Series[Any]) -> Encoded:
    """Encode a column by its distinct values; only these are spelled out, not every row.

    Args:
        column: any dtype; missing values are allowed.

    Returns:
        Codes into sorted texts, so that the encoding does not depend on the order of rows.
    """
    # Missing values come as -1: looking for them among the distinct ones would read every row once more.
    raw, distinct = pd.factorize(column)
    spelled = [text_of(value) for value in np.asarray(distinct, dtype=object)]
    missing = bool(len(raw)) and int(raw.min()) < 0
    texts = sorted({*spelled, MISSING} if missing else set(spelled))
    position = {text: i for i, text in enumerate(texts)}
    # The last entry is what -1 points to.
    remap = np.array([*(position[text] for text in spelled), position.get(MISSING, 0)], dtype=np.int32)
    return Encoded(remap[raw], texts)

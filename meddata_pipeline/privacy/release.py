"""Keys of one release: row ids, date shifts and the order of rows of a product's table.

What belongs here: what ties rows to persons and days, replaced for one product and version. What does not: tabular
anonymization (privacy/tabular), texts (privacy/text.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from meddata_pipeline.core.errors import BadInput
from meddata_pipeline.privacy.pseudonym import date_shift_days, pseudonym, shuffled

if TYPE_CHECKING:
    import pandas as pd

#: Ages above this are folded into the next year: 90 stands for 90 and over.
OLDEST = 89
#: Hexadecimal characters of a row id: 64 bits.
ROW_ID_LENGTH = 16


def rekey(
    cohort: pd.DataFrame,
    *,
    key: bytes,
    shift_key: bytes | None = None,
    person_column: str = "person_id",
    link_columns: Sequence[str] = (),
    date_columns: Sequence[str] = (),
    month_columns: Sequence[str] = (),
    age_columns: Sequence[str] = ("age",),
    max_days: int = 182,
    keep_person: bool = False,
) -> pd.DataFrame:
    """Re-key a cohort for one product and version.

    Args:
        cohort: the restricted table; one or more rows per person.
        key: the key of this product and version; another key gives ids that don't join.
        shift_key: the key of the date shifts, where a person's dates move alike in several versions; by default
            ``key``.
        person_column: the column that says whose a row is.
        link_columns: further id columns; they become pseudonyms under this key.
        date_columns: date columns; all dates of a person move by the same days.
        month_columns: date columns that stand for a month: they move with the person's dates and become the first of
            the month they then fall into.
        age_columns: ages in years; over 89 they become 90.
        max_days: largest shift in days.
        keep_person: keep the person column, as a pseudonym under this key (classes are counted in persons); without
            it the column goes.

    Returns:
        A new frame, ``row_id`` first (16 hexadecimal characters), rows in an order that the key decides, index from 0.

    Raises:
        BadInput: a column is missing, or a row has no person.
    """
    import numpy as np
    import pandas as pd

    named = [person_column, *link_columns, *date_columns, *month_columns]
    missing = [name for name in named if name not in cohort.columns]
    if missing:
        raise BadInput("The cohort lacks columns that its product names", where=", ".join(missing))
    if cohort[person_column].isna().any():
        raise BadInput("The cohort has rows without a person", where=person_column)
    persons = cohort[person_column].astype(str)
    ordinal = persons.groupby(persons, sort=False).cumcount()
    # A person's rows are told apart by what they hold, so that the order of the input does not matter.
    if (ordinal > 0).any():
        content = pd.util.hash_pandas_object(cohort.astype(str), index=False)
        order = np.lexsort((content.to_numpy(), persons.to_numpy()))
        cohort = cohort.iloc[order].reset_index(drop=True)
        persons = cohort[person_column].astype(str)
        ordinal = persons.groupby(persons, sort=False).cumcount()
    out = cohort.reset_index(drop=True).copy()
    persons = persons.reset_index(drop=True)
    row_keys = [f"{person}|{n}" for person, n in zip(persons, ordinal, strict=True)]
    distinct = {person: date_shift_days(shift_key or key, person, max_days=max_days) for person in persons.unique()}
    shifts = pd.to_timedelta(persons.map(distinct).to_numpy(), unit="D")
    for name in (*date_columns, *month_columns):
        moved = pd.to_datetime(out[name]) + shifts
        out[name] = moved.dt.to_period("M").dt.to_timestamp() if name in month_columns else moved
    for name in age_columns:
        if name in out.columns:
            out[name] = out[name].mask((out[name] > OLDEST).fillna(False).astype(bool), OLDEST + 1)
    for name in link_columns:
        if name != person_column:
            values = out[name].astype("string")
            codes = {value: pseudonym(key, name, value) for value in values.dropna().unique()}
            out[name] = values.map(codes)
    if keep_person:
        codes = {person: pseudonym(key, "release-person", person) for person in distinct}
        out[person_column] = persons.map(codes)
    else:
        out = out.drop(columns=person_column)
    out.insert(0, "row_id", [pseudonym(key, "row", value)[:ROW_ID_LENGTH] for value in row_keys])
    return out.iloc[shuffled(key, row_keys)].reset_index(drop=True)

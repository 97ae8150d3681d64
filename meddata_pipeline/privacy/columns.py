"""Identifiers in the cells of a table: whether a value holds one, and withholding those that do.

What belongs here: single values of columns that were declared harmless. What does not: what a column as a whole is
(classify.py), mapping columns to kinds (profiles).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import cache
from typing import TYPE_CHECKING

from meddata_pipeline.privacy.detect.fold import compact_value, fold
from meddata_pipeline.privacy.detect.recognizers.bank_card import BankCardRule
from meddata_pipeline.privacy.detect.recognizers.base import Rule
from meddata_pipeline.privacy.detect.recognizers.email import EmailRule
from meddata_pipeline.privacy.detect.recognizers.landline import LandlineRule
from meddata_pipeline.privacy.detect.recognizers.mobile import MobileRule
from meddata_pipeline.privacy.detect.recognizers.passport import PassportRule
from meddata_pipeline.privacy.detect.recognizers.plate import PlateRule
from meddata_pipeline.privacy.detect.recognizers.resident_id import ResidentIdRule
from meddata_pipeline.privacy.detect.recognizers.ssn import SsnRule
from meddata_pipeline.privacy.detect.types import Known

if TYPE_CHECKING:
    import pyarrow as pa

#: A value without two letters or ideographs and without five digits holds no identifier.
_WORTH_A_LOOK = re.compile(r"[^\W\d_]\s?[^\W\d_]|\d(?:\D{0,2}\d){4}|[@＠]")


@cache
def _structured() -> tuple[Rule, ...]:
    return (
        ResidentIdRule(),
        MobileRule(),
        LandlineRule(),
        EmailRule(),
        BankCardRule(),
        PassportRule(),
        PlateRule(),
        SsnRule(),
    )


def identifier_in(value: str) -> str | None:
    """The entity of a structured identifier in a cell, or None.

    Only findings that carry their own proof count (check digits, prefixes, shapes): dates, ages, names and unexplained
    numbers do not.
    """
    if not _maybe(value):
        return None
    text = fold(value).text
    for rule in _structured():
        for hit in rule.find(text):
            if hit.score >= 0.7 and hit.entity not in {"OTHER_ID", "CN_HKM_PERMIT", "CN_TW_PERMIT"}:
                return hit.entity
    return None


def _maybe(value: str) -> bool:
    """Whether a cell can hold a structured identifier at all: five digits, or an @."""
    return "@" in value or "＠" in value or sum(c.isdigit() for c in value) >= 5


class ColumnScreen:
    """Withholds values of harmless columns that hold an identifier.

    Args:
        person_names: names of all patients and contacts; a value is withheld when it holds a name of its row's own
            patient.
        staff_names: names of the staff; a value is withheld when it is one, or holds one of three characters or more.
    """

    def __init__(self, person_names: Iterable[str], staff_names: Iterable[str]) -> None:
        import ahocorasick

        self._automaton = None
        self._staff = {compact_value(name) for name in staff_names}
        entries: dict[str, bool] = {}
        for name in person_names:
            plain = compact_value(name)
            if len(plain) >= 2:
                entries[plain] = True
        for plain in self._staff:
            if len(plain) >= 2:
                entries.setdefault(plain, False)
        if entries:
            automaton = ahocorasick.Automaton()
            for plain in sorted(entries):
                automaton.add_word(plain, plain)
            automaton.make_automaton()
            self._automaton = automaton

    def names_in(self, value: str) -> list[str]:
        """Known names in a value, in compact form."""
        if self._automaton is None:
            return []
        return [name for _, name in self._automaton.iter(compact_value(value))]

    def withhold(self, values: pa.Array, known: Callable[[int], Known | None]) -> tuple[pa.Array, int]:
        """Set values that hold an identifier to null.

        Args:
            values: a text column.
            known: for the number of a row what is known of its patient; asked only where a name was found.

        Returns:
            The column and how many values were withheld.
        """
        import pyarrow as pa
        import pyarrow.compute as pc

        encoded = pc.dictionary_encode(values)
        everywhere: set[int] = set()
        by_name: dict[int, list[str]] = {}
        for code, value in enumerate(encoded.dictionary.to_pylist()):
            if not value or not _WORTH_A_LOOK.search(value):
                continue
            if identifier_in(value) is not None:
                everywhere.add(code)
                continue
            names = self.names_in(value)
            if not names:
                continue
            plain = compact_value(value)
            if any(name in self._staff and (len(name) >= 3 or name == plain) for name in names):
                everywhere.add(code)
            else:
                by_name[code] = names
        if not everywhere and not by_name:
            return values, 0
        mask = []
        for row, code in enumerate(encoded.indices.to_pylist()):
            hit = code in everywhere
            about = known(row) if not hit and code in by_name else None
            if about is not None:
                own = {compact_value(name) for name in (*about.names, *(name for name, _ in about.contacts if name))}
                hit = any(name in own for name in by_name[code])
            mask.append(hit)
        count = sum(mask)
        if not count:
            return values, 0
        return pc.if_else(pa.array(mask), pa.scalar(None, values.type), values), count

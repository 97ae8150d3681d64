"""What the columns of a table hold: by their names and by a sample of their values.

What belongs here: classifying unknown columns, catching identifiers in columns that were declared harmless. What does
not: mapping columns to kinds (profiles).

Evidence names rules and shares, never a value.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

import yaml

from meddata_pipeline.core.errors import Reason
from meddata_pipeline.privacy.detect.fold import compact_value, fold
from meddata_pipeline.privacy.detect.names import grammar, is_han
from meddata_pipeline.privacy.detect.recognizers.bank_card import BankCardRule
from meddata_pipeline.privacy.detect.recognizers.base import Rule, digits_of
from meddata_pipeline.privacy.detect.recognizers.date import DateRule
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
#: Classes a column can have, from the most to the least protected.
CLASSES = ("direct", "quasi", "sensitive", "text", "other")
#: Sensitivities whose columns must not hold identifiers.
_HARMLESS = frozenset({"quasi", "sensitive", "other"})


@dataclass(frozen=True)
class ColumnClass:
    """What a column seems to be.

    Attributes:
        column: its name.
        sensitivity: one of CLASSES.
        evidence: what speaks for it: rules and shares, without values.
        share: the share of sampled values that the strongest evidence rests on.
    """

    column: str
    sensitivity: str
    evidence: tuple[str, ...]
    share: float


@cache
def _hints() -> dict[str, Any]:
    source = resources.files("meddata_pipeline.privacy").joinpath("columns.yaml").read_text(encoding="utf-8")
    loaded: dict[str, Any] = yaml.safe_load(source)
    return loaded


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


def _sample(column: pa.ChunkedArray, size: int) -> list[str]:
    """Up to ``size`` non-null values as text, spread evenly over the column."""
    import pyarrow as pa

    present = column.drop_null()
    if len(present) > size:
        step = len(present) / size
        present = present.take(pa.array([int(i * step) for i in range(size)]))
    return [text for value in present.to_pylist() if (text := str(value).strip())]


def classify(table: pa.Table, *, names: Collection[str] = (), sample: int = 1000) -> list[ColumnClass]:
    """Classify every column of an unknown table.

    Args:
        table: the table.
        names: known names of persons, if any.
        sample: values that are looked at per column.

    Returns:
        One entry per column, in the table's order.
    """
    known = {compact_value(name) for name in names}
    return [_classify(name, _sample(table[name], sample), known) for name in table.column_names]


def _classify(column: str, values: Sequence[str], known: Collection[str]) -> ColumnClass:
    hints = _hints()
    evidence: list[str] = []
    by_name = next(
        (kind for kind in ("direct", "text", "quasi", "sensitive") if _named(column, hints["names"][kind])), None
    )
    if by_name is not None:
        evidence.append(f"column name suggests {by_name}")
    if not values:
        return ColumnClass(column, by_name or "other", (*evidence, "no values"), 0.0)
    limits = hints["limits"]
    counted: dict[str, int] = {}
    for value in values:
        entity = identifier_in(value)
        if entity is not None:
            counted[entity] = counted.get(entity, 0) + 1
    if known:
        named = sum(1 for value in values if compact_value(value) in known)
        if named:
            counted["PERSON"] = counted.get("PERSON", 0) + named
    shares = {entity: count / len(values) for entity, count in sorted(counted.items())}
    evidence += [f"{entity} in {share:.0%} of the sampled values" for entity, share in shares.items()]
    average = sum(len(value) for value in values) / len(values)
    distinct = len(set(values)) / len(values)
    free = average >= limits["text_length"] and distinct >= limits["text_distinct"]
    top = max(shares.values(), default=0.0)
    if free:
        evidence.append("long and varied texts")
        # Identifiers inside long texts are what free text is protected for; the column is no identifier by that.
        return ColumnClass(column, "direct" if by_name == "direct" else "text", tuple(evidence), top)
    if top >= limits["identifier_share"]:
        return ColumnClass(column, "direct", tuple(evidence), top)
    looks = _looks_like_names(values)
    if looks >= limits["name_share"] and by_name in {None, "direct"}:
        evidence.append(f"{looks:.0%} of the sampled values look like Chinese names")
        return ColumnClass(column, "direct", tuple(evidence), looks)
    dates = sum(1 for value in values if _is_date(value)) / len(values)
    if dates >= limits["date_share"] and by_name != "direct":
        evidence.append(f"{dates:.0%} of the sampled values are dates")
        return ColumnClass(column, "quasi", tuple(evidence), dates)
    if by_name is None and _looks_like_number_of_somebody(values, distinct):
        evidence.append("distinct codes of one length")
        return ColumnClass(column, "direct", tuple(evidence), distinct)
    return ColumnClass(column, by_name or "other", tuple(evidence) or ("nothing suspicious",), top)


def _named(column: str, patterns: Sequence[str]) -> bool:
    return any(re.search(pattern, column, re.IGNORECASE) for pattern in patterns)


def _looks_like_names(values: Sequence[str]) -> float:
    names = grammar()
    hits = 0
    for value in values:
        if 2 <= len(value) <= 4 and all(is_han(c) for c in value):
            length = names.surname_length(value, 0)
            given = value[length:]
            if (
                length
                and 1 <= len(given) <= 2
                and value[:2] not in names.not_names
                and not any(c in names.not_given for c in given)
            ):
                hits += 1
    # Names are many; a handful of words that begin with a surname (高血压) is a code list.
    return hits / len(values) if len(set(values)) >= min(10, len(values)) else 0.0


def _is_date(value: str) -> bool:
    text = fold(value).text
    return any(hit.end - hit.start >= 0.8 * len(text) for hit in DateRule().find(text))


def _looks_like_number_of_somebody(values: Sequence[str], distinct: float) -> bool:
    if len(values) < 5 or distinct < 0.95:
        return False
    lengths = {len(value) for value in values}
    coded = sum(1 for value in values if re.fullmatch(r"[A-Za-z]{0,4}[\-_]?[0-9]{5,}", value)) / len(values)
    return coded >= 0.95 and len(lengths) <= 2 and max(len(digits_of(value)) for value in values) >= 6


def disagreements(
    table: pa.Table,
    declared: Mapping[str, str],
    *,
    names: Collection[str] = (),
    threshold: float | None = None,
    sample: int = 5000,
) -> list[Reason]:
    """Columns that were declared harmless and hold identifiers; a run stops on them.

    Args:
        table: the table.
        declared: sensitivity by column, as in core.tables; columns that are not in it count as ``other``.
        names: known names of persons (patients, contacts, staff).
        threshold: share of the non-null sampled values from which on it is a disagreement; the shipped one by
            default.
        sample: values that are looked at per column.

    Returns:
        Reasons with code ``column-holds-identifiers``; the details name column, entity and share, never a value.
    """
    import pyarrow as pa

    limit = _hints()["limits"]["disagreement_share"] if threshold is None else threshold
    known = {compact_value(name) for name in names}
    reasons: list[Reason] = []
    for column in table.column_names:
        said = declared.get(column, "other")
        kind = table.schema.field(column).type
        if said not in _HARMLESS or not (
            pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_integer(kind)
        ):
            continue
        values = _sample(table[column], sample)
        if not values:
            continue
        counted: dict[str, int] = {}
        for value in values:
            entity = identifier_in(value) or ("PERSON" if compact_value(value) in known else None)
            if entity is not None:
                counted[entity] = counted.get(entity, 0) + 1
        for entity, count in sorted(counted.items()):
            share = count / len(values)
            if share >= limit:
                detail = f"declared {said}, but {share:.1%} of {len(values)} sampled values look like {entity}"
                reasons.append(Reason("column-holds-identifiers", detail, column))
    return reasons

"""A part's batches to canonical columns, by the hospital's profile.

What belongs here: applying the profile and the normalisers to columns, and finding the rows that cannot be taken. What
does not: rules over several rows or files (api: duplicates, people who must leave).

Speed: a column is dictionary-encoded, the Python functions see each distinct text once, and the results are taken back
by index. Distinct texts are remembered from batch to batch.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from meddata_pipeline.core.tables import ColumnSpec, arrow_type, kinds
from meddata_pipeline.ingest import normalise as norm
from meddata_pipeline.ingest.normalise import Vocabulary, fold
from meddata_pipeline.ingest.profile import Also, Column, Profile, Table, Value
from meddata_pipeline.ingest.quarantine import REASONS, Rejected, Withheld, raw_json
from meddata_pipeline.ingest.readers import Batch

Mask = npt.NDArray[np.bool_]
Codes = npt.NDArray[np.int64]

#: Identifying columns that hold words, not numbers: they are kept as they are.
_WORDS = frozenset({"name", "address", "contact_name"})
_REASON = {reason: number for number, reason in enumerate(REASONS, start=1)}
_CACHE = 500_000
#: Prefix of the columns that go with a row only until duplicates have been found.
BESIDE = "_source_"


def header_key(text: str) -> str:
    """One spelling of a header: folded, without white space, lower case."""
    return "".join(fold(text).split()).strip(norm.WHITE).lower()


class Parsed(NamedTuple):
    """What one distinct source text means.

    Attributes:
        value: canonical value, None if missing or unreadable.
        problem: reason why it is unreadable, "" if it is not.
        changed: whether the source text says it differently.
    """

    value: Any
    problem: str
    changed: bool


class Normalised(NamedTuple):
    """A canonical column of a batch.

    Attributes:
        values: canonical values.
        problems: number of the reason per row, 0 for none; None when there are none at all.
        sources: source text per row where it says the value differently, else null; None when nowhere.
    """

    values: pa.Array
    problems: Codes | None
    sources: pa.Array | None


@dataclass
class Lookup:
    """A function of a text with a memory.

    Attributes:
        parse: what a text means.
        type: Arrow type of the values.
    """

    parse: Callable[[str], Parsed]
    type: pa.DataType
    memory: dict[str, Parsed] = field(default_factory=dict)

    def __call__(self, column: pa.Array) -> Normalised:
        """Apply to a column of texts; null stays null."""
        uniques, indices = encode(column)
        memory = self.memory
        if len(memory) > _CACHE:
            memory.clear()
        parsed: list[Parsed] = []
        for text in uniques:
            known = memory.get(text)
            if known is None:
                known = memory[text] = self.parse(text)
            parsed.append(known)
        take = pa.array(indices, mask=indices < 0)
        values = pa.array([p.value for p in parsed], self.type).take(take)
        problems = None
        if any(p.problem for p in parsed):
            numbers = np.array([_REASON.get(p.problem, 0) for p in parsed] + [0], dtype=np.int64)
            problems = numbers[indices]
        sources = None
        if any(p.changed for p in parsed):
            changed = [text if p.changed else None for text, p in zip(uniques, parsed, strict=True)]
            sources = pa.array(changed, pa.string()).take(take)
        return Normalised(values, problems, sources)


def encode(column: pa.Array) -> tuple[list[str], Codes]:
    """Distinct texts of a column in the order of their first row, and per row the index into them (-1 for null)."""
    encoded = column.dictionary_encode()
    return encoded.dictionary.to_pylist(), _indices(encoded)


def group(column: pa.Array) -> Codes:
    """One number per row, equal for equal values, -1 for null."""
    return _indices(column.dictionary_encode())


def _indices(encoded: pa.DictionaryArray) -> Codes:
    indices = encoded.indices
    if indices.null_count:
        indices = indices.fill_null(-1)
    return np.asarray(indices.to_numpy(), dtype=np.int64)


@dataclass
class Rows:
    """Records of one kind from one batch.

    Attributes:
        columns: canonical columns; absent ones are null.
        rows: number of the source record of each.
        key: record_key of each.
        deleted: whether the hospital voided it.
        sources: source_values of each, null where nothing was changed; None when nowhere.
    """

    kind: str
    columns: dict[str, pa.Array]
    rows: Codes
    key: pa.Array
    deleted: Mask
    sources: pa.Array | None = None

    def filter(self, keep: Mask) -> Rows:
        """The records for which ``keep`` holds."""
        if keep.all():
            return self
        mask = pa.array(keep)
        return Rows(
            self.kind,
            {name: column.filter(mask) for name, column in self.columns.items()},
            self.rows[keep],
            self.key.filter(mask),
            self.deleted[keep],
            None if self.sources is None else self.sources.filter(mask),
        )


@dataclass
class MappedBatch:
    """What a batch gave.

    Attributes:
        main: records of the table's own kind, one per source row that could be taken.
        also: records of further kinds from the same rows.
        seen: canonical columns of all rows, the rejected too: a person of an excluded group must leave even if the
            row that shows it goes into quarantine.
        rejected: rows for the quarantine.
        rows_in: source rows, the damaged ones included.
    """

    main: Rows
    also: list[Rows]
    seen: list[Rows]
    rejected: list[Rejected]
    rows_in: int


class _Errors:
    """The first error of each row."""

    def __init__(self, count: int) -> None:
        self.reason = np.zeros(count, dtype=np.int64)
        self.column = np.zeros(count, dtype=np.int64)
        self.names: list[str] = [""]

    def add(self, reasons: Codes, column: str) -> None:
        """Set reasons (0 for none) where a row has none yet."""
        new = (reasons > 0) & (self.reason == 0)
        if new.any():
            self.names.append(column)
            self.reason[new] = reasons[new]
            self.column[new] = len(self.names) - 1


class Mapper:
    """Maps the parts of one file.

    Args:
        name: the hospital's table.
        table: its profile.
        profile: the hospital's profile.
        vocabulary: the vocabularies.
        day: day of delivery.
        header: the part's header.
        file: SHA-256 of the file.
    """

    def __init__(
        self,
        name: str,
        table: Table,
        profile: Profile,
        vocabulary: Vocabulary,
        day: dt.date,
        header: Sequence[str],
        file: str,
    ) -> None:
        self.name, self.table, self.day, self.file = name, table, day, file
        self.vocabulary = vocabulary
        self._missing = vocabulary.missing | frozenset(profile.missing)
        self._header = list(header)
        self._positions: dict[str, int] = {}
        for position, text in enumerate(header):
            self._positions.setdefault(header_key(text), position)
        self._lookups: dict[Any, Lookup] = {}
        self._used: set[int] = set()
        self._absent: list[str] = []
        self._main = self._plan(table.columns, "")
        self._also = [(also, self._plan(also.columns, f"{also.kind}.")) for also in table.also]
        self._values = [
            {name: self._find(value.source, f"{also.kind}.{name}") for name, value in also.values.items()}
            for also in table.also
        ]
        # What further kinds read, kept beside the row: two rows are equal only if these are. One entry per column of
        # the profile, whatever the file has, so that the batches of several files fit together.
        self._beside = [position for _, plan in self._also for position in plan.values()]
        self._beside += [position for positions in self._values for position in positions.values()]
        self._deleted = self._find(table.deleted.column, "deleted") if table.deleted else None
        self._unit_position: int | None = None
        value = table.columns.get("value")
        if table.kind == "lab" and value is not None and value.unit_from:
            self._unit_position = self._find(value.unit_from, "unit")
        self.withheld = self._withheld()

    @property
    def recognised(self) -> bool:
        """Whether the header has any column that the profile maps."""
        return bool(self._used)

    def _find(self, aliases: Iterable[str], column: str) -> int | None:
        for alias in aliases:
            position = self._positions.get(header_key(alias))
            if position is not None:
                self._used.add(position)
                return position
        self._absent.append(column)
        return None

    def _plan(self, columns: Mapping[str, Column], prefix: str) -> dict[str, int | None]:
        return {
            name: self._find(column.source, prefix + name) if column.const is None else None
            for name, column in columns.items()
        }

    def _withheld(self) -> list[Withheld]:
        listed = {header_key(text) for text in self.table.withhold}
        found = []
        for position, text in enumerate(self._header):
            if position in self._used:
                continue
            key = header_key(text)
            mapped = {header_key(self._header[p]) for p in self._used}
            why = "listed" if key in listed else "repeated" if key in mapped else "unmapped"
            found.append(Withheld(self.name, self.file, text, position + 1, why))
        found += [Withheld(self.name, self.file, "", 0, "missing-column", column) for column in self._absent]
        return found

    # --- columns ---------------------------------------------------------------------------------------------------

    def _clean(self, batch: Batch, position: int, extra: Sequence[str], cache: dict[Any, pa.Array]) -> pa.Array:
        """A source column without white space at the ends; a missing value is null."""
        key = (position, tuple(extra))
        if key not in cache:
            trimmed = pc.utf8_trim(batch.columns[position], characters=norm.WHITE)
            missing = pa.array(sorted(self._missing | set(extra)), pa.string())
            is_missing = pc.is_in(trimmed, value_set=missing)
            cache[key] = pc.if_else(is_missing, pa.scalar(None, pa.string()), trimmed)
        return cache[key]

    def _lookup(self, key: Any, make: Callable[[], Lookup]) -> Lookup:
        if key not in self._lookups:
            self._lookups[key] = make()
        return self._lookups[key]

    def _normalised(
        self, column: pa.Array, spec: ColumnSpec, codes: Mapping[str, str] | None, order: str, future: bool
    ) -> Normalised:
        if codes is not None:
            key = ("codes", spec.name, id(codes), spec.type, order)
            coded = self._lookup(key, lambda: self._code_lookup(codes, spec, order, future))
            return coded(column)
        if spec.type != "text":
            return self._lookup((spec.type, order, future), lambda: self._typed_lookup(spec, order, future))(column)
        if spec.sensitivity in ("link", "direct") and spec.name not in _WORDS:
            identifier = self._lookup(("identifier", spec.name), lambda: _identifier_lookup(spec.name))
            ascii_only = pc.all(pc.string_is_ascii(column), min_count=0).as_py()
            suspicious = pc.any(pc.match_substring_regex(column, "[eE][+]?[0-9]{1,2}$"), min_count=0).as_py()
            lower = spec.name == "resident_id"
            if ascii_only and not suspicious and not lower:
                return Normalised(column, None, None)
            return identifier(column)
        if spec.name in ("code", "cause"):
            return self._lookup("icd", lambda: Lookup(_icd, arrow_type("text")))(column)
        return Normalised(column, None, None)

    def _typed_lookup(self, spec: ColumnSpec, order: str, future: bool) -> Lookup:
        parse = {
            "date": lambda text: self._date(text, order, future),
            "number": _number,
            "integer": _integer,
            "boolean": self._boolean,
        }[spec.type]
        return Lookup(parse, arrow_type(spec.type))

    def _code_lookup(self, codes: Mapping[str, str], spec: ColumnSpec, order: str, future: bool) -> Lookup:
        folded = {fold(source).strip(norm.WHITE).casefold(): code for source, code in codes.items()}
        typed = self._typed_lookup(spec, order, future).parse if spec.type != "text" else None

        def parse(text: str) -> Parsed:
            code = codes.get(text)
            if code is None:
                code = folded.get(fold(text).strip(norm.WHITE).casefold())
            if code is None:
                return Parsed(None, "unmapped_code", False)
            return typed(code)._replace(changed=False) if typed is not None else Parsed(code, "", False)

        return Lookup(parse, arrow_type(spec.type))

    def _date(self, text: str, order: str, future: bool) -> Parsed:
        date = norm.parse_date(text, self.day, order)
        if date is None:
            return Parsed(None, "" if text in self.vocabulary.missing_dates else "impossible_date", False)
        if not norm.is_possible(date, self.day, future=future):
            return Parsed(None, "impossible_date", False)
        return Parsed(date, "", date.isoformat() != text)

    def _boolean(self, text: str) -> Parsed:
        truth = self.vocabulary.parse_boolean(text)
        return Parsed(truth, "unmapped_code" if truth is None else "", False)

    def _columns(
        self,
        batch: Batch,
        plan: Mapping[str, int | None],
        columns: Mapping[str, Column],
        kind: str,
        errors: _Errors,
        cache: dict[Any, pa.Array],
    ) -> tuple[dict[str, pa.Array], list[tuple[str, pa.Array]]]:
        """Canonical columns, and the source texts of those that were changed."""
        count = len(batch.rows)
        values: dict[str, pa.Array] = {}
        sources: list[tuple[str, pa.Array]] = []
        spec_of = kinds()[kind].column
        for name, column in columns.items():
            spec = spec_of(name)
            if kind == "lab" and name in _LAB_VALUE:
                continue
            position = plan[name]
            if position is not None:
                text = self._clean(batch, position, column.missing, cache)
            else:
                text = pa.array([column.const] * count, pa.string())  # null where the file lacks the column
            keep_source = kind == "lab" and name == "test" and column.codes is not None
            found = self._normalised(text, spec, None if keep_source else column.codes, column.format, column.future)
            values[name] = found.values
            if found.problems is not None:
                errors.add(found.problems, name)
            if found.sources is not None:
                sources.append((name, found.sources))
            if column.required:
                errors.add(_where(found.values.is_null(), "missing_required"), name)
            if keep_source and column.codes is not None and "code" not in columns:
                codes = column.codes
                lookup = self._lookup(("test", id(codes)), lambda c=codes: self._test_lookup(c))  # type: ignore[misc]
                values["code"] = lookup(text).values
        if kind == "diagnosis" and "negated" not in columns and "text" in values:
            negated = self._lookup("negated", lambda: Lookup(self._negated, arrow_type("boolean")))
            values["negated"] = negated(values["text"]).values
        return values, sources

    def _test_lookup(self, codes: Mapping[str, str]) -> Lookup:
        """A test that the profile does not know keeps its name and has no code: it is flagged, not quarantined."""
        coded = self._code_lookup(codes, kinds()["lab"].column("code"), "ymd", False).parse
        return Lookup(lambda text: coded(text)._replace(problem=""), arrow_type("text"))

    def _negated(self, text: str) -> Parsed:
        return Parsed(self.vocabulary.is_negated(text), "", False)

    # --- laboratory ------------------------------------------------------------------------------------------------

    def _lab(self, batch: Batch, values: dict[str, pa.Array], errors: _Errors, cache: dict[Any, pa.Array]) -> None:
        """Fill value_text, operator, value, unit_source, unit and flag."""
        count = len(batch.rows)
        columns = self.table.columns
        nothing = pa.nulls(count, pa.string())
        column = columns.get("value") or columns.get("value_text")
        position = self._main.get("value") if "value" in columns else self._main.get("value_text")
        if column is None:
            return
        text = nothing if position is None else self._clean(batch, position, column.missing, cache)
        if column.required:
            errors.add(_where(text.is_null(), "missing_required"), "value")
        uniques, indices = encode(text)
        memory = self._lookup("result", lambda: Lookup(self._result, pa.string())).memory
        results = []
        for unique in uniques:
            if unique not in memory:
                memory[unique] = self._result(unique)
            results.append(memory[unique])
        if len(memory) > _CACHE:
            memory.clear()
        empty = norm.Result(None, None, None)
        parsed = [r.value for r in results] + [empty]
        errors.add(np.array([_REASON.get(r.problem, 0) for r in results] + [0], dtype=np.int64)[indices], "value")
        number = np.array([np.nan if p.value is None else p.value for p in parsed])[indices]
        qualitative = np.array([p.problem == "qualitative" for p in parsed])[indices]
        operator = pa.array([p.operator for p in parsed], pa.string()).take(pa.array(indices % len(parsed)))

        unit_column = columns.get("unit") or columns.get("unit_source")
        if self._unit_position is not None:
            unit_source = self._clean(batch, self._unit_position, (), cache)
        elif unit_column is None:
            unit_source = nothing
        elif unit_column.const is not None:
            unit_source = pa.array([unit_column.const] * count, pa.string())
        else:
            at = self._main.get("unit" if "unit" in columns else "unit_source")
            unit_source = nothing if at is None else self._clean(batch, at, unit_column.missing, cache)

        code_names, code_at = encode(values.get("code", nothing))
        unit_names, unit_at = encode(unit_source)
        # One small table over (code, unit): factor, canonical unit, flag, plausible range. Index -1 is "none".
        width = len(unit_names) + 1
        pairs = (code_at + 1) * width + (unit_at + 1)
        distinct, pair_at = np.unique(pairs, return_inverse=True)
        rules = [
            self._unit_rule(
                code_names[pair // width - 1] if pair // width else None,
                unit_names[pair % width - 1] if pair % width else None,
            )
            for pair in distinct.tolist()
        ]
        factor = np.array([rule.factor for rule in rules] or [np.nan])[pair_at]
        low = np.array([rule.low for rule in rules] or [np.nan])[pair_at]
        high = np.array([rule.high for rule in rules] or [np.nan])[pair_at]
        canonical = number * factor
        is_number = ~np.isnan(number)
        flags = np.array([_FLAG[rule.flag] for rule in rules] or [0], dtype=np.int64)[pair_at]
        flags[~is_number] = 0
        flags[qualitative] = _FLAG["qualitative"]
        with np.errstate(invalid="ignore"):
            implausible = is_number & (flags == 0) & ((canonical < low) | (canonical > high))
        flags[implausible] = _FLAG["unit_implausible"]
        known = is_number & (flags == 0) & np.isfinite(canonical)
        values["value_text"] = text
        values["operator"] = operator
        values["value"] = pa.array(canonical, mask=~known)
        values["unit_source"] = unit_source
        unit = pa.array([rule.unit for rule in rules] or [None], pa.string()).take(pa.array(pair_at))
        values["unit"] = pc.if_else(pa.array(known), unit, pa.scalar(None, pa.string()))
        values["flag"] = pa.array(_FLAGS, pa.string()).take(pa.array(flags))

    def _result(self, text: str) -> Parsed:
        result = self.vocabulary.parse_result(text)
        return Parsed(result, result.problem if result.problem == "bad_number" else "", False)

    def _unit_rule(self, code: str | None, unit: str | None) -> _UnitRule:
        known = self.vocabulary.units.get(code) if code is not None else None
        if known is None:
            return _UnitRule(np.nan, None, "code_unknown", np.nan, np.nan)
        low, high = known.plausible
        if unit is None:
            # A number without a dimension has no unit to be missing.
            if known.unit == "1":
                return _UnitRule(1.0, known.unit, "", low, high)
            return _UnitRule(np.nan, None, "unit_missing", low, high)
        spelt = self.vocabulary.unit_of(unit)
        factor = known.factors.get(spelt) if spelt is not None else None
        if factor is None:
            return _UnitRule(np.nan, None, "unit_unknown", low, high)
        return _UnitRule(factor, known.unit, "", low, high)

    # --- observations ----------------------------------------------------------------------------------------------

    def _observation(
        self, batch: Batch, name: str, value: Value, position: int | None, errors: _Errors, cache: dict[Any, pa.Array]
    ) -> tuple[dict[str, pa.Array], Mask, pa.Array | None] | None:
        """Columns name, value_text, value and unit of one observation; where it has a value; changed sources."""
        if position is None:
            return None
        count = len(batch.rows)
        text = self._clean(batch, position, value.missing, cache)
        spec = ColumnSpec(f"value.{name}", value.type, "sensitive", kinds()["observation"].title)
        found = self._normalised(text, spec, value.codes, value.format, False)
        if found.problems is not None:
            errors.add(found.problems, name)
        columns = {
            "name": pa.array([name] * count, pa.string()),
            "unit": pa.array([value.unit] * count, pa.string()),
        }
        if value.type in ("number", "integer"):
            columns["value"] = found.values.cast(pa.float64())
            columns["value_text"] = text if value.codes is None else _as_text(found.values)
        elif value.type == "boolean":
            columns["value"] = found.values.cast(pa.float64())
            columns["value_text"] = found.values.cast(pa.int8()).cast(pa.string())
        else:
            columns["value_text"] = _as_text(found.values)
            numbers = self._lookup("numeric-code", lambda: Lookup(_numeric_code, arrow_type("number")))
            columns["value"] = numbers(columns["value_text"]).values
        present = np.asarray(found.values.is_valid())
        return columns, present, found.sources

    # --- a batch ---------------------------------------------------------------------------------------------------

    def map(self, batch: Batch) -> MappedBatch:
        """Map one batch; every source row ends either in ``main`` or in ``rejected``."""
        count = len(batch.rows)
        errors = _Errors(count)
        cache: dict[Any, pa.Array] = {}
        values, sources = self._columns(batch, self._main, self.table.columns, self.table.kind, errors, cache)
        if self.table.kind == "lab":
            self._lab(batch, values, errors, cache)
        key_values = values
        if self.table.kind == "lab" and "code" in values and "test" in values:
            # Tests without a code must not fall together.
            key_values = {**values, "code": pc.coalesce(values["code"], values["test"])}
        key, no_key = _record_key(key_values, self.table.record_key)
        deleted = np.zeros(count, dtype=np.bool_)
        if self._deleted is not None and self.table.deleted is not None:
            marks = {fold(mark).casefold() for mark in self.table.deleted.values}
            texts, at = encode(self._clean(batch, self._deleted, (), cache))
            deleted = np.array([fold(text).casefold() in marks for text in texts] + [False])[at]

        also: list[tuple[Rows, Mask]] = []
        for (entry, plan), positions in zip(self._also, self._values, strict=True):
            also += self._also_rows(batch, entry, plan, positions, deleted, errors, cache)

        # A voided record needs no more than its key: its other cells may be blank.
        bad = errors.reason > 0
        if deleted.any():
            on_key = np.isin(errors.column, [i for i, name in enumerate(errors.names) if name in self.table.record_key])
            bad &= ~deleted | on_key
        keyless = no_key & ~bad
        if keyless.any():
            errors.names.append(self.table.record_key[0])
            errors.reason[keyless] = _REASON["missing_required"]
            errors.column[keyless] = len(errors.names) - 1
            bad |= keyless
        seen = Rows(self.table.kind, values, batch.rows, key, deleted, _join_sources(sources, count))
        rejected = [Rejected(self.name, self.file, r.row, "", r.reason, raw_json(r.cells)) for r in batch.rejects]
        rejected += self._rejected(batch, bad, errors)
        good = ~bad
        nothing = pa.nulls(count, pa.string())
        beside = {
            f"{BESIDE}{number}": nothing if position is None else batch.columns[position]
            for number, position in enumerate(self._beside)
        }
        main = replace(seen, columns={**values, **beside})
        kept = [rows.filter(good & present) for rows, present in also]
        return MappedBatch(
            main.filter(good),
            [rows for rows in kept if len(rows.rows)],
            [seen, *(rows for rows, _ in also if rows.kind != "observation")],
            rejected,
            count + len(batch.rejects),
        )

    def _also_rows(
        self,
        batch: Batch,
        entry: Also,
        plan: Mapping[str, int | None],
        positions: Mapping[str, int | None],
        deleted: Mask,
        errors: _Errors,
        cache: dict[Any, pa.Array],
    ) -> list[tuple[Rows, Mask]]:
        count = len(batch.rows)
        # Required columns of a further kind say whether a row has one, not whether the row is good.
        optional = {name: column.model_copy(update={"required": False}) for name, column in entry.columns.items()}
        values, sources = self._columns(batch, plan, optional, entry.kind, errors, cache)
        made: list[tuple[Rows, Mask]] = []
        if entry.values:
            for name, value in entry.values.items():
                found = self._observation(batch, name, value, positions[name], errors, cache)
                if found is None:
                    continue
                columns, present, changed = found
                all_values = {**values, **columns}
                key, _ = _record_key(all_values, entry.record_key)
                changes = [*sources, ("value", changed)] if changed is not None else sources
                made.append(
                    (Rows(entry.kind, all_values, batch.rows, key, deleted, _join_sources(changes, count)), present)
                )
            return made
        needed = [name for name, column in entry.columns.items() if column.required]
        if needed:
            present = np.ones(count, dtype=np.bool_)
            for name in needed:
                present &= np.asarray(values[name].is_valid())
        else:
            # Links, dates and constants alone are no record: something must be said.
            present = np.zeros(count, dtype=np.bool_)
            for name, column in entry.columns.items():
                spec = kinds()[entry.kind].column(name)
                if column.const is None and spec.sensitivity != "link" and spec.type != "date":
                    present |= np.asarray(values[name].is_valid())
        key, no_key = _record_key(values, entry.record_key)
        rows = Rows(entry.kind, values, batch.rows, key, deleted, _join_sources(sources, count))
        return [(rows, present & ~no_key)]

    def _rejected(self, batch: Batch, bad: Mask, errors: _Errors) -> list[Rejected]:
        places = np.flatnonzero(bad)
        if not len(places):
            return []
        take = pa.array(places)
        cells = zip(*(column.take(take).to_pylist() for column in batch.columns), strict=True)
        return [
            Rejected(
                self.name,
                self.file,
                int(batch.rows[place]),
                errors.names[errors.column[place]],
                REASONS[errors.reason[place] - 1],
                raw_json(row),
            )
            for place, row in zip(places.tolist(), cells, strict=True)
        ]


class _UnitRule(NamedTuple):
    factor: float
    unit: str | None
    flag: str
    low: float
    high: float


_LAB_VALUE = frozenset({"value", "value_text", "unit", "unit_source"})
_FLAGS = [None, "unit_missing", "unit_unknown", "qualitative", "unit_implausible", "code_unknown"]
_FLAG = {name or "": number for number, name in enumerate(_FLAGS)}


def _where(mask: pa.Array, reason: str) -> Codes:
    return np.asarray(mask).astype(np.int64) * _REASON[reason]


def _number(text: str) -> Parsed:
    number = norm.parse_number(text)
    if number is None:
        return Parsed(None, "bad_number", False)
    return Parsed(number, "", not text.isascii() or "," in text)


def _integer(text: str) -> Parsed:
    number = norm.parse_integer(text)
    if number is None:
        return Parsed(None, "bad_number", False)
    return Parsed(number, "", not text.isascii() or "," in text)


def _numeric_code(text: str) -> Parsed:
    return Parsed(norm.parse_number(text), "", False)


def _icd(text: str) -> Parsed:
    code = norm.record_no_key(text)
    return Parsed(code or None, "", False)


def _identifier_lookup(name: str) -> Lookup:
    def parse(text: str) -> Parsed:
        if norm.has_lost_digits(text):
            return Parsed(None, "lost_digits", False)
        text = fold(text).strip(norm.WHITE)
        return Parsed(text.upper() if name == "resident_id" else text, "", False)

    return Lookup(parse, arrow_type("text"))


def _as_text(values: pa.Array) -> pa.Array:
    return values if pa.types.is_string(values.type) else values.cast(pa.string())


def _record_key(values: Mapping[str, pa.Array], columns: Sequence[str]) -> tuple[pa.Array, Mask]:
    """Texts of the key columns joined by ``|``, and where all of them are missing."""
    parts = []
    empty: Mask | None = None
    for name in columns:
        text = _as_text(values[name])
        missing = np.asarray(text.is_null())
        empty = missing if empty is None else empty & missing
        # Escaped, so that two keys are equal only if all their parts are.
        if len(columns) > 1 and pc.any(pc.match_substring_regex(text, r"[|\\]"), min_count=0).as_py():
            text = pc.replace_substring_regex(text, r"([|\\])", r"\\\1")
        parts.append(pc.fill_null(text, ""))
    joined = parts[0] if len(parts) == 1 else pc.binary_join_element_wise(*parts, "|")
    return joined, empty if empty is not None else np.zeros(len(joined), dtype=np.bool_)


def _join_sources(sources: Sequence[tuple[str, pa.Array]], count: int) -> pa.Array | None:
    """JSON object per row of the source texts that were changed; null where none was."""
    if not sources:
        return None
    pieces = []
    for name, column in sources:
        uniques, indices = encode(column)
        texts = [f"{json.dumps(name)}:{json.dumps(text, ensure_ascii=False)}" for text in uniques]
        pieces.append(pa.array(texts, pa.string()).take(pa.array(indices, mask=indices < 0)))
    any_changed = np.zeros(count, dtype=np.bool_)
    for piece in pieces:
        any_changed |= np.asarray(piece.is_valid())
    joined = pieces[0] if len(pieces) == 1 else pc.binary_join_element_wise(*pieces, ",", null_handling="skip")
    wrapped = pc.binary_join_element_wise("{", pc.fill_null(joined, ""), "}", "")
    return pc.if_else(pa.array(any_changed), wrapped, pa.scalar(None, pa.string()))

"""A hospital's profile: how its tables, columns, codes and units map to the canonical tables.

What belongs here: the schema of ``config/hospitals/<hospital>.yaml`` and its checks. What does not: applying it
(mapping). A profile is strict: a key that nobody reads is an error, because it may be a misspelt opt-out header.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from meddata_pipeline.core.config import Config
from meddata_pipeline.core.errors import ConfigError
from meddata_pipeline.core.tables import ColumnType, kinds
from meddata_pipeline.core.text import Text

Kind = Literal["snapshot", "increment", "correction"]
Encoding = Literal["auto", "utf-8", "gb18030", "utf-16", "big5", "cp1252", "shift_jis"]

#: Columns of the laboratory table that ingest computes from the result, the unit and the test.
COMPUTED = {"lab": frozenset({"operator", "flag"})}


def _texts(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _code_text(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("YAML reads yes, no, on and off as booleans: put the code in quotes")
    return str(value) if isinstance(value, int | float) else value


def _codes(value: Any) -> Any:
    return {_code_text(k): _code_text(v) for k, v in value.items()} if isinstance(value, dict) else value


Texts = Annotated[list[str], BeforeValidator(_texts)]
Codes = Annotated[dict[str, str], BeforeValidator(_codes)]
Const = Annotated[str, BeforeValidator(_code_text)]
Spellings = Annotated[list[Annotated[str, BeforeValidator(_code_text)]], BeforeValidator(_texts)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Column(_Strict):
    """Where a canonical column comes from.

    Attributes:
        source: header aliases (``from``); the first that the file has counts.
        const: a constant instead of a source column.
        required: a row without a value goes into quarantine as ``missing_required``.
        codes: source code → canonical code; a code that is not there goes into quarantine as ``unmapped_code``.
        unit_from: header aliases of the unit of a laboratory value.
        missing: further spellings of a missing value in this column.
        format: order of day, month and year where the year does not come first.
        future: whether a date may lie behind the day of delivery (appointments).
    """

    source: Texts = Field(default_factory=list, alias="from")
    const: Const | None = None
    required: bool = False
    codes: Codes | None = None
    unit_from: Texts = Field(default_factory=list)
    missing: Spellings = Field(default_factory=list)
    format: Literal["ymd", "dmy", "mdy"] = "ymd"
    future: bool = False

    @model_validator(mode="after")
    def _one_source(self) -> Column:
        if bool(self.source) == (self.const is not None):
            raise ValueError("give either 'from' or 'const'")
        return self


class Value(_Strict):
    """One observation taken from a column of a wide table."""

    source: Texts = Field(alias="from")
    type: ColumnType = "text"
    unit: str | None = None
    codes: Codes | None = None
    missing: Spellings = Field(default_factory=list)
    format: Literal["ymd", "dmy", "mdy"] = "ymd"


class Also(_Strict):
    """A further kind that the same source rows give; with ``values``, one observation per value that is not missing."""

    kind: str
    record_key: list[str] = Field(min_length=1)
    columns: dict[str, Column]
    values: dict[str, Value] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _known(self) -> Also:
        _check_columns(self.kind, self.columns, self.record_key, computed={"name"} if self.values else set())
        if self.values and self.kind != "observation":
            raise ValueError("'values' make observations: set kind: observation")
        if self.kind == "lab":
            raise ValueError("laboratory results need a table of their own")
        taken = {"name", "value", "value_text", "unit"} & set(self.columns)
        if self.values and taken:
            raise ValueError(f"{', '.join(sorted(taken))}: filled from 'values'")
        return self


class Deleted(_Strict):
    """How the hospital marks a record as void."""

    column: Texts
    values: Spellings = Field(min_length=1)


class Table(_Strict):
    """One table of the hospital.

    Attributes:
        files: globs on the file name. The most specific glob (most characters that are no wildcard) takes a file.
        delivery: snapshot (whole table resent), increment (new and changed rows), correction (wins over others of
            the same day).
        record_key: canonical columns that identify a record over deliveries.
        withhold: headers that are known and deliberately not taken.
        also: further kinds from the same rows.
    """

    files: Texts = Field(min_length=1)
    delivery: Kind
    kind: str
    record_key: list[str] = Field(min_length=1)
    deleted: Deleted | None = None
    encoding: Encoding | None = None
    delimiter: str | None = None
    columns: dict[str, Column]
    withhold: Texts = Field(default_factory=list)
    also: list[Also] = Field(default_factory=list)

    @model_validator(mode="after")
    def _known(self) -> Table:
        _check_columns(self.kind, self.columns, self.record_key)
        return self


class PeopleList(_Strict):
    """A list of people who must leave (``optout.csv``, ``vip.csv``): its file names and its headers."""

    files: Texts
    patient_no: Texts = Field(default_factory=lambda: ["病案号", "病历号", "patient_no", "record_no", "mrn"])
    resident_id: Texts = Field(default_factory=lambda: ["身份证号", "身份证号码", "证件号码", "resident_id", "id_card"])


class Group(_Strict):
    """A group of people who are left out.

    Attributes:
        icd10: codes or ranges of three-character categories (``B20-B24``).
        terms: words in a diagnosis that has no code.
        under_age: people younger than this at the day of delivery.
        roster: people of the staff roster.
    """

    title: Text | None = None
    icd10: list[str] = Field(default_factory=list)
    terms: list[str] = Field(default_factory=list)
    under_age: int | None = None
    roster: bool = False

    @model_validator(mode="after")
    def _ranges(self) -> Group:
        for entry in self.icd10:
            if not re.fullmatch(r"[A-Z]\d[0-9A-Z](\.\w+)?|[A-Z]\d\d-[A-Z]\d\d", entry):
                raise ValueError(f"{entry} is not an ICD-10 code or a range like B20-B24")
        return self


class Profile(_Strict):
    """A hospital's profile; the shipped ones are examples.

    Attributes:
        hospital: id of the hospital, the name of its landing folder.
        encoding: of its text files; ``auto`` finds it. A byte order mark wins over both.
        missing: further spellings of a missing value.
        id_patterns: shapes of the hospital's own numbers, by canonical column; free text is searched for them.
        optout, vip: lists of people who must leave.
        excluded_groups: groups beside the shipped ones.
        tables: the hospital's tables by a name of your own, which goes into reports.
    """

    hospital: str
    title: Text
    encoding: Encoding = "auto"
    missing: Spellings = Field(default_factory=list)
    id_patterns: dict[str, str] = Field(default_factory=dict)
    optout: PeopleList = PeopleList(files=["optout.csv"])
    vip: PeopleList = PeopleList(files=["vip.csv"])
    excluded_groups: dict[str, Group] = Field(default_factory=dict)
    tables: dict[str, Table] = Field(min_length=1)

    @model_validator(mode="after")
    def _patterns(self) -> Profile:
        for name, pattern in self.id_patterns.items():
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f"id_patterns.{name} is not a regular expression: {error}") from None
        return self

    def table_of(self, file_name: str) -> str | None:
        """Name of the table that takes a file, None if no glob matches.

        Args:
            file_name: the file's name without its folder.
        """
        best: tuple[int, str] | None = None
        for name, table in self.tables.items():
            for glob in table.files:
                weight = len(re.sub(r"[*?]|\[[^]]*\]", "", glob))
                if fnmatch.fnmatchcase(file_name, glob) and (best is None or weight > best[0]):
                    best = (weight, name)
        return best[1] if best else None

    def kinds(self) -> list[str]:
        """The kinds that the profile's tables give, sorted."""
        return sorted({kind for table in self.tables.values() for kind in (table.kind, *(a.kind for a in table.also))})


def _check_columns(kind: str, columns: dict[str, Column], key: list[str], computed: set[str] | None = None) -> None:
    if kind not in kinds():
        raise ValueError(f"kind {kind} is unknown; known are {', '.join(kinds())}")
    known = set(kinds()[kind].names())
    for name in columns:
        if name not in known:
            raise ValueError(f"columns.{name}: {kind} has no such column")
        if name in COMPUTED.get(kind, frozenset()):
            raise ValueError(f"columns.{name}: ingest computes it")
        if columns[name].unit_from and (kind, name) != ("lab", "value"):
            raise ValueError(f"columns.{name}.unit_from: only the value of a lab table has a unit column")
    # Laboratory codes come from the codes of the test.
    filled = set(columns) | (computed or set()) | ({"code"} if kind == "lab" and "test" in columns else set())
    for name in key:
        if name not in filled:
            raise ValueError(f"record_key: {name} is not among the columns")


def _problems(error: ValidationError) -> Iterator[str]:
    for problem in error.errors(include_input=False, include_url=False, include_context=False):
        # The part of a path that pydantic adds for aliases and validators is of no use to a person.
        field = ".".join(str(part) for part in problem["loc"])
        message = problem["msg"].removeprefix("Value error, ")
        yield f"{field}: {message}" if field else message


def parse_profile(data: dict[str, Any], where: str) -> Profile:
    """Check a profile.

    Args:
        data: the parsed YAML.
        where: the file, for messages.

    Raises:
        ConfigError: naming the file and every wrong field.
    """
    try:
        return Profile.model_validate(data)
    except ValidationError as error:
        raise ConfigError("; ".join(_problems(error)), where=where, next_step="Correct the profile") from None


def load_profile(config: Config, hospital: str) -> Profile:
    """Load and check ``hospitals/<hospital>.yaml``.

    Args:
        config: the configuration folders.
        hospital: id of the hospital, the name of its landing folder.

    Raises:
        ConfigError: missing, not YAML, or wrong; the text names file and field.
    """
    where = f"hospitals/{hospital}.yaml"
    profile = parse_profile(config.load(where), where)
    if profile.hospital != hospital:
        raise ConfigError(f"hospital: says {profile.hospital}, the file is {hospital}.yaml", where=where)
    return profile

"""The cohort of a product: who is in the study, and one row of variables per person, from the restricted tables.

Belongs here: cohort.yaml, its translation to set-based SQL over the views of the current tables (named by kind, true
dates), and the flow of exclusions. Does not belong here: analyses (spec.py), and anything that leaves the restricted
zone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from meddata_pipeline.core.balance import Balance
from meddata_pipeline.core.config import Config
from meddata_pipeline.core.errors import ConfigError
from meddata_pipeline.core.expression import Floats, Node, evaluate, parse
from meddata_pipeline.core.product import validation_error
from meddata_pipeline.core.tables import kinds
from meddata_pipeline.core.text import Text
from meddata_pipeline.study.variables import as_numbers, as_texts

if TYPE_CHECKING:
    import duckdb

#: The date column of each kind that has one.
EVENT_DATES = {
    "visit": "visit_date",
    "diagnosis": "diagnosed_on",
    "procedure": "performed_on",
    "medication": "started_on",
    "lab": "collected_on",
    "observation": "observed_on",
    "imaging": "performed_on",
    "pathology": "reported_on",
    "variant": "tested_on",
    "follow_up": "followed_on",
    "death": "died_on",
}

#: What stands for a result below the limit of detection. Source of limit/sqrt2: Hornung & Reed 1990, for log-normal
#: values with few results below the limit.
CENSORED = {"limit/sqrt2": "e.value / sqrt(2)", "limit/2": "e.value / 2", "limit": "e.value", "missing": "NULL"}

Window = tuple[int | None, int | None]
ColumnKind = Literal["text", "date", "number", "integer"]


class Index(BaseModel):
    """The day from which windows are counted: the first or last event of a kind."""

    model_config = ConfigDict(extra="forbid")

    event: Literal["visit", "diagnosis", "procedure"]
    which: Literal["first", "last"] = "first"
    codes: list[str] = []

    @model_validator(mode="after")
    def _codes(self) -> Index:
        if self.codes and self.event == "visit":
            raise ValueError("a visit has no codes")
        return self


class Source(BaseModel):
    """One variable of the cohort: exactly one source, then how it is taken.

    Attributes:
        window: days relative to the index, both ends included; null is open.
        take: of several values in the window, the one nearest to the index day, the latest or the first.
        missing: value for persons without one; without it they stay missing.
        keep: whether the variable is a column of the cohort (or only serves others).
    """

    model_config = ConfigDict(extra="forbid")

    title: Text | None = None
    unit: Text | None = None
    type: ColumnKind | None = None
    window: Window | None = None
    take: Literal["nearest", "latest", "first"] = "nearest"
    missing: str | int | float | None = None
    keep: bool = True

    index: Literal["date", "month", "hospital"] | None = None
    age: Literal["birth_date"] | None = None
    fold: int | None = Field(default=None, ge=1)
    fallback: str | None = None
    patient: str | None = None
    observation: str | None = None
    lab: list[str] | None = None
    censored: Literal["limit/sqrt2", "limit/2", "limit", "missing"] = "limit/sqrt2"
    diagnosis: list[str] | None = None
    teeth: list[str] | None = None
    negation_words: list[str] = []
    medication: list[str] | None = None
    names: list[str] = []
    follow_up: list[str] | None = None
    variant: list[str] | None = None
    record: str | None = None
    match: dict[str, list[str]] = {}
    expression: str | None = None
    standardise: str | None = None
    centre: bool = False
    constant: str | int | float | None = None

    @field_validator("lab", "diagnosis", "teeth", "medication", "follow_up", "variant", mode="before")
    @classmethod
    def _one_is_a_list(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    @model_validator(mode="after")
    def _one_source(self) -> Source:
        given = [name for name in _SOURCES if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"a variable has exactly one source of: {', '.join(_SOURCES)}")
        if self.window is not None:
            low, high = self.window
            if low is not None and high is not None and low > high:
                raise ValueError("the window ends before it begins")
        if self.record is not None and self.record not in kinds():
            raise ValueError("record names no kind of table")
        for column in self.match:
            if self.record is None or column not in kinds()[self.record].names():
                raise ValueError("match names a column that the kind does not have")
        if self.patient is not None and self.patient not in kinds()["patient"].names("quasi", "sensitive", "other"):
            raise ValueError("patient names a column that the restricted patient table does not have")
        return self

    @property
    def source(self) -> str:
        """Which kind of source it is."""
        return next(name for name in _SOURCES if getattr(self, name) is not None)

    @property
    def column_type(self) -> ColumnKind:
        """Type of the column in the cohort."""
        if self.type is not None:
            return self.type
        if self.source == "index":
            return "text" if self.index == "hospital" else "date"
        if self.source == "constant":
            return "text" if isinstance(self.constant, str) else "number"
        return _TYPES.get(self.source, "number")


_SOURCES = (
    "index",
    "age",
    "patient",
    "observation",
    "lab",
    "diagnosis",
    "teeth",
    "medication",
    "follow_up",
    "variant",
    "record",
    "expression",
    "standardise",
    "constant",
)
_TYPES: dict[str, ColumnKind] = {
    "age": "integer",
    "patient": "text",
    "diagnosis": "integer",
    "teeth": "integer",
    "medication": "integer",
    "follow_up": "text",
    "variant": "integer",
    "record": "integer",
}


class Rule(BaseModel):
    """One step of eligibility: who stays. Whoever the condition is not known of leaves."""

    model_config = ConfigDict(extra="forbid")

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    title: Text
    keep: str


class CohortSpec(BaseModel):
    """The `cohort:` part of a product."""

    model_config = ConfigDict(extra="forbid")

    unit: str = "person"
    population: str = "patient"
    population_title: Text = Text(zh="去标识化记录中的人员", en="Persons in the de-identified records")
    index: Index | Literal["none"]
    index_title: Text = Text(zh="无索引事件", en="No index event")
    variables: dict[str, Source] = Field(min_length=1)
    eligibility: list[Rule] = []

    @model_validator(mode="after")
    def _whole(self) -> CohortSpec:
        if self.unit != "person":
            raise ValueError(f"unit {self.unit[:20]!r} is not supported; the only unit is person")
        if self.population not in kinds():
            raise ValueError("population names no kind of table")
        ids = ["population", "index", *(rule.id for rule in self.eligibility)]
        if len(set(ids)) < len(ids):
            raise ValueError("two steps of eligibility have the same id (population and index are taken)")
        late = self.deferred()
        for name, source in self.variables.items():
            counts = source.window is not None or source.index in ("date", "month") or source.age is not None
            if self.index == "none" and counts:
                raise ValueError(f"variable {name} counts from the index day, but index is none")
        for rule in self.eligibility:
            if unknown := sorted(parse(rule.keep).names() - set(self.variables)):
                raise ValueError(f"rule {rule.id} reads {unknown[0]!r}, which is no variable")
            if parse(rule.keep).names() & late:
                raise ValueError(f"rule {rule.id} reads a standardised variable, which the cohort itself decides")
        return self

    def deferred(self) -> set[str]:
        """Variables that are known only when it is known who is in: standardised ones and what is made of them."""
        late: set[str] = set()
        seen: set[str] = set()
        for name, source in self.variables.items():
            reads: set[str] = set()
            if source.expression is not None:
                reads = set(parse(source.expression).names())
            elif source.standardise is not None:
                reads = {source.standardise}
            if unknown := sorted(reads - seen):
                raise ValueError(f"variable {name} reads {unknown[0]!r}, which no variable above it is")
            if source.standardise is not None or reads & late:
                late.add(name)
            seen.add(name)
        return late


@dataclass(frozen=True)
class FlowStep:
    """One step of the flow of exclusions; n_before = excluded + n_after, in persons. The first one excludes nobody."""

    id: str
    title: Text
    n_before: int
    excluded: int
    n_after: int

    def as_dict(self) -> dict[str, Any]:
        """The step as plain JSON."""
        return asdict(self) | {"title": self.title.model_dump()}


@dataclass(frozen=True)
class CohortColumn:
    """One column of the cohort."""

    name: str
    type: ColumnKind
    title: Text
    unit: Text | None = None


@dataclass(frozen=True)
class Cohort:
    """The cohort: restricted, one row a person, sorted by person_id."""

    frame: pd.DataFrame
    flow: list[FlowStep]
    columns: list[CohortColumn]

    def balance(self, name: str) -> Balance:
        """The row balance, checked."""
        before = self.flow[0].n_before
        excluded = {step.id: step.excluded for step in self.flow if step.excluded}
        return Balance(name, before, len(self.frame), excluded=excluded).check()


def parse_cohort(raw: dict[str, Any], where: str = "cohort.yaml") -> CohortSpec:
    """Check the mapping of a cohort file; the cohort stands below the key ``cohort``.

    Raises:
        ConfigError: with file, field and what is wrong.
    """
    try:
        return CohortSpec.model_validate(raw.get("cohort", raw))
    except ValidationError as error:
        raise validation_error(where, error) from None


def load_cohort(config: Config, product: str) -> CohortSpec:
    """Read products/<id>/cohort.yaml.

    Raises:
        ConfigError: the file is missing or wrong.
    """
    relative = f"products/{product}/cohort.yaml"
    return parse_cohort(config.load(relative), relative)


def build(con: duckdb.DuckDBPyConnection, spec: CohortSpec, *, as_of: date) -> Cohort:
    """Build the cohort.

    Args:
        con: connection with the current restricted tables as views named by kind (person_id, hospital, the kind's
            columns); a kind that no hospital delivers may be absent.
        spec: the cohort.
        as_of: events after this day are not looked at.

    Returns:
        The cohort; the flow accounts for every person.
    """
    return _Builder(con, spec, as_of).run()


class _Builder:
    def __init__(self, con: duckdb.DuckDBPyConnection, spec: CohortSpec, as_of: date) -> None:
        self.con = con
        self.spec = spec
        self.as_of = as_of
        rows = con.execute("SELECT table_name FROM information_schema.tables").fetchall()
        self.views = {str(name) for (name,) in rows}
        self.values: dict[str, pd.Series] = {}
        self.size = 0

    def run(self) -> Cohort:
        spec = self.spec
        self.base()
        try:
            late = spec.deferred()
            for name, source in spec.variables.items():
                if name not in late:
                    self.values[name] = self.variable(name, source)
            persons = self.con.execute(
                "SELECT person_id, has_index FROM cohort_base ORDER BY pid",
            ).df()
        finally:
            self.con.execute("DROP TABLE IF EXISTS cohort_base")
        kept, flow = self.eligible(persons["has_index"].to_numpy(dtype=bool))
        self.values = {name: values[kept].reset_index(drop=True) for name, values in self.values.items()}
        self.size = int(kept.sum())
        for name, source in spec.variables.items():
            if name in late:
                self.values[name] = self.typed(self.derived(name, source), source)
        frame = pd.DataFrame({"person_id": persons["person_id"][kept].reset_index(drop=True)})
        shown = {name: source for name, source in spec.variables.items() if source.keep}
        for name in shown:
            frame[name] = self.values[name]
        columns = [CohortColumn("person_id", "text", Text(zh="人员编号", en="person id"))]
        for name, source in shown.items():
            title = source.title or Text(zh=name, en=name)
            columns.append(CohortColumn(name, source.column_type, title, source.unit))
        cohort = Cohort(frame, flow, columns)
        cohort.balance("cohort")
        return cohort

    def base(self) -> None:
        """Number the persons in the order of their ids and give each the index day and the hospital it is at."""
        spec, con = self.spec, self.con
        con.execute("DROP TABLE IF EXISTS cohort_base")
        if spec.population not in self.views:
            raise ConfigError("No hospital delivers the population's table", where=f"kind {spec.population}")
        known = "WHERE person_id IS NOT NULL GROUP BY 1"
        persons = f"SELECT person_id, min(hospital) AS home FROM {spec.population} {known}"  # noqa: S608 - a kind's name
        if spec.index == "none":
            con.execute(
                "CREATE TEMP TABLE cohort_base AS "  # noqa: S608
                "SELECT row_number() OVER (ORDER BY person_id) - 1 AS pid, person_id, "
                f"CAST(NULL AS DATE) AS index_date, home AS hospital, true AS has_index FROM ({persons}) ORDER BY 1"
            )
        else:
            day = EVENT_DATES[spec.index.event]
            order = "DESC" if spec.index.which == "last" else "ASC"
            codes, parameters = _prefixes("e.code", spec.index.codes)
            found = "SELECT NULL AS person_id, CAST(NULL AS DATE) AS index_date, NULL AS hospital WHERE false"
            if spec.index.event in self.views:
                negated = " AND coalesce(e.negated, false) = false" if spec.index.event == "diagnosis" else ""
                found = (
                    f"SELECT e.person_id, e.{day} AS index_date, e.hospital FROM {spec.index.event} e "  # noqa: S608
                    f"WHERE e.{day} IS NOT NULL AND e.{day} <= ?{codes}{negated} QUALIFY row_number() OVER "
                    f"(PARTITION BY e.person_id ORDER BY e.{day} {order}, e.hospital) = 1"
                )
                parameters = [self.as_of, *parameters]
            con.execute(
                "CREATE TEMP TABLE cohort_base AS SELECT row_number() OVER (ORDER BY p.person_id) - 1 AS pid, "  # noqa: S608
                "p.person_id, i.index_date, coalesce(i.hospital, p.home) AS hospital, "
                "i.index_date IS NOT NULL AS has_index "
                f"FROM ({persons}) p LEFT JOIN ({found}) i USING (person_id) ORDER BY 1",
                parameters,
            )
        answer = con.execute("SELECT count(*) FROM cohort_base").fetchone()
        self.size = int(answer[0]) if answer else 0

    def eligible(self, has_index: npt.NDArray[np.bool_]) -> tuple[npt.NDArray[np.bool_], list[FlowStep]]:
        """Apply the rules in order, each to those whom the rules before it kept."""
        kept = np.ones(self.size, dtype=bool)
        flow: list[FlowStep] = []

        def step(name: str, title: Text, stays: npt.NDArray[np.bool_]) -> None:
            nonlocal kept
            before = int(kept.sum())
            kept = kept & stays
            after = int(kept.sum())
            flow.append(FlowStep(name, title, before, before - after, after))

        step("population", self.spec.population_title, kept)
        step("index", self.spec.index_title, has_index)
        for rule in self.spec.eligibility:
            values = np.broadcast_to(self.evaluate(parse(rule.keep)), (self.size,))
            step(rule.id, rule.title, ~np.isnan(values) & (values != 0))
        return kept, flow

    def evaluate(self, node: Node) -> Floats:
        values = self.values
        return evaluate(node, lambda name: as_numbers(values[name], name), lambda name: as_texts(values[name]))

    def variable(self, name: str, source: Source) -> pd.Series:
        if source.source in ("expression", "standardise", "constant"):
            return self.typed(self.derived(name, source), source)
        query, parameters = getattr(self, f"_{source.source}")(source)
        column = np.full(self.size, None, dtype=object)
        if query:
            found = self.con.execute(query, parameters).df()
            column = np.full(self.size, None, dtype=object)
            values = found["value"].astype(object)
            values[found["value"].isna()] = None
            column[found["pid"].to_numpy(dtype=np.int64)] = values.to_numpy()
        return self.typed(pd.Series(column, dtype=object), source)

    def derived(self, name: str, source: Source) -> pd.Series:
        if source.constant is not None:
            return pd.Series([source.constant] * self.size, dtype=object)
        if source.expression is not None:
            return pd.Series(np.broadcast_to(self.evaluate(parse(source.expression)), (self.size,)).copy())
        values = as_numbers(self.values[str(source.standardise)], name)
        present = values[~np.isnan(values)]
        spread = float(np.std(present, ddof=1)) if len(present) > 1 else 0.0
        if spread <= 0:
            return pd.Series(np.full(self.size, np.nan))
        middle = float(present.mean()) if source.centre else 0.0
        return pd.Series((values - middle) / spread)

    def typed(self, values: pd.Series, source: Source) -> pd.Series:
        """Fill what is missing by rule, and give the column its type."""
        if source.missing is not None:
            values = values.where(values.notna(), source.missing)
        kind = source.column_type
        if kind == "number":
            return pd.to_numeric(values, errors="coerce").astype("float64")
        if kind == "integer":
            return pd.to_numeric(values, errors="coerce").astype("float64").round().astype("Int64")
        if kind == "date":
            return values.map(lambda v: v.date() if hasattr(v, "date") else v).astype(object)
        return values.map(lambda v: None if v is None else str(v)).astype(object)

    # One method per source: the query gives pid and value, at most one row a person.

    def _index(self, source: Source) -> tuple[str, list[Any]]:
        columns = {"date": "index_date", "month": "date_trunc('month', index_date)", "hospital": "hospital"}
        return f"SELECT pid, {columns[str(source.index)]} AS value FROM cohort_base", []  # noqa: S608 - fixed texts

    def _patient(self, source: Source) -> tuple[str, list[Any]]:
        """A column of the person's row at the index hospital, else of another hospital that knows it."""
        if "patient" not in self.views:
            return "", []
        return (
            f"SELECT b.pid, e.{source.patient} AS value FROM patient e JOIN cohort_base b USING (person_id) "  # noqa: S608
            f"WHERE e.{source.patient} IS NOT NULL QUALIFY row_number() OVER (PARTITION BY b.pid "
            f"ORDER BY (e.hospital = b.hospital) DESC, e.hospital, e.{source.patient}) = 1"
        ), []

    def _age(self, source: Source) -> tuple[str, list[Any]]:
        """Completed years at the index day; without a date of birth, the observation named by `fallback`."""
        fold = f"least(age, {int(source.fold)})" if source.fold is not None else "age"
        parts: list[str] = []
        parameters: list[Any] = []
        if "patient" in self.views:
            birth, _ = self._patient(source.model_copy(update={"patient": "birth_date"}))
            parts.append(
                "SELECT b.pid, 0 AS rank, year(b.index_date) - year(p.value) - CAST(month(b.index_date) * 100 + "  # noqa: S608
                f"day(b.index_date) < month(p.value) * 100 + day(p.value) AS INTEGER) AS age FROM ({birth}) p "
                "JOIN cohort_base b USING (pid)"
            )
        if source.fallback is not None:
            query, parameters = self._observation(source.model_copy(update={"observation": source.fallback}))
            if query:
                parts.append(f"SELECT pid, 1 AS rank, floor(value) AS age FROM ({query})")  # noqa: S608
        if not parts:
            return "", []
        known = " UNION ALL ".join(parts)
        return (
            f"SELECT pid, {fold} AS value FROM ({known}) WHERE age BETWEEN 0 AND 130 "  # noqa: S608
            "QUALIFY row_number() OVER (PARTITION BY pid ORDER BY rank) = 1"
        ), parameters

    def _pick(
        self, kind: str, source: Source, value: str, where: str, parameters: Sequence[Any], prefer: str = ""
    ) -> tuple[str, list[Any]]:
        """Of a person's rows that match, the one that `take` asks for."""
        if kind not in self.views:
            return "", []
        day = EVENT_DATES[kind]
        timing, window = self._timing(kind, source)
        order = {
            "nearest": f"abs(date_diff('day', b.index_date, e.{day})), e.{day} DESC",
            "latest": f"e.{day} DESC NULLS LAST",
            "first": f"e.{day} ASC NULLS LAST",
        }[source.take]
        query = (
            f"SELECT b.pid, {value} AS value FROM {kind} e JOIN cohort_base b USING (person_id) "  # noqa: S608
            f"WHERE {where}{timing} QUALIFY row_number() OVER (PARTITION BY b.pid ORDER BY {order}, {prefer}"
            f"(e.hospital = b.hospital) DESC, e.hospital, {value}) = 1"
        )
        return query, [*parameters, *window]

    def _any(
        self, kind: str, source: Source, value: str, where: str, parameters: Sequence[Any]
    ) -> tuple[str, list[Any]]:
        """An aggregate over a person's rows that match; persons without one get 0 by `_zero`."""
        if kind not in self.views:
            return "", []
        timing, window = self._timing(kind, source)
        query = (
            f"SELECT b.pid, {value} AS value FROM {kind} e JOIN cohort_base b USING (person_id) "  # noqa: S608
            f"WHERE {where}{timing} GROUP BY b.pid"
        )
        return query, [*parameters, *window]

    def _timing(self, kind: str, source: Source) -> tuple[str, list[Any]]:
        """The condition on the day of an event: not after as_of, and in the window."""
        day = EVENT_DATES[kind]
        if source.window is None:
            return f" AND (e.{day} IS NULL OR e.{day} <= ?)", [self.as_of]
        text, parameters = f" AND e.{day} <= ?", [self.as_of]
        for limit, sign in zip(source.window, (">=", "<="), strict=True):
            if limit is not None:
                text += f" AND date_diff('day', b.index_date, e.{day}) {sign} {int(limit)}"
        return text, list(parameters)

    def _observation(self, source: Source) -> tuple[str, list[Any]]:
        number = source.column_type != "text"
        value = "coalesce(e.value, try_cast(e.value_text AS DOUBLE))" if number else "e.value_text"
        return self._pick("observation", source, value, f"e.name = ? AND {value} IS NOT NULL", [source.observation])

    def _lab(self, source: Source) -> tuple[str, list[Any]]:
        """A result in its canonical unit; a censored one by the rule; flagged ones have no value and do not count."""
        value = f"CASE WHEN e.operator IN ('<', '<=', '≤') THEN {CENSORED[source.censored]} ELSE e.value END"
        codes = [str(code) for code in source.lab or []]
        where = f"e.code IN ({', '.join('?' * len(codes))}) AND e.value IS NOT NULL"
        query, parameters = self._pick("lab", source, value, where, codes, "list_position(?, e.code), ")
        return query, [*parameters, codes] if query else []

    def _cases(self, source: Source, codes: Sequence[str]) -> tuple[str, list[Any]]:
        """Diagnoses by code prefix that are not negated, neither by the column nor in words."""
        matches, parameters = _prefixes("e.code", codes)
        where = f"coalesce(e.negated, false) = false{matches}"
        for word in source.negation_words:
            where += " AND NOT contains(coalesce(e.text, ''), ?)"
            parameters.append(word)
        return where, parameters

    def _diagnosis(self, source: Source) -> tuple[str, list[Any]]:
        where, parameters = self._cases(source, source.diagnosis or [])
        return self._zero(*self._any("diagnosis", source, "1", where, parameters))

    def _teeth(self, source: Source) -> tuple[str, list[Any]]:
        """Distinct teeth; a cell may name several."""
        where, parameters = self._cases(source, source.teeth or [])
        numbers = "list_filter(string_split_regex(e.tooth, '[^0-9]+'), lambda t: t <> '')"
        split = f"len(list_distinct(flatten(list({numbers}))))"
        return self._zero(*self._any("diagnosis", source, split, where + " AND e.tooth IS NOT NULL", parameters))

    def _medication(self, source: Source) -> tuple[str, list[Any]]:
        """Drugs by ATC prefix, or by words of the name where a hospital has no codes."""
        options, parameters = [], []
        for prefix in source.medication or []:
            options.append("starts_with(e.code, ?)")
            parameters.append(prefix)
        for word in source.names:
            options.append("contains(e.name, ?)")
            parameters.append(word)
        where = f"({' OR '.join(options)})"
        return self._zero(*self._any("medication", source, "1", where, parameters))

    def _follow_up(self, source: Source) -> tuple[str, list[Any]]:
        outcomes = source.follow_up or []
        where = f"e.outcome IN ({', '.join('?' * len(outcomes))})"
        latest = source.model_copy(update={"take": "latest"})
        return self._pick("follow_up", latest, "e.outcome", where, outcomes)

    def _variant(self, source: Source) -> tuple[str, list[Any]]:
        """1 for carriers, 0 for tested persons who are none; missing for those never tested."""
        genes = source.variant or []
        where = f"e.gene IN ({', '.join('?' * len(genes))}) AND e.carrier IS NOT NULL"
        return self._any("variant", source, "max(CAST(e.carrier AS INTEGER))", where, genes)

    def _record(self, source: Source) -> tuple[str, list[Any]]:
        """1 for persons who have any row of a kind (with certain values) in the window."""
        where, parameters = "true", []
        for column, values in source.match.items():
            where += f" AND e.{column} IN ({', '.join('?' * len(values))})"
            parameters += values
        if source.record not in EVENT_DATES:
            raise ConfigError("A record variable needs a kind with dates", where=f"kind {source.record}")
        return self._zero(*self._any(str(source.record), source, "1", where, parameters))

    def _zero(self, query: str, parameters: list[Any]) -> tuple[str, list[Any]]:
        """Everybody else gets 0: no record of it counts as not having it."""
        if not query:
            return "SELECT pid, 0 AS value FROM cohort_base", []
        return (
            f"SELECT b.pid, coalesce(f.value, 0) AS value FROM cohort_base b LEFT JOIN ({query}) f USING (pid)",  # noqa: S608
            parameters,
        )


def _prefixes(column: str, codes: Sequence[str]) -> tuple[str, list[Any]]:
    """A condition that a code starts with one of the prefixes (or none, without prefixes)."""
    if not codes:
        return "", []
    return f" AND ({' OR '.join([f'starts_with({column}, ?)'] * len(codes))})", list(codes)

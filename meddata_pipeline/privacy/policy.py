"""The privacy policy of a table: a policy file of `meddata anonymize`, or a product's privacy.yaml.

What belongs here: the model of that file, and refusing what it does not know in words that name it. What does not:
reading tables, building hierarchies, searching; those are in privacy/tabular.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from meddata_pipeline.core.config import load_yaml, shown_name
from meddata_pipeline.core.errors import ConfigError

DATE_LEVELS = ("day", "month", "quarter", "year", "decade")
DIVISION_LEVELS = ("district", "city", "province", "all")
DIAGNOSIS_LEVELS = ("code", "category", "block", "chapter", "all")
#: Keys of a quasi-identifier that give it a hierarchy; one of them may stand.
WAYS = ("hierarchy", "dates", "redact", "intervals", "groups", "divisions", "icd10")

#: More persons than live; larger numbers in a policy are slips.
LARGEST = 10**11

Aggregate = Literal["geometric-mean", "arithmetic-mean", "sum", "maximum", "rank"]
Metric = Literal["loss", "dm", "dm-star", "aecs", "non-uniform-entropy", "precision", "height"]

# What a metric's columns are combined by where the policy does not say (ARX 3.9.2).
_AGGREGATES: dict[str, Aggregate] = {
    "loss": "geometric-mean",
    "non-uniform-entropy": "sum",
    "precision": "arithmetic-mean",
    "height": "sum",
}


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _no_truth_for_a_number(cls, value: Any) -> Any:
        """YAML's yes and true are no 1: a ``k`` of 1 protects nobody."""
        for name, field in cls.model_fields.items() if isinstance(value, Mapping) else ():
            if isinstance(value.get(field.alias or name), bool) and field.annotation is not bool:
                raise ValueError(f"{field.alias or name} can't be true or false")
        return value


class TableFormat(_Strict):
    """How a CSV table and its hierarchy files are written."""

    delimiter: str = Field(default=",", min_length=1, max_length=1)


class Redaction(_Strict):
    """Replace characters one by one; level i has i characters replaced."""

    characters: str = Field(default="*", min_length=1, max_length=1)
    from_: Literal["left", "right"] = Field(default="right", alias="from")


class OrderedGroups(_Strict):
    """Neighbours in an order, so many together at each level.

    Attributes:
        order: the values in their order, or ``numbers`` or ``text``: the order of the table's own values. Only a
            written order gives two versions of a table the same groups.
        sizes: values per group of level 1, groups of level 1 per group of level 2, and so on.
    """

    order: list[str] | Literal["numbers", "text"]
    sizes: list[int] = Field(min_length=1)

    @field_validator("order", mode="before")
    @classmethod
    def _as_text(cls, order: Any) -> Any:
        from meddata_pipeline.privacy.tabular.values import text_of

        return [text_of(value) for value in order] if isinstance(order, list) else order

    @model_validator(mode="after")
    def _sensible(self) -> OrderedGroups:
        if any(size < 2 for size in self.sizes):
            raise ValueError("a group holds at least two")
        if isinstance(self.order, list) and len(set(self.order)) != len(self.order):
            raise ValueError("the order has a value twice")
        return self


class QuasiIdentifier(_Strict):
    """How one quasi-identifier may be generalised; no key at all means that it may not.

    Attributes:
        hierarchy: file, relative to the policy file; column 0 = value, column i = value at level i.
        dates: what a date becomes, level by level, from fine to coarse.
        redact: characters replaced one by one.
        groups: neighbours in an order, together.
        divisions: six-digit codes of China's administrative divisions (GB/T 2260), from fine to coarse.
        icd10: diagnoses, from fine to coarse.
        intervals: one list of rising break points per level, from fine to coarse; an empty list is ``*``.
        open: whether values outside the break points fall into ``(-∞, first)`` and ``[last, ∞)``.
        raw: whether level 0 is the value itself; with false the finest list is level 0, which keeps exact values of a
            measured number out of the search.
    """

    hierarchy: str | None = None
    dates: list[Literal["day", "month", "quarter", "year", "decade"]] | None = Field(default=None, min_length=1)
    redact: Redaction | None = None
    groups: OrderedGroups | None = None
    divisions: list[Literal["district", "city", "province", "all"]] | None = Field(default=None, min_length=1)
    icd10: list[Literal["code", "category", "block", "chapter", "all"]] | None = Field(default=None, min_length=1)
    intervals: list[list[float]] | None = Field(default=None, min_length=1)
    open: bool = False
    raw: bool = True

    @model_validator(mode="after")
    def _one_way(self) -> QuasiIdentifier:
        ways = [name for name in WAYS if getattr(self, name) is not None]
        if len(ways) > 1:
            raise ValueError(f"has {' and '.join(ways)}; give one")
        if self.intervals is None and (self.open or not self.raw):
            raise ValueError("'open' and 'raw' belong to 'intervals'")
        known = {"dates": DATE_LEVELS, "divisions": DIVISION_LEVELS, "icd10": DIAGNOSIS_LEVELS}
        for way, levels in known.items():
            order = [levels.index(level) for level in getattr(self, way) or []]
            if order != sorted(set(order)):
                raise ValueError(f"{way} must go from fine to coarse, each level once")
        finer: set[float] | None = None
        for points in self.intervals or []:
            if any(b <= a for a, b in pairwise(points)):
                raise ValueError("break points must rise")
            if len(points) == 1 and not self.open:
                raise ValueError("one break point makes no interval; give two, or 'open: true'")
            if finer is not None and not set(points) <= finer:
                raise ValueError("each level's break points must be among those of the level before it")
            finer = set(points)
        return self

    @property
    def generalises(self) -> bool:
        """Whether the column has a hierarchy at all."""
        return any(getattr(self, name) is not None for name in WAYS)


class Sensitive(_Strict):
    """A sensitive column; its hierarchy serves hierarchical distances only, the column itself is not generalised."""

    hierarchy: str | None = None


class KAnonymity(_Strict):
    """Every class holds at least ``k`` persons."""

    model: Literal["k-anonymity"]
    k: int = Field(ge=1, le=LARGEST)


class KMap(_Strict):
    """Every class stands for at least ``k`` persons of a population.

    Attributes:
        subset: file with the rows that are released; the table is then the population.
        population: size of the population where only a sample of it is at hand.
        significance: probability with which a class may be too small, for an estimated size.
        estimator: distribution of class sizes in the population; ``none`` goes with a subset.
    """

    model: Literal["k-map"]
    k: int = Field(ge=1, le=LARGEST)
    subset: str | None = None
    population: int | None = Field(default=None, ge=1, le=LARGEST)
    significance: float = Field(default=0.01, ge=0.0, le=1.0)
    estimator: Literal["none", "poisson", "zero-truncated-poisson"] | None = None

    @model_validator(mode="after")
    def _one_population(self) -> KMap:
        if (self.subset is None) == (self.population is None):
            raise ValueError("k-map needs either subset or population")
        if self.subset is not None and self.estimator not in {None, "none"}:
            raise ValueError("k-map with a subset counts the population and estimates nothing: leave out estimator")
        if self.population is not None and self.estimator == "none":
            raise ValueError("k-map with a population's size needs an estimator: poisson or zero-truncated-poisson")
        return self


class _OfAttribute(_Strict):
    attribute: str


class DistinctLDiversity(_OfAttribute):
    """Every class holds at least ``l`` distinct values."""

    model: Literal["distinct-l-diversity"]
    l: int = Field(ge=1, le=LARGEST)  # noqa: E741 (the trade's word)


class EntropyLDiversity(_OfAttribute):
    """The entropy of the values of every class is at least log(l)."""

    model: Literal["entropy-l-diversity"]
    l: float = Field(ge=1.0, le=LARGEST)  # noqa: E741
    estimator: Literal["shannon", "grassberger"] = "shannon"


class RecursiveLDiversity(_OfAttribute):
    """The most frequent value is rarer than ``c`` times all from the l-th most frequent on."""

    model: Literal["recursive-l-diversity"]
    l: int = Field(ge=1, le=LARGEST)  # noqa: E741
    c: float = Field(gt=0.0)


class TCloseness(_OfAttribute):
    """The distribution in every class is within ``t`` of that in the table."""

    model: Literal["t-closeness"]
    t: float = Field(ge=0.0, le=1.0)
    distance: Literal["equal", "hierarchical", "ordered"] = "equal"


class DeltaPresence(_Strict):
    """The share of a class that belongs to the subset lies between ``min`` and ``max``."""

    model: Literal["delta-presence"]
    min: float = Field(default=0.0, ge=0.0, le=1.0)
    max: float = Field(default=1.0, ge=0.0, le=1.0)
    subset: str

    @model_validator(mode="after")
    def _ordered(self) -> DeltaPresence:
        if self.min > self.max:
            raise ValueError("delta-presence: min is above max")
        return self


class Inclusion(_Strict):
    """Only the rows of the subset are released; the others form its background."""

    model: Literal["inclusion"]
    subset: str


class DeltaDisclosure(_OfAttribute):
    """|log2(share in the class / share in the table)| of every value present is below ``delta``."""

    model: Literal["delta-disclosure"]
    delta: float = Field(gt=0.0)


class BetaLikeness(_OfAttribute):
    """No value's share in a class exceeds that in the table by more than ``beta`` times (enhanced: or its -ln)."""

    model: Literal["basic-beta-likeness", "enhanced-beta-likeness"]
    beta: float = Field(gt=0.0)


class AverageRisk(_Strict):
    """1 / average class size is at most ``threshold``."""

    model: Literal["average-risk"]
    threshold: float = Field(ge=0.0, le=1.0)


class SampleUniqueness(_Strict):
    """The share of rows that are alone in their class is at most ``threshold``."""

    model: Literal["sample-uniqueness"]
    threshold: float = Field(ge=0.0, le=1.0)


class PopulationUniqueness(_Strict):
    """The estimated share of persons who are unique in the population is at most ``threshold``."""

    model: Literal["population-uniqueness"]
    threshold: float = Field(ge=0.0, le=1.0)
    estimator: Literal["dankar", "pitman", "zayatz", "snb"] = "dankar"
    population: int = Field(ge=1, le=LARGEST)


PrivacyModel = Annotated[
    KAnonymity
    | KMap
    | DistinctLDiversity
    | EntropyLDiversity
    | RecursiveLDiversity
    | TCloseness
    | DeltaPresence
    | Inclusion
    | DeltaDisclosure
    | BetaLikeness
    | AverageRisk
    | SampleUniqueness
    | PopulationUniqueness,
    Field(discriminator="model"),
]
_MODEL_TYPES: tuple[type[_Strict], ...] = get_args(get_args(PrivacyModel)[0])
MODELS = tuple(name for kind in _MODEL_TYPES for name in get_args(kind.model_fields["model"].annotation))


class Quality(_Strict):
    """What the search minimises.

    Attributes:
        metric: the quality metric.
        aggregate: how the values of the columns become one; the metric's own where the policy does not say. Metrics of
            whole classes (dm, dm-star, aecs) have no values by column and take none.
        gs_factor: how much generalization counts against suppression; 0.5 counts both fully.
        monotonic: for non-uniform-entropy and precision: leave suppressed rows out of account.
        weights: of columns.
    """

    metric: Metric = "loss"
    aggregate: Aggregate = "geometric-mean"
    gs_factor: float = Field(default=0.5, ge=0.0, le=1.0)
    monotonic: bool = False
    weights: dict[str, float] = {}

    @model_validator(mode="before")
    @classmethod
    def _usual_aggregate(cls, value: Any) -> Any:
        if isinstance(value, Mapping) and value.get("aggregate") is None:
            usual = _AGGREGATES.get(str(value.get("metric", "loss")), "sum")
            return {**value, "aggregate": usual}
        return value

    @field_validator("weights")
    @classmethod
    def _positive(cls, weights: dict[str, float]) -> dict[str, float]:
        if any(w < 0 for w in weights.values()) or (weights and max(weights.values()) == 0):
            raise ValueError("weights must not be negative, and one must be above 0")
        return weights

    @model_validator(mode="after")
    def _fits(self) -> Quality:
        if self.monotonic and self.metric not in {"non-uniform-entropy", "precision"}:
            raise ValueError("monotonic belongs to non-uniform-entropy and precision")
        return self


class AgeOf(_Strict):
    """An age that a register gives by a birth date.

    Attributes:
        age_of: column of the birth dates.
        on: day that the ages hold for.
    """

    age_of: str
    on: dt.date


class AttackTerms(_Strict):
    """A linkage attack with a register of the people of the table.

    Attributes:
        file: CSV or Parquet, relative to the policy file; one row per person.
        person: column that says who a row is, in the words of the table's ``unit``; by default the same name.
        columns: quasi-identifier → column of the register that tells it, or an age; by default those of one name.
        seed: of the attacker's random choices.
    """

    file: str
    person: str | None = None
    columns: dict[str, str | AgeOf] = {}
    seed: int = 1


class RiskTerms(_Strict):
    """What the risk figures are computed for.

    Attributes:
        threshold: a record whose risk lies above it is at risk; by default that of the profile, else 0.2.
        sampling_fraction: share of the population that the table holds; None when nobody knows it. With a population
            table it follows from that.
        population: file with a population table (columns of the quasi-identifiers, not generalised; every row a person,
            or the policy's ``unit``), or None.
        profile: a profile of profiles.yaml that the table is to meet.
        attack: the register to attack the table with, or None.
    """

    threshold: float = Field(default=0.2, gt=0.0, le=1.0)
    sampling_fraction: float | None = Field(default=None, gt=0.0, le=1.0)
    population: str | None = None
    profile: str | None = None
    attack: AttackTerms | None = None

    @model_validator(mode="before")
    @classmethod
    def _threshold_of_profile(cls, raw: Any) -> Any:
        from meddata_pipeline.privacy.profiles import profiles

        if not isinstance(raw, Mapping) or raw.get("profile") is None:
            return raw
        known = profiles()
        if raw["profile"] not in known:
            raise ValueError(f"the profile is one of {', '.join(known)}")
        highest = float(known[raw["profile"]].highest)
        threshold = raw.get("threshold", highest)
        if isinstance(threshold, float | int) and threshold > highest:
            raise ValueError(f"the threshold {threshold:g} lies above that of the profile {raw['profile']}")
        return {**raw, "threshold": threshold}


class TextTerms(_Strict):
    """What a product that releases free text must show.

    Attributes:
        kinds: the kinds whose texts are released, and read by people beforehand.
        leak_bound: what the upper 95 % limit of the share of notes with a leak may be at most.
    """

    kinds: list[str] = Field(default=["note"], min_length=1)
    leak_bound: float = Field(default=0.01, gt=0.0, le=1.0)


class Policy(_Strict):
    """A policy file or a product's privacy.yaml.

    Attributes:
        identifiers: columns that are dropped from the release, or replaced by keys of the release.
        linkability: ``none``: the release key is random and destroyed at publication; ``versions``: it is kept.
        longitudinal: with ``linkability: versions``: a row keeps its id in all versions of a major version.
        date_shift: whether dates of a person are shifted together before the release.
        round: sensitive numbers and the decimals they are published with (negative: to tens, hundreds).
        search: how the levels are found; see tabular/search.py.
        time_limit: seconds after which a heuristic search stops and states what it has.
        text: terms of free text, where the product releases any.
    """

    table: TableFormat = TableFormat()
    unit: str | None = None
    identifiers: list[str] = []
    quasi_identifiers: dict[str, QuasiIdentifier] = Field(min_length=1)
    sensitive: dict[str, Sensitive] = {}
    insensitive: list[str] = []
    privacy: list[PrivacyModel] = Field(min_length=1)
    suppression_limit: float = Field(default=0.0, ge=0.0, le=1.0)
    quality: Quality = Quality()
    practical_monotonicity: bool = False
    search: Literal["optimal", "heuristic", "mondrian", "local"] = "optimal"
    time_limit: float = Field(default=60.0, gt=0.0)
    suppressed: Literal["keep", "drop"] = "keep"
    risk: RiskTerms = RiskTerms()
    linkability: Literal["none", "versions"] = "none"
    longitudinal: bool = False
    date_shift: bool = False
    round: dict[str, int] = {}
    text: TextTerms = TextTerms()

    @field_validator("sensitive", mode="before")
    @classmethod
    def _list_of_names(cls, value: Any) -> Any:
        """A plain list of names is the common case; both spellings mean the same."""
        if isinstance(value, list):
            return {name: {} for name in value}
        if isinstance(value, Mapping):
            return {name: {} if keys is None else keys for name, keys in value.items()}
        return value

    @field_validator("quasi_identifiers", mode="before")
    @classmethod
    def _empty_keys(cls, value: Any) -> Any:
        if isinstance(value, Mapping):
            return {name: {} if keys is None else keys for name, keys in value.items()}
        return value

    @model_validator(mode="after")
    def _columns_agree(self) -> Policy:
        roles: dict[str, str] = {}
        groups = {
            "identifiers": self.identifiers,
            "quasi_identifiers": list(self.quasi_identifiers),
            "sensitive": list(self.sensitive),
            "insensitive": self.insensitive,
        }
        for role, names in groups.items():
            for name in names:
                if name in roles:
                    raise ValueError(f"column {name} stands under {roles[name]} and under {role}")
                roles[name] = role
        for name in self.round:
            if roles.get(name) not in {"sensitive", "insensitive"}:
                raise ValueError(f"round: {name} is not a sensitive or insensitive column")
        for name in self.quality.weights:
            if name not in self.quasi_identifiers:
                raise ValueError(f"quality.weights: {name} is not a quasi-identifier")
        for name in self.risk.attack.columns if self.risk.attack is not None else {}:
            if name not in self.quasi_identifiers:
                raise ValueError(f"risk.attack.columns: {name} is not a quasi-identifier")
        if self.longitudinal and self.linkability != "versions":
            raise ValueError("longitudinal: row ids can stay only where the key does; it needs 'linkability: versions'")
        if self.unit is not None and roles.get(self.unit, "identifiers") != "identifiers":
            raise ValueError(f"unit: {self.unit} says who a row belongs to and can't be released")
        return self

    @model_validator(mode="after")
    def _models_agree(self) -> Policy:
        subsets = {name for model in self.privacy if (name := getattr(model, "subset", None)) is not None}
        if len(subsets) > 1:
            raise ValueError("privacy: the models name different subsets; one table has one research subset")
        for model in self.privacy:
            name = getattr(model, "attribute", None)
            if name is None:
                continue
            if name not in self.sensitive:
                raise ValueError(f"privacy: {model.model} is about {name}, which is not under sensitive")
            if getattr(model, "distance", "") == "hierarchical" and self.sensitive[name].hierarchy is None:
                raise ValueError(f"privacy: hierarchical t-closeness needs a hierarchy of {name} under sensitive")
        if self.subset is not None and self.search in {"mondrian", "local"}:
            raise ValueError(f"search: {self.search} can't take a research subset; use optimal or heuristic")
        return self

    @property
    def k(self) -> int:
        """The smallest class that can meet all models, in persons (rows without ``unit``)."""
        least = 1
        for model in self.privacy:
            if isinstance(model, KAnonymity):
                least = max(least, model.k)
            elif isinstance(model, (DistinctLDiversity, EntropyLDiversity, RecursiveLDiversity)) and self.unit is None:
                # A person with several rows may hold several values, so this says nothing about persons.
                least = max(least, math.ceil(model.l))
        return least

    @property
    def subset(self) -> str | None:
        """File of the research subset, when a model names one."""
        return next((name for m in self.privacy if (name := getattr(m, "subset", None)) is not None), None)

    @property
    def released_columns(self) -> list[str]:
        """Columns that a release holds, in the policy's order: quasi-identifiers, sensitive, insensitive."""
        return [*self.quasi_identifiers, *self.sensitive, *self.insensitive]


def _refuse_unknown(raw: Mapping[str, Any], where: str) -> None:
    """Name a model, metric or search that the format does not know, and those that it does."""
    models = raw.get("privacy")
    for entry in models if isinstance(models, list) else []:
        name = entry.get("model") if isinstance(entry, Mapping) else None
        if name is not None and name not in MODELS:
            raise ConfigError(
                f"The privacy model {name} is not known", where=where, next_step=f"Models: {', '.join(MODELS)}"
            )
    quality = raw.get("quality")
    metric = quality.get("metric", "loss") if isinstance(quality, Mapping) else "loss"
    if metric not in get_args(Metric):
        raise ConfigError(
            f"The quality metric {metric} is not known",
            where=where,
            next_step=f"Metrics: {', '.join(get_args(Metric))}",
        )


def parse_policy(raw: Mapping[str, Any], *, where: str = "policy") -> Policy:
    """Check a policy that is already in memory.

    Args:
        raw: the mapping as YAML gave it.
        where: name of the file for messages.

    Returns:
        The policy.

    Raises:
        ConfigError: a key is wrong or is not known; the text names it.
    """
    _refuse_unknown(raw, where)
    try:
        return Policy.model_validate(raw)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        message = str(first["msg"]).removeprefix("Value error, ")
        raise ConfigError(
            f"The policy is wrong at {field}: {message}" if field else f"The policy is wrong: {message}",
            where=where,
            next_step=f"{error.error_count()} problems in all" if error.error_count() > 1 else "",
        ) from None


def load_policy(path: Path) -> Policy:
    """Read a policy file.

    Args:
        path: YAML file; hierarchy files are relative to its folder.

    Returns:
        The policy.

    Raises:
        ConfigError: the file is missing, is not YAML, or is wrong.
    """
    return parse_policy(load_yaml(path), where=shown_name(path))

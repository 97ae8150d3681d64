"""The specification of a study (study.yaml): which variables, which analyses, with what texts.

Belongs here: the shape of the file and what is refused while reading it. Does not belong here: data (variables.py),
numbers (estimators/), eligibility (cohort.py). Keys of the top level that are not computed with (question, texts, DAG)
are kept as they are.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from meddata_pipeline.core.config import load_yaml, shown_name
from meddata_pipeline.core.errors import ConfigError
from meddata_pipeline.core.product import validation_error
from meddata_pipeline.core.text import Text

Scalar = str | bool | int | float

#: Keys of an analysis that each method reads, beside id, method, title and the common ones.
_MODEL = frozenset({"exposure", "outcome", "covariates"})
METHOD_KEYS: dict[str, frozenset[str]] = {
    "two-by-two": _MODEL | {"exposures", "adjust"},
    "logistic": _MODEL | {"weights", "cluster"},
    "linear": _MODEL | {"weights", "cluster"},
    "modified-poisson": _MODEL | {"weights", "cluster"},
    "log-binomial": _MODEL,
    "conditional-logistic": _MODEL | {"strata"},
    "gee": _MODEL | {"cluster", "family", "correlation"},
    "cox": _MODEL | {"strata", "cluster"},
    "kaplan-meier": frozenset({"exposure", "by", "outcome", "covariates"}),
    "mantel-haenszel": _MODEL | {"strata"},
    "likelihood-ratio": _MODEL | {"model", "add"},
    "trend": _MODEL,
    "g-computation": _MODEL | {"model"},
    "weighting": _MODEL | {"estimand"},
    "matching": _MODEL | {"ratio"},
    "aipw": _MODEL | {"model"},
    "firth": _MODEL,
    "imputation": _MODEL | {"model", "imputations", "iterations", "seed", "predictors"},
    "meta-analysis": frozenset({"study", "events1", "total1", "events0", "total0", "measure"}),
    "e-value": frozenset({"of"}),
    "additive-interaction": _MODEL | {"with"},
    "table-one": _MODEL | {"by"},
    "missing": _MODEL | {"by"},
}
COMMON_KEYS = frozenset({"id", "method", "title", "level", "subset", "frequency", "interval"})
#: Methods that can't do without one of their keys.
NEEDED_KEYS: dict[str, tuple[str, ...]] = {
    "conditional-logistic": ("strata",),
    "gee": ("cluster",),
    "mantel-haenszel": ("strata",),
    "likelihood-ratio": ("add",),
    "meta-analysis": ("study", "events1", "total1", "events0", "total0"),
    "e-value": ("of",),
    "additive-interaction": ("with",),
}
#: Values that `model` may have, by method; the first is the default.
MODELS: dict[str, tuple[str, ...]] = {
    "likelihood-ratio": ("logistic", "cox"),
    "g-computation": ("logistic", "linear"),
    "aipw": ("logistic", "linear"),
    "imputation": ("logistic", "linear", "cox"),
}


class Cut(BaseModel):
    """How a number becomes a category: by quantiles (type 7) or by fixed breaks."""

    model_config = ConfigDict(extra="forbid")

    quantiles: int | None = Field(default=None, ge=2, le=100)
    breaks: list[float] | None = Field(default=None, min_length=2)
    right: bool = True

    @model_validator(mode="after")
    def _one_of(self) -> Cut:
        if (self.quantiles is None) == (self.breaks is None):
            raise ValueError("cut takes either quantiles or breaks")
        if self.breaks is not None and any(b <= a for a, b in zip(self.breaks, self.breaks[1:], strict=False)):
            raise ValueError("breaks must rise")
        return self


class Variable(BaseModel):
    """One variable: where it is from and how it is read."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    type: Literal["binary", "category", "number"]
    event: Scalar | None = None
    reference: Scalar | None = None
    levels: list[Scalar] | None = Field(default=None, min_length=1)
    source: str | None = Field(default=None, alias="from")
    expression: str | None = None
    cut: Cut | None = None
    title: Text | None = None
    level_titles: dict[str, Text] = {}
    unit: Text | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Variable:
        if self.source is not None and self.expression is not None:
            raise ValueError("a variable has either from or expression")
        if self.type == "binary" and self.event is None and self.expression is None:
            raise ValueError("a binary variable needs event (or an expression)")
        if self.type != "binary" and self.event is not None:
            raise ValueError("event belongs to binary variables")
        if self.type != "category" and (self.reference is not None or self.levels is not None or self.cut is not None):
            raise ValueError("reference, levels and cut belong to category variables")
        return self


class TimeOutcome(BaseModel):
    """Time to event: a column of times and a binary variable that says whether the event came then."""

    model_config = ConfigDict(extra="forbid")

    time: str
    event: str


class GroupedOutcome(BaseModel):
    """Counts of events and non-events; a row stands for all its persons."""

    model_config = ConfigDict(extra="forbid")

    events: str
    nonevents: str


Outcome = str | GroupedOutcome | TimeOutcome


class Analysis(BaseModel):
    """One analysis."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    id: str = Field(min_length=1, pattern=r"^[^/\s]+$")
    method: str
    title: Text | None = None
    exposure: str | None = None
    exposures: list[str] | None = Field(default=None, min_length=1)
    outcome: Outcome | None = None
    covariates: list[str] | None = None
    by: str | None = None
    frequency: str | None = None
    subset: str | None = None
    interval: Literal["wald", "profile"] = "wald"
    level: float = Field(default=0.95, gt=0, lt=1)
    adjust: list[Literal["holm", "bh", "by", "bonferroni"]] = []
    weights: str | None = None
    strata: list[str] | None = Field(default=None, min_length=1)
    cluster: list[str] | None = Field(default=None, min_length=1)
    family: Literal["binomial", "gaussian", "poisson"] = "binomial"
    correlation: Literal["exchangeable", "independence"] = "exchangeable"
    model: str | None = None
    add: list[str] | None = Field(default=None, min_length=1)
    estimand: Literal["ate", "att", "overlap"] = "ate"
    ratio: int = Field(default=1, ge=1, le=20)
    imputations: int = Field(default=50, ge=2, le=1000)
    iterations: int = Field(default=10, ge=1, le=200)
    seed: int = Field(default=1, ge=0)
    predictors: list[str] = []
    study: str | None = None
    events1: str | None = None
    total1: str | None = None
    events0: str | None = None
    total0: str | None = None
    measure: Literal["or", "rr", "rd"] = "or"
    of: str | None = None
    modifier: str | None = Field(default=None, alias="with")

    @field_validator("strata", "cluster", mode="before")
    @classmethod
    def _one_or_many(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    @model_validator(mode="before")
    @classmethod
    def _known_method(cls, value: Any) -> Any:
        if not isinstance(value, dict) or "method" not in value:
            return value
        method = value["method"]
        keys = METHOD_KEYS.get(method) if isinstance(method, str) else None
        if keys is None:
            known = ", ".join(METHOD_KEYS)
            raise ValueError(f"the method {str(method)[:40]!r} is not supported; supported are: {known}")
        unknown = sorted(str(key) for key in value if key not in keys | COMMON_KEYS)
        if unknown:
            allowed = ", ".join(sorted(keys | COMMON_KEYS))
            raise ValueError(f"method {method} does not take {', '.join(unknown)[:120]}; it takes: {allowed}")
        lacking = [key for key in NEEDED_KEYS.get(method, ()) if value.get(key) is None]
        if lacking:
            raise ValueError(f"method {method} needs {', '.join(lacking)}")
        if value.get("interval") == "profile" and method not in ("logistic", "firth"):
            raise ValueError(f"method {method} has no profile intervals")
        models = MODELS.get(method, ())
        if value.get("model") is not None and value["model"] not in models:
            raise ValueError(f"the model of method {method} is one of: {', '.join(models)}")
        return value

    @property
    def fitted_model(self) -> str:
        """The model that a method with a choice fits; the method itself for others."""
        return self.model or MODELS.get(self.method, (self.method,))[0]


class Disclosure(BaseModel):
    """What the report may show; `k: 1` switches suppression off (public data, tests)."""

    model_config = ConfigDict(extra="forbid")

    k: int = Field(ge=1)


class TableFormat(BaseModel):
    """How a CSV table is read."""

    model_config = ConfigDict(extra="forbid")

    delimiter: str = Field(default=",", min_length=1, max_length=1)
    missing: list[str] = ["", "NA"]

    @field_validator("missing", mode="before")
    @classmethod
    def _as_texts(cls, value: Any) -> Any:
        return ["" if item is None else str(item) for item in value] if isinstance(value, list) else value


class StudySpec(BaseModel):
    """study.yaml.

    Attributes:
        study: id of the study.
        variables: declared variables; a column that an analysis names without declaring it is read as a number.
        exposure: default exposure of the analyses; outcome and covariates likewise.
        disclosure: overrides the product's k for the report.
        texts: paragraphs of the report (question, population, limitations …), by name.
    """

    model_config = ConfigDict(extra="allow")

    study: str = Field(min_length=1)
    title: Text | None = None
    question: Text | None = None
    texts: dict[str, Text] = {}
    table: TableFormat = TableFormat()
    variables: dict[str, Variable] = {}
    exposure: str | None = None
    outcome: Outcome | None = None
    covariates: list[str] = []
    analyses: list[Analysis] = Field(min_length=1)
    disclosure: Disclosure | None = None

    @model_validator(mode="after")
    def _unique(self) -> StudySpec:
        ids = [analysis.id for analysis in self.analyses]
        if repeated := sorted({i for i in ids if ids.count(i) > 1}):
            raise ValueError(f"two analyses have the id {repeated[0]!r}")
        return self

    @model_validator(mode="after")
    def _earlier(self) -> StudySpec:
        before: set[str] = set()
        for analysis in self.analyses:
            if analysis.of is not None and analysis.of.split("/", 1)[0] not in before:
                raise ValueError(f"analysis {analysis.id!r} is of {analysis.of[:60]!r}, and no analysis above has it")
            before.add(analysis.id)
        return self

    def title_of(self, name: str) -> Text:
        """What a variable is called in the report."""
        variable = self.variables.get(name)
        return variable.title if variable is not None and variable.title is not None else Text(zh=name, en=name)


def parse_study(raw: dict[str, Any], where: str = "study.yaml") -> StudySpec:
    """Check the mapping of a study file.

    Raises:
        ConfigError: with the file's name, the field and what is wrong.
    """
    try:
        return StudySpec.model_validate(raw)
    except ValidationError as error:
        raise validation_error(where, error) from None


def load_study(path: Path) -> StudySpec:
    """Read study.yaml.

    Raises:
        ConfigError: the file is missing or wrong.
    """
    return parse_study(load_yaml(path), shown_name(path))


def need(value: str | None, what: str, analysis: Analysis) -> str:
    """A setting that an analysis can't do without.

    Raises:
        ConfigError: neither the analysis nor the study says it.
    """
    if value is None:
        raise ConfigError(f"The analysis needs {what}", where=f"analysis {analysis.id}, field {what}")
    return value

"""The description of one release: the single source of every catalogue entry, product page and export.

Belongs here: the fields, their units and their checks. Does not belong here: how a field is computed (the packages that
own the numbers), and how it is written in a standard (exporters).
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from meddata_pipeline.core.canonical import canonical_json
from meddata_pipeline.core.errors import BadInput
from meddata_pipeline.core.product import Access, Form
from meddata_pipeline.core.text import Text

Count = int | str
"""A published count: a number, or text such as ``<10`` where the number itself is suppressed."""

EMPTY = Text(zh="", en="")


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Agent(_Part):
    """Who publishes. `kind` is a word of the ADMS publisher types (catalog/vocabulary.yaml)."""

    name: Text
    url: str | None = None
    email: str | None = None
    kind: str = "IndustryConsortium"


class Contact(_Part):
    """Who answers questions."""

    name: Text
    email: str | None = None
    url: str | None = None


class Column(_Part):
    """One column of the codebook. A withheld column has a reason and no values in the release."""

    name: str
    type: str
    title: Text = EMPTY
    unit: str = ""
    classification: str = "other"
    codes: dict[str, Text] = {}
    withheld: Text | None = None


class File(_Part):
    """One file of the release. `role` says what it is for; `path` is relative to the version's folder."""

    path: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]*$")
    media_type: str = Field(pattern=r"^[a-z]+/[A-Za-z0-9.+-]+$")
    bytes: int = Field(ge=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    title: Text
    role: Literal["report", "data", "results", "aggregate", "risk", "quality", "codebook", "figure", "other"] = "other"
    lang: Literal["zh", "en"] | None = None

    @field_validator("path")
    @classmethod
    def _stays_inside(cls, value: str) -> str:
        if any(part in {"", ".", ".."} for part in value.split("/")):
            raise ValueError("the path must stay inside the version's folder")
        return value


class Figure(_Part):
    """An SVG file of the release that the product page shows. `alt` says in words what is to be seen."""

    path: str
    title: Text
    alt: Text
    caption: Text = EMPTY


class QualityScore(_Part):
    """The score of one quality dimension: the share of checks passed, weighted as the contract says; 0 to 1."""

    dimension: str
    title: Text
    score: float = Field(ge=0, le=1)
    checks: int | None = None
    failed: int | None = None


class Risk(_Part):
    """What remains of the risk of re-identification in the release. Shares are between 0 and 1; k counts persons."""

    k: int = Field(ge=1)
    highest: float = Field(ge=0, le=1)
    average: float | None = Field(default=None, ge=0, le=1)
    threshold: float | None = Field(default=None, ge=0, le=1)
    suppressed_rows: Count | None = None
    classes: int | None = None
    note: Text = EMPTY


class PriceItem(_Part):
    """One line of the price estimate, in fen, with its reason."""

    title: Text
    fen: int
    reason: Text = EMPTY


class Price(_Part):
    """The range of a price estimate (定价测算) in fen, with the lines that lead to it."""

    low: int = Field(ge=0)
    high: int = Field(ge=0)
    currency: Literal["CNY"] = "CNY"
    basis: Text = EMPTY
    items: list[PriceItem] = []

    @model_validator(mode="after")
    def _ordered(self) -> Price:
        if self.low > self.high:
            raise ValueError("the low end of the price range lies above the high end")
        return self


class Effect(_Part):
    """One estimate as published (rounded), by its id in results.json. `phase` says on which data it was computed."""

    id: str
    title: Text
    measure: str
    estimate: float | None
    low: float | None = None
    high: float | None = None
    n: Count | None = None
    phase: Literal["cohort", "release"] = "release"
    digits: int = Field(default=2, ge=0, le=6)


class Step(_Part):
    """One step of the way from landing to release, with what went in and out as published."""

    id: str
    title: Text
    note: Text = EMPTY
    rows_in: Count | None = None
    rows_out: Count | None = None


class Signature(_Part):
    """A sign-off. `demo` marks a key that was made from a public seed and proves nothing."""

    role: str
    title: Text
    key: str = ""
    demo: bool = False


class Evaluation(_Part):
    """An attested quality evaluation of the version; `path` of the attestation is relative to the product's folder."""

    kind: Literal["self-assessment", "independent"]
    name: Text
    path: str = Field(pattern=r"^attestations/[0-9.]+/[a-z0-9-]+\.json$")
    valid_until: dt.date
    passed: bool


class Description(_Part):
    """Everything that is published about one release of one product."""

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{1,62}$")
    version: str = Field(pattern=r"^\d+(\.\d+)*$")
    title: Text
    description: Text
    keywords: list[Text] = []
    theme: str = "HEAL"
    publisher: Agent
    contact: Contact
    form: Form
    access: Access
    as_of: dt.date
    temporal_start: dt.date | None = None
    temporal_end: dt.date | None = None
    spatial: list[str] = ["CHN"]
    hospitals: int = Field(ge=0)
    persons: Count | None = None
    rows: Count | None = None
    columns: list[Column] = []
    files: list[File] = []
    figures: list[Figure] = []
    quality: list[QualityScore] = []
    risk: Risk | None = None
    price: Price | None = None
    licence: Text = EMPTY
    terms: list[Text] = []
    legal_label: Text = EMPTY
    legal_reason: Text = EMPTY
    demo: bool = False
    status: Literal["published", "withdrawn"] = "published"
    effects: list[Effect] = []
    steps: list[Step] = []
    signatures: list[Signature] = []
    evaluations: list[Evaluation] = []
    digest: str = ""
    notes: Text = EMPTY

    @model_validator(mode="after")
    def _consistent(self) -> Description:
        if (self.temporal_start is None) != (self.temporal_end is None):
            raise ValueError("a period needs both temporal_start and temporal_end")
        if self.temporal_start and self.temporal_end and self.temporal_start > self.temporal_end:
            raise ValueError("temporal_start lies after temporal_end")
        paths = [file.path for file in self.files]
        if len(set(paths)) != len(paths):
            raise ValueError("a file is listed twice")
        known = set(paths)
        for figure in self.figures:
            if figure.path not in known:
                raise ValueError(f"figure {figure.path} is not among the files")
        names = [column.name for column in self.columns]
        if len(set(names)) != len(names):
            raise ValueError("a column is listed twice")
        return self

    @property
    def order(self) -> tuple[int, ...]:
        """The version as numbers, for sorting: 1.10 comes after 1.9."""
        return tuple(int(part) for part in self.version.split("."))

    @property
    def score(self) -> float | None:
        """The mean of the quality dimensions' scores, 0 to 1; None where nothing was scored."""
        return sum(part.score for part in self.quality) / len(self.quality) if self.quality else None

    @property
    def headline(self) -> Effect | None:
        """The estimate that stands for the product: the first with a value, by the order in which they were given."""
        return next((effect for effect in self.effects if effect.estimate is not None), None)

    def with_role(self, role: str, lang: str | None = None) -> list[File]:
        """Files of one role, in one language or in none."""
        return [f for f in self.files if f.role == role and (lang is None or f.lang in (None, lang))]

    def to_json(self) -> bytes:
        """Canonical JSON; `from_json` reads it back."""
        return canonical_json(self.model_dump(mode="json"))


def build(parts: Mapping[str, Any]) -> Description:
    """Put a description together and check it.

    Args:
        parts: The fields of `Description` as plain dicts, lists, dates (or their ISO text) and numbers; a text may be
            `{"zh": …, "en": …}` or one string for both.

    Returns:
        The description.

    Raises:
        BadInput: A field is missing, unknown or out of range; the message names the field, not its value.
    """
    try:
        return Description.model_validate(dict(parts))
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"]) or "(the whole)"
        raise BadInput(
            f"The description of a release is wrong: {first['msg']}",
            where=f"{parts.get('id', 'product')}, field {field}",
            next_step="Correct what the candidate hands to the catalogue",
        ) from None


def from_json(data: bytes) -> Description:
    """Read a description that `Description.to_json` wrote.

    Raises:
        BadInput: The bytes are no description.
    """
    try:
        parts = json.loads(data)
    except ValueError:
        raise BadInput("The description is not JSON", where="description.json") from None
    if not isinstance(parts, dict):
        raise BadInput("The description is not a JSON object", where="description.json")
    return build(parts)


def newest(descriptions: Iterable[Description]) -> list[list[Description]]:
    """Group descriptions by product.

    Returns:
        One list per product, sorted by product id; in each the newest version comes first.

    Raises:
        BadInput: One version of a product is described twice.
    """
    groups: dict[str, dict[tuple[int, ...], Description]] = {}
    for item in descriptions:
        group = groups.setdefault(item.id, {})
        if item.order in group:
            raise BadInput("One version is described twice", where=f"{item.id} {item.version}")
        group[item.order] = item
    return [[group[key] for key in sorted(group, reverse=True)] for _, group in sorted(groups.items())]

"""The offer of a product (offer.yaml): release rule, evaluation, signatures, rights holders, terms, price, shares.

What belongs here: the model of the file and the exact reading of money and rates. What does not: what is computed from
it (rights statement, price estimate, settlement), which is the exchange package's. The catalogue reads the terms too,
hence core.

Money is integer fen everywhere. In YAML an amount is text with its unit ("120000.00 yuan", "120000 元", "5000 fen",
"5000 分") and a rate is text ("6%" or "0.06"): a bare number is refused, because YAML would make a binary float of it
and because nobody can see whether 5000 means yuan or fen.
"""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from meddata_pipeline.core.config import Config
from meddata_pipeline.core.errors import ConfigError
from meddata_pipeline.core.product import Access, Form, ProductSpec, load_product, validation_error
from meddata_pipeline.core.text import Text

_AMOUNT = re.compile(r"(\d{1,13}(?:\.\d{1,2})?) ?(yuan|元|fen|分)", re.ASCII)
_RATE = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)(%?)", re.ASCII)

Cadence = Literal["every-run", "daily", "weekly", "monthly"]
RightName = Literal["holding", "processing", "operating"]
RIGHTS: tuple[RightName, ...] = get_args(RightName)

# Categories of the accounting rule for data resources (cost of an asset that an enterprise recognises).
CostCategory = Literal[
    "acquisition",
    "taxes",
    "de-identification",
    "cleaning",
    "annotation",
    "integration",
    "analysis",
    "visualisation",
    "rights-attestation",
    "quality-evaluation",
    "registration-settlement",
    "security-management",
]
COST_CATEGORIES: tuple[CostCategory, ...] = get_args(CostCategory)

# Free text, images and genotypes are controlled by default: a download of them needs a recorded legal basis.
CONTROLLED_FORMS: frozenset[str] = frozenset({"notes", "images"})


def parse_fen(value: Any) -> int:
    """Read an amount of money exactly.

    Args:
        value: text with a unit, e.g. ``"12.50 yuan"``, ``"12.5元"``, ``"1250 fen"``, ``"1250 分"``.

    Returns:
        Amount in fen.

    Raises:
        ValueError: not text, no unit, negative, more than two decimals of a yuan, or a broken fen.
    """
    match = _AMOUNT.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise ValueError('an amount is quoted text with its unit: "120000.00 yuan" or "5000 fen"')
    number, unit = Decimal(match[1]), match[2]
    fen = number * 100 if unit in ("yuan", "元") else number
    if fen != fen.to_integral_value():
        raise ValueError("a fen cannot be divided")
    return int(fen)


def parse_rate(value: Any) -> Fraction:
    """Read a rate exactly.

    Args:
        value: text, e.g. ``"6%"`` or ``"0.06"``.

    Returns:
        The rate as a fraction (0.06 = 3/50).

    Raises:
        ValueError: not text, or not a plain decimal number.
    """
    match = _RATE.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise ValueError('a rate is quoted text: "6%" or "0.06"')
    return Fraction(match[1]) / (100 if match[2] else 1)


def _parse_share(value: Any) -> Fraction:
    rate = parse_rate(value)
    if rate > 1:
        raise ValueError("a share cannot exceed 100%")
    return rate


Fen = Annotated[int, BeforeValidator(parse_fen)]
Rate = Annotated[Fraction, BeforeValidator(parse_rate)]
Share = Annotated[Fraction, BeforeValidator(_parse_share)]
Slug = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class ReleaseRule(_Strict):
    """When a new version is cut.

    Within a major version small steps wait, since two versions that differ by a few persons tell about those persons.
    """

    cadence: Cadence = "every-run"
    minimum_hospitals: int = Field(default=1, ge=1)
    minimum_new_persons: int = Field(default=10, ge=0)


class QualityRule(_Strict):
    """Who must have evaluated the data before a version is cut, and how long the publisher's own evaluation holds.

    Attributes:
        evaluation: ``self``: the publisher's own is enough; ``independent``: a third party must have attested one.
        valid_months: of the publisher's attestation, from the day of the newest delivery.
    """

    evaluation: Literal["self", "independent"] = "self"
    valid_months: int = Field(default=60, ge=1, le=120)


class Evidence(_Strict):
    """One document behind a right; ``sha256: missing`` until the hospital has supplied it."""

    document: Text
    sha256: str = Field(default="missing", pattern=r"^([0-9a-f]{64}|missing)$")
    valid_until: date | None = None


class RightsHolder(_Strict):
    """One contributor and the evidence of its three separated rights.

    Source:
        "Data 20 articles": holding (数据资源持有权), processing and use (数据加工使用权), operating (数据产品经营权).
    """

    title: Text
    holding: list[Evidence] = []
    processing: list[Evidence] = []
    operating: list[Evidence] = []

    def evidence(self, right: RightName) -> list[Evidence]:
        """The documents behind one of the three rights."""
        return {"holding": self.holding, "processing": self.processing, "operating": self.operating}[right]


class Terms(_Strict):
    """What a buyer may do. Sales are non-exclusive and nothing may be passed on."""

    purposes: list[Text] = Field(min_length=1)
    territory: list[Annotated[str, Field(pattern=r"^[A-Z]{2}$")]] = Field(min_length=1)
    months: int = Field(ge=1, le=600)
    exclusive: Literal[False] = False
    redistribution: Literal[False] = False
    reidentification: Literal[False] = False
    other: list[Text] = []


class CostItem(_Strict):
    """One line of the cost ledger."""

    category: CostCategory
    title: Text
    amount: Fen


class Step(_Strict):
    """From this value of a fact on, the factor counts."""

    at_least: Rate
    factor: Rate


class Modifier(_Strict):
    """A step function of one fact of the release that raises or lowers the price, with its reason."""

    fact: Literal["quality", "persons", "hospitals"]
    reason: Text
    steps: list[Step] = Field(min_length=1)

    @model_validator(mode="after")
    def _ascending(self) -> Modifier:
        limits = [step.at_least for step in self.steps]
        if limits != sorted(set(limits)):
            raise ValueError("steps must ascend by at_least")
        return self


class PriceRule(_Strict):
    """Parameters of the cost approach; the costs are spread over the sales that are expected within the term."""

    margin: Rate
    expected_sales: int = Field(ge=1)
    low: Share = Fraction(1)
    high: Rate = Fraction(1)
    round_to: Annotated[Fen, Field(ge=1)] = 1
    modifiers: list[Modifier] = []

    @model_validator(mode="after")
    def _range(self) -> PriceRule:
        if self.high < 1:
            raise ValueError("high must be at least 100%")
        return self


class Charge(_Strict):
    """A fee or a tax by rule.

    Attributes:
        base: ``gross``: rate times the price; ``included``: the tax that the price already holds, rate / (1 + rate).
        fixed: an amount added to it.
    """

    id: Slug
    title: Text
    payee: Slug
    rate: Rate = Fraction(0)
    base: Literal["gross", "included"] = "gross"
    fixed: Fen = 0
    minimum: Fen = 0
    maximum: Fen | None = None

    @model_validator(mode="after")
    def _limits(self) -> Charge:
        if self.maximum is not None and self.maximum < self.minimum:
            raise ValueError("maximum is below minimum")
        return self


class Operator(_Strict):
    """The third party that processes and operates the product; its share of what is left after fees and taxes."""

    id: Slug
    title: Text
    share: Share


class ShareRule(_Strict):
    """How the hospitals share: by persons or equally, times a weight each (1 where none is given)."""

    by: Literal["persons", "equal"] = "persons"
    weights: dict[str, Rate] = {}
    operator: Operator | None = None


class OfferTerms(_Strict):
    """offer.yaml."""

    product: Slug
    form: Form
    access: Access
    legal_basis: Evidence | None = None
    release: ReleaseRule = ReleaseRule()
    quality: QualityRule = QualityRule()
    signatures: list[Slug] = Field(min_length=1)
    holders: dict[str, RightsHolder] = {}
    terms: Terms
    costs: list[CostItem] = Field(min_length=1)
    price: PriceRule
    fees: list[Charge] = []
    taxes: list[Charge] = []
    shares: ShareRule = ShareRule()

    @model_validator(mode="after")
    def _consistent(self) -> OfferTerms:
        if len(set(self.signatures)) != len(self.signatures):
            raise ValueError("signatures names a role twice")
        charges = [charge.id for charge in (*self.fees, *self.taxes)]
        if len(set(charges)) != len(charges):
            raise ValueError("fees and taxes need ids of their own")
        if self.quality.evaluation == "independent" and self.form != "microdata":
            raise ValueError("an independent evaluation needs released rows, so form: microdata")
        basis = self.legal_basis
        if self.access == "download" and self.form in CONTROLLED_FORMS and (basis is None or basis.sha256 == "missing"):
            raise ValueError(f"a download of {self.form} needs a recorded legal_basis, else access: controlled")
        return self

    def check_product(self, product: ProductSpec) -> None:
        """Check that the offer speaks of the same product in the same form.

        Raises:
            ConfigError: product, form or access differ from product.yaml.
        """
        for field, ours, theirs in (
            ("product", self.product, product.id),
            ("form", self.form, product.form),
            ("access", self.access, product.access),
        ):
            if ours != theirs:
                raise ConfigError(
                    f"{field} is {ours!r} here and {theirs!r} in product.yaml",
                    where=f"products/{product.id}/offer.yaml, field {field}",
                    next_step="Make both files say the same",
                )


def parse_offer(raw: dict[str, Any], name: str) -> OfferTerms:
    """Check the content of an offer.yaml.

    Args:
        raw: parsed YAML.
        name: how messages call the file.

    Raises:
        ConfigError: names file and field.
    """
    try:
        return OfferTerms.model_validate(raw)
    except ValidationError as error:
        raise validation_error(name, error) from None


def load_offer(config: Config, product_id: str) -> OfferTerms:
    """Read products/<id>/offer.yaml and check it against product.yaml.

    Raises:
        ConfigError: the file is wrong, or differs from product.yaml in product, form or access.
    """
    relative = f"products/{product_id}/offer.yaml"
    offer = parse_offer(config.load(relative), relative)
    offer.check_product(load_product(config, product_id))
    return offer

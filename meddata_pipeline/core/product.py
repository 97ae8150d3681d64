"""The head of a product (product.yaml): what it is called, its form, which hospitals take part.

What belongs here: what every package needs to know of a product. What does not: its cohort, contract, privacy policy,
study and offer, which have a file and a model each in the package that interprets them.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from meddata_pipeline.core.config import Config
from meddata_pipeline.core.errors import ConfigError
from meddata_pipeline.core.text import Text

Form = Literal["report", "aggregate", "microdata", "notes", "images"]
Access = Literal["download", "controlled"]


class Party(BaseModel):
    """An organisation that publishes or answers for a product."""

    model_config = ConfigDict(extra="forbid")

    name: Text
    email: str | None = None
    url: str | None = None


class ProductSpec(BaseModel):
    """product.yaml."""

    model_config = ConfigDict(extra="forbid")

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{1,62}$")
    title: Text
    description: Text
    keywords: list[Text] = []
    theme: str = "HEAL"
    form: Form
    access: Access
    hospitals: list[str] | Literal["all"] = "all"
    cohort_of: str | None = None
    spatial: list[str] = ["CHN"]
    publisher: Party
    contact: Party

    @property
    def cohort_product(self) -> str:
        """The product whose cohort.yaml and study.yaml this one uses."""
        return self.cohort_of or self.id


def validation_error(name: str, error: ValidationError) -> ConfigError:
    """A pydantic error as one clear sentence: file, field, what is wrong; the given value is left out."""
    first = error.errors(include_input=False, include_url=False)[0]
    field = ".".join(str(part) for part in first["loc"])
    return ConfigError(f"{first['msg']}", where=f"{name}, field {field or '(top level)'}")


def load_product(config: Config, product_id: str) -> ProductSpec:
    """Read and check products/<id>/product.yaml.

    Raises:
        ConfigError: the product is unknown or its file is wrong.
    """
    if product_id not in config.products():
        known = ", ".join(config.products())
        raise ConfigError(f"No product of that id; known are: {known}", where="product")
    raw: dict[str, Any] = config.load(f"products/{product_id}/product.yaml")
    try:
        spec = ProductSpec.model_validate(raw)
    except ValidationError as error:
        raise validation_error(f"products/{product_id}/product.yaml", error) from None
    if spec.id != product_id:
        raise ConfigError("id differs from the folder's name", where=f"products/{product_id}/product.yaml, field id")
    return spec

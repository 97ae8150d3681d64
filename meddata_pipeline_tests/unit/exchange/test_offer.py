"""offer.yaml is read exactly, and what could be misread is refused."""

from __future__ import annotations

from fractions import Fraction

import pytest
import yaml

from meddata_pipeline.core.config import PACKAGE_CONFIG, Config
from meddata_pipeline.core.errors import ConfigError
from meddata_pipeline.core.offer import load_offer, parse_fen, parse_offer, parse_rate
from meddata_pipeline_tests.unit.exchange.trade import RAW, offer


@pytest.mark.parametrize(
    ("text", "fen"),
    [
        ("0.29 yuan", 29),
        ("1.1元", 110),
        ("120000.00 yuan", 12_000_000),
        ("5000 分", 5000),
        ("9999999999999.99 元", 999_999_999_999_999),
    ],
)
def test_amounts_are_exact(text: str, fen: int) -> None:
    assert parse_fen(text) == fen


@pytest.mark.parametrize(
    "value", [0.29, 29, "29", "1.005 yuan", "0.5 fen", "-1 yuan", "1e3 yuan", "１２ yuan", True, None, ""]
)
def test_amounts_that_could_be_misread_are_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"amount|fen"):
        parse_fen(value)


def test_rates_are_exact() -> None:
    assert parse_rate("2.5%") == Fraction(1, 40)
    assert parse_rate("0.06") == Fraction(3, 50)
    with pytest.raises(ValueError, match="quoted text"):
        parse_rate(0.06)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"form": "notes"}, "legal_basis"),
        ({"signatures": []}, "signatures"),
        ({"signatures": ["dpo", "dpo"]}, "twice"),
        ({"terms": {**RAW["terms"], "exclusive": True}}, "terms.exclusive"),
        ({"terms": {**RAW["terms"], "redistribution": True}}, "terms.redistribution"),
        ({"release": {"cadence": "hourly"}}, "release.cadence"),
        ({"release": {"minimum_hospitals": "2"}}, "release.minimum_hospitals"),
        ({"costs": [{"category": "cleaning", "title": "x", "amount": 12.5}]}, "costs.0.amount"),
        ({"costs": [{"category": "marketing", "title": "x", "amount": "1 yuan"}]}, "costs.0.category"),
        ({"shares": {"operator": {"id": "o", "title": "o", "share": "101%"}}}, "shares.operator.share"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_a_wrong_offer_names_its_field(change: dict[str, object], field: str) -> None:
    with pytest.raises(ConfigError, match=field):
        offer(**change)


def test_a_download_of_notes_stands_on_a_recorded_legal_basis() -> None:
    basis = {"document": "consent", "sha256": "d" * 64}
    assert offer(form="notes", legal_basis=basis).form == "notes"
    assert offer(form="notes", access="controlled").access == "controlled"


def test_every_shipped_offer_agrees_with_its_product() -> None:
    config = Config()
    paths = sorted(PACKAGE_CONFIG.glob("products/*/offer.yaml"))
    assert len(paths) >= 3
    for path in paths:
        if config.has(f"products/{path.parent.name}/product.yaml"):
            terms = load_offer(config, path.parent.name)
        else:
            terms = parse_offer(yaml.safe_load(path.read_text(encoding="utf-8")), path.parent.name)
        assert terms.product == path.parent.name
        assert not terms.terms.exclusive

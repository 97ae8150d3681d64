"""Core: balances that must add up, tables that must load, errors that must say where, configuration that overlays."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from meddata_pipeline.core.balance import Balance
from meddata_pipeline.core.canonical import canonical_json, combined_digest
from meddata_pipeline.core.config import PACKAGE_CONFIG, Config, load_yaml
from meddata_pipeline.core.errors import ConfigError, Reason, Refused
from meddata_pipeline.core.product import load_product
from meddata_pipeline.core.tables import PROVENANCE, arrow_schema, kinds


@given(st.integers(0, 99), st.lists(st.integers(0, 9), max_size=3), st.integers(-3, 3))
def test_a_balance_is_exact_or_refused(out: int, parts: list[int], lost: int) -> None:
    reasons = {f"reason-{i}": n for i, n in enumerate(parts)}
    balance = Balance("step", out + sum(parts) + lost, out, excluded=reasons)
    assert balance.difference == lost
    if lost:
        with pytest.raises(Refused) as refusal:
            balance.check()
        assert refusal.value.reasons[0].code == "row-balance"
    else:
        assert balance.check() is balance


def test_every_kind_has_titles_and_the_provenance_columns() -> None:
    for kind, table in kinds().items():
        schema = arrow_schema(kind)
        assert list(schema.names)[-len(PROVENANCE) :] == list(PROVENANCE)
        assert all(column.title.zh and column.title.en for column in table.columns)
        assert len(set(schema.names)) == len(schema.names)


def test_every_shipped_yaml_loads() -> None:
    files = [*PACKAGE_CONFIG.rglob("*.yaml"), *PACKAGE_CONFIG.parent.rglob("*/*.yaml")]
    assert len(files) > 20
    for path in files:
        assert yaml.safe_load(path.read_text(encoding="utf-8")) is not None, path.name


def test_every_shipped_product_loads() -> None:
    config = Config()
    assert {"inflammation-pulpitis", "inflammation-pulpitis-cohort", "birthweight-smoking"} <= set(config.products())
    for product in config.products():
        assert load_product(config, product).id == product


def test_the_operators_folder_wins(tmp_path: Path) -> None:
    (tmp_path / "hospitals").mkdir()
    (tmp_path / "hospitals" / "hospital-a.yaml").write_text("hospital: mine\n", encoding="utf-8")
    assert Config([tmp_path]).load("hospitals/hospital-a.yaml") == {"hospital": "mine"}
    assert Config().load("hospitals/hospital-a.yaml")["hospital"] == "hospital-a"


@pytest.mark.parametrize(("text", "said"), [("a: [1", "not valid YAML"), ("- 1", "mapping"), ("plain", "mapping")])
def test_a_broken_file_is_named(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "broken.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=said) as error:
        load_yaml(path)
    assert "broken.yaml" in str(error.value)


@given(st.dictionaries(st.text(max_size=5), st.integers(-1000, 1000), max_size=5))
def test_canonical_json_ignores_the_order_of_keys(obj: dict[str, int]) -> None:
    assert canonical_json(obj) == canonical_json(dict(reversed(obj.items())))


@given(st.lists(st.text(alphabet="0123456789abcdef", min_size=4, max_size=4), max_size=5))
def test_a_combined_digest_ignores_order(digests: list[str]) -> None:
    assert combined_digest(digests) == combined_digest(reversed(digests))


def test_an_error_says_what_where_and_the_next_step() -> None:
    error = Refused("No", reasons=[Reason("code")], where="here", next_step="Do this")
    assert str(error) == "No (here). Do this"

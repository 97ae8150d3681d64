"""Contracts: the shipped ones against the official schema, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest

from meddata_pipeline.core.config import Config, load_yaml
from meddata_pipeline.core.errors import ConfigError
from meddata_pipeline.privacy.policy import load_policy
from meddata_pipeline.privacy.tabular import anonymize
from meddata_pipeline.quality.api import validate
from meddata_pipeline.quality.checks import DIMENSIONS
from meddata_pipeline.quality.contract import load_contract, parse_contract
from meddata_pipeline_tests.shared import shared
from meddata_pipeline_tests.unit.privacy_tabular.test_tabular_products import cohort

PRODUCTS = Config().products()


@pytest.mark.parametrize("product", PRODUCTS)
def test_shipped_contracts_meet_the_official_schema(product: str) -> None:
    schema = json.loads(shared("data/catalog/odcs/schema/odcs-json-schema-v3.1.0.json").read_text(encoding="utf-8"))
    validator = jsonschema.validators.validator_for(schema)(schema)
    raw = load_yaml(Config().find(f"products/{product}/contract.yaml"))
    assert [error.message for error in validator.iter_errors(raw)] == []


@pytest.mark.parametrize("product", PRODUCTS)
def test_a_contract_describes_exactly_what_the_policy_releases(product: str) -> None:
    contract = load_contract(Config().find(f"products/{product}/contract.yaml"))
    policy = load_policy(Config().find(f"products/{product}/privacy.yaml"))
    assert {column.name for column in contract.columns} == {"row_id", *policy.released_columns}
    assert not {column.name for column in contract.columns} & {*policy.identifiers, policy.unit}
    quasi = {column.name for column in contract.columns if column.classification == "quasi"}
    assert quasi == set(policy.quasi_identifiers)
    assert {spec.dimension for spec in contract.checks} >= {"normativity", "completeness", "accuracy", "consistency"}
    assert all(spec.title.zh and spec.title.en for spec in contract.checks)
    assert contract.major == 1


@pytest.mark.parametrize("engine", ["gx", "duckdb"])
def test_the_anonymised_cohort_passes_its_contract(engine: Any) -> None:
    path = Config().find("products/inflammation-pulpitis-cohort/privacy.yaml")
    released = anonymize(cohort(), load_policy(path), path.parent).require()
    released = released.assign(row_id=[f"{i:016x}" for i in range(len(released))])
    contract = load_contract(Config().find("products/inflammation-pulpitis-cohort/contract.yaml"))
    result = validate(released, contract, engine=engine)
    assert result.reasons() == [] and result.passed
    assert result.scores.keys() == DIMENSIONS.keys() and set(result.scores.values()) == {1.0}
    assert {row["dimension"] for row in result.dimensions()} == set(DIMENSIONS)


def _contract(rule: dict[str, Any], **changes: Any) -> dict[str, Any]:
    table = {"name": "t", "properties": [{"name": "c", "logicalType": "string", "quality": [rule]}]}
    return {"kind": "DataContract", "apiVersion": "v3.1.0", "id": "t", "version": "1.2", "schema": [table], **changes}


GOOD: dict[str, Any] = {"id": "r", "metric": "nullValues", "mustBe": 0, "dimension": "completeness"}


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({"metric": "nullValues", "mustBe": 0, "dimension": "completeness"}, "number 1.*no id"),
        ({**GOOD, "mustBeLessThan": 1}, "needs one of"),
        ({**GOOD, "metric": "magic"}, "magic"),
        ({**GOOD, "dimension": "beauty"}, "dimension"),
        ({**GOOD, "severity": "fatal"}, "severity"),
        ({**GOOD, "unit": "bananas"}, "unit"),
        ({**GOOD, "mustBe": "x"}, "rule r of column c"),
        ({**GOOD, "metric": "invalidValues", "arguments": {"pattern": "("}}, "rule r of column c"),
        ({**GOOD, "metric": "invalidValues", "arguments": {"pattern": "(?=a)b"}}, "looks around"),
        (
            {"id": "r", "type": "custom", "engine": "soda", "implementation": "x", "dimension": "accuracy"},
            "engine: meddata",
        ),
        ({**GOOD, "id": "table-schema"}, "several|Several"),
    ],
)
def test_a_rule_that_is_not_understood_is_named(rule: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        parse_contract(_contract(rule))


@pytest.mark.parametrize("changes", [{"kind": "X"}, {"apiVersion": "v2.2.2"}, {"version": "one"}, {"schema": []}])
def test_what_is_no_contract_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        parse_contract(_contract(GOOD, **changes))

"""DuckDB and Great Expectations count the same failed rows, for every kind of check and any table."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pandas as pd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from meddata_pipeline.quality.api import validate
from meddata_pipeline.quality.contract import Contract, parse_contract

TEXTS = ["a", "b", "", "A", "2024-Q1", "1999", "２０２４", "é\n", "a'b\"c", "4.1E+17", None]
NUMBERS = [0, 1, -1.5, 2.0, 1e300, float("inf"), None]


def _rule(name: str, **keys: Any) -> dict[str, Any]:
    return {"id": name, "dimension": "accuracy", "mustBe": 0, **keys}


def _custom(name: str, **implementation: Any) -> dict[str, Any]:
    return {
        "id": name,
        "type": "custom",
        "engine": "meddata",
        "dimension": "accuracy",
        "implementation": implementation,
    }


CONTRACT: Contract = parse_contract(
    {
        "kind": "DataContract",
        "apiVersion": "v3.1.0",
        "id": "generated",
        "version": "1.0",
        "schema": [
            {
                "name": "generated",
                "quality": [
                    _rule("rows", metric="rowCount"),
                    _rule("twice", metric="duplicateValues", arguments={"properties": ["t", "n"]}),
                    _custom(
                        "if-one", check="implies", when={"column": "n", "minimum": 1}, then={"column": "t", "in": ["a"]}
                    ),
                    _custom(
                        "if-a", check="implies", when={"column": "t", "equals": "a"}, then={"column": "n", "maximum": 1}
                    ),
                ],
                "properties": [
                    {
                        "name": "t",
                        "logicalType": "string",
                        "required": True,
                        "quality": [
                            _rule("t-values", metric="invalidValues", arguments={"validValues": ["a", "", "a'b\"c"]}),
                            _rule("t-missing", metric="missingValues", arguments={"missingValues": ["", "A", None]}),
                            _rule("t-form", metric="invalidValues", arguments={"pattern": r"\d{4}(-Q[1-4])?|[a-z]"}),
                            _rule("t-twice", metric="duplicateValues"),
                            _custom("t-recent", check="recent", years=3),
                        ],
                    },
                    {
                        "name": "n",
                        "logicalType": "number",
                        "required": True,
                        "quality": [
                            _rule("n-values", metric="invalidValues", arguments={"validValues": [0, 1]}),
                            _rule("n-missing", metric="missingValues", arguments={"missingValues": [0]}),
                            _rule("n-twice", metric="duplicateValues"),
                            _custom("n-range", check="range", minimum=0, maximum=2),
                            _custom("n-low", check="range", minimum=0),
                            _custom("n-low-again", check="range", minimum=0),
                        ],
                    },
                ],
            }
        ],
    }
)


@given(
    st.lists(st.tuples(st.sampled_from(TEXTS) | st.text(max_size=3), st.sampled_from(NUMBERS)), max_size=14),
    st.sampled_from([None, dt.date(2024, 5, 1)]),
)
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_both_engines_count_the_same(rows: list[tuple[Any, Any]], as_of: dt.date | None) -> None:
    frame = pd.DataFrame(rows, columns=["t", "n"])
    by_gx, by_sql = (validate(frame, CONTRACT, engine=engine, as_of=as_of) for engine in ("gx", "duckdb"))  # type: ignore[arg-type]
    assert [check.as_dict() for check in by_gx.checks] == [check.as_dict() for check in by_sql.checks]
    assert not [check.spec.id for check in by_gx.checks if check.code == "engine"]
    assert by_gx.scores == by_sql.scores

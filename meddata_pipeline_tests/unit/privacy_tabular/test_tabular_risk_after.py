"""`anonymize --json` says of its release what `meddata risk` says of it, whatever the policy asks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from typer.testing import CliRunner

from meddata_pipeline.cli import app
from meddata_pipeline.privacy.policy import MODELS, parse_policy
from meddata_pipeline.privacy.risk import risk
from meddata_pipeline.privacy.tabular import anonymize

DISEASES = ("flu", "ulcer", "cough")
FORMAT = {
    "rows",
    "classes",
    "average_class_size",
    "uniques",
    "prosecutor",
    "journalist",
    "marketer",
    "population_uniqueness",
    "attributes",
}


def _table() -> pd.DataFrame:
    """Sixty rows of forty persons, a few of them alone whatever is done."""
    rows = [
        (
            i * 7 % 40,
            (i * i * 5 + 3 * i) % 83,
            "MF"[i * i % 3 % 2],
            ["flu", "ulcer", "cough"][i * 11 // 7 % 3],
            "abc"[i % 17 // 7],
        )
        for i in range(60)
    ]
    return pd.DataFrame(rows, columns=["who", "age", "sex", "disease", "town"])


def _policy(**changes: Any) -> dict[str, Any]:
    return {
        "quasi_identifiers": {
            "age": {"intervals": [[0, 20, 40, 60, 80], [0, 40, 80], []], "open": True},
            "sex": {},
            "town": {},
        },
        "sensitive": {"disease": {"hierarchy": "disease.csv"}},
        "privacy": [{"model": "k-anonymity", "k": 2}],
        "suppression_limit": 0.2,
        **changes,
    }


def _call(*words: str) -> Any:
    done = CliRunner().invoke(app, [*words, "--json"])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def _written(folder: Path, raw: dict[str, Any]) -> list[str]:
    """The table, a population of ten times the people and the policy as files."""
    table = _table()
    table.to_csv(folder / "table.csv", index=False)
    everyone = pd.concat([table.assign(age=(table["age"] + 5 * i) % 83, who=table["who"] + 40 * i) for i in range(10)])
    everyone.to_csv(folder / "population.csv", index=False)
    table.iloc[::2].to_csv(folder / "subset.csv", index=False)
    (folder / "disease.csv").write_text("flu,mild,*\ncough,mild,*\nulcer,bad,*\n", encoding="utf-8")
    (folder / "policy.yaml").write_text(json.dumps(raw), encoding="utf-8")
    return ["--policy", str(folder / "policy.yaml")]


@pytest.mark.parametrize("search", ["optimal", "heuristic", "mondrian", "local"])
@pytest.mark.parametrize("suppressed", ["keep", "drop"])
@pytest.mark.parametrize(
    "terms",
    [{}, {"sampling_fraction": 0.3, "threshold": 0.4}, {"population": "population.csv"}],
    ids=["alone", "fraction", "population"],
)
def test_the_block_is_what_risk_says(tmp_path: Path, search: str, suppressed: str, terms: dict[str, Any]) -> None:
    options = _written(tmp_path, _policy(search=search, suppressed=suppressed, risk=terms))
    out = str(tmp_path / "out.csv")
    made = _call("anonymize", str(tmp_path / "table.csv"), *options, "--out", out)
    said = _call("risk", out, *options)
    assert made["risk"] == said and set(said) >= FORMAT
    assert said["rows"] == 60 - made["suppressed_rows"] and said["classes"] == made["classes"]["count"]
    assert len(said["attributes"]) == 7
    estimated = [value is not None for value in said["population_uniqueness"].values()]
    assert all(estimated) if terms else not any(estimated)
    if "population" in terms:
        assert said["population"] == 600 and said["journalist"] != said["prosecutor"]


@pytest.mark.parametrize("suppressed", ["keep", "drop"])
def test_persons_stay_persons_in_the_block(tmp_path: Path, suppressed: str) -> None:
    """The release names nobody, so `risk` on it counts rows; the block counts whom the rows belong to."""
    _written(tmp_path, {})
    raw = _policy(unit="who", suppressed=suppressed, risk={"population": "population.csv"})
    table = _table().sample(frac=1.0, random_state=3)  # an index that is no range
    result = anonymize(table, parse_policy(raw), tmp_path)
    released = result.require()
    named = released.assign(who=table["who"].reindex(released.index))
    assert result.report["risk"] == risk(named, parse_policy(raw), base=tmp_path)
    assert result.report["risk"]["counts"] == "persons" and result.report["risk"]["population"] == 400
    assert result.report["risk"]["histogram"] == result.report["classes"]["histogram"]


OF = {"attribute": "disease"}
SUBSET = {"subset": "subset.csv"}
EVERY_MODEL: list[dict[str, Any]] = [
    {"model": "k-anonymity", "k": 2},
    {"model": "k-map", "k": 2, **SUBSET},
    {"model": "k-map", "k": 2, "population": 600, "significance": 0.05, "estimator": "poisson"},
    {"model": "k-map", "k": 2, "population": 600, "estimator": "zero-truncated-poisson"},
    {"model": "distinct-l-diversity", "l": 2, **OF},
    {"model": "entropy-l-diversity", "l": 1.5, "estimator": "shannon", **OF},
    {"model": "entropy-l-diversity", "l": 1.5, "estimator": "grassberger", **OF},
    {"model": "recursive-l-diversity", "l": 2, "c": 4, **OF},
    {"model": "t-closeness", "t": 0.5, "distance": "equal", **OF},
    {"model": "t-closeness", "t": 0.5, "distance": "hierarchical", **OF},
    {"model": "t-closeness", "t": 0.5, "distance": "ordered", **OF},
    {"model": "delta-presence", "min": 0.0, "max": 0.9, **SUBSET},
    {"model": "inclusion", **SUBSET},
    {"model": "delta-disclosure", "delta": 2.5, **OF},
    {"model": "basic-beta-likeness", "beta": 2.0, **OF},
    {"model": "enhanced-beta-likeness", "beta": 2.0, **OF},
    {"model": "average-risk", "threshold": 0.3},
    {"model": "sample-uniqueness", "threshold": 0.05},
    *(
        {"model": "population-uniqueness", "threshold": 0.05, "estimator": e, "population": 300}
        for e in ("dankar", "pitman", "zayatz", "snb")
    ),
]


def test_the_list_of_models_is_whole() -> None:
    assert {model["model"] for model in EVERY_MODEL} == set(MODELS)


@pytest.mark.parametrize("model", EVERY_MODEL, ids=lambda m: "-".join(str(v) for v in m.values()))
def test_both_commands_take_every_model(tmp_path: Path, model: dict[str, Any]) -> None:
    options = _written(tmp_path, _policy(privacy=[model], risk={"sampling_fraction": 0.2}))
    before = _call("risk", str(tmp_path / "table.csv"), *options)
    assert before["rows"] == 60 and set(before) >= FORMAT
    out = str(tmp_path / "out.csv")
    made = _call("anonymize", str(tmp_path / "table.csv"), *options, "--out", out)
    assert made["risk"] == _call("risk", out, *options)

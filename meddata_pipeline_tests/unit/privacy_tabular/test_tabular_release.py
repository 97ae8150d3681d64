"""What a release holds, what is refused, and the recount as a gate."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from meddata_pipeline.core.errors import BadInput, ConfigError, Refused
from meddata_pipeline.privacy.policy import load_policy, parse_policy
from meddata_pipeline.privacy.risk import risk, risk_file
from meddata_pipeline.privacy.tabular import anonymize
from meddata_pipeline.privacy.tabular.files import anonymize_file, read_table
from meddata_pipeline.privacy.tabular.verify import recount, verify

BASE = Path()


def _policy(**changes: Any) -> dict[str, Any]:
    base: dict[str, Any] = {
        "quasi_identifiers": {"age": {"intervals": [[0, 20, 40, 60], [0, 60]], "raw": False}, "sex": {}},
        "sensitive": ["crp"],
        "insensitive": ["season"],
        "privacy": [{"model": "k-anonymity", "k": 2}],
        "suppression_limit": 0.25,
    }
    return base | changes


def _table() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "name": list("abcdefgh"),
            "age": [5, 6, 25, 26, 27, 45, 46, 21],
            "sex": ["M", "M", "F", "F", "F", "M", "M", "M"],
            "crp": [1.234, 2.345, 3.0, None, 4.0, 5.0, 6.0, 7.0],
            "season": ["spring"] * 8,
        },
        index=range(10, 18),
    )


def test_only_listed_columns_leave_and_suppressed_rows_are_starred() -> None:
    result = anonymize(_table(), parse_policy(_policy(round={"crp": 1})), BASE)
    released = result.require()
    assert list(released.columns) == ["age", "sex", "crp", "season"]
    assert result.report["withheld"] == ["name"]
    assert list(np.flatnonzero(result.suppressed)) == [7]
    assert released.loc[17].to_dict() == {"age": "*", "sex": "*", "crp": "*", "season": "spring"}
    assert released.loc[10].to_dict() == {"age": "[0, 20)", "sex": "M", "crp": 1.2, "season": "spring"}
    assert result.report["classes"] == {"count": 3, "min": 2, "histogram": {"2": 2, "3": 1}}
    json.dumps(result.report)


def test_dropped_rows_keep_types() -> None:
    released = anonymize(_table(), parse_policy(_policy(suppressed="drop")), BASE).require()
    assert len(released) == 7 and released["crp"].dtype == np.float64 and 17 not in released.index


def test_k_counts_persons_not_rows() -> None:
    table = _table().assign(name=["p1", "p1", "p2", "p2", "p3", "p4", "p4", "p5"])
    raw = _policy(unit="name", suppression_limit=0.0)
    result = anonymize(table, parse_policy(raw), BASE)
    assert result.table is not None and result.transformation == {"age": 1, "sex": 0}
    assert result.report["classes"]["min"] == 2
    with pytest.raises(Refused) as refusal:
        verify(
            anonymize(table, parse_policy(_policy(suppression_limit=0.25)), BASE).require(),
            parse_policy(raw),
            unit=table["name"],
        )
    assert [reason.code for reason in refusal.value.reasons] == ["k-anonymity"]


def test_without_a_solution_there_is_no_table() -> None:
    result = anonymize(_table(), parse_policy(_policy(privacy=[{"model": "k-anonymity", "k": 9}])), BASE)
    assert result.table is None and result.report["solution"] is False
    with pytest.raises(Refused) as refusal:
        result.require()
    assert refusal.value.reasons[0].code == "no-transformation"


def test_free_text_is_refused_as_insensitive() -> None:
    table = _table().assign(
        season=[f"患者{i}诉右下后牙自发痛三天，夜间加重，冷热刺激痛明显，既往体健，否认药物过敏史" for i in range(8)]
    )
    with pytest.raises(Refused) as refusal:
        anonymize(table, parse_policy(_policy()), BASE)
    assert refusal.value.reasons[0].code == "free-text" and "患者" not in str(refusal.value)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"privacy": [{"model": "t-closeness", "attribute": "weight", "t": 0.2}]},
            "weight, which is not under sensitive",
        ),
        ({"privacy": [{"model": "t-closeness", "attribute": "crp", "t": 2}]}, "privacy.0.t"),
        (
            {"privacy": [{"model": "t-closeness", "attribute": "crp", "t": 0.2, "distance": "hierarchical"}]},
            "hierarchy",
        ),
        ({"privacy": [{"model": "k-map", "k": 5}]}, "either subset or population"),
        ({"privacy": [{"model": "k-map", "k": 5, "population": 99, "estimator": "none"}]}, "needs an estimator"),
        ({"privacy": [{"model": "delta-presence", "min": 0.5, "max": 0.1, "subset": "s.csv"}]}, "min is above max"),
        ({"privacy": [{"model": "magic"}]}, "magic is not known"),
        ({"risk": {"profile": "loose"}}, "profile is one of shared-release"),
        ({"risk": {"profile": "strict", "threshold": 0.2}}, "threshold 0.2 lies above"),
        ({"quality": {"metric": "beauty"}}, "metric beauty"),
        ({"quality": {"metric": "loss", "monotonic": True}}, "monotonic belongs to"),
        ({"search": "magic"}, "search"),
        ({"sensitive": ["age"]}, "age stands under quasi_identifiers and under sensitive"),
        ({"unit": "age"}, "unit: age"),
        ({"round": {"age": 1}}, "round: age"),
        ({"privacy": [{"model": "k-anonymity", "k": 0}]}, "privacy.0.k"),
        ({"colour": 1}, "colour"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        parse_policy(_policy(**changes))


def test_missing_columns_and_huge_lattices_are_bad_input() -> None:
    with pytest.raises(BadInput, match="no column crp"):
        anonymize(_table().drop(columns="crp"), parse_policy(_policy()), BASE)
    wide = pd.DataFrame({f"q{i}": ["x" * 11, "y"] for i in range(6)})
    raw = _policy(quasi_identifiers={c: {"redact": {}} for c in wide}, sensitive=[], insensitive=[])
    with pytest.raises(BadInput, match="transformations"):
        anonymize(wide, parse_policy(raw), BASE)


def test_a_column_that_the_policy_does_not_release_fails_the_recount() -> None:
    policy = parse_policy(_policy(suppressed="drop"))
    released = anonymize(_table(), policy, BASE).require()
    with pytest.raises(Refused) as refusal:
        verify(released.assign(name="a"), policy)
    assert refusal.value.reasons[0].code == "columns"
    with pytest.raises(Refused) as refusal:
        verify(released.iloc[1:], policy)
    assert refusal.value.reasons[0].code == "k-anonymity"


def test_missing_values_form_classes_and_stay_missing() -> None:
    table = pd.DataFrame({"bmi": [21.0, 22.0, None, None], "day": [dt.date(2024, 1, 1)] * 3 + [None]})
    raw = {
        "quasi_identifiers": {"bmi": {"intervals": [[0, 50]], "raw": False}, "day": {"dates": ["year"]}},
        "privacy": [{"model": "k-anonymity", "k": 2}],
        "suppression_limit": 0.5,
    }
    policy = parse_policy(raw)
    result = anonymize(table, policy, BASE)
    assert result.require()["bmi"].tolist() == ["[0, 50)", "[0, 50)", "*", "*"]
    assert recount(result.require(), policy)["min"] == 2


def test_risk_counts_persons_and_skips_suppressed_rows() -> None:
    table = pd.DataFrame({"who": [1, 1, 2, 3, 4], "age": ["a", "a", "a", "b", "*"], "sex": ["x"] * 4 + ["*"]})
    raw = {"unit": "who", "quasi_identifiers": {"age": {}, "sex": {}}, "privacy": [{"model": "k-anonymity", "k": 2}]}
    answer = risk(table, parse_policy(raw))
    assert (answer["rows"], answer["classes"], answer["uniques"], answer["suppressed_rows"]) == (4, 2, 1, 1)
    assert answer["prosecutor"] == {"records_at_risk": 1.0, "highest": 1.0, "success_rate": (3 / 2 + 1) / 4}
    by_columns = {tuple(a["columns"]): a for a in answer["attributes"]}
    # Three persons, two of them of age a: a person's rows are not told apart from each other.
    assert by_columns[("age",)]["distinction"] == pytest.approx(2 / 3)
    assert by_columns[("age",)]["separation"] == pytest.approx(2 / 3)
    assert by_columns[("sex",)]["separation"] == 0.0 and len(by_columns) == 3


def test_files_in_and_out(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    _table().fillna("").to_csv(table, sep=";", index=False)
    policy = tmp_path / "policy.yaml"
    policy.write_text(json.dumps(_policy(table={"delimiter": ";"})), encoding="utf-8")
    answer = anonymize_file(table, policy, tmp_path / "out.csv")
    assert answer["seconds"].keys() == {"load", "search", "write"} and answer["verified"]["min"] == 2
    written = read_table(tmp_path / "out.csv", ";")
    assert written["age"].tolist()[-1] == "*"
    anonymize_file(table, policy, tmp_path / "out.parquet")
    assert pd.read_parquet(tmp_path / "out.parquet")["age"].tolist() == written["age"].tolist()
    assert risk_file(tmp_path / "out.csv", policy)["classes"] == answer["classes"]["count"]
    assert load_policy(policy).k == 2
    policy.write_text(json.dumps(_policy(privacy=[{"model": "k-anonymity", "k": 9}])), encoding="utf-8")
    with pytest.raises(BadInput):
        anonymize_file(table, policy, tmp_path / "none.csv")
    assert not (tmp_path / "none.csv").exists()

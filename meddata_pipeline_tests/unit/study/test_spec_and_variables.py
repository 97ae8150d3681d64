"""study.yaml: what is read, what is refused, and how columns become variables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from meddata_pipeline.core.config import PACKAGE_CONFIG
from meddata_pipeline.core.errors import BadInput, ConfigError
from meddata_pipeline.study.api import Associations, associate, measure
from meddata_pipeline.study.cohort import parse_cohort
from meddata_pipeline.study.spec import load_study, parse_study
from meddata_pipeline.study.variables import Variables, numeric_midpoints, read_table

LOGISTIC = {"id": "m", "method": "logistic"}


def study(**keys: Any) -> Any:
    return parse_study({"study": "s", "exposure": "x", "outcome": "y", "analyses": [LOGISTIC]} | keys)


def test_every_shipped_study_and_cohort_is_read() -> None:
    studies = sorted(PACKAGE_CONFIG.glob("products/*/study.yaml"))
    assert len(studies) >= 2
    for path in studies:
        spec = load_study(path)
        cohort = parse_cohort(__import__("yaml").safe_load((path.parent / "cohort.yaml").read_text()))
        columns = {name for name, source in cohort.variables.items() if source.keep}
        assert set(spec.variables) <= columns, path
        assert {"crude", "adjusted"} <= {a.id for a in spec.analyses}


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        (
            {"analyses": [{"id": "a", "method": "magic"}]},
            "'magic' is not supported; supported are: two-by-two, logistic",
        ),
        ({"analyses": [LOGISTIC, LOGISTIC]}, "two analyses have the id"),
        ({"analyses": [LOGISTIC | {"method": "firth", "weights": "w"}]}, "does not take weights"),
        ({"analyses": [LOGISTIC | {"method": "linear", "interval": "profile"}]}, "profile intervals"),
        ({"analyses": [LOGISTIC | {"levle": 0.9}]}, "does not take levle"),
        ({"analyses": [LOGISTIC | {"level": 1.5}]}, "less than 1"),
        ({"analyses": []}, "at least 1"),
        ({"variables": {"x": {"type": "binary"}}}, "needs event"),
        ({"variables": {"x": {"type": "number", "event": 1}}}, "event belongs to binary"),
        ({"variables": {"x": {"type": "category", "cut": {}}}}, "either quantiles or breaks"),
        ({"variables": {"x": {"type": "category", "cut": {"breaks": [2, 1]}}}}, "must rise"),
        ({"variables": {"x": {"type": "number", "expression": "z", "from": "z"}}}, "either from or expression"),
    ],
)
def test_wrong_studies_are_refused(keys: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        study(**keys)


@pytest.mark.parametrize(
    ("keys", "error", "words"),
    [
        ({"covariates": ["nope"]}, ConfigError, "neither a variable nor a column"),
        ({"covariates": ["ns(z,0)"]}, ConfigError, "spline"),
        ({"covariates": ["z", "z"]}, ConfigError, "twice"),
        ({"outcome": None}, ConfigError, "needs an outcome"),
        ({"outcome": {"time": "z", "event": "y"}}, ConfigError, "binary outcome"),
        ({"outcome": "z"}, ConfigError, "needs a binary variable"),
        ({"covariates": ["word"]}, BadInput, "column word, data row 1"),
        ({"analyses": [LOGISTIC | {"frequency": "z"}]}, BadInput, "whole numbers"),
        ({"analyses": [LOGISTIC | {"subset": "nope > 1"}]}, BadInput, "no such column"),
        (
            {"variables": {"v": {"type": "number", "expression": "v + 1"}}, "covariates": ["v"]},
            ConfigError,
            "in a circle",
        ),
        (
            {"variables": {"w": {"type": "category", "from": "word", "reference": "q"}}, "covariates": ["w"]},
            ConfigError,
            "none of the levels",
        ),
    ],
)
def test_what_does_not_fit_the_table_is_said_without_values(keys: dict[str, Any], error: Any, words: str) -> None:
    frame = pd.DataFrame({"x": [0, 1, 0, 1], "y": [0, 1, 1, 0], "z": [1.5, 2, 3, 4], "word": ["secret", "b", "b", "b"]})
    with pytest.raises(error, match=words) as caught:
        associate(frame, study(**keys))
    assert "secret" not in str(caught.value)


def coded(frame: pd.DataFrame, **variable: Any) -> Any:
    return Variables(frame, study(variables={"v": variable})).get("v")


@pytest.mark.parametrize(
    ("column", "event"),
    [
        (["1", "0", None], 1),
        ([1, 0, None], "1"),
        ([1.0, 0.0, np.nan], 1),
        ([True, False, None], 1),
        ([True, False, None], True),
        (["Yes", "No", None], True),
        (["Y", "N", None], "Y"),
        (pd.array([1, 0, None], dtype="Int64"), 1),
    ],
)
def test_events_are_compared_as_text_in_every_type(column: Any, event: Any) -> None:
    values = coded(pd.DataFrame({"v": column}), type="binary", event=event).values
    assert np.allclose(values, [1, 0, np.nan], equal_nan=True)


def test_breaks_right_and_left_closed() -> None:
    frame = pd.DataFrame({"age": [38, 39, 44, 45, 60, 61, None]})
    right = coded(frame, type="category", **{"from": "age"}, cut={"breaks": [38, 44, 60]})
    assert right.levels == ("(38,44]", "(44,60]")
    assert np.allclose(right.values, [np.nan, 0, 0, 1, 1, np.nan, np.nan], equal_nan=True)
    left = coded(frame, type="category", **{"from": "age"}, cut={"breaks": [38, 44.5, 60], "right": False})
    assert left.levels == ("[38,44.5)", "[44.5,60)")
    assert np.allclose(left.values, [0, 0, 0, 1, np.nan, np.nan, np.nan], equal_nan=True)


def test_quantiles_count_frequencies_as_persons() -> None:
    short = pd.DataFrame({"x": [0, 1, 0, 1], "y": [0, 1, 1, 0], "v": [1, 2, 3, 4], "f": [7, 1, 1, 3]})
    long = short.loc[short.index.repeat(short["f"])].reset_index(drop=True)
    keys = {"variables": {"q": {"type": "category", "from": "v", "cut": {"quantiles": 2}}}}
    table = {"id": "t", "method": "table-one", "by": "y", "covariates": ["q", "v", "x"]}
    by_frequency = associate(short, study(**keys, analyses=[table | {"frequency": "f"}]))
    by_person = associate(long, study(**keys, analyses=[table]))
    assert by_frequency == by_person


def test_quantiles_that_coincide_are_a_reason_not_a_traceback() -> None:
    frame = pd.DataFrame({"x": [0, 1, 0, 1], "y": [0, 1, 1, 0], "v": [1, 1, 1, 2]})
    keys = {"variables": {"q": {"type": "category", "from": "v", "cut": {"quantiles": 4}}}, "covariates": ["q"]}
    rows = associate(frame, study(**keys))
    assert {r["reason"] for r in rows} == {"quantiles-not-distinct"}


def test_terms_squares_products_and_reference() -> None:
    rng = np.random.default_rng(7)
    frame = pd.DataFrame({"x": rng.integers(0, 2, 400), "y": rng.integers(0, 2, 400), "a": rng.normal(50, 9, 400)})
    frame["g"] = rng.choice(["10", "2", "z"], 400)
    keys = {"variables": {"g": {"type": "category", "reference": "2"}}, "covariates": ["a", "a^2", "g", "x:g"]}
    terms = [r["term"] for r in associate(frame, study(**keys)) if r["measure"] == "or"]
    assert terms == ["(Intercept)", "x", "a", "a^2", "g=10", "g=z", "x:g=10", "x:g=z"]


def test_complete_cases_and_subset_count_in_n() -> None:
    rng = np.random.default_rng(3)
    frame = pd.DataFrame(
        {"x": rng.integers(0, 2, 200).astype(float), "y": rng.integers(0, 2, 200), "z": rng.normal(size=200)}
    )
    frame.loc[:9, "z"] = np.nan
    frame.loc[10:14, "x"] = np.nan
    rows = {
        r["id"]: r
        for r in associate(frame, study(covariates=["z"], analyses=[LOGISTIC | {"subset": "z > -1 or y == 1"}]))
    }
    kept = frame.dropna()
    kept = kept[(kept["z"] > -1) | (kept["y"] == 1)]
    assert rows["m/model/n"]["estimate"] == len(kept)
    assert rows["m/x/or"]["n"] == len(kept)


def test_csv_reading(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("﻿x;y;n,m\n1;0;018\nNA;.;2\n", encoding="utf-8")
    frame = read_table(path, study(table={"delimiter": ";", "missing": ["NA", "."]}))
    assert list(frame.columns) == ["x", "y", "n,m"]
    assert frame["n,m"].tolist() == ["018", "2"]
    assert frame.isna().sum().tolist() == [1, 1, 0]
    path.write_text("x,y\n1,2\n1,2,3\n")
    with pytest.raises(BadInput, match=r"t\.csv"):
        read_table(path, study())
    path.write_bytes("名\n".encode("gb18030"))
    with pytest.raises(BadInput, match="not UTF-8"):
        read_table(path, study())
    with pytest.raises(BadInput, match="not there"):
        read_table(tmp_path / "no.csv", study())


def test_released_values_become_numbers_and_suppressed_rows_go() -> None:
    keys = {
        "variables": {
            "age": {"type": "number"},
            "sex": {"type": "binary", "event": "M"},
            "race": {"type": "category", "reference": 2},
            "bmi": {"type": "number"},
        }
    }
    frame = pd.DataFrame(
        {
            "age": ["[40, 45)", "[90, ∞)", "(-∞, 20]", "*", "33"],
            "bmi": ["[18, 24)", "*", "22.5", "*", "[24, 28]"],
            "sex": ["*"] * 5,
            "race": ["*"] * 5,
            "crp": [1.0, 2.0, 3.0, 4.0, 5.0],
        }
    )
    result = numeric_midpoints(frame, study(**keys))
    assert result["age"].astype(float).tolist() == [42.5, 90.0, 20.0, 33.0]
    assert np.allclose(result["bmi"].astype(float), [21.0, np.nan, 22.5, 26.0], equal_nan=True)
    assert set(result["race"]) == {"2"}
    assert result["crp"].tolist() == [1.0, 2.0, 3.0, 5.0]
    assert frame["age"][0] == "[40, 45)"


def test_a_covariate_that_was_generalised_away_drops_out_of_the_model() -> None:
    rng = np.random.default_rng(5)
    frame = pd.DataFrame({"x": rng.integers(0, 2, 300), "y": rng.integers(0, 2, 300), "sex": "*", "g": "*"})
    keys = {
        "variables": {"sex": {"type": "binary", "event": "M"}, "g": {"type": "category", "reference": "a"}},
        "analyses": [LOGISTIC | {"covariates": ["sex"]}, {"id": "c", "method": "logistic", "covariates": []}],
    }
    spec = study(**keys)
    rows = {r["id"]: r for r in associate(numeric_midpoints(frame, spec), spec)}
    assert rows["m/sex/or"]["reason"] == "collinear"
    assert rows["m/x/or"]["estimate"] == pytest.approx(rows["c/x/or"]["estimate"])


def test_associations_survive_json() -> None:
    import json

    rng = np.random.default_rng(2)
    frame = pd.DataFrame({"x": rng.integers(0, 2, 90), "y": rng.integers(0, 2, 90), "z": rng.normal(size=90)})
    spec = study(
        analyses=[
            LOGISTIC,
            {"id": "t", "method": "table-one", "covariates": ["z", "y"]},
            {"id": "c", "method": "two-by-two"},
        ]
    )
    found = measure(frame, spec)
    assert Associations.from_dict(json.loads(json.dumps(found.as_dict()))) == found

"""What only makes tabular anonymization faster must change no answer: threads, views, categories, spelling once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from meddata_pipeline.core.errors import Refused
from meddata_pipeline.privacy.policy import parse_policy
from meddata_pipeline.privacy.tabular import anonymize, grouping
from meddata_pipeline.privacy.tabular.files import anonymize_file, read_table, write_table


def _table(seed: int, rows: int = 3_000) -> pd.DataFrame:
    chance = np.random.default_rng(seed)
    age = np.minimum(chance.geometric(0.03, rows), 89)
    return pd.DataFrame(
        {
            "age": age.astype(str),
            "area": (chance.integers(0, 40, rows) * 10 + chance.integers(0, 3, rows)).astype(str),
            "weight": np.clip(chance.normal(70, 12, rows), 0, 150).astype(int).astype(str),
            "sex": chance.choice(["f", "m", ""], rows),
            "ward": chance.choice(["a,b", 'c"d', "e\nf", " g"], rows, p=[0.9, 0.07, 0.02, 0.01]),
            "note": np.round(chance.normal(size=rows), 2).astype(str),
        }
    )


def _policy(folder: Path, **changes: Any) -> dict[str, Any]:
    def bands(name: str, values: list[str], widths: list[int]) -> None:
        lines = [[v, *(str(int(v) // w) for w in widths), "*"] for v in values]
        (folder / f"{name}.csv").write_text("\n".join(",".join(line) for line in lines) + "\n", encoding="utf-8")

    bands("age", [str(v) for v in range(1, 90)], [5, 20])
    bands("weight", [str(v) for v in range(151)], [2, 10, 30])
    bands("area", [str(v) for v in range(403)], [10, 100])
    return {
        "quasi_identifiers": {
            "age": {"hierarchy": "age.csv"},
            "area": {"hierarchy": "area.csv"},
            "weight": {"hierarchy": "weight.csv"},
            "sex": {},
            "ward": {},
        },
        "insensitive": ["note"],
        "privacy": [{"model": "k-anonymity", "k": 4}],
        "suppression_limit": 0.3,
        **changes,
    }


@pytest.mark.parametrize("seed", range(6))
def test_views_segments_and_threads_change_no_answer(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table, policy = _table(seed), parse_policy(_policy(tmp_path))
    plain = anonymize(table, policy, tmp_path)
    assert plain.report["checked"] > 5
    for threads in (1, 2):
        monkeypatch.setattr(grouping, "threads", lambda count=threads: count)
        for name, value in {"_SORT_FROM": 1, "_THREADS_FROM": 1, "_VIEW_AFTER": 1, "_VIEW_SHARE": 1.0}.items():
            monkeypatch.setattr(grouping, name, value)
        made: list[int] = []
        keep = grouping.Grouper._make_view

        def noted(self: Any, keep: Any = keep, made: list[int] = made) -> None:
            keep(self)
            made.append(len(self._views))

        monkeypatch.setattr(grouping.Grouper, "_make_view", noted)
        fast = anonymize(table, policy, tmp_path)
        monkeypatch.setattr(grouping.Grouper, "_make_view", keep)
        assert max(made) > 1
        assert fast.report == plain.report
        pd.testing.assert_frame_equal(fast.require(), plain.require())


@pytest.mark.parametrize("suppressed", ["keep", "drop"])
def test_a_file_is_what_pandas_would_write_of_the_plain_table(suppressed: str, tmp_path: Path) -> None:
    table = _table(7)
    raw = _policy(tmp_path, suppressed=suppressed)
    table.to_csv(tmp_path / "in.csv", index=False)
    (tmp_path / "policy.yaml").write_text(json.dumps(raw), encoding="utf-8")
    anonymize_file(tmp_path / "in.csv", tmp_path / "policy.yaml", tmp_path / "out.csv")
    plain = anonymize(read_table(tmp_path / "in.csv"), parse_policy(raw), tmp_path).require()
    assert (tmp_path / "out.csv").read_bytes() == plain.to_csv(index=False, lineterminator="\n").encode()


@pytest.mark.parametrize(
    "table",
    [
        pd.DataFrame({"a": ["x", "", None, 'q"', "d,e", "n\nl", "r\rl", " s", "*", "中"]}),
        pd.DataFrame({"a": ["x", None, "", "y"], "b": [1.5, np.nan, 1e-20, 1e300], "c": [1, 2, 3, 2]}),
        pd.DataFrame({"a": pd.Categorical(["x", None, "y"]), "b": [True, False, True]}),
        pd.DataFrame({"a": ["x", 1, 2.5], "b": pd.to_datetime(["2020-01-01", "2020-01-02", None])}),
        pd.DataFrame({"a": pd.Series([], dtype=object), "b": pd.Series([], dtype=float)}),
    ],
)
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_csv_is_spelled_as_pandas_spells_it(table: pd.DataFrame, delimiter: str, tmp_path: Path) -> None:
    write_table(table, tmp_path / "t.csv", delimiter)
    assert (tmp_path / "t.csv").read_bytes() == table.to_csv(sep=delimiter, index=False, lineterminator="\n").encode()


def test_values_of_suppressed_rows_are_no_categories(tmp_path: Path) -> None:
    table = _table(3).astype({"ward": "category", "age": "category"})
    made = anonymize(table, parse_policy(_policy(tmp_path)), tmp_path)
    released = made.require()
    assert made.suppressed.any()
    for name in ("ward", "age"):
        assert set(released[name].cat.categories) == set(released[name].dropna())


def test_free_text_is_refused_as_categories_too(tmp_path: Path) -> None:
    table = _table(3).assign(
        note=pd.Categorical([f"complains of pain for {i} days, sleeps badly" for i in range(3_000)])
    )
    with pytest.raises(Refused, match="free text"):
        anonymize(table, parse_policy(_policy(tmp_path)), tmp_path)

"""Drafts of contracts: no raw value leaves, the table passes its own draft, and what has no header is refused."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from meddata_pipeline.app.contracts import suggest
from meddata_pipeline.core.errors import BadInput
from meddata_pipeline.quality.api import validate_file
from meddata_pipeline.quality.profile import ColumnProfile
from meddata_pipeline.quality.suggest import outward
from meddata_pipeline_tests.unit.cli.calling import call

ROWS = 400


def _frame() -> pd.DataFrame:
    chance = random.Random(5)
    rows = []
    for i in range(ROWS):
        rows.append(
            {
                "patient_no": f"HN7{i // 2:06d}",
                "name": "王" + chr(0x4E00 + 17 * (i // 2)) + chr(0x5000 + 13 * (i // 2)),
                "phone": f"138{i * 7919 % 10**8:08d}",
                "sex": chance.choice("MF"),
                "age": chance.randint(19, 88),
                "month": f"2024-0{chance.randint(1, 9)}",
                "crp": round(chance.uniform(0.37, 231.83), 2) if chance.random() > 0.2 else None,
                "seen_by": chance.choice(["张伟", "李娜", "刘洋"]),
                "smoker": chance.randint(0, 1),
                "site": "QQZVILLAGE" if i < 3 else chance.choice(["north", "south"]),
                "mark": "ONEPERSON" if i // 2 in (5, 6, 7) else "plain",
                "note": f"患者第{i}次就诊，诉牙痛三天，夜间加重，QXNOTE{i}。",
            }
        )
    rows[7]["age"], rows[8]["crp"] = 113, 4711.13
    return pd.DataFrame(rows)


@pytest.fixture(scope="module", params=["csv", "parquet"])
def table(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("suggest") / f"王小明_table.{request.param}"
    frame = _frame()
    frame.to_csv(path, index=False) if request.param == "csv" else frame.to_parquet(path)
    return path


def test_no_raw_value_leaves_and_the_table_passes(table: Path, tmp_path: Path) -> None:
    answer = call("contract", "suggest", str(table), "--out", str(tmp_path / "draft.yaml"), "--json")
    assert answer.code == 0 and {"draft", "open_questions"} <= set(answer.json)
    shown = answer.out.replace(str(tmp_path), "") + answer.err + (tmp_path / "draft.yaml").read_text(encoding="utf-8")
    frame = _frame()
    planted = {"QQZVILLAGE", "ONEPERSON", "QXNOTE", "张伟", "李娜", "王小明", "113", "4711", "north", "plain"}
    for column in ("patient_no", "name", "phone", "crp"):
        planted |= {str(value) for value in frame[column].dropna()}
    assert [value for value in sorted(planted) if value in shown] == []
    assert validate_file(table, tmp_path / "draft.yaml", engine="duckdb").reasons() == []
    columns = {c["name"]: c for c in answer.json["draft"]["schema"][0]["properties"]}
    listed = {
        name: rule["arguments"]["validValues"]
        for name, column in columns.items()
        for rule in column.get("quality", [])
        if "validValues" in rule.get("arguments", {})
    }
    assert listed == {"sex": ["F", "M"], "smoker": [0, 1]}
    assert columns["month"]["quality"][0]["arguments"]["pattern"].startswith("[0-9]{4}")
    assert columns["age"]["quality"][0]["implementation"] == {"check": "range", "minimum": 10, "maximum": 120}
    assert {c: columns[c]["classification"] for c in ("patient_no", "name", "phone")} == dict.fromkeys(
        ("patient_no", "name", "phone"), "direct"
    )
    assert columns["note"]["classification"] == "text" and columns["crp"]["required"] is False
    asked = {(q["column"], q["code"]) for q in answer.json["open_questions"]}
    assert {("site", "values-withheld"), ("seen_by", "values-withheld"), ("phone", "identifies")} <= asked
    again = call("contract", "suggest", str(table), "--out", str(tmp_path / "draft.yaml"))
    assert again.code == 2 and "exists" in again.err


def test_a_value_of_many_rows_of_few_persons_is_withheld(tmp_path: Path) -> None:
    frame = pd.DataFrame({"who": [f"k{i // 20}" for i in range(400)], "code": ["x"] * 200 + ["y"] * 200})
    frame["twice"] = ["x", "y"] * 200
    frame.to_csv(tmp_path / "t.csv", index=False)
    found = suggest(tmp_path / "t.csv", "who")["draft"]["schema"][0]["properties"]
    rules = {c["name"]: c.get("quality", []) for c in found}
    assert [r["id"] for r in rules["code"]] == ["code-valid"] and rules["twice"]
    frame["code"] = ["x"] * 180 + ["y"] * 220
    frame.to_csv(tmp_path / "u.csv", index=False)
    found = suggest(tmp_path / "u.csv", "who")["draft"]["schema"][0]["properties"]
    assert next(c for c in found if c["name"] == "code").get("quality", []) == []


@pytest.mark.parametrize(
    "first",
    ["HN1234567,2024-01-02,x", "13812345678,a,b", "a,2024-01-02,b", "王小明,a,b", "a,,b", "code,kind,kind"],
)
def test_a_table_without_a_header_is_refused(first: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(first + "\n" + "HN1234567,2024-01-02,x\n" * 20, encoding="utf-8")
    with pytest.raises(BadInput) as refused:
        suggest(tmp_path / "t.csv")
    assert not any(cell and cell in str(refused.value) for cell in first.split(",") if len(cell) > 4)


@pytest.mark.parametrize("content", [b"", b"a,b\n1,2,3\n", "a\n张伟\n".encode("gb18030")])
def test_what_is_no_table_is_bad_input(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(content)
    answer = call("contract", "suggest", str(tmp_path / "t.csv"), "--json")
    assert answer.code == 2 and set(answer.json) == {"error", "reasons"}


@pytest.mark.parametrize(
    ("low", "high", "lowest", "expected"),
    [
        (19, 88, 1, (10, 90)),
        (0, 7, 50, (0, 8)),
        (0, 7, 1, (-1, 8)),
        (1990, 2024, 5, (1980, 2030)),
        (-5, -1, 1, (-6, 0)),
    ],
)
def test_ranges_are_rounded_outward(low: float, high: float, lowest: int, expected: Any) -> None:
    column = ColumnProfile("c", "integer", 100, 0, 60, minimum=low, maximum=high, lowest=lowest)
    assert outward(column, 10) == expected


def test_the_draft_on_standard_output_is_the_draft(tmp_path: Path) -> None:
    pd.DataFrame({"a": ["x", "y"] * 30}).to_csv(tmp_path / "t.csv", index=False)
    words = ("contract", "suggest", str(tmp_path / "t.csv"))
    assert yaml.safe_load(call(*words).out) == json.loads(call(*words, "--json").out)["draft"]

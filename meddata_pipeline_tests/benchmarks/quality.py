"""The quality engine in bulk; ``python -m meddata_pipeline_tests.benchmarks.quality bulk`` measures it.

What belongs here: a made table of a million rows, a contract of 250 rules for it, and the measurement. What does not:
whether the counts are right (property/test_quality_engines.py).
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from meddata_pipeline.quality.contract import Contract, parse_contract

ROWS = 1_000_000
TYPES = {
    "row_id": "string",
    "patient_no": "string",
    "hospital": "string",
    "sex": "string",
    "age": "integer",
    "code": "string",
    "unit": "string",
    "value": "number",
    "icd": "string",
    "visit_date": "date",
    "end_date": "date",
    "height": "number",
    "weight": "number",
    "flag": "integer",
}
CODES = [f"{number}-{number % 9}" for number in range(1000, 1060)]
FORMS = {
    "row_id": "[0-9a-f]{16}",
    "patient_no": "P[0-9]{7}",
    "icd": r"[A-Z][0-9]{2}(\.[0-9])?",
    "hospital": "[a-z-]+",
    "code": "[0-9]{3,5}-[0-9]",
    "unit": "[a-zA-Z/%0-9*]+",
}


def table(rows: int = ROWS) -> pa.Table:
    """Laboratory results with persons and visits, three per cent of the values missing."""
    chance = np.random.default_rng(1)

    def pick(values: list[str]) -> pa.Array:
        return pa.array(values).take(pa.array(chance.integers(0, len(values), rows)))

    def holes(values: Any) -> pa.Array:
        return pa.array(np.asarray(values), mask=chance.random(rows) < 0.03)

    days = np.datetime64("2015-01-01") + chance.integers(0, 3000, rows)
    return pa.table(
        {
            "row_id": pa.array([f"{number:016x}" for number in chance.permutation(rows)]),
            "patient_no": pa.array([f"P{number:07d}" for number in chance.integers(0, rows // 3 + 1, rows)]),
            "hospital": pick(["hospital-a", "hospital-b", "hospital-c"]),
            "sex": pick(["M", "F", "U"]),
            "age": holes(chance.integers(0, 100, rows)),
            "code": pick(CODES),
            "unit": pick(["mg/L", "mmol/L", "10*9/L", "pg/mL", "%"]),
            "value": holes(np.round(chance.lognormal(1, 1, rows), 2)),
            "icd": pick([f"K{number // 10:02d}.{number % 10}" for number in range(300)]),
            "visit_date": holes(days),
            "end_date": holes(days + chance.integers(-1, 9, rows)),
            "height": holes(np.round(chance.normal(165, 10, rows), 1)),
            "weight": holes(np.round(chance.normal(65, 12, rows), 1)),
            "flag": holes(chance.integers(0, 2, rows)),
        }
    )


def _own(name: str, **implementation: Any) -> dict[str, Any]:
    rule = {"type": "custom", "engine": "meddata", "dimension": "accuracy"}
    return {"id": name, **rule, "implementation": implementation}


def _library(name: str, metric: str, **keys: Any) -> dict[str, Any]:
    return {"id": name, "metric": metric, "dimension": "accuracy", "mustBe": 0, **keys}


def contract(concepts: int = len(CODES)) -> Contract:
    """Rules of every bulk kind: nulls, forms, values, duplicates, ranges by test and unit, order, sex and code.

    Args:
        concepts: tests that have rules of their own; 60 make 255 checks.
    """
    at: dict[str, list[dict[str, Any]]] = {name: [_library(f"{name}-null", "nullValues")] for name in TYPES}
    whole: list[dict[str, Any]] = [_library("rows", "rowCount")]
    for name, pattern in FORMS.items():
        at[name].append(_library(f"{name}-form", "invalidValues", arguments={"pattern": pattern}))
    at["sex"].append(_library("sex-valid", "invalidValues", arguments={"validValues": ["M", "F"]}))
    at["flag"].append(_library("flag-valid", "invalidValues", arguments={"validValues": [0, 1]}))
    at["row_id"].append(_library("row-unique", "duplicateValues"))
    keys = ["patient_no", "code", "visit_date"]
    whole.append(_library("record-unique", "duplicateValues", arguments={"properties": keys}))
    for number, code in enumerate(CODES[:concepts]):
        where = [{"column": "code", "equals": code}, {"column": "unit", "equals": "mg/L"}]
        at["value"].append(_own(f"low-{number}", check="range", minimum=0.1 + number / 100, where=where))
        at["value"].append(_own(f"high-{number}", check="range", maximum=20 + number, where=where))
        then = {"column": "unit", "in": ["mg/L", "mmol/L"]}
        whole.append(_own(f"unit-{number}", check="implies", when={"column": "code", "equals": code}, then=then))
    for number in range(concepts // 2):
        when = {"column": "icd", "prefix": f"K{number:02d}"}
        whole.append(_own(f"sex-{number}", check="implies", when=when, then={"column": "sex", "equals": "F"}))
    for number in range(concepts // 5):
        where = {"column": "hospital", "equals": "hospital-a"}
        at["age"].append(_own(f"age-{number}", check="range", minimum=number, maximum=100 - number, where=where))
    at["visit_date"] += [
        _own("visit-range", check="range", minimum="2015-01-01", maximum="2023-12-31"),
        _own("visit-order", check="order", before="end_date"),
        _own("visit-recent", check="recent", years=9),
        _own("visit-within", check="within", start="end_date", days=7),
    ]
    at["height"].append(_own("height-range", check="range", minimum=50, maximum=230))
    at["weight"].append(_own("weight-range", check="range", minimum=2, maximum=300))
    at["weight"].append(_own("weight-computed", check="computed", expression="height - 100", tolerance=50))
    properties = [{"name": name, "logicalType": kind, "quality": at[name]} for name, kind in TYPES.items()]
    head = {"kind": "DataContract", "apiVersion": "v3.1.0", "id": "bulk", "version": "1.0"}
    return parse_contract({**head, "schema": [{"name": "bulk", "quality": whole, "properties": properties}]})


def bulk() -> str:
    """250 checks over 1,000,000 rows × 14 columns of a Parquet file, DuckDB, in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bulk.parquet"
        pq.write_table(table(), path)
        command = [sys.executable, "-m", "meddata_pipeline_tests.benchmarks.quality", "measure", str(path)]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def measure(path: Path) -> str:
    """What one validation of a file takes in this process, imports not counted in the times but in the memory."""
    from meddata_pipeline.quality.api import validate

    rules = contract()
    wall, processor = time.perf_counter(), time.process_time()
    result = validate(path, rules)
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    if any(check.status == "errored" for check in result.checks):
        raise RuntimeError("a check could not be counted")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return f"{len(result.checks)} checks: {processor:.2f} CPU s, {wall:.2f} s wall, peak {peak:.0f} MiB"


if __name__ == "__main__":
    print(bulk() if sys.argv[1:] == ["bulk"] else measure(Path(sys.argv[2])))

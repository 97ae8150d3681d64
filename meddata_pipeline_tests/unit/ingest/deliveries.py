"""Small deliveries on disk, for the tests of ingest."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

from meddata_pipeline.core.config import Config
from meddata_pipeline.ingest.api import IngestResult, ingest_delivery
from meddata_pipeline.ingest.landing import delivery
from meddata_pipeline.ingest.profile import Profile, parse_profile

KEY = b"\x07" * 32
DAY = "2024-03-01"

TABLES: dict[str, Any] = {
    "patients": {
        "files": "患者*",
        "delivery": "snapshot",
        "kind": "patient",
        "record_key": ["patient_no"],
        "columns": {
            "patient_no": {"from": ["病案号", "病历号"], "required": True},
            "name": {"from": "姓名"},
            "sex": {"from": "性别", "codes": {"男": "M", "女": "F"}},
            "birth_date": {"from": "出生日期"},
            "resident_id": {"from": "身份证号"},
            "mobile": {"from": "手机"},
        },
        "withhold": ["备注"],
    },
    "visits": {
        "files": ["就诊*"],
        "delivery": "snapshot",
        "kind": "visit",
        "record_key": ["visit_no"],
        "deleted": {"column": "作废", "values": ["1"]},
        "columns": {
            "patient_no": {"from": "病案号", "required": True},
            "visit_no": {"from": "就诊号", "required": True},
            "visit_date": {"from": "日期"},
        },
        "also": [
            {
                "kind": "observation",
                "record_key": ["visit_no", "name"],
                "columns": {"patient_no": {"from": "病案号"}, "visit_no": {"from": "就诊号"}},
                "values": {
                    "bmi": {"from": "BMI", "type": "number", "unit": "kg/m2"},
                    "smoking": {"from": "吸烟", "codes": {"是": 1, "否": 0}},
                },
            }
        ],
    },
    "diagnoses": {
        "files": ["诊断*"],
        "delivery": "increment",
        "kind": "diagnosis",
        "record_key": ["patient_no", "code", "diagnosed_on"],
        "columns": {
            "patient_no": {"from": "病案号", "required": True},
            "diagnosed_on": {"from": "日期"},
            "code": {"from": "编码"},
            "text": {"from": "名称"},
        },
    },
    "labs": {
        "files": ["检验*"],
        "delivery": "increment",
        "kind": "lab",
        "record_key": ["specimen_no", "code"],
        "columns": {
            "patient_no": {"from": "病案号", "required": True},
            "visit_no": {"from": "就诊号"},
            "specimen_no": {"from": "标本号", "required": True},
            "collected_on": {"from": "日期"},
            "test": {"from": "项目", "codes": {"C反应蛋白": "1988-5", "WBC": "6690-2"}},
            "value": {"from": "结果", "unit_from": "单位"},
        },
    },
    "staff": {
        "files": ["职工*"],
        "delivery": "snapshot",
        "kind": "staff",
        "record_key": ["staff_no"],
        "columns": {
            "staff_no": {"from": "工号", "required": True},
            "name": {"from": "姓名"},
            "resident_id": {"from": "身份证号"},
            "mobile": {"from": "手机"},
        },
    },
}


def profile(**changes: Any) -> Profile:
    """A hospital with five tables; keyword arguments replace keys of the profile."""
    data: dict[str, Any] = {"hospital": "h", "title": "H", "tables": copy.deepcopy(TABLES), **changes}
    return parse_profile(data, "hospitals/h.yaml")


def write(folder: Path, files: dict[str, str | bytes]) -> Path:
    """Write files, text as UTF-8."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def ingest(
    folder: Path, files: dict[str, str | bytes], *, day: str = DAY, with_profile: Profile | None = None
) -> IngestResult:
    """Write a delivery and ingest it."""
    path = write(folder / "h" / day, files)
    return ingest_delivery(delivery("h", day, path), with_profile or profile(), Config(), key=KEY)


def rows(result: IngestResult, kind: str, *columns: str) -> list[tuple[Any, ...]]:
    """Records of a kind, as tuples of some columns."""
    return [tuple(row[c] for c in columns) for row in result.tables[kind].to_pylist()]


def reasons(result: IngestResult) -> list[tuple[Any, str, str]]:
    """(source row, column, reason) of the quarantine."""
    return [(row["source_row"], row["column"], row["reason"]) for row in result.quarantine.to_pylist()]


def person(number: int, birth: str = "1980-01-01") -> str:
    """A resident id with its right check digit."""
    body = f"110101{birth.replace('-', '')}{number:03d}"
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    return body + "10X98765432"[sum(int(d) * w for d, w in zip(body, weights, strict=True)) % 11]

"""Synthetic releases for the tests of the catalogue: invented numbers, all fields in use."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from meddata_pipeline.catalog.description import Description, build

SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 480 150" width="480" height="150">'
    '<defs><clipPath id="c"><rect width="480" height="150"/></clipPath></defs><g clip-path="url(#c)" '
    'font-family="sans-serif" font-size="13" fill="#1c2b2d"><path d="M200 10V120" stroke="#8aa"/>'
    '<path d="M250 40H380M232 85H330" stroke="#0b5560" stroke-width="2"/><rect x="300" y="34" width="12" height="12" '
    'fill="#0b5560"/><rect x="268" y="79" width="12" height="12" fill="#0b5560"/><text x="10" y="45">crude</text>'
    '<text x="10" y="90">adjusted</text><text x="192" y="140">1.0</text></g></svg>'
)
CONTENT = {
    "report.zh.html": b"<!DOCTYPE html><title>r</title>",
    "report.en.html": b"<!DOCTYPE html><title>r</title>",
    "results.json": b'{"estimates": []}',
    "data.parquet": b"PAR1 not really",
    "figures/forest.svg": SVG.encode(),
}
MEDIA = {
    "html": "text/html",
    "json": "application/json",
    "parquet": "application/vnd.apache.parquet",
    "svg": "image/svg+xml",
}
ROLES = {"html": "report", "json": "results", "parquet": "data", "svg": "figure"}


def _files(microdata: bool) -> list[dict[str, Any]]:
    rows = []
    for path, content in CONTENT.items():
        ending = path.rpartition(".")[2]
        if ending == "parquet" and not microdata:
            continue
        rows.append(
            {
                "path": path,
                "media_type": MEDIA[ending],
                "bytes": len(content),
                "sha256": hashlib.sha256(content).hexdigest(),
                "title": {"zh": f"文件 {path}", "en": f"File {path}"},
                "role": ROLES[ending],
                "lang": "zh" if ".zh." in path else "en" if ".en." in path else None,
            }
        )
    return rows


def parts(product: str = "inflammation-pulpitis", version: str = "1.2", **changes: Any) -> dict[str, Any]:
    """The parts of a release as other packages would hand them over."""
    microdata = product.endswith("-cohort")
    titles = {
        True: {"zh": "炎症与牙髓炎研究队列数据集", "en": "Inflammation and Pulpitis Study Cohort"},
        False: {
            "zh": "炎症与牙髓炎关联分析报告",
            "en": "Analysis Report on the Association between Inflammation and Pulpitis",
        },
    }
    effect = {"measure": "or", "title": {"zh": "CRP 每增加一个标准差（校正）", "en": "CRP per SD (adjusted)"}}
    crude = {"measure": "or", "title": {"zh": "CRP 每增加一个标准差（粗）", "en": "CRP per SD (crude)"}}
    steps = [
        ("landing", "医院送达", "Delivered by hospitals", None, 41230),
        ("records", "整理为记录", "Read into records", 41230, 40112),
        ("deid", "去标识化", "De-identified", 40112, 40112),
        ("cohort", "研究队列", "Study cohort", 40112, 1840),
        ("candidate", "候选版本", "Candidate", 1840, 1822),
        ("release", "发布版本", "Release", 1822, 1822),
    ]
    base: dict[str, Any] = {
        "id": product,
        "version": version,
        "title": titles[microdata],
        "description": {
            "zh": "以多家医院去标识化的数据，估计全身炎症水平与牙髓炎的关联，并校正年龄、性别、吸烟等因素。",
            "en": "Estimates how inflammation goes together with pulpitis in de-identified data of several hospitals.",
        },
        "keywords": [{"zh": "牙髓炎", "en": "pulpitis"}, {"zh": "炎症", "en": "inflammation"}, "CRP"],
        "publisher": {
            "name": {"zh": "示例医院数据联合体", "en": "Sample Hospital Data Alliance"},
            "url": "https://hospital-data.example/",
        },
        "contact": {
            "name": {"zh": "数据产品服务台", "en": "Data products desk"},
            "email": "desk@hospital-data.example",
        },
        "form": "microdata" if microdata else "report",
        "access": "download",
        "as_of": "2024-01-02",
        "temporal_start": "2023-01-01",
        "temporal_end": "2024-01-02",
        "hospitals": 3,
        "persons": 1820,
        "rows": 1822 if microdata else None,
        "columns": [
            {
                "name": "age",
                "type": "integer",
                "title": {"zh": "年龄", "en": "Age"},
                "unit": "a",
                "classification": "quasi",
            },
            {
                "name": "sex",
                "type": "text",
                "title": {"zh": "性别", "en": "Sex"},
                "classification": "quasi",
                "codes": {"M": {"zh": "男", "en": "male"}, "F": {"zh": "女", "en": "female"}},
            },
            {
                "name": "crp",
                "type": "number",
                "title": {"zh": "C 反应蛋白", "en": "C-reactive protein"},
                "unit": "mg/L",
            },
            {
                "name": "note_text",
                "type": "text",
                "title": {"zh": "病历文本", "en": "Note text"},
                "classification": "text",
                "withheld": {"zh": "文本只在受控产品中发布", "en": "text is released in controlled products only"},
            },
        ],
        "files": _files(microdata),
        "figures": [
            {
                "path": "figures/forest.svg",
                "title": {"zh": "森林图", "en": "Forest plot"},
                "alt": {"zh": "粗与校正比值比及区间", "en": "Crude and adjusted odds ratios with intervals"},
            }
        ],
        "quality": [
            {"dimension": name, "title": {"zh": zh, "en": name}, "score": score, "checks": 12, "failed": failed}
            for name, zh, score, failed in [
                ("normativity", "规范性", 1.0, 0),
                ("completeness", "完整性", 0.972, 1),
                ("accuracy", "准确性", 0.985, 1),
                ("consistency", "一致性", 0.994, 0),
                ("timeliness", "时效性", 0.86, 2),
                ("accessibility", "可访问性", 1.0, 0),
            ]
        ],
        "risk": {
            "k": 11,
            "highest": 0.0909,
            "average": 0.0211,
            "threshold": 0.0909,
            "classes": 94,
            "suppressed_rows": 18,
        },
        "price": {
            "low": 18_600_000,
            "high": 31_250_055,
            "basis": {"zh": "成本法：投入成本 × 质量与时效修正", "en": "Cost approach: costs × quality and freshness"},
            "items": [
                {
                    "title": {"zh": "采集", "en": "Acquisition"},
                    "fen": 9_000_000,
                    "reason": {"zh": "3 家医院接口", "en": "3 interfaces"},
                },
                {"title": {"zh": "去标识化", "en": "De-identification"}, "fen": 5_200_000, "reason": "41,230 rows"},
                {"title": {"zh": "分析", "en": "Analysis"}, "fen": 4_400_000},
            ],
        },
        "terms": [{"zh": "不得再分发", "en": "No redistribution"}, {"zh": "期限一年", "en": "One year"}],
        "legal_label": {"zh": "去标识化信息（仍为个人信息）", "en": "De-identified (still personal information)"},
        "legal_reason": {"zh": "跨版本密钥仍保存", "en": "the key across versions is kept"},
        "demo": True,
        "effects": [
            {"id": "adjusted/crp_sd/or", "estimate": 1.291, "low": 1.152, "high": 1.447, "n": 1820, **effect},
            {"id": "crude/crp_sd/or", "estimate": 1.418, "low": 1.27, "high": 1.583, "n": 1820, **crude},
            {
                "id": "adjusted/crp_sd/or",
                "estimate": 1.302,
                "low": 1.163,
                "high": 1.457,
                "n": 1840,
                "phase": "cohort",
                **effect,
            },
        ],
        "steps": [{"id": i, "title": {"zh": zh, "en": en}, "rows_in": a, "rows_out": b} for i, zh, en, a, b in steps],
        "signatures": [
            {"role": role, "title": {"zh": zh, "en": en}, "key": "ed25519:9f2c51d0", "demo": True}
            for role, zh, en in [
                ("privacy-officer", "个人信息保护负责人", "Privacy officer"),
                ("data-owner", "数据资源持有方", "Data holder"),
            ]
        ],
        "digest": "5c" * 32,
    }
    base.update(changes)
    return base


def release(product: str = "inflammation-pulpitis", version: str = "1.2", **changes: Any) -> Description:
    """A checked description of an invented release."""
    return build(parts(product, version, **changes))


def write_files(home: Path, *descriptions: Description) -> None:
    """Put the files of invented releases where the pipeline would have committed them."""
    for d in descriptions:
        for file in d.files:
            path = home / "products" / d.id / d.version / file.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(CONTENT[file.path])

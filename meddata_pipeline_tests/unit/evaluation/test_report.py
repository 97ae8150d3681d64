"""The quality evaluation report: two pages, the same numbers in every form, the same bytes on every day, no value."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pypdf import PdfReader

from meddata_pipeline.app import dossier
from meddata_pipeline.core.canonical import sha256_hex
from meddata_pipeline.quality import report
from meddata_pipeline.quality.evaluation import evaluation, place, without_small_counts
from meddata_pipeline.render.figures import matrix, trend
from meddata_pipeline.render.html import number
from meddata_pipeline.render.texts import load_texts
from meddata_pipeline_tests.unit.evaluation.made import TITLE


def _check(number: int, **changes: Any) -> dict[str, Any]:
    base = {
        "id": f"rule-{number}",
        "dimension": "accuracy",
        "severity": "error",
        "status": "passed",
        "failed_rows": 0,
        "kind": "range",
        "columns": ["age"],
        "value": 0.0,
        "expected": "= 0",
        "title": {"zh": f"规则 {number}", "en": f"Rule {number}"},
        "code": "",
    }
    return {**base, **changes}


def _evaluation(checks: list[dict[str, Any]], scores: dict[str, float | None], **changes: Any) -> dict[str, Any]:
    quality = {"contract": {"id": "c", "version": "1.0"}, "rows": 1234, "checks": checks, "scores": scores}
    given: dict[str, Any] = {
        "product": "demo",
        "title": TITLE,
        "version": "1.3",
        "as_of": "2024-01-02",
        "data": [{"path": "data.parquet", "sha256": "a" * 64}],
        "rules": [{"path": "contract.yaml", "sha256": "b" * 64}],
        "columns": ["age", "untouched"],
        "evaluator": {"name": {"zh": "甲", "en": "A"}, "key": "did:key:z6Mk"},
        "kind": "independent",
    }
    return evaluation(quality, **{**given, **changes})


SCORES: dict[str, float | None] = {
    "normativity": 0.912345,
    "completeness": 0.5,
    "accuracy": 0.123456,
    "consistency": None,
    "timeliness": 1.0,
    "accessibility": 0.0,
}
CHECKS = [
    *(_check(n) for n in range(7)),
    _check(10, status="failed", failed_rows=31, dimension="completeness", kind="null"),
    _check(11, status="errored", severity="warning", dimension="timeliness", code="wrong-type"),
    _check(
        12, status="failed", failed_rows=3, severity="info", kahn={"category": "conformance", "context": "validation"}
    ),
]


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    earlier = [{"version": f"1.{n}", "as_of": "2023-12-01", "scores": {"accuracy": 0.1 * n}} for n in (1, 2)]
    return _evaluation(CHECKS, SCORES, earlier=earlier, reservations=["The sample is small."])


@pytest.fixture(scope="module")
def forms(found: dict[str, Any]) -> dict[str, bytes]:
    return report.files(found)


def _words(data: bytes) -> list[str]:
    return [" ".join(page.extract_text().split()) for page in PdfReader(io.BytesIO(data)).pages]


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_every_form_shows_the_numbers_of_the_json(lang: str, found: dict[str, Any], forms: dict[str, bytes]) -> None:
    pages = _words(forms[f"quality.{lang}.pdf"])
    assert len(pages) == 2
    html = re.sub(r"<[^>]+>", " ", forms[f"quality.{lang}.html"].decode())
    tx = load_texts("meddata_pipeline.quality", "report_texts.yaml")[lang]
    tally = {"checks": 10, "passed": 7, "failed": 2, "errored": 1}
    assert {name: found["counts"][name] for name in tally} == tally
    for text in (" ".join(pages), " ".join(html.split())):
        for name, score in SCORES.items():
            row = next(d for d in found["dimensions"] if d["dimension"] == name)
            spelled = "–" if score is None else f"{score:.3f}"
            line = f"{row['title'][lang]} {spelled} {row['weight_passed']} / {row['weight']} {row['checks']}"
            assert line in text, line
        assert tx["verdict"]["counts"].format(**tally) in text
        assert tx["verdict"]["overall"].format(score=number(found["score"], 3)) in text
        for cell in found["kahn"]:
            assert f"{cell['passed']} / {cell['checks']}" in text
        assert tx["title"] in text and tx["kinds"]["independent"] in text and "1,234" in text
        assert "a" * 64 in text and "b" * 64 in text and "The sample is small." in text and "untouched" in text
        assert "rule-10" in text and "31" in text


def test_counts_are_as_a_second_count_has_them(found: dict[str, Any]) -> None:
    kahn = {(c["category"], c["context"]): (c["passed"], c["checks"]) for c in found["kahn"]}
    assert kahn["plausibility", "verification"] == (7, 8)
    assert kahn["completeness", "verification"] == (0, 1)
    assert kahn["conformance", "validation"] == (0, 1)
    assert sum(checks for _, checks in kahn.values()) == len(CHECKS)
    assert found["blocking"] == ["rule-10"] and not found["passed"]
    assert found["score"] == pytest.approx((0.912345 + 0.5 + 0.123456 + 1.0 + 0.0) / 5, abs=1e-6)
    accuracy = next(d for d in found["dimensions"] if d["dimension"] == "accuracy")
    assert (accuracy["weight_passed"], accuracy["weight"]) == (21, 22)
    assert [item["id"] for item in found["not_evaluated"]][:3] == ["dimensions", "columns", "errored"]
    assert place(_check(1, kind="null")) == ("completeness", "verification")


def test_however_much_there_is_to_say_two_pages_hold_it() -> None:
    many = [
        _check(n, status="failed", title={"zh": "很长的规则说明" * 12, "en": "a long title " * 12}) for n in range(99)
    ]
    files = [{"path": f"part-{n}.parquet", "sha256": f"{n:064x}"} for n in range(40)]
    earlier = [{"version": f"1.{n}", "as_of": "2023-12-01", "scores": SCORES} for n in range(1, 60)]
    found = _evaluation(
        many,
        SCORES,
        data=files,
        earlier=earlier,
        columns=[f"a_rather_long_column_{n}" for n in range(300)],
        reservations=["保留" * 300],
        title={"zh": "长标题" * 20, "en": "A long title " * 10},
        demo=True,
        reproduced={"checks": 99, "differ": ["x"]},
    )
    for lang in ("zh", "en"):
        assert len(_words(report.render_pdf(found, lang))) == 2


def test_another_process_gives_the_same_bytes(found: dict[str, Any], forms: dict[str, bytes], tmp_path: Path) -> None:
    (tmp_path / "found.json").write_text(json.dumps(found), encoding="utf-8")
    program = (
        "import json, sys, hashlib; from meddata_pipeline.quality import report; "
        "made = report.files(json.load(open(sys.argv[1], encoding='utf-8'))); "
        "print(json.dumps({n: hashlib.sha256(b).hexdigest() for n, b in made.items()}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "found.json")], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == {name: sha256_hex(data) for name, data in forms.items()}
    dates = PdfReader(io.BytesIO(forms["quality.zh.pdf"])).metadata
    assert dates is not None and str(dates.creation_date)[:10] == "2024-01-02"


def test_texts_of_the_data_are_never_markup() -> None:
    hostile = '#panic("x") $x$ *b* <script>alert(1)</script> @ref \\'
    found = _evaluation(CHECKS, SCORES, reservations=[hostile], title={"zh": hostile, "en": hostile})
    assert hostile in _words(report.render_pdf(found, "en"))[1]
    assert "<script>" not in report.render_html(found, "en")


def test_the_last_search_for_identifiers_reads_the_pdf(tmp_path: Path) -> None:
    planted = "110101190001011234"
    path = tmp_path / "quality.zh.pdf"
    path.write_bytes(report.render_pdf(_evaluation(CHECKS, SCORES, reservations=[f"患者{planted}复诊"]), "zh"))
    assert planted.encode() not in path.read_bytes()  # compressed: bytes alone tell nothing
    assert planted in dossier._TOKEN.findall(dossier._pdf_text(path))


def test_small_counts_of_rows_that_are_not_released_are_left_out() -> None:
    quality = {
        "rows": 1237,
        "checks": [_check(1, status="failed", failed_rows=3, value=3.0), _check(2, failed_rows=31)],
    }
    published = without_small_counts(quality, 10)
    assert published["rows"] == 1230
    assert [c["failed_rows"] for c in published["checks"]] == ["<10", 31]
    assert all("value" not in c for c in published["checks"])


def test_figures_refuse_what_does_not_fit() -> None:
    with pytest.raises(ValueError, match="one cell"):
        matrix(["a"], ["b"], [[]], title="t")
    with pytest.raises(ValueError, match="one value"):
        trend(["1"], {"a": []}, title="t")
    gap = trend(["1", "2", "3"], {"a": [0.0, None, 1.0]}, title="t")
    assert gap.count("<circle") == 2
    assert "nothing" in trend([], {}, title="t", texts="nothing")

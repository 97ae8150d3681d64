"""The risk page: chapters, both languages, small numbers held back, no value of a person."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd
import pytest

from meddata_pipeline.core.config import Config
from meddata_pipeline.core.text import Text
from meddata_pipeline.privacy.policy import Policy, load_policy
from meddata_pipeline.privacy.risk import risk
from meddata_pipeline.privacy.risk_report import published, render, risk_evidence, risk_page
from meddata_pipeline.privacy.tabular import anonymize
from meddata_pipeline.privacy.tabular.verify import verify
from meddata_pipeline_tests.unit.privacy_tabular.test_tabular_products import cohort


def _evidence(table: pd.DataFrame) -> tuple[Policy, dict[str, Any], dict[str, Any]]:
    path = Config().find("products/inflammation-pulpitis-cohort/privacy.yaml")
    policy = load_policy(path)
    result = anonymize(table, policy, path.parent)
    counted = verify(result.require(), policy, unit=table["person_id"], report=result.report)
    return policy, result.report, risk_evidence(policy, risk(table, policy), result.report, counted)


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_the_page_has_the_chapters_and_the_conclusion(lang: str) -> None:
    _, _, evidence = _evidence(cohort())
    options: dict[str, Any] = {"title": Text(zh="队列", en="Cohort"), "as_of": "2024-01-02", "demo": True}
    html = risk_page(lang, evidence, names={"age": Text(zh="年龄", en="Age")}, translation="x.html", **options)
    for anchor in ("preparation", "qualitative", "quantitative", "conclusion", "untested"):
        assert f'<h2 id="{anchor}">' in html
    assert html.count("<svg") == 2 and (lang == "en" or "NOT FOR REAL DATA" in html)
    assert ("满足策略" if lang == "zh" else "The policy is met") in html
    assert "hospital-a" not in html and "p17" not in html
    assert html == risk_page(lang, evidence, names={"age": Text(zh="年龄", en="Age")}, translation="x.html", **options)


def test_evidence_shows_what_protection_changed() -> None:
    policy, report, evidence = _evidence(cohort())
    json.dumps(evidence)
    assert evidence["before"]["highest"] == 1.0 and evidence["after"]["highest"] <= 0.2 and evidence["met"]
    assert sum(row["classes"] for row in evidence["class_sizes"]) == report["classes"]["count"]
    assert {row["column"] for row in evidence["treatments"]} == {*policy.released_columns, "person_id"}


def test_few_suppressed_rows_are_not_counted_out() -> None:
    policy, report, evidence = _evidence(cohort())
    fewer = risk_evidence(policy, {**_before(policy)}, {**report, "suppressed_rows": 3}, {"min": 5})
    assert fewer["suppressed_rows"] == "<10"
    assert fewer["before"]["classes"] is None and evidence["before"]["classes"] > 1000
    worse = risk_evidence(policy, {**_before(policy)}, report, {"min": 4})
    assert not worse["met"] and evidence["met"]
    page = risk_page("en", worse, title=Text(zh="队列", en="Cohort"), as_of="2024-01-02")
    assert "must not be released" in page


def test_a_candidate_is_rendered_from_what_it_keeps() -> None:
    policy, report, evidence = _evidence(cohort())
    kept = {"before": _before(policy), "protection": report}
    path = Config().find("products/inflammation-pulpitis-cohort/privacy.yaml")
    assert published(kept, policy=path) == evidence
    html = render(kept, policy=path, title=Text(zh="队列", en="Cohort"), lang="en")
    assert "Data as of" not in html and "The policy is met" in html


def _before(policy: Policy) -> dict[str, Any]:
    return risk(cohort(), policy)

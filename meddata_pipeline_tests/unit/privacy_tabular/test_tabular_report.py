"""The risk page: chapters, both languages, small numbers held back, no value of a person."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from meddata_pipeline.core.config import Config
from meddata_pipeline.core.text import Text
from meddata_pipeline.privacy.attack import linkage_attack
from meddata_pipeline.privacy.policy import Policy, load_policy
from meddata_pipeline.privacy.risk import risk
from meddata_pipeline.privacy.risk_report import _distribution, published, render, risk_evidence, risk_page
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
    assert html.count("<svg") == 4 and (lang == "en" or "NOT FOR REAL DATA" in html)
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


def test_the_report_says_what_was_not_tested_and_what_an_attack_found() -> None:
    policy, report, evidence = _evidence(cohort())
    assert {"linkage_attack", "population_uniqueness", "population_table"} <= set(evidence["untested"])
    assert evidence["population_uniqueness"]["before"] == dict.fromkeys(["dankar", "pitman", "zayatz", "snb"])
    table = cohort()
    known = policy.model_copy(update={"risk": policy.risk.model_copy(update={"sampling_fraction": 0.05})})
    released = anonymize(table, policy, Path()).require()
    names = list(policy.quasi_identifiers)
    register = table.drop_duplicates("person_id")
    attack = linkage_attack(released, table["person_id"], register[names], register["person_id"], known, base=Path())
    told = risk_evidence(known, risk(table, known), report, {"min": 5}, attack.as_dict())
    assert "linkage_attack" not in told["untested"] and "population_uniqueness" not in told["untested"]
    assert set(told["attack"]) == {
        "columns",
        "success_rate",
        "interval",
        "confidence",
        "expected_rate",
        "threshold",
        "met",
    }  # no counts: they would give the suppressed rows back
    estimates = told["population_uniqueness"]
    assert estimates["before"]["pitman"] > 0 and estimates["before"]["snb"] is None
    assert estimates["after"]["pitman"] == 0 and told["met"]
    html = risk_page("en", told, title=Text(zh="队列", en="Cohort"))
    for heading in ("attack", "estimates", "profiles"):
        assert f'<h3 id="{heading}">' in html
    assert "exact 95 % interval" in html and "EMA policy 0070" in html
    failed = risk_evidence(known, risk(table, known), report, {"min": 5}, {**attack.as_dict(), "met": False})
    assert not failed["met"]


def test_joins_are_told_in_rates_and_gate_the_conclusion() -> None:
    policy, report, _ = _evidence(cohort())
    attack = {
        "columns": ["age", "sex"],
        "success_rate": 0.05,
        "interval": [0.04, 0.06],
        "confidence": 0.95,
        "expected_rate": 0.051,
        "threshold": 0.2,
        "met": True,
    }
    join = {
        "product": "other",
        "version": "1.3",
        "title": {"zh": "另一产品", "en": "Another product"},
        "columns": ["crp"],
        "targets": 731,
        "correct": 614,
        "joined_rate": 0.84,
        "interval": [0.81, 0.87],
        "confidence": 0.95,
        "expected_rate": 0.845,
        "sure": 700,
        "sure_correct": 600,
        "exposed": 4,
        "register": attack,
        "met": True,
    }
    told = risk_evidence(policy, _before(policy), report, {"min": 5}, attack, {**attack, "columns": ["sex"]}, [join])
    assert told["met"] and told["joins"][0]["exposed"] == "<10"
    assert not {"targets", "correct", "sure"} & set(told["joins"][0])
    assert "other_joins" in told["untested"] and not {"no_joins", "register_attack"} & set(told["untested"])
    label = (Text(zh="称谓", en="Label"), Text(zh="理由", en="Reason"))
    for lang, words in (("en", ("Another product 1.3", "84.0 %", "&lt;10", "Label")), ("zh", ("另一产品 1.3", "称谓"))):
        html = risk_page(lang, told, title=Text(zh="队列", en="Cohort"), label=label)
        assert '<h3 id="joins">' in html and html.count("<svg") == 5
        for word in words:
            assert word in html
    refused = risk_evidence(policy, _before(policy), report, {"min": 5}, attack, None, [{**join, "met": False}])
    assert not refused["met"] and "register_attack" in refused["untested"]
    page = risk_page("en", refused, title=Text(zh="队列", en="Cohort"))
    assert "not available" in page and "exceeded, must not be released" in page
    rows_stay = risk_evidence(policy, _before(policy), report, {"min": 5}, attack, attack, None)
    assert "no_joins" in rows_stay["untested"]


def test_the_distribution_of_risk_adds_up() -> None:
    _, _, evidence = _evidence(cohort())
    for when in ("before", "after"):
        assert sum(row["people"] for row in evidence["risk_distribution"][when]) == pytest.approx(1.0, abs=0.01)
    assert sum(row["people"] for row in evidence["risk_distribution"]["after"][:3]) == 0.0
    assert [row["met"] for row in evidence["profiles"]] == [True, False, False]


def test_few_people_are_never_a_range_of_their_own() -> None:
    """Nor a gap that the other shares would fill."""

    def told(histogram: dict[str, int]) -> list[tuple[int, int | None, float]]:
        return [(row["from"], row["to"], row["people"]) for row in _distribution(histogram, 10)]

    assert told({"1": 9, "2": 3, "12": 1, "30": 1}) == [
        (1, 2, 0.263),
        (3, 4, 0.0),
        (5, 10, 0.0),
        (11, 19, 0.211),
        (20, None, 0.526),
    ]
    assert told({"1": 40, "5": 1}) == [(1, None, 1.0)]
    assert told({}) == [(low, to, 0.0) for low, to in ((1, 1), (2, 2), (3, 4), (5, 10), (11, 19), (20, None))]


def _before(policy: Policy) -> dict[str, Any]:
    return risk(cohort(), policy)

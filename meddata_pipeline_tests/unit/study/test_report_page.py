"""The report: every number on the page is a number of results.json, nothing small is on it, no word claims a cause."""

from __future__ import annotations

import json
import re
from functools import cache
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pandas as pd
import pytest

from meddata_pipeline.core.config import Config
from meddata_pipeline.study import report
from meddata_pipeline.study.api import measure
from meddata_pipeline.study.spec import METHOD_KEYS, Disclosure, load_study, parse_study
from meddata_pipeline.study.variables import numeric_midpoints

LANGUAGES = ("zh", "en")


class Page(HTMLParser):
    """Collects the numbers with their ids, and the text outside of them."""

    def __init__(self) -> None:
        super().__init__()
        self.numbers: list[tuple[str, str]] = []
        self.text: list[str] = []
        self.open: list[str | None] = []
        self.skip = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("style", "title", "desc", "script"):
            self.skip += 1
        if tag not in ("meta", "link", "br", "rect", "path", "line"):
            self.open.append(dict(attrs).get("data-id"))

    def handle_endtag(self, tag: str) -> None:
        if tag in ("style", "title", "desc", "script"):
            self.skip -= 1
        if tag not in ("meta", "link", "br", "rect", "path", "line") and self.open:
            self.open.pop()

    def handle_data(self, data: str) -> None:
        if self.skip:
            return
        if self.open and self.open[-1] is not None:
            self.numbers.append((self.open[-1], data))
        else:
            self.text.append(data)


def cohort(n: int, seed: int = 1) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {"age": rng.integers(18, 90, n), "sex": rng.choice(["M", "F"], n), "bmi": rng.normal(23, 3, n)}
    )
    for name in ("smoking", "diabetes", "caries", "periodontitis", "antibiotics"):
        frame[name] = (rng.random(n) < 0.3).astype(int)
    frame["crp"] = np.exp(rng.normal(0.7, 0.8, n))
    frame["il6"] = np.where(rng.random(n) < 0.5, np.nan, np.exp(rng.normal(1, 0.5, n)))
    frame["nlr"] = np.exp(rng.normal(0.7, 0.3, n))
    frame["crp_sd"] = np.log(frame["crp"]) / np.log(frame["crp"]).std()
    frame["pulpitis"] = (rng.random(n) < 1 / (1 + np.exp(1 - 0.3 * frame["crp_sd"]))).astype(int)
    return frame


def flow(n: int) -> list[dict[str, Any]]:
    return [
        {
            "id": "population",
            "title": {"zh": "人员", "en": "Persons"},
            "n_before": n + 60,
            "excluded": 0,
            "n_after": n + 60,
        },
        {
            "id": "adult",
            "title": {"zh": "未成年", "en": "Minors"},
            "n_before": n + 60,
            "excluded": 57,
            "n_after": n + 3,
        },
        {"id": "crp", "title": {"zh": "无结果", "en": "No result"}, "n_before": n + 3, "excluded": 3, "n_after": n},
    ]


@cache
def made(n: int = 1500, k: int = 5) -> dict[str, Any]:
    study = load_study(Config().find("products/inflammation-pulpitis/study.yaml"))
    frame = cohort(n)
    release = frame.assign(
        age=[f"[{a // 10 * 10}, {a // 10 * 10 + 10})" for a in frame["age"]], crp_sd=frame["crp_sd"].round(1)
    )
    meta = {"product": "inflammation-pulpitis", "as_of": "2024-01-02", "demo": True}
    result = report.results(
        study, measure(frame, study), measure(numeric_midpoints(release, study), study), flow=flow(n), k=k, meta=meta
    )
    again: dict[str, Any] = json.loads(json.dumps(result, ensure_ascii=False, allow_nan=False))
    return again


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("n", [1500, 60])
def test_every_number_on_the_page_is_in_results_json(n: int, lang: str) -> None:
    result = made(n)
    page = Page()
    page.feed(report.render_html(result, lang))
    assert len(page.numbers) > 5
    for key, text in page.numbers:
        if key == "as_of":
            assert text == result["as_of"]
            continue
        value = result["numbers"][key]
        assert text == report.number_text(key, value)
        if isinstance(value, int | float) and not text.startswith("<"):
            assert float(text) == pytest.approx(value, rel=1e-9)
    # Numerals outside of numbers are those of the study's own words, which results.json holds as well.
    told = json.dumps(result, ensure_ascii=False)
    for word in page.text:
        for numeral in re.findall(r"\d+(?:\.\d+)?", word):
            assert numeral in told, f"{numeral} in {word!r}"


@cache
def made_by_every_method() -> dict[str, Any]:
    rng = np.random.default_rng(2)
    frame = cohort(900).assign(time=rng.integers(1, 40, 900), site=rng.integers(0, 30, 900))
    frame["exposed"] = (frame["crp_sd"] > 1).astype(int)
    binary = {name: {"type": "binary", "event": 1} for name in ("pulpitis", "exposed", "smoking")}
    band = {"type": "category", "from": "age", "cut": {"quantiles": 4}}
    analyses: list[dict[str, Any]] = [{"id": m, "method": m} for m in sorted(METHOD_KEYS)]
    more: dict[str, dict[str, Any]] = {
        "linear": {"outcome": "bmi"},
        "log-binomial": {"covariates": []},
        "conditional-logistic": {"strata": "site"},
        "gee": {"cluster": "site"},
        "cox": {"outcome": {"time": "time", "event": "pulpitis"}},
        "kaplan-meier": {"outcome": {"time": "time", "event": "pulpitis"}},
        "mantel-haenszel": {"strata": ["smoking"]},
        "likelihood-ratio": {"add": ["exposed:smoking"]},
        "trend": {"exposure": "band"},
        "imputation": {"imputations": 2, "iterations": 1},
        "e-value": {"of": "two-by-two/exposed/or"},
        "additive-interaction": {"with": "smoking"},
    }
    kept = [a | more.get(a["method"], {}) for a in analyses if a["method"] != "meta-analysis"]
    kept.sort(key=lambda a: a["method"] == "e-value")
    spec = parse_study(
        {
            "study": "every",
            "variables": {**binary, "band": band},
            "exposure": "exposed",
            "outcome": "pulpitis",
            "covariates": ["age"],
            "analyses": kept,
        }
    )
    result = report.results(spec, measure(frame, spec), None, flow=[], k=5, meta={})
    again: dict[str, Any] = json.loads(json.dumps(result, ensure_ascii=False, allow_nan=False))
    return again


@pytest.mark.parametrize("lang", LANGUAGES)
def test_every_method_has_its_place_on_the_page(lang: str) -> None:
    result = made_by_every_method()
    page = Page()
    page.feed(report.render_html(result, lang))
    shown = {key.split("/")[0] for key, _ in page.numbers}
    assert {a["id"] for a in result["analyses"]} <= shown
    for key, text in page.numbers:
        if key != "as_of":
            assert text == report.number_text(key, result["numbers"][key])
    assert not [key for key, _ in page.numbers if key.endswith(("/min", "/max", "loglik", "/aic"))]


@pytest.mark.parametrize("lang", LANGUAGES)
def test_no_word_claims_a_cause(lang: str) -> None:
    page = Page()
    page.feed(report.render_html(made(300), lang))
    text = "".join(page.text).lower()
    for word in (
        "导致",
        "引起",
        "造成",
        "促使",
        "诱发",
        "causes",
        "caused",
        "leads to",
        "due to",
        "results in",
        "impact of",
    ):
        assert word not in text
    assert {"zh": "不能证明因果", "en": "do not prove cause"}[lang] in text


def test_main_estimates_rounded_and_covariates_left_out() -> None:
    result = made()
    ids = [e["id"] for e in result["estimates"]]
    assert "adjusted/crp_sd/or" in ids
    assert not [i for i in ids if i.startswith("adjusted/") and i.split("/")[1] not in ("crp_sd", "model")]
    adjusted = next(e for e in result["estimates"] if e["id"] == "adjusted/crp_sd/or")
    assert adjusted["estimate"] == round(adjusted["estimate"], 2)
    assert [e["id"] for e in result["release_estimates"]] == ["crude/crp_sd/or", "adjusted/crp_sd/or"]
    assert {row["id"] for row in result["protection_cost"]} == {"crude/crp_sd/or", "adjusted/crp_sd/or"}
    assert result["exposure"] == "crp_sd"


def test_small_exclusions_are_joined_in_the_flow() -> None:
    steps = made()["flow"]
    assert [(s["id"], s["excluded"], s["n_after"]) for s in steps] == [("population", 0, 1560), ("crp", 60, 1500)]


def test_no_published_count_is_small_and_pages_are_the_same_every_time() -> None:
    result = made(60)
    counts = [
        e["estimate"] for e in result["estimates"] if e["measure"] in ("n", "missing", "events") and e["estimate"]
    ]
    assert min(counts) >= 10
    assert result["suppressed"] > 0
    assert report.render_html(result, "zh") == report.render_html(json.loads(json.dumps(result)), "zh")
    assert "—" in report.render_html(result, "zh")


def test_birth_weights_published_odds_ratio_and_no_suppression_switch() -> None:
    study = load_study(Config().find("products/birthweight-smoking/study.yaml"))
    rng = np.random.default_rng(1)
    n = 189
    frame = pd.DataFrame({"smoke": [1] * 74 + [0] * 115, "low": [1] * 30 + [0] * 44 + [1] * 29 + [0] * 86})
    for name in ("age", "lwt", "ptl", "ftv"):
        frame[name] = rng.integers(0, 40, n)
    for name in ("ht", "ui"):
        frame[name] = (rng.random(n) < 0.1).astype(int)
    frame["race"] = rng.integers(1, 4, n)
    found = measure(frame, study)
    crude = {e["id"]: e for e in report.results(study, found, found, flow=[], k=5, meta={})["estimates"]}[
        "crude/smoke/or"
    ]
    assert (crude["estimate"], crude["low"], crude["high"], crude["p"]) == (2.02, 1.08, 3.78, 0.026)
    public = study.model_copy(update={"disclosure": Disclosure(k=1)})
    assert report.results(public, found, None, flow=[], k=5, meta={})["suppressed"] == 0
    page = report.render_html(
        report.results(public, found, None, flow=[], k=5, meta={"title": {"zh": "a", "en": "b"}}), "zh"
    )
    assert "未作小单元抑制" in page


def test_a_study_whose_models_fail_still_has_a_report() -> None:
    study = load_study(Config().find("products/inflammation-pulpitis/study.yaml"))
    frame = cohort(200).assign(pulpitis=0)
    result = report.results(study, measure(frame, study), None, flow=[], k=5, meta={"as_of": "2024-01-02"})
    for lang in LANGUAGES:
        assert "<h1>" in report.render_html(result, lang)
    assert set(report.figures(result)) == {"forest", "forest.en"}
    assert set(report.figures(made())) == {"forest", "forest.en", "flow", "flow.en"}

"""Estimates against R's (shared/data/study/expected.json), within the tolerances stated there."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd
import pytest

from meddata_pipeline.study.api import associate
from meddata_pipeline.study.estimators.imputation import pool
from meddata_pipeline.study.estimators.two_by_two import Table, adjust, measures
from meddata_pipeline.study.spec import parse_study
from meddata_pipeline.study.variables import read_table
from meddata_pipeline_tests.shared import shared

CLOSE = 1e-4
FISHER = 5e-5

BIRTHS = {
    "low": {"type": "binary", "event": 1},
    "smoke": {"type": "binary", "event": 1},
    "race": {"type": "category", "reference": 1},
}


ADMISSIONS = {
    "variables": {
        "Admit": {"type": "binary", "event": "Admitted"},
        "Gender": {"type": "category", "levels": ["Female", "Male"]},
    },
    "exposure": "Gender",
    "outcome": "Admit",
}


def facts(case: str) -> dict[str, Any]:
    cases = json.loads(shared("data/study/expected.json").read_text())["cases"]
    return next(c["facts"] for c in cases if c["id"] == case)


def run(dataset: str, **study: Any) -> dict[str, Any]:
    spec = parse_study({"study": "known", **study})
    frame = read_table(shared(f"data/study/{dataset}"), spec)
    return {e["id"]: e for e in associate(frame, spec)}


def near(value: Any, expected: float, tolerance: float = CLOSE) -> None:
    assert value == pytest.approx(expected, rel=tolerance)


def test_birthwt_crude_two_by_two() -> None:
    want = facts("birthwt_crude")
    crude = [{"id": "c", "method": "two-by-two"}]
    got = run("birthwt.csv", variables=BIRTHS, exposure="smoke", outcome="low", analyses=crude)
    for cell in "abcd":
        assert got[f"c/smoke/{cell}"]["estimate"] == want[cell]
    for measure, prefix, point in (("or", "or", "or_wald"), ("rr", "rr", "rr"), ("rd", "rd", "rd")):
        estimate = got[f"c/smoke/{measure}"]
        near(estimate["estimate"], want[point])
        near(estimate["low"], want[f"{prefix}_lo"])
        near(estimate["high"], want[f"{prefix}_hi"])
        near(estimate["p"], want["chisq_p"])
    near(got["c/smoke/chi2"]["estimate"], want["chisq_uncorrected"])
    near(got["c/smoke/chi2-yates"]["estimate"], want["chisq_yates"])
    fisher = got["c/smoke/or-fisher"]
    near(fisher["estimate"], want["fisher_or_cmle"], FISHER)
    near(fisher["low"], want["fisher_lo"], FISHER)
    near(fisher["high"], want["fisher_hi"], FISHER)
    near(fisher["p"], want["fisher_p"])
    near(got["c/smoke/or-midp"]["estimate"], want["or_midp"])


TERM_NAMES = {
    "race2": "race=2",
    "race3": "race=3",
    "education12+ yrs": "education=12+ yrs",
    "education6-11yrs": "education=6-11yrs",
}


@pytest.mark.parametrize(
    ("case", "dataset", "study"),
    [
        (
            "birthwt_logit_full",
            "birthwt.csv",
            {
                "variables": BIRTHS,
                "exposure": "smoke",
                "outcome": "low",
                "covariates": ["age", "lwt", "race", "ptl", "ht", "ui", "ftv"],
                "analyses": [{"id": "m", "method": "logistic"}],
            },
        ),
        (
            "birthwt_profile_ci",
            "birthwt.csv",
            {
                "variables": BIRTHS,
                "exposure": "smoke",
                "outcome": "low",
                "analyses": [
                    {"id": "m", "method": "logistic", "interval": "profile", "covariates": ["lwt", "race", "ht", "ui"]}
                ],
            },
        ),
        (
            "infert_unconditional",
            "infert.csv",
            {
                "variables": {
                    "case": {"type": "binary", "event": 1},
                    "education": {"type": "category", "reference": "0-5yrs"},
                },
                "exposure": "spontaneous",
                "outcome": "case",
                "covariates": ["age", "parity", "education", "induced"],
                "analyses": [{"id": "m", "method": "logistic"}],
            },
        ),
    ],
)
def test_logistic(case: str, dataset: str, study: dict[str, Any]) -> None:
    want = facts(case)
    got = run(dataset, **study)
    for name, term in want["terms"].items():
        estimate = got[f"m/{TERM_NAMES.get(name, name)}/or"]
        near(estimate["estimate"], term["or"])
        near(estimate["low"], term["lo"])
        near(estimate["high"], term["hi"])
        if "p" in term:
            near(estimate["p"], term["p"])
            near(estimate["se"], term["se"])
    for measure in ("deviance", "null_deviance", "aic", "loglik", "n"):
        if measure in want:
            near(got[f"m/model/{measure.replace('_', '-')}"]["estimate"], want[measure])


def test_smd_unadjusted() -> None:
    want = facts("birthwt_ps")
    got = run(
        "birthwt.csv",
        variables=BIRTHS,
        exposure="smoke",
        analyses=[{"id": "t", "method": "table-one", "covariates": ["lwt", "age"]}],
    )
    near(got["t/lwt/smd"]["estimate"], want["smd_lwt_unadj"])
    near(got["t/age/smd"]["estimate"], want["smd_age_unadj"])


def test_quantile_classes_by_frequency_counts() -> None:
    want = facts("birthwt_trend")
    variables = {**BIRTHS, "lwt_q": {"type": "category", "from": "lwt", "cut": {"quantiles": 4}}}
    got = run(
        "birthwt.csv",
        variables=variables,
        analyses=[{"id": "t", "method": "table-one", "by": "lwt_q", "covariates": ["low"]}],
    )
    assert [got[f"t/low=1|lwt_q={q}/n"]["estimate"] for q in (1, 2, 3, 4)] == want["counts"]
    assert [got[f"t/low|lwt_q={q}/n"]["estimate"] for q in (1, 2, 3, 4)] == want["n"]


def test_frequency_table_crude_odds_ratio() -> None:
    want = facts("ucb_mh")
    got = run(
        "ucbadmissions_counts.csv",
        **ADMISSIONS,
        analyses=[
            {"id": "c", "method": "two-by-two", "frequency": "Freq"},
            {"id": "l", "method": "logistic", "frequency": "Freq"},
            {"id": "a", "method": "two-by-two", "frequency": "Freq", "subset": "Dept == 'A'"},
        ],
    )
    near(got["c/Gender=Male/or"]["estimate"], want["crude_or_male_vs_female"])
    near(got["l/Gender=Male/or"]["estimate"], want["crude_or_male_vs_female"])
    near(got["a/Gender=Male/or"]["estimate"], want["dept_or"]["A"])
    assert got["l/model/n"]["estimate"] == 4526


def test_zero_cell() -> None:
    want = facts("zero_cell_unit")
    got = {e["measure"]: e for e in measures("z", "x", Table(7, 5, 0, 12), 0.95)}
    assert (got["or"]["estimate"], got["or"]["reason"]) == (None, "empty-cell")
    assert got["or-fisher"]["estimate"] == "inf"
    assert got["or-fisher"]["high"] == "inf"
    near(got["or-fisher"]["low"], want["fisher_lo"], FISHER)
    near(got["or-fisher"]["p"], want["fisher_p"])
    near(got["or-haldane"]["estimate"], want["haldane_or"])


@pytest.mark.parametrize(
    ("method", "key"), [("holm", "holm"), ("bh", "BH"), ("by", "BY"), ("bonferroni", "bonferroni")]
)
def test_adjusted_p_values(method: str, key: str) -> None:
    want = facts("padjust_unit")
    assert adjust(want["p"], method) == pytest.approx(want[key], rel=1e-8)


def test_grouped_counts_agree_with_single_persons() -> None:
    """esoph-like counts: coefficients of grouped rows are those of the persons, the likelihood has R's coefficients."""
    frame = pd.DataFrame({"x": [0, 1, 2], "ev": [3, 10, 14], "non": [30, 25, 20]})
    spec = parse_study(
        {
            "study": "g",
            "exposure": "x",
            "outcome": {"events": "ev", "nonevents": "non"},
            "analyses": [{"id": "m", "method": "logistic"}],
        }
    )
    got = {e["id"]: e for e in associate(frame, spec)}
    import statsmodels.api as sm

    fit = sm.GLM(frame[["ev", "non"]], sm.add_constant(frame[["x"]]), family=sm.families.Binomial()).fit()
    import numpy as np

    near(got["m/x/or"]["estimate"], float(np.exp(fit.params["x"])), 1e-8)
    near(got["m/x/or"]["se"], float(fit.bse["x"]), 1e-6)
    near(got["m/model/deviance"]["estimate"], fit.deviance, 1e-8)
    near(got["m/model/null-deviance"]["estimate"], fit.null_deviance, 1e-8)
    near(got["m/model/aic"]["estimate"], fit.aic, 1e-8)
    near(got["m/model/loglik"]["estimate"], fit.llf, 1e-8)
    assert got["m/model/n"]["estimate"] == 102
    assert got["m/model/events"]["estimate"] == 27


SMALL = {"exposure": "smoke", "outcome": "low", "variables": BIRTHS}


def test_mantel_haenszel() -> None:
    want = facts("birthwt_mh_race")
    got = run("birthwt.csv", **SMALL, analyses=[{"id": "m", "method": "mantel-haenszel", "strata": ["race"]}])
    for key, name in (("estimate", "or"), ("low", "lo"), ("high", "hi")):
        near(got["m/smoke/or"][key], want[name])
    near(got["m/smoke/chi2"]["estimate"], want["chisq_nocorr"])
    near(got["m/smoke/chi2"]["p"], want["p_nocorr"])
    near(got["m/smoke/chi2-corrected"]["estimate"], want["chisq_corr"])


def test_mantel_haenszel_of_counts() -> None:
    want = facts("ucb_mh")
    got = run(
        "ucbadmissions_counts.csv",
        **ADMISSIONS,
        analyses=[{"id": "m", "method": "mantel-haenszel", "strata": ["Dept"], "frequency": "Freq"}],
    )
    pooled = got["m/Gender=Male/or"]
    for key, name in (("estimate", "mh_or"), ("low", "lo"), ("high", "hi")):
        near(pooled[key], want[name])
    near(got["m/Gender=Male/chi2-corrected"]["estimate"], want["chisq_corr"])
    near(got["m/Gender=Male/chi2-corrected"]["p"], want["p_corr"])
    near(got["m/Gender=Male/chi2"]["estimate"], want["chisq_nocorr"])
    for department, value in want["dept_or"].items():
        near(got[f"m/Gender=Male|Dept={department}/or"]["estimate"], value)


def test_likelihood_ratio_of_an_interaction_and_of_a_spline() -> None:
    got = run(
        "birthwt.csv",
        **SMALL,
        analyses=[
            {"id": "i", "method": "likelihood-ratio", "covariates": ["race"], "add": ["smoke:race"]},
            {"id": "s", "method": "likelihood-ratio", "covariates": ["race", "lwt"], "add": ["ns(lwt,3)"]},
        ],
    )
    for analysis, case in (("i", "birthwt_interaction"), ("s", "birthwt_spline")):
        want = facts(case)
        near(got[f"{analysis}/added/lr"]["estimate"], want["chisq"])
        near(got[f"{analysis}/added/lr"]["p"], want["p"])
        assert got[f"{analysis}/added/lr"]["df"] == want["df"]
    near(got["s/model/deviance"]["estimate"], facts("birthwt_spline")["deviance_spline"])


def test_modified_poisson() -> None:
    want = facts("birthwt_modpoisson")
    method = {"id": "m", "method": "modified-poisson", "covariates": ["race", "lwt", "ht", "ui"]}
    got = run("birthwt.csv", **SMALL, analyses=[method])["m/smoke/rr"]
    for key, name in (("estimate", "rr"), ("se", "robust_se"), ("low", "lo"), ("high", "hi")):
        near(got[key], want[name])


def test_g_computation() -> None:
    want = facts("birthwt_gcomp")
    method = {"id": "g", "method": "g-computation", "covariates": ["race", "lwt", "ht", "ui"]}
    got = run("birthwt.csv", **SMALL, analyses=[method])
    for measure in ("risk1", "risk0", "rd", "rr", "or"):
        near(got[f"g/smoke/{measure}"]["estimate"], want[measure])


def test_weighting() -> None:
    want = facts("birthwt_ps")
    covariates = ["age", "race", "lwt", "ht", "ui", "ptl"]
    got = run(
        "birthwt.csv",
        **SMALL,
        analyses=[
            {"id": "w", "method": "weighting", "covariates": covariates},
            {"id": "o", "method": "weighting", "estimand": "overlap", "covariates": covariates},
        ],
    )
    for measure in ("mean", "min", "max"):
        near(got[f"w/propensity/{measure}"]["estimate"], want[f"ps_{measure}"])
    near(got["w/smoke/rd"]["estimate"], want["iptw_rd"])
    near(got["o/smoke/rd"]["estimate"], want["overlap_rd"])
    near(got["w/smoke/or"]["estimate"], want["iptw_or"])
    near(got["w/smoke/or"]["se"], want["iptw_or_robust_se"])
    near(got["w/weights/ess-treated"]["estimate"], want["ess_treated"])
    near(got["w/weights/stabilised-mean"]["estimate"], want["stab_w_mean"])
    near(got["w/lwt/smd-before"]["estimate"], want["smd_lwt_unadj"])
    near(got["w/lwt/smd-after"]["estimate"], want["smd_lwt_iptw"])
    # Overlap weights balance the means exactly.
    assert got["o/lwt/smd-after"]["estimate"] == pytest.approx(0, abs=1e-8)


def test_e_values() -> None:
    want = facts("birthwt_evalue")
    got = run(
        "birthwt.csv",
        **SMALL,
        analyses=[
            {"id": "c", "method": "two-by-two"},
            {"id": "r", "method": "e-value", "of": "c/smoke/rr"},
            {"id": "o", "method": "e-value", "of": "c/smoke/or"},
        ],
    )
    near(got["r/smoke/e-value"]["estimate"], want["evalue_point"])
    near(got["r/smoke/e-value"]["low"], want["evalue_lo"])
    near(got["o/smoke/e-value"]["estimate"], want["or_common_sqrt"])


def test_trend() -> None:
    want = facts("birthwt_trend")
    variables = {**BIRTHS, "lwt_q": {"type": "category", "from": "lwt", "cut": {"quantiles": 4}}}
    got = run(
        "birthwt.csv",
        variables=variables,
        exposure="lwt_q",
        outcome="low",
        analyses=[{"id": "t", "method": "trend"}],
    )
    near(got["t/lwt_q/cochran-armitage"]["estimate"], want["chisq"])
    near(got["t/lwt_q/cochran-armitage"]["p"], want["p"])


def test_conditional_logistic() -> None:
    want = facts("infert_clogit")
    got = run(
        "infert.csv",
        variables={"case": {"type": "binary", "event": 1}},
        exposure="spontaneous",
        outcome="case",
        covariates=["induced"],
        analyses=[{"id": "c", "method": "conditional-logistic", "strata": "stratum"}],
    )
    for name, term in want["terms"].items():
        for key, fact in (("estimate", "or"), ("se", "se"), ("p", "p"), ("low", "lo"), ("high", "hi")):
            near(got[f"c/{name}/or"][key], term[fact])
    near(got["c/model/null-loglik"]["estimate"], want["loglik"][0])
    near(got["c/model/loglik"]["estimate"], want["loglik"][1])


def test_rubins_rules() -> None:
    want = facts("rubin_unit")
    got = pool([0.50, 0.55, 0.47, 0.60, 0.52], [0.04, 0.05, 0.045, 0.05, 0.042])
    near(got.estimate, want["qbar"])
    near(got.variance, want["t"])
    near(got.df, want["df"])
    near(got.riv, want["r"])
    near(got.fmi, want["fmi"])

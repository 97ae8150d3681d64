"""Estimators against statsmodels, scipy or a plain second computation, on generated persons."""

from __future__ import annotations

import itertools
import math
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, special, stats

from meddata_pipeline.core.errors import ConfigError
from meddata_pipeline.study.api import associate
from meddata_pipeline.study.estimators.propensity import matched_pairs
from meddata_pipeline.study.estimators.survival import cox, half, kaplan_meier
from meddata_pipeline.study.estimators.synthesis import effects, pool
from meddata_pipeline.study.spec import parse_study


def persons(n: int = 400, seed: int = 3) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    age, sex, site = rng.normal(50, 10, n), rng.integers(0, 2, n), rng.integers(0, 40, n)
    x = (rng.random(n) < special.expit(-0.5 + 0.02 * (age - 50) + 0.4 * sex)).astype(int)
    risk = special.expit(-1 + 0.6 * x + 0.03 * (age - 50) + rng.normal(0, 0.6, 40)[site])
    y = (rng.random(n) < risk).astype(int)
    time = np.ceil(rng.exponential(np.exp(3 - 0.5 * x - 0.01 * age), n) * 2)
    died = (rng.random(n) < 0.7).astype(int)
    bwt = 100 + 5 * x - 0.3 * age + rng.normal(0, 4, n)
    weight = rng.uniform(0.5, 3, n)
    columns = {"age": age, "sex": sex, "site": site, "x": x, "y": y, "time": time, "died": died, "z": bwt, "w": weight}
    return pd.DataFrame(columns)


FRAME = persons()
BASE = {
    "study": "peers",
    "variables": {name: {"type": "binary", "event": 1} for name in ("x", "y", "sex", "died")},
    "exposure": "x",
    "outcome": "y",
    "covariates": ["age", "sex"],
}


def run(frame: pd.DataFrame = FRAME, **analysis: Any) -> dict[str, Any]:
    spec = parse_study({**BASE, "analyses": [{"id": "a", **analysis}]})
    return {e["id"].removeprefix("a/"): e for e in associate(frame, spec)}


def design(frame: pd.DataFrame = FRAME) -> Any:
    import statsmodels.api as sm

    return sm.add_constant(frame[["x", "age", "sex"]].astype(float))


def agree(got: dict[str, Any], fit: Any, measure: str, se: Any, tolerance: float = 1e-6) -> None:
    for name in ("x", "age", "sex"):
        estimate = got[f"{name}/{measure}"]
        value = estimate["estimate"] if measure == "beta" else math.log(estimate["estimate"])
        assert value == pytest.approx(float(fit.params[name]), rel=tolerance, abs=1e-9)
        assert estimate["se"] == pytest.approx(float(se[name]), rel=tolerance)


def test_linear() -> None:
    import statsmodels.api as sm

    fit = sm.OLS(FRAME["z"], design()).fit()
    got = run(method="linear", outcome="z")
    agree(got, fit, "beta", fit.bse)
    low, high = fit.conf_int().loc["x"]
    assert (got["x/beta"]["low"], got["x/beta"]["high"]) == pytest.approx((low, high))
    assert got["x/beta"]["p"] == pytest.approx(fit.pvalues["x"])


def test_linear_and_logistic_by_cluster() -> None:
    import statsmodels.api as sm

    kwds = {"groups": FRAME["site"], "use_correction": False}
    groups = FRAME["site"].nunique()
    factor = math.sqrt(groups / (groups - 1))
    fit = sm.OLS(FRAME["z"], design()).fit(cov_type="cluster", cov_kwds=kwds)
    agree(run(method="linear", outcome="z", cluster="site"), fit, "beta", fit.bse * factor)
    fit = sm.GLM(FRAME["y"], design(), family=sm.families.Binomial()).fit(cov_type="cluster", cov_kwds=kwds)
    agree(run(method="logistic", cluster="site"), fit, "or", fit.bse * factor, 1e-5)


def test_weights_count_as_robust() -> None:
    import statsmodels.api as sm

    fit = sm.WLS(FRAME["z"], design(), weights=FRAME["w"]).fit(cov_type="HC0")
    factor = math.sqrt(len(FRAME) / (len(FRAME) - 1))
    agree(run(method="linear", outcome="z", weights="w"), fit, "beta", fit.bse * factor)


def test_risk_ratios() -> None:
    import statsmodels.api as sm

    fit = sm.GLM(FRAME["y"], design(), family=sm.families.Poisson()).fit(cov_type="HC0")
    agree(run(method="modified-poisson"), fit, "rr", fit.bse, 1e-5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the link does not keep to the binomial family's domain
        link = sm.families.Binomial(sm.families.links.Log())
    start = [math.log(FRAME["y"].mean()), 0.0, 0.0, 0.0]
    fit = sm.GLM(FRAME["y"], design(), family=link).fit(start_params=start, tol=1e-12, maxiter=200)
    agree(run(method="log-binomial"), fit, "rr", fit.bse, 1e-4)


def test_gee() -> None:
    import statsmodels.api as sm

    for family, theirs in (("binomial", sm.families.Binomial()), ("gaussian", sm.families.Gaussian())):
        outcome, measure = ("y", "or") if family == "binomial" else ("z", "beta")
        model = sm.GEE(FRAME[outcome], design(), FRAME["site"], family=theirs, cov_struct=sm.cov_struct.Independence())
        fit = model.fit(ctol=1e-10)
        got = run(method="gee", cluster="site", family=family, outcome=outcome, correlation="independence")
        agree(got, fit, measure, fit.bse, 1e-5)
        # The moment estimate of the correlation is corrected for the coefficients there, and not here.
        model = sm.GEE(FRAME[outcome], design(), FRAME["site"], family=theirs, cov_struct=sm.cov_struct.Exchangeable())
        fit = model.fit(ctol=1e-10)
        got = run(method="gee", cluster="site", family=family, outcome=outcome)
        agree(got, fit, measure, fit.bse, 5e-3)


def test_cox_with_ties_and_strata() -> None:
    from statsmodels.duration.hazard_regression import PHReg

    columns = FRAME[["x", "age", "sex"]].astype(float)
    for strata in (None, "site"):
        given_strata = {} if strata is None else {"strata": FRAME[strata]}
        model = PHReg(FRAME["time"], columns, status=FRAME["died"], ties="efron", **given_strata)
        fit = model.fit(tol=1e-12)
        more = {} if strata is None else {"strata": [strata]}
        got = run(method="cox", outcome={"time": "time", "event": "died"}, **more)
        for position, name in enumerate(("x", "age", "sex")):
            assert math.log(got[f"{name}/hr"]["estimate"]) == pytest.approx(fit.params[position], rel=1e-5, abs=1e-8)
            assert got[f"{name}/hr"]["se"] == pytest.approx(fit.bse[position], rel=1e-5)
        assert got["model/loglik"]["estimate"] == pytest.approx(fit.llf, rel=1e-9)


def test_separation_of_times_is_told() -> None:
    """Nobody of the one group dies: the hazard ratio has no estimate, whatever the rounding does far out."""
    for n in (4, 6, 8, 12, 30, 100):
        frame = pd.DataFrame({"x": [0] * n + [1] * n, "time": [*range(1, n + 1)] * 2, "died": [0] * n + [1] * n})
        got = run(frame, method="cox", covariates=[], outcome={"time": "time", "event": "died"})
        assert (got["x/hr"]["estimate"], got["x/hr"]["reason"]) == (None, "separation"), n


def test_score_residuals_of_cox_are_the_derivative_by_weight() -> None:
    """They sum to 0, and without ties leaving a person out moves the estimate by about its share."""
    rng = np.random.default_rng(8)
    x = rng.normal(size=(80, 2))
    time, event = rng.exponential(np.exp(-x[:, 0])), (rng.random(80) < 0.8).astype(float)
    fit = cox(x, time, event)
    assert fit.scores.sum(axis=0) == pytest.approx([0, 0], abs=1e-8)
    shares = fit.scores @ fit.covariance
    for i in (3, 40, 71):
        kept = np.arange(80) != i
        moved = fit.beta - cox(x[kept], time[kept], event[kept]).beta
        assert moved == pytest.approx(shares[i], abs=0.02)


def test_log_rank_and_medians() -> None:
    from statsmodels.duration.survfunc import SurvfuncRight, survdiff

    got = run(method="kaplan-meier", outcome={"time": "time", "event": "died"})
    statistic, p = survdiff(FRAME["time"], FRAME["died"], FRAME["x"])
    assert (got["x/logrank"]["estimate"], got["x/logrank"]["p"]) == pytest.approx((statistic, p))
    for level in (0, 1):
        own = FRAME[FRAME["x"] == level]
        theirs = SurvfuncRight(own["time"], own["died"])
        assert got[f"x={level}/median"]["estimate"] == theirs.quantile(0.5)
        times, survival, *_ = kaplan_meier(own["time"].to_numpy(float), own["died"].to_numpy(float), 0.95)
        known = dict(zip(times, survival, strict=True))
        assert [known[t] for t in theirs.surv_times] == pytest.approx(list(theirs.surv_prob))


def test_median_on_a_flat_stretch_is_its_middle() -> None:
    assert half(np.array([1.0, 2.0, 4.0]), np.array([0.75, 0.5, 0.25])) == 3.0
    assert math.isnan(half(np.array([1.0]), np.array([0.75])))


@given(st.integers(0, 10_000))
@settings(max_examples=12)
def test_conditional_likelihood_is_that_of_all_choices(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(14):
        size = int(rng.integers(3, 7))
        cases = int(rng.integers(1, size))
        for i in range(size):
            rows.append({"set": number, "y": int(i < cases), "x": float(rng.normal() + (i < cases) * 0.7)})
    frame = pd.DataFrame(rows)
    spec = parse_study(
        {
            "study": "c",
            "variables": {"y": {"type": "binary", "event": 1}},
            "exposure": "x",
            "outcome": "y",
            "analyses": [{"id": "a", "method": "conditional-logistic", "strata": "set"}],
        }
    )
    got = {e["id"]: e for e in associate(frame, spec)}

    def loss(beta: float) -> float:
        total = 0.0
        for _, own in frame.groupby("set"):
            x, cases = own["x"].to_numpy(), int(own["y"].sum())
            sums = [beta * x[list(c)].sum() for c in itertools.combinations(range(len(x)), cases)]
            total += beta * x[own["y"] == 1].sum() - special.logsumexp(sums)
        return -float(total)

    best = optimize.minimize_scalar(loss, bounds=(-6, 6), method="bounded", options={"xatol": 1e-9})
    assert math.log(got["a/x/or"]["estimate"]) == pytest.approx(best.x, abs=1e-5)
    assert got["a/model/loglik"]["estimate"] == pytest.approx(-best.fun, rel=1e-9)


def test_firth_is_the_maximum_of_the_penalised_likelihood() -> None:
    frame = pd.DataFrame({"x": [0] * 12 + [1] * 12, "y": [0] * 12 + [1] * 7 + [0] * 5, "age": list(range(24))})
    spec = parse_study(
        {
            "study": "f",
            "variables": {"y": {"type": "binary", "event": 1}, "x": {"type": "binary", "event": 1}},
            "exposure": "x",
            "outcome": "y",
            "analyses": [{"id": "a", "method": "firth"}, {"id": "l", "method": "logistic"}],
        }
    )
    got = {e["id"]: e for e in associate(frame, spec)}
    assert got["l/x/or"]["reason"] == "separation"
    # With one binary column the penalty is that of half an observation in every cell.
    assert got["a/x/or"]["estimate"] == pytest.approx((7.5 / 5.5) / (0.5 / 12.5), rel=1e-6)

    def penalised(intercept: float, slope: float) -> float:
        value = 0.0
        information = np.zeros((2, 2))
        for x, events, n in ((0, 0, 12), (1, 7, 12)):
            eta = intercept + slope * x
            value += events * eta - n * np.logaddexp(0, eta)
            row = np.array([1.0, x])
            information += n * special.expit(eta) * (1 - special.expit(eta)) * np.outer(row, row)
        return value + 0.5 * float(np.log(np.linalg.det(information)))

    def profile(slope: float) -> float:
        found = optimize.minimize_scalar(lambda a: -penalised(a, slope), bounds=(-15, 5), method="bounded")
        return -float(found.fun)

    top = profile(math.log(got["a/x/or"]["estimate"]))
    drop = stats.chi2.ppf(0.95, 1) / 2
    for end in ("low", "high"):
        assert top - profile(math.log(got["a/x/or"][end])) == pytest.approx(drop, abs=1e-4)
    assert got["a/x/or"]["p"] == pytest.approx(stats.chi2.sf(2 * (top - profile(0.0)), 1), abs=1e-4)


def test_aipw_by_hand() -> None:
    import statsmodels.api as sm

    got = run(method="aipw")["x/rd"]
    covariates = sm.add_constant(FRAME[["age", "sex"]].astype(float))
    share = sm.GLM(FRAME["x"], covariates, family=sm.families.Binomial()).fit().predict(covariates)
    outcome = sm.GLM(FRAME["y"], design(), family=sm.families.Binomial()).fit()
    m1, m0 = (outcome.predict(design().assign(x=float(v))) for v in (1, 0))
    x, y = FRAME["x"], FRAME["y"]
    own = (m1 + x * (y - m1) / share) - (m0 + (1 - x) * (y - m0) / (1 - share))
    assert got["estimate"] == pytest.approx(own.mean(), rel=1e-6)
    assert got["se"] == pytest.approx(own.std(ddof=0) / math.sqrt(len(own)), rel=1e-6)


def test_standard_error_of_standardisation_by_resampling() -> None:
    """The delta method takes the covariates as they are; drawing the outcome anew from the fit must give its spread."""
    import statsmodels.api as sm

    got = run(method="g-computation")
    fit = sm.GLM(FRAME["y"], design(), family=sm.families.Binomial()).fit()
    rng = np.random.default_rng(5)
    draws = rng.multivariate_normal(fit.params, fit.cov_params(), 4000)
    risks = [special.expit(design().assign(x=float(v)).to_numpy() @ draws.T).mean(axis=0) for v in (1, 0)]
    assert got["x/rd"]["se"] == pytest.approx((risks[0] - risks[1]).std(), rel=0.06)
    assert got["x/rr"]["se"] == pytest.approx(np.log(risks[0] / risks[1]).std(), rel=0.06)


def test_g_computation_sets_products_too() -> None:
    import statsmodels.api as sm

    got = run(method="g-computation", covariates=["age", "sex", "x:age"])
    both = design().assign(both=FRAME["x"] * FRAME["age"])
    fit = sm.GLM(FRAME["y"], both, family=sm.families.Binomial()).fit()
    risk = [fit.predict(both.assign(x=float(v), both=v * FRAME["age"])).mean() for v in (1, 0)]
    assert got["x/risk1"]["estimate"] == pytest.approx(risk[0], rel=1e-6)
    assert got["x/risk0"]["estimate"] == pytest.approx(risk[1], rel=1e-6)


@given(st.lists(st.tuples(st.integers(0, 30), st.booleans()), min_size=2, max_size=40), st.integers(1, 2))
@settings(max_examples=80)
def test_matching_by_plain_search(people: list[tuple[int, bool]], ratio: int) -> None:
    share = np.array([score / 31 for score, _ in people])
    a = np.array([int(treated) for _, treated in people])
    got = dict(matched_pairs(share, a, ratio))
    free = [i for i in range(len(a)) if a[i] == 0]
    want: dict[int, list[int]] = {}
    for _ in range(ratio):
        for t in sorted(np.flatnonzero(a == 1).tolist(), key=lambda i: -share[i]):
            if not free:
                break
            nearest = min(free, key=lambda i: (abs(share[i] - share[t]), i))
            free.remove(nearest)
            want.setdefault(t, []).append(nearest)
    assert got == want


def test_meta_analysis_by_hand() -> None:
    cells = np.array([[12, 120, 8, 118], [30, 200, 21, 190], [3, 50, 6, 49], [9, 80, 0, 85]], dtype=float)
    y, v = effects(cells, "or")
    assert y[3] == pytest.approx(math.log(9.5 * 85.5 / (71.5 * 0.5)))
    found = pool(y, v)
    w = 1 / v
    q = float((w * (y - np.average(y, weights=w)) ** 2).sum())
    tau2 = max(0.0, (q - 3) / (w.sum() - (w**2).sum() / w.sum()))
    assert (found["q"], found["tau2"]) == pytest.approx((q, tau2))
    assert found["i2"] == pytest.approx(100 * (q - 3) / q)
    assert found["random"] == pytest.approx(np.average(y, weights=1 / (v + tau2)))


def test_additive_interaction_by_resampling() -> None:
    import statsmodels.api as sm

    got = run(method="additive-interaction", covariates=["age"], **{"with": "sex"})
    columns = sm.add_constant(FRAME[["x", "sex", "age"]].astype(float)).assign(both=FRAME["x"] * FRAME["sex"])
    fit = sm.GLM(FRAME["y"], columns, family=sm.families.Binomial()).fit()
    one, other, both = (
        math.exp(v)
        for v in (fit.params["x"], fit.params["sex"], fit.params["x"] + fit.params["sex"] + fit.params["both"])
    )
    assert got["x:sex/reri"]["estimate"] == pytest.approx(both - one - other + 1, rel=1e-6)
    draws = np.random.default_rng(2).multivariate_normal(fit.params, fit.cov_params() / 100, 6000)
    b = {name: draws[:, i] for i, name in enumerate(columns.columns)}
    top = np.exp(b["x"] + b["sex"] + b["both"])
    spread = (top - np.exp(b["x"]) - np.exp(b["sex"]) + 1).std() * 10
    assert got["x:sex/reri"]["se"] == pytest.approx(spread, rel=0.06)


def test_imputation_recovers_what_was_taken_out() -> None:
    full = persons(3000, 11)
    rng = np.random.default_rng(4)
    holes = full.copy()
    # Missing at random: the older the likelier, and more so for events.
    chance = special.expit((full["age"] - 50) / 10 + full["y"] - 1.5)
    holes.loc[rng.random(len(full)) < chance, "x"] = np.nan
    holes.loc[rng.random(len(full)) < 0.15, "age"] = np.nan
    got = run(holes, method="imputation", imputations=12, iterations=5)
    again = run(holes, method="imputation", imputations=12, iterations=5)
    whole, complete = run(full, method="logistic"), run(holes, method="logistic")
    assert got == again
    assert got["x/or"]["n"] == 3000 > complete["x/or"]["n"]
    distance = abs(math.log(got["x/or"]["estimate"] / whole["x/or"]["estimate"]))
    assert distance < 2 * got["x/or"]["se"]
    assert whole["x/or"]["se"] < got["x/or"]["se"]
    assert 0.1 < got["x/fmi"]["estimate"] < 0.8


def test_imputation_of_nothing_is_the_model() -> None:
    got, model = run(method="imputation", imputations=3), run(method="logistic")
    for name in ("x", "age", "sex"):
        assert got[f"{name}/or"]["estimate"] == pytest.approx(model[f"{name}/or"]["estimate"])
        assert got[f"{name}/or"]["se"] == pytest.approx(model[f"{name}/or"]["se"])


@pytest.mark.parametrize(
    "analysis",
    [
        {"method": "gee"},
        {"method": "mantel-haenszel"},
        {"method": "likelihood-ratio", "add": ["sex"], "model": "probit"},
        {"method": "e-value", "of": "nothing/x/or"},
        {"method": "g-computation", "exposure": "age"},
        {"method": "cox"},
        {"method": "trend"},
        {"method": "logistic", "ratio": 2},
    ],
)
def test_what_does_not_fit_is_said(analysis: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as told:
        run(**analysis)
    assert "Traceback" not in str(told.value)


@given(st.integers(0, 10_000), st.integers(2, 12))
@settings(max_examples=8)
def test_no_table_is_too_small_to_answer(seed: int, n: int) -> None:
    """Every method answers with a number or a reason, never with an exception, whatever the few persons are."""
    rng = np.random.default_rng(seed)
    names = ("x", "y", "sex", "died")
    frame = pd.DataFrame({name: rng.integers(0, 2, n) for name in names})
    frame["age"], frame["z"] = rng.integers(20, 25, n).astype(float), rng.normal(size=n)
    frame["time"], frame["site"], frame["w"] = rng.integers(1, 4, n), rng.integers(0, 3, n), 1.0
    frame["q"] = rng.choice(["a", "b", "c"], n)
    survival = {"time": "time", "event": "died"}
    methods: list[dict[str, Any]] = [
        {"method": name}
        for name in ("two-by-two", "logistic", "modified-poisson", "log-binomial", "firth", "weighting", "matching")
    ]
    methods += [{"method": name} for name in ("aipw", "g-computation", "missing", "table-one")]
    methods += [
        {"method": "linear", "outcome": "z"},
        {"method": "conditional-logistic", "strata": "site"},
        {"method": "gee", "cluster": "site"},
        {"method": "cox", "outcome": survival},
        {"method": "kaplan-meier", "outcome": survival},
        {"method": "mantel-haenszel", "strata": ["site"]},
        {"method": "likelihood-ratio", "add": ["ns(z,3)"]},
        {"method": "trend", "exposure": "q"},
        {"method": "imputation", "imputations": 2, "iterations": 1},
        {"method": "additive-interaction", "with": "sex"},
    ]
    variables = {**BASE["variables"], "q": {"type": "category"}}  # type: ignore[dict-item]
    analyses = [{"id": str(i), **method} for i, method in enumerate(methods)]
    found = associate(frame, parse_study({**BASE, "variables": variables, "analyses": analyses}))
    assert {e["analysis"] for e in found} == {a["id"] for a in analyses}
    assert all(e["estimate"] is not None or e["reason"] for e in found)

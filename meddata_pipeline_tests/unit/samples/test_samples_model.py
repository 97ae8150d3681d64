"""The causal model plants what it says it plants, and nothing in the way to the cohort's columns dilutes it."""

from __future__ import annotations

import dataclasses
from datetime import date

import numpy as np
import pandas as pd
import pytest

from meddata_pipeline.core.errors import BadInput
from meddata_pipeline.samples import model
from meddata_pipeline.samples.frames import deid_frames
from meddata_pipeline.samples.model import Population, chunks, completed_years, recorded_crp, simulate


def _logistic(columns: list[np.ndarray], outcome: np.ndarray) -> float:
    """Odds ratio of the first column, by Newton's method: independent of the product's own estimators."""
    x = np.column_stack([np.ones(len(outcome)), *columns]).astype(float)
    beta = np.zeros(x.shape[1])
    for _ in range(30):
        p = 1 / (1 + np.exp(-x @ beta))
        beta += np.linalg.solve((x * (p * (1 - p))[:, None]).T @ x, x.T @ (outcome - p))
    return float(np.exp(beta[1]))


def _odds_ratios(population: Population) -> tuple[float, float]:
    """Crude and adjusted odds ratio per sample standard deviation, from what the files would show."""
    crp = recorded_crp(population)
    keep = population.eligible & population.bmi_known & population.smoking_known & ~np.isnan(crp)
    p = population.take(keep)
    low = p.crp_lod & (crp[keep] < 0.5)
    z = np.log(np.where(low, 0.5 / np.sqrt(2), crp[keep]))
    z = z / z.std(ddof=1)
    covariates = [np.minimum(p.age, 90), p.male, p.smoking, p.bmi, p.diabetes, p.caries, p.periodontitis]
    return _logistic([z], p.pulpitis), _logistic([z, *covariates], p.pulpitis)


def test_the_planted_ratio_comes_back_and_the_crude_one_is_confounded() -> None:
    ratios = np.log([_odds_ratios(simulate(3000, seed)) for seed in range(12)])
    crude, adjusted = np.exp(ratios.mean(axis=0))
    assert 1.25 < adjusted < 1.35
    assert 1.37 < crude < 1.48


def test_without_an_effect_only_confounding_is_left() -> None:
    crude, adjusted = _odds_ratios(simulate(60_000, 3, "null"))
    assert 0.97 < adjusted < 1.03
    assert crude > 1.06


def test_a_large_sample_shows_the_conditional_ratio_closely() -> None:
    assert _odds_ratios(simulate(150_000, 8))[1] == pytest.approx(1.30, abs=0.025)


def test_the_standardising_constants_are_those_of_the_population() -> None:
    ln_crp = np.concatenate([p.ln_crp[p.age >= 14] for p in chunks(200_000, 77)])
    assert ln_crp.mean() == pytest.approx(model.LN_CRP_MEAN, abs=0.008)
    assert ln_crp.std() == pytest.approx(model.LN_CRP_SD, rel=0.008)


def test_the_population_looks_like_a_dental_clinic() -> None:
    p = simulate(30_000, 5)
    assert 0.27 < p.pulpitis[p.eligible].mean() < 0.40
    assert 0.03 < (p.age < 14).mean() < 0.10
    assert 0.003 < (p.age > 89).mean() < 0.015
    low = p.crp_lod & p.crp_known & (recorded_crp(p) < 0.5)
    assert 0.001 < low.mean() < 0.02
    assert set(np.unique(p.group)) == set(range(len(model.GROUPS)))


def test_chunks_are_the_same_persons_as_the_whole() -> None:
    whole = simulate(model.CHUNK + 50, 4)
    parts = list(chunks(model.CHUNK + 50, 4))
    assert [len(p) for p in parts] == [model.CHUNK, 50]
    for f in dataclasses.fields(Population):
        value = getattr(whole, f.name)
        if isinstance(value, np.ndarray):
            np.testing.assert_array_equal(value, np.concatenate([getattr(p, f.name) for p in parts]))


def test_scenarios_share_their_persons_but_not_their_outcomes() -> None:
    effect, null = simulate(2000, 6), simulate(2000, 6, "null")
    np.testing.assert_array_equal(effect.ln_crp, null.ln_crp)
    assert (effect.pulpitis != null.pulpitis).any()


@pytest.mark.parametrize(
    ("birth", "on", "years"),
    [
        ("2000-02-29", "2018-02-28", 17),
        ("2000-02-29", "2018-03-01", 18),
        ("1990-05-05", "1990-05-05", 0),
        ("1933-12-31", "2024-01-01", 90),
    ],
)
def test_completed_years(birth: str, on: str, years: int) -> None:
    days = [np.array([text], dtype="datetime64[D]") for text in (birth, on)]
    assert completed_years(*days).tolist() == [years]


@pytest.mark.parametrize("wrong", [{"scenario": "none"}, {"n": 0}, {"seed": -1}, {"days": 0}, {"hospitals": 0}])
def test_wrong_arguments_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(BadInput):
        simulate(**{"n": 10, "seed": 1, **wrong})  # type: ignore[arg-type]


def test_frames_hold_only_admitted_persons_and_no_direct_identifier() -> None:
    p = simulate(1500, 2, start=date(2024, 3, 1))
    frames = deid_frames(p)
    persons = {f"P{number:08d}" for number in p.number[p.eligible]}
    assert set(frames["patient"]["person_id"]) == persons
    for kind, frame in frames.items():
        assert set(frame["person_id"]) <= persons, kind
        assert not {"name", "doctor", "mobile"} & set(frame.columns) - ({"name"} if kind != "patient" else set())
        assert not frame["record_key"].duplicated().any(), kind


def test_frames_carry_the_outcome_by_tooth() -> None:
    p = simulate(1500, 2)
    diagnoses = deid_frames(p)["diagnosis"]
    cases = diagnoses[diagnoses["code"].str.startswith("K04.0") & ~diagnoses["negated"].astype(bool)]
    assert set(cases["person_id"]) == {f"P{n:08d}" for n in p.number[p.eligible & p.pulpitis]}
    teeth = cases[cases["visit_no"].str.endswith("-0")].groupby("person_id")["tooth"].nunique()
    planted = pd.Series((p.teeth > 0).sum(axis=1), [f"P{n:08d}" for n in p.number])
    assert (teeth == planted.reindex(teeth.index)).all()

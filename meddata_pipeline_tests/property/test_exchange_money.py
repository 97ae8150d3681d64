"""Money is never lost or made: whatever the rules and the hospitals, the parts sum to the price."""

from __future__ import annotations

import itertools
from fractions import Fraction
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from meddata_pipeline.core.errors import Refused
from meddata_pipeline.core.offer import parse_fen, parse_rate
from meddata_pipeline.exchange.pricing import estimate, yuan
from meddata_pipeline.exchange.settlement import Settlement, largest_remainder, settle
from meddata_pipeline_tests.unit.exchange.trade import RAW, offer

_RATES = st.integers(0, 10_000).map(lambda n: f"{n // 100}.{n % 100:02d}%")
_SMALL_RATES = st.integers(0, 2_000).map(lambda n: f"{n // 100}.{n % 100:02d}%")
_NAMES = st.text("abcdefghij0123456789-:医院", min_size=1, max_size=12)
_GROSS = st.one_of(st.integers(1, 200), st.integers(1, 10**13))


@st.composite
def _charges(draw: st.DrawFn) -> list[dict[str, Any]]:
    made = []
    for number in range(draw(st.integers(0, 3))):
        charge = {"id": f"c{number}", "title": "c", "payee": "x", "rate": draw(_SMALL_RATES)}
        charge["base"] = draw(st.sampled_from(["gross", "included"]))
        charge["fixed"] = f"{draw(st.integers(0, 50))} fen"
        made.append(charge)
    return made


@st.composite
def _shares(draw: st.DrawFn) -> dict[str, Any]:
    rule: dict[str, Any] = {"by": draw(st.sampled_from(["persons", "equal"]))}
    rule["weights"] = {
        name: f"{weight // 1000}.{weight % 1000:03d}"
        for name, weight in draw(st.dictionaries(_NAMES, st.integers(0, 5000), max_size=4)).items()
    }
    if draw(st.booleans()):
        rule["operator"] = {"id": "operator", "title": "o", "share": draw(_RATES)}
    return rule


@settings(max_examples=300, deadline=None)
@given(
    gross=_GROSS,
    fees=_charges(),
    shares=_shares(),
    contributions=st.dictionaries(_NAMES, st.integers(0, 10**7), max_size=60),
)
def test_payouts_fees_and_taxes_sum_to_the_price(
    gross: int, fees: list[dict[str, Any]], shares: dict[str, Any], contributions: dict[str, int]
) -> None:
    taxes = [{"id": "vat", "title": "v", "payee": "t", "rate": "6%", "base": "included"}]
    terms = offer(fees=fees, taxes=taxes, shares=shares)
    try:
        made = settle("order", gross, terms, contributions)
    except Refused as refusal:
        assert refusal.reasons[0].code in ("no-contributions", "charges-exceed-price")
        if refusal.reasons[0].code == "no-contributions":
            assert not any(n and terms.shares.weights.get(name, Fraction(1)) for name, n in contributions.items())
        return
    lines = (*made.taxes, *made.fees, *made.payouts)
    assert sum(line.amount_fen for line in lines) == gross
    assert all(line.amount_fen >= 0 for line in lines)
    assert all(line.amount_fen == 0 for line in made.payouts if contributions.get(line.party) == 0)
    reordered = dict(sorted(contributions.items(), key=lambda item: item[0][::-1]))
    assert settle("order", gross, terms, reordered) == made
    assert Settlement.from_dict(made.as_dict()) == made


@settings(max_examples=300, deadline=None)
@given(
    total=st.integers(0, 10**15),
    weights=st.dictionaries(_NAMES, st.integers(0, 10**9), min_size=1, max_size=200).filter(lambda w: any(w.values())),
)
def test_nobody_is_a_whole_fen_away_from_the_exact_share(total: int, weights: dict[str, int]) -> None:
    parts = largest_remainder(total, {name: Fraction(weight) for name, weight in weights.items()})
    assert sum(parts.values()) == total
    everything = sum(weights.values())
    for name, part in parts.items():
        assert abs(part - Fraction(total * weights[name], everything)) < 1
    # More weight never means less money.
    ranked = sorted(weights, key=lambda name: (weights[name], parts[name]))
    for less, more in itertools.pairwise(ranked):
        assert parts[less] <= parts[more]


@settings(max_examples=200, deadline=None)
@given(fen=st.integers(0, 10**15 - 1), space=st.sampled_from(["", " "]))
def test_amounts_survive_being_written_and_read(fen: int, space: str) -> None:
    assert parse_fen(yuan(fen).replace(",", "") + space + "元") == fen
    assert parse_fen(f"{fen // 100}{space}fen") == fen // 100


@settings(max_examples=200, deadline=None)
@given(
    costs=st.lists(st.integers(0, 10**10), min_size=1, max_size=6),
    margin=_RATES,
    sales=st.integers(1, 500),
    low=_RATES,
    step=st.integers(1, 100_000),
    quality=st.floats(0, 1),
)
def test_an_estimate_is_a_range_in_whole_steps_that_adds_up(
    costs: list[int], margin: str, sales: int, low: str, step: int, quality: float
) -> None:
    items = [{"category": "cleaning", "title": "c", "amount": f"{fen} fen"} for fen in costs]
    factors = [{"at_least": "0", "factor": "80%"}, {"at_least": "0.95", "factor": "105%"}]
    rule = {
        **RAW["price"],
        "margin": margin,
        "expected_sales": sales,
        "low": low,
        "round_to": f"{step} fen",
        "modifiers": [{"fact": "quality", "reason": "q", "steps": factors}],
    }
    made = estimate(offer(costs=items, price=rule), {"quality": quality})
    assert 0 <= made["low_fen"] <= made["point_fen"] <= made["high_fen"]
    assert all(made[name] % step == 0 for name in ("low_fen", "point_fen", "high_fen"))
    assert made["costs_fen"] == sum(costs) == sum(part["amount_fen"] for part in made["breakdown"])
    exact = sum(costs) * (1 + parse_rate(margin)) / sales * parse_rate("105%" if quality >= 0.95 else "80%")
    assert abs(made["point_fen"] - exact) <= Fraction(step, 2)

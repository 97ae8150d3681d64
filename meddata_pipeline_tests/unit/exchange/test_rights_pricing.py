"""The rights statement claims nothing it has not seen; the price estimate adds up and explains itself."""

from __future__ import annotations

import json
from datetime import date

import pytest

from meddata_pipeline.core.errors import BadInput
from meddata_pipeline.exchange.pricing import estimate, percent, yuan
from meddata_pipeline.exchange.rights import missing_rights, statement
from meddata_pipeline_tests.unit.exchange.trade import CONTRIBUTIONS, RAW, offer


def test_missing_evidence_is_named_per_hospital_and_right() -> None:
    made = statement(offer(), {"hospital-a": 5, "hospital-b": 1, "hospital-c": 0})
    states = {h["hospital"]: [r["status"] for r in h["rights"]] for h in made["holders"]}
    assert states == {"hospital-a": ["present", "present", "missing"], "hospital-b": ["missing"] * 3}
    assert not made["complete"]
    assert {(r.code, r.where) for r in missing_rights(made)} == {
        ("rights-missing", "hospital-a"),
        ("rights-missing", "hospital-b"),
    }


def test_evidence_expires_the_day_after_its_last_day() -> None:
    document = {"document": "d", "sha256": "a" * 64, "valid_until": date(2024, 6, 30)}
    rights = {"title": "A", "holding": [document], "processing": [document], "operating": [document]}
    terms = offer(holders={"hospital-a": rights})
    assert statement(terms, {"hospital-a": 1}, as_of=date(2024, 6, 30))["complete"]
    late = statement(terms, {"hospital-a": 1}, as_of=date(2024, 7, 1))
    assert [reason.code for reason in missing_rights(late)] == ["rights-expired"] * 3


def test_nobody_is_no_complete_set_of_rights_holders() -> None:
    made = statement(offer(), {})
    assert not made["complete"]
    assert missing_rights(made)


def test_the_rights_statement_tells_no_counts() -> None:
    assert statement(offer(), CONTRIBUTIONS) == statement(offer(), dict.fromkeys(CONTRIBUTIONS, 1))


def test_the_estimate_by_hand() -> None:
    made = estimate(offer(), {})
    # (1000.01 + 500.00) x 1.2 / 3 = 600.004 yuan; low: 80 % is 480, but one sale must bear 500.00333.
    assert (made["low_fen"], made["point_fen"], made["high_fen"]) == (50_000, 60_000, 78_000)
    assert {b["category"]: b["amount_fen"] for b in made["breakdown"]} == {"cleaning": 100_001, "analysis": 50_000}
    assert sum(b["amount_fen"] for b in made["breakdown"]) == made["costs_fen"]
    assert all(step["reason"]["zh"] and step["reason"]["en"] for step in made["steps"])
    json.dumps(made)


def test_modifiers_step_at_their_limits_and_say_when_a_fact_is_absent() -> None:
    steps = [{"at_least": "0.5", "factor": "50%"}, {"at_least": "0.97", "factor": "110%"}]
    terms = offer(price={**RAW["price"], "modifiers": [{"fact": "quality", "reason": "quality", "steps": steps}]})
    # 0.97 as a binary float lies below 97/100; it must count as 0.97 all the same.
    points = {q: estimate(terms, {"quality": q})["point_fen"] for q in (0.4, 0.5, 0.9699999, 0.97, 1)}
    assert points == {0.4: 60_000, 0.5: 30_000, 0.9699999: 30_000, 0.97: 66_000, 1: 66_000}
    absent = estimate(terms, {})
    assert absent["point_fen"] == 60_000
    assert any("not known" in step["reason"]["en"] for step in absent["steps"])
    with pytest.raises(BadInput):
        estimate(terms, {"quality": float("nan")})


def test_amounts_and_rates_as_people_write_them() -> None:
    assert yuan(123_456_789) == "1,234,567.89"
    assert yuan(5) == "0.05"
    assert percent(offer().fees[0].rate) == "2.5%"
    assert percent(offer().price.low * 0) == "0%"
    assert percent(offer().price.low * 125) == "10000%"

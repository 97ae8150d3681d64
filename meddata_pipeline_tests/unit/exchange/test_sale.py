"""Settlement and sale: exact to the fen, once, and safe to be killed and called again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from meddata_pipeline.core.errors import BadInput, Refused
from meddata_pipeline.exchange import sale
from meddata_pipeline.exchange.bundle import verify
from meddata_pipeline.exchange.recipients import demo_buyer, recipient_of
from meddata_pipeline.exchange.sale import sell
from meddata_pipeline.exchange.settlement import Settlement, settle, settle_order
from meddata_pipeline.exchange.signing import Signer
from meddata_pipeline.storage.ledger import Ledger
from meddata_pipeline_tests.unit.exchange.ledgers import KINDS, fresh_ledger
from meddata_pipeline_tests.unit.exchange.trade import (
    CONTRIBUTIONS,
    KEYRING,
    RAW,
    REAL,
    offer,
    publish,
    release_signer,
)

IDENTITY = demo_buyer(KEYRING)
BUYER = recipient_of(IDENTITY)


def test_a_settlement_by_hand() -> None:
    made = settle("order-1", 106_000, offer(), {"hospital-a": 2, "hospital-b": 1, "hospital-c": 0})
    # VAT within the price: 106000 x 0.06 / 1.06 = 6000; fee 2.5 % = 2650; rest 97350: 30 % = 29205, 68145 in 2 : 1.
    assert {line.id: line.amount_fen for line in (*made.taxes, *made.fees)} == {"vat": 6000, "exchange": 2650}
    assert {line.party: line.amount_fen for line in made.payouts} == {
        "hospital-a": 45_430,
        "hospital-b": 22_715,
        "hospital-c": 0,
        "operator": 29_205,
    }


def test_a_tie_goes_to_the_name_that_sorts_first_and_to_hospitals_before_the_operator() -> None:
    terms = offer(fees=[], taxes=[], shares={"operator": {"id": "a-operator", "title": "o", "share": "50%"}})
    assert [line.amount_fen for line in settle("o", 3, terms, {"z": 1}).payouts] == [2, 1]
    even = offer(fees=[], taxes=[], shares={"by": "equal"})
    for order in (["b", "a", "c"], ["c", "b", "a"]):
        paid = settle("o", 101, even, dict.fromkeys(order, 5)).payouts
        assert [(line.party, line.amount_fen) for line in paid] == [("a", 34), ("b", 34), ("c", 33)]


def test_weights_and_limits_of_charges() -> None:
    fee = {"id": "f", "title": "f", "payee": "x", "rate": "10%", "minimum": "5 fen", "maximum": "20 fen"}
    terms = offer(fees=[fee], taxes=[], shares={"weights": {"b": "3"}})
    assert [settle("o", gross, terms, {"a": 1}).fees[0].amount_fen for gross in (10, 100, 1000)] == [5, 10, 20]
    assert [line.amount_fen for line in settle("o", 420, terms, {"a": 1, "b": 1}).payouts] == [100, 300]


@pytest.mark.parametrize(
    ("gross", "contributions", "code"),
    [(1000, {}, "no-contributions"), (1000, {"a": 0}, "no-contributions"), (50, {"a": 1}, "charges-exceed-price")],
)
def test_what_cannot_be_settled_is_refused(gross: int, contributions: dict[str, int], code: str) -> None:
    with pytest.raises(Refused) as refusal:
        settle("o", gross, offer(), contributions)
    assert refusal.value.reasons[0].code == code


@pytest.mark.parametrize(
    ("gross", "contributions"), [(0, {"a": 1}), (1.5, {"a": 1}), (100, {"a": -1}), (100, {"a": 0.5})]
)
def test_inexact_amounts_are_bad_input(gross: Any, contributions: Any) -> None:
    with pytest.raises(BadInput):
        settle("o", gross, offer(), contributions)


@pytest.mark.parametrize("kind", KINDS)
def test_a_settlement_is_posted_once_and_keeps_its_first_rules(kind: str, tmp_path: Path) -> None:
    with fresh_ledger(kind, tmp_path) as ledger:
        ledger.place_order("order-1", "demo", "1.1", BUYER, 99_999)
        made = settle_order(ledger, "order-1", offer(), CONTRIBUTIONS)
        assert settle_order(ledger, "order-1", offer(fees=[]), {"hospital-z": 1}) == made
        assert Settlement.from_dict(made.as_dict()) == made
        balances = ledger.balances()
        assert sum(balances.values()) == 0
        assert balances[f"receivable:{BUYER}"] == 99_999
        assert balances["payable:hospital:hospital-a"] == -next(
            line.amount_fen for line in made.payouts if line.party == "hospital-a"
        )
        with pytest.raises(BadInput, match="no such order"):
            settle_order(ledger, "order-2", offer(), CONTRIBUTIONS)


def _sell(home: Path, ledger: Ledger, price: int = 60_000, **changes: Any) -> dict[str, Any]:
    given: dict[str, Any] = {"offer": offer(), "ledger": ledger, "signer": release_signer(), **changes}
    return sell(home, "1.1", BUYER, price, **given)


def test_one_sale_from_order_to_the_buyers_check(tmp_path: Path) -> None:
    publish(tmp_path)
    with fresh_ledger("sqlite", tmp_path) as ledger:
        sold = _sell(tmp_path, ledger)
        again = _sell(tmp_path, ledger, offer=offer(terms={**RAW["terms"], "months": 6}))
        assert again == sold
        with pytest.raises(Refused) as refusal:
            _sell(tmp_path, ledger, price=60_001)
        assert refusal.value.reasons[0].code == "key-reused"
        assert [event.kind for event in ledger.events(subject="demo/1.1")] == ["order", "delivery", "settlement"]
        assert sum(ledger.balances().values()) == 0
    assert len(list((tmp_path / "products/demo/bundles").iterdir())) == 1
    assert sold["demo"]
    assert not sold["rights_complete"]
    assert verify(tmp_path / sold["bundle"], IDENTITY, release_signer().public)["trusted"]
    settled = sold["settlement"]
    lines = [line["amount_fen"] for part in ("taxes", "fees", "payouts") for line in settled[part]]
    assert sum(lines) == settled["gross_fen"] == 60_000


def test_real_keys_sell_only_with_complete_rights(tmp_path: Path) -> None:
    publish(tmp_path, keyring=REAL)
    signer = Signer.from_keyring(REAL, "release")
    with fresh_ledger("sqlite", tmp_path) as ledger:
        with pytest.raises(Refused) as refusal:
            _sell(tmp_path, ledger, signer=signer)
        assert {(r.code, r.where) for r in refusal.value.reasons} >= {("rights-missing", "hospital-c")}
        assert ledger.orders() == []
        evidence = [{"document": "d", "sha256": "a" * 64}]
        holder = {"title": "H", "holding": evidence, "processing": evidence, "operating": evidence}
        complete = offer(holders=dict.fromkeys(CONTRIBUTIONS, holder))
        sold = _sell(tmp_path, ledger, signer=signer, offer=complete)
        assert sold["rights_complete"]
        assert not sold["demo"]


def test_what_cannot_be_settled_is_not_even_ordered(tmp_path: Path) -> None:
    publish(tmp_path)
    with fresh_ledger("sqlite", tmp_path) as ledger:
        with pytest.raises(Refused):
            _sell(tmp_path, ledger, price=50)
        with pytest.raises(BadInput, match="age key"):
            sell(tmp_path, "1.1", "age1x", 60_000, offer=offer(), ledger=ledger, signer=release_signer())
        assert ledger.orders() == []
        assert ledger.events() == []


class _Killed(BaseException):
    """The process is gone."""


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize(
    ("owner", "name", "nth"),
    [
        (Ledger, "place_order", 1),
        (Ledger, "record_event", 1),
        (Ledger, "record_event", 2),
        (Ledger, "record_event", 3),
        (Ledger, "post", 1),
        (sale, "bundle", 1),
    ],
)
def test_a_sale_may_be_killed_around_any_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, nth: int, after: bool
) -> None:
    publish(tmp_path)
    real = getattr(owner, name)
    calls = 0

    def killed(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == nth and not after:
            raise _Killed
        answer = real(*args, **kwargs)
        if calls == nth:
            raise _Killed
        return answer

    with fresh_ledger("sqlite", tmp_path) as ledger, monkeypatch.context() as patched:
        patched.setattr(owner, name, killed)
        with pytest.raises(_Killed):
            _sell(tmp_path, ledger)
    with fresh_ledger("sqlite", tmp_path) as ledger:
        sold = _sell(tmp_path, ledger)
        assert len(ledger.orders()) == 1
        assert len(ledger.events()) == 3
        assert ledger.balances()[f"receivable:{BUYER}"] == 60_000
    assert len(list((tmp_path / "products/demo/bundles").iterdir())) == 1
    assert verify(tmp_path / sold["bundle"], IDENTITY, release_signer().public)["trusted"]

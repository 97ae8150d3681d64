"""The settlement of one sale: taxes and fees by rule, the rest among the hospitals, exact to the fen.

What belongs here: the arithmetic and its posting to the ledger. What does not: moving money, which the exchange and the
banks do. Whatever the rules say, payouts + fees + taxes = price.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Any

from meddata_pipeline.core.errors import BadInput, Reason, Refused
from meddata_pipeline.core.offer import Charge, OfferTerms
from meddata_pipeline.exchange.pricing import round_half_up
from meddata_pipeline.storage.ledger import Ledger


@dataclass(frozen=True)
class Line:
    """One amount and who gets it.

    Attributes:
        id: fee, tax, hospital or operator.
        party: who is paid.
        amount_fen: amount in fen, never negative.
        basis: how it came about, for people: rate, or persons and weight as a share of the rest.
    """

    id: str
    party: str
    amount_fen: int
    basis: str


@dataclass(frozen=True)
class Settlement:
    """The division of one price; ``gross_fen`` is the sum of all lines, ``net_fen`` that of the payouts."""

    order_id: str
    product: str
    gross_fen: int
    net_fen: int
    taxes: tuple[Line, ...]
    fees: tuple[Line, ...]
    payouts: tuple[Line, ...]

    def as_dict(self) -> dict[str, Any]:
        """The settlement as plain JSON."""
        parts = {name: [asdict(line) for line in getattr(self, name)] for name in ("taxes", "fees", "payouts")}
        return {**asdict(self), **parts}

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Settlement:
        """The inverse of :meth:`as_dict`."""
        parts = {name: tuple(Line(**line) for line in raw[name]) for name in ("taxes", "fees", "payouts")}
        return cls(**{**raw, **parts})


def largest_remainder(total: int, quotas: Mapping[str, Fraction]) -> dict[str, int]:
    """Divide a whole amount in proportion, exactly.

    Everybody gets the whole part of their quota; what is left goes, one by one, to the largest remainders, and among
    equal remainders to the name that sorts first.

    Args:
        total: whole amount in fen, not negative.
        quotas: name → weight, not negative, at least one positive.

    Returns:
        name → whole amount in fen, sorted by name; they sum to ``total``.

    Raises:
        BadInput: a weight or the total is negative, or all weights are zero.

    Source:
        Hamilton's method (largest remainder).
    """
    weight = sum(quotas.values(), Fraction(0))
    if total < 0 or weight <= 0 or any(quota < 0 for quota in quotas.values()):
        raise BadInput("An amount can be divided by positive weights only", where="largest remainder")
    exact = {name: total * Fraction(quotas[name]) / weight for name in sorted(quotas)}
    parts = {name: int(value) for name, value in exact.items()}
    left = total - sum(parts.values())
    for name in sorted(exact, key=lambda name: (parts[name] - exact[name], name))[:left]:
        parts[name] += 1
    return parts


def _charge(charge: Charge, gross_fen: int) -> Line:
    rate = charge.rate / (1 + charge.rate) if charge.base == "included" else charge.rate
    amount = max(round_half_up(gross_fen * rate) + charge.fixed, charge.minimum)
    if charge.maximum is not None:
        amount = min(amount, charge.maximum)
    return Line(charge.id, charge.payee, amount, f"{charge.base} {charge.rate}")


def settle(order_id: str, gross_fen: int, offer: OfferTerms, contributions: Mapping[str, int]) -> Settlement:
    """Divide the price of one sale.

    Taxes and fees come first, each rounded to the fen by itself; the rest is divided by largest remainder among the
    operator (its share) and the hospitals (persons or equally, times weight).

    Args:
        order_id: the order.
        gross_fen: price including taxes, in fen.
        offer: fees, taxes and shares.
        contributions: hospital → persons in the version that is sold.

    Returns:
        The settlement; the same arguments give the same one.

    Raises:
        BadInput: the price is not a positive whole number of fen, or a contribution is negative.
        Refused: nobody contributed, or taxes and fees exceed the price.
    """
    if isinstance(gross_fen, bool) or not isinstance(gross_fen, int) or gross_fen <= 0:
        raise BadInput("The price must be a positive whole number of fen", where="price")
    if any(isinstance(n, bool) or not isinstance(n, int) or n < 0 for n in contributions.values()):
        raise BadInput("Contributions are whole numbers of persons, not negative", where="contributions")
    taxes = tuple(_charge(charge, gross_fen) for charge in offer.taxes)
    fees = tuple(_charge(charge, gross_fen) for charge in offer.fees)
    net = gross_fen - sum(line.amount_fen for line in (*taxes, *fees))
    if net < 0:
        reason = Reason("charges-exceed-price", "Taxes and fees exceed the price", offer.product)
        raise Refused("Nothing is left to share", reasons=[reason], where=order_id)
    return Settlement(order_id, offer.product, gross_fen, net, taxes, fees, _payouts(net, offer, contributions))


def _payouts(net: int, offer: OfferTerms, contributions: Mapping[str, int]) -> tuple[Line, ...]:
    rule = offer.shares
    weights: dict[str, Fraction] = {}
    for hospital, persons in contributions.items():
        counted = persons if rule.by == "persons" else min(persons, 1)
        weights[hospital] = counted * rule.weights.get(hospital, Fraction(1))
    total = sum(weights.values(), Fraction(0))
    if not total:
        reason = Reason("no-contributions", "No hospital has a share in this version", offer.product)
        raise Refused("There is nobody to share among", reasons=[reason], where=offer.product)
    operator = rule.operator
    rest = 1 - operator.share if operator else Fraction(1)
    # "hospital:" sorts before "operator:", so that a tie favours the hospitals.
    quotas = {f"hospital:{name}": rest * weight / total for name, weight in weights.items()}
    if operator:
        quotas[f"operator:{operator.id}"] = operator.share
    return tuple(
        Line(key.split(":", 1)[0], key.split(":", 1)[1], amount, f"share {quotas[key]}")
        for key, amount in largest_remainder(net, quotas).items()
    )


def settle_order(ledger: Ledger, order_id: str, offer: OfferTerms, contributions: Mapping[str, int]) -> Settlement:
    """Settle an order and post it, once: asked again, the settlement that was posted comes back.

    Debit: what the buyer owes. Credit: what is due to the tax office, the exchange, the hospitals, the operator.

    Args:
        ledger: holds the order.
        order_id: the order.
        offer: fees, taxes and shares.
        contributions: hospital → persons in the version that was sold.

    Raises:
        BadInput: no such order.
        Refused: see :func:`settle`.
    """
    key = f"settle:{order_id}"
    posted = ledger.posting(key)
    if posted is None:
        order = ledger.order(order_id)
        if order is None:
            raise BadInput("The ledger holds no such order", where=order_id)
        settlement = settle(order_id, order.price_fen, offer, contributions)
        lines = [
            *((f"tax:{line.party}:{line.id}", line.amount_fen) for line in settlement.taxes),
            *((f"fee:{line.party}:{line.id}", line.amount_fen) for line in settlement.fees),
            *((f"payable:{line.id}:{line.party}", line.amount_fen) for line in settlement.payouts),
        ]
        entries = [(f"receivable:{order.buyer}", order.price_fen), *((name, -fen) for name, fen in lines if fen)]
        posted = ledger.post(key, "settlement", order_id, entries, settlement.as_dict())
    return Settlement.from_dict(posted.payload)

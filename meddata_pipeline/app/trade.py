"""The trade as people ask for it: the price and rights of a product, an order, its settlement.

What belongs here: finding what exchange needs. What does not: prices, bundles and divisions themselves (exchange).
"""

from __future__ import annotations

from typing import Any

from meddata_pipeline.app import candidates, dossier, status
from meddata_pipeline.app.workplace import Workplace
from meddata_pipeline.core.errors import BadInput
from meddata_pipeline.storage.lake import Partition


def _offered(workplace: Workplace, product: str) -> dict[str, Any] | None:
    """Rights and price as they stand in the candidate, or None where there is none."""
    if status.manifests(workplace.settings).manifest(Partition("candidate", "offer", (product,))) is None:
        return None
    return dossier.part(workplace, "offer", product)


def price(workplace: Workplace, product: str) -> dict[str, Any]:
    """The price estimate: of the candidate, else from offer.yaml alone (facts of the data then count as not known)."""
    from meddata_pipeline.exchange import pricing

    candidates.spec_of(workplace, product)
    offered = _offered(workplace, product)
    if offered is not None:
        return {**offered["price"], "of_candidate": True}
    return {**pricing.estimate(candidates.offer_of(workplace, product), {}), "of_candidate": False}


def rights(workplace: Workplace, product: str) -> dict[str, Any]:
    """Which evidence of the three rights each hospital has supplied.

    Raises:
        BadInput: the product has no candidate, so nobody contributes yet.
    """
    candidates.spec_of(workplace, product)
    offered = _offered(workplace, product)
    if offered is None:
        raise BadInput("There is no candidate of this product", where=product, next_step="Run `meddata run` first")
    statement: dict[str, Any] = offered["rights"]
    return statement


def place_order(workplace: Workplace, product: str, version: str, buyer: str, price_fen: int) -> dict[str, Any]:
    """Sell a version to a buyer: order, encrypted bundle, settlement; asked again, nothing happens twice.

    Raises:
        BadInput: unknown version, malformed recipient or price.
        Refused: rights are incomplete, access is controlled, or the order exists at another price.
    """
    from meddata_pipeline.exchange import release, sale
    from meddata_pipeline.exchange.signing import Signer

    status.require_home(workplace.settings)
    offer = candidates.offer_of(workplace, product)
    release.find_version(workplace.home, product, version)
    signer = Signer.from_keyring(workplace.keyring, "publisher")
    with workplace.ledger() as ledger:
        return sale.sell(workplace.home, version, buyer, price_fen, offer=offer, ledger=ledger, signer=signer)


def orders(workplace: Workplace) -> list[dict[str, Any]]:
    """All orders of the home, oldest first."""
    status.require_home(workplace.settings)
    with workplace.ledger() as ledger:
        return [
            {
                "order": order.id,
                "product": order.product,
                "version": order.version,
                "buyer": order.buyer,
                "price_fen": order.price_fen,
                "at": order.at,
                "settled": ledger.posting(f"settle:{order.id}") is not None,
            }
            for order in ledger.orders()
        ]


def settle(workplace: Workplace, number: str) -> dict[str, Any]:
    """Settle an order, once; the settlement that was posted comes back when asked again.

    Raises:
        BadInput: no such order.
        Refused: taxes and fees exceed the price, or contributions are not recorded.
    """
    from meddata_pipeline.exchange import release, settlement

    status.require_home(workplace.settings)
    with workplace.ledger() as ledger:
        order = ledger.order(number)
        if order is None:
            raise BadInput("The ledger holds no such order", where=number, next_step="See `meddata order list`")
        made = release.find_version(workplace.home, order.product, order.version)
        offer = candidates.offer_of(workplace, order.product)
        contributions = release.contributions_of(workplace.home, made)
        return settlement.settle_order(ledger, number, offer, contributions).as_dict()

"""One sale from order to settlement, as one call that may be killed at any moment and made again.

What belongs here: the order of the steps. What does not: the steps, which have a module each. The order's id follows
from product, version and buyer, and every step is idempotent under it, so nothing happens twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

from meddata_pipeline.core.canonical import digest_of
from meddata_pipeline.core.errors import Refused
from meddata_pipeline.core.offer import OfferTerms
from meddata_pipeline.exchange import release, rights, settlement
from meddata_pipeline.exchange.bundle import agreement, bundle
from meddata_pipeline.exchange.recipients import parse_recipient
from meddata_pipeline.exchange.signing import Signer
from meddata_pipeline.storage.ledger import Ledger


def order_id(product: str, version: str, buyer: str) -> str:
    """The id of the order of a version by a buyer."""
    return "order-" + digest_of({"product": product, "version": version, "buyer": buyer})[:16]


def _delivered(home: Path, product: str, ledger: Ledger, order: str) -> Path | None:
    # An offer that changes after the sale must not change what was delivered.
    event = ledger.event(f"delivery:{order}")
    path = release.product_dir(home, product) / "bundles" / event.payload["bundle"] if event else None
    return path if path is not None and path.exists() else None


def sell(
    home: Path,
    version: str,
    buyer: str,
    price_fen: int,
    *,
    offer: OfferTerms,
    ledger: Ledger,
    signer: Signer,
    contributions: Mapping[str, int] | None = None,
) -> dict[str, Any]:
    """Sell a published version to one buyer: order, bundle, settlement, and their events in the ledger.

    Evidence of the rights must be complete, except in a demo, whose statements are all marked so.

    Args:
        home: the home folder.
        version: a published version of the offer's product.
        buyer: the buyer's age recipient.
        price_fen: price including taxes, in fen.
        offer: terms, fees, taxes, shares.
        ledger: the home's ledger.
        signer: the publisher's key.
        contributions: hospital → persons; by default what was recorded at publication.

    Returns:
        ``{"order", "product", "version", "price_fen", "bundle", "settlement", "rights_complete", "demo"}``; the
        bundle's path is relative to the home.

    Raises:
        BadInput: unknown version, malformed recipient or price.
        Refused: rights are missing, access is controlled, the order exists at another price, or see the steps.
    """
    product = offer.product
    made = release.find_version(home, product, version)
    parse_recipient(buyer)
    shares = release.contributions_of(home, made) if contributions is None else dict(contributions)
    statement = rights.statement(offer, shares, as_of=date.fromisoformat(made.as_of))
    if not statement["complete"] and not signer.demo:
        raise Refused(
            "Evidence of the rights is incomplete",
            reasons=rights.missing_rights(statement),
            where=product,
            next_step="Add the documents' digests to offer.yaml",
        )
    # Computed before anything is written: what cannot be settled must not be ordered.
    number = order_id(product, version, buyer)
    settlement.settle(number, price_fen, offer, shares)

    subject = f"{product}/{version}"
    order = ledger.place_order(number, product, version, buyer, price_fen)
    placed = {"order": number, "price_fen": price_fen, "release_digest": made.digest, "demo": signer.demo}
    ledger.record_event("order", subject, placed, f"order:{number}")
    terms = agreement(offer, made, order=number, buyer=buyer, price_fen=order.price_fen)
    path = _delivered(home, product, ledger, number)
    if path is None:
        path = bundle(home, product, version, buyer, signer=signer, terms=terms)
        delivery = {"order": number, "bundle": path.name, "agreement": digest_of(terms), "demo": signer.demo}
        ledger.record_event("delivery", subject, delivery, f"delivery:{number}")
    settled = settlement.settle_order(ledger, number, offer, shares)
    ledger.record_event(
        "settlement", subject, {"order": number, "settlement": digest_of(settled.as_dict())}, f"settlement:{number}"
    )
    return {
        "order": number,
        "product": product,
        "version": version,
        "price_fen": price_fen,
        "bundle": path.relative_to(home).as_posix(),
        "settlement": settled.as_dict(),
        "rights_complete": statement["complete"],
        "demo": signer.demo,
    }

"""What follows from commits: the catalogue entry, the site, and in a demo one sample sale. All of it can be made again.

What belongs here: joining commits with catalogue and exchange. What does not: pages and bundles themselves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meddata_pipeline.app import candidates, dossier
from meddata_pipeline.app.outcome import Check, Outcome
from meddata_pipeline.app.workplace import Workplace
from meddata_pipeline.core.canonical import combined_digest, file_sha256
from meddata_pipeline.storage.files import PUBLIC_FILE, write_atomic

if TYPE_CHECKING:
    from meddata_pipeline.catalog.description import Description

#: Names the commits that the site shows; a dot file, so that no web server lists it.
_BUILT_FROM = ".built-from"


def publish_entry(workplace: Workplace, product: str) -> Outcome:
    """Check the published entry as it lies: the last word is what a reader would fetch."""
    from meddata_pipeline.catalog import site, validation
    from meddata_pipeline.exchange import release

    made = release.latest(workplace.home, product)
    assert made is not None  # noqa: S101 - the asset above has published it
    path = release.product_dir(workplace.home, product) / made.version / site.ENTRY_TURTLE
    found = validation.violations(validation.validate(validation.load_graph(path)))
    check = Check("entry_conforms", not found, "error", "entry-violates-shapes", f"{len(found)} violations")
    return Outcome(file_sha256(path), facts={"version": made.version, "violations": len(found)}, checks=(check,))


def _commits_digest(workplace: Workplace) -> str:
    products = workplace.home / "products"
    commits = sorted([*products.glob("*/commits/*.json"), *products.glob("*/attestations/*/*.json")])
    return combined_digest(f"{p.relative_to(workplace.home).as_posix()} {file_sha256(p)}" for p in commits)


def site_is_current(workplace: Workplace) -> bool:
    """Whether the site was built from the commits there are now; a killed run may have left it behind them."""
    mark = workplace.home / "catalog" / _BUILT_FROM
    return mark.exists() and mark.read_text(encoding="ascii") == _commits_digest(workplace)


def build_site(workplace: Workplace) -> Outcome:
    """Build the static catalogue from every committed version."""
    from meddata_pipeline.catalog import site

    built_from = _commits_digest(workplace)

    described = [_signed(workplace, d) for d in site.committed(workplace.home)]
    pages = site.build(workplace.home, described)
    write_atomic(workplace.home / "catalog" / _BUILT_FROM, built_from.encode(), PUBLIC_FILE)
    digest = combined_digest(f"{p.relative_to(workplace.home).as_posix()} {file_sha256(p)}" for p in pages)
    return Outcome(digest, facts={"pages": len(pages), "products": len({d.id for d in described})})


def _signed(workplace: Workplace, described: Description) -> Description:
    """A description with the sign-offs and the evaluations of its version, which came after it was written."""
    from meddata_pipeline.app import evaluation
    from meddata_pipeline.catalog.description import Evaluation, Signature
    from meddata_pipeline.core.text import Text
    from meddata_pipeline.exchange import release, signoff

    made = release.find_version(workplace.home, described.id, described.version)
    roles = signoff.Roles.load(workplace.config, workplace.keyring)
    offer = candidates.offer_of(workplace, described.id)
    status = signoff.status(workplace.home, offer, made.candidate_digest, roles)
    signatures = [Signature(role=r, title=Text(**roles.title(r)), demo=status.demo) for r in sorted(status.approved)]
    found = evaluation.shown(workplace, described.id, described.version)
    evaluations = [Evaluation.model_validate(item) for item in found]
    return described.model_copy(update={"signatures": signatures, "evaluations": evaluations})


def deliver_sample(workplace: Workplace, product: str) -> Outcome | None:
    """Sell the newest version to the demo's sample buyer. Outside a demo nothing is sold without an order.

    Returns:
        The outcome, or None outside a demo and for products under controlled access.
    """
    from meddata_pipeline.exchange import bundle, recipients, release, sale
    from meddata_pipeline.exchange.signing import Signer

    offer = candidates.offer_of(workplace, product)
    made = release.latest(workplace.home, product)
    if not workplace.keyring.demo or offer.access != "download" or made is None:
        return None
    price = dossier.part(workplace, "offer", product)["price"]["point_fen"]
    identity = recipients.demo_buyer(workplace.keyring)
    signer = Signer.from_keyring(workplace.keyring, "publisher")
    with workplace.ledger() as ledger:
        sold = sale.sell(
            workplace.home,
            made.version,
            recipients.recipient_of(identity),
            price,
            offer=offer,
            ledger=ledger,
            signer=signer,
        )
    answer = bundle.verify(workplace.home / sold["bundle"], identity=identity)
    check = Check("bundle_verifies", bool(answer["ok"]), "error", "bundle", f"{len(answer['checks'])} checks")
    facts = {"version": made.version, "order": sold["order"], "price_fen": sold["price_fen"]}
    return Outcome(made.digest, facts=facts, checks=(check,))


def settle_sample(workplace: Workplace, product: str) -> Outcome:
    """The settlement of the sample sale: what each hospital gets, to the fen."""
    from meddata_pipeline.exchange import recipients, release, sale, settlement

    offer = candidates.offer_of(workplace, product)
    made = release.latest(workplace.home, product)
    assert made is not None  # noqa: S101 - the asset above has sold it
    buyer = recipients.recipient_of(recipients.demo_buyer(workplace.keyring))
    with workplace.ledger() as ledger:
        settled = settlement.settle_order(
            ledger, sale.order_id(product, made.version, buyer), offer, release.contributions_of(workplace.home, made)
        ).as_dict()
    total = sum(line["amount_fen"] for part in ("taxes", "fees", "payouts") for line in settled[part])
    check = Check(
        "sums_to_the_fen",
        total == settled["gross_fen"],
        "error",
        "settlement",
        f"{total} fen distributed of {settled['gross_fen']}",
    )
    return Outcome(made.digest, facts={"settlement": settled}, checks=(check,))

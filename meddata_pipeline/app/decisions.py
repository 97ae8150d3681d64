"""People's decisions on candidates: what there is to decide, the evidence, and signing it by role.

What belongs here: showing a candidate and signing it. What does not: what a signature is (exchange.signoff), cutting
the version, which the next run does.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from meddata_pipeline.app import candidates, dossier, evaluation, releases, status
from meddata_pipeline.app.workplace import Workplace
from meddata_pipeline.core.errors import BadInput, Reason, Refused
from meddata_pipeline.storage.lake import Partition

if TYPE_CHECKING:
    from meddata_pipeline.exchange.signing import Signer

_PARTS = ("table", "risk", "quality", "study", "offer", "dossier")


def pending(workplace: Workplace) -> list[dict[str, Any]]:
    """Every product with a candidate or a release: where its signatures stand."""
    from meddata_pipeline.exchange import release

    status.require_home(workplace.settings)
    items = []
    for product in workplace.config.products():
        made = release.latest(workplace.home, product)
        if _dossier_manifest(workplace, product) is None:
            continue
        items.append({**_standing(workplace, product), "published": made.version if made else None})
    return items


def _dossier_manifest(workplace: Workplace, product: str) -> Any:
    return status.manifests(workplace.settings).manifest(Partition("candidate", "dossier", (product,)))


def _standing(workplace: Workplace, product: str) -> dict[str, Any]:
    from meddata_pipeline.exchange import release

    facts = _dossier_manifest(workplace, product).facts["facts"]
    digest = facts["candidate_digest"]
    judged = status.sign_off_status(workplace, product, digest)
    made = release.latest(workplace.home, product)
    if made is not None and made.candidate_digest == digest:
        state, command = "published", ""
    elif failed_checks(workplace, product):
        state, command = "refused", f"meddata release show {product}"
    elif judged.rejected:
        state, command = "rejected", f"meddata release show {product}"
    elif judged.missing:
        state, command = "waiting", _approve_command(product, judged.missing[0])
    else:
        state, command = "signed", f"meddata run --product {product}"
    return {
        "product": product,
        "version": facts["version"],
        "candidate": digest,
        "state": state,
        "approved": judged.approved,
        "rejected": judged.rejected,
        "missing": list(judged.missing),
        "untrusted": list(judged.untrusted),
        "next_command": command,
    }


def _approve_command(product: str, role: str) -> str:
    return f"meddata release approve {product} --role {role} --key KEY --reason TEXT"


def failed_checks(workplace: Workplace, product: str) -> list[dict[str, str]]:
    """Blocking checks of the candidate that did not pass, as reasons."""
    lake = status.manifests(workplace.settings)
    spec = candidates.spec_of(workplace, product)
    places = [candidates.cohort_partition(spec), *(Partition("candidate", name, (product,)) for name in _PARTS)]
    found = []
    for place in places:
        manifest = lake.manifest(place)
        for check in manifest.facts.get("checks", []) if manifest else []:
            if not check["passed"] and check["severity"] == "error":
                found.append(
                    {
                        "code": check["code"] or check["name"],
                        "detail": check["detail"],
                        "where": f"{product} {place.name}",
                    }
                )
    return found


def evidence(workplace: Workplace, product: str) -> dict[str, Any]:
    """What a person looks at before signing: figures of the candidate, failed checks, signatures, its files.

    Raises:
        BadInput: the product has no candidate.
    """
    status.require_home(workplace.settings)
    candidates.spec_of(workplace, product)
    if _dossier_manifest(workplace, product) is None:
        releases.require_candidate(workplace, product)
    whole = releases.require_candidate(workplace, product)
    meta, risk = whole["meta"], dossier.part(workplace, "risk", product)
    quality, offer = dossier.part(workplace, "quality", product), dossier.part(workplace, "offer", product)
    after = risk["after"]["prosecutor"]
    return {
        **_standing(workplace, product),
        "as_of": meta["as_of"],
        "hospitals": meta["hospitals"],
        "persons": meta["persons"],
        "form": meta["form"],
        "access": meta["access"],
        "demo": meta["demo"],
        "highest_risk": {"before": risk["before"]["prosecutor"]["highest"], "after": after["highest"]},
        "quality": quality["scores"],
        "failed": [*failed_checks(workplace, product), *(r.as_dict() for r in _evaluation(workplace, product, meta))],
        "warnings": [c["id"] for c in quality["checks"] if c["status"] != "passed"],
        "rights_complete": offer["rights"]["complete"],
        "price_fen": offer["price"]["point_fen"],
        "files": sorted(whole["files"]),
        "folder": str(candidates.staging(workplace, product)),
    }


def _evaluation(workplace: Workplace, product: str, meta: dict[str, Any]) -> list[Reason]:
    from meddata_pipeline.exchange import release

    made = release.latest(workplace.home, product)
    done = made is not None and made.candidate_digest == meta["candidate_digest"]
    return [] if done else evaluation.gate(workplace, product)


def decide(
    workplace: Workplace,
    product: str,
    *,
    role: str,
    key: Path,
    decision: Literal["approve", "reject"],
    reason: str,
    digest: str | None = None,
) -> dict[str, Any]:
    """Sign a product's candidate as a role.

    Args:
        workplace: the home.
        product: the product's id.
        role: as what the person signs; roles.yaml must list the key for it.
        key: PEM file of the person's Ed25519 key.
        decision: approve or reject.
        reason: the person's words.
        digest: digest of the candidate that the person has looked at, or how it begins; another candidate is refused.

    Returns:
        The decision, what is still missing, and the next command.

    Raises:
        BadInput: no candidate, an unknown role, a key that is not registered for it, or no reason.
        Refused: a gate has refused the candidate, it is published already, or it is not the one that was looked at.
    """
    from meddata_pipeline.exchange import signoff
    from meddata_pipeline.exchange.signing import Signer, load_private_key

    status.require_home(workplace.settings)
    candidates.spec_of(workplace, product)
    if not reason.strip():
        raise BadInput("A decision needs a reason", where="--reason")
    signer = Signer(load_private_key(key))
    _registered(workplace, role, signer)
    if _dossier_manifest(workplace, product) is None:
        raise BadInput("There is no candidate of this product", where=product, next_step="Run `meddata run` first")
    now = str(_dossier_manifest(workplace, product).facts["facts"]["candidate_digest"])
    _decidable(workplace, product, now, decision, digest)
    signed_at = datetime.now(UTC).isoformat(timespec="seconds")
    signed = signoff.sign(workplace.home, product, now, role, decision, reason, signer, signed_at=signed_at)
    standing = _standing(workplace, product)
    return {**standing, "role": role, "decision": decision, "signed_at": signed["signed_at"], "items": [standing]}


def _registered(workplace: Workplace, role: str, signer: Signer) -> None:
    from meddata_pipeline.exchange import signoff

    roles = signoff.Roles.load(workplace.config).roles
    if role not in roles:
        raise BadInput(f"No role of that name; known are: {', '.join(sorted(roles))}", where="--role")
    if signer.public not in roles[role].keys:
        raise BadInput(
            "The key is not registered for this role",
            where=f"roles.yaml, roles.{role}.keys",
            next_step=f"Add its public key {signer.public} to <home>/config/roles.yaml",
        )


def _decidable(workplace: Workplace, product: str, now: str, decision: str, digest: str | None) -> None:
    from meddata_pipeline.exchange import release

    made = release.latest(workplace.home, product)
    if made is not None and made.candidate_digest == now:
        reason = Reason("already-published", f"This candidate is version {made.version}", product)
        raise Refused("The candidate is published already", reasons=[reason], where=product)
    if digest is not None and not now.startswith(digest.removeprefix("#")):
        reason = Reason("candidate-changed", f"The candidate is now #{now[:8]}", product)
        next_step = f"Look at it with `meddata release show {product}`"
        raise Refused("Another candidate has been built since", reasons=[reason], where=product, next_step=next_step)
    failed = failed_checks(workplace, product)
    if failed and decision == "approve":
        raise Refused(
            "A gate has refused this candidate; nobody can approve it",
            reasons=[Reason(f["code"], f["detail"], f["where"]) for f in failed],
            where=product,
            next_step="Correct its cause and say `meddata run`",
        )

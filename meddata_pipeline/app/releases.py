"""From a candidate to a release: the rule, the signatures, the commit, and what state a product is in.

What belongs here: deciding that a version is cut, and remembering why not. What does not: what a signature is and how a
commit is written (exchange).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from meddata_pipeline.app import attacks, candidates, dossier, evaluation, live_versions
from meddata_pipeline.app.outcome import Outcome
from meddata_pipeline.app.workplace import Workplace
from meddata_pipeline.core.canonical import canonical_json
from meddata_pipeline.core.errors import BadInput, Reason
from meddata_pipeline.storage.files import PUBLIC_FILE, write_atomic
from meddata_pipeline.storage.lake import Partition

if TYPE_CHECKING:
    from meddata_pipeline.exchange.release import CandidateFacts, Commit

#: published: a new version; unchanged: nothing new since the last one; candidate: waits for people or for the rule;
#: refused: a gate said no; failed: an error.
STATUSES = ("published", "unchanged", "candidate", "refused", "failed")


@dataclass(frozen=True)
class State:
    """What became of a product in its last run.

    Attributes:
        status: one of STATUSES.
        reasons: why it is not published.
        candidate: digest that people sign, where there is a candidate.
        next_command: what to do next.
    """

    status: str
    reasons: tuple[dict[str, str], ...] = ()
    candidate: str = ""
    next_command: str = ""


def _state_path(workplace: Workplace, product: str) -> Path:
    return workplace.home / "products" / product / "state.json"


def keep_state(workplace: Workplace, product: str, state: State) -> None:
    """Remember a product's state; `meddata status` reads it with Dagster down."""
    body = {
        "status": state.status,
        "reasons": list(state.reasons),
        "candidate": state.candidate,
        "next_command": state.next_command,
    }
    write_atomic(_state_path(workplace, product), canonical_json(body), PUBLIC_FILE)


def clear_state(workplace: Workplace, product: str) -> None:
    """Forget the state of the last run before a new one begins."""
    _state_path(workplace, product).unlink(missing_ok=True)


def state_of(workplace: Workplace, product: str) -> State | None:
    """The state of a product's last run, or None."""
    path = _state_path(workplace, product)
    if not path.exists():
        return None
    raw = json.loads(path.read_bytes())
    return State(raw["status"], tuple(raw["reasons"]), raw["candidate"], raw["next_command"])


def is_published(workplace: Workplace, product: str) -> bool:
    """Whether the candidate is the newest published version."""
    from meddata_pipeline.exchange import release as releases

    last = releases.latest(workplace.home, product)
    return last is not None and last.candidate_digest == _candidate_digest(workplace, product)


def keep_unchanged(workplace: Workplace, product: str) -> None:
    """Remember that a run found nothing new."""
    keep_state(workplace, product, State("unchanged", candidate=_candidate_digest(workplace, product)))


def _candidate_digest(workplace: Workplace, product: str) -> str:
    return str(dossier.part(workplace, "dossier", product)["meta"]["candidate_digest"])


def _facts(workplace: Workplace, product: str, last: Commit | None) -> CandidateFacts:
    from meddata_pipeline.exchange.release import CandidateFacts

    meta = dossier.part(workplace, "dossier", product)["meta"]
    spec = candidates.spec_of(workplace, product)
    persons = set(workplace.lake.read(candidates.cohort_partition(spec), ["person_id"])["person_id"].to_pylist())
    before: set[str] = set()
    if last is not None:
        before = set(workplace.lake.read(candidates.persons_partition(product, last.number))["person_id"].to_pylist())
    return CandidateFacts(
        candidate_digest=meta["candidate_digest"],
        contract_major=candidates.contract_of(workplace, product).major,
        hospitals=tuple(meta["hospitals"]),
        persons=len(persons),
        new_persons=len(persons - before),
        removed_persons=len(before - persons),
        as_of=meta["as_of"],
    )


def release(workplace: Workplace, product: str) -> Outcome | None:
    """Publish the candidate if the release rule, the evaluations beside it and the signatures allow it.

    Returns:
        The outcome of the published version, or None while the candidate waits; its state says why.
    """
    from meddata_pipeline.exchange import release as releases
    from meddata_pipeline.exchange import signoff

    meta = dossier.part(workplace, "dossier", product)["meta"]
    digest = meta["candidate_digest"]
    offer = candidates.offer_of(workplace, product)
    last = releases.latest(workplace.home, product)
    evaluation.self_assess(workplace, product)
    if last is not None and last.candidate_digest == digest:
        _after_commit(workplace, product, last)
        keep_state(workplace, product, State("unchanged", candidate=digest))
        return _outcome(last, changed=False)
    if reasons := releases.release_rule(offer, last.as_dict() if last else None, _facts(workplace, product, last)):
        _wait(workplace, product, digest, reasons, "meddata run (the release rule of offer.yaml says wait)")
        return None
    if not attacks.is_current(workplace, product):
        detail = "another release has been published since this candidate was joined with those that were out"
        _wait(workplace, product, digest, [Reason("joins-outdated", detail, product)], "meddata run")
        return None
    if reasons := evaluation.gate(workplace, product):
        missing = reasons[0].code == "missing-evaluation"
        command = f"meddata release attest {product} {'FILE' if missing else '--remove'}"
        state = State("candidate" if missing else "refused", tuple(r.as_dict() for r in reasons), digest, command)
        keep_state(workplace, product, state)
        return None
    if workplace.keyring.demo:
        signoff.demo_sign(workplace.home, offer, digest, workplace.keyring)
    roles = signoff.Roles.load(workplace.config, workplace.keyring)
    status = signoff.status(workplace.home, offer, digest, roles)
    if status.rejected:
        keep_state(workplace, product, State("refused", tuple(r.as_dict() for r in status.reasons()), digest))
        return None
    if not status.complete:
        command = f"meddata release approve {product} --role {status.missing[0]} --key KEY --reason TEXT"
        _wait(workplace, product, digest, status.reasons(), command)
        return None
    made = _commit(workplace, product, meta)
    _after_commit(workplace, product, made)
    keep_state(workplace, product, State("published", candidate=digest))
    return _outcome(made, changed=True)


def _wait(workplace: Workplace, product: str, digest: str, reasons: Sequence[Reason], command: str) -> None:
    keep_state(workplace, product, State("candidate", tuple(r.as_dict() for r in reasons), digest, command))


def _outcome(made: Commit, *, changed: bool) -> Outcome:
    facts = {"version": made.version, "release_digest": made.digest, "as_of": made.as_of, "demo": made.demo}
    return Outcome(made.digest, changed=changed, facts=facts)


def _commit(workplace: Workplace, product: str, meta: dict[str, Any]) -> Commit:
    from meddata_pipeline.exchange import release as releases
    from meddata_pipeline.exchange.signing import Signer

    folder = candidates.staging(workplace, product)
    manifest = releases.manifest(releases.file_entries(folder), meta)
    number = int(str(meta["version"]).split(".")[1])
    spec = candidates.spec_of(workplace, product)
    last = releases.latest(workplace.home, product)
    # Before the commit: who is in must be known for the next version even if this process dies right after it. Where
    # another process has taken the number, the commit refuses, and that version's people stay as they are.
    if last is None or last.number < number:
        persons = workplace.lake.read(candidates.cohort_partition(spec), ["person_id"])
        workplace.lake.write(candidates.persons_partition(product, number), persons)
        live_versions.remember(workplace, product, number)
        profile = candidates.candidate_partition("profile", product)
        if workplace.lake.manifest(profile) is not None:
            workplace.lake.write(candidates.profile_partition(product, number), workplace.lake.read(profile))
    signer = Signer.from_keyring(workplace.keyring, "publisher")
    return releases.commit(
        workplace.home, product, folder, manifest, signer, contributions=candidates.contributions(workplace, product)
    )


def _after_commit(workplace: Workplace, product: str, made: Commit) -> None:
    """What follows from a commit, idempotently: the ledger's rows, and the end of the candidate's random key."""
    subject = f"{product}/{made.version}"
    with workplace.ledger() as ledger:
        ledger.record_event(
            "publication", subject, {"digest": made.digest, "demo": made.demo}, f"publication:{subject}"
        )
        if dossier.destroy_keys(workplace, product):
            ledger.record_event("key-destroyed", subject, {"digest": made.digest}, f"key-destroyed:{subject}")


def require_candidate(workplace: Workplace, product: str) -> dict[str, Any]:
    """The dossier of a product's candidate.

    Raises:
        BadInput: there is none.
    """
    if workplace.lake.manifest(Partition("candidate", "dossier", (product,))) is None:
        raise BadInput("There is no candidate of this product", where=product, next_step="Run `meddata run` first")
    return dossier.part(workplace, "dossier", product)

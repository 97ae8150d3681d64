"""The review list as people use it: what is open, what a span looks like, accepting it or leaving it masked.

What belongs here: keeping items and decisions in the restricted zone, listing, deciding. What does not: which spans are
withheld (privacy/second_pass), what a decision changes (privacy/review).

The words of a decision may quote a patient: they stay in the restricted zone, and the ledger records who decided what.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal

from meddata_pipeline.core.canonical import digest_of
from meddata_pipeline.core.errors import BadInput
from meddata_pipeline.storage.lake import Partition

if TYPE_CHECKING:
    from meddata_pipeline.app.workplace import Workplace
    from meddata_pipeline.privacy.review import Decision, Item

_LAYER = "review"
#: Of an id, how many characters are enough to name an item.
_SHORTEST_ID = 6


# -- what a night keeps and reads --------------------------------------------------------------------------------------


def keep(workplace: Workplace, hospital: str, day: str, items: Sequence[Item]) -> dict[str, Any]:
    """Write the items of a hospital's day; what was there is replaced.

    Returns:
        For deid's facts: ``{"open", "by_entity"}``.
    """
    from meddata_pipeline.privacy import review

    made = review.facts(items)
    workplace.lake.write(Partition(_LAYER, "items", (hospital, day)), review.table_of(items), facts={"facts": made})
    return made


def decisions(workplace: Workplace, hospital: str, day: str) -> list[Decision]:
    """The decisions on a hospital's day, by item."""
    from meddata_pipeline.privacy.review import Decision

    places = [p for p in workplace.lake.partitions(_LAYER, "decisions") if p.keys[:2] == (hospital, day)]
    return [Decision.from_json(workplace.load_object(place)) for place in places]


def decided(workplace: Workplace, hospital: str, day: str) -> str:
    """Digest of the decisions on a hospital's day: who decided and in which words does not matter to its texts."""
    found = [[d.item.id, d.decision, d.item.seen] for d in decisions(workplace, hospital, day)]
    return digest_of({"decisions": sorted(found)})


# -- what people do ----------------------------------------------------------------------------------------------------


def items(workplace: Workplace, hospital: str | None = None, day: str | None = None) -> list[Item]:
    """The items of a home as they stand now, decisions since the last run included; restricted.

    Args:
        workplace: the home.
        hospital: only this one.
        day: only this one.

    Raises:
        BadInput: there is no home.
    """
    from meddata_pipeline.app import status
    from meddata_pipeline.privacy import review

    status.require_home(workplace.settings)
    found: list[Item] = []
    for place in status.manifests(workplace.settings).partitions(_LAYER, "items"):
        if hospital not in (None, place.keys[0]) or day not in (None, place.keys[1]):
            continue
        standing = {d.item.id: d for d in decisions(workplace, *place.keys)}
        for item in review.items_of(workplace.lake.read(place)):
            decision = standing.get(item.id)
            valid = decision is not None and decision.item.seen == item.seen
            found.append(review.decided(item, decision) if decision is not None and valid else item)
    return review.by_importance(found)


def overview(found: Iterable[Item], state: str | None) -> dict[str, Any]:
    """Counts, and the items in one state; no text.

    Args:
        found: items.
        state: open, accepted or masked; None for all.

    Raises:
        BadInput: there is no such state.
    """
    from meddata_pipeline.privacy import review

    if state not in (None, *review.STATES):
        raise BadInput(f"The state is one of {', '.join(review.STATES)}", where="--state")
    everything = list(found)
    states = {name: sum(1 for i in everything if i.state == name) for name in review.STATES}
    listed = [i.public() for i in everything if state in (None, i.state)]
    return {**review.facts(everything), "states": states, "items": listed}


def item(workplace: Workplace, name: str) -> Item:
    """One item, by its id or how that begins.

    Raises:
        BadInput: no item has this id, or several have.
    """
    found = [i for i in items(workplace) if i.id == name or (len(name) >= _SHORTEST_ID and i.id.startswith(name))]
    if len(found) != 1:
        problem = "No item of the review list has this id" if not found else "Several items begin with this id"
        raise BadInput(problem, where="ID", next_step="See `meddata review list`")
    return found[0]


def next_item(workplace: Workplace, hospital: str | None = None) -> Item | None:
    """The open item that matters most, or None."""
    return next((i for i in items(workplace, hospital) if i.state == "open"), None)


def decide(
    workplace: Workplace,
    name: str,
    decision: Literal["accepted", "masked"],
    *,
    role: str,
    reason: str,
    worker: str = "",
) -> dict[str, Any]:
    """Decide on an item: it identifies nobody (``accepted``), or it stays masked.

    A later decision on the same item replaces the earlier one; the ledger keeps both.

    Args:
        workplace: the home.
        name: the item's id or how it begins.
        decision: accepted or masked.
        role: as what the person decides; one of roles.yaml.
        reason: the person's words; they stay in the restricted zone.
        worker: who it was.

    Returns:
        The item without its text, and the next command.

    Raises:
        BadInput: an unknown item or role, or no reason.
    """
    from meddata_pipeline.app.outcome import Outcome
    from meddata_pipeline.exchange.signoff import Roles
    from meddata_pipeline.privacy import review

    found = item(workplace, name)
    roles = Roles.load(workplace.config).roles
    if role not in roles:
        raise BadInput(f"No role of that name; known are: {', '.join(sorted(roles))}", where="--role")
    if not reason.strip():
        raise BadInput("A decision needs a reason", where="--reason")
    made = review.Decision(found, decision, role, worker, reason)
    place = Partition(_LAYER, "decisions", (found.hospital, found.day, found.id))
    payload = {"decision": decision, "role": role, "worker": worker, "entity": found.entity, "seen": found.seen}
    # The ledger first: nothing takes effect that it does not know.
    with workplace.ledger() as ledger:
        before = ledger.events("review-decision", found.id)
        # Saying the same again is no new decision.
        if not before or before[-1].payload != payload:
            ledger.record_event("review-decision", found.id, payload, f"review:{found.id}:{len(before)}")
    workplace.keep_object(place, made.to_json(), {}, Outcome(""))
    command = f"meddata run --hospital {found.hospital} --day {found.day}"
    return {**review.decided(found, made).public(), "next_command": command}

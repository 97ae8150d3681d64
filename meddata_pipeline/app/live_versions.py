"""The live versions of a product: who was in which class of each, and the scheme that a major version has frozen.

What belongs here: keeping these facts in the restricted zone and finding those that a candidate must stand beside. What
does not: what follows from them (privacy/versions.py), the commit (exchange).

Every committed version is live: nothing that has been handed over can be called back, and no command withdraws one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from meddata_pipeline.app.workplace import Workplace
from meddata_pipeline.core.canonical import digest_of
from meddata_pipeline.core.errors import BadInput, Reason, Refused
from meddata_pipeline.storage.lake import Partition

if TYPE_CHECKING:
    from meddata_pipeline.privacy.versions import Classes


@dataclass(frozen=True)
class Live:
    """One live version.

    Attributes:
        number: of its commit.
        version: as it is published.
        digest: of its people and classes; empty where the restricted zone has lost them.
        facts: ``table`` (digest of the released table), ``scheme`` (levels, or None), ``hierarchies`` (what the levels
            mean) and ``since`` (version in which the scheme was found).
    """

    number: int
    version: str
    digest: str
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def major(self) -> int:
        """Major version of the contract."""
        return int(self.version.split(".")[0])


def _waiting(product: str) -> Partition:
    return Partition("candidate", "classes", (product,))


def _released(product: str, number: int) -> Partition:
    return Partition("candidate", "released-classes", (product, str(number)))


def live(workplace: Workplace, product: str) -> list[Live]:
    """All live versions of a product, oldest first."""
    from meddata_pipeline.exchange import release

    found = []
    for commit in release.commits(workplace.home, product):
        kept = workplace.lake.manifest(_released(product, commit.number))
        found.append(Live(commit.number, commit.version, kept.digest if kept else "", kept.facts if kept else {}))
    return found


def beside(workplace: Workplace, product: str) -> list[Live]:
    """The live versions that the candidate which lies there stands beside: without itself, where it is published."""
    versions = live(workplace, product)
    table = workplace.lake.manifest(Partition("candidate", "table", (product,)))
    published = versions and table is not None and versions[-1].facts.get("table") == table.digest
    return versions[:-1] if published else versions


def next_number(versions: Sequence[Live]) -> int:
    """Number of the commit of a candidate that stands beside these versions."""
    return versions[-1].number + 1 if versions else 1


def inputs_digest(versions: Sequence[Live], major: int) -> str:
    """Digest of what a candidate takes from the live versions, and of whether their scheme binds it."""
    return digest_of({"major": major, "versions": [[v.version, v.digest] for v in versions]})


def frozen(versions: Sequence[Live], major: int) -> Live | None:
    """The version whose scheme binds a candidate of this major version: the newest of it."""
    return next((v for v in reversed(versions) if v.major == major), None)


def classes(workplace: Workplace, product: str, versions: Sequence[Live]) -> list[Classes]:
    """Class by person of each version.

    Raises:
        Refused: reason ``versions-unknown``: without them nobody can tell what the next version would expose.
    """
    if lost := [v.version for v in versions if not v.digest]:
        detail = f"the restricted zone does not hold who was in version {', '.join(lost)}"
        raise Refused(
            "What the earlier versions hold is not known",
            reasons=[Reason("versions-unknown", detail, product)],
            where=product,
            next_step="Restore restricted/candidate/released-classes from a backup",
        )
    return [
        workplace.lake.read(_released(product, v.number)).to_pandas().set_index("person_id")["class"] for v in versions
    ]


def keep_waiting(
    workplace: Workplace, product: str, people: Classes, inputs: Mapping[str, str], facts: Mapping[str, Any]
) -> None:
    """Keep who is in which class of a candidate, before its table."""
    import pyarrow as pa

    table = pa.table({"person_id": pa.array(people.index, pa.string()), "class": pa.array(people, pa.string())})
    workplace.lake.write(_waiting(product), table, inputs=inputs, facts=facts)


def remember(workplace: Workplace, product: str, number: int) -> None:
    """Keep the candidate's people as those of a version, before its commit: the next version must know them.

    Raises:
        BadInput: the candidate's people are not those of its table.
    """
    people, table = (workplace.manifest(Partition("candidate", name, (product,))) for name in ("classes", "table"))
    if people.inputs != table.inputs:
        raise BadInput("The candidate's table and its people are of two runs", where=product, next_step="Run again")
    whole = workplace.lake.read(_waiting(product))
    workplace.lake.write(
        _released(product, number), whole, inputs=people.inputs, facts={**people.facts, "table": table.digest}
    )

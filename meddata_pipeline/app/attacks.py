"""The risk of a candidate: class sizes, two attacks with registers, and joins with what is published already.

What belongs here: which registers and which other releases a candidate is attacked with, and the checks that come of
it. What does not: how an attack works (privacy). Registers hold no names: the person id stands for the name that the
attacker would read off, and nothing but rates leaves the restricted zone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from meddata_pipeline.app import candidates, dossier, nights
from meddata_pipeline.app.outcome import Check, Outcome
from meddata_pipeline.app.workplace import Workplace
from meddata_pipeline.core.canonical import digest_of, sha256_hex
from meddata_pipeline.core.product import ProductSpec

if TYPE_CHECKING:
    import pandas as pd

    from meddata_pipeline.privacy.attack import Attack
    from meddata_pipeline.privacy.join_attack import JoinAttack
    from meddata_pipeline.privacy.policy import Policy

_DATA = "data.parquet"


def measure_risk(workplace: Workplace, product: str) -> Outcome:
    """Risk of re-identification before and after protection, and three kinds of attack, against the threshold."""
    from meddata_pipeline.privacy.risk import risk

    spec = candidates.spec_of(workplace, product)
    others = opponents(workplace, spec)
    inputs = _inputs(workplace, spec, others)
    partition = candidates.candidate_partition("risk", product)
    if (kept := workplace.kept(partition, inputs)) is not None:
        return kept
    policy, base = candidates.policy_of(workplace, product)
    cohort = candidates.cohort_frame(workplace, spec)
    released = candidates.released_frame(workplace, product).set_index("row_id")
    owners = _owners(workplace, spec, cohort)
    before = risk(cohort, policy, base=base)
    after = risk(released, policy.model_copy(update={"unit": None}), base=base)
    whole, known = _register_attacks(workplace, spec, cohort, released, owners, policy, base)
    joins = [(other, _join(workplace, spec, other, cohort, owners, policy, base)) for other in others]
    highest = float(after["prosecutor"]["highest"])
    reasons = [*whole.reasons(), *(known.reasons("what the hospital knows") if known else [])]
    joinable = [reason for other, join in joins for reason in join.reasons(other.name)]
    checks = (
        Check(
            "risk_below_limit",
            highest <= policy.risk.threshold,
            "error",
            "risk-above-limit",
            f"highest prosecutor risk {highest:.4f}, limit {policy.risk.threshold:g}",
        ),
        Check("linkage_attack", not reasons, "error", "linkage-attack", "; ".join(r.detail for r in reasons)),
        Check(
            "product_join_attack",
            not joinable,
            "error",
            "product-join-attack",
            "; ".join(r.detail for r in joinable),
            {"releases": len(joins)},
        ),
    )
    facts = {
        "highest_before": float(before["prosecutor"]["highest"]),
        "highest_after": highest,
        "attack_upper_limit": whole.limits[1],
        "joined_releases": len(joins),
        "k": policy.k,
    }
    report = {
        "product": product,
        "before": before,
        "after": after,
        "protection": workplace.load_object(candidates.candidate_partition("protection", product)),
        "attack": whole.as_dict(),
        "register_attack": None if known is None else known.as_dict(),
        "joins": [{**other.as_dict(), **join.as_dict()} for other, join in joins] if _has_rows(spec) else None,
    }
    return workplace.keep_object(partition, report, inputs, Outcome("", facts=facts, checks=checks))


def _inputs(workplace: Workplace, spec: ProductSpec, others: Sequence[Opponent]) -> dict[str, str]:
    return {
        "cohort": workplace.manifest(candidates.cohort_partition(spec)).digest,
        "table": workplace.manifest(candidates.candidate_partition("table", spec.id)).digest,
        "privacy": workplace.config_digest(f"products/{spec.id}/privacy.yaml"),
        "others": _standing(workplace, spec) or digest_of({"others": [other.as_dict() for other in others]}),
    }


def _standing(workplace: Workplace, spec: ProductSpec) -> str | None:
    """For a candidate whose rows are out already: the releases it was joined with when it was published.

    What is published later is joined with it by its own candidate; else every publication would call for new versions
    of all other products.
    """
    kept = workplace.lake.manifest(candidates.candidate_partition("risk", spec.id))
    if kept is None or kept.inputs.get("table") != workplace.manifest(_table(spec)).digest:
        return None
    return kept.inputs.get("others") if _own_version(workplace, spec) is not None else None


def is_current(workplace: Workplace, product: str) -> bool:
    """Whether a candidate has been joined with everything that is published by now."""
    spec = candidates.spec_of(workplace, product)
    kept = workplace.manifest(candidates.candidate_partition("risk", product)).inputs.get("others")
    return kept == _inputs(workplace, spec, opponents(workplace, spec))["others"]


# -- registers ---------------------------------------------------------------------------------------------------------


def _owners(workplace: Workplace, spec: ProductSpec, cohort: pd.DataFrame) -> pd.Series[Any]:
    """Whose the candidate's rows are, by row id: ids follow from the candidate's key and the person alone."""
    from meddata_pipeline.privacy.release import rekey

    digest = workplace.manifest(candidates.cohort_partition(spec)).digest
    whose = cohort[["person_id"]].assign(owner=cohort["person_id"])
    key = candidates.release_key(workplace, spec.id, digest)
    owners: pd.Series[Any] = rekey(whose, key=key).set_index("row_id")["owner"]
    return owners


def _true_values(cohort: pd.DataFrame, policy: Policy) -> pd.DataFrame:
    """A cohort by person, ages folded as in every release.

    Dates that the release moves are left out: nobody who holds a true date can look it up there.
    """
    from meddata_pipeline.privacy.release import OLDEST

    shifted, months = candidates.date_columns(cohort, policy)
    truth = cohort.drop_duplicates("person_id").set_index("person_id").drop(columns=[*shifted, *months])
    if "age" in truth.columns:
        over = (truth["age"] > OLDEST).fillna(False).astype(bool)
        truth["age"] = truth["age"].mask(over, OLDEST + 1)
    return truth


def _register_attacks(
    workplace: Workplace,
    spec: ProductSpec,
    cohort: pd.DataFrame,
    released: pd.DataFrame,
    owners: pd.Series[Any],
    policy: Policy,
    base: Path,
) -> tuple[Attack, Attack | None]:
    """The attack with every true quasi-identifier, and the one with what the hospital's own register gives.

    The second is None where no quasi-identifier follows from birth date, sex, district or hospital.
    """
    from meddata_pipeline.privacy.attack import linkage_attack
    from meddata_pipeline.privacy.tabular.outside import UNKNOWN

    truth = _true_values(cohort, policy)
    people = truth.index.to_series()
    whole = truth[[name for name in policy.quasi_identifiers if name in truth.columns]]
    known = _on_record(workplace, spec, policy)
    held = {n: people.isin(persons) for n, persons in known.items() if n in whole.columns}
    held = {n: has for n, has in held.items() if has.any()}
    register = whole[list(held)].astype(object)
    for name, has in held.items():
        register[name] = register[name].where(has, UNKNOWN)
    first = linkage_attack(released, owners, whole, people, policy, base=base)
    return first, linkage_attack(released, owners, register, people, policy, base=base) if held else None


def _on_record(workplace: Workplace, spec: ProductSpec, policy: Policy) -> dict[str, set[str]]:
    """Quasi-identifiers that follow from birth date, sex, district or hospital → persons whose record holds it.

    Of the day that an age or a stay refers to the attacker is granted the true one.
    """
    from meddata_pipeline.study.cohort import load_cohort

    variables = load_cohort(workplace.config, spec.cohort_product).variables
    needed: dict[str, str] = {}
    for name, quasi in policy.quasi_identifiers.items():
        source = variables.get(name)
        if source is None:
            continue
        if source.age is not None:
            needed[name] = source.age
        elif source.patient in ("birth_date", "sex"):
            needed[name] = source.patient
        elif source.index == "hospital":
            needed[name] = "person_id"
        elif quasi.divisions is not None:
            needed[name] = "address"
    return {name: _persons_with(workplace, spec, fact) for name, fact in needed.items()}


def _persons_with(workplace: Workplace, spec: ProductSpec, fact: str) -> set[str]:
    """Persons of whom the hospitals hold a fact: birth date and sex on any day, or an address."""
    import pyarrow.compute as pc

    hospitals = candidates.hospitals_of(workplace, spec)
    found: set[str] = set()
    if fact == "address":
        for hospital in hospitals:
            known = nights.identities_of(workplace, hospital).table
            found |= set(known.filter(pc.is_valid(known["address"]))["person_id"].to_pylist())
        return found - {None}
    for partition in workplace.lake.partitions("deid", "patient"):
        if partition.keys[0] in hospitals:
            rows = workplace.lake.read(partition, sorted({"person_id", fact}))
            found |= set(rows.filter(pc.is_valid(rows[fact]))["person_id"].to_pylist())
    return found - {None}


# -- joins -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Opponent:
    """A published release that an attacker may hold beside the candidate.

    Attributes:
        product: its product.
        version: its version.
        number: of its commit.
        digest: its release digest.
        title: of the product, by language.
    """

    product: str
    version: str
    number: int
    digest: str
    title: Mapping[str, str]

    @property
    def name(self) -> str:
        """Product and version."""
        return f"{self.product} {self.version}"

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return {"product": self.product, "version": self.version, "digest": self.digest, "title": dict(self.title)}


def _has_rows(spec: ProductSpec) -> bool:
    return spec.form == "microdata"


def _table(spec: ProductSpec) -> Any:
    return candidates.candidate_partition("table", spec.id)


def _published(workplace: Workplace, product: str) -> list[tuple[Any, str]]:
    """Published versions of a product that hold rows, with the SHA-256 of their table."""
    from meddata_pipeline.exchange import release

    found = []
    for commit in release.commits(workplace.home, product):
        folder = release.product_dir(workplace.home, product) / commit.version
        files = json.loads((folder / release.MANIFEST).read_bytes())["files"]
        found += [(commit, entry["sha256"]) for entry in files if entry["path"] == _DATA]
    return found


def _own_version(workplace: Workplace, spec: ProductSpec) -> str | None:
    """The published version that holds exactly the candidate's rows, if there is one."""
    published = _published(workplace, spec.id) if _has_rows(spec) else []
    if not published:
        return None
    own = sha256_hex(dossier.parquet(workplace, spec.id))
    return next((commit.version for commit, digest in published if digest == own), None)


def opponents(workplace: Workplace, spec: ProductSpec) -> list[Opponent]:
    """Published tables of rows that hold somebody of the candidate: other products, and other versions of this one.

    A candidate that hands over no rows has none.
    """
    if not _has_rows(spec):
        return []
    own = _own_version(workplace, spec)
    persons = set(workplace.lake.read(candidates.cohort_partition(spec), ["person_id"])["person_id"].to_pylist())
    found = []
    for product in workplace.config.products():
        title = candidates.spec_of(workplace, product).title.model_dump()
        for commit, _ in _published(workplace, product):
            if (product, commit.version) != (spec.id, own) and persons & _persons_of(workplace, commit):
                found.append(Opponent(product, commit.version, commit.number, commit.digest, title))
    return found


def _persons_of(workplace: Workplace, commit: Any) -> set[str]:
    partition = candidates.persons_partition(commit.product, commit.number)
    return set(workplace.lake.read(partition, ["person_id"])["person_id"].to_pylist())


def _join(
    workplace: Workplace,
    spec: ProductSpec,
    other: Opponent,
    cohort: pd.DataFrame,
    owners: pd.Series[Any],
    policy: Policy,
    base: Path,
) -> JoinAttack:
    """Join the candidate to a published release, judged by the true values that the other's cohort holds now."""
    import pandas as pd

    from meddata_pipeline.exchange import release
    from meddata_pipeline.privacy.join_attack import Side, join_attack

    theirs = candidates.spec_of(workplace, other.product)
    their_policy, their_base = candidates.policy_of(workplace, other.product)
    path = release.product_dir(workplace.home, other.product) / other.version / _DATA
    candidate = candidates.released_frame(workplace, spec.id)
    truth = _true_values(cohort, policy)
    partition = candidates.cohort_partition(theirs)
    known = truth.iloc[:0]
    if workplace.lake.manifest(partition) is not None:
        known = _true_values(candidates.cohort_frame(workplace, theirs), their_policy)
    persons = workplace.lake.read(candidates.persons_partition(other.product, other.number), ["person_id"])
    return join_attack(
        Side(candidate, policy, base),
        candidate["row_id"].map(owners),
        Side(pd.read_parquet(path), their_policy, their_base),
        persons["person_id"].to_pylist(),
        Side(truth, policy, base),
        Side(known, their_policy, their_base),
    )

"""An attacker with a register of the same people: how many of them does he find in a release?

What belongs here: the linkage attack, its success rate with exact limits, and whether it stays under a threshold. What
does not: risk from class sizes (risk.py). The truth (whose a released row is) serves for judging alone; the attacker
sees the release and the register.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from meddata_pipeline.core.errors import BadInput, Reason
from meddata_pipeline.privacy.leak_bound import CONFIDENCE, interval
from meddata_pipeline.privacy.policy import AttackTerms, Policy
from meddata_pipeline.privacy.release import OLDEST
from meddata_pipeline.privacy.tabular.files import read_table
from meddata_pipeline.privacy.tabular.outside import Matches, match
from meddata_pipeline.privacy.tabular.subsets import group
from meddata_pipeline.privacy.tabular.values import MISSING, SUPPRESSED, encode, text_of

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Attack:
    """What a linkage attack achieved.

    Attributes:
        columns: quasi-identifiers that release and register share.
        targets: people of the register who are in the release, suppressed or not.
        strangers: people of the register who are not.
        claims: targets for whom some released row fits, so that the attacker names one.
        correct: targets whose own row he named.
        expected: share of the targets whom he names correctly on average, over all his random choices.
        sure: people of the register for whom exactly one row fits.
        sure_correct: targets among them whose row it is.
        threshold: what the success rate must stay under.
        complete: whether the register holds everybody whose rows are released.
    """

    columns: tuple[str, ...]
    targets: int
    strangers: int
    claims: int
    correct: int
    expected: float
    sure: int
    sure_correct: int
    threshold: float
    complete: bool

    @property
    def rate(self) -> float:
        """Share of the targets that was found."""
        return self.correct / self.targets if self.targets else 0.0

    @property
    def limits(self) -> tuple[float, float]:
        """Exact two-sided 95 % limits of the rate; 0 to 1 without targets."""
        return interval(self.correct, self.targets)

    @property
    def below_threshold(self) -> bool:
        """Whether the success rate stays within the threshold.

        With everybody in the register the expected rate is exact, and the draw must only not contradict it. With some
        of the people it says something about the others by its upper limit alone: a few targets prove nothing.
        """
        low, high = self.limits
        if self.complete:
            return self.expected <= self.threshold + 1e-12 and low <= self.threshold
        return high <= self.threshold

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        low, high = self.limits
        return {
            "columns": list(self.columns),
            "targets": self.targets,
            "strangers": self.strangers,
            "claims": self.claims,
            "correct": self.correct,
            "success_rate": self.rate,
            "confidence": CONFIDENCE,
            "interval": [low, high],
            "expected_rate": self.expected,
            "sure": self.sure,
            "sure_correct": self.sure_correct,
            "sure_interval": list(interval(self.sure_correct, self.sure)),
            "complete": self.complete,
            "threshold": self.threshold,
            "met": self.below_threshold,
        }

    def reasons(self, register: str = "all true quasi-identifiers") -> list[Reason]:
        """Why a release must not leave: the attack may succeed too often. Empty when it may.

        Args:
            register: what the register holds, in words.
        """
        if self.below_threshold:
            return []
        detail = (
            f"the linkage attack with {register} finds {self.rate:.4f} of the people (expected {self.expected:.4f}, "
            f"95 % interval to {self.limits[1]:.4f}); the limit is {self.threshold:g}"
        )
        return [Reason("linkage-attack", detail)]


def linkage_attack(
    released: pd.DataFrame,
    owners: pd.Series[Any],
    register: pd.DataFrame,
    people: pd.Series[Any],
    policy: Policy,
    *,
    base: Path,
    seed: int = 1,
) -> Attack:
    """Link a register to a release by the quasi-identifiers that both have.

    For each person of the register the attacker takes the released rows that fit, whatever the level of their values,
    and names one of them at random. Rows with ``*`` in all of these columns tell him nothing and are left out.

    Args:
        released: the release.
        owners: whose each released row is, by the index of ``released``.
        register: one row per person; columns named as the quasi-identifiers, not generalised. Others are not used.
        people: who each row of the register is, in the words of ``owners``, by the index of ``register``.
        policy: hierarchies of the quasi-identifiers, and the threshold.
        base: folder that the policy's files are relative to.
        seed: of the attacker's random choices.

    Returns:
        What he achieved.

    Raises:
        BadInput: release and register share no quasi-identifier, a row's owner is unknown, or the register has a
            person twice.
    """
    names = [n for n in policy.quasi_identifiers if n in released.columns and n in register.columns]
    if not names:
        raise BadInput("The register shares no quasi-identifier with the table, so nobody can be linked")
    who = [text_of(value) for value in people.reindex(register.index)]
    owner_of = [text_of(value) for value in owners.reindex(released.index)]
    if MISSING in who or MISSING in owner_of:
        raise BadInput("The attack can't be judged: of some rows nobody says whose they are")
    if len(set(who)) != len(who):
        raise BadInput("The register has a person twice", next_step="Give one row per person")
    number = {person: i for i, person in enumerate(who)}
    owned = np.array([number.get(person, -1) for person in owner_of], dtype=np.int64)
    present = np.zeros(len(who), dtype=bool)
    present[owned[owned >= 0]] = True
    everybody = bool(len(owned)) and bool((owned >= 0).all())

    useful = ~(released[names].astype(object) == SUPPRESSED).all(axis=1).to_numpy()
    kept, owned = released.loc[useful, names], owned[useful]
    encoded = {name: encode(kept[name]) for name in names}
    ids, count = group([c.codes for c in encoded.values()], [len(c.texts) for c in encoded.values()], len(kept))
    outside = {name: encode(register[name]) for name in names}
    matches = match(encoded, ids, outside, policy.quasi_identifiers, base=base, delimiter=policy.table.delimiter)
    fitting, own, named = _choose(matches, ids, count, owned, len(who), seed)
    hit = (named >= 0) & (owned[named] == np.arange(len(who))) if len(owned) else np.zeros(len(who), dtype=bool)
    expected = np.divide(own, fitting, out=np.zeros(len(who)), where=fitting > 0)
    sure = fitting == 1
    return Attack(
        columns=tuple(names),
        targets=int(present.sum()),
        strangers=int((~present).sum()),
        claims=int((present & (fitting > 0)).sum()),
        correct=int((present & hit).sum()),
        expected=float(expected[present].mean()) if present.any() else 0.0,
        sure=int(sure.sum()),
        sure_correct=int((sure & hit).sum()),
        threshold=policy.risk.threshold,
        complete=everybody,
    )


def _choose(matches: Matches, ids: Ints, count: int, owned: Ints, people: int, seed: int) -> tuple[Ints, Ints, Ints]:
    """For each person of the register: rows that fit, own rows among them, and the row that is named (-1: none)."""
    sizes = np.bincount(ids, minlength=count).astype(np.int64)
    by_class = np.argsort(ids, kind="stable")
    start = np.cumsum(sizes) - sizes
    fitting = np.bincount(matches.rows, weights=sizes[matches.classes], minlength=people).astype(np.int64)
    # Own rows: pairs of (person, class) that some row of that person lies in.
    mine = owned >= 0
    held, times = np.unique(owned[mine] * max(count, 1) + ids[mine], return_counts=True)
    pair = matches.rows * max(count, 1) + matches.classes
    at = np.searchsorted(held, pair)
    inside = at < len(held)
    inside[inside] = held[at[inside]] == pair[inside]
    own = np.bincount(matches.rows[inside], weights=times[at[inside]], minlength=people).astype(np.int64)

    named = np.full(people, -1, dtype=np.int64)
    drawn = np.random.default_rng(seed).random(people)
    claimed = np.flatnonzero(fitting)
    if len(claimed):
        ends = np.cumsum(sizes[matches.classes])
        first = np.cumsum(fitting) - fitting
        rank = first[claimed] + np.minimum((drawn[claimed] * fitting[claimed]).astype(np.int64), fitting[claimed] - 1)
        where = np.searchsorted(ends, rank, side="right")
        chosen = matches.classes[where]
        named[claimed] = by_class[start[chosen] + rank - (ends[where] - sizes[chosen])]
    return fitting, own, named


def ages(births: pd.Series[Any], on: dt.date) -> pd.Series[Any]:
    """Whole years of age on a day, as a register's birth dates give them; over 89 is 90, as in a release.

    Args:
        births: dates, or ISO texts.
        on: the day.

    Returns:
        Ages; missing where the birth date is missing, no date, or after the day.
    """

    def age(value: Any) -> Any:
        try:
            birth = dt.date.fromisoformat(text_of(value)[:10])
        except ValueError:
            return pd.NA
        years = on.year - birth.year - ((on.month, on.day) < (birth.month, birth.day))
        return pd.NA if years < 0 else min(years, OLDEST + 1)

    return births.map(age).astype("Int64")


def view(register: pd.DataFrame, columns: Mapping[str, Any]) -> pd.DataFrame:
    """A register in the words of the quasi-identifiers.

    Args:
        register: as it is kept: birth dates, not ages.
        columns: quasi-identifier → column of the register, or an ``AgeOf``.

    Raises:
        BadInput: the register lacks a column.
    """
    made: dict[str, Any] = {}
    for name, source in columns.items():
        column = source if isinstance(source, str) else source.age_of
        if column not in register.columns:
            raise BadInput(f"The register has no column {column}", where="risk.attack.columns")
        made[name] = register[column] if isinstance(source, str) else ages(register[column], source.on)
    return pd.DataFrame(made, index=register.index)


def attack_by_policy(table: pd.DataFrame, policy: Policy, terms: AttackTerms, base: Path) -> Attack:
    """The attack that a policy asks for, on a table that still says whose its rows are.

    Raises:
        BadInput: the table has no ``unit``, or the register lacks a column.
    """
    if policy.unit is None or policy.unit not in table.columns:
        raise BadInput(
            "The linkage attack can't be judged: the table does not say whose its rows are",
            where="unit",
            next_step="Run it on the table with the column of the policy's unit, before that is dropped",
        )
    register = read_table(base / terms.file, policy.table.delimiter)
    person = terms.person or policy.unit
    if person not in register.columns:
        raise BadInput(f"The register has no column {person}", where="risk.attack.person")
    columns = terms.columns or {name: name for name in policy.quasi_identifiers if name in register.columns}
    return linkage_attack(
        table, table[policy.unit], view(register, columns), register[person], policy, base=base, seed=terms.seed
    )

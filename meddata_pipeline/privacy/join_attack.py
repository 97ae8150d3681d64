"""An attacker with two releases: which of their rows he takes for the same person, and what the join gives him.

What belongs here: joining two tables by what both tell, how many people are joined rightly, and the attack with a
register on the joined table. What does not: an attack on one table (attack.py), which tables there are and what is
known of their people (app/attacks.py). The truth serves for judging alone.

Rows are weighed as in record linkage: agreement of a rare value says more than that of a common one. For each row the
attacker names the row of the other table that agrees best, and one of them at random where several do.

Source: Fellegi and Sunter, A theory for record linkage, J. Am. Stat. Assoc. 64, 1969, 1183-1210.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from meddata_pipeline.core.errors import Reason
from meddata_pipeline.disclosure.cells import small_cell_limit
from meddata_pipeline.privacy.attack import Attack, linkage_attack
from meddata_pipeline.privacy.leak_bound import CONFIDENCE, interval
from meddata_pipeline.privacy.policy import (
    DATE_LEVELS,
    DIAGNOSIS_LEVELS,
    DIVISION_LEVELS,
    Policy,
    QuasiIdentifier,
)
from meddata_pipeline.privacy.tabular.hierarchy import labels
from meddata_pipeline.privacy.tabular.outside import UNKNOWN, ranges
from meddata_pipeline.privacy.tabular.subsets import group
from meddata_pipeline.privacy.tabular.values import MISSING, SUPPRESSED, encode, text_of

Ints = NDArray[np.int64]
Codes = NDArray[np.int32]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

#: Chance that a value of one person is the same in both tables: records are corrected and completed between releases.
_SAME = 0.98
#: Cells of the table of scores that are held at once.
_CELLS = 2_000_000
#: Above this many pairs of distinct texts only equal ones agree: such columns are ids, not labels of a hierarchy.
_PAIRS = 4_000_000
_FINEST, _COARSEST = 6, -3


@dataclass(frozen=True)
class Side:
    """One table of a join, and what is known of how its values were made.

    Attributes:
        table: the rows, or the true values of their persons.
        policy: hierarchies of its quasi-identifiers.
        base: folder that the policy's files are relative to.
    """

    table: pd.DataFrame
    policy: Policy
    base: Path


@dataclass(frozen=True)
class JoinAttack:
    """What joining a candidate to another release achieved.

    Attributes:
        columns: columns that both tables have.
        targets: persons of the candidate who are in the other table too.
        correct: those of whose row the attacker named a partner that is theirs.
        expected: share of the targets that he joins rightly on average, over all his random choices.
        sure: persons for whom one partner fits better than all others.
        sure_correct: targets among them whose partner it is.
        exposed: rightly joined persons who share their class of the joined table with fewer than ``k`` persons.
        k: smallest class that the policy asks for.
        register: the attack with a register of all true quasi-identifiers on the joined table.
    """

    columns: tuple[str, ...]
    targets: int
    correct: int
    expected: float
    sure: int
    sure_correct: int
    exposed: int
    k: int
    register: Attack

    @property
    def rate(self) -> float:
        """Share of the targets that was joined rightly."""
        return self.correct / self.targets if self.targets else 0.0

    @property
    def below_threshold(self) -> bool:
        """Whether the attack on the joined table stays within the threshold."""
        return self.register.below_threshold

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            "columns": list(self.columns),
            "targets": self.targets,
            "correct": self.correct,
            "joined_rate": self.rate,
            "confidence": CONFIDENCE,
            "interval": list(interval(self.correct, self.targets)),
            "expected_rate": self.expected,
            "sure": self.sure,
            "sure_correct": self.sure_correct,
            "sure_interval": list(interval(self.sure_correct, self.sure)),
            "exposed": self.exposed,
            "register": self.register.as_dict(),
            "met": self.below_threshold,
        }

    def reasons(self, other: str) -> list[Reason]:
        """Why a release must not leave beside another one, ``other``; empty when it may."""
        if self.below_threshold:
            return []
        limit = small_cell_limit(self.k)
        exposed = f"fewer than {limit}" if self.exposed < limit else str(self.exposed)
        detail = (
            f"joined with {other} through their values, the linkage attack finds {self.register.rate:.4f} of "
            f"the people (expected {self.register.expected:.4f}, 95 % interval to {self.register.limits[1]:.4f}); "
            f"the limit is {self.register.threshold:g}; people exposed: {exposed}"
        )
        return [Reason("product-join-attack", detail, other)]


def join_attack(
    candidate: Side,
    owners: pd.Series[Any],
    other: Side,
    shared: Collection[str],
    known: Side,
    known_other: Side,
    *,
    seed: int = 1,
) -> JoinAttack:
    """Join a candidate to another release, and attack the joined table.

    Nobody keeps whose the rows of the other release are. Whose they may be is judged by the true values of the persons:
    a partner is right if no row of the other release agrees better with all that is known of the person. Where nothing
    is known of somebody who is in both, every partner counts as right.

    Args:
        candidate: the release to be judged.
        owners: whose each of its rows is, by the index of its table.
        other: the release that is out already.
        shared: persons who are in both.
        known: true values of the candidate's persons, by person; its policy is not used.
        known_other: true values of persons for the other release, by person; its policy is not used.
        seed: of the attacker's random choices.

    Returns:
        What he achieved. Its threshold and ``k`` are those of the candidate's policy.
    """
    left, right = candidate.table.reset_index(drop=True), other.table.reset_index(drop=True)
    who = np.array([text_of(owner) for owner in owners.reindex(candidate.table.index)], dtype=object)
    columns = tuple(name for name in left.columns if name in right.columns)
    told = known_other.table.reindex(columns=[n for n in right.columns if n in known_other.table.columns])
    of_owner = told.reindex(pd.Index(who))
    there = np.isin(who, np.array(list(told.index), dtype=object))

    values = {n: known_other.table[n] for n in columns if n in known_other.table.columns}
    attacker = [_agreement(n, left[n], right[n], candidate, other, values.get(n)) for n in columns]
    # The insider compares true values, which are generalised at no level.
    truth = Side(told, other.policy, other.base)
    insider = [_agreement(n, of_owner[n], right[n], truth, other, exact=True) for n in told.columns]
    if not there.any():
        insider = []
    both = np.isin(who, np.array(list(shared), dtype=object))
    drawn = np.random.default_rng(seed).random(len(left))
    partner = np.full(len(left), -1, dtype=np.int64)
    hit, alone, chance = np.zeros(len(left), bool), np.zeros(len(left), bool), np.zeros(len(left))
    for rows, others in _blocks(left, right, candidate.policy, other.policy):
        best = _best([a.of(rows, others) for a in attacker], len(rows), len(others))
        right_ones = _best([a.of(rows, others) for a in insider], len(rows), len(others))
        right_ones[~there[rows]] = True
        ties = best.sum(axis=1)
        place = np.flatnonzero(best)[np.cumsum(ties) - ties + (drawn[rows] * ties).astype(np.int64)] % len(others)
        partner[rows], alone[rows] = others[place], ties == 1
        hit[rows] = right_ones[np.arange(len(rows)), place] & both[rows]
        chance[rows] = np.where(both[rows], (best & right_ones).sum(axis=1) / ties, 0.0)

    # A person with several rows is joined if one of them is.
    people = pd.DataFrame({"who": who, "both": both, "hit": hit, "alone": alone, "chance": chance})
    people["surely"] = people["hit"] & people["alone"]
    person = people.groupby("who", sort=False).max()
    targets = int(person["both"].sum())
    joined, names = _joined(left, right, partner, candidate, other)
    register = _register(known, known_other, names, person.index)
    attack = linkage_attack(
        joined[list(register.columns)],
        pd.Series(who, dtype=object),
        register,
        pd.Series(list(person.index), dtype=object),
        candidate.policy.model_copy(update={"quasi_identifiers": {n: names[n].spec for n in register.columns}}),
        base=Path(),
        seed=seed,
    )
    return JoinAttack(
        columns=columns,
        targets=targets,
        correct=int(person["hit"].sum()),
        expected=float(person.loc[person["both"], "chance"].mean()) if targets else 0.0,
        sure=int(person["alone"].sum()),
        sure_correct=int(person["surely"].sum()),
        exposed=_exposed(joined, who, hit, candidate.policy.k),
        k=candidate.policy.k,
        register=attack,
    )


# -- which values agree ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Agreement:
    """Where two tables agree in one column.

    Attributes:
        left: shape (rows of the candidate,), codes of its distinct values.
        right: shape (rows of the other table,), codes of its distinct values.
        first: shape (left values,), with ``last``: codes of the right values that agree with it.
        last: shape (left values,), below ``first`` where none does.
        table: shape (left values, right values), where the values that agree have no neighbouring codes.
        weight: shape (left values,), what agreement says against disagreement, in nats.
    """

    left: Codes
    right: Codes
    first: Codes
    last: Codes
    table: Bools | None
    weight: NDArray[np.float32]

    def of(self, rows: Ints, others: Ints) -> tuple[Bools, NDArray[np.float32]]:
        """Which of the rows agree, shape (rows, others), and what that says, shape (rows, 1)."""
        codes, right = self.left[rows], self.right[others]
        agree: Bools
        if self.table is not None:
            agree = np.take(self.table[codes], right, axis=1)
        else:
            agree = (right >= self.first[codes][:, None]) & (right <= self.last[codes][:, None])
        return agree, self.weight[codes][:, None]


def _agreement(
    name: str,
    left: pd.Series[Any],
    right: pd.Series[Any],
    one: Side,
    two: Side,
    domain: pd.Series[Any] | None = None,
    *,
    exact: bool = False,
) -> _Agreement:
    """Where two columns agree; ``domain`` holds true values, ``exact`` says that the numbers on the left are true."""
    numbers = [pd.api.types.is_numeric_dtype(c) and not pd.api.types.is_bool_dtype(c) for c in (left, right)]
    if all(numbers):
        values = [column.to_numpy(dtype=float, na_value=np.nan) for column in (left, right)]
        return _numbers(values[0], values[1], exact)
    a, b = encode(left), encode(right)
    table: Bools | None = None
    if len(a.texts) * len(b.texts) <= _PAIRS:
        table = _labels_agree(name, a.texts, b.texts, one, two, [] if domain is None else encode(domain).texts)
    place = {text: code for code, text in enumerate(b.texts)}
    first = np.array([place.get(text, 0) for text in a.texts], dtype=np.int32)
    last = np.array([place.get(text, -1) for text in a.texts], dtype=np.int32)
    counts = np.bincount(b.codes, minlength=len(b.texts))
    found = table @ counts if table is not None else np.where(last >= 0, counts[np.maximum(last, 0)], 0)
    return _Agreement(a.codes, b.codes, first, last, table, _weights(found, len(right)))


def _weights(found: NDArray[Any], rows: int) -> NDArray[np.float32]:
    """What agreement says more than disagreement, by the number of rows of the other table that agree."""
    chance = np.clip(found / max(rows, 1), 0.5 / max(rows, 1), 1 - 0.5 / max(rows, 1))
    # Agreement by chance in nearly all rows says nothing, rather than something against the person.
    weight: Floats = np.log(_SAME / chance) - np.log((1 - _SAME) / (1 - chance))
    return np.maximum(weight, 0.0).astype(np.float32)


def _numbers(left: Floats, right: Floats, exact: bool) -> _Agreement:
    """Numbers agree where one value can have been rounded to both; missing ones agree with each other."""
    a, codes = np.unique(left, return_inverse=True, equal_nan=True)
    b, others = np.unique(right, return_inverse=True, equal_nan=True)
    one, two = 0.0 if exact else _half_step(a), _half_step(b)
    # Rounded alike, the same value is the same number in both.
    reach = 0.0 if one == two else one + two
    slack = reach + 1e-9 * np.maximum(1.0, np.abs(np.nan_to_num(a)))
    known = b[~np.isnan(b)]
    first = np.searchsorted(known, a - slack, side="left")
    last = np.searchsorted(known, a + slack, side="right") - 1
    empty = np.isnan(a)
    first[empty], last[empty] = len(known), len(b) - 1
    counts = np.concatenate([[0], np.cumsum(np.bincount(others, minlength=len(b)))])
    found = np.where(last >= first, counts[last + 1] - counts[np.minimum(first, len(b))], 0)
    return _Agreement(
        codes.astype(np.int32),
        others.astype(np.int32),
        first.astype(np.int32),
        last.astype(np.int32),
        None,
        _weights(found, len(right)),
    )


def _half_step(values: Floats) -> float:
    """Half of the step that a column's values show they are rounded to; 0 where they show none."""
    known = values[np.isfinite(values)]
    for decimals in range(_COARSEST, _FINEST + 1):
        if np.allclose(np.round(known, decimals), known, rtol=1e-12, atol=1e-9):
            return float(0.5 * 10.0**-decimals)
    return 0.0


def _labels_agree(name: str, left: list[str], right: list[str], one: Side, two: Side, domain: Collection[str]) -> Bools:
    """Which texts can stand for the same value: equal ones, overlapping ranges, labels with a value in common."""
    agree: Bools = np.equal.outer(np.array(left, dtype=object), np.array(right, dtype=object)).astype(bool)
    specs = [_any_level(side.policy.quasi_identifiers.get(name, QuasiIdentifier())) for side in (one, two)]
    dates = any(spec.dates is not None for spec in specs)
    low, high = ranges(left, dates)
    other_low, other_high = ranges(right, dates)
    agree |= (low[:, None] < other_high[None, :]) & (other_low[None, :] < high[:, None])
    values = sorted({*left, *right, *domain, *_leaves(specs)} - {MISSING, SUPPRESSED})
    becomes = [
        labels(name, spec, values, base=side.base, delimiter=side.policy.table.delimiter)[0]
        for spec, side in zip(specs, (one, two), strict=True)
    ]
    rows, columns = ({text: at for at, text in enumerate(texts)} for texts in (left, right))
    for value in sorted({*values, *becomes[0], *becomes[1]}):
        ours = [rows[text] for text in {value, *becomes[0].get(value, ())} if text in rows]
        theirs = [columns[text] for text in {value, *becomes[1].get(value, ())} if text in columns]
        if ours and theirs:
            agree[np.ix_(ours, theirs)] = True
    agree[[text == SUPPRESSED for text in left], :] = True
    agree[:, [text == SUPPRESSED for text in right]] = True
    return agree


def _any_level(spec: QuasiIdentifier) -> QuasiIdentifier:
    """The hierarchy with all levels of its kind: an earlier version may have been made under other levels."""
    if spec.dates is not None:
        return spec.model_copy(update={"dates": list(DATE_LEVELS)})
    if spec.divisions is not None:
        return spec.model_copy(update={"divisions": list(DIVISION_LEVELS)})
    if spec.icd10 is not None:
        return spec.model_copy(update={"icd10": list(DIAGNOSIS_LEVELS)})
    return spec


def _leaves(specs: Collection[QuasiIdentifier]) -> Iterator[str]:
    for spec in specs:
        if spec.groups is not None and isinstance(spec.groups.order, list):
            yield from spec.groups.order


# -- which rows agree best ---------------------------------------------------------------------------------------------


def _blocks(left: pd.DataFrame, right: pd.DataFrame, one: Policy, two: Policy) -> Iterator[tuple[Ints, Ints]]:
    """Rows that are compared with each other: equal in the quasi-identifiers that neither release generalises.

    A suppressed value is compared with all; so is a row that nobody's row equals.
    """
    names = [
        name
        for name, spec in one.quasi_identifiers.items()
        if name in left.columns and name in right.columns and not spec.generalises
        if name in two.quasi_identifiers and not two.quasi_identifiers[name].generalises
    ]
    ours, theirs = [encode(left[n]) for n in names], [encode(right[n]) for n in names]
    ids, count = group([c.codes for c in ours], [len(c.texts) for c in ours], len(left)) if len(left) else ([], 0)
    for block in range(count):
        rows = np.flatnonzero(ids == block)
        fits = np.ones(len(right), dtype=bool)
        for a, b in zip(ours, theirs, strict=True):
            text = a.texts[a.codes[rows[0]]]
            if text != SUPPRESSED:
                fits &= np.array([t in (text, SUPPRESSED) for t in b.texts])[b.codes]
        others = np.flatnonzero(fits if fits.any() else np.ones(len(right), dtype=bool))
        if not len(others):
            return
        step = max(1, _CELLS // len(others))
        for start in range(0, len(rows), step):
            yield rows[start : start + step], others


def _best(columns: list[tuple[Bools, NDArray[np.float32]]], rows: int, others: int) -> Bools:
    """For each row the others that agree best, shape (rows, others)."""
    score = np.zeros((rows, others), dtype=np.float32)
    for agree, weight in columns:
        score += agree * weight
    best: Bools = np.equal(score, score.max(axis=1, keepdims=True))
    return best


# -- what the join gives -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Name:
    """A quasi-identifier of the joined table: whether it is the other table's, its name there, its hierarchy."""

    of_other: bool
    column: str
    spec: QuasiIdentifier


def _joined(
    left: pd.DataFrame, right: pd.DataFrame, partner: Ints, candidate: Side, other: Side
) -> tuple[pd.DataFrame, dict[str, _Name]]:
    """The quasi-identifiers of both tables side by side, and what each of them is."""
    names: dict[str, _Name] = {}
    made: dict[str, Any] = {}
    for side, table, rows in ((candidate, left, None), (other, right, partner)):
        for column, spec in side.policy.quasi_identifiers.items():
            if column in table.columns:
                name = f"{column} ({'candidate' if rows is None else 'other'})"
                values = table[column].astype(object)
                if rows is not None:
                    values = values.iloc[rows] if len(table) else pd.Series([SUPPRESSED] * len(left), dtype=object)
                made[name] = values.to_numpy()
                path = None if spec.hierarchy is None else str((side.base / spec.hierarchy).absolute())
                whole = _any_level(spec.model_copy(update={"hierarchy": path}))
                names[name] = _Name(rows is not None, column, whole)
    return pd.DataFrame(made), names


def _register(known: Side, known_other: Side, names: Mapping[str, _Name], people: pd.Index[Any]) -> pd.DataFrame:
    """The true quasi-identifiers of the candidate's persons for both tables; what is not known fits everything."""
    made: dict[str, Any] = {}
    for name, told in names.items():
        table = (known_other if told.of_other else known).table
        if told.column in table.columns:
            values = table[told.column].astype(object).reindex(people)
            made[name] = values.where(people.isin(table.index), UNKNOWN).to_numpy()
    return pd.DataFrame(made, index=range(len(people)))


def _exposed(joined: pd.DataFrame, who: NDArray[Any], hit: Bools, k: int) -> int:
    """Rightly joined persons who share both of their classes with fewer than ``k`` persons."""
    encoded = [encode(joined[name]) for name in joined.columns]
    ids, _ = group([c.codes for c in encoded], [len(c.texts) for c in encoded], len(joined)) if len(joined) else ([], 0)
    classes = pd.DataFrame({"id": ids, "who": who, "hit": hit})
    persons = classes.groupby("id")["who"].transform("nunique") if len(classes) else classes["id"]
    return int(classes.loc[classes["hit"] & (persons < k), "who"].nunique())

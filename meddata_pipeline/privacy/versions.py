"""What several versions of one product tell together: who must be left out of the next one so that none undoes another.

What belongs here: people by their class in every version, the smallest set of people to withhold, the recount of that,
and what may not change between versions of one scheme. What does not: which versions are live and where their people
are kept (app), anonymizing one table (tabular/).

Who holds all versions can group people by their class in each of them, or their absence: their *pattern*. People who
are in the second version only have patterns of their own, and so have those who changed class. Every pattern that has a
class in some version must be that of at least k people. People who are in no version have no pattern.

Before the new version every pattern has its people already; the new version splits it by new class and absence. With
``N`` people in it, each part must be empty or hold at least ``min(k, N)``: k may have been raised since, and then a
pattern may not be split, but stay. The parts of different patterns don't touch each other, so each is settled alone:

- a part with a class and too few people is withheld;
- if those who are absent then are too few, others are withheld as well to cover them: as many as are missing, as long
  as the other parts can spare them, else the smallest part as a whole;
- of people who were never released only the first holds, since nobody sees that they are absent.

Nothing smaller does: a part that is too small can't be kept, and where no part can spare enough, one must go whole.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from meddata_pipeline.core.canonical import file_sha256, sha256_hex
from meddata_pipeline.core.errors import ConfigError, Reason, Refused
from meddata_pipeline.privacy.policy import Policy
from meddata_pipeline.privacy.pseudonym import keyed
from meddata_pipeline.privacy.tabular.release import anonymize, load_subset
from meddata_pipeline.privacy.tabular.result import Anonymized
from meddata_pipeline.privacy.tabular.values import SUPPRESSED, encode

#: Person → class: of the people whose rows a version shows, indexed by person.
Classes = pd.Series

_LENGTH = 32


@dataclass(frozen=True)
class Decision:
    """Who is left out of a new version because of the earlier ones.

    Attributes:
        withheld: persons, sorted.
        exposed: persons who would share their pattern with fewer than k, were nobody withheld.
    """

    withheld: tuple[str, ...]
    exposed: int


@dataclass(frozen=True)
class Protected:
    """A table that may stand beside the earlier versions.

    Attributes:
        made: the anonymised table; what was withheld counts as suppressed.
        withheld: shape (rows,), True where a row was withheld because of the earlier versions.
        exposed: persons whom the table would have exposed.
        classes: class of each person in it.
    """

    made: Anonymized
    withheld: NDArray[np.bool_]
    exposed: int
    classes: Classes


def classes_of(released: pd.DataFrame, policy: Policy, persons: pd.Series[Any]) -> Classes:
    """The class of each person whom a released table shows.

    Args:
        released: the table; suppressed rows (``*`` in all quasi-identifiers) are in no class.
        policy: names the quasi-identifiers.
        persons: whose a row is, by the index of ``released``.

    Returns:
        Digest of the released quasi-identifiers by person. Where a person has several rows, a digest of them all.
    """
    columns = [encode(released[name]) for name in policy.quasi_identifiers]
    stars = np.ones(len(released), dtype=bool)
    for column in columns:
        stars &= column.codes == (column.texts.index(SUPPRESSED) if SUPPRESSED in column.texts else -1)
    codes = pd.DataFrame({i: column.codes for i, column in enumerate(columns)})[~stars]
    number = codes.groupby(list(codes.columns), sort=False).ngroup().to_numpy()
    distinct = codes.drop_duplicates().to_numpy()
    texts = np.array(
        [_digest([column.texts[code] for column, code in zip(columns, row, strict=True)]) for row in distinct],
        dtype=object,
    )
    whose = persons.reindex(released.index)[~stars].astype(str).to_numpy(dtype=object)
    rows = pd.Series(texts[number] if len(texts) else [], index=whose, dtype=object, name="class")
    if not rows.index.is_unique:
        rows = rows.groupby(level=0).agg(lambda several: _digest(sorted(several)))
    return rows.sort_index()


def _digest(texts: Sequence[str]) -> str:
    return hashlib.sha256(json.dumps(texts).encode()).hexdigest()[:_LENGTH]


def decide(earlier: Sequence[Classes], now: Classes, k: int, order: Callable[[str], bytes]) -> Decision:
    """Decide who must be left out of a new version.

    Args:
        earlier: class by person of each live version.
        now: class by person of the new version as it would be.
        k: least number of people of one pattern.
        order: a keyed digest of a person: who is withheld to cover others must be told by nothing else.

    Returns:
        The fewest people whose absence leaves no pattern with 1 to k - 1 people.
    """
    people = sorted(set(now.index).union(*(set(version.index) for version in earlier)))
    before = np.zeros(len(people), dtype=np.int64)
    never = np.ones(len(people), dtype=bool)
    for version in earlier:
        codes = _codes(version, people)
        never &= codes < 0
        before = pd.factorize(before * (codes.max(initial=0) + 2) + codes + 1)[0].astype(np.int64)
    after = _codes(now, people)
    part = pd.factorize(before * (after.max(initial=0) + 2) + after + 1)[0]
    size = np.bincount(part)[part] if len(people) else np.zeros(0, dtype=np.int64)
    least = np.where(never, k, np.minimum(k, np.bincount(before)[before] if len(people) else 0))
    small = (size < least) & ~(never & (after < 0))
    gone: NDArray[np.bool_] = small & (after >= 0)
    absent = (after < 0) | gone
    missing = least - np.bincount(before, weights=absent)[before] if len(people) else np.zeros(0)
    # Patterns that lack people to cover their absent ones; sorted by pattern, each is one slice.
    short = np.flatnonzero(~never & (missing > 0) & (np.bincount(before, weights=absent)[before] > 0))
    short = short[np.argsort(before[short], kind="stable")]
    for members in np.split(short, np.flatnonzero(np.diff(before[short])) + 1) if len(short) else ():
        left = members[~absent[members]]
        gone[_cover(left, after, int(missing[members[0]]), int(least[members[0]]), people, order)] = True
    return Decision(tuple(itertools.compress(people, gone.tolist())), int(small.sum()))


def _codes(version: Classes, people: Sequence[str]) -> NDArray[np.int64]:
    """Number of each person's class; -1 for who is absent. Classes are numbered in the order of their texts."""
    return pd.factorize(version.reindex(list(people)).to_numpy(), sort=True)[0].astype(np.int64)


def _cover(
    left: NDArray[np.int64],
    after: NDArray[np.int64],
    missing: int,
    least: int,
    people: Sequence[str],
    order: Callable[[str], bytes],
) -> list[int]:
    """Those of one pattern who are withheld so that its absent people are enough."""
    classes, sizes = np.unique(after[left], return_counts=True)
    spare = dict(zip(classes.tolist(), (sizes - least).tolist(), strict=True))
    if sum(spare.values()) < missing:
        smallest = classes[np.argmin(sizes)]
        return [int(i) for i in left if after[i] == smallest]
    chosen: list[int] = []
    for i in sorted(left.tolist(), key=lambda i: order(people[i])):
        if len(chosen) < missing and spare[int(after[i])] > 0:
            spare[int(after[i])] -= 1
            chosen.append(i)
    return chosen


def recount(versions: Sequence[Classes]) -> dict[str, int]:
    """Count people by pattern, by SQL and not by the code that withheld them.

    Args:
        versions: class by person of each version.

    Returns:
        ``persons`` (in any version), ``patterns`` and ``smallest`` (people of the smallest pattern; 0 without any).
    """
    import duckdb

    shown = pd.DataFrame(
        {
            "version": np.repeat(np.arange(len(versions)), [len(v) for v in versions]),
            "person": [str(person) for v in versions for person in v.index],
            "class": [str(text) for v in versions for text in v],
        }
    )
    # Without a temporary folder DuckDB can't spill who is in which class to disk in clear.
    with duckdb.connect(":memory:", config={"temp_directory": "", "threads": 2}) as connection:
        connection.register("shown", shown)
        found = connection.execute(
            "SELECT coalesce(sum(n), 0), count(*), coalesce(min(n), 0) FROM (SELECT count(*) AS n FROM "
            "(SELECT string_agg(version || ':' || class, ' ' ORDER BY version) AS pattern FROM shown GROUP BY person) "
            "GROUP BY pattern)"
        ).fetchall()[0]
    return dict(zip(("persons", "patterns", "smallest"), map(int, found), strict=True))


def protect(
    table: pd.DataFrame,
    policy: Policy,
    base: Path,
    *,
    persons: pd.Series[Any],
    earlier: Sequence[Classes],
    scheme: Mapping[str, int] | None,
    key: bytes,
) -> Protected:
    """Anonymise a table so that it may stand beside the earlier versions of its product.

    Args:
        table: see ``anonymize``.
        policy: see ``anonymize``.
        base: see ``anonymize``.
        persons: whose a row is, by the index of ``table``: the same in every version.
        earlier: class by person of each live version.
        scheme: level of each quasi-identifier where the scheme is frozen, else None.
        key: decides who is withheld to cover others.

    Returns:
        The table and who was left out.

    Raises:
        Refused: ``no-transformation`` or ``frozen-scheme`` (no table meets the policy), ``versions-expose`` (more rows
            would have to be withheld than the policy's suppression limit lets).
        BadInput: see ``anonymize``.
    """
    made = anonymize(table, policy, base, scheme=scheme)
    searched = made.report
    classes = classes_of(made.require(), policy, persons)
    decision = decide(earlier, classes, policy.k, lambda person: keyed(key, "cover", person))
    exposed = decision.exposed
    withheld = np.zeros(len(table), dtype=bool)
    owners = persons.reindex(table.index).astype(str)
    subset = load_subset(table, policy, base)
    inside = np.ones(len(table), dtype=bool) if subset is None else subset
    limit = math.floor(Fraction(str(policy.suppression_limit)) * int(inside.sum()))
    # Without those who are withheld a class may fail a model, and whoever is suppressed for that is absent, too.
    while decision.withheld:
        withheld |= owners.isin(decision.withheld).to_numpy()
        if int(withheld.sum()) > limit or not is_global(policy):
            raise _exposes(exposed)
        made = anonymize(table, policy, base, scheme=made.transformation, withheld=withheld)
        if made.table is None or int((made.suppressed & inside).sum()) > limit:
            raise _exposes(exposed)
        classes = classes_of(made.table, policy, persons)
        decision = decide(earlier, classes, policy.k, lambda person: keyed(key, "cover", person))
    for name in ("asked", "checked"):
        made.report[name] = searched[name]
    return Protected(made, withheld, exposed, classes)


def _exposes(exposed: int) -> Refused:
    step = "Wait until more persons have come, or make a new major version of the contract with coarser levels"
    detail = f"together with the earlier versions it would expose {exposed} persons. {step}"
    return Refused(
        "The release would undo an earlier version", reasons=[Reason("versions-expose", detail)], next_step=step
    )


# -- what is frozen ----------------------------------------------------------------------------------------------------


def is_global(policy: Policy) -> bool:
    """Whether the policy's search gives all rows the same levels, so that there is a scheme to freeze."""
    return policy.search in {"optimal", "heuristic"}


def scheme_digest(policy: Policy, base: Path) -> str:
    """Digest of everything that a scheme's levels mean: the quasi-identifiers, how they generalise, hierarchy files.

    Groups in the order of the table's own values, and redaction to the longest of them, follow the table: their labels
    may differ between versions under the same digest, and ``decide`` then sees other classes.

    Raises:
        ConfigError: a hierarchy file is missing.
    """
    columns = []
    for name, spec in policy.quasi_identifiers.items():
        try:
            content = "" if spec.hierarchy is None else file_sha256(base / spec.hierarchy)
        except FileNotFoundError:
            raise ConfigError(
                f"The hierarchy file of column {name} is missing", where=str(Path(str(spec.hierarchy)).name)
            ) from None
        columns.append([name, spec.model_dump(mode="json", by_alias=True), content])
    return sha256_hex(json.dumps([is_global(policy), columns], sort_keys=True).encode())


def require_same(frozen: str, policy: Policy, base: Path, since: str) -> None:
    """Refuse a policy that gives the levels of a frozen scheme another meaning.

    Args:
        frozen: ``scheme_digest`` of the version that the scheme comes from.
        policy: the policy as it is now.
        base: folder that hierarchy files are relative to.
        since: version in which the scheme was found.

    Raises:
        Refused: reason ``frozen-scheme``.
    """
    if scheme_digest(policy, base) == frozen:
        return
    detail = f"quasi-identifiers, hierarchies or the search are not those of version {since}"
    raise Refused(
        "The generalisation scheme is frozen within a major version",
        reasons=[Reason("frozen-scheme", f"{detail}; such a change needs a new major version of the contract")],
        next_step="Give contract.yaml a new major version, or take the change of privacy.yaml back",
    )

"""One call from a table and its policy to the anonymised table and the proof of what was done.

What belongs here: reading roles from the policy, running the search, writing levels into columns, the report. What does
not: files (files.py), the independent recount (verify.py), the page (../risk_report.py).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from meddata_pipeline.core.errors import BadInput, ConfigError, Reason, Refused
from meddata_pipeline.privacy.policy import Policy, QuasiIdentifier
from meddata_pipeline.privacy.tabular.check import Checker, lattice_size
from meddata_pipeline.privacy.tabular.classes import class_report
from meddata_pipeline.privacy.tabular.encode import merge, subset_rows
from meddata_pipeline.privacy.tabular.heuristic import heuristic
from meddata_pipeline.privacy.tabular.hierarchy import Hierarchy, build
from meddata_pipeline.privacy.tabular.lattice import class_ids
from meddata_pipeline.privacy.tabular.local import local
from meddata_pipeline.privacy.tabular.metrics import create
from meddata_pipeline.privacy.tabular.models import create_models
from meddata_pipeline.privacy.tabular.mondrian import judge, mondrian
from meddata_pipeline.privacy.tabular.result import Anonymized
from meddata_pipeline.privacy.tabular.search import search
from meddata_pipeline.privacy.tabular.values import MISSING, SUPPRESSED, Encoded, encode

# A column with long or ever-changing texts is prose, whatever its name. A Chinese character is as long as two letters.
_PROSE_WIDTH = 40
_PROSE_DISTINCT = 50
_PROSE_SHARE = 0.5


def require_columns(table: pd.DataFrame, names: Sequence[str], role: str) -> None:
    """Check that columns are there.

    Raises:
        BadInput: the text names the first that is not, and its role.
    """
    for name in names:
        if name not in table.columns:
            raise BadInput(f"The table has no column {name}, which the policy lists under {role}")


def refuse_prose(table: pd.DataFrame, columns: Sequence[str]) -> None:
    """Refuse free text among the insensitive columns; only the text engine's evidence lets text out.

    Args:
        table: the input.
        columns: the policy's insensitive columns.

    Raises:
        Refused: reason ``free-text``.
    """
    for name in columns:
        column = table[name]
        categories = isinstance(column.dtype, pd.CategoricalDtype)
        if not (categories or pd.api.types.is_object_dtype(column) or pd.api.types.is_string_dtype(column)):
            continue
        texts = [v for v in pd.unique(column) if isinstance(v, str) and not _is_number(v)]
        long = any(sum(1 + (ord(c) > 0x2E7F) for c in text) > _PROSE_WIDTH for text in texts)
        if long or (len(texts) > _PROSE_DISTINCT and len(texts) > _PROSE_SHARE * len(column)):
            raise Refused(
                f"Column {name} holds free text and can't be released as insensitive",
                reasons=[Reason("free-text", "free text is released only after the text engine", name)],
                where=f"column {name}",
                next_step="Leave it out, or release it through the text engine",
            )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def prepare(table: pd.DataFrame, policy: Policy, base: Path, *, hidden: bool) -> tuple[list[Encoded], list[Hierarchy]]:
    """Encode the quasi-identifiers and build their hierarchies, in the policy's order."""
    require_columns(table, list(policy.quasi_identifiers), "quasi_identifiers")
    encoded = [encode(table[name]) for name in policy.quasi_identifiers]
    hierarchies = [
        build(name, spec, column.texts, base=base, delimiter=policy.table.delimiter, hidden=hidden)
        for (name, spec), column in zip(policy.quasi_identifiers.items(), encoded, strict=True)
    ]
    return encoded, hierarchies


def unit_codes(table: pd.DataFrame, policy: Policy) -> NDArray[np.int32] | None:
    """Code of each row's person; None when the policy names no unit, or when no person has two rows.

    Raises:
        BadInput: the column is missing or says of some row not whose it is.
    """
    if policy.unit is None:
        return None
    require_columns(table, [policy.unit], "unit")
    encoded = encode(table[policy.unit])
    if MISSING in encoded.texts:
        raise BadInput(f"Column {policy.unit} is missing in some rows, so persons can't be counted")
    return None if len(encoded.texts) == len(table) else encoded.codes


def sensitive_parents(column: Encoded, name: str, policy: Policy, base: Path) -> list[NDArray[np.int64]]:
    """The hierarchy of a sensitive column for hierarchical distances; see models.Background."""
    spec = policy.sensitive[name]
    if spec.hierarchy is None:
        return []
    asked = QuasiIdentifier(hierarchy=spec.hierarchy)
    hierarchy = build(name, asked, column.texts, base=base, delimiter=policy.table.delimiter, hidden=True)
    parents = []
    for low, high in pairwise(hierarchy.levels):
        to = np.zeros(len(low.labels), dtype=np.int64)
        to[low.codes] = high.codes
        parents.append(to)
    first = hierarchy.levels[0].codes
    if len(hierarchy.levels[-1].labels) > 1:
        raise ConfigError(
            f"The hierarchy of {name} has no single top, so hierarchical distances are not defined",
            where=f"column {name}",
            next_step="Add a last level that is the same for all values",
        )
    return [parents[0][first], *parents[1:]] if parents else []


def load_subset(table: pd.DataFrame, policy: Policy, base: Path) -> NDArray[np.bool_] | None:
    """Which rows of the table belong to the policy's research subset; None when it names none."""
    if policy.subset is None:
        return None
    from meddata_pipeline.privacy.tabular.files import read_table

    return subset_rows(table, read_table(base / policy.subset, policy.table.delimiter))


def anonymize(
    table: pd.DataFrame,
    policy: Policy,
    base: Path,
    *,
    hidden: bool = True,
    scheme: Mapping[str, int] | None = None,
    withheld: NDArray[np.bool_] | None = None,
) -> Anonymized:
    """Anonymise a table under a policy: full-domain generalisation with suppression, or as ``policy.search`` says.

    Args:
        table: one row per record; columns as the policy names them, others are withheld.
        policy: see formats/policy.md.
        base: folder that the policy's files are relative to.
        hidden: whether messages must not show values; only a command that a person runs on an own file says False.
        scheme: level of each quasi-identifier: nothing is searched, these are applied, and classes that fail a model
            are suppressed as usual. Only where all rows have the same levels (search: optimal or heuristic).
        withheld: shape (rows,), rows that must not be released: no class counts them. They are among the suppressed
            rows, but not under the suppression limit, which the caller must watch.

    Returns:
        The release, its report and which rows were suppressed. Without a solution ``table`` is None and
        ``report["solution"]`` False; nobody may publish the input instead.

    Raises:
        BadInput: columns are missing, values are not covered by their hierarchy, the lattice is too large, the scheme
            is not one of these hierarchies.
        Refused: an insensitive column holds free text.
    """
    require_columns(table, list(policy.sensitive), "sensitive")
    require_columns(table, policy.insensitive, "insensitive")
    refuse_prose(table, policy.insensitive)
    encoded, hierarchies = prepare(table, policy, base, hidden=hidden)
    units = unit_codes(table, policy)
    known = {*policy.released_columns, *policy.identifiers, policy.unit}
    report: dict[str, Any] = {
        "solution": False,
        "transformation": None,
        "loss": None,
        "suppressed_rows": None,
        "rows": len(table),
        "lattice": lattice_size(hierarchies),
        "checked": 0,
        "bound": None,
        "asked": {
            "privacy": [model.model_dump() for model in policy.privacy],
            "suppression_limit": policy.suppression_limit,
            "quality": policy.quality.model_dump(),
            "search": policy.search,
            "scheme": None if scheme is None else dict(scheme),
            "counts": "rows" if policy.unit is None else "persons",
        },
        "withheld": sorted(str(name) for name in table.columns if name not in known),
    }
    if not len(table):
        return Anonymized(None, report, np.zeros(0, dtype=bool), {})
    inside = _inside(load_subset(table, policy, base), withheld)
    checker = make_checker(table, policy, base, encoded, hierarchies, units, inside)
    combination = checker.table.combination
    if scheme is not None:
        made = _apply(checker, policy, scheme, report)
    elif policy.search in {"mondrian", "local"}:
        made = _recode(checker, policy, report)
    else:
        made = _generalise(checker, policy, report)
    del checker  # a large search holds more memory than the release
    if made is None:
        return Anonymized(None, report, np.zeros(len(table), dtype=bool), {})
    levels, gone, size = made
    suppressed = gone[combination]
    if inside is not None:
        suppressed |= ~inside
    levels = levels[combination] if len(levels) > 1 else levels
    transformation = {h.column: int(levels[:, i].max()) for i, h in enumerate(hierarchies)}
    report.update(
        solution=True,
        transformation=transformation,
        suppressed_rows=int(suppressed.sum()),
        classes=class_report(size),
        columns=_column_report(encoded, hierarchies, levels, suppressed),
    )
    released = _write_levels(table, policy, encoded, hierarchies, levels, suppressed)
    report["risk"] = _risk_after(released, table, policy, base, suppressed)
    background = None
    if inside is not None:
        nobody = np.zeros(len(table), dtype=bool)
        background = _write_levels(table, policy, encoded, hierarchies, levels, nobody)
        background = background[list(policy.quasi_identifiers)].assign(inside=inside)
        if policy.unit is not None:
            background["unit"] = table[policy.unit]
    return Anonymized(released, report, suppressed, transformation, background)


def _inside(subset: NDArray[np.bool_] | None, withheld: NDArray[np.bool_] | None) -> NDArray[np.bool_] | None:
    """Rows that could be released; None for all."""
    if withheld is None or not withheld.any():
        return subset
    inside: NDArray[np.bool_] = ~withheld
    return inside if subset is None else subset & inside


def _risk_after(
    released: pd.DataFrame, table: pd.DataFrame, policy: Policy, base: Path, suppressed: NDArray[np.bool_]
) -> dict[str, Any]:
    """Risk of the release by the words of ``meddata risk``, with the persons of its rows, who are not in it."""
    # Imported here: risk.py reads tables by this package.
    from meddata_pipeline.privacy.risk import risk

    if policy.unit is not None:
        persons = table[policy.unit]
        if policy.suppressed == "drop":
            persons = persons[~suppressed]
        released = released.assign(**{policy.unit: persons.array})
    return risk(released, policy, base=base)


Levels = NDArray[np.int8]
_Made = tuple[Levels, NDArray[np.bool_], NDArray[np.int64]]


def _generalise(checker: Checker, policy: Policy, report: dict[str, Any]) -> _Made | None:
    """One scheme for all rows: (1, q) levels, suppressed combinations, persons of the kept classes."""
    if policy.search == "heuristic":
        found = heuristic(checker, policy.time_limit)
        report["stopped"] = found.stopped
    else:
        found = search(checker, practical=policy.practical_monotonicity)
    report["checked"] = found.checked
    report["proven"] = found.proven
    if found.node is None:
        return None
    del report["proven"]
    report["loss"], report["bound"] = found.loss, found.lower_bound
    gone, check, classes = checker.suppressed(found.node)
    kept = ~check.failed & (classes.rows > 0)
    return np.array([found.node], dtype=np.int8), gone, classes.size[kept]


def _apply(checker: Checker, policy: Policy, scheme: Mapping[str, int], report: dict[str, Any]) -> _Made | None:
    """A scheme that was found before, as ``_generalise`` would give it."""
    if policy.search in {"mondrian", "local"}:
        raise BadInput(f"search: {policy.search} gives rows levels of their own, so no scheme can be applied")
    depths = {h.column: len(h.levels) for h in checker.hierarchies}
    if scheme.keys() != depths.keys() or any(not 0 <= scheme[name] < depth for name, depth in depths.items()):
        raise BadInput("The scheme is not one of this policy's hierarchies")
    node = tuple(scheme[h.column] for h in checker.hierarchies)
    feasible = checker.check(node).feasible
    report["checked"] = 1
    if not feasible:
        return None
    gone, check, classes = checker.suppressed(node)
    if check.sums is not None:
        report["loss"] = checker.metric.report(checker.metric.values(check.sums, node))
    kept = ~check.failed & (classes.rows > 0)
    return np.array([node], dtype=np.int8), gone, classes.size[kept]


def _recode(checker: Checker, policy: Policy, report: dict[str, Any]) -> _Made | None:
    """Levels by combination; otherwise as ``_generalise``. The classes are judged again as they will look."""
    weights = checker.metric.weights.tolist()
    made = mondrian(checker, weights) if policy.search == "mondrian" else local(checker)
    report["checked"] = made.checked
    if not made.feasible:
        report["proven"] = _coarsest_refused(checker)
        return None
    table, gone = checker.table, made.suppressed
    at = np.flatnonzero(~gone)
    looks = []
    for i, groups in enumerate(checker.grouper.groups):
        offsets = np.concatenate([[0], np.cumsum(checker.grouper.sizes[i])])
        look = np.zeros(len(at), dtype=np.int32)
        for level, group in enumerate(groups):
            here = made.levels[at, i] == level
            look[here] = group[table.codes[at[here], i]] + offsets[level]
        looks.append(look)
    ids = np.full(len(gone), -1, dtype=np.int32)
    found, count = class_ids(looks, [sum(sizes) for sizes in checker.grouper.sizes]) if len(at) else (at, 0)
    ids[at] = found
    failed, size = judge(checker, ids, count)
    rows = np.bincount(found, weights=table.rows[at], minlength=count).astype(np.int64)
    ordered = np.sort(size)
    if failed.any() or not all(model.met(ordered, int(ordered.sum())) for model in checker.samples):
        report["proven"] = _coarsest_refused(checker)
        return None
    gone_rows = int(table.rows[gone].sum())
    everything = int((rows * rows).sum())
    sums = [count + int(gone.any()), count, int(rows.sum()), gone_rows, everything + gone_rows**2, everything]
    values = checker.metric.recoded(np.array(sums), table.codes, table.rows, made.levels, gone)
    report["loss"] = checker.metric.report(values)
    return made.levels, gone, size


def _coarsest_refused(checker: Checker) -> bool:
    """Whether the coarsest transformation shows that no table of levels meets the policy."""
    top = tuple(len(h.levels) - 1 for h in checker.hierarchies)
    return checker.upward and not checker.check(top).feasible


def make_checker(
    table: pd.DataFrame,
    policy: Policy,
    base: Path,
    encoded: Sequence[Encoded],
    hierarchies: Sequence[Hierarchy],
    units: NDArray[np.int32] | None,
    inside: NDArray[np.bool_] | None = None,
) -> Checker:
    """Everything that a search needs, from a table and its policy.

    Args:
        table: the input.
        policy: its policy.
        base: folder that the policy's files are relative to.
        encoded: the quasi-identifiers, see ``prepare``.
        hierarchies: of the quasi-identifiers.
        units: see ``unit_codes``.
        inside: shape (rows,), rows that could be released; None for all.
    """
    judged = {name for model in policy.privacy if (name := getattr(model, "attribute", None)) is not None}
    sensitive = {name: encode(table[name]) for name in sorted(judged)}
    merged = merge(
        [column.codes for column in encoded],
        [len(column.texts) for column in encoded],
        units=units,
        subset=inside,
        sensitive=sensitive,
        parents={name: sensitive_parents(column, name, policy, base) for name, column in sensitive.items()},
    )
    everyone = len(table) if units is None else int(units.max(initial=-1)) + 1
    models = create_models(policy.privacy, rows=everyone, unit=units is not None, backgrounds=merged.backgrounds)
    leaf_rows = merged.leaf_rows([len(column.texts) for column in encoded])
    metric = create(policy.quality, merged.total, hierarchies, leaf_rows)
    # The limit as it was typed: 0.1 of 30 rows is 3, not 2.9999.
    limit = math.floor(Fraction(str(policy.suppression_limit)) * merged.total)
    return Checker(merged, hierarchies, models, metric, limit)


def _column_report(
    encoded: Sequence[Encoded], hierarchies: Sequence[Hierarchy], levels: Levels, suppressed: NDArray[np.bool_]
) -> dict[str, dict[str, Any]]:
    """Per quasi-identifier: level, number of levels, distinct values before and after, information kept."""
    result: dict[str, dict[str, Any]] = {}
    for i, (column, hierarchy) in enumerate(zip(encoded, hierarchies, strict=True)):
        total = float(suppressed.sum())
        values = 0
        for level in np.unique(levels[:, i]):
            at = ~suppressed if len(levels) == 1 else ~suppressed & (levels[:, i] == level)
            chosen = hierarchy.levels[level]
            total += float(chosen.shares[column.codes[at]].sum())
            values += int(np.count_nonzero(np.bincount(chosen.codes[column.codes[at]])))
        low = 1.0 / hierarchy.leaves
        mean = total / len(suppressed)
        result[hierarchy.column] = {
            "level": int(levels[:, i].max()),
            "levels": len(hierarchy.levels),
            "values_before": len(column.texts),
            "values_after": values,
            "information_kept": round(1.0 - (mean - low) / (1.0 - low), 12) if hierarchy.leaves > 1 else 1.0,
        }
    return result


def _write_levels(
    table: pd.DataFrame,
    policy: Policy,
    encoded: Sequence[Encoded],
    hierarchies: Sequence[Hierarchy],
    levels: Levels,
    suppressed: NDArray[np.bool_],
) -> pd.DataFrame:
    """The release; ``levels`` is (1, q) for one scheme, or (rows, q)."""
    keep_rows = policy.suppressed == "keep"
    stars = suppressed if keep_rows else np.zeros(len(suppressed), dtype=bool)
    columns: dict[str, Any] = {}
    for i, (column, hierarchy) in enumerate(zip(encoded, hierarchies, strict=True)):
        name = hierarchy.column
        if hierarchy.generalises:
            values = _labelled(table[name], column, hierarchy, levels[:, i], stars)
        else:
            values = _starred(table[name], stars)
        columns[name] = values
    for name in [*policy.sensitive, *policy.insensitive]:
        values = table[name]
        if name in policy.round:
            values = _rounded(values, policy.round[name])
        columns[name] = _starred(values, stars) if name in policy.sensitive else values
    released = pd.DataFrame(columns, index=table.index)
    if not keep_rows:
        released = released.loc[~suppressed]
    # Categories that no row has any more are values of suppressed rows.
    spare = [name for name in released.columns if isinstance(released[name].dtype, pd.CategoricalDtype)]
    return released.assign(**{name: released[name].cat.remove_unused_categories() for name in spare})


def _labelled(
    before: pd.Series[Any], column: Encoded, hierarchy: Hierarchy, levels: Levels, stars: NDArray[np.bool_]
) -> pd.Series[Any]:
    """A generalised column: categories where the input has them, else objects; ``levels`` is (1,) or (rows,)."""
    number: dict[str, int] = {}
    codes = np.empty(len(before), dtype=np.int32)
    for level in np.unique(levels):
        chosen = hierarchy.levels[level]
        at = slice(None) if len(levels) == 1 else levels == level
        numbers = [number.setdefault(label, len(number)) for label in chosen.labels if label != MISSING]
        named = np.full(len(chosen.labels), -1, dtype=np.int32)
        named[[label != MISSING for label in chosen.labels]] = numbers
        codes[at] = named[chosen.codes[column.codes[at]]]
    codes[stars] = number.setdefault(SUPPRESSED, len(number))
    if isinstance(before.dtype, pd.CategoricalDtype):
        return pd.Series(pd.Categorical.from_codes(cast(Any, codes), pd.Index(list(number))), index=before.index)
    labels = np.array([*number, None], dtype=object)  # the last one is what -1 points to
    return pd.Series(labels[codes], index=before.index, dtype=object)


def _starred(values: pd.Series[Any], stars: NDArray[np.bool_]) -> pd.Series[Any]:
    """A column with ``*`` in suppressed rows; as it is where there are none."""
    if not stars.any():
        return values
    if isinstance(values.dtype, pd.CategoricalDtype):
        held = values if SUPPRESSED in values.cat.categories else values.cat.add_categories([SUPPRESSED])
        return held.mask(stars, SUPPRESSED)
    return values.astype(object).mask(stars, SUPPRESSED)


def _rounded(column: pd.Series[Any], decimals: int) -> pd.Series[Any]:
    numbers = pd.to_numeric(column, errors="coerce")
    if bool((numbers.isna() & column.notna() & (column.astype(object) != MISSING)).any()):
        raise BadInput(f"Column {column.name} is to be rounded, but holds values that are no numbers")
    return numbers.round(decimals)

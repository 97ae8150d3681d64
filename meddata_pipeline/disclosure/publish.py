"""From estimates to what may be printed: suppressed where they rest on small cells, else rounded.

Belongs here: the rule for each kind of number, and the flow of exclusions. Does not belong here: how a number is
written in a page (render), and the protection of rows (privacy).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from meddata_pipeline.disclosure.cells import CountRegistry, CountTable, suppress

SMALL = "small-cell"

#: The least p-value that is printed; smaller ones read "<0.001".
LEAST_P = 0.001

#: Measures that are counts of persons.
COUNTS = frozenset({"n", "events", "missing", "a", "b", "c", "d"})
#: Ratios and distances: two decimals, too coarse to give a count back.
_TWO_DECIMALS = frozenset({"or", "rr", "hr", "rd", "or-fisher", "or-midp", "or-haldane", "chi2", "chi2-yates", "smd"})
#: Measures of the model as a whole from which events or persons could be computed, and extremes, which are single
#: persons: never published.
_WITHHELD = frozenset({"deviance", "null-deviance", "aic", "loglik", "null-loglik", "min", "max"})


@dataclass
class Published:
    """Estimates as they may be shown.

    Attributes:
        estimates: rows of the same shape as the input; `estimate` is None with reason ``small-cell`` where suppressed.
        suppressed: how many estimates were suppressed.
        uncounted: analyses whose counts of persons are held back.
    """

    estimates: list[dict[str, Any]] = field(default_factory=list)
    suppressed: int = 0
    uncounted: set[str] = field(default_factory=set)


def significant(value: float, digits: int) -> float:
    """A number rounded to significant digits."""
    if value == 0 or not math.isfinite(value):
        return value
    return round(value, digits - 1 - math.floor(math.log10(abs(value))))


def rounded(measure: str, value: Any, n: int | None = None, limit: int = 0) -> Any:
    """A value as it is published.

    Counts are whole, ratios have two decimals, percentages one, test statistics two digits, others three. A mean and a
    standard deviation are rounded so far that the sum over the group's n persons stays uncertain by the limit: the mean
    of a finding coded 0 and 1 would otherwise give its count back.
    """
    if not isinstance(value, int | float):
        return value
    if measure in COUNTS:
        return round(value)
    if measure in _TWO_DECIMALS:
        result = round(float(value), 2)
        # 0.00 would read as no association at all; a tiny ratio keeps one digit.
        return result if result else significant(float(value), 1)
    if measure == "percent":
        return round(float(value), 1)
    if measure in ("mean", "sd") and n and limit > 0:
        return _stepped(significant(float(value), 3), limit / n)
    return significant(float(value), 2 if measure in ("welch", "wilcoxon") else 3)


def _stepped(value: float, least: float) -> float:
    """A value rounded to a multiple of the smallest step 1, 2 or 5 times a power of ten that is not under `least`."""
    power = math.floor(math.log10(least))
    step = next(s for s in (1, 2, 5, 10) if s * 10.0**power >= least * (1 - 1e-9)) * 10.0**power
    return round(round(value / step) * step, max(0, 1 - power))


def rounded_p(p: float | None) -> float | None:
    """A p-value with two significant digits, 0.001 for everything smaller."""
    return None if p is None else max(significant(p, 2), LEAST_P)


def _hidden(tables: Iterable[CountTable], limit: int) -> tuple[set[str], set[str]]:
    """Ids that show or rest on a hidden cell, and ids whose `n` would give a hidden count of missing values."""
    ids: set[str] = set()
    n_ids: set[str] = set()
    for table in tables:
        hidden = suppress(table, limit)
        if not hidden.any():
            continue
        ids.update(table.dependents)
        for line, marks in zip(table.ids, hidden, strict=True):
            for cell, mark in zip(line, marks, strict=True):
                if mark:
                    ids.update(cell)
        if any(hidden[position].any() for position, safe in enumerate(table.zero_is_safe) if safe):
            n_ids.update(table.n_dependents)
    return ids, n_ids


def publish(
    estimates: Sequence[Mapping[str, Any]],
    limit: int,
    *,
    cells: Mapping[str, Sequence[int]],
    tables: Sequence[CountTable] = (),
    groups: Mapping[str, Mapping[str, int]] | None = None,
    registry: CountRegistry | None = None,
) -> Published:
    """Suppress and round.

    An estimate is suppressed when a count it rests on is below the limit. Of tables of counts, cells are suppressed
    until no small one can be computed back, with everything that rests on them. An analysis with a group below the
    limit is suppressed whole. An analysis whose groups differ from a group already shown by less than the limit keeps
    its effects but not its counts, since the difference would be a small group of persons.

    Args:
        estimates: rows as in study results.
        limit: the small-cell limit (`small_cell_limit`); 0 suppresses nothing, rounding remains.
        cells: by estimate id, the counts behind it.
        tables: tables of counts.
        groups: by analysis, persons by group, e.g. ``low=1``; ``persons`` are all of them.
        registry: counts already shown elsewhere in the same report; new ones are added.

    Returns:
        The published rows, in order; deviances and likelihoods are left out, as they give counts back.
    """
    registry = registry if registry is not None else CountRegistry(limit)
    tiny: set[str] = set()
    close: set[str] = set()
    for analysis, sizes in (groups or {}).items():
        if any(size < limit for size in sizes.values()):
            tiny.add(analysis)
        elif all(registry.fits(label, size) for label, size in sizes.items()):
            for label, size in sizes.items():
                registry.admit(label, size)
        else:
            close.add(analysis)
    hidden, hidden_n = _hidden((t for t in tables if t.analysis not in tiny), limit)
    result = Published(uncounted=close | tiny)
    for row in estimates:
        if row["measure"] in _WITHHELD:
            continue
        small = (
            row["id"] in hidden
            or row["analysis"] in tiny
            or any(count < limit for count in cells.get(row["id"], ()))
            or (row["analysis"] in close and row["measure"] in (*COUNTS, "percent"))
        )
        shown = _suppressed(row) if small else _rounded(row, limit)
        result.suppressed += small
        if row["id"] in hidden_n or row["analysis"] in result.uncounted:
            shown["n"] = None
        result.estimates.append(shown)
    return result


def _suppressed(row: Mapping[str, Any]) -> dict[str, Any]:
    # The reason is replaced too: "empty-cell" would tell that a count is 0.
    return {**row, "estimate": None, "low": None, "high": None, "p": None, "se": None, "df": None, "reason": SMALL}


def _rounded(row: Mapping[str, Any], limit: int) -> dict[str, Any]:
    values = {key: rounded(row["measure"], row[key], row["n"], limit) for key in ("estimate", "low", "high")}
    # A standard error to many digits would undo the rounding of the limits.
    se, df = (None if row[key] is None else significant(row[key], digits) for key, digits in (("se", 2), ("df", 3)))
    return {**row, **values, "p": rounded_p(row["p"]), "se": se, "df": df}


def publish_flow(steps: Sequence[Mapping[str, Any]], limit: int) -> list[dict[str, Any]]:
    """The flow of exclusions without small groups: a step that excludes 1 to limit - 1 persons joins its neighbour.

    Args:
        steps: mappings with id, title (zh and en), n_before, excluded, n_after, in order; the first is the population
            itself and excludes nobody.
        limit: the small-cell limit.

    Returns:
        Steps with the same keys and ``merged`` (ids that a step stands for). Where all exclusions together are a small
        group, only those who remain are counted; a count below the limit is None.
    """
    population = {**steps[0], "merged": [steps[0]["id"]]}
    result: list[dict[str, Any]] = []
    for step in steps[1:]:
        item = {**step, "merged": [step["id"]]}
        if result and 0 < result[-1]["excluded"] < limit:
            result[-1] = _joined(result[-1], item)
        else:
            result.append(item)
    while len(result) > 1 and 0 < result[-1]["excluded"] < limit:
        last = result.pop()
        result[-1] = _joined(result[-1], last)
    if result and 0 < result[-1]["excluded"] < limit:
        result[-1] |= {"n_before": None, "excluded": None}
        population |= {"n_before": None, "n_after": None}
    shown = [population, *result]
    for position, item in enumerate(shown):
        if item["n_after"] is not None and item["n_after"] < limit:
            # Few are left: neither their number nor what it can be computed from.
            item |= {"excluded": None, "n_after": None}
            for later in shown[position + 1 :]:
                later |= {"n_before": None, "excluded": None, "n_after": None}
            break
    return shown


def _joined(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    counted = [step for step in (first, second) if step["excluded"]] or [second]
    title = {lang: mark.join(str(s["title"][lang]) for s in counted) for lang, mark in (("zh", "；"), ("en", "; "))}
    return {
        **second,
        "title": title,
        "n_before": first["n_before"],
        "excluded": first["excluded"] + second["excluded"],
        "merged": [*first["merged"], *second["merged"]],
    }

"""An independent recount of a release: classes by SQL, not by the engine that made them.

What belongs here: the last gate before a table leaves. It shares no code with the search: it reads the released table
as a buyer would, and checks every privacy model with DuckDB, with other formulas where there are any. What does not:
finding a transformation.
"""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from meddata_pipeline.core.errors import BadInput, Reason, Refused
from meddata_pipeline.privacy import policy as asked
from meddata_pipeline.privacy.policy import Policy
from meddata_pipeline.privacy.tabular.values import SUPPRESSED, text_of

if TYPE_CHECKING:
    import duckdb

# ruff: noqa: S608 (statements are made of column names given here and of the policy's numbers, never of a table's text)

# Shares are compared as decimal fractions; a class exactly at a limit meets it.
_SLACK = 1e-9


def _codes(column: pd.Series[Any]) -> tuple[NDArray[np.int32], list[str]]:
    """A column as ranks of its texts, in lexicographic order."""
    raw, distinct = pd.factorize(column)
    texts = [text_of(value) for value in np.asarray(distinct, dtype=object)]
    ordered = sorted({*texts, text_of(None)} if (raw < 0).any() else set(texts))
    rank = {text: i for i, text in enumerate(ordered)}
    ranks = np.array([rank[text] for text in texts] + [rank.get(text_of(None), 0)], dtype=np.int32)
    return ranks[raw], ordered


def _connect() -> duckdb.DuckDBPyConnection:
    import duckdb

    # Without a temporary folder DuckDB can't spill persons' rows to disk in clear.
    return duckdb.connect(":memory:", config={"temp_directory": "", "threads": 2})


class _Release:
    """A released table in SQL: ``kept`` (class, unit and one code for each sensitive column), ``sizes`` by class."""

    def __init__(
        self, released: pd.DataFrame, policy: Policy, unit: pd.Series[Any] | None, original: pd.DataFrame | None
    ) -> None:
        names = list(policy.quasi_identifiers)
        for name in names:
            if name not in released.columns:
                raise BadInput(f"The released table has no column {name}")
        self.policy, self.original, self.names = policy, original, names
        self.rows = len(released)
        columns: dict[str, NDArray[Any]] = {}
        stars = np.ones(len(released), dtype=bool)
        for i, name in enumerate(names):
            codes, texts = _codes(released[name])
            stars &= codes == (texts.index(SUPPRESSED) if SUPPRESSED in texts else -1)
            columns[f"q{i}"] = codes
        owners: NDArray[Any] = np.arange(len(released))
        if unit is not None:
            aligned = unit.reindex(released.index)
            if bool(aligned.isna().any()):
                raise BadInput("Some released rows belong to nobody, so persons can't be counted")
            owners = _codes(aligned)[0]
        columns["unit"] = owners
        self.unit = unit
        self.judged = sorted({n for m in policy.privacy if (n := getattr(m, "attribute", None)) is not None})
        self.texts: dict[str, list[str]] = {}
        self.connection = _connect()
        whole: dict[str, NDArray[Any]] = {}
        for j, name in enumerate(self.judged):
            if original is None:
                raise BadInput(f"The original table is needed to check the model about {name}")
            everything, self.texts[name] = _codes(original[name])
            whole[f"v{j}"] = everything
            columns[f"v{j}"] = pd.Series(everything, index=original.index).reindex(released.index).to_numpy()
        frame = pd.DataFrame(columns)[~stars]
        self.kept = released.loc[~stars, names]
        # Columns are named here, q0, q1 …; nothing of the table's own text enters a statement.
        keys = ", ".join(f"q{i}" for i in range(len(names)))
        self.connection.register("released", frame)
        self.keys = keys
        people = "count(*)" if unit is None else "count(DISTINCT unit)"
        if not self.judged and policy.subset is None:
            self._run(f"CREATE TABLE sizes AS SELECT count(*) AS n, {people} AS size FROM released GROUP BY {keys}")
            return
        self._run(
            f"CREATE TABLE sizes AS SELECT row_number() OVER () AS class, {keys}, count(*) AS n, {people} AS size "
            f"FROM released GROUP BY {keys}"
        )
        self._run(f"CREATE TABLE kept AS SELECT * FROM released JOIN sizes USING ({keys})")
        if whole:
            everyone = None if unit is None or original is None else unit.reindex(original.index)
            whole["unit"] = np.arange(len(whole["v0"])) if everyone is None else _codes(everyone)[0]
            self.connection.register("everything", pd.DataFrame(whole))

    def _run(self, statement: str) -> list[tuple[Any, ...]]:
        return self.connection.execute(statement).fetchall()

    def one(self, statement: str) -> Any:
        """The only value of a statement's answer."""
        return self._run(statement)[0][0]

    def totals(self) -> tuple[int, int | None, int]:
        """Classes, persons of the smallest, rows in classes."""
        count, smallest, rows = self._run("SELECT count(*), min(size), coalesce(sum(n), 0) FROM sizes")[0]
        return int(count), None if smallest is None else int(smallest), int(rows)

    def shares(self, attribute: str, inside: NDArray[np.bool_] | None) -> None:
        """Make ``cv`` (class, value, share and count) and ``p`` (value, share in the table) of a sensitive column."""
        v = f"v{self.judged.index(attribute)}"
        people = "count(*)" if self.unit is None else "count(DISTINCT unit)"
        source = "everything"
        if inside is not None:
            self.connection.register("flags", pd.DataFrame({"inside": inside}))
            source = "(SELECT * FROM everything POSITIONAL JOIN flags WHERE inside)"
        self._run(
            "CREATE OR REPLACE TABLE cv AS SELECT class, v, c, c / sum(c) OVER (PARTITION BY class) AS share, "
            "sum(c) OVER (PARTITION BY class) AS total FROM "
            f"(SELECT class, {v} AS v, {people} AS c FROM kept GROUP BY class, {v})"
        )
        self._run(
            f"CREATE OR REPLACE TABLE p AS SELECT v, c / sum(c) OVER () AS share FROM "
            f"(SELECT {v} AS v, {people} AS c FROM {source} GROUP BY {v})"
        )

    def grid(self) -> str:
        """Every class with every value of the table: class, v, q (share in the class), p (share in the table)."""
        return (
            "(SELECT k.class, p.v, coalesce(cv.share, 0) AS q, p.share AS p FROM (SELECT DISTINCT class FROM cv) k "
            "CROSS JOIN p LEFT JOIN cv ON cv.class = k.class AND cv.v = p.v)"
        )


def recount(released: pd.DataFrame, policy: Policy, unit: pd.Series[Any] | None = None) -> dict[str, Any]:
    """Count the classes of a released table by SQL.

    Args:
        released: the table as it would be published.
        policy: names the quasi-identifiers.
        unit: who each row belongs to, by the index of ``released``; None when every row is a person of its own.

    Returns:
        ``rows``, ``suppressed_rows`` (all quasi-identifiers ``*``), ``classes`` and ``min`` (persons; None without
        classes).

    Raises:
        BadInput: the table lacks a quasi-identifier, or ``unit`` does not say whose a row is.
    """
    plain = policy.model_copy(update={"privacy": []})
    return _counted(_Release(released, plain, unit, None))


def _counted(release: _Release) -> dict[str, Any]:
    count, smallest, rows = release.totals()
    return {"rows": release.rows, "suppressed_rows": release.rows - rows, "classes": count, "min": smallest}


def verify(
    released: pd.DataFrame,
    policy: Policy,
    *,
    unit: pd.Series[Any] | None = None,
    report: dict[str, Any] | None = None,
    original: pd.DataFrame | None = None,
    background: pd.DataFrame | None = None,
    base: Path | None = None,
) -> dict[str, Any]:
    """Let a table pass only when an independent count agrees that it meets every privacy model.

    Args:
        released: the table as it would be published.
        policy: what it must meet.
        unit: see ``recount``.
        report: the engine's report, to be compared with the count.
        original: the input, where a model is about a sensitive column; its index holds that of ``released``.
        background: see ``Anonymized.background``, where a model has a research subset.
        base: folder of the policy's hierarchies, for hierarchical t-closeness.

    Returns:
        The count of ``recount``, with the ``k`` that was asked and the ``models`` that were checked.

    Raises:
        BadInput: what a model needs was not given.
        Refused: reason of the model's name (a class does not meet it), ``columns`` (a column is not the policy's) or
            ``recount`` (the engine's report says something else).
    """
    stray = [str(name) for name in released.columns if name not in policy.released_columns]
    if stray:
        raise Refused(
            "The table holds columns that its policy does not release",
            reasons=[Reason("columns", "the policy does not list the column", name) for name in stray],
        )
    release = _Release(released, policy, unit, original)
    counted = _counted(release)
    reasons = []
    for model in policy.privacy:
        if counted["classes"] and not _meets(release, model, background, base or Path()):
            detail = f"a class does not meet {model.model}"
            if isinstance(model, asked.KAnonymity):
                detail = f"the smallest class holds fewer than {model.k} persons"
            reasons.append(Reason(model.model, detail))
    if reasons:
        raise Refused("The recount refuses the table", reasons=reasons)
    if report is not None:
        classes = report.get("classes", {})
        said = (classes.get("count"), classes.get("min"))
        # When everything is generalised to *, kept and suppressed rows look the same and none counts as a class.
        if counted["classes"] and said != (counted["classes"], counted["min"]):
            detail = f"the engine reports {said[0]} classes, the recount finds {counted['classes']}"
            raise Refused("The recount disagrees with the engine", reasons=[Reason("recount", detail)])
    return {**counted, "k": policy.k, "models": [model.model for model in policy.privacy]}


def _meets(release: _Release, model: asked.PrivacyModel, background: pd.DataFrame | None, base: Path) -> bool:
    match model:
        case asked.KAnonymity():
            return int(release.one("SELECT min(size) FROM sizes")) >= model.k
        case asked.KMap(population=None) | asked.DeltaPresence():
            return _meets_population(release, model, background)
        case asked.KMap():
            return _meets_map(release, model)
        case asked.Inclusion():
            return True
        case asked.AverageRisk():
            return float(release.one("SELECT count(*) / sum(size) FROM sizes")) <= model.threshold + _SLACK
        case asked.SampleUniqueness():
            share = "coalesce(sum(size) FILTER (size = 1), 0) / sum(size)"
            return float(release.one(f"SELECT {share} FROM sizes")) <= model.threshold + _SLACK
        case asked.PopulationUniqueness():
            return _meets_uniqueness(release, model)
        case _:
            inside = None if background is None else background["inside"].to_numpy(dtype=bool)
            release.shares(model.attribute, inside)
            return bool(release.one(f"SELECT coalesce(bool_and(ok), true) FROM ({_condition(release, model, base)})"))


def _condition(release: _Release, model: Any, base: Path) -> str:
    """A statement that says of each class whether it meets a model about a sensitive column."""
    match model:
        case asked.DistinctLDiversity():
            return f"SELECT count(*) >= {model.l} AS ok FROM cv GROUP BY class"
        case asked.EntropyLDiversity(estimator="shannon"):
            return f"SELECT -sum(share * ln(share)) >= {math.log(model.l) - _SLACK} AS ok FROM cv GROUP BY class"
        case asked.EntropyLDiversity():
            from scipy.special import digamma

            n = np.arange(1, int(release.one("SELECT max(total) FROM cv")) + 1)
            psi = digamma(n) + 0.5 * np.where(n % 2, -1, 1) * (digamma((n + 1) / 2) - digamma(n / 2))
            release.connection.register("psi", pd.DataFrame({"n": n, "g": psi}))
            return (
                f"SELECT any_value(b.g) - sum(share * a.g) >= {math.log(model.l) - _SLACK} "
                f"AND count(*) >= {math.ceil(model.l)} AS ok "
                "FROM cv JOIN psi a ON a.n = c JOIN psi b ON b.n = total GROUP BY class"
            )
        case asked.RecursiveLDiversity():
            return (
                f"SELECT coalesce(max(c) < {model.c} * sum(c) FILTER (r >= {model.l}), false) AS ok FROM "
                "(SELECT *, row_number() OVER (PARTITION BY class ORDER BY c DESC) AS r FROM cv) GROUP BY class"
            )
        case asked.DeltaDisclosure():
            ratio = "abs(log2(cv.share / p.share))"
            return f"SELECT {ratio} < {model.delta} AS ok FROM cv JOIN p USING (v)"
        case asked.BetaLikeness():
            limit = f"least({model.beta}, -ln(p.share))" if model.model.startswith("enhanced") else str(model.beta)
            return f"SELECT (cv.share - p.share) / p.share <= {limit} + {_SLACK} AS ok FROM cv JOIN p USING (v)"
        case asked.TCloseness(distance="equal"):
            return f"SELECT sum(abs(q - p)) / 2 <= {model.t + _SLACK} AS ok FROM {release.grid()} GROUP BY class"
        case asked.TCloseness(distance="ordered"):
            steps = max(len(release.texts[model.attribute]) - 1, 1)
            moved = "sum(q - p) OVER (PARTITION BY class ORDER BY v)"
            return (
                f"SELECT sum(abs(moved)) / {steps} <= {model.t + _SLACK} AS ok FROM "
                f"(SELECT class, {moved} AS moved FROM {release.grid()}) GROUP BY class"
            )
        case _:
            # On a tree, the earth mover's distance is the sum over edges of what must cross them.
            height = _register_tree(release, model.attribute, base)
            nodes = "SELECT class, level, node, abs(sum(q - p)) AS moved FROM grid JOIN tree USING (v) GROUP BY ALL"
            return (
                f"WITH grid AS (SELECT * FROM {release.grid()}) "
                f"SELECT sum(moved) / {2 * height} <= {model.t + _SLACK} AS ok FROM ({nodes}) GROUP BY class"
            )


def _register_tree(release: _Release, attribute: str, base: Path) -> int:
    """Register ``tree`` (v, level, node), read from the hierarchy's file again; returns its height."""
    path = base / str(release.policy.sensitive[attribute].hierarchy)
    with path.open(encoding="utf-8-sig", newline="") as handle:
        lines = {row[0]: row for row in csv.reader(handle, delimiter=release.policy.table.delimiter) if row}
    height = len(next(iter(lines.values()))) - 1
    rows = [
        (v, level, lines[text][level]) for v, text in enumerate(release.texts[attribute]) for level in range(height)
    ]
    release.connection.register("tree", pd.DataFrame(rows, columns=["v", "level", "node"]))
    return max(height, 1)


def _meets_population(
    release: _Release, model: asked.KMap | asked.DeltaPresence, background: pd.DataFrame | None
) -> bool:
    """Compare each released class with all rows of the table that look like it."""
    if background is None:
        raise BadInput("The generalised rows of the whole table are needed to check a model with a research subset")
    mine: dict[str, Any] = {}
    whole: dict[str, Any] = {}
    for i, name in enumerate(release.names):
        codes, _ = _codes(pd.concat([release.kept[name].astype(object), background[name].astype(object)]))
        mine[f"q{i}"], whole[f"q{i}"] = np.split(codes, [len(release.kept)])
    whole["unit"] = np.arange(len(background)) if release.unit is None else _codes(background["unit"])[0]
    release.connection.register("mine", pd.DataFrame(mine))
    release.connection.register("background", pd.DataFrame(whole).assign(inside=background["inside"].to_numpy()))
    people = "count(DISTINCT unit)"
    groups = f"SELECT {release.keys}, {people} AS n, {people} FILTER (inside) AS own FROM background GROUP BY ALL"
    share = (
        f"own / n BETWEEN {model.min - _SLACK} AND {model.max + _SLACK}"
        if isinstance(model, asked.DeltaPresence)
        else ""
    )
    condition = share or f"n >= {model.k}"  # type: ignore[union-attr]
    statement = (
        f"SELECT bool_and({condition}) FROM (SELECT DISTINCT * FROM mine) JOIN ({groups}) USING ({release.keys})"
    )
    return bool(release.one(statement))


def _meets_map(release: _Release, model: asked.KMap) -> bool:
    """Poisson probabilities summed term by term."""
    if release.original is None:
        raise BadInput("The original table is needed to check k-map with an estimated population")
    rows = len(release.original)
    if release.unit is not None:
        rows = int(release.unit.nunique())
    expected = rows / int(model.population or 1) * model.k
    truncated = model.estimator == "zero-truncated-poisson"

    def probability(size: int) -> float:
        value = math.exp(size * math.log(expected) - expected - math.lgamma(size + 1))
        return value / -math.expm1(-expected) if truncated else value

    # The smallest size whose distribution function, up to the size before it, reaches 1 - significance.
    size, reached = (1 if truncated else 0), 0.0
    while reached < 1.0 - model.significance and size < model.k:
        reached += probability(size)
        size += 1
    least = min(model.k, size if truncated else size + 1, rows)
    return int(release.one("SELECT min(size) FROM sizes")) >= least


def _meets_uniqueness(release: _Release, model: asked.PopulationUniqueness) -> bool:
    from meddata_pipeline.privacy.tabular.uniqueness import has_estimate, population_uniqueness

    found = release._run("SELECT size, count(*) FROM sizes GROUP BY size ORDER BY size")
    sizes, counts = (np.array(column, dtype=np.int64) for column in zip(*found, strict=True))
    sample = (sizes, counts, int(sizes @ counts) / model.population, model.estimator)
    # No estimate is noted as 0, which is no small risk.
    return has_estimate(*sample) and population_uniqueness(*sample) <= model.threshold

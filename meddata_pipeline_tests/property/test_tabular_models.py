"""Every privacy model and quality metric against brute force, and the engine's checks against the SQL recount.

The brute force here is plain Python over rows: it labels, groups, judges and adds up without a line of the engine.
"""

from __future__ import annotations

import itertools
import json
import math
import tempfile
from collections import Counter, defaultdict
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from meddata_pipeline.core.errors import Refused
from meddata_pipeline.privacy.policy import parse_policy
from meddata_pipeline.privacy.tabular import Anonymized, anonymize, heuristic
from meddata_pipeline.privacy.tabular.models import Background, Classes, Distribution, create_models
from meddata_pipeline.privacy.tabular.verify import verify

Row = dict[str, Any]

AGE = {a: [a, "young" if a in "abc" else "old", "*"] for a in "abcdef"}
TOWN = {t: [t, "north" if t in "xy" else "south", "*"] for t in "xyz"}
SEX = {s: [s] for s in "mf"}
DISEASE = {d: [d, "mild" if d in "pq" else "bad", "*"] for d in "pqrs"}
TREES = {"age": AGE, "town": TOWN, "sex": SEX}


@pytest.fixture(scope="module")
def base() -> Any:
    with tempfile.TemporaryDirectory() as folder:
        for name, tree in {"age": AGE, "town": TOWN, "disease": DISEASE}.items():
            text = "\n".join(",".join(levels) for levels in tree.values())
            (Path(folder) / f"{name}.csv").write_text(text + "\n", encoding="utf-8")
        yield Path(folder)


def _policy(models: list[dict[str, Any]], limit: float, quality: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "quasi_identifiers": {"age": {"hierarchy": "age.csv"}, "town": {"hierarchy": "town.csv"}, "sex": {}},
        "sensitive": {"disease": {"hierarchy": "disease.csv"}},
        "privacy": models,
        "suppression_limit": limit,
        "quality": quality,
        **more,
    }


# --- models, plainly ---


def _count(rows: list[Row], value: str | None = None) -> int:
    """Persons of some rows; rows where nobody is named."""
    chosen = [r for r in rows if value is None or r["disease"] == value]
    return len({r["who"] for r in chosen}) if rows and "who" in rows[0] else len(chosen)


def _shares(rows: list[Row]) -> dict[str, Fraction]:
    counts = {v: _count(rows, v) for v in {r["disease"] for r in rows}}
    total = sum(counts.values())
    return {v: Fraction(c, total) for v, c in counts.items()}


def _grassberger(n: int) -> float:
    """Twice the alternating sum that defines G, by its recurrence from G(1) and G(2)."""
    value = -0.5772156649015329 - math.log(2)
    for k in range(2, n + 1):
        if k % 2 == 0:
            value += 2 / (k - 1)
    return value


def _distance(q: dict[str, Fraction], p: dict[str, Fraction], how: str) -> Fraction:
    values = sorted(p)
    difference = {v: q.get(v, Fraction(0)) - p[v] for v in values}
    if how == "equal":
        return sum((abs(d) for d in difference.values()), Fraction(0)) / 2
    if how == "ordered":
        moved, total = Fraction(0), Fraction(0)
        for v in values:
            moved += difference[v]
            total += abs(moved)
        return total / max(len(values) - 1, 1)
    total = Fraction(0)
    for level in (0, 1):
        nodes: dict[str, Fraction] = defaultdict(Fraction)
        for v in values:
            nodes[DISEASE[v][level]] += difference[v]
        total += sum((abs(d) for d in nodes.values()), Fraction(0))
    return total / 4


def _meets(model: dict[str, Any], rows: list[Row], outside: list[Row], table: list[Row]) -> bool:
    """Whether a class of rows (with those that look alike and are not in the subset) meets a model."""
    name = model["model"]
    if name == "k-anonymity":
        return _count(rows) >= model["k"]
    if name == "k-map":
        return _count(rows + outside) >= model["k"]
    if name == "delta-presence":
        share = Fraction(_count(rows), _count(rows + outside))
        return Fraction(str(model["min"])) <= share <= Fraction(str(model["max"]))
    if name in {"inclusion", "average-risk", "sample-uniqueness"}:
        return True
    p, q = _shares(table), _shares(rows)
    if name == "distinct-l-diversity":
        return len(q) >= model["l"]
    counts = [_count(rows, v) for v in q]
    if name == "entropy-l-diversity":
        if len(q) < model["l"]:
            return False
        if model["estimator"] == "shannon":
            return -sum(float(s) * math.log(s) for s in q.values()) >= math.log(model["l"]) - 1e-9
        total = sum(counts)
        return _grassberger(total) - sum(c * _grassberger(c) for c in counts) / total >= math.log(model["l"]) - 1e-9
    if name == "recursive-l-diversity":
        ordered = sorted(counts, reverse=True)
        return len(q) >= model["l"] and ordered[0] < Fraction(str(model["c"])) * sum(ordered[model["l"] - 1 :])
    if name == "t-closeness":
        return _distance(q, p, model["distance"]) <= Fraction(str(model["t"]))
    if name == "delta-disclosure":
        return all(abs(math.log2(q[v] / p[v])) < model["delta"] - 1e-9 for v in q)
    limits = {v: Fraction(str(model["beta"])) for v in q}
    if name == "enhanced-beta-likeness":
        limits = {v: min(limits[v], Fraction(-math.log(p[v]))) for v in q}
    return all((q[v] - p[v]) / p[v] <= limits[v] for v in q)


def _sample_met(model: dict[str, Any], classes: list[list[Row]]) -> bool:
    persons = sum(_count(c) for c in classes)
    limit = Fraction(str(model["threshold"]))
    if model["model"] == "average-risk":
        return len(classes) <= limit * persons
    if model["model"] == "sample-uniqueness":
        return sum(_count(c) == 1 for c in classes) <= limit * persons
    return True


# --- metrics, plainly ---


def _loss(
    quality: dict[str, Any],
    node: tuple[int, ...],
    kept: list[list[Row]],
    gone: list[list[Row]],
    n: int,
    everyone: list[Row],
) -> Any:
    names, metric = list(TREES), quality["metric"]
    g = quality["gs_factor"]
    stay, go = min(1.0, 2 * (1 - g)), min(1.0, 2 * g)
    lost = [r for c in gone for r in c]
    if metric in {"dm", "dm-star"}:
        squares = sum(len(c) ** 2 for c in kept)
        return squares + (n * len(lost) if metric == "dm" else sum(len(c) ** 2 for c in gone))
    if metric == "aecs":
        below = len(kept) * go + (stay if gone else 0.0)
        return n / below if below else math.inf
    values = []
    for i, name in enumerate(names):
        tree, level = TREES[name], node[i]
        leaves = tree if name != "sex" else {r["sex"]: 1 for r in everyone}
        share = Counter(TREES[name][leaf][level] for leaf in leaves)
        height = len(next(iter(tree.values()))) - 1
        if metric == "height":
            values.append(float(level))
        elif metric == "precision":
            part = stay * level / height if height else 0.0
            values.append(part if quality["monotonic"] else (part * (n - len(lost)) + go * len(lost)) / n)
        elif metric == "loss":
            x = sum(stay * share[tree[r[name]][level]] / len(leaves) for c in kept for r in c)
            x += sum(s + go * (1 - s) for r in lost for s in [share[tree[r[name]][level]] / len(leaves)])
            low = stay * n / len(leaves)
            values.append(max((x - low) / (n - low), 0.0) if n - low > 1e-12 else 0.0)
        else:
            rows = [r for c in [*kept, *gone] for r in c]
            plain, wide = Counter(r[name] for r in rows), Counter(tree[r[name]][level] for r in rows)
            value = -stay * sum(c * math.log2(c / wide[tree[v][level]]) for v, c in plain.items())
            if not quality["monotonic"]:
                wide = Counter(tree[r[name]][level] for r in lost)
                value -= go * sum(c * math.log2(c / len(lost)) for c in wide.values())
            values.append(value)
    weights = quality.get("weights", {})
    top = max(weights.values(), default=1.0)
    values = [v * weights.get(name, top) / top for v, name in zip(values, names, strict=True)]
    aggregate = quality["aggregate"]
    if aggregate == "rank":
        return sorted(values, reverse=True)
    if aggregate == "maximum":
        return max(values)
    if aggregate == "geometric-mean":
        return math.prod((v + 1) ** (1 / len(values)) for v in values) - 1
    return sum(values) / (len(values) if aggregate == "arithmetic-mean" else 1)


def _brute_force(rows: list[Row], inside: list[bool], raw: dict[str, Any]) -> Any:
    """The least loss over all transformations; None when none is a solution."""
    mine = [r for r, own in zip(rows, inside, strict=True) if own]
    models, limit = raw["privacy"], math.floor(Fraction(str(raw["suppression_limit"])) * len(mine))
    sized = any("l" in m or m["model"] == "k-anonymity" for m in models)
    best: Any = None
    for node in itertools.product(*(range(len(next(iter(t.values())))) for t in TREES.values())):
        classes: dict[Any, tuple[list[Row], list[Row]]] = defaultdict(lambda: ([], []))
        for row, own in zip(rows, inside, strict=True):
            label = tuple(TREES[name][row[name]][level] for name, level in zip(TREES, node, strict=True))
            classes[label][0 if own else 1].append(row)
        kept, gone, refused = [], [], False
        for label, (own, others) in classes.items():
            if not own:
                refused |= not sized and any(m["model"] == "delta-presence" and m["min"] > 0 for m in models)
            elif all(_meets(m, own, others, mine) for m in models):
                kept.append((label, own))
            else:
                gone.append(own)
        starred = [own for label, own in kept if set(label) == {"*"}]
        plain = sorted((own for label, own in kept if set(label) != {"*"}), key=_count)
        for model in (m for m in models if "threshold" in m):
            while plain and not _sample_met(model, plain):
                gone.append(plain.pop(0))
        if refused or sum(map(len, gone)) > limit:
            continue
        loss = _loss(raw["quality"], node, plain + starred, gone, len(mine), rows)
        if best is None or loss < best:
            best = loss
    return best


# --- cases ---

LEVEL = st.integers(1, 4)
OF = {"attribute": "disease"}
EACH_MODEL = (
    st.builds(lambda k: {"model": "k-anonymity", "k": k}, LEVEL),
    st.builds(lambda n: {"model": "distinct-l-diversity", "l": n, **OF}, st.integers(1, 3)),
    st.builds(
        lambda n, e: {"model": "entropy-l-diversity", "l": n, "estimator": e, **OF},
        st.sampled_from([1.0, 1.5, 2.0, 2.5]),
        st.sampled_from(["shannon", "grassberger"]),
    ),
    st.builds(
        lambda n, c: {"model": "recursive-l-diversity", "l": n, "c": c, **OF},
        st.integers(1, 3),
        st.sampled_from([0.5, 1.0, 2.0, 3.0]),
    ),
    st.builds(
        lambda t, d: {"model": "t-closeness", "t": t, "distance": d, **OF},
        st.sampled_from([0.1, 0.2, 0.25, 0.3, 0.5]),
        st.sampled_from(["equal", "ordered", "hierarchical"]),
    ),
    st.builds(lambda d: {"model": "delta-disclosure", "delta": d, **OF}, st.sampled_from([0.7, 1.3, 2.1])),
    st.builds(
        lambda b, e: {"model": f"{e}-beta-likeness", "beta": b, **OF},
        st.sampled_from([0.5, 1.0, 2.0]),
        st.sampled_from(["basic", "enhanced"]),
    ),
    st.builds(lambda t: {"model": "average-risk", "threshold": t}, st.sampled_from([0.2, 0.35, 0.6])),
    st.builds(lambda t: {"model": "sample-uniqueness", "threshold": t}, st.sampled_from([0.0, 0.1, 0.3])),
)
MODELS = st.one_of(*EACH_MODEL)
OF_SUBSETS = st.one_of(
    st.builds(lambda k: {"model": "k-map", "k": k, "subset": "subset.csv"}, st.integers(1, 6)),
    st.builds(
        lambda low, high: {"model": "delta-presence", "min": low, "max": high, "subset": "subset.csv"},
        st.sampled_from([0.0, 0.1, 0.3]),
        st.sampled_from([0.5, 0.75, 1.0]),
    ),
    st.just({"model": "inclusion", "subset": "subset.csv"}),
)
QUALITY = st.fixed_dictionaries(
    {
        "metric": st.sampled_from(["loss", "dm", "dm-star", "aecs", "non-uniform-entropy", "precision", "height"]),
        "gs_factor": st.sampled_from([0.0, 0.3, 0.5, 0.8, 1.0]),
        "aggregate": st.sampled_from(["geometric-mean", "arithmetic-mean", "sum", "maximum", "rank"]),
        "monotonic": st.booleans(),
        "weights": st.sampled_from([{}, {"age": 0.5}, {"age": 1.0, "town": 2.0, "sex": 0.3}]),
    }
).map(lambda q: q if q["metric"] in {"non-uniform-entropy", "precision"} else {**q, "monotonic": False})
ROW = st.fixed_dictionaries(
    {
        "age": st.sampled_from("abcdef"),
        "town": st.sampled_from("xyz"),
        "sex": st.sampled_from("mf"),
        "disease": st.sampled_from("ppqrs"),
    }
)
LIMIT = st.sampled_from([0.0, 0.1, 0.3, 1.0])


def _same(found: Any, expected: Any) -> bool:
    pairs = zip(found, expected, strict=True) if isinstance(expected, list) else [(found, expected)]
    return all(math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-9) for a, b in pairs)


def _compare(result: Anonymized, rows: list[Row], inside: list[bool], raw: dict[str, Any], base: Path) -> None:
    expected = _brute_force(rows, inside, raw)
    assert (result.table is None) == (expected is None)
    if expected is None or result.table is None:
        return
    assert _same(result.report["loss"], expected)
    assert result.report["bound"] == result.report["loss"]
    table = pd.DataFrame(rows)
    unit = table[raw["unit"]] if "unit" in raw else None
    policy = parse_policy(raw)
    verify(
        result.table, policy, unit=unit, report=result.report, original=table, background=result.background, base=base
    )


SLOW = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@given(st.lists(ROW, min_size=1, max_size=24), st.lists(MODELS, min_size=1, max_size=3), LIMIT, QUALITY)
@SLOW
def test_no_transformation_is_better(
    base: Path, rows: list[Row], models: list[dict[str, Any]], limit: float, quality: dict[str, Any]
) -> None:
    sampled = [m for m in models if "threshold" in m]
    # Which class of the smallest ones goes is a matter of order, which brute force does not know.
    assume(not sampled or quality["metric"] in {"height"} or limit == 0.0)
    assume(len(sampled) <= 1)
    raw = _policy(models, limit, quality)
    _compare(anonymize(pd.DataFrame(rows), parse_policy(raw), base), rows, [True] * len(rows), raw, base)


@pytest.mark.parametrize("kind", range(len(EACH_MODEL)))
@given(st.data())
@settings(max_examples=100, deadline=None)
def test_suppression_breaks_no_conclusion(base: Path, kind: int, data: st.DataObject) -> None:
    """One model alone, few values, suppression allowed: where a model that does not shrink must not rule out."""
    rows = data.draw(st.lists(ROW, min_size=5, max_size=16))
    quality = {"metric": data.draw(st.sampled_from(["height", "loss"])), "gs_factor": 0.5, "monotonic": False}
    model = data.draw(EACH_MODEL[kind])
    if "threshold" in model:
        quality["metric"] = "height"
    quality["aggregate"] = "sum"
    raw = _policy([model], data.draw(st.sampled_from([0.2, 0.35, 0.5])), quality)
    _compare(anonymize(pd.DataFrame(rows), parse_policy(raw), base), rows, [True] * len(rows), raw, base)


@given(st.lists(ROW, min_size=1, max_size=20), st.data(), st.lists(MODELS, min_size=1, max_size=2), LIMIT, QUALITY)
@SLOW
def test_persons_count_once(
    base: Path,
    rows: list[Row],
    data: st.DataObject,
    models: list[dict[str, Any]],
    limit: float,
    quality: dict[str, Any],
) -> None:
    assume(not any("threshold" in m for m in models) or limit == 0.0)
    owned = [{**row, "who": data.draw(st.integers(1, 8))} for row in rows]
    raw = _policy(models, limit, quality, unit="who")
    _compare(anonymize(pd.DataFrame(owned), parse_policy(raw), base), owned, [True] * len(owned), raw, base)


@given(st.lists(ROW, min_size=2, max_size=24), st.data(), OF_SUBSETS, st.lists(MODELS, max_size=1), LIMIT, QUALITY)
@SLOW
def test_a_research_subset(
    base: Path,
    rows: list[Row],
    data: st.DataObject,
    first: dict[str, Any],
    models: list[dict[str, Any]],
    limit: float,
    quality: dict[str, Any],
) -> None:
    assume(not any("threshold" in m for m in models) or limit == 0.0)
    wanted = data.draw(st.lists(st.booleans(), min_size=len(rows), max_size=len(rows)))
    subset = [row for row, own in zip(rows, wanted, strict=True) if own]
    assume(subset)
    # Of equal rows the first ones belong to the subset.
    left = Counter(json.dumps(row) for row in subset)
    inside = []
    for row in rows:
        inside.append(left[json.dumps(row)] > 0)
        left[json.dumps(row)] -= inside[-1]
    pd.DataFrame(subset).to_csv(base / "subset.csv", index=False)
    raw = _policy([first, *models], limit, quality)
    result = anonymize(pd.DataFrame(rows), parse_policy(raw), base)
    _compare(result, rows, inside, raw, base)
    if result.table is not None:
        assert result.suppressed_rows >= len(rows) - len(subset)


@given(st.lists(ROW, min_size=1, max_size=20), MODELS, st.tuples(st.integers(0, 2), st.integers(0, 2)))
@settings(max_examples=200, deadline=None)
def test_the_recount_refuses_what_brute_force_refuses(
    base: Path, rows: list[Row], model: dict[str, Any], levels: tuple[int, int]
) -> None:
    node = (*levels, 0)
    released = pd.DataFrame(
        [
            {
                **{name: TREES[name][row[name]][level] for name, level in zip(TREES, node, strict=True)},
                "disease": row["disease"],
            }
            for row in rows
        ]
    )
    classes = defaultdict(list)
    for row, label in zip(rows, released[list(TREES)].itertuples(index=False), strict=True):
        classes[tuple(label)].append(row)
    good = all(_meets(model, own, [], rows) for own in classes.values()) and (
        "threshold" not in model or _sample_met(model, list(classes.values()))
    )
    policy = parse_policy(_policy([model], 0.0, {}))
    if good:
        assert verify(released, policy, original=pd.DataFrame(rows), base=base)["models"] == [model["model"]]
    else:
        with pytest.raises(Refused) as refusal:
            verify(released, policy, original=pd.DataFrame(rows), base=base)
        assert [reason.code for reason in refusal.value.reasons] == [model["model"]]


@given(
    st.lists(ROW, min_size=1, max_size=30),
    st.lists(MODELS, min_size=1, max_size=2),
    LIMIT,
    QUALITY,
    st.sampled_from(["heuristic", "mondrian", "local"]),
)
@SLOW
def test_other_searches_keep_to_the_policy(
    base: Path, rows: list[Row], models: list[dict[str, Any]], limit: float, quality: dict[str, Any], search: str
) -> None:
    raw = _policy(models, limit, quality, search=search)
    table = pd.DataFrame(rows)
    result = anonymize(table, parse_policy(raw), base)
    best = anonymize(table, parse_policy({**raw, "search": "optimal"}), base)
    if search == "heuristic":
        assert result.report["stopped"] == "complete" and (result.table is None) == (best.table is None)
        if best.table is not None:
            assert _same(result.report["loss"], best.report["loss"])
    if result.table is None:
        return
    assert result.suppressed_rows <= limit * len(rows) + 1e-9
    verify(result.table, parse_policy(raw), report=result.report, original=table, base=base)
    assert set(result.table["age"]) <= {"*", *(label for levels in AGE.values() for label in levels)}


def _no_more(low: Any, high: Any) -> bool:
    """Whether one loss is at most another, lists as they are compared, to the digits that keys have."""
    if not isinstance(low, list):
        return bool(low <= high + 1e-9)
    for a, b in zip(low, high, strict=True):
        if abs(a - b) > 1e-9:
            return bool(a < b)
    return True


@given(
    st.lists(ROW, min_size=4, max_size=24), st.lists(MODELS, min_size=1, max_size=2), LIMIT, QUALITY, st.integers(1, 12)
)
@SLOW
def test_a_heuristic_bound_is_never_above_the_optimum(
    base: Path, rows: list[Row], models: list[dict[str, Any]], limit: float, quality: dict[str, Any], checks: int
) -> None:
    assume(not any("threshold" in m for m in models) or limit == 0.0)
    raw = _policy(models, limit, quality, search="heuristic")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(heuristic, "_CHECKS", checks)
        report = anonymize(pd.DataFrame(rows), parse_policy(raw), base).report
    expected = _brute_force(rows, [True] * len(rows), raw)
    if not report["solution"]:
        return
    assert report["stopped"] in {"checks", "complete"} and expected is not None
    assert _no_more(report["bound"], expected) and _no_more(expected, report["loss"])


@given(st.lists(ROW, min_size=12, max_size=40), LIMIT, st.sampled_from(["loss", "precision", "height"]))
@settings(max_examples=100, deadline=None)
def test_the_bound_by_pairs_of_columns_is_never_above_the_optimum(
    base: Path, rows: list[Row], limit: float, metric: str
) -> None:
    """A large k, so that pairs rule out much: the bound lies close below the optimum and must not pass it."""
    quality = {"metric": metric, "gs_factor": 0.5, "aggregate": "arithmetic-mean", "monotonic": False}
    raw = _policy([{"model": "k-anonymity", "k": 4}], limit, quality, search="heuristic")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(heuristic, "_CHECKS", 1)
        report = anonymize(pd.DataFrame(rows), parse_policy(raw), base).report
    if report["solution"]:
        assert _no_more(report["bound"], _brute_force(rows, [True] * len(rows), raw))


# --- what models let the search conclude ---

# Of sex f half are ill by p, as of m at age a; m at age b all are. Both ages of m together are farther from the table
# than t allows, so only the finer transformation is a solution: it suppresses the four rows of m at age b.
FAR = [
    *({"age": "a", "town": "x", "sex": "f", "disease": d} for d in "pr" * 10),
    *({"age": "a", "town": "x", "sex": "m", "disease": d} for d in "pr" * 3),
    *({"age": "d", "town": "x", "sex": "m", "disease": "p"} for _ in range(4)),
]


@pytest.mark.parametrize("search", ["optimal", "heuristic"])
@pytest.mark.parametrize("distance", ["equal", "ordered", "hierarchical"])
def test_t_closeness_of_a_coarser_transformation_rules_nothing_out(base: Path, distance: str, search: str) -> None:
    model = {"model": "t-closeness", "t": 0.1, "distance": distance, **OF}
    raw = _policy([model], 0.14, {"metric": "loss", "gs_factor": 0.5}, search=search)
    result = anonymize(pd.DataFrame(FAR), parse_policy(raw), base)
    assert result.suppressed_rows == 4 and result.transformation == {"age": 0, "town": 0, "sex": 0}
    # Nor may it where nothing else is asked than that no row is lost: the two classes of m are then no solution.
    assert anonymize(pd.DataFrame(FAR), parse_policy({**raw, "suppression_limit": 0.0}), base).table is None


def _judged(model: dict[str, Any], parts: list[list[Row]], table: list[Row]) -> dict[str, Any]:
    """The engine's verdict on some classes, and what its models claim."""
    values = sorted({row["disease"] for row in table})
    code = {v: i for i, v in enumerate(values)}
    nodes = [sorted({DISEASE[v][level] for v in values}) for level in (1, 2)]
    parents = [
        np.array([nodes[0].index(DISEASE[v][1]) for v in values]),
        np.zeros(len(nodes[0]), dtype=np.int64),
    ]
    whole = Counter(row["disease"] for row in table)
    background = Background(values, np.array([whole[v] for v in values]), parents)
    starts, codes, counts = [0], [], []
    for part in parts:
        found = Counter(row["disease"] for row in part)
        codes += [code[v] for v in values if found[v]]
        counts += [found[v] for v in values if found[v]]
        starts.append(len(codes))
    rows = np.array([len(part) for part in parts], dtype=np.int64)
    held = Distribution(np.array(starts), np.array(codes, dtype=np.int32), np.array(counts, dtype=np.int64))
    made = create_models(
        parse_policy(_policy([model], 0.0, {})).privacy,
        rows=len(table),
        unit=False,
        backgrounds={"disease": background},
    )
    answers = {}
    for one in made:
        failed = np.zeros(len(parts), dtype=bool)
        one.fail(Classes(rows, rows, rows, {"disease": held}), failed, 10**9)
        answers[type(one).__name__] = (one, (~failed).tolist())
    return answers


@pytest.mark.parametrize("kind", range(len(EACH_MODEL) - 2))  # the last two judge no single class
@given(st.data())
@settings(max_examples=200, deadline=None)
def test_models_claim_no_more_than_holds(kind: int, data: st.DataObject) -> None:
    """``shrinks``: a class that meets a model meets it with any other. ``merges``: two that meet it do together."""
    first, second = (data.draw(st.lists(ROW, min_size=1, max_size=8)) for _ in range(2))
    rest = data.draw(st.lists(ROW, max_size=6))
    verdicts = _judged(data.draw(EACH_MODEL[kind]), [first, second, first + second], [*first, *second, *rest])
    for model, (one, other, both) in verdicts.values():
        if model.shrinks:
            assert both or not (one or other)
        if model.merges:
            assert both or not (one and other)


@pytest.mark.parametrize("distance", ["equal", "ordered", "hierarchical"])
def test_t_closeness_merges_and_does_not_shrink(distance: str) -> None:
    near = [r for r in FAR if r["sex"] == "m" and r["age"] == "a"]
    far = [r for r in FAR if r["sex"] == "m" and r["age"] == "d"]
    model = {"model": "t-closeness", "t": 0.1, "distance": distance, **OF}
    ((made, verdict),) = _judged(model, [near, far, near + far], FAR).values()
    assert verdict == [True, False, False]
    assert made.merges and not made.shrinks

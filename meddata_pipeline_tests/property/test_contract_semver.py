"""Contract versions: what is no change, what breaks, and what a compatible contract lets through."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from meddata_pipeline.core.config import Config, load_yaml
from meddata_pipeline.quality.api import validate
from meddata_pipeline.quality.contract import parse_contract
from meddata_pipeline.quality.semver import BREAKING, UNSAID, Change, diff, needed, version_reasons

Raw = dict[str, Any]
SHIPPED = [load_yaml(Config().find(f"products/{p}/contract.yaml")) for p in Config().products()]


def _column(raw: Raw, number: int) -> Raw:
    columns: list[Raw] = raw["schema"][0]["properties"]
    return columns[number % len(columns)]


def _custom(raw: Raw, key: str, value: Any) -> None:
    raw["customProperties"] = [e for e in raw.get("customProperties", []) if e["property"] != key]
    raw["customProperties"].append({"property": key, "value": value})


def _rules(raw: Raw) -> list[Raw]:
    return [rule for column in raw["schema"][0]["properties"] for rule in column.get("quality", [])]


def _rule(raw: Raw, wanted: Callable[[Raw], bool]) -> Raw:
    return next(rule for rule in _rules(raw) if wanted(rule))


def _is_list(rule: Raw) -> bool:
    return "validValues" in rule.get("arguments", {})


def _drop_hard_of_table(contract: dict[str, Any]) -> None:
    """Take out the last rule of the table whose failure blocks."""
    rules = contract["schema"][0]["quality"]
    rules.remove([rule for rule in rules if rule.get("severity", "error") == "error"][-1])


def _is_hard_pattern(rule: Raw) -> bool:
    return "pattern" in rule.get("arguments", {}) and rule["severity"] == "error"


def _is_range(rule: Raw) -> bool:
    return bool(rule.get("type") == "custom" and rule["implementation"]["check"] == "range")


def _hard_range(raw: Raw) -> Raw:
    rule = _rule(raw, _is_range)
    rule["severity"] = "error"
    return rule


def _drop(raw: Raw, wanted: Callable[[Raw], bool]) -> None:
    for column in raw["schema"][0]["properties"]:
        for rule in column.get("quality", []):
            if wanted(rule):
                column["quality"].remove(rule)
                return


def _first(raw: Raw, key: str, value: Any) -> Raw:
    return next(c for c in raw["schema"][0]["properties"] if c.get(key) == value)


#: Name: a change in place, its code, its class. Each looks at something else than the others.
MUTATIONS: dict[str, tuple[Callable[[Raw], Any], str, str]] = {
    "column removed": (lambda c: c["schema"][0]["properties"].pop(), "column-removed", "breaking"),
    "column renamed": (lambda c: _column(c, 1).update(name="other_name"), "column-renamed", "breaking"),
    "column retyped": (lambda c: _column(c, 2).update(logicalType="date"), "column-type", "breaking"),
    "file type": (lambda c: _column(c, 2).update(physicalType="BLOB"), "promise-changed", "breaking"),
    "nullable": (lambda c: _first(c, "required", True).update(required=False), "required-dropped", "breaking"),
    "class lowered": (
        lambda c: _first(c, "classification", "quasi").update(classification="other"),
        "classification-lowered",
        "breaking",
    ),
    "class raised": (
        lambda c: _first(c, "classification", "sensitive").update(classification="direct"),
        "classification-raised",
        "compatible",
    ),
    "unit": (lambda c: [_custom(x, "unit", "furlong") for x in _united(c)], "unit-changed", "breaking"),
    "values added": (
        lambda c: _rule(c, _is_list)["arguments"]["validValues"].append(77),
        "values-added",
        "breaking",
    ),
    "values removed": (
        lambda c: _rule(c, _is_list)["arguments"]["validValues"].pop(),
        "rule-tightened",
        "compatible",
    ),
    "list removed": (lambda c: _drop(c, _is_list), "rule-removed", "breaking"),
    "meaning": (lambda c: [m.update(en="other") for m in _coded(c).values()], "code-meaning", "breaking"),
    "pattern": (
        lambda c: _rule(c, _is_hard_pattern)["arguments"].update(pattern=".*"),
        "rule-changed",
        "breaking",
    ),
    "hard rule removed": (lambda c: _drop(c, _is_hard_pattern), "rule-removed", "breaking"),
    "table rule removed": (lambda c: _drop_hard_of_table(c), "rule-removed", "breaking"),
    "threshold": (
        lambda c: c["schema"][0]["quality"][0].update(mustBeGreaterOrEqualTo=10),
        "rule-loosened",
        "breaking",
    ),
    "threshold up": (
        lambda c: c["schema"][0]["quality"][0].update(mustBeGreaterOrEqualTo=1000),
        "rule-tightened",
        "compatible",
    ),
    "severity": (lambda c: c["schema"][0]["quality"][0].update(severity="warning"), "severity-lowered", "breaking"),
    "column added": (
        lambda c: c["schema"][0]["properties"].append({"name": "new_one", "logicalType": "string"}),
        "column-added",
        "compatible",
    ),
    "rule added": (
        lambda c: c["schema"][0]["quality"].append({"id": "new", "metric": "rowCount", "mustBeLessThan": 10**9}),
        "rule-added",
        "compatible",
    ),
    "key": (lambda c: _column(c, 0).update(primaryKey=True), "key-added", "compatible"),
    "words": (lambda c: _column(c, 0).update(description="Said in another way."), "text-changed", "compatible"),
    "title": (lambda c: _custom(c["schema"][0], "titleZh", "别的"), "text-changed", "compatible"),
    "order": (lambda c: c["schema"][0]["properties"].insert(0, _column(c, 1)) or _cut(c), "column-order", "compatible"),
    "table": (lambda c: c["schema"][0].update(name="elsewhere"), "table-removed", "breaking"),
    "another contract": (lambda c: c.update(id="elsewhere"), "promise-changed", "breaking"),
}


def _cut(raw: Raw) -> None:
    del raw["schema"][0]["properties"][2]


def _united(raw: Raw) -> list[Raw]:
    columns = raw["schema"][0]["properties"]
    return [c for c in columns if any(e["property"] == "unit" for e in c.get("customProperties", []))]


def _coded(raw: Raw) -> Raw:
    for column in raw["schema"][0]["properties"]:
        for entry in column.get("customProperties", []):
            if entry["property"] == "codes":
                found: Raw = entry["value"]
                return found
    raise AssertionError


def _shuffled(value: Any, chance: random.Random) -> Any:
    """The same YAML with its keys, and its custom properties, in another order."""
    if isinstance(value, dict):
        keys = list(value)
        chance.shuffle(keys)
        return {k: _shuffled(value[k], chance) for k in keys}
    if isinstance(value, list):
        items = [_shuffled(v, chance) for v in value]
        if items and all(isinstance(v, dict) and "property" in v for v in items):
            chance.shuffle(items)
        return items
    return value


@pytest.mark.parametrize("contract", SHIPPED, ids=lambda c: c["id"])
def test_a_contract_does_not_differ_from_itself_however_it_is_written(contract: Raw) -> None:
    assert diff(contract, contract) == []
    again = _shuffled(contract, random.Random(1))
    assert diff(contract, again) == [] and version_reasons(contract, again) == []


@pytest.mark.parametrize("contract", SHIPPED, ids=lambda c: c["id"])
@pytest.mark.parametrize("name", MUTATIONS)
def test_each_change_has_the_class_it_should_have(name: str, contract: Raw) -> None:
    mutate, code, kind = MUTATIONS[name]
    changed = copy.deepcopy(contract)
    mutate(changed)
    found = diff(contract, changed)
    assert (code, kind) in {(c.code, c.kind) for c in found}
    assert needed(found) == ("major" if kind == "breaking" else "minor")
    if kind == "compatible":
        assert {c.kind for c in found} == {"compatible"}


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(SHIPPED), st.lists(st.sampled_from(sorted(MUTATIONS)), max_size=6, unique=True), st.data())
def test_what_breaks_stays_broken_whatever_else_changes(contract: Raw, more: list[str], data: st.DataObject) -> None:
    breaking = data.draw(st.sampled_from([n for n, m in MUTATIONS.items() if m[2] == "breaking"]))
    # What another change would undo or hide is another story.
    opposite = {"values added": {"values removed"}, "threshold": {"threshold up"}}
    assume(not opposite.get(breaking, set()) & set(more))
    changed = copy.deepcopy(contract)
    for name in data.draw(st.permutations([breaking, *(m for m in more if m != breaking)])):
        try:
            MUTATIONS[name][0](changed)
        except (StopIteration, AssertionError):
            assert name != breaking or len(more) > 0
    if any(c.kind == "breaking" for c in diff(contract, changed)):
        assert version_reasons(contract, {**changed, "version": "1.9"})
        assert version_reasons(contract, {**changed, "version": "2.0"}) == []
    else:
        raise AssertionError(f"{breaking} is lost")


@pytest.mark.parametrize(
    ("name", "version", "codes"),
    [
        ("nullable", "1.0", {BREAKING}),
        ("nullable", "1.1", {BREAKING}),
        ("nullable", "2.0", set()),
        ("nullable", "3.4", set()),
        ("words", "1.0", {UNSAID}),
        ("words", "1.1", set()),
        ("words", "2.0", set()),
        ("words", "0.9", {UNSAID}),
        ("nothing", "1.0", set()),
        ("nothing", "1.1", set()),
        ("nothing", "0.9", {UNSAID}),
    ],
)
def test_the_number_must_say_it(name: str, version: str, codes: set[str]) -> None:
    changed = copy.deepcopy(SHIPPED[0])
    if name != "nothing":
        MUTATIONS[name][0](changed)
    found = version_reasons(SHIPPED[0], {**changed, "version": version})
    assert {reason.code for reason in found} == codes


# -- the meaning of compatible: what the new contract lets through, the old one does too -------------------------------

_OPERATORS = ["mustBe", "mustBeLessThan", "mustBeLessOrEqualTo", "mustBeGreaterThan", "mustBeGreaterOrEqualTo"]


@st.composite
def _contracts(draw: st.DrawFn) -> Raw:
    def threshold() -> Raw:
        return {
            draw(st.sampled_from(_OPERATORS)): draw(st.integers(0, 3)),
            "unit": draw(st.sampled_from(["rows", "percent"])),
        }

    numbers = st.one_of(st.none(), st.integers(0, 4))
    bounds = {"minimum": draw(numbers), "maximum": draw(numbers)}
    if set(bounds.values()) == {None}:
        bounds["minimum"] = 1
    common = {"severity": "error", "dimension": "accuracy"}
    values = sorted(draw(st.sets(st.integers(0, 4), min_size=1)))
    rules: list[Raw] = [
        {"id": "list", "metric": "invalidValues", "arguments": {"validValues": values}, **threshold(), **common},
        {
            "id": "range",
            "type": "custom",
            "engine": "meddata",
            "implementation": {"check": "range", **{k: v for k, v in bounds.items() if v is not None}},
            "customProperties": [{"property": "threshold", "value": threshold()}],
            **common,
        },
        {"id": "null", "metric": "nullValues", **threshold(), **common},
    ]
    kept = [rule for rule in rules if draw(st.booleans())]
    column = {"name": "c", "logicalType": "integer", "required": draw(st.booleans()), "quality": kept}
    column["unique"] = draw(st.booleans())
    return {
        "kind": "DataContract",
        "apiVersion": "v3.1.0",
        "id": "t",
        "version": "1.0",
        "schema": [{"name": "t", "properties": [column]}],
    }


def _holds(value: float, limits: Raw, rows: int) -> bool:
    """A threshold, written once more."""
    measured = 100 * value / rows if limits.get("unit") == "percent" else value
    for operator in _OPERATORS:
        if operator in limits:
            limit = limits[operator]
            answers = (measured == limit, measured < limit, measured <= limit, measured > limit, measured >= limit)
            return answers[_OPERATORS.index(operator)]
    raise AssertionError


def _passes(raw: Raw, values: list[int | None]) -> bool:
    """Whether a table of one column passes, by a second reading of the rules."""
    column = raw["schema"][0]["properties"][0]
    present = [v for v in values if v is not None]
    if column["required"] and len(present) < len(values):
        return False
    if column["unique"] and len(set(present)) < len(present):
        return False
    for rule in column["quality"]:
        limits = rule
        if rule["id"] == "null":
            failed = len(values) - len(present)
        elif rule["id"] == "list":
            failed = sum(v not in rule["arguments"]["validValues"] for v in present)
        else:
            limits, bounds = rule["customProperties"][0]["value"], rule["implementation"]
            failed = sum(not bounds.get("minimum", -9) <= v <= bounds.get("maximum", 9) for v in present)
        if not _holds(failed, limits, len(values)):
            return False
    return True


@settings(max_examples=100, deadline=None)
@given(
    _contracts(),
    _contracts(),
    st.lists(st.lists(st.one_of(st.none(), st.integers(0, 4)), min_size=1, max_size=5), min_size=3, max_size=6),
)
def test_a_table_that_a_compatible_contract_lets_through_passes_the_old_one(
    old: Raw, new: Raw, tables: list[list[int | None]]
) -> None:
    for before, now in ((old, new), (new, old)):
        found = diff(before, now)
        if needed(found) != "major":
            for values in tables:
                assert _passes(before, values) or not _passes(now, values), found


@settings(max_examples=15, deadline=None)
@given(_contracts(), st.lists(st.one_of(st.none(), st.integers(0, 4)), min_size=1, max_size=5))
def test_the_second_reading_is_that_of_the_engine(contract: Raw, values: list[int | None]) -> None:
    frame = pd.DataFrame({"c": pd.array(values, dtype="Int64")})
    assert validate(frame, parse_contract(contract), engine="duckdb").passed == _passes(contract, values)


def test_changes_are_plain_json() -> None:
    assert Change("x", "breaking", "t.c", "d").as_dict() == {
        "code": "x",
        "class": "breaking",
        "where": "t.c",
        "detail": "d",
    }

"""What changed between two contracts, whether that breaks who buys the data, and what version number says so.

What belongs here: comparing two ODCS mappings and two version numbers. What does not: where a published contract lies
(app), reading rules into checks (contract.py). The comparison works on the mappings that YAML gives, so that rules of
kinds that this module has never seen are compared all the same.

The point of view is the consumer's: a change breaks when data that the new contract allows can surprise who relies on
the old one. So a promise that loosens breaks and one that tightens does not, as Avro's and Confluent's FORWARD
compatibility has it (the old reader reads what the new writer writes) and as datacontract-cli's perspective
``consumer``. A change whose direction is unknown breaks. docs/adr/0021 gives the table.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import inf
from typing import Any, Literal

from meddata_pipeline.core.errors import Reason

ChangeClass = Literal["breaking", "compatible"]

#: Reason code of a breaking change under the same major version.
BREAKING = "contract-breaking"
#: Reason code of another change under the same number, and of a number that goes back.
UNSAID = "contract-version"
_VERSION = re.compile(r"(\d+)\.(\d+)(?:\.\d+)?")
#: Words for people and pointers to elsewhere: they promise nothing about the data.
_WORDS = {
    "apiVersion",
    "authoritativeDefinitions",
    "businessImpact",
    "businessName",
    "contractCreatedTs",
    "criticalDataElement",
    "dataGranularityDescription",
    "dataProduct",
    "description",
    "descriptionZh",
    "dimension",
    "domain",
    "examples",
    "gbt36344",
    "kahn",
    "method",
    "name",
    "price",
    "roles",
    "schedule",
    "scheduler",
    "servers",
    "status",
    "support",
    "tags",
    "team",
    "tenant",
    "titleEn",
    "titleZh",
    "transformDescription",
    "transformLogic",
    "transformSourceObjects",
}
#: How much a class protects; quasi and sensitive protect against different things, so neither is lower.
_PROTECTION = {"public": 0, "other": 1, "sensitive": 2, "quasi": 2, "text": 3, "link": 3, "staff": 4, "direct": 4}
_SEVERITY = {"info": 0, "warning": 1, "error": 2}
_OPERATORS = (
    "mustBe",
    "mustNotBe",
    "mustBeGreaterThan",
    "mustBeGreaterOrEqualTo",
    "mustBeLessThan",
    "mustBeLessOrEqualTo",
    "mustBeBetween",
    "mustNotBeBetween",
)
#: Arguments of this project's own checks that have a direction: +1, a larger number asks for more; -1, for less.
_DIRECTED = {("range", "minimum"): 1, ("range", "maximum"): -1, ("recent", "years"): -1}


@dataclass(frozen=True)
class Change:
    """One difference between two contracts.

    Attributes:
        code: kebab-case word, e.g. ``column-removed``.
        kind: ``breaking`` or ``compatible``.
        where: table, or table.column, with the rule's id behind a colon where it is a rule.
        detail: one sentence.
    """

    code: str
    kind: ChangeClass
    where: str
    detail: str

    def as_dict(self) -> dict[str, str]:
        """The change as plain JSON: code, class, where, detail."""
        found = asdict(self)
        found["class"] = found.pop("kind")
        return found


# -- versions ----------------------------------------------------------------------------------------------------------


def version_of(raw: Mapping[str, Any]) -> tuple[int, int]:
    """Major and minor of a contract.

    Raises:
        ValueError: the version is not major.minor.
    """
    found = _VERSION.fullmatch(str(raw.get("version", "")))
    if found is None:
        raise ValueError("the contract's version must be major.minor")
    return int(found[1]), int(found[2])


def needed(changes: Iterable[Change]) -> Literal["major", "minor", "none"]:
    """What the changes ask of the version number."""
    kinds = {change.kind for change in changes}
    return "major" if "breaking" in kinds else "minor" if kinds else "none"


def version_reasons(old: Mapping[str, Any], new: Mapping[str, Any], *, where: str = "contract.yaml") -> list[Reason]:
    """Why a new contract must not be published under its version number; empty when it may.

    Args:
        old: the contract as published.
        new: the contract of the candidate.
        where: what the reasons name.

    Returns:
        One reason per change that the number does not announce: ``contract-breaking`` where a new major is needed,
        ``contract-version`` where a new minor is.
    """
    changes = diff(old, new)
    before, now = version_of(old), version_of(new)
    shown = f"the version went from {before[0]}.{before[1]} to {now[0]}.{now[1]}"
    if now < before:
        return [Reason(UNSAID, f"A version never goes back, and {shown}", where)]
    asked = needed(changes)
    if asked == "none" or now[0] > before[0] or (asked == "minor" and now > before):
        return []
    code, wanted = (BREAKING, f"{before[0] + 1}.0") if asked == "major" else (UNSAID, f"{before[0]}.{before[1] + 1}")
    return [
        Reason(code, f"{change.code}: {change.detail}; needs {wanted}, {shown}", f"{where}, {change.where}")
        for change in changes
        if asked == "minor" or change.kind == "breaking"
    ]


# -- the comparison ----------------------------------------------------------------------------------------------------


def diff(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Change]:
    """All changes from one contract to another.

    Args:
        old: an ODCS contract as YAML gave it.
        new: the later one.

    Returns:
        In the order of the old contract, additions last; empty where they promise and say the same. The version
        number is no change.
    """
    found = list(_pointwise(old, new, "contract", skip={"version", "schema", "kind"}))
    found += _tables(old, new)
    return found


def _tables(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    before, now = _named(old.get("schema")), _named(new.get("schema"))
    for name, table in before.items():
        if name in now:
            yield from _table(table, now[name], name)
        else:
            yield Change("table-removed", "breaking", name, "The table is gone")
    for name in now:
        if name not in before:
            yield Change("table-added", "compatible", name, "A table was added")
    if before.keys() == now.keys() and list(before) != list(now):
        yield Change("table-order", "compatible", "contract", "The tables stand in another order")


def _table(old: Mapping[str, Any], new: Mapping[str, Any], where: str) -> Iterator[Change]:
    yield from _pointwise(old, new, where, skip={"name", "properties", "quality"})
    yield from _rules(old, new, where)
    before, now = _named(old.get("properties")), _named(new.get("properties"))
    gone = [name for name in before if name not in now]
    added = [name for name in now if name not in before]
    for name, column in before.items():
        if name in now:
            yield from _column(column, now[name], f"{where}.{name}")
    for name in gone:
        like = [other for other in added if _body(before[name]) == _body(now[other])]
        if len(like) == 1:
            yield Change("column-renamed", "breaking", f"{where}.{name}", f"The column is called {like[0]} now")
            added.remove(like[0])
        else:
            yield Change("column-removed", "breaking", f"{where}.{name}", "The column is gone")
    for name in added:
        yield Change("column-added", "compatible", f"{where}.{name}", "A column was added")
    common = [name for name in before if name in now]
    if common != [name for name in now if name in before]:
        yield Change("column-order", "compatible", where, "The columns stand in another order")
    yield from _keys(before, now, where)


def _keys(before: Mapping[str, Any], now: Mapping[str, Any], where: str) -> Iterator[Change]:
    old, new = _key(before), _key(now)
    if old == new:
        return
    if old:
        shown = ", ".join(new) or "none"
        yield Change("key-changed", "breaking", where, f"The primary key was {', '.join(old)} and is {shown}")
    else:
        yield Change("key-added", "compatible", where, f"A primary key was added: {', '.join(new)}")


def _key(columns: Mapping[str, Any]) -> tuple[str, ...]:
    """Columns of the primary key; as a set of columns it is unique, whatever their order."""
    return tuple(sorted(name for name, column in columns.items() if column.get("primaryKey")))


def _column(old: Mapping[str, Any], new: Mapping[str, Any], where: str) -> Iterator[Change]:
    own = {"name", "quality", "primaryKey", "primaryKeyPosition", "required", "unique", "classification", "logicalType"}
    yield from _pointwise(old, new, where, skip=own, custom_skip={"codes", "unit"})
    before, now = str(old.get("logicalType", "string")), str(new.get("logicalType", "string"))
    if before != now:
        yield Change("column-type", "breaking", where, f"The type was {before} and is {now}")
    for flag, word in (("required", "be missing"), ("unique", "repeat")):
        if bool(old.get(flag)) and not bool(new.get(flag)):
            yield Change(f"{flag}-dropped", "breaking", where, f"Values may {word} now")
        elif bool(new.get(flag)) and not bool(old.get(flag)):
            yield Change(f"{flag}-added", "compatible", where, f"No value may {word} any more")
    yield from _classification(old, new, where)
    yield from _unit(_custom(old), _custom(new), where)
    yield from _codes(old, new, where)
    yield from _rules(old, new, where)


def _classification(old: Mapping[str, Any], new: Mapping[str, Any], where: str) -> Iterator[Change]:
    before, now = str(old.get("classification", "other")), str(new.get("classification", "other"))
    if before == now:
        return
    detail = f"The classification was {before} and is {now}"
    higher = before in _PROTECTION and now in _PROTECTION and _PROTECTION[now] > _PROTECTION[before]
    code = "classification-raised" if higher else "classification-lowered"
    yield Change(code, "compatible" if higher else "breaking", where, detail)


def _unit(old: Mapping[str, Any], new: Mapping[str, Any], where: str) -> Iterator[Change]:
    before, now = _plain(old.get("unit")), _plain(new.get("unit"))
    if before != now:
        kind: ChangeClass = "breaking" if before else "compatible"
        code = "unit-changed" if before else "unit-added"
        yield Change(code, kind, where, f"The unit was {before or 'not said'} and is {now or 'not said'}")


def _codes(old: Mapping[str, Any], new: Mapping[str, Any], where: str) -> Iterator[Change]:
    before, now = _meanings(old), _meanings(new)
    allowed_before, allowed_now = _allowed(old), _allowed(new)
    for code, meaning in before.items():
        if code not in now:
            # A code that can't occur any more needs no meaning.
            left = allowed_now is not None and code not in allowed_now
            yield Change("code-removed", "compatible" if left else "breaking", where, f"Code {code} has no meaning now")
        elif now[code] != meaning:
            yield Change("code-meaning", "breaking", where, f"Code {code} means something else")
    for code in now:
        if code not in before:
            known = not before or (allowed_before is not None and code in allowed_before)
            detail = f"Code {code} was given a meaning"
            yield Change("code-added", "compatible" if known else "breaking", where, detail)


def _meanings(column: Mapping[str, Any]) -> dict[str, Any]:
    codes = _mapping(_custom(column).get("codes"))
    return {
        str(code): {str(lang): _plain(text) for lang, text in meaning.items()}
        if isinstance(meaning, Mapping)
        else _plain(meaning)
        for code, meaning in codes.items()
    }


def _allowed(column: Mapping[str, Any]) -> set[str] | None:
    """Values that a column's rules allow, as text; None where no rule lists them."""
    lists = [values for rule in _listed(column.get("quality")) if (values := _values_of(rule)) is not None]
    return set.intersection(*({_code(v) for v in values} for values in lists)) if lists else None


# -- what has no rule of its own ---------------------------------------------------------------------------------------


def _pointwise(
    old: Mapping[str, Any],
    new: Mapping[str, Any],
    where: str,
    *,
    skip: Collection[str],
    custom_skip: Collection[str] = (),
) -> Iterator[Change]:
    """Words and promises key by key; a promise that is added tightens, one that goes or changes breaks."""
    pairs = [(key, old.get(key), new.get(key)) for key in (*old, *(k for k in new if k not in old)) if key not in skip]
    before, now = _custom(old), _custom(new)
    for key, was, is_ in pairs:
        if key != "customProperties":
            yield from _point(key, was, is_, where)
    for key in (*before, *(k for k in now if k not in before)):
        if key not in custom_skip:
            yield from _point(key, before.get(key), now.get(key), where)


def _point(key: str, was: Any, is_: Any, where: str) -> Iterator[Change]:
    if _canonical(was) == _canonical(is_):
        return
    if key in _WORDS:
        yield Change("text-changed", "compatible", where, f"{key} says something else")
    elif was is None:
        yield Change("promise-added", "compatible", where, f"{key} was added")
    else:
        yield Change("promise-changed", "breaking", where, f"{key} {'was removed' if is_ is None else 'changed'}")


# -- rules -------------------------------------------------------------------------------------------------------------


def _rules(old: Mapping[str, Any], new: Mapping[str, Any], where: str) -> Iterator[Change]:
    before, now = _by_id(old.get("quality")), _by_id(new.get("quality"))
    gone = [name for name in before if name not in now]
    added = [name for name in now if name not in before]
    for name, rule in before.items():
        if name in now:
            yield from _rule(rule, now[name], f"{where}: {name}")
    for name in gone:
        same = [other for other in added if _body(before[name], "id") == _body(now[other], "id")]
        if same:
            yield Change("rule-renamed", "compatible", f"{where}: {name}", f"The rule is called {same[0]} now")
            added.remove(same[0])
            continue
        rule = before[name]
        hard = _severity(rule) == "error" or _values_of(rule) is not None
        yield Change("rule-removed", "breaking" if hard else "compatible", f"{where}: {name}", "The rule is gone")
    for name in added:
        yield Change("rule-added", "compatible", f"{where}: {name}", "A rule was added")


def _rule(old: Mapping[str, Any], new: Mapping[str, Any], where: str) -> Iterator[Change]:
    was, is_ = _severity(old), _severity(new)
    if was != is_:
        lower = was not in _SEVERITY or is_ not in _SEVERITY or _SEVERITY[is_] < _SEVERITY[was]
        detail = f"The severity was {was} and is {is_}"
        kind: ChangeClass = "breaking" if lower and was == "error" else "compatible"
        yield Change("severity-lowered" if lower else "severity-raised", kind, where, detail)
    words = {key for key in (*old, *new) if key in _WORDS and _canonical(old.get(key)) != _canonical(new.get(key))}
    before, now = _custom(old), _custom(new)
    words |= {k for k in (*before, *now) if k in _WORDS and _canonical(before.get(k)) != _canonical(now.get(k))}
    for key in sorted(words):
        yield Change("text-changed", "compatible", where, f"{key} says something else")
    listed, offered = _values_of(old), _values_of(new)
    if listed is not None and offered is not None:
        # A list of allowed values is part of the schema, whatever the severity of the rule that holds it.
        extra = {_value(v) for v in offered} - {_value(v) for v in listed}
        if extra:
            yield Change("values-added", "breaking", where, f"{len(extra)} more values are allowed")
    ways = _ways(old, new)
    if ways & {"loosened", "changed"}:
        hard = was == "error" or listed is not None
        code = "rule-changed" if "changed" in ways else "rule-loosened"
        detail = "The rule asks for something else" if "changed" in ways else "The rule asks for less"
        yield Change(code, "breaking" if hard else "compatible", where, detail)
    elif ways:
        yield Change("rule-tightened", "compatible", where, "The rule asks for more")


def _ways(old: Mapping[str, Any], new: Mapping[str, Any]) -> set[str]:
    """How a rule moved: any of ``tightened``, ``loosened``, ``changed`` (direction unknown); empty where it did not."""
    ways: set[str] = set()
    if _core(old) != _core(new):
        ways.add("changed")
    ways.add(_threshold_way(old, new))
    ways |= _list_ways(old, new)
    ways |= _number_ways(old, new)
    return ways - {"same"}


def _core(rule: Mapping[str, Any]) -> str:
    """What a rule checks, without what has a direction of its own and without words."""
    custom = {key: value for key, value in _custom(rule).items() if key not in _WORDS and key != "threshold"}
    left_out = {"id", "severity", "customProperties", "unit", "rule", *_OPERATORS, *_WORDS}
    kept = {key: value for key, value in rule.items() if key not in left_out}
    kept.setdefault("type", "library" if "metric" in rule else None)
    arguments = dict(_mapping(rule.get("arguments")))
    for key in ("validValues", "missingValues"):
        if arguments.get(key) is not None:
            arguments[key] = None  # compared as a list
    kept["arguments"] = arguments
    implementation = rule.get("implementation")
    if isinstance(implementation, Mapping):
        check = str(implementation.get("check"))
        kept["implementation"] = {k: v for k, v in implementation.items() if (check, k) not in _DIRECTED}
    return _canonical({"rule": kept, "custom": custom})


def _threshold_way(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    before, now = _limits(old), _limits(new)
    if before == now:
        return "same"
    if before is None or now is None or before[0] != now[0]:
        return "changed"
    inside, outside = _within(now[1], before[1]), _within(before[1], now[1])
    return "same" if inside and outside else "tightened" if inside else "loosened" if outside else "changed"


#: Lower end, whether it is allowed, upper end, whether it is allowed.
_Interval = tuple[float, bool, float, bool]


def _limits(rule: Mapping[str, Any]) -> tuple[str, list[_Interval]] | None:
    """The unit of a rule's threshold and the numbers it allows; None where it has none that is understood."""
    raw: Any = rule
    if rule.get("type") == "custom":
        raw = _custom(rule).get("threshold", {"mustBe": 0})
    if not isinstance(raw, Mapping):
        return None
    found = [key for key in _OPERATORS if key in raw]
    try:
        values = [float(v) for v in (raw[found[0]] if isinstance(raw[found[0]], list) else [raw[found[0]]])]
        first, last = values[0], values[-1]
    except (IndexError, TypeError, ValueError):
        return None
    allowed: dict[str, list[_Interval]] = {
        "mustBe": [(first, True, first, True)],
        "mustNotBe": [(-inf, False, first, False), (first, False, inf, False)],
        "mustBeGreaterThan": [(first, False, inf, False)],
        "mustBeGreaterOrEqualTo": [(first, True, inf, False)],
        "mustBeLessThan": [(-inf, False, first, False)],
        "mustBeLessOrEqualTo": [(-inf, False, first, True)],
        "mustBeBetween": [(first, True, last, True)],
        "mustNotBeBetween": [(-inf, False, first, False), (last, False, inf, False)],
    }
    # What is measured is a count or a share: nothing lies below 0.
    clipped = [(0.0, True, b, d) if a < 0 else (a, c, b, d) for a, c, b, d in allowed[found[0]] if b >= 0]
    return str(raw.get("unit", "rows")), clipped


def _within(inner: Sequence[_Interval], outer: Sequence[_Interval]) -> bool:
    return all(
        any((a > x or (a == x and (y or not b))) and (c < z or (c == z and (w or not d))) for x, y, z, w in outer)
        for a, b, c, d in inner
    )


def _list_ways(old: Mapping[str, Any], new: Mapping[str, Any]) -> set[str]:
    """Fewer allowed values ask for more (more of them are told apart above); so do more spellings of missing."""
    before, now = _mapping(old.get("arguments")), _mapping(new.get("arguments"))
    ways = set()
    for key in ("validValues", "missingValues"):
        if isinstance(before.get(key), list) and isinstance(now.get(key), list):
            was, is_ = {_value(v) for v in before[key]}, {_value(v) for v in now[key]}
            if key == "validValues":
                ways |= {"tightened"} if was - is_ else set()
            else:
                ways |= ({"tightened"} if is_ - was else set()) | ({"loosened"} if was - is_ else set())
    return ways


def _number_ways(old: Mapping[str, Any], new: Mapping[str, Any]) -> set[str]:
    before, now = old.get("implementation"), new.get("implementation")
    if not isinstance(before, Mapping) or not isinstance(now, Mapping) or before.get("check") != now.get("check"):
        return set()
    ways = set()
    for (check, key), direction in _DIRECTED.items():
        if before.get("check") != check:
            continue
        was, is_ = before.get(key), now.get(key)
        if was == is_:
            continue
        if was is None or is_ is None:
            ways.add("tightened" if was is None else "loosened")
        elif isinstance(was, int | float) and isinstance(is_, int | float):
            ways.add("tightened" if (is_ - was) * direction > 0 else "loosened")
        else:
            ways.add("changed")
    return ways


def _values_of(rule: Mapping[str, Any]) -> list[Any] | None:
    """The allowed values that a rule lists, or None."""
    found = _mapping(rule.get("arguments")).get("validValues") if rule.get("metric") == "invalidValues" else None
    return found if isinstance(found, list) else None


# -- small things ------------------------------------------------------------------------------------------------------


def _severity(rule: Mapping[str, Any]) -> str:
    return str(rule.get("severity", "error"))


def _custom(raw: Mapping[str, Any]) -> dict[str, Any]:
    entries = _listed(raw.get("customProperties"))
    return {str(entry.get("property")): entry.get("value") for entry in entries}


def _mapping(raw: Any) -> Mapping[str, Any]:
    return raw if isinstance(raw, Mapping) else {}


def _listed(raw: Any) -> list[Mapping[str, Any]]:
    return [entry for entry in raw if isinstance(entry, Mapping)] if isinstance(raw, list) else []


def _named(raw: Any) -> dict[str, Mapping[str, Any]]:
    return {str(entry.get("name")): entry for entry in _listed(raw)}


def _by_id(raw: Any) -> dict[str, Mapping[str, Any]]:
    """Rules by their id; those without one by what they hold, so that they are either there or not."""
    return {str(rule["id"]) if "id" in rule else _canonical(rule): rule for rule in _listed(raw)}


def _body(raw: Mapping[str, Any], without: str = "name") -> str:
    """A column without its name and rules, or a rule without its id."""
    left_out = {without, "quality"} if without == "name" else {without}
    return _canonical({key: value for key, value in raw.items() if key not in left_out})


def _plain(text: Any) -> str:
    """A text as people read it: neither case nor blanks change what it says."""
    return " ".join(str("" if text is None else text).split()).casefold()


def _value(value: Any) -> str:
    """A value of a list; 1 and 1.0 are one, and so are true and 1, as in checks.plain_values."""
    return f"{float(value):g}" if isinstance(value, bool | int | float) else f"text {value}"


def _code(value: Any) -> str:
    """A value as the key of ``codes``."""
    return f"{float(value):g}" if isinstance(value, bool | int | float) else str(value)


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)

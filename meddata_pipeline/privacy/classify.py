"""What the columns of a table are, by their names and by a sample of their values, and where a profile says otherwise.

What belongs here: classifying the columns of an unknown table; comparing what columns hold with what they were declared
to be. What does not: withholding single values (columns.py), mapping columns to kinds (ingest/profile.py).

Evidence names rules and shares, never a value and never a header: the header of a file without one is a row of data.

The order of evidence:
1. Values that hold a direct identifier count from a small share on (a threshold in columns.yaml): whole cells make the
   column direct, identifiers among other words make it free text, which the text engine must go through.
2. A name that says direct is believed, because a column that is protected in vain harms nobody.
3. Long and varied values are free text. Values that look like names or addresses, or that are numbers of one shape of
   which nearly each is another, are direct; dates and postal codes are quasi-identifiers; disease codes are sensitive.
4. What is left is what the name says, or other.

English names without a header hint are not seen: nothing tells them from other capitalised words.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import resources
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml

from meddata_pipeline.privacy.columns import identifier_in
from meddata_pipeline.privacy.detect.fold import compact_value, fold
from meddata_pipeline.privacy.detect.names import grammar, is_han
from meddata_pipeline.privacy.detect.recognizers.address import AddressRule
from meddata_pipeline.privacy.detect.recognizers.date import DateRule
from meddata_pipeline.privacy.detect.recognizers.name_minority import MinorityNameRule
from meddata_pipeline.privacy.detect.recognizers.name_pinyin import PinyinNameRule

if TYPE_CHECKING:
    import pyarrow as pa

#: Classes a column can have.
CLASSES = ("direct", "quasi", "sensitive", "text", "other")
#: Declared sensitivities (core.tables) whose columns must not hold identifiers.
HARMLESS = frozenset({"quasi", "sensitive", "other"})
#: Declared sensitivities of identifiers: such columns are dropped or pseudonymised.
PROTECTED = frozenset({"direct", "link", "staff"})

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_GAPS = re.compile(r"[\s\-./()\[\]:]+")
_NUMBER = re.compile(r"[+-]?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_DECIMAL = re.compile(r"[<>≤≥]?[+-]?[0-9,]*\.[0-9]+(?:[eE][+-]?[0-9]+)?")
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|[0-2](?:\.[0-9]+){6,}")
_ICD = re.compile(r"[A-TV-Z][0-9]{2}(?:\.[0-9A-Za-z]{1,4}(?:x[0-9]{2,3})?)?[*†+]?|[0-9]{2}\.[0-9]{2,4}(?:x[0-9]{2,3})?")
_LOINC = re.compile(r"[0-9]{1,5}-[0-9]")
_POSTAL = re.compile(r"(?:0[1-7]|1[0-6]|[2-7][0-9]|8[1-5])[0-9]{4}")
_CODED = re.compile(r"[A-Za-z]{0,6}[\-_]?[0-9]+(?:[\-_ ][0-9A-Za-z]+)*[A-Za-z]?")
_LETTERS = re.compile(r"[A-Za-z]+[\-_]?[0-9][0-9A-Za-z\-_]*|[0-9A-Fa-f]{24,}")
_MOBILE = re.compile(r"1[3-9][0-9][\s\-.]?[0-9]{4}[\s\-.]?[0-9]{4}")
_CLAUSE = re.compile(r"[，。；,;].*[\u3400-\u9fffA-Za-z]|[\u3400-\u9fff]{4}.*[。；]")
_ISO_DATE = re.compile(
    r"(?:19|20)[0-9]{2}[\-/.年]?(?:0?[1-9]|1[0-2])[\-/.月]?(?:0?[1-9]|[12][0-9]|3[01])日?(?:[ T].*)?"
)
_BIRTH = re.compile(r"出生|生日|birth|born|dob|csrq|csny", re.IGNORECASE)
_YEAR = re.compile(r"(?:19|20)[0-9]{2}")
_DIGITS = re.compile("[0-9]")


class Evidence(NamedTuple):
    """One thing that speaks for a class.

    Attributes:
        rule: the rule's name.
        share: of the values that were looked at; 1 for a hint in the column's name.
    """

    rule: str
    share: float

    def __str__(self) -> str:
        return self.rule if self.rule.startswith(("name-suggests", "no-values")) else f"{self.rule} {self.share:.1%}"


@dataclass(frozen=True)
class ColumnClass:
    """What a column seems to be.

    Attributes:
        column: its name.
        sensitivity: one of CLASSES.
        evidence: what speaks for it, the strongest first.
        share: of the values that hold a direct identifier.
        values: how many values were looked at.
        distinct: how many of them are distinct.
        by_name: the class that the name alone suggests, "" for none.
    """

    column: str
    sensitivity: str
    evidence: tuple[Evidence, ...]
    share: float
    values: int
    distinct: int
    by_name: str

    def as_public(self) -> dict[str, Any]:
        """The class and the evidence without the column's name, which may be data."""
        return {
            "class": self.sensitivity,
            "by_name": self.by_name or None,
            "values": self.values,
            "evidence": [{"rule": e.rule, "share": round(e.share, 4)} for e in self.evidence],
        }


_NOBODY: Mapping[str, str] = {}


@cache
def _settings() -> dict[str, Any]:
    source = resources.files("meddata_pipeline.privacy").joinpath("columns.yaml").read_text(encoding="utf-8")
    loaded: dict[str, Any] = yaml.safe_load(source)
    loaded["names"] = {
        kind: re.compile("|".join(f"(?:{p})" for p in patterns)) for kind, patterns in loaded["names"].items()
    }
    loaded["initials"] = {kind: frozenset(text.split()) for kind, text in loaded["initials"].items()}
    loaded["noise"] = frozenset(loaded["noise"])
    return loaded


def limits() -> Mapping[str, float]:
    """The thresholds of columns.yaml."""
    found: Mapping[str, float] = _settings()["limits"]
    return found


@lru_cache(maxsize=10_000)
def class_by_name(column: str) -> str:
    """The class that a column's name suggests, "" for none.

    Args:
        column: in Chinese, in English (snake_case, camelCase, with blanks) or in pinyin initials (HZXM).
    """
    text = fold(column).text.strip()
    key = _GAPS.sub("_", text if text.isupper() else _CAMEL.sub("_", text)).strip("_").lower()
    settings = _settings()
    # Initials before words: "xm" is in no word list, and "mz" in no initials where it is a part of a longer name.
    parts = [part for part in key.split("_") if part]
    meant = [part for part in parts if part not in settings["noise"]] or parts
    for whole in dict.fromkeys(["_".join(parts), "".join(meant), *(reversed(meant))]):
        for kind, initials in settings["initials"].items():
            if whole in initials:
                return str(kind)
    for kind, pattern in settings["names"].items():
        if pattern.search(key):
            return str(kind)
    return ""


def _texts(column: pa.ChunkedArray | pa.Array, size: int) -> Counter[str]:
    """Up to ``size`` non-null values as text with their counts, spread evenly over the column."""
    import pyarrow as pa

    present = column.drop_null()
    if len(present) > size:
        step = len(present) / size
        present = present.take(pa.array([int(i * step) for i in range(size)]))
    if pa.types.is_floating(present.type):
        # A telephone number that was read as a number is one still.
        values = [str(int(v)) if v == v and abs(v) < 1e19 and v == int(v) else str(v) for v in present.to_pylist()]
    else:
        values = [str(value) for value in present.to_pylist()]
    return Counter(text for value in values if (text := value.strip()))


def classify(table: pa.Table, *, names: Collection[str] = (), sample: int = 2000) -> list[ColumnClass]:
    """Classify every column of an unknown table.

    Args:
        table: the table.
        names: known names of persons (patients, contacts, staff), if any.
        sample: values that are looked at per column.

    Returns:
        One entry per column, in the table's order.
    """
    known = dict.fromkeys((plain for name in names if len(plain := compact_value(name)) >= 2), "PERSON")
    return [classify_values(name, _texts(table[name], sample), known) for name in table.column_names]


class _Shares:
    """Shares of the values of a column, by what they are."""

    def __init__(self, values: Counter[str], known: Mapping[str, str]) -> None:
        self.total = sum(values.values())
        self.distinct = len(values)
        self.entities: Counter[str] = Counter()
        self.whole = 0
        chance: Counter[str] = Counter()
        different: Counter[str] = Counter()
        whole: Counter[str] = Counter()
        for value, count in values.items():
            entity = _entity(value, known)
            if entity is None:
                continue
            self.entities[entity] += count
            if entity in {"PERSON", "MEDICAL_ID"} or (len(value) <= 24 and _filled(value)):
                whole[entity] += count
            if _by_chance(value, entity):
                chance[entity] += count
                different[entity] += 1
        for entity, count in chance.items():
            # The shape alone speaks for it, and the same few come again and again: codes of a code list.
            if count >= 10 and count == self.entities[entity] and different[entity] < limits()["code_repeats"] * count:
                del self.entities[entity], whole[entity]
        self.direct = sum(self.entities.values())
        self.whole = sum(whole.values())
        self.average = sum(len(v) * n for v, n in values.items()) / self.total

    def share(self, count: int) -> float:
        return count / self.total


def _entity(value: str, known: Mapping[str, str]) -> str | None:
    """The direct identifier in a value, or None."""
    if known and (entity := known.get(compact_value(value))) is not None:
        return entity
    if _DECIMAL.fullmatch(value) or _UUID.fullmatch(value):
        return None
    entity = identifier_in(value)
    # Digits behind letters (JZ6764546466) are a code of somebody's, no telephone number or card.
    return None if entity in _DIGITS_ONLY and _LETTERS.fullmatch(value) else entity


#: Entities that stand in digits alone.
_DIGITS_ONLY = frozenset({"PHONE_NUMBER", "CN_RESIDENT_ID", "CREDIT_CARD", "US_SSN"})


def _by_chance(value: str, entity: str) -> bool:
    """Whether only the shape speaks for an identifier: no check digit, no prefix that is given out to mobiles."""
    if entity in {"PERSON", "MEDICAL_ID", "EMAIL_ADDRESS"}:
        return False
    if entity == "PHONE_NUMBER":
        return _MOBILE.search(value) is None
    return entity != "CN_RESIDENT_ID" or sum(c.isdigit() for c in value) < 17


def _filled(value: str) -> bool:
    """Whether a value is hardly more than the identifier in it: no more than six other letters."""
    return sum(c.isalpha() for c in value) <= 6 or "@" in value


def classify_values(column: str, values: Counter[str], known: Mapping[str, str] = _NOBODY) -> ColumnClass:
    """Classify one column.

    Args:
        column: its name, "" where it is of no meaning.
        values: its values with their counts; empty texts left out.
        known: known values in compact form with what they are (PERSON, MEDICAL_ID).
    """
    limit = limits()
    by_name = class_by_name(column)
    hint = [Evidence(f"name-suggests-{by_name}", 1.0)] if by_name else []
    if not values:
        return ColumnClass(column, by_name or "other", (*hint, Evidence("no-values", 0.0)), 0.0, 0, 0, by_name)
    shares = _Shares(values, known)
    evidence = [Evidence(entity, shares.share(n)) for entity, n in shares.entities.most_common()]
    direct = shares.share(shares.direct)

    def made(kind: str, *more: Evidence) -> ColumnClass:
        found = (*evidence, *more, *hint)
        return ColumnClass(column, kind, found, direct, shares.total, shares.distinct, by_name)

    free = _free_text(values, shares)
    if by_name == "direct":
        return made("direct")
    if direct >= limit["identifier_share"]:
        if shares.share(shares.whole) >= limit["whole_share"] or not (free or by_name == "text"):
            return made("direct", *free)
        return made("text", *free)
    if free:
        return made("text", *free)
    for kind, rule, share, least in _looks(values, shares, column if by_name else ""):
        if share >= limit[least] and not (rule == "names" and by_name in {"sensitive", "quasi", "text"}):
            return made(kind, Evidence(rule, share))
    numbers = _numbers(values, shares)
    if numbers and (by_name in {"", "other"} or numbers[0].rule in _LOOKS):
        return made("direct", *numbers)
    return made(by_name or "other")


def _free_text(values: Counter[str], shares: _Shares) -> list[Evidence]:
    """Evidence of free text; empty where values are short, or long but few (labels of codes)."""
    limit = limits()
    varied = shares.distinct / shares.total
    if varied < limit["text_distinct"] or shares.distinct < 2:
        return []
    if sum(n for v, n in values.items() if _UUID.fullmatch(v)) >= shares.total * limit["date_share"]:
        return []
    wordy = shares.share(sum(n for v, n in values.items() if sum(is_han(c) for c in v) >= 6 or len(v.split()) >= 4))
    clauses = shares.share(sum(n for v, n in values.items() if len(v) >= 8 and _CLAUSE.search(v)))
    if shares.average >= limit["text_length"] and wordy >= 0.5 and not _addresses(values, shares):
        return [Evidence("long-varied-texts", varied)]
    if clauses >= limit["text_clauses"]:
        return [Evidence("clauses", clauses)]
    return []


def _addresses(values: Counter[str], shares: _Shares) -> bool:
    """Whether most values are an address and little else."""
    return shares.share(_address_count(values)) >= limits()["address_share"]


def _address_count(values: Counter[str]) -> int:
    rule = AddressRule()
    count = 0
    for value, number in values.items():
        if 6 <= len(value) <= 80 and _DIGITS.search(value):
            text = fold(value).text
            covered = max((hit.end - hit.start for hit in rule.find(text)), default=0)
            count += number * (covered >= 0.6 * len(text))
    return count


def _looks(values: Counter[str], shares: _Shares, column: str) -> list[tuple[str, str, float, str]]:
    """Class, rule, share and the limit that it must reach, the strongest rule first."""
    born = bool(_BIRTH.search(column))
    dates = [(v, n) for v, n in values.items() if _is_date(v)]
    dated = shares.share(sum(n for _, n in dates))
    if not column:
        born = _spread(dates) >= limits()["birth_span"]
    icd = shares.share(sum(n for v, n in values.items() if _ICD.fullmatch(v) and any(c.isalpha() for c in v)))
    postal = shares.share(sum(n for v, n in values.items() if _POSTAL.fullmatch(v)))
    few = shares.distinct / shares.total < limits()["number_distinct"] or shares.total < 10
    return [
        ("quasi", "dates-of-birth" if born else "dates", dated, "date_share"),
        ("sensitive", "icd-codes", icd, "code_share"),
        ("quasi", "postal-codes", postal if few else 0.0, "code_share"),
        ("direct", "names", _names(values, shares), "name_share"),
        ("direct", "addresses", shares.share(_address_count(values)), "address_share"),
    ]


def _is_date(value: str) -> bool:
    if len(value) < 5 or len(value) > 40 or (not _DIGITS.search(value) and "年" not in value):
        return False
    if _ISO_DATE.fullmatch(value):
        return True
    text = fold(value).text
    return any(hit.end - hit.start >= 0.8 * len(text) for hit in DateRule().find(text))


def _spread(dates: Sequence[tuple[str, int]]) -> int:
    """Years between the first and the last tenth of dates: those of births lie decades apart, those of care do not."""
    years = sorted(int(match.group()) for value, _ in dates if (match := _YEAR.search(value)))
    return years[-1 - len(years) // 10] - years[len(years) // 10] if years else 0


def _names(values: Counter[str], shares: _Shares) -> float:
    """Share of the values that look like names of persons."""
    rules = grammar()
    others = (MinorityNameRule(), PinyinNameRule())
    count = distinct = 0
    for value, number in values.items():
        plain = compact_value(value)
        if 2 <= len(plain) <= 4 and all(is_han(c) for c in plain):
            length = rules.surname_length(plain, 0)
            given = plain[length:]
            seen = (
                length > 0
                and 1 <= len(given) <= 2
                and plain[:2] not in rules.not_names
                and not any(c in rules.not_given for c in given)
            )
        elif 4 <= len(value) <= 40 and ("\u00b7" in fold(value).text or value.isascii()) and not _DIGITS.search(value):
            text = fold(value).text
            seen = any(hit.end - hit.start == len(text) for rule in others for hit in rule.find(text))
        else:
            seen = False
        count += number * seen
        distinct += seen
    # Names are many; a handful of words that begin with a surname (高血压) is a code list.
    least = min(limits()["name_distinct"], shares.total)
    return shares.share(count) if distinct >= least else 0.0


def _numbers(values: Counter[str], shares: _Shares) -> list[Evidence]:
    """Evidence that a column holds numbers of persons or events: ids, or codes of one shape that are nearly unique."""
    limit = limits()
    ids = shares.share(sum(n for v, n in values.items() if _UUID.fullmatch(v)))
    if ids >= limit["code_share"]:
        return [Evidence("unique-id", ids)]
    if shares.total < 5 or shares.distinct < 5:
        return []
    known_codes = (_ISO_DATE, _LOINC, _ICD)
    coded = {v: n for v, n in values.items() if _CODED.fullmatch(v) and not any(p.fullmatch(v) for p in known_codes)}
    share = shares.share(sum(coded.values()))
    if share < limit["code_share"]:
        return []
    shapes: Counter[str] = Counter()
    for value, number in coded.items():
        shapes[re.sub(r"[A-Za-z]", "A", re.sub(r"[0-9]", "9", value))] += number
    common = sum(n for _, n in shapes.most_common(2)) / sum(coded.values())
    digits = max(sum(c.isdigit() for c in v) for v in coded)
    if common < limit["code_share"] or digits < limit["number_digits"] - (any(v[0].isalpha() for v in coded)):
        return []
    varied = len(coded) / sum(coded.values())
    if varied >= limit["number_distinct"]:
        return [Evidence("nearly-unique-numbers", varied)]
    # The numbers of persons come again in tables of events; there are many of them all the same.
    if varied >= limit["number_repeats"] and len(coded) >= limit["number_many"]:
        return [Evidence("many-numbers-of-one-shape", varied)]
    return []


@dataclass(frozen=True)
class Disagreement:
    """A column that is not what it was declared to be.

    Attributes:
        table: the hospital's table, as the profile names it.
        column: the canonical column, with what the profile fills it from.
        expected: the declared sensitivity.
        seen: the class that its values have.
        evidence: what speaks for it.
        blocking: whether the run must stop.
    """

    table: str
    column: str
    expected: str
    seen: str
    evidence: tuple[Evidence, ...]
    blocking: bool

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON without values."""
        return {
            "table": self.table,
            "column": self.column,
            "expected": self.expected,
            "seen": self.seen,
            "evidence": [{"rule": e.rule, "share": round(e.share, 4)} for e in self.evidence],
            "blocking": self.blocking,
        }

    def __str__(self) -> str:
        rules = ", ".join(map(str, self.evidence))
        return f"{self.table}, {self.column}: declared {self.expected}, holds {self.seen} ({rules})"


def compare(
    column: pa.ChunkedArray | pa.Array,
    declared: str,
    *,
    known: Mapping[str, str] = _NOBODY,
    headers: Sequence[str] = (),
    sample: int = 5000,
) -> tuple[str, tuple[Evidence, ...], bool] | None:
    """Compare what a column holds with what it was declared to be.

    Args:
        column: its values.
        declared: sensitivity as in core.tables.
        known: known values in compact form (names, record numbers) with what they are.
        headers: the source headers that the profile gives for it.
        sample: values that are looked at.

    Returns:
        The class seen, the evidence, and whether the run must stop; None where they agree. A column that was declared
        harmless and holds direct identifiers stops the run. Only shown: free text in it, numbers that come again and
        may be codes, a header that speaks of an identifier, and the other direction, an identifier's column that
        holds a few codes or dates.
    """
    values = _texts(column, sample)
    hinted = next((h for h in headers if class_by_name(h) == "direct"), None) is not None
    if declared in HARMLESS:
        return _harmless(values, known, hinted)
    if declared in PROTECTED:
        return _protected(values)
    if declared == "text" and values:
        # The text engine goes through it, but names alone in a cell have no words around them that give them away.
        seen = classify_values("", values, known)
        if seen.sensitivity == "direct" and seen.values >= limits()["few_values"]:
            return "direct", seen.evidence, False
    return None


def _harmless(
    values: Counter[str], known: Mapping[str, str], hinted: bool
) -> tuple[str, tuple[Evidence, ...], bool] | None:
    hint = (Evidence("name-suggests-direct", 1.0),) if hinted else ()
    if not values:
        return ("direct", hint, False) if hinted else None
    shares = _Shares(values, known)
    if shares.share(shares.direct) >= limits()["disagreement_share"]:
        found = tuple(Evidence(entity, shares.share(n)) for entity, n in shares.entities.most_common())
        return ("direct", (*found, *hint), True)
    seen = classify_values("", values)
    by_looks = next((e for e in seen.evidence if e.rule in _LOOKS), None)
    if by_looks is not None and (hinted or seen.values >= limits()["few_values"]):
        return "direct", (by_looks, *hint), True
    if seen.sensitivity == "direct":
        return "direct", (*seen.evidence, *hint), False
    if seen.sensitivity == "text" and seen.values >= limits()["few_values"]:
        return "text", seen.evidence, False
    return ("direct", hint, False) if hinted else None


#: Rules that speak for a direct identifier without a proof in each value.
_LOOKS = frozenset({"names", "addresses", "unique-id", "nearly-unique-numbers"})


def _protected(values: Counter[str]) -> tuple[str, tuple[Evidence, ...], bool] | None:
    total, few = sum(values.values()), limits()["few_values"]
    if total < 10 * few:
        return None
    dated = sum(n for v, n in values.items() if _is_date(v)) / total
    if dated >= limits()["date_share"]:
        return "quasi", (Evidence("dates", dated),), False
    if len(values) <= few / 4:
        return "other", (Evidence("few-distinct-values", len(values) / total),), False
    return None

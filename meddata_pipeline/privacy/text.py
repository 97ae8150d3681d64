"""Replacing in texts: typed placeholders in the lake, tags or surrogates at release.

What belongs here: from texts and spans to texts without identifiers; Presidio's anonymizer does the replacing. What
does not: finding the spans (privacy/detect).

In the lake a text holds placeholders such as ``[PERSON_1]`` and the span table beside it holds what a surrogate needs
and no more: a keyed digest of the surface (so that the same name gets the same surrogate), its shape, and for dates
the date. Surfaces themselves are nowhere.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from meddata_pipeline.privacy import weekday
from meddata_pipeline.privacy.detect import PLACEHOLDER, Detector, Span
from meddata_pipeline.privacy.detect.fold import compact_value, fold
from meddata_pipeline.privacy.detect.names import grammar, is_han
from meddata_pipeline.privacy.detect.pause import collector_paused
from meddata_pipeline.privacy.pseudonym import date_shift_days, keyed
from meddata_pipeline.privacy.surrogate import surrogate_for

if TYPE_CHECKING:
    import pyarrow as pa
    from presidio_anonymizer import AnonymizerEngine

_HAN_DIGITS = {
    "〇": 0,
    "零": 0,
    "○": 0,
    "一": 1,
    "二": 2,
    "三": 3,
    "四": 4,
    "五": 5,
    "六": 6,
    "七": 7,
    "八": 8,
    "九": 9,
    "正": 1,
}
_MONTH_NAMES = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_MONTHS = {name[:3].lower(): i for i, name in enumerate(_MONTH_NAMES, start=1)}
_YMD_HAN = re.compile(r"([0-9]{4}|[0-9]{2}) ?年 ?([0-9]{1,2}) ?月(?: ?([0-9]{1,2}) ?([日号]?))?")
_MD_HAN = re.compile(r"([0-9]{1,2}) ?月 ?([0-9]{1,2}) ?([日号]?)")
_YMD = re.compile(r"([0-9]{4}) ?([\-/.]) ?([0-9]{1,2}) ?\2 ?([0-9]{1,2})")
_PACKED = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})([0-9]{4}(?:[0-9]{2})?)?$")
_YM = re.compile(r"([0-9]{4})([\-/.])([0-9]{1,2})$")
_SHORT = re.compile(r"([0-9]{2})([\-/.])([0-9]{2})\2([0-9]{2})$")
_SPELLED = re.compile(
    r"([一二〇零○三四五六七八九]{2,4})年(?:([一二三四五六七八九十正]{1,2})月(?:([一二三四五六七八"
    r"九十廿卅]{1,3})([日号]?))?)?"
)
_M_PART = re.compile(r"([0-9]{1,2}) ?月 ?(份|[上中下]旬|[初底末])$")
_MD = re.compile(r"(0?[1-9]|1[0-2])([\-/.])(3[01]|[12][0-9]|0?[1-9])$")
#: No lunar months (正月, 腊月) and days (初三): they do not move with the calendar.
_SPELLED_MD = re.compile(r"(十[一二]?|[一二三四五六七八九])月([一二三四五六七八九十廿卅]{1,3})([日号]?)$")
_LETTERS = re.compile("[A-Za-z]{3}")
_ENGLISH_MY = re.compile(r"([A-Za-z]{3,9})\.?[ \-]{1,2}(?:of )?([0-9]{4})$")
_ENGLISH_MDY = re.compile(r"([A-Za-z]{3,9})\.?[ \-]{1,2}([0-9]{1,2})(?:st|nd|rd|th)?(?:,? ?[\- ]?([0-9]{4}))?$")
_ENGLISH_DMY = re.compile(r"([0-9]{1,2})(?:st|nd|rd|th)?(?: of)?[ \-]([A-Za-z]{3,9})\.?(?:,? ?[\- ]?([0-9]{4}))?$")
_SLASHED = re.compile(r"([0-9]{1,2})([/\-.])([0-9]{1,2})\2([0-9]{4}|[0-9]{2})$")
#: Characters that one call of Presidio's anonymizer gets.
_CALL_CHARACTERS = 8_000
#: A year for dates without one: it has no 29 February, and it is never shown.
_NO_YEAR = 2001


def span_schema() -> pa.Schema:
    """Columns of a span table.

    row: index of the text; start, end: of the placeholder in the text with placeholders; length: of what stood there;
    entity, index: as in the placeholder; source, score: of the finding; surface: keyed digest of the normalised
    surface (or of the person, where it is known who it is); shape: what a surrogate must look like; date: of a date;
    review: why people must look at it (``uncertain``, ``second-pass``), null for all others.
    """
    import pyarrow as pa

    return pa.schema(
        [
            pa.field("row", pa.int64()),
            pa.field("start", pa.int32()),
            pa.field("end", pa.int32()),
            pa.field("length", pa.int32()),
            pa.field("entity", pa.string()),
            pa.field("index", pa.int32()),
            pa.field("source", pa.string()),
            pa.field("score", pa.float32()),
            pa.field("surface", pa.string()),
            pa.field("shape", pa.string()),
            pa.field("date", pa.date32()),
            pa.field("review", pa.string()),
        ]
    )


@cache
def _engine() -> AnonymizerEngine:
    """Presidio's anonymizer with the operator that writes what the caller has prepared."""
    from presidio_anonymizer import AnonymizerEngine
    from presidio_anonymizer.operators import Operator, OperatorType

    class Prepared(Operator):  # type: ignore[misc, unused-ignore]
        """Writes the replacement that stands in place of the entity's name."""

        def operate(self, text: str | None = None, params: dict[str, Any] | None = None) -> str:
            """The prepared replacement."""
            return str((params or {})["entity_type"])

        def validate(self, params: dict[str, Any] | None = None) -> None:
            """Every replacement is valid."""

        def operator_name(self) -> str:
            """The operator's name."""
            return "prepared"

        def operator_type(self) -> OperatorType:
            """An anonymizing operator."""
            return OperatorType.Anonymize

    engine = AnonymizerEngine()  # type: ignore[no-untyped-call]
    engine.add_anonymizer(Prepared)
    return engine


def replace_all(
    texts: Sequence[str], spans: Sequence[Sequence[Span]], replacements: Sequence[Sequence[str]]
) -> list[str]:
    """Replace spans by prepared texts, through Presidio's anonymizer.

    Args:
        texts: the texts; they are joined, so that the cost of a call is shared.
        spans: for each text its spans, sorted, without overlaps.
        replacements: for each text one replacement per span.
    """
    out: list[str] = list(texts)
    chunk: list[int] = []
    size = 0
    for i, found in enumerate(spans):
        if found:
            chunk.append(i)
            size += len(texts[i])
        if chunk and (size >= _CALL_CHARACTERS or i == len(spans) - 1):
            _replace_chunk(out, chunk, spans, replacements)
            chunk, size = [], 0
    return out


def _replace_chunk(
    out: list[str], chunk: Sequence[int], spans: Sequence[Sequence[Span]], replacements: Sequence[Sequence[str]]
) -> None:
    from presidio_anonymizer.entities import OperatorConfig, RecognizerResult

    results = []
    base = 0
    for i in chunk:
        for span, new in zip(spans[i], replacements[i], strict=True):
            results.append(RecognizerResult(new, base + span.start, base + span.end, 1.0))
        base += len(out[i])
    answer = _engine().anonymize(
        "".join(out[i] for i in chunk),
        results,
        operators={"DEFAULT": OperatorConfig("prepared")},
        merge_entities_with_spaces=False,
    )
    at = 0
    for i in chunk:
        removed = sum(span.end - span.start for span in spans[i])
        length = len(out[i]) - removed + sum(len(new) for new in replacements[i])
        out[i] = str(answer.text)[at : at + length]
        at += length


class _Placed(NamedTuple):
    """One replaced span, before it becomes a row of the span table."""

    start: int
    end: int
    length: int
    entity: str
    number: int
    source: str
    score: float
    surface: str
    shape: str
    day: date | None


def to_placeholders(
    texts: Sequence[str],
    spans: Sequence[Sequence[Span]],
    *,
    key: bytes,
    reasons: Sequence[Mapping[int, str]] | None = None,
) -> tuple[list[str], pa.Table]:
    """Put a typed placeholder in place of every span.

    Inside a text the same surface has the same number, and so have the variants of one person's name (张伟, 张先生).

    Args:
        texts: the texts.
        spans: for each text its spans, as Detector.analyze gives them.
        key: the lake's key for digests of surfaces.
        reasons: for each text, by place of a span, why people must look at it.

    Returns:
        The texts with placeholders, and the span table (``span_schema``).
    """
    with collector_paused():
        return _to_placeholders(texts, spans, key, reasons)


def _to_placeholders(
    texts: Sequence[str],
    spans: Sequence[Sequence[Span]],
    key: bytes,
    reasons: Sequence[Mapping[int, str]] | None,
) -> tuple[list[str], pa.Table]:
    import pyarrow as pa

    columns: dict[str, list[Any]] = {name: [] for name in span_schema().names}
    done: dict[tuple[str, int], tuple[int, list[_Placed]]] = {}
    distinct: list[str] = []
    distinct_spans: list[Sequence[Span]] = []
    replacements: list[list[str]] = []
    answers: list[int | None] = []
    digest = lru_cache(maxsize=100_000)(lambda label, value: keyed(key, label, value).hex()[:16])
    for row, (text, found) in enumerate(zip(texts, spans, strict=True)):
        if not found:
            answers.append(None)
            continue
        # The detector gives one list object for equal texts about the same person: they are worked out once.
        memo = (text, id(found))
        answer = done.get(memo)
        if answer is None:
            new, placed = _place(text, found, digest)
            answer = done[memo] = (len(distinct), placed)
            distinct.append(text)
            distinct_spans.append(found)
            replacements.append(new)
        answers.append(answer[0])
        why = reasons[row] if reasons is not None else {}
        for place, item in enumerate(answer[1]):
            columns["review"].append(why.get(place))
            columns["row"].append(row)
            columns["start"].append(item.start)
            columns["end"].append(item.end)
            columns["length"].append(item.length)
            columns["entity"].append(item.entity)
            columns["index"].append(item.number)
            columns["source"].append(item.source)
            columns["score"].append(item.score)
            columns["surface"].append(item.surface)
            columns["shape"].append(item.shape)
            columns["date"].append(item.day)
    replaced = replace_all(distinct, distinct_spans, replacements)
    out = [text if i is None else replaced[i] for text, i in zip(texts, answers, strict=True)]
    return out, pa.table(columns, schema=span_schema())


def _place(text: str, spans: Sequence[Span], digest: Callable[[str, str], str]) -> tuple[list[str], list[_Placed]]:
    groups = _person_groups(text, spans)
    numbers: dict[tuple[str, str], int] = {}
    used: dict[str, int] = {}
    replacements: list[str] = []
    placed: list[_Placed] = []
    moved = 0
    for span, group in zip(spans, groups, strict=True):
        surface = text[span.start : span.end]
        number = numbers.get((span.entity, group))
        if number is None:
            number = used.get(span.entity, 0) + 1
            used[span.entity] = number
            numbers[(span.entity, group)] = number
        placeholder = f"[{span.entity}_{number}]"
        day, shape = None, _shape(span.entity, surface)
        if span.entity == "DATE_TIME":
            day, shape = read_date(surface)
        start = span.start + moved
        placed.append(
            _Placed(
                start,
                start + len(placeholder),
                span.end - span.start,
                span.entity,
                number,
                span.source,
                span.score,
                digest(span.entity, group),
                shape,
                day,
            )
        )
        moved += len(placeholder) - (span.end - span.start)
        replacements.append(placeholder)
    return replacements, placed


def _person_groups(text: str, spans: Sequence[Span]) -> list[str]:
    """For every span whom or what it names: variants of one name have one group."""
    groups: list[str] = []
    full: dict[str, str] = {}
    for span in spans:
        surface = compact_value(text[span.start : span.end])
        if span.entity != "PERSON":
            groups.append(surface)
            continue
        group = span.source if span.source.startswith("known/") else surface
        groups.append(group)
        if len(surface) > 1:
            full.setdefault(surface, group)
    by_surname: dict[str, set[str]] = {}
    for surface, group in full.items():
        length = grammar().surname_length(surface, 0)
        if length and "某" not in surface and "*" not in surface:
            by_surname.setdefault(surface[:length], set()).add(group)
    for i, span in enumerate(spans):
        if span.entity != "PERSON":
            continue
        surface = compact_value(text[span.start : span.end])
        if surface in full:
            groups[i] = full[surface]
        surname = surface.rstrip("某*x×○甲乙丙丁")
        candidates = by_surname.get(surname, set())
        # A surname alone (王主任) is the one person of that surname in the text, if there is just one.
        if surname and len(candidates) == 1 and groups[i] == surface:
            groups[i] = next(iter(candidates))
    return groups


def _shape(entity: str, surface: str) -> str:
    """What a surrogate must look like; no character of the surface itself but separators."""
    if entity == "PERSON":
        plain = compact_value(surface)
        if plain and is_han(plain[0]):
            return "surname" if len(plain) <= grammar().surname_length(plain, 0) else f"han{min(len(plain), 4)}"
        return f"latin{min(len(surface.split()), 4)}"
    if entity in {"LOCATION", "ORGANIZATION"}:
        return "han" if any(is_han(c) for c in surface) else "latin"
    if entity == "AGE":
        return "han" if "岁" in surface else "latin"
    if entity in {"EMAIL_ADDRESS", "URL", "IP_ADDRESS"}:
        return ""
    return fold(surface).text.translate(_SHAPES)


class _Shapes(dict[int, int]):
    """The shape of a character: 9 for digits, A and a for letters, separators themselves, 某 for all others."""

    def __missing__(self, code: int) -> int:
        character = chr(code)
        if character.isdigit():
            shape = "9"
        elif character.isascii() and character.isalpha():
            shape = "A" if character.isupper() else "a"
        else:
            shape = character if character in " -_/.()+:*" else "某"
        self[code] = ord(shape)
        return self[code]


_SHAPES = _Shapes()


def _han_number(text: str) -> int | None:
    if not text:
        return None
    text = text.replace("廿", "二十").replace("卅", "三十")
    if "十" in text:
        tens, _, ones = text.partition("十")
        return (_HAN_DIGITS.get(tens, 1) if tens else 1) * 10 + (_HAN_DIGITS.get(ones, 0) if ones else 0)
    value = 0
    for character in text:
        if character not in _HAN_DIGITS:
            return None
        value = value * 10 + _HAN_DIGITS[character]
    return value


def _full_year(year: str) -> int:
    value = int(year)
    if len(year) > 2:
        return value
    return 2000 + value if value < 50 else 1900 + value


def read_date(surface: str) -> tuple[date | None, str]:
    """Read the date of a span, and the form in which it is written.

    Args:
        surface: the text of a DATE_TIME span.

    Returns:
        The date, or None where it cannot be read; and a form for ``write_date``, in which Y M D stand for the parts
        (YY, MM and DD for two digits, small letters for Chinese numerals) and everything else is kept.
    """
    before, plain, behind = weekday.split(surface)
    text = fold(plain).text.strip()
    for reader in (_read_han, _read_digits, _read_spelled, _read_english):
        answer = reader(text)
        if answer is not None:
            year, month, number, form = answer
            try:
                day = date(year, month, number)
            except ValueError:
                break
            return day, weekday.form(before, day) + form + weekday.form(behind, day)
    return None, "latin" if _LETTERS.search(text) else ""


def _read_han(text: str) -> tuple[int, int, int, str] | None:
    match = _YMD_HAN.match(text)
    if match:
        year, month, day, mark = match.groups()
        form = ("Y" if len(year) == 4 else "YY") + "年" + _part("M", month) + "月"
        if day:
            form += ("DD" if month[0] == "0" else _part("D", day)) + (mark or "")
        rest = text[match.end() :]
        # A range goes on with days that would need shifting too: it becomes a date alone.
        return (
            _full_year(year),
            int(month),
            int(day or 15),
            form + (rest if re.fullmatch(r"(?:份|[上中下]旬|[初底末])?", rest) else ""),
        )
    match = _MD_HAN.match(text)
    if match:
        month, day, mark = match.groups()
        return _NO_YEAR, int(month), int(day), _part("M", month) + "月" + _part("D", day) + (mark or "")
    match = _M_PART.match(text)
    if match:
        return _NO_YEAR, int(match[1]), 15, _part("M", match[1]) + "月" + match[2]
    return None


def _read_digits(text: str) -> tuple[int, int, int, str] | None:
    match = _YMD.match(text)
    if match:
        year, mark, month, day = match.groups()
        rest = text[match.end() :]
        time = rest if re.fullmatch(r"[T ]{0,2}[0-9:.Z+]*", rest) else ""
        return int(year), int(month), int(day), f"Y{mark}{mark.join(_digits_form(month, day))}{time}"
    match = _PACKED.match(text)
    if match:
        return int(match[1]), int(match[2]), int(match[3]), "YMMDD" + (match[4] or "")
    match = _YM.match(text)
    if match:
        return int(match[1]), int(match[3]), 15, f"Y{match[2]}{_part('M', match[3])}"
    match = _MD.match(text)
    if match:
        return _NO_YEAR, int(match[1]), int(match[3]), match[2].join(_digits_form(match[1], match[3]))
    match = _SHORT.match(text)
    if match and 1 <= int(match[3]) <= 12 and 1 <= int(match[4]) <= 31:
        return _full_year(match[1]), int(match[3]), int(match[4]), f"YY{match[2]}MM{match[2]}DD"
    match = _SLASHED.match(text)
    if match:
        first, second = int(match[1]), int(match[3])
        year = "Y" if len(match[4]) == 4 else "YY"
        if first <= 12:
            return (
                _full_year(match[4]),
                first,
                second,
                match[2].join((*_digits_form(match[1], match[3]), year)),
            )
        return (
            _full_year(match[4]),
            second,
            first,
            match[2].join((*reversed(_digits_form(match[3], match[1])), year)),
        )
    return None


def _read_spelled(text: str) -> tuple[int, int, int, str] | None:
    match = _SPELLED_MD.match(text)
    if match:
        month, day = _han_number(match[1]), _han_number(match[2])
        return None if month is None or day is None else (_NO_YEAR, month, day, f"m月d{match[3]}")
    match = _SPELLED.match(text)
    if not match:
        return None
    year, month = _han_number(match[1]), _han_number(match[2] or "")
    if year is None or month is None:
        return None
    day = _han_number(match[3] or "")
    form = ("y" if len(match[1]) == 4 else "yy") + "年m月" + (f"d{match[4] or '日'}" if day is not None else "")
    return _full_year(str(year) if len(match[1]) == 4 else f"{year:02d}"), month, day or 15, form


def _read_english(text: str) -> tuple[int, int, int, str] | None:
    match = _ENGLISH_MY.match(text)
    if match and match[1][:3].lower() in _MONTHS:
        return _english(match[2], match[1], "15", "B Y")
    match = _ENGLISH_MDY.match(text)
    if match and match[1][:3].lower() in _MONTHS:
        return _english(match[3], match[1], match[2], "B D" + (", Y" if match[3] else ""))
    match = _ENGLISH_DMY.match(text)
    if match and match[2][:3].lower() in _MONTHS:
        return _english(match[3], match[2], match[1], "D B" + (" Y" if match[3] else ""))
    return None


def _english(year: str | None, month: str, day: str, form: str) -> tuple[int, int, int, str]:
    return int(year) if year else _NO_YEAR, _MONTHS[month[:3].lower()], int(day), form


def _digits_form(month: str, day: str) -> tuple[str, str]:
    """The forms of a month and a day in digits; where both have two digits they keep two."""
    if len(month) == len(day) == 2:
        return "MM", "DD"
    return _part("M", month), _part("D", day)


def _part(letter: str, digits: str) -> str:
    return letter * 2 if len(digits) == 2 and digits[0] == "0" else letter


def write_date(day: date, form: str) -> str:
    """Write a date in a form of ``read_date``."""

    def part(match: re.Match[str]) -> str:
        letters = match.group()
        if letters[0] == "B":
            return _MONTH_NAMES[day.month - 1]
        if letters[0] in "WVU":
            return weekday.write(day, letters)
        if letters[0] == "y":
            return f"{day.year:04d}"[-2 if letters == "yy" else 0 :].translate(_HAN_YEAR)
        if letters in ("m", "d"):
            return _to_han(day.month if letters == "m" else day.day)
        value = {"Y": day.year, "M": day.month, "D": day.day}[letters[0]]
        if letters == "YY":
            return f"{value % 100:02d}"
        return f"{value:02d}" if len(letters) == 2 else str(value)

    return re.sub(r"YY|Y|MM|M|DD|D|B|[WVU][0-6]|yy|y|m|d", part, form)


_HAN_YEAR = str.maketrans("0123456789", "〇一二三四五六七八九")


def _to_han(number: int) -> str:
    """A number below 100 as Chinese writes days: 九, 十, 二十一."""
    tens, ones = divmod(number, 10)
    digits = "零一二三四五六七八九"
    return (digits[tens] if tens > 1 else "") + ("十" if tens else "") + (digits[ones] if ones or not tens else "")


def render(
    texts: Sequence[str],
    spans: pa.Table,
    key: bytes,
    *,
    style: str = "tag",
    persons: Sequence[str] | None = None,
    max_days: int = 182,
) -> tuple[list[str], list[list[Span]]]:
    """Render texts with placeholders for a release.

    Args:
        texts: texts from ``to_placeholders``.
        spans: their span table; ``row`` counts from 0 in ``texts``.
        key: the product's key: the same name of the same patient gets the same surrogate, another product another one.
        style: ``tag`` keeps the placeholders; ``surrogate`` writes a value of the same kind in place of each.
        persons: for each text whose it is (person_id); decides surrogates and the date shift. Texts without one
            stand for themselves.
        max_days: largest date shift, as in the product's tables.

    Returns:
        The texts, and for each the spans that were placed (source ``placed``).

    Raises:
        ValueError: the style is unknown.
    """
    if style not in {"tag", "surrogate"}:
        raise ValueError(f"unknown style {style!r}")
    if style == "tag":
        return list(texts), [
            [Span(m.start(), m.end(), m.group(1), 1.0, "placed") for m in PLACEHOLDER.finditer(text)] for text in texts
        ]
    facts: dict[int, dict[tuple[str, int], Mapping[str, Any]]] = {}
    for item in spans.select(["row", "entity", "index", "surface", "shape", "date", "start"]).to_pylist():
        # Variants of one name keep their own shape, so the place in the text is a part of the key.
        facts.setdefault(item["row"], {})[(item["entity"], item["start"])] = item
    old_spans: list[list[Span]] = []
    new_texts: list[list[str]] = []
    placed: list[list[Span]] = []
    for row, text in enumerate(texts):
        old: list[Span] = []
        new: list[str] = []
        final: list[Span] = []
        old_spans.append(old)
        new_texts.append(new)
        placed.append(final)
        here = facts.get(row)
        if not here:
            continue
        person = persons[row] if persons is not None else f"text-{row}"
        shift = date_shift_days(key, person, max_days=max_days)
        moved = 0
        for match in PLACEHOLDER.finditer(text):
            fact = here.get((match.group(1), match.start()))
            if fact is None:
                continue
            value = _surrogate(key, person, shift, fact)
            old.append(Span(match.start(), match.end(), match.group(1), 1.0, "placed"))
            new.append(value)
            final.append(Span(match.start() + moved, match.start() + moved + len(value), match.group(1), 1.0, "placed"))
            moved += len(value) - len(match.group())
    return replace_all(texts, old_spans, new_texts), placed


def _surrogate(key: bytes, person: str, shift: int, fact: Mapping[str, Any]) -> str:
    entity, shape = fact["entity"], fact["shape"]
    if entity == "DATE_TIME":
        day: date | None = fact["date"]
        if day is None:
            return "some day" if shape == "latin" else "某日"
        try:
            return write_date(day + timedelta(days=shift), shape)
        except OverflowError:
            return "某日"
    return surrogate_for(keyed(key, f"surrogate-{entity}", f"{person}\x1f{fact['surface']}"), entity, shape)


def residual(texts: Sequence[str], detector: Detector, placed: Sequence[Sequence[Span]] | None = None) -> int:
    """A second pass over an output: how many findings are left that the project did not place itself.

    Args:
        texts: rendered texts.
        detector: the detector.
        placed: the spans that ``render`` placed; findings that touch one of them are its surrogates.
    """
    left = 0
    for i, found in enumerate(detector.analyze(texts)):
        own = placed[i] if placed is not None else ()
        left += sum(1 for s in found if not any(p.start < s.end and s.start < p.end for p in own))
    return left

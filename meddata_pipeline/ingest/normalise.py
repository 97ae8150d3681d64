"""Source texts to canonical values: dates, numbers, results with an operator, booleans, units, identifiers.

What belongs here: pure functions of one text, and the vocabularies they read. What does not: columns, rows, files.
A function never guesses: what it does not know is None, and the caller says why in the quarantine or in a flag.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from meddata_pipeline.core.config import Config, load_yaml
from meddata_pipeline.core.errors import ConfigError

#: White space and invisible characters at the ends of cells.
WHITE = " \t\r\n\f\v\u00a0\u3000\ufeff\u200b\u200c\u200d\u2002\u2003\u2009\u202f\u0085"

_FULL_WIDTH = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | {0x3000: 0x20, 0x00A0: 0x20}
_EARLIEST = dt.date(1900, 1, 1)
_EXCEL_EPOCH = dt.date(1899, 12, 30)


def fold(text: str) -> str:
    """Full-width letters, digits and punctuation as ASCII."""
    return text if text.isascii() else text.translate(_FULL_WIDTH)


# --- dates -----------------------------------------------------------------------------------------------------------

_TIME = re.compile(
    r"(?:(?:\s*T|\s+)\s*(?:上午|下午|凌晨|晚上|中午)?\s*\d{1,2}(?::\d{1,2}(?::\d{1,2}(?:[.,]\d+)?)?|[时点]\d{0,2}分?(?:\d{0,2}秒)?)"
    r"\s*(?:[AaPp][Mm])?\s*(?:Z|[+-]\d{2}:?\d{2})?)$"
)
_PARTS = re.compile(r"(\d{1,4})\s*([-/.年])\s*(\d{1,2})\s*([-/.月])\s*(\d{1,4})\s*[日号]?")
_COMPACT = re.compile(r"(\d{4})(\d{2})(\d{2})(?:\d{2}|\d{4}|\d{6})?")
_SERIAL = re.compile(r"\d{5}(?:\.\d+)?")


def parse_date(text: str, day: dt.date, order: str = "ymd") -> dt.date | None:
    """Read a date as Chinese hospitals write it; a time of day behind it is dropped.

    2023-05-01, 2023/5/1, 2023.5.1, 2023年5月1日, 20230501, 20230501103000, 23/5/1, Excel's serial numbers.

    Args:
        text: the cell.
        day: day of delivery: two-digit years are the latest ones that do not lie behind its year.
        order: ymd, dmy or mdy; other orders than ymd are never guessed.

    Returns:
        The date, or None if there is no such date or it cannot be read without a guess.
    """
    text = fold(text).strip(WHITE)
    text = _TIME.sub("", text).strip()
    found = _PARTS.fullmatch(text)
    if found is not None:
        first, sign, second, sign2, third = found.groups()
        if (sign == "年") != (sign2 == "月") or (sign != "年" and sign != sign2):
            return None
        numbers = (first, second, third)
        if sign == "年" or len(first) == 4:
            year, month, date = numbers
        elif len(first) > 2:
            return None
        else:
            year, month, date = (numbers[order.index(letter)] for letter in "ymd")
        return _date(_year(year, day), month, date)
    found = _COMPACT.fullmatch(text)
    if found is not None:
        return _date(int(found[1]), found[2], found[3])
    if _SERIAL.fullmatch(text):
        return _EXCEL_EPOCH + dt.timedelta(days=int(text[:5]))
    return None


def _year(text: str, day: dt.date) -> int | None:
    if len(text) == 4:
        return int(text)
    if len(text) != 2:
        return None
    century = day.year // 100 * 100
    year = century + int(text)
    return year if year <= day.year else year - 100


def _date(year: int | None, month: str, date: str) -> dt.date | None:
    if year is None or len(month) > 2 or len(date) > 2:
        return None
    try:
        return dt.date(year, int(month), int(date))
    except ValueError:
        return None


def is_possible(date: dt.date, day: dt.date, *, future: bool = False) -> bool:
    """Whether a date can be true: not before 1900 and, unless it may lie ahead, not behind the day of delivery."""
    return date >= _EARLIEST and (future or date <= day)


# --- numbers ---------------------------------------------------------------------------------------------------------

_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,3})?")
_THOUSANDS = re.compile(r"[+-]?\d{1,3}(?:,\d{3})+(?:\.\d*)?")
_LOOKS_LIKE_NUMBER = re.compile(r"[+-]?[\dOoIl|.,·\s]*\d[\dOoIl|.,·\s]*")
_LOST_DIGITS = re.compile(r"\d(?:\.\d+)?[eE]\+?\d{1,2}")


def parse_number(text: str) -> float | None:
    """Read a number; full-width digits, ``1,234.5`` and ``1.2E3`` are numbers, infinities and 12,34 are not.

    Args:
        text: the cell.

    Returns:
        The number, None if the text is not one.
    """
    text = fold(text).strip(WHITE).replace("−", "-")
    if _THOUSANDS.fullmatch(text):
        text = text.replace(",", "")
    elif not _NUMBER.fullmatch(text):
        return None
    number = float(text)
    return number if math.isfinite(number) else None


def parse_integer(text: str) -> int | None:
    """Read a whole number that fits 64 bits; ``3.0`` is one."""
    number = parse_number(text)
    if number is None or not number.is_integer():
        return None
    if abs(number) < 2**53:
        return int(number)
    # Beyond 2**53 a float has lost digits: only plain digits can say which number is meant.
    digits = fold(text).strip(WHITE).replace(",", "")
    whole = int(digits) if re.fullmatch(r"[+-]?\d+", digits) else None
    return whole if whole is not None and -(2**63) <= whole < 2**63 else None


def has_lost_digits(text: str) -> bool:
    """Whether a spreadsheet turned an identifier into a number and lost its last digits (``4.1E+17``)."""
    return _LOST_DIGITS.fullmatch(fold(text).strip(WHITE)) is not None


class Result(NamedTuple):
    """A laboratory result: the operator of a censored one, the number, or why there is none."""

    operator: str | None
    value: float | None
    problem: str | None  # qualitative | bad_number


# --- booleans and identifiers ----------------------------------------------------------------------------------------

_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


def resident_id_key(text: str) -> str:
    """One spelling of a resident id: ASCII, upper case, no spaces, 15 digits as the 18 that they stand for.

    Source:
        GB 11643-1999; check digit by ISO 7064 MOD 11-2.
    """
    if len(text) == 18 and text.isascii() and text.isalnum():
        return text.upper()
    text = re.sub(r"[\s-]", "", fold(text)).upper()
    if re.fullmatch(r"\d{15}", text):
        body = text[:6] + "19" + text[6:]
        text = body + "10X98765432"[sum(int(d) * w for d, w in zip(body, _WEIGHTS, strict=True)) % 11]
    return text


def is_resident_id(text: str) -> bool:
    """Whether a text, as resident_id_key() gives it, is a resident id with its right check digit."""
    if len(text) != 18 or not (text.isascii() and text[:17].isdigit()):
        return False
    return text[17] == "10X98765432"[sum(int(d) * w for d, w in zip(text[:17], _WEIGHTS, strict=True)) % 11]


def birth_date_of(resident_id: str) -> dt.date | None:
    """Date of birth in a valid resident id, as resident_id_key() gives it."""
    if not is_resident_id(resident_id):
        return None
    return _date(int(resident_id[6:10]), resident_id[10:12], resident_id[12:14])


def mobile_key(text: str) -> str:
    """One spelling of a mobile number: digits only, without the country's code."""
    if len(text) == 11 and text.isascii() and text.isdigit():
        return text
    digits = re.sub(r"\D", "", fold(text))
    if len(digits) > 11:
        digits = re.sub(r"^(?:00)?86(?=1\d{10}$)", "", digits)
    return digits


def record_no_key(text: str) -> str:
    """One spelling of a hospital's own number: ASCII, upper case, no white space."""
    return "".join(fold(text).split()).upper()


#: Everything under the configuration folders that the records of a delivery depend on, beside the profile.
VOCABULARY_FILES = (
    "vocabulary/missing.yaml",
    "vocabulary/booleans.yaml",
    "vocabulary/results.yaml",
    "vocabulary/negation.yaml",
    "vocabulary/units.yaml",
    "vocabulary/excluded_groups.yaml",
)

# --- vocabularies ----------------------------------------------------------------------------------------------------

_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹µμ", "0123456789uu")
_POWER = re.compile(r"[x×*·]?10[\^*e~]?\+?0?(\d{1,2})/(l|ul|ml)")
_VOLUMES = {"l": "L", "ul": "uL", "ml": "mL"}


@dataclass(frozen=True)
class UnitCode:
    """How the results of one LOINC code are converted: canonical unit, factors to it, plausible range in it."""

    unit: str
    factors: Mapping[str, float]
    plausible: tuple[float, float]


@dataclass(frozen=True)
class Vocabulary:
    """The shipped vocabularies, overlaid by the operator's.

    Attributes:
        missing: spellings of a missing value.
        missing_dates: further ones in date columns.
        booleans: spelling in lower case → value.
        operators: spelling → operator, longest spelling first.
        negations: words that negate a diagnosis, in lower case.
        spellings: folded spelling of a unit → unit.
        units: per LOINC code.
    """

    missing: frozenset[str]
    missing_dates: frozenset[str]
    booleans: Mapping[str, bool]
    operators: tuple[tuple[str, str], ...]
    negations: tuple[str, ...]
    spellings: Mapping[str, str]
    units: Mapping[str, UnitCode]

    def parse_boolean(self, text: str) -> bool | None:
        """Read yes or no in any spelling that the vocabulary knows."""
        return self.booleans.get(fold(text).strip(WHITE).lower())

    def parse_result(self, text: str) -> Result:
        """Read a laboratory result.

        ``<0.5`` is censored: the operator and the limit are kept. 阴性, +-, 1:160 and other words are qualitative. What
        looks like a number and is none is ``bad_number``.
        """
        text = fold(text).strip(WHITE)
        number = parse_number(text)
        if number is not None:
            return Result(None, number, None)
        for spelling, operator in self.operators:
            if text.startswith(spelling):
                rest = text[len(spelling) :].strip()
                number = parse_number(rest)
                if number is not None:
                    return Result(operator, number, None)
                return Result(None, None, "bad_number" if _LOOKS_LIKE_NUMBER.fullmatch(rest) else "qualitative")
        return Result(None, None, "bad_number" if _LOOKS_LIKE_NUMBER.fullmatch(text) else "qualitative")

    def unit_of(self, text: str) -> str | None:
        """The unit that a spelling means, None if the vocabulary does not know it."""
        key = re.sub(r"\s", "", fold(text).translate(_SUPERSCRIPTS)).lower()
        power = _POWER.fullmatch(key)
        if power is not None:
            return f"10*{int(power[1])}/{_VOLUMES[power[2]]}"
        return self.spellings.get(key)

    def is_negated(self, text: str) -> bool:
        """Whether the words of a diagnosis negate it or only suspect it."""
        text = fold(text).lower()
        return any(word in text for word in self.negations)


def _quotient(value: Any) -> float:
    if isinstance(value, str):
        above, _, below = value.partition("/")
        return float(above) / float(below or 1)
    return float(value)


@lru_cache(maxsize=64)
def _parsed(path: Path, content: bytes) -> dict[str, Any]:
    """A YAML file by its content: a back-fill reads the same vocabularies for every partition."""
    return load_yaml(path)


def vocabulary_file(config: Config, relative: str) -> Mapping[str, Any]:
    """Read a vocabulary, parsed once per content; the result is shared and must not be changed.

    Raises:
        ConfigError: missing or not YAML.
    """
    path = config.find(relative)
    try:
        content = path.read_bytes()
    except OSError:
        raise ConfigError("The vocabulary cannot be read", where=relative) from None
    return _parsed(path, content)


def load_vocabulary(config: Config) -> Vocabulary:
    """Read ``vocabulary/*.yaml``.

    Args:
        config: the configuration folders; an operator's file replaces the shipped one of the same name.

    Raises:
        ConfigError: a file is missing or a part of it is not as expected.
    """
    where = "vocabulary"
    try:
        where = "vocabulary/missing.yaml"
        missing = vocabulary_file(config, where)
        all_missing = frozenset(str(m) for m in missing["all"])
        dates = frozenset(str(m) for m in missing.get("date", []))
        where = "vocabulary/booleans.yaml"
        booleans = vocabulary_file(config, where)
        spelt = {str(s).lower(): truth for truth in (True, False) for s in booleans[str(truth).lower()]}
        where = "vocabulary/results.yaml"
        operators = vocabulary_file(config, where)["operators"]
        # Folded beforehand, so that ＜ and < are one; the longest first, so that <= is not read as <.
        folded = {fold(str(spelling)): str(operator) for spelling, operator in operators.items()}
        ordered = tuple(sorted(folded.items(), key=lambda pair: (-len(pair[0]), pair[0])))
        where = "vocabulary/negation.yaml"
        negations = tuple(dict.fromkeys(fold(str(w)).lower() for w in vocabulary_file(config, where)["words"]))
        where = "vocabulary/units.yaml"
        units = vocabulary_file(config, where)
        spellings = {str(s): str(unit) for unit, all_ in units["spellings"].items() for s in all_}
        codes: dict[str, UnitCode] = {}
        for code, entry in units["codes"].items():
            where = f"vocabulary/units.yaml, {code}"
            factors = {str(unit): _quotient(f) for unit, f in entry["factors"].items()}
            low, high = entry.get("plausible", (-math.inf, math.inf))
            if factors.get(str(entry["unit"])) != 1:
                raise ValueError("the canonical unit must have the factor 1")
            codes[str(code)] = UnitCode(str(entry["unit"]), factors, (float(low), float(high)))
    except (KeyError, TypeError, ValueError, AttributeError, ZeroDivisionError) as error:
        raise ConfigError(f"The vocabulary is not as expected: {error}", where=where) from None
    return Vocabulary(all_missing, dates, spelt, ordered, negations, spellings, codes)

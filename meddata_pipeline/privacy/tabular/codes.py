"""Code systems that hold their own hierarchy: administrative divisions of China, ICD-10.

What belongs here: what a code becomes at a level, by rule and by the two tables beside this file. What does not: levels
of a column (hierarchy.py); a hospital with other codes gives a hierarchy as a CSV file.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from meddata_pipeline.privacy.tabular.values import MISSING, SUPPRESSED

_DIVISION = re.compile(r"[0-9]{6}")
# K04, K04.0, K04.001, K04.000x003, K040; a dagger or an asterisk may follow. Morphology (M8000/3) is no diagnosis.
_DIAGNOSIS = re.compile(r"([A-Z][0-9]{2})(\.[0-9A-Za-z.]+|[0-9])?[+*†]?")


def _load(name: str) -> dict[str, Any]:
    text = files("meddata_pipeline.privacy.tabular").joinpath(name).read_text(encoding="utf-8")
    loaded: dict[str, Any] = yaml.safe_load(text)
    return loaded


@cache
def _provinces() -> dict[str, str]:
    return _load("provinces.yaml")


@cache
def _ranges() -> tuple[tuple[list[str], list[str]], tuple[list[str], list[str]]]:
    """First and last categories of the chapters, and of the blocks, in rising order."""
    chapters: list[tuple[str, str]] = []
    blocks: list[tuple[str, str]] = []
    for title, listed in _load("icd10.yaml").items():
        first, last = title.split()[1].split("-")
        chapters.append((first, last))
        blocks += [(block[:3], block[-3:]) for block in listed.split()]
    # "A00" < "Z99" as text is the order of the classification, but for chapter XXII.
    chapters.sort()
    blocks.sort()
    return ([c[0] for c in chapters], [c[1] for c in chapters]), ([b[0] for b in blocks], [b[1] for b in blocks])


def _range(category: str, ranges: tuple[list[str], list[str]]) -> str | None:
    firsts, lasts = ranges
    at = bisect_right(firsts, category) - 1
    if at < 0 or category > lasts[at]:
        return None
    return firsts[at] if firsts[at] == lasts[at] else f"{firsts[at]}-{lasts[at]}"


def division_label(text: str, level: str) -> str | None:
    """An administrative division at a level.

    Args:
        text: six-digit code, or missing.
        level: ``district`` (the code itself), ``city`` (440305 → 440300), ``province`` (its name) or ``all``.

    Returns:
        The label; None where the text is no code of a province's division.

    Source:
        GB/T 2260, Codes for the administrative divisions of the People's Republic of China: two digits each for
        province, prefecture and county. Counties directly under a province (e.g. 4290xx) stay together as one city.
    """
    if level == "all":
        return SUPPRESSED
    if text == MISSING:
        return MISSING
    if not _DIVISION.fullmatch(text) or text[:2] not in _provinces():
        return None
    if level == "district":
        return text
    return text[:4] + "00" if level == "city" else _provinces()[text[:2]]


def diagnosis_label(text: str, level: str) -> str | None:
    """An ICD-10 code at a level.

    Args:
        text: code with or without a national extension, or missing.
        level: ``code`` (as it is), ``category`` (K04), ``block`` (K00-K14), ``chapter`` (K00-K93) or ``all``.

    Returns:
        The label; None where the text is no code of a chapter. A category between two blocks is its own block.

    Source:
        WHO, International Statistical Classification of Diseases, 10th revision, 2019.
    """
    if level == "all":
        return SUPPRESSED
    if text == MISSING:
        return MISSING
    found = _DIAGNOSIS.fullmatch(text.upper() if text[:1].islower() else text)
    if found is None:
        return None
    category = found[1]
    chapters, blocks = _ranges()
    chapter = _range(category, chapters)
    if chapter is None:
        return None
    if level == "code":
        return text
    if level == "category":
        return category
    return chapter if level == "chapter" else _range(category, blocks) or category

"""Small SVG drawings of the product page: the way of the data, an interval on a scale, a class of k persons.

Belongs here: drawings that are derived from a description. Does not belong here: figures of a study (they are files of
the release).
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence
from html import escape
from itertools import pairwise

from meddata_pipeline.catalog.description import Effect, Step
from meddata_pipeline.render.html import number
from meddata_pipeline.render.texts import load_texts

_INK, _SOFT, _TEAL, _LINE, _SEAL = "#1c2b2d", "#4c5d60", "#0b5560", "#9fb3b1", "#9c2b1c"
_FONT = 'font-family="PingFang SC, Microsoft YaHei, Noto Sans CJK SC, Segoe UI, Roboto, Helvetica, Arial, sans-serif"'
_OPEN_STEPS = {"release", "catalog", "exchange"}
_BOX, _GAP, _HIGH = 150, 34, 92


def _width(text: str) -> float:
    """Width of a text in em, near enough for breaking lines."""
    return sum(1.0 if unicodedata.east_asian_width(c) in "WF" else 0.56 for c in text)


def _lines(text: str, limit: float) -> list[str]:
    """Break a text into lines of at most `limit` em: at spaces, or anywhere between Chinese characters."""
    lines, current = [""], 0.0
    words = text.split(" ") if " " in text else list(text)
    joint = " " if " " in text else ""
    for word in words:
        extra = _width(joint + word) if lines[-1] else _width(word)
        if lines[-1] and current + extra > limit:
            lines.append("")
            current, extra = 0.0, _width(word)
        lines[-1] += (joint if lines[-1] else "") + word
        current += extra
    return lines


def _box(step: Step, lang: str, x: float, y: float, width: float) -> str:
    opened = step.id in _OPEN_STEPS
    fill, stroke, ink = ("#0b5560", "#0b5560", "#ffffff") if opened else ("#ffffff", _LINE, _INK)
    lines = _lines(step.title.get(lang), (width - 20) / 15)[:2]
    middle = x + width / 2
    top = y + (36 if len(lines) == 1 else 28)
    spans = "".join(
        f'<tspan x="{middle:g}" y="{top + 19 * i:g}">{escape(line)}</tspan>' for i, line in enumerate(lines)
    )
    drawn = (
        f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{_HIGH}" rx="10" fill="{fill}" stroke="{stroke}"/>'
        f'<text text-anchor="middle" font-size="15" font-weight="600" fill="{ink}">{spans}</text>'
    )
    if step.rows_out is not None:
        unit = load_texts("meddata_pipeline.catalog")[lang]["product"]["row_unit"]
        label = f"{number(step.rows_out)} {unit}"
        drawn += (
            f'<text x="{middle:g}" y="{y + 74:g}" text-anchor="middle" font-size="13" '
            f'fill="{"#dcebea" if opened else _SOFT}">{escape(label)}</text>'
        )
    return drawn


def lineage(steps: Sequence[Step], lang: str, *, tall: bool = False) -> str:
    """The way of the data as boxes and arrows; steps before the release stand in the restricted zone.

    Args:
        steps: In the order of the way.
        lang: `zh` or `en`.
        tall: Top to bottom, for narrow screens.

    Returns:
        An SVG document with a title for screen readers.
    """
    words = load_texts("meddata_pipeline.catalog")[lang]["product"]
    inner = sum(step.id not in _OPEN_STEPS for step in steps)
    count = len(steps)
    if tall:
        width, height, box = 340.0, 64.0 + count * (_HIGH + _GAP), 280.0
        places = [(30.0, 42.0 + i * (_HIGH + _GAP) + (26 if i >= inner else 0)) for i in range(count)]
    else:
        width, height, box = 32.0 + count * _BOX + (count - 1) * _GAP + (14 if inner < count else 0), 170.0, float(_BOX)
        places = [(16.0 + i * (_BOX + _GAP) + (14 if i >= inner else 0), 50.0) for i in range(count)]
    title = escape(" → ".join(step.title.get(lang) for step in steps))
    drawn = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}" '
        f'height="{height:g}" role="img" aria-label="{title}" {_FONT}>',
        f'<defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
        f'<path d="M0 0L8 4L0 8z" fill="{_TEAL}"/></marker></defs>',
    ]
    if inner:
        x, y = places[inner - 1]
        zone = (width - 12, y + _HIGH + 12 - 6) if tall else (x + _BOX + 10 - 6, height - 12)
        drawn.append(
            f'<rect x="6" y="6" width="{zone[0]:g}" height="{zone[1]:g}" rx="14" fill="#eef3f1" stroke="{_SEAL}" '
            f'stroke-dasharray="5 5"/><text x="20" y="30" font-size="13" fill="{_SEAL}" font-weight="600">'
            f"{escape(words['restricted'])}</text>"
        )
    if inner < count and not tall:
        x, _ = places[inner]
        drawn.append(
            f'<text x="{x:g}" y="30" font-size="13" fill="{_TEAL}" font-weight="600">'
            f"{escape(words['open_zone'])}</text>"
        )
    for (x1, y1), (x2, y2) in pairwise(places):
        path = (
            f"M{x1 + box / 2:g} {y1 + _HIGH:g}V{y2 - 3:g}" if tall else f"M{x1 + box:g} {y1 + _HIGH / 2:g}H{x2 - 3:g}"
        )
        drawn.append(f'<path d="{path}" stroke="{_TEAL}" stroke-width="2" fill="none" marker-end="url(#arrow)"/>')
    drawn += [_box(step, lang, x, y, box) for step, (x, y) in zip(steps, places, strict=True)]
    return "".join(drawn) + "</svg>"


def interval(effect: Effect, effects: Sequence[Effect], label: str) -> str:
    """One estimate and its interval on the scale that all estimates of the table share; ratios on a logarithmic scale.

    Args:
        effect: With estimate, low and high.
        effects: All estimates of the same measure.
        label: What a screen reader says.

    Returns:
        An SVG document, or an empty text where there is no interval.
    """
    ratio = effect.measure in {"or", "rr", "hr"}

    def place(value: float) -> float:
        return math.log(value) if ratio else value

    shown = [e for e in effects if e.measure == effect.measure and None not in (e.estimate, e.low, e.high)]
    if effect not in shown or (ratio and any((e.low or 0) <= 0 for e in shown)):
        return ""
    null = 0.0
    ends = [place(v) for e in shown for v in (e.low, e.high) if v is not None] + [null]
    low, high = min(ends), max(ends)
    span = (high - low) or 1.0

    def x(value: float) -> str:
        return format(12 + (value - low) / span * 196, ".1f")

    assert effect.estimate is not None and effect.low is not None and effect.high is not None  # noqa: S101
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 220 24" width="220" height="24" role="img" '
        f'aria-label="{escape(label)}"><path d="M{x(null)} 1V23" stroke="{_LINE}" stroke-dasharray="3 3"/>'
        f'<path d="M{x(place(effect.low))} 12H{x(place(effect.high))}" stroke="{_TEAL}" stroke-width="2.5" '
        f'stroke-linecap="round"/><circle cx="{x(place(effect.estimate))}" cy="12" r="5.5" fill="{_TEAL}"/></svg>'
    )


def crowd(k: int, label: str, most: int = 24) -> str:
    """Persons of whom one is meant: what k-anonymity says of the smallest class.

    Args:
        k: Persons in the smallest class.
        label: What a screen reader says.
        most: Draw at most so many.
    """
    count, per_row = min(k, most), 12
    rows = math.ceil(count / per_row)
    drawn = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {min(count, per_row) * 24} {rows * 34}" '
        f'width="{min(count, per_row) * 24}" height="{rows * 34}" role="img" aria-label="{escape(label)}">'
    ]
    for index in range(count):
        x, y = (index % per_row) * 24, (index // per_row) * 34
        colour = _SEAL if index == 0 else "#a9c3c2"
        drawn.append(
            f'<g fill="{colour}"><circle cx="{x + 11}" cy="{y + 8}" r="5.5"/>'
            f'<path d="M{x + 2} {y + 30}v-6a9 8.5 0 0 1 18 0v6z"/></g>'
        )
    return "".join(drawn) + "</svg>"

"""Figures as SVG text: forest plot, flow of exclusions, bars; small, and the same bytes for the same numbers.

Belongs here: drawing given numbers and texts. Does not belong here: choosing, rounding or suppressing numbers. The text
stays text (searchable, translatable, no fonts embedded); colours are told apart in every form of colour blindness; each
figure has a title and a description for screen readers. A piece of text may carry the id of the number it shows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from xml.sax.saxutils import escape, quoteattr

#: A piece of text, or a text that shows the number of an id.
Piece = str | tuple[str, str]
Line = Sequence[Piece]

FONTS = (
    "'Noto Sans CJK SC','Source Han Sans SC','PingFang SC','Hiragino Sans GB','Microsoft YaHei',"
    "'WenQuanYi Micro Hei','Noto Sans SC',system-ui,sans-serif"
)
#: Colours of Okabe & Ito (2008), made for colour-blind readers.
INK, SOFT, RULE, BLUE, ORANGE, PALE = "#1f2933", "#52606d", "#cbd2d9", "#0072b2", "#d55e00", "#eef4f9"

_SIZE = 13.0
_GAP = 12.0


@dataclass(frozen=True)
class ForestRow:
    """One row of a forest plot.

    Attributes:
        label: name of the row.
        estimate: point; None draws no mark.
        low: lower limit; None or infinite ends at the border, with an arrow.
        high: upper limit.
        text: what stands at the right, e.g. ``2.02 (1.08–3.78)``.
        strong: the main row of the figure.
    """

    label: str
    estimate: float | None
    low: float | None
    high: float | None
    text: Line = ()
    strong: bool = False


@dataclass(frozen=True)
class FlowBox:
    """One box of a flow: who is in, and beside the arrow that leads to it who left.

    Attributes:
        lines: text of the box.
        aside: text beside the arrow into this box; empty for the first.
    """

    lines: Sequence[Line]
    aside: Sequence[Line] = field(default=())


def text_width(text: str, size: float = _SIZE) -> float:
    """Estimated width in pixels: a wide (CJK) character is as wide as the type is high, others a bit over half."""
    return size * sum(1 if ord(char) >= 0x2E80 else 0.7 if char.isupper() else 0.56 for char in text)


def _plain(line: Line) -> str:
    return "".join(piece if isinstance(piece, str) else piece[0] for piece in line)


def wrap(line: Line, width: float, size: float = _SIZE) -> list[list[Piece]]:
    """Break a line of text so that each part fits a width; numbers with an id stay whole.

    Args:
        line: pieces of text.
        width: pixels.
        size: type size in pixels.
    """
    lines: list[list[Piece]] = [[]]
    used = 0.0
    for piece in line:
        for part in [piece] if not isinstance(piece, str) else _words(piece):
            wide = text_width(part if isinstance(part, str) else part[0], size)
            if used and used + wide > width:
                lines.append([])
                used = 0.0
                if isinstance(part, str):
                    part = part.lstrip()
                    wide = text_width(part, size)
            lines[-1].append(part)
            used += wide
    return [part for part in lines if part]


def _words(text: str) -> list[str]:
    """Pieces between which a line may break: after a space, and around wide characters (not before punctuation)."""
    words: list[str] = []
    for char in text:
        wide = ord(char) >= 0x2E80
        if words and not words[-1].endswith(" ") and (not wide or char in "，。；：、）》”！？"):
            if not wide and words[-1] and ord(words[-1][-1]) >= 0x2E80 and char not in " ,.;:)%":
                words.append(char)
            else:
                words[-1] += char
        else:
            words.append(char)
    return words


class _Canvas:
    def __init__(self, width: float, height: float, title: str, desc: str) -> None:
        self.parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_n(width)} {_n(height)}" width="{_n(width)}" '
            f'height="{_n(height)}" role="img" aria-labelledby="title desc" font-family={quoteattr(FONTS)} '
            f'font-size="{_n(_SIZE)}" fill="{INK}">',
            f'<title id="title">{escape(title)}</title>',
            f'<desc id="desc">{escape(desc or title)}</desc>',
        ]

    def add(self, part: str) -> None:
        self.parts.append(part)

    def line(
        self, x1: float, y1: float, x2: float, y2: float, colour: str = INK, width: float = 1, more: str = ""
    ) -> None:
        self.add(
            f'<line x1="{_n(x1)}" y1="{_n(y1)}" x2="{_n(x2)}" y2="{_n(y2)}" stroke="{colour}" '
            f'stroke-width="{_n(width)}"{more}/>'
        )

    def text(self, x: float, y: float, line: Line, *, anchor: str = "start", more: str = "") -> None:
        spans = []
        for piece in line:
            if isinstance(piece, str):
                spans.append(escape(piece))
            else:
                spans.append(f"<tspan data-id={quoteattr(piece[1])}>{escape(piece[0])}</tspan>")
        where = f' text-anchor="{anchor}"' if anchor != "start" else ""
        self.add(f'<text x="{_n(x)}" y="{_n(y)}"{where}{more}>{"".join(spans)}</text>')

    def close(self) -> str:
        return "".join([*self.parts, "</svg>"])


def _n(value: float) -> str:
    """A coordinate: one decimal at most, no trailing zero, so that bytes do not depend on the platform."""
    return f"{value:.1f}".removesuffix(".0")


def ratio_ticks(low: float, high: float) -> list[float]:
    """Ticks of a logarithmic axis from low to high: three to seven round numbers."""
    powers = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 1)
    for steps in ((1,), (1, 3), (1, 2, 5)):
        ticks = [round(step * 10.0**power, 6) for power in powers for step in steps]
        inside = [tick for tick in ticks if low <= tick <= high]
        if 3 <= len(inside) <= 7:
            return inside
    # A narrow axis: even steps look right there, and 1 is always among them.
    for step in (0.05, 0.1, 0.2, 0.25, 0.5, 1.0):
        inside = [round(step * i, 6) for i in range(math.ceil(low / step), math.floor(high / step) + 1) if i]
        if len(inside) <= 6:
            return inside
    return [round(10.0**power, 6) for power in powers if low <= 10.0**power <= high]


def forest_range(rows: Sequence[ForestRow], reference: float = 1.0) -> tuple[float, float]:
    """Ends of the axis of a forest plot of ratios: all limits and the reference, capped at 1/50 and 50 times it."""
    values = [reference]
    for row in rows:
        values += [v for v in (row.estimate, row.low, row.high) if v is not None and math.isfinite(v) and v > 0]
    low, high = max(min(values), reference / 50), min(max(values), reference * 50)
    return min(low, reference / 1.5) / 1.12, max(high, reference * 1.5) * 1.12


def forest(
    rows: Sequence[ForestRow],
    *,
    title: str,
    desc: str = "",
    axis: str = "",
    reference: float = 1.0,
    tick_ids: str = "",
) -> str:
    """A forest plot of ratios on a logarithmic axis.

    Args:
        rows: top to bottom.
        title: name of the figure, for screen readers.
        desc: what it shows, in a sentence.
        axis: label of the axis.
        reference: the ratio of no association, drawn as a dashed line.
        tick_ids: prefix of the ids of the axis's numbers, which are numbered from 0; none without it.

    Returns:
        SVG text.
    """
    left = max([text_width(row.label) for row in rows], default=0) + 2 * _GAP
    right = max([text_width(_plain(row.text)) for row in rows], default=0) + 2 * _GAP
    plot, height = 320.0, 34.0
    top = 14.0
    bottom = top + height * len(rows)
    width = left + plot + right
    low, high = forest_range(rows, reference)
    span = math.log(high) - math.log(low)

    def x(value: float) -> float:
        return left + plot * (math.log(value) - math.log(low)) / span

    canvas = _Canvas(width, bottom + (52 if axis else 34), title, desc)
    for position, tick in enumerate(ratio_ticks(low, high)):
        canvas.line(x(tick), top, x(tick), bottom, RULE)
        label = f"{tick:g}"
        piece: Piece = (label, f"{tick_ids}{position}") if tick_ids else label
        canvas.text(x(tick), bottom + 18, [piece], anchor="middle", more=f' font-size="11.5" fill="{SOFT}"')
    canvas.line(x(reference), top - 4, x(reference), bottom + 4, INK, 1.2, ' stroke-dasharray="4 3"')
    canvas.line(left, bottom, left + plot, bottom, SOFT)
    for position, row in enumerate(rows):
        y = top + height * (position + 0.5)
        colour = ORANGE if row.strong else BLUE
        weight = ' font-weight="600"' if row.strong else ""
        canvas.text(_GAP, y + 4.5, [row.label], more=weight)
        if row.text:
            canvas.text(left + plot + _GAP, y + 4.5, row.text, more=weight)
        if row.estimate is not None and row.estimate > 0 and math.isfinite(row.estimate):
            _whisker(canvas, row, y, x, (low, high), colour)
    if axis:
        canvas.text(left + plot / 2, bottom + 40, [axis], anchor="middle", more=f' fill="{SOFT}"')
    return canvas.close()


def _whisker(
    canvas: _Canvas, row: ForestRow, y: float, place: Callable[[float], float], ends: tuple[float, float], colour: str
) -> None:
    """The interval, with an arrow where it goes on beyond the axis, and the point: a diamond for the main row."""
    low, high = ends
    start = row.low if row.low is not None and row.low > 0 else low
    stop = row.high if row.high is not None and math.isfinite(row.high) else high
    a, b = place(max(start, low)), place(min(stop, high))
    canvas.line(a, y, b, y, colour, 2)
    for end, beyond, sign in ((a, start <= low, 1), (b, stop >= high, -1)):
        if beyond:
            canvas.add(f'<path d="M{_n(end)} {_n(y)}l{8 * sign} -4.5v9z" fill="{colour}"/>')
        else:
            canvas.line(end, y - 5, end, y + 5, colour, 2)
    if row.estimate is not None and low <= row.estimate <= high:
        centre = place(row.estimate)
        if row.strong:
            canvas.add(f'<path d="M{_n(centre - 8)} {_n(y)}l8 -7 8 7 -8 7z" fill="{colour}"/>')
        else:
            canvas.add(f'<rect x="{_n(centre - 5)}" y="{_n(y - 5)}" width="10" height="10" fill="{colour}"/>')


_FLOW_TEXTS = {
    "zh": {"title": "纳入与排除流程", "excluded": "排除：", "left": "剩余", "cohort": "研究队列", "people": "n = "},
    "en": {
        "title": "Flow of exclusions",
        "excluded": "Excluded: ",
        "left": "Left",
        "cohort": "Study cohort",
        "people": "n = ",
    },
}


def flow(
    steps: Sequence[Mapping[str, Any]], *, title: str = "", desc: str = "", lang: str = "zh", ids: str = ""
) -> str:
    """The flow of exclusions of a cohort.

    Args:
        steps: mappings with id, title (text, or zh and en), n_before, excluded, n_after; the first is the population
            itself. A number that is None is drawn as a dash; a step that excludes nobody needs no box.
        title: name of the figure, for screen readers.
        desc: what it shows, in a sentence.
        lang: zh or en.
        ids: prefix of the numbers' ids ``<prefix>/<step>/<n_before|excluded|n_after>``; none without it.

    Returns:
        SVG text.
    """
    words = _FLOW_TEXTS["zh" if lang == "zh" else "en"]

    def number(step: Mapping[str, Any], key: str) -> Piece:
        text = "–" if step[key] is None else str(step[key])
        return (text, f"{ids}/{step['id']}/{key}") if ids and step[key] is not None else text

    def name(step: Mapping[str, Any]) -> str:
        given = step["title"]
        return str(given) if isinstance(given, str) else str(given[lang])

    shown = [step for position, step in enumerate(steps) if not position or step["excluded"] != 0]
    boxes = []
    for position, step in enumerate(shown):
        last = position == len(shown) - 1
        head = name(step) if not position else words["cohort"] if last else words["left"]
        aside: list[Line] = []
        if position:
            aside = [[words["excluded"] + name(step)], [words["people"], number(step, "excluded")]]
        boxes.append(FlowBox([[head], [words["people"], number(step, "n_after")]], aside))
    if len(shown) == 1 and shown:
        boxes.append(FlowBox([[words["cohort"]], [words["people"], number(shown[0], "n_after")]]))
    return flow_boxes(boxes, title=title or words["title"], desc=desc or title or words["title"])


def flow_boxes(boxes: Sequence[FlowBox], *, title: str, desc: str, width: float = 620.0) -> str:
    """Boxes from top to bottom with notes at the side.

    Args:
        boxes: in order; the last one is who remains.
        title: name of the figure, for screen readers.
        desc: what it shows, in a sentence.
        width: pixels.

    Returns:
        SVG text.
    """
    main, side = width * 0.46, width * 0.42
    line_height, pad, gap = 19.0, 10.0, 26.0
    wrapped = [[part for line in box.lines for part in wrap(line, main - 2 * pad)] for box in boxes]
    asides = [[part for line in box.aside for part in wrap(line, side - 2 * pad)] for box in boxes]
    y = 6.0
    places: list[tuple[float, float, float, float]] = []
    for texts, notes in zip(wrapped, asides, strict=True):
        note_height = len(notes) * line_height + 2 * pad if notes else 0.0
        before = note_height + 2 * 8 if notes else gap
        start = y if not places else y + before
        height = len(texts) * line_height + 2 * pad
        places.append((start, height, start - before / 2, note_height))
        y = start + height
    canvas = _Canvas(width, y + 6, title, desc)
    centre = main / 2 + 2
    for position, ((start, height, middle, note_height), texts, notes) in enumerate(
        zip(places, wrapped, asides, strict=True)
    ):
        last = position == len(boxes) - 1
        colour, fill = (ORANGE, "#fdf1e8") if last else (BLUE, PALE)
        canvas.add(
            f'<rect x="2" y="{_n(start)}" width="{_n(main)}" height="{_n(height)}" rx="6" fill="{fill}" '
            f'stroke="{colour}" stroke-width="1.5"/>'
        )
        for number, line in enumerate(texts):
            weight = ' font-weight="600"' if last or number == 0 else ""
            canvas.text(centre, start + pad + 14 + number * line_height, line, anchor="middle", more=weight)
        if position:
            above = places[position - 1][0] + places[position - 1][1]
            canvas.line(centre, above, centre, start - 6, SOFT, 1.5)
            canvas.add(f'<path d="M{_n(centre - 5)} {_n(start - 8)}h10l-5 8z" fill="{SOFT}"/>')
        if notes:
            edge = width - side - 2
            canvas.line(centre, middle, edge, middle, SOFT, 1.5)
            canvas.add(
                f'<rect x="{_n(edge)}" y="{_n(middle - note_height / 2)}" width="{_n(side)}" '
                f'height="{_n(note_height)}" rx="6" fill="#fff" stroke="{SOFT}" stroke-dasharray="4 3"/>'
            )
            for number, line in enumerate(notes):
                canvas.text(edge + pad, middle - note_height / 2 + pad + 14 + number * line_height, line)
    return canvas.close()


def bars(
    labels: Sequence[str],
    values: Sequence[float | None],
    *,
    title: str,
    desc: str = "",
    texts: Sequence[Line] | None = None,
    highest: float | None = None,
) -> str:
    """Horizontal bars.

    Args:
        labels: one per bar.
        values: lengths, at least 0; None draws no bar.
        title: name of the figure, for screen readers.
        desc: what it shows, in a sentence.
        texts: what stands behind each bar; the value itself without it.
        highest: length of a full bar; by default the greatest value.

    Returns:
        SVG text.

    Raises:
        ValueError: labels, values and texts are not of one length.
    """
    shown: Sequence[Line] = texts if texts is not None else [["–" if v is None else f"{v:g}"] for v in values]
    if not len(labels) == len(values) == len(shown):
        raise ValueError("labels, values and texts must be of one length")
    left = max([text_width(label) for label in labels], default=0) + 2 * _GAP
    right = max([text_width(_plain(line)) for line in shown], default=0) + 2 * _GAP
    plot, height = 300.0, 26.0
    full = highest if highest is not None else max([v for v in values if v is not None], default=0.0)
    canvas = _Canvas(left + plot + right, height * len(labels) + 12, title, desc)
    canvas.line(left, 4, left, height * len(labels) + 8, SOFT)
    for position, (label, value, line) in enumerate(zip(labels, values, shown, strict=True)):
        y = 6 + height * position
        canvas.text(_GAP, y + 17, [label])
        length = plot * min(max(value or 0.0, 0.0) / full, 1.0) if full > 0 else 0.0
        if length:
            canvas.add(f'<rect x="{_n(left)}" y="{_n(y + 4)}" width="{_n(length)}" height="17" fill="{BLUE}"/>')
        canvas.text(left + length + 7, y + 17, line, more=f' fill="{SOFT}"')
    return canvas.close()


def matrix(
    rows: Sequence[str],
    columns: Sequence[str],
    cells: Sequence[Sequence[tuple[float | None, Line]]],
    *,
    title: str,
    desc: str = "",
) -> str:
    """A matrix of shares: the darker a cell, the greater its share; every cell says its number too.

    Args:
        rows: labels from top to bottom.
        columns: labels from left to right.
        cells: for each row one ``(share between 0 and 1 or None, text)`` per column; None leaves a cell white.
        title: name of the figure, for screen readers.
        desc: what it shows, in a sentence.

    Returns:
        SVG text.

    Raises:
        ValueError: the cells are not one per row and column.
    """
    if len(cells) != len(rows) or any(len(row) != len(columns) for row in cells):
        raise ValueError("a matrix needs one cell per row and column")
    left = max([text_width(label) for label in rows], default=0) + 2 * _GAP
    texts = [*columns, *(_plain(text) for row in cells for _, text in row)]
    wide, high, top = max([text_width(text) for text in texts], default=0) + 3 * _GAP, 34.0, 26.0
    canvas = _Canvas(left + wide * len(columns) + _GAP, top + high * len(rows) + 6, title, desc)
    for place, label in enumerate(columns):
        canvas.text(left + wide * (place + 0.5), 17, [label], anchor="middle", more=f' fill="{SOFT}"')
    for line, (label, row) in enumerate(zip(rows, cells, strict=True)):
        y = top + high * line
        canvas.text(_GAP, y + high / 2 + 4.5, [label])
        for place, (share, text) in enumerate(row):
            fill = "#ffffff" if share is None else BLUE
            strength = "" if share is None else f' fill-opacity="{0.1 + 0.35 * min(max(share, 0.0), 1.0):.2f}"'
            canvas.add(
                f'<rect x="{_n(left + wide * place)}" y="{_n(y)}" width="{_n(wide)}" height="{_n(high)}" '
                f'fill="{fill}"{strength} stroke="{RULE}"/>'
            )
            canvas.text(left + wide * (place + 0.5), y + high / 2 + 4.5, text, anchor="middle")
    return canvas.close()


def trend(
    labels: Sequence[str], series: Mapping[str, Sequence[float | None]], *, title: str, desc: str = "", texts: str = ""
) -> str:
    """Shares between 0 and 1 over an ordered series, one line each; a line's name stands at its end.

    Args:
        labels: of the points, in order.
        series: name → one value per label; None leaves a gap.
        title: name of the figure, for screen readers.
        desc: what it shows, in a sentence.
        texts: said in place of the figure when there are no points.

    Returns:
        SVG text.

    Raises:
        ValueError: a series has not one value per label.
    """
    if any(len(values) != len(labels) for values in series.values()):
        raise ValueError("a series needs one value per label")
    left, plot, high, top = 40.0, 330.0, 130.0, 10.0
    right = max([text_width(name, 11.5) for name in series], default=0) + 2 * _GAP
    canvas = _Canvas(left + plot + right, top + max(high, 17.0 * len(series)) + 30, title, desc)
    if not labels:
        canvas.text(left, top + high / 2, [texts])
        return canvas.close()

    def x(place: int) -> float:
        return left + 14 + (plot - 28) * (place / (len(labels) - 1) if len(labels) > 1 else 0.5)

    def y(value: float) -> float:
        return top + high * (1 - min(max(value, 0.0), 1.0))

    for tick in (0.0, 0.5, 1.0):
        canvas.line(left, y(tick), left + plot, y(tick), RULE)
        canvas.text(left - 6, y(tick) + 4, [f"{tick:g}"], anchor="end", more=f' font-size="11" fill="{SOFT}"')
    for place, label in enumerate(labels):
        canvas.text(x(place), top + high + 18, [label], anchor="middle", more=f' font-size="11" fill="{SOFT}"')
    colours = (BLUE, ORANGE, "#009e73", "#cc79a7", "#56b4e9", INK)
    # Names are set one below the other in the order of where their lines end, so that none covers another.
    ends = {n: next((v for v in reversed(values) if v is not None), 0.0) for n, values in series.items()}
    slots = {name: slot for slot, name in enumerate(sorted(series, key=lambda n: -ends[n]))}
    for number, (name, values) in enumerate(series.items()):
        colour, dash = colours[number % len(colours)], ("", "6 3", "2 3")[number // 2 % 3]
        points = [(x(place), y(value)) for place, value in enumerate(values) if value is not None]
        if len(points) > 1:
            path = "L".join(f"{_n(a)} {_n(b)}" for a, b in points)
            more = f' stroke-dasharray="{dash}"' if dash else ""
            canvas.add(f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="1.6"{more}/>')
        for a, b in points:
            canvas.add(f'<circle cx="{_n(a)}" cy="{_n(b)}" r="3" fill="{colour}"/>')
        height = top + 8 + 17 * slots[name]
        canvas.add(f'<rect x="{_n(left + plot + 4)}" y="{_n(height - 7)}" width="8" height="8" fill="{colour}"/>')
        canvas.text(left + plot + 16, height + 1, [name], more=' font-size="11.5"')
    return canvas.close()

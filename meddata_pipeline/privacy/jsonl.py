"""The lines of ``meddata detect`` and ``meddata redact``: JSON Lines in, JSON Lines out, in the same order.

What belongs here: reading and answering single lines, in batches. What does not: files, options and exit codes (cli).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from meddata_pipeline.privacy.detect import Detector, Known, Span
from meddata_pipeline.privacy.second_pass import SecondPass, Settled
from meddata_pipeline.privacy.text import render, to_placeholders

#: Stands for a line whose bytes are no UTF-8; no JSON looks like it.
NOT_UTF8 = "\ufffd"
#: Lines that are read before the first of them is answered.
BATCH = 256


@dataclass(frozen=True)
class _Item:
    """A line that could be read."""

    id: Any
    text: str
    known: Known | None
    patient: str | None
    lang: str | None


def detect_lines(
    lines: Iterable[str], detector: Detector, *, detectors: dict[str, Detector] | None = None, batch: int = BATCH
) -> Iterator[dict[str, Any]]:
    """Answer every line with its spans.

    Args:
        lines: JSON objects {"id", "text", "known"?, "patient"?, "lang"?}; empty lines are skipped.
        detector: for lines without a ``lang``.
        detectors: by language, for lines with one.
        batch: lines per batch.

    Yields:
        {"id", "spans"}, or {"line", "error"} for a bad line, in the order of the lines; ``line`` counts from 1.
    """
    yield from _answered(lines, batch, lambda items: _detect(items, detector, detectors or {}))


def redact_lines(
    lines: Iterable[str],
    detector: Detector,
    key: bytes,
    *,
    style: str = "tag",
    detectors: dict[str, Detector] | None = None,
    batch: int = BATCH,
) -> Iterator[dict[str, Any]]:
    """Answer every line with its text without identifiers.

    Args:
        lines: as for ``detect_lines``.
        detector: for lines without a ``lang``.
        key: decides surrogates and date shifts; lines of one ``patient`` (or else one ``known``)
            share them.
        style: ``tag`` or ``surrogate``.
        detectors: by language, for lines with one.
        batch: lines per batch.

    Yields:
        {"id", "text", "spans", "withheld"}: spans with the offsets of the text as given; ``withheld`` are those of them
        that people should look at: uncertain, or still found after replacing; or {"line", "error"}.
    """
    passes = SecondPass(detector)
    others = {lang: SecondPass(engine) for lang, engine in (detectors or {}).items()}

    def answer(items: list[_Item]) -> list[dict[str, Any]]:
        found = _settled(items, passes, others)
        texts = [item.text for item in items]
        placed, table = to_placeholders(
            texts, [one.spans for one in found], key=key, reasons=[one.reasons for one in found]
        )
        persons = [_person(item, i) for i, item in enumerate(items)]
        rendered, _ = render(placed, table, key, style=style, persons=persons)
        return [
            {
                "id": item.id,
                "text": text,
                "spans": [span.as_dict() for span in one.spans],
                "withheld": [one.spans[place].as_dict() for place in sorted(one.reasons)],
            }
            for item, text, one in zip(items, rendered, found, strict=True)
        ]

    yield from _answered(lines, batch, answer)


def _person(item: _Item, place: int) -> str:
    if item.patient is not None:
        return f"patient|{item.patient}"
    if item.known is not None:
        return f"known|{item.known!r}"
    return f"text|{item.id!r}|{place}"


def _detect(items: list[_Item], detector: Detector, detectors: dict[str, Detector]) -> list[dict[str, Any]]:
    found = _spans(items, detector, detectors)
    return [
        {"id": item.id, "spans": [span.as_dict() for span in spans]} for item, spans in zip(items, found, strict=True)
    ]


def _spans(items: list[_Item], detector: Detector, detectors: dict[str, Detector]) -> list[list[Span]]:
    found: list[list[Span]] = [[] for _ in items]
    for lang, places in _by_lang(items, detectors).items():
        engine = detectors[lang] if lang is not None else detector
        answers = engine.analyze([items[i].text for i in places], [items[i].known for i in places])
        for i, spans in zip(places, answers, strict=True):
            found[i] = spans
    return found


def _settled(items: list[_Item], passes: SecondPass, others: dict[str, SecondPass]) -> list[Settled]:
    found: list[Settled] = [Settled([], {}) for _ in items]
    for lang, places in _by_lang(items, others).items():
        engine = others[lang] if lang is not None else passes
        answers = engine.settle([items[i].text for i in places], [items[i].known for i in places])
        for i, one in zip(places, answers, strict=True):
            found[i] = one
    return found


def _by_lang(items: list[_Item], languages: Collection[str]) -> dict[str | None, list[int]]:
    by_lang: dict[str | None, list[int]] = {}
    for i, item in enumerate(items):
        by_lang.setdefault(item.lang if item.lang in languages else None, []).append(i)
    return by_lang


def _answered(
    lines: Iterable[str], batch: int, answer: Callable[[list[_Item]], list[dict[str, Any]]]
) -> Iterator[dict[str, Any]]:
    """Answer the good lines of each batch together, and put errors in the place of the bad ones."""
    for numbered in _batches(((n, line) for n, line in enumerate(lines, start=1) if line.strip()), batch):
        read = [_read(number, line) for number, line in numbered]
        good = [item for item in read if isinstance(item, _Item)]
        answers = iter(answer(good))
        for item in read:
            yield next(answers) if isinstance(item, _Item) else item


def _batches(items: Iterable[tuple[int, str]], size: int) -> Iterator[list[tuple[int, str]]]:
    held: list[tuple[int, str]] = []
    for item in items:
        held.append(item)
        if len(held) == size:
            yield held
            held = []
    if held:
        yield held


def _read(number: int, line: str) -> _Item | dict[str, Any]:
    """Read one line; an error never repeats the line's content."""
    if line == NOT_UTF8:
        return {"line": number, "error": "not UTF-8"}
    try:
        value = json.loads(line)
    except ValueError:
        return {"line": number, "error": "not valid JSON"}
    if not isinstance(value, dict):
        return {"line": number, "error": "not a JSON object"}
    if "id" not in value:
        return {"line": number, "error": "field id is missing"}
    text = value.get("text")
    if not isinstance(text, str):
        return {"line": number, "error": "field text is missing or not a text"}
    if any("\ud800" <= c <= "\udfff" for c in text):
        return {"line": number, "error": "field text holds half a surrogate pair"}
    known = value.get("known")
    if known is not None and not isinstance(known, dict):
        return {"line": number, "error": "field known is not an object"}
    try:
        about = Known.from_json(known) if known else None
    except ValueError as error:
        return {"line": number, "error": str(error)}
    patient, lang = value.get("patient"), value.get("lang")
    if lang is not None and lang not in {"zh", "en", "auto"}:
        return {"line": number, "error": "field lang is not zh, en or auto"}
    return _Item(value["id"], text, about, None if patient is None else str(patient), lang)

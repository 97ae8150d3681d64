"""Composing free texts from the grammar, with the span of every identifying value.

What belongs here: choosing sentences, filling slots, counting positions. What does not: the sentences
(``vocabulary/texts.yaml``) and the identifying values themselves (``identity``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np

from meddata_pipeline.samples.vocab import vocabulary, words

#: start, end (half-open, in code points) and entity of one identifying value in a text.
Span = tuple[int, int, str]

_SLOT = re.compile(r"\{(\w+)\}")


@cache
def _grammar(name: str) -> tuple[tuple[float, tuple[tuple[tuple[str, str], ...], ...]], ...]:
    """A grammar with its sentences cut into (literal, slot) pairs; the last literal has an empty slot."""
    sections = []
    for section in vocabulary("texts")["grammars"][name]:
        sentences = []
        for sentence in section["sentences"]:
            pieces = _SLOT.split(sentence)
            pairs = [*zip(pieces[::2], pieces[1::2], strict=False), (pieces[-1], "")]
            sentences.append(tuple(pairs))
        sections.append((float(section["share"]), tuple(sentences)))
    return tuple(sections)


def word_slots(rng: np.random.Generator, size: int) -> dict[str, list[str]]:
    """Random words for all slots that identify nobody; ``x2`` is a second draw of ``x``."""
    filled: dict[str, list[str]] = {}
    for name, options in vocabulary("texts")["words"].items():
        for slot in (name, f"{name}2"):
            filled[slot] = words(options)[rng.integers(0, len(options), size)].tolist()
    filled["digit"] = words(range(2, 9))[rng.integers(0, 7, size)].tolist()
    return filled


def compose(
    grammar: str, values: Mapping[str, Sequence[str]], size: int, rng: np.random.Generator, separator: str
) -> tuple[list[str], list[list[Span]]]:
    """Write texts.

    Args:
        grammar: name of the grammar.
        values: a value per text for each slot that its sentences use; an empty value leaves the slot empty.
        size: number of texts.
        rng: random generator.
        separator: stands between sentences.

    Returns:
        The texts, and per text the spans of its identifying values in order.
    """
    entities: dict[str, str] = vocabulary("texts")["slots"]
    sections = _grammar(grammar)
    present = np.stack([rng.random(size) < share for share, _ in sections], 1).tolist()
    chosen = np.stack([rng.integers(0, len(sentences), size) for _, sentences in sections], 1).tolist()
    texts: list[str] = []
    all_spans: list[list[Span]] = []
    gap = len(separator)
    for row in range(size):
        pieces: list[str] = []
        spans: list[Span] = []
        position = 0
        for (_, sentences), here, choice in zip(sections, present[row], chosen[row], strict=True):
            if not here:
                continue
            if pieces and gap:
                pieces.append(separator)
                position += gap
            for literal, slot in sentences[choice]:
                pieces.append(literal)
                position += len(literal)
                if slot:
                    value = values[slot][row]
                    pieces.append(value)
                    end = position + len(value)
                    # An age identifies from 90 on. Source: HIPAA Safe Harbor, ages over 89.
                    if value and slot in entities and (slot != "age" or int(value) > 89):
                        spans.append((position, end, entities[slot]))
                    position = end
        texts.append("".join(pieces))
        all_spans.append(spans)
    return texts, all_spans

"""Scores of predicted spans against true ones.

What belongs here: counting. What does not: where notes or spans come from.

Figures: **exact** counts a predicted span that has the truth's start, end and entity. **characters** counts letters,
digits and ideographs of the truth that lie below any predicted span, whatever its entity: what is masked does not leak.
**precision** counts a predicted span as right when it touches a true span of its own entity (an end that is one
character off is an error of the exact score, not a false alarm); spans that touch true ones of other entities only are
counted apart and do not count as right. A note **leaks** when a character of a direct identifier is left.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from meddata_pipeline_tests.evaluation.notes import Note, Truth

#: What leads to a person by itself. Dates, ages over 89 and names of hospitals are indirect.
DIRECT = frozenset(
    [
        *("PERSON", "LOCATION", "PHONE_NUMBER", "EMAIL_ADDRESS", "CREDIT_CARD", "US_SSN", "CN_RESIDENT_ID"),
        *("CN_PASSPORT", "CN_HKM_PERMIT", "CN_TW_PERMIT", "CN_OFFICER_CARD", "CN_INSURANCE", "CN_PLATE", "MEDICAL_ID"),
        *("SOCIAL_ID", "OTHER_ID", "URL", "IP_ADDRESS"),
    ]
)
#: Identifiers whose form is fixed: everything but names, places and bodies.
STRUCTURED = (DIRECT | {"DATE_TIME", "AGE"}) - {"PERSON", "LOCATION"}


@dataclass
class Counts:
    """Counts of one entity or of several.

    Attributes:
        true: true spans.
        exact: true spans found with the same offsets and entity.
        covered: true spans of which every letter, digit and ideograph is below some prediction.
        characters: characters of true spans.
        kept_characters: of these, those below no prediction.
        predicted: predicted spans.
        right: predicted spans that touch a true span of their entity.
        other: predicted spans that touch true spans of other entities only.
    """

    true: int = 0
    exact: int = 0
    covered: int = 0
    characters: int = 0
    kept_characters: int = 0
    predicted: int = 0
    right: int = 0
    other: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(**{name: getattr(self, name) + getattr(other, name) for name in vars(self)})

    @property
    def exact_f1(self) -> float:
        """Harmonic mean of exact recall and exact precision."""
        return 2 * self.exact / (self.true + self.predicted) if self.true + self.predicted else 1.0

    @property
    def exact_recall(self) -> float:
        """Share of true spans found exactly."""
        return self.exact / self.true if self.true else 1.0

    @property
    def covered_recall(self) -> float:
        """Share of true spans wholly masked."""
        return self.covered / self.true if self.true else 1.0

    @property
    def character_recall(self) -> float:
        """Share of characters masked."""
        return 1 - self.kept_characters / self.characters if self.characters else 1.0

    @property
    def precision(self) -> float:
        """Share of predicted spans that touch a true one of their entity."""
        return self.right / self.predicted if self.predicted else 1.0

    @property
    def false_alarms(self) -> int:
        """Predicted spans that touch nothing true."""
        return self.predicted - self.right - self.other


@dataclass
class Scores:
    """All figures of one set of notes."""

    notes: int = 0
    characters: int = 0
    leaking: int = 0
    name_free_characters: int = 0
    false_names: int = 0
    content: int = 0
    content_lost: int = 0
    withheld_notes: int = 0
    withheld_characters: int = 0
    entities: dict[str, Counts] = field(default_factory=dict)
    # Not in the representation: a failing test must not show errors on the authors that are kept apart.
    errors: Counter[tuple[str, str, str]] = field(default_factory=Counter, repr=False)

    def of(self, entities: Iterable[str]) -> Counts:
        """The counts of several entities together."""
        return sum((self.entities[e] for e in entities if e in self.entities), Counts())

    @property
    def leak_rate(self) -> float:
        """Share of notes with a direct identifier left."""
        return self.leaking / self.notes if self.notes else 0.0

    @property
    def false_names_per_100k(self) -> float:
        """False names per 100,000 characters of notes that name nobody."""
        return 1e5 * self.false_names / self.name_free_characters if self.name_free_characters else 0.0

    @property
    def content_kept(self) -> float:
        """Share of pieces of clinical content of which no character is masked."""
        return 1 - self.content_lost / self.content if self.content else 1.0

    def table(self) -> dict[str, Any]:
        """The figures as plain JSON."""
        structured, names = self.of(STRUCTURED), self.of(["PERSON"])
        return {
            "notes": self.notes,
            "characters": self.characters,
            "structured_recall_exact": round(structured.exact_recall, 5),
            "structured_recall_covered": round(structured.covered_recall, 5),
            "structured_precision": round(structured.precision, 5),
            "names_characters": round(names.character_recall, 5),
            "names_precision": round(names.precision, 5),
            "names_exact_f1": round(names.exact_f1, 5),
            "leaking_notes": round(self.leak_rate, 5),
            "false_names_per_100k": round(self.false_names_per_100k, 2),
            "name_free_characters": self.name_free_characters,
            "content_kept": round(self.content_kept, 5),
            "withheld_notes": round(self.withheld_notes / self.notes, 5) if self.notes else 0.0,
            "withheld_characters": round(self.withheld_characters / self.characters, 5) if self.characters else 0.0,
            "entities": {
                entity: {
                    "true": c.true,
                    "exact_f1": round(c.exact_f1, 4),
                    "exact_recall": round(c.exact_recall, 4),
                    "covered": round(c.covered_recall, 4),
                    "characters": round(c.character_recall, 4),
                    "precision": round(c.precision, 4),
                    "false_alarms": c.false_alarms,
                }
                for entity, c in sorted(self.entities.items())
            },
        }


def score(
    notes: Sequence[Note],
    predictions: Sequence[Sequence[Truth]],
    withheld: Sequence[Sequence[Truth]] | None = None,
) -> Scores:
    """Score predictions.

    Args:
        notes: notes with their truth.
        predictions: for each note what was found: (start, end, entity), without overlaps.
        withheld: for each note what is masked because it is uncertain: it does not leak, and it is no finding either;
            nothing if None.

    Returns:
        The scores; ``errors`` counts (kind, entity, what the text says) of made-up values for whoever looks for causes.

    Raises:
        ValueError: the sequences have different lengths.
    """
    scores = Scores()
    held = withheld if withheld is not None else [[] for _ in notes]
    for note, found, away in zip(notes, predictions, held, strict=True):
        _score_note(scores, note, found, away)
        scores.withheld_notes += len(away) > 0
        scores.withheld_characters += sum(span.end - span.start for span in away)
    return scores


def _score_note(scores: Scores, note: Note, found: Sequence[Truth], withheld: Sequence[Truth]) -> None:
    scores.notes += 1
    scores.characters += len(note.text)
    masked = bytearray(len(note.text))
    for span in (*found, *withheld):
        masked[span.start : span.end] = b"\x01" * (span.end - span.start)
    exact = {(s.start, s.end, s.entity) for s in found}
    leaks = False
    for true in note.spans:
        counts = scores.entities.setdefault(true.entity, Counts())
        told = [i for i in range(true.start, true.end) if note.text[i].isalnum()]
        left = sum(not masked[i] for i in told)
        counts.true += 1
        counts.exact += tuple(true) in exact
        counts.covered += left == 0
        counts.characters += len(told)
        counts.kept_characters += left
        leaks |= left > 0 and true.entity in DIRECT
        if left:
            scores.errors["missed", true.entity, _around(note.text, true)] += 1
        elif tuple(true) not in exact:
            scores.errors["inexact", true.entity, _around(note.text, true)] += 1
    scores.leaking += leaks
    for span in found:
        counts = scores.entities.setdefault(span.entity, Counts())
        counts.predicted += 1
        touched = {t.entity for t in note.spans if t.start < span.end and span.start < t.end}
        if span.entity in touched:
            counts.right += 1
        elif touched:
            counts.other += 1
            scores.errors["other entity", span.entity, _around(note.text, span)] += 1
        else:
            scores.errors["false", span.entity, _around(note.text, span)] += 1
    if note.name_free:
        scores.name_free_characters += len(note.text)
        scores.false_names += sum(span.entity == "PERSON" for span in found)
    for piece in note.content:
        scores.content += 1
        if any(masked[piece.start : piece.end]):
            scores.content_lost += 1
            scores.errors["content", "content", _around(note.text, piece)] += 1


def _around(text: str, span: Truth) -> str:
    before, behind = text[max(0, span.start - 8) : span.start], text[span.end : span.end + 8]
    return f"{before}⟦{text[span.start : span.end]}⟧{behind}".replace("\n", "⏎")

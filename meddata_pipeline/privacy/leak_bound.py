"""The statistics of leaks: exact limits of a share, agreement of two readers, and what several samples say together.

What belongs here: numbers from counts. What does not: notes, files, whether a bound is low enough (app/leak_sample.py).

Limits are those of Clopper and Pearson (Biometrika 26, 1934, 404-413): they hold whatever the true share is, and are
on the safe side where notes are drawn without replacement. Agreement is Cohen's kappa (Educational and Psychological
Measurement 20, 1960, 37-46).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

CONFIDENCE = 0.95


def interval(found: int, tried: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Two-sided exact limits of a share.

    Args:
        found: successes, 0 to ``tried``.
        tried: trials; with none nothing is known: 0 to 1.
        confidence: of the interval.

    Raises:
        ValueError: the counts are impossible.
    """
    alpha = (1 - confidence) / 2
    return _lower(found, tried, alpha), _upper(found, tried, alpha)


def upper_bound(leaking: int, notes: int, confidence: float = CONFIDENCE) -> float:
    """One-sided exact upper limit of the share of notes with a leak; 0 of 300 gives 0.0099.

    Raises:
        ValueError: the counts are impossible.
    """
    return _upper(leaking, notes, 1 - confidence)


def _check(found: int, tried: int) -> None:
    if not 0 <= found <= tried:
        raise ValueError("the count must lie between 0 and the number of trials")


def _upper(found: int, tried: int, alpha: float) -> float:
    from scipy.stats import beta

    _check(found, tried)
    return 1.0 if found == tried else float(beta.ppf(1 - alpha, found + 1, tried - found))


def _lower(found: int, tried: int, alpha: float) -> float:
    from scipy.stats import beta

    _check(found, tried)
    return 0.0 if found == 0 else float(beta.ppf(alpha, found, tried - found + 1))


@dataclass(frozen=True)
class Joined:
    """What two readers say of one sample.

    Attributes:
        notes: how many they read.
        leaking: notes that either marked.
        disagreements: places of the notes that one marked and the other did not.
        kappa: Cohen's kappa; None where it does not exist (both marked none, or all).
        upper: upper limit of the share of notes with a leak.
    """

    notes: int
    leaking: int
    disagreements: tuple[int, ...]
    kappa: float | None
    upper: float


def join(first: Sequence[bool], second: Sequence[bool]) -> Joined:
    """Join two readers: a note leaks if either says so.

    Args:
        first: for each note whether the first reader marked something in it.
        second: the same of the second reader.

    Raises:
        ValueError: they have not read the same number of notes, or none.
    """
    if len(first) != len(second) or not first:
        raise ValueError("both readers must have read the same notes")
    leaking = sum(a or b for a, b in zip(first, second, strict=True))
    differ = tuple(i for i, (a, b) in enumerate(zip(first, second, strict=True)) if a != b)
    return Joined(len(first), leaking, differ, kappa(first, second), upper_bound(leaking, len(first)))


def kappa(first: Sequence[bool], second: Sequence[bool]) -> float | None:
    """Cohen's kappa of two readers' yes or no; None where chance alone would make them agree always."""
    notes = len(first)
    agreed = sum(a == b for a, b in zip(first, second, strict=True)) / notes
    p, q = sum(first) / notes, sum(second) / notes
    by_chance = p * q + (1 - p) * (1 - q)
    return None if by_chance == 1.0 else (agreed - by_chance) / (1 - by_chance)


def pooled(samples: Iterable[Mapping[str, int]]) -> tuple[int, int]:
    """Leaking notes and notes over all samples that were read of the same data.

    All of them count, so that nobody can draw again until a sample comes out well. Samples of one seed lie inside each
    other, so the largest of each seed counts; the sum cannot exceed what there is to read.

    Args:
        samples: each with ``seed``, ``notes``, ``leaking``, ``population``.
    """
    largest: dict[int, Mapping[str, int]] = {}
    for sample in samples:
        other = largest.get(sample["seed"])
        if other is None or (sample["notes"], sample["leaking"]) > (other["notes"], other["leaking"]):
            largest[sample["seed"]] = sample
    chosen = list(largest.values())
    most = max((s["population"] for s in chosen), default=0)
    leaking, notes = sum(s["leaking"] for s in chosen), sum(s["notes"] for s in chosen)
    return min(leaking, most), min(notes, most)

"""``python -m meddata_pipeline_tests.evaluation.fit``: the weights of the names model, from the open authors' notes.

What belongs here: fitting and the table across authors. What does not: features (privacy/detect/models/evidence.py).

The shared texts of news are never used here. Each author is also predicted from the others: a weight that helps only
its own author's sentences shows there.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from meddata_pipeline.privacy.detect.models.chinese import clauses, votes_of
from meddata_pipeline.privacy.detect.models.evidence import candidates
from meddata_pipeline_tests.evaluation.measure import OPEN, STYLES
from meddata_pipeline_tests.evaluation.notes import Note
from meddata_pipeline_tests.evaluation.style import make_notes

#: Strength of the ridge: weights of rare features stay small.
RIDGE = 2.0
SEED = 21
#: Share of a name's characters that a range must hold to show that a name is there.
MOST = 0.6


class Sample(NamedTuple):
    """Candidates of notes.

    Attributes:
        names: the features, ``bias`` first.
        values: one row per candidate.
        true: whether it is exactly a name.
        there: whether it holds most of one, whatever its borders.
        places: note, start and end of each candidate.
        truth: the true names of each note.
    """

    names: tuple[str, ...]
    values: np.ndarray[Any, Any]
    true: np.ndarray[Any, Any]
    there: np.ndarray[Any, Any]
    places: list[tuple[int, int, int]]
    truth: list[set[tuple[int, int]]]


def sample(notes: Sequence[Note]) -> Sample:
    """The candidates of all clauses, whether or not a rule or a known value would have found them."""
    pieces = [(i, at, clause) for i, note in enumerate(notes) for at, clause in clauses(note.text)]
    distinct = list(dict.fromkeys(clause for _, _, clause in pieces))
    found = {
        clause: list(candidates(clause, votes)) for clause, votes in zip(distinct, votes_of(distinct), strict=True)
    }
    truth = [{(s.start, s.end) for s in note.spans if s.entity == "PERSON"} for note in notes]
    rows, true, there, places = [], [], [], []
    names: tuple[str, ...] = ()
    for i, at, clause in pieces:
        for (start, end), features in found[clause]:
            names = ("bias", *features)
            rows.append([1.0, *features.values()])
            true.append((start + at, end + at) in truth[i])
            there.append(any(_most(start + at, end + at, *name) for name in truth[i]))
            places.append((i, start + at, end + at))
    return Sample(names, np.array(rows), np.array(true, float), np.array(there, float), places, truth)


def _most(start: int, end: int, first: int, last: int) -> bool:
    """Whether a range holds most characters of a name."""
    return min(end, last) - max(start, first) >= MOST * (last - first)


def fitted(samples: Sequence[Sample], target: str) -> np.ndarray[Any, Any]:
    """Weights of a logistic regression with a ridge (Newton's method) for ``true`` or ``there``."""
    values = np.concatenate([s.values for s in samples])
    true = np.concatenate([getattr(s, target) for s in samples])
    weights = np.zeros(values.shape[1])
    for _ in range(50):
        chance = 1 / (1 + np.exp(-values @ weights))
        slope = values.T @ (true - chance) - RIDGE * weights
        curve = (values.T * (chance * (1 - chance))) @ values + RIDGE * np.eye(len(weights))
        step = np.linalg.solve(curve, slope)
        weights += step
        if np.abs(step).max() < 1e-7:
            break
    return weights


def scores(of: Sample, exact: np.ndarray[Any, Any], there: np.ndarray[Any, Any], least: float) -> dict[str, float]:
    """Exact F1, precision (touching), share of characters covered; by the evidence alone."""
    chance = 1 / (1 + np.exp(-of.values @ there))
    kept: dict[int, list[tuple[int, int]]] = {}
    for k in np.argsort(-(of.values @ exact), kind="stable"):
        if chance[k] < least:
            continue
        note, start, end = of.places[k]
        spans = kept.setdefault(note, [])
        if all(end <= a or b <= start for a, b in spans):
            spans.append((start, end))
    right = touching = found = covered = characters = 0
    for note, truth in enumerate(of.truth):
        spans = kept.get(note, [])
        found += len(spans)
        right += len(truth & set(spans))
        touching += sum(any(a < end and start < b for a, b in truth) for start, end in spans)
        masked = {c for start, end in spans for c in range(start, end)}
        characters += sum(end - start for start, end in truth)
        covered += sum(c in masked for start, end in truth for c in range(start, end))
    true = sum(map(len, of.truth))
    return {
        "f1": 2 * right / max(1, found + true),
        "precision": touching / max(1, found),
        "characters": covered / max(1, characters),
    }


def free_texts() -> list[str]:
    """Paragraphs of clinical text that names nobody (free/*.txt)."""
    folder = Path(__file__).with_name("free")
    return [line for page in sorted(folder.glob("*.txt")) for line in page.read_text(encoding="utf-8").splitlines()]


def _lines(weights: dict[str, dict[str, float]]) -> Iterator[str]:
    yield "evidence:"
    for target, table in weights.items():
        yield f"  {target}:"
        for name, weight in table.items():
            yield f"    {name}: {weight:.2f}"


def main() -> None:
    """Fit, print, and write the weights on demand."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--notes", type=int, default=300, help="notes of each author; two thirds as many name nobody")
    parser.add_argument("--write", action="store_true", help="into models.yaml")
    given = parser.parse_args()
    samples: dict[str, Sample] = {}
    for letter in sorted(OPEN):
        style = STYLES[letter]
        notes = make_notes(style, given.notes, SEED) + make_notes(style, given.notes * 2 // 3, SEED, name_free=True)
        samples[letter] = sample(notes)
    # Written by hand, not filled in: sentences that name nobody are more diverse than the authors' frames.
    free = sample([Note(f"free{i}", line, None, (), name_free=True) for i, line in enumerate(free_texts())])
    print(f"texts that name nobody: {len(free.values)} candidates")
    for letter, own in samples.items():
        others = [s for other, s in samples.items() if other != letter] + [free] * 3
        exact, there = fitted(others, "true"), fitted(others, "there")
        row = " ".join(f"{k} {v:.3f}" for least in (0.3, 0.6) for k, v in scores(own, exact, there, least).items())
        print(f"{letter} from the others (0.3, 0.6): {row}")
    every = [*samples.values(), *[free] * 3]
    names = every[0].names
    lines = list(
        _lines(
            {
                target: dict(zip(names, fitted(every, of).tolist(), strict=True))
                for target, of in (("exact", "true"), ("there", "there"))
            }
        )
    )
    print("\n".join(lines))
    if given.write:
        page = Path(str(resources.files("meddata_pipeline.privacy.detect.models").joinpath("models.yaml")))
        text = page.read_text(encoding="utf-8")
        page.write_text(re.sub(r"evidence:\n(?: .*\n)+", "\n".join(lines) + "\n", text), encoding="utf-8")


if __name__ == "__main__":
    main()

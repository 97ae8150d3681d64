"""Readers of the shared texts with labelled names: to measure only.

What belongs here: reading. What does not: any use of these texts in making rules, lists or models.
"""

from __future__ import annotations

import json
from pathlib import Path

from meddata_pipeline_tests.evaluation.notes import Note, Truth

FILES = ("zh_cluener_dev", "zh_peoplesdaily_dev")


def read(path: Path, entities: frozenset[str] = frozenset(["PERSON"])) -> list[Note]:
    """The texts of a file with their spans of some entities; nothing is known and there is no roster."""
    notes = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines()):
        row = json.loads(line)
        spans = sorted(Truth(s["start"], s["end"], s["label"]) for s in row["spans"] if s["label"] in entities)
        notes.append(Note(f"{path.stem}{number}", row["text"], None, (), spans))
    return notes

"""What is found in a text depends on the text and on what is known of its person: not on the texts beside it."""

from __future__ import annotations

import random

import pytest

from meddata_pipeline.privacy.detect import Detector, Known
from meddata_pipeline_tests.evaluation.measure import STYLES
from meddata_pipeline_tests.evaluation.style import make_notes

#: A name that rules, and so nobody else, see: where it is known, nobody is asked about the clause.
CLAUSE = "昨日陈嘉禾与刘思琪来过"


def test_a_known_name_hides_no_other_name_from_other_rows() -> None:
    texts = [CLAUSE, f"{CLAUSE}。"]
    known = [Known(names=("陈嘉禾", "刘思琪")), None]
    together = Detector("zh").analyze(texts, known)
    for text, about, spans in zip(texts, known, together, strict=True):
        assert Detector("zh").analyze([text], [about]) == [spans]


@pytest.mark.parametrize("style", ["A", "B", "E"])
def test_notes_are_answered_alone_as_in_any_company(style: str) -> None:
    notes = make_notes(STYLES[style], 40, 5)
    # Every second note is given with what is known, and every text once more as another person's.
    rows = [(n.text, Known.from_json(n.known) if n.known and i % 2 else None) for i, n in enumerate(notes)]
    rows += [(text, Known(names=("陈嘉禾",))) for text, _ in rows]
    alone = [Detector("zh").analyze([text], [about])[0] for text, about in rows[::5]]
    detector = Detector("zh")
    mixed = list(rows)
    random.Random(1).shuffle(mixed)
    for at in range(0, len(mixed), 16):
        part = mixed[at : at + 16]
        found = detector.analyze([text for text, _ in part], [about for _, about in part])
        for row, spans in zip(part, found, strict=True):
            if row in rows[::5]:
                assert spans == alone[rows[::5].index(row)]

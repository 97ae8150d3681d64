"""Running the detector over notes and scoring what it finds.

What belongs here: the one place of the kit that calls the product. What does not: notes, counting.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from meddata_pipeline.privacy.detect import Detector, Known
from meddata_pipeline_tests.evaluation.notes import Note, Truth
from meddata_pipeline_tests.evaluation.scoring import Scores, score
from meddata_pipeline_tests.evaluation.style import Style, make_notes
from meddata_pipeline_tests.evaluation.style_a import StyleA
from meddata_pipeline_tests.evaluation.style_b import StyleB
from meddata_pipeline_tests.evaluation.style_c import StyleC
from meddata_pipeline_tests.evaluation.style_d import StyleD
from meddata_pipeline_tests.evaluation.style_e import StyleE
from meddata_pipeline_tests.evaluation.style_f import StyleF

STYLES: dict[str, Style] = {style.name: style for style in (StyleA(), StyleB(), StyleC(), StyleD(), StyleE(), StyleF())}
#: Authors on which rules may be developed; the errors of the others are not shown.
OPEN = frozenset("ABEF")


def predict(notes: Sequence[Note], *, known: bool = True) -> tuple[list[list[Truth]], list[list[Truth]]]:
    """What the detector finds and what it withholds, with each note's patient and the roster of its hospital."""
    found: list[list[Truth]] = []
    withheld: list[list[Truth]] = []
    for roster, group in groupby(notes, key=lambda note: note.roster):
        some = list(group)
        about = [Known.from_json(note.known) if known and note.known else None for note in some]
        detector = Detector("zh", roster=roster if known else ())
        for findings in detector.examine([note.text for note in some], about):
            found.append([Truth(s.start, s.end, s.entity) for s in findings.spans])
            withheld.append([Truth(s.start, s.end, s.entity) for s in findings.uncertain])
    return found, withheld


def clinical(styles: str, count: int, seed: int = 1, *, known: bool = True) -> Scores:
    """Scores of ``count`` notes of each of some authors, and half as many that name nobody."""
    notes = _notes(styles, count, seed)
    return score(notes, *predict(notes, known=known))


def structured(styles: str, count: int, seed: int = 1, *, known: bool = True) -> Scores:
    """As ``clinical``, without findings of names: what the other rules do by themselves."""
    notes = _notes(styles, count, seed)
    found, _ = predict(notes, known=known)
    return score(notes, [[s for s in spans if s.entity != "PERSON"] for spans in found])


def names_of(notes: Sequence[Note]) -> Scores:
    """Scores of names only."""
    found, _ = predict(notes)
    return score(notes, [[s for s in spans if s.entity == "PERSON"] for spans in found])


def _notes(styles: str, count: int, seed: int) -> list[Note]:
    notes: list[Note] = []
    for letter in styles:
        notes += make_notes(STYLES[letter], count, seed)
        notes += make_notes(STYLES[letter], (count + 1) // 2, seed, name_free=True)
    return notes

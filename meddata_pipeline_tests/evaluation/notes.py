"""A note with its truth, and the writer that keeps exact offsets.

What belongs here: plain data and the filling of frames. What does not: words (the styles), values (values.py).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple


class Truth(NamedTuple):
    """A true span: half-open offsets in code points."""

    start: int
    end: int
    entity: str


class Piece(NamedTuple):
    """A part of a text: what it says and what it is.

    Attributes:
        text: the words.
        entity: an entity word, ``content`` for clinical content that must be kept, or "" for anything else.
        before: words in front that are not part of it.
        behind: words behind that are not part of it.
    """

    text: str
    entity: str = ""
    before: str = ""
    behind: str = ""


@dataclass
class Note:
    """One note.

    Attributes:
        id: unique in its set.
        text: the text.
        known: what the hospital's tables say of the patient, as ``meddata detect`` takes it; None where they say
            nothing.
        roster: the staff of the note's hospital.
        spans: identifiers, sorted.
        content: clinical content that must be kept, sorted.
        name_free: whether the note names nobody.
    """

    id: str
    text: str
    known: dict[str, Any] | None
    roster: tuple[str, ...]
    spans: list[Truth] = field(default_factory=list)
    content: list[Truth] = field(default_factory=list)
    name_free: bool = False

    def as_dict(self) -> dict[str, Any]:
        """The note as plain JSON."""
        return {
            "id": self.id,
            "text": self.text,
            "known": self.known,
            "roster": list(self.roster),
            "spans": [{"start": s.start, "end": s.end, "entity": s.entity} for s in self.spans],
        }


_SLOT = re.compile(r"\{([a-z_0-9]+)\}")


class Writer:
    """Writes a text piece by piece and notes where the identifiers lie.

    Args:
        noise: what an author or a scanner does to the words around the pieces.
    """

    def __init__(self, noise: Callable[[str], str] | None = None) -> None:
        self._noise = noise
        self._parts: list[str] = []
        self._length = 0
        self.spans: list[Truth] = []
        self.content: list[Truth] = []

    def plain(self, text: str) -> None:
        """Words that identify nobody."""
        self._parts.append(text)
        self._length += len(text)

    def piece(self, piece: Piece) -> None:
        """A piece, with its span where it has an entity."""
        self.plain(piece.before)
        start = self._length
        self.plain(piece.text)
        if piece.entity == "content":
            self.content.append(Truth(start, self._length, "content"))
        elif piece.entity:
            self.spans.append(Truth(start, self._length, piece.entity))
        self.plain(piece.behind)

    def frame(self, frame: str, fill: Callable[[str], Piece]) -> None:
        """A sentence whose words in braces are filled in."""
        at = 0
        for match in _SLOT.finditer(frame):
            self._words(frame[at : match.start()])
            self.piece(fill(match.group(1)))
            at = match.end()
        self._words(frame[at:])

    def _words(self, text: str) -> None:
        self.plain(self._noise(text) if self._noise else text)

    def __len__(self) -> int:
        return self._length

    @property
    def text(self) -> str:
        """What was written so far."""
        return "".join(self._parts)

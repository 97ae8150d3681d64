"""The second pass: what is seen only once the first findings are replaced, and what is withheld for people to look at.

What belongs here: deciding which spans of a text are replaced, and which of these people must look at. What does not:
finding (privacy/detect), replacing (privacy/text), the list of what people decided (privacy/review).

After the first pass every finding becomes a placeholder, and the sentences that hold one are searched again. What is
found there is replaced too, and the sentence is searched until nothing is found. From the second look on a finding
means that the detector cannot make up its mind, so that people look at it; so they do at what was uncertain in the
first pass.

Only sentences with a placeholder are searched: nothing has changed in the others. They are searched without what is
known of the patient, which the first pass has matched exactly in the whole text. So equal sentences of different
patients are searched once.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from meddata_pipeline.privacy.detect import Detector, Findings, Known, Span
from meddata_pipeline.privacy.detect.pause import collector_paused
from meddata_pipeline.privacy.weekday import with_weekdays

UNCERTAIN = "uncertain"
SECOND_PASS = "second-pass"  # noqa: S105 - a reason, no secret
#: Sentences whose answer is remembered.
_REMEMBERED = 50_000
_HAN = re.compile("[\u3400-\u9fff]")
#: A rule looks over a comma, not over the end of a sentence or line.
_SENTENCE = re.compile(r"[^。！？；\n]*[。！？；\n]*")


class Settled(NamedTuple):
    """What is replaced in one text.

    Attributes:
        spans: every span that is replaced, sorted, without overlaps.
        reasons: for the place of a span in ``spans`` why it is withheld: ``uncertain`` or ``second-pass``.
    """

    spans: list[Span]
    reasons: Mapping[int, str]


class Accepted(NamedTuple):
    """A surface of one text that people have looked at and that identifies nobody there."""

    surface: str
    entity: str


class SecondPass:
    """Settles what is replaced in texts.

    Args:
        detector: the detector of both passes.
    """

    def __init__(self, detector: Detector) -> None:
        self.detector = detector
        self._answers: dict[str, list[Span]] = {}

    def settle(
        self,
        texts: Sequence[str],
        known: Sequence[Known | None] | None = None,
        numbers: Sequence[Sequence[str]] | None = None,
        accepted: Sequence[Sequence[Accepted]] | None = None,
    ) -> list[Settled]:
        """Decide what is replaced.

        Args:
            texts: the texts.
            known: as for ``Detector.analyze``.
            numbers: as for ``Detector.analyze``.
            accepted: for each text what people have accepted in it: it is withheld no longer. What the first pass is
                sure of stays replaced.

        Returns:
            One answer per text; equal texts about the same person share one object.
        """
        found = self.detector.examine(texts, known, numbers)
        with collector_paused():
            return self._settle(texts, found, accepted)

    def _settle(
        self, texts: Sequence[str], found: Sequence[Findings], accepted: Sequence[Sequence[Accepted]] | None
    ) -> list[Settled]:
        works: dict[tuple[str, int, tuple[Accepted, ...]], _Work] = {}
        keys = []
        for i, (text, findings) in enumerate(zip(texts, found, strict=True)):
            free = tuple(accepted[i]) if accepted is not None else ()
            key = (text, id(findings), free)
            if key not in works:
                works[key] = _Work(text, findings, frozenset(free))
            keys.append(key)
        waiting = [work for work in works.values() if work.spans]
        look = 1
        while waiting:
            self._search(waiting)
            reason = None if look == 1 else SECOND_PASS
            waiting = [work for work in waiting if work.take(self._found_in(work), reason, self.detector)]
            look += 1
        answers = {key: work.settled() for key, work in works.items()}
        return [answers[key] for key in keys]

    def _search(self, works: Sequence[_Work]) -> None:
        """Search the sentences that have not been searched yet."""
        new = list(dict.fromkeys(s for work in works for _, s in work.sentences() if s not in self._answers))
        if len(self._answers) + len(new) > _REMEMBERED:
            self._answers.clear()
            new = list(dict.fromkeys(s for work in works for _, s in work.sentences()))
        self._answers.update(zip(new, self.detector.analyze(new), strict=True))

    def _found_in(self, work: _Work) -> list[Span]:
        return [work.original(span, start) for start, sentence in work.sentences() for span in self._answers[sentence]]


class _Work:
    """One text on its way: its spans, why they are withheld, and the text with placeholders."""

    def __init__(self, text: str, findings: Findings, accepted: frozenset[Accepted]) -> None:
        self.text = text
        self._accepted = accepted
        uncertain = [span for span in findings.uncertain if not self._is_accepted(span)]
        self._set([*((span, None) for span in findings.spans), *((span, UNCERTAIN) for span in uncertain)])

    def _set(self, spans: list[tuple[Span, str | None]]) -> None:
        spans.sort(key=lambda pair: pair[0])
        self.spans = with_weekdays(self.text, [span for span, _ in spans])
        self._reasons = [reason for _, reason in spans]
        self._mask()

    def _is_accepted(self, span: Span) -> bool:
        return bool(self._accepted) and Accepted(self.text[span.start : span.end], span.entity) in self._accepted

    def _mask(self) -> None:
        """Write the text with placeholders, and cut it into sentences."""
        pieces: list[str] = []
        self._starts: list[int] = []
        self._moved: list[int] = []
        at = length = 0
        for span in self.spans:
            self._starts.append(length)
            self._moved.append(at - length)
            placeholder = f"[{span.entity}_1]"
            pieces += (self.text[at : span.start], placeholder)
            length += span.start - at + len(placeholder)
            at = span.end
        self._starts.append(length)
        self._moved.append(at - length)
        pieces.append(self.text[at:])
        self._sentences = _sentences("".join(pieces))

    def sentences(self) -> list[tuple[int, str]]:
        """Sentences of the text with placeholders that hold one, and where they start."""
        return self._sentences

    def original(self, span: Span, sentence: int) -> Span:
        """A finding in a sentence, with the offsets of the text as given; it touches no placeholder."""
        start = span.start + sentence
        moved = self._moved[bisect_right(self._starts, start) - 1]
        return span._replace(start=start + moved, end=span.end + sentence + moved)

    def take(self, found: Sequence[Span], reason: str | None, detector: Detector) -> bool:
        """Add what the second pass has found; whether there was anything."""
        more = [span._replace(source=f"{SECOND_PASS}/{span.source}") for span in found if not self._is_accepted(span)]
        if not more:
            return False
        together = [*self.spans, *more]
        for repeat in detector.repeats(self.text, more):
            if not any(repeat.start < span.end and span.start < repeat.end for span in together):
                more.append(repeat)
                together.append(repeat)
        self._set([*zip(self.spans, self._reasons, strict=True), *((span, reason) for span in more)])
        return True

    def settled(self) -> Settled:
        """The answer."""
        return Settled(self.spans, {i: reason for i, reason in enumerate(self._reasons) if reason is not None})


def _sentences(text: str) -> list[tuple[int, str]]:
    """Sentences that hold a placeholder; those of a Chinese text hold an ideograph, which decides their language."""
    chinese = bool(_HAN.search(text))
    cuts: list[tuple[int, int]] = []
    start = 0
    for match in _SENTENCE.finditer(text):
        if match.end() > start and not (chinese and not _HAN.search(text, start, match.end())):
            cuts.append((start, match.end()))
            start = match.end()
    if start < len(text):
        first = cuts.pop()[0] if cuts else 0
        cuts.append((first, len(text)))
    return [(start, text[start:end]) for start, end in cuts if "_1]" in text[start:end]]

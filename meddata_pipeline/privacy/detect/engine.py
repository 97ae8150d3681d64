"""The detector: Presidio's analyzer with the project's recognizers, what is known beforehand, and the merging.

What belongs here: the chain from texts to spans. What does not: single rules, replacing, columns.

Presidio is built explicitly, with its no-op NLP engine: no model is loaded and nothing is ever downloaded.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from meddata_pipeline.privacy.detect.fold import Compact, Folded, compact, fold
from meddata_pipeline.privacy.detect.known import Needle, Roster, find_needles, needles_of, own_needles
from meddata_pipeline.privacy.detect.merge import MergeRules, default_rules, merge
from meddata_pipeline.privacy.detect.names import is_han
from meddata_pipeline.privacy.detect.recognizers import rules
from meddata_pipeline.privacy.detect.types import Known, Span

if TYPE_CHECKING:
    from presidio_analyzer import AnalyzerEngine

LANGUAGES = ("zh", "en")
#: What the project itself writes in place of an identifier.
PLACEHOLDER = re.compile(r"\[([A-Z]+(?:_[A-Z]+)*)_([0-9]+)\]")
_HAN = re.compile("[\u3400-\u9fff]")
_REPEATABLE = frozenset(
    {
        "PERSON",
        "MEDICAL_ID",
        "CN_RESIDENT_ID",
        "PHONE_NUMBER",
        "CN_INSURANCE",
        "SOCIAL_ID",
        "OTHER_ID",
        "CN_PASSPORT",
        "CREDIT_CARD",
    }
)


def build_analyzer(
    langs: Sequence[str] = LANGUAGES, id_patterns: Mapping[str, str] | None = None, *, fused: bool = True
) -> AnalyzerEngine:
    """A Presidio analyzer with the project's recognizers.

    Args:
        langs: languages among zh and en.
        id_patterns: the hospital's own number shapes.
        fused: one recognizer for all rules (fast), or one recognizer per rule.
    """
    from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
    from presidio_analyzer.nlp_engine import NoOpNlpEngine

    from meddata_pipeline.privacy.detect.adapter import FusedRecognizer, NoContext, RuleRecognizer

    recognizers: list[Any] = []
    for lang in langs:
        found = rules(lang, id_patterns)
        recognizers += [FusedRecognizer(found, lang)] if fused else [RuleRecognizer(rule, lang) for rule in found]
    return AnalyzerEngine(
        registry=RecognizerRegistry(recognizers=recognizers, supported_languages=list(langs)),
        nlp_engine=NoOpNlpEngine(models=[{"lang_code": lang, "model_name": "none"} for lang in langs]),
        supported_languages=list(langs),
        context_aware_enhancer=NoContext(),
    )


def language_of(text: str) -> str:
    """``zh`` where the text holds an ideograph, otherwise ``en``."""
    return "zh" if _HAN.search(text) else "en"


class _Document:
    """A text with what was found in it regardless of whom it is about."""

    __slots__ = ("compact", "folded", "found", "merged", "text")

    def __init__(self, text: str, folded: Folded, found: list[Span]) -> None:
        self.text = text
        self.folded = folded
        self.compact: Compact = compact(folded.text)
        self.found = found
        self.merged: list[Span] | None = None


class Detector:
    """Finds identifiers in batches of texts.

    Args:
        lang: ``zh``, ``en`` or ``auto`` (each text by its letters).
        roster: names of the hospital's staff.
        id_patterns: the hospital's own number shapes by field, as in its profile.
        merge_rules: priorities and thresholds; the shipped ones by default.
    """

    def __init__(
        self,
        lang: str = "auto",
        roster: Sequence[str] = (),
        id_patterns: Mapping[str, str] | None = None,
        merge_rules: MergeRules | None = None,
    ) -> None:
        if lang not in (*LANGUAGES, "auto"):
            raise ValueError(f"unknown language {lang!r}")
        self.lang = lang
        self._rules = merge_rules or default_rules()
        self._engine = build_analyzer(LANGUAGES if lang == "auto" else (lang,), id_patterns)
        self._roster = Roster(roster)
        self._needles = lru_cache(maxsize=20_000)(needles_of)

    def analyze(
        self,
        texts: Sequence[str],
        known: Sequence[Known | None] | None = None,
        numbers: Sequence[Sequence[str]] | None = None,
    ) -> list[list[Span]]:
        """Find identifiers; each distinct text is searched once.

        Args:
            texts: the texts.
            known: for each text what is known of the person it is about, or None.
            numbers: for each text further numbers that its own record carries (visit, specimen, note number).

        Returns:
            For each text its spans, sorted, without overlaps; offsets are code points of the text as given.

        Raises:
            ValueError: ``known`` or ``numbers`` has another length than ``texts``.
        """
        if any(given is not None and len(given) != len(texts) for given in (known, numbers)):
            raise ValueError("known and numbers must have one entry per text")
        documents: dict[str, _Document] = {}
        answers: dict[tuple[str, Known | None, tuple[str, ...]], list[Span]] = {}
        result: list[list[Span]] = []
        for i, text in enumerate(texts):
            document = documents.get(text)
            if document is None:
                document = documents[text] = self._document(text)
            about = known[i] if known is not None else None
            own = tuple(numbers[i]) if numbers is not None else ()
            if about is None and not own:
                result.append(self._plain(document))
                continue
            key = (text, about, own)
            answer = answers.get(key)
            if answer is None:
                needles = self._needles(about) if about is not None else ()
                answer = answers[key] = self._about(document, (*needles, *own_needles(own)))
            result.append(answer)
        return result

    def _document(self, text: str) -> _Document:
        """Run Presidio and the roster over one text."""
        folded = fold(text)
        document = _Document(text, folded, [])
        if not folded.text.strip():
            return document
        lang = self.lang if self.lang != "auto" else language_of(text)
        found = [
            Span(r.start, r.end, r.entity_type, r.score, r.recognition_metadata["recognizer_name"])
            for r in self._engine.analyze(text=text, language=lang)
        ]
        found += [self._original(document, span) for span in self._roster.find(folded.text, document.compact)]
        document.found = _without_placeholders(text, found)
        return document

    @staticmethod
    def _original(document: _Document, span: Span) -> Span:
        if document.folded.offsets is None:
            return span
        start, end = document.folded.original(span.start, span.end)
        return span._replace(start=start, end=end)

    def _plain(self, document: _Document) -> list[Span]:
        """The spans of a text about whose person nothing is known."""
        if document.merged is None:
            document.merged = self._finish(document, document.found)
        return document.merged

    def _about(self, document: _Document, needles: Sequence[Needle]) -> list[Span]:
        """The spans of a text, with what is known of its person."""
        hits = [self._original(document, s) for s in find_needles(needles, document.folded.text, document.compact)]
        if not hits:
            return self._plain(document)
        return self._finish(document, [*document.found, *_without_placeholders(document.text, hits)])

    def _finish(self, document: _Document, found: list[Span]) -> list[Span]:
        """Merge, after looking for every found name and number in the rest of the text."""
        if not found:
            return []
        merged = merge(document.text, found, self._rules)
        repeats = self._repeats(document.text, merged)
        return merge(document.text, [*found, *repeats], self._rules) if repeats else merged

    def _repeats(self, text: str, spans: list[Span]) -> list[Span]:
        """A name or number that was found once is masked everywhere in its text."""
        surfaces: dict[str, str] = {}
        for span in spans:
            if span.entity in _REPEATABLE:
                surface = text[span.start : span.end]
                least = 2 if span.entity == "PERSON" and is_han(surface[0]) else 4
                if len(surface) >= least:
                    surfaces.setdefault(surface, span.entity)
                    if (
                        span.entity == "PERSON"
                        and span.source.startswith("name-")
                        and len(surface) == 3
                        and span.score < 0.8
                    ):
                        # The third character was taken in doubt: the name may have two.
                        surfaces.setdefault(surface[:2], span.entity)
        covered = [(span.start, span.end) for span in spans]
        repeats: list[Span] = []
        for surface, entity in surfaces.items():
            at = text.find(surface)
            while at >= 0:
                end = at + len(surface)
                if not any(start <= at and end <= stop for start, stop in covered) and (
                    is_han(surface[0]) or _alone(text, at, end)
                ):
                    repeats.append(Span(at, end, entity, self._rules.repeat_score, "repeat"))
                at = text.find(surface, at + 1)
        return _without_placeholders(text, repeats) if repeats else repeats


def _alone(text: str, start: int, end: int) -> bool:
    before = text[start - 1] if start else " "
    after = text[end] if end < len(text) else " "
    return not ((before.isascii() and before.isalnum()) or (after.isascii() and after.isalnum()))


def _without_placeholders(text: str, found: list[Span]) -> list[Span]:
    """Findings that do not touch a placeholder of the project's own."""
    if "[" not in text or not found:
        return found
    placed = [match.span() for match in PLACEHOLDER.finditer(text)]
    if not placed:
        return found
    return [span for span in found if not any(start < span.end and span.start < end for start, end in placed)]

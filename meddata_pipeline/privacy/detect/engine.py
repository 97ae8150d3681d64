"""The detector: Presidio's analyzer with the project's recognizers, what is known beforehand, and the merging.

What belongs here: the chain from texts to spans. What does not: single rules, replacing, columns.

Presidio is built explicitly, with its no-op NLP engine: no model is loaded and nothing is ever downloaded.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from meddata_pipeline.privacy.detect.fold import Compact, Folded, fold_many, loosen
from meddata_pipeline.privacy.detect.known import NOTHING, Roster, needles_of, needles_of_name, own_needles
from meddata_pipeline.privacy.detect.lists import neighbours
from meddata_pipeline.privacy.detect.merge import IN_DOUBT, MergeRules, default_rules, in_doubt, merge
from meddata_pipeline.privacy.detect.models import models
from meddata_pipeline.privacy.detect.models.chinese import ChineseModel
from meddata_pipeline.privacy.detect.names import grammar, is_han
from meddata_pipeline.privacy.detect.pause import collector_paused
from meddata_pipeline.privacy.detect.recognizers import rules
from meddata_pipeline.privacy.detect.types import Known, Span
from meddata_pipeline.privacy.detect.variants import words_against
from meddata_pipeline.privacy.detect.words import alternation, words

if TYPE_CHECKING:
    from presidio_analyzer import AnalyzerEngine

LANGUAGES = ("zh", "en")
#: Characters that one call of Presidio gets.
CALL_CHARACTERS = 50_000
#: How often a text is looked at again when a finding touches letters or digits.
SECOND_LOOKS = 3
#: Stands in for what was found when a text is looked at again.
MASK = "\u25a1"
#: What the project itself writes in place of an identifier.
PLACEHOLDER = re.compile(r"\[([A-Z]+(?:_[A-Z]+)*)_([0-9]+)\]")
#: The least score of a finding that is seen only without a line break or blanks: the shape must speak for itself.
LOOSE_SCORE = 0.85
#: A name may be seen only without blanks; its own grammar already says where it ends.
LOOSE_NAME_SCORE = 0.7
#: A finding of this score leaves no doubt for the names model.
COVERED = 0.85
#: The rule for names with a dot sees them surely, but not always where they end.
DOTTED = "name-with-dot"
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
#: Running words may join up by chance; these have no shape of their own that would show it.
_NOT_LOOSE = frozenset({"ORGANIZATION", "LOCATION", "DATE_TIME", "OTHER_ID"})


def build_analyzer(
    langs: Sequence[str] = LANGUAGES,
    id_patterns: Mapping[str, str] | None = None,
    *,
    fused: bool = True,
    folded: bool = False,
) -> AnalyzerEngine:
    """A Presidio analyzer with the project's recognizers.

    Args:
        langs: languages among zh and en.
        id_patterns: the hospital's own number shapes.
        fused: one recognizer for all rules (fast), or one recognizer per rule.
        folded: whether the texts will come folded (fused only).
    """
    from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
    from presidio_analyzer.nlp_engine import NoOpNlpEngine

    from meddata_pipeline.privacy.detect.adapter import FusedRecognizer, ModelRecognizer, NoContext, RuleRecognizer

    recognizers: list[Any] = []
    for lang in langs:
        found = rules(lang, id_patterns)
        recognizers += (
            [FusedRecognizer(found, lang, folded=folded)] if fused else [RuleRecognizer(rule, lang) for rule in found]
        )
        # The detector asks the Chinese model itself, once it knows what else was found.
        if not (folded and lang == "zh"):
            recognizers += [ModelRecognizer(model, lang, folded=folded) for model in models(lang)]
    return AnalyzerEngine(
        registry=RecognizerRegistry(recognizers=recognizers, supported_languages=list(langs)),
        nlp_engine=NoOpNlpEngine(models=[{"lang_code": lang, "model_name": "none"} for lang in langs]),
        supported_languages=list(langs),
        context_aware_enhancer=NoContext(),
    )


def language_of(text: str) -> str:
    """``zh`` where the text holds an ideograph, otherwise ``en``."""
    return "zh" if _HAN.search(text) else "en"


def reads_like_note(text: str) -> bool:
    """Whether a folded text holds the words of clinical notes: two different ones."""
    first = ""
    for match in _note_words().finditer(text):
        if first and match.group() != first:
            return True
        first = match.group()
    return False


@cache
def _note_words() -> re.Pattern[str]:
    return re.compile(alternation(words("note_words")))


class Findings(NamedTuple):
    """What was found in one text.

    Attributes:
        spans: what counts.
        uncertain: what does not count and must not pass unseen either; clear of ``spans``.
    """

    spans: list[Span]
    uncertain: list[Span]


class _Document:
    """A text with what was found in it regardless of whom it is about."""

    __slots__ = ("_compact", "folded", "found", "text")

    def __init__(self, text: str, folded: Folded) -> None:
        self.text = text
        self.folded = folded
        self.found: list[Span] = []
        self._compact: Compact | None = None

    @property
    def compact(self) -> Compact:
        """The compact form, made when it is asked for."""
        if self._compact is None:
            self._compact = Compact(self.folded.text)
        return self._compact


def _read(texts: Sequence[str]) -> list[_Document]:
    return [_Document(text, folded) for text, folded in zip(texts, fold_many(texts), strict=True)]


#: A text, what is known of its person, and the numbers of its record.
_Key = tuple[str, Known | None, tuple[str, ...]]


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
        self._engine = build_analyzer(LANGUAGES if lang == "auto" else (lang,), id_patterns, folded=True)
        # The no-op engine's answer is the same for every text.
        self._artifacts = {x: self._engine.nlp_engine.process_text("", x) for x in self._engine.supported_languages}
        self._model = ChineseModel() if lang != "en" else None
        self._roster = Roster(roster)
        self._staffed = bool(roster)
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
        return [findings.spans for findings in self.examine(texts, known, numbers)]

    def examine(
        self,
        texts: Sequence[str],
        known: Sequence[Known | None] | None = None,
        numbers: Sequence[Sequence[str]] | None = None,
    ) -> list[Findings]:
        """As ``analyze``, with what is uncertain beside what counts.

        Equal texts about the same person share one object.
        """
        if any(given is not None and len(given) != len(texts) for given in (known, numbers)):
            raise ValueError("known and numbers must have one entry per text")
        with collector_paused():
            return self._analyze(texts, known, numbers)

    def _analyze(
        self, texts: Sequence[str], known: Sequence[Known | None] | None, numbers: Sequence[Sequence[str]] | None
    ) -> list[Findings]:
        documents = self._documents(texts)
        rows: dict[_Key, int] = {}
        # For each text its row: equal texts about the same person share one.
        places: list[int] = []
        asked: list[_Document] = []
        hits: list[list[Span]] = []
        # Where nothing known is found, the answer is the text's; it is a note's where it comes with a patient's row.
        shared: dict[tuple[str, bool], int] = {}
        somebody: list[bool] = []
        for i, text in enumerate(texts):
            key = (text, known[i] if known is not None else None, tuple(numbers[i]) if numbers is not None else ())
            row = rows.get(key)
            if row is None:
                found = self._known_hits(documents[text], key[1], key[2])
                row = len(asked) if found else shared.setdefault((text, key[1] is not None), len(asked))
                rows[key] = row
                if row == len(asked):
                    asked.append(documents[text])
                    hits.append(found)
                    somebody.append(key[1] is not None)
            places.append(row)
        names = self._names(asked, hits, somebody)
        answers = self._finish(
            asked, [[*d.found, *named, *held] for d, named, held in zip(asked, names, hits, strict=True)]
        )
        return [answers[row] for row in places]

    def _names(
        self, asked: Sequence[_Document], hits: Sequence[Sequence[Span]], somebody: Sequence[bool]
    ) -> list[list[Span]]:
        """What the names model finds where rules, the roster and what is known leave a doubt."""
        names: list[list[Span]] = [[] for _ in asked]
        if self._model is None:
            return names
        rows = [i for i, d in enumerate(asked) if self._language(d.text) == "zh" and d.text.strip()]
        covered: list[list[tuple[int, int]]] = []
        for i in rows:
            # Findings have the offsets of the text as given: where folding moved them, all of it is asked about.
            moved = asked[i].folded.offsets is not None
            certain = () if moved else (*asked[i].found, *hits[i])
            covered.append([(s.start, s.end) for s in certain if s.score >= COVERED and s.source != DOTTED])
        # A text that comes with its patient's row, or from a hospital whose staff is known, is a note.
        notes = [somebody[i] or self._staffed or reads_like_note(asked[i].folded.text) for i in rows]
        answers = self._model.find_many([asked[i].folded.text for i in rows], covered, notes)
        for i, answer in zip(rows, answers, strict=True):
            found = [self._original(asked[i], Span(*hit, self._model.name)) for hit in answer]
            names[i] = _without_placeholders(asked[i].text, found)
        return names

    def _documents(self, texts: Iterable[str]) -> dict[str, _Document]:
        """Run Presidio and the roster over the distinct texts."""
        documents = {document.text: document for document in _read(list(dict.fromkeys(texts)))}
        waiting: dict[str, list[_Document]] = {}
        for document in documents.values():
            if not document.folded.text.strip():
                continue
            waiting.setdefault(self._language(document.text), []).append(document)
        for lang, group in waiting.items():
            for chunk in _chunks(group):
                self._search(chunk, lang)
            self._search_loose(group, lang)
        for document in documents.values():
            hits = self._roster.find(document.folded.text, document.compact)
            document.found += [self._original(document, span) for span in hits]
            document.found = _without_placeholders(document.text, document.found)
        return documents

    def _search(self, documents: Sequence[_Document], lang: str) -> None:
        """One call of Presidio for many texts; the findings go to the texts in which they lie."""
        from meddata_pipeline.privacy.detect.adapter import SEPARATOR

        # A separator inside a text gives way to a blank, which is one character too: offsets stay.
        joined = SEPARATOR.join(document.folded.text.replace(SEPARATOR, " ") for document in documents)
        starts = [0]
        for document in documents:
            starts.append(starts[-1] + len(document.folded.text) + 1)
        artifacts = self._artifacts[lang]
        # Scores are weighed when findings are merged, not here.
        for r in self._engine.analyze(text=joined, language=lang, nlp_artifacts=artifacts, score_threshold=0.0):
            i = bisect_right(starts, r.start) - 1
            name = r.recognition_metadata["recognizer_name"]
            span = Span(r.start - starts[i], r.end - starts[i], r.entity_type, r.score, name)
            documents[i].found.append(self._original(documents[i], span))

    def _search_loose(self, documents: Sequence[_Document], lang: str) -> None:
        """Search the second views of those texts that have one; what reaches over a dropped character is new."""
        views = [(document, view) for document in documents if (view := loosen(document.folded.text)) is not None]
        twins = _read([view.text for _, view in views])
        for chunk in _chunks(twins):
            self._search(chunk, lang)
        for (document, view), twin in zip(views, twins, strict=True):
            for span in twin.found:
                start, end = view.original(span.start, span.end)
                least = LOOSE_NAME_SCORE if span.entity == "PERSON" else LOOSE_SCORE
                changed = document.folded.text[start:end] != view.text[span.start : span.end]
                if changed and span.score >= least and span.entity not in _NOT_LOOSE:
                    document.found.append(self._original(document, span._replace(start=start, end=end)))

    @staticmethod
    def _original(document: _Document, span: Span) -> Span:
        if document.folded.offsets is None:
            return span
        start, end = document.folded.original(span.start, span.end)
        return span._replace(start=start, end=end)

    def _known_hits(self, document: _Document, about: Known | None, own: Sequence[str]) -> list[Span]:
        """Where a text holds what is known of its person, and the numbers of its record."""
        needles = self._needles(about) if about is not None else NOTHING
        found = [*needles.find(document.folded.text, document.compact)]
        if own:
            found += own_needles(own).find(document.folded.text, document.compact)
        return _without_placeholders(document.text, [self._original(document, span) for span in found])

    def _finish(self, documents: Sequence[_Document], found: Sequence[Sequence[Span]]) -> list[Findings]:
        """Merge, after looking for every found name and number in the rest of its text."""
        merged: list[list[Span]] = []
        for document, spans in zip(documents, found, strict=True):
            text = document.text
            strong = merge(text, spans, self._rules)
            listed = self._listed(document, strong)
            repeats = [
                *_without_placeholders(text, self._variants(document, strong)),
                *self.repeats(text, strong),
                *listed,
                *self.repeats(text, listed),
            ]
            merged.append(merge(text, [*spans, *repeats], self._rules) if repeats else strong)
        waiting: Iterable[int] = range(len(documents))
        for _ in range(SECOND_LOOKS):
            more = self._second_look([(i, documents[i].text, merged[i]) for i in waiting])
            for i, spans in more.items():
                merged[i] = merge(documents[i].text, [*merged[i], *spans], self._rules)
            waiting = more
        return [
            Findings(strong, in_doubt(document.text, spans, strong, self._rules))
            for document, spans, strong in zip(documents, found, merged, strict=True)
        ]

    def _listed(self, document: _Document, merged: Sequence[Span]) -> list[Span]:
        """Names beside certain names in lists; only in texts in which folding moved nothing."""
        if not merged or document.folded.offsets is not None or self._language(document.text) != "zh":
            return []
        return _without_placeholders(document.text, neighbours(document.folded.text, merged))

    def _second_look(self, merged: Iterable[tuple[int, str, Sequence[Span]]]) -> dict[int, list[Span]]:
        """What is seen only once the findings are masked: an address of which a letter was stuck to another finding.

        Only texts in which a letter or digit touches a finding are looked at again.

        Args:
            merged: a number, a text, and what was found in it.

        Returns:
            By number what is new, where anything is.
        """
        touched = [(i, text, spans) for i, text, spans in merged if _touched(text, spans)]
        looks = _read([_masked(text, spans) for _, text, spans in touched])
        waiting: dict[str, list[_Document]] = {}
        for (_, text, _), document in zip(touched, looks, strict=True):
            waiting.setdefault(self._language(text), []).append(document)
        for lang, group in waiting.items():
            for chunk in _chunks(group):
                self._search(chunk, lang)
        more: dict[int, list[Span]] = {}
        for (i, _, spans), document in zip(touched, looks, strict=True):
            new = [
                span
                for span in _without_placeholders(document.text, document.found)
                if span.score >= self._rules.threshold[span.entity] and not _overlaps(span, spans)
            ]
            if new:
                more[i] = new
        return more

    def _language(self, text: str) -> str:
        return self.lang if self.lang != "auto" else language_of(text)

    def repeats(self, text: str, spans: Sequence[Span]) -> list[Span]:
        """Where else a text holds a name or number that was found in it once."""
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
                        and span.score < IN_DOUBT
                    ):
                        # The third character was taken in doubt: the name may have two.
                        surfaces.setdefault(surface[:2], span.entity)
        covered = [(span.start, span.end) for span in spans]
        repeats: list[Span] = []
        for surface, entity in surfaces.items():
            short_name = entity == "PERSON" and len(surface) == 2
            at = text.find(surface)
            while at >= 0:
                end = at + len(surface)
                if (
                    not any(start <= at and end <= stop for start, stop in covered)
                    and (is_han(surface[0]) or _alone(text, at, end))
                    and not (short_name and words_against(text, at, end) == 2)
                ):
                    repeats.append(Span(at, end, entity, self._rules.repeat_score, "repeat"))
                at = text.find(surface, at + 1)
        return _without_placeholders(text, repeats) if repeats else repeats

    def _variants(self, document: _Document, spans: Sequence[Span]) -> list[Span]:
        """Variants of the full names that were found with certainty: 张主任 and 老张 where 张伟 stands elsewhere.

        What is known of the patient has been looked for with its variants already.
        """
        names = {
            document.text[span.start : span.end]
            for span in spans
            if span.entity == "PERSON"
            and span.score >= IN_DOUBT
            and 2 <= span.end - span.start <= 4
            and not span.source.startswith("known/")
            and grammar().surname_length(document.text, span.start)
        }
        found = [
            self._original(document, hit)
            for name in sorted(names)
            for hit in needles_of_name(name).find(document.folded.text, document.compact)
        ]
        return [hit._replace(score=self._rules.repeat_score) for hit in found if not _overlaps(hit, spans)]


def _overlaps(span: Span, others: Sequence[Span]) -> bool:
    start, end = span.start, span.end
    for other in others:  # noqa: SIM110 - a generator in any() costs more than the comparisons
        if other.start < end and start < other.end:
            return True
    return False


def _touched(text: str, spans: Sequence[Span]) -> bool:
    """Whether a Latin letter or a digit touches a span."""
    size = len(text)
    for start, end, *_ in spans:
        if start and (c := text[start - 1]).isalnum() and not is_han(c):
            return True
        if end < size and (c := text[end]).isalnum() and not is_han(c):
            return True
    return False


def _masked(text: str, spans: Sequence[Span]) -> str:
    masked = list(text)
    for span in spans:
        masked[span.start : span.end] = MASK * (span.end - span.start)
    return "".join(masked)


def _chunks(documents: Sequence[_Document]) -> Iterator[list[_Document]]:
    """Texts of one call: enough to share its cost, few enough to keep it small."""
    chunk: list[_Document] = []
    size = 0
    for document in documents:
        chunk.append(document)
        size += len(document.text)
        if size >= CALL_CHARACTERS:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


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

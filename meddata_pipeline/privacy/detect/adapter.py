"""Rules and models as Presidio recognizers: each rule on its own, all of them fused into one, and each model.

What belongs here: the only classes of the project that inherit from Presidio's analyzer. The module imports Presidio
and is itself imported inside functions only, because that import takes seconds.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from contextlib import nullcontext
from itertools import accumulate
from typing import Any

from presidio_analyzer import EntityRecognizer, RecognizerResult
from presidio_analyzer.context_aware_enhancers import ContextAwareEnhancer

from meddata_pipeline.privacy.detect.fold import Folded, fold
from meddata_pipeline.privacy.detect.models import NamesModel
from meddata_pipeline.privacy.detect.recognizers import Rule
from meddata_pipeline.privacy.detect.recognizers.base import features
from meddata_pipeline.privacy.detect.sweep import SEPARATOR, swept

__all__ = ["SEPARATOR", "FusedRecognizer", "NoContext", "RuleRecognizer"]


class RuleRecognizer(EntityRecognizer):
    """One rule as a Presidio recognizer, for anybody's AnalyzerEngine.

    Args:
        rule: the rule.
        language: the language under which it is registered.
    """

    def __init__(self, rule: Rule, language: str) -> None:
        self.rule = rule
        super().__init__(supported_entities=list(rule.entities), name=rule.name, supported_language=language)

    def load(self) -> None:
        """Nothing to load: rules hold no model."""

    def analyze(self, text: str, entities: list[str], nlp_artifacts: Any = None) -> list[RecognizerResult]:
        """Presidio's interface: results with offsets of the text as given."""
        folded = fold(text)
        results = []
        for hit in self.rule.find(folded.text):
            if hit.entity in entities:
                start, end = folded.original(hit.start, hit.end)
                results.append(_result(hit.entity, start, end, hit.score, self.rule.name, self.id))
        return results


#: Characters of a single text from which on a sweep is faster than its patterns one by one.
WORTH_SWEEPING = 300


class FusedRecognizer(EntityRecognizer):
    """All rules in one recognizer: Presidio's bookkeeping runs once.

    A text may be many texts with SEPARATOR between them: Presidio's cost per call is then shared by all of them.

    Args:
        rules: the rules.
        language: the language under which it is registered.
        folded: whether texts come folded already, as the detector has them.
    """

    def __init__(self, rules: Sequence[Rule], language: str, *, folded: bool = False) -> None:
        self.rules = tuple(rules)
        self._folded = folded
        entities = sorted({entity for rule in rules for entity in rule.entities})
        super().__init__(supported_entities=entities, name="fused", supported_language=language)
        # One for all results of a rule: none is ever changed.
        self._metadata = [_metadata(rule.name, self.id) for rule in self.rules]

    def load(self) -> None:
        """Nothing to load: rules hold no model."""

    def analyze(self, text: str, entities: list[str], nlp_artifacts: Any = None) -> list[RecognizerResult]:
        """Presidio's interface; the source of a result is the rule that found it."""
        parts = [Folded(part, None) if self._folded else fold(part) for part in text.split(SEPARATOR)]
        # The text as given, unless folding has changed it: then places must be led back part by part.
        whole = text if self._folded else SEPARATOR.join(part.text for part in parts)
        bases = list(accumulate((len(part) + 1 for part in text.split(SEPARATOR)), initial=0))
        starts = bases if self._folded else list(accumulate((len(part.text) + 1 for part in parts), initial=0))
        held: dict[int, frozenset[str]] = {}

        def holds(i: int, needed: str) -> bool:
            if i not in held:
                held[i] = features(parts[i].text)
            return needed in held[i]

        results: list[RecognizerResult] = []
        # A short text alone is searched sooner than swept.
        with swept(whole) if len(whole) > WORTH_SWEEPING or len(parts) > 1 else nullcontext():
            # Rule by rule over all texts, not text by text: a rule's tables stay in the processor's cache.
            for rule, metadata in zip(self.rules, self._metadata, strict=True):
                if rule.across:
                    hits = rule.find(whole)
                    if self._folded and not rule.needs:
                        results += [
                            _Result(e, start, end, score, recognition_metadata=metadata)
                            for start, end, e, score in hits
                        ]
                        continue
                    found = ((bisect_right(starts, hit.start) - 1, hit) for hit in hits)
                else:
                    found = (
                        (i, hit._replace(start=hit.start + starts[i], end=hit.end + starts[i]))
                        for i, part in enumerate(parts)
                        if not rule.needs or holds(i, rule.needs)
                        for hit in rule.find(part.text)
                    )
                for i, hit in found:
                    if rule.needs and not holds(i, rule.needs):
                        continue
                    start, end = parts[i].original(hit.start - starts[i], hit.end - starts[i])
                    results.append(
                        _Result(hit.entity, bases[i] + start, bases[i] + end, hit.score, recognition_metadata=metadata)
                    )
        return results


class _Result(RecognizerResult):
    """A result that is hashed as fast as it is compared: Presidio formats four values to hash them."""

    def __hash__(self) -> int:
        return hash((self.start, self.end, self.score, self.entity_type))


class ModelRecognizer(EntityRecognizer):
    """A model as a Presidio recognizer; the texts of one call reach the model together.

    Args:
        model: the model.
        language: the language under which it is registered.
        folded: whether texts come folded already, as the detector has them.
    """

    def __init__(self, model: NamesModel, language: str, *, folded: bool = False) -> None:
        self.model = model
        self._folded = folded
        super().__init__(supported_entities=list(model.entities), name=model.name, supported_language=language)

    def load(self) -> None:
        """Nothing here: a model loads itself at its first use."""

    def analyze(self, text: str, entities: list[str], nlp_artifacts: Any = None) -> list[RecognizerResult]:
        """Presidio's interface; the source of a result is the model."""
        parts = text.split(SEPARATOR)
        insides = [Folded(part, None) if self._folded else fold(part) for part in parts]
        results = []
        base = 0
        for part, inside, hits in zip(parts, insides, self.model.find_many([x.text for x in insides]), strict=True):
            for hit in hits:
                if hit.entity in entities:
                    start, end = inside.original(hit.start, hit.end)
                    results.append(_result(hit.entity, base + start, base + end, hit.score, self.model.name, self.id))
            base += len(part) + 1
        return results


class NoContext(ContextAwareEnhancer):
    """No enhancement by lemmas: there is no language model, and the rules look at the context themselves.

    Presidio's default enhancer would copy every result deeply to add nothing to it.
    """

    def __init__(self) -> None:
        super().__init__(0.0, 0.0, 0, 0)

    def enhance_using_context(
        self, text: str, raw_results: Any, nlp_artifacts: Any, recognizers: Any, context: Any = None
    ) -> Any:
        """The results as they are."""
        return raw_results


def _result(entity: str, start: int, end: int, score: float, name: str, identifier: str) -> RecognizerResult:
    return RecognizerResult(entity, start, end, score, recognition_metadata=_metadata(name, identifier))


def _metadata(name: str, identifier: str) -> dict[str, str]:
    return {
        RecognizerResult.RECOGNIZER_NAME_KEY: name,
        RecognizerResult.RECOGNIZER_IDENTIFIER_KEY: identifier,
    }

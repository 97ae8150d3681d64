"""Rules as Presidio recognizers: each on its own, and all of them fused into one.

What belongs here: the only classes of the project that inherit from Presidio's analyzer. The module imports Presidio
and is itself imported inside functions only, because that import takes seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from presidio_analyzer import EntityRecognizer, RecognizerResult
from presidio_analyzer.context_aware_enhancers import ContextAwareEnhancer

from meddata_pipeline.privacy.detect.fold import fold
from meddata_pipeline.privacy.detect.recognizers import Rule


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


class FusedRecognizer(EntityRecognizer):
    """All rules in one recognizer: a text is folded once and Presidio's bookkeeping runs once.

    Args:
        rules: the rules.
        language: the language under which it is registered.
    """

    def __init__(self, rules: Sequence[Rule], language: str) -> None:
        self.rules = tuple(rules)
        entities = sorted({entity for rule in rules for entity in rule.entities})
        super().__init__(supported_entities=entities, name="fused", supported_language=language)

    def load(self) -> None:
        """Nothing to load: rules hold no model."""

    def analyze(self, text: str, entities: list[str], nlp_artifacts: Any = None) -> list[RecognizerResult]:
        """Presidio's interface; the source of a result is the rule that found it."""
        folded = fold(text)
        offsets, inside = folded.offsets, folded.text
        results = []
        for rule in self.rules:
            for start, end, entity, score in rule.find(inside):
                if offsets is not None:
                    start, end = offsets[start], offsets[end - 1] + 1
                results.append(_result(entity, start, end, score, rule.name, self.id))
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
    metadata = {
        RecognizerResult.RECOGNIZER_NAME_KEY: name,
        RecognizerResult.RECOGNIZER_IDENTIFIER_KEY: identifier,
    }
    return RecognizerResult(entity, start, end, score, recognition_metadata=metadata)

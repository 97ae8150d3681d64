"""Planted identifiers: where they stand, that nobody knows them, and that a detector that misses is told so."""

from __future__ import annotations

import re
from collections import Counter
from importlib import resources
from typing import Any

import pytest
import yaml

from meddata_pipeline.app.leak_audit import AuditTerms, judge, load_terms, recall_by
from meddata_pipeline.core.config import Config
from meddata_pipeline.privacy import probes
from meddata_pipeline.privacy.detect import Detector, Findings, Known, Span
from meddata_pipeline.privacy.pseudonym import resident_id_is_valid

NOTES = [
    "患者男，右下后牙自发痛三天，夜间加重。检查：深龋，探痛，叩痛。诊断：急性牙髓炎。",
    "主诉：左上牙冷热痛一周。既往体健，否认过敏史；处理：开髓引流，封药。",
]
ENGLISH = ["The patient presents with tooth pain. Exam shows deep caries. Plan: root canal therapy."]
COUNTS = dict.fromkeys(probes.entities("zh"), 16)


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Detector(roster=["单于百灵"])


def planted(seed: bytes = b"1", unknown_to: frozenset[str] = frozenset()) -> list[probes.Probe]:
    return probes.plant(NOTES, COUNTS, seed=seed, unknown_to=unknown_to)


def test_a_copy_is_its_note_and_one_sentence_more() -> None:
    made = planted()
    assert Counter(p.entity for p in made) == COUNTS
    for probe in made:
        assert probe.value and probe.value not in NOTES[probe.note]
        # What is left when the inserted stretch is cut out again is the note itself.
        grown = len(probe.text) - len(NOTES[probe.note])
        cuts = {probe.text[:i] + probe.text[i + grown :] for i in range(probe.start + 1)}
        assert NOTES[probe.note] in cuts


def test_places_are_what_they_are_called() -> None:
    for probe in planted():
        before = probe.text[: probe.start]
        if probe.place == "start":
            assert len(before) <= 12
        elif probe.place == "signature":
            assert probe.text.startswith(NOTES[probe.note] + "\n")
        elif probe.place == "glued":
            inserted = next(i for i, (a, b) in enumerate(zip(probe.text, NOTES[probe.note], strict=False)) if a != b)
            assert probe.text[inserted - 1] not in " ，。；\n"
        else:
            assert re.search(r"[。；]", before)


def test_the_same_seed_plants_the_same_and_another_one_others() -> None:
    assert planted() == planted()
    assert {p.value for p in planted()} != {p.value for p in planted(b"2")}


def test_names_that_the_hospital_knows_are_not_planted() -> None:
    first = {p.value for p in planted() if p.entity == "PERSON"}
    second = {p.value for p in planted(unknown_to=frozenset(first)) if p.entity == "PERSON"}
    assert first and not first & second


def test_numbers_are_of_the_right_form() -> None:
    for probe in planted():
        value = probe.value.translate({0xFF10 + i: str(i) for i in range(10)}).replace(" ", "").upper()
        if probe.entity == "CN_RESIDENT_ID":
            assert resident_id_is_valid(value), probe.value
        elif probe.entity == "AGE":
            assert int(value.rstrip("岁")) > 89


class Crippled(Detector):
    """A detector that finds nothing of some entities."""

    blind = frozenset({"PHONE_NUMBER", "PERSON"})

    def examine(self, texts: Any, known: Any = None, numbers: Any = None) -> list[Findings]:
        def seen(spans: list[Span]) -> list[Span]:
            return [s for s in spans if s.entity not in self.blind]

        return [Findings(seen(f.spans), seen(f.uncertain)) for f in super().examine(texts, known, numbers)]


def _recall(detector: Detector) -> dict[str, dict[str, Any]]:
    made = planted()
    shares = probes.search(made, detector, [None] * len(made))
    rows = [
        {"entity": p.entity, "place": p.place, "planted": 1, "found": int(s == 1.0), "partly": int(0 < s < 1),
         "known_planted": 0, "known_found": 0}
        for p, s in zip(made, shares, strict=True)
    ]  # fmt: skip
    return recall_by(rows, "entity")


def test_a_crippled_detector_is_seen_to_miss_what_it_misses(detector: Detector) -> None:
    sound, broken = _recall(detector), _recall(Crippled())
    assert sound["PHONE_NUMBER"]["recall"] > 0.9
    assert broken["PHONE_NUMBER"]["found"] == broken["PERSON"]["found"] == 0
    assert broken["CN_RESIDENT_ID"] == sound["CN_RESIDENT_ID"]
    terms = load_terms(Config([]))
    warning, floor = judge(broken, terms)
    assert (warning.passed, warning.severity) == (False, "warning")
    assert (floor.passed, floor.severity, floor.code) == (False, "error", "detector-broken")
    assert "PHONE_NUMBER" in floor.detail and "PERSON" not in floor.detail
    assert judge(sound, terms)[1].passed


def test_few_misses_do_not_stop_a_night() -> None:
    terms = AuditTerms(notes=1, shortest=1, probes={}, warn_below={"URL": 0.95}, block_below={"URL": 0.8})
    row = {"planted": 24, "partly": 0, "known_planted": 0, "known_found": 0}
    for found, warns, stops in ((24, False, False), (18, True, False), (9, True, True)):
        recall = recall_by([{"entity": "URL", "place": "start", "found": found, **row}], "entity")
        warning, floor = judge(recall, terms)
        assert (not warning.passed, not floor.passed) == (warns, stops)


def test_no_notes_are_said_to_be_no_notes() -> None:
    assert [(c.passed, c.detail) for c in judge({}, load_terms(Config([])))] == [(True, "no notes to plant into")] * 2


def test_what_stands_in_the_patients_row_is_found(detector: Detector) -> None:
    """The same names that rules miss: exact matching finds them, which is why the audit tells both recalls."""
    made = [p for p in planted() if p.entity == "PERSON"]
    unknown = probes.search(made, detector, [None] * len(made))
    told = probes.search(made, detector, [probes.with_known(p, Known(names=("周既明",))) for p in made])
    assert sum(s == 1.0 for s in told) == len(made) > sum(s == 1.0 for s in unknown)


def test_partly_covered_is_not_found() -> None:
    probe = probes.Probe("家住临园路3号。", 2, 7, "LOCATION", "inside", 0)
    assert probes.covered(probe, [Span(2, 7, "X", 1, "a")]) == 1.0
    assert probes.covered(probe, [Span(0, 4, "X", 1, "a")]) == pytest.approx(0.4)
    assert probes.covered(probe, []) == 0.0


def test_english_notes_get_english_identifiers(detector: Detector) -> None:
    made = probes.plant(ENGLISH, {"US_SSN": 8, "CN_PLATE": 8, "PERSON": 8}, seed=b"1", unknown_to=())
    assert Counter(p.entity for p in made) == {"US_SSN": 8, "PERSON": 8}
    assert all(p.text.isascii() for p in made)
    shares = probes.search([p for p in made if p.entity == "US_SSN"], detector, [None] * 8)
    assert min(shares) == 1.0


def _strings(node: Any) -> set[str]:
    if isinstance(node, str):
        return {node}
    if isinstance(node, dict):
        return {s for v in node.values() for s in _strings(v)}
    return {s for v in node for s in _strings(v)} if isinstance(node, list) else set()


def test_the_probes_share_no_list_with_the_recognizers_nor_with_the_generator() -> None:
    """Surnames are those of the country in all of them; places, streets and given names need not be shared."""
    files = [resources.files("meddata_pipeline.privacy.detect") / "words.yaml"]
    files += list((resources.files("meddata_pipeline.samples") / "vocabulary").iterdir())
    files += list((resources.files("meddata_pipeline.samples") / "render" / "styles").iterdir())
    others: set[str] = set()
    for file in files:
        if file.name.endswith(".yaml"):
            others |= {w for s in _strings(yaml.safe_load(file.read_text(encoding="utf-8"))) for w in (s, *s.split())}
    assert len(others) > 1_000
    for lang in ("zh", "en"):
        for name, list_ in probes.words(lang).items():
            if name in ("surnames", "long_surnames"):
                continue
            shared = {w for w in list_ if len(w) > 1} & others
            assert len(shared) <= 1, (name, shared)

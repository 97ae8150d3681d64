"""The scoring on spans counted by hand, and the offsets of made-up notes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from meddata_pipeline.privacy.pseudonym import resident_id_is_valid
from meddata_pipeline_tests.evaluation import readers
from meddata_pipeline_tests.evaluation.measure import STYLES
from meddata_pipeline_tests.evaluation.notes import Note, Truth
from meddata_pipeline_tests.evaluation.scoring import score
from meddata_pipeline_tests.evaluation.style import make_notes

TEXT = "患者张三丰，电话13812345678，服帕金森药"
NOTE = Note(
    "1",
    TEXT,
    None,
    (),
    [Truth(2, 5, "PERSON"), Truth(8, 19, "PHONE_NUMBER")],
    [Truth(21, 24, "content")],
)


def test_all_right() -> None:
    scores = score([NOTE], [NOTE.spans])
    assert scores.table()["entities"]["PERSON"]["exact_f1"] == 1
    assert (scores.leak_rate, scores.content_kept, scores.of(["PERSON"]).character_recall) == (0, 1, 1)
    assert not scores.errors


def test_a_name_cut_short_leaks_a_third_and_is_not_exact_but_no_false_alarm() -> None:
    scores = score([NOTE], [[Truth(2, 4, "PERSON"), NOTE.spans[1]]])
    names = scores.of(["PERSON"])
    assert names.character_recall == pytest.approx(2 / 3)
    assert (names.exact, names.precision, names.covered, names.false_alarms) == (0, 1, 0, 0)
    assert scores.leak_rate == 1


def test_masked_under_another_entity_does_not_leak_but_is_not_right() -> None:
    scores = score([NOTE], [[NOTE.spans[0], Truth(8, 19, "OTHER_ID")]])
    assert scores.leak_rate == 0
    assert scores.of(["PHONE_NUMBER"]).exact_recall == 0
    assert scores.of(["PHONE_NUMBER"]).covered_recall == 1
    assert (scores.of(["OTHER_ID"]).right, scores.of(["OTHER_ID"]).false_alarms) == (0, 0)


def test_a_false_name_loses_content_and_counts_per_100k_only_in_notes_without_names() -> None:
    named = score([NOTE], [[*NOTE.spans, Truth(21, 24, "PERSON")]])
    assert named.content_kept == 0
    assert named.of(["PERSON"]).precision == 0.5
    assert named.false_names_per_100k == 0
    free = Note("2", "帕金森药" * 25, None, (), name_free=True)
    assert score([free], [[Truth(0, 3, "PERSON")]]).false_names_per_100k == 1000


def test_dates_do_not_count_as_leaks_and_withholding_is_counted() -> None:
    note = Note("3", "2023年5月1日入院", None, (), [Truth(0, 9, "DATE_TIME")])
    scores = score([note], [[]], [[Truth(0, 11, "PERSON")]])
    assert scores.leak_rate == 0
    assert scores.table()["withheld_notes"] == 1
    assert scores.table()["withheld_characters"] == 1


def test_what_is_withheld_neither_leaks_nor_counts_as_found() -> None:
    assert score([NOTE], [[]]).leak_rate == 1
    held = score([NOTE], [[]], [NOTE.spans])
    assert held.leak_rate == 0
    assert held.of(["PERSON"]).character_recall == 1
    assert held.of(["PERSON"]).exact_recall == 0
    assert held.of(["PERSON"]).predicted == 0


def test_punctuation_inside_a_value_need_not_be_masked() -> None:
    note = Note("4", "138-1234", None, (), [Truth(0, 8, "PHONE_NUMBER")])
    assert score([note], [[Truth(0, 3, "PHONE_NUMBER"), Truth(4, 8, "PHONE_NUMBER")]]).leak_rate == 0


@pytest.mark.parametrize("letter", sorted(STYLES))
def test_truth_points_at_what_it_says_and_notes_repeat(letter: str) -> None:
    notes = make_notes(STYLES[letter], 60, 3)
    assert [n.as_dict() for n in notes] == [n.as_dict() for n in make_notes(STYLES[letter], 60, 3)]
    for note in notes:
        end = 0
        for span in note.spans:
            assert end <= span.start < span.end <= len(note.text)
            assert note.text[span.start : span.end].strip() == note.text[span.start : span.end]
            end = span.end
        assert "{" not in note.text
        assert note.known is not None
        assert resident_id_is_valid(note.known["resident_id"])
    assert all(any(s.entity == "PERSON" for s in note.spans) for note in notes)
    free = make_notes(STYLES[letter], 60, 3, name_free=True)
    assert not any(note.spans for note in free)
    assert all(note.content and note.known is None for note in free)


def test_authors_share_no_sentence() -> None:
    seen: dict[str, str] = {}
    for letter, style in STYLES.items():
        for _, frames in (*style.sections, *style.free):
            for frame in frames:
                assert seen.setdefault(frame, letter) == letter


def test_reader_keeps_the_wanted_entities(tmp_path: Path) -> None:
    row = {
        "text": "张三在北京",
        "spans": [{"start": 0, "end": 2, "label": "PERSON"}, {"start": 3, "end": 5, "label": "X"}],
    }
    path = tmp_path / "x.jsonl"
    path.write_text(json.dumps(row, ensure_ascii=False) + "\n", encoding="utf-8")
    assert readers.read(path)[0].spans == [Truth(0, 2, "PERSON")]

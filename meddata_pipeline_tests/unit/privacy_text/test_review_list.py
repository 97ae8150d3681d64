"""The review list in the deid layer: stable items, and what a decision changes and does not change."""

from __future__ import annotations

import pytest

from meddata_pipeline.privacy import deid, identities
from meddata_pipeline.privacy.deid import DeidResult
from meddata_pipeline.privacy.detect import engine
from meddata_pipeline.privacy.masker import Batch, Masker, masking
from meddata_pipeline.privacy.review import Decision, Item, Reviewer, by_importance, facts, items_of, table_of
from meddata_pipeline.privacy.second_pass import Accepted
from meddata_pipeline.scale import LocalMapper
from meddata_pipeline_tests.unit.privacy_text.doubtful import doubtful_rules
from meddata_pipeline_tests.unit.privacy_text.test_deid_layer import records

KEY = b"k" * 32
NUMBER = "998877665544"
TEXT = f"患者联系电话13812345678，耗材批号{NUMBER}，已核对。"


@pytest.fixture(scope="module")
def masker() -> Masker:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "default_rules", doubtful_rules)
        return Masker(KEY)


def run(masker: Masker, texts: list[str | None], decisions: list[Decision] | None = None) -> DeidResult:
    table = records("note", [{"patient_no": "P1", "text": text} for text in texts])
    nobody = identities.build({"patient": records("patient", [])}, KEY)
    return deid.Deidentifier(nobody, KEY, masker, Reviewer(KEY, decisions or [])).table("note", table)


def decide(item: Item, decision: str) -> Decision:
    return Decision(item, decision, "privacy-officer", "w", "seen")


def test_an_item_has_what_a_person_needs_and_an_id_that_stays(masker: Masker) -> None:
    (item,) = run(masker, [None, TEXT]).review
    assert (item.entity, item.reason, item.state, item.surface) == ("OTHER_ID", "uncertain", "open", NUMBER)
    assert TEXT[item.start : item.start + item.length] == NUMBER
    assert TEXT.index(item.before + item.surface + item.after) == item.start - 20
    # Another text beside it and an earlier change of length in its own output do not matter.
    again = run(masker, ["电话13912345678", TEXT]).review
    assert [i.id for i in again] == [item.id]
    elsewhere = run(masker, [TEXT]).review
    assert elsewhere[0].id != item.id
    assert items_of(table_of([item])) == [item]
    assert facts([item]) == {"open": 1, "by_entity": {"OTHER_ID": 1}}
    hidden = {item.surface, item.before, item.after, item.seen}
    assert not hidden & {str(value) for value in item.public().values()}


def test_acceptance_counts_for_its_document_only(masker: Masker) -> None:
    first, _ = sorted(run(masker, [TEXT, TEXT]).review, key=lambda i: i.id)
    result = run(masker, [TEXT, TEXT], [decide(first, "accepted")])
    free = [NUMBER in text for text in result.table["text"].to_pylist()]
    assert sorted(free) == [False, True]
    assert all("13812345678" not in text for text in result.table["text"].to_pylist())
    assert {i.id: (i.state, i.by) for i in result.review}[first.id] == ("accepted", "privacy-officer/w")
    assert facts(result.review) == {"open": 1, "by_entity": {"OTHER_ID": 1}}
    # The same again, decisions included: nothing moves.
    again = run(masker, [TEXT, TEXT], [decide(first, "accepted")])
    assert again.table.equals(result.table) and again.review == result.review


def test_what_is_accepted_travels_with_a_batch_to_the_workers(monkeypatch: pytest.MonkeyPatch, masker: Masker) -> None:
    monkeypatch.setattr(engine, "default_rules", doubtful_rules)
    free = (Accepted(NUMBER, "OTHER_ID"),)
    given = Batch([TEXT] * 3, [None] * 3, [()] * 3, [(), free, ()])
    texts, spans = masker.mask(given)
    again = Masker(KEY, mapper=LocalMapper(masking(masker.recipe))).mask(given)
    assert [NUMBER in text for text in texts] == [False, True, False]
    assert again[0] == texts and again[1].equals(spans)


def test_a_decision_ends_where_the_text_that_was_seen_changes(masker: Masker) -> None:
    (item,) = run(masker, [TEXT]).review
    changed = TEXT.replace(NUMBER, "110105199003")
    result = run(masker, [changed], [decide(item, "accepted")])
    assert "110105199003" not in result.table["text"][0].as_py()
    assert [(i.id, i.state) for i in result.review] == [(item.id, "open")]


def test_masking_wins_over_accepting_the_same_surface(masker: Masker) -> None:
    text = f"{TEXT}又见{NUMBER}。"
    first, second = run(masker, [text]).review
    result = run(masker, [text], [decide(first, "accepted"), decide(second, "masked")])
    assert NUMBER not in result.table["text"][0].as_py()
    both = run(masker, [text], [decide(first, "accepted")])
    assert both.table["text"][0].as_py().count(NUMBER) == 2


def test_direct_identifiers_come_first(masker: Masker) -> None:
    (item,) = run(masker, [TEXT]).review
    others = [
        Item(**{**vars(item), "id": entity, "entity": entity, "score": score})
        for entity, score in (("LOCATION", 0.49), ("PERSON", 0.36), ("PERSON", 0.41))
    ]
    assert [(i.entity, i.score) for i in by_importance([*others, item])] == [
        ("PERSON", 0.41),
        ("PERSON", 0.36),
        ("LOCATION", 0.49),
        ("OTHER_ID", 0.5),
    ]

"""The lattice of words and names against a slow reading of all ways, and what the names model weighs."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meddata_pipeline.privacy.detect.models import shape as shapes
from meddata_pipeline.privacy.detect.models.chinese import ChineseModel, votes_of
from meddata_pipeline.privacy.detect.models.evidence import candidates, chances
from meddata_pipeline.privacy.detect.models.lexicon import LONGEST, clinical_words, within_clinical
from meddata_pipeline.privacy.detect.models.packages import recipes
from meddata_pipeline.privacy.detect.models.shape import shape

_LETTERS = "张王李欧阳明伟芳病痛患者左右牙白云古丽阿的"


def _readings(text: str, at: int = 0) -> Iterator[tuple[float, tuple[tuple[int, int], ...]]]:
    """Every way to read a run: its weight, and the ranges that are names in it. Written without looking at `_run`."""
    lattice = shape()
    if at == len(text):
        yield 1.0, ()
        return
    steps = [(at + 1, lattice._words.get(text[at]) or lattice._unknown, False)]
    steps += [
        (end, lattice._words[text[at:end]], False)
        for end in range(at + 2, min(at + LONGEST, len(text)) + 1)
        if lattice._words.get(text[at:end])
    ]
    steps += [(end, weight, True) for end, weight in lattice._names_at(text, at)]
    for end, weight, named in steps:
        for rest, names in _readings(text, end):
            yield weight * rest, ((at, end), *names) if named else names


@settings(max_examples=60, deadline=None)
@given(st.text(_LETTERS, min_size=2, max_size=7))
def test_the_lattice_sums_over_all_readings(text: str) -> None:
    total = 0.0
    named: dict[tuple[int, int], float] = {}
    for weight, names in _readings(text):
        total += weight
        for place in names:
            named[place] = named.get(place, 0.0) + weight
    expected = {place: weight / total for place, weight in named.items() if weight / total >= shapes.LEAST * 1.001}
    found = {(start, end): p for start, end, p in shape().likely(text)}
    assert expected.keys() <= found.keys()
    assert all(math.isclose(found[place], p, rel_tol=1e-9) for place, p in expected.items())


@pytest.mark.parametrize(
    ("text", "name", "least"),
    [
        ("告知家属周建军病情", "周建军", 0.8),
        ("由欧阳嘉慧接待", "欧阳嘉慧", 0.9),
        ("与吉克阿依谈话", "吉克阿依", 0.8),
        ("今日史岩，", "史岩", 0.3),
    ],
)
def test_names_are_likely(text: str, name: str, least: float) -> None:
    found = {text[start:end]: p for start, end, p in shape().likely(text)}
    assert found.get(name, 0.0) > least


@pytest.mark.parametrize(
    "text", ["左侧慢性牙髓炎", "根尖周低密度影", "血压心率正常", "予布洛芬缓释胶囊", "黄芪白术水煎服"]
)
def test_clinical_words_are_not(text: str) -> None:
    assert all(within_clinical(text, start, end) for start, end, p in shape().likely(text) if p > 0.5)


def test_every_feature_has_its_weights() -> None:
    (votes,) = votes_of(["由周建军接待"])
    (_, features), *_ = list(candidates("由周建军接待", votes))
    for target in ("exact", "there"):
        assert recipes()["evidence"][target].keys() == {"bias", *features}
    assert all(0 < chance < 1 for chance in chances(features))


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(sorted(clinical_words())))
def test_a_clinical_word_is_nobody(word: str) -> None:
    (votes,) = votes_of([word])
    assert not [place for place, _ in candidates(word, votes) if place == (0, len(word))]


def test_a_note_has_a_lower_bar_than_any_other_text() -> None:
    text = "对方王萱亦在场，病案室公孙嘉琼接待，施胜取模"
    model = ChineseModel()
    (other,) = model.find_many([text], None, [False])
    (note,) = model.find_many([text], None, [True])
    masked = [{at for hit in hits for at in range(hit.start, hit.end)} for hits in (other, note)]
    assert masked[0] < masked[1]

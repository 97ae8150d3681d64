"""The names model for Chinese: its parts, what they decide together, and that damaged weights are refused."""

from __future__ import annotations

import shutil
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from meddata_pipeline.core.errors import ConfigError
from meddata_pipeline.privacy.detect import Detector
from meddata_pipeline.privacy.detect.models import bigru, chinese
from meddata_pipeline.privacy.detect.models.chinese import ChineseModel


def _names(text: str) -> list[str]:
    (hits,) = ChineseModel().find_many([text])
    return [text[h.start : h.end] for h in hits if h.score >= 0.5]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("昨日下午陈嘉禾陪她做了检查，结果正常。", ["陈嘉禾"]),
        ("法国总理若斯潘在会上讲话。", ["若斯潘"]),
        ("刘思琪说她不知道这件事", ["刘思琪"]),
        ("左侧后牙冷刺激痛，叩痛明显，牙龈红肿。", []),
        ("既往帕金森病、克罗恩病、库欣综合征病史。", []),
        ("墨菲征阴性，格林-巴利综合征待排。", []),
        ("", []),
        ("CRP 12.5 mg/L", []),
    ],
)
def test_names_in_running_text(text: str, names: list[str]) -> None:
    assert _names(text) == names


def test_offsets_are_those_of_the_text_in_every_clause() -> None:
    text = "牙龈红肿。昨日陈嘉禾来过，刘思琪没有来。\n陈嘉禾又来"
    (hits,) = ChineseModel().find_many([text])
    assert {text[h.start : h.end] for h in hits} == {"陈嘉禾", "刘思琪"}
    assert len(hits) == 3


def test_what_is_covered_is_not_asked_about(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(chinese, "_judged", lambda clauses: asked.extend(clauses) or [() for _ in clauses])
    text = "昨日陈嘉禾来过"
    ChineseModel().find_many([text], [[(2, 5)]])
    assert asked == []
    ChineseModel().find_many([text], [[]])
    assert asked == [text]


def test_an_answer_does_not_depend_on_other_texts() -> None:
    """A clause that another text asks about is not asked about here for that."""
    text, covered = "昨日陈嘉禾来过", [(2, 5)]
    model = ChineseModel()
    alone = [model.find_many([text], [covered]), model.find_many([text], [[]])]
    assert [len(hits) for (hits,) in alone] == [0, 1]
    # Beside the other one, in either order, and once more when the answer is remembered.
    for first, second in ((covered, []), ([], covered)):
        together = ChineseModel().find_many([text, text], [first, second])
        assert sorted(map(len, together)) == [0, 1]
        assert len(together[0 if first else 1]) == 0
    assert model.find_many([text], [covered]) == alone[0]


def test_the_best_path_is_that_of_trying_all_paths() -> None:
    """Viterbi against brute force, on random scores and transitions."""
    chance = np.random.default_rng(1)
    tagger = object.__new__(bigru.Tagger)
    kinds, steps = 4, 5
    tagger._first, tagger._last = chance.normal(size=kinds), chance.normal(size=kinds)
    tagger._moves = chance.normal(size=(kinds, kinds))
    scores = chance.normal(size=(steps, 2, kinds))
    lengths = np.array([5, 3], np.int32)
    for i, path in enumerate(tagger._paths(scores, lengths)):
        length = int(lengths[i])
        best, winner = -np.inf, None
        for number in range(kinds**length):
            tried = [number // kinds**t % kinds for t in range(length)]
            total = (
                tagger._first[tried[0]] + tagger._last[tried[-1]] + sum(scores[t, i, k] for t, k in enumerate(tried))
            )
            total += sum(tagger._moves[a, b] for a, b in pairwise(tried))
            if total > best:
                best, winner = total, tried
        assert path == winner


def test_other_weights_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(bigru.package_folder("jieba") / "lac_small", tmp_path / "lac_small")
    path = tmp_path / "lac_small" / "model_baseline" / "fc_4.b_0"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    monkeypatch.setattr(bigru, "package_folder", lambda package: tmp_path)
    with pytest.raises(ConfigError, match="not the ones that were measured"):
        bigru.Tagger("small")


def test_a_missing_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"requirements-sdist\.txt"):
        bigru.package_folder("LAC")


def test_the_detector_says_that_the_model_found_it() -> None:
    text = "昨日下午陈嘉禾陪她做了检查。"
    (spans,) = Detector("zh").analyze([text])
    assert [(text[s.start : s.end], s.source) for s in spans if s.entity == "PERSON"] == [("陈嘉禾", "names-zh")]

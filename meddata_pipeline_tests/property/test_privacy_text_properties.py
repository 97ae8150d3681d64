"""Properties of detection and replacing, on generated texts."""

from __future__ import annotations

import re
import time

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from meddata_pipeline.privacy.detect import Detector, Known, Span
from meddata_pipeline.privacy.detect.fold import Compact, compact_value, fold, fold_many, loosen
from meddata_pipeline.privacy.detect.merge import default_rules, merge
from meddata_pipeline.privacy.detect.types import ENTITIES
from meddata_pipeline.privacy.detect.words import alternation
from meddata_pipeline.privacy.second_pass import SecondPass
from meddata_pipeline.privacy.text import render, residual, to_placeholders

DETECTOR = Detector(roster=["卓小岚", "令狐春"])
KEY = b"k" * 32
FEW = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])

PIECES = st.sampled_from(
    [
        *(
            "患者",
            "张伟",
            "王主任",
            "，",
            "。",
            "：",
            " ",
            "\n",
            "\u200b",
            "\x00",
            "😀",
            "·",
            "－",
            "电话",
            "13812345678",
        ),
        *(
            "１３８１２３４５６７８",
            "2023年5月1日",
            "住院号",
            "ZY123456",
            "身份证",
            "110105199003078570",
            "卓小岚",
            "卓 小岚",
        ),
        *("90岁", "苏州市姑苏区临顿路12号", "[PERSON_1]", "牙髓炎", "CRP 5.6 mg/L", "Mr. John Smith", "a@b.cn", "İ"),
        *("家属", "医师", "于", "0571-87654321"),
    ]
)
TEXTS = st.one_of(st.lists(PIECES, max_size=14).map("".join), st.text(max_size=60))


@FEW
@given(TEXTS)
def test_spans_lie_in_the_text_in_order_without_overlaps(text: str) -> None:
    spans = DETECTOR.analyze([text], [Known(names=("张伟",), mobiles=("13812345678",))])[0]
    end = 0
    for span in spans:
        assert end <= span.start < span.end <= len(text)
        assert span.entity in ENTITIES
        assert 0 < span.score <= 1
        end = span.end


@FEW
@given(st.lists(TEXTS, max_size=5))
def test_a_batch_gives_what_single_calls_give(texts: list[str]) -> None:
    assert DETECTOR.analyze(texts) == [DETECTOR.analyze([text])[0] for text in texts]


@FEW
@given(TEXTS)
def test_folding_maps_back(text: str) -> None:
    folded = fold(text)
    for i in range(len(folded.text)):
        start, end = folded.original(i, i + 1)
        assert end == start + 1
        assert fold(text[start:end]).text == folded.text[i]
    compact = Compact(folded.text)
    for i in range(len(compact.text)):
        start, end = compact.folded(i, i + 1)
        assert end == start + 1
        assert compact_value(folded.text[start:end]) in {compact.text[i], ""}


@FEW
@given(st.lists(st.one_of(TEXTS, st.text(), st.text("a\u200b𝟏張\ud800１\0", max_size=5)), max_size=6))
def test_many_texts_are_folded_as_each_of_them(texts: list[str]) -> None:
    assert fold_many(texts) == [fold(text) for text in texts]
    for text in texts:
        # White space, dashes and dots go, as in the values that are looked for.
        assert Compact(text).text == re.sub(r"[\s\-\u00b7^_]", "", text).lower() or "İ" in text


@FEW
@given(st.lists(st.text("ab.张", min_size=1, max_size=4), min_size=1, max_size=8), st.text("ab.张", max_size=24))
def test_words_as_a_tree_match_as_words_in_a_row(words: list[str], text: str) -> None:
    row = "|".join(map(re.escape, sorted(set(words), key=lambda word: -len(word))))
    spans = [[m.span() for m in re.finditer(f"(?:{p})(b\\.)?(?!张)", text)] for p in (row, alternation(words))]
    assert spans[0] == spans[1]


@FEW
@given(TEXTS)
def test_replacing_keeps_everything_else(text: str) -> None:
    spans = DETECTOR.analyze([text])
    (out,), table = to_placeholders([text], spans, key=KEY)
    kept, at = "", 0
    rest, there = "", 0
    for span, start, end in zip(spans[0], table["start"].to_pylist(), table["end"].to_pylist(), strict=True):
        kept += text[at : span.start]
        at = span.end
        rest += out[there:start]
        there = end
    assert kept + text[at:] == rest + out[there:]


VALUES = st.fixed_dictionaries(
    {
        "name": st.sampled_from(["卓小岚", "令狐春", "张伟", "阿依古丽·买买提"]),
        "mobile": st.from_regex(r"1[3-9][0-9]{9}", fullmatch=True),
        "record_no": st.from_regex(r"[A-Z]{2}[0-9]{6}", fullmatch=True),
    }
)
AROUND = st.lists(
    st.sampled_from(["牙龈正常", "，", "。", " ", "复查", "主诉疼痛", "\n", "叩痛（+）"]), max_size=4
).map("".join)


def spaced(value: str, every: int) -> str:
    return " ".join(value[i : i + every] for i in range(0, len(value), every))


@FEW
@given(VALUES, AROUND, AROUND, st.integers(1, 4))
def test_known_identifiers_never_survive(values: dict[str, str], before: str, behind: str, every: int) -> None:
    known = Known(names=(values["name"],), mobiles=(values["mobile"],), record_nos=(values["record_no"],))
    for value in values.values():
        wide = "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in value)
        for form in (value, spaced(value, every), value.lower(), wide, "\u200b".join(value)):
            text = f"{before}{form}{behind}"
            (out,), table = to_placeholders([text], DETECTOR.analyze([text], [known]), key=KEY)
            assert compact_value(value) not in compact_value(out)
            assert value not in str(table.to_pylist())


@FEW
@given(TEXTS)
def test_a_third_pass_finds_nothing_in_tags(text: str) -> None:
    (settled,) = SecondPass(DETECTOR).settle([text])
    out, _ = to_placeholders([text], [settled.spans], key=KEY)
    assert residual(out, DETECTOR) == 0


@FEW
@given(TEXTS)
def test_surrogates_are_placed_where_they_are_said_to_be(text: str) -> None:
    out, table = to_placeholders([text], DETECTOR.analyze([text]), key=KEY)
    rendered, placed = render(out, table, KEY, style="surrogate", persons=["p"])
    again, _ = render(out, table, KEY, style="surrogate", persons=["p"])
    assert rendered == again
    assert all(0 <= s.start < s.end <= len(rendered[0]) for s in placed[0])


@FEW
@given(
    st.lists(
        st.tuples(st.integers(0, 30), st.integers(1, 10), st.sampled_from(ENTITIES), st.floats(0.3, 1.0)), max_size=12
    )
)
def test_merging_leaves_no_strong_finding_uncovered(found: list[tuple[int, int, str, float]]) -> None:
    text = "张" * 40
    rules = default_rules()
    spans = [Span(start, start + length, entity, score, "x") for start, length, entity, score in found]
    merged = merge(text, spans, rules)
    covered = [i for s in merged for i in range(s.start, s.end)]
    assert len(covered) == len(set(covered))
    strong = {
        i for s in spans if s.score >= rules.threshold[s.entity] and s.entity != "PERSON" for i in range(s.start, s.end)
    }
    assert strong <= set(covered)


def test_throughput_is_of_the_right_order() -> None:
    # A guard against a rule that turns quadratic, not a benchmark: the limit is an order of magnitude away.
    texts = [f"患者因右下后牙自发痛{i}天于2023年5月1日就诊。电话1381234{i:04d}，医师：张伟。" * 5 for i in range(400)]
    start = time.process_time()
    DETECTOR.analyze(texts)
    assert time.process_time() - start < 12
    long = "患者牙龈红肿，" * 20_000
    start = time.process_time()
    DETECTOR.analyze([long])
    assert time.process_time() - start < 12


BROKEN = st.lists(
    st.sampled_from(
        [
            *"张伟身份证号电话138",
            "0",
            "1",
            "7",
            "X",
            " ",
            " ",
            "\n",
            "\r\n",
            "@",
            ".cn",
            "-",
            ":",
            "①②③④⑤⑥",
            "電話",
            "㎡",
        ]
    ),
    max_size=40,
).map("".join)


@FEW
@given(BROKEN, st.booleans())
def test_loosening_maps_back_and_drops_blanks_only(text: str, wrapped: bool) -> None:
    folded = fold(text)
    assert fold(folded.text).text == folded.text
    view = loosen(folded.text, wrapped=wrapped)
    if view is None:
        return
    assert view.offsets is not None
    assert len(view.offsets) == len(view.text)
    assert view.offsets == sorted(set(view.offsets))
    for i in range(len(view.text)):
        start, end = view.original(i, i + 1)
        assert end == start + 1
        assert view.text[i] == folded.text[start] or folded.text[start] in "①②③④⑤⑥"
    kept = set(view.offsets)
    assert all(folded.text[i].isspace() for i in range(len(folded.text)) if i not in kept)


@FEW
@given(st.from_regex(r"1[3-9][0-9]{9}", fullmatch=True), st.integers(1, 10), st.sampled_from(["\n", "\r\n", " \n"]))
def test_a_line_break_inside_a_number_hides_nothing(number: str, at: int, line_break: str) -> None:
    if at > 9:
        at = 9  # one digit alone on the next line may be the number of a paragraph
    value = number[:at] + line_break + number[at:]
    text = f"联系电话：{value}，复诊"
    spans = DETECTOR.analyze([text])[0]
    covered = {i for s in spans for i in range(s.start, s.end)}
    start = text.index(value)
    assert all(i in covered for i in range(start, start + len(value)) if text[i].isdigit())

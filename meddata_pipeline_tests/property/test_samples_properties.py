"""Properties of the generator's building blocks that must hold for any input."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from meddata_pipeline.samples.identity import mobiles, resident_ids, scattered, serials
from meddata_pipeline.samples.render.sheet import Sheet, SheetColumn, inject
from meddata_pipeline.samples.texts import compose, word_slots
from meddata_pipeline.samples.vocab import vocabulary, words

_NUMBERS = st.lists(st.integers(0, 5_000_000), min_size=1, max_size=50, unique=True)


@settings(max_examples=40, deadline=None)
@given(_NUMBERS, st.integers(0, 10**6))
def test_serial_numbers_are_one_to_one(numbers: list[int], salt: int) -> None:
    array = np.array(numbers, dtype=np.int64)
    for modulus in (10**7, 10**10, 39 * 10**8):
        found = scattered(array, modulus, salt)
        assert len(set(found.tolist())) == len(numbers)
        assert found.min() >= 0
        assert found.max() < modulus
    assert len(set(serials("A", 8, array, salt))) == len(numbers)


@settings(max_examples=30, deadline=None)
@given(_NUMBERS, st.integers(0, 1000), st.integers(-36_000, 19_000))
def test_resident_ids_and_mobiles_have_their_form(numbers: list[int], seed: int, day: int) -> None:
    array = np.array(numbers, dtype=np.int64)
    birth = np.full(len(numbers), np.datetime64("1970-01-01", "D") + day)
    for value in resident_ids(array, birth, array % 2 == 0, seed):
        assert value[6:14] == str(birth[0]).replace("-", "")
        total = sum(int(digit) * (2 ** (17 - i) % 11) for i, digit in enumerate(value[:17]))
        assert "10X98765432"[total % 11] == value[17]
    found = mobiles(array, seed)
    assert len(set(found)) == len(numbers)
    assert all(len(value) == 11 and value[0] == "1" and value[1] in "3456789" for value in found)


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from(["note", "pathology", "imaging", "follow_up"]), st.integers(0, 10**6), st.sampled_from(["", "\n"])
)
def test_spans_cut_out_exactly_the_values_that_were_put_in(grammar: str, seed: int, separator: str) -> None:
    rng = np.random.default_rng(seed)
    size = 20
    slots: dict[str, str] = vocabulary("texts")["slots"]
    values = {slot: [f"<{slot}#{row}>" for row in range(size)] for slot in slots}
    values["age"] = [str(70 + row) for row in range(size)]
    values["relation"] = ["母亲"] * size
    values["tooth"] = ["16"] * size
    texts, spans = compose(grammar, {**word_slots(rng, size), **values}, size, rng, separator)
    for row, (text, found) in enumerate(zip(texts, spans, strict=True)):
        assert text
        for start, end, entity in found:
            assert any(values[s][row] == text[start:end] for s, e in slots.items() if e == entity)
            assert entity != "AGE" or int(text[start:end]) > 89
        # Nothing that was put in is left outside the spans.
        rest = "".join(c for i, c in enumerate(text) if not any(a <= i < b for a, b, _ in found))
        assert "#" not in rest
        assert "{" not in text


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 400), st.integers(0, 10**6), st.booleans())
def test_injection_keeps_every_record_and_tells_every_defect(size: int, seed: int, text_file: bool) -> None:
    columns = [
        SheetColumn("key", words([f"k{row}" for row in range(size)])),
        SheetColumn("day", words(["2024-01-05"] * size), date="iso"),
        SheetColumn("unit", words(["mg/L"] * size)),
        SheetColumn("word", words(["龋齿"] * size)),
    ]
    targets = {"missing": "key", "date": "day", "unit": "unit", "damage": "word"}
    done = inject(Sheet(columns), targets, text_file, np.random.default_rng(seed))
    names = [defect.name for defect in done.defects]
    assert len(done) == size + names.count("duplicate")
    assert len({defect.row for defect in done.defects}) == len(names)
    bad = {defect.row for defect in done.defects}
    clean = [value for row, value in enumerate(done.columns[0].values) if row not in bad]
    assert len(set(clean)) == len(clean) == len(done) - len(bad)
    assert set(done.kept) == {d.row for d in done.defects if d.name == "short_row"}
    assert set(done.damaged) == {d.row for d in done.defects if d.name == "damage"}
    assert text_file or not (done.kept or done.damaged)

"""What `meddata anonymize` and `risk` refuse, in which words; and tables that CSV and Parquet must tell alike."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meddata_pipeline.core.errors import BadInput, ConfigError, Refused
from meddata_pipeline.privacy.policy import load_policy, parse_policy
from meddata_pipeline.privacy.tabular import anonymize, heuristic
from meddata_pipeline.privacy.tabular.files import read_table
from meddata_pipeline.privacy.tabular.values import encode

TABLE = pd.DataFrame({"age": [str(20 + i) for i in range(12)], "town": list("aabbccddeeff")})


def _policy(**changes: Any) -> dict[str, Any]:
    base = {"quasi_identifiers": {"age": {"intervals": [[20, 26, 32], []]}, "town": {}}}
    return base | {"privacy": [{"model": "k-anonymity", "k": 2}]} | changes


@pytest.mark.parametrize("given_as", ["p3.yaml", "folder/p3.yaml"])
def test_a_wrong_policy_is_named_as_it_was_given(
    given_as: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(given_as).parent.mkdir(exist_ok=True)
    for text in ("nonsense: 1\n", "[1]\n", "a: [\n", "a: 2024-99-99\n"):
        Path(given_as).write_text(text, encoding="utf-8")
        with pytest.raises(ConfigError) as refusal:
            load_policy(Path(given_as))
        assert refusal.value.where.startswith(given_as)


@pytest.mark.parametrize(
    "changes",
    [
        {"privacy": [{"model": "k-anonymity", "k": True}]},
        {"privacy": [{"model": "k-anonymity", "k": 10**30}]},
        {"privacy": [{"model": "average-risk", "threshold": 1.5}]},
        {"privacy": [{"model": "average-risk", "threshold": float("nan")}]},
        {"privacy": [{"model": "k-map", "k": 2, "population": 0}]},
        {"suppression_limit": 1.01},
        {"suppression_limit": -0.01},
        {"risk": {"sampling_fraction": 0.0}},
        {"risk": {"sampling_fraction": 1.5}},
        {"quality": {"weights": {"age": -1}}},
        {"quality": {"weights": {"age": 0}}},
        {"quality": {"weights": {"age": float("nan")}}},
        {"unknown": 1},
        {"quasi_identifiers": {"age": {"intervals": [[0, 10], [0, 5]]}}},
    ],
)
def test_wrong_values_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as refusal:
        parse_policy(_policy(**changes))
    assert "\n" not in str(refusal.value)


def test_a_population_smaller_than_the_table_is_refused() -> None:
    for size in (11, 12):
        policy = parse_policy(_policy(privacy=[{"model": "k-map", "k": 2, "population": size}]))
        if size == 12:
            anonymize(TABLE, policy, Path())
            continue
        with pytest.raises(BadInput, match="The population of k-map is smaller than the table"):
            anonymize(TABLE, policy, Path())


@pytest.mark.parametrize(("rows", "words"), [(TABLE[:0], "no rows"), (TABLE.assign(town="z"), "not in the table")])
def test_a_subset_that_is_none_is_refused(rows: pd.DataFrame, words: str, tmp_path: Path) -> None:
    rows.to_csv(tmp_path / "subset.csv", index=False)
    policy = parse_policy(_policy(privacy=[{"model": "k-map", "k": 2, "subset": "subset.csv"}]))
    with pytest.raises(BadInput, match=words):
        anonymize(TABLE, policy, tmp_path)


@pytest.mark.parametrize("search", ["optimal", "heuristic", "mondrian", "local"])
def test_no_solution_is_proved_by_the_coarsest_transformation(search: str) -> None:
    result = anonymize(TABLE, parse_policy(_policy(privacy=[{"model": "k-anonymity", "k": 9}], search=search)), Path())
    with pytest.raises(Refused) as refusal:
        result.require()
    assert [reason.code for reason in refusal.value.reasons] == ["no-transformation"]


def test_a_search_that_was_cut_short_claims_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """δ-presence is not met by the coarsest and may be by finer ones, which there was no time to see."""
    monkeypatch.setattr(heuristic, "time", SimpleNamespace(monotonic=iter([0.0] + [1e9] * 9).__next__))
    model = {"model": "population-uniqueness", "threshold": 0.0, "population": 1000, "estimator": "zayatz"}
    table = pd.DataFrame({"age": [str(i) for i in range(20, 31)], "town": list("aabbccddeef")})
    result = anonymize(table, parse_policy(_policy(privacy=[model], search="heuristic")), Path())
    with pytest.raises(Refused) as refusal:
        result.require()
    assert [reason.code for reason in refusal.value.reasons] == ["none-found"]
    assert "1 transformations checked, of 3" in refusal.value.reasons[0].detail


_CELLS = st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1))
_TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x00\r\n", exclude_categories=["Cs"]), max_size=6)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(_CELLS, _TEXT), min_size=1, max_size=12), st.sampled_from([",", ";", "\t"]))
def test_csv_and_parquet_say_the_same(rows: list[tuple[int | None, str]], delimiter: str) -> None:
    import tempfile

    numbers, texts = [row[0] for row in rows], [row[1] for row in rows]
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        dictionary = pa.array(texts).dictionary_encode()
        pq.write_table(pa.table({"n": pa.array(numbers, pa.int64()), "t": dictionary}), base / "t.parquet")
        frame = pd.DataFrame({"n": ["" if n is None else str(n) for n in numbers], "t": texts})
        frame.to_csv(base / "t.csv", index=False, sep=delimiter, lineterminator="\r\n", encoding="utf-8-sig")
        tables = [read_table(base / "t.csv", delimiter), read_table(base / "t.parquet")]
    for name in ("n", "t"):
        first, second = (encode(table[name]) for table in tables)
        assert first.texts == second.texts and first.codes.tolist() == second.codes.tolist()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a,b\n患,x\n".encode("gb18030"), "UTF-8"),
        (b"a,b\n1,2,3\n", "more values than its header"),
        (b"a,a\n1,2\n", "two columns of one name"),
        (b"", "UTF-8"),
        (b'a,b\n"1,2\n', "UTF-8"),
    ],
)
def test_tables_that_would_be_read_askew_are_refused(text: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(text)
    with pytest.raises(BadInput, match=words):
        read_table(tmp_path / "t.csv")

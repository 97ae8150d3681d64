"""The large counts, measured, and written into docs/figures.md: what, result, command, date, machine.

``python -m meddata_pipeline_tests.benchmarks.figures [NAME …]`` runs all figures or those named; each replaces its own
row of the table and leaves the others. What belongs here: running the counts. What does not: what is counted (tests).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import psutil

from meddata_pipeline.core.config import Config
from meddata_pipeline.samples.api import generate
from meddata_pipeline_tests.benchmarks import quality, tabular
from meddata_pipeline_tests.conftest import Demo
from meddata_pipeline_tests.e2e import pipeline, test_canaries, test_demo, test_kill
from meddata_pipeline_tests.evaluation import contract_tool, defects, readers
from meddata_pipeline_tests.evaluation.measure import clinical, names_of
from meddata_pipeline_tests.known_answers.test_study_coverage import coverage
from meddata_pipeline_tests.shared import shared

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "figures.md"
PLANTED = 1.30
HEAD = """# 实测数字 Figures

每行由其命令测得并改写；机器与日期如所示。
Each row is measured and rewritten by its command, on the machine and day it names.

| name | 内容 what | 目标 at least | 结果 result | 命令 command | date | 机器 machine |
|---|---|---|---|---|---|---|
"""


def machine() -> str:
    """Cores this process may use, memory, Python."""
    cores = len(os.sched_getaffinity(0))
    gigabytes = psutil.virtual_memory().total / 2**30
    return f"{cores} cores, {gigabytes:.0f} GiB, Python {platform.python_version()}"


def measured(arguments: list[str], *, timeout: float, cwd: Path = ROOT) -> tuple[float, float, str]:
    """Run a command and watch it with everything it starts.

    Returns:
        Wall seconds, the highest sum of resident memory in GiB over its processes, and its standard output.

    Raises:
        RuntimeError: it failed.
    """
    began, peak = time.monotonic(), 0
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = subprocess.Popen(arguments, cwd=cwd, env=pipeline.environment(), stdout=out, stderr=err)
        watched = psutil.Process(process.pid)
        while process.poll() is None:
            if time.monotonic() - began > timeout:
                process.kill()
                raise RuntimeError(f"longer than {timeout} s: {' '.join(arguments)}")
            peak = max(peak, _resident(watched))
            time.sleep(0.2)
        wall = time.monotonic() - began
        out.seek(0)
        err.seek(0)
        if process.returncode:
            said = (stream.read().decode(errors="replace")[-4000:] for stream in (out, err))
            raise RuntimeError("\n".join(said))
        return wall, peak / 2**30, out.read().decode()


def _resident(process: psutil.Process) -> int:
    total = 0
    try:
        for one in [process, *process.children(recursive=True)]:
            total += one.memory_info().rss
    except psutil.NoSuchProcess:
        return total  # it ended while we looked
    return total


def _demo(root: Path, patients: int, seed: int = 1) -> Demo:
    """A landing folder of some size and the home that one run made of it."""
    landing, truth, home = root / "landing", root / "truth", root / "home"
    arguments = ["--out", str(landing), "--patients", str(patients), "--seed", str(seed), "--truth", str(truth)]
    measured(pipeline.command("sample", *arguments), timeout=3600)
    command = pipeline.command("run", "--landing", landing, "--home", home, "--demo-keys", "--json")
    _, _, stdout = measured(command, timeout=3600)
    return Demo(landing, truth, home, pipeline.Answer(0, stdout, "NOT FOR REAL DATA"))


# -- the figures -------------------------------------------------------------------------------------------------------


def intervals(_: Path) -> str:
    """200 seeds through generator, cohort and estimator, without files."""
    hits, total = coverage(range(200), 2000)
    return f"{hits} of {total}"


def quality_defects(root: Path) -> str:
    """Ingest and the canonical rules against truth/defects.jsonl: three seeds of 2,000 patients, not developed on."""
    tally = defects.Tally()
    for seed in (11, 12, 13):
        done = generate(root / str(seed) / "landing", patients=2000, seed=seed)
        tally += defects.measure(done.landing, done.truth)
    kinds = f"{len(tally.planted)} kinds, {len(tally.missed)} missed, {len(tally.false)} falsely accused"
    return f"precision {tally.precision:.4f}, recall {tally.recall:.4f} ({tally.planted.total()} planted of {kinds})"


def end_to_end(root: Path) -> str:
    """Three seeds through the whole pipeline: the published adjusted interval contains the planted odds ratio."""
    hits, told = 0, []
    for seed in (1, 2, 3):
        demo = _demo(root / str(seed), 2000, seed)
        version = demo.answer.product(pipeline.REPORT)["version"]
        results = json.loads((demo.home / "products" / pipeline.REPORT / version / "results.json").read_bytes())
        found = next(e for e in results["estimates"] if e["id"] == "adjusted/crp_sd/or")
        hits += found["low"] <= PLANTED <= found["high"]
        told.append(f"{found['estimate']:.2f} ({found['low']:.2f}–{found['high']:.2f})")
        shutil.rmtree(root / str(seed))
    return f"{hits} of 3: {'; '.join(told)}"


def balance(root: Path) -> str:
    """Row balance over all tables, counted by the tests' own readers."""
    demo = _demo(root, 2000)
    test_demo.test_every_source_row_is_mapped_or_quarantined_and_none_twice(demo)
    test_demo.test_later_tables_lose_no_row_without_a_reason(demo)
    body = demo.answer.body
    return f"exact: {body['rows_in']:,} = {body['rows_mapped']:,} mapped + {body['rows_quarantined']:,} quarantined"


def canaries(root: Path) -> str:
    """Canaries in every identifying field of 2,000 patients, searched for outside landing/ and restricted/."""
    world = test_canaries.build(root, patients=2000)
    if world.answer.code:
        raise RuntimeError(world.answer.stderr[-2000:])
    hits = sum(map(len, world.hits().values())) + len(world.said(world.answer))
    demo = Demo(world.landing, root / "truth", world.home, world.answer)
    test_demo.test_the_table_holds_every_column_that_identifies_nobody(demo)
    columns = len(test_demo.RELEASED)
    return f"{hits} found of {len(world.planted.tokens):,} planted; {columns} of {columns} columns released"


def kills(root: Path) -> str:
    """Three fixed and seven random moments of kill -9 on 200 patients, then run again."""
    began = time.monotonic()
    demo = _demo(root / "undisturbed", 200)
    whole = time.monotonic() - began
    seed = random.SystemRandom().randrange(2**32)
    chance = random.Random(seed)
    moments: list[str | float] = [*test_kill.FIXED, *(chance.uniform(0.03, 0.97) for _ in range(7))]
    same = cuts = 0
    for number, moment in enumerate(moments):
        cut, answer = test_kill.killed_then_again(demo.landing, root / str(number), moment, whole)
        same += answer.code == 0 and answer.digests == demo.answer.digests
        cuts += cut
        shutil.rmtree(root / str(number))
    return f"{same} of {len(moments)} the same digests ({cuts} runs cut short; seed {seed})"


def demo_time(root: Path) -> str:
    """`meddata demo`: three hospitals, 2,000 patients, two days; environment installed."""
    wall, peak, _ = measured(pipeline.command("demo", "--home", root / "home", "--json"), timeout=3600)
    return f"{wall / 60:.1f} min, {peak:.1f} GiB"


def fresh_clone(root: Path) -> str:
    """`make demo` in a fresh clone, install included."""
    measured(["git", "clone", "-q", str(ROOT), str(root / "clone")], timeout=600)
    wall, _, _ = measured(["make", "demo", f"PYTHON={_base_python()}"], timeout=3600, cwd=root / "clone")
    return f"{wall / 60:.1f} min"


def _base_python() -> str:
    """The interpreter that this virtual environment was made with."""
    return str(getattr(sys, "_base_executable", sys.executable))


def suite(_: Path) -> str:
    """`make test`."""
    wall, _, out = measured(["make", "test"], timeout=3600)
    return f"{wall / 60:.1f} min: {out.strip().splitlines()[-1]}"


def large(root: Path) -> str:
    """200,000 patients through `meddata run`."""
    landing, home = root / "landing", root / "home"
    measured(pipeline.command("sample", "--out", landing, "--patients", "200000"), timeout=7200)
    command = pipeline.command("run", "--landing", landing, "--home", home, "--demo-keys", "--json")
    wall, peak, stdout = measured(command, timeout=7200)
    return f"{wall / 60:.1f} min, {peak:.1f} GiB, {json.loads(stdout)['rows_in']:,} rows"


def pii_notes(_: Path) -> str:
    """Notes by two authors on whom nothing was developed (styles C and D), with what is known and the roster."""
    told = []
    for style in "CD":
        table = clinical(style, 1000, 7).table()
        told.append(
            f"{style}: structured recall {table['structured_recall_covered']:.4f} (exact"
            f" {table['structured_recall_exact']:.4f}), precision {table['structured_precision']:.4f}; names"
            f" {table['names_characters']:.4f} of characters, precision {table['names_precision']:.3f}; notes with a"
            f" leak {table['leaking_notes']:.2%}; false names {table['false_names_per_100k']:.1f} per 100,000"
            f" characters; content kept {table['content_kept']:.4f}"
        )
    return "; ".join(told)


def names_shared(_: Path) -> str:
    """Exact F1 of PERSON on the shared general texts (measured only)."""
    told = []
    for name in readers.FILES:
        path = shared(f"data/pii/{name}.jsonl")
        told.append(f"{name} {names_of(readers.read(path)).table()['names_exact_f1']:.3f}")
    return "; ".join(told)


def datacontract_cli(root: Path) -> str:
    """datacontract-cli, in an environment of its own: lint of the shipped contracts, test of the released tables."""
    demo = _demo(root, 200)
    found = [contract_tool.lint(Config().find(f"products/{p}/contract.yaml"))[0] for p in Config().products()]
    told = [f"lint {found.count(0)} of {len(found)}"]
    for data in sorted((demo.home / "products").glob("*/*/data.parquet")):
        code, counts = contract_tool.test(data.parent / "contract.yaml", data, root)
        shown = ", ".join(f"{n} {result}" for result, n in sorted(counts.items()))
        told.append(f"{data.parents[1].name} {'green' if code == 0 else 'red'} ({shown})")
    return "; ".join(told)


def _tabular(name: str) -> Callable[[Path], str]:
    """A figure of benchmarks/tabular.py, in a process of its own: what others left in memory must not count."""

    def measure(_: Path) -> str:
        module = "meddata_pipeline_tests.benchmarks.tabular"
        _, _, out = measured([sys.executable, "-m", module, name], timeout=3600)
        return out.strip().removeprefix(f"{name}: ")

    measure.__doc__ = tabular.ALL[name].__doc__
    return measure


def quality_bulk(_: Path) -> str:
    """250 checks over 1,000,000 rows × 14 columns of a Parquet file, DuckDB, in a process of its own."""
    return quality.bulk()


#: name: what it is in Chinese, what is asked for, and how it is measured.
FIGURES: dict[str, tuple[str, str, Callable[[Path], str]]] = {
    "intervals": ("200 个种子中区间含 1.30 者", "182 of 200", intervals),
    "quality-defects": ("植入缺陷的查准率与查全率", "≥ .99 / ≥ .99", quality_defects),
    "end-to-end": ("3 个种子端到端，校正区间含 1.30", "3 of 3", end_to_end),
    "balance": ("全部表的行数平衡", "exact", balance),
    "canaries": ("受限区之外找到的金丝雀", "0; 100 % of columns", canaries),
    "kills": ("强制终止后重跑，摘要相同", "10 of 10", kills),
    "demo": ("演示用时（不含安装）", "≤ 2 min", demo_time),
    "fresh-clone": ("全新克隆 make demo（含安装）", "≤ 6 min", fresh_clone),
    "suite": ("全部测试用时", "≤ 15 min", suite),
    "pii-notes": ("未用于开发的两种作者风格的病历", ".998 / .99; .99 / .85; ≤ 1.5 %; ≤ 30; ≥ .99", pii_notes),
    "names-shared": ("通用中文文本的人名", ".74; .80", names_shared),
    "tabular-cases": ("ARX 参考答案", "57 of 57", _tabular("cases")),
    "tabular-adult": ("Adult 表搜索", "≤ 0.35 CPU s", _tabular("adult")),
    "tabular-large": ("119 万行、格 25,920", "≤ 16 s, ≤ 900 MB", _tabular("large")),
    "tabular-mondrian": ("119 万行 Mondrian", "≤ 4 s", _tabular("mondrian")),
    "tabular-first": ("首次与以后的 meddata anonymize", "≤ 25 s; ≤ 3 s", _tabular("first")),
    "tabular-anjana": ("与 anjana 比", "≥ 15 times", _tabular("anjana")),
    "tabular-pycanon": ("与 pycanon 比", "≥ 20 times", _tabular("pycanon")),
    "datacontract-cli": ("随产品发布的合同与数据经 datacontract-cli", "green", datacontract_cli),
    "quality-bulk": ("100 万行、14 列、250 项检查", "≤ 4 s, ≤ 800 MB", quality_bulk),
    "large": ("20 万患者", "≤ 12 min, ≤ 6 GiB", large),
}


def rows(page: str) -> dict[str, str]:
    """The table's rows by name."""
    found = [line for line in page.splitlines() if line.startswith("| ")][1:]
    return {line.split("|")[1].strip(): line for line in found}


def merged(page: str, name: str, result: str, on: str) -> str:
    """The page with one row replaced or added, in the order of FIGURES."""
    zh, goal, function = FIGURES[name]
    en = (function.__doc__ or "").strip().rstrip(".")
    command = f"`python -m meddata_pipeline_tests.benchmarks.figures {name}`"
    cells = [name, f"{zh}。{en}", goal, result, command, on, machine()]
    kept = rows(page) | {name: "| " + " | ".join(c.replace("|", "/").replace("\n", " ") for c in cells) + " |"}
    return HEAD + "".join(kept[n] + "\n" for n in FIGURES if n in kept)


def main(arguments: list[str] | None = None) -> int:
    """Measure the figures that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(FIGURES))
    names = parser.parse_args(arguments).names or list(FIGURES)
    if unknown := sorted(set(names) - set(FIGURES)):
        parser.error(f"no figure {unknown[0]}; there are {', '.join(FIGURES)}")
    failed = 0
    for name in names:
        with tempfile.TemporaryDirectory(prefix="meddata-figure-") as folder:
            try:
                result = FIGURES[name][2](Path(folder))
            except (RuntimeError, AssertionError) as error:
                # A figure that could not be measured is a result too, and must not stand as the old one.
                print(error, file=sys.stderr)
                text = str(error).strip().splitlines()
                result, failed = f"failed: {text[-1] if text else type(error).__name__}", failed + 1
        print(f"{name}: {result}", flush=True)
        page = PAGE.read_text(encoding="utf-8") if PAGE.exists() else HEAD
        on = datetime.now(UTC).date().isoformat()
        PAGE.write_text(merged(page, name, result, on), encoding="utf-8")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

"""Sharing texts out over processes: the same answer, nothing left behind."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from meddata_pipeline.privacy import masker
from meddata_pipeline.privacy.detect import Known
from meddata_pipeline.privacy.masker import Batch, Masker

KEY = b"k" * 32
ROSTER = ("单于百灵", "司空杜鹃")


def batch(count: int) -> Batch:
    chance = random.Random(7)
    texts, known, numbers = [], [], []
    for i in range(count):
        name = chance.choice(["欧阳画眉", "张三丰", "李四光"])
        mobile = f"138{chance.randrange(10**8):08d}"
        texts.append(
            f"患者{name}，电话{mobile}，就诊号V{i % 40}。单于百灵于2024年3月{1 + i % 28}日查房。" if i % 5 else ""
        )
        known.append(Known(names=(name,), mobiles=(mobile,)) if i % 3 else None)
        numbers.append((f"V{i % 40}",) if i % 2 else ())
    return Batch(texts, known, numbers)


def test_the_answer_does_not_depend_on_the_number_of_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(masker, "WORTH_PROCESSES", 10)
    monkeypatch.setattr(masker, "PIECE", 37)
    given = batch(400)
    with Masker(KEY, ROSTER, processes=1) as alone, Masker(KEY, ROSTER, processes=2) as shared:
        texts, spans = alone.mask(given)
        assert shared.mask(given)[0] == texts
        assert shared.mask(given)[1].equals(spans)
    assert spans.num_rows > 1_000
    assert not any("单于" in text or "138" in text for text in texts)


WAITS = """
import sys
from meddata_pipeline.privacy import masker
masker.WORTH_PROCESSES = 1
if __name__ == "__main__":
    work = masker.Masker(b"k" * 32, processes=2)
    work.mask(masker.Batch(["电话13812345678"] * 2, [None] * 2, [()] * 2))
    print(*work.pool.workers, flush=True)
    sys.stdin.read()
"""


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="reads /proc")
def test_a_killed_run_leaves_no_process_behind(tmp_path: Path) -> None:
    script = tmp_path / "waits.py"
    script.write_text(WAITS, encoding="utf-8")
    run = subprocess.Popen([sys.executable, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert run.stdout is not None
    workers = [int(pid) for pid in run.stdout.readline().split()]
    assert workers
    assert all(Path(f"/proc/{pid}").exists() for pid in workers)
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    for _ in range(100):
        if not any(_alive(pid) for pid in workers):
            return
        time.sleep(0.1)
    pytest.fail("workers outlive their parent")


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False

"""Two halves of one task at the same time: the only place of tabular/ that starts threads.

What belongs here: how many threads there are, and running halves. What does not: what a half is; see grouping.py.

Compiled loops run without the interpreter's lock, so plain threads are enough. None outlives its call: a process that
is forked afterwards, as workers of a pool are, inherits none that it would wait for in vain.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

_MOST = 2


def threads() -> int:
    """Threads that a task may use: the processors that this process may run on, at most two."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(allowed, _MOST)


def run_both(first: Callable[[], T], second: Callable[[], T]) -> tuple[T, T]:
    """Run two functions at the same time, the second in a thread of its own.

    Args:
        first: any function that leaves the interpreter's lock for most of its time.
        second: the same; both must not write to the same memory.

    Returns:
        Both results. What either raises is raised here, after both have ended.
    """
    with ThreadPoolExecutor(1) as pool:
        later = pool.submit(second)
        return first(), later.result()

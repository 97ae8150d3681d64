"""A pause of the garbage collector during bulk work.

What belongs here: nothing else.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collector_paused() -> Iterator[None]:
    """Pause the cyclic garbage collector.

    Detection makes millions of small tuples and no cycles: the collector walks all of them again and again and finds
    nothing, which takes a third of the time. Memory is given back by reference counts as always.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()

"""How far a long step has come, told to whoever shows it.

What belongs here: the way from a step deep inside a run to the terminal. What does not: drawing (cli).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

#: Called with what is being done, how much of it is done, and how much there is.
Listener = Callable[[str, int, int], None]

_LISTENERS: list[Listener] = []


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Tell a listener of the steps that this process runs inside the block."""
    _LISTENERS.append(listener)
    try:
        yield
    finally:
        _LISTENERS.remove(listener)


def report(what: str, done: int, total: int) -> None:
    """Tell how far a step has come; nothing happens where nobody listens."""
    for listener in _LISTENERS:
        listener(what, done, total)

"""Calling the command in this process."""

from __future__ import annotations

import contextlib
import io
import json
from dataclasses import dataclass
from typing import Any

from meddata_pipeline.cli import main


@dataclass(frozen=True)
class Answer:
    """What a call of the command gave."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The one object on standard output; anything else there fails."""

        def refuse(word: str) -> None:
            raise AssertionError(f"{word} is not JSON")

        loaded: dict[str, Any] = json.loads(self.out, parse_constant=refuse)
        return loaded

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The JSON Lines on standard output."""
        return [json.loads(line) for line in self.out.splitlines()]


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def call(*words: str, terminal: bool = False) -> Answer:
    """Run `meddata WORDS` in this process, with standard output on a terminal or in a pipe."""
    out, err = _Terminal() if terminal else io.StringIO(), io.StringIO()
    code: Any = 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main(list(words))
        except SystemExit as end:
            code = end.code
    return Answer(int(code or 0), out.getvalue(), err.getvalue())

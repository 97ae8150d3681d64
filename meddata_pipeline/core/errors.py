"""The errors of the whole project, and the machine-readable reasons they carry.

What belongs here: every exception type that crosses a package border. What does not: messages for people in other
languages, and anything that knows where a file lies. A message names what is wrong, where (row, field, file by its
digest) and the next step; it never holds a value of a patient, because messages end in logs and in Dagster's storage.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Reason:
    """One machine-readable reason of a refusal.

    Attributes:
        code: kebab-case word that scripts may test, e.g. ``row-balance``.
        detail: one clear sentence, without patients' values.
        where: product, table, column or file digest concerned.
    """

    code: str
    detail: str = ""
    where: str = ""

    def as_dict(self) -> dict[str, str]:
        """The reason as plain JSON."""
        return asdict(self)


class MeddataError(Exception):
    """Base of all errors that the project raises on purpose."""

    def __init__(self, message: str, *, where: str = "", next_step: str = "") -> None:
        self.message = message
        self.where = where
        self.next_step = next_step
        super().__init__(str(self))

    def __str__(self) -> str:
        text = self.message
        if self.where:
            text += f" ({self.where})"
        if self.next_step:
            text += f". {self.next_step}"
        return text


class BadInput(MeddataError):
    """The input or the usage is wrong; the command ends with exit code 2."""


class ConfigError(BadInput):
    """A configuration file is wrong; the text names file and field."""


class Refused(MeddataError):
    """A gate refuses; the command ends with exit code 1 and the reasons."""

    def __init__(self, message: str, *, reasons: Sequence[Reason], where: str = "", next_step: str = "") -> None:
        self.reasons = tuple(reasons)
        super().__init__(message, where=where, next_step=next_step)

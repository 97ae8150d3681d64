"""What a step of the pipeline answers: digest, rows, small facts, checks, figures. Never a value of a patient.

What belongs here: the shape that steps hand to whoever runs them (Dagster assets, the command line). What does not:
how it is shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Severity = Literal["error", "warning"]


@dataclass(frozen=True)
class Check:
    """One check of a step's output.

    Attributes:
        name: the check's name, the same as in the asset graph.
        passed: whether it passed.
        severity: an error blocks what is below; a warning is only shown.
        code: machine-readable reason where it failed.
        detail: one sentence, without values.
        facts: counts.
        figures: small SVG pictures by title.
    """

    name: str
    passed: bool
    severity: Severity = "error"
    code: str = ""
    detail: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    figures: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """What one step did to one table.

    Attributes:
        digest: SHA-256 of the plain content.
        rows: number of rows, where it is a table.
        changed: False when nothing had to be computed.
        facts: counts and balances.
        checks: checks of the content.
        figures: small SVG pictures by title.
        columns: name and type of each column, where it is a table.
    """

    digest: str
    rows: int | None = None
    changed: bool = True
    facts: Mapping[str, Any] = field(default_factory=dict)
    checks: tuple[Check, ...] = ()
    figures: Mapping[str, str] = field(default_factory=dict)
    columns: tuple[tuple[str, str], ...] = ()

    @property
    def failed(self) -> list[Check]:
        """Checks that block."""
        return [c for c in self.checks if not c.passed and c.severity == "error"]

    def as_facts(self) -> dict[str, Any]:
        """What a manifest keeps, so that a step that finds nothing to do can answer the same again."""
        return {
            "facts": dict(self.facts),
            "checks": [asdict(c) for c in self.checks],
            "figures": dict(self.figures),
            "columns": [list(c) for c in self.columns],
        }

    @classmethod
    def from_facts(cls, digest: str, rows: int | None, kept: Mapping[str, Any]) -> Outcome:
        """The outcome that :meth:`as_facts` kept, as of a step that had nothing to do."""
        return cls(
            digest=digest,
            rows=rows,
            changed=False,
            facts=kept["facts"],
            checks=tuple(Check(**c) for c in kept["checks"]),
            figures=kept["figures"],
            columns=tuple((str(n), str(t)) for n, t in kept["columns"]),
        )

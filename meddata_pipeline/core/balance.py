"""Row balance: no row is ever lost silently (design: in = out + excluded + suppressed + merged)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from meddata_pipeline.core.errors import Reason, Refused


@dataclass(frozen=True)
class Balance:
    """Rows in and out of one step, with a reason for each row that is not in its output.

    Attributes:
        name: the step or table.
        rows_in: rows that went in.
        rows_out: rows that came out.
        excluded: rows by reason, left out on purpose (eligibility, opt-out).
        suppressed: rows by reason, held back for protection.
        merged: rows by reason, folded into another row (superseded by a later delivery).
    """

    name: str
    rows_in: int
    rows_out: int
    excluded: Mapping[str, int] = field(default_factory=dict)
    suppressed: Mapping[str, int] = field(default_factory=dict)
    merged: Mapping[str, int] = field(default_factory=dict)

    @property
    def difference(self) -> int:
        """Rows that nothing accounts for; 0 when the balance is exact."""
        accounted = sum(self.excluded.values()) + sum(self.suppressed.values()) + sum(self.merged.values())
        return self.rows_in - self.rows_out - accounted

    def check(self) -> Balance:
        """Return the balance itself, or refuse when it does not add up.

        Raises:
            Refused: with reason ``row-balance``.
        """
        if self.difference:
            detail = f"{self.name}: {self.rows_in} rows in, {self.rows_out} out, {self.difference} unaccounted for"
            raise Refused("The row balance does not add up", reasons=[Reason("row-balance", detail, self.name)])
        return self

    def as_dict(self) -> dict[str, Any]:
        """The balance as plain JSON."""
        return {
            "name": self.name,
            "rows_in": self.rows_in,
            "rows_out": self.rows_out,
            "excluded": dict(self.excluded),
            "suppressed": dict(self.suppressed),
            "merged": dict(self.merged),
        }

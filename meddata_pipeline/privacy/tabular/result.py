"""What an anonymization gives back: the table, the proof of what was done, what was suppressed.

What belongs here: the answer's form. What does not: making it (release.py), files (files.py), pages
(../risk_report.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from meddata_pipeline.core.errors import Reason, Refused


@dataclass(frozen=True)
class Anonymized:
    """An anonymised table.

    Attributes:
        table: the release: quasi-identifiers, sensitive and insensitive columns, in the policy's order; the index is
            that of the input. None when no transformation meets the policy.
        report: the answer of ``anonymize --json`` without ``seconds``, so that it is the same at every run.
        suppressed: shape (input rows,), True where a row was suppressed.
        transformation: level of each quasi-identifier.
        background: with a research subset: all rows at the chosen levels, with ``inside`` (whether a row belongs to
            the subset) and ``unit``; what a second implementation needs to check models of the population.
    """

    table: pd.DataFrame | None
    report: dict[str, Any]
    suppressed: NDArray[np.bool_]
    transformation: dict[str, int]
    background: pd.DataFrame | None = None

    @property
    def suppressed_rows(self) -> int:
        """Number of suppressed rows."""
        return int(self.suppressed.sum())

    def require(self) -> pd.DataFrame:
        """The table, or a refusal when there is none.

        Raises:
            Refused: reason ``no-transformation`` where it is proved that none meets the policy, ``none-found`` where a
                search that does not see all found none, ``frozen-scheme`` where the levels were given.
        """
        if self.table is None and self.report["asked"]["scheme"] is not None:
            detail = "the levels of the earlier versions don't meet the privacy models within the suppression limit"
            raise Refused(
                "The table can't be anonymised under the frozen scheme",
                reasons=[Reason("frozen-scheme", f"{detail}; a new major version of the contract is needed")],
                next_step="Give contract.yaml a new major version, or wait until more persons have come",
            )
        if self.table is None:
            code, message = "no-transformation", "The table can't be anonymised under this policy"
            detail = "no level of generalisation meets the privacy models within the suppression limit"
            if not self.report.get("proven", True):
                code, message = "none-found", "No way to anonymise the table under this policy was found"
                detail = (
                    f"none of {self.report['checked']:,} transformations checked, of {self.report['lattice']:,}, meets "
                    "the privacy models within the suppression limit; the coarsest does not prove that there is none"
                )
            raise Refused(
                message,
                reasons=[Reason(code, detail)],
                next_step="Add coarser levels, raise suppression_limit or leave out a quasi-identifier",
            )
        return self.table

"""Tabular anonymization: hierarchies, the search for the optimal transformation, and an independent recount.

What belongs here: everything between a table with a policy and the anonymised table. What does not: the policy's file
format (../policy.py), risk figures for people to read (../risk.py, ../risk_report.py).
"""

from __future__ import annotations

from meddata_pipeline.privacy.tabular.release import anonymize
from meddata_pipeline.privacy.tabular.result import Anonymized

__all__ = ["Anonymized", "anonymize"]

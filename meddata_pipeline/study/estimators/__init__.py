"""Estimators, one module per method of study.yaml; each gives rows in the one shape of `result.row`.

Belongs here: formulas with their sources. Does not belong here: reading tables, suppression, rounding, texts.
"""

from __future__ import annotations

from collections.abc import Callable

from meddata_pipeline.study.design import Context
from meddata_pipeline.study.estimators import logistic, table_one, two_by_two
from meddata_pipeline.study.estimators.result import Computed

#: What computes each method of study.yaml.
METHODS: dict[str, Callable[[Context], Computed]] = {
    "two-by-two": two_by_two.compute,
    "logistic": logistic.compute,
    "table-one": table_one.compute,
}

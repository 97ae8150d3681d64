"""Estimators, one module per method of study.yaml; each gives rows in the one shape of `result.row`.

Belongs here: formulas with their sources. Does not belong here: reading tables, suppression, rounding, texts.
"""

from __future__ import annotations

from collections.abc import Callable

from meddata_pipeline.study.design import Context
from meddata_pipeline.study.estimators import (
    conditional,
    firth,
    gee,
    imputation,
    likelihood_ratio,
    linear,
    logistic,
    mantel_haenszel,
    missingness,
    propensity,
    risk_ratio,
    sensitivity,
    standardisation,
    survival,
    synthesis,
    table_one,
    trend,
    two_by_two,
)
from meddata_pipeline.study.estimators.result import Computed

#: What computes each method of study.yaml.
METHODS: dict[str, Callable[[Context], Computed]] = {
    "two-by-two": two_by_two.compute,
    "logistic": logistic.compute,
    "linear": linear.compute,
    "modified-poisson": risk_ratio.modified_poisson,
    "log-binomial": risk_ratio.log_binomial,
    "conditional-logistic": conditional.compute,
    "gee": gee.compute,
    "cox": survival.compute,
    "kaplan-meier": survival.curves,
    "mantel-haenszel": mantel_haenszel.compute,
    "likelihood-ratio": likelihood_ratio.compute,
    "trend": trend.compute,
    "g-computation": standardisation.g_computation,
    "weighting": propensity.weighting,
    "matching": propensity.matching,
    "aipw": standardisation.aipw,
    "firth": firth.compute,
    "imputation": imputation.compute,
    "meta-analysis": synthesis.compute,
    "e-value": sensitivity.e_values,
    "additive-interaction": sensitivity.additive_interaction,
    "table-one": table_one.compute,
    "missing": missingness.compute,
}

"""Privacy models, one file each family, and the factory that makes them from a policy.

What belongs here: the step from the policy's words to models. What does not: the models (their files), the search.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from meddata_pipeline.core.errors import BadInput
from meddata_pipeline.privacy import policy as asked
from meddata_pipeline.privacy.tabular.models.base import (
    Background,
    Classes,
    Criterion,
    Distribution,
    Model,
    SampleModel,
)
from meddata_pipeline.privacy.tabular.models.k_anonymity import KAnonymity, derived_k
from meddata_pipeline.privacy.tabular.models.k_map import KMap
from meddata_pipeline.privacy.tabular.models.l_diversity import (
    DistinctLDiversity,
    EntropyLDiversity,
    RecursiveLDiversity,
)
from meddata_pipeline.privacy.tabular.models.likeness import BetaLikeness, DeltaDisclosure
from meddata_pipeline.privacy.tabular.models.presence import DeltaPresence, Inclusion
from meddata_pipeline.privacy.tabular.models.risk import AverageRisk, PopulationUniqueness, SampleUniqueness
from meddata_pipeline.privacy.tabular.models.t_closeness import TCloseness

__all__ = ["Background", "Classes", "Criterion", "Distribution", "Model", "SampleModel", "create_models"]


def create_models(
    wanted: Sequence[asked.PrivacyModel], *, rows: int, unit: bool, backgrounds: Mapping[str, Background]
) -> list[Criterion]:
    """Make the models of a policy, those that shrink first.

    Args:
        wanted: of the policy.
        rows: persons (rows) of the whole table, the sample of an estimated population.
        unit: whether classes count persons of several rows each.
        backgrounds: of the sensitive columns.

    Returns:
        Models; of entropy and recursive l-diversity also the distinct l-diversity that they imply.

    Raises:
        BadInput: the table holds more persons than the population that it is said to be a sample of.
    """
    models: list[Criterion] = []
    for model in wanted:
        match model:
            case asked.KAnonymity():
                models.append(KAnonymity(model.k))
            case asked.KMap(population=None):
                models.append(KMap(model.k))
            case asked.KMap():
                size = model.population or rows
                _refuse_small(model.model, size, rows)
                estimator = model.estimator or "poisson"
                models.append(KAnonymity(derived_k(model.k, rows, size, model.significance, estimator)))
            case asked.DistinctLDiversity():
                models.append(DistinctLDiversity(model.attribute, model.l))
            case asked.EntropyLDiversity():
                models.append(DistinctLDiversity(model.attribute, math.ceil(model.l)))
                models.append(EntropyLDiversity(model.attribute, model.l, model.estimator))
            case asked.RecursiveLDiversity():
                models.append(DistinctLDiversity(model.attribute, model.l))
                models.append(RecursiveLDiversity(model.attribute, model.l, model.c))
            case asked.TCloseness():
                background = backgrounds[model.attribute]
                models.append(TCloseness(model.attribute, model.t, model.distance, background))
            case asked.DeltaPresence():
                models.append(DeltaPresence(model.min, model.max))
            case asked.Inclusion():
                models.append(Inclusion())
            case asked.DeltaDisclosure():
                models.append(DeltaDisclosure(model.attribute, model.delta, backgrounds[model.attribute]))
            case asked.BetaLikeness():
                enhanced = model.model == "enhanced-beta-likeness"
                models.append(BetaLikeness(model.attribute, model.beta, enhanced, backgrounds[model.attribute]))
            case asked.AverageRisk():
                models.append(AverageRisk(model.threshold))
            case asked.SampleUniqueness():
                models.append(SampleUniqueness(model.threshold))
            case asked.PopulationUniqueness():
                _refuse_small(model.model, model.population, rows)
                models.append(PopulationUniqueness(model.threshold, model.estimator, model.population))
    sized = any(model.least > 0 for model in models)
    for made in models:
        if isinstance(made, DeltaPresence) and sized:
            made.refuses_empty = False
            made.merges = made.low <= 0.0
        if unit and made.attribute is not None:
            # A person counts once in a merged class, so its distribution is no mixture of its parts', and a class of
            # fewer than l persons may hold l values.
            made.merges = made.shrinks
            made.least = 0
    return sorted(models, key=lambda model: not model.shrinks)


def _refuse_small(model: str, population: int, rows: int) -> None:
    if population < rows:
        raise BadInput(
            f"The population of {model} is smaller than the table",
            where=f"privacy, {model}",
            next_step="Give the number of all the people whom the table's people belong to",
        )

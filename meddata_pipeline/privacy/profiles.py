"""Profiles of acceptable risk: shared release, EMA policy 0070, strict; each with the source of its threshold.

What belongs here: reading profiles.yaml, and whether class sizes meet a profile. What does not: a product's own
threshold (its privacy.yaml, ``risk``).
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from importlib.resources import files

import yaml

from meddata_pipeline.core.text import Text


@dataclass(frozen=True)
class Profile:
    """A profile.

    Attributes:
        id: its name in a policy.
        title: what people call it.
        k: smallest class in persons.
        highest: largest acceptable risk of a record, exact.
        status: ``confirmed`` or ``general`` (general knowledge).
        source: where the threshold comes from.
    """

    id: str
    title: Text
    k: int
    highest: Fraction
    status: str
    source: Text

    def met(self, smallest: int | None) -> bool:
        """Whether a table whose smallest class holds so many persons meets the profile; None: it has no class."""
        return smallest is None or (smallest >= self.k and Fraction(1, smallest) <= self.highest)


@cache
def profiles() -> dict[str, Profile]:
    """The shipped profiles by id, from the loosest to the strictest."""
    text = files("meddata_pipeline.privacy").joinpath("profiles.yaml").read_text(encoding="utf-8")
    return {
        name: Profile(
            name, Text(**raw["title"]), raw["k"], Fraction(raw["highest"]), raw["status"], Text(**raw["source"])
        )
        for name, raw in yaml.safe_load(text).items()
    }

"""Reading the generator's word lists (``vocabulary/*.yaml``).

What belongs here: loading and indexing words. What does not: the words, and how they are combined.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib import resources
from typing import Any

import numpy as np
import numpy.typing as npt
import yaml

Words = npt.NDArray[np.object_]


@cache
def vocabulary(name: str) -> dict[str, Any]:
    """One word list of the package by the name of its file."""
    source = resources.files("meddata_pipeline.samples").joinpath("vocabulary", f"{name}.yaml")
    loaded: dict[str, Any] = yaml.safe_load(source.read_text(encoding="utf-8"))
    return loaded


def words(values: Sequence[object]) -> Words:
    """Values as a one-dimensional array of texts, so that an index array picks many of them at once."""
    array = np.empty(len(values), dtype=object)
    array[:] = [str(value) for value in values]
    return array


def column(rows: Sequence[Sequence[object]], position: int) -> Words:
    """One column of a list of rows as an array of texts."""
    return words([row[position] for row in rows])

"""A large made-up household survey for the figures of tabular anonymization: 1,193,504 rows, lattice 25,920.

What belongs here: the table and its hierarchies, the same at every run. What does not: measuring (tabular.py).

Its nine quasi-identifiers have as many values and levels as those of the health interview survey that the literature
measures on (13, 4, 4, 25, 86, 10, 2, 16 and 26 values; 6 · 3 · 3 · 4 · 5 · 3 · 2 · 2 · 2 transformations). Marital
status and education follow age, the number in the household follows marital status, and shares are uneven, as in such
surveys: independent columns would be far easier.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

ROWS = 1_193_504
LATTICE = 25_920
_SEED = 20_240_601


def _bands(values: range, widths: list[int]) -> list[list[str]]:
    rows = []
    for value in values:
        row = [str(value)]
        for width in widths:
            low = (value - values.start) // width * width + values.start
            row.append(f"{low}-{low + width - 1}")
        rows.append([*row, "*"])
    return rows


def hierarchies() -> dict[str, list[list[str]]]:
    """Rows of each hierarchy file: the value, then what it becomes at each level."""
    return {
        "year": _bands(range(1997, 2010), [2, 4, 8, 16]),
        "quarter": [[str(q), "first half" if q < 3 else "second half", "*"] for q in range(1, 5)],
        "region": [[f"region {r}", "north or east" if r < 2 else "south or west", "*"] for r in range(4)],
        "person": _bands(range(1, 26), [3, 9]),
        "age": _bands(range(86), [5, 10, 20]),
        "marital": [[f"marital {m}", f"group {m // 4}", "*"] for m in range(10)],
        "sex": [["female", "*"], ["male", "*"]],
        "race": [[f"race {r}", "*"] for r in range(16)],
        "education": [[f"education {e}", "*"] for e in range(26)],
    }


def _pick(chance: np.random.Generator, weights: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """One index for each row of weights."""
    edges = np.cumsum(weights, axis=1)
    edges /= edges[:, -1:]
    return (chance.random((len(weights), 1)) > edges).sum(axis=1)


def table(rows: int = ROWS) -> pd.DataFrame:
    """The survey, every column as text."""
    chance = np.random.default_rng(_SEED)
    year = chance.integers(0, 13, rows)
    quarter = chance.integers(0, 4, rows)
    region = chance.choice(4, rows, p=[0.17, 0.22, 0.36, 0.25])
    age = np.minimum((chance.beta(1.15, 1.75, rows) * 92).astype(int), 85)
    by_age = np.zeros((86, 10))
    for years in range(86):
        adult = max(0.0, min(1.0, (years - 15) / 15))
        late = max(0.0, (years - 50) / 35)
        by_age[years] = [
            1.02 - adult, 0.62 * adult, 0.02 * adult, 0.45 * late * adult, 0.11 * adult, 0.03 * adult,
            (1 - late * 0.8) * adult * 0.35, 0.05 * adult, 0.004, 0.002,
        ]  # fmt: skip
    marital = _pick(chance, by_age[age])
    schooling = np.zeros((86, 26))
    for years in range(86):
        most = min(max((years - 4) // 1, 0), 25)
        centre = min(most, 14)
        reach = 1.0 if years < 20 else 4.0
        schooling[years] = np.exp(-np.abs(np.arange(26) - centre) / reach) * (np.arange(26) <= most + 1)
    education = _pick(chance, schooling[age])
    rare = 0.62 ** np.arange(16)
    race = chance.choice(16, rows, p=rare / rare.sum())
    married = np.isin(marital, (1, 6))
    first = np.where(age < 18, chance.geometric(0.45, rows) + 2, chance.geometric(np.where(married, 0.62, 0.55), rows))
    person = np.minimum(first, 25) - 1
    sex = chance.integers(0, 2, rows)
    codes = {
        "year": year, "quarter": quarter, "region": region, "person": person, "age": age, "marital": marital,
        "sex": sex, "race": race, "education": education,
    }  # fmt: skip
    names = {name: np.array([row[0] for row in lines], dtype=object) for name, lines in hierarchies().items()}
    return pd.DataFrame({name: names[name][column] for name, column in codes.items()})


def policy(**changes: Any) -> dict[str, Any]:
    """The policy of the figures: k = 5, at most 2 % suppressed, Loss."""
    return {
        "quasi_identifiers": {name: {"hierarchy": f"{name}.csv"} for name in hierarchies()},
        "privacy": [{"model": "k-anonymity", "k": 5}],
        "suppression_limit": 0.02,
        **changes,
    }


def write_hierarchies(folder: Path) -> None:
    """Write the hierarchy files."""
    for name, lines in hierarchies().items():
        text = "\n".join(",".join(line) for line in lines) + "\n"
        (folder / f"{name}.csv").write_text(text, encoding="utf-8")

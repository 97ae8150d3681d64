"""Natural cubic splines as columns of a model.

Belongs here: the basis. Does not belong here: terms of study.yaml (design.py).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import linalg
from scipy.interpolate import BSpline

from meddata_pipeline.core.expression import Floats
from meddata_pipeline.study.variables import NotComputableError


def natural_spline(values: Floats, df: int, used: npt.NDArray[np.bool_], frequency: Floats) -> list[Floats]:
    """The basis of a natural cubic spline without the constant: linear beyond the range of the values.

    Knots lie at the quantiles (type 7), the outer ones at the range. The basis is that of R's splines::ns: cubic
    B-splines without the first, turned so that the second derivative at both ends is 0.

    Args:
        values: one per row, NaN for missing.
        df: number of columns, at least 1.
        used: rows that knots are taken from.
        frequency: persons per row.

    Returns:
        `df` columns over all rows, NaN for missing.

    Raises:
        NotComputableError: ``quantiles-not-distinct``: too few different values for so many knots.

    Source:
        Hastie in Chambers & Hastie, Statistical Models in S (1992), chapter 7.
    """
    present = ~np.isnan(values)
    chosen = used & present
    persons = np.repeat(values[chosen], frequency[chosen].astype(np.int64))
    if not len(persons):
        raise NotComputableError("no-complete-rows")
    knots = np.quantile(persons, np.linspace(0, 1, df + 1), method="linear")
    if (np.diff(knots) <= 0).any():
        raise NotComputableError("quantiles-not-distinct")
    low, high = float(knots[0]), float(knots[-1])
    full = np.concatenate([[low] * 4, knots[1:-1], [high] * 4])
    bases = BSpline(full, np.eye(len(full) - 4), 3)
    ends = np.array([low, high])
    curvature = bases.derivative(2)(ends)[:, 1:]
    turned, _ = linalg.qr(curvature.T)
    inside = np.clip(values[present], low, high)
    basis = bases(inside)[:, 1:]
    # Beyond the range (rows outside the subset) the curve goes on as a straight line.
    slopes = bases.derivative(1)(ends)[:, 1:]
    beyond = values[present] - inside
    basis = basis + np.where(beyond < 0, beyond, 0.0)[:, None] * slopes[0]
    basis = basis + np.where(beyond > 0, beyond, 0.0)[:, None] * slopes[1]
    columns = np.full((len(values), df), np.nan)
    columns[present] = (basis @ turned)[:, 2:]
    return list(columns.T)

"""FvT held against the ratio that is known, which only a toy has."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Real = NDArray[np.float64]
BINS = 10


class Bin(NamedTuple):
    """Events between two quantiles of the known ratio."""

    known: float
    """Weighted mean of the known ratio."""
    found: float
    """Weighted mean of FvT."""
    spread: float
    """Weighted standard deviation of FvT / known ratio."""
    events: int


class Grade(NamedTuple):
    """How well the ratio was found, weighted by three-tag data."""

    bias: float
    """Mean of FvT / known − 1."""
    rms: float
    """Root of the mean square of FvT / known − 1."""
    constant: float
    """The same for the best constant in place of FvT, the mean of the known ratio."""
    correlation: float
    """Of FvT and the known ratio."""
    bins: tuple[Bin, ...]


def graded(found: Real, known: Real, weight: Real) -> Grade:
    """Grade FvT; all (N,), of three-tag data of one region, with their weights before FvT."""
    relative = found / known - 1
    edges = np.quantile(known, np.linspace(0, 1, BINS + 1)[1:-1])
    place = np.searchsorted(edges, known)
    bins = []
    for number in range(BINS):
        mine = place == number
        if weight[mine].sum() > 0:
            own = weight[mine]
            middle = float(np.average(relative[mine], weights=own))
            spread = float(np.sqrt(np.average((relative[mine] - middle) ** 2, weights=own)))
            bins.append(
                Bin(float(np.average(known[mine], weights=own)), float(np.average(found[mine], weights=own)), spread, int(mine.sum()))
            )
    mean = float(np.average(known, weights=weight))
    return Grade(
        bias=float(np.average(relative, weights=weight)),
        rms=float(np.sqrt(np.average(relative**2, weights=weight))),
        constant=float(np.sqrt(np.average((mean / known - 1) ** 2, weights=weight))),
        correlation=float(np.corrcoef(found, known)[0, 1]),
        bins=tuple(bins),
    )

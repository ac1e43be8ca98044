"""χ² between two weighted samples, bin by bin, with the uncertainty of both sides."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import scipy.stats
from numpy.typing import NDArray

from labwright.events.metrics.auc import copies
from labwright.events.metrics.histograms import Histogram

LEAST_EVENTS = 10.0
"""Bins are joined until so many events are expected, since χ² takes their numbers for normal."""
Real = NDArray[np.float64]


class Agreement(NamedTuple):
    """χ² = Σ (d − m)² / (σ_d² + σ_m²) over the bins, flow bins included."""

    chi2: float
    ndf: int
    """Bins: neither side is scaled to the other."""
    p: float
    """That equal samples differ by so much, by the χ² distribution."""
    p_bootstrap: float
    """The same by resampled events; NaN where none were asked for."""


class Side(NamedTuple):
    """A weighted sample in one variable."""

    filled: Histogram
    """Of one axis."""
    place: NDArray[np.int64]
    """(n,) each event's bin in it, underflow 0."""
    weight: Real
    """(n,)"""


def joined(data: Histogram, model: Histogram) -> NDArray[np.int64]:
    """For each bin, flow bins included, the number of the group that it is judged in, rising from 0."""
    squares = data.squares.sum()
    one_event = squares / data.sums.sum() if squares else 1.0
    groups = np.zeros(len(model.sums), np.int64)
    group, expected = 0, 0.0
    for number, share in enumerate(model.sums / one_event):
        if expected >= LEAST_EVENTS:
            group, expected = group + 1, 0.0
        groups[number] = group
        expected += share
    if expected < LEAST_EVENTS and group:
        groups[groups == group] = group - 1
    return groups


def agreements(pairs: Sequence[tuple[Side, Side]], *, resamples: int = 0, seed: int = 0) -> list[Agreement]:
    """χ² of (data, model) in each variable; the events of a side are the same ones, in the same order, in all variables.

    For the bootstrap, events of both sides are drawn again (a Poisson number of copies of each): how far the difference of the sides
    then strays from what it is tells how far it strays from zero where the samples are equal.

    Args:
        pairs: data and model in each variable.
        resamples: of the bootstrap.
        seed: of the bootstrap.
    """
    if not pairs:
        return []
    signed = np.concatenate([pairs[0][0].weight, -pairs[0][1].weight])
    places, variances, differences = [], [], []
    for data, model in pairs:
        groups = joined(data.filled, model.filled)
        count = int(groups[-1]) + 1
        places.append(groups[np.concatenate([data.place, model.place])])
        variances.append(_summed(groups, data.filled.squares + model.filled.squares, count))
        differences.append(_summed(groups, data.filled.sums - model.filled.sums, count))
    chi2 = [_chi2(difference, variance) for difference, variance in zip(differences, variances, strict=True)]
    exceeding = np.zeros(len(pairs), np.int64)
    for number in range(resamples):
        drawn: Real = signed * copies(seed, number, len(signed))
        strayed = [
            _chi2(_summed(place, drawn, len(one)) - one, variance)
            for place, one, variance in zip(places, differences, variances, strict=True)
        ]
        exceeding += np.array(strayed) >= np.array(chi2)
    shares = (exceeding + 1) / (resamples + 1) if resamples else np.full(len(pairs), np.nan)
    return [
        Agreement(value, len(one), float(scipy.stats.chi2.sf(value, len(one))), float(share))
        for value, one, share in zip(chi2, differences, shares, strict=True)
    ]


def _summed(groups: NDArray[np.int64], values: Real, count: int) -> Real:
    return np.bincount(groups, values, count).astype(np.float64)


def _chi2(difference: Real, variance: Real) -> float:
    filled = variance > 0
    return float(np.sum(difference[filled] ** 2 / variance[filled]))

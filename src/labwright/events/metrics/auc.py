"""Area under the ROC curve of weighted events, exact, with an interval.

A = Σᵢⱼ wᵢ vⱼ ψ(sᵢ, tⱼ) / (Σ w · Σ v) over positives i and negatives j; ψ is 1 where the positive has the higher score, ½ where both are
equal, else 0. All of it follows from one sort.

Negative weights, as simulated events have them, enter with their sign: they take away what others have too much. A stays an estimate of
the same area, but it may lie outside of [0, 1] where few events are left after that. Whoever shows it says how many there are
(``Auc.negative``). A side whose weights add up to nothing or less has no area: NaN.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from labwright.data.sampler import generator

LEVEL_95 = 1.959963984540054
"""Standard deviations on either side of the mean that hold 95 % of a normal distribution."""
_MOST_COPIES = 14
"""A Poisson number of mean 1 is greater once in 10^12."""
Floats = NDArray[np.float64]


class Auc(NamedTuple):
    """An area and how well it is known; NaN where nothing can be said."""

    value: float
    low: float
    high: float
    """95 % interval."""
    std: float
    positives: int
    negatives: int
    negative: int
    """Events of negative weight among both."""


class _Ranked(NamedTuple):
    """Events by place of their score among the scores that occur."""

    place: NDArray[np.int64]
    distinct: int
    """Different scores."""
    positive: NDArray[np.bool_]
    weight: Floats

    def area(self, weight: Floats) -> tuple[float, Floats, Floats]:
        """A; and by place, as shares of the other side's weight, the negatives below and the positives above, ties by half."""
        sums = (np.bincount(self.place, weight * side, self.distinct) for side in (self.positive, ~self.positive))
        above, below = (one.astype(np.float64, copy=False) for one in sums)
        totals = above.sum(), below.sum()
        if not (totals[0] > 0 and totals[1] > 0):
            return math.nan, above, below
        beaten = (np.cumsum(below) - 0.5 * below) / totals[1]
        beaten_by = 1.0 - (np.cumsum(above) - 0.5 * above) / totals[0]
        return float((above * beaten).sum() / totals[0]), beaten, beaten_by


def _ranked(score: NDArray[Any], positive: NDArray[np.bool_], weight: NDArray[Any] | None) -> _Ranked:
    if np.isnan(score).any():
        raise ValueError("an event without a score has no place among the others: leave it out and count it")
    order = np.argsort(score, kind="stable")
    ordered = score[order]
    place = np.empty(len(score), np.int64)
    place[order] = np.cumsum(np.concatenate(([False], ordered[1:] != ordered[:-1]))[: len(score)])
    count = int(place.max()) + 1 if len(place) else 0
    return _Ranked(place, count, positive, np.ones(len(score)) if weight is None else weight.astype(np.float64))


def auc(score: NDArray[Any], positive: NDArray[np.bool_], weight: NDArray[Any] | None = None) -> float:
    """The area alone; all (N,), equal weights where none are given.

    Raises:
        ValueError: a score is NaN.
    """
    ranked = _ranked(score, positive, weight)
    return ranked.area(ranked.weight)[0]


def delong(score: NDArray[Any], positive: NDArray[np.bool_], weight: NDArray[Any] | None = None) -> Auc:
    """The area with the interval of DeLong, DeLong and Clarke-Pearson (Biometrics 44, 1988, 837), for weighted events.

    Each side adds Σ w² (V − A)² / (Σ w)² · n / (n − 1) to the variance, where V is the share of the other side's weight that an event
    has on its right side, as in the paper, and n = (Σ w)² / Σ w² takes the place of the number of events: with equal weights this is
    the paper's formula, with others the linearised variance of a weighted mean. The interval is symmetric in logit A (Pepe, "The
    statistical evaluation of medical tests", 2003, ch. 5), so that it stays inside (0, 1).

    Raises:
        ValueError: a score is NaN.
    """
    ranked = _ranked(score, positive, weight)
    value, beaten, beaten_by = ranked.area(ranked.weight)
    if math.isnan(value):
        return _told(ranked, value, math.nan)
    variance = 0.0
    for side, share in ((positive, beaten), (~positive, beaten_by)):
        own, distance = ranked.weight[side], share[ranked.place[side]] - value
        squares, total = float(own @ own), float(own.sum())
        effective = total**2 / squares
        variance += float(((own * distance) ** 2).sum()) / total**2 * (effective / (effective - 1) if effective > 1 else math.nan)
    return _told(ranked, value, math.sqrt(variance))


def bootstrap(
    score: NDArray[Any], positive: NDArray[np.bool_], weight: NDArray[Any] | None = None, *, resamples: int = 200, seed: int = 0
) -> Auc:
    """The area with the interval between the 2.5 % and 97.5 % quantiles of areas of resampled events.

    Each event comes as often as a Poisson number of mean 1 says, drawn from ``seed`` and the number of the resampling alone.

    Raises:
        ValueError: a score is NaN.
    """
    ranked = _ranked(score, positive, weight)
    value = ranked.area(ranked.weight)[0]
    found = [ranked.area(ranked.weight * copies(seed, number, len(score)))[0] for number in range(resamples)]
    found = [one for one in found if not math.isnan(one)]
    if math.isnan(value) or len(found) < 2:
        return _told(ranked, value, math.nan)
    low, high = np.quantile(found, (0.025, 0.975))
    return _told(ranked, value, float(np.std(found, ddof=1)))._replace(low=float(low), high=float(high))


def copies(seed: int, resampling: int, events: int) -> NDArray[np.int64]:
    """How often each event is in a resampling of the bootstrap: Poisson numbers of mean 1, (events,).

    Counts that do not depend on each other, unlike drawing with replacement, and nearly the same for many events (Hanley and
    MacGibbon, Comput. Methods Programs Biomed. 83, 2006, 57).
    """
    # Raw numbers of Philox are the same in every version of NumPy; its Poisson numbers need not be.
    raw = generator(seed, "bootstrap", resampling).bit_generator.random_raw(-(-events // 2)).astype("<u8").view("<u4")[:events]
    at_most = np.cumsum([math.exp(-1.0) / math.factorial(number) for number in range(_MOST_COPIES)])
    return np.searchsorted((at_most * 2**32).astype(np.uint64), raw, side="right")


def _told(ranked: _Ranked, value: float, std: float) -> Auc:
    if 0.0 < value < 1.0:
        middle, half = math.log(value / (1.0 - value)), LEVEL_95 * std / (value * (1.0 - value))
        low, high = (1.0 / (1.0 + math.exp(-(middle + sign * half))) if not math.isnan(std) else math.nan for sign in (-1.0, 1.0))
    else:
        low, high = value - LEVEL_95 * std, value + LEVEL_95 * std
    positives = int(np.count_nonzero(ranked.positive))
    return Auc(value, low, high, std, positives, len(ranked.positive) - positives, int(np.count_nonzero(ranked.weight < 0)))

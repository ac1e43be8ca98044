"""Whether probabilities mean what they say: reliability, expected calibration error, and the confusion of classes."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from labwright.events.metrics.auc import copies

Floats = NDArray[np.float64]
BLOCKS = 1000
"""Events are resampled in so many blocks, which cost no more however many events there are."""


class Reliability(NamedTuple):
    """Probabilities of one group of classes, by bins of equal width."""

    said: Floats
    """(bins,) mean probability; NaN in a bin without weight."""
    found: Floats
    """(bins,) share of the weight that is of the group."""
    low: Floats
    high: Floats
    """Ends of the 95 % interval of ``found``."""
    events: NDArray[np.int64]
    weight: Floats
    ece: float
    """Expected calibration error: Σ over bins of |weight found − weight said|, over the whole weight."""
    ece_low: float
    ece_high: float
    """95 % interval."""
    ece_chance: float
    """What the spread of so many events gives to probabilities that are true."""


def reliability(p: NDArray[Any], member: NDArray[np.bool_], weight: Floats, *, bins: int, resamples: int, seed: int) -> Reliability:
    """Hold probabilities against what is there (Naeini, Cooper and Hauskrecht, AAAI 2015, for weighted events).

    Negative weights enter with their sign. Intervals: quantiles of a bootstrap with Poisson numbers, of ``BLOCKS`` blocks of events
    where there are more. The error is never negative, so chance alone makes it greater than 0; by how much is ``ece_chance``, from the
    spread of each bin.

    Args:
        p: (N,) in [0, 1].
        member: bool (N,), whether an event is of the group.
        weight: (N,).
        bins: of equal width.
        resamples: of the bootstrap.
        seed: of the bootstrap.
    """
    place = np.minimum((p * bins).astype(np.int64), bins - 1)
    blocks = min(len(p), BLOCKS)
    flat = place + bins * (np.arange(len(p)) % max(blocks, 1))
    columns = (weight, weight * member, weight * p)
    # (blocks, 3, bins): sums of weight, of weight found and of weight said.
    sums = np.stack([np.bincount(flat, one, blocks * bins).reshape(blocks, bins) for one in columns], axis=1)
    again = np.stack([np.tensordot(copies(seed, number, blocks).astype(np.float64), sums, 1) for number in range(resamples)])
    total = sums.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.where(again[:, 0] > 0, again[:, 1] / again[:, 0], np.nan)
        said, found = (np.where(total[0] > 0, one / total[0], np.nan) for one in total[1:][::-1])
    low, high = np.full(bins, np.nan), np.full(bins, np.nan)
    known = ~np.isnan(found) & ~np.isnan(share).all(axis=0)
    if known.any():
        low[known], high[known] = np.nanquantile(share[:, known], (0.025, 0.975), axis=0)
    spread = np.sqrt(np.bincount(place, (weight * (member - p)) ** 2, bins))
    whole = float(weight.sum())
    errors = _error(again)
    # The mean of |x| for a normal x of this spread.
    chance = float(spread.sum() * np.sqrt(2 / np.pi) / whole) if whole > 0 else np.nan
    first, last = np.nanquantile(errors, (0.025, 0.975)).tolist() if not np.isnan(errors).all() else (np.nan, np.nan)
    events = np.bincount(place, minlength=bins)
    return Reliability(said, found, low, high, events, total[0], float(_error(total[None])[0]), first, last, chance)


def _error(sums: Floats) -> Floats:
    """Expected calibration error of each resampling, (n, 3, bins) → (n,)."""
    whole = sums[:, 0].sum(axis=-1)
    distance = np.abs(sums[:, 1] - sums[:, 2]).sum(axis=-1)
    return np.where(whole > 0, distance / np.where(whole > 0, whole, 1.0), np.nan)


def confusion(p: NDArray[Any], label: NDArray[np.uint8], weight: Floats) -> tuple[Floats, NDArray[np.int64]]:
    """What events of each class are taken for: the class of the greatest probability.

    Args:
        p: (N, classes).
        label: (N,), each below the number of classes.
        weight: (N,).

    Returns:
        Σ weight and number of events, (classes, classes) each: rows are true classes.
    """
    classes = p.shape[1]
    flat = label.astype(np.int64) * classes + p.argmax(axis=1)
    sums = np.bincount(flat, weight, classes**2).astype(np.float64, copy=False)
    counts = np.bincount(flat, minlength=classes**2).astype(np.int64, copy=False)
    return sums.reshape(classes, classes), counts.reshape(classes, classes)

"""ROC curves of weighted events: every point, the few that a plot needs, and rates at points of interest."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
POINTS = 400
"""Of a thinned curve along its length; as many again at most where few negatives are left."""
SMALLEST_RATE = 1e-5


class Roc(NamedTuple):
    """Rates of positives and of negatives above a falling threshold, from (0, 0) to (1, 1)."""

    fpr: Floats
    """Share of the negatives' weight."""
    tpr: Floats
    """Share of the positives' weight."""
    bent: int = 0
    """Points that negative weights would let fall back, or leave [0, 1]; they were moved to where the curve does neither."""
    moved: float = 0.0
    """The furthest that one was moved."""


def roc(score: NDArray[Any], positive: NDArray[np.bool_], weight: NDArray[Any] | None = None) -> Roc | None:
    """Each point of the curve: one for each different score, (points,) each.

    Events of negative weight make rates fall as the threshold does. The curve to be shown never does: each rate is the greatest so far,
    within [0, 1], and what was changed for that is told. Areas do not come from here (``auc`` counts pairs with their signs), so
    they are not touched by it.

    Args:
        score: (N,), no NaN.
        positive: bool (N,).
        weight: (N,), 1 each where none are given.

    Returns:
        None where a side has no weight, or a negative sum.
    """
    order = np.argsort(score, kind="stable")[::-1]
    ordered = score[order]
    ends = np.append(np.flatnonzero(ordered[1:] != ordered[:-1]), len(ordered) - 1) if len(ordered) else np.zeros(0, np.int64)
    # Sums of float32 weights would drift.
    heavy = np.ones(len(order)) if weight is None else weight[order].astype(np.float64)
    rates = []
    for side in (~positive[order], positive[order]):
        above = np.cumsum(heavy * side)
        if not len(above) or not above[-1] > 0:
            return None
        rates.append(np.concatenate(([0.0], above[ends] / above[-1])))
    shown = [np.minimum(np.maximum.accumulate(one.clip(0.0)), 1.0) for one in rates]
    distance = np.max([np.abs(one - other) for one, other in zip(shown, rates, strict=True)], axis=0)
    bent = distance > 1e-12
    return Roc(shown[0], shown[1], int(np.count_nonzero(bent)), float(distance.max()) if bent.any() else 0.0)


def thinned(curve: Roc, points: int = POINTS) -> Roc:
    """Points of the curve that draw the same line: none left out is further than 2 / ``points`` from it, in either rate.

    Those kept are evenly spaced along fpr + tpr, which grows along the curve, and evenly in the logarithm of fpr, since plots of
    rejection show its smallest values widest.
    """
    if len(curve.fpr) <= points:
        return curve
    along = np.searchsorted(curve.fpr + curve.tpr, np.linspace(0.0, 2.0, points), side="right") - 1
    small = np.searchsorted(curve.fpr, np.geomspace(SMALLEST_RATE, 1.0, points // 2), side="right") - 1
    kept = np.unique(np.concatenate((along, small, [0, len(curve.fpr) - 1])))
    return curve._replace(fpr=curve.fpr[kept], tpr=curve.tpr[kept])


def tpr_at(curve: Roc, fpr: Floats) -> Floats:
    """Share of the positives kept where these shares of the negatives are, by lines between points; of several the greatest."""
    last = np.append(curve.fpr[1:] > curve.fpr[:-1], True)
    found: Floats = np.interp(fpr, curve.fpr[last], curve.tpr[last])
    return found


def fpr_at(curve: Roc, tpr: Floats) -> Floats:
    """Share of the negatives left where these shares of the positives are kept; of several the least."""
    first = np.append(True, curve.tpr[1:] > curve.tpr[:-1])
    found: Floats = np.interp(tpr, curve.tpr[first], curve.fpr[first])
    return found

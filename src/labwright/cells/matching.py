"""Which cells of two label maps overlap, and how much: the one table that all instance scores are read from."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from labwright.runs.errors import DataError

Labels = NDArray[np.integer[Any]]
Areas = NDArray[np.int64]

DICE_ABOVE = 0.1
"""A pair whose Dice is not above this is no match under Instance Dice."""
TABLE_PER_PIXEL = 8
"""Entries of a full table of pairs for each pixel of a frame, up to which it is faster than sorting."""


class Overlap(NamedTuple):
    """Areas of the cells on both sides, and the pairs that share pixels, in order of truth, then prediction."""

    truth_px: Areas
    """(truth cells,) area, in order of label."""
    predicted_px: Areas
    """(predicted cells,) area, in order of label."""
    truth: NDArray[np.intp]
    """(pairs,) position in ``truth_px``."""
    predicted: NDArray[np.intp]
    """(pairs,) position in ``predicted_px``."""
    shared_px: Areas
    """(pairs,) pixels in common, at least 1."""


def overlap(truth: Labels, predicted: Labels) -> Overlap:
    """Count the pixels of every pair of cells in one pass.

    Args:
        truth, predicted: label maps of equal shape and any integer dtypes, 0 background.

    Raises:
        DataError: the shapes differ, or a map is not of whole, non-negative numbers.
    """
    _check(truth, "truth")
    _check(predicted, "prediction")
    if truth.shape != predicted.shape:
        raise DataError(
            f"truth of size {_size(truth)} and prediction of size {_size(predicted)} cannot be compared",
            todo="Bring both to the same size, by nearest neighbour",
        )
    rows, columns = int(truth.max(initial=0)) + 1, int(predicted.max(initial=0)) + 1
    if rows * columns > TABLE_PER_PIXEL * truth.size:
        (truth, rows), (predicted, columns) = _without_gaps(truth), _without_gaps(predicted)
    keys = truth.astype(np.int64).ravel() * columns
    keys += predicted.astype(np.int64, copy=False).ravel()
    if rows * columns <= TABLE_PER_PIXEL * truth.size:
        table = np.bincount(keys, minlength=rows * columns)
        found = np.flatnonzero(table != 0)
        shared = table[found]
    else:
        found, shared = np.unique(keys, return_counts=True)
    i, j = np.divmod(found, columns)
    both = (i > 0) & (j > 0)
    truth_px, truth_number = _areas(i, shared, rows)
    predicted_px, predicted_number = _areas(j, shared, columns)
    return Overlap(truth_px, predicted_px, truth_number[i[both]], predicted_number[j[both]], shared[both])


def _check(labels: Labels, name: str) -> None:
    if labels.dtype.kind not in "iu":
        raise DataError(f"the {name} holds {labels.dtype} where labels are whole numbers", todo="Store the labels as an integer type")
    if labels.min(initial=0) < 0:
        raise DataError(f"the {name} holds negative labels", todo="Number the cells from 1; 0 is background")


def _without_gaps(labels: Labels) -> tuple[Labels, int]:
    """Labels renumbered 0…n in the same order, and n + 1."""
    # With a zero in front, background is number 0 even where the map has none.
    present, numbers = np.unique(np.append(np.zeros(1, labels.dtype), labels), return_inverse=True)
    return numbers[1:], len(present)


def _areas(labels: NDArray[np.int64], px: NDArray[np.int64], count: int) -> tuple[NDArray[np.int64], NDArray[np.intp]]:
    """Areas of the cells that are there, background left out, and the position of each label among them."""
    areas = np.bincount(labels, weights=px, minlength=count).astype(np.int64)
    present = areas > 0
    present[0] = False
    return areas[present], np.cumsum(present) - 1


def _size(labels: Labels) -> str:
    return "×".join(str(side) for side in labels.shape)


def dice(pairs: Overlap) -> NDArray[np.float64]:
    """(pairs,) 2 |G∩P| / (|G| + |P|)."""
    return 2 * pairs.shared_px / (pairs.truth_px[pairs.truth] + pairs.predicted_px[pairs.predicted])


def greedy(pairs: Overlap) -> NDArray[np.intp]:
    """Pairs matched best first: take the highest Dice, drop both cells, repeat while it is above ``DICE_ABOVE``.

    Equal Dice: the lower truth label first, then the lower predicted one, as ``argmax`` over the matrix of
    all pairs has it.

    Returns:
        (matches,) positions in ``pairs``, best first.
    """
    scores = dice(pairs)
    candidates = np.flatnonzero(scores > DICE_ABOVE)
    candidates = candidates[np.argsort(-scores[candidates], kind="stable")]
    free_truth, free_predicted = bytearray(b"\1" * len(pairs.truth_px)), bytearray(b"\1" * len(pairs.predicted_px))
    matches = []
    for pair, i, j in zip(candidates.tolist(), pairs.truth[candidates].tolist(), pairs.predicted[candidates].tolist(), strict=True):
        if free_truth[i] and free_predicted[j]:
            free_truth[i] = free_predicted[j] = 0
            matches.append(pair)
    return np.array(matches, np.intp)

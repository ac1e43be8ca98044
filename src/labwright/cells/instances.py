"""From border-core classes to instances.

Connected cores are the cells; each border pixel goes to the nearest core of its own connected piece of
foreground. Nearest is Euclidean, and a tie goes to the core with the lower number, so the outcome does not
depend on the order of the work as it does when cores grow ring by ring.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import cc3d
import numba
import numpy as np
from numpy.typing import NDArray

from labwright.cells.target import BACKGROUND, CORE

F = TypeVar("F", bound=Callable[..., Any])
Labels = NDArray[np.uint16] | NDArray[np.uint32]
Numbers = NDArray[np.uint32]
SHARED = np.uint32(0xFFFFFFFF)
"""Stands for the owner of a piece that has several cores."""


class Thresholds(NamedTuple):
    """Areas in pixels; what is not larger is too small."""

    core_min_px: int = 30
    isolated_border_min_px: int = 15
    edge_share: float = 1.0
    """Share of both areas that suffices for what the frame's edge cuts off."""


def thresholds(scale: float, core_min_px: float = 30.0, isolated_border_min_px: float = 15.0, edge_share: float = 1.0) -> Thresholds:
    """The thresholds for classes at another resolution; areas go with the square of ``scale``.

    Args:
        scale: pixels along one side of the classes for each pixel at which the two areas are meant;
            0.5 where they are meant at 512 pixels and the frame is predicted at 256.
        core_min_px: a core of at most this area becomes border.
        isolated_border_min_px: a piece of border without a core is a cell if it is larger than this.
        edge_share: share of both areas that suffices at the frame's edge; does not change with the scale.
    """
    return Thresholds(int(core_min_px * scale**2), int(isolated_border_min_px * scale**2), edge_share)


def instances(classes: NDArray[np.uint8], *, core_min_px: int = 30, isolated_border_min_px: int = 15, edge_share: float = 1.0) -> Labels:
    """Instances of a map of classes.

    A core of at most ``core_min_px`` is border. A connected piece of foreground with one core is that
    core's, one with several is shared among them by distance, and one without a core is a cell of its own
    if it is larger than ``isolated_border_min_px`` and dropped otherwise. Of what touches the frame's edge only a
    part is seen, so that ``edge_share`` of the two areas suffices there. Connected means by sides.

    Args:
        classes: (H, W) uint8 of 0 background, 1 core, 2 border, as ``argmax`` over a network's output.

    Returns:
        (H, W) labels 1…n, those with a core first; uint16, or uint32 for more than 65,535 cells.
    """
    classes = np.ascontiguousarray(classes)
    cores, core_count = _connected(classes == CORE)
    pieces, piece_count = _connected(classes != BACKGROUND)
    core_px, piece_px, piece_of = survey(cores, pieces, core_count, piece_count)

    large = core_px > core_min_px * _leniency(cores, core_count, edge_share)
    numbers = np.where(large, np.cumsum(large, dtype=np.uint32), np.uint32(0))
    owners = np.zeros(piece_count + 1, np.uint32)
    owners[piece_of[large]] = numbers[large]
    cores_in = np.bincount(piece_of[large], minlength=piece_count + 1)
    owners[cores_in > 1] = SHARED
    isolated = np.flatnonzero((cores_in == 0) & (piece_px > isolated_border_min_px * _leniency(pieces, piece_count, edge_share)))
    count = int(large.sum()) + len(isolated)
    owners[isolated] = np.arange(count - len(isolated), count) + 1

    labels = np.empty(classes.shape, np.uint16 if count <= np.iinfo(np.uint16).max else np.uint32)
    share_out(cores, pieces, numbers, owners, labels)
    return labels


def _leniency(numbers: Numbers, count: int, edge_share: float) -> NDArray[np.float64]:
    """By what the smallest area of each component is multiplied: ``edge_share`` where it touches the frame's edge, else 1."""
    factors = np.ones(count + 1)
    factors[np.concatenate([numbers[0], numbers[-1], numbers[:, 0], numbers[:, -1]])] = edge_share
    return factors


def _compiled(function: F) -> F:
    """Compile on first use, and keep the code for the next process where there is a folder for it."""
    made: Any
    try:
        made = numba.njit(cache=True, nogil=True)(function)
    except RuntimeError:  # numba finds no folder that it can write
        _say_that_nothing_is_kept()
        made = numba.njit(nogil=True)(function)
    return made  # type: ignore[no-any-return]


@functools.cache
def _say_that_nothing_is_kept() -> None:
    logging.getLogger("labwright").warning(
        "compiled code can be kept nowhere: each process compiles it again, which takes some seconds; "
        "set NUMBA_CACHE_DIR to a folder that can be written"
    )


def _connected(mask: NDArray[np.bool_]) -> tuple[Numbers, int]:
    numbers, count = cc3d.connected_components(mask, connectivity=4, return_N=True, out_dtype=np.uint32)
    return numbers.astype(np.uint32, copy=False), int(count)


@_compiled
def survey(
    cores: Numbers, pieces: Numbers, core_count: int, piece_count: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Areas of cores and of pieces in pixels, and the piece of each core; background, number 0, counts as nothing.

    Args:
        cores, pieces: (H, W) numbers of connected cores and of connected pieces of foreground.
    """
    core_px, piece_px = np.zeros(core_count + 1, np.int64), np.zeros(piece_count + 1, np.int64)
    piece_of = np.zeros(core_count + 1, np.int64)
    for y in range(cores.shape[0]):
        for x in range(cores.shape[1]):
            core, piece = cores[y, x], pieces[y, x]
            core_px[core] += 1
            piece_px[piece] += 1
            piece_of[core] = piece
    core_px[0], piece_px[0], piece_of[0] = 0, 0, 0
    return core_px, piece_px, piece_of


@_compiled
def share_out(cores: Numbers, pieces: Numbers, numbers: Numbers, owners: Numbers, labels: Labels) -> None:
    """Write the label of each pixel: the owner of its piece, or the nearest core where a piece has several.

    Exact. Two scans note for each pixel the next core pixel of its column above and below it; a border pixel
    then looks at the columns on both sides, nearest first, until they lie farther off than what it found.

    Args:
        cores: (H, W) connected cores.
        pieces: (H, W) connected pieces of foreground.
        numbers: final number by core; 0 for one that is too small and counts as border.
        owners: final number by piece, 0 for a dropped one, ``SHARED`` where it has several cores.
        labels: (H, W) of an unsigned dtype, written in full; equally near cores: the lowest number.
    """
    height, width = cores.shape
    above = np.empty((height, width), np.int32)
    below = np.empty((height, width), np.int32)
    for y in range(height):
        for x in range(width):
            above[y, x] = y if numbers[cores[y, x]] else (above[y - 1, x] if y else -1)
    for y in range(height - 1, -1, -1):
        for x in range(width):
            below[y, x] = y if numbers[cores[y, x]] else (below[y + 1, x] if y < height - 1 else height)

    for y in range(height):
        for x in range(width):
            piece = pieces[y, x]
            if owners[piece] != SHARED:
                labels[y, x] = owners[piece]
                continue
            if above[y, x] == y:
                labels[y, x] = numbers[cores[y, x]]
                continue
            least, winner = np.int64(height) ** 2 + np.int64(width) ** 2, SHARED
            aside = 0
            while aside * aside <= least and (aside <= x or x + aside < width):
                for column in (x - aside, x + aside):
                    if column < 0 or column >= width:
                        continue
                    for upwards in (True, False):
                        row = above[y, column] if upwards else below[y, column]
                        while 0 <= row < height:
                            squared = aside * aside + (y - row) ** 2
                            if squared > least:
                                break
                            if pieces[row, column] == piece:
                                number = numbers[cores[row, column]]
                                if squared < least or number < winner:
                                    least, winner = squared, number
                                break
                            # A core of another piece stands between: on to what lies behind it.
                            if upwards:
                                row = above[row - 1, column] if row else -1
                            else:
                                row = below[row + 1, column] if row < height - 1 else height
                aside += 1
            labels[y, x] = winner


def share_out_plain(cores: Numbers, pieces: Numbers, numbers: Numbers, owners: Numbers, labels: Labels) -> None:
    """What :func:`share_out` writes, measured by hand: a border pixel against all core pixels of its piece."""
    numbered = numbers[cores]
    mixed = np.where(numbered > 0, numbered, owners[pieces])
    for y, x in np.argwhere(mixed == SHARED):
        rows, columns = np.nonzero((pieces == pieces[y, x]) & (numbered > 0))
        squared = (rows - y) ** 2 + (columns - x) ** 2
        mixed[y, x] = numbered[rows, columns][squared == squared.min()].min()
    labels[...] = mixed

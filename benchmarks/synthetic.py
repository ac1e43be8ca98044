"""The synthetic frames that the benchmarks of the cells recipe share."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from labwright.cells.target import border_core
from labwright.testing.rods import disturbed, rods

CELLS = 330


def frame(size_px: int) -> NDArray[np.uint16]:
    """Labels of a frame full of touching rods, ``CELLS`` of them or some more."""
    labels = rods(size_px, CELLS)
    print(f"frame: {size_px}×{size_px}, {len(np.unique(labels)) - 1} cells")
    return labels


def prediction(labels: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """Labels as a fair network would give them."""
    return disturbed(labels)


def classes(size_px: int) -> NDArray[np.uint8]:
    """Classes as a network gives them at ``size_px``: the target of a frame twice as large, at half its
    resolution, with one pixel in fifty of the rings and the background mistaken for the other."""
    target = border_core(frame(2 * size_px))[::2, ::2].copy()
    generator = np.random.Generator(np.random.Philox(1))
    mistaken = (generator.random(target.shape) < 0.02) & (target != 1)
    target[mistaken] = 2 - target[mistaken]
    return target

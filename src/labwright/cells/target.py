"""The border-core target: what the network learns to see.

A pixel of a cell is core if every pixel within ``width_px`` city-block steps belongs to the same cell, and
border otherwise. Written out, that is one erosion of each cell's mask by a cross, ``width_px`` times; here all
cells are done at once. A pixel is lost if another label lies within ``width_px`` steps, that is, if a pixel
that touches another label lies within ``width_px - 1`` steps, whichever cell that one belongs to. So one
comparison of neighbours and a dilation of what it marks give the rings of all cells together.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

BACKGROUND, CORE, BORDER = 0, 1, 2

Mask = NDArray[np.bool_]


def border_core(labels: NDArray[np.integer[Any]], width_px: int = 4, *, by_size: bool = False) -> NDArray[np.uint8]:
    """Classes of a label map: 0 background, 1 core, 2 border.

    The image's edge is no border: a cell that leaves the frame keeps its core up to the last row.

    Args:
        labels: (H, W) of any integer dtype, 0 background, one number per cell.
        width_px: width of the border ring, at least 1. A cell narrower than ``2 * width_px + 1`` has no core.
        by_size: narrow the ring of a cell to half of that cell's depth (rounded down, at least 1 px) where
            that is less than ``width_px``. Then each cell keeps a core that has a pixel whose four neighbours
            are of the same cell, that is, all but lines and pieces up to 2 px wide.

    Returns:
        (H, W) uint8.
    """
    cells = labels > 0
    edges = _edges(labels)
    border = _near_edge(labels, edges, width_px) if by_size else _dilated(edges, width_px - 1)
    border &= cells
    return cells.view(np.uint8) + border.view(np.uint8)


def _edges(labels: NDArray[np.integer[Any]]) -> Mask:
    """Pixels with a neighbour, above, below, left or right, of another label."""
    edges = np.zeros(labels.shape, np.bool_)
    for axis in (0, 1):
        marked, pairs = np.moveaxis(edges, axis, 0), np.moveaxis(labels, axis, 0)
        changes = pairs[1:] != pairs[:-1]
        marked[1:] |= changes
        marked[:-1] |= changes
    return edges


def _dilated(mask: Mask, steps: int) -> Mask:
    """All pixels within ``steps`` city-block steps of the mask."""
    for _ in range(steps):
        grown = mask.copy()
        grown[1:] |= mask[:-1]
        grown[:-1] |= mask[1:]
        grown[:, 1:] |= mask[:, :-1]
        grown[:, :-1] |= mask[:, 1:]
        mask = grown
    return mask


def _near_edge(labels: NDArray[np.integer[Any]], edges: Mask, width_px: int) -> Mask:
    """Pixels within their own cell's width of an edge; the width is half of the cell's depth, 1 to ``width_px``."""
    if not edges.any():
        return edges
    # The depth of a pixel is the number of erosions that take it away; 1 at the edge.
    depth = ndimage.distance_transform_cdt(~edges, metric="taxicab") + 1
    if labels.max() > labels.size:
        labels = np.unique(labels, return_inverse=True)[1]
    deepest = np.zeros(int(labels.max()) + 1, depth.dtype)
    np.maximum.at(deepest, labels, depth)
    near: Mask = depth <= np.clip(deepest // 2, 1, width_px)[labels]
    return near

"""Pictures of masks on images, for people who would rather look than read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from imagecodecs import png_encode
from numpy.typing import NDArray

TRUTH = (255, 220, 0)
PREDICTION = (0, 220, 255)
BOTH = (255, 255, 255)
LONGEST_SIDE_PX = 768
GAP_PX = 4


def write_overlay(path: Path, image: NDArray[Any], truth: NDArray[Any], prediction: NDArray[Any]) -> None:
    """Write a PNG: the image alone on the left, beside it with outlines of the known (yellow) and the predicted (cyan) masks.

    Args:
        path: where to.
        image: (H, W); shown from its 1st to its 99th percentile.
        truth, prediction: label maps (H, W).
    """
    low, high = np.percentile(image, (1, 99))
    grey = np.clip((image.astype(np.float32) - low) * (255 / max(high - low, 1e-6)), 0, 255).astype(np.uint8)
    # Thinned out before outlines are drawn, which would else lose every other line.
    step = max(1, -(-max(image.shape) // LONGEST_SIDE_PX))
    plain = np.repeat(grey[::step, ::step, None], 3, axis=2)
    known, found = outlines(truth[::step, ::step]), outlines(prediction[::step, ::step])
    drawn = plain.copy()
    drawn[known], drawn[found], drawn[known & found] = TRUTH, PREDICTION, BOTH
    gap = np.full((len(plain), GAP_PX, 3), 255, np.uint8)
    path.write_bytes(png_encode(np.concatenate([plain, gap, drawn], axis=1), level=6))


def outlines(labels: NDArray[Any]) -> NDArray[np.bool_]:
    """Pixels of a label that touch another label or the background, (H, W)."""
    edge = np.zeros(labels.shape, bool)
    down, across = labels[1:] != labels[:-1], labels[:, 1:] != labels[:, :-1]
    edge[1:] |= down
    edge[:-1] |= down
    edge[:, 1:] |= across
    edge[:, :-1] |= across
    return edge & (labels > 0)

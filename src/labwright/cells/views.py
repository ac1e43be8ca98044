"""Views: how pixels of a frame become what the network sees.

One set of functions for training, validation and prediction, so that the three cannot drift apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from labwright.cells.pixels import Intensity
from labwright.cells.recipe import AugmentOptions, ViewOptions

OUTSIDE = 255
"""Target value of pixels that only pad a view; the loss leaves them out."""


def normalised(image: NDArray[Any], level: Intensity) -> torch.Tensor:
    """The image as float32 (1, H, W) with mean 0 and deviation 1."""
    return torch.from_numpy((image.astype(np.float32) - np.float32(level.mean)) / np.float32(level.deviation))[None]


def network_scale(view: ViewOptions, shape: tuple[int, ...]) -> float:
    """Network pixels per image pixel for a frame of this shape (H, W)."""
    return view.scale if view.kind == "crop" else view.size_px / max(shape)


def scaled_shape(shape: tuple[int, ...], scale: float) -> tuple[int, int]:
    """The shape (H, W) that a frame has for the network."""
    return max(round(shape[0] * scale), 1), max(round(shape[1] * scale), 1)


def resized(images: torch.Tensor, shape: tuple[int, int]) -> torch.Tensor:
    """Images (B, C, H, W) at another shape: bilinear, smoothed first when shrinking."""
    if tuple(images.shape[-2:]) == shape:
        return images
    return functional.interpolate(images, shape, mode="bilinear", antialias=True, align_corners=False)


def stacked(views: Sequence[torch.Tensor], shape: tuple[int, int], fill: float) -> torch.Tensor:
    """Views (C, h, w) of unequal size as one batch (B, C, H, W), filled up at the lower right."""
    missing = [(0, shape[1] - view.shape[-1], 0, shape[0] - view.shape[-2]) for view in views]
    return torch.stack([functional.pad(view, more, value=fill) for view, more in zip(views, missing, strict=True)])


CHANCES = 9
"""Numbers in [0, 1) that one view needs: two for its place, three for its orientation, four for its brightness and contrast."""


def augment(
    images: torch.Tensor, targets: torch.Tensor, options: AugmentOptions, chances: NDArray[np.float64]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Random flips, rotations, brightness and contrast, on whatever device the batch is.

    The random numbers come from the host and belong to the item, so that they are the same on every device and for
    every division of a batch.

    Args:
        images: (B, 1, H, W), normalised.
        targets: (B, H, W).
        options: what to change, and how far.
        chances: (B, 7) in [0, 1).
    """
    down, across = (chances[:, :2].T < 0.5) & options.flips
    turns = (chances[:, 2] * 4).astype(int) * options.rotations
    if images.shape[-1] != images.shape[-2]:
        turns = turns // 2 * 2  # a quarter turn would not fit the batch
    out_images, out_targets = images.clone(), targets.clone()
    for turn, flip_down, flip_across in sorted(set(zip(turns.tolist(), down.tolist(), across.tolist(), strict=True))):
        chosen = torch.from_numpy(np.flatnonzero((turns == turn) & (down == flip_down) & (across == flip_across))).to(images.device)
        axes = [axis for axis, flip in ((-2, flip_down), (-1, flip_across)) if flip]
        out_images[chosen] = torch.rot90(images[chosen], turn, (-2, -1)).flip(axes)
        out_targets[chosen] = torch.rot90(targets[chosen], turn, (-2, -1)).flip(axes)
    amounts = (2 * chances[:, 3:5] - 1) * (chances[:, 5:7] < options.probability)
    contrast, brightness = torch.from_numpy(amounts.T.astype(np.float32)).to(images.device)[:, :, None, None, None]
    return out_images * (1 + contrast * options.contrast) + brightness * options.brightness, out_targets

"""Views: how pixels of a frame become what the network sees.

One set of functions for training, validation and prediction, so that the three cannot drift apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from labwright.cells.recipe import AugmentOptions, ViewOptions

OUTSIDE = 255
"""Target value of pixels that only pad a view; the loss leaves them out."""


class Intensity(NamedTuple):
    """What is subtracted from an image, and what it is divided by."""

    mean: float
    deviation: float


def intensity(image: NDArray[np.generic]) -> Intensity:
    """Mean and standard deviation of a frame (H, W), in double precision; a constant frame has deviation 1."""
    deviation = float(image.std(dtype=np.float64))
    return Intensity(float(image.mean(dtype=np.float64)), deviation or 1.0)


def normalised(image: NDArray[np.generic], level: Intensity) -> torch.Tensor:
    """The image as float32 (1, H, W) with mean 0 and deviation 1."""
    return torch.from_numpy((image.astype(np.float32) - np.float32(level.mean)) / np.float32(level.deviation))[None]


def network_scale(view: ViewOptions, shape: tuple[int, int]) -> float:
    """Network pixels per image pixel for a frame of this shape (H, W)."""
    return view.scale if view.kind == "crop" else view.size_px / max(shape)


def scaled_shape(shape: tuple[int, int], scale: float) -> tuple[int, int]:
    """The shape (H, W) that a frame has for the network."""
    return max(round(shape[0] * scale), 1), max(round(shape[1] * scale), 1)


def resized(images: torch.Tensor, shape: tuple[int, int]) -> torch.Tensor:
    """Images (B, C, H, W) at another shape: bilinear, smoothed first when shrinking."""
    if tuple(images.shape[-2:]) == shape:
        return images
    return functional.interpolate(images, shape, mode="bilinear", antialias=True, align_corners=False)


def nearest(labels: NDArray[np.generic], shape: tuple[int, int]) -> NDArray[np.generic]:
    """Labels (H, W) at another shape: the value at each new pixel's centre, so that no label is invented."""
    if labels.shape == shape:
        return labels
    rows, columns = (((np.arange(new) + 0.5) * old / new).astype(np.intp) for new, old in zip(shape, labels.shape, strict=True))
    return labels[rows[:, None], columns[None]]


def window(shape: tuple[int, int], side: int, where: NDArray[np.float64]) -> tuple[slice, slice]:
    """A window of at most ``side`` pixels in a frame, placed by two numbers in [0, 1)."""
    starts = [int(position * (max(length - side, 0) + 1)) for position, length in zip(where, shape, strict=True)]
    return slice(starts[0], starts[0] + min(side, shape[0])), slice(starts[1], starts[1] + min(side, shape[1]))


def stacked(views: Sequence[torch.Tensor], shape: tuple[int, int], fill: float) -> torch.Tensor:
    """Views (C, h, w) of unequal size as one batch (B, C, H, W), filled up at the lower right."""
    return torch.stack([functional.pad(view, (0, shape[1] - view.shape[-1], 0, shape[0] - view.shape[-2]), value=fill) for view in views])


def augment(
    images: torch.Tensor, targets: torch.Tensor, options: AugmentOptions, random: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Random flips, rotations, brightness and contrast, on whatever device the batch is.

    The random numbers are drawn on the host, so that they are the same on every device.

    Args:
        images: (B, 1, H, W), normalised.
        targets: (B, H, W).
        options: what to change, and how far.
        random: the generator for this batch.
    """
    count = len(images)
    flips = random.integers(2, size=(2, count)) * options.flips
    turns = random.integers(4, size=count) * options.rotations
    if images.shape[-1] != images.shape[-2]:
        turns = turns // 2 * 2  # a quarter turn would not fit the batch
    out_images, out_targets = images.clone(), targets.clone()
    for turn in range(4):
        for down in range(2):
            for across in range(2):
                chosen = np.flatnonzero((turns == turn) & (flips[0] == down) & (flips[1] == across))
                if len(chosen) and (turn or down or across):
                    axes = [axis for axis, flip in ((-2, down), (-1, across)) if flip]
                    index = torch.from_numpy(chosen).to(images.device)
                    out_images[index] = torch.rot90(images[index], turn, (-2, -1)).flip(axes)
                    out_targets[index] = torch.rot90(targets[index], turn, (-2, -1)).flip(axes)
    amounts = random.uniform(-1, 1, size=(2, count)) * (random.random((2, count)) < options.probability)
    contrast, brightness = torch.from_numpy(amounts.astype(np.float32)).to(images.device)[:, :, None, None, None]
    return out_images * (1 + contrast * options.contrast) + brightness * options.brightness, out_targets

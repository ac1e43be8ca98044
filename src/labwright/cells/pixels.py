"""Frames as arrays: their intensity, and labels at another size. No tensors, so that packing and scoring load none."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class Intensity(NamedTuple):
    """What is subtracted from an image, and what it is divided by."""

    mean: float
    deviation: float


def intensity(image: NDArray[Any]) -> Intensity:
    """Mean and standard deviation of a frame (H, W), in double precision; a constant frame has deviation 1."""
    deviation = float(image.std(dtype=np.float64))
    return Intensity(float(image.mean(dtype=np.float64)), deviation or 1.0)


def nearest(labels: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """Labels (H, W) at another shape: the value at each new pixel's centre, so that no label is invented."""
    if labels.shape == shape:
        return labels
    rows, columns = (((np.arange(new) + 0.5) * old / new).astype(np.intp) for new, old in zip(shape, labels.shape, strict=True))
    picked: NDArray[Any] = labels[rows[:, None], columns[None]]
    return picked

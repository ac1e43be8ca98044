"""From images to instance masks with a trained network: what validation and prediction share."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from labwright.blocks.grid import tiled
from labwright.cells.instances import instances, thresholds
from labwright.cells.pixels import Intensity, intensity, nearest
from labwright.cells.recipe import InstanceOptions, ViewOptions
from labwright.cells.views import network_scale, normalised, resized, scaled_shape

SYMMETRIES = [(turned, axes) for turned in (False, True) for axes in ((), (-2,), (-1,), (-2, -1))]
"""The eight symmetries of a square: transposed or not, then flipped along axes. The first four need no turning."""


def _no_stage(name: str) -> AbstractContextManager[None]:
    return nullcontext()


@dataclass(frozen=True)
class Segmenter:
    """A network with all that is needed to turn frames into instances.

    Attributes:
        module: images (B, 1, H, W) → class scores (B, 3, H, W).
        multiple: sides that the network takes are multiples of this.
        view: how large the network saw its training images.
        level: intensity of the whole pack; None normalises each frame by itself.
        tile_px, halo_px: larger frames are cut into tiles of this side, which see a halo more.
    """

    module: nn.Module
    multiple: int
    view: ViewOptions
    options: InstanceOptions
    level: Intensity | None = None
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    tile_px: int = 1024
    halo_px: int = 64
    batch_size: int = 8
    autocast: Callable[[], AbstractContextManager[Any]] = nullcontext
    stage: Callable[[str], AbstractContextManager[Any]] = _no_stage
    """Books joules and seconds of the network and of the instances apart."""

    def labels(self, images: Sequence[NDArray[Any]], levels: Sequence[Intensity | None] = ()) -> Iterator[NDArray[np.unsignedinteger]]:
        """Instance masks (H, W), uint16 or uint32, of frames (H, W) in their order.

        Neighbours of one shape go through the network together, at most ``batch_size`` at once.

        Args:
            images: of any shapes and real types.
            levels: intensity of each frame where it is known already; not asked for where the whole pack has one.
        """
        known = [*levels] or [None] * len(images)
        for numbers in _alike(images, self.batch_size):
            shape = images[numbers[0]].shape
            scale = network_scale(self.view, shape)
            limits = thresholds(scale, **self.options.model_dump())._asdict()
            with self.stage("network"):
                frames = [normalised(images[i], self.level or known[i] or intensity(images[i])) for i in numbers]
                classes = self.classes(resized(torch.stack(frames), scaled_shape(shape, scale)))
            with self.stage("instances"):
                masks = [nearest(instances(one, **limits), shape) for one in classes]
            yield from masks

    def classes(self, batch: torch.Tensor) -> NDArray[np.uint8]:
        """Class maps (B, h, w), 0 background, 1 core, 2 border, of normalised images (B, 1, h, w); in tiles where they are large."""
        tile, halo = (self.tile_px, self.tile_px), (self.halo_px, self.halo_px)
        frames = batch[:, 0].numpy()
        return np.stack(list(tiled(self._forward, frames, block=tile, halo=halo, multiple=self.multiple, batch_size=self.batch_size)))

    @torch.no_grad()
    def _forward(self, frames: NDArray[np.float32]) -> NDArray[np.uint8]:
        images = torch.from_numpy(frames)[:, None].to(self.device)
        scores: Any = 0.0
        for turned, axes in SYMMETRIES[: self.view.symmetries]:
            seen = (images.transpose(-2, -1) if turned else images).flip(axes)
            with self.autocast():
                found = self.module(seen)
            # A mean of probabilities: scores of one view may be large where those of the others are not.
            found = (found if self.view.symmetries == 1 else found.float().softmax(1)).flip(axes)
            scores = scores + (found.transpose(-2, -1) if turned else found)
        maps: NDArray[np.uint8] = scores.argmax(1).to(torch.uint8).cpu().numpy()
        return maps


def _alike(images: Sequence[NDArray[Any]], most: int) -> Iterator[list[int]]:
    """Numbers of neighbouring images of one shape, at most so many at once."""
    for _, group in itertools.groupby(range(len(images)), key=lambda number: images[number].shape):
        numbers = list(group)
        yield from (numbers[start : start + most] for start in range(0, len(numbers), most))

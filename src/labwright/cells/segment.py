"""From images to instance masks with a trained network: what validation and prediction share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from labwright.blocks.grid import grid
from labwright.cells.instances import instances, thresholds
from labwright.cells.recipe import InstanceOptions, ViewOptions
from labwright.cells.views import Intensity, intensity, nearest, network_scale, normalised, resized, scaled_shape


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

    def labels(self, images: Sequence[NDArray[np.generic]], levels: Sequence[Intensity] | None = None) -> Iterator[NDArray[np.unsignedinteger]]:
        """Instance masks (H, W), uint16 or uint32, of frames (H, W) of one shape."""
        shape = images[0].shape[0], images[0].shape[1]
        scale = network_scale(self.view, shape)
        limits = thresholds(scale, self.options.core_min_px, self.options.isolated_border_min_px)._asdict()
        for classes in self.classes(images, levels):
            with self.stage("instances"):
                labels = nearest(instances(classes, **limits), shape)
            yield labels

    def classes(self, images: Sequence[NDArray[np.generic]], levels: Sequence[Intensity] | None = None) -> Iterator[NDArray[np.uint8]]:
        """Class maps (h, w) at the network's scale: 0 background, 1 core, 2 border."""
        shape = images[0].shape[0], images[0].shape[1]
        small = scaled_shape(shape, network_scale(self.view, shape))
        for start in range(0, len(images), self.batch_size):
            chosen = range(start, min(start + self.batch_size, len(images)))
            with self.stage("network"):
                frames = [normalised(images[i], self.level or (levels[i] if levels else intensity(images[i]))) for i in chosen]
                maps = self._tiled(resized(torch.stack(frames), small))
            yield from maps

    @torch.no_grad()
    def _tiled(self, batch: torch.Tensor) -> NDArray[np.uint8]:
        height, width = batch.shape[-2:]
        if max(height, width) <= self.tile_px:
            return self._forward(batch)
        out = np.empty((len(batch), height, width), np.uint8)
        # Tile corners keep to the network's pooling grid, so that a tile is pooled as the whole frame would be.
        side = self.tile_px // self.multiple * self.multiple
        halo = -(-self.halo_px // self.multiple) * self.multiple
        for block in grid((height, width), (side, side), (halo, halo)):
            inner = tuple(slice(write.start - read.start, write.stop - read.start) for write, read in zip(block.write, block.read, strict=True))
            out[:, *block.write] = self._forward(batch[:, :, *block.read])[:, *inner]
        return out

    def _forward(self, batch: torch.Tensor) -> NDArray[np.uint8]:
        height, width = batch.shape[-2:]
        padding = (0, -width % self.multiple, 0, -height % self.multiple)
        with self.autocast():
            scores = self.module(functional.pad(batch.to(self.device), padding))
        return scores[..., :height, :width].argmax(1).to(torch.uint8).cpu().numpy()

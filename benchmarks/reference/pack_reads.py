"""The usual way: a Zarr store with one chunk for each frame, indexed by zarr-python, batched by torch's DataLoader."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
import zarr
from torch.utils.data import DataLoader, Dataset

Crop = tuple[int, int, int]


def write(path: Path, frames: np.ndarray) -> None:
    """Store (items, y, x) uncompressed, which is the fastest to read."""
    zarr.create_array(path, data=frames, chunks=(1, *frames.shape[1:]), compressors=None, filters=None)


class Crops(Dataset[torch.Tensor]):
    """Crops (frame, y, x) of a store; each worker opens the store for itself."""

    def __init__(self, path: Path, crops: Sequence[Crop], side_px: int) -> None:
        self.path, self.crops, self.side_px = path, crops, side_px
        self.store: zarr.Array | None = None

    def __len__(self) -> int:
        return len(self.crops)

    def read(self, number: int) -> np.ndarray:
        if self.store is None:
            self.store = zarr.open_array(self.path, mode="r")
        frame, y, x = self.crops[number]
        return np.asarray(self.store[frame, y : y + self.side_px, x : x + self.side_px])

    def each(self) -> Iterator[np.ndarray]:
        """The bare reads, without the DataLoader."""
        return map(self.read, range(len(self)))

    def __getitem__(self, number: int) -> torch.Tensor:
        return torch.from_numpy(self.read(number))


def loader(crops: Crops, batch_size: int, workers: int) -> DataLoader[torch.Tensor]:
    """Batches in order. Workers stay between epochs, so that starting them is not timed."""
    context = "spawn" if workers else None
    return DataLoader(crops, batch_size, num_workers=workers, persistent_workers=workers > 0, multiprocessing_context=context)

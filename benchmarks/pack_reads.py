"""Crops from a mapped pack against zarr-python on a store with one chunk for each frame; both warm, in one run.

The bare read is timed with the gather's crops, whose copying is bound by the memory (a copy from plain RAM takes as
long), and with small ones, where the cost is that of finding the bytes.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Hashable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyarrow as pa
import torch
from reference import pack_reads as reference

from labwright.data.gather import Prefetch, crops
from labwright.data.packs import MappedArray, Pack
from labwright.data.sampler import IntArray, batches, generator
from labwright.data.write import ArraySpec, finish_pack, shards, write_shard

FRAMES, FRAME_PX, CROP_PX, BATCH, CROPS = 64, 1024, 256, 16, 256
SMALL_PX = 96
TURNS = 7
OURS_PER_TURN = 10
WORKERS = (0, 1, 2)
Way = tuple[Callable[[], Iterator[object]], int]
K = TypeVar("K", bound=Hashable)


def write_pack(folder: Path, frames: np.ndarray) -> MappedArray:
    spec = ArraySpec("images/01", frames.shape, frames.dtype.name, 16)
    for start, stop, file in shards(spec):
        write_shard(folder / file, spec, start, frames[start:stop])
    finish_pack(folder, [spec], pa.table({"identity": [f"01/frame {number}" for number in range(len(frames))]}), {})
    return Pack.open(folder).arrays[spec.name]


def gathered(images: MappedArray, chosen: np.ndarray, times: int = 1) -> Iterator[torch.Tensor]:
    """Batches as a training gets them: crops copied by the prefetch thread, handed over as tensors."""

    def load(items: IntArray, key: int) -> torch.Tensor:
        views = [images[frame] for frame in chosen[items, 0].tolist()]
        return torch.from_numpy(crops(views, chosen[items, 1:], (CROP_PX, CROP_PX)))

    requests = ((items, key) for _ in range(times) for key, items in enumerate(batches(np.arange(len(chosen)), BATCH, drop_last=False)))
    with Prefetch(load, requests) as ready:
        yield from ready


def bare(images: MappedArray, chosen: list[reference.Crop], side_px: int) -> Iterator[np.ndarray]:
    for frame, y, x in chosen:
        yield images[frame][y : y + side_px, x : x + side_px].copy()


def rates(ways: Mapping[K, Way]) -> dict[K, float]:
    """Crops per second of each way, the median over turns; a way gives ``CROPS`` crops as often as its number says."""
    seconds: dict[K, list[float]] = {name: [] for name in ways}
    for _ in range(TURNS):
        for name, (way, times) in ways.items():
            start = time.perf_counter()
            for _ in way():
                pass
            seconds[name].append((time.perf_counter() - start) / times)
    return {name: CROPS / statistics.median(values) for name, values in seconds.items()}


def compare(what: str, ours: float, slow: float) -> None:
    print(f"ratio {ours / slow:.2f} — {what} (ours {ours:.0f} crops/s, reference {slow:.0f} crops/s)")


def main(folder: Path) -> None:
    frames = generator(0, "frames").integers(0, 65535, (FRAMES, FRAME_PX, FRAME_PX), np.uint16)
    images = write_pack(folder / "pack", frames)
    reference.write(folder / "store", frames)
    draw = generator(0, "crops")
    corners = draw.integers(0, FRAME_PX - CROP_PX, (CROPS, 2), endpoint=True)
    chosen = np.column_stack([draw.integers(0, FRAMES, CROPS), corners])
    listed: list[reference.Crop] = [(frame, y, x) for frame, y, x in chosen.tolist()]
    stores = {side_px: reference.Crops(folder / "store", listed, side_px) for side_px in (CROP_PX, SMALL_PX)}
    # Stacking a batch on several threads slows the DataLoader down many times over where the cores are busy.
    torch.set_num_threads(1)
    loaders = {workers: reference.loader(stores[CROP_PX], BATCH, workers) for workers in WORKERS}

    expected = torch.stack([torch.from_numpy(frames[frame, y : y + CROP_PX, x : x + CROP_PX]) for frame, y, x in listed])
    assert torch.equal(torch.cat(list(gathered(images, chosen))), expected)
    for loader in loaders.values():
        assert torch.equal(torch.cat(list(loader)), expected)
    for side_px, store in stores.items():
        for ours, theirs in zip(bare(images, listed, side_px), store.each(), strict=True):
            np.testing.assert_array_equal(ours, theirs)
    print(f"equal outputs: yes ({CROPS} crops of {CROP_PX}², uint16, from {FRAMES} frames of {FRAME_PX}²)")

    reads: dict[tuple[str, int], Way] = {}
    for side_px, store in stores.items():
        reads["mapped", side_px] = partial(bare, images, listed * OURS_PER_TURN, side_px), OURS_PER_TURN
        reads["zarr", side_px] = store.each, 1
    read = rates(reads)
    loads: dict[str, Way] = {str(workers): (loader.__iter__, 1) for workers, loader in loaders.items()}
    loads["gather"] = partial(gathered, images, chosen, OURS_PER_TURN), OURS_PER_TURN
    load = rates(loads)
    best = max(WORKERS, key=lambda workers: load[str(workers)])
    print("reference, DataLoader: " + ", ".join(f"{load[str(workers)]:.0f} crops/s with {workers} workers" for workers in WORKERS))
    for side_px in (SMALL_PX, CROP_PX):
        compare(f"bare read of {side_px}² crops", read["mapped", side_px], read["zarr", side_px])
    compare(f"batches of {BATCH} at the gather's output, DataLoader with {best} workers", load["gather"], load[str(best)])


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        main(Path(temporary))

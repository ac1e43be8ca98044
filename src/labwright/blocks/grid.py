"""Block grids: cut an image or a volume into blocks that tile it, each read with a halo around it.

What a block writes depends only on what lies within the halo, so that with a halo as wide as the
computation reaches, the result is the same for every block size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

Region = tuple[slice, ...]


@dataclass(frozen=True, slots=True)
class Block:
    """One block: its place in the grid, the region it writes, and the region it reads (write plus halo, clipped)."""

    index: tuple[int, ...]
    write: Region
    read: Region

    def inner(self) -> Region:
        """The write region within what was read."""
        return tuple(slice(write.start - read.start, write.stop - read.start) for write, read in zip(self.write, self.read, strict=True))

    def read_shape(self) -> tuple[int, ...]:
        return tuple(read.stop - read.start for read in self.read)


def grid(shape: Sequence[int], block: Sequence[int], halo: Sequence[int]) -> list[Block]:
    """The blocks of an array, last axis fastest; their write regions cover each element exactly once.

    Args:
        shape: of the array, any number of axes; an axis of length 0 gives no block.
        block: largest write region along each axis, at least 1.
        halo: how much farther a block reads on both sides of each axis, as far as the array goes.

    Raises:
        ValueError: the lengths differ, or a size is out of range.
    """
    if not len(shape) == len(block) == len(halo):
        raise ValueError(f"shape {tuple(shape)}, block {tuple(block)} and halo {tuple(halo)} have different lengths")
    if min(shape, default=0) < 0 or min(block, default=1) < 1 or min(halo, default=0) < 0:
        raise ValueError("sizes of blocks are at least 1, sizes of arrays and halos at least 0")
    axes = [
        [
            (number, slice(start, min(start + size, length)), slice(max(start - margin, 0), min(start + size + margin, length)))
            for number, start in enumerate(range(0, length, size))
        ]
        for length, size, margin in zip(shape, block, halo, strict=True)
    ]
    return [Block(*(tuple(part) for part in zip(*chosen, strict=True))) for chosen in product(*axes)] if axes else []


def pad_to(array: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """The array mirrored at the end of each axis up to ``shape``; the array itself where nothing is missing.

    An axis shorter than what has to be added is mirrored repeatedly.
    """
    missing = [size - length for size, length in zip(shape, array.shape, strict=True)]
    if min(missing) < 0:
        raise ValueError(f"an array of shape {array.shape} does not fit into {tuple(shape)}")
    return np.pad(array, [(0, more) for more in missing], mode="symmetric") if any(missing) else array


def tiled(
    compute: Callable[[np.ndarray], np.ndarray],
    arrays: Iterable[np.ndarray],
    *,
    block: Sequence[int],
    halo: Sequence[int],
    multiple: int = 1,
    batch_size: int = 1,
) -> Iterator[np.ndarray]:
    """Map ``compute`` over tiles of each array and put their write regions together again.

    With a halo as wide as ``compute`` reaches, the result does not depend on the tile size: tiles start at
    multiples of ``multiple`` (so that pooling sees one raster), and end at the edge of the array where there is one. Tiles of
    equal shape share a batch, also those of different arrays.

    Args:
        compute: (n, *spatial) → (n, …, *spatial), same spatial shape; axes between are free (classes, say).
        arrays: arrays of shape (*spatial), taken from the iterable as they are needed.
        block: largest write region of a tile; rounded up to ``multiple``, and evened out over the tiles of an axis.
        halo: what a tile sees beyond it, rounded up to ``multiple``.
        multiple: what the spatial shape must be a multiple of; arrays are mirrored at their ends up to that.
        batch_size: tiles at once.

    Yields:
        For each array, in order, the result of shape (…, *spatial) and of ``compute``'s dtype. Up to about
        ``batch_size`` arrays are held meanwhile.
    """
    results: dict[int, _Result] = {}
    waiting: dict[tuple[int, ...], list[tuple[_Result, Block, np.ndarray]]] = {}
    finished = 0

    def flush(batch: list[tuple[_Result, Block, np.ndarray]]) -> None:
        for (result, one, _), values in zip(batch, compute(np.stack([tile for _, _, tile in batch])), strict=True):
            result.put(one, values)
        batch.clear()

    for number, array in enumerate(arrays):
        padded = pad_to(array, [_up(length, multiple) for length in array.shape])
        even = [_even(length, _up(size, multiple), multiple) for length, size in zip(padded.shape, block, strict=True)]
        blocks = grid(padded.shape, even, [_up(margin, multiple) for margin in halo])
        result = results[number] = _Result(array.shape, padded.shape, len(blocks))
        for one in blocks:
            batch = waiting.setdefault(one.read_shape(), [])
            batch.append((result, one, padded[one.read]))
            if len(batch) == batch_size:
                flush(batch)
        while finished in results and results[finished].left == 0:
            yield results.pop(finished).cropped()
            finished += 1
    for batch in waiting.values():
        if batch:
            flush(batch)
    for number in sorted(results):
        yield results[number].cropped()


def _up(length: int, multiple: int) -> int:
    return -(-length // multiple) * multiple


def _even(length: int, size: int, multiple: int) -> int:
    # 1100 in tiles of 1024 are two of 552, not one of 1024 and a sliver with a halo around it.
    return _up(-(-length // -(-length // size)), multiple) if length else size


class _Result:
    """The growing result of one array."""

    def __init__(self, shape: tuple[int, ...], padded: tuple[int, ...], blocks: int) -> None:
        self.shape, self.padded, self.left = shape, padded, blocks
        self.array: np.ndarray | None = None

    def put(self, block: Block, values: np.ndarray) -> None:
        if self.array is None:
            free = values.shape[: values.ndim - len(self.padded)]
            self.array = np.empty((*free, *self.padded), values.dtype)
        self.array[_last(block.write)] = values[_last(block.inner())]
        self.left -= 1

    def cropped(self) -> np.ndarray:
        if self.array is None:
            raise ValueError(f"an array of shape {self.shape} has nothing to compute on")
        cropped: np.ndarray = self.array[_last(tuple(slice(length) for length in self.shape))]
        return cropped


def _last(region: Region) -> Any:
    return (Ellipsis, *region)

"""Blocks tile an array exactly once, and what is computed by tiles does not depend on the tiles."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import scipy.ndimage
from hypothesis import given, settings
from hypothesis import strategies as st

from labwright.blocks.grid import grid, pad_to, tiled


@st.composite
def geometries(draw: st.DrawFn) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    axes = draw(st.integers(1, 3))
    sizes = [tuple(draw(st.integers(low, high)) for _ in range(axes)) for low, high in ((1, 17), (1, 9), (0, 5))]
    return sizes[0], sizes[1], sizes[2]


@given(geometries())
def test_write_regions_cover_each_element_exactly_once(geometry: tuple[tuple[int, ...], ...]) -> None:
    shape, block, halo = geometry
    written = np.zeros(shape, int)
    for one in grid(shape, block, halo):
        written[one.write] += 1
    assert (written == 1).all()


@given(geometries())
def test_a_block_reads_its_write_region_and_the_halo_as_far_as_the_array_goes(geometry: tuple[tuple[int, ...], ...]) -> None:
    shape, block, halo = geometry
    volume = np.arange(np.prod(shape)).reshape(shape)
    for one in grid(shape, block, halo):
        for length, margin, write, read in zip(shape, halo, one.write, one.read, strict=True):
            assert read.start == max(write.start - margin, 0)
            assert read.stop == min(write.stop + margin, length)
        read_values = volume[one.read]
        assert read_values.shape == one.read_shape()
        np.testing.assert_array_equal(read_values[one.inner()], volume[one.write])


def test_indices_count_along_each_axis_with_the_last_fastest() -> None:
    assert [one.index for one in grid((5, 3), (3, 2), (0, 0))] == [(0, 0), (0, 1), (1, 0), (1, 1)]


def test_an_empty_axis_gives_no_block() -> None:
    assert grid((4, 0), (2, 2), (1, 1)) == []


@pytest.mark.parametrize(("shape", "block", "halo"), [((4,), (2, 2), (0,)), ((4,), (0,), (0,)), ((4,), (2,), (-1,))])
def test_impossible_geometries_are_refused(shape: tuple[int, ...], block: tuple[int, ...], halo: tuple[int, ...]) -> None:
    with pytest.raises(ValueError):
        grid(shape, block, halo)


def test_padding_mirrors_at_the_end_and_repeats_where_the_array_is_short() -> None:
    np.testing.assert_array_equal(pad_to(np.array([1, 2]), (7,)), [1, 2, 2, 1, 1, 2, 2])
    with pytest.raises(ValueError, match="does not fit"):
        pad_to(np.zeros(3), (2,))


def _pooling_network(reach: int) -> Callable[[np.ndarray], np.ndarray]:
    """Two results for each pixel: a box sum of the given reach, and one of 2×2 pools written back to their pixels."""

    def compute(batch: np.ndarray) -> np.ndarray:
        # Whole numbers, so that the order of summation cannot matter.
        box = scipy.ndimage.convolve(batch, np.ones((1, 2 * reach + 1, 2 * reach + 1), np.int64), mode="constant")
        n, height, width = batch.shape
        pools = batch.reshape(n, height // 2, 2, width // 2, 2).max(axis=(2, 4))
        around = scipy.ndimage.convolve(pools, np.ones((1, 3, 3), np.int64), mode="constant")
        return np.stack([box, around.repeat(2, axis=1).repeat(2, axis=2)], axis=1)

    return compute


@settings(max_examples=40)
@given(
    st.lists(st.tuples(st.integers(1, 23), st.integers(1, 23)), min_size=1, max_size=4),
    st.tuples(st.integers(1, 12), st.integers(1, 12)),
    st.integers(1, 5),
    st.integers(0, 3),
)
def test_tiles_of_any_size_give_the_result_of_the_whole(
    shapes: list[tuple[int, int]], block: tuple[int, int], batch_size: int, surplus: int
) -> None:
    frames = [np.random.default_rng(number).integers(0, 100, shape) for number, shape in enumerate(shapes)]
    compute = _pooling_network(reach=3)
    halo = (4 + surplus, 4 + surplus)
    parts = list(tiled(compute, frames, block=block, halo=halo, multiple=2, batch_size=batch_size))
    whole = list(tiled(compute, frames, block=(64, 64), halo=(0, 0), multiple=2))
    assert len(parts) == len(frames)
    for part, expected, frame in zip(parts, whole, frames, strict=True):
        assert part.shape == (2, *frame.shape)
        np.testing.assert_array_equal(part, expected)


def test_a_halo_narrower_than_the_reach_shows() -> None:
    frame = np.random.default_rng(0).integers(0, 100, (16, 16))
    (parts,) = tiled(_pooling_network(reach=3), [frame], block=(8, 8), halo=(2, 2), multiple=2)
    (whole,) = tiled(_pooling_network(reach=3), [frame], block=(16, 16), halo=(0, 0), multiple=2)
    assert (parts != whole).any()


def test_tiles_are_evened_out_and_batches_never_exceed_their_size() -> None:
    seen: list[tuple[int, ...]] = []

    def compute(batch: np.ndarray) -> np.ndarray:
        seen.append(batch.shape)
        return batch

    frames = [np.full((110, 8), value) for value in range(5)]
    outcome = list(tiled(compute, frames, block=(100, 8), halo=(0, 0), multiple=4, batch_size=4))
    assert [one.max() for one in outcome] == [0, 1, 2, 3, 4]
    assert max(shape[1] for shape in seen) == 56
    assert max(shape[0] for shape in seen) <= 4

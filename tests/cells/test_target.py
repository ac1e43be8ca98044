from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from labwright.cells.target import BACKGROUND, BORDER, CORE, border_core
from labwright.testing.rods import rods

CROSS = ndimage.generate_binary_structure(2, 1)

label_maps = st.one_of(
    hnp.arrays(np.uint16, hnp.array_shapes(min_dims=2, max_dims=2, max_side=24), elements=st.integers(0, 3)),
    # Blocks of 5×5 pixels hold cores at the widths that are used.
    hnp.arrays(np.uint16, hnp.array_shapes(min_dims=2, max_dims=2, max_side=6), elements=st.integers(0, 4)).map(
        lambda coarse: coarse.repeat(5, axis=0).repeat(5, axis=1)
    ),
)


def eroded_one_by_one(labels: np.ndarray, width_px: int) -> np.ndarray:
    """The definition: each cell's own mask, eroded by the cross; what lies beyond the frame does not erode."""
    classes = np.where(labels > 0, BORDER, BACKGROUND).astype(np.uint8)
    for label in np.unique(labels[labels > 0]):
        core = ndimage.binary_erosion(labels == label, CROSS, iterations=width_px, border_value=1)
        classes[core] = CORE
    return classes


@given(label_maps, st.integers(1, 7))
def test_equals_the_erosion_of_each_cell(labels: np.ndarray, width_px: int) -> None:
    classes = border_core(labels, width_px)
    assert classes.dtype == np.uint8
    np.testing.assert_array_equal(classes, eroded_one_by_one(labels, width_px))


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.uint32, np.int64])
def test_any_integer_dtype_gives_the_same(dtype: type) -> None:
    labels = rods(96, 40)
    for by_size in (False, True):
        np.testing.assert_array_equal(border_core(labels.astype(dtype), by_size=by_size), border_core(labels, by_size=by_size))


def test_a_cell_of_nine_pixels_keeps_one_line_of_core_and_one_of_eight_none() -> None:
    labels = np.zeros((40, 60), np.uint16)
    labels[5:14, 5:55] = 1
    labels[20:28, 5:55] = 2
    classes = border_core(labels)
    np.testing.assert_array_equal(np.unique(np.nonzero(classes == CORE)[0]), [9])
    assert (classes[labels == 2] == BORDER).all()


def test_the_edge_of_the_image_does_not_erode() -> None:
    labels = np.zeros((12, 12), np.uint16)
    labels[:, :8] = 3
    np.testing.assert_array_equal(border_core(labels)[:, 0], np.full(12, CORE))


@pytest.mark.parametrize("by_size", [False, True])
def test_one_cell_that_fills_the_frame_is_all_core_and_no_cell_is_all_background(by_size: bool) -> None:
    assert (border_core(np.full((9, 9), 7, np.uint16), by_size=by_size) == CORE).all()
    assert (border_core(np.zeros((9, 9), np.uint16), by_size=by_size) == BACKGROUND).all()


@given(label_maps, st.integers(1, 7))
def test_by_size_every_cell_that_holds_a_cross_keeps_a_core(labels: np.ndarray, width_px: int) -> None:
    classes = border_core(labels, width_px, by_size=True)
    for label in np.unique(labels[labels > 0]):
        cell = labels == label
        assert (classes[cell] == CORE).any() == ndimage.binary_erosion(cell, CROSS, border_value=1).any()


@given(label_maps, st.integers(1, 7))
def test_by_size_each_ring_is_the_erosion_by_half_the_depth(labels: np.ndarray, width_px: int) -> None:
    classes = border_core(labels, width_px, by_size=True)
    for label in np.unique(labels[labels > 0]):
        cell = labels == label
        if cell.all():
            continue
        depth = 0
        while ndimage.binary_erosion(cell, CROSS, iterations=depth + 1, border_value=1).any():
            depth += 1
        own = max(1, min(width_px, (depth + 1) // 2))
        np.testing.assert_array_equal(classes[cell] == CORE, ndimage.binary_erosion(cell, CROSS, iterations=own, border_value=1)[cell])


def test_by_size_large_numbers_of_labels_do_not_matter() -> None:
    labels = rods(96, 40)
    spread = labels.astype(np.uint32) * np.uint32(100_000_000 // 40)
    np.testing.assert_array_equal(border_core(spread, by_size=True), border_core(labels, by_size=True))

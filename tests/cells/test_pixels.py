from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from skimage.transform import resize
from torch.nn import functional

from labwright.cells.pixels import Intensity, intensity, nearest

label_maps = hnp.arrays(np.uint16, hnp.array_shapes(min_dims=2, max_dims=2, max_side=17), elements=st.integers(0, 9))
shapes = st.tuples(st.integers(1, 30), st.integers(1, 30))


def test_intensity_is_that_of_all_pixels_in_double_precision() -> None:
    image = np.full((512, 512), 65_535, np.uint16)
    image[0, 0] = 0
    exact = image.astype(np.float64)
    assert intensity(image) == Intensity(exact.mean(), exact.std())


def test_a_constant_frame_is_not_divided_by_zero() -> None:
    assert intensity(np.full((4, 5), 7, np.uint8)) == Intensity(7.0, 1.0)


@given(label_maps, shapes)
def test_nearest_takes_the_pixel_at_the_new_pixels_centre(labels: np.ndarray, shape: tuple[int, int]) -> None:
    exact = functional.interpolate(torch.from_numpy(labels.astype(np.float64))[None, None], shape, mode="nearest-exact")[0, 0].numpy()
    # torch computes the place in single precision; a centre that falls between two pixels may go to either.
    between = [((np.arange(new) + 0.5) * old / new) for new, old in zip(shape, labels.shape, strict=True)]
    clear = [np.abs(place - np.round(place)) > 1e-5 for place in between]
    assert nearest(labels, shape).shape == shape
    assert np.array_equal(nearest(labels, shape)[np.ix_(*clear)], exact[np.ix_(*clear)])


@pytest.mark.parametrize("shape", [(33, 45), (7, 5), (13, 4), (11, 31)])
def test_nearest_agrees_with_scikit_image_where_no_centre_lies_between_pixels(shape: tuple[int, int]) -> None:
    labels = np.random.default_rng(0).integers(0, 70_000, (11, 15)).astype(np.uint32)
    theirs = resize(labels, shape, order=0, preserve_range=True, anti_aliasing=False, mode="edge")
    assert np.array_equal(nearest(labels, shape), theirs)
    assert nearest(labels, shape).dtype == np.uint32


def test_the_same_shape_costs_no_copy() -> None:
    labels = np.zeros((4, 4), np.uint16)
    assert nearest(labels, (4, 4)) is labels

"""What the network sees: the target follows the image, and what is drawn belongs to the item."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from labwright.cells.pixels import Intensity, intensity
from labwright.cells.recipe import AugmentOptions, ViewOptions
from labwright.cells.views import CHANCES, OUTSIDE, augment, network_scale, normalised, resized, scaled_shape, stacked

SHAPES = AugmentOptions(brightness=0, contrast=0)
"""Only flips and rotations."""


def batch(count: int, height: int, width: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Images whose pixels say of themselves which target they have."""
    targets = torch.from_numpy(np.random.default_rng(seed).integers(0, 3, (count, height, width)).astype(np.uint8))
    return targets[:, None].float(), targets


def chances(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((count, CHANCES - 2))


sizes = st.tuples(st.integers(1, 6), st.integers(1, 9), st.integers(1, 9))


@given(sizes, st.integers(0, 2**32 - 1))
def test_the_target_follows_the_image(size: tuple[int, int, int], seed: int) -> None:
    images, targets = batch(*size, seed)
    changed, classes = augment(images, targets, SHAPES, chances(size[0], seed))
    assert torch.equal(changed[:, 0], classes.float())
    assert classes.dtype == torch.uint8
    for before, after in zip(targets, classes, strict=True):
        assert torch.equal(before.flatten().sort().values, after.flatten().sort().values)


@given(st.integers(2, 8), st.integers(0, 2**32 - 1), st.data())
def test_a_view_is_changed_alike_however_its_batch_is_divided(count: int, seed: int, data: st.DataObject) -> None:
    options = AugmentOptions(probability=0.7)
    (images, targets), drawn = batch(count, 8, 8, seed), chances(count, seed)
    cut = data.draw(st.integers(1, count - 1))
    whole = augment(images, targets, options, drawn)
    pieces = [augment(images[part], targets[part], options, drawn[part]) for part in (slice(cut), slice(cut, None))]
    for number in (0, 1):
        assert torch.equal(whole[number], torch.cat([piece[number] for piece in pieces]))


def test_all_eight_symmetries_of_the_square_come_up_equally_often() -> None:
    count = 4000
    image = torch.arange(9.0).reshape(1, 1, 3, 3).expand(count, 1, 3, 3)
    turned, _ = augment(image, torch.zeros(count, 3, 3, dtype=torch.uint8), SHAPES, chances(count))
    seen, counts = turned.reshape(count, 9).unique(dim=0, return_counts=True)
    assert len(seen) == 8
    assert counts.min() > 0.8 * count / 8


def test_an_oblong_view_is_turned_by_half_turns_only() -> None:
    images, targets = batch(50, 4, 8)
    changed, _ = augment(images, targets, SHAPES, chances(50))
    assert changed.shape == images.shape
    assert not torch.equal(changed, images)


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1))
def test_brightness_and_contrast_stay_within_their_bounds(seed: int) -> None:
    options = AugmentOptions(flips=False, rotations=False, brightness=0.3, contrast=0.2, probability=0.5)
    images = torch.stack([torch.zeros(1, 2, 2), torch.ones(1, 2, 2)]).repeat(20, 1, 1, 1)
    drawn = np.repeat(chances(20, seed), 2, axis=0)
    changed, _ = augment(images, images[:, 0].byte(), options, drawn)
    brightness = changed[::2].amax((1, 2, 3))
    contrast = changed[1::2].amax((1, 2, 3)) - brightness
    assert brightness.abs().max() <= 0.3 + 1e-6
    assert (contrast - 1).abs().max() <= 0.2 + 1e-6


def test_without_options_nothing_changes() -> None:
    images, targets = batch(9, 6, 6)
    off = AugmentOptions(flips=False, rotations=False, brightness=0, contrast=0)
    changed = augment(images, targets, off, chances(9))
    assert torch.equal(changed[0], images)
    assert torch.equal(changed[1], targets)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_a_normalised_frame_has_mean_0_and_deviation_1(dtype: str) -> None:
    image = (np.random.default_rng(1).random((40, 50)) * 200 + 20).astype(dtype)
    pixels = normalised(image, intensity(image))
    assert (pixels.shape, pixels.dtype) == ((1, 40, 50), torch.float32)
    assert pixels.mean().item() == pytest.approx(0, abs=1e-5)
    assert pixels.std(correction=0).item() == pytest.approx(1, abs=1e-5)


def test_a_crop_is_normalised_as_its_frame_is() -> None:
    image = np.random.default_rng(2).integers(0, 4000, (30, 30)).astype(np.uint16)
    level = Intensity(1000.0, 300.0)
    assert torch.equal(normalised(image, level)[:, 5:15, 3:20], normalised(image[5:15, 3:20], level))


def test_a_whole_frame_keeps_its_aspect() -> None:
    view = ViewOptions(kind="frame", size_px=256)
    for shape in ((1000, 500), (300, 1200), (256, 256)):
        scaled = scaled_shape(shape, network_scale(view, shape))
        assert max(scaled) == 256
        assert scaled[0] / scaled[1] == pytest.approx(shape[0] / shape[1], rel=0.02)
    assert network_scale(ViewOptions(scale=0.5), (1000, 500)) == 0.5
    assert scaled_shape((3, 2000), 0.1) == (1, 200)


def test_shrinking_averages_and_does_not_pick() -> None:
    stripes = torch.arange(32).remainder(2).float().expand(1, 1, 32, 32)
    inner = resized(stripes, (8, 8))[..., 2:-2, 2:-2]
    assert torch.allclose(inner, torch.full_like(inner, 0.5), atol=0.05)
    assert resized(stripes, (32, 32)) is stripes


def test_views_of_unequal_size_are_filled_up_at_the_lower_right() -> None:
    views = [torch.ones(2, 3, dtype=torch.uint8), torch.ones(4, 1, dtype=torch.uint8)]
    filled = stacked(views, (4, 4), OUTSIDE)
    assert filled.dtype == torch.uint8
    for view, whole in zip(views, filled, strict=True):
        height, width = view.shape
        assert torch.equal(whole[:height, :width], view)
        assert (whole == OUTSIDE).sum() == 16 - height * width

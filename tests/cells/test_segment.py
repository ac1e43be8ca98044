"""Tiles leave no seams, sizes do not matter, and joules are booked to the right stage."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from labwright.cells.instances import instances
from labwright.cells.pixels import Intensity, nearest
from labwright.cells.recipe import InstanceOptions, NetworkOptions, ViewOptions
from labwright.cells.segment import Segmenter
from labwright.cells.weights import build
from labwright.learn.unet import UNet

FREE = InstanceOptions(core_min_px=0, isolated_border_min_px=0)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def unet() -> UNet:
    """A U-Net that has seen something, in evaluation mode, whose three classes all come up."""
    torch.manual_seed(3)
    made = build(NetworkOptions(widths=(4, 8, 16)))
    made.train()
    for _ in range(20):
        made(torch.randn(2, 1, 32, 32))
    made.eval()
    with torch.no_grad():
        made.head.bias -= made(noise(1, 1, 128, 128)).mean((0, 2, 3))
    return made


def segmenter(module: nn.Module, **changes: Any) -> Segmenter:
    given: dict[str, Any] = {"module": module, "multiple": 4, "view": ViewOptions(), "options": FREE}
    return Segmenter(**(given | changes))


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape).astype(np.float32))


class Levels(nn.Module):
    """What is above one half is core; notes the shapes that it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.shapes: list[tuple[int, ...]] = []

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.shapes.append(tuple(images.shape))
        return torch.cat([0.5 - images, images - 0.5, torch.full_like(images, -1e6)], dim=1)


@pytest.mark.parametrize(("height", "width"), [(128, 128), (131, 97), (64, 200), (67, 66)])
def test_tiles_with_the_networks_reach_as_halo_give_the_whole_frames_classes(unet: UNet, height: int, width: int) -> None:
    batch = noise(2, 1, height, width)
    whole = segmenter(unet).classes(batch)
    assert whole.shape == (2, height, width)
    assert set(np.unique(whole)) == {0, 1, 2}
    tiled = segmenter(unet, tile_px=64, halo_px=unet.reach).classes(batch)
    assert np.array_equal(tiled, whole)


def test_a_halo_that_is_too_narrow_would_show(unet: UNet) -> None:
    batch = noise(1, 1, 128, 128)
    assert not np.array_equal(segmenter(unet, tile_px=64, halo_px=0).classes(batch), segmenter(unet).classes(batch))


def test_no_tile_is_larger_than_asked_for(unet: UNet) -> None:
    module = Levels()
    segmenter(module, tile_px=66, halo_px=5).classes(noise(1, 1, 150, 90))
    assert max(max(shape[-2:]) for shape in module.shapes) <= 64 + 2 * 8
    assert all(shape[-2] % 4 == shape[-1] % 4 == 0 for shape in module.shapes)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (5, 3), (17, 40)])
def test_any_size_will_do(unet: UNet, height: int, width: int) -> None:
    image = np.arange(height * width, dtype=np.uint16).reshape(height, width)
    (labels,) = segmenter(unet).labels([image])
    assert labels.shape == (height, width)


def test_frames_come_back_in_their_order_and_neighbours_of_one_shape_go_together() -> None:
    module = Levels()
    images = [np.zeros((8, 8), np.float32)] * 5 + [np.zeros((4, 12), np.float32)] + [np.zeros((8, 8), np.float32)]
    images = [image + number for number, image in enumerate(images)]
    known = [Intensity(number - 1.0, 1.0) for number in range(7)]  # each frame is 1 all over, which is core
    masks = list(segmenter(module, batch_size=3).labels(images, known))
    assert [mask.shape for mask in masks] == [image.shape for image in images]
    assert all((mask == 1).all() for mask in masks)
    assert [shape[0] for shape in module.shapes] == [3, 2, 1, 1]


def test_the_packs_intensity_goes_before_the_frames() -> None:
    image = np.full((8, 8), 5, np.float32)
    (masks,) = segmenter(Levels(), level=Intensity(4.0, 1.0)).labels([image], [Intensity(5.0, 1.0)])
    assert masks.all()
    (masks,) = segmenter(Levels()).labels([image], [Intensity(5.0, 1.0)])
    assert not masks.any()


def test_labels_are_the_instances_of_the_classes_at_the_frames_size() -> None:
    """At half the resolution, thresholds are areas of the frame: a quarter of them counts."""
    image = np.zeros((40, 40), np.float32)
    image[4:8, 4:8] = 1  # 16 px: 4 at the network's resolution
    image[20:32, 20:32] = 1
    half = ViewOptions(scale=0.5)
    module = Levels()
    given = [image], [Intensity(0.0, 1.0)]
    (both,) = segmenter(module, view=half, options=InstanceOptions(core_min_px=8, isolated_border_min_px=1000)).labels(*given)
    (one,) = segmenter(module, view=half, options=InstanceOptions(core_min_px=16, isolated_border_min_px=1000)).labels(*given)
    assert (both.max(), one.max()) == (2, 1)
    assert both.shape == image.shape
    small = segmenter(module).classes(torch.from_numpy(image[::2, ::2].copy())[None, None])[0]
    assert np.array_equal(both > 0, nearest(instances(small, core_min_px=2, isolated_border_min_px=250), (40, 40)) > 0)


def test_a_whole_frame_is_seen_at_its_size_for_the_network() -> None:
    module = Levels()
    segment = segmenter(module, view=ViewOptions(kind="frame", size_px=32))
    masks = list(segment.labels([np.eye(100, 50, dtype=np.float32)]))
    assert module.shapes == [(1, 1, 32, 16)]
    assert masks[0].shape == (100, 50)


def test_network_and_instances_are_booked_apart() -> None:
    stages: list[str] = []

    @contextmanager
    def stage(name: str) -> Iterator[None]:
        stages.append(name)
        yield

    list(segmenter(Levels(), batch_size=2, stage=stage).labels([np.eye(8, dtype=np.float32)] * 3))
    assert stages == ["network", "instances"] * 2


def test_no_gradient_is_kept() -> None:
    held = torch.zeros(1, requires_grad=True)

    class Held(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            scores = images.repeat(1, 3, 1, 1) + held
            assert not scores.requires_grad
            return scores

    segmenter(Held()).classes(noise(1, 1, 8, 8))


@pytest.mark.parametrize("symmetries", [4, 8])
def test_averaged_views_do_not_care_how_the_frame_lies(unet: UNet, symmetries: int) -> None:
    """With the views averaged, the classes of a mirrored frame are the mirrored classes, which one view does not give."""
    view = ViewOptions(symmetries=symmetries)  # type: ignore[arg-type]
    frame = noise(1, 1, 32, 48)
    for axes in ((-1,), (-2,), (-2, -1)):
        mirrored = segmenter(unet, view=view).classes(frame.flip(axes))
        assert np.mean(mirrored == np.flip(segmenter(unet, view=view).classes(frame), axes)) > 0.999
    assert np.mean(segmenter(unet).classes(frame.flip((-1,))) == np.flip(segmenter(unet).classes(frame), -1)) < 0.999
    if symmetries == 8:
        turned = segmenter(unet, view=view).classes(frame.transpose(-2, -1).contiguous())
        assert np.mean(turned == segmenter(unet, view=view).classes(frame).transpose(0, 2, 1)) > 0.999

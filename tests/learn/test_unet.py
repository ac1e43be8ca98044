"""The network: its size, its shapes, and how far it looks."""

from __future__ import annotations

from typing import Literal

import pytest
import torch

from labwright.learn.unet import UNet


def test_the_baseline_has_its_published_number_of_parameters() -> None:
    assert sum(parameter.numel() for parameter in UNet(1, 3, (32, 64, 128, 256)).parameters()) == 1_927_907


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize("widths", [(3,), (2, 4), (2, 3, 5)])
def test_any_widths_depth_and_dimensions_keep_the_spatial_shape(dimensions: Literal[2, 3], widths: tuple[int, ...]) -> None:
    network = UNet(2, 5, widths, dimensions)
    assert network.multiple == 2 ** (len(widths) - 1)
    space = tuple(network.multiple * count for count in (2, 3, 1))[:dimensions]
    assert network(torch.zeros(2, 2, *space)).shape == (2, 5, *space)


@pytest.mark.parametrize("widths", [(2,), (2, 2), (1, 2, 2)])
def test_reach_is_how_far_an_output_pixel_looks(widths: tuple[int, ...]) -> None:
    network = UNet(1, 1, widths).double().eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.abs_()  # nothing cancels out
    image = torch.rand(1, 1, 4 * network.multiple, 128, dtype=torch.float64, requires_grad=True)
    reached = 0
    for column in range(64, 64 + network.multiple):
        (slope,) = torch.autograd.grad(network(image)[0, 0, 2 * network.multiple, column], image)
        seen = slope[0, 0].abs().sum(0).nonzero()
        reached = max(reached, column - int(seen.min()), int(seen.max()) - column)
    assert network.reach == reached


def test_weights_lie_in_the_layout_that_convolutions_work_in() -> None:
    network = UNet(1, 3, (4, 8))
    assert network.down[1][0].weight.is_contiguous(memory_format=torch.channels_last)

"""Networks and optimisers through files: nothing is lost, nothing slips in."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import nn

from labwright.learn.tensors import into_module, into_optimizer, of_module, of_optimizer, read, write
from labwright.learn.unet import UNet
from labwright.runs.errors import DataError, StudyError


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(3, 4)
        self.head = nn.Linear(4, 3, bias=False)
        self.head.weight = self.embed.weight


def test_tied_tensors_are_written_once_and_read_twice(tmp_path: Path) -> None:
    module = Tied()
    tensors, tied = of_module(module)
    assert set(tensors) == {"embed.weight"}
    write(tmp_path / "a.safetensors", tensors, tied)
    other = Tied()
    into_module(other, read(tmp_path / "a.safetensors"), "here")
    assert torch.equal(other.head.weight, module.embed.weight)
    assert other.head.weight is other.embed.weight


def test_the_files_of_safetensors_own_writer_are_read(tmp_path: Path) -> None:
    module = Tied()
    safetensors.torch.save_model(module, str(tmp_path / "a.safetensors"))
    other = Tied()
    into_module(other, read(tmp_path / "a.safetensors"), "here")
    assert torch.equal(other.embed.weight, module.embed.weight)


def test_an_empty_set_of_tensors_survives(tmp_path: Path) -> None:
    write(tmp_path / "a.safetensors", {})
    assert read(tmp_path / "a.safetensors") == {}


@pytest.mark.parametrize("content", [b"", b"not tensors", (1 << 40).to_bytes(8, "little") + b"{}"])
def test_an_unreadable_file_is_said(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(content)
    with pytest.raises(DataError, match="not a readable safetensors file"):
        read(path)


def test_names_that_are_missing_or_too_many_are_told() -> None:
    with pytest.raises(StudyError, match=r"bias is missing; other is not in the network"):
        into_module(nn.Linear(2, 1), {"weight": torch.zeros(1, 2), "other": torch.zeros(1)}, "here")


@pytest.mark.parametrize(
    "make",
    [
        lambda parameters: torch.optim.AdamW(parameters, lr=0.1),
        lambda parameters: torch.optim.Adam(parameters, lr=0.1, amsgrad=True),
        lambda parameters: torch.optim.SGD(parameters, lr=0.1),
        lambda parameters: torch.optim.SGD(parameters, lr=0.1, momentum=0.9),
    ],
)
def test_an_optimiser_goes_on_exactly_after_a_trip_through_files(tmp_path: Path, make: Any) -> None:
    module = UNet(1, 2, (2, 4))
    image = torch.rand(1, 1, 8, 8)

    def step(network: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        optimizer.zero_grad()
        network(image).square().mean().backward()
        optimizer.step()

    optimizer = make(module.parameters())
    for _ in range(3):
        step(module, optimizer)
    tensors, rest = of_optimizer(optimizer, module)
    write(tmp_path / "a.safetensors", tensors)
    other = copy.deepcopy(module)
    restored = make(other.parameters())
    into_optimizer(restored, other, read(tmp_path / "a.safetensors"), rest)
    for parameter, quantities in restored.state.items():
        for value in quantities.values():
            assert not isinstance(value, torch.Tensor) or value.ndim == 0 or value.stride() == parameter.stride()
    step(module, optimizer)
    step(other, restored)
    for one, two in zip(module.parameters(), other.parameters(), strict=True):
        assert torch.equal(one, two)


def test_the_state_of_other_parameters_is_refused() -> None:
    one, two = nn.Linear(2, 1), nn.Sequential(nn.Linear(2, 1))
    optimizer = torch.optim.AdamW(one.parameters())
    one(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    tensors, rest = of_optimizer(optimizer, one)
    with pytest.raises(StudyError, match="has weight, which is not trained here"):
        into_optimizer(torch.optim.AdamW(two.parameters()), two, tensors, rest)

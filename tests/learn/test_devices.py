"""Devices: what is chosen, and in which precision."""

from __future__ import annotations

import pytest
import torch

from labwright.learn import devices
from labwright.learn.options import FitOptions
from labwright.runs.errors import MissingError


def test_auto_takes_a_gpu_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert devices.choose().type == "cuda"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert devices.choose().type == "mps"
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert devices.choose().type == "cpu"


def test_an_accelerator_that_is_not_there_is_missing_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(MissingError, match="finds no cuda device") as caught:
        devices.choose("cuda")
    assert caught.value.code == 66


@pytest.mark.parametrize(
    ("asked", "kind", "capability", "used"),
    [
        ("auto", "cuda", (8, 0), "bf16"),
        ("auto", "cuda", (7, 5), "fp32"),
        ("fp16", "cuda", (7, 5), "fp16"),
        ("fp32", "cuda", (9, 0), "fp32"),
        ("bf16", "mps", (0, 0), "bf16"),
        ("fp16", "mps", (0, 0), "fp32"),
    ],
)
def test_the_precision_that_is_really_used(
    monkeypatch: pytest.MonkeyPatch, asked: str, kind: str, capability: tuple[int, int], used: str
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert devices.usable(asked, torch.device(kind)) == used


@pytest.mark.parametrize("fast", [True, False])
def test_auto_takes_bf16_on_cpus_that_compute_in_it(monkeypatch: pytest.MonkeyPatch, fast: bool) -> None:
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: fast)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    expected = "bf16" if fast else "fp32"
    assert devices.usable("auto", torch.device("cpu")) == devices.usable("fp16", torch.device("cpu")) == expected


@pytest.mark.parametrize(("precision", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16)])
def test_inference_computes_in_its_precision_and_without_gradients(precision: str, dtype: torch.dtype) -> None:
    layer = torch.nn.Linear(2, 2)
    with devices.inference(precision, threads=1, accelerator="cpu") as device:
        with device.autocast():
            outcome = layer(torch.ones(1, 2, device=device.torch_device))
        assert outcome.dtype == dtype
        assert not outcome.requires_grad
        assert torch.get_num_threads() == 1


def test_a_module_without_tensors_stands_on_the_cpu() -> None:
    assert devices.of(torch.nn.ReLU()) == torch.device("cpu")


def test_launching_leaves_the_threads_as_they_were_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    before = torch.get_num_threads()
    monkeypatch.setattr(devices.Fabric, "launch", lambda _: torch.set_num_threads(before + 2))
    try:
        devices.fabric(FitOptions(accelerator="cpu"), before + 1)
        assert torch.get_num_threads() == before + 1
    finally:
        torch.set_num_threads(before)

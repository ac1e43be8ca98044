"""Devices: which one, in which precision, with how many threads, and a sentence when its memory is full."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import timedelta
from typing import Any, NamedTuple

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning_fabric.strategies.ddp import DDPStrategy
from torch import nn

from labwright.learn.options import FitOptions
from labwright.runs.errors import FaultError, MissingError

# Fabric announces what the run's figures say anyway.
logging.getLogger("lightning_fabric").setLevel(logging.WARNING)

_FABRIC = {"fp32": "32-true", "bf16": "bf16-mixed", "fp16": "16-mixed"}
EXCHANGE_WITHIN = timedelta(minutes=30)
"""One rank may save or wait for its file system while the others wait for it; that one died is noticed sooner (``parts.ranks``)."""
_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


class Device(NamedTuple):
    """Where a trained network runs."""

    torch_device: torch.device
    precision: str

    def autocast(self) -> AbstractContextManager[object]:
        """The network's products in this precision, during the block."""
        if self.precision == "fp32":
            return nullcontext()
        return torch.autocast(self.torch_device.type, dtype=_DTYPES[self.precision])


@contextmanager
def inference(precision: str, threads: int, accelerator: str = "auto") -> Iterator[Device]:
    """The device to predict on, without gradients, its memory guarded; the precision is the one really used."""
    device = choose(accelerator)
    settle(threads)
    with torch.inference_mode(), memory_sentence("Lower batch_size or tile_px."):
        yield Device(device, usable(precision, device))


def fabric(options: FitOptions, threads: int) -> Fabric:
    """A launched Fabric on the chosen device, with torch set to give the same digits again.

    One process drives one device. Several devices are several processes started by ``torchrun`` or ``srun``
    (``WORLD_SIZE`` in the environment); they share the gradients by DDP.

    Args:
        options: ``accelerator`` and ``precision`` are used.
        threads: for torch on the CPU.
    """
    device = choose(options.accelerator)
    settle(threads)
    world = int(os.environ.get("WORLD_SIZE", "1"))
    local = _devices_here(device, int(os.environ.get("LOCAL_WORLD_SIZE", world)))
    made = Fabric(
        accelerator=device.type,
        devices=local,
        num_nodes=world // local,
        strategy=DDPStrategy(timeout=EXCHANGE_WITHIN) if world > 1 else "auto",
        precision=_FABRIC[usable(options.precision, device)],  # type: ignore[arg-type]
        # Named, lest Fabric guesses: inside a Slurm allocation it would take a lone process for one of a group.
        plugins=[_Launched(local) if world > 1 else LightningEnvironment()],
    )
    made.launch()
    # Fabric deals the cores to the processes of a node as it launches, unless OMP_NUM_THREADS is set.
    torch.set_num_threads(threads)
    return made


class _Launched(TorchElasticEnvironment):
    """Ranks by torchrun's variables, which ``parts.ranks`` sees to."""

    def __init__(self, devices: int) -> None:
        super().__init__()
        self._devices = devices

    def local_rank(self) -> int:
        return super().local_rank() % self._devices


def _devices_here(device: torch.device, processes: int) -> int:
    """How many devices the processes on this node see: one each, or all of them, or just the own one.

    Raises:
        MissingError: there are fewer GPUs than processes.
    """
    seen = torch.cuda.device_count() if device.type == "cuda" else processes
    if 1 < seen < processes:
        todo = "Ask for as many GPUs as processes on each node."
        raise MissingError(f"{processes} processes on this node share {seen} GPUs", where="LOCAL_WORLD_SIZE", todo=todo)
    return min(processes, seen)


def choose(accelerator: str = "auto") -> torch.device:
    """The device to work on: ``auto`` takes CUDA, then Apple's MPS, then the CPU.

    Raises:
        MissingError: the named accelerator is not usable here.
    """
    usable_here = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if accelerator == "auto":
        return torch.device(next(name for name, usable in usable_here.items() if usable))
    if not usable_here[accelerator]:
        raise MissingError(
            f"torch {torch.__version__} finds no {accelerator} device here",
            where="accelerator",
            todo="Set accelerator: auto, or see `labwright doctor` for what is missing.",
        )
    return torch.device(accelerator)


def usable(precision: str, device: torch.device) -> str:
    """The precision that is really used: fp32, bf16 or fp16.

    ``auto`` is bf16 where the device computes in it fast (CUDA from compute capability 8.0, CPUs with AVX512-BF16 or AMX), else
    fp32. fp16 needs CUDA; elsewhere it becomes what ``auto`` gives.
    """
    if device.type == "cuda":
        fast = torch.cuda.get_device_capability(device) >= (8, 0)
    else:
        fast = device.type == "cpu" and (torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
    if precision == "auto" or (precision == "fp16" and device.type != "cuda"):
        return "bf16" if fast else "fp32"
    return precision


def name(device: torch.device) -> str:
    """What the device is called: "cpu", or a GPU's own name."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def of(module: nn.Module) -> torch.device:
    """The device that a module stands on."""
    return next((tensor.device for tensor in (*module.parameters(), *module.buffers())), torch.device("cpu"))


def settle(threads: int) -> None:
    """Fix what may change a digit: torch's threads, and the choice of algorithms on a GPU."""
    torch.set_num_threads(threads)
    # cuBLAS reads this when it starts; without it some matrix products differ from run to run.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.backends.cudnn.benchmark = False
    # An operation without a deterministic form (bilinear upsampling backwards) is used with a warning, not refused.
    torch.use_deterministic_algorithms(True, warn_only=True)
    # Filling new memory with NaN is part of the deterministic mode, guards nothing here and costs bandwidth.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


@contextmanager
def memory_sentence(todo: str) -> Iterator[None]:
    """Turn "out of memory" on a GPU or on the CPU into a ``FaultError`` that says what to turn."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise FaultError("the memory of the GPU does not suffice", where=str(error).split(". ")[0], todo=todo) from error
    except RuntimeError as error:
        if "not enough memory" not in str(error) and "can't allocate memory" not in str(error):
            raise
        raise FaultError("the memory of the machine does not suffice", where=str(error).splitlines()[0], todo=todo) from error


def totals(device: Fabric, *values: float) -> list[float]:
    """Sums over all ranks, the same on each; the values themselves where there is one rank."""
    if device.world_size == 1:
        return list(values)
    sums: Any = device.all_reduce(torch.tensor(values, dtype=torch.float64, device=device.device), reduce_op="sum")
    return list(sums.tolist())


def of_first_rank(device: Fabric, figures: Mapping[str, Any]) -> Mapping[str, Any]:
    """The figures as the first rank found them, since all ranks decide by them: unlike devices may differ in a digit."""
    if device.world_size == 1:
        return figures
    own = [math.nan if value is None else float(value) for value in figures.values()]
    agreed = totals(device, *(value if device.is_global_zero else 0.0 for value in own))
    return figures if device.is_global_zero else dict(zip(figures, agreed, strict=True))

"""NVIDIA GPUs as NVML shows them: which ones this process may use, what they do and who uses them.

NVML comes with ``nvidia-ml-py`` (the extra ``energy``) and the driver; where either is missing there are
no GPUs here, and a reason that ``labwright doctor`` prints.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple


@dataclass(frozen=True)
class Gpu:
    """One whole device; ``index`` is NVML's (PCI bus order). What it cannot tell is None."""

    index: int
    nvml: Any = field(repr=False)
    handle: Any = field(repr=False)

    @property
    def name(self) -> str:
        return str(self._ask(self.nvml.nvmlDeviceGetName) or "unknown")

    @property
    def uuid(self) -> str:
        return str(self._ask(self.nvml.nvmlDeviceGetUUID) or "")

    @property
    def minor(self) -> int | None:
        """The N of its device file ``/dev/nvidiaN``, which need not be its index."""
        minor = self._ask(self.nvml.nvmlDeviceGetMinorNumber)
        return None if minor is None else int(minor)

    def energy_joules(self) -> float | None:
        """Joules since the driver was loaded (Volta and newer; refreshed about every 100 ms)."""
        millijoules = self._ask(self.nvml.nvmlDeviceGetTotalEnergyConsumption)
        return None if millijoules is None else millijoules / 1000

    def watts(self) -> float | None:
        """Power draw of the whole board."""
        milliwatts = self._ask(self.nvml.nvmlDeviceGetPowerUsage)
        return None if milliwatts is None else milliwatts / 1000

    def memory(self) -> tuple[int, int] | None:
        """Used and total bytes."""
        memory = self._ask(self.nvml.nvmlDeviceGetMemoryInfo)
        return None if memory is None else (int(memory.used), int(memory.total))

    def utilisation_percent(self) -> float | None:
        """Share of the driver's last sampling period in which a kernel ran."""
        rates = self._ask(self.nvml.nvmlDeviceGetUtilizationRates)
        return None if rates is None else float(rates.gpu)

    def users(self) -> list[int]:
        """Ids of the processes that compute on it, as far as this container may see them."""
        return [int(process.pid) for process in self._ask(self.nvml.nvmlDeviceGetComputeRunningProcesses) or ()]

    def _ask(self, question: Callable[[Any], Any]) -> Any:
        try:
            return question(self.handle)
        except self.nvml.NVMLError:
            return None


class Visible(NamedTuple):
    """The GPUs this process may use; without any, why."""

    gpus: list[Gpu]
    reason: str
    driver: str = ""
    """Version of the driver."""
    cuda: tuple[int, int] | None = None
    """The newest CUDA version that the driver runs."""


@functools.cache
def load() -> tuple[Any, str]:
    """The started NVML binding, or None and the reason. Started once in a process, as NVML counts its users."""
    try:
        import pynvml
    except ImportError:
        return None, "the package nvidia-ml-py is not installed"
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        return None, f"no NVIDIA driver answers ({error})"
    return pynvml, ""


def visible(nvml: Any = None, environment: Mapping[str, str] = os.environ) -> Visible:
    """The whole GPUs that CUDA_VISIBLE_DEVICES leaves to this process, in its order.

    Args:
        nvml: the binding to ask instead of the installed one (tests).
    """
    reason = ""
    if nvml is None:
        nvml, reason = load()
    if nvml is None:
        return Visible([], reason)
    try:
        handles = [nvml.nvmlDeviceGetHandleByIndex(index) for index in range(nvml.nvmlDeviceGetCount())]
        uuids = [str(nvml.nvmlDeviceGetUUID(handle)) for handle in handles]
        driver, version = str(nvml.nvmlSystemGetDriverVersion()), int(nvml.nvmlSystemGetCudaDriverVersion())
    except nvml.NVMLError as error:
        return Visible([], f"NVML does not list the devices ({error})")
    chosen, reason = _chosen(environment.get("CUDA_VISIBLE_DEVICES"), uuids)
    gpus = [Gpu(index, nvml, handles[index]) for index in chosen]
    return Visible(gpus, reason if not gpus else "", driver, (version // 1000, version % 1000 // 10))


def _chosen(wanted: str | None, uuids: list[str]) -> tuple[list[int], str]:
    """Indices by CUDA's own rule: numbers or UUID prefixes, and what follows a wrong entry is ignored."""
    if wanted is None:
        return list(range(len(uuids))), "the machine has no NVIDIA GPU"
    chosen: list[int] = []
    for entry in filter(None, map(str.strip, wanted.split(","))):
        if entry.startswith("MIG-"):
            return [], "NVML measures whole devices, and CUDA_VISIBLE_DEVICES names a MIG slice"
        if entry.startswith("GPU-"):
            found = [index for index, uuid in enumerate(uuids) if uuid.startswith(entry)]
        else:
            found = [int(entry)] if entry.isdigit() and int(entry) < len(uuids) else []
        if len(found) != 1 or found[0] in chosen:
            break
        chosen += found
    return chosen, f"CUDA_VISIBLE_DEVICES={wanted!r} leaves none"

"""A stand-in for NVML: devices whose counters a test turns by hand; pass it to ``labwright.runs.gpus.visible``."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any


@dataclass
class Device:
    """``None`` stands for what the device does not support."""

    uuid: str
    millijoules: int | None = None
    milliwatts: int | None = None
    pids: tuple[int, ...] = ()


class FakeNvml:
    """The part of pynvml's interface that is used, over ``devices``."""

    class NVMLError(Exception):
        """What pynvml raises."""

    def __init__(self, *devices: Device, cuda: int = 12040) -> None:
        self.devices, self.cuda, self.broken = list(devices), cuda, False

    def _known(self, value: Any) -> Any:
        if value is None or self.broken:
            raise self.NVMLError("Not Supported")
        return value

    def nvmlDeviceGetCount(self) -> int:
        return int(self._known(len(self.devices)))

    def nvmlDeviceGetHandleByIndex(self, index: int) -> Device:
        return self.devices[index]

    def nvmlDeviceGetUUID(self, device: Device) -> str:
        return device.uuid

    def nvmlDeviceGetMinorNumber(self, device: Device) -> int:
        return self.devices.index(device)

    def nvmlDeviceGetName(self, device: Device) -> str:
        return f"Fake {device.uuid}"

    def nvmlDeviceGetTotalEnergyConsumption(self, device: Device) -> int:
        return int(self._known(device.millijoules))

    def nvmlDeviceGetPowerUsage(self, device: Device) -> int:
        return int(self._known(device.milliwatts))

    def nvmlDeviceGetMemoryInfo(self, device: Device) -> SimpleNamespace:
        return SimpleNamespace(used=3 * 2**30, total=16 * 2**30)

    def nvmlDeviceGetUtilizationRates(self, device: Device) -> SimpleNamespace:
        return SimpleNamespace(gpu=self._known(75))

    def nvmlDeviceGetComputeRunningProcesses(self, device: Device) -> list[SimpleNamespace]:
        return [SimpleNamespace(pid=pid) for pid in device.pids]

    def nvmlSystemGetDriverVersion(self) -> str:
        return "550.54"

    def nvmlSystemGetCudaDriverVersion(self) -> int:
        return self.cuda

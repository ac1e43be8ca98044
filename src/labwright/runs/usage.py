"""The sampler: what the process tree and its GPUs use, as a journal record each 10 s, which is also the run's heartbeat.

A ``usage`` record holds ``seconds`` (since the last), ``cpu_percent`` (100 is one busy core;
null in the first), ``processes``, ``memory_bytes`` (resident, summed over the processes: shared pages count in each), ``read_bytes`` and
``written_bytes`` (disk, in these seconds), and ``gpus``: ``index`` (NVML's) of each, ``utilisation_percent``, ``memory_bytes``
and ``watts``.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from labwright.runs.energy import Energy
from labwright.runs.gpus import Gpu, visible
from labwright.runs.processes import CpuTime, Use, tree, uses


class Sampler:
    """A daemon thread that records at once and then each ``interval_s``, flushing ``energy`` with it."""

    def __init__(self, record: Callable[..., None], energy: Energy, interval_s: float = 10.0) -> None:
        self._record, self._energy, self._interval_s = record, energy, interval_s
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="labwright-usage", daemon=True)
        self._gpus: list[Gpu] = visible().gpus
        self._cpu = CpuTime()
        pids = tree()
        self._disk: dict[int, Use] = {use.pid: use for use in uses(pids)}
        self._cpu_s, self._at = self._cpu.seconds(pids), time.monotonic()

    def start(self) -> None:
        """The first record is written before this returns: from here on the run can be seen to live."""
        self.tick()
        self._thread.start()

    def stop(self) -> None:
        """Returns at once, without waiting for the interval."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()

    def tick(self) -> None:
        """Write one record and flush the energy."""
        pids, now = tree(), time.monotonic()
        found, cpu_s, seconds = uses(pids), self._cpu.seconds(pids), now - self._at
        steps = [(use, self._disk.get(use.pid, Use(use.pid, 0, 0, 0))) for use in found]
        # CPU time comes in ticks of 10 ms: over a shorter time than this its share is noise.
        cpu_percent = round(100 * (cpu_s - self._cpu_s) / seconds, 1) if seconds >= 0.1 else None
        self._cpu_s, self._at, self._disk = cpu_s, now, {use.pid: use for use in found}
        self._record(
            "usage",
            seconds=round(seconds, 3),
            cpu_percent=cpu_percent,
            processes=len(found),
            memory_bytes=sum(use.memory_bytes for use in found),
            read_bytes=sum(use.read_bytes - before.read_bytes for use, before in steps),
            written_bytes=sum(use.written_bytes - before.written_bytes for use, before in steps),
            gpus=[_gpu_use(gpu) for gpu in self._gpus],
        )
        self._energy.flush()

    def _watch(self) -> None:
        while not self._stopped.wait(self._interval_s):
            try:
                self.tick()
            except OSError:
                # A full disk ends the run where it saves; the heartbeat goes on until then.
                continue


def _gpu_use(gpu: Gpu) -> dict[str, Any]:
    memory, watts = gpu.memory(), gpu.watts()
    return {
        "index": gpu.index,
        "utilisation_percent": gpu.utilisation_percent(),
        "memory_bytes": memory[0] if memory else None,
        "watts": watts,
    }

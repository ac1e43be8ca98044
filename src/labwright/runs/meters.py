"""Meters: each gives the joules since it was last read, and says how it knows and of what.

Best first, one for each GPU and one for the CPU side:

1. *NVML counter*: the GPU's own total of millijoules;
2. *NVML power*: the GPU's power, sampled each second and integrated;
3. *RAPL*: the counters of the CPU packages (and of their memory where shown) in ``/sys/class/powercap``;
4. *estimate*: CPU time of the process tree times a stated power of a busy core.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple, Protocol

from labwright.runs.errors import CommandError
from labwright.runs.gpus import Gpu, Visible, visible
from labwright.runs.processes import CpuTime

POWERCAP = Path("/sys/class/powercap")
WATTS_PER_CORE = 10.0
"""Assumed power of a busy core with its share of memory and board. Rated power by core is 4–8 W for current
servers (270 W / 38, 280 W / 64) and 8–16 W for desktops; LABWRIGHT_WATTS_PER_CORE states another."""
WATTS_VARIABLE = "LABWRIGHT_WATTS_PER_CORE"
_PACKAGE_WATTS_MAX = 1000.0
"""No CPU package draws more: bounds how fast a RAPL counter can wrap."""


class Reading(NamedTuple):
    """``joules`` since the last reading (None: unknown).

    ``coverage`` is the time that they account for, as a share of the time since the last reading; over 1 where a
    counter catches up on readings that had failed.
    """

    joules: float | None
    coverage: float


class Meter(Protocol):
    """Something that measures energy."""

    method: str
    scope: str

    def read(self) -> Reading: ...
    def close(self) -> None: ...


class Source(NamedTuple):
    """A running total of joules; ``wrap_joules`` is where it starts again from 0."""

    joules: Callable[[], float | None]
    wrap_joules: float | None = None


class Counter:
    """Reads running totals; a total that cannot be read now is caught up by the next reading."""

    def __init__(self, method: str, scope: str, sources: Sequence[Source], clock: Callable[[], float] = time.monotonic) -> None:
        self.method, self.scope = method, scope
        self._sources, self._clock = sources, clock
        self._last = self._totals()
        self._last_at = self._read_at = clock()

    def read(self) -> Reading:
        totals, now = self._totals(), self._clock()
        since_s, self._read_at = now - self._read_at, now
        if totals is None:
            return Reading(None, 0.0)
        before, gap_s = self._last, now - self._last_at
        self._last, self._last_at = totals, now
        if before is None:
            return Reading(None, 0.0)
        joules = 0.0
        for source, last, total in zip(self._sources, before, totals, strict=True):
            step = total - last
            if source.wrap_joules is not None:
                if gap_s > source.wrap_joules / _PACKAGE_WATTS_MAX:
                    return Reading(None, 0.0)  # it may have wrapped more than once
                step %= source.wrap_joules
            elif step < 0:
                return Reading(None, 0.0)  # the driver was loaded anew
            joules += step
        return Reading(joules, gap_s / since_s if since_s > 0 else 1.0)

    def close(self) -> None:
        """Nothing is held open."""

    def _totals(self) -> list[float] | None:
        totals = [source.joules() for source in self._sources]
        known = [total for total in totals if total is not None]
        return known if len(known) == len(totals) else None


class PowerSamples:
    """Integrates power by the trapezoid rule; a gap of over five periods is not covered."""

    def __init__(
        self, method: str, scope: str, watts: Callable[[], float | None], period_s: float = 1.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.method, self.scope = method, scope
        self._watts, self._period_s, self._clock = watts, period_s, clock
        self._lock, self._closed = threading.Lock(), threading.Event()
        self._power = watts()
        self._at = self._read_at = clock()
        self._joules, self._covered_s = 0.0, 0.0
        self._thread = threading.Thread(target=self._watch, name="labwright-power", daemon=True)
        self._thread.start()

    def read(self) -> Reading:
        with self._lock:
            self._sample()
            joules, covered_s, since_s = self._joules, self._covered_s, self._at - self._read_at
            self._joules, self._covered_s, self._read_at = 0.0, 0.0, self._at
        return Reading(joules, covered_s / since_s) if covered_s > 0 else Reading(None, 0.0)

    def close(self) -> None:
        self._closed.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._closed.wait(self._period_s):
            with self._lock:
                self._sample()

    def _sample(self) -> None:
        power, now = self._watts(), self._clock()
        gap_s = now - self._at
        if power is not None and self._power is not None and gap_s <= 5 * self._period_s:
            self._joules += (power + self._power) / 2 * gap_s
            self._covered_s += gap_s
        self._power, self._at = power, now


class Found(NamedTuple):
    """The meters to use, and of each method what it measures (``used``) or why it is not used."""

    meters: list[Meter]
    methods: dict[str, Verdict]


class Verdict(NamedTuple):
    """What became of a method on this machine."""

    used: bool
    text: str


def find(gpus: Visible | None = None, powercap: Path = POWERCAP, environment: Mapping[str, str] = os.environ) -> Found:
    """The best meter for each GPU and for the CPU side.

    Of several ranks on one machine only the first measures devices, which all of them share.

    Raises:
        CommandError: LABWRIGHT_WATTS_PER_CORE is no power.
    """
    meters: list[Meter] = []
    methods: dict[str, Verdict] = {}
    first = environment.get("LOCAL_RANK", environment.get("SLURM_LOCALID", "0")) == "0"
    zones, reason = _zones(powercap)
    if first:
        gpus = visible() if gpus is None else gpus
        for gpu in gpus.gpus:
            meters += _gpu_meter(gpu)
        for method in ("NVML counter", "NVML power"):
            scopes = ", ".join(meter.scope for meter in meters if meter.method == method)
            methods[method] = Verdict(bool(scopes), scopes or gpus.reason or "no device needs it or supports it")
    scope = "cpu packages and memory" if any(name == "dram" for name, _ in zones) else "cpu packages"
    if zones and first:
        meters.append(Counter("RAPL", scope, [source for _, source in zones]))
    methods["RAPL"] = Verdict(bool(zones), scope if zones else reason)
    watts = watts_per_core(environment)
    if zones or not watts:
        methods["estimate"] = Verdict(False, "RAPL measures" if zones else f"turned off by {WATTS_VARIABLE}")
    else:
        cpu = CpuTime()
        meters.append(Counter(f"estimate, {watts:g} W per busy core", "this process tree", [Source(lambda: cpu.seconds() * watts)]))
        methods["estimate"] = Verdict(True, f"CPU time of the process tree × {watts:g} W per busy core")
    return Found(meters, methods)


def watts_per_core(environment: Mapping[str, str] = os.environ) -> float:
    """The stated power of a busy core in watts; 0 turns the estimate off."""
    text = environment.get(WATTS_VARIABLE, "").strip()
    try:
        watts = float(text or WATTS_PER_CORE)
    except ValueError:
        watts = -1.0
    if not 0 <= watts < 1000:
        raise CommandError(f"{text!r} is no power of a core", where=WATTS_VARIABLE, todo="Give watts, such as 7.5, or 0 for no estimate.")
    return watts


def _gpu_meter(gpu: Gpu) -> list[Meter]:
    scope = f"gpu {gpu.index}"
    if gpu.energy_joules() is not None:
        return [Counter("NVML counter", scope, [Source(gpu.energy_joules)])]
    if gpu.watts() is not None:
        return [PowerSamples("NVML power", scope, gpu.watts)]
    return []


def _zones(powercap: Path) -> tuple[list[tuple[str, Source]], str]:
    """RAPL's package and memory counters, or why there are none.

    A package's other subzones (core, uncore) are part of it, psys holds it, and intel-rapl-mmio repeats it.
    """
    zones: list[tuple[str, Source]] = []
    for zone in sorted(powercap.glob("intel-rapl:*")):
        try:
            name = (zone / "name").read_text().strip()
            if name.startswith("package") or name == "dram":
                int((zone / "energy_uj").read_text())
                wrap_joules = int((zone / "max_energy_range_uj").read_text()) / 1e6
                zones.append((name, Source(partial(_joules, zone / "energy_uj"), wrap_joules)))
        except PermissionError:
            return [], "its counters are readable by root only (usual since CVE-2020-8694); an administrator can allow reading energy_uj"
        except (OSError, ValueError):
            continue
    return zones, "" if zones else "this machine or its kernel shows no counters"


def _joules(file: Path) -> float | None:
    try:
        return int(file.read_text()) / 1e6
    except (OSError, ValueError):
        return None

"""Joules come from the best source there is, wraps and failed readings neither lose nor invent any."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labwright.runs import meters
from labwright.runs.errors import CommandError
from labwright.runs.gpus import Visible, visible
from labwright.runs.meters import Counter, PowerSamples, Source, find
from labwright.testing.nvml import Device, FakeNvml

NO_GPU = Visible([], "none here")
RANGE_UJ = 262_143_328_850


class Clock:
    """Seconds that only a test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def powercap(folder: Path, **microjoules: int) -> Path:
    """A /sys/class/powercap with zones such as ``package_0=…``, ``dram=…``, ``core=…``, ``psys=…``."""
    for number, (name, value) in enumerate(microjoules.items()):
        zone = folder / f"intel-rapl:{number}"
        zone.mkdir(parents=True)
        (zone / "name").write_text(name.replace("_", "-") + "\n")
        (zone / "energy_uj").write_text(f"{value}\n")
        (zone / "max_energy_range_uj").write_text(f"{RANGE_UJ}\n")
    return folder


def turn(folder: Path, zone: int, microjoules: int) -> None:
    (folder / f"intel-rapl:{zone}" / "energy_uj").write_text(f"{microjoules % RANGE_UJ}\n")


def test_rapl_adds_packages_and_memory_and_leaves_out_what_they_hold_already(tmp_path: Path) -> None:
    folder = powercap(tmp_path, package_0=1_000_000, package_1=0, dram=0, core=0, psys=0)
    (meter,) = find(gpus=NO_GPU, powercap=folder, environment={}).meters
    for zone, joules in enumerate((5, 7, 11, 1000, 1000)):
        turn(folder, zone, (1 if zone == 0 else 0) * 1_000_000 + joules * 1_000_000)
    assert (meter.method, meter.scope) == ("RAPL", "cpu packages and memory")
    reading = meter.read()
    assert reading.joules == pytest.approx(23)
    assert reading.coverage == 1


def test_rapl_counts_on_over_a_wrap(tmp_path: Path) -> None:
    folder = powercap(tmp_path, package_0=RANGE_UJ - 3_000_000)
    (meter,) = find(gpus=NO_GPU, powercap=folder, environment={}).meters
    turn(folder, 0, RANGE_UJ + 4_000_000)
    assert meter.read().joules == pytest.approx(7)


def test_a_gap_in_which_rapl_may_have_wrapped_twice_is_not_covered(tmp_path: Path) -> None:
    folder, clock = powercap(tmp_path, package_0=0), Clock()
    file = folder / "intel-rapl:0" / "energy_uj"
    meter = Counter("RAPL", "cpu packages", [Source(lambda: int(file.read_text()) / 1e6, RANGE_UJ / 1e6)], clock)
    clock.now = 3600
    turn(folder, 0, 5_000_000)
    assert meter.read() == (None, 0.0)
    clock.now = 3610
    turn(folder, 0, 6_000_000)
    assert meter.read() == (pytest.approx(1), 1.0)


def test_rapl_that_only_root_may_read_is_said_and_estimated_instead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = powercap(tmp_path, package_0=0)
    real = Path.read_text

    def read_text(path: Path, *args: str) -> str:
        if path.name == "energy_uj":
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, *args)

    monkeypatch.setattr(Path, "read_text", read_text)
    found = find(gpus=NO_GPU, powercap=folder, environment={})
    assert "root only" in found.methods["RAPL"].text
    assert [meter.scope for meter in found.meters] == ["this process tree"]
    assert found.methods["estimate"].used


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=20), st.integers(1, 10**6), st.integers(0, 10**6))
def test_a_counter_gives_each_joule_once_whenever_it_is_read(steps: list[int], wrap: int, start: int) -> None:
    steps = [step % wrap for step in steps]
    total = start
    clock = Clock()
    meter = Counter("RAPL", "cpu packages", [Source(lambda: float(total % wrap), float(wrap))], clock)
    given_joules = 0.0
    for step in steps:
        total += step
        given_joules += meter.read().joules or 0.0
    assert given_joules == sum(steps)


def test_gpu_counters_are_read_in_joules() -> None:
    device = Device("GPU-a", millijoules=5_000_000, milliwatts=300_000)
    nvml = FakeNvml(device)
    found = find(gpus=visible(nvml, {}), powercap=Path("/nowhere"), environment={})
    gpu, cpu = found.meters
    device.millijoules = 5_002_500
    assert (gpu.method, gpu.scope, gpu.read().joules) == ("NVML counter", "gpu 0", 2.5)
    assert cpu.method == "estimate, 10 W per busy core"


def test_a_failed_reading_is_unknown_and_caught_up_by_the_next() -> None:
    device, clock = Device("GPU-a", millijoules=0), Clock()
    nvml = FakeNvml(device)
    (gpu,) = visible(nvml, {}).gpus
    meter = Counter("NVML counter", "gpu 0", [Source(gpu.energy_joules)], clock)
    clock.now, nvml.broken = 10, True
    assert meter.read() == (None, 0.0)
    clock.now, nvml.broken, device.millijoules = 20, False, 8000
    assert meter.read() == (8.0, 2.0)


def test_a_counter_that_starts_anew_gives_no_negative_joules() -> None:
    device = Device("GPU-a", millijoules=9_000_000)
    (gpu,) = visible(FakeNvml(device), {}).gpus
    meter = Counter("NVML counter", "gpu 0", [Source(gpu.energy_joules)])
    device.millijoules = 1000
    assert meter.read().joules is None
    device.millijoules = 3000
    assert meter.read().joules == 2.0


def test_a_gpu_without_counter_is_sampled() -> None:
    found = find(gpus=visible(FakeNvml(Device("GPU-old", milliwatts=200_000)), {}), powercap=Path("/nowhere"), environment={})
    assert found.meters[0].method == "NVML power"
    for meter in found.meters:
        meter.close()


def test_a_gpu_that_tells_nothing_has_no_meter_and_a_reason() -> None:
    found = find(gpus=visible(FakeNvml(Device("GPU-mute")), {}), powercap=Path("/nowhere"), environment={})
    assert [meter.scope for meter in found.meters] == ["this process tree"]
    assert not found.methods["NVML power"].used


def test_power_is_integrated_by_trapezoids_and_gaps_are_not_covered() -> None:
    clock, power = Clock(), [100.0]
    meter = PowerSamples("NVML power", "gpu 0", lambda: power[0], period_s=1000, clock=clock)
    clock.now, power[0] = 10, 200.0
    assert meter.read() == (1500.0, 1.0)
    clock.now = 10_010  # longer than five periods: the process slept, and nothing is made up
    assert meter.read() == (None, 0.0)
    meter.close()


def test_power_is_sampled_between_readings() -> None:
    samples = []

    def watts() -> float:
        samples.append(time.monotonic())
        return 50.0

    meter = PowerSamples("NVML power", "gpu 0", watts, period_s=0.01)
    deadline = time.monotonic() + 10
    while len(samples) < 5 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(samples) >= 5
    meter.close()
    assert meter.read().joules == pytest.approx(50 * (samples[-1] - samples[0]), rel=0.2)


@pytest.mark.parametrize(
    ("wanted", "scopes"),
    [
        (None, ["gpu 0", "gpu 1", "gpu 2"]),
        ("2,0", ["gpu 2", "gpu 0"]),
        ("GPU-bb", ["gpu 1"]),
        ("GPU-cc22,1", ["gpu 2", "gpu 1"]),
        ("1,-1,2", ["gpu 1"]),
        ("0,7,1", ["gpu 0"]),
        ("", []),
        ("NoDevFiles", []),
        ("MIG-1234", []),
    ],
)
def test_only_the_gpus_that_cuda_may_use_are_measured(wanted: str | None, scopes: list[str]) -> None:
    nvml = FakeNvml(*(Device(uuid, millijoules=0) for uuid in ("GPU-aa11", "GPU-bb11", "GPU-cc22")))
    seen = visible(nvml, {} if wanted is None else {"CUDA_VISIBLE_DEVICES": wanted})
    found = find(gpus=seen, powercap=Path("/nowhere"), environment={})
    assert [meter.scope for meter in found.meters if meter.method == "NVML counter"] == scopes
    assert scopes or "CUDA_VISIBLE_DEVICES" in found.methods["NVML counter"].text


def test_of_several_ranks_on_a_machine_one_measures_its_devices(tmp_path: Path) -> None:
    gpus = visible(FakeNvml(Device("GPU-a", millijoules=0)), {})
    folder = powercap(tmp_path, package_0=0)
    assert [meter.scope for meter in find(gpus=gpus, powercap=folder, environment={"LOCAL_RANK": "0"}).meters] == ["gpu 0", "cpu packages"]
    assert find(gpus=gpus, powercap=folder, environment={"LOCAL_RANK": "1"}).meters == []
    (own,) = find(gpus=gpus, powercap=Path("/nowhere"), environment={"SLURM_LOCALID": "1"}).meters
    assert own.scope == "this process tree"


def test_the_power_of_a_core_can_be_stated_or_turned_off(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = [100.0]
    monkeypatch.setattr(meters.CpuTime, "seconds", lambda self: seconds[0])
    environment = {"LABWRIGHT_WATTS_PER_CORE": "7.5"}
    (meter,) = find(gpus=NO_GPU, powercap=Path("/nowhere"), environment=environment).meters
    seconds[0] = 102.0
    assert (meter.method, meter.read().joules) == ("estimate, 7.5 W per busy core", 15.0)
    assert find(gpus=NO_GPU, powercap=Path("/nowhere"), environment={"LABWRIGHT_WATTS_PER_CORE": "0"}).meters == []
    with pytest.raises(CommandError, match="LABWRIGHT_WATTS_PER_CORE"):
        find(gpus=NO_GPU, powercap=Path("/nowhere"), environment={"LABWRIGHT_WATTS_PER_CORE": "ten"})

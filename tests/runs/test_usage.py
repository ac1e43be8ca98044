"""The sampler's records show that a run lives and what it uses, and stopping it takes no time."""

from __future__ import annotations

import math
import os
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from labwright.runs import usage
from labwright.runs.energy import Energy
from labwright.runs.gpus import visible
from labwright.runs.usage import Sampler
from labwright.testing.nvml import Device, FakeNvml


class Recorder:
    """Keeps records as a journal does."""

    def __init__(self) -> None:
        self.records: list[dict[str, Any]] = []

    def __call__(self, kind: str, **fields: Any) -> None:
        self.records.append({"kind": kind, **fields})

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [record for record in self.records if record["kind"] == kind]


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


def sampler(recorder: Recorder, interval_s: float = 10.0) -> Sampler:
    return Sampler(recorder, Energy(recorder, meters=()), interval_s)


def test_the_first_record_is_there_when_start_returns(recorder: Recorder) -> None:
    watching = sampler(recorder, interval_s=3600)
    watching.start()
    watching.stop()
    (record,) = recorder.of("usage")
    # Other tests may have left a child that waits.
    family = [psutil.Process(), *psutil.Process().children(recursive=True)]
    assert record["memory_bytes"] == pytest.approx(sum(one.memory_info().rss for one in family), rel=0.5)
    assert record["processes"] >= 1
    assert record["cpu_percent"] is None  # no time has passed yet


def test_stopping_does_not_wait_for_the_interval(recorder: Recorder) -> None:
    watching = sampler(recorder, interval_s=3600)
    watching.start()
    began = time.monotonic()
    watching.stop()
    watching.stop()
    assert time.monotonic() - began < 60  # an hour would be the interval


def test_one_busy_core_is_about_a_hundred_percent(recorder: Recorder) -> None:
    watching = sampler(recorder)
    used = time.process_time()
    began = time.monotonic()
    while time.process_time() - used < 0.5:
        math.sqrt(2.0)
    seconds = time.monotonic() - began
    watching.tick()
    assert recorder.of("usage")[0]["cpu_percent"] == pytest.approx(100 * 0.5 / seconds, rel=0.25)


def test_bytes_written_to_disk_are_those_since_the_last_record(recorder: Recorder, tmp_path: Path) -> None:
    watching = sampler(recorder)
    with (tmp_path / "file").open("wb") as stream:
        stream.write(os.urandom(2**20))
        os.fsync(stream.fileno())
    expected = psutil.Process().io_counters().write_bytes
    watching.tick()
    watching.tick()
    first, second = recorder.of("usage")
    if not expected:
        pytest.skip("this file system does not count what is written to it")
    assert first["written_bytes"] >= 2**20
    assert second["written_bytes"] < 2**20


def test_each_gpu_is_sampled(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    nvml = FakeNvml(Device("GPU-a", milliwatts=250_000), Device("GPU-b"))
    monkeypatch.setattr(usage, "visible", lambda: visible(nvml, {}))
    sampler(recorder).tick()
    assert recorder.of("usage")[0]["gpus"] == [
        {"index": 0, "utilisation_percent": 75.0, "memory_bytes": 3 * 2**30, "watts": 250.0},
        {"index": 1, "utilisation_percent": 75.0, "memory_bytes": 3 * 2**30, "watts": None},
    ]


def test_energy_is_flushed_with_each_record(recorder: Recorder) -> None:
    energy = Energy(recorder)
    watching = Sampler(recorder, energy)
    watching.tick()
    energy.close()
    assert recorder.records[0]["kind"] == "usage"
    assert recorder.of("energy")


def test_a_full_disk_does_not_end_the_heartbeat(recorder: Recorder) -> None:
    calls = []

    def record(kind: str, **fields: Any) -> None:
        calls.append(kind)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")

    watching = Sampler(record, Energy(record, meters=()), interval_s=0.01)
    watching.start()
    deadline = time.monotonic() + 20
    while len(calls) < 4 and time.monotonic() < deadline:
        time.sleep(0.01)
    watching.stop()
    assert len(calls) >= 4

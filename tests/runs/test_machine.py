"""The facts about a machine are JSON, true, and cost no heavy import."""

from __future__ import annotations

import importlib.metadata
import json
import os
import socket
import subprocess
import sys

import psutil
import pytest

from labwright.runs import machine
from labwright.runs.gpus import visible
from labwright.testing.nvml import Device, FakeNvml


def test_it_describes_this_machine() -> None:
    facts = machine.describe()
    assert json.loads(json.dumps(facts)) == facts
    assert facts["host"] == socket.gethostname()
    assert facts["cores"] == len(os.sched_getaffinity(0))
    assert facts["memory_bytes"] == psutil.virtual_memory().total
    assert facts["python"] == sys.version.split()[0]
    assert facts["versions"]["zarr"] == importlib.metadata.version("zarr")


def test_gpus_and_driver_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        machine, "visible", lambda: visible(FakeNvml(Device("GPU-a"), Device("GPU-b"), cuda=12080), {"CUDA_VISIBLE_DEVICES": "1"})
    )
    facts = machine.describe()
    assert facts["gpus"] == [{"index": 1, "name": "Fake GPU-b", "memory_bytes": 16 * 2**30}]
    assert facts["driver"] == {"version": "550.54", "cuda": "12.8"}


def test_describing_imports_nothing_heavy() -> None:
    code = "import sys; from labwright.runs.machine import describe; describe(); print({'torch', 'numpy', 'zarr'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "set()"

"""The machine and the software that a run was made with, as JSON facts; imports nothing heavy."""

from __future__ import annotations

import os
import platform
import socket
from importlib import metadata
from typing import Any

import psutil

from labwright.runs.gpus import visible

PACKAGES = (
    "labwright", "torch", "lightning-fabric", "numpy", "scipy", "scikit-image", "scikit-learn", "numba", "zarr", "numcodecs", "pyarrow",
    "polars", "pandas", "tifffile", "imagecodecs", "connected-components-3d", "fastremap", "edt", "safetensors", "monai", "torchvision",
    "pydantic", "nvidia-ml-py", "psutil",
)  # fmt: skip
"""Distributions whose version can change a result or its cost."""


def describe() -> dict[str, Any]:
    """Host, platform, cpu, cores, memory_bytes, gpus, driver, python and versions. ``cores`` are those this process may use."""
    seen = visible()
    gpus = []
    for gpu in seen.gpus:
        memory = gpu.memory()
        gpus.append({"index": gpu.index, "name": gpu.name, "memory_bytes": memory[1] if memory else None})
    return {
        "host": socket.gethostname(),
        "platform": platform.platform(),
        "cpu": cpu_name(),
        "cores": usable_cores(),
        "memory_bytes": psutil.virtual_memory().total,
        "gpus": gpus,
        "driver": {"version": seen.driver, "cuda": ".".join(map(str, seen.cuda))} if seen.cuda else None,
        "python": platform.python_version(),
        "versions": versions(),
    }


def versions() -> dict[str, str]:
    """Version of each of ``PACKAGES`` that is installed."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def usable_cores() -> int:
    """Logical cores that the scheduler lets this process use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cpu_name() -> str:
    """The CPU's model name."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as stream:
            for line in stream:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()

"""A look at a machine: what a step would find there. ``labwright submit --hello`` sends it as a job and shows the answer."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

from labwright.launch.job import Job, Task
from labwright.launch.site import Site
from labwright.runs import machine
from labwright.runs.publish import write_json

FILE = "hello.json"
SCHEDULERS = {
    "slurm": ("SLURM_JOB_ID", ("SLURM_JOB_ID", "SLURM_JOB_NODELIST", "SLURM_JOB_PARTITION", "SLURM_GPUS_ON_NODE", "SLURM_CPUS_PER_TASK")),
    "htcondor": ("_CONDOR_SCRATCH_DIR", ("_CONDOR_SLOT", "_CONDOR_SCRATCH_DIR", "_CONDOR_AssignedGPUs", "_CONDOR_JOB_AD")),
}
"""By scheduler: the variable by which a job knows it, and those that tell something."""


def job(site: Site, folder: Path) -> Job:
    """A job that looks at a machine as a training would get it, and leaves ``hello.json`` in ``folder``.

    Its output, where the file does not come back, is the same JSON.
    """
    queue = site.queue("hello", gpu=True)
    # One look is enough, however many would train together.
    resources = queue.resources.model_copy(update={"minutes": 10, "nodes": None, "shares": None})
    return Job("hello", "hello", (Task(folder, verb="hello"),), resources, queue, site.queue_name("hello", gpu=True), gpu=True)


def read(folder: Path) -> dict[str, Any] | None:
    """The answer that lies in ``folder``, or in what a job printed there; None as long as there is none."""
    for path in (folder / FILE, *sorted((folder / "jobs").glob("*.out"))):
        try:
            text = path.read_text(encoding="utf-8")
            # Setup lines and container engines print something before and after.
            found, _ = json.JSONDecoder().raw_decode(text, text.index("{\n"))
        except (OSError, ValueError):
            continue
        if isinstance(found, dict) and "host" in found:
            return found
    return None


def look(folder: Path | None = None) -> dict[str, Any]:
    """What this machine is to a job; written to ``folder`` too where one is given.

    Returns:
        host, platform, cpu, cores, memory_bytes, available_bytes, gpus, driver, python, versions, executable, folder, user, container,
        scheduler (kind and variables), cuda_visible_devices, disks (place, path, free_bytes, total_bytes, writable).
    """
    facts = machine.describe()
    facts["gpus"] = facts["gpus"] or _smi()
    found = {
        **facts,
        "available_bytes": psutil.virtual_memory().available,
        "executable": sys.executable,
        "folder": os.getcwd(),
        "user": os.environ.get("USER") or str(os.getuid()),
        "container": container(os.environ),
        "scheduler": scheduler(os.environ),
        "cuda_visible_devices": os.environ.get("CUDA_VISIBLE_DEVICES"),
        "disks": [disk(place, Path(path)) for place, path in _places(os.environ).items()],
    }
    if folder is not None:
        write_json(folder / FILE, found, "output")
    return found


def container(environment: Mapping[str, str], root: Path = Path("/")) -> str:
    """The container that this process is in, by its image where that is known; empty where it is in none."""
    for variable in ("APPTAINER_CONTAINER", "SINGULARITY_CONTAINER"):
        if environment.get(variable):
            return environment[variable]
    marks = {".singularity.d": "apptainer", ".dockerenv": "docker", "run/.containerenv": "podman"}
    return next((kind for mark, kind in marks.items() if (root / mark).exists()), "")


def scheduler(environment: Mapping[str, str]) -> dict[str, str] | None:
    """Who started this process as a job, with what it says of the job; None where nobody did."""
    for kind, (sign, variables) in SCHEDULERS.items():
        if sign in environment:
            return {"kind": kind, **{name: environment[name] for name in variables if name in environment}}
    return None


def disk(place: str, path: Path) -> dict[str, Any]:
    """How much room there is at a place; sizes are None where it cannot be seen."""
    try:
        use = shutil.disk_usage(path)
    except OSError:
        return {"place": place, "path": str(path), "free_bytes": None, "total_bytes": None, "writable": False}
    return {"place": place, "path": str(path), "free_bytes": use.free, "total_bytes": use.total, "writable": os.access(path, os.W_OK)}


def _places(environment: Mapping[str, str]) -> dict[str, str]:
    named = {name.lower(): environment[name] for name in ("SCRATCH", "WORK") if environment.get(name)}
    return {"folder": os.getcwd(), "tmp": tempfile.gettempdir(), **named}


def _smi() -> list[dict[str, Any]]:
    """GPUs as ``nvidia-smi`` lists them, for an environment without the package that asks NVML."""
    words = ["nvidia-smi", "--query-gpu=index,name,memory.total", "--format=csv,noheader,nounits"]
    try:
        said = subprocess.run(words, capture_output=True, text=True, timeout=30, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    rows = [[word.strip() for word in line.split(",")] for line in said.splitlines()]
    return [
        {"index": int(row[0]), "name": row[1], "memory_bytes": int(row[2]) * 2**20}
        for row in rows
        if len(row) == 3 and row[0].isdigit() and row[2].isdigit()
    ]

"""A check-up of this machine: facts with a mark and what to do; ``labwright doctor`` prints them.

What can hang or crash (importing torch or torchvision) happens in a process of its own with a time limit.
"""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import re
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any, Literal, NamedTuple

import psutil

from labwright.runs import machine
from labwright.runs.errors import CommandError
from labwright.runs.gpus import Gpu, Visible, visible
from labwright.runs.meters import WATTS_VARIABLE, Found, find

Mark = Literal["ok", "note", "warn", "bad"]
GIB = 2**30
_TORCH_PROBE = (
    "import json, torch; print(json.dumps({'version': torch.__version__, 'cuda': torch.version.cuda, 'hip': torch.version.hip,"
    " 'available': torch.cuda.is_available()}))"
)
_IMPORT_TIMEOUT_S = 120.0
_OPTIONAL_FOR_USERS = re.compile(r"test|dev")


class Fact(NamedTuple):
    """One line: what was looked at, how it is, and what to do where it is not well."""

    topic: str
    mark: Mark
    text: str
    todo: str = ""


def checkup(folder: Path) -> Iterator[Fact]:
    """All facts about this machine, for runs that are kept in or below ``folder``; a quick one first."""
    yield Fact("python", "ok", f"{platform.python_version()} at {sys.executable}")
    yield Fact("cpu", "ok", f"{machine.usable_cores()} usable cores ({machine.cpu_name()}), {_gib(psutil.virtual_memory().total)} memory")
    seen = visible()
    yield from devices(seen)
    yield writable(folder)
    yield disk(folder)
    yield from shared_memory(Path("/dev/shm"))
    yield open_files(*resource.getrlimit(resource.RLIMIT_NOFILE))
    try:
        found = find(gpus=seen)
    except CommandError as error:
        yield Fact("energy", "bad", f"{error.where}: {error.what}", error.todo)
    else:
        yield from meters(found)
        for meter in found.meters:
            meter.close()
    yield from extras(metadata.requires("labwright") or ())
    yield torch(seen)
    yield torchvision()


def devices(seen: Visible) -> Iterator[Fact]:
    """Each GPU with its memory and who computes on it."""
    if not seen.gpus:
        yield Fact("gpu", "ok", f"none: {seen.reason}")
    for gpu in seen.gpus:
        users, others = _users(gpu)
        memory = gpu.memory()
        text = f"{gpu.name}, {_gib(memory[0])} of {_gib(memory[1])} in use" if memory else gpu.name
        text += f"; computing on it: {', '.join(users)}" if users else "; nobody computes on it"
        todo = "Wait, or choose another device with CUDA_VISIBLE_DEVICES: sharing one slows both and mixes their joules." if others else ""
        yield Fact(f"gpu {gpu.index}", "warn" if others else "ok", text, todo)


def torch(seen: Visible) -> Fact:
    """Whether torch imports, and whether its CUDA build suits the driver."""
    if importlib.util.find_spec("torch") is None:
        return Fact("torch", "bad", "not installed", "pip install 'labwright[cells]'")
    answer, error = probe(_TORCH_PROBE)
    return judge_torch(json.loads(answer), seen) if answer else Fact("torch", "bad", f"cannot be imported: {error}", "Reinstall torch.")


def judge_torch(build: dict[str, Any], seen: Visible) -> Fact:
    """The verdict on a torch that imports: ``build`` holds version, cuda, hip and available."""
    version, cuda = build["version"], build["cuda"]
    runs = ".".join(map(str, seen.cuda)) if seen.cuda else ""
    if build["available"]:
        target = f"CUDA {cuda}" if cuda else f"ROCm {build['hip']}"
        against = f", driver {seen.driver} runs up to CUDA {runs}" if runs else ""
        return Fact("torch", "ok", f"{version}, built for {target}, sees the GPU{against}")
    if not seen.gpus:
        return Fact("torch", "ok", f"{version}, works on the CPU: {seen.reason}")
    if cuda is None:
        todo = f"Install a build for CUDA {runs} or older: https://pytorch.org/get-started/locally"
        return Fact("torch", "warn", f"{version} is a build for the CPU, beside {len(seen.gpus)} NVIDIA GPU(s)", todo)
    if seen.cuda and int(cuda.split(".")[0]) > seen.cuda[0]:
        todo = f"Update the driver, or install a torch build for CUDA {runs} or older."
        return Fact("torch", "bad", f"{version} is built for CUDA {cuda}, and driver {seen.driver} runs up to CUDA {runs}", todo)
    todo = "Look at `nvidia-smi`; in a container, start it with GPU access; after a driver update, restart the machine."
    return Fact("torch", "bad", f"{version} (CUDA {cuda}) sees no GPU though the driver {seen.driver} shows {len(seen.gpus)}", todo)


def torchvision() -> Fact:
    """A torchvision that is installed and cannot be imported takes Lightning down with it."""
    if importlib.util.find_spec("torchvision") is None:
        return Fact("torchvision", "ok", "not installed, and not needed")
    answer, error = probe("import torchvision; print(torchvision.__version__)")
    if answer:
        return Fact("torchvision", "ok", answer)
    todo = "pip uninstall torchvision (or install the release that belongs to your torch)"
    return Fact("torchvision", "bad", f"cannot be imported, which makes imports of Lightning and torchmetrics fail too: {error}", todo)


def probe(code: str, timeout_s: float = _IMPORT_TIMEOUT_S) -> tuple[str, str]:
    """Last line that ``code`` prints in a fresh interpreter, or an empty one and the last line of its error."""
    try:
        # -P: a file torch.py in the current folder is not taken for torch.
        result = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, timeout=timeout_s, check=False)
    except subprocess.TimeoutExpired:
        return "", f"no answer within {timeout_s:g} s"
    if result.returncode == 0 and result.stdout.strip():
        return result.stdout.strip().splitlines()[-1], ""
    return "", (result.stderr.strip().splitlines() or [f"the interpreter left with code {result.returncode}"])[-1]


def writable(folder: Path) -> Fact:
    """Whether runs can be written in ``folder``."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        return Fact(
            "folder",
            "bad",
            f"{folder} cannot be written: {error.strerror}",
            "Change to another folder, or put runs elsewhere with --runs DIR.",
        )
    return Fact("folder", "ok", f"{folder} can be written")


def disk(folder: Path) -> Fact:
    """Free space where the runs go."""
    free = shutil.disk_usage(folder).free
    mark: Mark = "ok" if free >= 10 * GIB else "warn" if free >= GIB else "bad"
    todo = "" if mark == "ok" else "Free some space, or put runs elsewhere with --runs DIR; `labwright clean` lists superseded runs."
    return Fact("disk", mark, f"{_gib(free)} free in {folder}", todo)


def shared_memory(folder: Path) -> Iterator[Fact]:
    """Size of the memory file system through which processes share arrays; nothing where a system has none."""
    if folder.is_dir():
        total = shutil.disk_usage(folder).total
        todo = "" if total >= GIB else "Several GPU processes need more: start the container with --shm-size=8g or --ipc=host."
        yield Fact(str(folder), "warn" if todo else "ok", f"{_gib(total)}", todo)


def open_files(soft: int, hard: int) -> Fact:
    """How many files a process may hold open: every shard of a pack that is mapped is one."""
    if soft == resource.RLIM_INFINITY or soft >= 1024:
        return Fact("open files", "ok", "no limit" if soft == resource.RLIM_INFINITY else f"{soft} at once")
    highest = "unlimited" if hard == resource.RLIM_INFINITY else str(hard)
    return Fact("open files", "warn", f"only {soft} at once", f"ulimit -n {highest}")


def meters(found: Found) -> Iterator[Fact]:
    """Each way to measure energy: what it measures, or why it is not used."""
    for method, verdict in found.methods.items():
        if not verdict.used:
            yield Fact("energy", "note", f"{method} not used: {verdict.text}")
        elif method == "estimate":
            todo = f"State the power of your CPU's cores with {WATTS_VARIABLE} (rated watts / cores); only RAPL would measure it."
            yield Fact("energy", "warn", f"estimate for the CPU, not a measurement: {verdict.text}", todo)
        else:
            yield Fact("energy", "ok", f"{method} measures {verdict.text}")
    if not found.meters:
        yield Fact("energy", "warn", "joules will be shown as not measured")


def extras(requirements: Iterable[str]) -> Iterator[Fact]:
    """Optional groups of dependencies: those that are complete in one line, each other with what it lacks."""
    groups: dict[str, list[str]] = {}
    for requirement in requirements:
        extra = re.search(r"extra\s*==\s*['\"]([\w.-]+)", requirement)
        name = re.match(r"[\w.-]+", requirement)
        if extra and name and name[0] != "labwright" and not _OPTIONAL_FOR_USERS.fullmatch(extra[1]):
            lacking = groups.setdefault(extra[1], [])
            if not _installed(name[0]):
                lacking.append(name[0])
    complete = [group for group, lacking in groups.items() if not lacking]
    if complete:
        yield Fact("extras", "ok", f"{', '.join(complete)} installed")
    for group, lacking in groups.items():
        if lacking:
            yield Fact("extras", "warn", f"{group} lacks {', '.join(lacking)}", f"pip install 'labwright[{group}]'")


def _installed(distribution: str) -> bool:
    try:
        metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return False
    return True


def _users(gpu: Gpu) -> tuple[list[str], bool]:
    """Who computes on the device, and whether somebody else is among them."""
    described, others = [], False
    for pid in gpu.users():
        try:
            process = psutil.Process(pid)
            described.append(f"{process.name()} (pid {pid}, {process.username()})")
            others = others or process.uids().real != os.getuid()
        except psutil.Error:
            described.append(f"pid {pid}, not visible from here")
            others = True
    return described, others


def _gib(size: float) -> str:
    return f"{size / GIB:.1f} GiB"

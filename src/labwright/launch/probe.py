"""What a login node tells of its cluster. Tools that are missing or give no answer are told of, and nothing is made up in their place."""

from __future__ import annotations

import getpass
import math
import os
import re
import shutil
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple, TypeVar

from labwright.launch.launcher import call
from labwright.runs.errors import LabwrightError
from labwright.runs.gpus import visible

T = TypeVar("T")

SCRATCH_VARIABLES = ("SCRATCH", "WORK")
SCRATCH_FOLDERS = ("/scratch/$USER", "/mnt/scratch/$USER", "$HOME/nobackup")
_SETTINGS = ("AcctGatherEnergyType", "PreemptType", "PreemptMode", "MaxArraySize", "KillWait")
_MACHINE = ("Machine", "TotalCpus", "TotalMemory", "TotalGpus", "HasDocker", "HasSingularity", "FileSystemDomain")


class Partition(NamedTuple):
    """One Slurm partition; of nodes that differ the most that one of them has."""

    name: str
    is_default: bool
    is_up: bool
    minutes: int | None
    """None: no limit."""
    cpus: int
    memory_gb: float
    gpus: int
    """Of one node."""
    nodes: int


class Pool(NamedTuple):
    """An HTCondor pool as its machines advertise themselves."""

    machines: int
    with_gpu: int
    with_docker: int
    with_apptainer: int
    sharing_files: int
    """Machines that name the same file system domain as this one."""
    most_cpus: int
    most_memory_gb: float


@dataclass
class Probed:
    """All that was found. What is empty was not found, and ``silent`` says why where a tool gave no answer."""

    kind: Literal["local", "slurm", "htcondor"]
    host: str
    partitions: tuple[Partition, ...] = ()
    accounts: tuple[str, ...] = ()
    default_account: str = ""
    qos: tuple[str, ...] = ()
    reservations: tuple[str, ...] = ()
    """A line each: name, partition, times, for whom."""
    settings: dict[str, str] = field(default_factory=dict)
    """Of Slurm: those of ``_SETTINGS`` that are set."""
    pool: Pool | None = None
    containers: tuple[str, ...] = ()
    """Engines on PATH: apptainer, singularity, docker."""
    scratch: tuple[str, ...] = ()
    """Folders that are no home and can be written here, by a variable where one names them."""
    modules: bool = False
    """Whether there is a module system."""
    gpus: tuple[str, ...] = ()
    """Of this machine, where it has no scheduler."""
    silent: tuple[str, ...] = ()


def probe(environment: Mapping[str, str] = os.environ) -> Probed:
    """Ask the tools of this machine."""
    kind: Literal["local", "slurm", "htcondor"] = (
        "slurm" if shutil.which("sinfo") else "htcondor" if shutil.which("condor_status") else "local"
    )
    found = Probed(
        kind,
        socket.gethostname(),
        containers=tuple(name for name in ("apptainer", "singularity", "docker") if shutil.which(name)),
        scratch=tuple(_scratch(environment)),
        modules=any(name in environment for name in ("MODULESHOME", "LMOD_CMD", "MODULEPATH")),
    )
    if kind == "slurm":
        _ask_slurm(found)
    elif kind == "htcondor":
        found.pool = _ask(found, lambda: pool_of(_status(), call("condor_config_val", "FILESYSTEM_DOMAIN").strip()))
    else:
        found.gpus = tuple(gpu.name for gpu in visible().gpus)
    return found


def partitions_of(said: str) -> tuple[Partition, ...]:
    """Partitions from ``sinfo --noheader --format=%P|%a|%l|%c|%m|%G|%D``, in its order."""
    found: dict[str, Partition] = {}
    for line in said.splitlines():
        words = line.strip().split("|")
        if len(words) != 7:
            continue
        name = words[0].removesuffix("*")
        row = Partition(
            name,
            words[0].endswith("*"),
            words[1] == "up",
            minutes_of(words[2]),
            _number(words[3]),
            _gigabytes(words[4]),
            gpus_of(words[5]),
            _number(words[6]),
        )
        if name in found:
            other = found[name]
            row = row._replace(
                cpus=max(row.cpus, other.cpus),
                memory_gb=max(row.memory_gb, other.memory_gb),
                gpus=max(row.gpus, other.gpus),
                nodes=row.nodes + other.nodes,
            )
        found[name] = row
    return tuple(found.values())


def minutes_of(limit: str) -> int | None:
    """A time limit of Slurm (``2-00:00:00``, ``30:00``, ``infinite``) in whole minutes; None for no limit."""
    match = re.fullmatch(r"(?:(\d+)-)?(\d+(?::\d+){0,2})", limit.strip())
    if not match:
        return None
    parts = [int(part) for part in match[2].split(":")]
    if match[1] is not None:
        hours, minutes = [*parts, 0][:2]
        return int(match[1]) * 1440 + hours * 60 + minutes
    return parts[0] * 60 + parts[1] if len(parts) == 3 else parts[0]


def gpus_of(gres: str) -> int:
    """GPUs of a node from its generic resources, such as ``gpu:a100:4(S:0-1),shard:8``."""
    return sum(int(count) for count in re.findall(r"(?:^|,)gpu(?::[^:,()]+)?:(\d+)", gres))


def pool_of(said: str, domain: str) -> Pool:
    """A pool from what each machine says of :data:`_MACHINE`, tab-separated; a machine of several slots counts once."""
    machines = {words[0]: words for line in said.splitlines() if len(words := line.split("\t")) == len(_MACHINE)}
    rows = list(machines.values())
    return Pool(
        machines=len(rows),
        with_gpu=sum(_number(row[3]) > 0 for row in rows),
        with_docker=sum(row[4] == "true" for row in rows),
        with_apptainer=sum(row[5] == "true" for row in rows),
        sharing_files=sum(row[6] == domain for row in rows),
        most_cpus=max((_number(row[1]) for row in rows), default=0),
        most_memory_gb=max((_gigabytes(row[2]) for row in rows), default=0.0),
    )


def _ask_slurm(found: Probed) -> None:
    user = getpass.getuser()
    found.partitions = partitions_of(_ask(found, lambda: call("sinfo", "--noheader", "--format=%P|%a|%l|%c|%m|%G|%D")) or "")
    rows = _table(found, "sacctmgr", "association", "where", f"user={user}", "format=Account,QOS")
    found.accounts = tuple(dict.fromkeys(row[0] for row in rows if row[0]))
    found.qos = tuple(dict.fromkeys(name for row in rows for name in row[1].split(",") if name))
    users = _table(found, "sacctmgr", "user", "where", f"user={user}", "format=User,DefaultAccount")
    found.default_account = next((row[1] for row in users), "")
    settings = _ask(found, lambda: call("scontrol", "show", "config")) or ""
    pairs = dict(re.findall(r"^(\w+)[ \t]*=[ \t]*(.*?)[ \t]*$", settings, re.MULTILINE))
    found.settings = {name: pairs[name] for name in _SETTINGS if name in pairs}
    reservations = _ask(found, lambda: call("scontrol", "--oneliner", "show", "reservation")) or ""
    found.reservations = tuple(filter(None, map(_reservation, reservations.splitlines())))


def _reservation(line: str) -> str:
    told = dict(word.split("=", 1) for word in line.split() if "=" in word)
    shown = {"PartitionName": "partition", "StartTime": "from", "EndTime": "to", "Users": "users", "Accounts": "accounts"}
    words = [f"{name} {told[key]}" for key, name in shown.items() if told.get(key, "(null)") != "(null)"]
    return f"{told['ReservationName']}: {', '.join(words)}" if "ReservationName" in told else ""


def _table(found: Probed, tool: str, *words: str) -> list[list[str]]:
    said = _ask(found, lambda: call(tool, "--noheader", "--parsable2", "show", *words)) or ""
    width = words[-1].count(",") + 1
    return [row for line in said.splitlines() if len(row := line.split("|")) == width]


def _status() -> str:
    # One slot of each machine tells of the whole machine.
    return call("condor_status", "-af:t", *_MACHINE)


def _ask(found: Probed, question: Callable[[], T]) -> T | None:
    try:
        return question()
    except LabwrightError as error:
        found.silent = (*found.silent, error.where.split(" ", 1)[0] + f": {error.what}")
        return None


def _scratch(environment: Mapping[str, str]) -> Sequence[str]:
    here = {"USER": getpass.getuser(), "HOME": str(Path.home()), **environment}
    named = [f"${name}" for name in SCRATCH_VARIABLES if environment.get(name)]
    found: dict[str, str] = {}
    for text in (*named, *SCRATCH_FOLDERS):
        folder = re.sub(r"\$(\w+)", lambda match: here.get(match[1], ""), text)
        if os.path.isdir(folder) and os.access(folder, os.W_OK):
            found.setdefault(os.path.realpath(folder), text)
    return list(found.values())


def _gigabytes(mebibytes: str) -> float:
    """Rounded down: who asks for so much must get it."""
    return math.floor(_number(mebibytes) * 2**20 / 1e8) / 10


def _number(text: str) -> int:
    # Slurm writes 8000+ where nodes of a partition differ.
    match = re.match(r"\d+", text)
    return int(match[0]) if match else 0

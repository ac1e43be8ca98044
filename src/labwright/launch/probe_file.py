"""What a probe found → a site file, with the facts beside it as comments and ``unknown`` where only a person can choose."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from labwright.launch.probe import Partition, Probed
from labwright.launch.site import UNKNOWN

_CPU = {"cpus": 4, "memory_gb": 16.0, "minutes": 240}
_GPU = {"cpus": 8, "memory_gb": 32.0, "gpus": 1, "minutes": 480}
"""What a step asks for as in the generic sites, cut down to what a node of the partition has."""


def text(found: Probed) -> str:
    """A site file that can be loaded as it is; jobs that need a value marked ``unknown`` are refused until somebody writes it."""
    return "\n".join([*_head(found), f"kind: {found.kind}", f"about: Probed on {found.host}", *_body(found), *_around(found)]) + "\n"


def _head(found: Probed) -> Iterator[str]:
    yield f"# Written by `labwright site probe` on {found.host}. Look it over: {UNKNOWN} marks what only you can choose."
    for line in found.silent:
        yield f"# No answer from {line}"


def _body(found: Probed) -> Iterator[str]:
    if found.kind == "slurm":
        yield from _slurm(found)
    elif found.kind == "htcondor":
        yield from _htcondor(found)
    else:
        yield f"# GPUs here: {', '.join(found.gpus) or 'none that NVML shows'}. `gpus: [1, 3]` keeps to some of them."
        yield "slots: 1"


def _slurm(found: Probed) -> Iterator[str]:
    yield "# Partitions:"
    yield from (f"#   {_told(one)}" for one in found.partitions)
    if found.accounts:
        yield f"# Accounts: {', '.join(found.accounts)}" + (f"; by default {found.default_account}" if found.default_account else "")
    if found.qos:
        yield f"# Quality of service (`qos:` in a queue): {', '.join(found.qos)}"
    if found.reservations:
        yield "# Reservations (`reservation:` in a queue):"
        yield from (f"#   {line}" for line in found.reservations)
    energy = found.settings.get("AcctGatherEnergyType", "").rpartition("/")[2]
    if energy not in ("", "none", "(null)"):
        yield f"# Joules are counted ({energy}), by node: `exclusive: true` in a queue makes them a job's own."
    elif energy:
        yield "# Slurm counts no joules here."
    if found.settings.get("PreemptType", "").rpartition("/")[2] not in ("", "none"):
        yield f"# Jobs may be pre-empted (PreemptMode={found.settings.get('PreemptMode', UNKNOWN)}); they go on where they were saved."
    if (size := found.settings.get("MaxArraySize", "")).isdigit():
        yield f"# An array may have up to {int(size) - 1} tasks (MaxArraySize)."
    yield "queues:"
    yield from _queue("cpu", [one for one in found.partitions if one.is_up and not one.gpus], found, _CPU)
    if gpu := [one for one in found.partitions if one.is_up and one.gpus]:
        yield from _queue("gpu", gpu, found, _GPU)


def _queue(kind: str, fitting: list[Partition], found: Probed, asked: dict[str, float]) -> Iterator[str]:
    default = next((one for one in found.partitions if one.is_default), None)
    if default is not None and (default in fitting or not fitting):
        chosen: Partition | None = default
    else:
        chosen = fitting[0] if len(fitting) == 1 else None
    yield f"  {kind}:"
    if chosen is not None:
        yield f"    partition: {_scalar(chosen.name)}"
    else:
        choice = f"one of {', '.join(one.name for one in fitting)}" if fitting else "no partition was told of"
        yield f"    partition: {UNKNOWN}  # {choice}"
    if len(found.accounts) == 1 or found.default_account:
        yield f"    account: {_scalar(found.default_account or found.accounts[0])}"
    elif found.accounts:
        yield f"    account: {UNKNOWN}  # one of {', '.join(found.accounts)}"
    words = {name: _within(name, value, chosen) for name, value in asked.items()}
    yield f"    resources: {{{', '.join(f'{name}: {value:g}' for name, value in words.items())}}}"


def _within(name: str, value: float, partition: Partition | None) -> float:
    most = {} if partition is None else {"cpus": partition.cpus, "memory_gb": partition.memory_gb, "minutes": partition.minutes}
    return min(value, most.get(name) or value)


def _told(one: Partition) -> str:
    marks = ", the default" * one.is_default + ("" if one.is_up else ", not up")
    limit = "no time limit" if one.minutes is None else f"up to {one.minutes} min"
    gpus = f", {one.gpus} {'GPU' if one.gpus == 1 else 'GPUs'}" if one.gpus else ""
    nodes = f"{one.nodes} {'node' if one.nodes == 1 else 'nodes'}"
    return f"{one.name}{marks}: {nodes} of {one.cpus} CPUs, {one.memory_gb:g} GB{gpus}; {limit}"


def _htcondor(found: Probed) -> Iterator[str]:
    pool = found.pool
    if pool is not None:
        yield f"# {pool.machines} machines; {pool.with_gpu} with GPUs, {pool.with_docker} run Docker, {pool.with_apptainer} Apptainer;"
        yield f"# {pool.sharing_files} share files with this one. The largest has {pool.most_cpus} CPUs and {pool.most_memory_gb:g} GB."
    shared = pool is not None and pool.machines > 0 and pool.sharing_files == pool.machines
    yield f"shared_files: {json.dumps(shared)}"
    if not shared:
        engine = "apptainer" if pool is not None and pool.with_apptainer > pool.with_docker else "docker"
        yield f"container: {{kind: {engine}, image: {UNKNOWN}}}  # an image with Labwright in it, by digest"
    yield "queues:"
    for kind, asked in {"cpu": _CPU, "gpu": _GPU}.items():
        if kind == "cpu" or pool is None or pool.with_gpu:
            yield f"  {kind}:"
            yield "    # account: the accounting group, if the pool asks for one"
            words = {name: value for name, value in {**asked, "scratch_gb": 20}.items() if name != "minutes"}
            yield f"    resources: {{{', '.join(f'{name}: {value:g}' for name, value in words.items())}}}"


def _around(found: Probed) -> Iterator[str]:
    if found.scratch:
        others = f"  # or {', '.join(found.scratch[1:])}" if found.scratch[1:] else ""
        yield f"scratch: {_scalar(found.scratch[0])}{others}"
    else:
        yield '# scratch: "/scratch/$USER"    no scratch folder was found that can be written; a container needs one'
    if found.containers and found.kind != "htcondor":
        engine = "docker" if found.containers == ("docker",) else "apptainer"
        yield f'# container: {{kind: {engine}, image: "docker://NAME@sha256:…", gpu: true}}    here: {", ".join(found.containers)}'
    if found.modules:
        yield '# setup: ["module load …"]    there is a module system'


def _scalar(value: str) -> str:
    """A text as YAML, quoted where it could be read as something else."""
    plain = re.fullmatch(r"[A-Za-z][\w-]*", value) and value.lower() not in ("null", "true", "false")
    return value if plain else json.dumps(value, ensure_ascii=False)

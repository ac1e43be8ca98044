"""Slots of this machine: how many jobs without a GPU run at a time, and which GPU belongs to which job.

A slot is a lock that the kernel keeps (``flock``) and that the job script inherits: it is free again when the last process of the
job has ended, however it ended, and whatever became of the queue that took it. The lock of a GPU lies on its device file, which all
users of the machine share; those of jobs without a GPU lie in the user's state folder.
"""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import psutil

from labwright.runs.errors import CommandError, MissingError
from labwright.runs.gpus import Gpu, Visible, visible
from labwright.runs.publish import disk_said
from labwright.study.messages import listed

DEVICE = "/dev/nvidia"
"""What the device files of GPUs are called, less their numbers."""
SCHEDULERS = {"SLURM_JOB_ID": "Slurm", "_CONDOR_SLOT": "HTCondor", "_CONDOR_SCRATCH_DIR": "HTCondor"}
"""Variables by which a process knows that a scheduler started it."""


class Slot(NamedTuple):
    """What a job holds while it runs."""

    descriptors: tuple[int, ...]
    """Of the locks; the job script has to inherit them."""
    gpus: tuple[str, ...] = ()
    """As CUDA_VISIBLE_DEVICES takes them."""

    def let_go(self) -> None:
        """Close the locks here; those that a job script inherited go on."""
        for descriptor in self.descriptors:
            os.close(descriptor)


class Device(NamedTuple):
    """One GPU that may be taken."""

    word: str
    """As CUDA_VISIBLE_DEVICES takes it."""
    gpu: Gpu | None
    """None where NVML does not tell."""

    @property
    def name(self) -> str:
        return f"GPU {self.gpu.index if self.gpu else self.word}"


class Supply(NamedTuple):
    """The GPUs that jobs may take here."""

    devices: tuple[Device, ...]
    reason: str = ""
    """Why there are none."""
    given: str | None = None
    """CUDA_VISIBLE_DEVICES as whoever started this has set it; nothing beyond it is ever taken."""


def supply(by_hand: Sequence[int] = (), environment: Mapping[str, str] = os.environ) -> Supply:
    """The GPUs that jobs may take: those of CUDA_VISIBLE_DEVICES where it is set, else all; of these the ones named by hand.

    Args:
        by_hand: numbers as ``nvidia-smi`` prints them.
        environment: of whoever asks.

    Raises:
        CommandError: a number names no GPU that may be taken.
    """
    seen = visible(environment=environment)
    granted = environment.get("CUDA_VISIBLE_DEVICES")
    scheduler = next((name for variable, name in SCHEDULERS.items() if variable in environment), "")
    if granted is not None:
        found = Supply(tuple(_granted(granted, seen)), f"CUDA_VISIBLE_DEVICES={granted!r} names no GPU", granted)
    elif scheduler and not by_hand:
        found = Supply((), f"{scheduler} gave this job no GPU")
    else:
        found = Supply(tuple(Device(gpu.uuid, gpu) for gpu in seen.gpus), seen.reason)
    if not by_hand:
        return found
    if not found.devices and found.given is None:
        # Without NVML nothing is known of a GPU but the number that was given.
        found = Supply(tuple(Device(str(number), None) for number in by_hand if os.path.exists(f"{DEVICE}{number}")), found.reason)
    return found._replace(devices=tuple(_numbered(found, number) for number in by_hand))


def _granted(words: str, seen: Visible) -> Iterator[Device]:
    """What was granted, each GPU by the word that was used for it."""
    granted = _listed(words)
    if seen.gpus:
        # CUDA ignores what follows a wrong word.
        yield from map(Device, granted, seen.gpus)
        return
    # Slices of a GPU, and GPUs where no NVML is, cannot be looked at.
    yield from (Device(word, None) for word in granted if word.startswith("MIG-") or (not seen.driver and word != "NoDevFiles"))


def _numbered(found: Supply, number: int) -> Device:
    for device in found.devices:
        if (str(device.gpu.index) if device.gpu else device.word) == str(number):
            return device
    there = listed([device.name for device in found.devices]) or f"none: {found.reason}"
    raise CommandError(f"there is no GPU {number} to take", where="--gpu", todo=f"There are {there}.")


def refuse_busy(found: Supply) -> None:
    """Refuse GPUs that were named by hand and that somebody uses.

    Raises:
        MissingError: with the process and its owner.
    """
    for device in found.devices:
        if users := used_by(device):
            raise MissingError(
                f"{device.name} is used by {users}", where="--gpu", todo="Name another one, or none: then jobs wait for one that is free."
            )


def used_by(device: Device) -> str:
    """The processes that compute on a GPU, with their owners, in words; empty where there are none or none can be seen."""
    return listed([f"process {pid} of {_owner(pid)}" for pid in (device.gpu.users() if device.gpu else ())])


def take_gpus(found: Supply, count: int) -> Slot | str:
    """``count`` GPUs that nobody uses and no other queue has taken; else why not, in words."""
    taken: list[tuple[int, str]] = []
    reasons = []
    for one in found.devices:
        if len(taken) == count:
            break
        descriptor = _lock_gpu(one)
        if descriptor is None:
            reasons.append(f"{one.name} is taken by another job")
        elif users := used_by(one):
            # Only who holds the lock looks: a job that is just starting cannot be overlooked.
            os.close(descriptor)
            reasons.append(f"{one.name} is used by {users}")
        else:
            taken.append((descriptor, one.word))
    slot = Slot(tuple(descriptor for descriptor, _ in taken), tuple(word for _, word in taken))
    if len(taken) == count:
        return slot
    slot.let_go()
    return "; ".join(reasons) or found.reason


def take_cpu(count: int) -> Slot | str:
    """One of ``count`` slots for jobs without a GPU, shared by all queues of this user on this machine; else why not."""
    for number in range(count):
        if (descriptor := _lock(_state() / f"slot-{number}", os.O_RDWR | os.O_CREAT)) is not None:
            return Slot((descriptor,))
    return f"{'the slot' if count == 1 else f'all {count} slots'} of this machine {'is' if count == 1 else 'are'} taken"


def visible_to(slot: Slot, found: Supply) -> dict[str, str]:
    """What a job that holds ``slot`` has to be told. What was given is narrowed where less of it is used, and never changed else."""
    if found.given is not None and (not slot.gpus or sorted(slot.gpus) == sorted(_listed(found.given))):
        return {}
    if not slot.gpus and not found.devices:
        return {}
    return {"CUDA_VISIBLE_DEVICES": ",".join(slot.gpus)}


def _listed(words: str) -> list[str]:
    return [word.strip() for word in words.split(",") if word.strip()]


def _lock_gpu(one: Device) -> int | None:
    number = (one.gpu.minor if one.gpu else None) if one.gpu or not one.word.isdigit() else int(one.word)
    path = Path(f"{DEVICE}{number}")
    if number is None or not path.exists():
        return _lock(_state() / f"gpu-{one.word.replace('/', '-')}", os.O_RDWR | os.O_CREAT)
    return _lock(path, os.O_RDONLY)


def _lock(path: Path, flags: int) -> int | None:
    """A descriptor that holds the lock; None where another process holds it."""
    with disk_said(path):
        if flags & os.O_CREAT:
            path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, flags | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        return descriptor


def _state() -> Path:
    """Where this user's locks of this machine lie; a home may be shared by many machines."""
    home = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(home) / "labwright" / "slots" / socket.gethostname()


def _owner(pid: int) -> str:
    try:
        return psutil.Process(pid).username()
    except (psutil.Error, KeyError):
        return "somebody who cannot be seen from here"

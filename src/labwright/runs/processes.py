"""This process and its descendants: who they are, and what they have used.

The tree is walked through ``/proc/PID/task/*/children``, so that the cost follows the size of the tree
and not that of the machine; where the kernel has no such file, psutil reads all processes.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import psutil

_LISTED = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").exists()


class Use(NamedTuple):
    """What one process holds, and has read from and written to disk so far."""

    pid: int
    memory_bytes: int
    """Resident."""
    read_bytes: int
    written_bytes: int


def tree() -> list[int]:
    """Process ids of this process and its living descendants, this one first."""
    if not _LISTED:
        return [os.getpid(), *(child.pid for child in psutil.Process().children(recursive=True))]
    pids = [os.getpid()]
    for pid in pids:
        pids += _children(pid)  # the list grows while it is walked
    return pids


def uses(pids: Iterable[int]) -> list[Use]:
    """The use of each of these processes; one that has ended is left out."""
    found = []
    for pid in pids:
        try:
            process = psutil.Process(pid)
            disk = process.io_counters() if hasattr(process, "io_counters") else None
            found.append(Use(pid, process.memory_info().rss, disk.read_bytes if disk else 0, disk.write_bytes if disk else 0))
        except psutil.Error:
            continue
    return found


class CpuTime:
    """CPU seconds that the tree has used so far, ended children included; never goes back.

    A child that ends between two reads of ``/proc`` is missing from the sum until its parent's count
    holds it; taking the highest sum so far keeps its time from being counted twice.
    """

    def __init__(self) -> None:
        self._highest = 0.0

    def seconds(self, pids: Iterable[int] | None = None) -> float:
        """CPU seconds so far; ``pids`` spares the walk to a caller who has the tree already."""
        now = 0.0
        for pid in tree() if pids is None else pids:
            try:
                times = psutil.Process(pid).cpu_times()
            except psutil.Error:
                continue
            # What waited-for children used is not counted by every system.
            now += times.user + times.system + getattr(times, "children_user", 0.0) + getattr(times, "children_system", 0.0)
        self._highest = max(self._highest, now)
        return self._highest


def _children(pid: int) -> list[int]:
    children = []
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/children", encoding="ascii") as stream:
                children += [int(word) for word in stream.read().split()]
    except OSError:  # the process or one of its threads has just ended
        pass
    return children

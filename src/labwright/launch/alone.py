"""One process at a time submits to a folder of runs: what is free when it looks is still free when it has queued it."""

from __future__ import annotations

import fcntl
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from labwright.parts.claims import Busy
from labwright.runs.publish import disk_said

LOCK = ".lock"
WITHIN_S = 120.0
"""How long another process is waited for; queueing takes seconds, and a process that dies leaves no lock."""
_LOOK_S = 0.1


@contextmanager
def alone(runs: Path) -> Iterator[None]:
    """Keep others from submitting to the folder ``runs`` for the time of the block; where the file system has no locks, go on.

    Raises:
        Busy: another process has been submitting to it for too long.
    """
    path = runs / "jobs" / LOCK
    with disk_said(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        _take(descriptor, path)
        yield
    finally:
        os.close(descriptor)


def _take(descriptor: int, path: Path) -> None:
    told, until = False, time.monotonic() + WITHIN_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > until:
                raise Busy("another process is submitting jobs for this folder of runs", where=str(path), todo="Try again later.") from None
        except OSError:
            return
        if not told:
            sys.stderr.write("labwright: waiting for another process that submits jobs for this folder of runs\n")
            told = True
        time.sleep(_LOOK_S)

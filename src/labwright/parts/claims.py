"""Claims: one process owns a share of a run; a second claimant is refused.

On one host by ``fcntl.lockf`` on byte ranges of one file, which the kernel releases when the owner dies, however
it dies. Across hosts, and on file systems without locks, by heartbeat: a fresh journal of the same share refuses the claim.
Shares of different counts overlap in ways that are hard to see, so only one count is at work at a time.

Worker processes of an owner that was killed live on for a moment. They hold locks of their own (:func:`attend`), and the next
owner waits until these are free: nothing of an earlier attempt appears after it has begun.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import ClassVar

from labwright.parts.shares import Share
from labwright.runs import journal, signals
from labwright.runs.errors import Exit, LabwrightError
from labwright.runs.patience import gone, patiently
from labwright.runs.publish import disk_said
from labwright.runs.run import SILENT_AFTER_S, Run

LOCK = "claim.lock"
ORPHANS_S = 60.0
"""A worker ends as soon as it sees that its parent is dead; so long it is waited for."""
_LOOK_S = 0.05
_COUNTS = 1 << 20  # bytes below: one for each count of shares; above: one for each share
_MUTEX = 2 * _COUNTS
_WORKERS = _MUTEX + 1  # from here the same for worker processes


class Busy(LabwrightError):
    """Another process works on the same share of the run."""

    code: ClassVar[Exit] = Exit.AGAIN


@contextmanager
def claim(run: Run, share: Share | None) -> Iterator[None]:
    """Own ``share`` of ``run`` for the time of the block; ``None`` owns the whole run, as finishing needs.

    Raises:
        Busy: another living process owns what overlaps.
    """
    path = run.folder / LOCK
    with disk_said(path):
        descriptor, here = patiently(lambda: _take(path, run, share), path)
    try:
        if here:
            _await_workers(descriptor, run, share)
        _refuse_heartbeats(run, share, here)
        yield
    finally:
        os.close(descriptor)


def attend(folder: Path, share: Share) -> None:
    """Tell the next owner that this worker process lives, for as long as it does; to be called before any work."""
    with suppress(OSError):  # a file system without locks
        descriptor = os.open(folder / LOCK, os.O_RDWR)
        for start in (share.count, _COUNTS + share.index):
            fcntl.lockf(descriptor, fcntl.LOCK_SH, 1, _WORKERS + start)


def _take(path: Path, run: Run, share: Share | None) -> tuple[int, str]:
    """An open lock file that holds the claim, and this host's name, empty where the file system knows no locks."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        _lock(descriptor, share)
    except OSError as error:
        if _taken(error) or gone(error):
            os.close(descriptor)
            raise (busy(run) if _taken(error) else error) from error
        return descriptor, ""
    return descriptor, socket.gethostname()


def _taken(error: OSError) -> bool:
    return error.errno in (errno.EACCES, errno.EAGAIN)


def _await_workers(descriptor: int, run: Run, share: Share | None) -> None:
    """Wait for the workers of former owners of what is claimed."""
    told, until = False, time.monotonic() + ORPHANS_S
    while not _deserted(descriptor, [(0, _MUTEX)] if share is None else [*_other_counts(share), (_COUNTS + share.index, 1)]):
        if signals.asked() or time.monotonic() > until:
            raise busy(run)
        if not told:
            sys.stderr.write(f"labwright: {run.name}: waiting for worker processes of a killed attempt to end\n")
            told = True
        time.sleep(_LOOK_S)


def _deserted(descriptor: int, ranges: list[tuple[int, int]]) -> bool:
    """Whether no worker holds any of these ranges."""
    fcntl.lockf(descriptor, fcntl.LOCK_EX, 1, _MUTEX)  # lest two that look see each other
    try:
        for start, length in ranges:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, length, _WORKERS + start)
            fcntl.lockf(descriptor, fcntl.LOCK_UN, length, _WORKERS + start)
    except OSError as error:
        if not _taken(error):
            raise
        return False
    finally:
        fcntl.lockf(descriptor, fcntl.LOCK_UN, 1, _MUTEX)
    return True


def _other_counts(share: Share) -> list[tuple[int, int]]:
    return [(0, share.count), (share.count + 1, _COUNTS - share.count - 1)]


def _lock(descriptor: int, share: Share | None) -> None:
    exclusive = fcntl.LOCK_EX | fcntl.LOCK_NB
    # The jobs of an array start together: one at a time looks at who holds what.
    fcntl.lockf(descriptor, fcntl.LOCK_EX, 1, _MUTEX)
    try:
        if share is None:
            fcntl.lockf(descriptor, exclusive, _MUTEX, 0)
            return
        for start, length in _other_counts(share):
            fcntl.lockf(descriptor, exclusive, length, start)
            fcntl.lockf(descriptor, fcntl.LOCK_UN, length, start)
        fcntl.lockf(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB, 1, share.count)
        fcntl.lockf(descriptor, exclusive, 1, _COUNTS + share.index)
    finally:
        fcntl.lockf(descriptor, fcntl.LOCK_UN, 1, _MUTEX)


def _refuse_heartbeats(run: Run, share: Share | None, here: str) -> None:
    """Refuse where an overlapping journal of another host than ``here`` is fresh and has no end."""
    for path in journal.files(run.folder / "journal"):
        start, last = journal.first(path), journal.last(path)
        if start is None or last is None or start.get("host", here) == here or last["kind"] == "end":
            continue
        other = str(start.get("share", ""))
        apart = share is not None and other != str(share) and other.endswith(f"/{share.count}")
        if not apart and time.time() - last["t"] < SILENT_AFTER_S:
            raise busy(run)


def busy(run: Run) -> Busy:
    """The refusal to work on a run that another process works on."""
    starts = run.records("start")
    who = f" (process {starts[-1]['pid']} on {starts[-1]['host']})" if starts else ""
    return Busy(
        f"another process{who} works on this run",
        where=str(run.folder),
        todo="Wait for it, or stop it, then run again; nothing was touched.",
    )

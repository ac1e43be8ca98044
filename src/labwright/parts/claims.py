"""Claims: one process owns a share of a run; a second claimant is refused.

On one host by ``fcntl.lockf`` on byte ranges of one file, which the kernel releases when the owner dies, however
it dies. Across hosts, and on file systems without locks, by heartbeat: a fresh journal of the same share refuses the claim.
Shares of different counts overlap in ways that are hard to see, so only one count is at work at a time.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

from labwright.parts.shares import Share
from labwright.runs import journal
from labwright.runs.errors import Exit, LabwrightError
from labwright.runs.publish import disk_said
from labwright.runs.run import SILENT_AFTER_S, Run

_COUNTS = 1 << 20  # bytes below: one for each count of shares; above: one for each share
_MUTEX = 2 * _COUNTS


class Busy(LabwrightError):
    """Another process works on the same share of the run."""

    code: ClassVar[Exit] = Exit.AGAIN


@contextmanager
def claim(run: Run, share: Share | None) -> Iterator[None]:
    """Own ``share`` of ``run`` for the time of the block; ``None`` owns the whole run, as finishing needs.

    Raises:
        Busy: another living process owns what overlaps.
    """
    path = run.folder / "claim.lock"
    with disk_said(path):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        here = socket.gethostname()
        try:
            _lock(descriptor, share)
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EAGAIN):
                raise busy(run) from error
            here = ""  # a file system without locks
        _refuse_heartbeats(run, share, here)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, share: Share | None) -> None:
    exclusive = fcntl.LOCK_EX | fcntl.LOCK_NB
    # The jobs of an array start together: one at a time looks at who holds what.
    fcntl.lockf(descriptor, fcntl.LOCK_EX, 1, _MUTEX)
    try:
        if share is None:
            fcntl.lockf(descriptor, exclusive, _MUTEX, 0)
            return
        for start, length in ((0, share.count), (share.count + 1, _COUNTS - share.count - 1)):
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

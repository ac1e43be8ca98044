"""Claims: one process owns a share of a run; a second claimant is refused.

On one host by ``fcntl.lockf`` on byte ranges of one file, which the kernel releases when the owner dies, however
it dies. Across hosts by heartbeat: a fresh journal of the same share from another host refuses the claim.
Shares of different counts overlap in ways that are hard to see, so only one count is at work at a time.
"""

from __future__ import annotations

import fcntl
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

from labwright.parts.shares import Share
from labwright.runs.errors import Exit, LabwrightError
from labwright.runs.journal import read_file
from labwright.runs.publish import disk_error
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
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise disk_error(error, path) from error
    try:
        try:
            _lock(descriptor, share)
        except OSError as error:
            raise _busy(run) from error
        _refuse_other_hosts(run, share)
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


def _refuse_other_hosts(run: Run, share: Share | None) -> None:
    here = socket.gethostname()
    for path in sorted((run.folder / "journal").glob("*.jsonl")):
        records = list(read_file(path))
        start = next((record for record in records if record["kind"] == "start"), None)
        if start is None or start["host"] == here or records[-1]["kind"] == "end":
            continue
        overlaps = share is None or start["share"] == str(share) or Share.parse(start["share"]).count != share.count
        if overlaps and time.time() - records[-1]["t"] < SILENT_AFTER_S:
            raise _busy(run)


def _busy(run: Run) -> Busy:
    starts = run.records("start")
    who = f" (process {starts[-1]['pid']} on {starts[-1]['host']})" if starts else ""
    return Busy(f"another process{who} works on this run", where=str(run.folder), todo="Wait for it, or stop it, then run again; nothing was touched.")

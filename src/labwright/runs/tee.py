"""Copy streams to where they went before and into a log file: a process of its own, which ``runs.log`` starts.

It writes on when the process that it serves is killed, and a native library that prints while it holds the interpreter lock
cannot block itself. While the file system of the log is away, lines are kept in memory. A script of the standard library alone,
so that it starts in milliseconds: ``python -I -S tee.py LOG SOURCE:TARGET …`` with descriptors, TARGET -1 for nowhere.
"""

from __future__ import annotations

import contextlib
import os
import select
import sys
import time

KEPT_BYTES = 8 << 20
RETRY_S = 1.0
LINGER_S = 60.0
"""So long after the end of the streams what could not be written is still tried."""


class Log:
    """A file that is appended to, as soon as it can be."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.waiting = bytearray()
        self._descriptor = -1
        self._tried = float("-inf")

    def write(self, data: bytes = b"") -> None:
        """Append what waits and ``data``, or keep it; of too much the oldest goes."""
        self.waiting += data
        if self._descriptor < 0 and time.monotonic() - self._tried < RETRY_S:
            del self.waiting[:-KEPT_BYTES]
            return
        try:
            if self._descriptor < 0:
                self._descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
            while self.waiting:
                del self.waiting[: os.write(self._descriptor, self.waiting)]
        except OSError:
            self._tried = time.monotonic()
            self.close()
            del self.waiting[:-KEPT_BYTES]

    def close(self) -> None:
        if self._descriptor >= 0:
            with contextlib.suppress(OSError):
                os.close(self._descriptor)
            self._descriptor = -1


def copy(log: Log, streams: dict[int, int]) -> None:
    """Copy from each source to its target and to the log, until all sources have ended."""
    while streams:
        ready, _, _ = select.select(list(streams), [], [], RETRY_S if log.waiting else None)
        for source in ready:
            data = os.read(source, 1 << 16)
            if not data:
                del streams[source]
            elif streams[source] >= 0:
                streams[source] = _shown(streams[source], data)
            log.write(data)
        log.write()
    until = time.monotonic() + LINGER_S
    while log.waiting and time.monotonic() < until:
        time.sleep(RETRY_S / 4)
        log.write()


def _shown(target: int, data: bytes) -> int:
    """Write to a terminal or a pipe; -1 once nobody reads there any more."""
    try:
        while data:
            data = data[os.write(target, data) :]
    except OSError:
        return -1
    return target


if __name__ == "__main__":
    copy(Log(sys.argv[1]), {int(source): int(target) for source, _, target in (pair.partition(":") for pair in sys.argv[2:])})

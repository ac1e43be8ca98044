"""Stopping: a signal sets a flag and nothing else; the work looks at the flag between its steps.

SIGUSR1 (a scheduler's warning), SIGTERM and SIGINT ask for a stop; a second SIGTERM or SIGINT ends the process at once, but not a
SIGTERM within ``TWICE_S``: schedulers, and what stands between them and the process, send one twice. A deadline asks for the
same stop. What to do after exit code 75 is decided outside of the process.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
TWICE_S = 5.0
"""A second SIGTERM within this time is the first one again."""
_flags: list[Callable[[], bool]] = []


def asked() -> bool:
    """Whether this process is asked to stop, for whoever waits deep within; False where nobody handles signals."""
    return any(flag() for flag in list(_flags))


@contextmanager
def asking(flag: Callable[[], bool]) -> Iterator[None]:
    """``flag`` answers :func:`asked` during the block."""
    _flags.append(flag)
    try:
        yield
    finally:
        _flags.remove(flag)


class StopFlag:
    """Whether to stop, and why."""

    def __init__(self, deadline: float | None = None) -> None:
        """``deadline``: seconds since 1970 after which a stop is due."""
        self.reason = ""
        self.deadline = deadline

    def __call__(self) -> bool:
        if not self.reason and self.deadline is not None and time.time() >= self.deadline:
            self.reason = "the deadline has come"
        return bool(self.reason)

    def set(self, reason: str) -> None:
        self.reason = self.reason or reason

    @contextmanager
    def handling(self) -> Iterator[StopFlag]:
        """Install the handlers for the time of the block (in a main thread; elsewhere the flag alone counts)."""

        first: float | None = None

        def handle(number: int, _frame: FrameType | None) -> None:
            nonlocal first
            if number != signal.SIGUSR1:
                now = time.monotonic()
                if first is not None and (number == signal.SIGINT or now - first > TWICE_S):
                    os._exit(128 + number)
                first = now if first is None else first
            self.set(f"{signal.Signals(number).name} came")

        try:
            previous = {number: signal.signal(number, handle) for number in SIGNALS}
        except ValueError:
            previous = {}
        try:
            with asking(self):
                yield self
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)

"""Keep all that a process prints, native libraries too, in a file while showing it.

The file descriptors 1 and 2 go through a ``tee`` process each. A child process and not a thread: it
writes on when this process is killed, and a native library that prints while it holds the interpreter
lock cannot block itself.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

WAIT_S = 2.0
"""A grandchild may hold the pipe open for longer than we live; the tee ends with it."""
# A scheduler signals all processes of a job; the tee must outlive the one that still has to say how it ended.
_TEE = 'trap "" HUP INT PIPE TERM USR1; exec tee -a -- "$0"'


@contextmanager
def kept(path: Path, *, show: bool = True) -> Iterator[int]:
    """Copy stdout and stderr to ``path`` (appended) for the time of the block.

    Args:
        path: the log file.
        show: whether the lines also go where they went before.

    Yields:
        A file descriptor of the standard error as it was, for a progress bar that stays out of the log.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    before = {number: os.dup(number) for number in (1, 2)}
    tees = []
    try:
        for number in (1, 2):
            target = before[number] if show else subprocess.DEVNULL
            tee = subprocess.Popen(["sh", "-c", _TEE, str(path)], stdin=subprocess.PIPE, stdout=target, start_new_session=True)
            tees.append(tee)
            assert tee.stdin is not None
            os.dup2(tee.stdin.fileno(), number)
            tee.stdin.close()
        yield before[2]
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for number, old in before.items():
            os.dup2(old, number)
            os.close(old)
        for tee in tees:
            try:
                tee.wait(WAIT_S)
            except subprocess.TimeoutExpired:
                continue

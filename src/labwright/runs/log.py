"""Keep all that a process prints, native libraries too, in a file while showing it.

The file descriptors 1 and 2 go through one process, ``runs.tee``, which outlives this one.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

WAIT_S = 2.0
"""A grandchild may hold the pipe open for longer than we live; the tee ends with it."""
# A scheduler signals all processes of a job; the tee must outlive the one that still has to say how it ended.
_TEE = 'trap "" HUP INT PIPE TERM USR1; exec "$0" "$@"'
_SCRIPT = Path(__file__).with_name("tee.py")


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
    pipes = {number: os.pipe() for number in before}
    words = [f"{source}:{before[number] if show else -1}" for number, (source, _) in pipes.items()]
    try:
        tee = subprocess.Popen(
            ["sh", "-c", _TEE, sys.executable, "-I", "-S", str(_SCRIPT), str(path.absolute()), *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=[*(source for source, _ in pipes.values()), *(before.values() if show else ())],
            start_new_session=True,
        )
        for number, (source, sink) in pipes.items():
            os.dup2(sink, number)
            os.close(sink)
            os.close(source)
        try:
            yield before[2]
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for number, old in before.items():
                os.dup2(old, number)
            with suppress(subprocess.TimeoutExpired):
                tee.wait(WAIT_S)
    finally:
        for old in before.values():
            os.close(old)

"""Patience with a file system that goes away for a while, as network mounts do: wait for it instead of failing.

The errors below say that the files may well be there, only not now. Whoever waits says so once, and a stop is
answered in between. A mount that hangs instead of failing hangs whoever asks it: the kernel waits by itself.
"""

from __future__ import annotations

import errno
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar, TypeVar

from labwright.runs import signals
from labwright.runs.errors import Exit, LabwrightError

T = TypeVar("T")
PATIENCE_S = 600.0
"""The pauses between tries add up to this, then the process leaves with exit code 75."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.25, 30.0
# Not every system knows each of them.
GONE = frozenset(
    getattr(errno, name) for name in ("EIO", "ESTALE", "ETIMEDOUT", "ENOTCONN", "EHOSTDOWN", "ENOLINK", "EREMOTEIO") if hasattr(errno, name)
)
TELL_AGAIN_S = 60.0
_LOOK_S = 0.1
_told_at = float("-inf")


class Gone(LabwrightError):
    """The file system went away and did not come back in time."""

    code: ClassVar[Exit] = Exit.AGAIN


def gone(error: BaseException) -> bool:
    """Whether an error says that a file system went away."""
    return isinstance(error, OSError) and error.errno in GONE


def sentence(error: OSError, place: Path, how: str = "") -> Gone:
    """The sentence for such an error."""
    return Gone(
        f"the file system does not answer ({error.strerror or error}){how}",
        where=str(error.filename or place),
        todo="Run the same command again when it is back; what was done by then is kept.",
    )


@contextmanager
def said(place: Path) -> Iterator[None]:
    """Raise the sentence for such an error in the block, where nobody waits."""
    try:
        yield
    except OSError as error:
        if not gone(error):
            raise
        raise sentence(error, place) from error


def patiently(action: Callable[[], T], place: Path) -> T:
    """What ``action`` returns, which is called again while the file system of ``place`` is gone; it must bear to be repeated.

    Raises:
        Gone: it did not come back within ``PATIENCE_S``, or a stop was asked for meanwhile.
    """
    waited, pause, told = 0.0, FIRST_PAUSE_S, False
    while True:
        try:
            made = action()
        except OSError as error:
            if not gone(error):
                raise
            if waited == 0:
                told = _tell(error, place)
            if waited >= PATIENCE_S:
                raise sentence(error, place, f", and did not for {PATIENCE_S:.0f} s") from error
            waited += _pause(min(pause, PATIENCE_S - waited))
            if signals.asked():
                raise sentence(error, place, ", and a stop was asked for") from error
            pause = min(2 * pause, LONGEST_PAUSE_S)
        else:
            if told:
                _say(f"{place}: the file system answers again")
            return made


def _pause(seconds: float) -> float:
    until = time.monotonic() + seconds
    while not signals.asked() and time.monotonic() < until:
        time.sleep(min(_LOOK_S, seconds))
    return seconds


def _tell(error: OSError, place: Path) -> bool:
    """Say that the file system is away, and whether it was said: one thing after the other may have to wait, and once is enough."""
    global _told_at
    if time.monotonic() - _told_at < TELL_AGAIN_S:
        return False
    _told_at = time.monotonic()
    _say(f"{error.filename or place}: the file system does not answer ({error.strerror}); waiting for it")
    return True


def _say(text: str) -> None:
    sys.stderr.write(f"labwright: {text}\n")
    sys.stderr.flush()

"""A network mount that goes away: below a folder, file operations of this process fail or hang for as long as a control file says so.

    Command([...], said, before=partial(mount.fail_below, folder, control))
    control.write_text("gone")     # what opens or names a file fails with ESTALE, what writes to an open one with EIO
    control.write_text("hung")     # all of these wait
    control.unlink()               # the mount is back

For a process of its own: there is no way back but its end. Reads of open files and of memory maps go on, as they do from the page cache.
"""

from __future__ import annotations

import builtins
import errno
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

GONE, HUNG = "gone", "hung"
_EVENTS = frozenset(f"os.{name}" for name in ("rename", "mkdir", "remove", "rmdir", "listdir", "scandir", "truncate", "utime", "link"))
"""What Python announces before it does it; the two names of a rename come first among the arguments."""
_LOOK_S = 0.02


def fail_below(folder: Path, control: Path) -> None:
    """From now on, operations on paths below ``folder`` do what ``control``, a file outside of it, says."""
    inside, said = str(folder.resolve()), str(control)
    read, status = builtins.open, os.stat

    def answer(path: Any, number: int) -> None:
        if isinstance(path, int):
            path = os.readlink(f"/proc/self/fd/{path}")
        name = os.path.abspath(os.fsdecode(path))
        if name != inside and not name.startswith(inside + os.sep):
            return
        while (word := _word()) == HUNG:
            time.sleep(_LOOK_S)
        if word == GONE:
            raise OSError(number, os.strerror(number), name)

    def _word() -> str:
        try:
            status(said)
            with read(said, encoding="utf-8") as stream:
                return stream.read().strip()
        except FileNotFoundError:
            return ""

    def announced(event: str, arguments: tuple[Any, ...]) -> None:
        if (event == "open" and isinstance(arguments[0], (str, bytes))) or event in _EVENTS:
            for path in arguments[: 2 if event in ("os.rename", "os.link") else 1]:
                answer(path, errno.ESTALE)

    sys.addaudithook(announced)
    for name, number in (("write", errno.EIO), ("fsync", errno.EIO), ("fstat", errno.EIO), ("stat", errno.ESTALE), ("lstat", errno.ESTALE)):
        setattr(os, name, _guarded(getattr(os, name), answer, number))


def _guarded(right: Callable[..., Any], answer: Callable[[Any, int], None], number: int) -> Callable[..., Any]:
    """The function, which asks before it does anything. A name relative to an open folder is asked for by that folder."""

    def guarded(path: Any, *rest: Any, **options: Any) -> Any:
        answer(path if options.get("dir_fd") is None else options["dir_fd"], number)
        return right(path, *rest, **options)

    return guarded

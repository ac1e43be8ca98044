"""Named points at which a test can kill the process, to show that a kill at any moment loses nothing.

``LABWRIGHT_FAULT=checkpoint:before-rename`` kills the process (SIGKILL) when it first comes to that
point, ``checkpoint:before-rename@3`` on the third time. Without the variable a point costs one comparison. The points are
listed here, so that the kill matrix can count them; a name in the variable that is not is an error at once.
"""

from __future__ import annotations

import os
import signal

PUBLISHED = ("step", "parts", "checkpoint", "shard", "output", "model", "pack", "report", "done", "submission")
"""Labels of what gets published by rename; each has the four stages below."""
STAGES = ("before-write", "before-sync", "before-rename", "after-rename")
POINTS: tuple[str, ...] = (
    *(f"{label}:{stage}" for label in PUBLISHED for stage in STAGES),
    "journal:mid-line",
    "part:before-record",
    "part:after-record",
    "train:step",
    "train:before-validate",
    "train:in-validate",
    "train:after-validate",
    "train:best-copy",
    "train:prune",
    "finish:before",
    "finish:after",
)

_armed, _left = "", 1


def arm(text: str) -> None:
    """Die at a point, given as in the environment: ``point`` or ``point@n``; nowhere if it is empty.

    Raises:
        ValueError: there is no such point.
    """
    global _armed, _left
    name, _, nth = text.partition("@")
    if name and name not in POINTS:
        raise ValueError(f"there is no fault point {name!r}")
    _armed, _left = name, int(nth or 1)


arm(os.environ.get("LABWRIGHT_FAULT", ""))


def armed(name: str) -> bool:
    """Whether this call is the one that has to die at point ``name`` (counts the calls)."""
    global _left
    if name != _armed:
        return False
    _left -= 1
    return _left == 0


def fault(name: str) -> None:
    """Die here (SIGKILL) if the environment armed the point ``name``."""
    if armed(name):
        os.kill(os.getpid(), signal.SIGKILL)

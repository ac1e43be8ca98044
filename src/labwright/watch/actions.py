"""What a page may do where it was allowed to: ask a run to stop, as a signal from the terminal would."""

from __future__ import annotations

import os
import signal
import socket

import psutil

from labwright.runs.errors import CommandError, MissingError
from labwright.runs.run import Run

_CLOCK_S = 2.0
"""How far a process's start time and its journal's may lie apart the wrong way round."""


def stop(run: Run) -> str:
    """Send SIGTERM to the processes of this host that work on ``run``: they save and leave with 75.

    Returns:
        What was done, in words.

    Raises:
        MissingError: nothing works on it.
        CommandError: what works on it is on another host, or somebody else's.
    """
    if run.state() != "running":
        raise MissingError("nothing works on this run", where=run.name)
    open_ends = {record["file"] for record in run.records("start")} - {record["file"] for record in run.records("end")}
    starts = [record for record in run.records("start") if record["file"] in open_ends]
    here = [start for start in starts if start["host"] == socket.gethostname() and _is_alive(start["pid"], start["t"])]
    if not here:
        hosts = ", ".join(dict.fromkeys(str(start["host"]) for start in starts))
        raise CommandError(f"no process of it is to be found here; it works on {hosts}", where=run.name, todo="Use `labwright cancel`.")
    for start in here:
        try:
            os.kill(start["pid"], signal.SIGTERM)
        except PermissionError as error:
            raise CommandError("it is somebody else's", where=run.name) from error
    count = len(here)
    return f"asked {count} {'process' if count == 1 else 'processes'} to stop; saving may take a moment"


def _is_alive(pid: int, began: float) -> bool:
    """Whether the process that wrote a start record still is there; its id may have gone to another since."""
    try:
        return psutil.Process(pid).create_time() <= began + _CLOCK_S
    except psutil.Error:
        return False

"""What happens to the tasks of a submission on this machine: lines that are only ever appended, and what follows from them.

``events.jsonl`` in the submission's folder holds, each with ``t`` (seconds since 1970), ``kind`` and, where it is about a task, ``task``
(``<job>/<index>``):

- ``queue``: a queue began to work, as process ``pid`` on ``host``, started at ``started``;
- ``begin``: a task's job script began, as process ``pid`` started at ``started``, with these ``gpus``;
- ``end``: it ended with ``code``; ``state`` says what follows: queued (again), done, failed or cancelled; ``why`` in words;
- ``wait``: why a task does not begin yet; ``never``: why it never will;
- ``cancel``: somebody wants it stopped;
- ``over``: the queue ended.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psutil

from labwright.launch.launcher import CANCELLED, ENDING, QUEUED, RUNNING
from labwright.runs.publish import disk_said

FILE = "events.jsonl"


@dataclass(frozen=True)
class Process:
    """One process of one machine; the time of its start tells it from a later one with the same number."""

    pid: int
    started: float

    @property
    def is_alive(self) -> bool:
        """Whether it runs on this machine."""
        try:
            process = psutil.Process(self.pid)
            # The clock of the machine may have been set right in between.
            return abs(process.create_time() - self.started) < 5 and process.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            return False

    def terminate(self) -> None:
        """SIGTERM to a job script, and not to its group: it hands the signal on, and a second one would end the payload unsaved."""
        if self.is_alive:
            os.kill(self.pid, signal.SIGTERM)


@dataclass(frozen=True)
class Standing:
    """How one task is getting on."""

    state: str = QUEUED
    why: str = ""
    attempts: int = 0
    process: Process | None = None
    """Of its job script, the last one."""
    gpus: tuple[str, ...] = ()
    cancels: int = 0
    """How often somebody asked for its end."""


@dataclass
class Told:
    """All that the events of a submission tell."""

    queue: Process | None = None
    """The queue at work; None before the first and after the last."""
    host: str = ""
    """The machine of the last queue."""
    tasks: dict[str, Standing] = field(default_factory=dict)

    def task(self, name: str) -> Standing:
        return self.tasks.get(name, Standing())

    def take(self, event: Mapping[str, Any]) -> None:
        """One more event."""
        kind = event["kind"]
        if kind == "queue":
            self.queue, self.host = Process(event["pid"], event["started"]), event["host"]
        elif kind == "over":
            self.queue = None
        else:
            self.tasks[event["task"]] = _after(self.task(event["task"]), event)


def _after(now: Standing, event: Mapping[str, Any]) -> Standing:
    kind, why = event["kind"], event.get("why", "")
    if kind == "begin":
        process = Process(event["pid"], event["started"])
        return Standing(RUNNING, "", now.attempts + 1, process, tuple(event["gpus"]), now.cancels)
    if kind == "end":
        return replace(now, state=event["state"], why=why)
    if kind == "wait":
        return replace(now, why=why)
    if kind == "never":
        return replace(now, state=CANCELLED, why=why)
    if kind == "cancel":
        return replace(now, state=ENDING if now.state == RUNNING else now.state, cancels=now.cancels + 1)
    return now


def told(folder: Path) -> Told:
    """All that was told so far of the submission in ``folder``."""
    found = Told()
    for event in Reader(folder).news():
        found.take(event)
    return found


class Reader:
    """The events of a submission, each once."""

    def __init__(self, folder: Path) -> None:
        self._path, self._offset = folder / FILE, 0

    def news(self) -> Iterator[dict[str, Any]]:
        """Those that came since the last call; a line that is still being written is left for the next."""
        try:
            with self._path.open("rb") as stream:
                stream.seek(self._offset)
                lines = stream.read()
        except FileNotFoundError:
            return
        whole = lines[: lines.rfind(b"\n") + 1]
        self._offset += len(whole)
        yield from (event for line in whole.splitlines() if (event := _parsed(line)) is not None)


def tell(folder: Path, kind: str, tasks: Iterable[str] = (), **fields: Any) -> None:
    """Append an event, or one for each of several tasks.

    Raises:
        FaultError: the disk is full or cannot be written.
    """
    event = {"t": round(time.time(), 3), "kind": kind, **fields}
    events = [{**event, "task": task} for task in tasks] or [event]
    data = "".join(json.dumps(one) + "\n" for one in events).encode()
    with disk_said(folder / FILE):
        # One write: lines of several processes do not mix.
        descriptor = os.open(folder / FILE, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            os.write(descriptor, data)
        finally:
            os.close(descriptor)


def started(pid: int) -> float:
    """When a living process was started, seconds since 1970."""
    return round(psutil.Process(pid).create_time(), 2)


def _parsed(line: bytes) -> dict[str, Any] | None:
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) and "kind" in event else None

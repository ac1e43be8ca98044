"""The queue of one submission on this machine: a process of its own that starts jobs as they become due.

It holds nothing that is not in the submission's folder. When it is killed, scripts at work go on; another ``labwright queue``
on the same folder waits for them, asks each run how it ended by doing its task again (nothing, where the run is done), and goes on.
"""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from labwright.launch import slots
from labwright.launch.job import After
from labwright.launch.launcher import CANCELLED, DONE, ENDING, FAILED, QUEUED, RUNNING
from labwright.launch.local_events import Reader, Standing, Told, started, tell
from labwright.launch.local_plan import output, read_plan
from labwright.launch.submission import cancel_marks, read
from labwright.runs.errors import Exit
from labwright.runs.publish import disk_said
from labwright.runs.signals import StopFlag

LOOK_S, IDLE_S = 0.2, 1.0
"""Between two rounds; the longer one after :data:`BRIEF_S` in which nothing happened."""
BRIEF_S = 10.0
"""An attempt that wants to run again so soon found another process at work on its run, and comes back later."""
LATER_S, LATEST_S = 2.0, 300.0
ASIDE_S = 1.0
"""An attempt that ended after real work lets others have its slot first, if they wait."""
_OVER = (DONE, FAILED, CANCELLED)


def conduct(folder: Path) -> Exit:
    """Do the submission in ``folder`` to its end; returns at once where another process does.

    Raises:
        MissingError: this is no submission for this machine.
    """
    with _alone(folder) as alone:
        if not alone:
            return Exit.DONE
        with StopFlag().handling() as stop:
            queue = _Queue(folder)
            tell(folder, "queue", pid=os.getpid(), started=started(os.getpid()), host=socket.gethostname())
            while not queue.is_over():
                queue.look(stop())
                time.sleep(LOOK_S if time.monotonic() - queue.heard < BRIEF_S else IDLE_S)
            tell(folder, "over", why=stop.reason)
    return Exit.AGAIN if stop.reason else Exit.DONE


@dataclass
class _Round:
    """What is asked once a round, however many tasks wait."""

    files: set[str] = field(default_factory=set)
    """Names in the submission's folder."""
    at_work: Counter[str] = field(default_factory=Counter)
    """Tasks that run, by job."""
    before: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Of what has to end first: a task that has not ended, and one that did not end well."""
    full: dict[int, str] = field(default_factory=dict)
    """Why there is no slot, by number of GPUs."""


class _Queue:
    """The tasks of one submission, and the scripts that this process started."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.plan = folder, read_plan(folder)
        self.jobs: dict[str, dict[str, Any]] = {job["name"]: job for job in self.plan["jobs"]}
        self.tasks = {f"{name}/{index}": (name, index) for name, job in self.jobs.items() for index in range(job["tasks"])}
        self.submitted = {job.name: job for job in read(folder).jobs}
        self.supply = slots.supply(self.plan["by_hand"])
        self.reader, self.told = Reader(folder), Told()
        self.scripts: dict[str, subprocess.Popen[bytes]] = {}
        self.due: dict[str, float] = {}
        """When a task that asked to run again may."""
        self.asked: dict[str, int] = {}
        """How often each script was told to stop."""
        self.stopping = False
        self.heard = time.monotonic()
        """When the last event came."""
        self.round = _Round()
        self._hear()

    def is_over(self) -> bool:
        """Nothing runs, and nothing can begin any more."""
        states = [self.told.task(task).state for task in self.tasks]
        return not self.scripts and (self.stopping or all(state in _OVER for state in states))

    def look(self, stop: bool) -> None:
        """One round: hear what others said, end what ended, stop what shall stop, begin what can."""
        self._hear()
        self._collect()
        if stop and not self.stopping:
            self.stopping = True
            for script in self.scripts.values():
                script.terminate()
        self.round = _Round(set(os.listdir(self.folder)))
        for task, (name, _) in self.tasks.items():
            self.round.at_work[name] += self.told.task(task).state in (RUNNING, ENDING)
        for task, (name, index) in self.tasks.items():
            now = self.told.task(task)
            if now.state in (RUNNING, ENDING):
                self._stop_or_adopt(task, now)
            elif now.state == QUEUED and not self.stopping:
                self._begin_or_wait(task, name, index, now)

    def _hear(self) -> None:
        for event in self.reader.news():
            self.told.take(event)
            self.heard = time.monotonic()

    def _is_cancelled(self, task: str) -> bool:
        marks = cancel_marks(self.folder, *self.tasks[task])
        return self.told.task(task).cancels > 0 or any(mark.name in self.round.files for mark in marks)

    def _tell(self, kind: str, task: str, **fields: Any) -> None:
        tell(self.folder, kind, [task], **fields)
        self._hear()

    # ---- Ends ----

    def _collect(self) -> None:
        for task, script in list(self.scripts.items()):
            if (code := script.poll()) is not None:
                del self.scripts[task]
                self._ended(task, code)

    def _ended(self, task: str, code: int) -> None:
        now = self.told.task(task)
        assert now.process is not None, "a script that ended was begun"
        if code == Exit.DONE:
            state, why = DONE, ""
        elif self._is_cancelled(task) and code in (Exit.AGAIN, -signal.SIGTERM, -signal.SIGKILL):
            state, why = CANCELLED, ""
        elif code == Exit.AGAIN and now.attempts > self.plan["requeues"]:
            state, why = FAILED, f"it asked {now.attempts} times to be run again"
        elif code == Exit.AGAIN:
            state, why = QUEUED, ""
            self.due[task] = time.monotonic() + self._pause(task, time.time() - now.process.started)
        else:
            state, why = FAILED, f"exit code {code}" if code >= 0 else f"ended by {signal.Signals(-code).name}"
        self._tell("end", task, code=code, state=state, why=why)

    def _pause(self, task: str, lasted_s: float) -> float:
        """Seconds until the next attempt: few after real work, ever more after attempts that found no work to do."""
        if lasted_s > BRIEF_S:
            return ASIDE_S
        return min(LATER_S * 2.0 ** min(self.told.task(task).attempts - 1, 10), LATEST_S)

    def _stop_or_adopt(self, task: str, now: Standing) -> None:
        if now.cancels > self.asked.get(task, 0) and now.process is not None:
            self.asked[task] = now.cancels
            now.process.terminate()
        elif task not in self.scripts and now.process is not None and not now.process.is_alive:
            # It outlived the queue that began it, and nobody heard its exit code.
            state = CANCELLED if self._is_cancelled(task) else QUEUED
            self._tell("end", task, code=None, state=state, why="ended while no queue was there")

    # ---- Beginnings ----

    def _begin_or_wait(self, task: str, name: str, index: int, now: Standing) -> None:
        if self._is_cancelled(task):
            self._tell("end", task, code=None, state=CANCELLED, why="cancelled before it began")
            return
        waiting, lost = self._before(self.jobs[name], index)
        if lost:
            self._tell("never", task, why=f"{lost} did not end well")
            return
        if waiting:
            why = f"waits for {waiting}"
        elif 0 < self.plan["array_limit"] <= self.round.at_work[name]:
            why = f"{self.round.at_work[name]} tasks of {name} run already"
        elif time.monotonic() < self.due.get(task, 0.0):
            why = "asked to be run again, later"
        else:
            slot = self._slot(self.jobs[name]["gpus"])
            if isinstance(slot, slots.Slot):
                self._begin(task, name, index, slot)
                return
            why = slot
        if why != now.why:
            self._tell("wait", task, why=why)

    def _before(self, job: dict[str, Any], index: int) -> tuple[str, str]:
        """A task that has to end well first and has not ended; and one that ended otherwise."""
        waiting = lost = ""
        for before in (After(*pair) for pair in job["after"]):
            key = f"{before.job}/{index if before.each else ''}"
            if key not in self.round.before:
                indices = [index] if before.each else range(self.jobs[before.job]["tasks"])
                states = {other: self.told.task(other).state for other in (f"{before.job}/{one}" for one in indices)}
                self.round.before[key] = (
                    next((other for other, state in states.items() if state not in _OVER), ""),
                    next((other for other, state in states.items() if state in (FAILED, CANCELLED)), ""),
                )
            waiting, lost = (one or other for one, other in zip((waiting, lost), self.round.before[key], strict=True))
        return waiting, lost

    def _slot(self, gpus: int) -> slots.Slot | str:
        count = min(1, len(self.supply.devices)) if gpus < 0 else gpus
        if count in self.round.full:
            return self.round.full[count]
        slot = slots.take_gpus(self.supply, count) if count else slots.take_cpu(self.plan["slots"])
        if isinstance(slot, str):
            self.round.full[count] = slot
        return slot

    def _begin(self, task: str, name: str, index: int, slot: slots.Slot) -> None:
        out = output(self.submitted[name], index)
        with disk_said(out):
            out.parent.mkdir(parents=True, exist_ok=True)
            with out.open("ab") as stream:
                script = subprocess.Popen(
                    ["bash", str(self.folder / f"{name}.sh"), str(index)],
                    stdin=subprocess.DEVNULL,
                    stdout=stream,
                    stderr=subprocess.STDOUT,
                    env={**os.environ, **slots.visible_to(slot, self.supply)},
                    pass_fds=slot.descriptors,
                    start_new_session=True,
                )
        slot.let_go()
        self.scripts[task] = script
        self.round.at_work[name] += 1
        self._tell("begin", task, pid=script.pid, started=started(script.pid), gpus=list(slot.gpus))


@contextmanager
def _alone(folder: Path) -> Iterator[bool]:
    """Whether this is the only queue of the submission, for the time of the block."""
    with disk_said(folder), (folder / "queue.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield True
        except BlockingIOError:
            yield False

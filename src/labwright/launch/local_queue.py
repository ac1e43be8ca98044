"""The queue of one submission on this machine: a process of its own that starts jobs as they become due.

It holds nothing that is not in the submission's folder. When it is killed, scripts at work go on; another ``labwright queue``
on the same folder waits for them, asks each run how it ended by doing its task again (nothing, where the run is done), and goes on.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from labwright.launch import slots
from labwright.launch.job import After, Job
from labwright.launch.launcher import CANCELLED, DONE, ENDING, FAILED, QUEUED, RUNNING
from labwright.launch.local_events import Reader, Standing, Told, started, tell
from labwright.launch.site import Site
from labwright.launch.submission import Submitted, read
from labwright.runs.errors import Exit, MissingError
from labwright.runs.publish import disk_said, write_json
from labwright.runs.signals import StopFlag

PLAN = "queue.json"
LOOK_S = 0.2
BRIEF_S = 10.0
"""An attempt that wants to run again so soon found another process at work on its run, and comes back later."""
LATER_S, LATEST_S = 2.0, 300.0
ASIDE_S = 1.0
"""An attempt that ended after real work lets others have its slot first, if they wait."""
_OVER = (DONE, FAILED, CANCELLED)


def gpus(job: Job) -> int:
    """How many GPUs a task gets; -1 means one where there is any, for what one makes faster and nobody gave a number for."""
    return job.resources.gpus if job.resources.gpus is not None else (-1 if job.gpu else 0)


def write_plan(folder: Path, jobs: Sequence[Job], site: Site) -> None:
    """What the queue has to know of the jobs, beside their scripts."""
    plan = {
        "jobs": [
            {
                "name": job.name,
                "tasks": len(job.tasks),
                "after": [[one.job, one.each] for one in job.after],
                "gpus": gpus(job),
            }
            for job in jobs
        ],
        "slots": site.slots,
        "requeues": site.requeues,
        "array_limit": site.array_limit,
        "by_hand": list(site.gpus),
    }
    write_json(folder / PLAN, plan, "submission")


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
                time.sleep(LOOK_S)
            tell(folder, "over", why=stop.reason)
    return Exit.AGAIN if stop.reason else Exit.DONE


class _Queue:
    """The tasks of one submission, and the scripts that this process started."""

    def __init__(self, folder: Path) -> None:
        try:
            plan = json.loads((folder / PLAN).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise MissingError("this is no submission for a queue on this machine", where=str(folder)) from error
        self.folder, self.plan = folder, plan
        self.jobs: dict[str, dict[str, Any]] = {job["name"]: job for job in plan["jobs"]}
        self.tasks = {f"{name}/{index}": (name, index) for name, job in self.jobs.items() for index in range(job["tasks"])}
        self.submitted = {job.name: job for job in read(folder).jobs}
        self.supply = slots.supply(plan["by_hand"])
        self.reader, self.told = Reader(folder), Told()
        self.scripts: dict[str, subprocess.Popen[bytes]] = {}
        self.due: dict[str, float] = {}
        """When a task that asked to run again may."""
        self.asked: dict[str, int] = {}
        """How often each script was told to stop."""
        self.stopping = False
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
        for task, (name, index) in self.tasks.items():
            now = self.told.task(task)
            if now.state in (RUNNING, ENDING):
                self._stop_or_adopt(task, now)
            elif now.state == QUEUED and not self.stopping:
                self._begin_or_wait(task, name, index, now)

    def _hear(self) -> None:
        for event in self.reader.news():
            self.told.take(event)

    def _is_cancelled(self, task: str) -> bool:
        name, index = self.tasks[task]
        return self.told.task(task).cancels > 0 or self.submitted[name].is_cancelled(index)

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
        before, lost = self._before(self.jobs[name], index)
        if lost:
            self._tell("never", task, why=f"{lost} did not end well")
            return
        at_work = sum(self.told.task(f"{name}/{other}").state in (RUNNING, ENDING) for other in range(self.jobs[name]["tasks"]))
        if before:
            why = f"waits for {before}"
        elif self.plan["array_limit"] and at_work >= self.plan["array_limit"]:
            why = f"{at_work} tasks of {name} run already"
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
            indices = [index] if before.each else range(self.jobs[before.job]["tasks"])
            for other in (f"{before.job}/{one}" for one in indices):
                state = self.told.task(other).state
                lost = lost or (other if state in (FAILED, CANCELLED) else "")
                waiting = waiting or (other if state not in _OVER else "")
        return waiting, lost

    def _slot(self, gpus: int) -> slots.Slot | str:
        count = min(1, len(self.supply.devices)) if gpus < 0 else gpus
        return slots.take_gpus(self.supply, count) if count else slots.take_cpu(self.plan["slots"])

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
        self._tell("begin", task, pid=script.pid, started=started(script.pid), gpus=list(slot.gpus))


def output(job: Submitted, index: int) -> Path:
    """Where a task's script prints to, attempt after attempt."""
    number = f"_{index}" if len(job.tasks) > 1 else ""
    return job.tasks[index].run / "jobs" / f"local-{job.folder.name}-{job.name}{number}.out"


@contextmanager
def _alone(folder: Path) -> Iterator[bool]:
    """Whether this is the only queue of the submission, for the time of the block."""
    with disk_said(folder), (folder / "queue.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield True
        except BlockingIOError:
            yield False

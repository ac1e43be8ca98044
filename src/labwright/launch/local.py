"""This machine as a launcher: a queue of its own for each submission, which outlives the terminal.

The submission's folder tells all; nothing listens on a port, and nothing has a fixed name outside that folder.
"""

from __future__ import annotations

import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from labwright.launch import slots
from labwright.launch.job import Job
from labwright.launch.launcher import ENDING, QUEUED, RUNNING, UNKNOWN, Seen
from labwright.launch.local_events import Standing, Told, tell, told
from labwright.launch.local_plan import gpus, write_plan
from labwright.launch.site import Site
from labwright.launch.submission import Submission, Submitted, everywhere
from labwright.runs.errors import FaultError, MissingError

LOG = "queue.log"
BEGIN_WITHIN_S = 30.0


class Local:
    """Launches on this machine; see :class:`labwright.launch.launcher.Launcher`."""

    def submit(self, submission: Submission, jobs: Sequence[Job], site: Site) -> None:
        """Start the submission's queue and see it begin.

        Raises:
            MissingError: a job asks for more GPUs than there are, or a GPU named by hand is used by somebody.
            FaultError: the queue did not begin.
        """
        supply = slots.supply(site.gpus)
        for job in jobs:
            _refuse_more(job, supply)
        if site.gpus:
            slots.refuse_busy(supply)
        write_plan(submission.folder, jobs, site)
        for job in jobs:
            submission.queued(job.name, f"{submission.folder.name}/{job.name}")
        start(submission.folder)

    def poll(self, jobs: Sequence[Submitted] | None) -> dict[str, Seen]:
        """How tasks are getting on, from the submissions' folders alone."""
        if jobs is None:
            jobs = [job for submission in everywhere() if submission.kind == "local" for job in submission.jobs]
        known: dict[Path, Told] = {}
        for job in jobs:
            if job.folder not in known:
                known[job.folder] = told(job.folder)
        return {job.key(index): seen(job, index, known[job.folder]) for job in jobs for index in range(len(job.tasks))}

    def cancel(self, job: Submitted, indices: Sequence[int] | None = None) -> None:
        """Ask for the end of tasks; the queue hands it on. Where the queue is gone, their scripts are told from here."""
        tasks = [f"{job.name}/{index}" for index in (range(len(job.tasks)) if indices is None else indices)]
        now = told(job.folder)
        tell(job.folder, "cancel", tasks)
        if now.host == socket.gethostname() and not _is_at_work(now):
            for task in tasks:
                if (process := now.task(task).process) is not None:
                    process.terminate()

    def tail(self, job: Submitted, index: int) -> list[str] | None:
        """Nothing: what tasks print lies in their run folders."""
        return None

    def attach(self, job: Submitted, index: int, command: Sequence[str]) -> list[str]:
        """The command with the task's GPUs before its eyes, on the task's machine.

        Raises:
            MissingError: the task does not run.
        """
        now = told(job.folder)
        task = now.task(f"{job.name}/{index}")
        if task.state not in (RUNNING, ENDING):
            raise MissingError(f"{job.key(index)} is {task.state}, so there is nothing beside which a command could run")
        words = [*(["env", f"CUDA_VISIBLE_DEVICES={','.join(task.gpus)}"] if task.gpus else []), *command]
        return words if now.host == socket.gethostname() else ["ssh", "-t", now.host, shlex.join(words)]


LAUNCHER = Local()


def seen(job: Submitted, index: int, now: Told) -> Seen:
    """How one task is getting on: what was told, and whether the processes that were told of still live."""
    task = now.task(f"{job.name}/{index}")
    state, reason = task.state, task.why
    if state in (QUEUED, RUNNING, ENDING) and job.id:
        if now.host != socket.gethostname():
            state, reason = UNKNOWN, f"it can be seen from {now.host} only" if now.host else "its queue has not begun"
        elif not _is_at_work(now):
            state, reason = _without_queue(task)
    return Seen(job.key(index), state, reason, now.host, job.name)


def start(folder: Path) -> None:
    """Start the queue of a submission as a process that belongs to nobody's terminal, and wait until it says that it began.

    Raises:
        FaultError: it did not, with its own last words.
    """
    # The shell leaves at once, so that whoever asked has no child to wait for, and the queue has no terminal.
    words = [sys.executable, "-m", "labwright", "queue", str(folder)]
    with (folder / LOG).open("ab") as log:
        subprocess.run(
            ["sh", "-c", '"$@" &', "sh", *words], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, check=True
        )
    end = time.monotonic() + BEGIN_WITHIN_S
    while told(folder).host == "":
        said = (folder / LOG).read_text(encoding="utf-8", errors="replace").strip().splitlines()
        if said or time.monotonic() > end:
            raise FaultError(f"the queue did not begin: {said[-1] if said else 'it said nothing'}", where=str(folder / LOG))
        time.sleep(0.02)


def _is_at_work(now: Told) -> bool:
    return now.queue is not None and now.queue.is_alive


def _without_queue(task: Standing) -> tuple[str, str]:
    """What can be said of a task that is not over, when its queue is."""
    if task.process is not None and task.process.is_alive and task.state != QUEUED:
        return task.state, "its queue has ended; it works on, and is not queued again"
    return UNKNOWN, "its queue has ended; `labwright submit` goes on"


def _refuse_more(job: Job, supply: slots.Supply) -> None:
    wanted, there = gpus(job), len(supply.devices)
    if wanted > there:
        raise MissingError(
            f"{job.name} asks for {wanted} {'GPU' if wanted == 1 else 'GPUs'}, and there {'is' if there == 1 else 'are'} {there or 'none'}"
            + (f": {supply.reason}" if not there and supply.reason else ""),
            where=f"run.on.resources.{job.step}.gpus",
            todo="Ask for fewer, or leave it out: then one is taken where there is any.",
        )

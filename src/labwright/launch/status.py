"""How runs are getting on: the journal is the truth, what the scheduler says is a hint.

A scheduler that gives no answer, or an empty one, makes nothing dead: what only it could tell is ``unknown`` then.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from labwright.launch.job import Task
from labwright.launch.launcher import CANCELLED, DONE, ENDING, FAILED, HELD, QUEUED, RUNNING, UNKNOWN, Seen, launcher
from labwright.launch.submission import Submitted, submissions
from labwright.runs.errors import LabwrightError
from labwright.runs.run import Run

LIVING = (QUEUED, HELD, RUNNING, ENDING)
RESUMING = "resuming"
"""It has worked already, and is about to go on."""
_FINAL = ("done", "damaged", "stale")
_TELLING = (RUNNING, ENDING, HELD, QUEUED, UNKNOWN, FAILED, CANCELLED)
"""Of several tasks that work on a run, the one whose state is told: the first of these."""


class Placed(NamedTuple):
    """One task that a scheduler was given, and how it sees that task."""

    job: Submitted
    number: int
    """Of the task in the job, from 0."""
    seen: Seen

    @property
    def task(self) -> Task:
        return self.job.tasks[self.number]

    @property
    def is_living(self) -> bool:
        return self.seen.state in LIVING

    @property
    def job_id(self) -> str:
        """The job's own id, where what was submitted is called otherwise, as a DAG is."""
        task = self.seen.id
        return self.job.id if not task or task.startswith(self.job.id) else _job_id(task)


class Standing(NamedTuple):
    """How one run is getting on."""

    state: str
    """A state of :meth:`labwright.runs.run.Run.state`, or what the scheduler adds: queued, held, resuming, cancelled, unknown."""
    jobs: tuple[str, ...] = ()
    """The scheduler's ids of the jobs that work on it, or did."""
    scheduler: str = ""
    """What the scheduler says of its tasks: ``2 running, 5 queued``."""
    reason: str = ""
    host: str = ""


def look(jobs: Iterable[Submitted]) -> list[Placed]:
    """Ask the schedulers about the tasks of these jobs, each scheduler once; no answer is the state ``unknown``.

    A job whose runs are complete is done, whatever a scheduler still knows of it.
    """
    queued = [job for job in jobs if job.id]
    open_ones = [job for job in queued if not all((task.run / "done.json").exists() for task in job.tasks)]
    seen: dict[str, Seen] = {}
    for kind in dict.fromkeys(job.kind for job in open_ones):
        seen |= _poll(kind, [job for job in open_ones if job.kind == kind])
    silence = Seen("", UNKNOWN, "the scheduler says nothing of it")
    return [
        Placed(job, number, seen.get(job.key(number), silence) if job in open_ones else Seen(job.id, DONE))
        for job in queued
        for number in range(len(job.tasks))
    ]


def may_live(task: Placed) -> bool:
    """Whether a task is living, or was neither given up by ``labwright cancel`` nor seen to fail since the scheduler says nothing of it."""
    if task.seen.state != UNKNOWN:
        return task.is_living
    if task.job.is_cancelled(task.number):
        return False
    try:
        run = Run.open(task.task.run)
    except LabwrightError:
        return True
    last = max((record["t"] for record in run.last_records().values()), default=0.0)
    return run.state() != "failed" or last < task.job.submitted_at


def placed(runs: Iterable[Run], *, earlier: bool = False) -> dict[Path, list[Placed]]:
    """By run folder (resolved) the tasks that work on it, or did.

    Args:
        runs: the runs.
        earlier: take those of all submissions, and not only of the last one that queued the run.
    """
    folders = {run.folder.resolve() for run in runs}
    jobs: list[Submitted] = []
    for parent in dict.fromkeys(folder.parent for folder in sorted(folders)):
        jobs += [job for made in submissions(parent) for job in made.jobs if job.id and folders & set(_runs(job))]
    last = {run: job.folder for job in jobs for run in _runs(job)}
    found: dict[Path, list[Placed]] = {}
    for one in look([job for job in jobs if earlier or any(last[run] == job.folder for run in _runs(job))]):
        if one.task.run in folders and (earlier or last[one.task.run] == one.job.folder):
            found.setdefault(one.task.run, []).append(one)
    return found


def standing(run: Run, tasks: Sequence[Placed] = ()) -> Standing:
    """How a run is getting on, by its files and by what the scheduler says of its tasks.

    Args:
        run: the run.
        tasks: those of its last submission; none where it was never submitted.
    """
    state = run.state()
    if not tasks:
        return Standing(state)
    ids = tuple(dict.fromkeys(one.job_id for one in tasks))
    if state in _FINAL:
        return Standing(state, ids)
    seen = telling(tasks)
    counts = Counter(one.seen.state for one in tasks)
    said = ", ".join(f"{count} {word}" if len(tasks) > 1 else word for word, count in counts.items())
    last = max((record["t"] for record in run.last_records().values()), default=None)
    now = last is not None and last >= tasks[-1].job.submitted_at
    return Standing(merged(state, seen.state, begun=last is not None, now=now), ids, said, seen.reason, seen.host)


def telling(tasks: Sequence[Placed]) -> Seen:
    """Of how the scheduler sees several tasks what says most about them all."""
    return min((one.seen for one in tasks), key=lambda seen: _TELLING.index(seen.state) if seen.state in _TELLING else len(_TELLING))


def merged(journal: str, scheduler: str, *, begun: bool, now: bool = False) -> str:
    """One word from two.

    Args:
        journal: the run's state by its files.
        scheduler: what the scheduler says.
        begun: whether a process has worked on the run.
        now: whether one has since it was submitted last.
    """
    if journal == "running" or journal in _FINAL:
        return journal
    if scheduler == HELD:
        return HELD
    if journal == "failed" and now:
        return journal
    if scheduler == QUEUED:
        return RESUMING if journal in ("stopped", "silent") else QUEUED
    if scheduler in (RUNNING, ENDING):
        # Where files are not shared nothing is heard of a process before it ends.
        return journal if journal == "silent" else RESUMING if begun and journal != "ready" else scheduler
    if journal in ("ready", "silent") and scheduler in (FAILED, CANCELLED, UNKNOWN):
        return scheduler
    return journal


def others(known: Iterable[str], kinds: Iterable[str]) -> dict[str, list[Seen]]:
    """The user's jobs that no submission is known of, by kind of scheduler.

    Args:
        known: ids of tasks and jobs that are known.
        kinds: schedulers to ask.
    """
    names = set(known)
    found: dict[str, list[Seen]] = {}
    for kind in kinds:
        seen = [one for one in _poll(kind, None).values() if one.id not in names and _job_id(one.id) not in names]
        if seen:
            found[kind] = seen
    return found


def _runs(job: Submitted) -> tuple[Path, ...]:
    return tuple(dict.fromkeys(task.run for task in job.tasks))


def _job_id(task_id: str) -> str:
    """``1234`` of ``1234_5``, ``1234_[6-9]`` and ``1234.0``."""
    return task_id.partition("_")[0].partition(".")[0]


def _poll(kind: str, jobs: Sequence[Submitted] | None) -> dict[str, Seen]:
    try:
        return launcher(kind).poll(jobs)
    except LabwrightError:
        return {}

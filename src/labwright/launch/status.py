"""How runs are getting on: the journal is the truth, what the scheduler says is a hint.

A scheduler that gives no answer, or an empty one, makes nothing dead: what only it could tell is ``unknown`` then.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from labwright.launch.job import Task
from labwright.launch.launcher import CANCELLED, ENDING, FAILED, HELD, QUEUED, RUNNING, UNKNOWN, Seen, launcher
from labwright.launch.submission import Submission, Submitted
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
    index: int
    seen: Seen

    @property
    def task(self) -> Task:
        return self.job.tasks[self.index]

    @property
    def is_living(self) -> bool:
        return self.seen.state in LIVING


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
    """Ask the schedulers about the tasks of these jobs, each scheduler once; no answer is the state ``unknown``."""
    queued = [job for job in jobs if job.id]
    seen: dict[str, Seen] = {}
    for kind in dict.fromkeys(job.kind for job in queued):
        seen |= _poll(kind, [job for job in queued if job.kind == kind])
    unseen = Seen("", UNKNOWN, "the scheduler says nothing of it")
    return [Placed(job, index, seen.get(job.key(index), unseen)) for job in queued for index in range(len(job.tasks))]


def latest(submissions: Iterable[Submission], folders: Iterable[Path] | None = None) -> list[Submitted]:
    """The jobs that count: for each run those of the last submission that queued it.

    Args:
        submissions: oldest first.
        folders: only jobs of these runs; of all by default.
    """
    wanted = None if folders is None else set(folders)
    last: dict[Path, Path] = {}
    jobs = [job for made in submissions for job in made.jobs if job.id]
    for job in jobs:
        last |= {task.run: job.folder for task in job.tasks}
    return [job for job in jobs if any(last[task.run] == job.folder and (wanted is None or task.run in wanted) for task in job.tasks)]


def by_run(placed: Iterable[Placed]) -> dict[Path, list[Placed]]:
    """The tasks of each run that belong to its last submission, in the order in which they were submitted."""
    found: dict[Path, list[Placed]] = {}
    for one in placed:
        found.setdefault(one.task.run, []).append(one)
    return {run: [one for one in tasks if one.job.folder == tasks[-1].job.folder] for run, tasks in found.items()}


def standing(run: Run, placed: Sequence[Placed] = ()) -> Standing:
    """How a run is getting on, by its files and by what the scheduler says of its tasks.

    Args:
        run: the run.
        placed: its tasks in its last submission; none where it was never submitted.
    """
    state = run.state()
    if not placed:
        return Standing(state)
    ids = tuple(dict.fromkeys(one.job.id for one in placed))
    if state in _FINAL:
        return Standing(state, ids)
    seen = telling(placed)
    said = ", ".join(f"{count} {word}" if len(placed) > 1 else word for word, count in Counter(one.seen.state for one in placed).items())
    return Standing(merged(state, seen.state, begun=run.attempts() > 0), ids, said, seen.reason, seen.host)


def telling(placed: Sequence[Placed]) -> Seen:
    """Of how the scheduler sees several tasks what says most about them all."""
    return min((one.seen for one in placed), key=lambda seen: _TELLING.index(seen.state) if seen.state in _TELLING else len(_TELLING))


def merged(journal: str, scheduler: str, *, begun: bool) -> str:
    """One word from two.

    Args:
        journal: the run's state by its files.
        scheduler: what the scheduler says.
        begun: whether a process has worked on the run.
    """
    if journal == "running" or journal in _FINAL:
        return journal
    if scheduler == HELD:
        return HELD
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


def _job_id(task_id: str) -> str:
    """``1234`` of ``1234_5``, ``1234_[6-9]`` and ``1234.0``."""
    return task_id.partition("_")[0].partition(".")[0]


def _poll(kind: str, jobs: Sequence[Submitted] | None) -> dict[str, Seen]:
    try:
        return launcher(kind).poll(jobs)
    except LabwrightError:
        return {}

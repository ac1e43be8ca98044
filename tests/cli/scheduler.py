"""A stand-in for a scheduler: it takes jobs, says of them what a test wants it to say, and does their work when it is told to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from labwright.cli.arguments import parse
from labwright.cli.commands import step
from labwright.cli.verbs import BY_NAME
from labwright.launch.job import Job, Task
from labwright.launch.launcher import CANCELLED, DONE, FAILED, QUEUED, Seen
from labwright.launch.site import Site
from labwright.launch.submission import Submission, Submitted, read, submissions
from labwright.runs.errors import FaultError, LabwrightError


class Scheduler:
    """See :class:`labwright.launch.launcher.Launcher`."""

    def __init__(self) -> None:
        self.submitted: list[tuple[Submission, list[Job], Site]] = []
        self.states: dict[str, Seen] = {}
        """By key of a task."""
        self.foreign: dict[str, Seen] = {}
        self.cancelled: list[tuple[str, tuple[int, ...] | None]] = []
        self.answers = True
        """Whether it can be reached."""
        self.tails: list[str] | None = None
        self.on_submit: Callable[[Submission], None] = lambda made: None

    def submit(self, submission: Submission, jobs: Sequence[Job], site: Site) -> None:
        for number, job in enumerate(jobs, start=100 + 10 * len(self.submitted)):
            submission.queued(job.name, str(number))
        self.submitted.append((submission, list(jobs), site))
        for job in read(submission.folder).jobs:
            for index in range(len(job.tasks)):
                self.say(job, index, QUEUED, "(Priority)")
        self.on_submit(read(submission.folder))

    def poll(self, jobs: Sequence[Submitted] | None) -> dict[str, Seen]:
        if not self.answers:
            raise FaultError("squeue gave no answer")
        if jobs is None:
            return self.foreign
        return {key: self.states[key] for job in jobs for index in range(len(job.tasks)) if (key := job.key(index)) in self.states}

    def cancel(self, job: Submitted, indices: Sequence[int] | None = None) -> None:
        if not self.answers:
            raise FaultError("scancel gave no answer")
        self.cancelled.append((job.name, None if indices is None else tuple(indices)))
        for index in range(len(job.tasks)) if indices is None else indices:
            self.say(job, index, CANCELLED)

    def tail(self, job: Submitted, index: int) -> list[str] | None:
        return self.tails

    def attach(self, job: Submitted, index: int, command: Sequence[str]) -> list[str]:
        return ["srun", f"--jobid={job.id}", *command]

    def say(self, job: Submitted, index: int, state: str, reason: str = "", host: str = "") -> None:
        """From now on this is what it says of a task."""
        self.states[job.key(index)] = Seen(f"{job.id}_{index}" if len(job.tasks) > 1 else job.id, state, reason, host, job.name)

    def say_all(self, state: str, reason: str = "", host: str = "") -> None:
        """From now on this is what it says of every task."""
        for made, _, _ in self.submitted:
            for job in read(made.folder).jobs:
                for index in range(len(job.tasks)):
                    self.say(job, index, state, reason, host)

    def work(self, made: Submission) -> None:
        """Do what was submitted, one task after another; what comes after one that fails is cancelled."""
        failed = False
        for job in made.jobs:
            for index, task in enumerate(job.tasks):
                if failed:
                    self.say(job, index, CANCELLED, "DependencyNeverSatisfied")
                    continue
                code = _payload(task)
                self.say(job, index, FAILED if code else DONE, f"exit code {code}" if code else "", "node1")
                failed = code != 0


def _payload(task: Task) -> int:
    try:
        return step.run(parse(BY_NAME["step"], [str(task.run), *task.words, "--quiet"]))
    except LabwrightError as error:
        return int(error.code)


def jobs(folder: Path) -> dict[str, Submitted]:
    """The jobs of the last submission of a folder of runs, by name."""
    return {job.name: job for job in submissions(folder)[-1].jobs}

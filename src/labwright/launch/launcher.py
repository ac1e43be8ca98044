"""What all launchers offer: put jobs into a queue, see how they are getting on, stop, show and enter them.

Each has beside it a pure function ``render(job, site, place) -> {file name: text}``. The scheduler's word is a hint: an empty or
failed answer means ``unknown``; whether a run lives is told by its journal.
"""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from labwright.runs.errors import FaultError, MissingError

if TYPE_CHECKING:
    from labwright.launch.job import Job
    from labwright.launch.site import Site
    from labwright.launch.submission import Submission, Submitted

QUEUED, HELD, RUNNING, ENDING, DONE, FAILED, CANCELLED, UNKNOWN = (
    "queued",
    "held",
    "running",
    "ending",
    "done",
    "failed",
    "cancelled",
    "unknown",
)
ANSWER_WITHIN_S = 30.0
"""How long a scheduler's tool may take; a slow answer is no answer."""


class Seen(NamedTuple):
    """How a scheduler sees one task of a job."""

    id: str
    """As the scheduler's own tools take it: ``1234``, ``1234_5``, ``1234.0``."""
    state: str
    """One of the words above."""
    reason: str = ""
    """Why it waits, is held or ended, in plain words."""
    host: str = ""
    name: str = ""
    """The job's name, for those that no submission is known of."""


class Launcher(Protocol):
    """The five things that call a scheduler's tools."""

    def submit(self, submission: Submission, jobs: Sequence[Job], site: Site) -> None:
        """Queue the jobs, whose rendered files lie in the submission's folder; each id is recorded at once."""
        ...

    def poll(self, jobs: Sequence[Submitted] | None) -> dict[str, Seen]:
        """How tasks are getting on, by ``Submitted.key(index)``; for None all of the user's jobs, by the scheduler's id."""
        ...

    def cancel(self, job: Submitted, indices: Sequence[int] | None = None) -> None:
        """Stop tasks gently: they save, and are not queued again."""
        ...

    def tail(self, job: Submitted, index: int) -> list[str] | None:
        """The command that follows a task's output where its file cannot be read here; None where it can."""
        ...

    def attach(self, job: Submitted, index: int, command: Sequence[str]) -> list[str]:
        """The command that runs another one beside a task."""
        ...


def launcher(kind: str) -> Launcher:
    """The launcher of a kind of site."""
    module = importlib.import_module(
        {"slurm": "labwright.launch.slurm", "htcondor": "labwright.launch.htcondor"}.get(kind, "labwright.launch.local")
    )
    made: Launcher = module.LAUNCHER
    return made


def render(kind: str, job: Job, site: Site, place: Path) -> Mapping[str, str]:
    """The files of a job, by name, as they will lie in the submission folder ``place``."""
    module = importlib.import_module(
        {"slurm": "labwright.launch.slurm_script", "htcondor": "labwright.launch.htcondor_submit"}.get(
            kind, "labwright.launch.local_script"
        )
    )
    files: Mapping[str, str] = module.render(job, site, place)
    return files


def order(kind: str, jobs: Sequence[Job], place: Path) -> Mapping[str, str]:
    """The files, by name, that order the jobs of a submission, where that is not said when they are queued: those of DAGMan."""
    if kind != "htcondor":
        return {}
    from labwright.launch import dagman

    return dagman.render(jobs, place)


def call(*words: str, within_s: float = ANSWER_WITHIN_S, env: Mapping[str, str] | None = None) -> str:
    """What a scheduler's tool prints.

    Raises:
        MissingError: the tool is not installed here.
        FaultError: it failed, or took too long; the message holds its words.
    """
    pipe, nothing = subprocess.PIPE, subprocess.DEVNULL
    try:
        # A group of its own: sites wrap the tools, and what a wrapper started would hold the pipes open beyond the time limit.
        process = subprocess.Popen(
            words, stdin=nothing, stdout=pipe, stderr=pipe, text=True, errors="replace", env=env, start_new_session=True
        )
    except FileNotFoundError as error:
        raise MissingError(
            f"{words[0]} is not installed here", where=" ".join(words), todo="Run this where the scheduler's tools are."
        ) from error
    try:
        said, complained = process.communicate(timeout=within_s)
    except BaseException as error:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        if not isinstance(error, subprocess.TimeoutExpired):
            raise
        raise FaultError(f"{words[0]} gave no answer within {within_s:g} s", where=" ".join(words), todo="Try again later.") from error
    if process.returncode != 0:
        lines = (complained or said).strip().splitlines()
        raise FaultError(lines[-1] if lines else f"{words[0]} failed with exit code {process.returncode}", where=" ".join(words))
    return said

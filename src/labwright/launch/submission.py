"""A submission: a folder ``<runs>/jobs/<stamp>`` with every file that was rendered, and ``submission.json`` with what became of it.

The folder is written before anything is queued, and an id as soon as the scheduler gave it. The user's state folder keeps
a list of submission folders, so that ``labwright status`` finds them all; losing it loses nothing else.
"""

from __future__ import annotations

import contextlib
import datetime
import fcntl
import json
import os
import secrets
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from labwright.launch.job import Job, Task
from labwright.parts.shares import Share
from labwright.runs import publish
from labwright.runs.errors import MissingError

FILE = "submission.json"
STAMP = "%Y%m%d-%H%M%S"
"""What the name of a submission's folder begins with: when it was submitted, in UTC."""
CANCELLED = "cancelled"
"""A file of this name in the folder tells job scripts not to queue themselves again: ``cancelled`` all, ``cancelled.<job>`` those of
one job, ``cancelled.<job>.<index>`` that of one task."""


def cancel_marks(folder: Path, job: str, index: int | str) -> tuple[Path, Path, Path]:
    """The files of which one is enough to cancel a task: that of all jobs, of its job, and its own."""
    return folder / CANCELLED, folder / f"{CANCELLED}.{job}", folder / f"{CANCELLED}.{job}.{index}"


@dataclass(frozen=True)
class Submitted:
    """A job with the id that the scheduler gave it."""

    name: str
    step: str
    tasks: tuple[Task, ...]
    id: str
    """Empty until it is queued."""
    kind: str
    folder: Path
    """The submission's."""

    @property
    def submitted_at(self) -> float:
        """Seconds since 1970, by the name of the submission's folder; 0 where that was renamed."""
        try:
            return datetime.datetime.strptime(self.folder.name[:15], STAMP).replace(tzinfo=datetime.UTC).timestamp()
        except ValueError:
            return 0.0

    def key(self, index: int) -> str:
        """Names one task among all jobs of all submissions."""
        return f"{self.folder.name}/{self.name}/{index}"

    def mark_cancelled(self, indices: Sequence[int] | None = None) -> None:
        """Tell the scripts of these tasks, or of all, not to queue themselves again."""
        whole = cancel_marks(self.folder, self.name, 0)[1]
        for mark in [whole] if indices is None else [cancel_marks(self.folder, self.name, index)[2] for index in indices]:
            with publish.disk_said(mark):
                mark.touch()

    def is_cancelled(self, index: int) -> bool:
        """Whether somebody wanted a task to end."""
        return any(mark.exists() for mark in cancel_marks(self.folder, self.name, index))


@dataclass(frozen=True)
class Submission:
    """One call of ``labwright submit``."""

    folder: Path
    site: str
    kind: str
    study: str
    argv: tuple[str, ...]
    when: str
    image: str = ""
    """The container image by digest."""
    tag: str = ""
    """The image as the site names it."""
    jobs: tuple[Submitted, ...] = ()
    findings: tuple[Mapping[str, str], ...] = ()
    """What was found out while submitting: code, severity, place, text."""

    def queued(self, name: str, id: str) -> None:
        """Record the id of a job."""
        current = read(self.folder)
        jobs = tuple(replace(job, id=id) if job.name == name else job for job in current.jobs)
        _write(replace(current, jobs=jobs))

    @property
    def cancelled(self) -> bool:
        return (self.folder / CANCELLED).exists()


def begin(
    runs: Path,
    *,
    site: str,
    kind: str,
    study: str,
    jobs: Sequence[Job],
    image: str = "",
    tag: str = "",
    findings: Iterable[Mapping[str, str]] = (),
) -> Submission:
    """Make the folder of a new submission; nothing is queued yet."""
    folder = new_folder(runs)
    made = Submission(
        folder=folder,
        site=site,
        kind=kind,
        study=study,
        argv=tuple(sys.argv),
        when=datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds"),
        image=image,
        tag=tag,
        jobs=tuple(Submitted(job.name, job.step, job.tasks, "", kind, folder) for job in jobs),
        findings=tuple(findings),
    )
    _write(made)
    _remember(folder)
    return made


def new_folder(runs: Path) -> Path:
    """An empty folder of its own below ``<runs>/jobs``."""
    while True:
        stamp = datetime.datetime.now(datetime.UTC).strftime(STAMP)
        folder = runs / "jobs" / f"{stamp}-{secrets.token_hex(2)}"
        with publish.disk_said(folder), contextlib.suppress(FileExistsError):
            folder.mkdir(parents=True)
            return folder


def read(folder: Path) -> Submission:
    """The submission in ``folder``.

    Raises:
        MissingError: there is none, or its file cannot be read as one.
    """
    try:
        content = json.loads((folder / FILE).read_text(encoding="utf-8"))
        jobs = tuple(
            Submitted(job["name"], job["step"], tuple(_task(task, folder) for task in job["tasks"]), job["id"], content["kind"], folder)
            for job in content["jobs"]
        )
        texts = {name: str(content[name]) for name in ("site", "kind", "study", "when", "image", "tag")}
        return Submission(folder=folder, argv=tuple(content["argv"]), jobs=jobs, findings=tuple(content["findings"]), **texts)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise MissingError("this is not the folder of a submission", where=str(folder)) from error


def submissions(runs: Path) -> list[Submission]:
    """All submissions of a folder of runs, oldest first; what cannot be read is passed over."""
    found = []
    for path in sorted((runs / "jobs").glob(f"*/{FILE}")):
        with contextlib.suppress(MissingError):
            found.append(read(path.parent))
    return sorted(found, key=lambda made: made.when)


def everywhere() -> list[Submission]:
    """All submissions of this user that still exist, oldest first."""
    found, dead = [], []
    for line in dict.fromkeys(_lines()):
        try:
            found.append(read(Path(line)))
        except MissingError:
            if _is_gone(Path(line)):
                dead.append(line)
    if dead:
        _forget(dead)
    return found


def _write(submission: Submission) -> None:
    content: dict[str, Any] = {
        "site": submission.site,
        "kind": submission.kind,
        "study": submission.study,
        "when": submission.when,
        "argv": list(submission.argv),
        "image": submission.image,
        "tag": submission.tag,
        "findings": [dict(one) for one in submission.findings],
        "jobs": [
            {"name": job.name, "step": job.step, "id": job.id, "tasks": [_plain(task, submission.folder) for task in job.tasks]}
            for job in submission.jobs
        ],
    }
    publish.write_json(submission.folder / FILE, content, "submission")


def _plain(task: Task, folder: Path) -> dict[str, Any]:
    # Relative, so that runs which were moved with their submissions are still found.
    return {"run": os.path.relpath(task.run, folder), "share": str(task.share) if task.share else "", "finish": task.finish}


def _task(plain: Mapping[str, Any], folder: Path) -> Task:
    run = Path(os.path.normpath(folder / plain["run"]))
    return Task(run, Share.parse(plain["share"]) if plain["share"] else None, bool(plain["finish"]))


def _index() -> Path:
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "labwright" / "submissions"


def _lines() -> list[str]:
    try:
        return _index().read_text(encoding="utf-8").splitlines()
    except OSError:
        return []


def _remember(folder: Path) -> None:
    # A home that cannot be written only costs the overview over all studies.
    with contextlib.suppress(OSError):
        _index().parent.mkdir(parents=True, exist_ok=True)
        with _index().open("a", encoding="utf-8") as stream:
            with contextlib.suppress(OSError):  # a file system without locks
                fcntl.flock(stream, fcntl.LOCK_EX)
            stream.write(f"{folder.resolve()}\n")


def _is_gone(folder: Path) -> bool:
    """Whether somebody removed a submission: it is not there, but the folder that held the runs is, so no disk is away."""
    return not folder.exists() and len(folder.parents) > 2 and folder.parents[2].is_dir()


def _forget(dead: Sequence[str]) -> None:
    """Take lines out of the list; where it cannot be locked or written they stay and do no harm."""
    with contextlib.suppress(OSError), _index().open("r+", encoding="utf-8") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        kept = [line for line in stream.read().splitlines() if line not in dead]
        stream.seek(0)
        stream.write("".join(f"{line}\n" for line in kept))
        stream.truncate()

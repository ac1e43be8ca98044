"""All jobs ever submitted at a glance: of those that were seen to be over a note is kept, so that no scheduler is asked for ever."""

from __future__ import annotations

import contextlib
import datetime
import json
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from labwright.launch.launcher import CANCELLED, DONE, FAILED, UNKNOWN, Seen
from labwright.launch.status import Placed, look
from labwright.launch.submission import Submission, Submitted
from labwright.runs import publish
from labwright.runs.errors import LabwrightError

ASKED_DAYS = 30
"""Of jobs that were submitted earlier and never seen to be over nobody is asked any more."""
_SURE_AFTER_S = 86400.0
"""So long after a job was first seen to be over it is still asked about: a scheduler may queue it once more."""
_OVER = (DONE, FAILED, CANCELLED)


def overview(submissions: Iterable[Submission]) -> tuple[list[Placed], int]:
    """The tasks of all jobs of these submissions, and how many jobs are so old that nobody was asked about them."""
    asked: list[Submitted] = []
    found: list[Placed] = []
    unasked = 0
    for made in submissions:
        age = datetime.datetime.now(datetime.UTC) - datetime.datetime.fromisoformat(made.when)
        for job in (job for job in made.jobs if job.id):
            seen = _noted(job)
            if seen and time.time() - _note(job).stat().st_mtime > _SURE_AFTER_S:
                found += _tasks(job, seen)
            elif not seen and age.days >= ASKED_DAYS and not all((task.run / "done.json").exists() for task in job.tasks):
                unasked += 1
            else:
                asked.append(job)
    by_job: dict[Submitted, list[Placed]] = {}
    for one in look(asked):
        by_job.setdefault(one.job, []).append(one)
    for job, tasks in by_job.items():
        found += _kept(job, tasks)
    return found, unasked


def _kept(job: Submitted, tasks: list[Placed]) -> list[Placed]:
    """The tasks as they were seen now, or where nothing was seen as they were seen to be over; a note is kept of that."""
    seen = _noted(job)
    if all(one.seen.state in _OVER for one in tasks):
        if not seen:
            # In the folder of somebody else no note can be left.
            with contextlib.suppress(LabwrightError, OSError):
                publish.write_json(_note(job), [list(one.seen) for one in tasks], "submission")
    elif seen and any(one.is_living for one in tasks):
        with contextlib.suppress(OSError):
            _note(job).unlink()
    elif seen and all(one.seen.state == UNKNOWN for one in tasks):
        return _tasks(job, seen)
    return tasks


def _tasks(job: Submitted, seen: Sequence[Seen]) -> list[Placed]:
    return [Placed(job, number, one) for number, one in enumerate(seen)]


def _note(job: Submitted) -> Path:
    return job.folder / f"over.{job.name}.json"


def _noted(job: Submitted) -> list[Seen]:
    """How each task was when all were over; empty where they were never seen so."""
    try:
        seen = [Seen(*map(str, words)) for words in json.loads(_note(job).read_text(encoding="utf-8"))]
    except (OSError, ValueError, TypeError):
        return []
    return seen if len(seen) == len(job.tasks) else []

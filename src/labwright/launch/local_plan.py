"""What a queue on this machine has to know of the jobs of a submission, beside their scripts: ``queue.json`` in its folder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from labwright.launch.job import Job
from labwright.launch.site import Site
from labwright.launch.submission import Submitted
from labwright.runs.errors import MissingError
from labwright.runs.publish import write_json

FILE = "queue.json"


def gpus(job: Job) -> int:
    """How many GPUs a task gets; -1 means one where there is any, for what one makes faster and nobody gave a number for."""
    return job.resources.gpus if job.resources.gpus is not None else (-1 if job.gpu else 0)


def write_plan(folder: Path, jobs: Sequence[Job], site: Site) -> None:
    """Write the plan of these jobs."""
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
    write_json(folder / FILE, plan, "submission")


def read_plan(folder: Path) -> dict[str, Any]:
    """The plan of the submission in ``folder``.

    Raises:
        MissingError: there is none.
    """
    try:
        plan: dict[str, Any] = json.loads((folder / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise MissingError("this is no submission for a queue on this machine", where=str(folder)) from error
    return plan


def output(job: Submitted, index: int) -> Path:
    """Where a task's script prints to, attempt after attempt."""
    number = f"_{index}" if len(job.tasks) > 1 else ""
    return job.tasks[index].run / "jobs" / f"local-{job.folder.name}-{job.name}{number}.out"

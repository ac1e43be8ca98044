"""The files of a submission for whoever wants to send them: the same text, the run folders, and the lines to type."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from labwright.launch import dagman, submission
from labwright.launch.job import Job
from labwright.launch.prepare import Prepared, create_runs, taken, write
from labwright.launch.slurm import dependency
from labwright.study.messages import listed


def export(prepared: Prepared, to: str, folder: Path | None = None) -> tuple[Path, list[str], list[str]]:
    """Write job files, and make the run folders that they work on; nothing is queued.

    Args:
        prepared: what ``submit`` would queue.
        to: ``sbatch``, ``condor`` or ``dagman``.
        folder: where the files go; a new folder below ``<runs>/jobs`` by default.

    Returns:
        The folder, the names of the files, and the lines that send them.

    Raises:
        Busy: a run is queued or being worked on.
    """
    if not prepared.jobs:
        return prepared.place, [], []
    if error := taken(prepared):
        raise error
    place = folder.resolve() if folder else submission.new_folder(prepared.runs)
    texts = prepared.texts(place)
    if to == "condor":
        texts = {name: text for name, text in texts.items() if name not in (dagman.FILE, dagman.READY)}
    create_runs(prepared)
    for run in {run for job in prepared.jobs for run in job.runs}:
        # Schedulers end a job without a word whose output cannot be opened, or whose files to take along are missing.
        for name in ("jobs", "journal"):
            (run / name).mkdir(exist_ok=True)
    write(texts, place)
    return place, list(texts), _lines(prepared.jobs, to, place)


def _lines(jobs: Sequence[Job], to: str, place: Path) -> list[str]:
    if to == "sbatch":
        # The ids that Slurm gives are known to the shell alone.
        ids = {job.name: "$" + job.name.replace("-", "_") for job in jobs}
        words = {job.name: " ".join(["--parsable", *dependency(job, ids), shlex.quote(str(place / f"{job.name}.sbatch"))]) for job in jobs}
        return [f"{ids[name][1:]}=$(sbatch {text})" for name, text in words.items()]
    if to == "dagman" and len(jobs) > 1:
        return [f"condor_submit_dag -usedagdir {shlex.quote(str(place / 'study.dag'))}"]
    lines = []
    for job in jobs:
        if job.after:
            lines.append(f"# when {listed(after.job for after in job.after)} ended well:")
        lines.append(f"condor_submit {shlex.quote(str(place / f'{job.name}.sub'))}")
    return lines

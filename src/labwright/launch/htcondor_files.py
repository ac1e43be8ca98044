"""What travels with a job where the file system is not shared, and where it lies in the job's own folder on the machine that works.

HTCondor lays everything side by side in that folder: run folders, so that each finds its inputs next to it, and folders of raw data.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from labwright.launch.job import Job, Task
from labwright.launch.site import Site
from labwright.runs.errors import CommandError, StudyError
from labwright.study.elsewhere import moved

SANDBOX = "$_CONDOR_SCRATCH_DIR"
"""The job's own folder on the machine that works, for the shell there."""

SIGNS = ',;"$\n'
"""Signs that mean something in a submit description; ``:`` and ``=`` do in LABWRIGHT_PATHS, which tells where raw data went."""


def travels_whole(job: Job, site: Site) -> bool:
    """Whether run folders go there and back as they are.

    Several shares of a run come home at different times: each takes only the description and the journals along, and brings
    only what it made. Of a run that is kept on the execute side only the description is needed.
    """
    return job.tasks[0].share is None and not kept_there(job, site)


def kept_there(job: Job, site: Site) -> bool:
    """Whether whole runs stay on the execute side."""
    return bool(site.runs_root) and job.tasks[0].verb == "step"


def checkpoints(job: Job, site: Site) -> bool:
    """Whether the job's own folder is all that holds what it has done so far, so that HTCondor has to keep it."""
    return not site.shared_files and not kept_there(job, site) and job.tasks[0].verb == "step"


def runs_folder(job: Job) -> Path:
    """The folder of runs here, from which names in a submit description count.

    Raises:
        CommandError: HTCondor cannot be given its name.
    """
    folder = job.tasks[0].run.parent
    refuse_signs(folder)
    return folder


def transferred(job: Job, task: Task, site: Site) -> list[str]:
    """The names of ``transfer_input_files`` for a task, from the folder of runs.

    Raises:
        CommandError: a folder has a name that HTCondor would take apart.
        StudyError: two folders have one name, or the runs lie within the raw data.
    """
    runs, name = runs_folder(job), task.run.name
    if travels_whole(job, site):
        own = [name]
    elif kept_there(job, site):
        own = [f"{name}/step.json"]
    else:
        own = [f"{name}/step.json", f"{name}/journal"]
    inputs = () if kept_there(job, site) else job.inputs_of(task.run)
    raw = raw_that_travels(job, site)
    for folder in raw:
        if runs.is_relative_to(folder):
            raise StudyError(
                "the folder of runs lies within the raw data, all of which would travel with each job",
                where=str(folder),
                todo="Put runs elsewhere with --runs DIR or run.folder.",
            )
    given = [*inputs, *raw]
    refuse_signs(*inputs)
    refuse_signs(*raw, signs=f"{SIGNS}:=")
    _refuse_twins([task.run, *given])
    return own + [folder.name if folder.parent == runs else str(folder) for folder in given]


def raw_that_travels(job: Job, site: Site) -> list[Path]:
    """Folders of raw data that the execute side does not have; one within another goes with that."""
    wanted = [folder for folder in job.raw if moved(str(folder), site.data_root) == str(folder)]
    return [folder for folder in wanted if not any(other in folder.parents for other in wanted)]


def places(job: Job, site: Site) -> dict[str, str]:
    """``data_root`` as the job needs it: that of the site, and the raw data that travel."""
    if site.shared_files:
        return dict(site.data_root)
    return {**site.data_root, **{str(folder): f"{SANDBOX}/{folder.name}" for folder in raw_that_travels(job, site)}}


def refuse_signs(*folders: Path, signs: str = SIGNS) -> None:
    """Refuse names that a submit description cannot hold.

    Raises:
        CommandError: it names the folder and the sign.
    """
    for folder in folders:
        if found := re.search(f"[{signs}]", os.fspath(folder)):
            raise CommandError(
                f"HTCondor cannot be given a folder with {found[0]!r} in its name", where=str(folder), todo="Rename it, or use --runs DIR."
            )


def _refuse_twins(folders: Iterable[Path]) -> None:
    seen: dict[str, Path] = {}
    for folder in folders:
        other = seen.setdefault(folder.name, folder)
        if other != folder:
            raise StudyError(
                f"two folders named {folder.name} would lie at one place on the machine that works: {other} and this",
                where=str(folder),
                todo="Rename one, or put both into one folder that the study names.",
            )

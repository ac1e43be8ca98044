"""A study, or the rows of a sweep, made ready for a site: refusals, jobs, pinned image, the text of every file; then queued.

Whatever ``labwright run`` would refuse is refused here, before anything is written. Whether a run is taken by a job or a process is
looked at last, while no other process submits.
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from labwright.data.findings import Finding
from labwright.launch import hello, registry, submission
from labwright.launch.alone import alone
from labwright.launch.compose import Row, compose
from labwright.launch.job import Job
from labwright.launch.launcher import launcher, order, render
from labwright.launch.site import Site, load_site, need
from labwright.launch.status import Placed, may_live, placed
from labwright.parts.claims import Busy, busy
from labwright.parts.conduct import unasked
from labwright.runs.errors import LabwrightError
from labwright.runs.run import Run
from labwright.study.plan import Planned, create, runs_folder
from labwright.study.resolve import Study

STAMP = "STAMP"
"""Stands for the name of a submission's folder in files that are only shown."""


@dataclass(frozen=True)
class Prepared:
    """What would be queued."""

    rows: tuple[Row, ...]
    jobs: tuple[Job, ...]
    site: Site
    """With its container's image by digest."""
    runs: Path
    """The folder of runs."""
    tag: str = ""
    """The image as the site names it, where that is not the digest."""
    findings: tuple[Finding, ...] = ()

    @property
    def place(self) -> Path:
        """Where the files of a submission go, but for a word that stands for the time of day."""
        return self.runs / "jobs" / STAMP

    def texts(self, place: Path | None = None) -> dict[str, str]:
        """The files of all jobs by name, as they will lie in the folder ``place`` of a submission."""
        found: dict[str, str] = {}
        for job in self.jobs:
            found |= render(self.site.kind, job, self.site, place or self.place)
        return {**found, **order(self.site.kind, self.jobs, place or self.place)}

    @property
    def planned(self) -> list[Planned]:
        """The runs that the jobs work on, each once."""
        wanted = {run for job in self.jobs for run in job.runs}
        return list({one.folder: one for _, plan in self.rows for one in plan if one.folder in wanted}.values())


def site_of(name: str | None, study: Study) -> Site:
    """The site of ``--on``, or that which the study names.

    Raises:
        MissingError: there is no such site; those that are there are named.
    """
    return load_site(name or study.run.on.kind, study.folder)


def prepare(rows: Sequence[Row], site: Site, *, step: str | None = None, runs: Path | None = None) -> Prepared:
    """Refuse what has to be refused, and compose the jobs.

    Args:
        rows: one planned study, or those of a sweep; all for the same folder of runs.
        site: where they shall run.
        step: the step that was asked for; trainings start only for its sake.
        runs: ``--runs``.

    Raises:
        MissingError: a training that nobody asked for would have to start; or the registry of the image cannot be reached.
        DataError: a gate is closed, or a complete run can no longer be used.
    """
    for study, plan in rows:
        for planned in plan:
            if error := unasked(planned, study, step, runs):
                raise error
    made = Prepared(tuple(rows), tuple(compose(rows, site)), site, runs_folder(rows[0][0], runs))
    return _pinned(made) if made.jobs else made


def prepare_hello(site: Site, runs: Path) -> Prepared:
    """One small job that looks at a machine of the site; its answer goes to a folder of its own beside the submissions."""
    folder = runs.resolve() / "jobs" / f"hello-{secrets.token_hex(4)}"
    return _pinned(Prepared((), (hello.job(site, folder),), site, runs.resolve()))


def create_runs(prepared: Prepared) -> None:
    """Make the run folders that the jobs work on; threads follow the cores of the job where the study leaves them open."""
    cores = {run: job.resources.cpus for job in prepared.jobs for run in job.runs}
    for study, plan in prepared.rows:
        for planned in plan:
            if planned.folder in cores:
                on = study.run.on
                threads = on.threads or cores[planned.folder] or 0
                told = study.run.model_copy(update={"on": on.model_copy(update={"threads": threads})})
                create(planned, replace(study, run=told))


def begin(prepared: Prepared) -> submission.Submission:
    """Write the run folders and the submission's folder; nothing is queued yet."""
    create_runs(prepared)
    made = submission.begin(
        prepared.runs,
        site=prepared.site.name,
        kind=prepared.site.kind,
        study=str(prepared.rows[0][0].path) if prepared.rows else "",
        jobs=prepared.jobs,
        image=prepared.site.container.image,
        tag=prepared.tag,
        findings=[finding._asdict() for finding in prepared.findings],
    )
    write(prepared.texts(made.folder), made.folder)
    return made


@contextmanager
def begun(prepared: Prepared) -> Iterator[submission.Submission]:
    """A submission that is begun; until the block is left nobody else submits to the folder of runs.

    Where the block fails, run folders that this made are removed again, but for those that a job or a process has.

    Raises:
        Busy: a run is queued or being worked on, or another process is submitting.
    """
    with alone(prepared.runs):
        if error := taken(prepared):
            raise error
        new = [one.folder for one in prepared.planned if not one.folder.exists()]
        made = None
        try:
            made = begin(prepared)
            yield made
        except BaseException:
            has_job = {task.run for job in (submission.read(made.folder).jobs if made else ()) if job.id for task in job.tasks}
            _remove_unused([folder for folder in new if folder not in has_job])
            raise


def queue(prepared: Prepared, made: submission.Submission) -> submission.Submission:
    """Hand the jobs of a submission to the scheduler.

    Raises:
        LabwrightError: it refused; the error says which jobs are queued all the same.
    """
    try:
        launcher(made.kind).submit(made, prepared.jobs, prepared.site)
    except LabwrightError as error:
        ids = [job.id for job in submission.read(made.folder).jobs if job.id]
        if ids:
            error.todo = " ".join(filter(None, [error.todo, f"Queued are already: {', '.join(ids)}; `labwright cancel` stops them."]))
        raise
    return submission.read(made.folder)


def write(texts: dict[str, str], folder: Path) -> None:
    """Write rendered files; scripts may be executed."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        path = folder / name
        path.write_text(text, encoding="utf-8")
        if text.startswith("#!"):
            path.chmod(0o755)


def _pinned(prepared: Prepared) -> Prepared:
    """The same with the container's image by digest."""
    site = prepared.site
    image = need(site.container.image, "container.image", site)
    if not image:
        return prepared
    pinned, finding = registry.pinned(image, _recorded(image, prepared.runs))
    held = site.model_copy(update={"container": site.container.model_copy(update={"image": pinned})})
    return replace(prepared, site=held, tag=image if image != pinned else "", findings=(finding,) if finding else ())


def _remove_unused(folders: Sequence[Path]) -> None:
    for folder in folders:
        if not any((folder / "journal").glob("*")):
            shutil.rmtree(folder, ignore_errors=True)


def taken(prepared: Prepared) -> Busy | None:
    """Why the jobs cannot be queued now: a job has one of their runs already, or may have it, or a process works on it."""
    begun = [one.run for one in prepared.planned if (one.folder / "step.json").is_file()]
    had_by = placed(begun, earlier=True)
    for run in begun:
        tasks = had_by.get(run.folder.resolve(), [])
        if living := [task for task in tasks if task.is_living]:
            return _taken(run, living)
        if run.state() == "running":
            return busy(run)
        if unheard := [task for task in tasks if may_live(task)]:
            return _unheard(run, unheard)
    return None


def _taken(run: Run, tasks: Sequence[Placed]) -> Busy:
    ids = list(dict.fromkeys(task.job.id for task in tasks))
    return Busy(
        f"job {', '.join(ids)} has this run already; it is {tasks[0].seen.state}",
        where=run.name,
        todo=f"Wait for it, or stop it with `labwright cancel {' '.join(ids)}`, then submit again; nothing was touched.",
    )


def _unheard(run: Run, tasks: Sequence[Placed]) -> Busy:
    ids = list(dict.fromkeys(task.job.id for task in tasks))
    return Busy(
        f"job {', '.join(ids)} may still have this run; the scheduler says nothing of it",
        where=run.name,
        todo=f"`labwright cancel {' '.join(ids)}` gives it up, whether it lives or not; then submit again. Nothing was touched.",
    )


def _recorded(image: str, runs: Path) -> str | None:
    """The digest that the latest submission had for an image."""
    known = [*submission.everywhere(), *submission.submissions(runs)]
    return next((made.image for made in sorted(known, key=lambda one: one.when, reverse=True) if image == made.tag), None)

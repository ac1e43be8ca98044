"""Slurm by its command-line tools: ``sbatch``, ``squeue``, ``sacct``, ``scontrol``, ``scancel``, ``srun``.

What they say is a hint. ``squeue`` is asked once for all jobs; ``sacct``, which may be slow, absent or behind, only for those that the
queue no longer has; where neither knows anything, the state is ``unknown``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from labwright.launch import slurm_state
from labwright.launch.job import Job
from labwright.launch.launcher import CANCELLED, QUEUED, RUNNING, UNKNOWN, Seen, call
from labwright.launch.site import Site
from labwright.launch.submission import CANCELLED as CANCEL_MARK
from labwright.launch.submission import Submission, Submitted, cancel_marks
from labwright.runs import publish
from labwright.runs.errors import Exit, FaultError, LabwrightError, MissingError, StudyError

SUBMIT_WITHIN_S = 120.0
"""How long sbatch may take. A controller under load is slow, and a job whose id was not heard is hard to find again."""
ACCOUNTING_WITHIN_S = 20.0
SIGNAL_WITHIN_S = 3.0
_NOBODY = "neither Slurm's queue nor its accounting knows it"


class Slurm:
    """See :class:`labwright.launch.launcher.Launcher`."""

    def submit(self, submission: Submission, jobs: Sequence[Job], site: Site) -> None:
        """Queue the jobs, each after those that it needs; all, or none.

        Raises:
            MissingError: sbatch is not installed here.
            LabwrightError: Slurm refused a job; those queued before it are cancelled.
        """
        ids: dict[str, str] = {}
        try:
            for job in jobs:
                for run in job.runs:
                    # Slurm ends a job without a word whose output cannot be opened.
                    with publish.disk_said(run / "jobs"):
                        (run / "jobs").mkdir(parents=True, exist_ok=True)
                ids[job.name] = _sbatch(submission.folder / f"{job.name}.sbatch", dependency(job, ids))
                submission.queued(job.name, ids[job.name])
                _check_reservation(ids[job.name], job.queue.reservation, site)
        except BaseException as error:
            taken = _take_back(submission, ids)
            if isinstance(error, LabwrightError) and ids and taken:
                error.todo = f"{error.todo} What was queued before it is cancelled again.".strip()
            raise

    def poll(self, jobs: Sequence[Submitted] | None) -> dict[str, Seen]:
        """How tasks are getting on; see :meth:`Launcher.poll`.

        Raises:
            LabwrightError: squeue gave no answer to the question for all jobs.
        """
        if jobs is None:
            return slurm_state.queue(_squeue("--me"))
        wanted = {job.key(index): (job, index, task_id(job, index)) for job in jobs if job.id for index in range(len(job.tasks))}
        queue, why = _queue([job.id for job in jobs if job.id])
        ended = [id for _, _, id in wanted.values() if slurm_state.of_task(queue, id) is None]
        book, why_not = _book(ended)
        seen = {}
        for key, (job, index, id) in wanted.items():
            seen[key] = slurm_state.of_task(queue, id) or slurm_state.of_task(book, id) or Seen(id, UNKNOWN, why or why_not or _NOBODY)
            if job.is_cancelled(index):
                seen[key] = _as_asked(seen[key])
        return seen

    def cancel(self, job: Submitted, indices: Sequence[int] | None = None) -> None:
        """Stop tasks gently: what waits is taken out of the queue; what runs is told to save and ends by itself.

        What was told so before, and still runs, is ended by Slurm.

        Raises:
            LabwrightError: Slurm gave no answer; the tasks will not be queued again all the same.
        """
        chosen = range(len(job.tasks)) if indices is None else indices
        told = {index for index in chosen if any(mark.exists() for mark in cancel_marks(job.folder, job.name, index)[1:])}
        job.mark_cancelled(indices)
        states = _states(job)
        saving = [index for index in chosen if states.get(index) == RUNNING and index not in told]
        ending = [index for index in chosen if index in states and index not in saving]
        # What waits goes first: a task may begin in between, and then finds its mark.
        if ending:
            call("scancel", _ids(job, ending))
        if saving:
            _tell_to_save(job, saving, others_wait=any(state == QUEUED for index, state in states.items() if index not in chosen))

    def tail(self, job: Submitted, index: int) -> list[str] | None:
        """None: output files lie in the run folder, which is seen from everywhere."""
        return None

    def attach(self, job: Submitted, index: int, command: Sequence[str]) -> list[str]:
        """The command that runs another one on the first node of a running task, beside it.

        Raises:
            MissingError: the task does not run.
        """
        id = task_id(job, index)
        rows = [line.split("|") for line in _squeue(f"--jobs={id}", form="%A|%T").splitlines()]
        running = [row[0] for row in rows if len(row) == 2 and row[1] == "RUNNING"]
        if not running:
            raise MissingError(f"job {id} does not run", where=job.name, todo="`labwright status` tells why.")
        # A task of an array has a number of its own behind its name; srun takes only that.
        return ["srun", "--overlap", f"--jobid={running[0]}", "--nodes=1", "--ntasks=1", "--mpi=none", "--pty", *command]


LAUNCHER = Slurm()


def task_id(job: Submitted, index: int) -> str:
    """The id of a task as Slurm's tools take it."""
    return f"{job.id}_{index}" if len(job.tasks) > 1 else job.id


def _sbatch(script: Path, dependency: Sequence[str]) -> str:
    try:
        answer = call("sbatch", "--parsable", *dependency, str(script), within_s=SUBMIT_WITHIN_S, env=_environment())
    except FaultError as error:
        raise FaultError(
            f"Slurm refused the job {script.stem}: {error.what.removeprefix('sbatch: error: ')}", where=str(script), todo=error.todo
        ) from error
    # With several clusters the name of the one follows; sites print greetings before.
    lines = answer.split()
    id = lines[-1].partition(";")[0] if lines else ""
    if not id.isdecimal():
        raise FaultError(f"sbatch named no job id, but said {answer.strip()!r}", where=str(script))
    return id


def dependency(job: Job, ids: Mapping[str, str]) -> list[str]:
    """Options for the command line: ids are not known before."""
    kinds = {
        "afterok": [ids[after.job] for after in job.after if not after.each],
        "aftercorr": [ids[after.job] for after in job.after if after.each],
    }
    text = ",".join(f"{kind}:{':'.join(found)}" for kind, found in kinds.items() if found)
    return [f"--dependency={text}", "--kill-on-invalid-dep=yes"] if text else []


def _environment() -> dict[str, str]:
    """The environment without what tells of a job from within which this one is submitted; it would pass for the new job's."""
    kept = ("SLURM_CONF", "SLURM_CLUSTERS")
    return {name: value for name, value in os.environ.items() if not name.startswith("SLURM_") or name in kept}


def _check_reservation(id: str, reservation: str, site: Site) -> None:
    """Some sites' submit filters drop a reservation without a word; the job would wait with all others then."""
    if not reservation:
        return
    try:
        text = call("scontrol", "--oneliner", "show", "job", id)
    except LabwrightError:
        return
    if f"Reservation={reservation}" not in text.split():
        raise StudyError(
            f"Slurm took job {id}, but not into the reservation {reservation}",
            where=f"sites/{site.name}.yaml",
            todo="`scontrol show reservation` lists those that there are, and who may use them.",
        )


def _take_back(submission: Submission, ids: Mapping[str, str]) -> bool:
    """Cancel what is queued already of a submission that was refused in its middle; what cannot be cancelled stays recorded."""
    with suppress(LabwrightError, OSError):
        (submission.folder / CANCEL_MARK).touch()
        # One may be queued whose id was not heard: it is known by its script.
        rows = [line.partition("|") for line in _squeue("--me", form="%A|%o").splitlines()]
        unheard = [id for id, _, script in rows if Path(script.strip()).parent == submission.folder]
        if unheard or ids:
            call("scancel", *dict.fromkeys([*ids.values(), *unheard]))
        for name in ids:
            submission.queued(name, "")
        return True
    return False


def _queue(ids: Sequence[str]) -> tuple[dict[str, Seen], str]:
    """What the queue has of these jobs, by task; and why nothing is known of them, where that is so."""
    if not ids:
        return {}, ""
    try:
        return slurm_state.by_task(slurm_state.queue(_squeue(f"--jobs={','.join(dict.fromkeys(ids))}"))), ""
    except LabwrightError as error:
        return {}, f"squeue gave no answer: {error.what}"


def _book(ids: Sequence[str]) -> tuple[dict[str, Seen], str]:
    """What the accounting has of these tasks; and why it says nothing."""
    if not ids:
        return {}, ""
    jobs = ",".join(dict.fromkeys(id.partition("_")[0] for id in ids))
    fields = ",".join(slurm_state.BOOK_FIELDS)
    try:
        text = call(
            "sacct", "--noheader", "--parsable2", "--allocations", f"--jobs={jobs}", f"--format={fields}", within_s=ACCOUNTING_WITHIN_S
        )
    except LabwrightError as error:
        return {}, f"the queue no longer has it, and the accounting gives no answer: {error.what}"
    return slurm_state.by_task(slurm_state.book(text)), ""


def _states(job: Submitted) -> dict[int, str]:
    """The states of the tasks of a job that are in the queue."""
    queue = slurm_state.by_task(slurm_state.queue(_squeue(f"--jobs={job.id}")))
    seen = {index: slurm_state.of_task(queue, task_id(job, index)) for index in range(len(job.tasks))}
    return {index: one.state for index, one in seen.items() if one}


def _ids(job: Submitted, indices: Sequence[int]) -> str:
    """Tasks of one job as Slurm's tools take them: one word is one question, and thousands of ids are thousands."""
    return f"{job.id}_[{','.join(map(str, indices))}]" if len(job.tasks) > 1 else job.id


def _tell_to_save(job: Submitted, indices: Sequence[int], *, others_wait: bool) -> None:
    """Send USR1 to the batch shells of running tasks.

    Where other tasks of the array still wait, the controller hands the signal on and says all the same that it could not (Slurm 22.05),
    and scancel would go on trying for half a minute.
    """
    try:
        call("scancel", "--batch", "--signal=USR1", _ids(job, indices), within_s=SIGNAL_WITHIN_S)
    except FaultError:
        states = _states(job)
        if not others_wait and any(states.get(index) == RUNNING for index in indices):
            raise


def _squeue(which: str, form: str = slurm_state.QUEUE_FORMAT) -> str:
    # Unlimited: else long lists of tasks end with an ellipsis.
    environment = {**os.environ, "SLURM_BITSTR_LEN": "0"}
    try:
        return call("squeue", "--noheader", which, f"--format={form}", env=environment)
    except FaultError as error:
        # Said of a job that ended a while ago, where only one is asked for.
        if "Invalid job id" in error.what:
            return ""
        raise


def _as_asked(seen: Seen) -> Seen:
    """A task that was to save and end, and did, has not failed; one that never began may leave no trace in the accounting."""
    if slurm_state.exit_code(seen) == Exit.AGAIN:
        return seen._replace(state=CANCELLED, reason="it was cancelled, and saved before it ended")
    if seen.state == UNKNOWN and seen.reason == _NOBODY:
        return seen._replace(state=CANCELLED, reason="it was cancelled")
    return seen

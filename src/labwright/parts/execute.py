"""Execute a run: what ``python -m labwright step RUN_FOLDER`` does, on a laptop and on a cluster alike.

All that is needed stands in the run folder. Resuming is the same call again.
"""

from __future__ import annotations

import json
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from labwright.parts.claims import claim
from labwright.parts.job import LocalJob, make_job
from labwright.parts.pool import before_log, run_parts
from labwright.parts.shares import Share
from labwright.runs import machine, publish
from labwright.runs.attempt import Attempt, attempt
from labwright.runs.errors import DataError, Exit, LabwrightError, MissingError, Stopped
from labwright.runs.faults import fault
from labwright.runs.run import Run
from labwright.runs.signals import StopFlag
from labwright.study.step import LazyStep, Part

FINISH = "0/0"
"""The share of a process that only finishes."""


def execute(
    run: Run,
    *,
    share: Share | None = None,
    finish: bool = True,
    quiet: bool = False,
    deadline: float | None = None,
    workers: int | None = None,
) -> Exit:
    """Work on the parts of ``share`` that are not done; then, where all parts are done, finish the run.

    Args:
        run: the run folder, with its ``step.json``.
        share: which parts; None for all.
        finish: whether to finish when all parts are done (an array leaves it to a job of its own).
        quiet: keep the log, show nothing.
        deadline: seconds since 1970 after which to stop as on a signal.
        workers: processes to spread the parts among, 0 for one per core; as in ``step.json`` by default.

    Returns:
        DONE; every other code comes with an error.

    Raises:
        Stopped: a signal or the deadline came, or parts wait for those of another share.
        LabwrightError: whatever a user can mend; the attempt is closed with its code.
    """
    share = share or Share()
    flag = StopFlag(deadline)
    with flag.handling(), claim(run, share):
        if _complete(run):
            return Exit.DONE
        workers = _workers(run, workers)
        before_log(workers)
        with attempt(run, share=str(share), quiet=quiet) as current, _closing(current, flag, run):
            publish.sweep(run.folder)
            step, job = make_job(
                run,
                record=current.journal.record,
                stopping=flag,
                workers=workers,
                energy=current.energy,
                terminal=current.terminal,
            )
            try:
                _work(step, job, share, finish, current, flag)
            finally:
                job.end_progress()
    return Exit.DONE


def finish_run(run: Run, *, quiet: bool = False) -> Exit:
    """Finish a run whose parts were done by other processes (``--finish``).

    Raises:
        MissingError: parts are not done yet; they are named.
    """
    flag = StopFlag()
    with flag.handling(), claim(run, None):
        if _complete(run):
            return Exit.DONE
        with attempt(run, share=FINISH, quiet=quiet) as current, _closing(current, flag, run):
            step, job = make_job(
                run, record=current.journal.record, stopping=flag, workers=1, energy=current.energy, terminal=current.terminal
            )
            parts = frozen_parts(run)
            if parts is None:
                raise MissingError("no part is done", where=run.name, todo="Run its shares, then finish.")
            results = job.results()
            missing = [part.id for part in parts if part.id not in results]
            if missing:
                names = ", ".join(missing[:5]) + (", …" if len(missing) > 5 else "")
                raise MissingError(
                    f"{len(missing)} of {len(parts)} parts are not done: {names}", where=run.name, todo="Run their shares, then finish."
                )
            try:
                _finish(step, job, current)
            finally:
                job.end_progress()
    return Exit.DONE


def frozen_parts(run: Run) -> list[Part] | None:
    """The parts fixed at the start of the run; None before that.

    Raises:
        DataError: the list was damaged.
    """
    try:
        rows = json.loads((run.folder / "parts.json").read_text(encoding="utf-8"))
        if not isinstance(rows, list):
            raise TypeError
        return [Part(row["id"], row["cost"], tuple(row["after"])) for row in rows]
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError) as error:
        raise DataError("parts.json is not a list of parts", where=str(run.folder), todo="Remove the folder and run again.") from error


def _complete(run: Run) -> bool:
    """Whether nothing is left to do; a run that can no longer be trusted is refused, lest finishing it again blesses it."""
    state = run.state()
    if state in ("stale", "damaged"):
        why = "raw files changed after they were read" if state == "stale" else "; ".join(run.verify()[:3])
        raise DataError(f"the run is {state}: {why}", where=str(run.folder), todo="Remove the folder and run again.")
    return state == "done"


def _workers(run: Run, asked: int | None) -> int:
    return (int(run.description["machine"]["workers"]) if asked is None else asked) or machine.usable_cores()


@contextmanager
def _closing(current: Attempt, flag: StopFlag, run: Run) -> Iterator[None]:
    """However the block is left, the attempt says with which code and why."""
    try:
        with publish.disk_said(run.folder):
            yield
    except LabwrightError as error:
        current.end(error.code, str(error))
        raise
    except Exception as error:
        current.note(traceback.format_exc())
        current.end(Exit.FAULT, f"{type(error).__name__}: {error}")
        raise
    current.end(Exit.DONE, flag.reason)


def _work(step: LazyStep[Any], job: LocalJob[Any], share: Share, finish: bool, current: Attempt, flag: StopFlag) -> None:
    parts = frozen_parts(job.run)
    if parts is None:
        parts = list(step.parts(job))
        publish.write_json(job.run.folder / "parts.json", [part._asdict() for part in parts], "parts")
    outcome = run_parts(step, job, share.of(parts), parts)
    if outcome.error is not None:
        raise outcome.error
    if outcome.stopped:
        raise Stopped(f"stopped early: {flag.reason}", where=job.run.name, todo="Run the same command again to go on.")
    if finish and {part.id for part in parts} <= job.results().keys():
        _finish(step, job, current)


def _finish(step: LazyStep[Any], job: LocalJob[Any], current: Attempt) -> None:
    run = job.run
    fault("finish:before")
    # Workers of a killed attempt may have lived on for a moment, and left something after the sweep at the start.
    publish.sweep(run.folder)
    job.record("finish")
    job.energy.flush()  # what the step tells of its joules comes from the journal
    with job.stage("finish"):
        figures = dict(step.finish(job))
    job.energy.flush()
    # What done.json says rests on the journal: that has to be on the disk first.
    current.journal.sync()
    findings = run.findings()
    content = {
        "fingerprint": run.fingerprint,
        "figures": figures,
        "findings": {severity: sum(one["severity"] == severity for one in findings) for severity in ("error", "warning", "note")},
        "energy": run.energy(),
        "attempts": run.attempts(),
        "began": min(record["t"] for record in run.records("start")),
        "output": publish.manifest(run.output()) if run.output().is_dir() else {},
    }
    publish.write_json(run.folder / "done.json", content, "done")
    fault("finish:after")

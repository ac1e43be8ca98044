"""Execute a run: what ``python -m labwright step RUN_FOLDER`` does, on a laptop and on a cluster alike.

All that is needed stands in the run folder. Resuming is the same call again.
"""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable
from typing import Any

from labwright.parts.claims import claim
from labwright.parts.job import LocalJob, Machine
from labwright.parts.pool import run_parts
from labwright.parts.shares import Share
from labwright.runs import publish
from labwright.runs.attempt import Attempt, attempt
from labwright.runs.energy import Energy
from labwright.runs.errors import Exit, LabwrightError, MissingError, Stopped
from labwright.runs.faults import fault
from labwright.runs.run import Run
from labwright.runs.signals import StopFlag
from labwright.study import registry
from labwright.study.step import LazyStep, Part


def execute(run: Run, *, share: Share | None = None, finish: bool = True, quiet: bool = False, deadline: float | None = None) -> Exit:
    """Work on the parts of ``share`` that are not done; then, where all parts are done, finish the run.

    Args:
        run: the run folder, with its ``step.json``.
        share: which parts; None for all.
        finish: whether to finish when all parts are done (an array leaves it to a job of its own).
        quiet: keep the log, show nothing.
        deadline: seconds since 1970 after which to stop as on a signal.

    Returns:
        The exit code: DONE, AGAIN after a stop, or the code of what went wrong.

    Raises:
        LabwrightError: whatever a user can mend; the attempt is closed with its code.
    """
    if run.state() == "done":
        return Exit.DONE
    share = share or Share()
    flag = StopFlag(deadline)
    with claim(run, share), attempt(run, share=str(share), quiet=quiet) as current, flag.handling():
        try:
            code = _attempt(run, share, finish, current, flag, quiet)
            current.end(code, flag.reason)
        except LabwrightError as error:
            current.end(error.code, str(error))
            raise
        except OSError as error:
            # A full or read-only disk is no bug; whatever is one goes on as it came.
            sentence = publish.disk_error(error, run.folder)
            current.end(Exit.FAULT, str(sentence))
            raise sentence from error
        except Exception as error:
            traceback.print_exc()
            current.end(Exit.FAULT, f"{type(error).__name__}: {error}")
            raise
        return code


def _attempt(run: Run, share: Share, finish: bool, current: Attempt, flag: StopFlag, quiet: bool) -> Exit:
    _sweep(run)
    step, job = make_job(run, record=current.journal.record, stopping=flag, quiet=quiet, energy=current.energy, terminal=current.terminal)
    try:
        parts = frozen_parts(run)
        if parts is None:
            parts = list(step.parts(job))
            publish.write_json(run.folder / "parts.json", [part._asdict() for part in parts], "parts")
        with job.stage(run.step):
            outcome = run_parts(step, job, share.of(parts), parts)
        if outcome.error is not None:
            raise outcome.error
        if outcome.stopped:
            raise Stopped(f"stopped early: {flag.reason}", where=run.name, todo="Run the same command again to go on.")
        if finish and {part.id for part in parts} <= job.results().keys():
            _finish(run, step, job)
        return Exit.DONE
    finally:
        job.end_progress()


def _finish(run: Run, step: LazyStep[Any], job: LocalJob[Any]) -> None:
    fault("finish:before")
    with job.stage("finish"):
        figures = dict(step.finish(job))
    job.energy.flush()
    findings = run.findings()
    starts = run.records("start", "end")
    content = {
        "fingerprint": run.fingerprint,
        "figures": figures,
        "findings": {severity: sum(one["severity"] == severity for one in findings) for severity in ("error", "warning", "note")},
        "energy": run.energy(),
        "attempts": run.attempts(),
        "began": min(record["t"] for record in starts),
        "output": publish.manifest(run.output()) if run.output().is_dir() else {},
    }
    publish.write_json(run.folder / "done.json", content, "done")
    fault("finish:after")


def finish_run(run: Run, *, quiet: bool = False) -> Exit:
    """Finish a run whose parts were done by other processes (``--finish``).

    Raises:
        MissingError: parts are not done yet; they are named.
    """
    if run.state() == "done":
        return Exit.DONE
    flag = StopFlag()
    with claim(run, None), attempt(run, share="0/0", quiet=quiet) as current, flag.handling():
        step, job = make_job(run, record=current.journal.record, stopping=flag, quiet=quiet, energy=current.energy, terminal=current.terminal)
        missing = [part.id for part in frozen_parts(run) or [] if part.id not in job.results()]
        if missing or frozen_parts(run) is None:
            current.end(Exit.MISSING, "parts are missing")
            names = ", ".join(missing[:5]) or "all"
            raise MissingError(f"{len(missing) or 'all'} parts are not done: {names}", where=run.name, todo="Run their shares, then finish.")
        _finish(run, step, job)
        current.end(Exit.DONE)
    return Exit.DONE


def make_job(
    run: Run,
    *,
    record: Callable[..., None],
    stopping: Callable[[], bool],
    quiet: bool = False,
    energy: Energy | None = None,
    terminal: int | None = None,
) -> tuple[LazyStep[Any], LocalJob[Any]]:
    """The step and the job that a run folder describes."""
    description = run.description
    step = registry.recipe(description["recipe"]).step(description["step"])
    machine = Machine(threads=int(description["machine"]["threads"]), workers=int(description["machine"]["workers"]))
    job: LocalJob[Any] = LocalJob(
        options=step.options.model_validate(description["options"]),
        seed=int(description["seed"]),
        run=run,
        inputs={name: Run.open(folder) for name, folder in run.inputs.items()},
        machine=machine,
        record=record,
        stopping=stopping,
        energy=energy or Energy(record, meters=()),
        terminal=terminal,
        quiet=quiet,
    )
    return step, job


def frozen_parts(run: Run) -> list[Part] | None:
    """The parts fixed at the start of the run; None before that."""
    try:
        rows = json.loads((run.folder / "parts.json").read_text(encoding="utf-8"))
    except OSError:
        return None
    return [Part(row["id"], row["cost"], tuple(row["after"])) for row in rows]


def _sweep(run: Run) -> None:
    for folder in [run.folder, *(path for path in run.folder.rglob("*") if path.is_dir())]:
        publish.sweep(folder)

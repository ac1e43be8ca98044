"""Execute a run: what ``python -m labwright step RUN_FOLDER`` does, on a laptop and on a cluster alike.

All that is needed stands in the run folder. Resuming is the same call again.
"""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import Any

from labwright.parts.claims import claim
from labwright.parts.job import LocalJob, make_job
from labwright.parts.pool import Outcome, before_log, run_parts
from labwright.parts.ranks import Place, Ranks, joined
from labwright.parts.shares import Share
from labwright.parts.spool import left_behind, place
from labwright.runs import machine, patience, publish
from labwright.runs.attempt import Attempt, attempt
from labwright.runs.errors import DataError, Exit, LabwrightError, MissingError, Stopped
from labwright.runs.faults import fault
from labwright.runs.patience import patiently
from labwright.runs.run import Run
from labwright.runs.signals import StopFlag
from labwright.study.step import Figures, LazyStep, Part

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
    place: Place = Place(),  # noqa: B008 - a tuple
) -> Exit:
    """Work on the parts of ``share`` that are not done; then, where all parts are done, finish the run.

    Args:
        run: the run folder, with its ``step.json``.
        share: which parts; None for all.
        finish: whether to finish when all parts are done (an array leaves it to a job of its own).
        quiet: keep the log, show nothing.
        deadline: seconds since 1970 after which to stop as on a signal.
        workers: processes to spread the parts among, 0 for one per core; as in ``step.json`` by default.
        place: which of the processes this is that train together.

    Returns:
        DONE; every other code comes with an error.

    Raises:
        Stopped: a signal or the deadline came, or parts wait for those of another share.
        LabwrightError: whatever a user can mend; the attempt is closed with its code.
    """
    share = share or Share()
    flag = StopFlag(deadline)
    with flag.handling(), joined(place) as ranks:
        if ranks is not None and ranks.rank > 0:
            _follow(run, share, flag, ranks)
        else:
            _lead(run, share, finish, quiet, flag, _workers(run, workers) if ranks is None else 1, ranks)
    return Exit.DONE


def _lead(run: Run, share: Share, finish: bool, quiet: bool, flag: StopFlag, workers: int, ranks: Ranks | None) -> None:
    with claim(run, share):
        if _complete(run):
            return
        before_log(workers)
        with attempt(run, share=str(share), quiet=quiet) as current, _closing(current, flag, run, ranks):
            publish.sweep(run.folder)
            step, job = _job(run, share, current, flag, workers)
            try:
                _work(step, job, share, finish, current, flag, ranks)
            finally:
                job.end_progress()


def _follow(run: Run, share: Share, flag: StopFlag, ranks: Ranks) -> None:
    """Train the parts that the leader names, with it; all that lasts is the leader's to write, but this process's own journal and log."""
    number = ranks.attempt()
    if number is None:
        return
    with (
        attempt(run, share=str(share), rank=ranks.rank, given=number, quiet=True) as current,
        _closing(current, flag, run, ranks),
    ):
        step, job = _job(run, share, current, flag, 1, record=lambda kind, **fields: None)
        while (part := ranks.next_part()) is not None:
            try:
                step.work(replace(job, part=part.id), part)
            except Stopped as stop:
                raise _stopped(run, ranks.why(flag.reason)) from stop


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
            step, job = _job(run, Share(), current, flag, 1)
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
        rows = json.loads(patiently(lambda: (run.folder / "parts.json").read_text(encoding="utf-8"), run.folder))
        if not isinstance(rows, list):
            raise TypeError
        return [Part(row["id"], row["cost"], tuple(row["after"])) for row in rows]
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError) as error:
        raise DataError("parts.json is not a list of parts", where=str(run.folder), todo="Remove the folder and run again.") from error


def _complete(run: Run) -> bool:
    """Whether nothing is left to do; a run that can no longer be trusted is refused, lest finishing it again blesses it."""
    state = patiently(run.state, run.folder)
    if state in ("stale", "damaged"):
        why = "raw files changed after they were read" if state == "stale" else "; ".join(run.verify()[:3])
        raise DataError(f"the run is {state}: {why}", where=str(run.folder), todo="Remove the folder and run again.")
    return state == "done"


def _workers(run: Run, asked: int | None) -> int:
    own = int(run.options.get("workers") or 0)  # of a step that has such an option
    return own or (int(run.description["machine"]["workers"]) if asked is None else asked) or machine.usable_cores()


def _job(
    run: Run, share: Share, current: Attempt, flag: StopFlag, workers: int, record: Callable[..., None] | None = None
) -> tuple[LazyStep[Any], LocalJob[Any]]:
    record = record or current.journal.record
    energy, terminal = current.energy, current.terminal
    return patiently(
        lambda: make_job(run, record=record, stopping=flag, workers=workers, share=share, energy=energy, terminal=terminal), run.folder
    )


@contextmanager
def _closing(current: Attempt, flag: StopFlag, run: Run, ranks: Ranks | None = None) -> Iterator[None]:
    """However the block is left, the attempt says with which code and why."""
    if ranks is not None:

        def last_words(code: Exit, reason: str) -> None:
            current.end(code, reason)
            current.write_end()

        ranks.last_words = last_words
    try:
        with patience.said(run.folder), publish.disk_said(run.folder), ranks.explained() if ranks is not None else nullcontext():
            yield
    except LabwrightError as error:
        current.end(error.code, str(error))
        raise
    except Exception as error:
        current.note(traceback.format_exc())
        current.end(Exit.FAULT, f"{type(error).__name__}: {error}")
        raise
    current.end(Exit.DONE, flag.reason)


def _work(
    step: LazyStep[Any], job: LocalJob[Any], share: Share, finish: bool, current: Attempt, flag: StopFlag, ranks: Ranks | None
) -> None:
    if ranks is not None:
        ranks.tell_attempt(current.number)
    parts = frozen_parts(job.run)
    if parts is None:
        parts = list(patiently(lambda: step.parts(job), job.run.folder))
        publish.write_json(job.run.folder / "parts.json", [part._asdict() for part in parts], "parts")
    left_behind(place(job.run.folder, share), job.record)
    own = share.of(parts)
    outcome = run_parts(step, job, own, parts) if ranks is None else _together(step, job, own, parts, ranks)
    if outcome.error is not None:
        raise outcome.error
    if outcome.stopped:
        raise _stopped(job.run, ranks.why(flag.reason) if ranks is not None else flag.reason)
    if finish and {part.id for part in parts} <= job.results().keys():
        _finish(step, job, current)


def _together(step: LazyStep[Any], job: LocalJob[Any], own: Sequence[Part], parts: Sequence[Part], ranks: Ranks) -> Outcome:
    """One part after the other in all ranks; the first that fails ends the work, since the others wait for it."""
    done = job.results()
    for part in own:
        if part.id not in done:
            ranks.announce(part)
            outcome = run_parts(step, replace(job, again=False), [part], parts)
            if outcome.error is not None or outcome.stopped:
                return outcome
    ranks.dismiss()
    return Outcome(len(own), None, False)


def _stopped(run: Run, reason: str) -> Stopped:
    return Stopped(f"stopped early: {reason}", where=run.name, todo="Run the same command again to go on.")


def _finish(step: LazyStep[Any], job: LocalJob[Any], current: Attempt) -> None:
    run = job.run
    fault("finish:before")
    # A worker process whose file system was away for a while could not remove what it began and had to begin again.
    publish.sweep(run.folder)
    job.record("finish")
    job.energy.flush()  # what the step tells of its joules comes from the journal
    with job.stage("finish"):
        figures = dict(patiently(lambda: step.finish(job), run.folder))
    job.say_notes()
    job.energy.flush()
    # What done.json says rests on the journal: that has to be on the disk first.
    current.journal.sync()
    patiently(lambda: _complete_with(run, figures), run.folder)
    fault("finish:after")


def _complete_with(run: Run, figures: Figures) -> None:
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

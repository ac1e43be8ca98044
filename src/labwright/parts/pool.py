"""The local pool: maps ``work`` over the parts of a share that are not yet recorded as done.

In this process for one worker; otherwise in fresh processes that get the run folder and parts, work, and
hand back figures; what they record goes by ``spool``, as the journal keeps one writer. A part that fails leaves the others to be finished.
"""

from __future__ import annotations

import concurrent.futures as futures
import itertools
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from functools import partial
from multiprocessing import resource_tracker
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any, NamedTuple

from labwright.parts.claims import attend
from labwright.parts.job import LocalJob, make_job
from labwright.parts.shares import Share
from labwright.parts.spool import Spool, place, writer
from labwright.runs.errors import FaultError, LabwrightError, Stopped
from labwright.runs.faults import fault
from labwright.runs.patience import patiently
from labwright.runs.run import Run
from labwright.runs.signals import asking
from labwright.study.step import LazyStep, Part

_LOOK_S = 0.2
"""How often the flag is looked at while workers work."""


class Outcome(NamedTuple):
    """What became of a share: parts done now, the first error, and whether a stop came in between."""

    done: int
    error: LabwrightError | None
    stopped: bool


class Worked(NamedTuple):
    """What became of a part, as a worker hands it back."""

    figures: dict[str, Any]
    error: LabwrightError | None = None


def run_parts(step: LazyStep[Any], job: LocalJob[Any], parts: Sequence[Part], everything: Sequence[Part]) -> Outcome:
    """Work on ``parts`` in an order that respects ``after``, the costly ones first.

    Args:
        parts: the share's parts.
        everything: all parts of the step; an ``after`` may name a part of another share.

    Raises:
        Stopped: parts wait for parts of another share that are not done.
        FaultError: a worker process was killed.
    """
    finished = set(job.results())
    known = {part.id for part in everything}
    waiting = sorted((part for part in parts if part.id not in finished), key=lambda part: -part.cost)
    skipped, done, stopped = len(parts) - len(waiting), 0, False
    error: LabwrightError | None = None
    workers = min(job.machine.workers, len(waiting)) if step.parallel else 1
    with _Inline(step, job) if workers <= 1 else _Processes(job, workers) as crew:
        running: dict[futures.Future[Worked], tuple[Part, float]] = {}
        while True:
            stopped = stopped or job.stopping()
            ready = (part for part in waiting if all(name in finished or name not in known for name in part.after))
            for part in [] if stopped else list(itertools.islice(ready, max(workers, 1) - len(running))):
                waiting.remove(part)
                job.record("begin", part=part.id)
                running[crew.start(part)] = (part, time.monotonic())
            if not running:
                break
            for task in crew.wait(list(running)):
                part, began = running.pop(task)
                worked = _result(task, part)
                if isinstance(worked.error, Stopped):
                    waiting.append(part)
                    stopped = True
                elif worked.error is not None:
                    error = error or worked.error
                    job.record("failed", part=part.id, reason=str(worked.error))
                    job.say(f"part {part.id} failed: {worked.error}")
                else:
                    fault("part:before-record")
                    job.record("part", id=part.id, figures=worked.figures, seconds=round(time.monotonic() - began, 3))
                    fault("part:after-record")
                    finished.add(part.id)
                    done += 1
                    if len(parts) > 1:
                        job.progress(skipped + done, len(parts), f"{job.run.step}: parts")
    if waiting and error is None and not stopped:
        raise Stopped("parts wait for parts of another share", where=waiting[0].id, todo="Run again when the other shares are done.")
    return Outcome(done, error, stopped and bool(waiting))


def before_log(workers: int) -> None:
    """Start what outlives a pool while the standard streams are still the terminal's, so that it holds no log open."""
    if workers > 1:
        resource_tracker.ensure_running()


def _result(task: futures.Future[Worked], part: Part) -> Worked:
    try:
        return task.result()
    except BrokenProcessPool as death:
        raise FaultError(
            "a worker process was killed, most often because memory ran out",
            where=f"part {part.id}",
            todo="Run again with fewer workers: --set run.on.workers=1.",
        ) from death


class _Inline:
    """One worker: this process, which writes its records itself."""

    def __init__(self, step: LazyStep[Any], job: LocalJob[Any]) -> None:
        self.step, self.job = step, job

    def __enter__(self) -> _Inline:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def start(self, part: Part) -> futures.Future[Worked]:
        task: futures.Future[Worked] = futures.Future()
        task.set_result(_worked(self.step, self.job, part))
        return task

    def wait(self, tasks: list[futures.Future[Worked]]) -> list[futures.Future[Worked]]:
        return tasks


class _Processes:
    """Several workers: fresh processes, so that no library's threads are forked."""

    def __init__(self, job: LocalJob[Any], workers: int) -> None:
        context = multiprocessing.get_context("spawn")
        self.job = job
        # The meters see the workers, and the workers' stages do not reach them.
        self.stage = job.stage(job.run.step)
        self.stop = context.Event()
        self.spool = Spool(place(job.run.folder, job.share), job.record)
        arguments = (str(job.run.folder), job.share, self.stop)
        self.pool = futures.ProcessPoolExecutor(workers, mp_context=context, initializer=_enter, initargs=arguments)

    def __enter__(self) -> _Processes:
        self.stage.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self.pool.shutdown(cancel_futures=True)
        self.spool.close()
        self.stage.__exit__(None, None, None)

    def start(self, part: Part) -> futures.Future[Worked]:
        return self.pool.submit(_work, part)

    def wait(self, tasks: list[futures.Future[Worked]]) -> list[futures.Future[Worked]]:
        while True:
            done, _ = futures.wait(tasks, timeout=_LOOK_S, return_when=futures.FIRST_COMPLETED)
            if self.job.stopping():
                self.stop.set()
            self.spool.carry()
            if done:
                return list(done)


_folder: Path
_stop: Event
_record: Callable[..., None]


def _enter(folder: str, share: Share, stop: Event) -> None:
    """What each worker process does first."""
    global _folder, _stop, _record
    _folder, _stop = Path(folder), stop
    attend(_folder, share)
    _record = writer(place(_folder, share))
    parent = multiprocessing.parent_process()
    if parent is None or not parent.is_alive():
        os._exit(1)  # from the line above on a next owner of the share waits for this process; here it may not have
    # The parent decides when to stop; a signal to the whole group must not tear a part.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)
    asking(_stop.is_set).__enter__()
    threading.Thread(target=_die_with_parent, name="labwright-parent", daemon=True).start()


def _die_with_parent() -> None:
    # An idle worker of a killed parent would wait for ever, since its siblings hold the queue open.
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _work(part: Part) -> Worked:
    step, job = patiently(lambda: make_job(Run.open(_folder), record=_record, stopping=_stop.is_set, workers=1), _folder)
    return _worked(step, job, part)


def _worked(step: LazyStep[Any], job: LocalJob[Any], part: Part) -> Worked:
    try:
        work = partial(step.work, replace(job, part=part.id), part)
        return Worked(dict(patiently(work, job.run.folder) if job.again else work()))
    except LabwrightError as error:
        return Worked({}, error)

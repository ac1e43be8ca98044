"""The local pool: maps ``work`` over the parts of a share that are not yet recorded as done.

In this process for one worker; otherwise in fresh processes that get the run folder and part ids, work, and
hand back figures and records: the journal keeps one writer. A part that fails leaves the others to be finished.
"""

from __future__ import annotations

import concurrent.futures as futures
import multiprocessing
import signal
import time
from collections.abc import Sequence
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any, NamedTuple

from labwright.parts.job import LocalJob
from labwright.runs.errors import FaultError, LabwrightError, Stopped
from labwright.runs.faults import fault
from labwright.runs.run import Run
from labwright.study.step import LazyStep, Part


class Outcome(NamedTuple):
    """What became of a share: parts done now, the first error, and whether a stop came in between."""

    done: int
    error: LabwrightError | None
    stopped: bool


def run_parts(step: LazyStep[Any], job: LocalJob[Any], parts: Sequence[Part], everything: Sequence[Part]) -> Outcome:
    """Work on ``parts`` in an order that respects ``after``.

    Args:
        parts: the share's parts.
        everything: all parts of the step; an ``after`` may name a part of another share.

    Raises:
        Stopped: parts wait for parts of another share that are not done.
    """
    finished = set(job.results())
    waiting = [part for part in parts if part.id not in finished]
    total, error, count = len(parts), None, 0
    known = {part.id for part in everything}
    workers = min(job.machine.workers, len(waiting)) if step.parallel else 1
    with _Inline(step, job) if workers <= 1 else _Processes(job, workers) as crew:
        running: dict[Any, tuple[Part, float]] = {}
        while (waiting or running) and not (job.stopping() and not running):
            ready = [part for part in waiting if all(name in finished or name not in known for name in part.after)]
            if job.stopping():
                ready = []
            for part in sorted(ready, key=lambda part: -part.cost)[: max(workers, 1) - len(running)]:
                waiting.remove(part)
                running[crew.start(part)] = (part, time.monotonic())
            if not running:
                break
            for task in crew.wait(list(running)):
                part, began = running.pop(task)
                try:
                    figures, records = task.result()
                except BrokenProcessPool as death:
                    raise FaultError(
                        "a worker process was killed, most often because memory ran out", where=f"part {part.id}", todo="Run again with fewer workers: --set run.on.workers=1."
                    ) from death
                except Stopped:
                    waiting.append(part)
                    continue
                except LabwrightError as problem:
                    error = error or problem
                    job.say(f"part {part.id} failed: {problem}")
                    continue
                for record in records:
                    job.record(record.pop("kind"), **record)
                fault("part:before-record")
                job.record("part", id=part.id, figures=figures, seconds=round(time.monotonic() - began, 3))
                fault("part:after-record")
                finished.add(part.id)
                count += 1
                if total > 1:
                    job.progress(len(finished & {one.id for one in parts}), total, f"{job.run.step}: parts")
    if waiting and error is None and not job.stopping():
        raise Stopped("parts wait for parts of another share", where=waiting[0].id, todo="Run again when the other shares are done.")
    return Outcome(count, error, job.stopping() and bool(waiting))


class _Inline:
    """One worker: this process."""

    def __init__(self, step: LazyStep[Any], job: LocalJob[Any]) -> None:
        self.step, self.job = step, job

    def __enter__(self) -> _Inline:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def start(self, part: Part) -> futures.Future[Any]:
        task: futures.Future[Any] = futures.Future()
        try:
            task.set_result((dict(self.step.work(self.job, part)), []))
        except LabwrightError as error:
            task.set_exception(error)
        return task

    def wait(self, tasks: list[futures.Future[Any]]) -> list[futures.Future[Any]]:
        return tasks


class _Processes:
    """Several workers: fresh processes, so that no library's threads are forked."""

    def __init__(self, job: LocalJob[Any], workers: int) -> None:
        context = multiprocessing.get_context("spawn")
        self.job = job
        self.stop = context.Event()
        arguments = (str(job.run.folder), self.stop)
        self.pool = futures.ProcessPoolExecutor(workers, mp_context=context, initializer=_enter, initargs=arguments)

    def __enter__(self) -> _Processes:
        return self

    def __exit__(self, *_: object) -> None:
        self.pool.shutdown(cancel_futures=True)

    def start(self, part: Part) -> futures.Future[Any]:
        return self.pool.submit(_work, part.id)

    def wait(self, tasks: list[futures.Future[Any]]) -> list[futures.Future[Any]]:
        while True:
            done, _ = futures.wait(tasks, timeout=0.2, return_when=futures.FIRST_COMPLETED)
            if self.job.stopping():
                self.stop.set()
            if done:
                return list(done)


_folder: Path
_stop: Event


def _enter(folder: str, stop: Event) -> None:
    global _folder, _stop
    _folder, _stop = Path(folder), stop
    # The parent decides when to stop; a signal to the whole group must not tear a part.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)


def _work(part_id: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    from labwright.parts.execute import frozen_parts, make_job

    records: list[dict[str, Any]] = []

    def record(kind: str, **fields: Any) -> None:
        records.append({"kind": kind, **fields})

    step, job = make_job(Run.open(_folder), record=record, stopping=_stop.is_set, quiet=True)
    part = next(part for part in frozen_parts(job.run) or [] if part.id == part_id)
    return dict(step.work(job, part)), records



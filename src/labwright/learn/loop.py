"""The training loop, for all recipes: read it from top to bottom.

What is due is decided by the state alone, at the top of each round: save, validate, mark the best, end. A process
that was killed anywhere loads the newest checkpoint and comes to the same decisions, so that it repeats what was
missing and nothing else. Nothing random has a state: each step draws from its own key.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any, TypeVar

import numpy as np
import torch

from labwright.data.gather import Prefetch
from labwright.data.sampler import IntArray
from labwright.learn import devices, resume, schedules
from labwright.learn.average import Average
from labwright.learn.checkpoints import Checkpoints
from labwright.learn.curve import Curve
from labwright.learn.options import FitOptions
from labwright.learn.schedules import due
from labwright.learn.state import State
from labwright.learn.task import Clock, Task, step_key
from labwright.runs.errors import DataError, Stopped, StudyError
from labwright.runs.faults import fault
from labwright.runs.patience import patiently
from labwright.study.step import Figures, Job, Part

B = TypeVar("B")
CURVE_POINTS = 2000
"""About so many records make a training curve."""
SHOW_EVERY_S = 0.25
LESS_MEMORY = "Raise accumulate (the same batch in more pieces), lower batch_size, or set precision: bf16."


def fit(task: Task[B], options: FitOptions, job: Job[Any], part: Part) -> Figures:
    """Train ``task.module``, from the part's newest checkpoint on where there is one.

    Returns:
        Figures: ``steps``, ``epochs``, ``items_seen``, ``ended`` (length, patience or joules), ``best_step``, the figures of the
        best validation as ``best_<name>``, ``parameters``, ``precision`` and ``device`` as really used, ``threads``, ``reproducible``;
        over all attempts ``train_seconds`` (without validation), ``data_wait_share`` and ``joules``. After ``continue_from``,
        ``items_seen``, seconds and joules are of this training alone; steps and epochs count on.

    Raises:
        Stopped: on a signal or a deadline, after saving.
        MissingError, StudyError: ``start_from`` or ``continue_from`` name what is not there, or does not fit.
        DataError: a loss is not finite; its step and items are named.
        FaultError: the memory does not suffice; the options to turn are named.
    """
    # ---- Resume first: all that follows depends on where the training stands ----
    checkpoints = Checkpoints(job.checkpoints(part))
    state, folder = resume.find(checkpoints, options, part, job.machine.threads, job.say)
    fabric = devices.fabric(options, state.threads)
    lengths = [len(task.batches(epoch)) for epoch in range(options.epochs)]
    if 0 in lengths:
        raise DataError(f"epoch {lengths.index(0)} has no batches", where=part.id, todo="Give it items, or lower batch_size.")
    begins = [0, *itertools.accumulate(lengths)]
    total = min(begins[-1], options.max_steps or begins[-1])

    network = task.module
    task.module = wrapped = fabric.setup_module(network)
    wrapped.train()
    resume.begin(network, options, part, folder, job.say)
    optimizer: Any = fabric.setup_optimizers(getattr(task, "optimizer", schedules.optimizer)(options, network.parameters()))
    average = Average(network, options.ema) if options.ema else None
    learner = resume.Learner(state, network, optimizer.optimizer, average, fabric.strategy.precision)
    if folder is not None:
        resume.check_position(state, options, begins, total)
        resume.restore(folder, learner)
        _tell(state, total, devices.usable(options.precision, fabric.device), part, job)
    fabric.barrier()

    # ---- What this attempt keeps to itself ----
    state.total_steps, state.device, state.precision = total, devices.name(fabric.device), devices.usable(options.precision, fabric.device)
    curve = Curve(fabric, state.sums, state.summed)
    curve_every = max(1, total // CURVE_POINTS)
    saved = -1 if folder is not None and folder.parent != checkpoints.folder else state.step
    marked = checkpoints.best()
    waited_before, joules_before, elsewhere = state.wait_seconds, resume.joules_before(job, state, leads=fabric.is_global_zero), 0.0
    saved_at = shown_at = time.monotonic()
    if options.stop.joules is not None and fabric.is_global_zero and job.joules() is None:
        raise StudyError("no energy can be measured on this machine", where="stop.joules", todo="Leave it out, or see `labwright doctor`.")

    def joules() -> float | None:
        used = job.joules()
        return None if used is None else joules_before + used + elsewhere

    def record(phase: str, values: Figures) -> None:
        if fabric.is_global_zero:
            job.record("metric", phase=phase, step=state.step, epoch=state.epoch, part=part.id, values=dict(values))

    def save() -> None:
        nonlocal saved, saved_at
        curve.check()
        state.sums, state.summed = curve.content()
        state.joules = joules()
        if fabric.is_global_zero:
            resume.save(checkpoints, learner)
            job.record("checkpoint", part=part.id, step=state.step, best=state.best[0]["step"] if state.best else None)
            checkpoints.prune(state.step, last=options.keep.last, every=options.keep.every, best=state.best)
        saved, saved_at = state.step, time.monotonic()

    def load(items: IntArray, key: int) -> tuple[IntArray, list[tuple[float, B]]]:
        pieces = _pieces(items, fabric.global_rank, fabric.world_size, options.accumulate)
        return items, [(share, patiently(partial(task.load, piece, key), job.run.folder)) for share, piece in pieces]

    requests = _requests(task, job.seed, state.step, begins, total)
    with job.stage("train"), Prefetch(load, requests, depth=options.prefetch) as loader:
        while True:
            # ---- What is due, by the state alone ----
            position = {"step": state.step, "epoch": state.epoch, "batch": state.batch}
            finished = bool(state.ended) or state.step >= total
            validates = (
                options.validate != "never" and state.validated_step < state.step and (finished or due(options.validate.every, **position))
            )
            if finished and options.validate == "never" and not state.best:
                state.best = [{"step": state.step, "value": None, "figures": {}}]
            keeps = options.keep.every is not None and due(options.keep.every, **position)
            late = time.monotonic() - saved_at >= options.checkpoint_every_s
            if saved != state.step and (finished or validates or keeps or late or state.batch == 0):
                save()
            if validates:
                fault("train:before-validate")
                wrapped.eval()
                with (
                    job.stage("validate"),
                    torch.no_grad(),
                    average.applied() if average else nullcontext(),
                    devices.memory_sentence(LESS_MEMORY),
                ):
                    figures = devices.of_first_rank(fabric, task.validate())
                wrapped.train()
                fault("train:after-validate")
                record("validate", figures)
                state.judge(figures, options)
                if getattr(task, "out_of_patience", bool)():
                    state.ended = "patience"
                if fabric.is_global_zero:
                    checkpoints.update(state.step, state.to_json())
            if state.best != marked and fabric.is_global_zero:
                fault("train:best-copy")
                checkpoints.mark_best(state.best)
            marked = state.best
            if finished:
                break
            if state.ended:
                continue
            stops, used = devices.totals(fabric, job.stopping(), own := job.joules() or 0.0)
            elsewhere = used - own
            if stops:
                if saved != state.step:
                    save()
                raise Stopped(
                    f"stopped after step {state.step} of {total}, and saved", where=part.id, todo="Run the same command again to go on."
                )

            # ---- One step ----
            stepped = time.monotonic()
            items, pieces = next(loader)
            clock = Clock(state.epoch, state.step, state.step / total, step_key(job.seed, state.epoch, state.batch), items)
            rate = options.learning_rate * schedules.factor(options.schedule, step=state.step, total_steps=total, epoch=state.epoch)
            for group in optimizer.param_groups:
                group["lr"] = rate
            with devices.memory_sentence(LESS_MEMORY):
                for number, (share, batch) in enumerate(pieces):
                    torch.manual_seed((clock.key + fabric.global_rank * options.accumulate + number) % 2**63)
                    with fabric.no_backward_sync(wrapped, enabled=number < len(pieces) - 1):
                        loss, details = task.loss(batch, clock)
                        fabric.backward(share * loss)
                    curve.add(state.step, items, loss, details, share)
                curve.end_step()
                if options.clip_norm is not None:
                    fabric.clip_gradients(wrapped, optimizer, max_norm=options.clip_norm, error_if_nonfinite=False)
                optimizer.step()
                optimizer.zero_grad()
            state.advance(items.shape[-1], lengths)
            if average is not None:
                average.update(state.step)
            fault("train:step")

            # ---- Tell ----
            if state.step % curve_every == 0 or state.step == total:
                record("train", {**curve.means(), "learning_rate": rate})
            now = time.monotonic()
            state.seconds, state.wait_seconds = state.seconds + now - stepped, waited_before + loader.wait_seconds
            if options.stop.joules is not None and devices.totals(fabric, (joules() or 0.0) >= options.stop.joules)[0]:
                state.ended = "joules"
            if now - shown_at >= SHOW_EVERY_S and fabric.is_global_zero:
                shown_at = now
                wait = f"{100 * state.wait_seconds / state.seconds:.0f}%"
                job.progress(state.step, total, f"train {part.id}", epoch=state.epoch, loss=loss.item(), data_wait=wait, joules=joules())
    return _figures(state, network)


def _requests(task: Task[Any], seed: int, done: int, begins: Sequence[int], total: int) -> Iterator[tuple[IntArray, int]]:
    """Batches and keys of all steps that are left, in order."""
    for epoch in range(len(begins) - 1):
        if done < begins[epoch + 1]:
            for index, items in enumerate(task.batches(epoch)):
                if done <= begins[epoch] + index < total:
                    yield items, step_key(seed, epoch, index)


def _pieces(items: IntArray, rank: int, world: int, accumulate: int) -> list[tuple[float, IntArray]]:
    """What one device takes of a global batch, as many pieces on each, and their weights: the mean over the devices is the batch's."""
    size = items.shape[-1]
    if size < world:
        what = f"a batch of {size} items has less than one for each of {world} devices"
        raise StudyError(what, where="batch_size", todo="Raise it, or use fewer devices.")
    own = np.array_split(items, world, axis=-1)[rank]
    return [(piece.shape[-1] * world / size, piece) for piece in np.array_split(own, min(accumulate, size // world), axis=-1)]


def _tell(state: State, total: int, precision: str, part: Part, job: Job[Any]) -> None:
    if state.ended or state.step >= total:
        job.say(
            f"{part.id}: the target is already reached, {state.step} of {total} steps"
            + (f" (ended by {state.ended})" if state.ended else "")
        )
    else:
        job.say(f"{part.id}: goes on after step {state.step} of {total}")
    if state.precision not in ("", precision):
        job.say(f"{part.id}: was trained in {state.precision} and goes on in {precision}; digits will differ from an unbroken run")


def _figures(state: State, network: torch.nn.Module) -> Figures:
    best = state.best[0]
    return {
        "steps": state.step,
        "epochs": state.epoch,
        "items_seen": state.items_seen - state.items_before,
        "ended": state.ended or "length",
        "best_step": best["step"],
        **{f"best_{name}": value for name, value in best["figures"].items()},
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "precision": state.precision,
        "device": state.device,
        "threads": state.threads,
        "reproducible": state.ended != "joules",
        "train_seconds": state.seconds,
        "data_wait_share": state.wait_seconds / state.seconds if state.seconds else None,
        "joules": state.joules,
    }

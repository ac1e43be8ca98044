"""Where a training begins: at its newest checkpoint, where another one stood, with other weights, or anew."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from lightning_fabric.plugins.precision import Precision
from torch import nn

from labwright.learn import tensors
from labwright.learn.average import Average
from labwright.learn.checkpoints import Checkpoints, problem, read_state
from labwright.learn.model import checkpoint_folder, counted, find_checkpoint, load_weights, weights_at
from labwright.learn.options import Cosine, FitOptions
from labwright.learn.state import State
from labwright.runs.errors import DataError, MissingError, StudyError
from labwright.runs.patience import patiently
from labwright.runs.run import Run
from labwright.study.step import Job, Part, RawFile

Say = Callable[[str], None]


class Learner(NamedTuple):
    """What has state: everything that a checkpoint holds."""

    state: State
    network: nn.Module
    optimizer: torch.optim.Optimizer
    average: Average | None
    precision: Precision


def find(checkpoints: Checkpoints, options: FitOptions, part: Part, threads: int, say: Say) -> tuple[State, Path | None]:
    """The state to begin with, and the checkpoint folder to take the tensors from; None where there is none.

    Raises:
        MissingError: ``continue_from`` names what is not there.
        StudyError: it names what has no full state, or its state is of another version.
    """
    folder = checkpoints.newest(say)
    if folder is None and checkpoints.steps():
        say(f"{part.id}: no valid checkpoint is left, the training starts from its beginning")
    if folder is None and options.continue_from is not None:
        folder = _full_state(options.continue_from, part, say)
        say(f"{part.id}: continues from {folder}")
    if folder is None:
        return State(threads=threads), None
    try:
        state = State.from_json(patiently(lambda: read_state(folder), folder))
    except (TypeError, ValueError) as error:
        raise StudyError(
            f"the checkpoint is of another version of Labwright: {error}", where=str(folder), todo="Take start_from."
        ) from error
    if folder.parent != checkpoints.folder:
        # What belongs to the other run's folder and to its time stays there; it is validated afresh here.
        state.threads, state.validated_step, state.best, state.waited, state.ended = threads, 0, [], 0, ""
        state.joules, state.seconds, state.wait_seconds = None, 0.0, 0.0
        state.items_before = state.items_seen
    return state, folder


def origin_files(options: FitOptions, part: Part) -> list[RawFile]:
    """The files that ``start_from`` or ``continue_from`` name, for a step's ``sources``; none where neither is given.

    Raises:
        MissingError: there is nothing at the path.
        DataError: it is a damaged checkpoint.
        StudyError: ``continue_from`` names what has no full state.
    """
    say = logging.getLogger("labwright").warning
    if options.start_from is not None:
        return counted([weights_at(options.start_from, part.id, say)])
    if options.continue_from is not None:
        folder = _full_state(options.continue_from, part, say)
        return counted([*sorted(folder.glob("*.safetensors")), folder / "state.json"])
    return []


def joules_before(job: Job[Any], state: State, *, leads: bool = True) -> float:
    """Joules of the earlier attempts: by the journal, which knows what a killed one used after its last checkpoint.

    The state may know more of one that was killed right after a checkpoint and before the next record. Of several ranks
    the leading one counts for all.
    """
    if not leads:
        return 0.0
    me = socket.gethostname(), os.getpid()
    records = patiently(lambda: job.run.records("start", "energy"), job.run.folder)
    own = [record["file"] for record in records if record["kind"] == "start" and (record["host"], record["pid"]) == me][-1:]
    # All ranks of an attempt have its number, with which the names of their files begin.
    number = own[0].partition("-")[0] if own else "~"
    before = [record for record in records if record["kind"] == "energy" and record["file"].partition("-")[0] < number]
    earlier = [record["joules"] or 0.0 for record in before]
    return max(state.joules or 0.0, sum(earlier))


def begin(network: nn.Module, options: FitOptions, part: Part, folder: Path | None, say: Say) -> None:
    """Give the network the weights it begins with.

    Raises:
        MissingError: ``start_from`` names what is not there.
        StudyError: the weights are of another network.
    """
    if folder is not None:
        weights = folder / "model.safetensors"
        patiently(lambda: load_weights(network, weights), folder)
    elif options.start_from is not None:
        origin = options.start_from
        weights = patiently(lambda: weights_at(origin, part.id, say), origin)
        patiently(lambda: load_weights(network, weights), weights)
        say(f"{part.id}: starts with the weights of {weights}")


def restore(folder: Path, learner: Learner) -> None:
    """Load what a checkpoint holds beside the network's weights."""
    restore_optimizer(folder, learner)
    restore_average(folder, learner)
    if learner.state.scaler:
        learner.precision.load_state_dict(learner.state.scaler)


def restore_optimizer(folder: Path, learner: Learner) -> None:
    saved = patiently(lambda: tensors.read(folder / "optimizer.safetensors"), folder)
    tensors.into_optimizer(learner.optimizer, learner.network, saved, learner.state.optimizer)


def restore_average(folder: Path, learner: Learner) -> None:
    # Where the other training kept no average, one begins with the weights.
    if learner.average is not None and (folder / "ema.safetensors").is_file():
        learner.average.load(patiently(lambda: tensors.read(folder / "ema.safetensors"), folder))


def save(checkpoints: Checkpoints, learner: Learner) -> None:
    """Publish a checkpoint of everything."""
    state = learner.state
    quantities, state.optimizer = tensors.of_optimizer(learner.optimizer, learner.network)
    state.scaler = learner.precision.state_dict()
    files = {"model.safetensors": tensors.of_module(learner.network), "optimizer.safetensors": (quantities, {})}
    if learner.average is not None:
        files["ema.safetensors"] = learner.average.complete()
    checkpoints.save(state.step, files, state.to_json())


def check_position(state: State, options: FitOptions, begins: Sequence[int], total: int) -> None:
    """Refuse a state that does not fit these batches or this schedule.

    Args:
        state: as loaded.
        options: of this training.
        begins: steps done at the beginning of each epoch, and at the end.
        total: steps of this training.

    Raises:
        StudyError: it does not fit.
    """
    if isinstance(options.schedule, Cosine) and state.total_steps != total:
        raise StudyError(
            f"a cosine schedule is tied to the length: it was laid out for {state.total_steps} steps, not {total}",
            where="continue_from",
            todo="Take schedule: {kind: constant} or {kind: step} in both trainings, or start_from, which takes the weights alone.",
        )
    if state.epoch >= len(begins) or begins[state.epoch] + state.batch != state.step:
        what = (
            f"step {state.step} stands in epoch {state.epoch} after {state.batch} batches, which does not fit the batches of this training"
        )
        raise StudyError(
            what, where="continue_from", todo="Use the same items and batch_size, or start_from, which takes the weights alone."
        )


def _full_state(path: Path, part: Part, say: Say) -> Path:
    if (path / "step.json").is_file():
        return find_checkpoint("last", checkpoint_folder(Run.open(path), part.id), say)
    if (path / "state.json").is_file():
        if wrong := problem(path):
            raise DataError(f"the checkpoint is damaged: {wrong}", where=str(path), todo="Choose another one of the run.")
        return path
    if path.exists():
        todo = "Give a run or a checkpoint folder; start_from takes weights alone."
        raise StudyError("this has no full state of a training", where=str(path), todo=todo)
    raise MissingError("there is nothing at this path", where=str(path), todo="Give the folder of a run or of a checkpoint.")

"""What changes over a training: learning rate, batch size, ghost batches. Pure functions of the epoch and of the validation losses so
far, so that a training that was stopped goes on exactly as if it had not been."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from labwright.events.network_options import GhostOptions, MilestoneOptions, PlateauOptions
from labwright.events.train_options import TrainOptions

FloatArray = NDArray[np.float64]


def passed(milestones: Sequence[int], epoch: int) -> int:
    """How many milestones lie behind after ``epoch`` epochs."""
    return sum(epoch >= milestone for milestone in milestones)


def batch_size(options: TrainOptions, epoch: int, events: int) -> int:
    """Events in a batch of an epoch: the grown size, or the greatest earlier one that ``events`` training events suffice for.

    0 where they do not suffice for the first.
    """
    grown = passed(options.grow.epochs, epoch)
    sizes = (options.batch_size * options.grow.factor**times for times in range(grown, -1, -1))
    return next((size for size in sizes if size <= events), 0)


def ghosts(options: GhostOptions, epoch: int) -> int:
    """Ghost batches of a batch, rounded down after each milestone: 64, 16, 4, 1, 0."""
    count = options.batches
    for _ in range(passed(options.epochs, epoch)):
        count = int(count * options.factor)
    return count


def finetuning(options: TrainOptions, epoch: int) -> bool:
    """Whether an epoch belongs to the last stage, in which only the output layer learns."""
    return epoch >= options.epochs


def factors(options: TrainOptions, epoch: int, losses: FloatArray) -> FloatArray:
    """What the learning rate of each member is multiplied by in an epoch, (members,).

    Args:
        losses: of the validations so far, (validations, members).
    """
    members = losses.shape[1]
    if finetuning(options, epoch):
        stage = options.finetune
        return np.full(members, stage.learning_rate * stage.factor ** (epoch - options.epochs) / options.learning_rate)
    match options.rates:
        case MilestoneOptions(epochs=milestones, factor=down):
            return np.full(members, down ** passed(milestones, epoch))
        case PlateauOptions() as plateau:
            return np.array([_plateau(plateau, options.learning_rate, column.tolist()) for column in losses.T])


def _plateau(options: PlateauOptions, rate: float, losses: Sequence[float]) -> float:
    """As torch's ``ReduceLROnPlateau`` with a relative threshold; that one has a state, this one looks back."""
    now, least = rate, min(options.minimum, rate)
    best, bad, cooling = np.inf, 0, 0
    for loss in losses:
        if loss < best * (1 - options.threshold):
            best, bad = loss, 0
        else:
            bad += 1
        if cooling:
            cooling, bad = cooling - 1, 0
        if bad > options.patience:
            now, cooling, bad = max(now * options.factor, least), options.cooldown, 0
    return now / rate

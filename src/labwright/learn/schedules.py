"""The optimiser, and the learning rate as a pure function of the position: it has no state to save."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import nn

from labwright.learn.options import Adam, AdamW, Constant, Cosine, FitOptions, Schedule, StepDecay


def factor(schedule: Schedule, *, step: int, total_steps: int, epoch: int) -> float:
    """What the learning rate is multiplied by in a step.

    Cosine (Loshchilov and Hutter, 2017, without restarts): f + (1 - f) · (1 + cos(π · step / total)) / 2 with final fraction
    f. Warm-up multiplies with (step + 1) / (warmup_steps + 1) for the first steps, without shifting what follows.

    Args:
        schedule: the option.
        step: steps done before this one, from 0.
        total_steps: of the whole training.
        epoch: epochs done before this one, from 0.
    """
    warm = min(1.0, (step + 1) / (schedule.warmup_steps + 1))
    match schedule:
        case Cosine(final_fraction=final):
            return warm * (final + (1 - final) * (1 + math.cos(math.pi * step / total_steps)) / 2)
        case StepDecay(every=every, factor=down):
            return warm * down ** passed(every, step=step, epoch=epoch)
        case Constant():
            return warm


def passed(interval: str, *, step: int, epoch: int) -> int:
    """How many intervals (``2 epochs``, ``500 steps``) have passed at a position."""
    count, unit = interval.split()
    return (epoch if unit.startswith("epoch") else step) // int(count)


def due(interval: str, *, step: int, epoch: int, batch: int) -> bool:
    """Whether an interval ends exactly at a position, after at least one step. ``batch``: steps done within the epoch."""
    count, unit = interval.split()
    if unit.startswith("epoch"):
        return step > 0 and batch == 0 and epoch % int(count) == 0
    return step > 0 and step % int(count) == 0


def optimizer(options: FitOptions, parameters: Iterable[nn.Parameter], fused: bool | None = None) -> torch.optim.Optimizer:
    """The optimiser of the options, over those parameters that take gradients; ``fused`` as torch's own: one call for all of them."""
    chosen = options.optimizer
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    match chosen:
        case AdamW():
            return torch.optim.AdamW(trained, lr=options.learning_rate, betas=chosen.betas, weight_decay=chosen.weight_decay, fused=fused)
        case Adam():
            return torch.optim.Adam(trained, lr=options.learning_rate, betas=chosen.betas, weight_decay=chosen.weight_decay, fused=fused)
    return torch.optim.SGD(
        trained,
        lr=options.learning_rate,
        momentum=chosen.momentum,
        weight_decay=chosen.weight_decay,
        nesterov=chosen.momentum > 0,
        fused=fused,
    )

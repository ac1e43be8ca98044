"""Many models as one: each event is scored by those that never saw it, one of each folding and seed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from labwright.events.folds import Member, scored
from labwright.events.identity import Identity
from labwright.events.scoring.means import Means
from labwright.events.training.models import Models
from labwright.learn import devices
from labwright.runs.errors import DataError, StudyError

Array = NDArray[np.float32]
CPU_EVENTS = 2048
"""On a CPU no more events are scored at once: what the networks make of them stays in its cache, which is worth a factor of 1.7."""


class Inputs(NamedTuple):
    """N events as networks take them; NumPy arrays, of which only batches are copied."""

    can_jets: Array
    """(N, 4, 4): pt, eta, phi, mass [GeV], by falling pt."""
    other_jets: Array
    """(N, M, 5): pt, eta, phi, mass, is_selected; −1 there marks an empty place."""
    ancillary: Array
    """(N, A)."""
    identity: Identity


class Output(NamedTuple):
    """What a model says of the events that it scores."""

    member: Member
    rows: NDArray[np.int64]
    """(n,) which of the N, rising."""
    values: Array
    """(n, classes + 3): probabilities of the classes, then of the pairings 12|34, 13|24, 14|23."""


def outputs(models: Models, events: Inputs, batch_size: int = 32768, pause: Callable[[int], None] = lambda done: None) -> Iterator[Output]:
    """Each model on the events that its score is for, on whatever device the networks stand.

    The values do not depend on ``batch_size`` or on threads beyond rounding, 1e-5.

    Args:
        models: of a training.
        events: N of them, seen in training or not: the fold rule knows.
        batch_size: events at once; at most ``CPU_EVENTS`` on a CPU.
        pause: called before each batch with the number of scores so far; may raise.

    Raises:
        StudyError: the events have other inputs than those of the training.
        DataError: a score is not a number.
    """
    _fitting(models, events)
    done = 0
    for one, network in zip(models.members, models.networks, strict=True):
        rows = np.flatnonzero(scored(one, events.identity))
        values = np.empty((len(rows), len(models.description["classes"]) + 3), np.float32)
        size = min(batch_size, CPU_EVENTS) if devices.of(network).type == "cpu" else batch_size
        for start in range(0, len(rows), size):
            pause(done + start)
            some = rows[start : start + size]
            values[start : start + len(some)] = probabilities(network, [column[some] for column in events[:3]])
        done += len(rows)
        if not np.isfinite(values).all():
            raise DataError(
                f"{one.name} gives {np.count_nonzero(~np.isfinite(values).all(axis=1)):,} events a score that is not a number",
                where="predict",
                todo="Its training ran away: lower train.learning_rate, and look at the training's curves.",
            )
        yield Output(one, rows, values)


def score(models: Models, events: Inputs, batch_size: int = 32768) -> dict[str, NDArray[Any]]:
    """The columns of ``scores.parquet`` for any events: means and spreads over the models that never saw them, ``n_models``.

    Raises:
        StudyError: the events have other inputs than those of the training.
        DataError: a score is not a number.
    """
    means = Means(models.description["objective"], models.description["classes"], len(events.can_jets))
    for one in outputs(models, events, batch_size):
        means.add(one.rows, one.values)
    return means.columns()


@torch.inference_mode()
def probabilities(network: nn.Module, inputs: Sequence[Array]) -> Array:
    """(n, classes + 3): softmax of the class logits, then of the pairings, of (can_jets, other_jets, ancillary)."""
    device = devices.of(network)
    logits, views = network(*(torch.from_numpy(column).to(device) for column in inputs))
    both: Tensor = torch.cat((logits.float().softmax(-1), views.float().softmax(-1)), -1)
    found: Array = both.cpu().numpy()
    return found


def _fitting(models: Models, events: Inputs) -> None:
    told = models.description
    wanted = {"can_jets": (4, 4), "other_jets": (int(told["other_jets"]), 5), "ancillary": (len(told["ancillary"]),)}
    for name, shape in wanted.items():
        found = getattr(events, name).shape[1:]
        if found != shape:
            raise StudyError(
                f"{name} of an event have the shape {found}, the models were trained on {shape}",
                where="predict.checkpoint",
                todo="Pack the events with the pack.ancillary and source.jets.max_others of the training.",
            )

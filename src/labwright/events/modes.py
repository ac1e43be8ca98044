"""Members together or apart: measured for a moment, since neither is faster everywhere.

A stack spares calls, which counts for small batches and on a GPU; large batches of several members fall out of a CPU's caches, and
processes of their own use more cores. What is measured are steps of the very networks, at the first and at the greatest batch size.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from labwright.events import losses, rates
from labwright.events.load import PackedEvents
from labwright.events.members import Stack
from labwright.events.networks import build
from labwright.events.recipe import TrainOptions
from labwright.learn import devices

MOST_EVENTS = 16384
"""In a measured step; larger batches are measured with fewer members, then as smaller ones."""
REPEATS = 2


def choose(options: TrainOptions, events: PackedEvents, least: int, members: int, threads: int, workers: int) -> dict[str, Any]:
    """Measure both, and say what was found.

    Args:
        options: of the training.
        events: to measure with.
        least: training events of the least member.
        members: that could train together.
        threads: of torch.
        workers: processes that would train members apart at the same time.

    Returns:
        ``mode`` and the figures behind it: by batch size seconds for each million of events, ``together`` and ``apart``, and
        for the whole training expected ``seconds_together`` and ``seconds_apart``.
    """
    devices.settle(threads)
    device = devices.choose(options.accelerator)
    side_by_side = 1 if device.type == "cuda" else max(1, min(workers, members))
    epochs = [(rates.batch_size(options, epoch, least), rates.ghosts(options.ghost, epoch)) for epoch in range(options.epochs)]
    table = {}
    for size, ghosts in (epochs[0], max(epochs)):
        if size in table:
            continue
        few = min(size, MOST_EVENTS)
        stacked = max(min(members, MOST_EVENTS // few), min(2, members))
        together = _seconds(options, events, few, ghosts, stacked, device) / (few * stacked)
        table[size] = together, _seconds(options, events, few, ghosts, 1, device) / few / side_by_side
    total = [sum(least * members * table[min(table, key=lambda one: abs(one - size))][way] for size, _ in epochs) for way in range(2)]
    return {
        "mode": "together" if total[0] < total[1] else "apart",
        "members": members,
        "workers": side_by_side,
        "threads": threads,
        "seconds_per_million": {str(size): {"together": 1e6 * both[0], "apart": 1e6 * both[1]} for size, both in table.items()},
        "seconds_together": total[0],
        "seconds_apart": total[1],
    }


def _seconds(options: TrainOptions, events: PackedEvents, size: int, ghosts: int, members: int, device: torch.device) -> float:
    """Of a forward and a backward pass of so many members, on ``size`` events each; the best of some."""
    shape = len(events.classes), events.ancillary_names
    stack = Stack([build(options.network, *shape) for _ in range(members)]).to(device).train()
    stack.set_ghosts(ghosts)
    rows = torch.arange(members * size).view(members, size) % events.n
    inputs = [one[rows].to(device) for one in (events.can_jets, events.other_jets, events.ancillary)]
    label = events.label[rows].long().to(device) % len(events.classes)
    return min(_step(stack, inputs, label) for _ in range(1 + REPEATS))


def _step(stack: Stack, inputs: Sequence[Tensor], label: Tensor) -> float:
    began = time.perf_counter()
    stack.zero_grad()
    losses.svb(stack(*inputs)[0], label).mean(-1).sum().backward()  # type: ignore[no-untyped-call]
    if label.device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - began

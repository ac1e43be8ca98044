"""Members together or apart: measured for a moment, since neither is faster everywhere.

A stack spares calls, which counts for small batches and on a GPU; large batches of several members fall out of a CPU's caches. Either way
processes of one thread each work side by side on a CPU's cores: with single members, or with stacks of as many members as make one stack
for each process. What is measured are steps of the very networks, at the first and at the greatest batch size.

The two differ in the last digits, and a measurement differs from the next. So it decides only where it is plain; where it is nearly a
tie, the kind of device does, and the same study makes the same choice each time.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any, Literal

import torch

from labwright.events.networks.build import build
from labwright.events.packing.load import PackedEvents
from labwright.events.train_options import TrainOptions
from labwright.events.training import losses, rates
from labwright.events.training.members import Stack, by_member
from labwright.learn import devices, schedules

MOST_EVENTS = 16384
"""In a measured step; larger batches are measured with fewer members, then as smaller ones."""
REPEATS = 3
TIE = 1.25
"""Where the slower takes less than so many times as long, the measurement does not decide."""

Mode = Literal["together", "apart"]


def decided(together: float, apart: float, device: str) -> Mode:
    """By the seconds of both where they are plainly apart; else together on a GPU, whose calls cost most, and apart on a CPU."""
    if max(together, apart) > TIE * min(together, apart):
        return "together" if together < apart else "apart"
    return "apart" if device == "cpu" else "together"


def choose(options: TrainOptions, events: PackedEvents, least: int, members: int, threads: int, workers: int) -> dict[str, Any]:
    """Measure both, and say what was found.

    Args:
        options: of the training.
        events: to measure with.
        least: training events of the least member.
        members: that could train together.
        threads: of torch, where a stack has the machine for itself.
        workers: processes that would work at the same time.

    Returns:
        ``mode``, whether it is as ``measured`` or was a tie, and the figures behind it: ``stack``, how many members would train as one,
        by batch size seconds for each million of events of all members, ``together`` and ``apart``, and for the whole training expected
        ``seconds_together`` and ``seconds_apart``.
    """
    device = devices.choose(options.accelerator)
    side_by_side = 1 if device.type == "cuda" else max(1, min(workers, members))
    devices.settle(1 if side_by_side > 1 else threads)
    stack = math.ceil(members / side_by_side)
    epochs = [(rates.batch_size(options, epoch, least), rates.ghosts(options.ghost, epoch)) for epoch in range(options.epochs)]
    table = {}
    for size, ghosts in (epochs[0], max(epochs)):
        if size in table:
            continue
        few = min(size, MOST_EVENTS)
        stacked = max(min(stack, MOST_EVENTS // few), min(2, stack))
        # In turns, so that a busy moment hits both.
        steps = [step(options, events, few, ghosts, count, device) for count in (stacked, 1)]
        turns = [[_seconds(one) for one in steps] for _ in range(1 + REPEATS)]
        together, apart = map(min, zip(*turns, strict=True))
        rounds = stack / members
        table[size] = rounds * together / (few * stacked), rounds * apart / few
    total = [sum(least * members * table[min(table, key=lambda one: abs(one - size))][way] for size, _ in epochs) for way in range(2)]
    devices.settle(threads)
    return {
        "mode": decided(total[0], total[1], device.type),
        "measured": max(total) > TIE * min(total),
        "members": members,
        "stack": stack,
        "workers": side_by_side,
        "threads": threads,
        "seconds_per_million": {str(size): {"together": 1e6 * both[0], "apart": 1e6 * both[1]} for size, both in table.items()},
        "seconds_together": total[0],
        "seconds_apart": total[1],
    }


def step(options: TrainOptions, events: PackedEvents, size: int, ghosts: int, members: int, device: torch.device) -> Callable[[], object]:
    """A training step of so many new members, on ``size`` events each."""
    shape = len(events.classes), events.ancillary_names
    stack = Stack([build(options.network, *shape) for _ in range(members)]).to(device).train()
    stack.set_ghosts(ghosts)
    rows = torch.arange(members * size).view(members, size) % events.n
    label = events.label.long() % len(events.classes)
    columns = [one.to(device) for one in (events.can_jets, events.other_jets, events.ancillary, label)]
    optimizer = schedules.optimizer(options, stack.parameters(), fused=True)
    by_member(optimizer, stack, lambda: [1.0] * members, clip_norm=options.clip_norm)

    def take() -> None:
        *inputs, labels = (one[rows] for one in columns)
        losses.svb(stack(*inputs)[0], labels).mean(-1).sum().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        optimizer.zero_grad()

    return take


def _seconds(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - began

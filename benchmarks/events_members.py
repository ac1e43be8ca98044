"""Nine members of a k-fold training on two CPU cores: the way that is chosen for them against one after the other.

One after the other is what a plain script does: one process. Its torch has one thread or two, whichever is faster. Otherwise two processes
of one thread each work at the same time, on stacks of five and four members or on five and four single ones, whichever
``labwright.events.training.modes.choose`` finds faster. A turn is a step of all nine members, as a training takes it. The ratio is one of
CPU time, so that a busy machine does not decide: of the process that needs more, and for two threads half of theirs, as if both were of use
all the time. That of wall time, in which two processes also share their memory, is told beside it; the faster plain way is found
for each of the two by itself.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import torch
from events_training import ANCILLARY, CLASSES, events

from labwright.events.identity import Identity
from labwright.events.networks.build import build
from labwright.events.packing.load import PackedEvents
from labwright.events.train_options import TrainOptions
from labwright.events.training import modes
from labwright.events.training.members import Stack

Crew = list[Connection]
Seconds = tuple[float, float]
"""CPU time and wall time."""
Asked = tuple[int, bool, list[int]]
CORES, MEMBERS = 2, 9
SHARES = (5, 4)
CASES = {(1024, False): 9, (64, False): 9, (16384, False): 3, (64, True): 9, (1024, True): 5, (16384, True): 2}
"""Turns by batch size, and whether with attention."""


def options(batch: int, attention: bool) -> TrainOptions:
    network = {"kind": "hcr", "attention": attention}
    ghosts = {"batches": max(1, batch // 16) if batch <= 1024 else 1}
    return TrainOptions.model_validate({"batch_size": batch, "epochs": 1, "network": network, "ghost": ghosts, "accelerator": "cpu"})


def packed(count: int) -> PackedEvents:
    (can, others, extra), label = events(0, count)
    number = np.arange(count)
    identity = Identity(np.ones(count, np.uint32), np.ones(count, np.uint32), number.astype(np.uint64))
    names = tuple(map(str, range(CLASSES)))
    weight, flags = torch.ones(count), torch.zeros(count, dtype=torch.int32)
    return PackedEvents(can, others, extra, weight, label.to(torch.uint8), flags, identity, names, ANCILLARY, (), Path())


def check() -> None:
    """A stack gives what its members give."""
    pack, chosen = packed(256), options(64, attention=True)
    networks = [build(chosen.network, CLASSES, ANCILLARY) for _ in range(3)]
    inputs = [one.view(3, 64, *one.shape[1:]) for one in (pack.can_jets[:192], pack.other_jets[:192], pack.ancillary[:192])]
    for ghosts in (0, 4):
        stack = Stack(networks)
        stack.set_ghosts(ghosts)
        together = stack(*inputs)[0]
        for number, network in enumerate(networks):
            network.ghosts = ghosts
            torch.testing.assert_close(together[number], network(*(one[number] for one in inputs))[0], atol=1e-4, rtol=1e-4)


def serve(pipe: Connection, threads: int) -> None:
    """A process: makes steps of stacks of so many members, or takes them one after the other and tells the seconds."""
    torch.set_num_threads(threads)
    steps: list[Callable[[], object]] = []
    for asked in iter(pipe.recv, None):
        if asked:
            batch, attention, sizes = asked
            chosen, pack = options(batch, attention), packed(batch)
            steps = [modes.step(chosen, pack, batch, chosen.ghost.batches, size, torch.device("cpu")) for size in sizes]
        began = time.process_time(), time.perf_counter()
        for step in steps:
            step()
        pipe.send(((time.process_time() - began[0]) / threads, time.perf_counter() - began[1]))


def turn(crew: Crew, asked: list[Asked] | None = None) -> Seconds:
    """Seconds of the slowest of some processes, for a step of all their members; ``asked`` gives each other ones first."""
    for number, one in enumerate(crew):
        one.send(asked[number] if asked else False)
    cpu, wall = zip(*(one.recv() for one in crew), strict=True)
    return max(cpu), max(wall)


def compare(crews: list[Crew], batch: int, attention: bool) -> float:
    """How many times faster the chosen way is than one after the other, by CPU time."""
    pack = packed(max(batch, 1024))
    found = modes.choose(options(batch, attention), pack, len(pack.label), MEMBERS, CORES, CORES)
    shares = [[share] if found["mode"] == "together" else [1] * share for share in SHARES]
    for crew, sizes in zip(crews, (shares, [[1] * MEMBERS], [[1] * MEMBERS]), strict=True):
        turn(crew, [(batch, attention, size) for size in sizes])
    turns = [[turn(crew) for crew in crews] for _ in range(CASES[batch, attention])]
    ratios = []
    print(f"batch {batch:6,}, {'with' if attention else 'without'} attention: {found['mode']}")
    for number, clock in enumerate(("CPU", "wall")):
        ours, *alone = (statistics.median(one[number] for one in column) for column in zip(*turns, strict=True))
        plain, each = min(alone), MEMBERS * batch
        ratios.append(plain / ours)
        print(
            f"    by {clock:4} time: {each / ours:9,.0f} events/s, one after the other {each / plain:9,.0f} events/s "
            f"({1 + alone.index(plain)} threads), {plain / ours:.2f} times",
            flush=True,
        )
    return ratios[0]


def started(threads: int) -> Connection:
    here, there = get_context("spawn").Pipe()
    get_context("spawn").Process(target=serve, args=(there, threads), daemon=True).start()
    return here


if __name__ == "__main__":
    check()
    print(f"scores equal; a turn is a step of {MEMBERS} members, medians of {min(CASES.values())} to {max(CASES.values())}", flush=True)
    crews = [[started(1), started(1)], [started(1)], [started(CORES)]]
    ratios = {case: compare(crews, *case) for case in CASES}
    for crew in crews:
        for one in crew:
            one.send(None)
    least = min(ratios, key=lambda case: ratios[case])
    told = f"{ratios[least]:.2f} at batch {least[0]:,} {'with' if least[1] else 'without'} attention"
    print(f"ratio {ratios[1024, False]:.2f} — nine members, batch 1,024 without attention, chosen way (least of all cases: {told})")

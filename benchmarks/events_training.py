"""Training of HCR with attention: events a second on two CPU cores, a process of one thread on each, against a plain one.

A step is what a training takes: inputs from jets, forward, backward and Adam. The batches are those at the start of the usual
schedule, 1024 events in 64 ghost batches; events have 0 to 8 other jets, 2 on average, in 8 slots. Both sides work in float32 from the
jets to the logits, take torch's fused Adam, and run as a process of one thread on each core, which wastes nothing on waiting for
threads. The ratio is one of CPU time, so that a busy machine does not decide; that of wall time is told beside it.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import torch
from reference.events_training import PlainHCR
from torch import Tensor
from torch.nn.functional import cross_entropy

from labwright.events.networks.build import prepare
from labwright.events.networks.hcr import HCR

CORES, BATCH, GHOSTS, SLOTS, CLASSES, REPEATS = 2, 1024, 64, 8, 5, 25
ANCILLARY = ("year", "n_selected", "xW", "xbW")
CLOCKS = time.process_time, time.perf_counter
Step = Callable[[], tuple[Tensor, Tensor]]


def events(seed: int, count: int = BATCH) -> tuple[tuple[Tensor, Tensor, Tensor], Tensor]:
    """Toy jets, and labels."""
    drawn = torch.Generator().manual_seed(seed)

    def jets(number: int, least: float) -> Tensor:
        pt = least - 60.0 * torch.rand(count, number, generator=drawn).log()
        eta, phi, share = (torch.rand(count, number, generator=drawn) for _ in range(3))
        return torch.stack((pt, 4.8 * eta - 2.4, torch.pi * (2 * phi - 1), 0.05 * pt + 0.1 * share * pt), dim=2)

    can, others = jets(4, 40.0), jets(SLOTS, 20.0)
    can = can.gather(1, can[..., :1].argsort(dim=1, descending=True).expand(-1, -1, 4))
    selected = torch.randint(0, 2, (count, SLOTS, 1), generator=drawn).float()
    there = torch.poisson(torch.full((count, 1), 2.0), generator=drawn)
    padding = torch.tensor([0.0, 0.0, 0.0, 0.0, -1.0])
    others = torch.where(torch.arange(SLOTS)[None, :, None] < there[..., None], torch.cat((others, selected), 2), padding)
    extra = torch.cat((torch.full((count, 1), 18.0), 4 + there, torch.randn(count, 2, generator=drawn)), dim=1)
    return (can, others, extra), torch.randint(0, CLASSES, (count,), generator=drawn)


def both(seed: int) -> tuple[HCR, PlainHCR]:
    """Ours and the reference with the same weights."""
    torch.manual_seed(seed)
    ours, plain = HCR(CLASSES, ANCILLARY), PlainHCR(CLASSES)
    prepare(ours, *events(seed)[0])
    ours.ghosts = GHOSTS
    plain.load_state_dict(ours.state_dict())
    return ours, plain


def stepping(network: torch.nn.Module, seed: int, dtype: torch.dtype, *more: int) -> Step:
    """A training step; it returns the logits."""
    inputs, label = events(seed)
    can, others, extra = (one.to(dtype) for one in inputs)
    adam = torch.optim.Adam(network.parameters(), 1e-3, fused=True)

    def step() -> tuple[Tensor, Tensor]:
        adam.zero_grad()
        logits, views = network(can, others, extra, *more)
        cross_entropy(logits, label).backward()
        adam.step()
        return logits.detach(), views.detach()

    return step


def check(seed: int) -> None:
    """Equal logits and gradients in double precision; in single, where the plain masses lose digits, logits that are nearly so."""
    for dtype, close in ((torch.float32, 1e-2), (torch.float64, 1e-6)):
        ours, plain = (one.to(dtype) for one in both(seed))
        logits = stepping(ours, seed, dtype)(), stepping(plain, seed, dtype, GHOSTS)()
        for one, other in zip(*logits, strict=True):
            torch.testing.assert_close(one, other, atol=close, rtol=close)
    theirs = dict(plain.named_parameters())
    for name, parameter in ours.named_parameters():
        torch.testing.assert_close(parameter.grad, theirs[name].grad, atol=1e-6, rtol=1e-6)


def rates(seed: int) -> list[tuple[float, float]]:
    """Events a second on one core, of ours and of the reference, which take turns; by CPU time and by wall time."""
    torch.set_num_threads(1)
    check(seed)
    ours, plain = both(seed)
    steps = stepping(ours, seed, torch.float32), stepping(plain, seed, torch.float32, GHOSTS)
    seconds: list[list[tuple[float, float]]] = [[], []]
    for _ in range(REPEATS):
        for step, column in zip(steps, seconds, strict=True):
            before = [clock() for clock in CLOCKS]
            step()
            cpu, wall = (clock() - start for clock, start in zip(CLOCKS, before, strict=True))
            column.append((cpu, wall))
    return [(BATCH / statistics.median(cpu), BATCH / statistics.median(wall)) for cpu, wall in (zip(*one, strict=True) for one in seconds)]


if __name__ == "__main__":
    with ProcessPoolExecutor(CORES, mp_context=get_context("spawn")) as pool:
        found = list(pool.map(rates, range(CORES)))
    (ours, ours_wall), (reference, reference_wall) = ([sum(core) for core in zip(*side, strict=True)] for side in zip(*found, strict=True))
    print(f"logits and gradients equal; batches of {BATCH} events in {GHOSTS} ghost batches, medians of {REPEATS} steps")
    for name, cpu, wall in (("reference", reference, reference_wall), ("ours", ours, ours_wall)):
        print(f"{name}: {cpu:,.0f} events/s on {CORES} cores by CPU time ({1e6 * CORES / cpu:.1f} µs an event), {wall:,.0f} by wall time")
    print(f"by wall time: {ours_wall / reference_wall:.2f} times")
    print(f"ratio {ours / reference:.2f} — HCR with attention, training (ours {ours:,.0f} events/s, reference {reference:,.0f} events/s)")

"""The networks of the recipe by their options, and what they learn of the training events before any gradient.

A network maps (can_jets, other_jets, ancillary) to logits of the classes and of the three pairings. It has ``ghosts``, the ghost batches
of a training batch, ``inputs``, what goes into its embeddings, and ``embed``, those embeddings. Its running statistics are
buffers that are replaced, so that k networks train as one::

    state = {**parameters, **buffers}
    logits, views = torch.func.functional_call(network, state, (can_jets, other_jets, ancillary))
    changed = {name: state[name] for name in buffers}

inside a function that ``torch.func.vmap`` maps over members.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from labwright.events.ghost_norm import MOMENTUM, GhostLinear, GhostNorm, Pixels
from labwright.events.hcr import HCR
from labwright.events.recipe import HCROptions, PairformerOptions

CHUNK_EVENTS = 16384
SETTLE_EVENTS = 16384


class EventNetwork(Protocol):
    """What ``prepare`` and the training need of a network beside calling it."""

    ghosts: int
    embed: Mapping[str, GhostLinear]

    def inputs(self, can_jets: Tensor, other_jets: Tensor, ancillary: Tensor, ghosts: int = 1) -> dict[str, Pixels]: ...


def build(options: HCROptions | PairformerOptions, classes: int, ancillary: Sequence[str], others: int) -> nn.Module:
    return HCR(classes, ancillary, options.width, options.attention)


@torch.no_grad()
def prepare(network: nn.Module, can_jets: Tensor, other_jets: Tensor, ancillary: Tensor) -> None:
    sums: dict[str, tuple] = {}
    device = next(network.parameters()).device
    for chunk in zip(*(one.split(CHUNK_EVENTS) for one in (can_jets, other_jets, ancillary)), strict=True):
        for name, (values, present) in network.inputs(*(one.to(device) for one in chunk)).items():
            values = values.double()
            present = torch.ones_like(values[:, :1]) if present is None else present.double()
            new = torch.stack((present.sum().expand(values.shape[1]), (values * present).sum((0, 2, 3)), (values.square() * present).sum((0, 2, 3))))
            sums[name] = sums[name] + new if name in sums else new
    for name, (count, total, squares) in sums.items():
        mean = total / count
        spread = (squares / count - mean.square()).clamp_min(0).sqrt()
        layer = network.embed[name]
        layer.mean = mean.float()
        layer.spread = torch.where(spread > 1e-4 * (1+mean.abs()), spread, 1.0).float()
    frozen = set(network.embed.values())
    norms = [m for m in network.modules() if isinstance(m, GhostLinear | GhostNorm) and m not in frozen]
    was = network.training, network.ghosts
    network.train(); network.ghosts = 1
    for m in norms: m.momentum = 1.0
    network(*(one[:SETTLE_EVENTS].to(device) for one in (can_jets, other_jets, ancillary)))
    for m in norms: m.momentum = MOMENTUM
    network.train(was[0]); network.ghosts = was[1]

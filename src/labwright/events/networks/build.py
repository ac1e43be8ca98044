"""The networks of the recipe by their options, and what they learn of the training events before any gradient.

A network maps (can_jets, other_jets, ancillary) to logits of the classes and of the three pairings. Its running statistics are buffers
that are replaced and never written into, so that k networks train as one: in a function that ``torch.func.vmap`` maps over members ::

    state = {**parameters, **buffers}
    logits, views = torch.func.functional_call(network, state, (can_jets, other_jets, ancillary))
    changed = {name: state[name] for name in buffers}
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import Tensor, nn

from labwright.events.network_options import HCROptions, Network, PairformerOptions
from labwright.events.networks.ghost_norm import MOMENTUM, GhostLinear, GhostNorm, Pixels
from labwright.events.networks.hcr import HCR
from labwright.events.networks.pairformer import Pairformer

CHUNK_EVENTS = 16384
"""Events looked at together; the first chunk also gives the first running statistics."""
RAREST = 1e-4
"""No class is expected to have a smaller share."""
CONSTANT = 1e-4
"""An input that spreads by less, as a share of its size, is the same for all events: it goes in as a zero."""

Inputs = Callable[[Tensor, Tensor, Tensor], Mapping[str, Pixels]]


def _hcr(options: HCROptions, classes: int, ancillary: Sequence[str]) -> nn.Module:
    return HCR(classes, ancillary, options.width, options.attention)


def _pairformer(options: PairformerOptions, classes: int, ancillary: Sequence[str]) -> nn.Module:
    return Pairformer(classes, ancillary, options.width, options.heads, options.layers, options.dropout)


REGISTRY: Mapping[str, Callable[[Any, int, Sequence[str]], nn.Module]] = {"hcr": _hcr, "pairformer": _pairformer}
"""A builder for each ``kind`` of network options."""


def build(options: Network, classes: int, ancillary: Sequence[str]) -> nn.Module:
    """The network of some options, its weights drawn from torch's own random state; ``prepare`` it before use.

    Returns:
        A module that maps can_jets (batch, 4, 4), other_jets (batch, m, 5) and ancillary (batch, names), float32, to class logits
        (batch, classes) and view logits (batch, 3); m may be any, and 0. Further it has ``ghosts``, into how many ghost batches a
        training batch is cut (at most; a divisor of the batch is taken; 0: running statistics), and the layer ``classify``, its last.
    """
    return REGISTRY[options.kind](options, classes, ancillary)


@torch.no_grad()
def prepare(network: nn.Module, can_jets: Tensor, other_jets: Tensor, ancillary: Tensor) -> None:
    """Let a network know mean and spread of its inputs over the training events, for good, and give it first running statistics.

    Args:
        can_jets, other_jets, ancillary: of the training events, as for ``build``, on any device.
    """
    device = next(network.parameters()).device
    inputs = cast(Inputs, network.inputs)
    embeddings = cast(Mapping[str, GhostLinear], network.embed)
    sums: dict[str, Tensor] = {}
    columns = can_jets, other_jets, ancillary
    for start in range(0, len(can_jets), CHUNK_EVENTS):
        chunk = [one[start : start + CHUNK_EVENTS].to(device) for one in columns]
        for name, pixels in inputs(chunk[0], chunk[1], chunk[2]).items():
            new = _sums(pixels)
            sums[name] = sums[name] + new if name in sums else new
    for name, (count, total, squares) in sums.items():
        mean = total / count
        spread = (squares / count - mean.square()).clamp_min(0.0).sqrt()
        spread = torch.where(spread > CONSTANT * (1.0 + mean.abs()), spread, 1.0)
        embeddings[name].statistics = torch.stack((mean, spread)).to(embeddings[name].statistics)
    with _settling(network, frozen=set(embeddings.values())):
        network(*(one[:CHUNK_EVENTS].to(device) for one in columns))


@torch.no_grad()
def expect(network: nn.Module, shares: Tensor) -> None:
    """Let the first answer be how common the classes are: where they differ much, a network that has to learn this first spoils its
    features on the way, and may never find what tells two common classes apart.

    Args:
        shares: (classes,) of the weight of the training events; they need not add up to 1.
    """
    bias = cast(nn.Parameter, cast(nn.Module, network.classify).bias)
    shares = (shares / shares.sum().clamp_min(torch.finfo(shares.dtype).tiny)).clamp_min(RAREST)
    bias.copy_((shares / shares.sum()).log())


def _sums(pixels: Pixels) -> Tensor:
    """Number, sum and sum of squares over all that is present, float64 (3, features)."""
    values = pixels.values.double()
    present = torch.ones_like(values[:, :1]) if pixels.present is None else pixels.present.double()
    count = present.sum().expand(values.shape[1])
    return torch.stack((count, (values * present).sum((0, 2, 3)), (values.square() * present).sum((0, 2, 3))))


@contextmanager
def _settling(network: Any, frozen: set[GhostLinear]) -> Iterator[None]:
    """Running statistics become those of the next batch."""
    norms = [one for one in network.modules() if isinstance(one, GhostLinear | GhostNorm) and one not in frozen]
    before = network.training, network.ghosts
    network.train()
    network.ghosts = 1
    for one in norms:
        one.momentum = 1.0
    yield
    for one in norms:
        one.momentum = MOMENTUM
    network.train(before[0])
    network.ghosts = before[1]

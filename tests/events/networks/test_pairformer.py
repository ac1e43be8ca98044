"""What is particular to the pairformer: it looks at all jets, starts its blocks from nothing, and drops out by member."""

from __future__ import annotations

import pytest
import torch
from torch.func import functional_call, vmap

from labwright.events.networks.build import prepare
from labwright.events.networks.pairformer import Pairformer
from tests.events.networks.test_build import ANCILLARY, Events, events

pytestmark = pytest.mark.usefixtures("one_thread")


def prepared(**more: object) -> tuple[Pairformer, Events]:
    torch.manual_seed(0)
    network, seen = Pairformer(3, ANCILLARY, **more), events(96, 1)  # type: ignore[arg-type]
    prepare(network, *seen)
    return network, seen


def test_blocks_begin_as_nothing_and_then_all_parameters_learn() -> None:
    network, seen = prepared(layers=2)
    moved = seen._replace(other=seen.other * torch.tensor([2.0, 1.0, 1.0, 1.0, 1.0]))
    torch.testing.assert_close(network(*seen)[0], network(*moved)[0])
    adam = torch.optim.Adam(network.parameters(), 3e-2)
    for _ in range(8):
        adam.zero_grad()
        logits, views = network(*seen)
        (logits.square().mean() + views.square().mean()).backward()
        adam.step()
    # The last jet-to-jet step ends in the keys and values of the dijets, so that nothing is without use.
    assert [name for name, one in network.named_parameters() if one.grad is None or not one.grad.any()] == []
    assert not torch.allclose(network(*seen)[0], network(*moved)[0], atol=1e-4)


def test_ghost_batches_are_without_effect() -> None:
    network, seen = prepared()
    alone = network(*seen)[0]
    network.ghosts = 8
    assert torch.equal(network(*seen)[0], alone)


def test_dropout_is_drawn_for_each_member_and_only_in_training() -> None:
    network, seen = prepared(drop=0.5)
    state = {name: torch.stack([one.detach()] * 2) for name, one in network.state_dict().items()}

    def logits(of: dict[str, torch.Tensor]) -> torch.Tensor:
        result: torch.Tensor = functional_call(network, of, tuple(seen))[0]
        return result

    one, two = vmap(logits, randomness="different")(state)
    assert not torch.allclose(one, two)
    network.eval()
    one, two = vmap(logits, randomness="different")(state)
    assert torch.equal(one, two)

"""What is particular to HCR: its size, what attention sees, and ghost batches."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from labwright.events.networks.build import prepare
from labwright.events.networks.hcr import HCR
from tests.events.networks.test_build import ANCILLARY, Events, events

pytestmark = pytest.mark.usefixtures("one_thread")


def prepared(ghosts: int = 0, attention: bool = True, count: int = 96) -> tuple[HCR, Events]:
    torch.manual_seed(0)
    network, seen = HCR(3, ANCILLARY, attention=attention), events(count, 1)
    prepare(network, *seen)
    network.ghosts = ghosts
    return network, seen


@pytest.mark.parametrize(
    ("classes", "width", "attention", "parameters"),
    [
        *((classes, 8, True, size) for classes, size in ((2, 1034), (3, 1043), (4, 1052), (5, 1061))),
        *((classes, 8, False, size) for classes, size in ((2, 726), (3, 735), (4, 744), (5, 753))),
        *((5, width, True, size) for width, size in ((6, 673), (10, 1533), (14, 2729), (16, 3453), (32, 12269))),
    ],
)
def test_it_has_the_published_number_of_parameters(classes: int, width: int, attention: bool, parameters: int) -> None:
    network = HCR(classes, ANCILLARY, width, attention)
    assert sum(one.numel() for one in network.parameters()) == parameters


def test_every_parameter_learns() -> None:
    network, seen = prepared(ghosts=4)
    logits, views = network(*seen)
    (logits.square().mean() + views.square().mean()).backward()
    # The year is the same for all events: its row, and nothing else, learns nothing.
    still = {name for name, one in network.named_parameters() if one.grad is None or not one.grad.any()}
    assert not still
    assert not network.embed["ancillary"].weight.grad[:, 0].any()  # type: ignore[union-attr, index]


def test_other_jets_matter_with_attention_only() -> None:
    for attention in (True, False):
        network, seen = prepared(attention=attention)
        network.eval()
        moved = seen.other.clone()
        moved[..., 0] *= 2.0
        same = torch.equal(network(*seen)[0], network(seen.can, moved, seen.ancillary)[0])
        assert same is not attention


def test_ghost_batches_are_normalised_apart() -> None:
    """Events of one ghost batch do not see those of another, and they do see each other."""
    network, seen = prepared(ghosts=4)
    first = slice(0, 24)
    other = events(96, 2)
    mixed = Events(*(torch.cat((one[first], two[24:])) for one, two in zip(seen, other, strict=True)))
    torch.testing.assert_close(network(*mixed)[0][first], network(*seen)[0][first])
    network.ghosts = 1
    assert not torch.allclose(network(*mixed)[0][first], network(*seen)[0][first], atol=1e-3)


def test_ghost_batches_that_do_not_divide_the_batch_become_fewer() -> None:
    network, seen = prepared(ghosts=64)
    network(*(one[:36] for one in seen))
    coarse = network.classify.statistics.clone()
    network, _ = prepared(ghosts=4)
    network(*(one[:36] for one in seen))
    torch.testing.assert_close(network.classify.statistics, coarse)


def test_without_ghost_batches_training_uses_and_leaves_the_running_statistics() -> None:
    network, seen = prepared(ghosts=0)
    before = {name: one.clone() for name, one in network.named_buffers()}
    training: Tensor = network.train()(*seen)[0]
    assert torch.equal(training, network.eval()(*seen)[0])
    assert all(torch.equal(before[name], one) for name, one in network.named_buffers())

"""k networks trained as one are k networks trained one by one."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from labwright.events.networks.build import prepare
from labwright.events.networks.hcr import HCR
from labwright.events.training.members import Stack, by_member, clip, row
from labwright.learn.options import Adam, AdamW, FitOptions, Optimizer, Sgd
from labwright.learn.schedules import optimizer

CLASSES, ANCILLARY = 3, ("year", "n_selected")
STEPS = 4
Inputs = tuple[Tensor, Tensor, Tensor]


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def events(count: int, seed: int) -> Inputs:
    drawn = torch.Generator().manual_seed(seed)

    def jets(number: int) -> Tensor:
        scale = torch.tensor([80.0, 2.0, 3.0, 10.0])
        one = torch.rand(count, number, 4, generator=drawn) * scale + torch.tensor([40.0, -1.0, -1.5, 3.0])
        return one.sort(dim=1, descending=True).values

    others = torch.cat((jets(2), torch.ones(count, 2, 1)), dim=2)
    others[count // 2 :, 1] = torch.tensor([0.0, 0.0, 0.0, 0.0, -1.0])
    return jets(4), others, torch.stack((torch.full((count,), 2018.0), torch.randint(4, 9, (count,), generator=drawn).float()), 1)


def network(seed: int, attention: bool = True) -> nn.Module:
    torch.manual_seed(seed)
    made = HCR(CLASSES, ANCILLARY, width=4, attention=attention)
    prepare(made, *events(64, seed))
    return made


def loss(stack: Stack, inputs: Inputs, labels: Tensor) -> Tensor:
    logits, _ = stack(*inputs)
    return functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none").view(labels.shape).mean(-1)


def trained(
    networks: list[nn.Module], numbers: list[int], rates: list[float], kind: Optimizer, clip_norm: float | None
) -> list[dict[str, Tensor]]:
    """Weights of the members after some steps; member n always meets the events and the rate of n.

    In float64: Adam makes a full step of a gradient that is nothing but rounding.
    """
    stack = Stack(networks).double().train()
    stack.set_ghosts(2)
    made = optimizer(FitOptions(learning_rate=0.02, optimizer=kind), stack.parameters())
    by_member(made, stack, lambda: [rates[number] for number in numbers], clip_norm=clip_norm)
    for step in range(STEPS):
        batches = [events(16, 100 * step + number) for number in numbers]
        inputs = (torch.stack(one).double() for one in zip(*batches, strict=True))
        labels = torch.stack(
            [torch.randint(CLASSES, (16,), generator=torch.Generator().manual_seed(step + 50 * number)) for number in numbers]
        )
        loss(stack, tuple(inputs), labels).sum().backward()
        made.step()
        made.zero_grad()
    return [row(stack.tensors(), index) for index in range(len(numbers))]


@pytest.mark.parametrize("kind", [Adam(), AdamW(weight_decay=0.1), Sgd()], ids=["adam", "adamw", "sgd"])
@pytest.mark.parametrize("clip_norm", [None, 0.1])
def test_together_they_learn_what_they_learn_one_by_one(kind: Optimizer, clip_norm: float | None) -> None:
    rates = [1.0, 0.25, 0.5]
    networks = [network(seed) for seed in range(3)]
    together = trained(networks, [0, 1, 2], rates, kind, clip_norm)
    for number in range(3):
        (alone,) = trained([networks[number]], [number], rates, kind, clip_norm)
        for name, tensor in alone.items():
            torch.testing.assert_close(together[number][name], tensor, rtol=1e-5, atol=1e-6, msg=lambda text, name=name: f"{name}: {text}")


@pytest.mark.parametrize("attention", [True, False])
def test_a_stack_scores_as_its_members_do(attention: bool) -> None:
    networks = [network(seed, attention).eval() for seed in range(2)]
    inputs = events(10, 1), events(10, 2)
    logits, views = Stack(networks).eval()(*(torch.stack(one) for one in zip(*inputs, strict=True)))
    for index, one in enumerate(networks):
        expected = one(*inputs[index])
        torch.testing.assert_close(logits[index], expected[0], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(views[index], expected[1], rtol=1e-4, atol=1e-5)


def test_the_weights_of_a_member_fit_a_single_network() -> None:
    networks = [network(seed) for seed in range(2)]
    fresh = HCR(CLASSES, ANCILLARY, width=4)
    fresh.load_state_dict(row(Stack(networks).state_dict(), 1))
    for name, tensor in networks[1].state_dict().items():
        assert torch.equal(fresh.state_dict()[name], tensor)


@pytest.mark.parametrize("count", [1, 2])
def test_running_statistics_follow_the_batches_of_each_member(count: int) -> None:
    networks = [network(0) for _ in range(count)]
    stack = Stack(networks).train()
    stack.set_ghosts(1)
    before = stack.network.classify.statistics.clone()
    stack(*(torch.stack([one] * count) for one in events(16, 1)))
    after = stack.network.classify.statistics
    single = networks[0].train()
    single.ghosts = 1
    single(*events(16, 1))
    assert not torch.equal(before, after)
    torch.testing.assert_close(after[-1], single.classify.statistics, rtol=1e-4, atol=1e-5)


def test_each_member_is_clipped_by_its_own_norm() -> None:
    parameters = [nn.Parameter(torch.zeros(3, 2)), nn.Parameter(torch.zeros(3, 4, 2))]
    for number, one in enumerate(parameters):
        one.grad = torch.randn(one.shape, generator=torch.Generator().manual_seed(number)) * torch.tensor([0.01, 1.0, 10.0]).view(
            3, *[1] * (one.ndim - 1)
        )
    expected = []
    for member in range(3):
        alone = [nn.Parameter(torch.zeros_like(one[member])) for one in parameters]
        for mine, one in zip(alone, parameters, strict=True):
            assert one.grad is not None
            mine.grad = one.grad[member].clone()
        nn.utils.clip_grad_norm_(alone, 0.5)
        expected.append([one.grad for one in alone])
    clip(parameters, 0.5)
    for member in range(3):
        for one, wanted in zip(parameters, expected[member], strict=True):
            assert one.grad is not None
            torch.testing.assert_close(one.grad[member], wanted)


def test_frozen_parameters_stay_to_the_bit() -> None:
    stack = Stack([network(0), network(1)]).train()
    made = optimizer(FitOptions(learning_rate=0.02, optimizer=AdamW()), stack.parameters())
    names = {name for name, _ in stack.network.named_parameters() if not name.startswith("classify")}
    by_member(made, stack, lambda: [1.0, 0.5], frozen=lambda: names)
    before = stack.tensors()
    labels = torch.zeros(2, 16, dtype=torch.int64)
    loss(stack, tuple(torch.stack([one] * 2) for one in events(16, 1)), labels).sum().backward()
    made.step()
    after = stack.tensors()
    assert all(torch.equal(before[name], after[name]) for name in names)
    assert not torch.equal(before["classify.weight"], after["classify.weight"])

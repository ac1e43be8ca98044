"""What holds for every network: scores do not see how an event lies, how its jets are listed or where the padding is; k of them are one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.nn.functional import cross_entropy

from labwright.events.network_options import Network
from labwright.events.networks.build import REGISTRY, build, expect, prepare
from labwright.events.physics.four_vectors import cartesian, mass

ANCILLARY = ("year", "n_selected", "xW", "xbW")
CLASSES, OTHERS, TOLERANCE = 3, 5, 1e-5
VARIANTS = [{"kind": kind} for kind in REGISTRY] + [{"kind": "hcr", "attention": False}, {"kind": "pairformer", "layers": 2}]


class Events(NamedTuple):
    """Inputs of a network."""

    can: Tensor
    other: Tensor
    ancillary: Tensor


pytestmark = pytest.mark.usefixtures("one_thread")


def events(count: int, seed: int, others: int = OTHERS) -> Events:
    """Jets as in data, of 0 to all other jets, their padding last."""
    drawn = np.random.default_rng(seed)

    def jets(number: int, least: float) -> np.ndarray:
        pt = least + drawn.exponential(60.0, (count, number))
        eta, phi, share = drawn.uniform(-2.5, 2.5, pt.shape), drawn.uniform(-np.pi, np.pi, pt.shape), drawn.uniform(0, 0.3, pt.shape)
        return np.stack((pt, eta, phi, share * pt), axis=2)

    can, other = jets(4, 40.0), jets(others, 20.0)
    other = np.concatenate((other, drawn.integers(0, 2, (count, others, 1))), axis=2)
    there = drawn.integers(0, others + 1, count)
    other[np.arange(others) >= there[:, None]] = (0.0, 0.0, 0.0, 0.0, -1.0)
    can = np.take_along_axis(can, np.argsort(-can[..., :1], axis=1), axis=1)
    ancillary = np.stack((np.full(count, 2018.0), 4 + there, drawn.normal(size=count), drawn.normal(size=count)), axis=1)
    return Events(*(torch.from_numpy(one.astype(np.float32)) for one in (can, other, ancillary)))


def network(variant: dict[str, object], seed: int = 0, ancillary: Sequence[str] = ANCILLARY, others: int = OTHERS) -> nn.Module:
    torch.manual_seed(seed)
    made = build(TypeAdapter(Network).validate_python(variant), CLASSES, ancillary)
    for parameter in made.parameters():
        # What begins as nothing must not hide a broken symmetry.
        parameter.data += 0.1 * torch.randn_like(parameter)
    known = events(400, 1, others)
    prepare(made, known.can, known.other, known.ancillary[:, : len(ancillary)])
    return made.eval()


@pytest.fixture(scope="module", params=VARIANTS, ids=lambda one: "-".join(map(str, one.values())))
def any_network(request: pytest.FixtureRequest) -> nn.Module:
    return network(request.param)


@torch.no_grad()
def scores(of: nn.Module, seen: Events) -> tuple[Tensor, Tensor]:
    logits, views = of(*seen)
    return logits.softmax(1), views.softmax(1)


def turned(seen: Events, angle: float) -> Events:
    def one(jets: Tensor) -> Tensor:
        phi = jets[..., 2].double() + angle
        phi = torch.atan2(phi.sin(), phi.cos()).float()
        return torch.cat((jets[..., :2], torch.where(jets[..., 0] > 0, phi, 0.0)[..., None], jets[..., 3:]), dim=-1)

    return Events(one(seen.can), one(seen.other), seen.ancillary)


def flipped(seen: Events, column: int) -> Events:
    sign = torch.ones(5)
    sign[column] = -1.0
    return Events(seen.can * sign[:4], seen.other * sign, seen.ancillary)


same = settings(max_examples=15)
seeds = st.integers(2, 2**31)


@same
@given(seed=seeds, angle=st.floats(-math.pi, math.pi))
def test_an_event_may_be_turned_about_the_beam(any_network: nn.Module, seed: int, angle: float) -> None:
    seen = events(64, seed)
    for before, after in zip(scores(any_network, seen), scores(any_network, turned(seen, angle)), strict=True):
        torch.testing.assert_close(after, before, atol=TOLERANCE, rtol=0)


@same
@given(seed=seeds, column=st.sampled_from((1, 2)))
def test_an_event_may_be_mirrored_in_phi_and_flipped_in_eta(any_network: nn.Module, seed: int, column: int) -> None:
    seen = events(64, seed)
    for before, after in zip(scores(any_network, seen), scores(any_network, flipped(seen, column)), strict=True):
        torch.testing.assert_close(after, before, atol=TOLERANCE, rtol=0)


@same
@given(seed=seeds, order=st.permutations(range(4)))
def test_jets_may_come_in_any_order_and_the_pairings_follow(any_network: nn.Module, seed: int, order: list[int]) -> None:
    """The swap of two dijets, (12)(34) → (34)(12), is one of the orders."""
    seen = events(64, seed)
    classes, views = scores(any_network, seen)
    swapped_classes, swapped_views = scores(any_network, Events(seen.can[:, order], seen.other, seen.ancillary))
    torch.testing.assert_close(swapped_classes, classes, atol=TOLERANCE, rtol=0)
    pairings = [{frozenset(pair), frozenset(range(4)) - set(pair)} for pair in ((0, 1), (0, 2), (0, 3))]
    moved = [{frozenset(order[jet] for jet in pair) for pair in pairing} for pairing in pairings]
    torch.testing.assert_close(swapped_views, views[:, [pairings.index(one) for one in moved]], atol=TOLERANCE, rtol=0)


@same
@given(seed=seeds, order=st.permutations(range(OTHERS)))
def test_other_jets_and_padding_may_come_in_any_order(any_network: nn.Module, seed: int, order: list[int]) -> None:
    seen = events(64, seed)
    for before, after in zip(scores(any_network, seen), scores(any_network, seen._replace(other=seen.other[:, order])), strict=True):
        torch.testing.assert_close(after, before, atol=TOLERANCE, rtol=0)


def test_what_lies_in_padding_is_not_looked_at(any_network: nn.Module) -> None:
    seen = events(64, 3)
    absent = seen.other[..., 4:] < 0
    rubbish = torch.where(absent, torch.tensor([300.0, 1.0, 2.0, torch.nan, -1.0]), seen.other)
    more = torch.cat((seen.other, torch.tensor([0.0, 0.0, 0.0, 0.0, -1.0]).expand(64, 3, 5)), dim=1)
    for other in (rubbish, more):
        for before, after in zip(scores(any_network, seen), scores(any_network, seen._replace(other=other)), strict=True):
            torch.testing.assert_close(after, before, atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda one: "-".join(map(str, one.values())))
def test_an_event_without_other_jets_may_have_no_slots_for_them(variant: dict[str, object]) -> None:
    made = network(variant, others=0)
    seen = events(64, 4, 0)
    padded = seen._replace(other=torch.tensor([0.0, 0.0, 0.0, 0.0, -1.0]).expand(64, 2, 5))
    for before, after in zip(scores(made, seen), scores(made, padded), strict=True):
        torch.testing.assert_close(after, before, atol=TOLERANCE, rtol=0)


def test_an_event_may_have_more_other_jets_than_any_that_was_trained_on(any_network: nn.Module) -> None:
    seen = events(64, 11, 12)
    assert (seen.other[..., 4] >= 0).sum(1).max() > 8
    order = torch.randperm(12, generator=torch.Generator().manual_seed(0))
    for before, after in zip(scores(any_network, seen), scores(any_network, seen._replace(other=seen.other[:, order])), strict=True):
        assert before.isfinite().all()
        torch.testing.assert_close(after, before, atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda one: "-".join(map(str, one.values())))
def test_there_may_be_no_ancillary_inputs(variant: dict[str, object]) -> None:
    made = network(variant, ancillary=())
    seen = events(32, 5)
    assert made(seen.can, seen.other, seen.ancillary[:, :0])[0].shape == (32, CLASSES)


def test_one_year_and_a_later_one_give_numbers(any_network: nn.Module) -> None:
    seen = events(64, 6)
    other_year = seen.ancillary.clone()
    other_year[:, 0] = 2024.0
    for ancillary in (seen.ancillary, other_year):
        for one in scores(any_network, seen._replace(ancillary=ancillary)):
            assert one.isfinite().all()


@pytest.mark.parametrize("mode", ["train", "eval"])
def test_three_stacked_networks_learn_what_three_single_ones_do(any_network: nn.Module, mode: str) -> None:
    kind = any_network
    batches = [events(48, 10 + member) for member in range(3)]
    labels = torch.arange(48).expand(3, -1) % CLASSES
    states = [{name: tensor.detach().clone() for name, tensor in kind.state_dict().items()} for _ in range(3)]
    names = set(dict(kind.named_parameters()))
    drawn = torch.Generator().manual_seed(0)
    for state in states:
        for name in names:
            state[name] += 0.05 * torch.randn(state[name].shape, generator=drawn)
    kind.train(mode == "train")
    kind.ghosts = 4  # type: ignore[assignment]

    def loss(
        parameters: dict[str, Tensor], buffers: dict[str, Tensor], inputs: tuple[Tensor, ...], label: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        state = {**parameters, **buffers}
        logits, views = functional_call(kind, state, inputs)
        return cross_entropy(logits, label) + views.square().mean(), {name: state[name] for name in buffers}

    def split(state: dict[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        return {name: state[name] for name in names}, {name: one for name, one in state.items() if name not in names}

    step = grad(loss, has_aux=True)
    stacked = {name: torch.stack([state[name] for state in states]) for name in states[0]}
    inputs = tuple(torch.stack(column) for column in zip(*batches, strict=True))
    together = vmap(step)(*split(stacked), inputs, labels)
    kind.eval()
    for member in range(3):
        kind.train(mode == "train")
        alone = step(*split(states[member]), tuple(batches[member]), labels[member])
        for ours, theirs in zip(together, alone, strict=True):
            assert ours.keys() == theirs.keys()
            for name in theirs:
                torch.testing.assert_close(ours[name][member], theirs[name], atol=1e-6, rtol=1e-4)
    kind.eval()
    kind.ghosts = 0  # type: ignore[assignment]


def test_prepare_measures_inputs_over_all_events_that_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("labwright.events.networks.build.CHUNK_EVENTS", 64)
    seen = events(300, 7)
    made = build(TypeAdapter(Network).validate_python({"kind": "hcr"}), CLASSES, ANCILLARY)
    prepare(made, *seen)
    embed = dict(made.named_modules())
    pt = torch.cat((seen.can[..., 0].flatten(), seen.other[..., 0][seen.other[..., 4] >= 0])).double().log1p()
    other = embed["embed.other"].statistics
    torch.testing.assert_close(other[:, 0].double(), torch.stack((pt.mean(), pt.std(correction=0))), rtol=1e-5, atol=0)
    ancillary = embed["embed.ancillary"].statistics
    jets_more = (seen.ancillary[:, 1] - 3).log()
    torch.testing.assert_close(ancillary[:, 1], torch.stack((jets_more.mean(), jets_more.std(correction=0))), rtol=1e-5, atol=0)
    assert ancillary[:, 0].tolist() == [2018.0, 1.0]
    assert not made.ghosts
    assert made.training


def test_the_first_running_statistics_are_those_of_the_training_events() -> None:
    seen = events(256, 8)
    made = network({"kind": "hcr"})
    prepare(made, *seen)
    made.train()
    made.ghosts = 1  # type: ignore[assignment]
    live = made(*seen)[0]
    made.eval()
    prepare(made, *seen)
    torch.testing.assert_close(made(*seen)[0], live, atol=1e-4, rtol=1e-4)


def test_masses_of_known_events_reach_the_network() -> None:
    """Of the four jets together, from momenta that another module adds up."""
    seen = events(32, 9)
    made = network({"kind": "hcr"})
    quadjet = made.inputs(*seen)["quadjet"].values[0, :, 0]  # type: ignore[operator]
    np.testing.assert_allclose(quadjet[2].numpy(), np.log1p(mass(cartesian(seen.can.numpy()).sum(axis=1))), rtol=1e-5)


def test_the_first_answer_is_how_common_the_classes_are(any_network: nn.Module) -> None:
    seen, classify = events(64, 10), any_network.get_submodule("classify")
    before = {name: value.clone() for name, value in classify.state_dict().items()}
    try:
        with torch.no_grad():
            classify.get_parameter("weight").zero_()
        for weights, shares in (((3.0, 6.0, 1.0), (0.3, 0.6, 0.1)), ((1.0, 1.0, 0.0), (0.5, 0.5, 0.0)), ((0.0, 0.0, 0.0), (1 / 3,) * 3)):
            expect(any_network, torch.tensor(weights))
            answer = any_network(*seen)[0].softmax(-1)
            torch.testing.assert_close(answer, torch.tensor(shares).expand(64, -1), atol=2e-4, rtol=0)
    finally:
        classify.load_state_dict(before)

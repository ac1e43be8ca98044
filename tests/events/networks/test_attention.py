"""Scores and mixtures of attention against a whole sum, and their derivatives."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from labwright.events.networks import attention
from labwright.events.networks.attention import allowed, mixed, scores, shares
from labwright.events.networks.pair_features import pair_list

GHOSTS, HEADS, FEATURES, EVENTS, COUNT = 2, 2, 3, 4, 5


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed + sum(shape)), dtype=torch.float64)


def whole(pairs: Tensor, asking: int, among: bool) -> Tensor:
    """(…, q · v, events) or pairs among values → (…, q, v, events), 0 on the diagonal of the latter."""
    if not among:
        return pairs.unflatten(-2, (asking, COUNT))
    square = pairs.new_zeros(*pairs.shape[:-2], COUNT, COUNT, EVENTS)
    for number, (i, j) in enumerate(pair_list(COUNT)):
        square[..., i, j, :] = square[..., j, i, :] = pairs[..., number, :]
    return square


@pytest.fixture(params=["loops", "tensors"], autouse=True)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compiled loops as on a CPU, or tensors as on a GPU."""
    if request.param == "tensors":
        monkeypatch.setattr(attention, "looped", lambda _: False)


@pytest.fixture(params=[True, False], ids=["among", "across"])
def among(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture
def asking(among: bool) -> int:
    return COUNT if among else 3


def pairs_of(asking: int, among: bool) -> int:
    return len(pair_list(COUNT)) if among else asking * COUNT


def off_diagonal(among: bool) -> Tensor:
    return 1.0 - torch.eye(COUNT, dtype=torch.float64)[..., None] if among else torch.ones(1, dtype=torch.float64)


def test_scores_add_what_is_known_to_the_product(asking: int, among: bool) -> None:
    known = drawn(GHOSTS, HEADS, pairs_of(asking, among), EVENTS)
    query, value = drawn(GHOSTS, HEADS, FEATURES, asking, EVENTS), drawn(GHOSTS, HEADS, FEATURES, COUNT, EVENTS, seed=1)
    expected = whole(known, asking, among) + torch.einsum("ghfqe,ghfve->ghqve", query, value)
    found = scores(known, query, value, among).unflatten(2, (asking, COUNT))
    torch.testing.assert_close(found * off_diagonal(among), expected * off_diagonal(among))


def test_what_is_mixed_is_pair_and_value_by_their_weight(asking: int, among: bool) -> None:
    weight = drawn(GHOSTS, HEADS, asking, COUNT, EVENTS) * off_diagonal(among)
    pair = drawn(GHOSTS, HEADS, FEATURES, pairs_of(asking, among), EVENTS)
    value = drawn(GHOSTS, HEADS, FEATURES, COUNT, EVENTS)
    both = whole(pair, asking, among) + value[:, :, :, None]
    expected = torch.einsum("ghqve,ghfqve->ghfqe", weight, both).flatten(1, 2)
    torch.testing.assert_close(mixed(weight.flatten(2, 3), pair, value, among), expected)


def test_derivatives_are_those_of_finite_differences(asking: int, among: bool) -> None:
    pair = drawn(1, HEADS, FEATURES, pairs_of(asking, among), EVENTS).requires_grad_()
    query = drawn(1, HEADS, FEATURES, asking, EVENTS).requires_grad_()
    value = drawn(1, HEADS, FEATURES, COUNT, EVENTS).requires_grad_()
    where = allowed(torch.ones(1, 1, pairs_of(asking, among), EVENTS, dtype=torch.float64), COUNT, among)

    def through(pair: Tensor, query: Tensor, value: Tensor) -> Tensor:
        weight = shares(scores(pair.sum(2), query, value, among), where, COUNT)
        return mixed(weight, pair, value, among)

    assert torch.autograd.gradcheck(through, (pair, query, value), fast_mode=True)


def test_a_query_looks_only_where_it_may() -> None:
    present = torch.ones(1, 1, len(pair_list(COUNT)), EVENTS, dtype=torch.float64)
    gone = [number for number, pair in enumerate(pair_list(COUNT)) if 4 in pair]
    present[:, :, gone] = 0.0
    where = allowed(present, COUNT, among=True)
    share = shares(drawn(1, HEADS, COUNT * COUNT, EVENTS), where, COUNT).unflatten(2, (COUNT, COUNT))
    assert not share[:, :, :4, 4].any()
    assert not torch.diagonal(share[:, :, :4, :4], dim1=2, dim2=3).any()
    torch.testing.assert_close(share[:, :, :4].sum(3), torch.ones(1, HEADS, 4, EVENTS, dtype=torch.float64))

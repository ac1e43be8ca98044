"""Attention that sees pairs: what two pixels are to each other counts beside what each of them is.

Tensors are (ghosts, features, pixels, events), see ``ghost_norm``, and cut into heads (ghosts, heads, features, pixels, events). Products
go feature by feature, so that what is written on the way stays in the cache. Pairs *among* pixels that are queries and values at
once are given once, in the order of ``pair_list``.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from labwright.events.pair_features import pair_places, square_indices

FORBIDDEN = -1e9
"""Added to a score that must not count."""


def scores(known: Tensor, query: Tensor, value: Tensor, among: bool) -> Tensor:
    """known + Σ_f query · value, (ghosts, heads, queries · values, events).

    Args:
        known: (ghosts, heads, queries · values, events), or the pairs among values.
        query, value: (ghosts, heads, features, pixels, events).
    """
    score: Tensor = _Products.apply(_Square.apply(known, value.shape[3]) if among else known, query, value)
    return score


def mixed(weight: Tensor, pair: Tensor, value: Tensor, among: bool) -> Tensor:
    """Σ_value weight · (pair + value), (ghosts, heads · features, queries, events).

    Args:
        weight: (ghosts, heads, queries · values, events).
        pair: (ghosts, heads, features, queries · values, events), or the pairs among values.
        value: (ghosts, heads, features, values, events).
    """
    result: Tensor = _Mixed.apply(weight, pair, value, among)
    return result.flatten(1, 2)


def allowed(present: Tensor, count: int, among: bool) -> Tensor:
    """1 where a query may look at a value, (ghosts, 1, queries · values, events); a pixel is no pair with itself.

    Args:
        present: 1 for each pair that is there, (ghosts, 1, pairs, events).
        count: values.
    """
    if not among:
        return present
    apart = 1.0 - torch.eye(count, device=present.device, dtype=present.dtype).flatten()
    return present.index_select(2, square_indices(count, present.device)) * apart[:, None]


def shares(score: Tensor, among_which: Tensor, count: int) -> Tensor:
    """Softmax of the scores over the values, 0 where ``among_which`` is 0; shape as the scores."""
    return (score + FORBIDDEN * (1.0 - among_which)).unflatten(2, (-1, count)).softmax(3).flatten(2, 3)


class _Square(torch.autograd.Function):
    """(…, pairs, events) → (…, count · count, events), with anything on the diagonal. Its derivative gathers too, and never scatters."""

    generate_vmap_rule = True

    @staticmethod
    def forward(pairs: Tensor, count: int) -> Tensor:
        return pairs.index_select(2, square_indices(count, pairs.device))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, int], output: Tensor) -> None:
        ctx.count = inputs[1]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return _folded(gradients[0], ctx.count), None


class _Products(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(known: Tensor, query: Tensor, value: Tensor) -> Tensor:
        score = known.unflatten(2, (query.shape[3], value.shape[3]))
        for one, other in zip(query.unbind(2), value.unbind(2), strict=True):
            score = torch.addcmul(score, one[:, :, :, None], other[:, :, None])
        return score.flatten(2, 3)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor], output: Tensor) -> None:
        ctx.save_for_backward(*inputs[1:])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        query, value = ctx.saved_tensors
        score = gradients[0].unflatten(2, (query.shape[3], value.shape[3]))
        into_query = [(score * one[:, :, None]).sum(3) for one in value.unbind(2)]
        into_value = [(score * one[:, :, :, None]).sum(2) for one in query.unbind(2)]
        return gradients[0], torch.stack(into_query, 2), torch.stack(into_value, 2)


class _Mixed(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(weight: Tensor, pair: Tensor, value: Tensor, among: bool) -> Tensor:
        weight = weight.unflatten(2, (-1, value.shape[3]))
        both = zip(pair.unbind(2), value.unbind(2), strict=True)
        return torch.stack([(_sum(*one, weight, among) * weight).sum(3) for one in both], 2)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        weight, pair, value, ctx.among = inputs
        ctx.save_for_backward(weight, pair, value)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        weight, pair, value = ctx.saved_tensors
        weight = weight.unflatten(2, (-1, value.shape[3]))
        into_weight = torch.zeros_like(weight)
        into_pair, into_value = [], []
        for result, one, other in zip(gradients[0].unbind(2), pair.unbind(2), value.unbind(2), strict=True):
            result = result[:, :, :, None]
            into_weight = torch.addcmul(into_weight, _sum(one, other, weight, ctx.among), result)
            through = weight * result
            into_value.append(through.sum(2))
            through = through.flatten(2, 3)
            into_pair.append(_folded(through, value.shape[3]) if ctx.among else through)
        return into_weight.flatten(2, 3), torch.stack(into_pair, 2), torch.stack(into_value, 2), None


def _sum(pair: Tensor, value: Tensor, weight: Tensor, among: bool) -> Tensor:
    asking, asked = weight.shape[2:4]
    pair = pair.index_select(2, square_indices(asked, pair.device)) if among else pair
    return pair.unflatten(2, (asking, asked)) + value[:, :, None]


def _folded(square: Tensor, count: int) -> Tensor:
    """The sum over both orders of each pair."""
    one, other = pair_places(count, square.device)
    return square.index_select(2, one) + square.index_select(2, other)

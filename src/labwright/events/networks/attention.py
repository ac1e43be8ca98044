"""Attention that sees pairs: what two pixels are to each other counts beside what each of them is.

Tensors are (ghosts, features, pixels, events), see ``ghost_norm``, and cut into heads (ghosts, heads, features, pixels, events). Products
go feature by feature, so that what is written on the way stays in the cache; on a CPU they are compiled loops, see ``attention_loops``.
Pairs *among* pixels that are queries and values at once are given once, in the order of ``pair_list``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from labwright.events.networks import attention_loops as loops
from labwright.events.networks.compiled import array, looped
from labwright.events.networks.pair_features import pair_places, square_indices

FORBIDDEN = -1e9
"""Added to a score that must not count."""


def scores(known: Tensor, query: Tensor, value: Tensor, among: bool) -> Tensor:
    """known + Σ_f query · value, (ghosts, heads, queries · values, events); without meaning for a pixel with itself.

    Args:
        known: (ghosts, heads, queries · values, events), or the pairs among values.
        query, value: (ghosts, heads, features, pixels, events).
    """
    score: Tensor = _Products.apply(known, query, value, among)
    return score


def mixed(weight: Tensor, pair: Tensor, value: Tensor, among: bool) -> Tensor:
    """Σ_value weight · (pair + value), (ghosts, heads · features, queries, events).

    Args:
        weight: (ghosts, heads, queries · values, events), 0 for a pixel with itself.
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
    return present.index_select(2, square_indices(count, present.device)) * _apart(count, present.device, present.dtype)


def shares(score: Tensor, among_which: Tensor, count: int) -> Tensor:
    """Softmax of the scores over the values, 0 where ``among_which`` is 0; shape as the scores."""
    return (score + FORBIDDEN * (1.0 - among_which)).unflatten(2, (-1, count)).softmax(3).flatten(2, 3)


def _over_members(apply: Callable[..., Tensor], info: Any, dims: tuple[int | None, ...], *inputs: Any) -> tuple[Tensor, int]:
    """The rule of ``torch.func.vmap``: nothing here couples ghost batches, so that members are but more of them."""
    tensors = [
        (one.expand(info.batch_size, *one.shape) if dim is None else one.movedim(dim, 0)).flatten(0, 1)
        for one, dim in zip(inputs[:-1], dims[:-1], strict=True)
    ]
    return apply(*tensors, inputs[-1]).unflatten(0, (info.batch_size, -1)), 0


class _Products(torch.autograd.Function):
    vmap = staticmethod(partial(_over_members, lambda *inputs: _Products.apply(*inputs)))

    @staticmethod
    def forward(known: Tensor, query: Tensor, value: Tensor, among: bool) -> Tensor:
        if not looped(query):
            return products(known, query, value, among)
        score = query.new_empty(*query.shape[:2], query.shape[3], value.shape[3], query.shape[4])
        loops.products(*map(_rows, (known, query, value)), _places(score, among), _rows(score))
        return score.flatten(2, 3)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor, bool], output: Tensor) -> None:
        known, query, value, ctx.among = inputs
        ctx.pairs = known.shape[2]
        ctx.save_for_backward(query, value)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        query, value = ctx.saved_tensors
        score = gradients[0].unflatten(2, (query.shape[3], value.shape[3]))
        if not (looped(query) and looped(score)):
            return (*products_back(score, query, value, ctx.among), None)
        into = score.new_zeros(*score.shape[:2], ctx.pairs, score.shape[4]), torch.zeros_like(query), torch.zeros_like(value)
        loops.products_back(*map(_rows, (score, query, value)), _places(score, ctx.among), *map(_rows, into))
        return (*into, None)


class _Mixed(torch.autograd.Function):
    vmap = staticmethod(partial(_over_members, lambda *inputs: _Mixed.apply(*inputs)))

    @staticmethod
    def forward(weight: Tensor, pair: Tensor, value: Tensor, among: bool) -> Tensor:
        weight = weight.unflatten(2, (-1, value.shape[3]))
        if not looped(weight):
            return mixture(weight, pair, value, among)
        result = value.new_zeros(*value.shape[:3], weight.shape[2], value.shape[4])
        loops.mixture(*map(_rows, (weight, pair, value)), _places(weight, among), _rows(result))
        return result

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        weight, pair, value, ctx.among = inputs
        ctx.save_for_backward(weight, pair, value)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        weight, pair, value = ctx.saved_tensors
        weight = weight.unflatten(2, (-1, value.shape[3]))
        if looped(weight) and looped(gradients[0]):
            into = torch.zeros_like(weight), torch.zeros_like(pair), torch.zeros_like(value)
            loops.mixture_back(*map(_rows, (gradients[0], weight, pair, value)), _places(weight, ctx.among), *map(_rows, into))
        else:
            into = mixture_back(gradients[0], weight, pair, value, ctx.among)
        return into[0].flatten(2, 3), into[1], into[2], None


def products(known: Tensor, query: Tensor, value: Tensor, among: bool) -> Tensor:
    """``scores`` in tensors."""
    known = known.index_select(2, square_indices(value.shape[3], known.device)) if among else known
    score = known.unflatten(2, (query.shape[3], value.shape[3]))
    for one, other in zip(query.unbind(2), value.unbind(2), strict=True):
        score = torch.addcmul(score, one[:, :, :, None], other[:, :, None])
    return score.flatten(2, 3)


def products_back(score: Tensor, query: Tensor, value: Tensor, among: bool) -> tuple[Tensor, Tensor, Tensor]:
    """What the gradient of the scores, (ghosts, heads, queries, values, events), means for the inputs of ``scores``."""
    flat = score.flatten(2, 3)
    into_query = torch.stack([(score * one[:, :, None]).sum(3) for one in value.unbind(2)], 2)
    into_value = torch.stack([(score * one[:, :, :, None]).sum(2) for one in query.unbind(2)], 2)
    return _folded(flat, value.shape[3]) if among else flat, into_query, into_value


def mixture(weight: Tensor, pair: Tensor, value: Tensor, among: bool) -> Tensor:
    """``mixed`` in tensors, of weights (ghosts, heads, queries, values, events); the features are not joined."""
    both = zip(pair.unbind(2), value.unbind(2), strict=True)
    return torch.stack([(_sum(*one, weight, among) * weight).sum(3) for one in both], 2)


def mixture_back(result: Tensor, weight: Tensor, pair: Tensor, value: Tensor, among: bool) -> tuple[Tensor, Tensor, Tensor]:
    """What the gradient of the result of ``mixture`` means for its inputs."""
    into_weight = torch.zeros_like(weight)
    into_pair, into_value = [], []
    for slope, one, other in zip(result.unbind(2), pair.unbind(2), value.unbind(2), strict=True):
        slope = slope[:, :, :, None]
        into_weight = torch.addcmul(into_weight, _sum(one, other, weight, among), slope)
        through = weight * slope
        into_value.append(through.sum(2))
        through = through.flatten(2, 3)
        into_pair.append(_folded(through, value.shape[3]) if among else through)
    return into_weight, torch.stack(into_pair, 2), torch.stack(into_value, 2)


def _rows(tensor: Tensor) -> NDArray[Any]:
    """Ghost batches and heads as one axis."""
    return array(tensor, -1, *tensor.shape[2:])


def _places(scores: Tensor, among: bool) -> NDArray[np.int64]:
    return _table(*scores.shape[2:4], among)


@cache
def _table(queries: int, values: int, among: bool) -> NDArray[np.int64]:
    """Where the pair of a query and a value stands, (queries, values); -1 for a pixel with itself."""
    if not among:
        return np.arange(queries * values).reshape(queries, values)
    table: NDArray[np.int64] = square_indices(values, torch.device("cpu")).view(values, values).numpy().copy()
    np.fill_diagonal(table, -1)
    return table


@cache
def _apart(count: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """0 for a pixel with itself, else 1, (count · count, 1)."""
    return 1.0 - torch.eye(count, device=device, dtype=dtype).view(-1, 1)


def _sum(pair: Tensor, value: Tensor, weight: Tensor, among: bool) -> Tensor:
    asking, asked = weight.shape[2:4]
    pair = pair.index_select(2, square_indices(asked, pair.device)) if among else pair
    return pair.unflatten(2, (asking, asked)) + value[:, :, None]


def _folded(square: Tensor, count: int) -> Tensor:
    """The sum over both orders of each pair."""
    one, other = pair_places(count, square.device)
    return square.index_select(2, one) + square.index_select(2, other)

"""Attention that sees pairs: what two pixels are to each other counts beside what each of them is.

Tensors are (ghosts, features, pixels, events), see ``ghost_norm``.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import silu

from labwright.events.ghost_norm import GhostLinear, GhostNorm
from labwright.events.pair_features import pair_places, square_indices

HEADS = 2
FORBIDDEN = -1e9


class Attention(nn.Module):
    """Two heads without projections. The features of a pair are added to the product of query and value, and to the value passed on.

    Args:
        width: features of a pixel and of a pair, even.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.query, self.value, self.pair = GhostNorm(width), GhostNorm(width), GhostNorm(width)
        self.score = GhostNorm(HEADS)
        self.mix = GhostLinear(width, width)

    def forward(
        self, queries: Tensor, values: Tensor, pairs: Tensor, known: Tensor, present: tuple[Tensor | None, Tensor], live: bool
    ) -> Tensor:
        """Queries that have looked at the values, same shape.

        Args:
            queries: (…, q, events).
            values: (…, v, events).
            pairs: (…, q · v, events); or, where the values are the queries, their v (v - 1) / 2 pairs in the order of ``pair_list``.
            known: 1 where a query may look at a value, (ghosts, 1, pairs, events); ``pairs`` is 0 elsewhere.
            present: 1 where there is a query (None: everywhere) and where there is a value, (ghosts, 1, pixels, events).
        """
        ghosts, width, asking, events = queries.shape
        asked = values.shape[2]
        pair = self.pair(pairs, live, known)
        if pairs.shape[2] != asking * asked:
            pair = _SpreadPairs.apply(pair, asked)
            # A jet makes no pair with itself.
            known = known.index_select(2, square_indices(asked, known.device)).unflatten(2, (asked, asked))
            known = (known * (1 - torch.eye(asked, device=known.device))[..., None]).flatten(2, 3)
        pair = pair.view(ghosts, HEADS, -1, asking, asked, events)
        query = self.query(queries, live, present[0]).view(ghosts, HEADS, -1, asking, 1, events)
        value = self.value(values, live, present[1]).view(ghosts, HEADS, -1, 1, asked, events)
        score = torch.addcmul(pair, query, value).sum(2).flatten(2, 3) * known
        score = self.score(score, live, known)
        weight = (score + FORBIDDEN * (1 - known)).unflatten(2, (asking, asked)).softmax(3) * score.sigmoid().unflatten(2, (asking, asked))
        passed = silu((weight[:, :, None] * (pair + value)).sum(4).view(ghosts, width, asking, events))
        if present[0] is not None:
            passed = passed * present[0]
        return silu(self.mix(passed, live, present[0]) + queries)


class _SpreadPairs(torch.autograd.Function):
    """(…, pairs, events) → (…, count · count, events): both orders of each pair. Its derivative gathers too, and never scatters."""

    generate_vmap_rule = True

    @staticmethod
    def forward(pairs: Tensor, count: int) -> Tensor:
        return pairs.index_select(2, square_indices(count, pairs.device))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, int], output: Tensor) -> None:
        ctx.count = inputs[1]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        one, other = pair_places(ctx.count, gradients[0].device)
        return gradients[0].index_select(2, one) + gradients[0].index_select(2, other), None

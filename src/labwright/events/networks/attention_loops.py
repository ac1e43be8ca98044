"""The products of attention as compiled loops over small rows, which stay in the first cache; ``attention`` has the same in tensors.

Arrays are C-contiguous floats: scores and weights (n, queries, values, events), queries and values (n, features, pixels, events),
pairs (n, features, pairs, events), n being ghost batches and heads. ``place`` (queries, values) tells where a pair stands among the
pairs, below 0 for a pixel with itself, which is left out.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from labwright.events.networks.compiled import compiled

Floats = NDArray[Any]
Places = NDArray[np.int64]


@compiled
def products(known: Floats, query: Floats, value: Floats, place: Places, score: Floats) -> None:
    batches, features, queries, events = query.shape
    for n in range(batches):
        for q in range(queries):
            for v in range(value.shape[2]):
                into = score[n, q, v]
                pair = place[q, v]
                if pair < 0:
                    for e in range(events):
                        into[e] = 0.0
                    continue
                for e in range(events):
                    into[e] = known[n, pair, e]
                for f in range(features):
                    one, other = query[n, f, q], value[n, f, v]
                    for e in range(events):
                        into[e] += one[e] * other[e]


@compiled
def products_back(
    gradient: Floats, query: Floats, value: Floats, place: Places, into_known: Floats, into_query: Floats, into_value: Floats
) -> None:
    batches, features, queries, events = query.shape
    for n in range(batches):
        for q in range(queries):
            for v in range(value.shape[2]):
                pair = place[q, v]
                if pair < 0:
                    continue
                slope, into = gradient[n, q, v], into_known[n, pair]
                for e in range(events):
                    into[e] += slope[e]
                for f in range(features):
                    one, other, into_one, into_other = query[n, f, q], value[n, f, v], into_query[n, f, q], into_value[n, f, v]
                    for e in range(events):
                        into_one[e] += slope[e] * other[e]
                        into_other[e] += slope[e] * one[e]


@compiled
def mixture(weight: Floats, pair: Floats, value: Floats, place: Places, result: Floats) -> None:
    batches, features, queries, events = result.shape
    for n in range(batches):
        for q in range(queries):
            for v in range(value.shape[2]):
                at = place[q, v]
                if at < 0:
                    continue
                share = weight[n, q, v]
                for f in range(features):
                    into, one, other = result[n, f, q], pair[n, f, at], value[n, f, v]
                    for e in range(events):
                        into[e] += share[e] * (one[e] + other[e])


@compiled
def mixture_back(
    gradient: Floats, weight: Floats, pair: Floats, value: Floats, place: Places, into_weight: Floats, into_pair: Floats, into_value: Floats
) -> None:
    batches, features, queries, events = gradient.shape
    for n in range(batches):
        for q in range(queries):
            for v in range(value.shape[2]):
                at = place[q, v]
                if at < 0:
                    continue
                share, into_share = weight[n, q, v], into_weight[n, q, v]
                for f in range(features):
                    slope, one, other = gradient[n, f, q], pair[n, f, at], value[n, f, v]
                    into_one, into_other = into_pair[n, f, at], into_value[n, f, v]
                    for e in range(events):
                        through = share[e] * slope[e]
                        into_one[e] += through
                        into_other[e] += through
                        into_share[e] += slope[e] * (one[e] + other[e])

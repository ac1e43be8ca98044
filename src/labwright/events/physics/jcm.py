"""Jet combinatoric model: how likely a three-tag event would have been a four-tag one by its number of jets."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labwright.events.physics.four_vectors import Real


def pseudo_tag_weight(n_untagged: NDArray[np.integer[Any]], probability: float, fraction: float, enhancement: float, decay: float) -> Real:
    """Weight of a three-tag event (CMS HIG-22-011, arXiv:2403.20241).

    With n untagged jets, w_k = t·C(n, k)·p^k·(1 − p)^(n − k), times 1 + e/n^d where 3 + k is even because b jets come in
    pairs; the weight is the sum over k ≥ 1.

    Args:
        n_untagged: (N,) selected jets without a tag.
        probability: p, that one of them would be tagged.
        fraction: t, of events with three tight tags.
        enhancement, decay: e and d.
    """
    highest = int(n_untagged.max(initial=0))
    weights = np.zeros(highest + 1)
    for n in range(1, highest + 1):
        pair = 1 + enhancement / n**decay
        terms = (math.comb(n, k) * probability**k * (1 - probability) ** (n - k) * (pair if k % 2 else 1.0) for k in range(1, n + 1))
        weights[n] = fraction * math.fsum(terms)
    found: Real = weights[np.maximum(n_untagged, 0)]
    return found

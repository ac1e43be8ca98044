"""How well three jets of an event make a hadronic top: xW and xbW."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

from labwright.events.physics.four_vectors import Real, cartesian
from labwright.events.physics.jets import CANDIDATES, Jets, Selection

W_MASS_GEV, TOP_MASS_GEV = 80.4, 173.0
_BLOCK = 4096
"""Events at once: with twelve selected jets an event has 165 triples."""


def top_variables(jets: Jets, selection: Selection) -> tuple[Real, Real]:
    """xW = (m_W − 80.4) / (0.10 m_W) and xbW = (m_bW − 173) / (0.05 m_bW) of the most top-like triple (CMS HIG-22-011, arXiv:2403.20241).

    For m_bW the W is scaled to its mass of 80.4 GeV, which leaves xbW half the resolution, and the b jet by its regression. In
    a triple the jets are ordered by their b tags, that of the b jet before those of the W; the b jet is one of the three
    of highest tag, the W are jets from the third on. Without tags the b jet is any of the four candidates, the W any two others. The triple
    with the least xW² + xbW² counts.

    Args:
        jets: of N events.
        selection: with at least four selected jets each; these take part.

    Returns:
        xW and xbW, float64 (N,) each.
    """
    count = selection.n_selected
    x_w, x_bw = np.empty(len(count)), np.empty(len(count))
    # Events of as many jets together: most have few, and their triples are all that is looked at.
    for number in np.unique(count).tolist():
        triples = np.array(_triples(number, tagged=jets.tag is not None)).T
        rows = np.flatnonzero(count == number)
        for part in (rows[start : start + _BLOCK] for start in range(0, len(rows), _BLOCK)):
            x_w[part], x_bw[part] = _best(jets.take(part), selection.order[part, :number], triples)
    return x_w, x_bw


def _triples(count: int, *, tagged: bool) -> list[tuple[int, int, int]]:
    """The b jet and the two of the W, by their places in the order of the tags."""
    if tagged:
        return [(b, j, k) for j, k in itertools.combinations(range(2, count), 2) for b in range(min(j, 3))]
    return [(b, j, k) for b in range(CANDIDATES) for j, k in itertools.combinations(range(count), 2) if b not in (j, k)]


def _best(jets: Jets, places: NDArray[np.int64], triples: NDArray[np.int64]) -> tuple[Real, Real]:
    """xW and xbW of the best triple of the jets in these places, (N, K)."""
    vectors = cartesian(np.stack([np.take_along_axis(one, places, axis=1) for one in jets[:4]], axis=-1))
    b, j, k = triples
    # Products of pairs give the masses of sums: m²(b + W) = m²(b) + m²(W) + 2 b·W.
    products = vectors[..., 3, None] * vectors[:, None, :, 3] - vectors[..., :3] @ vectors[..., :3].swapaxes(1, 2)
    single = np.diagonal(products, axis1=1, axis2=2)
    # Below 1 GeV the pulls would only grow without bound.
    m_w = np.sqrt(np.maximum(single[:, j] + single[:, k] + 2 * products[:, j, k], 1.0))
    factor = 1.0 if jets.factor is None else np.take_along_axis(jets.factor, places, axis=1)[:, b]
    both = (W_MASS_GEV / m_w) * factor * (products[:, b, j] + products[:, b, k])
    m_bw = np.sqrt(np.maximum(factor**2 * single[:, b] + W_MASS_GEV**2 + 2 * both, 1.0))
    x_w = (m_w - W_MASS_GEV) / (0.10 * m_w)
    x_bw = (m_bw - TOP_MASS_GEV) / (0.05 * m_bw)
    rows, best = np.arange(len(vectors)), np.argmin(x_w**2 + x_bw**2, axis=1)
    return x_w[rows, best], x_bw[rows, best]

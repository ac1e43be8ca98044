"""How well three jets of an event make a hadronic top: xW and xbW."""

from __future__ import annotations

import itertools

import numpy as np

from labwright.events.four_vectors import Floats, Real, cartesian
from labwright.events.table import SELECTED

W_MASS_GEV, TOP_MASS_GEV = 80.4, 173.0
_BLOCK = 4096
"""Events at once: with eight other jets an event has 220 triples."""


def top_variables(can_jets: Floats, other_jets: Floats) -> tuple[Real, Real]:
    """xW = (m_W − 80.4) / (0.10 m_W) and xbW = (m_bW − 173) / (0.05 m_bW) of the most top-like triple (CMS HIG-22-011, arXiv:2403.20241).

    The b jet is one of the four candidates, the W two more of the selected jets; of all such triples that with the
    least xW² + xbW² counts.

    Args:
        can_jets: (N, 4, ≥ 4) pt, eta, phi, mass.
        other_jets: (N, M, 5); only those with is_selected 1 take part.

    Returns:
        xW and xbW, float64 (N,) each.
    """
    there = other_jets[..., SELECTED] == 1
    count = there.sum(axis=1)
    x_w, x_bw = np.empty(len(count)), np.empty(len(count))
    # Events of as many jets together: most have few, and their triples are all that is looked at.
    rows = np.argsort(count, kind="stable")
    starts = np.searchsorted(count[rows], np.arange(there.shape[1] + 2))
    for number, (start, stop) in enumerate(itertools.pairwise(starts)):
        for part in (rows[first : min(first + _BLOCK, stop)] for first in range(start, stop, _BLOCK)):
            chosen = other_jets[part][there[part]].reshape(len(part), number, other_jets.shape[-1])
            x_w[part], x_bw[part] = _best(np.concatenate([cartesian(can_jets[part]), cartesian(chosen)], axis=1))
    return x_w, x_bw


def _best(vectors: Real) -> tuple[Real, Real]:
    """xW and xbW of the best triple of (N, K, 4), the four candidates first."""
    triples = [(b, j, k) for b in range(4) for j, k in itertools.combinations(range(vectors.shape[1]), 2) if b not in (j, k)]
    b, j, k = np.array(triples).T
    # Squared masses of pairs give those of triples: m²(bjk) = m²(bj) + m²(bk) + m²(jk) − m²(b) − m²(j) − m²(k).
    products = vectors[..., 3, None] * vectors[:, None, :, 3] - vectors[..., :3] @ vectors[..., :3].swapaxes(1, 2)
    single = np.diagonal(products, axis1=1, axis2=2)
    w_square = single[:, j] + single[:, k] + 2 * products[:, j, k]
    top_square = w_square + single[:, b] + 2 * (products[:, b, j] + products[:, b, k])
    # Below 1 GeV the pulls would only grow without bound.
    m_w, m_bw = np.sqrt(np.maximum(w_square, 1.0)), np.sqrt(np.maximum(top_square, 1.0))
    x_w = (m_w - W_MASS_GEV) / (0.10 * m_w)
    x_bw = (m_bw - TOP_MASS_GEV) / (0.05 * m_bw)
    rows, best = np.arange(len(vectors)), np.argmin(x_w**2 + x_bw**2, axis=1)
    return x_w[rows, best], x_bw[rows, best]

"""How well three jets of an event make a hadronic top: xW and xbW."""

from __future__ import annotations

import itertools

import numpy as np

from labwright.events.four_vectors import Floats, Real, cartesian, mass
from labwright.events.table import SELECTED

W_MASS_GEV, TOP_MASS_GEV = 80.4, 173.0
_BLOCK = 8192
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
    blocks = [slice(start, start + _BLOCK) for start in range(0, len(can_jets), _BLOCK)] or [slice(0, 0)]
    pairs = [_block(can_jets[block], other_jets[block]) for block in blocks]
    return np.concatenate([x_w for x_w, _ in pairs]), np.concatenate([x_bw for _, x_bw in pairs])


def _block(can_jets: Floats, other_jets: Floats) -> tuple[Real, Real]:
    there = other_jets[..., SELECTED] == 1
    # Places that are empty in the whole block would only make more triples.
    used = there.any(axis=0)
    vectors = np.concatenate([cartesian(can_jets), cartesian(other_jets[:, used])], axis=1)
    usable = np.concatenate([np.ones(can_jets.shape[:2], bool), there[:, used]], axis=1)
    count = vectors.shape[1]
    triples = [(b, j, k) for b in range(4) for j, k in itertools.combinations(range(count), 2) if b not in (j, k)]
    b, j, k = np.array(triples).T
    w = vectors[:, j] + vectors[:, k]
    m_w, m_bw = mass(w), mass(w + vectors[:, b])
    with np.errstate(divide="ignore", invalid="ignore"):
        x_w = (m_w - W_MASS_GEV) / (0.10 * m_w)
        x_bw = (m_bw - TOP_MASS_GEV) / (0.05 * m_bw)
    distance = np.where(usable[:, j] & usable[:, k], x_w**2 + x_bw**2, np.inf)
    best = np.argmin(np.where(np.isnan(distance), np.inf, distance), axis=1)
    rows = np.arange(len(best))
    return x_w[rows, best], x_bw[rows, best]

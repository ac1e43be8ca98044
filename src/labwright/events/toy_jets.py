"""What a detector makes of the toy's massless bodies, and the jets beside them; numbers as ``toy`` tells them."""

from __future__ import annotations

import numpy as np

from labwright.events.physics.four_vectors import Real
from labwright.events.physics.jets import EMPTY

MIN_PT_GEV, MAX_ABS_ETA, MAX_OTHERS = 40.0, 2.4, 8


def smeared(random: np.random.Generator, vectors: Real) -> Real:
    """Massless vectors (N, 4, 4) as jets: pt, eta, phi, mass, by falling pt."""
    shape = vectors.shape[:2]
    pt = np.hypot(vectors[..., 0], vectors[..., 1])
    eta = np.arcsinh(vectors[..., 2] / pt) + random.normal(0, 0.02, shape)
    phi = np.arctan2(vectors[..., 1], vectors[..., 0]) + random.normal(0, 0.02, shape)
    pt = pt * np.maximum(random.normal(1, 0.10, shape), 0.1)
    jets = np.stack([pt, eta, np.remainder(phi + np.pi, 2 * np.pi) - np.pi, _masses(random, pt)], axis=-1)
    return _as_stored(np.take_along_axis(jets, np.argsort(-pt, axis=1)[..., None], axis=1))


def radiation(random: np.random.Generator, count: int) -> Real:
    """Other jets (N, 8, 5), by falling pt."""
    shape = (count, MAX_OTHERS)
    pt = np.sort(20 + random.exponential(35, shape), axis=1)[:, ::-1]
    eta, phi = random.normal(0, 1.6, shape), random.uniform(-np.pi, np.pi, shape)
    selected = (pt >= MIN_PT_GEV) & (np.abs(eta) <= MAX_ABS_ETA)
    jets = _as_stored(np.stack([pt, eta, phi, _masses(random, pt), selected], axis=-1))
    there = np.arange(MAX_OTHERS) < random.poisson(1.8, count)[:, None]
    return np.where(there[..., None], jets, EMPTY)


def _masses(random: np.random.Generator, pt: Real) -> Real:
    return pt * (0.04 + 0.12 * random.beta(2, 4, pt.shape))


def _as_stored(values: Real) -> Real:
    """Rounded to float32 as files hold it, so that what is computed here and from the file is the same."""
    return values.astype(np.float32).astype(np.float64)

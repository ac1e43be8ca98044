"""Four-vectors as arrays: float64, GeV and radians, whatever comes in."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
Real = NDArray[np.float64]


def cartesian(jets: Floats) -> Real:
    """pt, eta, phi, mass → px, py, pz, energy.

    Args:
        jets: (…, 4) or wider; further columns are ignored.

    Returns:
        float64 (…, 4): px = pt cos φ, py = pt sin φ, pz = pt sinh η, E² = p² + m².
    """
    pt, eta, phi, mass = np.moveaxis(jets[..., :4].astype(np.float64), -1, 0)
    pz = pt * np.sinh(eta)
    return np.stack([pt * np.cos(phi), pt * np.sin(phi), pz, np.sqrt(pt**2 + pz**2 + mass**2)], axis=-1)


def mass(vectors: Real) -> Real:
    """Invariant mass of px, py, pz, E (…, 4) → (…); a square below zero, which is rounding, gives 0."""
    square = vectors[..., 3] ** 2 - np.sum(vectors[..., :3] ** 2, axis=-1)
    found: Real = np.sqrt(np.maximum(square, 0.0))
    return found


def pt(vectors: Real) -> Real:
    """Transverse momentum of (…, 4) → (…)."""
    return np.hypot(vectors[..., 0], vectors[..., 1])


def delta_r(first: Floats, second: Floats) -> Real:
    """Distance √(Δη² + Δφ²) of pt, eta, phi, … (…, ≥ 3) each, Δφ folded into [−π, π] → (…)."""
    one, other = first.astype(np.float64), second.astype(np.float64)
    phi = np.remainder(one[..., 2] - other[..., 2] + np.pi, 2 * np.pi) - np.pi
    return np.hypot(one[..., 1] - other[..., 1], phi)


def mass_from_energy(pt: Floats, eta: Floats, energy: Floats) -> Real:
    """Jet mass from its energy: m² = E² − (pt cosh η)², 0 where rounding makes that negative."""
    # Numbers that are no jet's must not stop the others.
    with np.errstate(over="ignore", invalid="ignore"):
        momentum = pt.astype(np.float64) * np.cosh(eta.astype(np.float64))
        return np.sqrt(np.maximum(energy.astype(np.float64) ** 2 - momentum**2, 0.0))

"""The three ways to pair four jets, and the dijets they make."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from labwright.events.physics.four_vectors import Floats, Real, cartesian, delta_r, mass, pt

PAIRINGS = (((0, 1), (2, 3)), ((0, 2), (1, 3)), ((0, 3), (1, 2)))
"""Jets of the two dijets of each pairing: 12|34, 13|24, 14|23."""
Order = Literal["scalar_pt", "pt"]


class Dijets(NamedTuple):
    """Dijets of N events; the last axis is leading, subleading."""

    mass: Real
    """(N, 3, 2) GeV."""
    pt: Real
    """(N, 3, 2) GeV, of the vector sum."""
    delta_r: Real
    """(N, 3, 2), between the two jets of a dijet."""
    m4j: Real
    """(N,) GeV, of all four jets."""


def dijets(can_jets: Floats, order: Order = "scalar_pt") -> Dijets:
    """All dijets of four jets.

    Which of two dijets leads is a matter of the analysis: the scalar sum of the transverse momenta of its jets (Run 2,
    CMS HIG-22-011, arXiv:2403.20241) or its own transverse momentum (Run 3). Equal ones stay as in ``PAIRINGS``.

    Args:
        can_jets: (N, 4, ≥ 4) pt, eta, phi, mass.
    """
    vectors = cartesian(can_jets)
    first = np.array([[dijet[0] for dijet in pairing] for pairing in PAIRINGS])
    second = np.array([[dijet[1] for dijet in pairing] for pairing in PAIRINGS])
    sums = vectors[:, first] + vectors[:, second]
    transverse = pt(sums)
    single = can_jets[..., 0].astype(np.float64)
    scalar = single[:, first] + single[:, second]
    key = scalar if order == "scalar_pt" else transverse
    turned = (key[..., 1] > key[..., 0])[..., None]

    def led(values: Real) -> Real:
        return np.where(turned, values[..., ::-1], values)

    distance = delta_r(can_jets[:, first], can_jets[:, second])
    return Dijets(led(mass(sums)), led(transverse), led(distance), mass(vectors.sum(axis=1)))


def chosen(values: Real, pairing: NDArray[np.int64]) -> Real:
    """Of (N, 3, …) the entry of each event's pairing, (N, …)."""
    found: Real = values[np.arange(len(values)), pairing]
    return found

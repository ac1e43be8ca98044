"""Momenta of decays drawn from flat phase space: what the toy's events are made of. Units GeV; vectors px, py, pz, E."""

from __future__ import annotations

import numpy as np

from labwright.events.physics.four_vectors import Real

Random = np.random.Generator


def directions(random: Random, *shape: int) -> Real:
    """Isotropic unit vectors, (*shape, 3)."""
    z = random.uniform(-1, 1, shape)
    phi = random.uniform(-np.pi, np.pi, shape)
    across = np.sqrt(1 - z**2)
    return np.stack([across * np.cos(phi), across * np.sin(phi), z], axis=-1)


def two_body(random: Random, parent: Real, first_mass: float, second_mass: float) -> tuple[Real, Real]:
    """Isotropic decay of (N, 4) into two bodies, (N, 4) each.

    In the parent's frame both have p* = √[(M² − (m₁ + m₂)²)(M² − (m₁ − m₂)²)] / 2M (PDG review, Kinematics, eq. 49.17).
    """
    square = parent[:, 3] ** 2 - np.sum(parent[:, :3] ** 2, axis=1)
    whole = np.sqrt(square)
    triangle = (square - (first_mass + second_mass) ** 2) * (square - (first_mass - second_mass) ** 2)
    momentum = np.sqrt(np.maximum(triangle, 0)) / (2 * whole)
    space = momentum[:, None] * directions(random, len(parent))
    bodies = (
        np.concatenate([sign * space, np.sqrt(momentum**2 + mass**2)[:, None]], axis=1)
        for sign, mass in ((1, first_mass), (-1, second_mass))
    )
    first, second = (boosted(body[:, None], parent)[:, 0] for body in bodies)
    return first, second


def massless(random: Random, whole: Real, count: int) -> Real:
    """``count`` massless bodies of total mass ``whole`` (N,) at rest, (N, count, 4), flat in phase space.

    RAMBO (Kleiss, Stirling, Ellis, Comput. Phys. Commun. 40 (1986) 359): isotropic vectors with energies from E·exp(−E), brought
    to rest together and scaled; for massless bodies each event has the same weight.
    """
    shape = (len(whole), count)
    energy = -np.log(random.uniform(0, 1, shape) * random.uniform(0, 1, shape))
    free = np.concatenate([energy[..., None] * directions(random, *shape), energy[..., None]], axis=-1)
    total = free.sum(axis=1)
    mass = np.sqrt(total[:, 3] ** 2 - np.sum(total[:, :3] ** 2, axis=1))
    opposite = np.concatenate([-total[:, :3], total[:, 3:]], axis=1)
    scaled: Real = boosted(free, opposite) * (whole / mass)[:, None, None]
    return scaled


def boosted(vectors: Real, frame: Real) -> Real:
    """Vectors (N, K, 4) from the rest frame of ``frame`` (N, 4) into that in which it moves so."""
    mass = np.sqrt(frame[:, 3] ** 2 - np.sum(frame[:, :3] ** 2, axis=1))
    beta_gamma = frame[:, :3] / mass[:, None]
    gamma = frame[:, 3] / mass
    along = np.einsum("nkx,nx->nk", vectors[..., :3], beta_gamma)
    energy = gamma[:, None] * vectors[..., 3] + along
    shift = along / (gamma + 1)[:, None] + vectors[..., 3]
    return np.concatenate([vectors[..., :3] + shift[..., None] * beta_gamma[:, None], energy[..., None]], axis=-1)


def moving(random: Random, mass: Real, mean_pt: float, rapidity_width: float) -> Real:
    """Vectors (N, 4) of these masses (N,): pt exponential with this mean, rapidity Gaussian with this width, any azimuth."""
    pt = random.exponential(mean_pt, len(mass))
    rapidity = random.normal(0, rapidity_width, len(mass))
    phi = random.uniform(-np.pi, np.pi, len(mass))
    across = np.hypot(mass, pt)
    return np.stack([pt * np.cos(phi), pt * np.sin(phi), across * np.sinh(rapidity), across * np.cosh(rapidity)], axis=-1)

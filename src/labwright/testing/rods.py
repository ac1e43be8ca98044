"""Synthetic label maps of touching rods, as a colony of bacteria in phase contrast shows them.

Every pixel is given to the nearest rod axis within the rod's radius, so neighbours touch along smooth
fronts and no two rods overlap. Tests and benchmarks share these frames.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

ASPECT = 2.4
"""Pitch along a rod over pitch across it."""
RADIUS = 0.56
"""Radius over the pitch across the rods; above a half, neighbours touch."""


def rods(size_px: int, count: int, *, seed: int = 0) -> NDArray[np.uint16]:
    """A frame of at least ``count`` touching rods.

    Args:
        size_px: side of the square frame in pixels.
        count: number of rods wanted; the lattice that holds them has as many sites or some more.
        seed: fixes the jitter of places, lengths and angles.

    Returns:
        (size_px, size_px) uint16, 0 background, labels 1…n in order of the lattice.
    """
    generator = np.random.Generator(np.random.Philox(seed))
    columns = max(1, round((count / ASPECT) ** 0.5))
    rows = -(-count // columns)
    across, along = size_px / rows, size_px / columns
    y, x = np.mgrid[:size_px, :size_px].astype(np.float32)
    nearest = np.full((size_px, size_px), RADIUS * across, np.float32)
    labels = np.zeros((size_px, size_px), np.uint16)
    reach = int(along) + 2
    for site in range(rows * columns):
        row, column = divmod(site, columns)
        shift = 0.25 * (1 if row % 2 else -1)
        centre_y = (row + 0.5 + generator.uniform(-0.08, 0.08)) * across
        centre_x = (column + 0.5 + shift + generator.uniform(-0.05, 0.05)) * along
        angle = generator.uniform(-0.1, 0.1)
        half = along * generator.uniform(0.18, 0.26)
        window = (_around(centre_y, reach, size_px), _around(centre_x, reach, size_px))
        dy, dx = y[window] - centre_y, x[window] - centre_x
        ahead = np.clip(dx * np.cos(angle) + dy * np.sin(angle), -half, half)
        distance = np.hypot(dx - ahead * np.cos(angle), dy - ahead * np.sin(angle))
        closer = distance < nearest[window]
        nearest[window][closer] = distance[closer]
        labels[window][closer] = site + 1
    return labels


def _around(centre: float, reach: int, size_px: int) -> slice:
    return slice(max(0, int(centre) - reach), min(size_px, int(centre) + reach))


def disturbed(labels: NDArray[np.uint16], *, seed: int = 0, shift_px: int = 1) -> NDArray[np.uint16]:
    """A prediction that is nearly right: the frame moved by ``shift_px``, a tenth of the cells merged with
    the next one, a twentieth missing, and all numbers dealt anew.

    Args:
        labels: (H, W) as :func:`rods` makes them.

    Returns:
        (H, W) uint16 labels.
    """
    generator = np.random.Generator(np.random.Philox(seed))
    count = int(labels.max())
    numbers = generator.permutation(np.arange(1, count + 1, dtype=np.uint16))
    merged = generator.random(count) < 0.1
    numbers[:-1][merged[:-1]] = numbers[1:][merged[:-1]]
    numbers[generator.random(count) < 0.05] = 0
    table = np.concatenate([np.zeros(1, np.uint16), numbers])
    return np.roll(table[labels], shift_px, axis=(0, 1))

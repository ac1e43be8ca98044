"""Sampling as arithmetic: what is drawn is a function of (seed, epoch, index) and of nothing else.

There is no state to save, so resuming is exact, and the order does not depend on workers or devices.
Philox (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC11) is counter-based; its raw
stream is fixed by NumPy's compatibility policy (NEP 19), which the methods of ``Generator`` are not.
"""

from __future__ import annotations

import hashlib
import operator
from typing import SupportsIndex

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]
Key = SupportsIndex | str


def generator(seed: int, *keys: Key) -> np.random.Generator:
    """A generator of its own for each (seed, keys): ``generator(seed, "crop", epoch, item)``.

    Args:
        seed: the study's seed, any integer.
        keys: integers and strings; 1 and "1" differ, and so do ("ab", "c") and ("a", "bc").
    """
    return np.random.Generator(_philox(seed, *keys))


def order(seed: int, epoch: int, count: int) -> IntArray:
    """The order of one epoch: a permutation of ``range(count)``, int64 (count,)."""
    # Sorting raw numbers uses the fixed stream only; two equal ones among 2**64 keep their order.
    return np.argsort(_philox(seed, "order", epoch).random_raw(count), kind="stable").astype(np.int64, copy=False)


def batches(order: IntArray, batch_size: int, drop_last: bool) -> list[IntArray]:
    """The order cut into batches, int64 (batch_size,) each; the last is shorter, or absent with ``drop_last``."""
    stop = len(order) - len(order) % batch_size if drop_last else len(order)
    return [order[start : start + batch_size] for start in range(0, stop, batch_size)]


def _philox(seed: int, *keys: Key) -> np.random.Philox:
    state = hashlib.sha256()
    for key in (seed, *keys):
        text = f"s{len(key)}:{key}" if isinstance(key, str) else f"i{operator.index(key)}"
        state.update(f"{text};".encode())
    return np.random.Philox(key=int.from_bytes(state.digest()[:16], "little"))

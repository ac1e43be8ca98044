"""Who an event is, (run, lumi, event), and numbers drawn from nothing but that.

A drawn number is a function of the event and of some words: the same in every file, process and job, whatever other events are
there. Folds and prescales rest on it.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

ROUNDS = 10
MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
WEYL = (0x9E3779B9, 0xBB67AE85)
_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)
_BLOCK = 1 << 16
"""Events at once, so that all of a round stays in the cache."""


class Identity(NamedTuple):
    """N events: uint32, uint32, uint64 (N,) each."""

    run: NDArray[np.uint32]
    lumi: NDArray[np.uint32]
    event: NDArray[np.uint64]

    def of(self, rows: NDArray[Any] | slice) -> Identity:
        """Those at these indices, or where a mask is true."""
        return Identity(self.run[rows], self.lumi[rows], self.event[rows])


def groups(identity: Identity) -> NDArray[np.int64]:
    """A number for each event, from 0 on without gaps; two have the same if and only if they are the same event."""
    order = np.lexsort((identity.event, identity.lumi, identity.run))
    new = np.zeros(len(order), np.int64)
    new[1:] = np.logical_or.reduce([column[order][1:] != column[order][:-1] for column in identity])
    found = np.empty(len(order), np.int64)
    found[order] = np.cumsum(new)
    return found


def draw(identity: Identity, *words: str | int) -> NDArray[np.uint32]:
    """A number in [0, 2**32) for each event, uint32 (N,): the first word of Philox4x32-10.

    Its counter is (event's low and high half, lumi, run), its key the first eight bytes of the SHA-256 of the words as a JSON list.
    Other words give numbers that are independent of these.
    """
    digest = hashlib.sha256(json.dumps(list(words)).encode()).digest()
    key = int.from_bytes(digest[:4], "little"), int.from_bytes(digest[4:8], "little")
    found = np.empty(len(identity.event), np.uint32)
    for start in range(0, len(found), _BLOCK):
        block = slice(start, start + _BLOCK)
        run, lumi, event = (column[block].astype(np.uint64) for column in identity)
        found[block] = philox((event & _LOW, event >> _HALF, lumi, run), key)[0]
    return found


def philox(counter: tuple[NDArray[np.uint64], ...], key: tuple[int, int]) -> tuple[NDArray[np.uint64], ...]:
    """Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC11).

    Args:
        counter: four words of 32 bits each, held in uint64 (N,).
        key: two words of 32 bits.

    Returns:
        Four words of 32 bits each, uint64 (N,).
    """
    a, b, c, d = counter
    for number in range(ROUNDS):
        first, second = (np.uint64((word + number * step) & 0xFFFFFFFF) for word, step in zip(key, WEYL, strict=True))
        left, right = a * MULTIPLIERS[0], c * MULTIPLIERS[1]
        a, b, c, d = (right >> _HALF) ^ b ^ first, right & _LOW, (left >> _HALF) ^ d ^ second, left & _LOW
    return a, b, c, d

"""Events that are there more than once: the same event again, or another of the same number."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from labwright.events.identity import Identity

_MULTIPLIERS = np.random.Philox(key=1).random_raw(64) | np.uint64(1)


class Repeats(NamedTuple):
    """Of N events."""

    copy_of: NDArray[np.int64]
    """(N,) the first event that is the same in number and content; the event itself where there is none before it."""
    namesake: NDArray[np.bool_]
    """(N,) whether an event before it has its number, and other content."""


def content_number(can_jets: NDArray[np.float32]) -> NDArray[np.uint64]:
    """A number that tells jets apart, uint64 (N,); equal for equal bits of (N, 4, 4)."""
    words = np.ascontiguousarray(can_jets).reshape(len(can_jets), -1).view(np.uint32).astype(np.uint64)
    with np.errstate(over="ignore"):
        found: NDArray[np.uint64] = words @ _MULTIPLIERS[: words.shape[1]]
    return found


def repeats(identity: Identity, content: NDArray[np.uint64]) -> Repeats:
    """The repeated ones among events, which are in the order in which they were read."""
    order = np.lexsort((content, identity.event, identity.lumi, identity.run))
    same = np.logical_and.reduce([column[order][1:] == column[order][:-1] for column in identity])
    equal = same & (content[order][1:] == content[order][:-1])
    copy_of = np.empty(len(order), np.int64)
    # The sort keeps the order of equal ones, so that the first of each block was read first.
    begins = np.concatenate([[True], ~equal]) if len(order) else np.zeros(0, bool)
    copy_of[order] = order[np.flatnonzero(begins)[np.cumsum(begins) - 1]] if len(order) else order
    number = np.cumsum(np.concatenate([[True], ~same])) - 1 if len(order) else np.zeros(0, np.int64)
    first = np.full(len(order), len(order), np.int64)
    np.minimum.at(first, number, order)
    namesake = np.zeros(len(order), bool)
    namesake[order] = copy_of[order] != copy_of[first[number]] if len(order) else False
    return Repeats(copy_of, namesake)

"""Gather batches ahead of their use: one thread that loads, and the copy of crops into one array.

Mapped packs are gathered fastest by one thread: copying crops releases the interpreter lock, and what
worker processes would gain they lose again by sending the batches between processes.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import TracebackType
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from labwright.data.sampler import IntArray

B = TypeVar("B")
_END = object()


class _Failure:
    """An exception on its way from the loading thread to the consumer."""

    def __init__(self, error: BaseException) -> None:
        self.error = error


class Prefetch(Generic[B]):
    """Batches in the order of their requests, loaded by one background thread up to ``depth`` ahead.

    Use it in a ``with`` block and iterate over it once. What ``load`` raises comes out of the iteration at
    the place of its batch. Leaving the block early waits for the one load under way and no longer.

    Args:
        load: makes a batch of (items, key); called in the thread, one call at a time.
        requests: (items, key) pairs; drawn in the thread as needed.
        depth: how many batches may lie ready or be in the making while the consumer works on another.

    ``wait_seconds`` is the time the consumer waited for batches, ``busy_seconds`` the time between getting
    a batch and asking for the next; ``wait_share`` is the data-wait share, waited over elapsed, 0 to 1.
    """

    def __init__(self, load: Callable[[IntArray, int], B], requests: Iterable[tuple[IntArray, int]], *, depth: int = 2) -> None:
        if depth < 1:
            raise ValueError("depth must be 1 or more")
        self.wait_seconds = 0.0
        self.busy_seconds = 0.0
        self._load = load
        self._requests = requests
        self._free = threading.Semaphore(depth)
        self._ready: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._closed = threading.Event()
        self._finished = False
        self._given: float | None = None
        self._thread = threading.Thread(target=self._work, name="prefetch", daemon=True)

    @property
    def wait_share(self) -> float:
        elapsed = self.wait_seconds + self.busy_seconds
        return self.wait_seconds / elapsed if elapsed else 0.0

    def __enter__(self) -> Prefetch[B]:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._closed.set()
        self._free.release()
        self._thread.join()

    def __iter__(self) -> Iterator[B]:
        return self

    def __next__(self) -> B:
        asked = time.perf_counter()
        if self._given is not None:
            self.busy_seconds += asked - self._given
            self._given = None
        if self._finished or self._closed.is_set():
            raise StopIteration
        outcome = self._ready.get()
        now = time.perf_counter()
        self.wait_seconds += now - asked
        if outcome is _END or isinstance(outcome, _Failure):
            self._finished = True
            if isinstance(outcome, _Failure):
                raise outcome.error
            raise StopIteration
        self._free.release()
        self._given = now
        batch: B = outcome
        return batch

    def _work(self) -> None:
        try:
            for items, key in self._requests:
                self._free.acquire()
                if self._closed.is_set():
                    return
                self._ready.put(self._load(items, key))
            self._ready.put(_END)
        except BaseException as error:  # whatever it is, the consumer must hear of it
            self._ready.put(_Failure(error))


def crops(
    items: Sequence[NDArray[Any]], corners: NDArray[np.integer[Any]], size: Sequence[int], out: NDArray[Any] | None = None
) -> NDArray[Any]:
    """Copy one crop of each item into one contiguous array.

    Args:
        items: B arrays of one dtype with equal leading axes, (…, *space); views of a ``MappedArray``.
        corners: first index of each crop along the last axes, (B, D): (y, x) for images, (z, y, x) for volumes.
        size: length of the crops along the last D axes.
        out: the array to fill, (B, …, *size); a new one where not given.

    Returns:
        (B, …, *size) in the items' dtype.

    Raises:
        IndexError: a crop reaches out of its item.
    """
    axes = len(size)
    if out is None:
        out = np.empty((len(items), *items[0].shape[: items[0].ndim - axes], *size), items[0].dtype)
    # Python integers: slicing by NumPy's costs more than the copy of a small crop.
    for target, item, corner in zip(out, items, corners.tolist(), strict=True):
        space = item.shape[item.ndim - axes :]
        window = tuple(slice(start, start + length) for start, length in zip(corner, size, strict=True))
        if any(part.start < 0 or part.stop > length for part, length in zip(window, space, strict=True)):
            raise IndexError(f"a crop of {tuple(size)} at {tuple(corner)} reaches out of an item of {space}")
        whole: tuple[Any, ...] = (..., *window)
        target[...] = item[whole]
    return out

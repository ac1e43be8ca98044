"""Times two ways to the same result in one process, taking turns, in seconds of CPU time.

CPU time of all threads of the process is counted, so that neither a busy machine nor hidden threads decide.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable


def compare(what: str, ours: Callable[[], object], reference: Callable[[], object], *, repeats: int, ours_per_turn: int = 1) -> None:
    """Print the reference's absolute rate and, last, the ratio line.

    Args:
        ours, reference: called without arguments; their outputs were compared before.
        repeats: turns; the medians over the turns are compared.
        ours_per_turn: calls of ``ours`` in one turn, where one is too short to be timed well.
    """
    seconds: tuple[list[float], list[float]] = ([], [])
    for _ in range(repeats):
        for column, (call, times) in enumerate(((reference, 1), (ours, ours_per_turn))):
            start = time.process_time()
            for _ in range(times):
                call()
            seconds[column].append((time.process_time() - start) / times)
    slow, fast = (statistics.median(column) for column in seconds)
    print(f"reference: {1 / slow:.2f} frames/s, {1e3 * slow:.2f} ms a frame (median of {repeats}, least {1e3 * min(seconds[0]):.2f})")
    print(f"ours:      {1 / fast:.2f} frames/s, {1e3 * fast:.2f} ms a frame (median of {repeats}, least {1e3 * min(seconds[1]):.2f})")
    print(f"ratio {slow / fast:.2f} — {what} (ours {1e3 * fast:.3f} ms, reference {1e3 * slow:.3f} ms)")

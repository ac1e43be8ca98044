"""A sample of a process tree as psutil's manual suggests it: all descendants, then each one's figures."""

from __future__ import annotations

import psutil


def sample() -> dict[int, tuple[float, int]]:
    """CPU seconds (waited-for children included) and resident bytes of each process in this one's tree, by id."""
    found = {}
    root = psutil.Process()
    for process in [root, *root.children(recursive=True)]:
        try:
            figures = process.as_dict(["cpu_times", "memory_info", "io_counters"])
        except psutil.NoSuchProcess:
            continue
        found[process.pid] = (sum(figures["cpu_times"][:4]), figures["memory_info"].rss)
    return found

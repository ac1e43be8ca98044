"""The last lines that the processes of a run printed, followed as they come."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable
from pathlib import Path

from labwright.watch.tail import Tail

LINES, WINDOW_BYTES, LETTERS = 200, 1 << 15, 400
MOST_FILES = 16
_ESCAPES = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")


class Log:
    """The end of one file of printed text."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines: deque[str] = deque(maxlen=LINES)
        self._tail = Tail.near_end(path, WINDOW_BYTES)

    def look(self) -> bool:
        """Read what is new; whether there was anything."""
        read = False
        if self._tail.left() > 8 * WINDOW_BYTES:
            self._tail = Tail.near_end(self.path, WINDOW_BYTES)
        while lines := self._tail.read():
            self.lines.extend(plain(line) for line in lines)
            read = True
        return read


class Logs:
    """The logs of a run's processes at work, and the last job files of a scheduler."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.version = 0
        """Raised by each file in which a look found something."""
        self._logs: dict[str, Log] = {}

    def look(self, workers: Iterable[str]) -> None:
        """Read what is new of these journal stems and of ``jobs/``."""
        paths = [self.folder / "journal" / f"{stem}.log" for stem in workers]
        jobs = (path for ending in ("out", "err") for path in self.folder.glob(f"jobs/*.{ending}"))
        paths = sorted(paths)[-MOST_FILES:] + sorted(jobs, key=_time)[-2:]
        self._logs = {path.name: self._logs.get(path.name) or Log(path) for path in paths}
        self.version += sum(log.look() for log in self._logs.values())

    def shown(self) -> list[tuple[str, list[str]]]:
        """File name and last lines of each."""
        return [(name, list(log.lines)) for name, log in self._logs.items() if log.lines]


def plain(line: bytes) -> str:
    """A line as it would stand on a terminal in the end: no colours, and of a bar that rewrote itself the last state."""
    text = _ESCAPES.sub("", line.decode("utf-8", errors="replace")).rstrip("\r")
    return text.rpartition("\r")[2][:LETTERS]


def _time(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0

"""Follow a run: its journals by offset, its other files only when they change. Nothing here writes."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from labwright.runs.run import Run, newest_by_worker, state_by_journal
from labwright.runs.sections import Section
from labwright.watch.story import Story
from labwright.watch.tail import Tail

QUICK_S, SLOW_S = 1.0, 8.0
"""How soon a run is looked at again: quick while it grows, slower each time it did not."""
LIST_AGAIN_S = 30.0
"""Folders are listed anew at least so often: not every file system keeps their times."""


class Follow:
    """One run, read as it grows."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.story = Story()
        self.parts: list[str] = []
        """The ids of the frozen parts."""
        self.done: dict[str, Any] | None = None
        """``done.json``."""
        self.pictures: list[Section] = []
        """The report's sections of images; read once, when the run is done."""
        self._tails: dict[str, Tail] = {}
        self._marks: dict[str, int] = {}
        self._finished: str | None = None
        """The state that files other than the journal give."""
        self._pause_s, self._due, self._list_due = QUICK_S, 0.0, 0.0

    def look(self, now: float | None = None, *, at_once: bool = False) -> bool:
        """Read what is new, unless it is too early to look again; whether there was anything.

        Args:
            now: seconds since 1970.
            at_once: look in any case.
        """
        now = time.time() if now is None else now
        if now < self._due and not at_once:
            return False
        listing = now >= self._list_due
        if listing:
            self._list_due = now + LIST_AGAIN_S
        changed = self._look_at_files(listing)
        changed = self._read_journals(listing) or changed
        behind = any(tail.left() > 0 for tail in self._tails.values()) if changed else False
        self._pause_s = QUICK_S if changed else min(SLOW_S, 2 * self._pause_s)
        self._due = now if behind else now + self._pause_s
        return changed

    def state(self, now: float | None = None) -> str:
        """As :meth:`labwright.runs.run.Run.state`, by what was read so far."""
        return self._finished or state_by_journal(self.last_records(), time.time() if now is None else now)

    def last_records(self) -> dict[str, dict[str, Any]]:
        """As :meth:`labwright.runs.run.Run.last_records`."""
        return newest_by_worker((stem, self.story.last.get(stem)) for stem in sorted(self._tails))

    def seen_at(self) -> float | None:
        """When the newest record was written."""
        return max((record["t"] for record in self.last_records().values()), default=None)

    def workers(self) -> list[str]:
        """The journal files (stems) of the newest attempt of each share and rank."""
        newest: dict[str, dict[str, Any]] = newest_by_worker((stem, {"stem": stem}) for stem in sorted(self._tails))
        return [str(record["stem"]) for record in newest.values()]

    def _look_at_files(self, listing: bool) -> bool:
        changed = self._moved("done.json", self.run.folder / "done.json")
        if changed or (listing and self._moved("stale.json", self.run.folder / "stale.json")):
            state = self.run.state()
            self._finished = state if state in ("done", "stale", "damaged") else None
            self.done = self.run.done()
            self.pictures = [one for one in self.run.sections() if one.get("kind") == "images"] if self.done else []
            changed = True
        if not self.parts and (listing or self.story.parts) and self._moved("parts.json", self.run.folder / "parts.json"):
            self.parts = _part_ids(self.run.folder / "parts.json")
            changed = True
        return changed

    def _read_journals(self, listing: bool) -> bool:
        folder = self.run.folder / "journal"
        if self._moved("journal", folder) or listing:
            for path in sorted(folder.glob("*.jsonl")):
                self._tails.setdefault(path.stem, Tail(path))
        before = self.story.version
        for stem in sorted(self._tails):
            if stem not in self.story.ends:  # nothing follows the last word of a process
                for line in self._tails[stem].read():
                    try:
                        record = json.loads(line)
                    except (ValueError, RecursionError):
                        continue
                    if isinstance(record, dict):
                        self.story.take(stem, record)
        return self.story.version != before

    def _moved(self, name: str, path: Path) -> bool:
        """Whether a file or folder changed since the last look."""
        try:
            mark = os.stat(path).st_mtime_ns
        except OSError:
            mark = 0
        before, self._marks[name] = self._marks.get(name, 0), mark
        return mark != before


def _part_ids(path: Path) -> list[str]:
    try:
        return [str(row["id"]) for row in json.loads(path.read_text(encoding="utf-8"))]
    except (OSError, ValueError, TypeError, KeyError):
        return []

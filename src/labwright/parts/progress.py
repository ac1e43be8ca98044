"""How far the work is: a live bar on a terminal, a plain line now and then in a log, a record now and then in the journal."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import Any

LOG_EVERY_S, RECORD_EVERY_S = 15.0, 5.0


class Progress:
    """Shows ``done of total`` with rate and remaining time, and whatever fields the caller adds."""

    def __init__(self, title: str, terminal: int | None, record: Callable[..., None] | None = None) -> None:
        """``terminal``: descriptor of a terminal for the live bar; None prints a line every 15 s instead. ``record``: of a journal."""
        self.title = title
        self._record, self._recorded = record, float("-inf")
        self._bar = _Bar(title, terminal) if terminal is not None else None
        self._first: tuple[float, int] | None = None
        self._printed = time.monotonic()

    def update(self, done: int, total: int, **fields: Any) -> None:
        """Show the state; cheap enough to call a few times a second. A field that is None is left out."""
        now = time.monotonic()
        self._first = self._first or (now, done)
        if self._record is not None and (now - self._recorded >= RECORD_EVERY_S or done == total):
            self._record("progress", title=self.title, done=done, total=total, **fields)
            self._recorded = now
        text = "  ".join(f"{name.replace('_', ' ')} {_show(value)}" for name, value in fields.items() if value is not None)
        if self._bar is not None:
            self._bar.update(done, total, text)
        elif now - self._printed >= LOG_EVERY_S:
            began, first = self._first
            rate = (done - first) / (now - began) if now > began else 0.0
            left = f"  {rate:.3g}/s  {(total - done) / rate:.0f} s left" if rate > 0 else ""
            sys.stderr.write(f"{self.title} {done}/{total}{left}  {text}".rstrip() + "\n")
            sys.stderr.flush()
            self._printed = now

    def close(self) -> None:
        """End the live bar."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None


class _Bar:
    def __init__(self, title: str, terminal: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn
        from rich.text import Text

        class Rate(ProgressColumn):
            def render(self, task: Any) -> Text:
                return Text(f"{task.speed:.3g}/s" if task.speed else "")

        self._stream = os.fdopen(os.dup(terminal), "w")
        columns = (
            TextColumn("{task.description}"),
            BarColumn(20),
            MofNCompleteColumn(),
            Rate(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[text]}"),
        )
        # Transient: the line goes away at the end, the log and the figures stay.
        self._progress = Progress(
            *columns, console=Console(file=self._stream, force_terminal=True), transient=True, redirect_stdout=False, redirect_stderr=False
        )
        self._task = self._progress.add_task(title, total=None, text="")
        self._progress.start()

    def update(self, done: int, total: int, text: str) -> None:
        self._progress.update(self._task, completed=done, total=total, text=text)

    def close(self) -> None:
        self._progress.stop()
        self._stream.close()


def _show(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)

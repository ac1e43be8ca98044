"""How far the work is: one live line on a terminal, a plain line now and then in a log."""

from __future__ import annotations

import os
import sys
import time
from typing import Any

LOG_EVERY_S = 15.0


class Progress:
    """Shows ``done of total`` with rate and remaining time, and whatever fields the caller adds."""

    def __init__(self, title: str, terminal: int | None, *, quiet: bool = False) -> None:
        """``terminal``: descriptor of a terminal for the live line; None prints a line every 15 s instead."""
        self.title = title
        self.quiet = quiet
        self._stream = os.fdopen(os.dup(terminal), "w") if terminal is not None else None
        self._began = time.monotonic()
        self._first: int | None = None
        self._printed = self._began
        self._shown = False

    def update(self, done: int, total: int, **fields: Any) -> None:
        """Show the state; cheap enough to call a few times a second."""
        now = time.monotonic()
        if self._first is None:
            self._first, self._began = done, now
        line = self._line(done, total, now - self._began, fields)
        if self._stream is not None:
            width = os.get_terminal_size(self._stream.fileno()).columns
            self._stream.write("\r\x1b[2K" + line[: max(width - 1, 20)])
            self._stream.flush()
            self._shown = True
        elif not self.quiet and now - self._printed >= LOG_EVERY_S:
            print(line, file=sys.stderr, flush=True)
            self._printed = now

    def close(self) -> None:
        """End the live line."""
        if self._stream is not None:
            if self._shown:
                self._stream.write("\r\x1b[2K")
            self._stream.close()
            self._stream = None

    def _line(self, done: int, total: int, seconds: float, fields: dict[str, Any]) -> str:
        share = done / total if total else 1.0
        bar = "█" * round(20 * share) + "░" * (20 - round(20 * share))
        text = f"{self.title} {bar} {done}/{total}"
        advanced = done - (self._first or 0)
        if advanced > 0 and seconds > 0:
            rate = advanced / seconds
            text += f"  {rate:.3g}/s  {_duration((total - done) / rate)} left"
        return text + "".join(f"  {name.replace('_', ' ')} {_show(value)}" for name, value in fields.items() if value is not None)


def _show(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"

"""Progress is a bar on a terminal and a line now and then in a log."""

from __future__ import annotations

import contextlib
import os
import pty
import time
from typing import Any

import pytest

from labwright.parts.progress import LOG_EVERY_S, RECORD_EVERY_S, Progress


def test_a_log_gets_a_line_now_and_then_with_rate_and_rest(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    progress = Progress("train", None)
    for done in range(121):
        progress.update(done, 1000, loss=0.123456, data_wait=None)
        now += LOG_EVERY_S / 60
    assert capsys.readouterr().err.splitlines() == [
        "train 60/1000  4/s  235 s left  loss 0.1235",
        "train 120/1000  4/s  220 s left  loss 0.1235",
    ]


def test_the_journal_gets_a_record_now_and_then_and_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    now, records = 1000.0, []
    monkeypatch.setattr(time, "monotonic", lambda: now)

    def record(kind: str, **fields: Any) -> None:
        records.append((kind, fields))

    progress = Progress("train", None, record)
    for done in range(1, 12):
        progress.update(done, 11, loss=0.5)
        now += RECORD_EVERY_S / 4
    assert records == [("progress", {"title": "train", "done": done, "total": 11, "loss": 0.5}) for done in (1, 5, 9, 11)]


def test_a_terminal_gets_a_bar_that_goes_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    ours, theirs = pty.openpty()
    bar = Progress("train", theirs)
    bar.update(3, 10, dice=0.5)
    bar.close()
    bar.close()
    os.close(theirs)
    shown = read_all(ours)
    os.close(ours)
    assert "train" in shown
    assert "3/10" in shown
    assert "dice 0.5" in shown
    assert shown.rstrip().endswith("\x1b[2K"), "the line is erased at the end"


def read_all(terminal: int) -> str:
    data = b""
    # A terminal that nobody writes to any more ends with EIO.
    with contextlib.suppress(OSError):
        while chunk := os.read(terminal, 1 << 16):
            data += chunk
    return data.decode()

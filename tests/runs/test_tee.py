"""What is printed while the log is out of reach comes into it later; nobody who prints ever waits or fails for it."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

import pytest

from labwright.runs import tee
from labwright.runs.tee import Log, copy


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tee, "RETRY_S", 0.01)


def away(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    def fail(*_: object) -> int:
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))

    monkeypatch.setattr(os, name, fail)


def test_lines_wait_while_the_log_is_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = Log(str(tmp_path / "a.log"))
    log.write(b"one\n")
    away(monkeypatch, "write")
    log.write(b"two\n")
    monkeypatch.undo()
    away(monkeypatch, "open")
    log.write(b"three\n")
    monkeypatch.undo()
    monkeypatch.setattr(tee, "RETRY_S", 0.0)
    log.write(b"four\n")
    log.close()
    assert (tmp_path / "a.log").read_text() == "one\ntwo\nthree\nfour\n"


def test_of_too_much_the_newest_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tee, "KEPT_BYTES", 10)
    log = Log(str(tmp_path / "a.log"))
    away(monkeypatch, "open")
    for _ in range(100):
        log.write(b"older\n")
    log.write(b"newest\n")
    assert bytes(log.waiting) == b"er\nnewest\n"


def test_streams_are_copied_while_the_log_is_away_and_it_follows(tmp_path: Path) -> None:
    (out, into), (shown, target) = os.pipe(), os.pipe()
    path = tmp_path / "absent" / "a.log"
    copying = threading.Thread(target=copy, args=(Log(str(path)), {out: target}))
    copying.start()
    os.write(into, b"early\n")
    assert os.read(shown, 100) == b"early\n"
    path.parent.mkdir()
    os.write(into, b"late\n")
    os.close(into)
    copying.join(20)
    assert path.read_text() == "early\nlate\n"
    for descriptor in (out, shown, target):
        os.close(descriptor)


def test_who_stops_reading_stops_nothing(tmp_path: Path) -> None:
    (out, into), (shown, target) = os.pipe(), os.pipe()
    os.close(shown)
    os.write(into, b"all the same\n")
    os.close(into)
    copy(Log(str(tmp_path / "a.log")), {out: target})
    assert (tmp_path / "a.log").read_text() == "all the same\n"
    for descriptor in (out, target):
        os.close(descriptor)

"""Who submits to a folder of runs is alone, as far as the file system can tell."""

from __future__ import annotations

import errno
import fcntl
from pathlib import Path

import pytest

from labwright.launch.alone import alone
from labwright.parts.claims import Busy


def test_another_waits_and_then_says_why_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("labwright.launch.alone.WITHIN_S", 0.2)
    with alone(tmp_path), pytest.raises(Busy, match="another process is submitting jobs for this folder of runs"), alone(tmp_path):
        pass
    assert capsys.readouterr().err == "labwright: waiting for another process that submits jobs for this folder of runs\n"
    with alone(tmp_path):
        pass


def test_other_folders_are_not_waited_for(tmp_path: Path) -> None:
    with alone(tmp_path / "a"), alone(tmp_path / "b"):
        pass


def test_a_file_system_without_locks_is_no_hindrance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with alone(tmp_path), alone(tmp_path):
        pass
